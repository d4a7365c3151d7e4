//! What may be kept of a page, told by the page itself to the last.

use serde_json::json;
use session_manager::whatsapp::{
    AdapterName, Driver as _, FACT_CAPACITY, Fact, LeftOut, PageScripts, PageSettings, WhatsAppPage,
};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{ACCOUNT, Running};
use crate::support::chrome::{PATIENCE, eventually, search_path};

#[tokio::test]
async fn a_page_that_is_linked_when_its_session_has_ended_is_not_shown_either() {
    let folder = TempDir::new().unwrap();
    let sandbox = Running::start(folder.path()).await;
    let settings = PageSettings {
        chrome_path: None,
        launch_timeout: PATIENCE,
        search_path: search_path(),
        chrome_args: Vec::new(),
        url: sandbox.url("/"),
        adapters: vec![AdapterName::Modules, AdapterName::Dom],
        scripts: PageScripts::default(),
        wa_js_path: folder.path().join("none.js"),
        evidence_of_chats: false,
        media_dir: folder.path().join("outgoing"),
    };
    let profile = folder.path().join("profile");
    let (facts_tx, mut facts) = mpsc::channel(FACT_CAPACITY);
    let page = WhatsAppPage::open(&settings, &profile, facts_tx, CancellationToken::new())
        .await
        .unwrap();
    page.navigate().await.unwrap();
    let shown = async {
        loop {
            if let Fact::Stands(standing) = facts.recv().await.unwrap()
                && let Some(code) = standing.code
            {
                return code;
            }
        }
    };
    let code = timeout(PATIENCE, shown).await.unwrap();
    let before = page.evidence().await;
    assert!(
        before.screenshot.is_ok() && before.console.is_ok(),
        "{:?}, {:?}",
        before.screenshot.err(),
        before.console.err()
    );

    // The session gives up, and a phone scans the code before Chrome is closed.
    drop(facts);
    let scanned = json!({"code": code, "number": ACCOUNT});
    assert_eq!(sandbox.post("/phone/scan", scanned).await.0, 200);
    let note = profile.join("session-manager.json");
    let is_noted = || {
        std::fs::read_to_string(&note)
            .unwrap()
            .contains(r#""linked_once":true"#)
    };
    eventually("the link is noted", is_noted).await;
    let seen = page.evidence().await;
    assert_eq!(seen.screenshot, Err(LeftOut::Chats));
    assert_eq!(seen.console, Err(LeftOut::Chats));
    page.close().await;
    sandbox.stop().await;
}
