//! Snapshots of small profiles in a real folder: taken, kept, passed over when damaged, and put in place.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;

const LINK: &str = "Default/IndexedDB/a_0.indexeddb.leveldb/000003.log";

/// A home with one profile and its snapshots.
struct Home {
    folder: tempfile::TempDir,
    root: SnapshotRoot,
}

impl Home {
    fn new(keep: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = folder.path().join("data/snapshots");
        let root = SnapshotRoot::new(snapshots, keep, 2, CancellationToken::new());
        let home = Self { folder, root };
        home.write(LINK, "linked");
        home.write("Default/Cache/Cache_Data/index", "a cache");
        home
    }

    fn profile(&self) -> PathBuf {
        self.folder.path().join("tokens/51")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.profile().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.profile().join(path)).ok()
    }

    fn snapshots(&self) -> ProfileSnapshots {
        self.root.of("51", self.profile())
    }

    /// Takes one of this account's, as if the last had been taken long ago.
    async fn take(&self, account: &str) -> Manifest {
        let origin = Origin {
            cliente_id: "51".to_owned(),
            account: Some(account.into()),
            linked_at: None,
        };
        let taken = self.snapshots().take(origin).await.unwrap();
        let Taken::New(manifest) = taken else {
            panic!("{taken:?}");
        };
        manifest
    }

    fn files(&self) -> Vec<PathBuf> {
        self.snapshots().store.all().unwrap()
    }

    fn set_aside(&self) -> Vec<PathBuf> {
        Places::of(&self.profile()).set_aside().unwrap()
    }
}

fn any(_: &Manifest) -> bool {
    true
}

#[tokio::test]
async fn a_profile_comes_back_as_it_was_without_its_caches_and_the_lost_one_is_kept() {
    let home = Home::new(1);
    home.write("Default/empty", "");
    let taken = home.take("1").await;
    // With the note, which says that a generation has ended.
    assert_eq!(taken.files, 3);
    home.write(LINK, "garbage");
    home.write("Default/later", "x");

    let restored = home.snapshots().restore(any).await.unwrap();
    assert_eq!(restored, Some(taken));
    assert_eq!(home.read(LINK).as_deref(), Some("linked"));
    assert_eq!(home.read("Default/empty").as_deref(), Some(""));
    assert_eq!(home.read("Default/later"), None);
    assert_eq!(home.read("Default/Cache/Cache_Data/index"), None);
    let aside = home.set_aside();
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read_to_string(aside[0].join(LINK)).unwrap(), "garbage");
    // And says since when it is there.
    let restored_at = |profile| ProfileNote::read(profile).unwrap().restored_at;
    assert_eq!(restored_at(&aside[0]), None);
    assert!(restored_at(&home.profile()).unwrap() > restored.unwrap().taken_at);
}

#[tokio::test]
async fn a_copy_says_up_to_which_generation_it_has_everything_and_its_profile_goes_on_above() {
    let home = Home::new(3);
    let generation = || ProfileNote::read(&home.profile()).unwrap().generation;
    for n in 0..3 {
        assert_eq!(generation(), n);
        // Raised before the copying begins: what is handed over meanwhile may be missing in the copy.
        assert_eq!(home.take(&n.to_string()).await.generation, Some(n));
    }
    let of_the_first = |manifest: &Manifest| manifest.account.as_deref() == Some("0");
    home.snapshots()
        .restore(of_the_first)
        .await
        .unwrap()
        .unwrap();
    let note = ProfileNote::read(&home.profile()).unwrap();
    assert_eq!(
        note.generation, 3,
        "the profile that made way had reached it"
    );
    let [gap] = &*note.gaps else {
        panic!("{note:?}");
    };
    assert_eq!(
        (gap.after, gap.until, gap.is_from_elsewhere),
        (Some(0), None, false)
    );
}

#[tokio::test]
async fn only_this_user_can_read_what_is_kept() {
    let home = Home::new(1);
    home.take("1").await;
    home.snapshots().restore(any).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = home.files().remove(0);
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(mode(&home.profile().join("Default")), 0o700);
    assert_eq!(mode(&home.profile().join(LINK)), 0o600);
    assert_eq!(mode(home.set_aside()[0].parent().unwrap()), 0o700);
}

#[tokio::test]
async fn as_many_are_kept_as_asked_for_and_a_young_one_of_the_same_link_is_enough() {
    let home = Home::new(2);
    for account in ["1", "2", "3"] {
        home.take(account).await;
    }
    assert_eq!(home.files().len(), 2);
    let origin = Origin {
        cliente_id: "51".to_owned(),
        account: Some("3".into()),
        linked_at: None,
    };
    let again = home.snapshots().take(origin.clone()).await.unwrap();
    assert_eq!(again, Taken::StillYoung);
    let relinked = Origin {
        linked_at: Some(Timestamp::now()),
        ..origin
    };
    let again = home.snapshots().take(relinked).await.unwrap();
    assert!(matches!(again, Taken::New(_)), "{again:?}");
}

#[tokio::test]
async fn with_none_wanted_none_is_taken_and_none_is_used() {
    let home = Home::new(1);
    home.take("1").await;
    let off = SnapshotRoot {
        keep: 0,
        ..home.root.clone()
    };
    let off = off.of("51", home.profile());
    assert_eq!(off.take(Origin::default()).await.unwrap(), Taken::Off);
    assert_eq!(off.restore(any).await.unwrap(), None);
    assert_eq!(home.files().len(), 1);
}

