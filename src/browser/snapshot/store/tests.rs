//! Profiles of random files, copied again and again: what is restored is what was copied, whatever was removed meanwhile.

use std::{collections::BTreeMap, fs};

use proptest::{prelude::*, test_runner::Config};

use super::*;
use crate::browser::{Origin, SnapshotKey, snapshot::contents::Contents};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A store and a profile.
struct Place {
    home: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new(keep: usize, key: Option<&SnapshotKey>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store {
            objects: Objects {
                folder: home.path().join("snapshots"),
            },
            vault: Vault::new(key),
            keep,
        };
        fs::create_dir(home.path().join("51")).unwrap();
        Self { home, store }
    }

    fn profile(&self) -> PathBuf {
        self.home.path().join("51")
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.profile().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A look that comes long after all was written.
    fn look(&self) -> Look {
        let look = Look::at(&self.profile()).unwrap();
        Look {
            at: look.at.saturating_add(3_600_000_000_000),
            ..look
        }
    }

    fn take(&self) -> Added {
        let give_up = CancellationToken::new();
        let writing = self.store.objects.lock(&give_up).unwrap();
        let (known, look) = (self.store.known().unwrap(), self.look());
        let manifest = Manifest::new(Origin::default(), None, 0, &look.contents);
        let content = |path: &Path| Some(self.profile().join(path));
        let added = self
            .store
            .add(manifest, &look, &known, content, &writing, &give_up);
        added.unwrap()
    }

    /// The files that the newest snapshot restores.
    fn restored(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let give_up = CancellationToken::new();
        let whole = self.store.newest_whole(|_| true, &give_up).unwrap();
        let folder = self.home.path().join("unpacked");
        whole.unwrap().unpack(&folder, &give_up).unwrap();
        let files = files(&folder);
        fs::remove_dir_all(&folder).unwrap();
        files
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let contents = Contents::of(folder).unwrap().files.into_iter();
    contents
        .map(|(path, _)| (path.clone(), fs::read(folder.join(path)).unwrap()))
        .collect()
}

/// Bytes that are nowhere else.
fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[seed]);
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

#[derive(Clone, Debug)]
enum Edit {
    /// Puts this many blocks and this many bytes more or less into a file.
    Write(u8, u8, i8),
    /// Changes a byte in the middle of one.
    Touch(u8),
    Remove(u8),
    Take,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        3 => (0..4_u8, 0..3_u8, -1..=1_i8).prop_map(|(file, blocks, more)| Edit::Write(file, blocks, more)),
        2 => (0..4_u8).prop_map(Edit::Touch),
        1 => (0..4_u8).prop_map(Edit::Remove),
        3 => Just(Edit::Take),
    ];
    prop::collection::vec(edit, 1..16)
}

proptest! {
    // Each case writes some megabytes, and has them on disk.
    #![proptest_config(Config { cases: 24, ..Config::default() })]

    #[test]
    fn what_is_restored_is_what_was_copied_last(edits in edits(), keep in 1..3_usize, has_key: bool) {
        let key = has_key.then(|| KEY.parse().unwrap());
        let place = Place::new(keep, key.as_ref());
        let mut taken = None;
        for (at, edit) in edits.into_iter().enumerate() {
            let path = |file: u8| format!("Default/IndexedDB/{file}");
            match edit {
                Edit::Write(file, blocks, more) => {
                    let length = i64::from(blocks) * i64::try_from(pack::BLOCK).unwrap() + i64::from(more);
                    let length = usize::try_from(length).unwrap_or(0);
                    // Never as long as before: the clock of the disk may not have moved.
                    place.write(&path(file), &noise(u8::try_from(at).unwrap(), length + 2 * at));
                }
                Edit::Touch(file) => {
                    let path = place.profile().join(path(file));
                    if let Ok(mut bytes) = fs::read(&path) {
                        let middle = bytes.len() / 2;
                        if let Some(byte) = bytes.get_mut(middle) {
                            *byte ^= 1;
                        }
                        bytes.push(0);
                        fs::write(path, bytes).unwrap();
                    }
                }
                Edit::Remove(file) => drop(fs::remove_file(place.profile().join(path(file)))),
                Edit::Take => {
                    place.take();
                    taken = Some(files(&place.profile()));
                }
            }
            if let Some(taken) = &taken {
                prop_assert_eq!(&place.restored(), taken);
            }
        }
        let count = place.store.all().unwrap().len();
        prop_assert!(count <= keep);
        // No pack is missing, and none is there for nothing.
        let needed = |name: &String| Listing::packs_of(&place.store.objects.path(name)).unwrap();
        let needed: BTreeSet<_> = place.store.all().unwrap().iter().flat_map(needed).collect();
        let packs: BTreeSet<_> = place.store.objects.list(PACK).unwrap().into_iter().collect();
        prop_assert_eq!(packs, needed);
    }
}

