//! An account that another program has linked becomes a session: real puppeteer and the full browser before, the real command, and a
//! real service afterwards.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    Home, Service,
    chrome::{Started, eventually, full_browser, installed_program, search_path},
    terminal::{Printed, Running, command, run},
};

const RECIPIENT: &str = "5491158254201";

/// The service that is replaced, with its own browser on its own folder.
struct OldService(Running);

impl OldService {
    async fn start(folder: &Path, url: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/adopt/old-service.mjs");
        #[expect(
            clippy::disallowed_methods,
            reason = "the test plays the operator who has the old service running"
        )]
        let mut node = Command::new(installed_program("node"));
        node.arg(script)
            .args([folder, Path::new(url), &full_browser().await.path])
            .env_clear()
            .env("PATH", search_path());
        Self(Running::piped(node))
    }

    /// The line that has this field.
    async fn says(&self, field: &str) -> Value {
        let lines = |out: &str| -> Vec<Value> {
            let (whole, _) = out.rsplit_once('\n').unwrap_or_default();
            whole
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        };
        let has_it = |out: &str| lines(out).iter().any(|line| !line[field].is_null());
        self.0.shows(field, has_it).await;
        let mut lines = lines(&self.0.out()).into_iter();
        lines.find(|line| !line[field].is_null()).unwrap()
    }

    fn stop(mut self) {
        self.0.interrupt();
        assert_eq!(self.0.ends(), 0, "{}", self.0.err());
    }
}

/// What is below a folder: sizes, times of a last change, and what is in it.
fn state(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let known = fs::symlink_metadata(&path).unwrap();
        let hash = if known.is_file() {
            Sha256::digest(fs::read(&path).unwrap()).to_vec()
        } else {
            Vec::new()
        };
        if known.is_dir() {
            found.extend(state(&path));
        }
        found.insert(path, (known.len(), known.mtime(), known.mtime_nsec(), hash));
    }
    found
}

/// A folder that looks like a profile with WhatsApp in it.
fn looks_linked(user_data: &Path, origin: &str) {
    let storage = format!("Default/IndexedDB/{origin}.indexeddb.leveldb");
    let storage = user_data.join(storage);
    fs::create_dir_all(&storage).unwrap();
    fs::write(storage.join("000003.log"), "linked").unwrap();
}

/// Runs `adopt` with the settings of a service on these files.
fn adopt(home: &Home, more: &[(&str, &str)], arguments: &[&str]) -> Printed {
    let (tokens, data) = (home.tokens(), home.data());
    let settings = [
        ("TOKENS_DIR", tokens.to_str().unwrap()),
        ("DATA_DIR", data.to_str().unwrap()),
    ];
    let arguments = [&["adopt"][..], arguments].concat();
    run(
        command(&arguments, &[&settings[..], more].concat(), home.path()),
        "",
    )
}

