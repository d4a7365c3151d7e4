//! A profile that was put back from a copy: its recipients see every later message, and no send is lost in silence. The judge is
//! the sandbox, which keeps what each recipient's devices have seen (docs/sandbox.md#signal-sessions).

use std::{ffi::OsString, fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    adapters::{CURRENT, bundle},
    support::{Home, Service, chrome::copy_folder, terminal::transfer},
};

/// Is written to after the copy is made.
const ANA: u64 = 5_491_158_254_201;
/// The same.
const BEA: u64 = 5_491_158_254_202;
/// Only before.
const CARLA: u64 = 5_491_158_254_203;

/// Sends without a pace, snapshots of closed sessions only, and a session that comes back when the test has set its faults.
const SETTINGS: [(&str, &str); 4] = [
    ("SEND_RATE_PER_MINUTE", "0"),
    ("SANDBOX_ACK_SECONDS", "0.05"),
    ("SNAPSHOT_EVERY_MINUTES", "0"),
    ("RESTORE_SESSIONS", "false"),
];

const FUNCTION: &str = "WAWebSignalSessionApi.deleteRemoteSession";

/// A session whose profile was closed in order once, and so has a snapshot, after a message to each.
struct Stage {
    service: Service,
    account: String,
    settings: Vec<(&'static str, OsString)>,
    /// What is wrong with WhatsApp Web from its next start on.
    faults: Value,
}

impl Stage {
    async fn set(settings: &[(&'static str, &str)]) -> Self {
        Self::with(settings, json!({})).await
    }

    async fn with(more: &[(&'static str, &str)], faults: Value) -> Self {
        let settings = SETTINGS.iter().chain(more);
        let mut settings: Vec<_> = settings
            .map(|(name, value)| (*name, OsString::from(value)))
            .collect();
        settings.push(("WA_JS_PATH", bundle(CURRENT).into()));
        let service = Service::start(|env| env.extend(settings.clone())).await;
        service.faults(faults.clone()).await;
        let account = service.link("51").await;
        let stage = Self {
            service,
            account,
            settings,
            faults,
        };
        for to in [ANA, BEA, CARLA] {
            stage.sends(to, 1).await;
        }
        stage.rests().await;
        stage
    }

    async fn sends(&self, to: u64, count: usize) {
        for n in 0..count {
            self.service
                .sends(51, &to.to_string(), &format!("{n}"))
                .await;
        }
    }

    async fn ready(&self) {
        let connect = json!({"cliente_id": 51, "wait": "ready"});
        let connected = self.service.post("/connect", &connect).await.json();
        assert_eq!(connected["state"], "READY", "{connected}");
    }

    /// Closes the session in order, and opens it again.
    async fn rests(&self) {
        assert_eq!(self.service.disconnect(51).await.status, 200);
        self.ready().await;
    }

    /// The machine dies.
    async fn dies(self, meanwhile: impl FnOnce(&Home)) -> Self {
        let home = self.service.kill();
        meanwhile(&home);
        let service = Service::start_in(home, |env| env.extend(self.settings.clone())).await;
        service.secrets().remember_number(&self.account);
        service.faults(self.faults.clone()).await;
        let stage = Self { service, ..self };
        stage.ready().await;
        stage
    }

    /// The machine dies, and with it the page's storage: the snapshot takes the profile's place.
    async fn loses_its_storage(self) -> Self {
        let stage = self.dies(lose_storage).await;
        stage.service.logs("the snapshot of").await;
        stage
    }

    /// Whether a person has seen each of the messages since the first `skipped`: the recipient, and on the own phone.
    async fn seen(&self, skipped: usize) -> (Vec<bool>, Vec<bool>) {
        let taken = self.service.taken(&self.account).await;
        let of = |by: &str| {
            let seen = |message: &Value| message[by].as_bool().unwrap();
            taken[skipped..].iter().map(seen).collect()
        };
        (of("seen_by_recipient"), of("seen_by_own_phone"))
    }

    async fn taken(&self) -> usize {
        self.service.taken(&self.account).await.len()
    }

    async fn all_are_seen(&self, skipped: usize) {
        let (recipient, own) = self.seen(skipped).await;
        let wanted = vec![true; self.taken().await - skipped];
        assert_eq!((&recipient, &own), (&wanted, &wanted));
    }

    async fn faults(&mut self, faults: Value) {
        self.service.faults(faults.clone()).await;
        self.faults = faults;
    }
}

fn lose_storage(home: &Home) {
    fs::remove_dir_all(home.tokens().join("51/Default/IndexedDB")).unwrap();
}

#[tokio::test]
async fn after_a_restore_every_message_is_seen_however_much_was_sent_since_the_copy() {
    let mut stage = Stage::set(&[]).await;
    for count in [1, 10, 50] {
        stage.sends(ANA, count).await;
        let before = stage.taken().await;
        stage = stage.loses_its_storage().await;
        stage.sends(ANA, 3).await;
        stage.sends(CARLA, 2).await;
        stage.all_are_seen(before).await;
        // Exactly those who were written to since the copy.
        stage.service.logs("to each of 1 recipients").await;
        stage.rests().await;
    }
    stage.service.stop();
}

#[tokio::test]
async fn without_the_reset_the_sandbox_shows_as_many_lost_as_were_sent_since_the_copy() {
    let mut stage = Stage::set(&[("STALE_SENDS", "risk")]).await;
    stage.faults(json!({"missing": [FUNCTION]})).await;
    // Each has a Signal session of their own.
    for (to, count) in [(ANA, 1), (BEA, 10), (CARLA, 50)] {
        stage.sends(to, count).await;
        let before = stage.taken().await;
        stage = stage.loses_its_storage().await;
        stage.sends(to, count + 1).await;
        let (recipient, own) = stage.seen(before).await;
        let mut wanted = vec![false; count];
        wanted.push(true);
        assert_eq!(recipient, wanted);
        assert!(!own[0], "nor on the account's own phone");
        // WhatsApp reports them delivered: its caller would not know.
        let taken = stage.service.taken(&stage.account).await;
        let id = taken[before]["id"].as_str().unwrap();
        let delivered = delivered(&stage.service, id).await;
        assert_eq!(delivered["state"], "delivered", "{delivered}");
    }
    stage.service.stop();
}

/// What the service says of a message once it is delivered.
async fn delivered(service: &Service, id: &str) -> Value {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let message = service.get(&format!("/messages/{id}")).await.json();
        if message["state"] != "sent" || until < tokio::time::Instant::now() {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_page_that_lacks_the_function_refuses_those_recipients_alone() {
    let mut stage = Stage::set(&[]).await;
    stage.sends(ANA, 2).await;
    stage.faults(json!({"missing": [FUNCTION]})).await;
    stage = stage.loses_its_storage().await;
    let before = stage.taken().await;
    let refused = stage.service.send(51, &ANA.to_string(), "refused").await;
    refused.assert_refused(503, "PROFILE_STALE");
    let why = refused.json()["error"].to_string();
    assert!(
        why.contains(FUNCTION) && why.contains("STALE_SENDS=risk"),
        "{why}"
    );
    let later =
        json!({"cliente_id": 51, "to": ANA.to_string(), "message": "más tarde", "async": true});
    let accepted = stage.service.post("/send", &later).await;
    assert_eq!(accepted.status, 202);
    stage.sends(CARLA, 2).await;
    let id = accepted.json()["message_id"].as_str().unwrap().to_owned();
    let failed = stage.service.get(&format!("/messages/{id}")).await.json();
    assert_eq!(
        (&failed["state"], &failed["code"]),
        (&json!("failed"), &json!("PROFILE_STALE")),
        "{failed}"
    );
    let (recipient, _own) = stage.seen(before).await;
    assert_eq!(recipient, [true, true], "Carla's");
    // A page that has it again mends what was left.
    stage.faults(json!({})).await;
    stage.rests().await;
    stage.sends(ANA, 2).await;
    stage.all_are_seen(before + 2).await;
    stage.service.stop();
}

#[tokio::test]
async fn a_service_that_is_killed_between_the_restore_and_the_reset_still_resets() {
    let mut stage = Stage::set(&[]).await;
    stage.sends(ANA, 3).await;
    stage.sends(BEA, 3).await;
    let before = stage.taken().await;
    stage = stage.loses_its_storage().await;
    for to in [ANA, BEA] {
        stage = stage.dies(|_| {}).await;
        stage.sends(to, 1).await;
    }
    stage.sends(ANA, 1).await;
    stage.all_are_seen(before).await;
    stage.service.stop();
}

#[tokio::test]
async fn each_adapter_resets_and_the_page_of_early_2026_too() {
    for (adapters, faults) in [
        ("wa-js", json!({})),
        ("dom", json!({})),
        ("modules", json!({"build": "early-2026"})),
        ("modules", json!({"lid_chats": true})),
        ("dom", json!({"lid_chats": true})),
    ] {
        let mut stage = Stage::with(&[("ADAPTERS", adapters)], faults.clone()).await;
        stage.sends(ANA, 2).await;
        let before = stage.taken().await;
        stage = stage.loses_its_storage().await;
        stage.sends(ANA, 2).await;
        let (recipient, own) = stage.seen(before).await;
        let both = vec![true; 2];
        assert_eq!((&recipient, &own), (&both, &both), "{adapters} {faults}");
        stage.service.stop();
    }
}

#[tokio::test]
async fn a_folder_that_a_person_has_put_back_is_found_to_be_older() {
    let stage = Stage::set(&[]).await;
    assert_eq!(stage.service.disconnect(51).await.status, 200);
    let (profile, copy) = (
        stage.service.home().tokens().join("51"),
        stage.service.home().path().join("copy"),
    );
    copy_folder(&profile, &copy);
    stage.ready().await;
    stage.sends(ANA, 3).await;
    let before = stage.taken().await;
    assert_eq!(stage.service.disconnect(51).await.status, 200);
    fs::remove_dir_all(&profile).unwrap();
    copy_folder(&copy, &profile);
    stage.ready().await;
    stage.sends(ANA, 2).await;
    stage.sends(CARLA, 1).await;
    stage.all_are_seen(before).await;
    stage.service.stop();
}

#[tokio::test]
async fn an_account_that_comes_back_from_an_old_export_is_seen_by_everybody() {
    let stage = Stage::set(&[]).await;
    let file = stage.service.home().path().join("51.account");
    let file = file.to_str().unwrap();
    assert_eq!(stage.service.disconnect(51).await.status, 200);
    transfers(stage.service.home(), &["export", "51", "--out", file]);

    // Its WhatsApp is the same, and what it sends is in its own ledger.
    let url = format!("{}/", stage.service.sandbox());
    let there = Service::start(|environment| {
        environment.remove("SANDBOX");
        environment.insert("WHATSAPP_URL", url.into());
        environment.insert("SEND_RATE_PER_MINUTE", "0".into());
    })
    .await;
    there.secrets().remember_number(&stage.account);
    transfers(there.home(), &["import", "51", file]);
    let there = Stage {
        service: there,
        account: stage.account.clone(),
        settings: Vec::new(),
        faults: json!({}),
    };
    there.ready().await;
    there.sends(BEA, 3).await;
    // The other host is lost, and the account comes back from the file.
    there.service.stop();
    let before = stage.taken().await;
    transfers(stage.service.home(), &["import", "51", file, "--replace"]);
    stage.ready().await;
    for to in [ANA, BEA] {
        stage.sends(to, 2).await;
    }
    stage.all_are_seen(before).await;
    stage.service.stop();
}

/// Moves an account out of these files, or into them.
fn transfers(home: &Home, arguments: &[&str]) {
    let done = transfer(home, arguments, "correct horse battery");
    assert_eq!(done.code, 0, "{done:?}");
}
