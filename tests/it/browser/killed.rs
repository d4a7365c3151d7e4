//! The service ends as by a crash: what becomes of its Chromes.

use std::{fs, future::pending};

use rustix::process::{Signal, getpid, kill_process, set_child_subreaper};
use session_manager::browser::{ChromeProgram, sweep};

use super::open;
use crate::support::chrome::{Folder, Started, eventually, headless_shell, pid_of};

#[tokio::test]
async fn when_the_service_is_killed_its_chrome_dies_with_it() {
    let folder = Folder::new();
    let service = play("browser::killed::plays_a_service", &folder).await;
    drop(service);
    eventually("its Chrome is gone", || folder.processes().is_empty()).await;
}

#[tokio::test]
async fn without_setpriv_its_chrome_ends_by_itself_when_the_pipe_closes() {
    let folder = Folder::new();
    let service = play("browser::killed::plays_a_service_without_setpriv", &folder).await;
    drop(service);
    eventually("its Chrome is gone", || folder.processes().is_empty()).await;
}

#[tokio::test]
async fn a_chrome_that_hangs_while_its_service_is_killed_is_swept_by_the_next_one() {
    // Its parent once its service is gone. Without one in this session the kernel would wake it, with SIGHUP and SIGCONT, as it does with
    // each stopped process group that is orphaned (setpgid(2)), and it would end by itself.
    set_child_subreaper(Some(getpid())).unwrap();
    let folder = Folder::new();
    let service = play("browser::killed::plays_a_service_without_setpriv", &folder).await;
    let before = folder.processes();
    for pid in &before {
        kill_process(pid_of(*pid), Signal::STOP).unwrap();
    }
    drop(service);
    let swept = sweep(folder.path()).await;
    assert_eq!(swept.len(), 1, "{swept:?}");
    assert!(
        swept[0].ended && before.contains(&swept[0].pid),
        "{swept:?}"
    );
    folder.assert_nobody_is_left();
}

#[tokio::test]
#[ignore = "the service in the tests above, a process of its own"]
async fn plays_a_service() {
    serve_until_killed(headless_shell().await).await;
}

#[tokio::test]
#[ignore = "the service in the tests above, a process of its own"]
async fn plays_a_service_without_setpriv() {
    let program = ChromeProgram {
        setpriv: None,
        ..headless_shell().await
    };
    serve_until_killed(program).await;
}

/// Runs one of the tests above in another process of this program, in the folder, until its Chrome is up.
async fn play(test: &str, folder: &Folder) -> Started {
    let myself = std::env::current_exe().unwrap();
    let service = Started::program(&myself, &["--exact", test, "--ignored"], folder.path());
    eventually("the service's Chrome is up", || {
        folder.path().join("up").is_file()
    })
    .await;
    service
}

async fn serve_until_killed(program: ChromeProgram) {
    let folder = std::env::current_dir().unwrap();
    let _browser = open(&program, &folder.join("admin")).await.unwrap();
    fs::write(folder.join("up"), "").unwrap();
    pending::<()>().await;
}
