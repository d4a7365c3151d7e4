//! What each request may be refused with.

use serde_json::{Value, json};

use crate::http::{
    guard::access::Access,
    wire::error::{
        Code,
        Code::{
            AccountChanged, AlreadyLinked, Cancelled, Capacity, EvidenceOfChatsOff,
            EvidenceUnavailable, Forbidden, IdempotencyKeyReused, Internal, InvalidAfter,
            InvalidAsync, InvalidClienteId, InvalidDryRun, InvalidFormat, InvalidIdempotencyKey,
            InvalidJson, InvalidLimit, InvalidLogout, InvalidMessage, InvalidPhone, InvalidState,
            InvalidTo, InvalidWait, LedgerUnavailable, LinkedToAnotherNumber, LogoutUnconfirmed,
            MessageNotFound, MessagesBusy, MisdirectedRequest, NoEvidence, NoQr, NotCancellable,
            NotDeleted, NotLinked, NumberNotOnWhatsApp, OriginNotAllowed, PayloadTooLarge,
            PublicUrlUnknown, QueueFull, QueueTimeout, RequestTimeout, SendFailed, SendUnconfirmed,
            SessionLinked, SessionNotFound, SessionNotReady, SessionNotRunning, SessionRunning,
            ShuttingDown, TooManyAttempts, TooManyLinks, TooManyStreams, TwoKeys, Unauthorized,
            UnsupportedMediaType,
        },
    },
};

/// Whatever the session of a request is named by.
const NAMED: &[Code] = &[InvalidClienteId];

/// Of any body.
const BODY: &[Code] = &[
    InvalidJson,
    RequestTimeout,
    PayloadTooLarge,
    UnsupportedMediaType,
];

/// The codes of a route, each once.
pub(super) fn of(method: &str, path: &str, access: Access) -> Vec<Code> {
    let own: &[&[Code]] = match (method, path) {
        ("GET", "/status") => &[NAMED],
        ("GET", "/events/stream") => &[NAMED, &[TooManyStreams]],
        ("GET", "/qr") => &[NAMED, &[InvalidFormat, NoQr]],
        ("GET", "/qr-code") => &[NAMED, &[NoQr]],
        ("POST", "/connect") => &[
            NAMED,
            BODY,
            &[InvalidWait, InvalidPhone, LinkedToAnotherNumber, Capacity],
        ],
        ("POST", "/disconnect") => &[NAMED, BODY, &[InvalidLogout, NotLinked, LogoutUnconfirmed]],
        ("POST", "/send") => &[
            NAMED,
            BODY,
            &[InvalidTo, InvalidMessage, InvalidAsync, InvalidDryRun],
            &[
                InvalidIdempotencyKey,
                IdempotencyKeyReused,
                NumberNotOnWhatsApp,
            ],
            &[Cancelled, AccountChanged, QueueFull, QueueTimeout],
            &[
                SendFailed,
                SendUnconfirmed,
                SessionNotReady,
                LedgerUnavailable,
            ],
        ],
        ("GET", "/messages") => &[
            NAMED,
            &[InvalidState, InvalidAfter, InvalidLimit],
            &[MessagesBusy, LedgerUnavailable],
        ],
        ("GET", "/messages/{id}") => &[&[MessageNotFound, MessagesBusy, LedgerUnavailable]],
        ("DELETE", "/messages/{id}") => &[
            &[MessageNotFound, NotCancellable],
            &[MessagesBusy, LedgerUnavailable],
        ],
        ("DELETE", "/sessions/{id}") => &[
            NAMED,
            &[SessionNotFound, SessionRunning, SessionLinked, NotDeleted],
        ],
        ("POST", "/sessions/{id}/evidence") => &[
            NAMED,
            &[SessionNotRunning, EvidenceOfChatsOff, EvidenceUnavailable],
        ],
        ("GET", "/sessions/{id}/evidence" | "/sessions/{id}/evidence/screenshot.png") => {
            &[NAMED, &[NoEvidence, EvidenceUnavailable]]
        }
        ("POST", "/sessions/{id}/link") => &[
            NAMED,
            &[PublicUrlUnknown, AlreadyLinked, TooManyLinks, Capacity],
        ],
        _ => &[],
    };
    let mut codes = own.concat();
    if access != Access::Open {
        codes.extend([TwoKeys, Unauthorized, Forbidden, TooManyAttempts]);
    }
    codes.extend([OriginNotAllowed, MisdirectedRequest]);
    if method != "GET" {
        codes.push(ShuttingDown);
    }
    codes.push(Internal);
    codes
}

/// The answer with these codes.
pub(super) fn answer(path: &str, status: u16, codes: &[Code]) -> Value {
    let line = |code: &Code| format!("`{}`: {}.", code.as_str(), code.remedy());
    let mut description: Vec<String> = codes.iter().map(line).collect();
    let mut schema = json!({"$ref": "#/components/schemas/Error"});
    if has_reasons(path, status) {
        description.push("Else the reason of the session, as in docs/reasons.md.".to_owned());
    } else {
        let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        schema = json!({"allOf": [schema, {"properties": {"code": {"enum": names}}}]});
    }
    json!({
        "description": description.join("\n"),
        "content": {"application/json": {"schema": schema}},
    })
}

/// A start that fails says why in the words of the session.
fn has_reasons(path: &str, status: u16) -> bool {
    path == "/connect" && [400, 429, 500].contains(&status)
}
