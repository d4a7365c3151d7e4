//! A webhook: where it leads, which events it wants, and how they are signed.
//!
//! Responsible for reading these from a request or from the ledger, and for saying what is wrong with them by the name of the
//! field. Pure, but for new secrets. Not responsible for when an event is given.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Envelope, signature, waha};
use crate::{
    ledger::{Event, EventKind, Filter},
    masked::{Credential, Text},
    session::ClienteId,
};

/// The kind of these consumers in the ledger.
pub(super) const KIND: &str = "webhook";

/// What a webhook may want of all messages, of others and of the account.
const ANY_MESSAGE: &str = "message.any";

/// For how long a secret that was replaced still signs: a receiver has to take the new one meanwhile.
const OLD_SECRET_LASTS: SignedDuration = SignedDuration::from_hours(24);

/// In place of a time: a secret of the settings signs for as long as it is set.
const FOR_GOOD: Timestamp = Timestamp::MAX;

/// The longest address; receivers and proxies take no longer ones.
pub(super) const LONGEST_URL: usize = 2048;

/// More headers, or larger ones, are a slip: a receiver knows a caller by one or two.
const MOST_HEADERS: usize = 20;
const LONGEST_HEADER: usize = 4096;

/// A list of sessions that is longer is better left out.
const MOST_SESSIONS: usize = 1000;

/// The longest secret of a receiver that was written for WAHA.
const LONGEST_SECRET: usize = 255;

/// Headers that the service sets itself, or that HTTP needs for its own.
const OWN_HEADERS: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

/// The settings of a webhook, as they are kept in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Where events are posted to.
    pub url: String,
    /// The types of events that it wants, by their words; empty: all.
    #[serde(default)]
    pub types: Vec<String>,
    /// The sessions whose events it wants; `None`: all.
    #[serde(default)]
    pub cliente_ids: Option<BTreeSet<String>>,
    /// What events are signed with.
    secret: Credential,
    /// The secret before it, and until when it signs as well.
    #[serde(default)]
    old_secret: Option<(Credential, Timestamp)>,
    /// Headers that each request has, by their names.
    #[serde(default)]
    headers: BTreeMap<String, Credential>,
    /// The form of another service.
    #[serde(default)]
    pub compat: Option<Compat>,
}

/// Another service whose form a receiver understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// WAHA's envelope and headers.
    Waha,
}

impl Compat {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waha => "waha",
        }
    }
}

/// A field of a request that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidField {
    /// Its name.
    pub field: String,
    /// What is wrong with it and what to give.
    pub why: String,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.why)
    }
}

impl std::error::Error for InvalidField {}

fn invalid(field: impl Into<String>, why: impl Into<String>) -> InvalidField {
    InvalidField {
        field: field.into(),
        why: why.into(),
    }
}

/// What a request says of a field that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Said<T> {
    #[default]
    Nothing,
    /// It is to be empty.
    Empty,
    Value(T),
}

impl<T> Said<T> {
    fn of(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Self::Value)
    }
}

/// What a request wants to set of a webhook.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    url: Option<String>,
    types: Option<Vec<String>>,
    cliente_ids: Said<BTreeSet<String>>,
    /// Empty: another one is to be made.
    secret: Said<Credential>,
    headers: Option<BTreeMap<String, Option<Credential>>>,
    compat: Said<Compat>,
    /// Whether it is to be on.
    pub enabled: Option<bool>,
}

impl Draft {
    /// The names of the fields that a request may have.
    pub const FIELDS: [&str; 7] = [
        "url",
        "types",
        "cliente_ids",
        "secret",
        "headers",
        "compat",
        "enabled",
    ];

