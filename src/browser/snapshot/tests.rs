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
        new(self.snapshots().take(origin).await)
    }

    /// The same while its Chrome runs; there is none.
    async fn take_frozen(&self) -> Manifest {
        let snapshots = self.snapshots();
        new(snapshots.take_frozen(Origin::default(), 0, None).await)
    }

    /// The manifests, the newest first.
    fn files(&self) -> Vec<PathBuf> {
        let store = self.snapshots().store;
        let names = store.all().unwrap();
        names.iter().map(|name| store.objects.path(name)).collect()
    }

    /// Everything in the store but its lock.
    fn objects(&self) -> Vec<String> {
        let folder = self.snapshots().store.objects.folder;
        let names = fs::read_dir(folder).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "lock").collect();
        names.sort();
        names
    }

    fn set_aside(&self) -> Vec<PathBuf> {
        Places::of(&self.profile()).set_aside().unwrap()
    }
}

fn new(taken: Result<Taken, SnapshotError>) -> Manifest {
    let Ok(Taken::New(taking)) = taken else {
        panic!("{taken:?}");
    };
    taking.manifest
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
async fn as_many_are_kept_as_asked_for_and_each_pack_that_one_of_them_needs() {
    let home = Home::new(2);
    for text in ["1", "2", "3"] {
        home.write(LINK, text);
        home.take("1").await;
    }
    assert_eq!(home.files().len(), 2);
    assert_eq!(home.objects().len(), 4, "{:?}", home.objects());
    home.write(LINK, "garbage");
    home.snapshots().restore(any).await.unwrap().unwrap();
    assert_eq!(home.read(LINK).as_deref(), Some("3"));
}

#[tokio::test]
async fn the_last_one_of_a_chrome_that_was_closed_stays_with_those_of_a_running_one() {
    let home = Home::new(1);
    let closed = new(home.snapshots().take(Origin::default()).await);
    for text in ["1", "2", "3"] {
        home.write(LINK, text);
        assert_eq!(home.take_frozen().await.kind, Kind::Frozen);
    }
    assert_eq!(home.files().len(), 2);
    home.write(LINK, "garbage");
    let restored = home.snapshots().restore(any).await.unwrap().unwrap();
    assert_eq!(
        (restored.kind, home.read(LINK).as_deref()),
        (Kind::Frozen, Some("3"))
    );
    fs::remove_file(home.files().remove(0)).unwrap();
    let restored = home.snapshots().restore(any).await.unwrap();
    assert_eq!(restored, Some(closed));
    assert_eq!(home.read(LINK).as_deref(), Some("linked"));
}

#[tokio::test]
async fn a_copy_of_a_running_profile_leaves_nothing_beside_it() {
    let home = Home::new(1);
    let staging = Places::of(&home.profile()).staging;
    // What a killed service has left.
    fs::create_dir_all(&staging).unwrap();
    fs::write(staging.join("1"), "half").unwrap();
    home.take_frozen().await;
    assert!(!staging.try_exists().unwrap());
    // The next holder of the profile removes it too.
    fs::create_dir_all(&staging).unwrap();
    drop(profile::hold(&home.profile()).unwrap());
    assert!(!staging.try_exists().unwrap());
}

#[tokio::test]
async fn one_that_a_caller_does_not_wait_for_is_given_up_and_the_last_one_stays() {
    let home = Home::new(1);
    home.take_frozen().await;
    let before = home.objects();
    home.write(LINK, &"later".repeat(1_000_000));
    let snapshots = home.snapshots();
    let writing = snapshots.store.objects.lock(&CancellationToken::new());
    let mut taken = Box::pin(snapshots.take_frozen(Origin::default(), 0, None));
    assert!(futures_util::poll!(&mut taken).is_pending());
    drop((taken, writing));
    // A caller that comes next has its turn once that one is given up.
    let next = SnapshotRoot {
        keep: 0,
        ..home.root.clone()
    };
    next.of("51", home.profile())
        .forget(|_| false)
        .await
        .unwrap();
    assert_eq!(home.objects(), before);
}

#[tokio::test(start_paused = true)]
async fn disks_that_hang_keep_no_other_session_waiting_for_its_turn() {
    let home = Home::new(1);
    let turns = Arc::clone(&home.root.turns);
    let _hang = turns.acquire_many_owned(2).await.unwrap();
    let taken = home.snapshots().take(Origin::default()).await;
    assert!(matches!(taken, Err(SnapshotError::GivenUp)), "{taken:?}");
}

#[tokio::test]
async fn a_logout_waits_for_a_snapshot_that_is_being_given_up_and_then_deletes_all() {
    let home = Home::new(1);
    home.take("1").await;
    let snapshots = home.snapshots();
    let writing = snapshots.store.objects.lock(&CancellationToken::new());
    let mut deleted = Box::pin(snapshots.delete());
    let early = tokio::time::timeout(Duration::from_millis(200), &mut deleted).await;
    assert!(early.is_err(), "what is being written would be left");
    drop(writing);
    deleted.await.unwrap();
    assert!(!snapshots.store.objects.is_there().unwrap());
    snapshots.delete().await.unwrap();
}

#[tokio::test]
async fn what_a_killed_service_has_left_goes_with_the_next_snapshot() {
    let home = Home::new(1);
    home.take("1").await;
    let store = home.snapshots().store.objects.folder;
    fs::write(store.join("incomplete"), "half").unwrap();
    fs::write(
        store.join("2026-11-30T00-00-00.000Z.pack"),
        "needed by none",
    )
    .unwrap();
    home.write(LINK, "later");
    home.take("1").await;
    assert_eq!(home.objects().len(), 2, "{:?}", home.objects());
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_no_new_snapshot_the_oldest() {
    let home = Home::new(1);
    home.take("1").await;
    let store = home.snapshots().store.objects.folder;
    for file in home.files() {
        fs::rename(&file, store.join("2099-01-01T00-00-00.000Z.manifest")).unwrap();
    }
    home.write(LINK, "later");
    home.take("1").await;
    assert_eq!(
        home.files(),
        [store.join("2099-01-01T00-00-00.001Z.manifest")]
    );
}

#[tokio::test]
async fn a_snapshot_of_an_earlier_version_can_take_the_profiles_place() {
    let home = Home::new(2);
    let contents = contents::Contents::of(&home.profile()).unwrap();
    let manifest = Manifest::new(Origin::default(), None, 0, &contents);
    let folder = home.snapshots().store.objects.folder;
    fs::create_dir_all(&folder).unwrap();
    let file = fs::File::create(folder.join("2026-11-01T00-00-00.000Z.snapshot")).unwrap();
    let give_up = CancellationToken::new();
    archive::write(&home.profile(), &contents, &manifest, file, &give_up).unwrap();
    home.write(LINK, "garbage");
    let restored = home.snapshots().restore(any).await.unwrap();
    assert_eq!(restored, Some(manifest));
    assert_eq!(home.read(LINK).as_deref(), Some("linked"));
    home.write(LINK, "later");
    for _ in 0..2 {
        home.take("1").await;
    }
    assert!(
        home.files()
            .iter()
            .all(|file| file.extension().unwrap() == "manifest")
    );
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[tokio::test]
async fn with_a_key_nothing_can_be_read_without_it_and_nothing_is_lost() {
    let home = Home::new(1);
    let with = |key: Option<&str>| {
        let key = key.map(|key| key.parse().unwrap());
        let root = home.root.clone().encrypted_with(key.as_ref());
        root.of("51", home.profile())
    };
    let other = KEY.replace('0', "f");
    home.write(LINK, "the keys of an account");
    let origin = Origin {
        account: Some("5491100000001".into()),
        ..Origin::default()
    };
    new(with(None).take(origin.clone()).await);
    let taken = new(with(Some(KEY)).take(origin.clone()).await);
    // The one from before there was a key has made way.
    let objects = home.objects();
    assert_eq!(objects.len(), 2, "{objects:?}");
    for name in &objects {
        let bytes = fs::read(home.snapshots().store.objects.path(name)).unwrap();
        for secret in ["5491100000001", "the keys of", "IndexedDB"] {
            let secret = secret.as_bytes();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret));
        }
    }
    home.write(LINK, "garbage");
    for key in [None, Some(other.as_str())] {
        let refused = with(key).restore(any).await.unwrap_err();
        let is_about_it = refused.to_string().contains("SNAPSHOT_KEY");
        assert!(
            is_about_it && home.read(LINK).as_deref() == Some("garbage"),
            "{refused}"
        );
        // Neither pushes out what it cannot open.
        new(with(key).take(Origin::default()).await);
        assert!(objects.iter().all(|name| home.objects().contains(name)));
        fs::remove_file(home.files().remove(0)).unwrap();
    }
    let restored = with(Some(KEY)).restore(any).await.unwrap();
    assert_eq!(restored, Some(taken));
    assert_eq!(home.read(LINK).as_deref(), Some("the keys of an account"));
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
    let store = home.snapshots().store;
    let is_passed_over = || {
        let found = store.newest_whole(any, &CancellationToken::new()).unwrap();
        found.is_some_and(|found| *found.manifest() == whole)
    };
    let pack = newest.with_extension("pack");
    for file in [&pack, &newest] {
        let bytes = fs::read(file).unwrap();
        // Of the pack, the line that every one begins with says nothing.
        let begins = if file == &pack { 23 } else { 0 };
        for at in begins..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(file, damaged).unwrap();
            assert!(is_passed_over(), "byte {at}");
        }
        for length in 0..bytes.len() {
            fs::write(file, &bytes[..length]).unwrap();
            assert!(is_passed_over(), "cut at {length}");
        }
        fs::write(file, &bytes).unwrap();
        assert!(!is_passed_over());
    }
    fs::remove_file(&pack).unwrap();
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

    let (snapshots, held) = (home.snapshots(), profile::hold(&home.profile()).unwrap());
    let given_up = snapshots.copy_closed(&held, Origin::default(), &home.root.give_up);
    assert!(
        matches!(given_up, Err(SnapshotError::GivenUp)),
        "{given_up:?}"
    );
    assert_eq!(home.objects().len(), 2);
    let whole = snapshots.store.newest_whole(any, &CancellationToken::new());
    assert_eq!(*whole.unwrap().unwrap().manifest(), last);
}

#[tokio::test]
async fn what_a_killed_service_had_half_written_is_no_snapshot() {
    let home = Home::new(1);
    let store = home.snapshots().store;
    fs::create_dir_all(&store.objects.folder).unwrap();
    fs::write(store.objects.folder.join("incomplete"), "half").unwrap();
    assert_eq!(home.snapshots().restore(any).await.unwrap(), None);
    home.take("1").await;
    assert_eq!(home.objects().len(), 2);
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

#[tokio::test(start_paused = true)]
async fn a_disk_that_does_not_answer_holds_up_its_caller_for_a_limited_time() {
    let home = Home::new(1);
    let turn = home.snapshots().turn().await.unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let taking = tokio::spawn(turn.take(move |_give_up| {
        // As a call to that disk.
        held.recv().ok();
        Ok(Taken::Off)
    }));
    for wait in [SNAPSHOT_TIMEOUT, GIVE_UP_TIMEOUT] {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!taking.is_finished());
        tokio::time::advance(wait + Duration::from_millis(1)).await;
    }
    assert!(matches!(taking.await.unwrap(), Err(SnapshotError::Hangs)));
    // The disk answers, and the thread ends.
    drop(release);
}
