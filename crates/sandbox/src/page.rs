//! Serves the simulated WhatsApp Web and the phone's page.
//!
//! Responsible for: which file is where, the content security policy, refusing a headless user
//! agent, drawing codes. Not responsible for: what the page does (`page/`, in JavaScript).

use std::{collections::HashMap, io, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Query, State, WebSocketUpgrade},
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::stream;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::{
    App,
    answer::{Answer, ApiError, Fields},
    device::{self, MAX_FRAME_BYTES},
    faults::{Faults, MediaDownloadFault, MediaUploadFault, PageFault},
    media::MediaError,
    number::Number,
};

/// Names the account to the server before the page has said hello, so that its own faults shape
/// the page; set by the page, gone with its profile.
const ACCOUNT_COOKIE: &str = "sandbox_account";
/// A code's text has some 240 characters; nothing longer is drawn.
const LONGEST_CODE: usize = 1_000;

const SHELL: &str = include_str!("page/index.html");
const UPDATE: &str = include_str!("page/update.html");
const PHONE: &str = include_str!("page/phone.html");

/// Every static file: path, type, text. The scripts run in this order.
const FILES: &[(&str, &str, &str)] = &[
    ("/web/update.css", CSS, include_str!("page/update.css")),
    ("/web/page.css", CSS, include_str!("page/page.css")),
    ("/web/loader.js", JS, include_str!("page/loader.js")),
    ("/web/models.js", JS, include_str!("page/models.js")),
    ("/web/ids.js", JS, include_str!("page/ids.js")),
    ("/web/storage.js", JS, include_str!("page/storage.js")),
    ("/web/auth.js", JS, include_str!("page/auth.js")),
    ("/web/signal.js", JS, include_str!("page/signal.js")),
    ("/web/stream.js", JS, include_str!("page/stream.js")),
    ("/web/socket.js", JS, include_str!("page/socket.js")),
    ("/web/pairing.js", JS, include_str!("page/pairing.js")),
    ("/web/rows.js", JS, include_str!("page/rows.js")),
    (
        "/web/collections.js",
        JS,
        include_str!("page/collections.js"),
    ),
    ("/web/send.js", JS, include_str!("page/send.js")),
    ("/web/receipts.js", JS, include_str!("page/receipts.js")),
    ("/web/reactions.js", JS, include_str!("page/reactions.js")),
    ("/web/incoming.js", JS, include_str!("page/incoming.js")),
    ("/web/older.js", JS, include_str!("page/older.js")),
    ("/web/after.js", JS, include_str!("page/after.js")),
    ("/web/words.js", JS, include_str!("page/words.js")),
    ("/web/whats-new.js", JS, include_str!("page/whats-new.js")),
    ("/web/history.js", JS, include_str!("page/history.js")),
    (MEDIA_CRYPTO, JS, include_str!("page/media-crypto.js")),
    ("/web/upload.js", JS, include_str!("page/upload.js")),
    ("/web/media.js", JS, include_str!("page/media.js")),
    (
        "/web/media-process.js",
        JS,
        include_str!("page/media-process.js"),
    ),
    ("/web/media-send.js", JS, include_str!("page/media-send.js")),
    ("/web/passkey.js", JS, include_str!("page/passkey.js")),
    ("/web/landing.js", JS, include_str!("page/landing.js")),
    ("/web/by-number.js", JS, include_str!("page/by-number.js")),
    ("/web/compose.js", JS, include_str!("page/compose.js")),
    ("/web/chats.js", JS, include_str!("page/chats.js")),
    ("/web/boot.js", JS, include_str!("page/boot.js")),
    (WORKERS[0], JS, include_str!("page/agent-check.js")),
    (WORKERS[1], JS, include_str!("page/comms-worker.js")),
    (WORKERS[2], JS, include_str!("page/upload-worker.js")),
    ("/phone/phone.css", CSS, include_str!("page/phone.css")),
    ("/phone/phone.js", JS, include_str!("page/phone.js")),
    ("/phone/faults.js", JS, include_str!("page/faults.js")),
];
/// Run by the page, and by the worker that uploads.
const MEDIA_CRYPTO: &str = "/web/media-crypto.js";
/// Run by workers, not by the page.
const WORKERS: [&str; 3] = [
    "/web/agent-check.js",
    "/web/comms-worker.js",
    "/web/upload-worker.js",
];
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// `GET /` and `GET /send`: the simulated WhatsApp Web.
pub(super) async fn web(State(app): State<App>, headers: HeaderMap) -> Response {
    let account = account_of(&headers);
    let faults = app.server.read(|world| world.faults_of(account.as_ref()));
    let wait = match faults.page {
        Some(PageFault::NeverLoads) => Duration::MAX,
        Some(PageFault::Update | PageFault::Passkey | PageFault::NeverStarts) | None => {
            Duration::from_millis(faults.page_delay_ms.unwrap_or_default())
        }
    };
    tokio::select! {
        biased;
        () = app.stop.cancelled() => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        () = tokio::time::sleep(wait) => {}
    }
    if is_headless(&headers) || faults.page == Some(PageFault::Update) {
        return document(UPDATE, &faults);
    }
    document(SHELL, &faults)
}

/// `GET /web/update`: what a refused browser gets.
pub(super) async fn update() -> Response {
    document(UPDATE, &Faults::default())
}

/// `GET /phone`: the phone, for a person.
pub(super) async fn phone() -> Response {
    document(PHONE, &Faults::default())
}

/// Everything else that is a file.
pub(super) async fn file(path: Uri) -> Result<Response, ApiError> {
    let known = FILES.iter().find(|(known, _, _)| *known == path.path());
    let (_, kind, text) = known.ok_or_else(ApiError::unknown_path)?;
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, *text).into_response())
}

