//! Where files are kept: a folder, or a bucket.
//!
//! Responsible for whole files and their notes, and for what is too old. A file has two objects: `<name>` with its bytes, and
//! `<name>.json` with its note, which is written last: a file without one is not there. What has another name was put
//! there by another program, and stays.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutPayload, local::LocalFileSystem, path::Path,
};

use super::{
    MediaId, Part,
    bucket::{self, Bucket},
};
use crate::files::make_folder;

/// What is written of a file at a time, into a folder.
const FOLDER_PART_BYTES: usize = 1024 * 1024;

/// The same, into a bucket: S3 takes no smaller parts, but for the last one.
const BUCKET_PART_BYTES: usize = 5 * 1024 * 1024;

/// What the name of a note ends with.
const NOTE: &str = ".json";

/// What `object_store` puts between a name and a number while a file is being written. It does not list such files itself.
const UNFINISHED: char = '#';

/// Files that are deleted at once: each takes a few requests to a bucket.
const DELETED_AT_ONCE: usize = 8;

/// A file that was begun so long ago was left behind by a service that was killed.
const LONGEST_WRITE: Duration = Duration::from_secs(3600);

/// The store cannot be used. A clone is the same error: all who wait for a file get the one that it has failed with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or read.
    #[error("the folder of files cannot be used: {0}")]
    Folder(#[source] Arc<io::Error>),
    /// What `object_store` says.
    #[error("the store of files cannot be used: {0}")]
    Store(#[source] Arc<object_store::Error>),
    /// The file system of the folder has less space left than the file needs.
    #[error(
        "the folder of files has no room: {free} bytes are free, and the file has {needed}; free space there"
    )]
    Full {
        /// The bytes that are free.
        free: u64,
        /// The bytes of the file, as its sender says them.
        needed: u64,
    },
    /// A file that was there a moment ago is not there any more.
    #[error("the store of files has lost a file that was just put there")]
    Lost,
}

impl From<io::Error> for StoreError {
    fn from(why: io::Error) -> Self {
        Self::Folder(Arc::new(why))
    }
}

impl From<object_store::Error> for StoreError {
    fn from(why: object_store::Error) -> Self {
        Self::Store(Arc::new(why))
    }
}

/// The files.
#[derive(Debug)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Where it is, if it is one.
    folder: Option<PathBuf>,
    part_bytes: usize,
}

/// Where the store is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket.
    Bucket(Bucket),
}

impl Store {
    pub(super) fn open(location: &Location) -> Result<Self, StoreError> {
        Ok(match location {
            Location::Folder(folder) => {
                make_folder(folder)?;
                // A note that outlives a power cut must not tell of bytes that have not.
                let files = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
                Self {
                    objects: Arc::new(files),
                    folder: Some(folder.clone()),
                    part_bytes: FOLDER_PART_BYTES,
                }
            }
            Location::Bucket(bucket) => Self {
                objects: bucket::open(bucket)?,
                folder: None,
                part_bytes: BUCKET_PART_BYTES,
            },
        })
    }

