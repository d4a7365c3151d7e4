//! An account that moves from one service to another: the real command beside two real services.

use std::fs;

use serde_json::json;

use crate::support::{
    Home, Service,
    terminal::{Printed, command, run},
};

const PASSPHRASE: &str = "correct horse battery";
const RECIPIENT: &str = "5491158254201";

/// Runs a command on the files of a service, with a passphrase on its standard input.
fn transfer(home: &Home, arguments: &[&str], passphrase: &str) -> Printed {
    let (tokens, data) = (home.tokens(), home.data());
    let settings = [
        ("TOKENS_DIR", tokens.to_str().unwrap()),
        ("DATA_DIR", data.to_str().unwrap()),
        ("SANDBOX", "1"),
    ];
    let arguments = [arguments, &["--passphrase-file", "-"]].concat();
    run(command(&arguments, &settings, home.path()), passphrase)
}

#[tokio::test]
async fn an_account_moves_to_another_host_without_a_scan() {
    let here = Service::start(|_| {}).await;
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
