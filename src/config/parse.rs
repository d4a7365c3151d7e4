//! One small pure parser for each kind of setting. A complaint says what is wanted and never repeats the value.

use std::{
    fmt,
    fs::File,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use rustix::fs::{Access, access};

use super::{CodeLives, CorsOrigins, ListenHost, LogFormat, SessionMode};
use crate::{session::ClienteId, whatsapp::AdapterName};

/// The longest wait that a setting may ask for; more is a slip of the keyboard.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Each is up to a hundred megabytes and more, of every session; the last ones are the ones that help.
const MOST_COPIES: usize = 20;

/// The longest time that something may be kept for.
const LONGEST_HOURS: u32 = 10 * 365 * 24;

pub(super) fn say(why: impl fmt::Display) -> String {
    why.to_string()
}

fn number<T: FromStr>(raw: &str, wanted: &str) -> Result<T, String> {
    raw.parse().map_err(|_| format!("must be {wanted}"))
}

/// Refuses what is part of no setting's value, wherever it comes from.
pub(super) fn is_as_meant(raw: &str) -> Result<(), String> {
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
/// so does `docker run --env-file`, and `set` of cmd.exe keeps quotes. A key in quotes would lock everybody out who has
/// the key.
pub(super) fn has_no_wrapping(raw: &str) -> Result<(), String> {
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

pub(super) fn port(raw: &str) -> Result<u16, String> {
    if raw.contains("://") {
        return Err(
            "must be a port, 0 to 65535, and not an address: Kubernetes sets such variables for a Service of that name; \
             set enableServiceLinks: false in the pod, or rename the Service"
                .to_owned(),
        );
    }
    number(raw, "a port, 0 to 65535")
}

pub(super) fn count(raw: &str) -> Result<NonZeroUsize, String> {
    number(raw, "a whole number, 1 or more")
}

/// A chain of proxies is short; a large number is a slip.
const MOST_PROXIES: usize = 10;

pub(super) fn proxies(raw: &str) -> Result<usize, String> {
    let wanted = "a whole number, 0 to 10: how many proxies stand before the service";
    let proxies = number(raw, wanted)?;
    if proxies <= MOST_PROXIES {
        Ok(proxies)
    } else {
        Err(format!("must be {wanted}"))
    }
}

/// 0 stands for none.
pub(super) fn copies(raw: &str) -> Result<usize, String> {
    let wanted = "a whole number from 0 to 20";
    number(raw, wanted).and_then(|copies| {
        if copies <= MOST_COPIES {
            Ok(copies)
        } else {
            Err(format!("must be {wanted}"))
        }
    })
}

/// 0 stands for no limit.
pub(super) fn megabytes(raw: &str) -> Result<u64, String> {
    number(raw, "a whole number of megabytes, 0 for no limit")
}

pub(super) fn rate(raw: &str) -> Result<Option<NonZeroU32>, String> {
    number(raw, "a whole number, 0 for no limit").map(NonZeroU32::new)
}

pub(super) fn whole_number(raw: &str) -> Result<usize, String> {
    number(raw, "a whole number, 0 or more")
}

pub(super) fn hours(raw: &str) -> Result<Duration, String> {
    let hours: u32 = number(raw, "a whole number of hours, 0 or more")?;
    if hours > LONGEST_HOURS {
        return Err("must be at most 87600 hours, which is ten years".to_owned());
    }
    Ok(Duration::from_secs(u64::from(hours) * 3600))
}

pub(super) fn listen_host(raw: &str) -> Result<ListenHost, String> {
    if raw.eq_ignore_ascii_case("localhost") {
        return Ok(ListenHost::Localhost);
    }
    let wanted = "localhost, which is both loopback addresses, or an IP address of this machine such as 127.0.0.1 or 0.0.0.0";
    number(raw, wanted).map(ListenHost::At)
}

pub(super) fn seconds(raw: &str) -> Result<Duration, String> {
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

pub(super) fn switch(raw: &str) -> Result<bool, String> {
    match raw {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A path as it is written: `~` and variables are for a shell to replace, and none has.
pub(super) fn path(raw: &str) -> Result<PathBuf, String> {
    let is_home = raw == "~" || raw.starts_with("~/");
    if is_home || raw.starts_with('$') {
        let what = if is_home { "~" } else { "a variable" };
        return Err(format!(
            "begins with {what}, which only a shell replaces: write the whole path, such as /home/me/data"
        ));
    }
    Ok(PathBuf::from(raw))
}

/// What it does when it is started, its first start tells.
pub(super) fn program(raw: &str) -> Result<PathBuf, String> {
    let path = path(raw)?;
    let wanted = "must be a program; name one, or unset it to have one found";
    match path.metadata() {
        Ok(file) if file.is_file() && access(&path, Access::EXEC_OK).is_ok() => Ok(path),
        Ok(_) => Err(format!("cannot be executed: {wanted}")),
        Err(why) => Err(format!("{why}: {wanted}")),
    }
}

pub(super) fn folder(raw: &str) -> Result<PathBuf, String> {
    let path = path(raw)?;
    if path.is_dir() {
        Ok(path)
    } else {
        Err("must be a folder that is there; it may be empty".to_owned())
    }
}

pub(super) fn readable_file(raw: &str) -> Result<PathBuf, String> {
    let path = path(raw)?;
    let opened = File::open(&path).and_then(|file| file.metadata());
    match opened {
        Ok(file) if file.is_file() => Ok(path),
        Ok(_) => Err("is not a file".to_owned()),
        Err(why) => Err(format!("cannot be read: {why}")),
    }
}

pub(super) fn http_url(raw: &str) -> Result<String, String> {
    let is_http = ["http://", "https://"].iter().any(|scheme| {
        raw.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty())
    });
    if is_http {
        Ok(raw.to_owned())
    } else {
        Err("must be an http:// or https:// address".to_owned())
    }
}

pub(super) fn chrome_args(raw: &str) -> Result<Vec<String>, String> {
    let args: Vec<String> = raw.split_whitespace().map(str::to_owned).collect();
    match args.iter().position(|arg| !arg.starts_with("--")) {
        None => Ok(args),
        Some(at) => Err(format!(
            "each switch starts with --, and number {} does not: blanks separate switches, and quotes within the value hold nothing together",
            at + 1
        )),
    }
}

pub(super) fn session_mode(raw: &str) -> Result<SessionMode, String> {
    match raw {
        "multi" => Ok(SessionMode::Multi),
        "single" => Ok(SessionMode::Single),
        _ => Err("must be multi or single".to_owned()),
    }
}

fn items(raw: &str) -> impl Iterator<Item = &str> {
    raw.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

pub(super) fn cliente_ids(raw: &str) -> Result<Vec<ClienteId>, String> {
    items(raw).map(|id| id.parse().map_err(say)).collect()
}

pub(super) fn adapters(raw: &str) -> Result<Vec<AdapterName>, String> {
    let known = AdapterName::ALL.map(AdapterName::as_str).join(", ");
    let wanted = || format!("must be one or more of {known}, each once, separated by commas");
    let names: Vec<AdapterName> = items(raw)
        .map(|name| name.parse().map_err(|_| wanted()))
        .collect::<Result<_, _>>()?;
    let is_repeated = |at: usize| names[..at].contains(&names[at]);
    if names.is_empty() || (0..names.len()).any(is_repeated) {
        return Err(wanted());
    }
    Ok(names)
}

pub(super) fn code_lives(raw: &str) -> Result<CodeLives, String> {
    let (first, next) = raw
        .split_once(',')
        .ok_or("must be two numbers of seconds, such as 60,20")?;
    Ok(CodeLives {
        first: seconds(first.trim())?,
        next: seconds(next.trim())?,
    })
}

pub(super) fn cors_origins(raw: &str) -> Result<Option<CorsOrigins>, String> {
    if raw == "*" {
        return Ok(Some(CorsOrigins::Any));
    }
    let (local, others): (Vec<_>, Vec<_>) = items(raw).partition(|item| *item == "local");
    let wanted = "must be *, or local and origins such as https://app.example, separated by commas";
    let listed: Result<Vec<_>, _> = others.into_iter().map(http_url).collect();
    match listed {
        Ok(listed) if !local.is_empty() || !listed.is_empty() => Ok(Some(CorsOrigins::Only {
            local: !local.is_empty(),
            listed,
        })),
        Ok(_) | Err(_) => Err(wanted.to_owned()),
    }
}

pub(super) fn log_format(raw: &str) -> Result<LogFormat, String> {
    match raw {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

pub(super) fn log_filter(raw: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(raw)
        .map(|_| raw.to_owned())
        .map_err(|why| format!("is no log filter: {why}"))
}