/// `GET /web/socket`: the connection of a page to the server.
pub(super) async fn socket(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES);
    upgrade.on_upgrade(move |socket| {
        let App {
            server,
            config,
            stop,
            connections,
        } = app;
        connections.track_future(device::serve(socket, server, config, stop))
    })
}

/// `POST /web/code {"text"}`: the dark and light squares of a code, row by row.
pub(super) async fn code(body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let text = fields.text("text", "give the text of the code")?;
    fields.done()?;
    let too_long = || ApiError::field("text", "too long for a code");
    if LONGEST_CODE < text.len() {
        return Err(too_long());
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| too_long())?;
    let colors = code.to_colors();
    let row = |row: &[qrcode::Color]| -> String {
        row.iter().map(|color| color.select('1', '0')).collect()
    };
    let rows: Vec<String> = colors.chunks(code.width()).map(row).collect();
    Ok(Answer(json!({ "rows": rows })))
}

/// `POST /mms/{type}/{hash}`: takes a medium that a page has encrypted, announced with the hash of the encrypted file.
pub(super) async fn upload(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let token = uri.path().rsplit('/').next().unwrap_or_default();
    match media_faults(&app, &headers).media_upload {
        Some(MediaUploadFault::Refused) => {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Some(MediaUploadFault::TooLarge) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Some(MediaUploadFault::Forbidden) => return StatusCode::FORBIDDEN.into_response(),
        Some(MediaUploadFault::Never) => {
            until_healed(&app, &headers, |faults| faults.media_upload.is_none()).await;
        }
        None => {}
    }
    match app.server.media().take(token, body).await {
        Ok(direct_path) => {
            Answer(json!({ "url": direct_path, "direct_path": direct_path })).into_response()
        }
        Err(MediaError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(why) => {
            tracing::debug!("the sandbox did not take an upload: {why}");
            StatusCode::BAD_REQUEST.into_response()
        }
    }
}

/// `GET /v/…?hash=`: the encrypted file of a medium, for a page that names its hash.
pub(super) async fn download(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let store = app.server.media();
    let token = query.get("hash").map_or("", String::as_str);
    let Some(path) = store.find(uri.path(), token) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut is_corrupt = false;
    match media_faults(&app, &headers).media_download {
        Some(
            MediaDownloadFault::Expired | MediaDownloadFault::Waiting | MediaDownloadFault::Gone,
        ) if !store.is_renewed(uri.path()) => return StatusCode::GONE.into_response(),
        Some(MediaDownloadFault::Never) => {
            until_healed(&app, &headers, |faults| faults.media_download.is_none()).await;
        }
        Some(MediaDownloadFault::Corrupt) => is_corrupt = true,
        Some(
            MediaDownloadFault::Expired | MediaDownloadFault::Waiting | MediaDownloadFault::Gone,
        )
        | None => {}
    }
    let Ok(file) = tokio::fs::File::open(path).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let length = file.metadata().await.map_or(0, |about| about.len());
    // In parts: a large file is never in memory as a whole.
    let parts = stream::try_unfold((file, is_corrupt), async |(mut file, is_corrupt)| {
        let mut part = vec![0; 64 * 1024];
        let read = file.read(&mut part).await?;
        part.truncate(read);
        if is_corrupt && let Some(first) = part.first_mut() {
            *first = !*first;
        }
        io::Result::Ok((read > 0).then(|| (Bytes::from(part), (file, false))))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

fn media_faults(app: &App, headers: &HeaderMap) -> Faults {
    let account = account_of(headers);
    app.server.read(|world| world.faults_of(account.as_ref()))
}

async fn until_healed(app: &App, headers: &HeaderMap, is_healed: impl Fn(&Faults) -> bool) {
    let mut revisions = app.server.revisions();
    let healed = revisions.wait_for(|_| is_healed(&media_faults(app, headers)));
    tokio::select! {
        biased;
        () = app.stop.cancelled() => {}
        // Neither outcome matters: the file is looked at either way.
        _healed = healed => {}
    }
}

fn account_of(headers: &HeaderMap) -> Option<Number> {
    cookie(headers, ACCOUNT_COOKIE).and_then(|raw| Number::parse(raw).ok())
}

/// Fills a document's placeholders and adds the headers that the real page has.
fn document(template: &str, faults: &Faults) -> Response {
    let nonce = STANDARD.encode(rand::random::<[u8; 16]>());
    let scripts = |prefix: &str| {
        let scripts = FILES.iter().filter(|(path, kind, _)| {
            *kind == JS && path.starts_with(prefix) && !WORKERS.contains(path)
        });
        scripts.fold(String::new(), |tags, (path, _, _)| {
            tags + "<script nonce=\"" + &nonce + "\" src=\"" + path + "\"></script>\n"
        })
    };
    // In a data block, where `<` must not open anything.
    let faults = serde_json::to_string(faults)
        .unwrap_or_default()
        .replace('<', "\\u003c");
    let html = template
        .replace("{{web_scripts}}", &scripts("/web/"))
        .replace("{{phone_scripts}}", &scripts("/phone/"))
        .replace("{{nonce}}", &nonce)
        .replace("{{faults}}", &faults);
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; worker-src 'self'; \
         style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    );
    let headers: [(HeaderName, String); 3] = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, Html(html)).into_response()
}

/// Whether the browser says that it is headless, in its user agent or in its client hints.
fn is_headless(headers: &HeaderMap) -> bool {
    let says = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.contains("HeadlessChrome"))
    };
    says("user-agent") || says("sec-ch-ua")
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?.split(';');
    let mut pairs = cookies.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}
