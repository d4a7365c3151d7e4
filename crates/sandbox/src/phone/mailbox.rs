//! What the owner of an account does on the phone, and what others do to it, as an HTTP API.
//!
//! Responsible for: reading these requests and wording their answers. Not responsible for: who may do what
//! (`server/mailbox`).

use std::{io, sync::Arc};

use axum::{body::Bytes, extract::State};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::{
    App,
    answer::{Answer, ApiError, Fields},
    number::Number,
    server::{Refusal, mailbox::Doer},
    stanza::{Chat, Letter, Media, MediaKind, Notice, Stanza},
};

/// So many messages and chats a burst or a history has at most.
const MOST: u64 = 20_000;

/// What a request about one message needs.
const ID: &str =
    "give the id of a message, as the answer to its writing or GET /phone/state has it";

/// `POST /phone/receive {"account", "from", "body", …}`: a person writes to the account.
pub(crate) async fn receive(
    State(app): State<App>,
    body: Bytes,
) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let from = fields.number("from")?;
    must_be_another(&account, &from, "from")?;
    let chat = match group(&mut fields)? {
        Some(group) => group,
        None => Chat::Person(from.clone()),
    };
    let doer = Doer {
        account,
        author: Some(from),
        name: fields.optional_text("name", "give the name that the sender has chosen")?,
        hidden: flag(&mut fields, "hidden")?,
    };
    let (mut letter, data) = letter(&mut fields)?;
    fields.done()?;
    enclose(&app, &mut letter, data).await?;
    Ok(answer(&app.server.write(doer, chat, letter)?))
}

/// `POST /phone/write {"account", "to" or "group", "body", …}`: the owner writes by hand, on the phone.
pub(crate) async fn write(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let chat = match group(&mut fields)? {
        Some(group) => group,
        None => Chat::Person(fields.number("to")?),
    };
    let (mut letter, data) = letter(&mut fields)?;
    fields.done()?;
    enclose(&app, &mut letter, data).await?;
    Ok(answer(&app.server.write(owner(account), chat, letter)?))
}

/// `POST /phone/edit {"account", "id", "body"}`: its author changes the text of a message.
pub(crate) async fn edit(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let id = fields.text("id", ID)?;
    let text = fields.text("body", "give the new text")?;
    fields.done()?;
    Ok(answer(&app.server.edit(account, id, text)?))
}

/// `POST /phone/delete {"account", "id", "by"?}`: a message is deleted for everybody.
pub(crate) async fn delete(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let id = fields.text("id", ID)?;
    let by = fields.optional_number("by")?;
    fields.done()?;
    Ok(answer(&app.server.delete(account, id, by)?))
}

/// `POST /phone/react {"account", "id", "from"?, "emoji"}`: without `from` it is the owner, on the phone.
pub(crate) async fn react(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let id = fields.text("id", ID)?;
    let author = fields.optional_number("from")?;
    let remedy = "give an emoji, or an empty text to take the reaction back";
    let emoji: Option<String> = fields.optional("emoji", remedy)?;
    let emoji = emoji.ok_or_else(|| ApiError::field("emoji", remedy))?;
    fields.done()?;
    let doer = Doer {
        author,
        ..owner(account)
    };
    Ok(answer(&app.server.react(doer, id, emoji)?))
}

/// `POST /phone/ack {"account", "id", "ack", "from"?}`: a recipient got, read or played an own message.
pub(crate) async fn ack(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let id = fields.text("id", ID)?;
    let remedy = "give \"delivered\", \"read\" or \"played\"";
    let ack = match fields.text("ack", remedy)?.as_str() {
        "delivered" => 2,
        "read" => 3,
        "played" => 4,
        _ => return Err(ApiError::field("ack", remedy)),
    };
    let from = fields.optional_number("from")?;
    fields.done()?;
    Ok(answer(&app.server.receipt(account, id, ack, from)?))
}

/// `POST /phone/resolve {"account", "id"}`: a message written with `waiting` can be decrypted now.
pub(crate) async fn resolve(
    State(app): State<App>,
    body: Bytes,
) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let id = fields.text("id", ID)?;
    fields.done()?;
    Ok(answer(&app.server.resolve(account, id)?))
}

/// `POST /phone/reveal {"account", "number"}`: the account learns the number of a sender who wrote with `hidden`.
pub(crate) async fn reveal(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let number = fields.number("number")?;
    fields.done()?;
    Ok(answer(&app.server.reveal(account, number)?))
}

/// `POST /phone/notice {"account", "kind", "from" or "group", "people"?}`: a line of a chat that WhatsApp wrote.
pub(crate) async fn notice(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let remedy = "give one of encrypted, group_created, group_add, group_join, group_remove, group_leave, group_promote, group_demote, group_subject, group_description";
    let kind: Option<Notice> = fields.optional("kind", remedy)?;
    let kind = kind.ok_or_else(|| ApiError::field("kind", remedy))?;
    let chat = group(&mut fields)?;
    let from = fields.optional_number("from")?;
    let people = fields.numbers("people")?;
    fields.done()?;
    let chat = match (chat, &from) {
        (Some(group), _) => group,
        (None, Some(from)) => Chat::Person(from.clone()),
        (None, None) => return Err(ApiError::field("from", "missing: give from, or group")),
    };
    let doer = Doer {
        author: from,
        ..owner(account)
    };
    Ok(answer(&app.server.notice(doer, chat, kind, people)?))
}

