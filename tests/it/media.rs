//! Files that `/send` sends, with real pages: each kind by each adapter, in each way to bring a file, over kills of the service, and
//! from addresses that mean no good. What the recipient gets is what the simulated server has taken, decrypted.

pub(crate) mod hostile;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::{interval, sleep};

use crate::{
    adapters::served_by,
    ledger::becomes,
    support::{Answer, Service, answer, sandbox::SharedSandbox},
};

const FRIEND: &str = "5491150002222";

/// A picture of one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// One file of each kind, with the type under which it goes out. The bytes are looked at only so far that they are told apart.
pub(crate) fn files() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let with_rest = |head: &[u8]| [head, &[7; 5000]].concat();
    let opus = [b"OggS".as_slice(), &[0; 24], b"OpusHead"].concat();
    vec![
        ("image", "image/png", BASE64_STANDARD.decode(PNG).unwrap()),
        ("video", "video/mp4", with_rest(b"\0\0\0\x18ftypisom")),
        ("audio", "audio/mpeg", with_rest(b"ID3\x04")),
        ("voice", "audio/ogg; codecs=opus", with_rest(&opus)),
        ("document", "application/pdf", with_rest(b"%PDF-1.7\n")),
        ("sticker", "image/webp", with_rest(b"RIFF\0\0\0\0WEBPVP8 ")),
    ]
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

impl Service {
    /// Brings a file, and gives its id.
    async fn brings(&self, bytes: &[u8], mimetype: &str) -> String {
        let request = self.request(Method::POST, "/media?filename=lista.pdf");
        let request = request.header("content-type", mimetype);
        let brought = answer(request.body(bytes.to_vec())).await;
        assert_eq!(brought.status, 201, "{}", brought.text());
        let brought = brought.json();
        assert_eq!(
            (&brought["sha256"], &brought["bytes"]),
            (&json!(hash(bytes)), &json!(bytes.len()))
        );
        brought["id"].as_str().unwrap().to_owned()
    }

    async fn send_media(&self, media: Value) -> Answer {
        let fields = json!({ "cliente_id": 51, "to": FRIEND, "media": media });
        self.post("/send", &fields).await
    }

    /// Sends it, and gives what the server has taken.
    async fn sends_media(&self, account: &str, media: Value) -> Value {
        let sent = self.send_media(media).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        self.one_taken(account, sent.json()["message_id"].as_str().unwrap())
            .await
    }

    async fn one_taken(&self, account: &str, id: &str) -> Value {
        let taken = self.taken(account).await;
        let is_meant = |message: &&Value| id.contains(message["id"].as_str().unwrap());
        let found: Vec<_> = taken.iter().filter(is_meant).collect();
        assert_eq!(found.len(), 1, "{id}: {taken:?}");
        found[0].clone()
    }

    async fn keyed_media(&self, key: &str, media: Value) -> Answer {
        let body = json!({ "cliente_id": 51, "to": FRIEND, "media": media });
        let request = self.request(Method::POST, "/send");
        answer(request.header("Idempotency-Key", key).json(&body)).await
    }

    async fn sends_later(&self, media: Value) -> String {
        let body = json!({ "cliente_id": 51, "to": FRIEND, "media": media, "async": true });
        let sent = self.post("/send", &body).await;
        let id = sent.json()["message_id"].as_str().map(str::to_owned);
        id.unwrap_or_else(|| panic!("no message_id: {}", sent.text()))
    }
}

