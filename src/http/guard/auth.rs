//! The guard before every route: who asks, and whether that is enough.
//!
//! | | |
//! |---|---|
//! | no key, an unknown one, one that has expired | 401 |
//! | two different ones | 400 |
//! | too many unknown ones from this address | 429, [`attempts`](super::attempts) |
//! | a known one without the scope that [`access`](super::access) asks for, or for other sessions | 403 |

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;

use super::{
    access::{Access, Table},
    caller::Caller,
    client::Client,
    request_facts::{GuardedRequest, RequestFacts},
};
use crate::{
    http::{state::AppState, wire::error::ApiError},
    keys::Verdict,
};

/// Lets a request through, with its [`Caller`], that may do what it asks for. What changes something is audited.
pub(in crate::http) async fn guard(
    State((app, table)): State<(AppState, Arc<Table>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(String::new, |route| route.as_str().to_owned());
    let client = Client::of(&request, app.config.trusted_proxies);
    let needed = table.needed(request.method(), &route);
    let (caller, may_pass) = judge(&app, &request, &route, needed, client);
    let facts = RequestFacts::of(request.extensions_mut());
    if !request.method().is_safe() {
        facts.audit();
    }
    facts.record(GuardedRequest {
        route,
        client,
        caller: caller.clone(),
    });
    if let Err(why) = may_pass {
        return why.into_response();
    }
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(client);
    next.run(request).await
}

fn judge(
    app: &AppState,
    request: &Request,
    route: &str,
    needed: Option<Access>,
    client: Client,
) -> (Caller, Result<(), ApiError>) {
    let needed = match needed {
        Some(Access::Key(scope)) => scope,
        Some(Access::Open | Access::OneTimeLink) => return (Caller::of_open_route(), Ok(())),
        None => {
            let why = ApiError::NoAccessRule(format!("{} {route}", request.method()));
            return (Caller::of_open_route(), Err(why));
        }
    };
    match caller(app, request.headers(), client) {
        Err(why) => (Caller::of_open_route(), Err(why)),
        Ok(caller) if caller.may(needed) => (caller, Ok(())),
        Ok(caller) => (caller, Err(ApiError::ScopeMissing(needed))),
    }
}

/// Whose key a request carries.
fn caller(app: &AppState, headers: &HeaderMap, client: Client) -> Result<Caller, ApiError> {
    let keys = keys_in(headers);
    let (attempts, now) = (&app.attempts, Timestamp::now());
    let judge = |key: Option<&[u8]>| app.keys.judge(key, now);
    let key = match keys.as_slice() {
        [] => None,
        [key] => Some(*key),
        _ if !app.keys.is_asked_for() => return Ok(Caller::without_key()),
        several => {
            // Refused whatever each of them is, or a wrong key beside a known one would be a guess that is not counted.
            let is_unknown = |key: &&[u8]| matches!(judge(Some(key)), Verdict::Wrong);
            let unknown: Vec<&[u8]> = several.iter().copied().filter(is_unknown).collect();
            if attempts.wait_of(client).is_none() && !unknown.is_empty() {
                attempts.count(client, &unknown);
            }
            return Err(ApiError::TwoKeys);
        }
    };
    match (judge(key), attempts.wait_of(client)) {
        (Verdict::NotAsked, _) => Ok(Caller::without_key()),
        (Verdict::Known(key), _) => Ok(Caller::holder_of(key)),
        (Verdict::Missing, _) => Err(ApiError::KeyMissing),
        (Verdict::Expired, _) => Err(ApiError::KeyExpired),
        (Verdict::Wrong | Verdict::Master, Some(wait)) => Err(ApiError::TooManyAttempts(wait)),
        (Verdict::Master, None) => Ok(Caller::master()),
        (Verdict::Wrong, None) => {
            attempts.count(client, key.as_slice());
            Err(ApiError::Unauthorized)
        }
    }
}

/// The different keys that a request carries, as `X-Api-Key` and as `Authorization: Bearer`, each of which may come twice.
fn keys_in(headers: &HeaderMap) -> Vec<&[u8]> {
    let own = headers.get_all("x-api-key").iter();
    let bearer = headers.get_all(header::AUTHORIZATION).iter();
    let bearer = bearer.filter_map(|value| bearer_token(value.as_bytes()));
    let keys = own.map(HeaderValue::as_bytes).chain(bearer);
    let mut keys: Vec<&[u8]> = keys.filter(|key| !key.is_empty()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn bearer_token(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn a_key_is_read_from_either_header_and_never_in_part() {
        let keys = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            let texts = keys_in(&headers).into_iter().map(String::from_utf8_lossy);
            texts.map(Cow::into_owned).collect()
        };
        let none: [&str; 0] = [];
        let read = |name, value| -> Vec<String> { keys(name, value) };
        for whole in ["s3cret", "Bearer s3cret", "S3CRET"] {
            assert_eq!(read("x-api-key", whole), [whole]);
        }
        assert_eq!(read("x-api-key", ""), none);
        for good in ["Bearer s3cret", "bearer s3cret", "Bearer  s3cret "] {
            assert_eq!(read("authorization", good), ["s3cret"], "{good}");
        }
        for bad in ["", "s3cret", "Basic s3cret", "Bearer", "Bearer "] {
            assert_eq!(read("authorization", bad), none, "{bad}");
        }
    }
}