#[test]
fn only_the_blocks_that_changed_are_stored_again() {
    let place = Place::new(1, None);
    let block = usize::try_from(pack::BLOCK).unwrap();
    let mut bytes = noise(1, 20 * block);
    place.write("Default/IndexedDB/large", &bytes);
    let whole = place.take().new_bytes;
    assert!(
        (20 * pack::BLOCK..21 * pack::BLOCK).contains(&whole),
        "{whole}"
    );
    assert_eq!(place.take().new_bytes, 0);
    bytes[10 * block] ^= 1;
    bytes.push(0);
    place.write("Default/IndexedDB/large", &bytes);
    let new = place.take().new_bytes;
    assert!((pack::BLOCK..2 * pack::BLOCK).contains(&new), "{new}");
    assert_eq!(place.restored(), files(&place.profile()));
}

#[test]
fn a_pack_that_is_hardly_needed_any_more_is_written_again_and_goes() {
    let place = Place::new(1, None);
    let block = usize::try_from(pack::BLOCK).unwrap();
    place.write("stays", &noise(1, block));
    place.write("goes", &noise(2, 4 * block));
    place.take();
    fs::remove_file(place.profile().join("goes")).unwrap();
    let new = place.take().new_bytes;
    assert_eq!(new, 0);
    // Seen by the snapshot after the one that does not need it.
    let new = place.take().new_bytes;
    assert!(new >= pack::BLOCK, "{new}");
    assert_eq!(place.store.objects.list(PACK).unwrap().len(), 1);
    assert_eq!(place.restored(), files(&place.profile()));
}

#[test]
fn snapshots_of_a_clock_that_was_ahead_and_is_set_back_are_no_reason_to_store_all_again() {
    let place = Place::new(1, None);
    place.write("stays", &noise(1, usize::try_from(pack::BLOCK).unwrap()));
    place.take();
    // As it was written when the clock was a year ahead.
    let ahead = Timestamp::now() + SignedDuration::from_hours(365 * 24);
    let contents = place.look().contents;
    let manifest = Manifest::new(Origin::default(), None, 0, &contents).frozen_at(ahead);
    let give_up = CancellationToken::new();
    let take = |manifest: Manifest| {
        let writing = place.store.objects.lock(&give_up).unwrap();
        let (known, look) = (place.store.known().unwrap(), place.look());
        let content = |path: &Path| Some(place.profile().join(path));
        let store = &place.store;
        let added = store.add(manifest, &look, &known, content, &writing, &give_up);
        added.unwrap().new_bytes
    };
    take(manifest);
    // Its blocks are in a pack of now, which is old by that clock: they are written once more.
    assert!(place.take().new_bytes >= pack::BLOCK);
    for _ in 0..3 {
        assert_eq!(place.take().new_bytes, 0);
    }
    assert_eq!(place.restored(), files(&place.profile()));
}