async fn sends_each_kind(adapter: &'static str, faults: Value) {
    let service = Service::start(served_by(adapter)).await;
    service.faults(faults).await;
    let account = service.link("51").await;
    for (at, (kind, mimetype, bytes)) in files().into_iter().enumerate() {
        let mut media = if at % 2 == 0 {
            json!({ "data": BASE64_STANDARD.encode(&bytes), "mimetype": mimetype })
        } else {
            json!({ "id": service.brings(&bytes, mimetype).await })
        };
        media["kind"] = json!(kind);
        let has_caption = ["image", "video", "document"].contains(&kind);
        if has_caption {
            media["caption"] = json!("la lista\nnueva 🎉");
        }
        if kind == "document" {
            media["filename"] = json!("../../etc/lista\u{7} de\u{202e} precios.pdf");
        }
        let taken = service.sends_media(&account, media).await;
        let got = &taken["media"];
        assert_eq!(got["problem"], Value::Null, "{taken}");
        assert_eq!(
            (
                &got["kind"],
                &got["mimetype"],
                &got["sha256"],
                &got["bytes"]
            ),
            (
                &json!(kind),
                &json!(mimetype),
                &json!(hash(&bytes)),
                &json!(bytes.len())
            ),
            "{taken}"
        );
        let caption = has_caption.then_some("la lista\nnueva 🎉");
        assert_eq!(
            got["caption"].as_str().filter(|text| !text.is_empty()),
            caption,
            "{taken}"
        );
        if kind == "document" {
            assert_eq!(got["filename"], "lista de precios.pdf", "{taken}");
        }
    }

    // A picture that is meant as a file stays one, and one that is shown once says so.
    let picture = json!({ "data": PNG, "kind": "document" });
    let taken = service.sends_media(&account, picture).await;
    assert_eq!(
        (&taken["media"]["kind"], &taken["media"]["mimetype"]),
        (&json!("document"), &json!("image/png")),
        "{taken}"
    );
    let once = json!({ "data": PNG, "view_once": true });
    let taken = service.sends_media(&account, once).await;
    assert_eq!(
        (&taken["media"]["kind"], &taken["media"]["view_once"]),
        (&json!("image"), &json!(true)),
        "{taken}"
    );

    // To a group, with a mention below a picture, and as an answer.
    let group = json!({ "name": "Familia", "participants": [FRIEND] });
    let group = service.does(&account, "group", group).await;
    let question = json!({ "from": FRIEND, "group": group, "body": "¿foto?" });
    let question = service.does(&account, "receive", question).await;
    service
        .hears("the group", |log| {
            log.iter()
                .any(|event| event["data"]["key"] == json!(question))
        })
        .await;
    let sent = json!({
        "cliente_id": 51, "to": format!("{group}@g.us"), "mentions": [FRIEND], "quote": question,
        "media": { "data": PNG, "caption": format!("Mirá, @{FRIEND}") },
    });
    let sent = service.post("/send", &sent).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let id = sent.json()["message_id"].as_str().unwrap().to_owned();
    let taken = service.one_taken(&account, &id).await;
    assert_eq!(
        (&taken["group"], &taken["mentions"], &taken["quote"]),
        (&json!(group), &json!([FRIEND]), &json!(question)),
        "{taken}"
    );
    service.stop();
}

#[tokio::test]
async fn each_kind_of_media_is_sent_by_the_modules_byte_by_byte() {
    sends_each_kind("modules", json!({})).await;
}

#[tokio::test]
async fn each_kind_of_media_is_sent_by_the_modules_where_chats_go_by_lid() {
    sends_each_kind("modules", json!({ "lid_chats": true })).await;
}

#[tokio::test]
async fn each_kind_of_media_is_sent_by_wa_js_byte_by_byte() {
    sends_each_kind("wa-js", json!({})).await;
}

#[tokio::test]
async fn what_is_typed_into_the_page_sends_no_media_and_says_so() {
    let service = Service::with(&[("ADAPTERS", "dom")]).await;
    service.link("51").await;
    let refused = service.send_media(json!({ "data": PNG })).await;
    refused.assert_refused(500, "SEND_FAILED");
    assert!(refused.text().contains("plain texts"), "{}", refused.text());
    service.stop();
}

