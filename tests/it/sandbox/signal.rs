//! A profile that goes back loses messages in silence, as docs/whatsapp.md says of the real one; and what cures it.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ACCOUNT, Chrome, FRIEND, LINKED, Running, config, linked, send, shown_code};
use crate::support::chrome::copy_folder;

/// The devices that a message to FRIEND goes to, by the page's own list, with the account's own.
const DEVICES: &str = "const { createWid } = require('WAWebWidFactory');
    const me = require('WAWebUserPrefsMeUser').getMaybeMePnUser();
    const devices = await require('WAWebDBDeviceListFanout').getFanOutList({ wids: [createWid('FRIEND@c.us'), me] });";

/// Opens the page of a profile that is linked.
async fn opened(sandbox: &Running, profile: &Path) -> Chrome {
    let chrome = Chrome::open(profile).await;
    chrome.goto(&sandbox.url("/")).await;
    chrome.until(LINKED).await;
    chrome
}

async fn sends(chrome: &Chrome, texts: &[&str]) {
    for text in texts {
        assert_eq!(send(chrome, text).await["messageSendResult"], "OK");
    }
}

/// Which texts a person has seen, on the recipient's devices and on the account's own phone.
async fn seen(sandbox: &Running, by: &str) -> Vec<String> {
    let messages = sandbox.messages().await.into_iter();
    let seen = messages.filter(|message| message[by] == json!(true));
    let text = |message: Value| message["body"].as_str().unwrap().to_owned();
    seen.map(text).collect()
}

fn put_back(copy: &Path, profile: &Path) {
    fs::remove_dir_all(profile).unwrap();
    copy_folder(copy, profile);
}

#[tokio::test]
async fn a_profile_that_goes_back_loses_as_many_messages_as_it_is_old_and_they_are_reported_delivered()
 {
    for build in [json!({}), json!({"build": "early-2026"})] {
        let folder = TempDir::new().unwrap();
        let sandbox = Running::start_with(config(folder.path()), 0).await;
        sandbox.post("/faults", build).await;
        let (profile, copy) = (folder.path().join("profile"), folder.path().join("copy"));
        let chrome = Chrome::open(&profile).await;
        chrome.goto(&sandbox.url("/")).await;
        let scanned = json!({"code": shown_code(&chrome).await, "number": ACCOUNT});
        assert_eq!(sandbox.post("/phone/scan", scanned).await.0, 200);
        chrome.until(LINKED).await;
        sends(&chrome, &["1", "2"]).await;
        chrome.close().await;
        copy_folder(&profile, &copy);
        let chrome = opened(&sandbox, &profile).await;
        sends(&chrome, &["3", "4", "5"]).await;
        chrome.close().await;
        put_back(&copy, &profile);

        let chrome = opened(&sandbox, &profile).await;
        sends(&chrome, &["lost 1", "lost 2", "lost 3", "6", "7"]).await;
        for by in ["seen_by_recipient", "seen_by_own_phone"] {
            let wanted = ["1", "2", "3", "4", "5", "6", "7"];
            assert_eq!(seen(&sandbox, by).await, wanted, "{by}");
        }
        // The page has no way to know.
        chrome
            .until("require('WAWebMsgCollection').MsgCollection.getModelsArray().find(({ body }) => body === 'lost 1').ack === 2")
            .await;
        sandbox.stop().await;
    }
}

#[tokio::test]
async fn a_session_that_is_deleted_is_begun_anew_and_what_was_not_flushed_is_not_deleted() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    let (profile, copy) = (folder.path().join("profile"), folder.path().join("copy"));
    sends(&chrome, &["1"]).await;
    chrome.close().await;
    copy_folder(&profile, &copy);
    let chrome = opened(&sandbox, &profile).await;
    sends(&chrome, &["2", "3"]).await;
    chrome.close().await;
    put_back(&copy, &profile);

    let devices = DEVICES.replace("FRIEND", FRIEND);
    let delete = format!(
        "{devices} for (const wid of devices) await require('WAWebSignalSessionApi').deleteRemoteSession(wid)"
    );
    let flush = "await require('WAWebSignalProtocolStore').getSignalProtocolStore().flushBufferToDiskIfNotMemOnlyMode()";
    let chrome = opened(&sandbox, &profile).await;
    let found: Vec<String> = chrome
        .value(&format!(
            "(async () => {{ {devices} return devices.map(String); }})()"
        ))
        .await;
    let wanted = [
        format!("{FRIEND}@c.us"),
        format!("{FRIEND}:7@c.us"),
        format!("{ACCOUNT}@c.us"),
    ];
    assert_eq!(found, wanted, "all but this page itself");
    chrome.run(&delete).await;
    // Killed.
    drop(chrome);
    let chrome = opened(&sandbox, &profile).await;
    sends(&chrome, &["lost"]).await;
    chrome.run(&format!("{delete}; {flush}")).await;
    drop(chrome);
    let chrome = opened(&sandbox, &profile).await;
    sends(&chrome, &["4", "5"]).await;
    for by in ["seen_by_recipient", "seen_by_own_phone"] {
        let wanted = ["1", "2", "3", "4", "5"];
        assert_eq!(seen(&sandbox, by).await, wanted, "{by}");
    }
    sandbox.stop().await;
}