    /// Reads the fields of a request.
    ///
    /// # Errors
    ///
    /// A field that is not known, or has a value that cannot be taken.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, InvalidField> {
        let mut draft = Self::default();
        for (name, value) in body {
            match name.as_str() {
                "url" => draft.url = Some(url(value)?),
                "types" => draft.types = Some(types(value)?),
                "cliente_ids" => draft.cliente_ids = Said::of(sessions(value)?),
                "secret" if value.is_null() => draft.secret = Said::Empty,
                "secret" => {
                    let secret = value.as_str().map(Credential::from);
                    let secret = secret.filter(is_any_secret);
                    draft.secret = Said::Value(secret.ok_or_else(wrong_secret)?);
                }
                "headers" => draft.headers = Some(headers(value)?),
                "compat" if value.is_null() => draft.compat = Said::Empty,
                "compat" if value == Compat::Waha.as_str() => {
                    draft.compat = Said::Value(Compat::Waha);
                }
                "compat" => {
                    return Err(invalid("compat", "must be \"waha\", or be left out"));
                }
                "enabled" => {
                    let enabled = value.as_bool();
                    let enabled =
                        enabled.ok_or_else(|| invalid("enabled", "must be true or false"))?;
                    draft.enabled = Some(enabled);
                }
                other => {
                    let shown: String = other.chars().take(40).collect();
                    let why = format!("is not known here: give {}", Self::FIELDS.join(", "));
                    return Err(invalid(shown, why));
                }
            }
        }
        Ok(draft)
    }

    /// The draft for what is set by `WEBHOOK_URL`, `WEBHOOK_SECRET` and `WEBHOOK_TYPES`, which have been checked.
    pub(super) fn of_settings(url: &str, secret: &Credential, types: &[String]) -> Self {
        Self {
            url: Some(url.to_owned()),
            secret: Said::Value(secret.clone()),
            types: Some(types.to_vec()),
            ..Self::default()
        }
    }

    /// Whether it changes nothing but whether the webhook is on.
    pub(super) fn is_only_a_switch(&self) -> bool {
        self.url.is_none()
            && self.types.is_none()
            && self.cliente_ids == Said::Nothing
            && self.secret == Said::Nothing
            && self.headers.is_none()
            && self.compat == Said::Nothing
    }

    /// The sessions that it names; `None`: all.
    pub fn sessions(&self) -> Option<&BTreeSet<String>> {
        match &self.cliente_ids {
            Said::Value(ids) => Some(ids),
            Said::Nothing | Said::Empty => None,
        }
    }

    /// Checks that a caller who may not know the webhook's headers does not have them sent elsewhere: with another address each is
    /// given again, or removed.
    ///
    /// # Errors
    ///
    /// The address is another one, and headers would stay.
    pub fn check_takes_no_headers_along(&self, old: &Webhook) -> Result<(), InvalidField> {
        if self.url.as_ref().is_none_or(|url| *url == old.url) {
            return Ok(());
        }
        let given = self.headers.as_ref();
        let is_given = |name: &&str| given.is_some_and(|given| given.contains_key(*name));
        let left: Vec<_> = old.header_names().filter(|name| !is_given(name)).collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(invalid(
            "headers",
            format!(
                "were set for another address: with url, give each of them again, or null: {}",
                left.join(", ")
            ),
        ))
    }

    /// Whether it says for which sessions it is.
    pub fn says_sessions(&self) -> bool {
        self.cliente_ids != Said::Nothing
    }
}

impl Webhook {
    /// A new one. Answers its secret as well, if it was made here: it is not shown again.
    ///
    /// # Errors
    ///
    /// A field that is needed is missing, or does not fit another one.
    pub fn new(draft: Draft) -> Result<(Self, Option<Credential>), InvalidField> {
        let url = draft
            .url
            .clone()
            .ok_or_else(|| invalid("url", "is missing: give the address that events go to"))?;
        let draft = Draft {
            secret: match draft.secret {
                Said::Nothing => Said::Empty,
                given @ (Said::Empty | Said::Value(_)) => given,
            },
            ..draft
        };
        let mut webhook = Self {
            url,
            types: Vec::new(),
            cliente_ids: None,
            secret: Credential::default(),
            old_secret: None,
            headers: BTreeMap::new(),
            compat: None,
        };
        let made = webhook.set(draft, Timestamp::UNIX_EPOCH)?;
        webhook.old_secret = None;
        Ok((webhook, made))
    }

