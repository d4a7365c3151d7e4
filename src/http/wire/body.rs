//! What the bytes of a body say: one JSON object, or a form.
//!
//! The measure is the service before this one (Express with its body parser): what that understood is understood here,
//! and what is refused says what it was and what to do. JSON is read whatever `Content-Type` says, and no body at all
//! is an empty object. Only a body that calls itself a form, and does not look like JSON, is read as one: each field is
//! a string. (`curl -d cliente_id=51` names a session and must not fall to the default one; `curl -d
//! '{"cliente_id":51}'` calls itself a form too.)

mod cause;
mod encoding;
mod json;
mod text;

use axum::http::HeaderMap;
use serde_json::Value;
use text::MediaType;

use super::{error::ApiError, extract::Object};
use crate::session::LONGEST_TEXT;

/// A character outside the basic plane is two UTF-16 units, and the longest way to write one unit is `\u1F44` in UTF-16: 12
/// bytes. So every text that WhatsApp takes fits in, however it is escaped.
const LONGEST_UNIT: usize = 12;

/// For all that is not the text: the other fields, and what the caller keeps beside them.
const REST: usize = 16 * 1024;

/// What a body may have, before and after it was unpacked.
pub(in crate::http) const LARGEST_BODY: usize = LONGEST_TEXT * LONGEST_UNIT + REST;

/// The most bytes of a medium that stand in the body of a send, in base64: 4 characters for 3 bytes. Such a body is in memory as a whole,
/// more than once; a larger file goes by `POST /media`.
pub(in crate::http) const LARGEST_INLINE: usize = 10 * 1024 * 1024;
pub(in crate::http) const LARGEST_SEND: usize = LARGEST_BODY + LARGEST_INLINE.div_ceil(3) * 4;

/// How much of a misread body an error repeats.
const SHOWN_CHARACTERS: usize = 24;

/// Reads a body that has at most so many bytes, also once it is unpacked. `None`: it is an array.
pub(in crate::http) fn object(
    bytes: Vec<u8>,
    headers: &HeaderMap,
    largest: usize,
) -> Result<Option<Object>, ApiError> {
    let bytes = encoding::unpacked(bytes, headers, largest)?;
    let media_type = MediaType::of(headers);
    // A form with a file in it is no text in any character set.
    let is_json = |byte: &u8| *byte == b'{' || *byte == b'[';
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if media_type.is_multipart() && !first.is_some_and(is_json) {
        return Err(ApiError::Multipart);
    }
    let text = text::decoded(bytes, &media_type)?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.starts_with('{') || text.starts_with('[') {
        return json::object(text);
    }
    if is_multipart(text) {
        return Err(ApiError::Multipart);
    }
    if text.is_empty() {
        return Ok(Some(Object::new()));
    }
    if media_type.is_form() && !text.starts_with('"') {
        return form(text).map(Some);
    }
    json::object(text)
}

/// Without its `Content-Type`, as some clients send it.
fn is_multipart(text: &str) -> bool {
    text.starts_with("--") && text.to_ascii_lowercase().contains("content-disposition:")
}

fn form(text: &str) -> Result<Object, ApiError> {
    // What cmd.exe makes of single quotes, or YAML by a slip: a form would have a field of that name and none that is meant.
    let first = text.split('&').next().unwrap_or_default();
    let name = first.split('=').next().unwrap_or_default();
    let is_strange = |c: char| c.is_whitespace() || c.is_control() || "{}'\"<>:;,\\".contains(c);
    if !first.contains('=') || name.contains(is_strange) {
        let begin: String = text.chars().take(SHOWN_CHARACTERS).collect();
        return Err(ApiError::NeitherJsonNorForm(begin));
    }
    let mut fields = Object::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let was_garbled = |text: &str| text.contains('\u{fffd}');
        if (was_garbled(&name) || was_garbled(&value)) && !has_replacement(text) {
            return Err(ApiError::NotUtf8);
        }
        let value = Value::String(value.into_owned());
        match fields.entry(name.into_owned()) {
            serde_json::map::Entry::Vacant(place) => {
                place.insert(value);
            }
            // Given twice it is an array, as Express had it, and none of the fields takes one.
            serde_json::map::Entry::Occupied(mut place) => {
                let first = place.get_mut().take();
                place.insert(Value::Array(vec![first, value]));
            }
        }
    }
    Ok(fields)
}

/// Whether a form has U+FFFD in it by its own will.
fn has_replacement(text: &str) -> bool {
    text.contains('\u{fffd}') || text.to_ascii_uppercase().contains("%EF%BF%BD")
}

#[cfg(test)]
mod tests;