#[tokio::test]
async fn a_file_comes_as_a_body_as_a_form_or_from_an_address_and_is_the_same_file() {
    let (service, account) = Service::linked(&[("MEDIA_ALLOW_PRIVATE", "true")]).await;
    let pdf = [b"%PDF-1.7\n".as_slice(), &vec![9; 300_000]].concat();
    let head = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"lista.pdf\"\r\ncontent-type: application/pdf\r\n\r\n";
    let form = [head.as_bytes(), &pdf, b"\r\n--x--\r\n"].concat();
    let request = service.request(Method::POST, "/media");
    let request = request.header("content-type", "multipart/form-data; boundary=x");
    let brought = answer(request.body(form)).await;
    assert_eq!(brought.status, 201, "{}", brought.text());
    let by_form = brought.json();
    assert_eq!(
        (
            &by_form["sha256"],
            &by_form["mimetype"],
            &by_form["kind"],
            &by_form["filename"]
        ),
        (
            &json!(hash(&pdf)),
            &json!("application/pdf"),
            &json!("document"),
            &json!("lista.pdf")
        )
    );
    let by_body = service.brings(&pdf, "application/pdf").await;
    let site = hostile::Site::serve(pdf.clone()).await;
    for media in [
        json!({ "id": by_form["id"] }),
        json!({ "id": by_body }),
        json!({ "url": site.url("/lista.pdf") }),
        json!({ "url": site.url("/moved") }),
    ] {
        let taken = service.sends_media(&account, media.clone()).await;
        let got = &taken["media"];
        assert_eq!(
            (&got["sha256"], &got["filename"], &got["mimetype"]),
            (
                &json!(hash(&pdf)),
                &json!("lista.pdf"),
                &json!("application/pdf")
            ),
            "{media}"
        );
    }
    let unknown = service.send_media(json!({ "id": "fil_nothing" })).await;
    unknown.assert_refused(404, "MEDIA_NOT_FOUND");
    service.stop();
}

#[tokio::test]
async fn the_same_key_five_times_over_a_kill_is_one_message_with_a_file() {
    let (service, account) = Service::linked(&[]).await;
    let id = service.brings(b"%PDF-1.7 precios", "application/pdf").await;
    let media = json!({ "id": id, "caption": "precios" });
    let first = service.keyed_media("order-7", media.clone()).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let again = service.keyed_media("order-7", media.clone()).await;
    assert_eq!(again.json(), first.json());
    let service = Service::start_in(service.kill(), |_| {}).await;
    service.connect(51).await;
    service.reaches("51", "READY").await;
    for _ in 0..2 {
        let again = service.keyed_media("order-7", media.clone()).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.json(), first.json());
    }
    // What is the same is the file, and not the way on which it has come.
    let bytes = BASE64_STANDARD.encode("%PDF-1.7 precios");
    let by_data = json!({ "data": bytes, "mimetype": "application/pdf", "filename": "lista.pdf", "caption": "precios" });
    let again = service.keyed_media("order-7", by_data).await;
    assert_eq!(again.json(), first.json());
    let other = BASE64_STANDARD.encode("%PDF-1.7 other");
    let other = json!({ "data": other, "mimetype": "application/pdf", "filename": "lista.pdf", "caption": "precios" });
    let other = service.keyed_media("order-7", other).await;
    other.assert_refused(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(service.taken(&account).await.len(), 1);
    service.stop();
}

#[tokio::test]
async fn a_repeated_key_is_answered_when_its_file_is_no_longer_where_it_was() {
    answers_without_its_file("72", (422, "IDEMPOTENCY_KEY_REUSED")).await;
}

#[tokio::test]
async fn a_repeated_key_is_answered_without_its_file_also_when_no_text_is_kept() {
    answers_without_its_file("0", (400, "MEDIA_UNREACHABLE")).await;
}

