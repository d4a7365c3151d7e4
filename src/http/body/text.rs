//! The characters of a body: UTF-8, or UTF-16 where its sender says so, with or without a byte order mark.

use axum::http::{HeaderMap, header};

use super::ApiError;

const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_LITTLE_MARK: &[u8] = &[0xff, 0xfe];
const UTF16_BIG_MARK: &[u8] = &[0xfe, 0xff];

/// The longest name of a character set that an error repeats.
const LONGEST_NAME: usize = 32;

/// What `Content-Type` says, in small letters.
#[derive(Debug, Default)]
pub(super) struct MediaType {
    essence: String,
    charset: Option<String>,
}

impl MediaType {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(header::CONTENT_TYPE);
        let value = value.and_then(|value| value.to_str().ok());
        let value = value.unwrap_or_default().to_ascii_lowercase();
        let mut parts = value.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_owned();
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = value.trim().trim_matches(['"', '\'']);
            (name.trim() == "charset" && !value.is_empty()).then(|| value.to_owned())
        });
        Self { essence, charset }
    }

    pub(super) fn is_form(&self) -> bool {
        self.essence == "application/x-www-form-urlencoded"
    }

    pub(super) fn is_multipart(&self) -> bool {
        self.essence.starts_with("multipart/")
    }
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

/// The body as text, without its byte order mark.
pub(super) fn decoded(bytes: Vec<u8>, media_type: &MediaType) -> Result<String, ApiError> {
    // The mark is in the bytes themselves, so it goes before what a header says of them.
    if let Some(rest) = bytes.strip_prefix(UTF8_MARK) {
        return utf8(rest.to_vec());
    }
    if let Some(rest) = bytes.strip_prefix(UTF16_LITTLE_MARK) {
        return utf16(rest, Order::Little);
    }
    if let Some(rest) = bytes.strip_prefix(UTF16_BIG_MARK) {
        return utf16(rest, Order::Big);
    }
    match media_type.charset.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => utf8(bytes),
        Some("utf-16be") => utf16(&bytes, Order::Big),
        // JSON and forms begin with an ASCII character, so one of the first two bytes is zero.
        Some("utf-16" | "utf16" | "ucs-2" | "unicode") if bytes.first() == Some(&0) => {
            utf16(&bytes, Order::Big)
        }
        Some("utf-16le" | "utf-16" | "utf16" | "ucs-2" | "unicode") => utf16(&bytes, Order::Little),
        Some(other) => {
            let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.:".contains(*c);
            let name = other.chars().filter(is_plain).take(LONGEST_NAME).collect();
            Err(ApiError::UnknownCharset(name))
        }
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, ApiError> {
    // UTF-16 that says nothing of itself is valid UTF-8 as well, with a NUL behind each letter.
    if matches!(bytes.as_slice(), [0, _, ..] | [_, 0, ..]) {
        return Err(ApiError::UnnamedUtf16);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::NotUtf8)
}

/// Half of a pair without the other half becomes U+FFFD, as in JSON's escapes.
fn utf16(bytes: &[u8], order: Order) -> Result<String, ApiError> {
    if !bytes.len().is_multiple_of(2) {
        return Err(ApiError::NotUtf16);
    }
    let unit = |pair: &[u8]| match (order, pair) {
        (Order::Little, [low, high]) => u16::from_le_bytes([*low, *high]),
        (Order::Big, [high, low]) => u16::from_be_bytes([*high, *low]),
        (Order::Little | Order::Big, _) => 0,
    };
    let units = bytes.chunks_exact(2).map(unit);
    let characters = char::decode_utf16(units);
    Ok(characters
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect())
}
