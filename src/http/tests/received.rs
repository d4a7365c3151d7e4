//! `GET /media/{id}`: who gets a file, what is answered when there is none, and how it is given. Files that a page brings are in
//! `tests/it/media_in.rs`.

use std::time::{Duration, Instant};

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{
    Answer, Api, assert_refused,
    event_log::{event, write},
    keys::Keyed,
    logged::Log,
};
use crate::{
    keys::Scope,
    ledger::{EventKind, NewEvent},
};

/// Of the ten bytes that the tests keep.
const HASH: &str = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
const BYTES: &str = "0123456789";

/// A message with a file.
fn message(session: &str, mimetype: &str, filename: &str) -> NewEvent {
    let data = json!({
        "id": "false_5491158254201@c.us_3A", "key": "3A", "chat": "5491158254201@c.us", "is_group": false,
        "from": {"phone": "5491158254201"}, "kind": "document",
        "media": {"mimetype": mimetype, "bytes": 10, "filename": filename, "sha256": HASH},
    });
    NewEvent {
        data: data.to_string().into(),
        ..event(session, filename, EventKind::Message)
    }
}

impl Api {
    /// The `media` of the only event.
    async fn media(&self) -> Value {
        let events = self.get("/events").await.json();
        events["events"][0]["data"]["media"].clone()
    }

    /// Keeps a file as if a page had brought it.
    fn keep(&self, media: &Value, session: &str) {
        let folder = self.data.path().join("media");
        let id = media["id"].as_str().unwrap();
        let note = json!({
            "session": session, "message": "false_5491158254201@c.us_3A", "mimetype": media["mimetype"], "filename": media["filename"],
            "bytes": 10, "sha256": HASH,
        });
        std::fs::write(folder.join(id), BYTES).unwrap();
        std::fs::write(folder.join(format!("{id}.json")), note.to_string()).unwrap();
    }

    async fn part(&self, media: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(media["url"].as_str().unwrap());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.call(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn an_event_names_its_file_and_the_file_is_given_whole_or_in_part() {
    let api = Api::new(&[]);
    write(&api, [message("51", "application/pdf", "factura.pdf")]).await;
    let media = api.media().await;
    let id = media["id"].as_str().unwrap();
    assert_eq!(media["url"], format!("/media/{id}"));
    assert_eq!(
        (&media["sha256"], &media["bytes"]),
        (&json!(HASH), &json!(10))
    );
    api.keep(&media, "51");

    let whole = api.part(&media, &[]).await;
    assert_eq!(
        (whole.status.as_u16(), &*whole.body),
        (200, BYTES.as_bytes())
    );
    assert_eq!(whole.headers["content-type"], "application/pdf");
    assert_eq!(whole.headers["accept-ranges"], "bytes");
    assert_eq!(whole.headers["content-length"], "10");
    let tag = whole.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag, format!("\"{HASH}\""));

    for (range, part, shown) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
    ] {
        let answer = api.part(&media, &[("Range", range)]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (206, part.to_owned())
        );
        assert_eq!(answer.headers["content-range"], shown);
    }
    let same = [("Range", "bytes=2-4"), ("If-Range", &*tag)];
    assert_eq!(api.part(&media, &same).await.status.as_u16(), 206);
    let other = [("Range", "bytes=2-4"), ("If-Range", "\"other\"")];
    assert_eq!(api.part(&media, &other).await.text(), BYTES);
    let none = api.part(&media, &[("Range", "bytes=10-")]).await;
    assert_refused(&none, 416, "RANGE_NOT_SATISFIABLE");
    assert_eq!(none.headers["content-range"], "bytes */10");
}

#[tokio::test]
async fn what_a_stranger_sends_is_no_page_and_has_a_harmless_name() {
    for (mimetype, filename) in [
        ("image/svg+xml", "../../dibujo.svg"),
        ("text/html", "dibujo.svg\r\nContent-Type: text/html"),
        ("application/xhtml+xml", "gvs.\u{202e}ojubid.svg"),
        ("not a type", "\"; filename=x.html"),
    ] {
        let api = Api::new(&[]);
        write(&api, [message("51", mimetype, filename)]).await;
        let media = api.media().await;
        api.keep(&media, "51");
        let answer = api.part(&media, &[]).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
        let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; sandbox"
        );
        let disposition = header("content-disposition");
        assert!(
            disposition.starts_with("attachment; filename=\""),
            "{disposition}"
        );
        assert_eq!(disposition.matches('"').count(), 2, "{disposition}");
        for bad in ["..", "/", "\r", "\n", "202e", "E2%80"] {
            assert!(!disposition.contains(bad), "{disposition}");
        }
        if mimetype == "not a type" {
            assert_eq!(header("content-type"), "application/octet-stream");
        }
    }
}

#[tokio::test]
async fn a_file_without_a_name_is_saved_under_one_that_ends_as_its_type_does() {
    for (mimetype, ending) in [
        ("image/jpeg", ".jpg"),
        ("audio/ogg; codecs=opus", ".ogg"),
        ("not a type", ""),
    ] {
        let api = Api::new(&[]);
        write(&api, [message("51", mimetype, "..")]).await;
        let media = api.media().await;
        api.keep(&media, "51");
        let answer = api.part(&media, &[]).await;
        let disposition = answer.headers["content-disposition"].to_str().unwrap();
        let name = format!("filename=\"{}{ending}\"", media["id"].as_str().unwrap());
        assert!(disposition.contains(&name), "{disposition}");
    }
}

