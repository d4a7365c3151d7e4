//! Files that messages bring, out of real pages: what was sent comes out byte for byte, whatever happens meanwhile.

mod bucket;

use std::{
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

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{
    adapters::{CURRENT, bundle},
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
    let service = Service::start(|env| {
        env.insert("ADAPTERS", adapter.into());
        env.insert("WA_JS_PATH", bundle(CURRENT).into());
    })
    .await;
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
        .shows("all three", |lines| lines.lines().count() == 3)
        .await;
    heard.interrupt();
    assert_eq!(heard.ends(), 130);
    let said: Vec<Value> = heard
        .out()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let path = |event: &Value| PathBuf::from(event["saved"].as_str().unwrap());
    let (one, three) = (path(&said[0]), path(&said[2]));
    for (path, media) in [(&one, &first), (&three, &third)] {
        assert_eq!(hash(&fs::read(path).unwrap()), media["sha256"], "{path:?}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.ends_with("-lista.pdf"), "{name}");
    }
    assert_eq!(said[1]["saved"], Value::Null);
    assert!(said[1]["not_saved"].as_str().unwrap().contains("FILE_GONE"));
    // Nothing half is left of what failed.
    assert_eq!(fs::read_dir(&files).unwrap().count(), 2);

    // What is there is left as it is; what is not whole is fetched again.
    let inode = |path: &PathBuf| fs::metadata(path).unwrap().ino();
    let before = inode(&one);
    fs::write(&three, "half").unwrap();
    let mut again = listen(&[]);
    again
        .shows("all of them in words", |lines| {
            lines.matches(" (saved as ").count() >= 2 && lines.lines().count() == 3
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
