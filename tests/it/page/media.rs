//! The files of messages on the service's page: what is shown of them, what is sent from it, and what is done to a message there.

use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use super::visitor::Visitor;
use crate::{media::hash, support::Service};

const FRIEND: &str = "5491150002222";
const QUESTION: &str = "¿Cómo quedó la vidriera?";
const CAPTION: &str = "Así quedó, mirá";
const ANSWER: &str = "Hermosa, acá va la lista";
const DOCUMENT: &str = "%PDF-1.7 los precios de hoy";

fn picture() -> String {
    let mut png = Cursor::new(Vec::new());
    let picture = RgbImage::from_fn(320, 180, |x, y| {
        let part = |at: u32, of: u32| u8::try_from(at * 255 / of).unwrap();
        Rgb([part(x, 320), 120, part(y, 180)])
    });
    picture.write_to(&mut png, ImageFormat::Png).unwrap();
    STANDARD.encode(png.into_inner())
}

/// A tenth of a second of silence: 800 samples of one byte, uncompressed (WAVE).
fn sound() -> String {
    let samples = [128; 800];
    let number = |number: u32| number.to_le_bytes();
    let format = [1, 0, 1, 0]
        .into_iter()
        .chain(number(8000))
        .chain(number(8000));
    let wave = b"RIFF".iter().copied().chain(number(36 + 800));
    let wave = wave.chain(*b"WAVEfmt ").chain(number(16)).chain(format);
    let wave = wave.chain([1, 0, 8, 0]).chain(*b"data").chain(number(800));
    STANDARD.encode(wave.chain(samples).collect::<Vec<u8>>())
}

impl Visitor {
    /// Looks at the messages: a picture is fetched when it comes into view.
    async fn scrolls(&self) {
        let scroll = "document.querySelector('#messages').scrollIntoView()";
        self.chrome.run(scroll).await;
    }

    /// What a row says, from the newest one on, where `part` is.
    async fn row_says(&self, row: usize, part: &str, text: &str) {
        let row = format!("#messages-list > li:nth-child({row}) {part}");
        let says = format!("document.querySelector({row:?})?.textContent.includes({text:?})");
        self.chrome.until(&says).await;
    }

    /// Chooses a file, as the dialog of the browser does.
    async fn chooses(&self, name: &str, mimetype: &str, text: &str) {
        self.chrome
            .run(&format!(
                "const chosen = new DataTransfer();
                 chosen.items.add(new File([{text:?}], {name:?}, {{ type: {mimetype:?} }}));
                 const field = document.querySelector('#send-file');
                 field.files = chosen.files;
                 field.dispatchEvent(new Event('change'))"
            ))
            .await;
    }
}