#[tokio::test]
async fn a_file_is_for_keys_that_may_receive_of_its_session_and_for_no_others() {
    let keyed = Keyed::new(&[]);
    write(
        &keyed.api,
        [message("51", "application/pdf", "factura.pdf")],
    )
    .await;
    let receives = keyed.key("receives", Scope::Receive, &["51"]);
    let of_another = keyed.key("other", Scope::Receive, &["52"]);
    let reads = keyed.key("reads", Scope::Read, &[]);
    let events = keyed.call("GET", "/events", &receives, &json!({})).await;
    let media = events.json()["events"][0]["data"]["media"].clone();
    let path = media["url"].as_str().unwrap();
    keyed.api.keep(&media, "51");
    let get = async |key: &str| keyed.call("GET", path, key, &json!({})).await;
    assert_eq!(get(&receives).await.status.as_u16(), 200);
    // A caller does not learn that it exists.
    assert_refused(&get(&of_another).await, 404, "FILE_NOT_FOUND");
    assert_refused(&get(&reads).await, 403, "FORBIDDEN");
}

#[tokio::test]
async fn a_file_that_is_not_here_says_why() {
    let api = Api::new(&[]);
    write(&api, [message("51", "application/pdf", "factura.pdf")]).await;
    // Its session does not run, and was never seen.
    let media = api.media().await;
    assert_refused(&api.part(&media, &[]).await, 503, "FILE_NOT_READY");
    for unknown in [
        "med_00000000000000000000000000000000",
        "med_1",
        "..%2F..%2Fledger",
        "evt_00000000000000000000000000000000",
    ] {
        let answer = api.get(&format!("/media/{unknown}")).await;
        assert_refused(&answer, 404, "FILE_NOT_FOUND");
    }
    // A text has none.
    let texts = Api::new(&[]);
    write(&texts, [event("51", "a", EventKind::Message)]).await;
    let id = texts.get("/events").await.json()["events"][0]["id"].clone();
    let id = id.as_str().unwrap().replace("evt_", "med_");
    let answer = texts.get(&format!("/media/{id}")).await;
    assert_refused(&answer, 404, "FILE_NOT_FOUND");
}

#[tokio::test]
async fn a_note_whose_bytes_are_gone_or_cut_off_is_no_file() {
    let api = Api::new(&[]);
    write(&api, [message("51", "application/pdf", "factura.pdf")]).await;
    let media = api.media().await;
    api.keep(&media, "51");
    let folder = api.data.path().join("media");
    let file = folder.join(media["id"].as_str().unwrap());
    // It would be fetched again, by a session that is READY.
    std::fs::write(&file, &BYTES[..9]).unwrap();
    assert_refused(&api.part(&media, &[]).await, 503, "FILE_NOT_READY");
    std::fs::remove_file(&file).unwrap();
    assert_refused(&api.part(&media, &[]).await, 503, "FILE_NOT_READY");
    std::fs::write(&file, BYTES).unwrap();
    assert_eq!(api.part(&media, &[]).await.text(), BYTES);
}

#[tokio::test]
async fn files_of_sessions_that_cannot_bring_them_are_left_at_once() {
    let api = Api::new(&[("MEDIA_DOWNLOAD", "always")]);
    for session in ["51", "52"] {
        let files = (0..30).map(|file| message(session, "application/pdf", &file.to_string()));
        write(&api, files).await;
    }
    let ledger = api.registry.ledger();
    let newest = ledger.newest_event().await.unwrap();
    api.state.received.begin();
    let until = Instant::now() + Duration::from_secs(30);
    while ledger.place("media.fetch").await.unwrap() != Some(newest) {
        assert!(Instant::now() < until, "the files are not left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    api.state.received.shut_down().await;
}

#[tokio::test]
async fn a_file_is_not_done_with_while_the_store_is_away() {
    let api = Api::new(&[("MEDIA_DOWNLOAD", "always")]);
    let folder = api.data.path().join("media");
    write(&api, [message("51", "application/pdf", "factura.pdf")]).await;
    let ledger = api.registry.ledger();
    let newest = ledger.newest_event().await.unwrap();
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    let (log, _logging) = Log::begin();
    api.state.received.begin();
    let until = Instant::now() + Duration::from_secs(30);
    let place = async || ledger.place("media.fetch").await.unwrap();
    while !log.text().contains("files of messages cannot be kept") {
        assert!(Instant::now() < until, "it is not tried: {}", log.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let media = api.media().await;
    let refused = api.part(&media, &[]).await;
    assert_refused(&refused, 503, "FILE_UNAVAILABLE");
    assert!(place().await < Some(newest), "{:?}", place().await);
    // The store is back, but no page runs for this session, so the file cannot be fetched.
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    while place().await != Some(newest) {
        assert!(Instant::now() < until, "the file is not done with");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = log.text();
    assert_eq!(log.matches("files of messages cannot be kept").count(), 1);
    assert!(log.contains("no file of a message waits for the store"));
    api.state.received.shut_down().await;
}

#[tokio::test]
async fn a_large_file_is_not_fetched_before_a_caller_asks() {
    let api = Api::new(&[("MEDIA_DOWNLOAD", "always"), ("MEDIA_DOWNLOAD_MAX_MB", "1")]);
    let large = message("51", "application/pdf", "factura.pdf");
    let mut data: Value = serde_json::from_str(&large.data).unwrap();
    data["media"]["bytes"] = json!(1_000_001);
    let data = data.to_string().into();
    write(&api, [NewEvent { data, ..large }]).await;
    let ledger = api.registry.ledger();
    let newest = ledger.newest_event().await.unwrap();
    // One that is tried would wait for the store.
    let folder = api.data.path().join("media");
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    api.state.received.begin();
    let until = Instant::now() + Duration::from_secs(30);
    while ledger.place("media.fetch").await.unwrap() != Some(newest) {
        assert!(Instant::now() < until, "it is tried");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    api.state.received.shut_down().await;
}