    /// Changes what the draft has. Answers the secret that was made for it: it is not shown again.
    ///
    /// # Errors
    ///
    /// A field does not fit another one. Then part of it is changed already.
    pub(super) fn set(
        &mut self,
        draft: Draft,
        now: Timestamp,
    ) -> Result<Option<Credential>, InvalidField> {
        if let Some(url) = draft.url {
            self.url = url;
        }
        if let Some(types) = draft.types {
            self.types = types;
        }
        match draft.cliente_ids {
            Said::Nothing => {}
            Said::Empty => self.cliente_ids = None,
            Said::Value(ids) => self.cliente_ids = Some(ids),
        }
        match draft.compat {
            Said::Nothing => {}
            Said::Empty => self.compat = None,
            Said::Value(compat) => self.compat = Some(compat),
        }
        let (made, secret) = match draft.secret {
            Said::Nothing => (None, None),
            Said::Empty => {
                let made = signature::new_secret();
                (Some(made.clone()), Some(made))
            }
            Said::Value(secret) => (None, Some(secret)),
        };
        if let Some(secret) = secret.filter(|secret| *secret != self.secret) {
            let old = std::mem::replace(&mut self.secret, secret);
            self.old_secret = now
                .checked_add(OLD_SECRET_LASTS)
                .ok()
                .map(|until| (old, until));
        }
        for (name, value) in draft.headers.unwrap_or_default() {
            match value {
                Some(value) => {
                    self.headers.insert(name, value);
                }
                None => {
                    self.headers.remove(&name);
                }
            }
        }
        if self.headers.len() > MOST_HEADERS {
            let why = format!("may be {MOST_HEADERS} at most");
            return Err(invalid("headers", why));
        }
        if self.compat.is_none() && signature::key_in(&self.secret).is_none() {
            return Err(wrong_secret());
        }
        Ok(made)
    }

    /// Has another secret sign as well, for as long as it is set.
    pub(super) fn also_signed_with(&mut self, other: Option<Credential>) {
        self.old_secret = other.map(|other| (other, FOR_GOOD));
    }

    /// Reads what the ledger keeps.
    pub(super) fn kept(settings: &Text) -> Option<Self> {
        serde_json::from_str(settings).ok()
    }

    /// What the ledger is to keep.
    pub(super) fn to_keep(&self) -> Text {
        // A struct of texts is always written.
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// The names of its own headers: their values are secrets.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(String::as_str)
    }

