//! The simulated phone, as an HTTP API for tools and as a page for a person.
//!
//! Responsible for: reading requests and wording answers. Not responsible for: deciding
//! anything (`server`).

pub(super) mod groups;
pub(super) mod mailbox;

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Query, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    App,
    answer::{Answer, ApiError, Fields},
    code::ScannedCode,
    faults::Faults,
    number::Number,
    pairing::PairingCode,
    server::Refusal,
    world::PasskeyAnswer,
};

/// A page that waits for news gets an empty answer after this long, before a proxy cuts it.
const NEWS_TIMEOUT: Duration = Duration::from_secs(20);

/// `POST /phone/scan {"code", "number"?}`
pub(super) async fn scan(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let code = fields.text("code", "give the text that the QR code holds")?;
    let number = fields.optional_number("number")?;
    fields.done()?;
    let code = ScannedCode::parse(&code).ok_or(Refusal::UnknownCode)?;
    let account = app.server.scan(&code, number)?;
    Ok(Answer(json!({ "account": account })))
}

/// `POST /phone/pair {"number", "code"}`
pub(super) async fn pair(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let number = fields.number("number")?;
    let code = fields.text("code", "give the eight characters that the page shows")?;
    fields.done()?;
    let code = PairingCode::parse(&code).map_err(|why| ApiError::field("code", why))?;
    let account = app.server.pair(number, &code)?;
    Ok(Answer(json!({ "account": account })))
}

/// `POST /phone/passkey {"challenge", "answer"?}`
pub(super) async fn passkey(
    State(app): State<App>,
    body: Bytes,
) -> Result<Answer<Value>, ApiError> {
    const ANSWERS: &str = "give sign, refuse or ignore";
    let mut fields = Fields::parse(&body)?;
    let challenge = fields.text("challenge", "give the challenge that the page got")?;
    let answer = match fields.optional_text("answer", ANSWERS)?.as_deref() {
        None | Some("sign") => PasskeyAnswer::Sign,
        Some("refuse") => PasskeyAnswer::Refuse,
        Some("ignore") => PasskeyAnswer::Ignore,
        Some(_) => return Err(ApiError::field("answer", ANSWERS)),
    };
    fields.done()?;
    Ok(Answer(
        json!({ "assertion": app.server.sign(&challenge, answer)? }),
    ))
}

/// `GET /phone/messages?account=`
pub(super) async fn messages(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Answer<Vec<Value>>, ApiError> {
    let account = query
        .get("account")
        .map(|raw| Number::parse(raw))
        .transpose();
    let account = account.map_err(|why| ApiError::field("account", why))?;
    let concerned = |message: &Value| {
        let account = account.as_ref();
        account.is_none_or(|account| message["account"] == account.as_str())
    };
    let messages = app
        .server
        .read(|world| world.messages().filter(concerned).collect());
    Ok(Answer(messages))
}

/// `GET /phone/media?account=&id=`: the bytes of a message's medium, as a phone shows them.
pub(super) async fn media(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let of = |name: &str| query.get(name).map_or("", String::as_str);
    let account = Number::parse(of("account")).map_err(|why| ApiError::field("account", why))?;
    let found = app
        .server
        .read(|world| world.media_file(&account, of("id")));
    let (kind, file) = found.ok_or(Refusal::NoMedia)?;
    let store = Arc::clone(app.server.media());
    let opened = spawn_blocking(move || {
        let mut bytes = Vec::new();
        store
            .open_file(kind, &file, |part| bytes.extend_from_slice(part))
            .map(|_| bytes)
    });
    let bytes = opened.await.ok().and_then(Result::ok);
    let bytes = bytes.ok_or(Refusal::NoMedia)?;
    // Whatever it is, a browser shows it as a picture or not at all.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
    ];
    Ok((headers, bytes).into_response())
}

/// `POST /phone/unlink {"account"}`
pub(super) async fn unlink(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    fields.done()?;
    app.server.unlink(&account)?;
    Ok(Answer(json!({ "account": account })))
}

/// `POST /faults {…}`
pub(super) async fn set_faults(
    State(app): State<App>,
    body: Bytes,
) -> Result<Answer<Value>, ApiError> {
    let fields = Fields::parse(&body)?.into_map();
    let faults = Faults::parse(&fields).map_err(|(field, why)| {
        ApiError::field(field, format!("{why}; docs/sandbox.md lists the faults"))
    })?;
    app.server.set_faults(faults).await;
    Ok(Answer(app.server.read(|world| json!(world.faults()))))
}

/// `GET /faults`
pub(super) async fn faults(State(app): State<App>) -> Answer<Value> {
    Answer(app.server.read(|world| json!(world.faults())))
}

/// `GET /phone/state?after=`: everything that the phone's page shows, as soon as it is newer
/// than the revision that the caller has.
pub(super) async fn state(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Answer<Value>, ApiError> {
    let after = query.get("after").map(|raw| raw.parse::<u64>()).transpose();
    let after = after.map_err(|_| ApiError::field("after", "give the revision that you have"))?;
    let mut revisions = app.server.revisions();
    if let Some(after) = after {
        let newer = revisions.wait_for(|revision| *revision != after);
        tokio::select! {
            biased;
            () = app.stop.cancelled() => {}
            // Neither outcome matters: the caller gets the present state either way.
            _news = timeout(NEWS_TIMEOUT, newer) => {}
        }
    }
    let revision = *revisions.borrow();
    Ok(Answer(app.server.read(|world| {
        let codes = world.codes().map(|(page, code)| match code {
            Some((text, left)) => json!({
                "page": page, "name": world.name_of_code(&text), "text": text, "expires_in_ms": left.as_millis(),
            }),
            None => json!({ "page": page, "text": null }),
        });
        // Only the page shows the code itself, as on a real phone.
        let pairings = world.pairings().map(|(page, number, left)| {
            json!({ "page": page, "number": number, "expires_in_ms": left.as_millis() })
        });
        let passkeys = world.passkeys().map(|(page, passkey)| {
            json!({
                "page": page, "number": passkey.number, "challenge": passkey.challenge,
                "code": passkey.code.as_ref().map(PairingCode::as_str),
            })
        });
        let devices = world.devices().map(|(device, online)| {
            json!({ "id": device.id, "account": device.account, "name": world.name_of_account(&device.account), "linked_at": device.linked_at, "online": online })
        });
        json!({
            "revision": revision,
            "codes": codes.collect::<Vec<_>>(),
            "pairings": pairings.collect::<Vec<_>>(),
            "passkeys": passkeys.collect::<Vec<_>>(),
            "devices": devices.collect::<Vec<_>>(),
            "sent": world.messages().collect::<Vec<_>>(),
            "received": world.received(),
            "groups": world.groups.values().collect::<Vec<_>>(),
            "chat_states": world.chat_states,
            "faults": world.faults(),
        })
    })))
}
