//! An account that moves from one service to another: the real command beside two real services.

use std::{fs, path::Path};

use serde_json::json;

use crate::support::{
    Service,
    chrome::eventually,
    terminal::{Running, command, run, transfer},
};

const PASSPHRASE: &str = "correct horse battery";
const RECIPIENT: &str = "5491158254201";

#[tokio::test]
async fn an_account_moves_to_another_host_without_a_scan() {
    let here = Service::with(&[]).await;
    let account = here.link("51").await;
    let file = here.home().path().join("51.account");
    let file = file.to_str().unwrap();
    let export = ["export", "51", "--out", file];

    let running = transfer(here.home(), &export, PASSPHRASE);
    assert_eq!(running.code, 8, "{running:?}");
    assert!(running.err.contains("POST /disconnect"), "{running:?}");
    assert_eq!(here.status("51").await["state"], "READY");
    assert_eq!(here.disconnect(51).await.status, 200);
    let weak = transfer(here.home(), &export, "too short");
    assert_eq!(weak.code, 6, "{weak:?}");
    assert!(!fs::exists(file).unwrap());
    let written = here.home().path().join("passphrase");
    fs::write(&written, format!("{PASSPHRASE}\n")).unwrap();
    let from_file = [&export[..], &["--passphrase-file", "passphrase"]].concat();
    let tokens = here.home().tokens();
    let at = [("TOKENS_DIR", tokens.to_str().unwrap())];
    let exported = run(command(&from_file, &at, here.home().path()), "");
    assert_eq!(exported.code, 0, "{exported:?}");
    assert!(exported.out.contains(&account), "{exported:?}");
    assert!(exported.err.contains("two hosts at once"), "{exported:?}");
    assert!(!exported.err.contains("WARNING"), "{exported:?}");
    assert_eq!(transfer(here.home(), &export, PASSPHRASE).code, 10);
    assert_eq!(
        transfer(here.home(), &["export", "7", "--out", "x"], PASSPHRASE).code,
        9
    );

    // Its WhatsApp is the same, and it runs already.
    let url = format!("{}/", here.sandbox());
    let there = Service::start(|environment| {
        environment.remove("SANDBOX");
        environment.insert("WHATSAPP_URL", url.into());
    })
    .await;
    there.secrets().remember_number(&account);
    let import = ["import", "52", file];
    let wrong = transfer(there.home(), &import, "correct horse batterz");
    assert_eq!(wrong.code, 6, "{wrong:?}");
    assert_eq!(wrong.err.lines().count(), 1, "{wrong:?}");
    let no_export = transfer(there.home(), &["import", "52", "/proc/version"], PASSPHRASE);
    assert_eq!(no_export.code, 7, "{no_export:?}");
    let imported = transfer(there.home(), &import, PASSPHRASE);
    assert_eq!(imported.code, 0, "{imported:?}");
    assert!(imported.err.contains("session 51"), "{imported:?}");
    let again = transfer(there.home(), &import, PASSPHRASE);
    assert_eq!(again.code, 10, "{again:?}");
    assert!(again.err.contains("--replace"), "{again:?}");

    let connect = json!({"cliente_id": 52, "wait": "ready"});
    let connected = there.post("/connect", &connect).await.json();
    assert_eq!(connected["state"], "READY", "{connected}");
    assert_eq!(there.status("52").await["account"], account.as_str());
    assert_eq!(
        there
            .send(52, RECIPIENT, "from the other host")
            .await
            .status,
        200
    );
    assert_eq!(here.messages(&account).await, ["from the other host"]);
    there.stop();
    here.stop();
}

/// Takes a test's unoptimised encryption a second or two.
const LARGE: usize = 3_000_000;

/// A profile that takes a while to be unpacked, and whose account nobody asks for.
fn large_profile(tokens: &Path) {
    let profile = tokens.join("51");
    fs::create_dir_all(profile.join("Default")).unwrap();
    let link = r#"{"account":"5491100000001","linked_at":"2026-11-25T18:47:41Z"}"#;
    fs::write(profile.join("link.json"), link).unwrap();
    let noise: Vec<u8> = rand::random_iter().take(LARGE).collect();
    fs::write(profile.join("Default/large"), noise).unwrap();
}

/// Whether it was in time depends on the machine; that what is said is what has happened does not.
#[tokio::test]
async fn an_import_that_is_interrupted_says_what_has_become_of_it() {
    let home = tempfile::tempdir().unwrap();
    let tokens = home.path().join("tokens");
    large_profile(&tokens);
    fs::write(home.path().join("passphrase"), PASSPHRASE).unwrap();
    let settings = [("TOKENS_DIR", tokens.to_str().unwrap())];
    let asked = |arguments: &[&str]| {
        let arguments = [arguments, &["--passphrase-file", "passphrase"]].concat();
        command(&arguments, &settings, home.path())
    };
    let exported = run(asked(&["export", "51", "--out", "51.account"]), "");
    assert_eq!(exported.code, 0, "{exported:?}");

    // As soon as it begins to unpack, and when all of it has been.
    for (id, large) in [("52", 0), ("53", LARGE)] {
        let mut import = Running::piped(asked(&["import", id, "51.account"]));
        let unpacking = tokens.join(format!("{id}.unpacking/Default/large"));
        let places = [unpacking, tokens.join(id).join("Default/large")];
        eventually("it unpacks", || {
            let mut found = places.iter().filter_map(|path| fs::metadata(path).ok());
            found.any(|file| file.len() >= u64::try_from(large).unwrap())
        })
        .await;
        import.interrupt();
        let (code, is_there) = (import.ends(), tokens.join(id).try_exists().unwrap());
        // The thread that reads it may be a moment behind.
        eventually("its last word", || !import.err().is_empty()).await;
        let said = import.err();
        match code {
            130 => assert!(said.contains("nothing has changed"), "{id}: {said:?}"),
            0 => assert!(said.contains("POST /connect"), "{id}: {said:?}"),
            other => panic!("{id}: {other}: {said}"),
        }
        assert_eq!(is_there, code == 0, "{id}: {said}");
        let left = tokens.join(format!("{id}.unpacking"));
        assert!(!left.try_exists().unwrap(), "{id}");
    }
}
