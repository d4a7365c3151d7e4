//! The calls to Central Hub, and what each answer means for a repetition.
//!
//! ```text
//!  no token, or one of 20 minutes ──▶ POST /api/auth/login ──▶ POST /api/listener/… ── 401 ──▶ once: login, and the call again
//! ```
//!
//! Responsible for the token. Not responsible for what is reported (`report`), nor for what was reported before: [`Call`] only says
//! whether the hub has a call, certainly does not have it, or may have it.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    delivery::client::{Answer, HttpClient, Patience, REST_TIMEOUT, Unreached},
    masked::Credential,
};

/// How long a call may take, as the service had it that the hub knows.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// A hub that has taken something so short a time ago is there.
const STILL_THERE: Duration = Duration::from_secs(10);

/// A token is good for longer; that of the service before was renewed after this.
const TOKEN_LIFE: Duration = Duration::from_secs(20 * 60);

const LOGIN: &str = "/api/auth/login";
const LISTENER: &str = "/api/listener/";

/// Where the hub is, and what it knows the service by.
#[derive(Clone, Debug)]
pub struct HubAccess {
    /// Its address, without a `/` at the end.
    pub base: String,
    /// The name to log in with.
    pub user: String,
    /// The password.
    pub pass: Credential,
    /// What it wants to see with messages, if anything.
    pub internal_token: Option<Credential>,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// The hub has taken it.
    Taken,
    /// It does not have it: it was not reached, or says that it takes nothing at the moment.
    NotReached {
        why: String,
        retry_after: Option<Duration>,
    },
    /// It is there, and does not have this one, which something has kept from it, or for which it has no route.
    Declined { why: String },
    /// It will not have this one, however often it is made.
    Refused { why: String },
    /// It may have it: it was asked, and has said nothing that could be relied on.
    Unknown { why: String },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Hub {
    access: HubAccess,
    client: HttpClient,
    token: Mutex<Token>,
    /// When it has last taken a login or a call.
    good_at: parking_lot::Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Token {
    /// The token, and since when.
    present: Option<(Credential, Instant)>,
    /// Grows with each login: a call that was refused must not throw away the token that another one has got since.
    number: u64,
    /// A call was left without a clear answer since the last login.
    is_hub_suspect: bool,
}

#[derive(Serialize)]
struct Login<'a> {
    username: &'a str,
    password: &'a str,
}

impl Hub {
    pub(super) fn new(access: HubAccess) -> Self {
        Self {
            access,
            // An operator has set where the hub is, often on this machine. A connection that was kept may be gone when a call is
            // written to it, and then it would not be known whether the hub has that call.
            client: HttpClient::without_reuse(true),
            token: Mutex::default(),
            good_at: parking_lot::Mutex::default(),
        }
    }

    /// Makes sure that the hub can be asked: that there is a token, and that it answers, if the last call was left without a clear
    /// answer. To be asked before a call that must not be repeated: a login may be.
    pub(super) async fn is_there(&self) -> Result<(), Call> {
        let mut token = self.token.lock().await;
        if token.is_hub_suspect {
            token.present = None;
        }
        self.ensure_token(&mut token).await.map(drop)
    }

    /// Makes a call of the listener, with this name and body; with `is_internal` it carries the internal token too.
    pub(super) async fn call(&self, name: &str, body: &[u8], is_internal: bool) -> Call {
        let path = format!("{LISTENER}{name}");
        let mut refused = None;
        // A token may be over before its time, as when the hub was started again: once more with another one.
        for _ in 0..2 {
            let (token, number) = {
                let mut token = self.token.lock().await;
                if refused == Some(token.number) {
                    token.present = None;
                }
                match self.ensure_token(&mut token).await {
                    Ok(text) => (text, token.number),
                    Err(why) => return why,
                }
            };
            let answered = self.post(&path, &token, is_internal, body.to_vec()).await;
            if let Ok(Answer { status, .. }) = &answered
                && *status == StatusCode::UNAUTHORIZED
            {
                refused = Some(number);
                continue;
            }
            let call = judge(name, answered);
            match call {
                Call::Taken => self.note_good(),
                Call::Unknown { .. } | Call::NotReached { .. } => {
                    self.token.lock().await.is_hub_suspect = true;
                }
                Call::Declined { .. } => return self.checked(call).await,
                Call::Refused { .. } => {}
            }
            return call;
        }
        let hint = if is_internal {
            "; if it wants an internal token, set INTERNAL_LISTENER_TOKEN as it is set there"
        } else {
            ""
        };
        Call::NotReached {
            why: format!("Central Hub answered 401 to {name} right after a login{hint}"),
            retry_after: None,
        }
    }

    /// What it means that a call was declined: of a hub that is not there it says nothing, as while that is put in place and its
    /// server answers for it.
    async fn checked(&self, declined: Call) -> Call {
        let good_at = *self.good_at.lock();
        if good_at.is_some_and(|at| at.elapsed() < STILL_THERE) {
            return declined;
        }
        self.token.lock().await.is_hub_suspect = true;
        match self.is_there().await {
            Ok(()) => declined,
            Err(not_reached) => not_reached,
        }
    }

    /// As after a while in which it was not asked.
    #[cfg(test)]
    pub(super) fn forget_that_it_is_there(&self) {
        *self.good_at.lock() = None;
    }

    fn note_good(&self) {
        *self.good_at.lock() = Some(Instant::now());
    }

