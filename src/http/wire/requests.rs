//! What requests carry, as types: for the document alone. The handlers read it by themselves, to say exactly what is wrong.
#![expect(dead_code, reason = "only the schemas are used")]

use utoipa::{IntoParams, ToSchema};

use super::contract::NamedClienteId;

/// The session that a read means. The query goes before the header, the header before `DEFAULT_CLIENTE_ID`; a stream is of all
/// sessions when neither has it.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct SessionInQuery {
    /// The session's name.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_-]+$",
        example = "51"
    )]
    cliente_id: Option<String>,
}

/// The session, where neither query nor body has it.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct SessionInHeader {
    /// The session's name, where neither query nor body has it.
    #[param(
        rename = "X-Cliente-Id",
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_-]+$",
        example = "51"
    )]
    x_cliente_id: Option<String>,
}

/// The session in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct SessionInPath {
    /// The session's name.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_-]+$",
        example = "51"
    )]
    id: String,
}

/// The message in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct MessageInPath {
    /// The message's id, or the last part of it.
    #[param(example = "true_5491158254201@c.us_3EB0C1F0A7D2B84E9A61")]
    id: String,
}

/// The form of a code.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct FormatInQuery {
    /// What the code is wanted as. Without it `Accept: image/…` asks for a PNG, anything else for JSON.
    #[param(inline, example = "json")]
    format: Option<FormatName>,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
enum FormatName {
    Json,
    Png,
    Svg,
    Ascii,
    Raw,
}

/// Which messages.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct MessagesInQuery {
    /// Those of one session; else of all that the key reaches.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_-]+$",
        example = "51"
    )]
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

#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
enum MessageState {
    Queued,
    Handed,
    Sent,
    Delivered,
    Read,
    Failed,
    Unknown,
    Cancelled,
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

/// The body of `/connect`.
#[derive(Debug, ToSchema)]
#[schema(as = ConnectRequest)] // Generators name the body of `connect` "ConnectBody" themselves.
pub(in crate::http) struct ConnectBody {
    /// The session; without it the header, else `DEFAULT_CLIENTE_ID`.
    cliente_id: Option<NamedClienteId>,
    /// Until when to wait: a code to scan, or READY.
    #[schema(inline)]
    wait: Option<WaitName>,
    /// Link by a code to be typed on the phone with this number: one international number with its country code.
    #[schema(example = "+54 9 11 5825-4201")]
    phone: Option<String>,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
enum WaitName {
    Code,
    Ready,
}

/// The body of `/disconnect`.
#[derive(Debug, ToSchema)]
#[schema(as = DisconnectRequest)] // Generators name the body of `disconnect` "DisconnectBody" themselves.
pub(in crate::http) struct DisconnectBody {
    /// The session; without it the header, else `DEFAULT_CLIENTE_ID`.
    cliente_id: Option<NamedClienteId>,
    /// Unlink the device and delete the profile too. Needs the session to be named.
    logout: Option<bool>,
}

/// The body of `/send`.
#[derive(Debug, ToSchema)]
#[schema(as = SendRequest)] // Generators name the body of `send` "SendBody" themselves.
pub(in crate::http) struct SendBody {
    /// The session. A name that is no number goes into the header; one of both is needed, but in `SESSION_MODE=single`.
    #[schema(minimum = 1, example = 51)]
    cliente_id: Option<u64>,
    /// The recipient: one international number with its country code, as people write it, or a chat id (`…@c.us`). What
    /// could be read in two ways is refused.
    #[schema(example = "+54 9 11 5825-4201")]
    to: String,
    /// The text, sent as it is: at most 65,536 UTF-16 units.
    #[schema(min_length = 1, example = "Hola 👋")]
    message: String,
    /// Answer as soon as it is on disk.
    #[schema(nullable = false)]
    r#async: Option<bool>,
    /// As `dry_run` in the query: send nothing.
    #[schema(nullable = true)]
    dry_run: Option<bool>,
    /// As the header Idempotency-Key.
    #[schema(min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
}