#[tokio::test]
async fn a_picture_is_shown_answered_with_a_file_and_reacted_to_on_the_page() {
    let (service, account) = Service::linked(&[]).await;
    service.hearing_is("live").await;
    service.secrets().remember_number(FRIEND);
    for text in [QUESTION, CAPTION, ANSWER] {
        service.secrets().remember_text(text);
    }
    let visitor = Visitor::come().await;
    let page = format!("{}/?cliente_id=51", service.url());
    visitor.chrome.goto(&page).await;
    visitor.sees("READY").await;
    visitor.scrolls().await;
    let receives = async |mut message: Value| {
        message["from"] = json!(FRIEND);
        message["name"] = json!("Ana");
        service.does(&account, "receive", message).await
    };
    let question = receives(json!({ "body": QUESTION })).await;
    let media =
        json!({"kind": "image", "mimetype": "image/png", "data": picture(), "caption": CAPTION});
    let shown = receives(json!({ "media": media, "quote": question })).await;

    // It is there without a click, with what it answers above it.
    let picture = "document.querySelector('#messages-list > li:first-child .media img')";
    let is_drawn = format!("{picture}?.naturalWidth === 320");
    visitor.chrome.until(&is_drawn).await;
    let source: String = visitor.chrome.value(&format!("{picture}.src")).await;
    assert!(source.starts_with("blob:"), "{source}");
    let words: String = visitor.chrome.value(&format!("{picture}.alt")).await;
    assert_eq!(words, CAPTION);
    visitor.row_says(1, ".text", CAPTION).await;
    visitor.row_says(1, "blockquote", QUESTION).await;
    visitor.assert_accessible("a picture that has come").await;

    let answer = "#messages-list > li:first-child .acts > button";
    visitor.chrome.click(answer).await;
    visitor.chrome.shows("#answering:not([hidden])").await;
    let to = "document.querySelector('#send-to').value";
    let to: String = visitor.chrome.value(to).await;
    assert_eq!(to, format!("+{FRIEND}"));
    assert!(visitor.text("#answers").await.contains(CAPTION));
    visitor
        .chooses("lista.pdf", "application/pdf", DOCUMENT)
        .await;
    visitor.fill("#send-text", ANSWER).await;
    visitor.assert_accessible("an answer with a file").await;
    visitor.chrome.click("#send-it").await;
    visitor.chrome.shows("#send[data-ack=read]").await;
    let taken = service.taken(&account).await;
    let [sent] = &taken[..] else {
        panic!("one message: {taken:?}");
    };
    assert_eq!(sent["quote"], json!(shown), "{sent}");
    let media = &sent["media"];
    assert_eq!(
        (
            &media["sha256"],
            &media["kind"],
            &media["filename"],
            &media["caption"]
        ),
        (
            &json!(hash(DOCUMENT.as_bytes())),
            &json!("document"),
            &json!("lista.pdf"),
            &json!(ANSWER)
        ),
        "{sent}"
    );
    // The next message is no answer, and has no file.
    visitor.chrome.shows("#answering[hidden]").await;
    let is_empty = "document.querySelector('#send-text').value === '' && document.querySelector('#send-file').files.length === 0";
    visitor.chrome.until(is_empty).await;

    // Above the picture now; what it answers is known by the row below.
    visitor.row_says(1, ".text", "Document: lista.pdf").await;
    visitor.row_says(1, "blockquote", CAPTION).await;
    let react = "#messages-list > li:nth-child(2) summary";
    visitor.chrome.click(react).await;
    visitor
        .assert_accessible("the reactions to choose from")
        .await;
    let heart = "#messages-list > li:nth-child(2) .emojis button:nth-child(2)";
    visitor.chrome.click(heart).await;
    visitor.row_says(2, ".reactions", "❤️").await;
    // The page hears of its own reaction before WhatsApp's server has it.
    let has_heart = |message: &Value| message["id"] == shown && message["reaction"] == "❤️";
    service
        .phone_shows("the reaction", |state| {
            state["received"].as_array().unwrap().iter().any(has_heart)
        })
        .await;
    visitor
        .chrome
        .shows(&format!("{heart}[aria-pressed=true]"))
        .await;
    // Once more takes it back.
    visitor
        .chrome
        .shows("#messages-list > li:nth-child(2) details:not([open])")
        .await;
    visitor.chrome.click(react).await;
    visitor.chrome.click(heart).await;
    visitor
        .chrome
        .shows("#messages-list > li:nth-child(2) .reactions[hidden]")
        .await;
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

#[tokio::test]
async fn a_file_that_is_no_picture_is_saved_and_what_is_gone_or_hostile_is_told_and_harmless() {
    let (service, account) = Service::linked(&[]).await;
    service.hearing_is("live").await;
    service.secrets().remember_number(FRIEND);
    let visitor = Visitor::come().await;
    let page = format!("{}/?cliente_id=51", service.url());
    visitor.chrome.goto(&page).await;
    visitor.sees("READY").await;
    visitor.scrolls().await;
    let receives = async |media: Value| {
        let message = json!({"from": FRIEND, "media": media});
        service.does(&account, "receive", message).await
    };
    // The policy of the page lets no script read a `blob:` address.
    visitor
        .chrome
        .run(
            "const make = URL.createObjectURL;
             window.made = [];
             URL.createObjectURL = (bytes) => { made.push(bytes); return make(bytes); }",
        )
        .await;
    let button = "#messages-list > li:first-child .media button";
    let document = STANDARD.encode(DOCUMENT);
    receives(json!({"kind": "document", "mimetype": "application/pdf", "filename": "lista.pdf", "data": document})).await;
    visitor.row_says(1, ".media", "Save (27 bytes)").await;
    visitor.chrome.click(button).await;
    let saved = "#messages-list > li:first-child .media a[download='lista.pdf']";
    visitor.chrome.shows(saved).await;
    let kind: String = visitor.chrome.value("made.at(-1).type").await;
    assert_eq!(kind, "application/octet-stream");
    let text: String = visitor.chrome.value("made.at(-1).text()").await;
    assert_eq!(text, DOCUMENT);

    receives(json!({"kind": "audio", "mimetype": "audio/mpeg", "data": sound()})).await;
    visitor.row_says(1, ".media", "Play (844 bytes)").await;
    visitor.chrome.click(button).await;
    let is_heard = "document.querySelector('#messages-list > li:first-child audio')?.duration > 0";
    visitor.chrome.until(is_heard).await;
    visitor.assert_accessible("files that came").await;

    // A drawing may have a script in it. By its own name it is bytes to the browser, which are saved and never opened.
    let drawing =
        "<svg xmlns='http://www.w3.org/2000/svg'><script>window.ran = true</script></svg>";
    receives(json!({"kind": "document", "mimetype": "image/svg+xml", "filename": "plano.svg", "data": STANDARD.encode(drawing)})).await;
    visitor
        .row_says(1, ".media", &format!("Save ({} bytes)", drawing.len()))
        .await;
    let before: usize = visitor.chrome.value("made.length").await;
    visitor.chrome.click(button).await;
    let saved = "#messages-list > li:first-child .media a[download='plano.svg'][href^='blob:']";
    visitor.chrome.shows(saved).await;
    let made: usize = visitor.chrome.value("made.length").await;
    assert_eq!(made, before + 1);
    let kind: String = visitor.chrome.value("made.at(-1).type").await;
    assert_eq!(kind, "application/octet-stream");
    let text: String = visitor.chrome.value("made.at(-1).text()").await;
    assert_eq!(text, drawing);
    let shown =
        "document.querySelectorAll('#messages-list :is(img, object, embed, iframe)').length";
    assert_eq!(visitor.chrome.value::<usize>(shown).await, 0);

    // Under the type of a picture it is none that the browser can read.
    receives(json!({"kind": "image", "mimetype": "image/png", "data": STANDARD.encode(drawing)}))
        .await;
    visitor
        .row_says(1, ".media", "This browser cannot show it")
        .await;
    visitor
        .chrome
        .shows("#messages-list > li:first-child .media a[href^='blob:']")
        .await;
    assert_eq!(visitor.chrome.value::<usize>(shown).await, 0);
    let kind: String = visitor.chrome.value("made.at(-1).type").await;
    assert_eq!(kind, "image/png");

    service.faults(json!({ "media_download": "gone" })).await;
    receives(json!({"kind": "image", "mimetype": "image/png", "data": picture()})).await;
    visitor
        .row_says(1, ".media", "WhatsApp no longer has this file")
        .await;
    visitor.chrome.shows(&format!("{button}[hidden]")).await;
    visitor.assert_accessible("files that are not there").await;
    // The last one was refused.
    visitor.assert_kept_to(&service, &["Failed to load resource"]);
    service.stop();
}
