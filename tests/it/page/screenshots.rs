//! The pictures of docs/img, taken of the real thing: `scripts/screenshots`.

use std::path::Path;

use axum::{http::StatusCode, response::IntoResponse as _};
use chromiumoxide::{cdp::browser_protocol::page::CaptureScreenshotFormat, page::ScreenshotParams};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use serde_json::json;

use super::{
    TO,
    visitor::{Visitor, shown_code},
};
use crate::{
    support::Service,
    webhooks::{self, Target},
};

/// What a repository should carry of one picture.
const LARGEST: usize = 150_000;

async fn take(visitor: &Visitor, name: &str) {
    // Without a caret that blinks, and without the mark of what was pressed last.
    visitor.chrome.run("document.activeElement.blur()").await;
    let options = ScreenshotParams::builder()
        .format(CaptureScreenshotFormat::Png)
        .capture_beyond_viewport(true);
    let png = visitor
        .chrome
        .page()
        .screenshot(options.build())
        .await
        .unwrap();
    let png = packed(&png);
    assert!(png.len() < LARGEST, "{name} has {} bytes", png.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/img");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), png).unwrap();
}

/// The same picture, smaller: Chrome packs in a hurry, and areas of one colour need no filter.
fn packed(png: &[u8]) -> Vec<u8> {
    let picture = image::load_from_memory(png).unwrap().into_rgb8();
    let mut packed = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut packed, CompressionType::Best, FilterType::NoFilter);
    picture.write_with_encoder(encoder).unwrap();
    packed
}

/// A webhook that has delivered one event and given up another.
async fn take_webhooks(visitor: &Visitor, service: &Service) {
    let target = Target::open(|number| match number {
        1 => StatusCode::OK.into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    })
    .await;
    let wanted = json!({ "url": target.url, "types": ["message.any"], "cliente_ids": [51] });
    webhooks::add(service, &wanted).await;
    service.sends(51, TO, "Hola").await;
    let page = format!("{}/?webhooks", service.url());
    visitor.chrome.goto(&page).await;
    let delivered = "document.querySelector('.hook .facts:not(.settings) dd')?.textContent === '1'";
    visitor.chrome.until(delivered).await;
    service.sends(51, TO, "Hola otra vez").await;
    visitor
        .chrome
        .click(".hook[data-state=failing] summary")
        .await;
    visitor.chrome.shows(".dead li").await;
    take(visitor, "webhooks.png").await;
}

#[tokio::test]
#[ignore = "writes into docs/img; scripts/screenshots runs it"]
async fn pictures_for_the_documentation() {
    let service = Service::with(&[
        ("SANDBOX_ACK_SECONDS", "0.5"),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
        ("WEBHOOK_RETRY_SECONDS", "0"),
    ])
    .await;
    let visitor = Visitor::come().await;
    visitor.looks_at(1000, 640, "light").await;
    visitor.chrome.goto(service.url()).await;
    visitor.chrome.shows("#empty:not([hidden])").await;
    take(&visitor, "empty.png").await;

    service.link("52").await;
    let code = shown_code(&visitor, &service, "51").await;
    take(&visitor, "qr.png").await;
    visitor
        .chrome
        .goto(&format!("{}/phone", service.sandbox()))
        .await;
    visitor
        .chrome
        .shows("#codes [aria-label='Session 51'] canvas")
        .await;
    take(&visitor, "phone.png").await;
    visitor
        .chrome
        .goto(&format!("{}/?cliente_id=51", service.url()))
        .await;
    visitor.sees("QR_REQUIRED").await;

    service.scan(&code).await;
    visitor.sees("READY").await;
    visitor.fill("#send-to", TO).await;
    // All fonts have these letters.
    visitor.fill("#send-text", "Hola desde la página").await;
    visitor.chrome.click("#send-it").await;
    visitor.chrome.shows("#send[data-ack=read]").await;
    // Memory is measured every 15 s.
    visitor
        .chrome
        .until("/Memory\\d+ MB/.test(document.querySelector('#facts').textContent)")
        .await;
    take(&visitor, "connected.png").await;

    take_webhooks(&visitor, &service).await;

    service.faults(json!({ "page": "update" })).await;
    visitor.looks_at(375, 700, "dark").await;
    visitor
        .chrome
        .goto(&format!("{}/?cliente_id=53", service.url()))
        .await;
    visitor.sees("DISCONNECTED").await;
    visitor.chrome.click("#connect").await;
    visitor.sees("ERROR").await;
    visitor
        .chrome
        .until("!document.querySelector('#connect').ariaDisabled")
        .await;
    visitor.chrome.click("#see-evidence").await;
    visitor
        .chrome
        .until("document.querySelector('#evidence-picture').naturalWidth > 100")
        .await;
    take(&visitor, "error.png").await;
    service.stop();
}
