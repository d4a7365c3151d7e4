//! What the routes that read out of a session's page have in common: which chat, which part of a list.
//!
//! Not responsible for what is read: `session::reading` is.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use super::{paging, send::session_of};
use crate::{
    http::{
        guard::purpose,
        state::AppState,
        wire::{
            error::{ApiError, NotReadyToBeRead},
            extract::CLIENTE_ID,
            target::Target,
        },
    },
    session::{Addressee, InvalidRecipient, SendError, SessionHandle},
    whatsapp::List,
};

/// Entries in one answer, unless the caller wants fewer or more.
const PAGE: usize = 100;

/// The most that a caller may ask for at once: some kilobytes each at most.
pub(super) const LARGEST_PAGE: usize = 500;

/// What a list knows. A misspelt `limit` would show all of it, so nothing else is ignored, but for what pages add against caches.
const KNOWN: [&str; 3] = [CLIENTE_ID, "after", "limit"];

/// Reads the chat that a path names: by a person's number, a LID, or a group's address.
pub(super) async fn chat_of_path(
    parts: &mut Parts,
    app: &AppState,
) -> Result<Addressee, InvalidRecipient> {
    let params = RawPathParams::from_request_parts(parts, app).await;
    // What is not UTF-8 is no address either.
    let text = params.ok().and_then(|params| {
        let mut params = params.iter();
        params.next().map(|(_, chat)| chat.to_owned())
    });
    text.unwrap_or_default().parse()
}

/// The chat that is to be read.
#[derive(Debug)]
pub(in crate::http) struct ChatInPath(pub(super) Addressee);

impl FromRequestParts<AppState> for ChatInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let chat = chat_of_path(parts, app).await;
        chat.map(Self).map_err(ApiError::InvalidChatInPath)
    }
}

/// The session that is to be read.
pub(super) fn session_to_read(app: &AppState, target: &Target) -> Result<SessionHandle, ApiError> {
    let session = session_of(app, target).map_err(ApiError::from);
    session.map_err(naming(target))
}

/// Names the session in the error of a read: the request may have meant the default one without naming it.
pub(super) fn naming(target: &Target) -> impl Fn(ApiError) -> ApiError {
    let session = target.id.clone();
    move |why| {
        if let ApiError::Send(why @ SendError::NotReady { .. }) = why {
            let session = session.clone();
            NotReadyToBeRead { session, why }.into()
        } else {
            why
        }
    }
}

/// A part of a list that a query means.
#[derive(Debug)]
pub(in crate::http) struct Part(pub(super) List);

impl FromRequestParts<AppState> for Part {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &AppState) -> Result<Self, ApiError> {
        let mut list = List {
            after: None,
            limit: PAGE,
        };
        purpose::check_parameters(parts.uri.query(), &KNOWN)?;
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "after" if is_place(&value) => list.after = Some(value.as_ref().into()),
                "after" => return Err(ApiError::InvalidPlace),
                "limit" => list.limit = paging::limit_of(&value, LARGEST_PAGE)?,
                // The session, or what is added against caches.
                _ => {}
            }
        }
        Ok(Self(list))
    }
}

/// A place in such a list, as the page's script names it: the seconds of its time, and the chat.
fn is_place(text: &str) -> bool {
    let seconds = text.split_once('_').map(|(seconds, _)| seconds);
    seconds.is_some_and(|seconds| {
        (1..=12).contains(&seconds.len()) && seconds.bytes().all(|byte| byte.is_ascii_digit())
    })
}
