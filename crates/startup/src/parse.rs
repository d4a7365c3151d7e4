//! The parsers of what settings of several programs have: a port, an address to listen on, a time, a path.
//!
//! Each is small and pure. A complaint says what is wanted and never repeats the value.

use std::{path::PathBuf, str::FromStr, time::Duration};

use crate::ListenHost;

/// The longest wait that a setting may ask for; more is a slip of the keyboard.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Anything that is read from a text, such as a number; `wanted` says of what kind.
pub fn number<T: FromStr>(raw: &str, wanted: &str) -> Result<T, String> {
    raw.parse().map_err(|_| format!("must be {wanted}"))
}

/// Refuses what is part of no setting's value, wherever it comes from.
pub(crate) fn is_as_meant(raw: &str) -> Result<(), String> {
    if raw.contains(char::is_control) {
        return Err("has a line break or another control character in it".to_owned());
    }
    // A text processor makes them of straight ones.
    let quotes = [('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];
    let is_quoted = |(open, close): &(char, char)| raw.starts_with(*open) && raw.ends_with(*close);
    if quotes.iter().any(is_quoted) {
        return Err(
            "stands in typographic quotes, which would be part of the value: write it without them"
                .to_owned(),
        );
    }
    Ok(())
}

/// Refuses the quotes and remarks of a line of a file when they have come through the environment as part of the value:
/// so does `docker run --env-file`, and `set` of cmd.exe keeps quotes. A key in quotes would lock out every caller who has
/// the key.
pub(crate) fn has_no_wrapping(raw: &str) -> Result<(), String> {
    for quote in ['\'', '"', '`'] {
        if raw
            .strip_prefix(quote)
            .is_some_and(|rest| rest.contains(quote))
        {
            return Err(format!(
                "stands in quotes ({quote}), and they would be part of the value: docker run --env-file and set of cmd.exe \
                 do not take them off; write it without quotes"
            ));
        }
    }
    if raw.contains(" #") || raw.contains("\t#") {
        return Err(
            "has a blank and # in it, which would be part of the value: docker run --env-file does not take remarks off; \
             put the remark on a line of its own"
                .to_owned(),
        );
    }
    Ok(())
}

/// A port to listen on.
pub fn port(raw: &str) -> Result<u16, String> {
    if raw.contains("://") {
        return Err(
            "must be a port, 0 to 65535, and not an address: Kubernetes sets such variables for a Service of that name; \
             set enableServiceLinks: false in the pod, or rename the Service"
                .to_owned(),
        );
    }
    number(raw, "a port, 0 to 65535")
}

/// The addresses to listen on.
pub fn listen_host(raw: &str) -> Result<ListenHost, String> {
    if raw.eq_ignore_ascii_case("localhost") {
        return Ok(ListenHost::Localhost);
    }
    let wanted = "localhost, which is both loopback addresses, or an IP address of this machine such as 127.0.0.1 or 0.0.0.0";
    number(raw, wanted).map(ListenHost::At)
}

/// A time, which may be a fraction of a second.
pub fn seconds(raw: &str) -> Result<Duration, String> {
    number::<f64>(raw, "a number of seconds")
        .and_then(|seconds| {
            Duration::try_from_secs_f64(seconds)
                .map_err(|_| "must be a number of seconds, 0 or more".to_owned())
        })
        .and_then(|wait| {
            if wait <= LONGEST_WAIT {
                Ok(wait)
            } else {
                Err("must be at most 86400 seconds".to_owned())
            }
        })
}

/// A path as it is written: `~` and variables are for a shell to replace, and none has.
pub fn path(raw: &str) -> Result<PathBuf, String> {
    let is_home = raw == "~" || raw.starts_with("~/");
    if is_home || raw.starts_with('$') {
        let what = if is_home { "~" } else { "a variable" };
        return Err(format!(
            "begins with {what}, which only a shell replaces: write the whole path, such as /home/me/data"
        ));
    }
    Ok(PathBuf::from(raw))
}
