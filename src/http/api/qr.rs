//! `GET /qr` and its older name `GET /qr-code`: the code to scan, as JSON or as a picture.
//!
//! `expires_in` is an estimate. WhatsApp's server hands out six codes at a time; the first lives 60 s, each other one
//! 20 s, and the page does not tell which one it shows. So the count of codes so far is taken to be in whole batches;
//! it is not when a batch was cut short, and then the true life may be the other of the two.

use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;

use super::status;
use crate::{
    config::CodeLives,
    http::{
        guard::reach::TargetOfCode,
        state::AppState,
        wire::{
            contract::{Qr, QrCodeAnswer, expires_in},
            error::ApiError,
            extract::{Json, answer_headers},
            parameters::{FormatInQuery, SessionInHeader, SessionInQuery},
            requests::{Format, word},
            target::Target,
        },
    },
    qr::QrPicture,
    session::{QrCode, SessionState, Snapshot},
};

impl FromRequestParts<AppState> for Format {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &AppState) -> Result<Self, ApiError> {
        Self::asked(parts.uri.query().unwrap_or_default(), &parts.headers)
    }
}

impl Format {
    /// `?format=` decides. Without it a caller that asks for a picture before all else gets one: `curl -H 'Accept: image/png'`,
    /// or an `<img>`, whose browser puts `image/avif` and the like first.
    fn asked(query: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut query = form_urlencoded::parse(query.as_bytes());
        if let Some((_, format)) = query.find(|(name, _)| name == "format") {
            return word(&format).ok_or(ApiError::InvalidFormat);
        }
        let accept = headers.get(header::ACCEPT);
        let accept = accept.and_then(|value| value.to_str().ok());
        Ok(match accept {
            Some(accept) if accept.trim_start().starts_with("image/") => Self::Png,
            Some(_) | None => Self::Json,
        })
    }
}

/// The code in the format asked for. When there is none, the answer in JSON says so with 200, and a picture is 404.
#[utoipa::path(get, path = "/qr", tag = "sessions", params(SessionInQuery, SessionInHeader, FormatInQuery), responses(
    (status = 200, description = "The code, or why there is none", content(
        (Qr = "application/json"), (String = "image/png"), (String = "image/svg+xml"), (String = "text/plain"),
    )),
))]
pub(in crate::http) async fn qr(
    State(app): State<AppState>,
    TargetOfCode(target): TargetOfCode,
    format: Format,
) -> Result<Response, ApiError> {
    let snapshot = status::snapshot(&app, &target.id);
    if format == Format::Json {
        return Ok(Json(in_words(target, &snapshot, app.config.code_lives())?).into_response());
    }
    let (code, _) = pending(&snapshot).ok_or_else(|| no_code(&snapshot))?;
    let picture = QrPicture::of(&code.text)?;
    Ok(match format {
        Format::Json | Format::Raw => (
            answer_headers("text/plain; charset=utf-8"),
            String::from(code.text.clone()),
        )
            .into_response(),
        Format::Ascii => {
            (answer_headers("text/plain; charset=utf-8"), picture.ascii()).into_response()
        }
        Format::Png => (answer_headers("image/png"), picture.png()?).into_response(),
        Format::Svg => (answer_headers("image/svg+xml"), picture.svg()).into_response(),
    })
}

