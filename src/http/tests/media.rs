//! `POST /media`: what is refused, and what is left of it. What is sent with a file is in `tests/it/media.rs`.

use axum::{
    body::{Body, Bytes},
    http::Request,
};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Duration, pause, timeout};

use super::{Answer, Api, assert_refused};

const DRAWING: &str = "<svg xmlns='http://www.w3.org/2000/svg'></svg>";

/// One field of a form.
fn field(disposition: &str, content: &str) -> String {
    format!("--x\r\ncontent-disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
}

fn file(content: &str) -> String {
    field("name=\"file\"; filename=\"a.txt\"", content)
}

impl Api {
    async fn brings_form(&self, form: impl Into<Body>) -> Answer {
        let request = Request::post("/media");
        let request = request.header("content-type", "multipart/form-data; boundary=x");
        self.call(request.body(form.into()).unwrap()).await
    }

    /// How many files the folder of what is brought has, with those that say something about others.
    fn outgoing(&self) -> usize {
        let files = self.data.path().join("outgoing").read_dir();
        files.map_or(0, Iterator::count)
    }
}

#[tokio::test]
async fn a_file_that_is_refused_leaves_nothing_behind_and_spares_the_same_one_that_was_brought_before()
 {
    let api = Api::new(&[("MEDIA_MAX_MB", "1")]);
    let end = "--x--\r\n";
    let too_large = "a".repeat(1_000_001);
    for (form, status, code) in [
        (
            [file(DRAWING), end.to_owned()].concat(),
            400,
            "INVALID_CONTENT",
        ),
        (
            [file(&too_large), end.to_owned()].concat(),
            413,
            "MEDIA_TOO_LARGE",
        ),
        ([file(""), end.to_owned()].concat(), 400, "INVALID_CONTENT"),
        (
            [file("one"), file("two"), end.to_owned()].concat(),
            400,
            "INVALID_CONTENT",
        ),
        (
            [file("one"), field("name=\"kind\"", "image"), end.to_owned()].concat(),
            400,
            "INVALID_CONTENT",
        ),
    ] {
        assert_refused(&api.brings_form(form).await, status, code);
        assert_eq!(api.outgoing(), 0, "{code}");
    }
    assert_refused(&api.post("/media", DRAWING).await, 400, "INVALID_CONTENT");
    assert_eq!(api.outgoing(), 0);

    let text = [file("one"), end.to_owned()].concat();
    let brought = api.brings_form(text).await;
    assert_eq!(brought.status, 201, "{}", brought.text());
    let before = api.outgoing();
    // Its bytes are those of a file that is there, and under another type they are refused.
    let same = "--x\r\ncontent-disposition: form-data; name=\"file\"\r\ncontent-type: image/svg+xml\r\n\r\none\r\n";
    let same = api.brings_form([same, end].concat()).await;
    assert_refused(&same, 400, "INVALID_CONTENT");
    assert_eq!(api.outgoing(), before);
}

#[tokio::test]
async fn a_form_that_stops_in_the_middle_of_a_field_is_given_up() {
    for begun in [
        "--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nhalf",
        "--x\r\ncontent-disposition: form-data; name=\"filename\"\r\n\r\nhalf",
        "--x\r\ncontent-disposition: form-data; name=\"mimetype\"\r\n\r\nhalf",
    ] {
        let api = Api::new(&[]);
        let sent = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(
            begun.as_bytes(),
        ))]);
        let form = Body::from_stream(sent.chain(stream::pending()));
        // Time goes on by itself while nothing else does.
        pause();
        let answered = timeout(Duration::from_secs(3600), api.brings_form(form)).await;
        tokio::time::resume();
        let answered = answered.unwrap_or_else(|_| panic!("it is waited for: {begun}"));
        assert_refused(&answered, 408, "REQUEST_TIMEOUT");
        assert_eq!(api.outgoing(), 0);
    }
}