    /// The token, from a login if there is none or it is old.
    async fn ensure_token(&self, token: &mut Token) -> Result<Credential, Call> {
        if let Some((text, since)) = &token.present
            && since.elapsed() < TOKEN_LIFE
        {
            return Ok(text.clone());
        }
        token.present = None;
        let login = Login {
            username: &self.access.user,
            password: &self.access.pass,
        };
        let body = serde_json::to_vec(&login).unwrap_or_default();
        // The token stands behind the status.
        let answered = self.send(LOGIN, HeaderMap::new(), body, CALL_TIMEOUT);
        let answered = answered.await;
        let text = of_login(answered)
            .map_err(|(why, retry_after)| Call::NotReached { why, retry_after })?;
        token.present = Some((text.clone(), Instant::now()));
        token.number += 1;
        token.is_hub_suspect = false;
        self.note_good();
        Ok(text)
    }

    async fn post(
        &self,
        path: &str,
        token: &Credential,
        is_internal: bool,
        body: Vec<u8>,
    ) -> Result<Answer, Unreached> {
        let mut headers = HeaderMap::new();
        headers
            .extend(secret(&format!("Bearer {}", &**token)).map(|it| (header::AUTHORIZATION, it)));
        let internal = self.access.internal_token.as_ref();
        if let Some(internal) = internal.filter(|_| is_internal) {
            let name = http::HeaderName::from_static("x-internal-token");
            headers.extend(secret(internal).map(|it| (name, it)));
        }
        self.send(path, headers, body, REST_TIMEOUT).await
    }

    async fn send(
        &self,
        path: &str,
        mut headers: HeaderMap,
        body: Vec<u8>,
        rest: Duration,
    ) -> Result<Answer, Unreached> {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let uri: Uri = format!("{}{path}", self.access.base)
            .parse()
            .map_err(|_| Unreached::Unconnected("CENTRAL_HUB_BASE_URL is no address".to_owned()))?;
        let patience = Patience {
            status: CALL_TIMEOUT,
            rest,
        };
        self.client.post(&uri, headers, body, patience).await
    }
}

/// A value that no log shows.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Why there is no answer, and whether the hub may have the call all the same.
fn unreached(why: &Unreached) -> (String, bool) {
    match why {
        Unreached::TooSlow => {
            let seconds = CALL_TIMEOUT.as_secs();
            (
                format!("Central Hub did not answer within {seconds} s"),
                true,
            )
        }
        Unreached::BrokeOff(_) | Unreached::NoHttp | Unreached::Closed => {
            (format!("Central Hub: {why}"), true)
        }
        Unreached::Private
        | Unreached::Unknown(_)
        | Unreached::Unconnected(_)
        | Unreached::NoTls
        | Unreached::NoCertificates(_) => (format!("Central Hub: {why}"), false),
    }
}

/// What an answer to a call means.
fn judge(name: &str, answered: Result<Answer, Unreached>) -> Call {
    let answer = match answered {
        Ok(answer) => answer,
        Err(why) => {
            let (why, may_have_it) = unreached(&why);
            return if may_have_it {
                Call::Unknown { why }
            } else {
                Call::NotReached {
                    why,
                    retry_after: None,
                }
            };
        }
    };
    let status = answer.status;
    let why = format!("Central Hub answered {} to {name}", status.as_u16());
    let word = answer.json();
    let word = word
        .as_ref()
        .and_then(|word| word["error"].as_str().or(word["code"].as_str()));
    // A code of the hub, and no sentence: that may repeat what was reported.
    let is_code = |word: &&str| {
        word.len() <= 40
            && word
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let why = word
        .filter(is_code)
        .map_or_else(|| why.clone(), |word| format!("{why} ({word})"));
    match status {
        status if status.is_success() => Call::Taken,
        // It says that it has done nothing.
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Call::NotReached {
            why,
            retry_after: answer.retry_after,
        },
        // As from what stands before the hub and looks into texts, or from an older hub that has no such route.
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => {
            Call::Declined { why }
        }
        status if status.is_client_error() => Call::Refused { why },
        status if status.is_redirection() => Call::NotReached {
            why: format!(
                "{why}, a redirect, which is not followed: set CENTRAL_HUB_BASE_URL to where it leads"
            ),
            retry_after: None,
        },
        _ => Call::Unknown { why },
    }
}

/// The token that a login gives, or why there is none and how long the hub asks to be left alone.
fn of_login(answered: Result<Answer, Unreached>) -> Result<Credential, (String, Option<Duration>)> {
    let answer = answered.map_err(|why| (unreached(&why).0, None))?;
    let refused = || {
        let why = "Central Hub does not take CENTRAL_HUB_USER and CENTRAL_HUB_PASS";
        (why.to_owned(), answer.retry_after)
    };
    let status = answer.status;
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        return Err(refused());
    }
    if !status.is_success() {
        let why = format!("Central Hub answered {} to the login", status.as_u16());
        return Err((why, answer.retry_after));
    }
    let said = answer.json().unwrap_or_default();
    if said["success"] == Value::Bool(false) {
        return Err(refused());
    }
    let token = said["token"].as_str().filter(|token| !token.is_empty());
    token.map(Credential::from).ok_or_else(|| {
        let why = "Central Hub answered the login without a token";
        (why.to_owned(), None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::bridge::tests::StandIn;

    #[tokio::test]
    async fn a_token_of_twenty_minutes_is_renewed_before_it_is_used() {
        let stand_in = StandIn::default();
        let addr = stand_in.serve().await;
        let hub = Hub::new(HubAccess {
            base: format!("http://{addr}"),
            user: "listener".to_owned(),
            pass: "s3cret".into(),
            internal_token: None,
        });
        for (is_old, logins) in [(false, 1), (false, 1), (true, 2)] {
            if is_old && let Some((_, since)) = &mut hub.token.lock().await.present {
                *since = since.checked_sub(TOKEN_LIFE).unwrap();
            }
            assert_eq!(hub.call("incoming-message", b"{}", true).await, Call::Taken);
            assert_eq!(stand_in.logins(), logins);
        }
    }
}