#[tokio::test]
async fn an_account_of_the_old_service_is_ready_here_without_a_scan() {
    let service = Service::with(&[]).await;
    let url = format!("{}/", service.sandbox());
    let port = service.sandbox().rsplit(':').next().unwrap().to_owned();
    let sandbox = [("SANDBOX", "1"), ("SANDBOX_PORT", &*port)];
    let home = service.home();
    let adopt = |arguments: &[&str]| adopt(home, &sandbox, arguments);

    let folder = home.path().join("old/tokens/session-admin");
    let old = OldService::start(&folder, &url).await;
    let shown = old.says("code").await;
    let account = service.scan(shown["code"].as_str().unwrap()).await;
    old.says("linked").await;
    let running = adopt(&["old/tokens/session-admin", "--as", "51"]);
    assert_eq!(running.code, 8, "{running:?}");
    assert!(
        running.err.contains(&format!("process {}", shown["pid"])),
        "{running:?}"
    );
    assert!(!home.tokens().join("51").try_exists().unwrap());
    old.stop();

    let before = state(&folder);
    let adopted = adopt(&["old/tokens", "--as", "51"]);
    assert_eq!(adopted.code, 0, "{adopted:?}");
    for said in [
        "Stop the old service",
        "POST /connect",
        "can act as the account",
    ] {
        assert!(adopted.err.contains(said), "{said}: {adopted:?}");
    }
    let connect = json!({"cliente_id": 51, "wait": "ready"});
    let connected = service.post("/connect", &connect).await.json();
    assert_eq!(connected["state"], "READY", "{connected}");
    assert_eq!(service.status("51").await["account"], account.as_str());
    service.sends(51, RECIPIENT, "from the new one").await;
    assert_eq!(service.messages(&account).await, ["from the new one"]);

    let in_use = adopt(&["old/tokens/session-admin", "--as", "51", "--replace"]);
    assert_eq!(in_use.code, 8, "{in_use:?}");
    assert!(in_use.err.contains("POST /disconnect"), "{in_use:?}");
    assert_eq!(service.disconnect(51).await.status, 200);
    let linked = adopt(&["old/tokens/session-admin/Default", "--as", "51"]);
    assert_eq!(linked.code, 10, "{linked:?}");
    assert!(linked.err.contains("--replace"), "{linked:?}");
    let replaced = adopt(&["old/tokens/session-admin", "--as", "51", "--replace"]);
    assert_eq!(replaced.code, 0, "{replaced:?}");
    // A profile that only showed codes has no account: it is set aside, and not deleted.
    service.connect("52").await;
    service.code("52").await;
    assert_eq!(service.disconnect(52).await.status, 200);
    let unlinked = adopt(&["old/tokens/session-admin", "--as", "52"]);
    assert_eq!(unlinked.code, 0, "{unlinked:?}");
    assert_eq!(state(&folder), before);

    // Neither the old folder, nor what was set aside or left half done, is a session of the next service.
    let home = service.stop();
    let aside = fs::read_dir(home.tokens().join("51.aside")).unwrap();
    assert_eq!(aside.count(), 1);
    fs::create_dir_all(home.tokens().join("51.unpacking/Default")).unwrap();
    let service = Service::start_in(home, |environment| {
        environment.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    service.secrets().remember_number(&account);
    let sessions = service.get("/sessions").await.json();
    let ids = sessions["details"].as_array().unwrap().iter();
    let ids: Vec<_> = ids
        .map(|session| session["cliente_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["51", "52"], "{sessions}");
    let connected = service.post("/connect", &connect).await.json();
    assert_eq!(connected["state"], "READY", "{connected}");
    service.stop();
}

#[tokio::test]
async fn a_folder_that_a_chrome_has_open_is_refused_however_it_got_there() {
    let home = Home::new();
    let whatsapp = "https_web.whatsapp.com_0";
    let folder = home.path().join("old");
    looks_linked(&folder, whatsapp);
    let chrome = Started::chrome(&full_browser().await, &folder, &[]).await;
    let refused = |folder: &str| {
        let refused = adopt(&home, &[], &[folder, "--as", "51"]);
        assert_eq!(refused.code, 8, "{refused:?}");
        assert!(
            refused.err.contains(&format!("process {}", chrome.pid())),
            "{refused:?}"
        );
    };
    refused("old");
    // Its command line names a folder that is not there any more; what tells now is what it holds locks on.
    fs::rename(&folder, home.path().join("moved")).unwrap();
    refused("moved");
    fs::remove_file(home.path().join("moved/SingletonLock")).unwrap();
    refused("moved/Default");
    drop(chrome);
    eventually("its helpers are gone", || home.processes().is_empty()).await;
    let free = adopt(&home, &[], &["moved", "--as", "51"]);
    assert_eq!(free.code, 0, "{free:?}");
}

#[test]
fn what_cannot_be_taken_over_is_said_before_anything_is_done() {
    let home = Home::new();
    let old = |folder: &str| home.path().join(folder);
    let (whatsapp, sandbox) = ("https_web.whatsapp.com_0", "http_127.0.0.1_3002");
    looks_linked(&old("auth/session-1"), whatsapp);
    looks_linked(&old("auth/session-2"), whatsapp);
    looks_linked(&old("simulated"), sandbox);
    fs::create_dir(old("empty")).unwrap();
    for (arguments, code, says) in [
        (["auth", "--as", "51"], 7, "session-1"),
        (["simulated", "--as", "51"], 9, whatsapp),
        (["empty", "--as", "51"], 9, ".wwebjs_auth/session-<id>"),
        (["nothing", "--as", "51"], 9, "nothing"),
        (["auth/session-1", "--as", "a/b"], 2, "cliente_id"),
    ] {
        let refused = adopt(&home, &[], &arguments);
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.err.contains(says), "{refused:?}");
        assert!(!home.tokens().join("51").try_exists().unwrap());
    }
    // With the simulated WhatsApp Web it is that one's storage, and not the real one's.
    let simulated = [("SANDBOX", "1")];
    assert_eq!(
        adopt(&home, &simulated, &["simulated", "--as", "51"]).code,
        0
    );
    assert_eq!(
        adopt(&home, &simulated, &["auth/session-1", "--as", "52"]).code,
        9
    );

    // What a newer Chrome has written, and where another host's had a lock, is taken with a warning.
    let newer = old("auth/session-2");
    fs::write(newer.join("Last Version"), "999.0.1.2").unwrap();
    std::os::unix::fs::symlink("else-where-17", newer.join("SingletonLock")).unwrap();
    let warned = adopt(&home, &[], &["auth/session-2", "--as", "shop"]);
    assert_eq!(warned.code, 0, "{warned:?}");
    for says in [
        "Chrome 999.0.1.2 has used it last",
        "CHROME_PATH",
        "else-where-17",
    ] {
        assert!(warned.err.contains(says), "{says}: {warned:?}");
    }
}