    /// Until when a secret that was replaced signs as well.
    pub fn old_secret_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.old_secret.as_ref().map(|(_, until)| *until);
        until.filter(|until| now < *until && *until != FOR_GOOD)
    }

    /// Which events it wants.
    pub(super) fn filter(&self) -> Filter {
        Filter {
            sessions: self.cliente_ids.clone(),
            kinds: self.types.iter().flat_map(|word| kinds(word)).collect(),
        }
    }

    /// Whether it wants messages, which only a session that runs can hear.
    pub(super) fn wants_messages(&self) -> bool {
        let is_message = |kind: &EventKind| *kind != EventKind::Status;
        let filter = self.filter();
        filter.kinds.is_empty() || filter.kinds.iter().any(is_message)
    }

    /// What is sent of an event; `None`: this form has nothing for it.
    pub(super) fn body(&self, event: &Event, envelope: Envelope) -> Option<Vec<u8>> {
        match self.compat {
            None => Some(envelope(super::Payload::Event(event))),
            Some(Compat::Waha) => {
                let has_message =
                    self.types.is_empty() || self.types.iter().any(|t| t == "message");
                Some(waha::envelope(event, has_message)?.to_string().into_bytes())
            }
        }
    }

    /// The headers of a request with this body, which is signed now.
    pub(super) fn headers(&self, id: &str, now: Timestamp, body: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            // Each of them is checked when the webhook is made, or made of digits and letters.
            if let Ok(mut value) = HeaderValue::from_str(value) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        };
        set(
            header::USER_AGENT,
            concat!("session-manager/", env!("CARGO_PKG_VERSION")),
        );
        for (name, value) in &self.headers {
            if let Ok(name) = name.parse() {
                set(name, value);
            }
        }
        set(header::CONTENT_TYPE, "application/json; charset=utf-8");
        let named = HeaderName::from_static;
        match self.compat {
            None => {
                set(named("webhook-id"), id);
                set(named("webhook-timestamp"), &now.as_second().to_string());
                let old = self.old_secret.as_ref().filter(|(_, until)| now < *until);
                let secrets = [&self.secret].into_iter().chain(old.map(|(old, _)| old));
                let signature = signature::standard(secrets, id, now, body);
                set(named("webhook-signature"), &signature);
            }
            Some(Compat::Waha) => {
                set(named("x-webhook-request-id"), id);
                set(
                    named("x-webhook-timestamp"),
                    &now.as_millisecond().to_string(),
                );
                set(
                    named("x-webhook-hmac"),
                    &signature::waha(&self.secret, body),
                );
                set(named("x-webhook-hmac-algorithm"), "sha512");
            }
        }
        headers
    }

    /// Its address.
    pub(super) fn uri(&self) -> Option<Uri> {
        self.url.parse().ok()
    }
}

/// The address in a text.
///
/// # Errors
///
/// It is none that events can be posted to; the text says why.
pub fn check_url(text: &str) -> Result<(), &'static str> {
    if LONGEST_URL < text.len() {
        return Err("is longer than 2048 characters");
    }
    if text.contains('#') {
        return Err("has a part behind #, which is never sent: leave it out");
    }
    let uri: Result<Uri, _> = text.parse();
    let uri = uri.map_err(|_| "is not an address such as https://example.com/hook")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err("must begin with https:// or http:// and name a host");
    }
    if uri
        .authority()
        .is_some_and(|part| part.as_str().contains('@'))
    {
        return Err("has a name or password before @: give them as a header instead");
    }
    Ok(())
}

fn url(value: &Value) -> Result<String, InvalidField> {
    let text = value
        .as_str()
        .ok_or_else(|| invalid("url", "must be a text: the address that events go to"))?;
    check_url(text).map_err(|why| invalid("url", why))?;
    Ok(text.to_owned())
}

/// The kinds of events that a word means; none: it is no type.
pub fn kinds(word: &str) -> Vec<EventKind> {
    if word == ANY_MESSAGE {
        return vec![EventKind::Message, EventKind::OwnMessage];
    }
    EventKind::named(word).into_iter().collect()
}

/// Whether this word means a type of events.
pub fn is_type(word: &str) -> bool {
    !kinds(word).is_empty()
}

/// All words that mean a type of events.
pub fn all_types() -> String {
    let words = EventKind::ALL.iter().map(|kind| kind.as_str());
    words.chain([ANY_MESSAGE]).collect::<Vec<_>>().join(", ")
}

fn types(value: &Value) -> Result<Vec<String>, InvalidField> {
    let why = |found: String| {
        let all = all_types();
        invalid(
            "types",
            format!("{found}: give a list of {all}; leave it out, or give null, for all"),
        )
    };
    if value.is_null() {
        return Ok(Vec::new());
    }
    let given = value.as_array().filter(|given| !given.is_empty());
    let mut types = Vec::new();
    for word in given.ok_or_else(|| why("is no list, or an empty one".to_owned()))? {
        let known = word.as_str().filter(|word| is_type(word));
        let word = known.ok_or_else(|| why(format!("has {}, which is none", entry(word))))?;
        if !types.iter().any(|known| known == word) {
            types.push(word.to_owned());
        }
    }
    Ok(types)
}

