//! Files that messages bring, out of real pages: what was sent comes out byte for byte, whatever happens meanwhile.

mod bucket;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    http::{StatusCode, Uri, header},
    response::IntoResponse as _,
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::stream;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{
    adapters::served_by,
    media::{hash, own_memory},
    support::{
        Answer, Home, Service,
        chrome::eventually,
        sandbox::SharedSandbox,
        terminal::{Running, command},
    },
};

const FRIEND: &str = "5491150002222";

/// Bytes that are no text, and that no two seeds have alike.
fn bytes(seed: u8, length: usize) -> Vec<u8> {
    let mut block = Sha256::digest([seed]);
    let mut bytes = Vec::with_capacity(length + block.len());
    while bytes.len() < length {
        bytes.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    bytes.truncate(length);
    bytes
}

impl Service {
    /// Has a friend send a file, waits until that was heard, and gives what the event says of it.
    async fn hears_file(&self, account: &str, kind: &str, mimetype: &str, bytes: &[u8]) -> Value {
        let media = json!({ "kind": kind, "mimetype": mimetype, "filename": "lista.pdf", "data": STANDARD.encode(bytes) });
        self.hears_media(account, media).await
    }

    async fn hears_media(&self, account: &str, media: Value) -> Value {
        let body = json!({ "from": FRIEND, "media": media });
        let key = self.does(account, "receive", body).await;
        let of_it = |event: &&Value| event["data"]["key"] == json!(key);
        let log = self
            .hears("a file", |log| log.iter().any(|event| of_it(&event)))
            .await;
        let event = log.iter().find(of_it).unwrap();
        event["data"]["media"].clone()
    }

    async fn file(&self, media: &Value) -> Answer {
        self.get(media["url"].as_str().unwrap()).await
    }

    async fn gives(&self, media: &Value, bytes: &[u8]) {
        let given = self.file(media).await;
        assert_eq!(given.status, 200, "{media}: {}", given.text());
        assert_eq!(given.bytes.len(), bytes.len(), "{media}");
        assert!(given.bytes == bytes, "{media}: other bytes");
    }
}

fn folder(home: &Home) -> PathBuf {
    home.data().join("sandbox/media")
}

/// What is in the folder of files.
fn names(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(folder(home)).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn brings_each_kind(adapter: &'static str) {
    let service = Service::start(served_by(adapter)).await;
    let account = service.link("51").await;
    for (seed, (kind, mimetype, length)) in [
        ("image", "image/jpeg", 40_000),
        ("video", "video/mp4", 1_400_000),
        ("audio", "audio/mpeg", 30_001),
        ("voice", "audio/ogg; codecs=opus", 7),
        ("document", "application/pdf", 524_288),
        ("sticker", "image/webp", 20_000),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = bytes(u8::try_from(seed).unwrap(), length);
        let media = service.hears_file(&account, kind, mimetype, &bytes).await;
        assert_eq!(media["sha256"], hash(&bytes), "{kind}: {media}");
        assert_eq!(
            (&media["bytes"], &media["mimetype"]),
            (&json!(length), &json!(mimetype)),
            "{kind}: {media}"
        );
        service.gives(&media, &bytes).await;
        // The second time from the store.
        service.gives(&media, &bytes).await;
        let given = service.file(&media).await;
        assert_eq!(given.header("content-type"), Some(mimetype), "{kind}");
    }
    assert_eq!(names(service.home()).len(), 12);
    // What is kept is given without a page.
    let log = service.hears("all", |log| log.len() == 6).await;
    service.disconnect(51).await;
    for event in log {
        assert_eq!(service.file(&event["data"]["media"]).await.status, 200);
    }
    service.stop();
}

#[tokio::test]
async fn modules_brings_each_kind_byte_for_byte() {
    brings_each_kind("modules").await;
}

#[tokio::test]
async fn wa_js_brings_each_kind_byte_for_byte() {
    brings_each_kind("wa-js").await;
}

#[tokio::test]
async fn a_drawing_with_a_script_and_a_name_that_leads_elsewhere_are_harmless() {
    let (service, account) = Service::linked(&[]).await;
    let drawing =
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>fetch('/sessions')</script></svg>";
    let media = json!({
        "kind": "document", "mimetype": "image/svg+xml", "filename": "../../../etc/dibujo\u{202e}gvs.svg\r\nX: y", "data": STANDARD.encode(drawing),
    });
    let media = service.hears_media(&account, media).await;
    let given = service.file(&media).await;
    assert_eq!((given.status, &*given.bytes), (200, &drawing[..]));
    assert_eq!(given.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        given.header("content-security-policy"),
        Some("default-src 'none'; sandbox")
    );
    let disposition = given.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment; "), "{disposition}");
    assert!(
        !disposition.contains("..") && !disposition.contains('/'),
        "{disposition}"
    );
    assert_eq!(given.header("x"), None);
    service.stop();
}

#[tokio::test]
async fn what_whatsapp_does_not_have_any_more_is_asked_of_the_phone_and_told_when_it_is_gone() {
    let (service, account) = Service::linked(&[]).await;
    let bytes = bytes(1, 5000);
    let fault = async |fault: &str| service.faults(json!({ "media_download": fault })).await;
    let document = async |seed: u8| {
        let bytes = self::bytes(seed, 5000);
        service
            .hears_file(&account, "document", "application/pdf", &bytes)
            .await
    };
    // The phone uploads it again.
    fault("expired").await;
    let media = document(1).await;
    service.gives(&media, &bytes).await;
    fault("gone").await;
    let media = document(2).await;
    let gone = service.file(&media).await;
    gone.assert_refused(410, "FILE_GONE");
    // Other bytes than the message says are never given.
    fault("corrupt").await;
    let media = document(3).await;
    let corrupt = service.file(&media).await;
    assert!([410, 502].contains(&corrupt.status), "{}", corrupt.text());
    // The phone does not answer, and then it does.
    fault("waiting").await;
    let media = document(4).await;
    let waiting = service.file(&media).await;
    waiting.assert_refused(503, "FILE_AWAITS_PHONE");
    assert_eq!(waiting.header("retry-after"), Some("15"));
    assert_eq!(
        names(service.home()).len(),
        2,
        "{:?}",
        names(service.home())
    );
    service.stop();
}

#[tokio::test]
async fn files_are_fetched_by_themselves_where_the_settings_say_so_and_forgotten_in_time() {
    let (service, account) = Service::linked(&[("MEDIA_DOWNLOAD", "always")]).await;
    let bytes = bytes(1, 600_000);
    let media = service
        .hears_file(&account, "image", "image/jpeg", &bytes)
        .await;
    let id = media["id"].as_str().unwrap().to_owned();
    let both = [id.clone(), format!("{id}.json")];
    eventually("the file is fetched", || names(service.home()) == both).await;
    service.gives(&media, &bytes).await;
    // The next service finds that its time is over. What is still there is fetched again when a caller asks.
    let home = service.stop();
    let long_ago = SystemTime::now() - Duration::from_secs(73 * 3600);
    for name in &both {
        let file = fs::File::options()
            .append(true)
            .open(folder(&home).join(name));
        file.unwrap().set_modified(long_ago).unwrap();
    }
    let service = Service::start_in(home, |_| {}).await;
    eventually("the file is forgotten", || names(service.home()).is_empty()).await;
    service.reaches("51", "READY").await;
    service.gives(&media, &bytes).await;
    service.stop();
}

#[tokio::test]
async fn the_next_service_goes_on_behind_the_files_that_were_fetched_and_with_one_that_was_not() {
    let (service, account) = Service::linked(&[("MEDIA_DOWNLOAD", "always")]).await;
    let hears = async |service: &Service, seed: u8| {
        let bytes = bytes(seed, 5000);
        let media = service
            .hears_file(&account, "image", "image/jpeg", &bytes)
            .await;
        let id = media["id"].as_str().unwrap().to_owned();
        [id.clone(), format!("{id}.json")]
    };
    let first = hears(&service, 1).await;
    eventually("the first is fetched", || names(service.home()) == first).await;
    service.faults(json!({ "media_download": "never" })).await;
    let second = hears(&service, 2).await;
    let is_begun = |name: &String| name.starts_with(&format!("{}#", second[0]));
    eventually("the second is begun", || {
        names(service.home()).iter().any(is_begun)
    })
    .await;
    let home = service.kill();
    // One that began with the log would fetch the first once more, and before the third.
    for name in names(&home) {
        fs::remove_file(folder(&home).join(name)).unwrap();
    }
    let service = Service::start_in(home, |env| {
        env.insert("MEDIA_DOWNLOAD", "always".into());
    })
    .await;
    service.reaches("51", "READY").await;
    let third = hears(&service, 3).await;
    let mut both = [second, third].concat();
    both.sort();
    eventually("the others are fetched", || {
        let names = names(service.home());
        both.iter().all(|name| names.contains(name))
    })
    .await;
    assert_eq!(names(service.home()), both);
    service.stop();
}

#[tokio::test]
async fn a_large_file_comes_only_when_a_caller_asks() {
    let settings = [("MEDIA_DOWNLOAD", "always"), ("MEDIA_DOWNLOAD_MAX_MB", "1")];
    let (service, account) = Service::linked(&settings).await;
    let (large, small) = (bytes(1, 1_000_001), bytes(2, 1_000_000));
    let large_one = service
        .hears_file(&account, "document", "application/pdf", &large)
        .await;
    let small_one = service
        .hears_file(&account, "document", "application/pdf", &small)
        .await;
    let id = small_one["id"].as_str().unwrap();
    let both = [id.to_owned(), format!("{id}.json")];
    // They go through one lane, in their order.
    eventually("the small one is fetched", || {
        names(service.home()).contains(&both[1])
    })
    .await;
    assert_eq!(names(service.home()), both);
    service.gives(&large_one, &large).await;
    service.stop();
}

#[tokio::test]
async fn a_session_whose_files_do_not_come_delays_those_of_no_other() {
    let (service, slow) = Service::linked(&[("MEDIA_DOWNLOAD", "always")]).await;
    let other = service.link("52").await;
    let fault = json!({ "account": slow, "media_download": "never" });
    service.faults(fault).await;
    let bytes = bytes(1, 5000);
    let is_there = |media: &Value, ending: &str| {
        let name = format!("{}{ending}", media["id"].as_str().unwrap());
        names(service.home()).iter().any(|is| is.starts_with(&name))
    };
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let image = service.hears_file(&slow, "image", "image/jpeg", &bytes);
        waiting.push(image.await);
    }
    eventually("the first is begun", || is_there(&waiting[0], "#")).await;
    let media = service
        .hears_file(&other, "image", "image/jpeg", &bytes)
        .await;
    eventually("the other's comes", || is_there(&media, ".json")).await;
    for media in &waiting {
        assert!(!is_there(media, ".json"), "{media}");
    }
    service.stop();
}

#[tokio::test]
async fn a_file_that_a_stop_breaks_off_is_fetched_by_the_next_service() {
    let (service, account) = Service::linked(&[("MEDIA_DOWNLOAD", "always")]).await;
    service.faults(json!({ "media_download": "never" })).await;
    let bytes = bytes(1, 5000);
    let media = service
        .hears_file(&account, "image", "image/jpeg", &bytes)
        .await;
    let id = media["id"].as_str().unwrap();
    eventually("the file is begun", || {
        let names = names(service.home());
        names.iter().any(|name| name.starts_with(&format!("{id}#")))
    })
    .await;
    let home = service.stop();
    let service = Service::start_in(home, |env| {
        env.insert("MEDIA_DOWNLOAD", "always".into());
    })
    .await;
    let note = format!("{id}.json");
    eventually("the file is fetched", || {
        names(service.home()).contains(&note)
    })
    .await;
    service.stop();
}

#[tokio::test]
async fn a_service_that_is_killed_in_the_middle_of_a_file_gives_all_of_it_afterwards() {
    let (service, account) = Service::linked(&[]).await;
    let bytes = bytes(1, 60_000_000);
    let media = service
        .hears_file(&account, "document", "application/pdf", &bytes)
        .await;
    let path = media["url"].as_str().unwrap().to_owned();
    let asking = tokio::spawn(service.request(Method::GET, &path).send());
    let is_begun = |home: &Home| {
        let files = fs::read_dir(folder(home)).into_iter().flatten().flatten();
        let mut sizes = files.map(|file| file.metadata().map_or(0, |file| file.len()));
        sizes.any(|size| 1_000_000 < size)
    };
    eventually("the file is being written", || is_begun(service.home())).await;
    let home = service.kill();
    drop(asking.await);
    assert!(
        !names(&home).iter().any(|name| name.contains(".json")),
        "{:?}",
        names(&home)
    );
    let service = Service::start_in(home, |_| {}).await;
    service.reaches("51", "READY").await;
    service.gives(&media, &bytes).await;
    service.stop();
}

/// What `listen --save --json` has printed: the events, and by their ids what became of their files.
fn events_and_files(printed: &str) -> (Vec<Value>, BTreeMap<String, Value>) {
    let lines = printed.lines().map(serde_json::from_str::<Value>);
    let lines = lines.map(Result::unwrap);
    let (files, events): (Vec<Value>, Vec<Value>) =
        lines.partition(|line| line["event"].is_string());
    let id = |file: &Value| file["event"].as_str().unwrap().to_owned();
    let files = files.into_iter().map(|file| (id(&file), file));
    (events, files.collect())
}

/// Files of a service that is made for `listen`: one that never comes, one that the service is not ready to give twice, one during which
/// the service goes away.
const NEVER: &str = "never";
const LATER: &str = "later";
const BROKEN: &str = "broken";

/// A service with one message for each of these. What is named otherwise than those above comes at once.
async fn service_with_files(names: &'static [&'static str]) -> String {
    let event = |(number, name): (usize, &&str)| {
        let media =
            json!({ "id": format!("med_{name}"), "url": "", "bytes": 4, "filename": "x.pdf" });
        let data = json!({ "key": format!("3A{number}"), "kind": "document", "media": media });
        json!({ "id": format!("evt_{name}"), "type": "message", "timestamp": "2026-11-30T12:00:00.000Z", "session": "51", "data": data })
    };
    let events: Vec<Value> = names.iter().enumerate().map(event).collect();
    let log = move |asked: Uri| {
        let is_first = !asked.query().unwrap_or_default().contains("after=9");
        let events = if is_first { &events[..] } else { &[] };
        let answer = json!({ "success": true, "events": events, "next": 9 });
        async move { answer.to_string() }
    };
    let (asked, has_broken) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let file = move |path: Uri| {
        let (asked, has_broken) = (Arc::clone(&asked), Arc::clone(&has_broken));
        async move {
            let is_of = |name: &str| path.path() == format!("/media/med_{name}");
            if is_of(NEVER) {
                std::future::pending::<()>().await;
            }
            let is_early = is_of(LATER) && asked.fetch_add(1, Ordering::SeqCst) < 2;
            if is_early {
                let refused = json!({ "success": false, "code": "FILE_BUSY", "message": "not yet", "error": "not yet" });
                let headers = [(header::RETRY_AFTER, "1")];
                let refused = refused.to_string();
                return (StatusCode::SERVICE_UNAVAILABLE, headers, refused).into_response();
            }
            if is_of(BROKEN) && !has_broken.swap(true, Ordering::SeqCst) {
                let parts = [Ok("ho"), Err(std::io::Error::other("the service ends"))];
                return Body::from_stream(stream::iter(parts)).into_response();
            }
            "hola".into_response()
        }
    };
    let router = Router::new()
        .route("/events", get(log))
        .route("/media/{id}", get(file));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_file_that_does_not_come_holds_up_no_event_and_what_is_passing_is_tried_again() {
    let names = &[NEVER, LATER, BROKEN, "plain", "behind"];
    let url = service_with_files(names).await;
    let folder = TempDir::new().unwrap();
    let files = folder.path().join("files");
    let arguments = ["listen", "--json", "--after", "oldest", "--url", &url];
    let save = ["--save", files.to_str().unwrap()];
    let listen = command(&[&arguments[..], &save].concat(), &[], folder.path());
    let mut heard = Running::piped(listen);
    heard
        .shows("all events, and all files but the first", |lines| {
            lines.matches('\n').count() == names.len() + names.len() - 1
        })
        .await;
    let (events, told) = events_and_files(&heard.out());
    let ids: Vec<&Value> = events.iter().map(|event| &event["id"]).collect();
    let all = names.map(|name| format!("evt_{name}"));
    assert_eq!(ids, all.each_ref());
    for name in &names[1..] {
        let path = told[&format!("evt_{name}")]["saved"].as_str().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "hola");
    }
    heard.remarks("FILE_BUSY").await;
    heard.interrupt();
    assert_eq!(heard.ends(), 130);
    heard
        .shows("that the first has not come", |lines| {
            lines.matches('\n').count() == 2 * names.len()
        })
        .await;
    let (_, told) = events_and_files(&heard.out());
    let why = told["evt_never"]["not_saved"].as_str().unwrap();
    assert!(why.contains("listen has ended"), "{why}");
    // Nothing half is left of it.
    assert_eq!(fs::read_dir(&files).unwrap().count(), names.len() - 1);
}

