//! Where files are kept: a folder, or a bucket.
//!
//! Responsible for whole files and their notes, and for what is too old. A file has two objects: `<name>` with its bytes, and
//! `<name>.json` with its note, which is written last: a file without one is not there. What has another name was put
//! there by another program, and stays.

use std::{
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
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload,
    local::LocalFileSystem, path::Path,
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

/// A file that was begun so long ago was left behind by a service that was killed.
const LONGEST_WRITE: Duration = Duration::from_secs(3600);

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or read.
    #[error("the folder of files cannot be used: {0}")]
    Folder(#[from] io::Error),
    /// What `object_store` says.
    #[error("the store of files cannot be used: {0}")]
    Store(#[from] object_store::Error),
}

/// The files.
#[derive(Debug)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Where it is, if it is one.
    folder: Option<PathBuf>,
    part_bytes: usize,
}

/// Where files are kept.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket.
    Bucket(Bucket),
}

impl Store {
    pub(super) fn open(place: &Place) -> Result<Self, StoreError> {
        Ok(match place {
            Place::Folder(folder) => {
                make_folder(folder)?;
                Self {
                    objects: Arc::new(LocalFileSystem::new_with_prefix(folder)?),
                    folder: Some(folder.clone()),
                    part_bytes: FOLDER_PART_BYTES,
                }
            }
            Place::Bucket(bucket) => Self {
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

    /// The size of a file.
    pub(super) async fn size(&self, name: &str) -> Result<u64, StoreError> {
        Ok(self.objects.head(&Path::from(name)).await?.size)
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
            let is_old = SystemTime::from(object.last_modified) < oldest;
            std::future::ready(is_old && is_own(object.location.as_ref()))
        });
        let old: Vec<Path> = old.map_ok(|object| object.location).try_collect().await?;
        let is_note = |path: &&Path| path.as_ref().ends_with(NOTE);
        let files = old.iter().filter(|path| !is_note(path)).count();
        // Notes first: what lacks its note is not there, and what lacks its bytes would be.
        let (notes, rest): (Vec<_>, Vec<_>) = old.into_iter().partition(|path| is_note(&path));
        for paths in [notes, rest] {
            let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
            let deleted = self.objects.delete_stream(paths);
            let deleted = deleted.try_filter_map(async |path| Ok(Some(path)));
            deleted.try_collect::<Vec<_>>().await?;
        }
        // A bucket ends what is unfinished by a rule of its own.
        if let Some(folder) = self.folder.clone() {
            let removing = tokio::task::spawn_blocking(move || remove_unfinished(&folder));
            removing.await.map_err(io::Error::other)??;
        }
        Ok(files)
    }
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
        let place = Place::Folder(folder.path().join("media"));
        let store = Store::open(&place).unwrap();
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
        assert_eq!(store.size(ONE).await.unwrap(), 2_100_000);
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
    async fn what_others_have_put_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["photo.jpg", "photo.json", "med_1", "draft#1"];
        for name in names {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - 2 * LONGEST_WRITE)
                .unwrap();
        }
        let store = Store::open(&Place::Folder(folder.path().to_owned())).unwrap();
        assert_eq!(store.forget_older(Duration::ZERO).await.unwrap(), 0);
        let left = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(left.count(), names.len());
    }

    #[tokio::test]
    async fn what_was_not_finished_is_not_there_and_is_removed_once_no_service_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Place::Folder(folder.path().to_owned())).unwrap();
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
        assert!(store.size(ONE).await.is_err());
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