fn sessions(value: &Value) -> Result<Option<BTreeSet<String>>, InvalidField> {
    let why = |found: String| {
        invalid(
            "cliente_ids",
            format!(
                "{found}: give a list of 1 to {MOST_SESSIONS} sessions, such as [51, \"shop\"]; leave it out, or give null, for all"
            ),
        )
    };
    if value.is_null() {
        return Ok(None);
    }
    let given = value.as_array();
    let given = given.filter(|given| !given.is_empty() && given.len() <= MOST_SESSIONS);
    let given = given.ok_or_else(|| why("is no list, or has none, or too many".to_owned()))?;
    let id = |value: &Value| {
        let by_number = value.as_number().map(ClienteId::from_number);
        let by_name = value.as_str().map(str::parse);
        let id = by_number.or(by_name).and_then(Result::ok);
        id.map(|id| id.to_string()).ok_or_else(|| {
            why(format!(
                "has {}, which can be the name of no session",
                entry(value)
            ))
        })
    };
    Ok(Some(given.iter().map(id).collect::<Result<_, _>>()?))
}

/// The begin of an entry of a list, as JSON.
fn entry(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

/// Whether it may be a secret, in one form or the other.
fn is_any_secret(secret: &Credential) -> bool {
    let is_visible = secret
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is_visible && (1..=LONGEST_SECRET).contains(&secret.len())
}

/// Whether it is a secret of Standard Webhooks.
pub fn is_standard_secret(secret: &Credential) -> bool {
    signature::key_in(secret).is_some()
}

fn wrong_secret() -> InvalidField {
    invalid(
        "secret",
        "must be whsec_ and the base64 of 24 to 64 random bytes; give null, or leave it out of a new webhook, and the service makes one (with \"compat\": \"waha\" any text of 1 to 255 visible characters will do)",
    )
}

fn headers(value: &Value) -> Result<BTreeMap<String, Option<Credential>>, InvalidField> {
    if value.is_null() {
        return Ok(BTreeMap::new());
    }
    let given = value.as_object();
    let given = given.ok_or_else(|| {
        invalid(
            "headers",
            "must be an object of names and values, such as {\"Authorization\": \"Bearer …\"}",
        )
    })?;
    let mut headers = BTreeMap::new();
    for (name, value) in given {
        let shown: String = name.chars().take(40).collect();
        let field = || format!("headers.{shown}");
        let parsed: Result<HeaderName, _> = name.parse();
        let parsed = parsed.map_err(|_| invalid(field(), "is no name of a header"))?;
        let is_own = OWN_HEADERS.contains(&parsed)
            || parsed.as_str().starts_with("webhook-")
            || parsed.as_str().starts_with("x-webhook-");
        if is_own {
            return Err(invalid(
                field(),
                "is set by the service itself: leave it out",
            ));
        }
        let fits =
            |text: &&str| text.len() <= LONGEST_HEADER && HeaderValue::from_str(text).is_ok();
        let text = value.as_str().filter(fits).map(Credential::from);
        if text.is_none() && !value.is_null() {
            let why = "must be a text of at most 4096 visible characters; null removes the header";
            return Err(invalid(field(), why));
        }
        headers.insert(parsed.as_str().to_owned(), text);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn parse(body: &Value) -> Result<Draft, InvalidField> {
        Draft::parse(body.as_object().unwrap())
    }

    fn webhook(body: &Value) -> Webhook {
        Webhook::new(parse(body).unwrap()).unwrap().0
    }

    #[test]
    fn each_wrong_field_is_named_with_what_to_give() {
        let url = "https://example.com/hook";
        for (body, field) in [
            (json!({"url": 5}), "url"),
            (json!({"url": "example.com/hook"}), "url"),
            (json!({"url": "ftp://example.com/"}), "url"),
            (json!({"url": "https:///hook"}), "url"),
            (json!({"url": "https://user:pass@example.com/"}), "url"),
            (json!({"url": "https://example.com/#x"}), "url"),
            (json!({"url": url, "types": ["messages"]}), "types"),
            (json!({"url": url, "types": []}), "types"),
            (json!({"url": url, "types": "message"}), "types"),
            (json!({"url": url, "cliente_ids": 51}), "cliente_ids"),
            (json!({"url": url, "cliente_ids": [0]}), "cliente_ids"),
            (json!({"url": url, "cliente_ids": ["a/b"]}), "cliente_ids"),
            (json!({"url": url, "secret": ""}), "secret"),
            (
                json!({"url": url, "secret": "a\nb", "compat": "waha"}),
                "secret",
            ),
            (json!({"url": url, "headers": ["x"]}), "headers"),
            (json!({"url": url, "headers": {"a b": "x"}}), "headers.a b"),
            (json!({"url": url, "headers": {"X-A": 5}}), "headers.X-A"),
            (
                json!({"url": url, "headers": {"X-A": "a\r\nb"}}),
                "headers.X-A",
            ),
            (
                json!({"url": url, "headers": {"Host": "x"}}),
                "headers.Host",
            ),
            (
                json!({"url": url, "headers": {"Webhook-Id": "x"}}),
                "headers.Webhook-Id",
            ),
            (json!({"url": url, "compat": "other"}), "compat"),
            (json!({"url": url, "enabled": "yes"}), "enabled"),
            (json!({"url": url, "type": ["message"]}), "type"),
        ] {
            assert_eq!(parse(&body).unwrap_err().field, field, "{body}");
        }
        for (body, field) in [
            (json!({}), "url"),
            (json!({"url": url, "secret": "plain text"}), "secret"),
        ] {
            let why = Webhook::new(parse(&body).unwrap()).unwrap_err();
            assert_eq!(why.field, field);
        }
        let waha = json!({"url": url, "secret": "plain text", "compat": "waha"});
        assert!(Webhook::new(parse(&waha).unwrap()).is_ok());
    }

    #[test]
    fn a_new_webhook_has_a_secret_and_shows_it_to_the_one_who_makes_it_only() {
        let body = json!({"url": "https://example.com/hook"});
        let (made, secret) = Webhook::new(parse(&body).unwrap()).unwrap();
        let secret = secret.unwrap();
        assert!(is_standard_secret(&secret));
        assert!(!format!("{made:?}").contains(&*secret));
        let given = json!({"url": "https://example.com/hook", "secret": SECRET});
        assert_eq!(Webhook::new(parse(&given).unwrap()).unwrap().1, None);
        let kept = Webhook::kept(&made.to_keep());
        assert_eq!(kept, Some(made));
    }

    #[test]
    fn null_has_another_secret_made_also_for_one_that_comes_from_waha() {
        let body =
            json!({"url": "https://example.com/hook", "secret": "plain text", "compat": "waha"});
        let mut webhook = webhook(&body);
        let only_the_form = parse(&json!({"compat": null})).unwrap();
        let why = webhook
            .clone()
            .set(only_the_form, Timestamp::UNIX_EPOCH)
            .unwrap_err();
        assert!(why.why.contains("give null"), "{why}");
        let both = parse(&json!({"compat": null, "secret": null})).unwrap();
        let made = webhook.set(both, Timestamp::UNIX_EPOCH).unwrap().unwrap();
        assert!(is_standard_secret(&made));
        assert_eq!(webhook.secret, made);
        assert_eq!(webhook.compat, None);
    }

    #[test]
    fn an_entry_that_cannot_be_taken_is_named() {
        for (body, found) in [
            (json!({"types": ["message", "messages"]}), r#""messages""#),
            (json!({"types": [5]}), "5"),
            (json!({"cliente_ids": [51, "a/b"]}), r#""a/b""#),
            (json!({"cliente_ids": [0]}), "0"),
        ] {
            let why = parse(&body).unwrap_err().why;
            assert!(why.starts_with(&format!("has {found}, which")), "{why}");
        }
    }

    #[test]
    fn headers_do_not_go_to_another_address_unseen() {
        let old = webhook(&json!({
            "url": "https://example.com/hook",
            "headers": {"Authorization": "x", "X-Tenant": "y"},
        }));
        let check = |body: &Value| parse(body).unwrap().check_takes_no_headers_along(&old);
        let elsewhere = "https://elsewhere.example/";
        let why = check(&json!({"url": elsewhere, "headers": {"Authorization": "z"}})).unwrap_err();
        assert!(why.why.ends_with("or null: x-tenant"), "{why}");
        for taken in [
            json!({"url": "https://example.com/hook"}),
            json!({"enabled": false}),
            json!({"url": elsewhere, "headers": {"Authorization": "z", "X-Tenant": null}}),
        ] {
            assert_eq!(check(&taken), Ok(()), "{taken}");
        }
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign_for_a_day() {
        let mut webhook = webhook(&json!({"url": "https://example.com/hook", "secret": SECRET}));
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let signatures = |webhook: &Webhook, at: Timestamp| {
            let headers = webhook.headers("evt_1", at, b"{}");
            let text = headers["webhook-signature"].to_str().unwrap().to_owned();
            text.split(' ').count()
        };
        assert_eq!(signatures(&webhook, now), 1);
        let change = parse(&json!({"secret": OTHER})).unwrap();
        webhook.set(change.clone(), now).unwrap();
        assert_eq!(signatures(&webhook, now), 2);
        // Set to what it is, it replaces nothing.
        webhook
            .set(change, now + SignedDuration::from_hours(23))
            .unwrap();
        let day = now + SignedDuration::from_hours(24);
        assert_eq!(webhook.old_secret_until(now), Some(day));
        assert_eq!(signatures(&webhook, day), 1);
        let headers = webhook.headers("evt_1", now, b"{}");
        assert_eq!(headers["webhook-id"], "evt_1");
        assert_eq!(headers["webhook-timestamp"], "1790000000");
        assert!(!format!("{headers:?}").contains("v1,"), "{headers:?}");
    }

    #[test]
    fn headers_are_set_one_by_one_and_null_removes_one() {
        let mut webhook = webhook(&json!({
            "url": "https://example.com/hook",
            "headers": {"Authorization": "Bearer x", "X-A": "1"},
        }));
        let names: Vec<_> = webhook.header_names().collect();
        assert_eq!(names, ["authorization", "x-a"]);
        let change = parse(&json!({"headers": {"x-a": null, "X-B": "2"}})).unwrap();
        webhook.set(change, Timestamp::UNIX_EPOCH).unwrap();
        let headers = webhook.headers("evt_1", Timestamp::UNIX_EPOCH, b"{}");
        assert_eq!(headers["authorization"], "Bearer x");
        assert_eq!(headers["x-b"], "2");
        assert!(!headers.contains_key("x-a"));
        assert!(!format!("{webhook:?}").contains("Bearer"));
    }

    #[test]
    fn all_messages_are_those_that_came_in_and_the_accounts_own() {
        let url = "https://example.com/hook";
        let any =
            webhook(&json!({"url": url, "types": ["message.any"], "cliente_ids": [51, "shop"]}));
        let filter = any.filter();
        assert!(
            filter.is_for_kind(EventKind::OwnMessage) && filter.is_for_kind(EventKind::Message)
        );
        assert!(!filter.is_for_kind(EventKind::Ack));
        assert!(filter.is_for_session("51") && !filter.is_for_session("52"));
        assert!(any.wants_messages());
        let states = webhook(&json!({"url": url, "types": ["session.status"]}));
        assert!(!states.wants_messages());
        assert!(webhook(&json!({"url": url})).wants_messages());
    }
}