/// `recaptioned`: what another text below the same file is answered with.
async fn answers_without_its_file(retention: &str, recaptioned: (u16, &str)) {
    let settings = [
        ("MEDIA_ALLOW_PRIVATE", "true"),
        ("MESSAGE_RETENTION_HOURS", retention),
    ];
    let (service, account) = Service::linked(&settings).await;
    let site = hostile::Site::serve(b"%PDF-1.7 precios".to_vec()).await;
    let by_url = json!({ "url": site.url("/signed.pdf"), "caption": "precios" });
    let first = service.keyed_media("order-7", by_url.clone()).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let id = service.brings(b"%PDF-1.7 lista", "application/pdf").await;
    let by_id = json!({ "id": id, "filename": "precios.pdf" });
    let second = service.keyed_media("order-8", by_id.clone()).await;
    assert_eq!(second.status, 200, "{}", second.text());
    let outgoing = service.home().data().join("sandbox/outgoing");
    for file in std::fs::read_dir(outgoing).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    for (key, media, answered) in [("order-7", &by_url, &first), ("order-8", &by_id, &second)] {
        let again = service.keyed_media(key, media.clone()).await;
        assert_eq!(again.json(), answered.json(), "{key}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    // What tells without the file that it is another request still does.
    let other = json!({ "url": site.url("/signed.pdf"), "caption": "otra cosa" });
    let other = service.keyed_media("order-7", other).await;
    other.assert_refused(recaptioned.0, recaptioned.1);
    // What only the file could tell is not taken for the same one.
    let renamed =
        json!({ "url": site.url("/signed.pdf"), "caption": "precios", "filename": "otra.pdf" });
    let renamed = service.keyed_media("order-7", renamed).await;
    renamed.assert_refused(400, "MEDIA_UNREACHABLE");
    let by_data =
        json!({ "data": BASE64_STANDARD.encode("%PDF-1.7 precios"), "caption": "precios" });
    let by_data = service.keyed_media("order-10", by_data).await;
    assert_eq!(by_data.status, 200, "{}", by_data.text());
    let elsewhere = service.keyed_media("order-10", by_url.clone()).await;
    elsewhere.assert_refused(400, "MEDIA_UNREACHABLE");
    let unkeyed = service.send_media(by_url.clone()).await;
    unkeyed.assert_refused(400, "MEDIA_UNREACHABLE");
    let new_key = service.keyed_media("order-9", by_url).await;
    new_key.assert_refused(400, "MEDIA_UNREACHABLE");
    assert_eq!(service.taken(&account).await.len(), 3);
    service.stop();
}

#[tokio::test]
async fn a_kill_while_a_file_is_uploaded_and_one_after_its_message_was_handed_over_leave_one_message_each()
 {
    let (service, account) = Service::linked(&[]).await;
    let document =
        |text: &str| json!({ "data": BASE64_STANDARD.encode(text), "filename": "a.txt" });
    service.faults(json!({ "media_upload": "never" })).await;
    let uploading = service.sends_later(document("while it is uploaded")).await;
    sleep(Duration::from_secs(3)).await;
    let state = service.get(&format!("/messages/{uploading}")).await.json();
    assert_eq!(state["state"], "queued", "{state}");

    let service = Service::start_in(service.kill(), |_| {}).await;
    service.connect(51).await;
    service.reaches("51", "READY").await;
    becomes(&service, &uploading, "read").await;

    service.faults(json!({ "send": "lost" })).await;
    let handed = service.sends_later(document("handed over")).await;
    becomes(&service, &handed, "handed").await;
    let service = Service::start_in(service.kill(), |_| {}).await;
    service.connect(51).await;
    service.reaches("51", "READY").await;
    becomes(&service, &handed, "read").await;
    let taken = service.taken(&account).await;
    assert_eq!(taken.len(), 2, "{taken:?}");
    for (message, text) in taken.iter().zip(["while it is uploaded", "handed over"]) {
        assert_eq!(message["media"]["sha256"], json!(hash(text.as_bytes())));
    }
    service.stop();
}

#[tokio::test]
async fn a_file_that_is_being_uploaded_keeps_no_one_from_reading() {
    let (service, account) = Service::linked(&[]).await;
    service.faults(json!({ "media_upload": "never" })).await;
    let uploading = service.sends_later(json!({ "data": PNG })).await;
    // It began before its caller was answered, and nothing ends it.
    for _ in 0..3 {
        service.reads("/chats").await;
    }
    let state = service.get(&format!("/messages/{uploading}")).await.json();
    assert_eq!(state["state"], "queued", "{state}");
    service.faults(json!({})).await;
    becomes(&service, &uploading, "read").await;
    assert_eq!(service.taken(&account).await.len(), 1);
    service.stop();
}

#[tokio::test]
async fn a_server_that_takes_no_file_is_told_of_by_name_and_frees_the_key() {
    let (service, account) = Service::linked(&[]).await;
    service.faults(json!({ "media_upload": "refused" })).await;
    let refused = service.keyed_media("order-7", json!({ "data": PNG })).await;
    refused.assert_refused(500, "SEND_FAILED");
    assert!(
        refused.text().contains("not uploaded"),
        "{}",
        refused.text()
    );
    let failed = service
        .get("/messages?cliente_id=51&state=failed")
        .await
        .json();
    assert_eq!(
        failed["messages"][0]["code"], "MEDIA_NOT_UPLOADED",
        "{failed}"
    );
    service.faults(json!({})).await;
    let sent = service.keyed_media("order-7", json!({ "data": PNG })).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(service.taken(&account).await.len(), 1);
    service.stop();
}

#[tokio::test]
async fn a_file_that_whatsapp_refuses_for_good_is_not_uploaded_again_and_is_told_of_by_its_word() {
    let (service, account) = Service::linked(&[]).await;
    for (fault, word) in [
        ("too_large", "ERROR_TOO_LARGE"),
        ("forbidden", "ERROR_FORBIDDEN"),
    ] {
        service.faults(json!({ "media_upload": fault })).await;
        let refused = service.sends_later(json!({ "data": PNG })).await;
        let failed = becomes(&service, &refused, "failed").await;
        assert_eq!(failed["code"], "SEND_FAILED", "{failed}");
        let detail = failed["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{failed}");
        let waited = service.send_media(json!({ "data": PNG })).await;
        waited.assert_refused(500, "SEND_FAILED");
        assert!(waited.text().contains(word), "{}", waited.text());
    }
    // Each was uploaded once: another adapter would upload the same file to the same server.
    let log = service.log();
    assert!(!log.contains("plain texts"), "{log}");
    service.faults(json!({})).await;
    assert_eq!(service.send_media(json!({ "data": PNG })).await.status, 200);
    assert_eq!(service.taken(&account).await.len(), 1);
    service.stop();
}

/// The kernel's word on how much memory of its own a process has, in bytes.
pub(crate) fn own_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.unwrap().split_ascii_whitespace().next().unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_document_of_100_mb_goes_out_and_is_never_in_the_memory_of_the_service() {
    const BYTES: usize = 100_000_000;
    const PART: usize = 64 * 1024;
    let sandbox = SharedSandbox::start().await;
    let service = Service::start(|env| sandbox.apply(env)).await;
    let account = sandboxed(&service, &sandbox).await;
    // What the first of its kind needs for ever, is not counted.
    let id = service.brings(b"%PDF-1.7 small", "application/pdf").await;
    assert_eq!(service.send_media(json!({ "id": id })).await.status, 200);

    let pid = service.pid();
    let before = own_memory(pid);
    let watching = tokio::spawn(async move {
        let (mut most, mut looks) = (0, interval(Duration::from_millis(20)));
        loop {
            looks.tick().await;
            most = most.max(own_memory(pid));
            PEAK.store(most, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let mut digest = Sha256::new();
    let parts: Vec<Vec<u8>> = (0_u8..=255).map(|byte| vec![byte; PART]).collect();
    let count = BYTES / PART;
    for at in 0..count {
        digest.update(&parts[at % 256]);
    }
    let frames = (0..count).map(move |at| {
        let part = bytes::Bytes::from(parts[at % 256].clone());
        Ok::<_, std::io::Error>(hyper::body::Frame::data(part))
    });
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
    let request = service
        .request(Method::POST, "/media?filename=grande.bin")
        .header("content-type", "application/octet-stream")
        .timeout(Duration::from_secs(300));
    let brought = answer(request.body(reqwest::Body::wrap(body))).await;
    assert_eq!(brought.status, 201, "{}", brought.text());
    let after_bringing = PEAK.load(std::sync::atomic::Ordering::Relaxed);
    let fields = json!({ "cliente_id": 51, "to": FRIEND, "media": { "id": brought.json()["id"] } });
    let request = service
        .request(Method::POST, "/send")
        .timeout(Duration::from_secs(300));
    let sent = answer(request.json(&fields)).await;
    watching.abort();
    assert_eq!(sent.status, 200, "{}", sent.text());
    let most = PEAK.load(std::sync::atomic::Ordering::Relaxed);
    let grown = |to: u64| to.saturating_sub(before) / 1000;
    println!(
        "own memory: {} kB before; at most {} kB more while it came, {} kB more in all",
        before / 1000,
        grown(after_bringing),
        grown(most)
    );
    assert!(grown(most) < 8_000, "{} kB", grown(most));
    let sent = sandbox.api().taken(&account).await;
    let wanted = HEXLOWER.encode(&digest.finalize());
    let got = &sent.last().unwrap()["media"];
    assert_eq!(
        (&got["sha256"], &got["bytes"]),
        (&json!(wanted), &json!(count * PART))
    );
    service.stop();
    sandbox.stop();
}

static PEAK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Links a session whose WhatsApp is a sandbox of its own.
async fn sandboxed(service: &Service, sandbox: &SharedSandbox) -> String {
    service.connect(51).await;
    let code = service.code("51").await;
    let account = sandbox.api().scan(&code).await;
    service.reaches("51", "READY").await;
    account
}
