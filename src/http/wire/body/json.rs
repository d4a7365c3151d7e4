//! JSON, as JavaScript reads it where the two differ.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{ApiError, Object, cause::cause};
use crate::http::wire::requests::known_field;

/// What stands in a body at the top.
enum Top {
    Object(Object),
    /// A field that decides what is done stands in it twice, with two values. JavaScript takes the last, which may be another
    /// session or another recipient than the caller sees.
    Twice(&'static str),
    Array,
    Other,
}

/// Reads the one object of a body. `None`: it is an array, which is an object to JavaScript.
pub(super) fn object(text: &str) -> Result<Option<Object>, ApiError> {
    let text = with_whole_characters(text);
    match serde_json::from_str(&text) {
        Ok(Top::Object(object)) => Ok(Some(object)),
        Ok(Top::Twice(name)) => Err(ApiError::InvalidJson(format!(
            "the field {name} stands in it twice, with two values: leave one out"
        ))),
        Ok(Top::Array) => Ok(None),
        Ok(Top::Other) => Err(ApiError::InvalidJson(
            "it is another kind of JSON value: put the fields into { }".to_owned(),
        )),
        Err(why) => Err(ApiError::InvalidJson(cause(&text, &why))),
    }
}

/// Escapes of half a character become U+FFFD.
///
/// A text that was cut by JavaScript's `slice`, in the middle of an emoji, ends with one. Express sent it so, and
/// callers that cut texts do not know that they do; refusing it would lose the message over its last character.
fn with_whole_characters(text: &str) -> Cow<'_, str> {
    if !text.contains("\\ud") && !text.contains("\\uD") {
        return Cow::Borrowed(text);
    }
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => {
                mended.push_str(&escape[..12]);
                12
            }
            (Some(0xd800..=0xdfff), _) => {
                mended.push_str("\\ufffd");
                6
            }
            _ => {
                // A backslash and what it escapes, so that `\\ud83d` is not taken for an escape.
                let length = escape.chars().take(2).map(char::len_utf8).sum();
                mended.push_str(&escape[..length]);
                length
            }
        };
        rest = &escape[length..];
    }
    mended.push_str(rest);
    Cow::Owned(mended)
}

/// The UTF-16 unit of an escape `\uXXXX` at the begin of a text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hexadecimal.then(|| u16::from_str_radix(digits, 16).ok())?
}

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopVisitor)
    }
}

struct TopVisitor;

impl<'de> Visitor<'de> for TopVisitor {
    type Value = Top;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Top, A::Error> {
        let (mut object, mut twice) = (Object::new(), None);
        while let Some((name, value)) = fields.next_entry::<String, Value>()? {
            // Looked up only then: a body may have tens of thousands of names.
            if object.get(&name).is_some_and(|before| *before != value) {
                twice = twice.or_else(|| known_field(&name));
            }
            object.insert(name, value);
        }
        Ok(twice.map_or(Top::Object(object), Top::Twice))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Top, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Top::Array)
    }

    fn visit_unit<E>(self) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Top, E> {
        Ok(Top::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Top, E> {
        Ok(Top::Other)
    }
}