    /// The note of a file, if it is there.
    pub(super) async fn note(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        match self.objects.get(&note_of(name)).await {
            Ok(note) => Ok(Some(note.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// The size of a file, if its bytes are there.
    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let meta = self.meta(&Path::from(name)).await?;
        Ok(meta.map(|meta| meta.size))
    }

    async fn meta(&self, path: &Path) -> Result<Option<ObjectMeta>, StoreError> {
        match self.objects.head(path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// A part of a file.
    pub(super) async fn read(
        &self,
        name: &str,
        part: Part,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let options = GetOptions {
            range: part
                .is_asked_for
                .then(|| GetRange::Bounded(part.bytes.clone())),
            ..GetOptions::default()
        };
        let got = self.objects.get_opts(&Path::from(name), options).await?;
        Ok(got.into_stream().map_err(StoreError::from).boxed())
    }

    /// Finds out whether there is room for a file of this size. A bucket only reports that when it is written to.
    pub(super) async fn ensure_room(&self, needed: u64) -> Result<(), StoreError> {
        let Some(folder) = self.folder.clone() else {
            return Ok(());
        };
        let looking = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder));
        let disk = looking.await.map_err(io::Error::other)?;
        let disk = disk.map_err(io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < needed {
            return Err(StoreError::Full { free, needed });
        }
        Ok(())
    }

    /// Begins a file.
    pub(super) async fn begin(&self, name: &str) -> Result<Writing, StoreError> {
        Ok(Writing {
            upload: self.objects.put_multipart(&Path::from(name)).await?,
            slices: Vec::new(),
            held: 0,
            part_bytes: self.part_bytes,
        })
    }

    /// Says what a file is that has been written. From now on it is there.
    pub(super) async fn note_down(&self, name: &str, note: Vec<u8>) -> Result<(), StoreError> {
        self.objects.put(&note_of(name), note.into()).await?;
        Ok(())
    }

    /// Deletes what has been there for longer than this. Answers how many files.
    pub(super) async fn forget_older(&self, age: Duration) -> Result<usize, StoreError> {
        let oldest = SystemTime::now().checked_sub(age);
        let oldest = oldest.unwrap_or(SystemTime::UNIX_EPOCH);
        let old = self.objects.list(None).try_filter(|object| {
            let is_old = is_older(object, oldest);
            std::future::ready(is_old && is_own(object.location.as_ref()))
        });
        let names = old.map_ok(|object| {
            let name = object.location.as_ref();
            name.strip_suffix(NOTE).unwrap_or(name).to_owned()
        });
        let names: BTreeSet<String> = names.try_collect().await?;
        let deleting = stream::iter(names)
            .map(|name| async move { self.forget_if_older(&name, oldest).await })
            .buffer_unordered(DELETED_AT_ONCE);
        let deleted: Vec<_> = deleting.collect().await;
        // A bucket ends what is unfinished by a rule of its own.
        if let Some(folder) = self.folder.clone() {
            let removing = tokio::task::spawn_blocking(move || remove_unfinished(&folder));
            removing.await.map_err(io::Error::other)??;
        }
        // One that cannot be deleted keeps no other.
        let mut files = 0;
        for deleted in deleted {
            files += usize::from(deleted?);
        }
        Ok(files)
    }

    /// Deletes a file that is older than `oldest`, and answers whether it did. The age of its note counts, as the bytes are written before
    /// it. The note's age is read again here, since the file may have been fetched again after it was listed.
    async fn forget_if_older(&self, name: &str, oldest: SystemTime) -> Result<bool, StoreError> {
        let (note, bytes) = (note_of(name), Path::from(name));
        match self.meta(&note).await? {
            // The note goes first: a file without a note counts as absent.
            Some(noted) if is_older(&noted, oldest) => self.delete(&note).await?,
            Some(_) => return Ok(false),
            None => {
                let left = self.meta(&bytes).await?;
                if !left.is_some_and(|left| is_older(&left, oldest)) {
                    return Ok(false);
                }
            }
        }
        self.delete(&bytes).await?;
        Ok(true)
    }

    async fn delete(&self, path: &Path) -> Result<(), StoreError> {
        match self.objects.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }
}

fn is_older(object: &ObjectMeta, oldest: SystemTime) -> bool {
    SystemTime::from(object.last_modified) < oldest
}

/// Removes what a service that was killed has left half written.
fn remove_unfinished(folder: &std::path::Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let whole = name.to_str().and_then(|name| name.rsplit_once(UNFINISHED));
        let is_unfinished = whole.is_some_and(|(whole, _)| is_own(whole));
        let written = entry.metadata()?.modified()?;
        if is_unfinished && written.elapsed().is_ok_and(|age| LONGEST_WRITE < age) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether this is the name of a file or of its note.
fn is_own(name: &str) -> bool {
    MediaId::read(name.strip_suffix(NOTE).unwrap_or(name)).is_some()
}

fn note_of(name: &str) -> Path {
    Path::from(format!("{name}{NOTE}"))
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Writing {
    upload: Box<dyn MultipartUpload>,
    slices: Vec<Bytes>,
    held: usize,
    part_bytes: usize,
}

impl Writing {
    /// Takes the next bytes. Waits until the store has them, whenever there are enough of them for a part.
    pub(super) async fn push(&mut self, slice: Bytes) -> Result<(), StoreError> {
        self.held += slice.len();
        self.slices.push(slice);
        if self.part_bytes <= self.held {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        self.held = 0;
        let slices = std::mem::take(&mut self.slices);
        let part: PutPayload = slices.into_iter().collect();
        self.upload.put_part(part).await?;
        Ok(())
    }

    /// It is whole.
    pub(super) async fn finish(mut self) -> Result<(), StoreError> {
        if self.held > 0 {
            self.flush().await?;
        }
        self.upload.complete().await?;
        Ok(())
    }

    /// It is not wanted.
    pub(super) async fn give_up(mut self) {
        if let Err(why) = self.upload.abort().await {
            tracing::debug!(error = %why, "a file that is not wanted could not be given up: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "med_00000000000000000000000000000001";
    const OTHER: &str = "med_00000000000000000000000000000002";

    async fn all(store: &Store, name: &str, part: Part) -> Vec<u8> {
        let bytes = store.read(name, part).await.unwrap();
        let slices: Vec<Bytes> = bytes.try_collect().await.unwrap();
        slices.concat()
    }

    #[tokio::test]
    async fn a_file_is_there_once_its_note_is_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Folder(folder.path().join("media"));
        let store = Store::open(&location).unwrap();
        let mut writing = store.begin(ONE).await.unwrap();
        let slice = Bytes::from(vec![7; 700_000]);
        for _ in 0..3 {
            writing.push(slice.clone()).await.unwrap();
        }
        assert_eq!(store.note(ONE).await.unwrap(), None);
        writing.finish().await.unwrap();
        assert_eq!(store.note(ONE).await.unwrap(), None);
        store.note_down(ONE, b"{}".to_vec()).await.unwrap();
        assert_eq!(store.note(ONE).await.unwrap().unwrap(), "{}");
        assert_eq!(store.size(ONE).await.unwrap(), Some(2_100_000));
        let part = Part {
            bytes: 699_999..700_001,
            is_asked_for: true,
        };
        assert_eq!(all(&store, ONE, part).await, [7, 7]);
        assert_eq!(
            store.forget_older(Duration::from_secs(60)).await.unwrap(),
            0
        );
        assert_eq!(store.forget_older(Duration::ZERO).await.unwrap(), 1);
        assert_eq!(store.note(ONE).await.unwrap(), None);
        let left = std::fs::read_dir(folder.path().join("media")).unwrap();
        assert_eq!(left.count(), 0);
    }

    #[tokio::test]
    async fn a_file_is_as_old_as_its_note_and_bytes_without_one_as_old_as_they_are() {
        const HOUR: Duration = Duration::from_secs(3600);
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::Folder(folder.path().to_owned())).unwrap();
        // How old the bytes are, how old the note, and whether it is too old.
        for (name, bytes, note, goes) in [
            (ONE, Some(3_u32), Some(1_u32), false),
            (OTHER, Some(1), Some(3), true),
            ("med_00000000000000000000000000000003", Some(3), None, true),
            ("med_00000000000000000000000000000004", Some(1), None, false),
            ("med_00000000000000000000000000000005", None, Some(3), true),
            (
                "med_00000000000000000000000000000006",
                Some(3),
                Some(3),
                true,
            ),
        ] {
            for (name, hours) in [(name.to_owned(), bytes), (format!("{name}{NOTE}"), note)] {
                let Some(hours) = hours else { continue };
                let file = std::fs::File::create(folder.path().join(name)).unwrap();
                file.set_modified(SystemTime::now() - hours * HOUR).unwrap();
            }
            let gone = store.forget_older(2 * HOUR).await.unwrap();
            assert_eq!(gone, usize::from(goes), "{name}");
            let left = std::fs::read_dir(folder.path()).unwrap().flatten();
            let left = left.filter(|left| left.file_name().to_str().unwrap().starts_with(name));
            let wanted = if goes {
                0
            } else {
                usize::from(bytes.is_some()) + usize::from(note.is_some())
            };
            assert_eq!(left.count(), wanted, "{name}");
        }
    }

    #[tokio::test]
    async fn a_file_for_which_the_disk_has_no_room_is_known_before_it_is_begun() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::Folder(folder.path().to_owned())).unwrap();
        store.ensure_room(1000).await.unwrap();
        let refused = store.ensure_room(u64::MAX).await;
        assert!(
            matches!(refused, Err(StoreError::Full { .. })),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn what_others_have_put_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["photo.jpg", "photo.json", "med_1", "draft#1"];
        for name in names {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - 2 * LONGEST_WRITE)
                .unwrap();
        }
        let store = Store::open(&Location::Folder(folder.path().to_owned())).unwrap();
        assert_eq!(store.forget_older(Duration::ZERO).await.unwrap(), 0);
        let left = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(left.count(), names.len());
    }

    #[tokio::test]
    async fn what_was_not_finished_is_not_there_and_is_removed_once_no_service_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::Folder(folder.path().to_owned())).unwrap();
        let mut writing = store.begin(ONE).await.unwrap();
        writing.push(Bytes::from(vec![7; 2_000_000])).await.unwrap();
        // As a killed service leaves it.
        std::mem::forget(writing);
        let left = || {
            std::fs::read_dir(folder.path())
                .unwrap()
                .flatten()
                .collect::<Vec<_>>()
        };
        assert_eq!(store.size(ONE).await.unwrap(), None);
        store.forget_older(Duration::ZERO).await.unwrap();
        assert_eq!(left().len(), 1);
        let hours_ago = SystemTime::now() - 2 * LONGEST_WRITE;
        let file = std::fs::File::options()
            .append(true)
            .open(left()[0].path())
            .unwrap();
        file.set_modified(hours_ago).unwrap();
        store.forget_older(Duration::ZERO).await.unwrap();
        assert!(left().is_empty());
        let given_up = store.begin(OTHER).await.unwrap();
        given_up.give_up().await;
        assert!(left().is_empty());
    }
}
