//! What the service hears, with real pages: what others and the account's owner do is in the log of events, once.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, interval};

use crate::support::{Home, Service};

const FRIEND: &str = "5491150002222";

/// An event is in the log within tenths of a second; a page that catches up needs some seconds, and on a busy machine more.
const HEARD_TIMEOUT: Duration = Duration::from_secs(40);

/// The log as it is on disk: `{kind, late, source, at, data}`.
fn log_of(home: &Home) -> Vec<Value> {
    let copy = TempDir::new().unwrap();
    for name in ["ledger.sqlite3", "ledger.sqlite3-wal"] {
        // There is no log of commits before the first one.
        let _missing = std::fs::copy(home.ledger().join(name), copy.path().join(name));
    }
    let file = Connection::open(copy.path().join("ledger.sqlite3")).unwrap();
    let Ok(mut rows) = file.prepare("SELECT * FROM events ORDER BY seq") else {
        return Vec::new();
    };
    let events = rows.query_map([], |row| {
        let data: Option<String> = row.get("data")?;
        let data = data.and_then(|data| serde_json::from_str::<Value>(&data).ok());
        Ok(json!({
            "session": row.get::<_, String>("session")?,
            "kind": row.get::<_, String>("kind")?,
            "late": row.get::<_, bool>("is_late")?,
            "source": row.get::<_, Option<String>>("source")?,
            "at": row.get::<_, i64>("happened_at")?,
            "account": row.get::<_, Option<String>>("account")?,
            "data": data,
        }))
    });
    events.unwrap().filter_map(Result::ok).collect()
}

/// Waits until the log is as a test wants it.
async fn log_when(home: &Home, what: &str, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + HEARD_TIMEOUT;
    let mut look = interval(Duration::from_millis(100));
    loop {
        look.tick().await;
        let log = log_of(home);
        if is_so(&log) {
            return log;
        }
        assert!(Instant::now() < deadline, "{what}: {log:#?}");
    }
}

fn of<'a>(log: &'a [Value], kind: &str) -> Vec<&'a Value> {
    log.iter().filter(|event| event["kind"] == kind).collect()
}

#[tokio::test]
async fn what_comes_in_and_what_the_owner_writes_is_in_the_log() {
    let (service, account) = Service::linked(&[("ADAPTERS", "modules")]).await;
    let received = json!({"account": account, "from": FRIEND, "name": "Ana", "body": "Hola"});
    assert_eq!(service.phone("/phone/receive", &received).await.status, 200);
    let written = json!({"account": account, "to": FRIEND, "body": "A mano"});
    assert_eq!(service.phone("/phone/write", &written).await.status, 200);
    service.sends(51, FRIEND, "Por la API").await;
    let log = log_when(service.home(), "three messages and their acks", |log| {
        of(log, "message.own").len() == 2 && of(log, "message.ack").len() >= 4
    })
    .await;
    println!("{log:#?}");
    service.stop();
}