#[test]
fn a_file_is_read_again_unless_it_was_written_long_before_the_last_look() {
    let place = Place::new(1, None);
    place.write("Default/IndexedDB/a", b"1");
    place.write("Default/IndexedDB/a-shm", b"1");
    place.take();
    let (known, look) = (place.store.known().unwrap(), place.look());
    let is_known = |known: &Known| {
        let files = look.contents.files.iter();
        files
            .map(|(path, stamp)| known.blocks_of(path, stamp).is_some())
            .collect::<Vec<_>>()
    };
    // Shared memory is written without a trace.
    assert_eq!(is_known(&known), [true, false]);
    assert!(known.has_the_storage_of(&look));
    let soon = Known {
        looked_at: super::super::contents::now(),
        ..known
    };
    assert_eq!(is_known(&soon), [false, false]);
    assert!(!soon.has_the_storage_of(&look));
    place.write("Default/IndexedDB/b", b"1");
    let known = place.store.known().unwrap();
    assert!(!known.has_the_storage_of(&place.look()));
}

#[test]
fn storage_in_another_place_is_seen_to_change_and_no_storage_is_never_unchanged() {
    let place = Place::new(1, None);
    place.write("Default/Preferences", b"1");
    place.take();
    let known = place.store.known().unwrap();
    assert!(!known.has_the_storage_of(&place.look()));
    place.write("Default/WebStorage/1/IndexedDB/a", b"1");
    place.take();
    let known = place.store.known().unwrap();
    assert!(known.has_the_storage_of(&place.look()));
    place.write("Default/WebStorage/1/IndexedDB/a", b"22");
    assert!(!known.has_the_storage_of(&place.look()));
}

#[test]
fn a_profile_of_too_many_files_makes_no_snapshot_go() {
    let place = Place::new(1, None);
    place.write("Default/IndexedDB/a", b"1");
    place.take();
    let before = place.restored();
    let give_up = CancellationToken::new();
    let writing = place.store.objects.lock(&give_up).unwrap();
    let (known, mut look) = (place.store.known().unwrap(), place.look());
    let file = look.contents.files.remove(0);
    look.contents.files = vec![file; ENTRIES_MAX + 1];
    let manifest = Manifest::new(Origin::default(), None, 0, &look.contents);
    let content = |path: &Path| Some(place.profile().join(path));
    let store = &place.store;
    let added = store.add(manifest, &look, &known, content, &writing, &give_up);
    assert!(added.unwrap_err().to_string().contains("too many files"));
    drop(writing);
    assert_eq!(place.restored(), before);
}

#[test]
fn a_disk_that_takes_both_the_copy_and_its_pack_needs_room_for_both() {
    let place = Place::new(1, None);
    let free = Disk::of(place.home.path()).unwrap().free;
    // Twice this is more, also when another program frees some of the disk meanwhile.
    let most = free / 10 * 7;
    let (one, other) = (place.home.path(), place.profile());
    ensure_space(one, most).unwrap();
    let refused = ensure_space_in_both(one, &other, most).unwrap_err();
    assert!(
        matches!(refused, SnapshotError::NoSpace { .. }),
        "{refused}"
    );
}

#[test]
fn a_manifest_that_means_harm_is_refused() {
    let place = Place::new(1, None);
    place.write("Default/a", b"1");
    place.take();
    let name = place.store.all().unwrap().remove(0);
    let path = place.store.objects.path(&name);
    let refused = |change: &dyn Fn(&mut Listing)| {
        let (mut listing, vault) = Listing::read(&path, &place.store.vault).unwrap();
        change(&mut listing);
        let file = place.home.path().join("changed");
        listing.write(File::create(&file).unwrap(), &vault).unwrap();
        let read = Listing::read(&file, &vault);
        matches!(read, Err(SnapshotError::Damaged { .. }))
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|listing| listing.files[0].path = "../a".into()));
    assert!(refused(&|listing| listing.files[0].path = "/a".into()));
    assert!(refused(&|listing| listing.folders[0] = "..".into()));
    assert!(refused(
        &|listing| listing.packs[0] = "../../keys.json".into()
    ));
    assert!(refused(&|listing| listing.files[0].blocks.push(0)));
    assert!(refused(&|listing| listing.files[0].blocks[0] = 7));
    assert!(refused(&|listing| listing.blocks[0].pack = 7));
    assert!(refused(&|listing| listing.blocks[0].size = u64::MAX));
    assert!(refused(&|listing| listing.manifest.bytes = 0));
    assert!(refused(&|listing| listing.manifest.files = 9));
}