#[tokio::test]
async fn listen_saves_each_file_once_and_says_where_it_is_or_why_it_is_not() {
    let (service, account) = Service::linked(&[]).await;
    let document = async |seed: u8| {
        let bytes = bytes(seed, 300_000);
        service
            .hears_file(&account, "document", "application/pdf", &bytes)
            .await
    };
    let folder = TempDir::new().unwrap();
    let files = folder.path().join("heard/files");
    let listen = |more: &[&str]| {
        let saved = files.to_str().unwrap();
        let always = ["listen", "51", "--types", "message", "--save", saved];
        let at = ["--after", "oldest", "--url", service.url()];
        let arguments = [&always[..], &at, more].concat();
        Running::piped(command(&arguments, &[], folder.path()))
    };
    let first = document(1).await;
    let mut heard = listen(&["--json"]);
    heard
        .shows("where the first is", |lines| lines.contains("\"saved\":"))
        .await;
    service.faults(json!({ "media_download": "gone" })).await;
    document(2).await;
    heard
        .shows("why the second is not", |lines| lines.contains("FILE_GONE"))
        .await;
    service.faults(json!({})).await;
    let third = document(3).await;
    heard
        .shows("all three, and what became of each", |lines| {
            lines.lines().count() == 6
        })
        .await;
    heard.interrupt();
    assert_eq!(heard.ends(), 130);
    let (events, told) = events_and_files(&heard.out());
    let of = |at: usize| &told[events[at]["id"].as_str().unwrap()];
    let path = |told: &Value| PathBuf::from(told["saved"].as_str().unwrap());
    let (one, three) = (path(of(0)), path(of(2)));
    for (path, media) in [(&one, &first), (&three, &third)] {
        assert_eq!(hash(&fs::read(path).unwrap()), media["sha256"], "{path:?}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.ends_with("-lista.pdf"), "{name}");
    }
    assert_eq!(of(1)["saved"], Value::Null);
    assert!(of(1)["not_saved"].as_str().unwrap().contains("FILE_GONE"));
    // Nothing half is left of what failed.
    assert_eq!(fs::read_dir(&files).unwrap().count(), 2);

    // What is there is left as it is; what is not whole is fetched again.
    let inode = |path: &PathBuf| fs::metadata(path).unwrap().ino();
    let before = inode(&one);
    fs::write(&three, "half").unwrap();
    let mut again = listen(&[]);
    again
        .shows("all of them in words", |lines| {
            lines.matches(" saved as ").count() >= 2 && lines.lines().count() == 6
        })
        .await;
    again.interrupt();
    assert_eq!(again.ends(), 130);
    assert_eq!(inode(&one), before);
    assert_eq!(hash(&fs::read(&three).unwrap()), third["sha256"]);
    service.stop();
}

/// 8 MB more than before is what a file may take, whatever its size.
const MOST_GROWTH: u64 = 8_000_000;

#[tokio::test]
async fn a_file_of_a_hundred_megabytes_leaves_the_memory_flat() {
    let sandbox = SharedSandbox::start().await;
    let service = Service::start(|env| sandbox.apply(env)).await;
    let account = service.link("51").await;
    // A small one first, so that what is made once is there.
    let small = bytes(1, 3_000_000);
    let media = service
        .hears_file(&account, "document", "application/pdf", &small)
        .await;
    service.gives(&media, &small).await;
    let large = bytes(2, 100_000_000);
    let media = service
        .hears_file(&account, "document", "application/pdf", &large)
        .await;

    let pid = service.pid();
    let before = own_memory(pid);
    let most = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let watching = {
        let (most, is_over) = (Arc::clone(&most), Arc::clone(&is_over));
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                most.fetch_max(own_memory(pid), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        })
    };
    let began = std::time::Instant::now();
    let given = service.file(&media).await;
    let took = began.elapsed();
    is_over.store(true, Ordering::Relaxed);
    watching.join().unwrap();
    assert_eq!(given.status, 200);
    assert_eq!(hash(&given.bytes), media["sha256"]);
    let growth = most.load(Ordering::Relaxed).saturating_sub(before);
    println!("100 MB in {took:?}; {before} bytes before, {growth} more at most");
    assert!(growth < MOST_GROWTH, "{growth} bytes");
    service.stop();
    sandbox.stop();
}
