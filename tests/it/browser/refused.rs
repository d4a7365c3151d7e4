//! A machine that refuses Chrome something: the limit, or the policy, is named, and at once.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{open, stand_in};
use crate::support::{
    Service,
    chrome::{Folder, full_browser},
};

/// Chrome says so after 0.1 s. Far less than the 60 s that a start may take here.
const AT_ONCE: Duration = Duration::from_secs(20);

/// As Chromium 156 printed it.
const FORBIDDEN: &str = "DevTools remote debugging is disallowed by the system admin.";

#[tokio::test]
async fn a_policy_that_forbids_remote_debugging_is_named_at_once() {
    let folder = Folder::new();
    let forbidding = if rustix::process::geteuid().is_root() && Path::new("/etc/chromium").is_dir()
    {
        // The real browser, alone in a world in which the policy is there.
        let managed = folder.path().join("etc/policies/managed");
        std::fs::create_dir_all(&managed).unwrap();
        std::fs::write(
            managed.join("x.json"),
            r#"{"RemoteDebuggingAllowed": false}"#,
        )
        .unwrap();
        let browser = full_browser().await.path;
        format!(
            "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind {}/etc /etc/chromium && exec {} \"$@\"' sh \"$@\"\n",
            folder.path().display(),
            browser.display()
        )
    } else {
        format!("#!/bin/sh\necho '{FORBIDDEN}' >&2\nexec sleep 600\n")
    };
    let program = stand_in(folder.script("forbidding", &forbidding)).await;
    let began = Instant::now();
    let error = open(&program, &folder.profile()).await.unwrap_err();
    assert!(began.elapsed() < AT_ONCE, "{:?}: {error}", began.elapsed());
    let text = error.to_string();
    assert_eq!(error.code(), "CHROME_UNUSABLE", "{text}");
    for part in [
        FORBIDDEN,
        "RemoteDebuggingAllowed",
        "/etc/chromium/policies/managed",
    ] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert!(!error.is_curable_by_waiting());
    folder.assert_nobody_is_left();
}

#[tokio::test]
async fn a_limit_on_processes_is_named_and_may_pass() {
    let folder = Folder::new();
    // As Chromium 156 printed it in a control group with 20 processes.
    let refused = "[1129/132404.203154:ERROR:base/threading/platform_thread_posix.cc:162] pthread_create: Resource temporarily unavailable (11)";
    let script = format!("#!/bin/sh\necho '{refused}' >&2\nkill -ABRT $$\n");
    let program = stand_in(folder.script("refused", &script)).await;
    let error = open(&program, &folder.profile()).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), "CHROME_FAILED", "{text}");
    assert!(
        text.contains("the limit on processes and threads was reached"),
        "{text}"
    );
    // Another session may end.
    assert!(error.is_curable_by_waiting());
}

#[tokio::test]
async fn a_limit_of_address_space_is_named_in_the_status() {
    let service = Service::with(&[]).await;
    for (session, megabytes) in [
        // Chrome does not even tell its version.
        (51, 8_000),
        // It starts, and its pages crash.
        (52, 60_000),
    ] {
        let limit = Rlimit {
            current: Some(megabytes * 1_000_000),
            maximum: None,
        };
        let pid = Pid::from_raw(i32::try_from(service.pid()).unwrap());
        prlimit(pid, Resource::As, limit).unwrap();
        service.connect(session).await;
        let began = Instant::now();
        let failed = service.reaches(&session.to_string(), "ERROR").await;
        assert!(began.elapsed() < AT_ONCE, "{:?}: {failed}", began.elapsed());
        let detail = failed["detail"].as_str().unwrap();
        let named = format!("limited to {megabytes} MB (ulimit -v");
        assert!(detail.contains(&named), "{detail}");
    }
    service.stop();
}
