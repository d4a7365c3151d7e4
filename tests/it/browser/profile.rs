//! Which process may use a profile folder: stale locks, Chromes of other programs, other sessions, leftovers.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
};

use session_manager::browser::{BrowserError, sweep};

use super::{answers, open, opens_and_closes};
use crate::support::chrome::{Folder, Started, both, headless_shell};

/// The marker of a service that cannot be alive: no system counts so far.
const DEAD_SERVICE: &str = "--session-manager-owner=999999999:1";

#[tokio::test]
async fn stale_locks_of_any_form_and_host_are_removed() {
    enum Form {
        Link(String),
        File,
        Folder,
    }

    let here = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let here = here.trim();
    let forms = [
        ("of a dead pid", Form::Link(format!("{here}-999999999"))),
        ("of another host", Form::Link("elsewhere-1".to_owned())),
        ("an ordinary file", Form::File),
        ("a folder", Form::Folder),
    ];
    for program in both().await {
        for (name, form) in &forms {
            let folder = Folder::new();
            fs::create_dir(folder.profile()).unwrap();
            let lock = folder.profile().join("SingletonLock");
            match form {
                Form::Link(target) => symlink(target, lock).unwrap(),
                Form::File => fs::write(lock, "").unwrap(),
                Form::Folder => fs::create_dir(lock).unwrap(),
            }
            symlink("/nowhere/socket", folder.profile().join("SingletonSocket")).unwrap();
            let browser = open(&program, &folder.profile()).await;
            let browser = browser.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(answers(&browser).await, "{name}");
            browser.close().await;
        }
    }
}

#[tokio::test]
async fn a_foreign_chrome_on_the_profile_is_named_and_left_alone() {
    for program in both().await {
        let folder = Folder::new();
        let profile = folder.profile();
        let mut foreign = Started::chrome(&program, &profile, &[]).await;
        let lock = profile.join("SingletonLock");
        let before = fs::read_link(&lock).ok();

        // By another path as well.
        let link = folder.path().join("link");
        symlink(&profile, &link).unwrap();
        for path in [&profile, &link] {
            let error = open(&program, path).await.unwrap_err();
            let BrowserError::ProfileInUse { pid, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(pid, foreign.pid());
            assert!(error.to_string().contains(&pid.to_string()));
            assert!(!error.is_curable_by_waiting());
        }
        assert!(foreign.is_running());
        assert_eq!(fs::read_link(&lock).ok(), before);

        drop(foreign);
        open(&program, &profile).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn a_chrome_of_another_living_service_is_left_alone() {
    let program = headless_shell().await;
    let folder = Folder::new();
    let service = Started::program(Path::new("/bin/sleep"), &["1000"], Path::new("/"));
    let marker = format!("--session-manager-owner={}", service.as_owner());
    let mut its_chrome = Started::chrome(&program, &folder.profile(), &[&marker]).await;

    assert_eq!(sweep(folder.path()).await.len(), 0);
    let error = open(&program, &folder.profile()).await.unwrap_err();
    assert_eq!(error.code(), "PROFILE_IN_USE");
    assert!(its_chrome.is_running());

    drop(service);
    opens_and_closes(&program, &folder).await;
    assert!(!its_chrome.is_running());
}

#[tokio::test]
async fn a_second_open_of_the_same_profile_is_refused() {
    let program = headless_shell().await;
    let folder = Folder::new();
    let first = open(&program, &folder.profile()).await.unwrap();
    let error = open(&program, &folder.profile()).await.unwrap_err();
    let BrowserError::ProfileLocked { holder, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(holder, Some(std::process::id()));
    assert!(answers(&first).await);
    first.close().await;
    opens_and_closes(&program, &folder).await;
}

#[tokio::test]
async fn a_leftover_of_a_dead_service_is_swept() {
    for program in both().await {
        let folder = Folder::new();
        let mut leftover = Started::chrome(&program, &folder.profile(), &[DEAD_SERVICE]).await;
        let elsewhere = Folder::new();
        assert_eq!(sweep(elsewhere.path()).await.len(), 0);
        assert!(leftover.is_running());

        let swept = sweep(folder.path()).await;
        assert_eq!(swept.len(), 1, "{swept:?}");
        assert_eq!((swept[0].pid, swept[0].ended), (leftover.pid(), true));
        assert!(!leftover.is_running());
        folder.assert_nobody_is_left();
    }
}

#[tokio::test]
async fn a_leftover_of_a_dead_service_makes_way_for_a_new_start() {
    for program in both().await {
        let folder = Folder::new();
        let mut leftover = Started::chrome(&program, &folder.profile(), &[DEAD_SERVICE]).await;
        let browser = open(&program, &folder.profile()).await.unwrap();
        assert!(!leftover.is_running());
        assert!(answers(&browser).await);
        browser.close().await;
    }
}

#[tokio::test]
async fn a_lock_file_outlives_the_folder_it_guards() {
    let program = headless_shell().await;
    let folder = Folder::new();
    opens_and_closes(&program, &folder).await;
    let lock = folder.path().join("admin.lock");
    let before = fs::metadata(&lock).unwrap().ino();
    fs::remove_dir_all(folder.profile()).unwrap();
    opens_and_closes(&program, &folder).await;
    assert_eq!(fs::metadata(&lock).unwrap().ino(), before);
}