/// The code under its older name.
#[utoipa::path(get, path = "/qr-code", tag = "sessions", params(SessionInQuery, SessionInHeader), responses(
    (status = 200, description = "The code", body = QrCodeAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn qr_code(
    State(app): State<AppState>,
    TargetOfCode(target): TargetOfCode,
) -> Result<Json<QrCodeAnswer>, ApiError> {
    let snapshot = status::snapshot(&app, &target.id);
    let (code, _) = pending(&snapshot).ok_or_else(|| no_code(&snapshot))?;
    Ok(Json(QrCodeAnswer {
        qr_data_url: QrPicture::of(&code.text)?.data_url()?,
        qr: code.text.clone().into(),
        status: snapshot.state.name(),
    }))
}

fn in_words(target: Target, snapshot: &Snapshot, lives: CodeLives) -> Result<Qr, ApiError> {
    let (state, cliente_id, session) = (snapshot.state.name(), target.echo, target.id.to_string());
    let Some((code, attempts)) = pending(snapshot) else {
        return Ok(Qr::NoQr {
            state,
            reason: why_none(snapshot),
            cliente_id,
            session,
        });
    };
    let qr = QrPicture::of(&code.text)?.data_url()?;
    let expires_in = expires_in(code, attempts, lives, Timestamp::now());
    Ok(Qr::QrAvailable {
        qr,
        state,
        attempts,
        expires_in,
        cliente_id,
        session,
    })
}

pub(super) fn pending(snapshot: &Snapshot) -> Option<(&QrCode, u32)> {
    if let SessionState::QrRequired {
        code: Some(code),
        attempts,
        ..
    } = &snapshot.state
    {
        Some((code, *attempts))
    } else {
        None
    }
}

pub(super) fn no_code(snapshot: &Snapshot) -> ApiError {
    ApiError::NoQr {
        state: snapshot.state.name(),
        reason: why_none(snapshot),
    }
}

/// Always says what to do or what to wait for.
fn why_none(snapshot: &Snapshot) -> String {
    if let Some(reason) = snapshot
        .reason
        .as_ref()
        .filter(|reason| !reason.detail.is_empty())
    {
        return reason.detail.clone();
    }
    match snapshot.state {
        SessionState::Init => {
            "Chrome is starting and WhatsApp Web is loading: ask again in a moment"
        }
        SessionState::QrRequired {
            pairing: Some(_), ..
        } => {
            "the page shows a code for linking by phone number, and none to scan: see pairing_code in /status"
        }
        SessionState::QrRequired { .. } => {
            "WhatsApp Web is about to show a code: ask again in a moment"
        }
        SessionState::Authenticated => "already linked: the chats are syncing, no code is needed",
        SessionState::Ready | SessionState::Hibernating => "already linked: no code is needed",
        SessionState::Disconnected => "the session is not running: POST /connect first",
        SessionState::Error => "the session has failed: POST /connect tries again",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::session::{Reason, ReasonCode};

    fn snapshot(state: SessionState, reason: Option<Reason>) -> Snapshot {
        Snapshot {
            state,
            reason,
            ..Snapshot::not_running(Timestamp::UNIX_EPOCH)
        }
    }

    #[test]
    fn the_format_comes_from_the_query_before_the_accept_header() {
        let asked = |query: &str, accept: &'static str| {
            let headers =
                HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            Format::asked(query, &headers).map_err(|error| error.facts().code)
        };
        assert_eq!(asked("", "*/*"), Ok(Format::Json));
        assert_eq!(asked("", "image/png"), Ok(Format::Png));
        assert_eq!(
            asked("", "image/avif,image/webp,*/*;q=0.8"),
            Ok(Format::Png)
        );
        assert_eq!(asked("", "text/html,image/png,*/*;q=0.8"), Ok(Format::Json));
        assert_eq!(
            asked("cliente_id=51&format=svg", "image/png"),
            Ok(Format::Svg)
        );
        assert_eq!(asked("format=json", "image/png"), Ok(Format::Json));
        for unknown in ["format=", "format=gif", "format=PNG"] {
            assert_eq!(asked(unknown, "*/*"), Err("INVALID_FORMAT"), "{unknown}");
        }
    }

    #[test]
    fn the_first_code_of_a_batch_lives_longer_and_no_life_is_negative() {
        let code = QrCode {
            text: "2@x".into(),
            shown_at: Timestamp::from_second(1000).unwrap(),
        };
        let left = |attempts, at: &str| {
            expires_in(&code, attempts, CodeLives::WHATSAPP, at.parse().unwrap())
        };
        assert_eq!(left(1, "1970-01-01T00:16:40Z"), 60);
        assert_eq!(left(1, "1970-01-01T00:16:40.2Z"), 59);
        assert_eq!(left(2, "1970-01-01T00:16:45Z"), 15);
        assert_eq!(left(6, "1970-01-01T00:16:45Z"), 15);
        assert_eq!(left(7, "1970-01-01T00:16:45Z"), 55);
        assert_eq!(left(2, "1970-01-01T00:20:00Z"), 0);
    }

    #[test]
    fn having_no_code_always_has_a_reason_that_helps() {
        let states = [
            SessionState::Init,
            SessionState::QrRequired {
                code: None,
                attempts: 6,
                pairing: None,
            },
            SessionState::Authenticated,
            SessionState::Ready,
            SessionState::Hibernating,
            SessionState::Disconnected,
            SessionState::Error,
        ];
        for state in states {
            for reason in [None, Some(Reason::new(ReasonCode::Internal, ""))] {
                assert!(
                    !why_none(&snapshot(state.clone(), reason)).is_empty(),
                    "{state:?}"
                );
            }
        }
        let known = Some(Reason::new(
            ReasonCode::ProfileInUse,
            "process 17 has it open",
        ));
        assert_eq!(
            why_none(&snapshot(SessionState::Error, known)),
            "process 17 has it open"
        );
    }
}
