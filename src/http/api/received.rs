//! `GET /media/{id}`: the file that a message has brought.
//!
//! It comes from strangers, so no browser may take it for a page: it is an attachment, its type is not guessed, and a policy lets nothing
//! in it run. Its name is made harmless here; its type is what its sender says, if that is one.

use axum::{
    body::Body,
    extract::{FromRequestParts, RawPathParams, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};

use crate::{
    http::{
        guard::{caller::Caller, reach::serving},
        state::AppState,
        wire::{
            contract::FileBytes,
            error::ApiError,
            parameters::{MediaHeaders, MediaInPath},
        },
    },
    media::{self, kind::is_mimetype},
    received::{Described, Found, MediaId, Opened},
    session::ClienteId,
};

/// Nothing in it runs, loads or is framed, whatever a browser takes it for.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// What is not said to be anything.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Longer names are cut by file systems.
const LONGEST_NAME: usize = 120;

/// A type is a few words.
const LONGEST_TYPE: usize = 100;

/// A file that the caller reaches, by the id in the path.
#[derive(Debug)]
pub(in crate::http) struct Reached(Found);

impl FromRequestParts<AppState> for Reached {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|_| ApiError::UnknownFile)?;
        let id = params.iter().next().and_then(|(_, id)| MediaId::read(id));
        let id = id.ok_or(ApiError::UnknownFile)?;
        let found = app.received.find(&id).await?;
        let found = found.ok_or(ApiError::UnknownFile)?;
        let session: ClienteId = found.described.session.parse()?;
        let caller = Caller::of(&parts.extensions)?;
        // What it does not reach is not there: a caller does not learn that it exists.
        if caller.reaches(serving(app, &session)) {
            caller.is_about(&session);
            Ok(Self(found))
        } else {
            Err(ApiError::UnknownFile)
        }
    }
}

/// The file of a message, or a part of it. One that is not here yet is fetched first, which may take as long as a download.
#[utoipa::path(get, path = "/media/{id}", operation_id = "get_media", tag = "messages", params(MediaInPath, MediaHeaders), responses(
    (status = 200, description = "All of it, in the type that its sender says", body = inline(FileBytes), content_type = "application/octet-stream"),
    (status = 206, description = "The part that Range means", body = inline(FileBytes), content_type = "application/octet-stream"),
))]
pub(in crate::http) async fn get(
    State(app): State<AppState>,
    Reached(found): Reached,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let tag = tag_of(&found.described);
    let range = headers.get(header::RANGE).filter(|_| {
        let only_if = headers.get(header::IF_RANGE);
        only_if.is_none_or(|only_if| Some(only_if) == tag.as_ref())
    });
    let range = range.and_then(|range| range.to_str().ok());
    let opened = app.received.give(&found, range).await?;
    Ok(answer(&found, tag, opened))
}

fn answer(found: &Found, tag: Option<HeaderValue>, opened: Opened) -> Response {
    let Opened { size, part, bytes } = opened;
    let status = if part.is_asked_for {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let length = part.bytes.end - part.bytes.start;
    let mut response = (status, Body::from_stream(bytes)).into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: HeaderValue| {
        headers.insert(name, value);
    };
    set(header::CONTENT_TYPE, type_of(&found.described));
    set(header::CONTENT_LENGTH, length.into());
    set(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::CONTENT_DISPOSITION, disposition(found));
    if let Some(tag) = tag {
        set(header::ETAG, tag);
    }
    if part.is_asked_for {
        let (first, last) = (part.bytes.start, part.bytes.end.saturating_sub(1));
        // Digits are always a value.
        if let Ok(range) = HeaderValue::try_from(format!("bytes {first}-{last}/{size}")) {
            set(header::CONTENT_RANGE, range);
        }
    }
    response
}

/// The hash of a file identifies it.
fn tag_of(described: &Described) -> Option<HeaderValue> {
    let hash = described.sha256.as_deref()?;
    HeaderValue::try_from(format!("\"{hash}\"")).ok()
}

/// The type that the sender says, if it is one.
fn type_of(described: &Described) -> HeaderValue {
    let given = described.mimetype.as_deref().unwrap_or_default();
    if !is_mimetype(given) || LONGEST_TYPE < given.len() {
        return OCTETS;
    }
    HeaderValue::from_str(given).unwrap_or(OCTETS)
}

/// An attachment, with the name that the sender says, twice: for old clients in ASCII, for others as it is (RFC 6266).
fn disposition(found: &Found) -> HeaderValue {
    let name = found.described.filename.as_deref().map(harmless);
    let name = name.filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| {
        let typed = found.described.mimetype.as_deref();
        match typed.and_then(media::name::ending_of) {
            Some(ending) => format!("{}.{ending}", found.id),
            None => found.id.to_string(),
        }
    });
    let ascii: String = name
        .chars()
        .map(|letter| if letter.is_ascii() { letter } else { '_' })
        .collect();
    let in_address = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    let encoded: String = name.bytes().map(in_address).collect();
    let value = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}");
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// A name that ends no header, and whose `%` no reader takes for an escape.
fn harmless(name: &str) -> String {
    media::name::harmless_within(&name.replace('%', ""), LONGEST_NAME).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_elsewhere_hides_its_end_or_ends_a_header() {
        for (given, kept) in [
            ("factura.pdf", "factura.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\system32\\x.exe", "x.exe"),
            ("..", ""),
            (".bashrc", "bashrc"),
            ("a\r\nSet-Cookie: x=1", "aSet-Cookie x=1"),
            ("a\"; filename=\"b.exe", "a; filename=b.exe"),
            ("foto\u{202e}gpj.exe", "fotogpj.exe"),
            (" año 2026.pdf ", "año 2026.pdf"),
            ("/", ""),
        ] {
            assert_eq!(harmless(given), kept, "{given:?}");
        }
        let long = format!("{}.pdf", "x".repeat(500));
        assert_eq!(harmless(&long).len(), LONGEST_NAME);
        assert_eq!(&harmless(&long)[LONGEST_NAME - 4..], ".pdf");
    }

    #[test]
    fn a_type_that_is_none_is_octets() {
        let type_of = |mimetype: &str| {
            super::type_of(&Described::named(Some(mimetype), None))
                .to_str()
                .unwrap()
                .to_owned()
        };
        for good in ["image/jpeg", "audio/ogg; codecs=opus", "image/svg+xml"] {
            assert_eq!(type_of(good), good);
        }
        for bad in ["", "image", "text/html\r\nX: y", "a b/c", "/", "x/<y>"] {
            assert_eq!(type_of(bad), "application/octet-stream", "{bad:?}");
        }
    }
}
