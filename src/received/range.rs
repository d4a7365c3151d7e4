//! The part of a file that a header `Range` means (RFC 9110). Pure.

use std::ops::Range;

use http_range_header::parse_range_header;

/// The bytes of a file that come: all of them, or a part that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From the first to behind the last.
    pub bytes: Range<u64>,
    /// It was asked for: the answer is 206.
    pub is_asked_for: bool,
}

/// No byte of the file is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file has {size} bytes: Range must mean some of them, such as bytes=0-1023")]
pub struct Unsatisfiable {
    /// How many bytes it has.
    pub size: u64,
}

/// What of a file of this size is meant. A header that is not understood, or that means several parts, is as good as none: then all of
/// the file comes, as the RFC allows.
pub(super) fn meant(range: Option<&str>, size: u64) -> Result<Part, Unsatisfiable> {
    let all = Part {
        bytes: 0..size,
        is_asked_for: false,
    };
    let Some(parsed) = range.and_then(|range| parse_range_header(range).ok()) else {
        return Ok(all);
    };
    let parts = parsed.validate(size).map_err(|_| Unsatisfiable { size })?;
    let [part] = parts.as_slice() else {
        return Ok(all);
    };
    Ok(Part {
        bytes: *part.start()..*part.end() + 1,
        is_asked_for: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_is_given_and_what_is_not_understood_is_all_of_it() {
        let part = |range| meant(Some(range), 1000).map(|part| (part.bytes, part.is_asked_for));
        assert_eq!(part("bytes=0-99"), Ok((0..100, true)));
        assert_eq!(part("bytes=990-"), Ok((990..1000, true)));
        assert_eq!(part("bytes=-10"), Ok((990..1000, true)));
        assert_eq!(part("bytes=0-4000"), Ok((0..1000, true)));
        for whole in ["", "bytes", "items=0-1", "bytes=x-y", "bytes=0-1,5-6"] {
            assert_eq!(part(whole), Ok((0..1000, false)), "{whole}");
        }
        assert_eq!(
            meant(None, 0),
            Ok(Part {
                bytes: 0..0,
                is_asked_for: false
            })
        );
        for none in ["bytes=1000-", "bytes=5000-6000"] {
            assert_eq!(part(none), Err(Unsatisfiable { size: 1000 }), "{none}");
        }
    }
}
