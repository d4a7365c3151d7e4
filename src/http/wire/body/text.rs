//! The characters of a body: UTF-8, or UTF-16 or Latin-1 where its sender says so, with or without a byte order mark.
//!
//! A character set is often only the default of a library (`text/plain; charset=ISO-8859-1` of Apache's `HttpClient`), beside a body
//! in UTF-8. So what is true of the bytes goes before what the header says of them: bytes that are ASCII are the same in nearly
//! each set, and text in Latin-1 that has accents is not valid as UTF-8.

use axum::http::{HeaderMap, header};

use super::ApiError;

const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_LITTLE_MARK: &[u8] = &[0xff, 0xfe];
const UTF16_BIG_MARK: &[u8] = &[0xfe, 0xff];

/// Character sets in which bytes of ASCII may be other characters.
const NOT_LIKE_ASCII: [&str; 4] = ["utf-7", "utf-32", "iso-2022", "hz"];

/// Windows-1252 from 0x80 to 0x9f. Its other characters have the same number as in Unicode, and so have all of ISO-8859-1; what calls
/// itself that is in practice Windows-1252, and browsers read it as such. Five bytes have no character.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

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
        Some(other)
            if bytes.is_ascii() && !NOT_LIKE_ASCII.iter().any(|set| other.starts_with(set)) =>
        {
            utf8(bytes)
        }
        Some(
            "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "latin-1" | "windows-1252"
            | "cp1252",
        ) => {
            if std::str::from_utf8(&bytes).is_ok() {
                utf8(bytes)
            } else {
                Ok(bytes.into_iter().map(windows_1252).collect())
            }
        }
        Some(other) => {
            let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.:".contains(*c);
            let name = other.chars().filter(is_plain).take(LONGEST_NAME).collect();
            Err(ApiError::UnknownCharset(name))
        }
    }
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
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