/// `POST /phone/post {"account", "from" or "channel", "body", "media"?}`: a status update of a person, or a channel's post.
pub(crate) async fn post(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let channel = fields.optional_text("channel", "give the digits of a channel's id")?;
    if channel
        .as_ref()
        .is_some_and(|id| id.len() < 10 || !id.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(ApiError::field(
            "channel",
            "give the digits of a channel's id, ten at least",
        ));
    }
    let author = match &channel {
        Some(_) => None,
        None => Some(fields.number("from")?),
    };
    let (mut letter, data) = letter(&mut fields)?;
    fields.done()?;
    enclose(&app, &mut letter, data).await?;
    let chat = channel.map_or(Chat::Status, Chat::Channel);
    let doer = Doer {
        author,
        ..owner(account)
    };
    Ok(answer(&app.server.write(doer, chat, letter)?))
}

/// `POST /phone/burst {"account", "chats", "messages"}`: many messages at once.
pub(crate) async fn burst(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let (account, chats, messages) = amounts(Fields::parse(&body)?)?;
    app.server.burst(&account, chats, messages)?;
    Ok(Answer(json!({ "account": account, "messages": messages })))
}

/// `POST /phone/history {"account", "chats", "messages", "older"?}`: what the next device that is linked finds, and what stays on the phone.
pub(crate) async fn history(
    State(app): State<App>,
    body: Bytes,
) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let older: Option<u64> = fields.optional("older", "give a number")?;
    let older = older.unwrap_or_default().min(MOST);
    let (account, chats, messages) = amounts(fields)?;
    if MOST < chats.saturating_mul(messages + older) {
        return Err(ApiError::field(
            "messages",
            format!("at most {MOST} in all chats"),
        ));
    }
    let set = app.server.set_history(&account, chats, messages, older);
    set.map_err(Refusal::from)?;
    Ok(Answer(
        json!({ "account": account, "messages": chats * messages, "older": chats * older }),
    ))
}

fn amounts(mut fields: Fields) -> Result<(Number, u64, u64), ApiError> {
    let account = fields.number("account")?;
    let chats = fields.count("chats", MOST)?;
    let messages = fields.count("messages", MOST)?;
    fields.done()?;
    Ok((account, chats, messages))
}

/// A medium, as a request has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MediaGiven {
    kind: MediaKind,
    mimetype: Option<String>,
    /// The bytes, in base64.
    data: Option<String>,
    /// What is said of the bytes when there are none.
    size: Option<u64>,
    #[serde(alias = "name")]
    filename: Option<String>,
    caption: Option<String>,
    seconds: Option<u32>,
}

/// The message of a request, and the bytes of its medium.
fn letter(fields: &mut Fields) -> Result<(Letter, Option<Vec<u8>>), ApiError> {
    let remedy = "give {\"kind\", \"data\"?, \"mimetype\"?, \"filename\"?, \"caption\"?, \"size\"?, \"seconds\"?}, kind one of image, \
         video, audio, voice, document, sticker, location, vcard, poll_creation, data in base64";
    let media: Option<MediaGiven> = fields.optional("media", remedy)?;
    let text = "give the text of the message";
    let (body, media, data) = match media {
        Some(given) => {
            let data = given.data.map(|data| STANDARD.decode(data)).transpose();
            let data = data.map_err(|_| ApiError::field("media", "data is not base64"))?;
            if data.as_ref().is_some_and(Vec::is_empty) {
                return Err(ApiError::field(
                    "media",
                    "the file is empty: choose one with at least one byte",
                ));
            }
            let media = Media {
                kind: given.kind,
                mimetype: given.mimetype,
                size: data
                    .as_ref()
                    .map_or(given.size, |data| Some(data.len() as u64)),
                name: given.filename,
                seconds: given.seconds,
                file: None,
            };
            let body = fields.optional_text("body", text)?.or(given.caption);
            (body.unwrap_or_default(), Some(media), data)
        }
        None => (fields.text("body", text)?, None, None),
    };
    let waiting = "give keys, fanout or view_once_unavailable_fanout";
    let letter = Letter {
        body,
        media,
        quote: fields.optional_text("quote", ID)?,
        mentions: fields.numbers("mentions")?,
        expires_after: fields.optional("expires_after", "give seconds, as a number")?,
        waiting: fields.optional("waiting", waiting)?,
    };
    Ok((letter, data))
}

/// The phone that writes encrypts the bytes and uploads them, before the message travels.
async fn enclose(app: &App, letter: &mut Letter, data: Option<Vec<u8>>) -> Result<(), ApiError> {
    let (Some(media), Some(data)) = (&mut letter.media, data) else {
        return Ok(());
    };
    let (store, kind) = (Arc::clone(app.server.media()), media.kind);
    let at = Timestamp::now().as_second();
    let kept = spawn_blocking(move || store.put(kind, &data, at)).await;
    let kept = kept.map_err(io::Error::other).flatten();
    media.file = Some(kept.map_err(Refusal::from)?);
    Ok(())
}

fn group(fields: &mut Fields) -> Result<Option<Chat>, ApiError> {
    let id = fields.optional_text(
        "group",
        "give the id of a group, as POST /phone/group answers it",
    )?;
    Ok(id.map(Chat::Group))
}

fn flag(fields: &mut Fields, name: &str) -> Result<bool, ApiError> {
    Ok(fields
        .optional(name, "give true or false")?
        .unwrap_or(false))
}

fn owner(account: Number) -> Doer {
    Doer {
        account,
        author: None,
        name: None,
        hidden: false,
    }
}

fn must_be_another(account: &Number, other: &Number, field: &str) -> Result<(), ApiError> {
    if account != other {
        return Ok(());
    }
    let why = "this is the account's own number: give another one";
    Err(ApiError::field(field, why))
}

fn answer(stanza: &Stanza) -> Answer<Value> {
    Answer(stanza.shown())
}
