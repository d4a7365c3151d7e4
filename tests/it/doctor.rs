//! `session-manager doctor` on this machine, as it is and with what may be wrong with one.

use std::{
    collections::BTreeMap, ffi::OsStr, fs, net::TcpListener, path::Path, process::Command, thread,
};

use serde_json::Value;

use crate::support::{
    Home, Service,
    chrome::search_path,
    disk::Disk,
    terminal::{Printed, Running, command, run},
};

/// Of each check by its name, the worst verdict, and what is said of it.
fn verdicts(printed: &Printed) -> BTreeMap<String, (String, String)> {
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    let mut verdicts = BTreeMap::new();
    for check in report["checks"].as_array().unwrap() {
        let word = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
        let remedy = word("remedy");
        assert_eq!(remedy.is_empty(), word("verdict") == "ok", "{check}");
        let said = (word("verdict"), format!("{} → {remedy}", word("found")));
        let entry = verdicts.entry(word("name")).or_insert_with(|| said.clone());
        if entry.0 != "fail" && said.0 != "ok" {
            *entry = said;
        }
    }
    verdicts
}

/// Everything in a folder, at any depth.
fn entries(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        found.push(entry.path().display().to_string());
        if entry.file_type().unwrap().is_dir() {
            found.extend(entries(&entry.path()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_machine_that_can_run_the_service_is_told_so_and_a_service_beside_is_not_disturbed() {
    // A copy of the running profile has its own folder beside it, and comes when the session is READY.
    let (service, _) = Service::linked(&[("SNAPSHOT_EVERY_MINUTES", "0")]).await;
    let home = service.home();
    let (tokens, data) = (home.tokens(), home.data());
    let port = service.url().rsplit(':').next().unwrap().to_owned();
    let variables = [
        ("TOKENS_DIR", tokens.to_str().unwrap()),
        ("DATA_DIR", data.to_str().unwrap()),
        ("PORT", &port),
        // Nobody listens there: a page that cannot be reached is a warning.
        ("WHATSAPP_URL", "http://127.0.0.1:9/"),
    ];
    let of_others = |entry: &String| !entry.starts_with(&format!("{}/51/", tokens.display()));
    let before: Vec<_> = entries(&tokens).into_iter().filter(of_others).collect();
    let report = run(command(&["doctor", "--json"], &variables, home.path()), "");
    assert_eq!(report.code, 0, "{report:?}");
    let verdicts = verdicts(&report);
    for name in [
        "settings",
        "tokens",
        "tokens-disk",
        "data",
        "data-disk",
        "profiles",
        "program",
        "start",
        "codecs",
        "sandbox",
        "memory",
        "shm",
        "clock",
        "processes",
        "address-space",
        "files",
        "whatsapp",
        "wa-js",
        "api-port",
    ] {
        let (verdict, said) = &verdicts[name];
        assert_ne!(verdict, "fail", "{name}: {said}");
    }
    for (name, says) in [
        ("start", "drew a page"),
        ("profiles", "1 here, 1 in use by a service"),
        ("api-port", "this service"),
    ] {
        let (verdict, said) = &verdicts[name];
        assert!(verdict == "ok" && said.contains(says), "{name}: {said}");
    }
    let (verdict, said) = &verdicts["whatsapp"];
    assert!(
        verdict == "warn" && said.contains("net::ERR_UNSAFE_PORT"),
        "{said}"
    );

    // Nothing is left, and nothing has happened to the session.
    let after: Vec<_> = entries(&tokens).into_iter().filter(of_others).collect();
    assert_eq!(before, after);
    assert_eq!(service.status("51").await["state"], "READY");
    service.stop();
}

#[test]
fn all_that_is_wrong_is_named_in_one_go_each_with_its_remedy() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // Not the service: it hangs up on whoever calls.
    thread::spawn(move || taken.incoming().for_each(drop));
    let tokens = home.tokens();
    let data = home.data();
    fs::create_dir(&data).unwrap();
    // Even root cannot write this one.
    let mut disk = Disk::read_only();
    let doctor = [env!("CARGO_BIN_EXE_session-manager"), "doctor", "--json"];
    let words = disk.wrap(&tokens, &doctor.map(Into::into));
    let mut command = program(&words[0]);
    command
        .args(&words[1..])
        .env_clear()
        .env("PATH", search_path())
        .env("TOKENS_DIR", &tokens)
        .env("DATA_DIR", &data)
        .env("PORT", &port)
        .env("CHROME_PATH", "/bin/false")
        .env("MAX_SESSIONS", "many")
        .current_dir(home.path());
    let report = run(command, "");
    assert_eq!(report.code, 1, "{report:?}");
    let verdicts = verdicts(&report);
    for (name, says) in [
        ("settings", "MAX_SESSIONS: must be a whole number"),
        ("tokens", "Read-only file system"),
        (
            "program",
            "/bin/false does not work as Chrome: asked for its version it exited with status 1",
        ),
        ("api-port", "is taken by another program"),
    ] {
        let (verdict, said) = &verdicts[name];
        assert!(verdict == "fail" && said.contains(says), "{name}: {said}");
    }
    assert_eq!(verdicts["data"].0, "warn", "others can read it");
    assert_eq!(entries(&data), [""; 0]);
}

#[test]
fn a_limit_of_address_space_is_named_by_the_doctor() {
    let home = Home::new();
    let mut command = program(OsStr::new("prlimit"));
    command
        .args(["--as=8000000000", env!("CARGO_BIN_EXE_session-manager")])
        .args(["doctor", "--json"])
        .env_clear()
        .env("PATH", search_path())
        .env("TOKENS_DIR", home.tokens())
        .env("DATA_DIR", home.data())
        .env("PORT", "0")
        .current_dir(home.path());
    let report = run(command, "");
    assert_eq!(report.code, 1, "{report:?}");
    let verdicts = verdicts(&report);
    for name in ["program", "address-space"] {
        let (verdict, said) = &verdicts[name];
        assert!(
            verdict == "fail" && said.contains("8000 MB") && said.contains("ulimit -v"),
            "{name}: {said}"
        );
    }
    home.assert_nobody_is_left();
}

#[test]
fn a_limit_that_keeps_the_program_from_its_own_threads_is_named() {
    // Root is held to no such limit, and another user may not reach the folder of the program.
    let as_another = if rustix::process::geteuid().is_root() {
        "setpriv --reuid=64123 --regid=64123 --clear-groups"
    } else {
        ""
    };
    let script = format!("exec {as_another} prlimit --nproc=1 /proc/self/fd/3 health 3<\"$0\"");
    let mut command = program(OsStr::new("sh"));
    command.args(["-c", &script, env!("CARGO_BIN_EXE_session-manager")]);
    let said = run(command, "");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains("threads cannot be started") && said.err.contains("(ulimit -u"),
        "{said:?}"
    );
    assert!(!said.err.contains("panicked"), "{said:?}");
}

#[tokio::test]
async fn a_chrome_that_never_comes_up_holds_nobody_up_and_is_gone_with_the_doctor() {
    let home = Home::new();
    // Tells its version as Chrome does, and then hangs.
    let hangs = "#!/bin/sh\ncase $1 in --version) echo Chromium 156.0.8078.79 ;; *) while :; do sleep 1; done ;; esac\n";
    let chrome = home.script("chrome", hangs);
    let tokens = home.tokens();
    fs::create_dir(&tokens).unwrap();
    let variables = [
        ("CHROME_PATH", chrome.to_str().unwrap()),
        ("TOKENS_DIR", tokens.to_str().unwrap()),
        ("LAUNCH_TIMEOUT_SECONDS", "1"),
        ("PORT", "0"),
    ];
    let report = run(command(&["doctor"], &variables, home.path()), "");
    assert_eq!(report.code, 1, "{report:?}");
    assert!(report.out.contains("FAIL  start"), "{report:?}");
    assert!(
        report.out.contains("the service cannot run: "),
        "{report:?}"
    );
    home.assert_nobody_is_left();

    // Called off while it waits.
    let patient = [&variables[..2], &[("LAUNCH_TIMEOUT_SECONDS", "600")]].concat();
    let mut running = Running::piped(command(&["doctor"], &patient, home.path()));
    running
        .shows("that it has found Chrome's folder", |_| {
            !home.processes().is_empty()
        })
        .await;
    running.interrupt();
    assert_eq!(running.ends(), 130, "{}", running.out());
    home.assert_nobody_is_left();
    assert_eq!(entries(&tokens), [""; 0]);
}

fn program(name: &OsStr) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test runs the doctor on a disk of its own"
    )]
    Command::new(name)
}
