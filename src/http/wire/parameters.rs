//! What requests carry in path, query and headers, as types: for the document alone. The handlers read it by themselves: what
//! is given twice, or empty, is taken in another way for each of these, as callers of the Node service rely on.
#![expect(dead_code, reason = "only the schemas are used")]

use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use super::requests::Format;
use crate::ledger::{DeliveryState, SendState};

/// The session that a read means. The query goes before the header, the header before `DEFAULT_CLIENTE_ID`; a stream is of all
/// sessions when neither has it.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct SessionInQuery {
    /// The session's name.
    #[param(inline, value_type = SessionName, required = false, example = "51")]
    cliente_id: Option<String>,
}

/// The session, where neither query nor body has it.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct SessionInHeader {
    /// The session's name, where neither query nor body has it.
    #[param(
        rename = "X-Cliente-Id",
        inline,
        value_type = SessionName,
        required = false,
        example = "51"
    )]
    x_cliente_id: Option<String>,
}

/// The session in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct SessionInPath {
    /// The session's name.
    #[param(inline, example = "51")]
    id: SessionName,
}

/// A session's name: for the document.
#[derive(Debug)]
struct SessionName;

impl ToSchema for SessionName {}

impl PartialSchema for SessionName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(64))
            .pattern(Some("^[A-Za-z0-9_-]+$"))
            .into()
    }
}

/// What a file is called.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct NameOfFile {
    /// What a document is called, where the body is the file itself; its type is the `Content-Type`.
    #[param(max_length = 1000, example = "lista.pdf")]
    filename: Option<String>,
}

/// The message in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct MessageInPath {
    /// The message's id, or the last part of it.
    #[param(example = "true_5491158254201@c.us_3EB0C1F0A7D2B84E9A61")]
    id: String,
}

/// The file in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct MediaInPath {
    /// The file's id, as an event has it (`data.media.id`).
    #[param(example = "med_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa")]
    id: String,
}

/// What `/media/{id}` reads of the headers.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct MediaHeaders {
    /// A part of the file, in bytes.
    #[param(rename = "Range", example = "bytes=0-1023")]
    range: Option<String>,
    /// The `ETag` of an earlier answer: a part is given only of the same file.
    #[param(rename = "If-Range", example = "\"x\"")]
    if_range: Option<String>,
}

/// The chat in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct ChatInPath {
    /// A phone number with its country code, or the address of a chat: `…@c.us`, `…@lid`, `…@g.us`.
    #[param(example = "5491158254201")]
    chat: String,
}

/// The webhook in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct WebhookInPath {
    /// The webhook's id.
    #[param(example = "wh_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa")]
    id: String,
}

/// Which deliveries.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct DeliveriesInQuery {
    /// Those that wait, which is the default, or those that were given up.
    #[param(inline, example = "dead")]
    state: Option<DeliveryStateName>,
    /// Those behind: the `next` of the answer before.
    #[param(example = 0)]
    after: Option<i64>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100, example = 10)]
    limit: Option<i64>,
}

/// A state of a delivery: for the document.
#[derive(Debug)]
struct DeliveryStateName;

impl ToSchema for DeliveryStateName {}

impl PartialSchema for DeliveryStateName {
    fn schema() -> RefOr<Schema> {
        let names = DeliveryState::ALL.map(DeliveryState::as_str);
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(names))
            .into()
    }
}

/// The form of a code.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct FormatInQuery {
    /// What the code is wanted as. Without it `Accept: image/…` asks for a PNG, anything else for JSON.
    #[param(inline, example = "json")]
    format: Option<Format>,
}

/// Which messages.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct MessagesInQuery {
    /// Those of one session; else of all that the key reaches.
    #[param(inline, value_type = SessionName, required = false, example = "51")]
    cliente_id: Option<String>,
    /// Those in one state.
    #[param(inline, example = "queued")]
    state: Option<MessageState>,
    /// Those behind: the `next` of the answer before.
    #[param(example = 0)]
    after: Option<i64>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100, example = 10)]
    limit: Option<i64>,
}

/// The chat in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct ChatParameter {
    /// The chat: a person's number with its country code, an address that ends in `@c.us` or `@lid`, or a group's, which ends in `@g.us`.
    #[param(example = "5491158254201")]
    chat: String,
}

/// The group in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct GroupParameter {
    /// The group's address.
    #[param(example = "120363041234567890@g.us")]
    id: String,
}

/// The person in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct NumberParameter {
    /// A number with its country code, or a LID, which ends in `@lid`.
    #[param(example = "5491158254201")]
    number: String,
}

/// Which part of a list that is read out of a page.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListInQuery {
    /// Those behind: the `next` of the answer before.
    #[param(example = "1790000000_5491158254201@c.us")]
    after: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 500, default = 100, example = 10)]
    limit: Option<i64>,
}

/// Which stored messages of a chat.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct StoredInQuery {
    /// Those before: the `next` of the answer before, or the id of a message of this chat.
    #[param(example = "false_5491158254201@c.us_3A5F0C2B1D4E6F708192")]
    before: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 200, default = 50, example = 10)]
    limit: Option<i64>,
    /// Whether the phone is asked for older ones, when WhatsApp Web has no more.
    #[param(example = false)]
    fetch: Option<bool>,
}

/// Which events.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct EventsInQuery {
    /// Those of one session; else of all that the key reaches.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_-]+$",
        example = "51"
    )]
    cliente_id: Option<String>,
    /// Only these types, with commas between them; `message.any` means `message` and `message.own`.
    #[param(example = "message.any,session.status")]
    types: Option<String>,
    /// Those behind: the `next` of the answer before, or `latest` for what comes from now on. Without it, from the oldest on.
    #[param(example = "latest")]
    after: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100, example = 10)]
    limit: Option<i64>,
    /// How many seconds to wait when there are none yet.
    #[param(minimum = 0, maximum = 60, default = 0, example = 0)]
    wait: Option<i64>,
}

/// What a stream shows.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct StreamInQuery {
    /// The events of the log of these types, as in `/events`, and what the sessions are doing if `session` is among them. Without
    /// `types` and `after`, only what the sessions are doing.
    #[param(example = "session")]
    types: Option<String>,
    /// The events of the log behind this one: the `next` of an answer of `/events`, the last id of a stream, or `latest`.
    #[param(example = "latest")]
    after: Option<String>,
}

/// What a client that opens a stream again sends by itself.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct LastEventId {
    /// The last id of the stream before. It goes before `after`.
    #[param(rename = "Last-Event-ID", example = "0")]
    last_event_id: Option<String>,
}

/// A state of a message: for the document.
#[derive(Debug)]
struct MessageState;

impl ToSchema for MessageState {}

impl PartialSchema for MessageState {
    fn schema() -> RefOr<Schema> {
        let names = SendState::ALL.map(SendState::as_str);
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(names))
            .into()
    }
}

/// How a message is to be sent.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct DryRunInQuery {
    /// Only find out whether the number is on WhatsApp and when a message would go out.
    #[param(example = true)]
    dry_run: Option<bool>,
}

/// What `/send` reads of the headers.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct SendHeaders {
    /// The caller's name for the request: made again, it is the same message.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[ -~]*[!-~][ -~]*$",
        example = "order-1234"
    )]
    idempotency_key: Option<String>,
    /// `respond-async`: answer as soon as the message is on disk, as with `async`.
    #[param(rename = "Prefer", example = "respond-async")]
    prefer: Option<String>,
}
