//! What must not be in a log is looked for by every test; here it is tested that it would be found. And a log that nothing reads
//! holds nothing up.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Service, answer, chrome::eventually, secrets::Secrets};

/// What the service promises of a stop, with the wait for a log that takes no lines.
const STOP_BUDGET: Duration = Duration::from_secs(10);

const REQUESTS: usize = 2000;

/// As many at once as the page and some backends may have open.
const CALLERS: usize = 20;

/// Asks `REQUESTS` times, and has each answered.
async fn flood(service: &Service) {
    join_all((0..CALLERS).map(async |_| {
        for _ in 0..REQUESTS / CALLERS {
            assert_eq!(service.get("/status?cliente_id=51").await.status, 200);
        }
    }))
    .await;
}

/// How many lines have been dropped so far.
async fn dropped(service: &Service) -> u64 {
    let scrape = service.get("/metrics").await.text();
    let name = "session_manager_log_lines_dropped_total ";
    let line = scrape.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{scrape}")).parse().unwrap()
}

/// Stops it as PM2 and systemd do, and holds it to its time.
fn stops_in_time(service: Service) {
    let began = Instant::now();
    service.stop();
    assert!(began.elapsed() < STOP_BUDGET, "{:?}", began.elapsed());
}

#[test]
fn a_text_a_number_and_a_code_are_found_in_a_log() {
    let secrets = Secrets::default();
    let code = "https://wa.me/settings/linked_devices#2@abcdefghijklmnopqrstuvwxyz,key,1";
    secrets.remember_request(&json!({ "to": "+54 9 11 5825-4201", "message": "dos\nlíneas" }));
    secrets.remember_request(&json!({ "code": code }));
    for line in [
        "sending to 5491158254201",
        r#"{"text":"dos\nlíneas"}"#,
        "the code 2@abcdefghijklmnopqrstuvwxyz is shown",
    ] {
        assert!(!secrets.found_in(line).is_empty(), "{line}");
    }
    let webhook = json!({ "url": "https://example.com/hook?token=1", "secret": "abcdefgh", "headers": { "Authorization": "Bearer 12345" } });
    secrets.remember_request(&webhook);
    secrets.remember_text(&"muy largo ".repeat(10_000));
    let group = json!({ "participants": ["5550001111"], "media": { "caption": "pie de foto" } });
    secrets.remember_request(&group);
    secrets.remember_answer(&json!({ "success": true, "pairing_code": "ABCD1234", "error": "no" }));
    let settings = [
        ("SNAPSHOT_KEY", "the key of this test".into()),
        ("TOKENS_DIR", "/srv/tokens".into()),
    ];
    secrets.remember_settings(settings.iter().map(|(name, value)| (name, value)));
    for line in [
        "cannot post to https://example.com/hook?token=1",
        "signed with abcdefgh",
        &format!("the text {}… is long", "muy largo ".repeat(20)),
        "sent Bearer 12345 along",
        "it is with 5550001111",
        "under it stands: pie de foto.",
        "type ABCD1234 on the phone",
        "packed by the key of this test",
        // By their forms.
        "the account 5491150009876 is linked",
        "chat 120363000000000000@g.us is open",
        "LID 99887766554433@lid is unknown",
        "key smk_0123456789abcdef0123456789abcdef is used",
        "by whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ] {
        assert!(!secrets.found_in(line).is_empty(), "{line}");
    }
    let harmless = "DATA_DIR is /srv/tokens, a testing place\nPOST /send 200 in 12 ms\nsession 51 became READY\nhttps://wa.me/settings";
    assert_eq!(secrets.found_in(harmless), [""; 0]);
}

/// Without it, no other test would say anything about logs.
#[tokio::test]
async fn a_service_whose_log_holds_a_secret_fails_its_test() {
    let service = Service::with(&[]).await;
    service.secrets().remember_text("listening");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| service.stop()));
    let why = ended.err().expect("the test fails");
    let why = why.downcast_ref::<String>().unwrap();
    assert!(why.contains("the log holds"), "{why}");
}

/// What no request of the test has said is in the ledger.
#[tokio::test]
async fn a_service_whose_log_holds_what_was_said_to_it_fails_its_test_whoever_said_it() {
    let (service, account) = Service::linked(&[]).await;
    service.hearing_is("live").await;
    // By a client that remembers nothing.
    let said = json!({ "account": account, "from": "5491150002222", "body": "listening" });
    let url = format!("{}/phone/receive", service.sandbox());
    let said = answer(reqwest::Client::new().post(url).json(&said)).await;
    assert_eq!(said.status, 200, "{}", said.text());
    let query = "/events?types=message&wait=30";
    let heard = service.get(query).await.json();
    assert_eq!(heard["events"][0]["data"]["text"], "listening", "{heard}");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| service.stop()));
    let why = ended.err().expect("the test fails");
    let why = why.downcast_ref::<String>().unwrap();
    assert!(why.contains("the log holds"), "{why}");
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_no_request_no_send_and_no_stop() {
    let (service, _unread) = Service::start_unread().await;
    let account = service.link("51").await;
    flood(&service).await;
    let texts: Vec<String> = (1..=20).map(|at| format!("aviso {at}")).collect();
    for text in &texts {
        service.sends(51, "5491158254201", text).await;
    }
    assert_eq!(service.messages(&account).await, texts);
    assert!(dropped(&service).await > 0);
    stops_in_time(service);
}

#[tokio::test]
async fn a_log_that_is_read_again_says_how_many_lines_are_missing() {
    let (service, unread) = Service::start_unread().await;
    flood(&service).await;
    assert!(dropped(&service).await > 0);
    service.read_on(unread);
    let told = || -> u64 {
        let log = service.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter_map(|line: Value| line["fields"]["lines.dropped"].as_u64())
            .sum()
    };
    eventually("the log tells of lines that are missing", || told() > 0).await;
    // What is said from now on is in it, to the last line.
    let dropped = dropped(&service).await;
    eventually("each line is told of", || told() == dropped).await;
    let output = service.output();
    service.stop();
    output.await_end();
    assert!(output.text().contains("\"stopped\""), "{}", output.text());
}

#[tokio::test]
async fn a_log_whose_reader_has_gone_stops_nothing() {
    let (service, unread) = Service::start_unread().await;
    drop(unread);
    flood(&service).await;
    assert!(dropped(&service).await > 0);
    stops_in_time(service);
}

#[tokio::test]
async fn a_log_on_a_full_disk_stops_nothing() {
    let service = Service::start_with_output_to("/dev/full").await;
    flood(&service).await;
    assert!(dropped(&service).await > 0);
    stops_in_time(service);
}