#[tokio::test]
async fn a_damaged_snapshot_is_passed_over_for_an_older_one_that_is_whole() {
    let home = Home::new(2);
    let whole = home.take("1").await;
    home.write(LINK, "later");
    home.take("2").await;
    let newest = home.files().remove(0);
    let bytes = fs::read(&newest).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&newest, damaged).unwrap();
        assert!(archive::verify(&newest).is_err(), "byte {at}");
    }
    for length in 0..bytes.len() {
        fs::write(&newest, &bytes[..length]).unwrap();
        assert!(archive::verify(&newest).is_err(), "cut at {length}");
    }
    let restored = home.snapshots().restore(any).await.unwrap();
    assert_eq!(restored, Some(whole));
    assert_eq!(home.read(LINK).as_deref(), Some("linked"));
}

#[tokio::test]
async fn with_no_snapshot_that_fits_the_profile_stays() {
    let home = Home::new(1);
    home.take("1").await;
    home.write(LINK, "garbage");
    let other = |manifest: &Manifest| manifest.account.as_deref() == Some("2");
    assert_eq!(home.snapshots().restore(other).await.unwrap(), None);
    assert_eq!(home.read(LINK).as_deref(), Some("garbage"));
    assert_eq!(home.set_aside(), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn a_snapshot_that_is_not_finished_in_time_leaves_the_last_one() {
    let home = Home::new(1);
    let last = home.take("1").await;
    home.root.give_up.cancel();
    let given_up = home.snapshots().take(Origin::default()).await;
    assert!(matches!(given_up, Err(SnapshotError::GivenUp)));

    let store = home.snapshots().store;
    let cancelled = home.root.give_up.clone();
    let given_up = store.add(&home.profile(), Origin::default(), None, 0, &cancelled);
    assert!(
        matches!(given_up, Err(SnapshotError::GivenUp)),
        "{given_up:?}"
    );
    let left = fs::read_dir(&store.folder).unwrap().count();
    assert_eq!(left, 1);
    let whole = store.newest_whole(any).unwrap().unwrap();
    assert_eq!(whole.manifest, last);
}

#[tokio::test]
async fn what_a_killed_service_had_half_written_is_no_snapshot() {
    let home = Home::new(1);
    let store = home.snapshots().store;
    fs::create_dir_all(&store.folder).unwrap();
    fs::write(store.folder.join("incomplete"), "half").unwrap();
    assert_eq!(home.snapshots().restore(any).await.unwrap(), None);
    home.take("1").await;
    assert_eq!(fs::read_dir(&store.folder).unwrap().count(), 1);
}

#[tokio::test]
async fn a_profile_in_use_is_neither_copied_nor_exchanged() {
    let home = Home::new(1);
    let _held = profile::hold(&home.profile()).unwrap();
    for refused in [
        home.snapshots().take(Origin::default()).await.map(drop),
        home.snapshots().restore(any).await.map(drop),
        home.snapshots().set_aside().await,
    ] {
        let is_locked = matches!(
            refused,
            Err(SnapshotError::Profile(
                crate::browser::BrowserError::ProfileLocked { .. }
            ))
        );
        assert!(is_locked, "{refused:?}");
    }
}

#[tokio::test]
async fn on_a_disk_on_which_no_page_can_store_anything_the_profile_stays() {
    const MB: u64 = 1024 * 1024;
    let home = Home::new(1);
    home.take("1").await;
    home.write(LINK, "used further");
    let disks: [(LookAt, bool); 5] = [
        (|_| Ok(disk(0, 10_000 * MB)), false),
        (|_| Ok(disk(99 * MB, 10_000 * MB)), false),
        (|_| Ok(disk(63 * MB, 1_000 * MB)), false),
        (|_| Ok(disk(1_023 * MB, 4_000_000 * MB)), false),
        (|_| Ok(disk(1_025 * MB, 4_000_000 * MB)), true),
    ];
    for (look_at, has_room) in disks {
        let root = SnapshotRoot {
            look_at,
            ..home.root.clone()
        };
        let snapshots = root.of("51", home.profile());
        let done = [
            snapshots.restore(any).await.map(drop),
            snapshots.set_aside().await,
        ];
        for done in done {
            let is_refused = matches!(done, Err(SnapshotError::NoSpace { .. }));
            assert_eq!(is_refused, !has_room, "{done:?}");
        }
        if !has_room {
            assert_eq!(home.read(LINK).as_deref(), Some("used further"));
        }
    }
    assert_eq!(home.set_aside().len(), 2);
}

type LookAt = fn(&Path) -> io::Result<Disk>;

fn disk(free: u64, total: u64) -> Disk {
    Disk { free, total }
}

#[tokio::test]
async fn a_profile_that_lost_its_place_in_a_crash_has_it_back_before_it_is_used() {
    let home = Home::new(1);
    let places = Places::of(&home.profile());
    for step in [Step::Discard, Step::SetAside] {
        places.perform(step).unwrap();
    }
    fs::create_dir_all(&places.unpacking).unwrap();
    fs::write(places.unpacking.join("mark"), "restored").unwrap();
    places.perform(Step::Complete).unwrap();
    assert!(!home.profile().try_exists().unwrap());

    drop(profile::hold(&home.profile()).unwrap());
    assert_eq!(home.read("mark").as_deref(), Some("restored"));
}

#[tokio::test]
async fn a_deleted_profile_takes_what_was_set_aside_along() {
    let home = Home::new(1);
    home.snapshots().set_aside().await.unwrap();
    home.write(LINK, "linked again");
    assert_eq!(home.set_aside().len(), 1);
    super::super::delete_profile(&home.profile(), super::super::Aside::Goes)
        .await
        .unwrap();
    assert_eq!(home.set_aside().len(), 0);
    assert!(!home.profile().try_exists().unwrap());
}
