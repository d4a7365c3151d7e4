//! `POST /api/sendText`, `sendImage`, `sendFile`, `sendVoice`, `sendVideo`, `sendLocation`, `sendPoll` and `sendContactVcard`: each is
//! a `POST /send` in WAHA's words.
//!
//! A request becomes a body of `/send`, and goes through the checks of that one: the ledger, the keys of requests and the limits are
//! the same. The headers `Idempotency-Key` and `Prefer: respond-async` and the parameter `dry_run` mean what they mean there.

use std::mem;

use axum::{
    extract::State,
    http::{StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::naming;
use crate::{
    extras::MediumKind,
    http::{
        api::send::{self, ParsedSend},
        state::AppState,
        wire::{
            body::LARGEST_SEND,
            error::ApiError,
            extract::{FromBody, Json, Object},
            requests::{Given, Nested, SendBody},
            target::Target,
            waha::{WahaContact, WahaMessage, WahaSendBody},
        },
    },
    session::Addressee,
};

/// A send as WAHA words it, before it is known what of.
#[derive(Debug)]
pub(in crate::http) struct Asked {
    pub(super) target: Target,
    pub(super) to: Addressee,
    fields: WahaSendBody,
    parts: Parts,
}

impl FromBody for Asked {
    type Fields = WahaSendBody;
    const LARGEST: usize = LARGEST_SEND;

    fn from_body(
        fields: WahaSendBody,
        _body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let target = naming::in_body("session", &fields.session, parts, app)?;
        let chat = match &fields.chat_id {
            Given::Value(chat) => Some(chat.as_str()),
            Given::Absent | Given::Null | Given::WrongType => None,
        };
        let to = naming::addressee("chatId", chat)?;
        if !matches!(fields.id, Given::Absent | Given::Null) {
            return Err(ApiError::InvalidContent {
                field: "id",
                why: "the service gives each message its id: leave it out; a request that may be made again takes the header Idempotency-Key".to_owned(),
            });
        }
        Ok(Self {
            target,
            to,
            fields,
            parts: parts.clone(),
        })
    }
}

/// `POST /api/sendText`.
pub(in crate::http) async fn text(
    State(app): State<AppState>,
    Json(mut asked): Json<Asked>,
) -> Result<Response, ApiError> {
    let text = mem::take(&mut asked.fields.text);
    let Given::Value(text) = text else {
        return Err(ApiError::WahaTextMissing);
    };
    if text.trim().is_empty() {
        return Err(ApiError::WahaTextMissing);
    }
    let mentions = given(mem::take(&mut asked.fields.mentions));
    let content = json!({ "message": &text, "mentions": mentions });
    asked.send(&app, content, text).await
}

/// `POST /api/sendImage`.
pub(in crate::http) async fn image(
    State(app): State<AppState>,
    Json(asked): Json<Asked>,
) -> Result<Response, ApiError> {
    asked.send_file(&app, MediumKind::Image).await
}

/// `POST /api/sendFile`.
pub(in crate::http) async fn file(
    State(app): State<AppState>,
    Json(asked): Json<Asked>,
) -> Result<Response, ApiError> {
    asked.send_file(&app, MediumKind::Document).await
}

/// `POST /api/sendVoice`.
pub(in crate::http) async fn voice(
    State(app): State<AppState>,
    Json(asked): Json<Asked>,
) -> Result<Response, ApiError> {
    asked.send_file(&app, MediumKind::Voice).await
}

/// `POST /api/sendVideo`.
pub(in crate::http) async fn video(
    State(app): State<AppState>,
    Json(asked): Json<Asked>,
) -> Result<Response, ApiError> {
    if asked.fields.as_note == Given::Value(true) {
        return Err(ApiError::InvalidContent {
            field: "asNote",
            why: "a round video is not sent: leave it out, and it goes as a plain one".to_owned(),
        });
    }
    asked.send_file(&app, MediumKind::Video).await
}

/// `POST /api/sendLocation`.
pub(in crate::http) async fn location(
    State(app): State<AppState>,
    Json(mut asked): Json<Asked>,
) -> Result<Response, ApiError> {
    let fields = &mut asked.fields;
    let content = json!({ "location": {
        "latitude": given(mem::take(&mut fields.latitude)),
        "longitude": given(mem::take(&mut fields.longitude)),
        "name": given(mem::take(&mut fields.title)),
    }});
    asked.send(&app, content, String::new()).await
}

/// `POST /api/sendPoll`.
pub(in crate::http) async fn poll(
    State(app): State<AppState>,
    Json(mut asked): Json<Asked>,
) -> Result<Response, ApiError> {
    let poll = needed("poll", mem::take(&mut asked.fields.poll))?;
    // WAHA knows one answer, or as many as a person likes.
    let choices = if poll.multiple_answers == Some(true) {
        None
    } else {
        Some(1)
    };
    let content = json!({ "poll": {
        "question": &poll.name,
        "options": poll.options,
        "choices": choices,
    }});
    asked.send(&app, content, poll.name).await
}

/// `POST /api/sendContactVcard`.
pub(in crate::http) async fn contacts(
    State(app): State<AppState>,
    Json(mut asked): Json<Asked>,
) -> Result<Response, ApiError> {
    let contacts = needed("contacts", mem::take(&mut asked.fields.contacts))?;
    let cards: Result<Vec<Value>, ApiError> = contacts.into_iter().map(card).collect();
    asked
        .send(&app, json!({ "contact": cards? }), String::new())
        .await
}

/// A card in the words of `/send`, which writes the vCard itself.
fn card(contact: WahaContact) -> Result<Value, ApiError> {
    let refused = |why: &str| ApiError::InvalidContent {
        field: "contacts",
        why: why.to_owned(),
    };
    if contact.vcard.is_some_and(|vcard| !vcard.is_empty()) {
        return Err(refused(
            "a ready vcard is not taken: give fullName and phoneNumber",
        ));
    }
    if contact.organization.is_some_and(|name| !name.is_empty()) {
        return Err(refused(
            "organization is not sent: leave it out, or put it into fullName",
        ));
    }
    let phone = contact.whatsapp_id.filter(|id| !id.is_empty());
    let phone = phone.or(contact.phone_number);
    let both = contact.full_name.zip(phone);
    let (name, phone) = both.ok_or_else(|| refused("each needs fullName and phoneNumber"))?;
    Ok(json!({ "name": name, "phone": phone }))
}

/// A value that the checks of `/send` look at.
fn given(value: Nested<Value>) -> Option<Value> {
    match value {
        Nested::Value(value) => Some(value),
        // Any value is read.
        Nested::Absent | Nested::Invalid(_) => None,
    }
}

fn needed<T>(field: &'static str, value: Nested<T>) -> Result<T, ApiError> {
    let why = match value {
        Nested::Value(value) => return Ok(value),
        Nested::Absent => "is missing".to_owned(),
        Nested::Invalid(why) => why,
    };
    Err(ApiError::InvalidContent { field, why })
}

impl Asked {
    /// Sends its file as this.
    async fn send_file(mut self, app: &AppState, kind: MediumKind) -> Result<Response, ApiError> {
        let file = needed("file", mem::take(&mut self.fields.file))?;
        let caption = mem::take(&mut self.fields.caption).value();
        // An empty one is what a client writes that has nothing to say.
        let caption = caption.filter(|caption| !caption.is_empty());
        let filename = file.filename.filter(|name| !name.is_empty());
        let mimetype = file.mimetype.filter(|mimetype| !mimetype.is_empty());
        let body = caption.clone().unwrap_or_default();
        let mut media = Object::new();
        for (name, value) in [
            // The bytes are moved, and not copied once more.
            ("data", file.data),
            ("url", file.url),
            ("id", file.id),
            ("mimetype", mimetype),
            ("filename", filename),
            ("caption", caption),
            ("kind", Some(kind.as_str().to_owned())),
        ] {
            media.insert(name.to_owned(), value.into());
        }
        let mut content = json!({ "mentions": given(mem::take(&mut self.fields.mentions)) });
        content["media"] = media.into();
        let sent = self.send(app, content, body).await;
        // The caller has named the file `file`, so the errors do as well.
        sent.map_err(|error| {
            if let ApiError::InvalidContent {
                field: "media",
                why,
            } = error
            {
                ApiError::InvalidContent { field: "file", why }
            } else if let ApiError::MediaUnreachable(why) = error {
                ApiError::WahaFileUnreachable(why)
            } else if let ApiError::MediaTooLarge(why) = error {
                ApiError::WahaFileTooLarge(why)
            } else if let ApiError::UnknownMedia = error {
                ApiError::WahaFileUnknown
            } else {
                error
            }
        })
    }

    /// Sends this content, a body of `/send` but for the recipient. `body`: what the answer has for a text.
    async fn send(
        self,
        app: &AppState,
        mut content: Value,
        body: String,
    ) -> Result<Response, ApiError> {
        let quoted = match self.fields.reply_to {
            Given::Value(id) => Some(id),
            Given::Absent | Given::Null => None,
            Given::WrongType => return Err(ApiError::InvalidQuote),
        };
        let has_media = content.get("media").is_some();
        content["to"] = self.to.as_str().into();
        content["quote"] = quoted.as_deref().into();
        let fields = SendBody::deserialize(content)?;
        let request = ParsedSend::of(self.target, fields, &self.parts)?;
        if request.is_dry_run() {
            return send::send(State(app.clone()), Json(request)).await;
        }
        let session = send::session_of(app, request.target())?;
        let (accepted, to) = send::accept(app, &session, request).await?;
        let account = session.snapshot().linked_account().cloned();
        let message = WahaMessage::of(&accepted, account.as_deref(), &to, body, quoted);
        let message = message.with_media(has_media);
        let status = if accepted.ack >= 1 {
            StatusCode::CREATED
        } else {
            StatusCode::ACCEPTED
        };
        let answer = (status, Json(message)).into_response();
        Ok(send::marked_as_replayed(answer, accepted.is_repeated))
    }
}
