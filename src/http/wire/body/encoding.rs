//! `Content-Encoding`: gzip, deflate and br, as Express read them.
//!
//! By hand and not by a layer around the routes: a body is small and read whole, so what comes out is counted in one
//! place, and a bomb costs no more than the largest body.

use std::io::Read;

use axum::http::{HeaderMap, header};
use brotli_decompressor::Decompressor;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::{super::error::too_large, ApiError};

/// What the decoder of br reads at a time. The body is in memory already.
const BUFFER: usize = 4096;

/// The longest name of an encoding that an error repeats.
const LONGEST_NAME: usize = 32;

/// The body as it was before its sender packed it.
pub(super) fn unpacked(
    bytes: Vec<u8>,
    headers: &HeaderMap,
    largest: usize,
) -> Result<Vec<u8>, ApiError> {
    let encoding = name(headers);
    if bytes.is_empty() {
        // Nothing is nothing, packed or not.
        return Ok(bytes);
    }
    match encoding.as_str() {
        "" | "identity" => Ok(bytes),
        "gzip" | "x-gzip" => drained(MultiGzDecoder::new(bytes.as_slice()), "gzip", largest),
        // The standard means zlib's frame; some clients leave it out, and browsers take both.
        "deflate" if has_zlib_header(&bytes) => {
            drained(ZlibDecoder::new(bytes.as_slice()), "deflate", largest)
        }
        "deflate" => drained(DeflateDecoder::new(bytes.as_slice()), "deflate", largest),
        "br" => drained(Decompressor::new(bytes.as_slice(), BUFFER), "br", largest),
        _ => Err(ApiError::UnknownEncoding(shown(&encoding))),
    }
}

fn name(headers: &HeaderMap) -> String {
    let names = headers.get_all(header::CONTENT_ENCODING);
    let names: Vec<&str> = names
        .iter()
        .map(|name| name.to_str().unwrap_or("?"))
        .collect();
    names.join(", ").trim().to_ascii_lowercase()
}

fn shown(encoding: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_., ".contains(*c);
    encoding
        .chars()
        .filter(is_plain)
        .take(LONGEST_NAME)
        .collect()
}

/// RFC 1950: the method is deflate, and the first two bytes are a multiple of 31.
fn has_zlib_header(bytes: &[u8]) -> bool {
    let [first, second, ..] = *bytes else {
        return false;
    };
    first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(second)) % 31 == 0
}

/// All that comes out, up to the largest body.
fn drained(packed: impl Read, encoding: &'static str, largest: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(largest).unwrap_or(u64::MAX);
    let mut packed = packed.take(most + 1);
    let read = packed.read_to_end(&mut bytes);
    if bytes.len() > largest {
        return Err(too_large(largest));
    }
    read.map_err(|_| ApiError::NotUnpacked(encoding))?;
    Ok(bytes)
}
