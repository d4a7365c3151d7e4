//! One-time links: `POST /sessions/{id}/link` makes an address that shows the code of that session, and can do nothing else.
//!
//! For a person who has the phone and should have no key. Whether a link is good, [`link_store`](super::link_store) decides.

use std::time::Instant;

use axum::{
    extract::{FromRequestParts, RawPathParams, State},
    http::{StatusCode, request::Parts},
    response::Response,
};

use super::{
    events::{changes, drawn, lines_of},
    feed::{Feed, Line},
    status,
};
use crate::{
    http::{
        guard::{
            caller::Caller, public_url::PublicUrl, reach::TargetInPath, request_facts::RequestFacts,
        },
        page,
        serve::{server::HangUp, streams::Holder},
        state::AppState,
        wire::{
            contract::{LinkStatus, MadeLink, Moment},
            error::ApiError,
            extract::Json,
            parameters::SessionInPath,
        },
    },
    session::{ClienteId, ReasonCode, Snapshot},
};

/// The secret part of a link.
pub(in crate::http) struct Token(String);

impl FromRequestParts<AppState> for Token {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let path = RawPathParams::from_request_parts(parts, app).await;
        let path = path.map_err(|_not_utf8| ApiError::UnknownLink)?;
        let token = path.iter().next().map(|(_, token)| token.to_owned());
        token.map(Self).ok_or(ApiError::UnknownLink)
    }
}

/// Makes a one-time link to the code of a session, and starts the session unless it runs, so that there is one to show.
#[utoipa::path(post, path = "/sessions/{id}/link", tag = "sessions", params(SessionInPath), responses(
    (status = 201, description = "The link: good for 10 minutes, over once the phone is linked", body = MadeLink, content_type = "application/json"),
))]
pub(in crate::http) async fn make(
    State(app): State<AppState>,
    PublicUrl(base): PublicUrl,
    TargetInPath(target): TargetInPath,
) -> Result<(StatusCode, Json<MadeLink>), ApiError> {
    if app.registry.is_linked(&target.id).await {
        return Err(ApiError::AlreadyLinked);
    }
    let session = app.registry.find_or_create(&target.id)?;
    session.start();
    let (token, expires_at) = app.links.make(target.id, Instant::now())?;
    let link = MadeLink {
        success: true,
        url: format!("{base}/link/{token}"),
        expires_at: Moment(expires_at),
    };
    Ok((StatusCode::CREATED, Json(link)))
}

/// The page of a link, or one that says that it is over.
pub(in crate::http) async fn page(State(app): State<AppState>, Token(token): Token) -> Response {
    let snapshot = |id: &ClienteId| status::snapshot(&app, id);
    match app.links.find(&token, Instant::now(), snapshot) {
        Ok(_link) => page::of_link(),
        Err(why) => page::no_link(why),
    }
}

/// What that page shows, as it happens, until the phone is linked or the link is over.
pub(in crate::http) async fn events(
    State(app): State<AppState>,
    caller: Caller,
    facts: RequestFacts,
    hang_up: HangUp,
    Token(token): Token,
) -> Result<Response, ApiError> {
    let now = Instant::now();
    let link = app
        .links
        .find(&token, now, |id| status::snapshot(&app, id))?;
    let place = app.link_streams.take(Holder::OneTimeLink(link.sum))?;
    let left = link.expires.saturating_duration_since(now);
    let feed = Feed::open(place, hang_up).ending(left, Line::last("over", &()));
    let changes = changes(&app, Some(link.session.clone()));
    // Codes are shown for minutes and then given up; now a person looks again. What an operator has ended stays ended.
    // By then the session may be forgotten, and is made known again.
    let given_up = gave_up(&status::snapshot(&app, &link.session));
    let given_up = given_up.then(|| app.registry.find_or_create(&link.session));
    let given_up = given_up.transpose()?;
    // The one read that changes something, so the audit has it.
    if let Some(session) = given_up {
        caller.is_about(&link.session);
        session.start();
        facts.audit();
    }
    let (lives, expires_at) = (app.config.code_lives(), Moment(link.expires_at));
    let shown = move |id: &ClienteId, snapshot: Snapshot| {
        let status = drawn(LinkStatus::of(id, &snapshot, lives, expires_at))?;
        Some(if link.is_used(&snapshot) {
            Line::last("linked", &())
        } else {
            Line::new("session", &status)
        })
    };
    Ok(feed.answer(|| true, lines_of(changes, shown)))
}

/// Whether no phone scanned a code in time.
fn gave_up(snapshot: &Snapshot) -> bool {
    let reason = snapshot.reason.as_ref().map(|reason| reason.code);
    !snapshot.state.is_running() && reason == Some(ReasonCode::QrTimeout)
}
