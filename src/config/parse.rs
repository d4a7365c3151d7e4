//! One small pure parser for each kind of setting. A complaint says what is wanted and never repeats the value.

use std::{
    fmt,
    fs::{self, File},
    net::{Ipv4Addr, Ipv6Addr},
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use rustix::fs::{Access, access};
use startup::parse::{number, path};

use super::values::{CorsOrigins, LogFormat, SessionMode};
use crate::{
    browser::{InvalidSnapshotKey, SnapshotKey},
    delivery::{Schedule, all_types, check_url, is_standard_secret, is_type},
    masked::Credential,
    received::Download,
    session::{ClienteId, StaleSends},
    whatsapp::AdapterName,
};

/// Each is up to a hundred megabytes and more, of every session; the last ones are the ones that help.
const MOST_COPIES: usize = 20;

/// The longest time that something may be kept for.
const LONGEST_HOURS: u32 = 10 * 365 * 24;

pub(super) fn say(why: impl fmt::Display) -> String {
    why.to_string()
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

/// When the files of messages are fetched.
pub(super) fn download(raw: &str) -> Result<Download, String> {
    match raw {
        "demand" => Ok(Download::Demand),
        "always" => Ok(Download::Always),
        _ => Err("must be demand or always".to_owned()),
    }
}

/// Where files are kept, without what a bucket needs besides.
#[derive(Debug, PartialEq)]
pub(super) enum MediaStore {
    Folder(PathBuf),
    Bucket { name: String, prefix: String },
}

/// A folder of files, or a bucket. Another address would be made as a folder under that name.
pub(super) fn media_store(raw: &str) -> Result<MediaStore, String> {
    let wrong = "must be a folder, or a folder in a bucket such as s3://name/folder";
    let Some(place) = raw.strip_prefix("s3://") else {
        if raw.contains("://") {
            return Err(wrong.to_owned());
        }
        return path(raw).map(MediaStore::Folder);
    };
    let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    let is_of_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let prefix = prefix.trim_matches('/');
    let is_of_prefix = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    if !(3..=63).contains(&name.len())
        || !name.bytes().all(is_of_name)
        || !prefix.bytes().all(is_of_prefix)
        || prefix.contains("//")
        || prefix.split('/').any(|part| [".", ".."].contains(&part))
    {
        return Err(format!(
            "{wrong}: 3 to 63 small letters, digits, - and . in the name, and no blanks or other signs behind it"
        ));
    }
    // What is too old is looked for there: among the objects of others that takes long, and a strange name among them ends it.
    if prefix.is_empty() {
        return Err(format!(
            "{wrong}: the folder is missing, and must be the service's own"
        ));
    }
    Ok(MediaStore::Bucket {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// The region of a bucket: a part of what each request is signed with, and of the host that is asked if it is Amazon's.
pub(super) fn region(raw: &str) -> Result<String, String> {
    let is_of_region = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !raw.is_empty() && raw.bytes().all(is_of_region) {
        Ok(raw.to_owned())
    } else {
        Err(
            "must be a region's id, such as eu-central-1: letters, digits, - and _ without blanks"
                .to_owned(),
        )
    }
}

/// The id of an access key: it goes into a header.
pub(super) fn access_key_id(raw: &str) -> Result<String, String> {
    if !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(raw.to_owned())
    } else {
        Err("must be the id of an access key: letters and digits without blanks".to_owned())
    }
}

/// Where a bucket is that is not Amazon's, without a `/` at its end. The name of the bucket is put behind it, and what cannot be asked then
/// must be found here: the client of S3 would panic.
pub(super) fn endpoint(raw: &str) -> Result<String, String> {
    let wrong = "must be the http:// or https:// address of a service that speaks S3, such as https://s3.example.com or http://minio:9000";
    let url = http_url(raw)?.trim_end_matches('/').to_owned();
    let uri: http::Uri = url.parse().map_err(|_| wrong.to_owned())?;
    // The client of S3 parses it by this as well, and takes more for wrong: a name in Punycode that means no letters.
    reqwest::Url::parse(&url).map_err(|_| wrong.to_owned())?;
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let host = host.as_str();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    // One whose last part is a number is read as an address of IPv4.
    let is_number = |part: &str| match part.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => part.bytes().all(|byte| byte.is_ascii_digit()),
    };
    let mut parts = host.rsplit('.').filter(|part| !part.is_empty());
    let is_named = host.bytes().all(is_host) && parts.next().is_some_and(|last| !is_number(last));
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_address = match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    };
    let is_whole = uri.scheme().is_some()
        && uri.query().is_none()
        && !url.contains('#')
        && uri.authority().is_some_and(|whole| {
            // No user before the host, and what follows it is a port number.
            let whole = whole.as_str();
            let port = whole.get(host.len()..).unwrap_or_default();
            !whole.contains('@') && (port.is_empty() || uri.port_u16().is_some())
        });
    if (is_named || is_address) && is_whole {
        Ok(url)
    } else {
        Err(wrong.to_owned())
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

/// WhatsApp takes documents of 2 GB, and its page holds a file more than once in memory.
const MOST_MEGABYTES_OF_A_FILE: u64 = 2000;

pub(super) fn media_megabytes(raw: &str) -> Result<u64, String> {
    let wanted = "a whole number of megabytes, 1 to 2000";
    let megabytes = number(raw, wanted)?;
    if (1..=MOST_MEGABYTES_OF_A_FILE).contains(&megabytes) {
        Ok(megabytes)
    } else {
        Err(format!("must be {wanted}"))
    }
}

pub(super) fn rate(raw: &str) -> Result<Option<NonZeroU32>, String> {
    number(raw, "a whole number, 0 for no limit").map(NonZeroU32::new)
}

pub(super) fn whole_number(raw: &str) -> Result<usize, String> {
    number(raw, "a whole number, 0 or more")
}

/// A day is longer than anyone who wants copies of running profiles means; 0 stands for none.
const MOST_MINUTES: u32 = 24 * 60;

pub(super) fn minutes(raw: &str) -> Result<Option<Duration>, String> {
    let wanted = "a whole number of minutes, 0 to 1440; 0 switches it off";
    let minutes: u32 = number(raw, wanted)?;
    if minutes > MOST_MINUTES {
        return Err(format!("must be {wanted}"));
    }
    let every = Duration::from_secs(u64::from(minutes) * 60);
    Ok(Some(every).filter(|every| !every.is_zero()))
}

/// The key of snapshots in this file.
pub(super) fn snapshot_key_in(raw: &str) -> Result<SnapshotKey, String> {
    let path = readable_file(raw)?;
    let text = fs::read_to_string(path).map_err(|why| format!("cannot be read: {why}"))?;
    text.parse()
        .map_err(|why: InvalidSnapshotKey| format!("what is in the file {why}"))
}

pub(super) fn hours(raw: &str) -> Result<Duration, String> {
    let hours: u32 = number(raw, "a whole number of hours, 0 or more")?;
    if hours > LONGEST_HOURS {
        return Err("must be at most 87600 hours, which is ten years".to_owned());
    }
    Ok(Duration::from_secs(u64::from(hours) * 3600))
}

/// Events are recognised for 31 days: what was heard before that would be written a second time.
pub(super) fn backfill(raw: &str) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_secs(28 * 24 * 3600);
    let hours = hours(raw)?;
    if hours > MOST {
        return Err("must be at most 672 hours, which is four weeks".to_owned());
    }
    Ok(hours)
}

pub(super) fn hours_at_least_one(raw: &str) -> Result<Duration, String> {
    let hours = hours(raw)?;
    if hours.is_zero() {
        return Err("must be at least 1 hour".to_owned());
    }
    Ok(hours)
}

/// More attempts, or a longer wait, are a slip.
const MOST_RETRIES: usize = 50;
const LONGEST_RETRY_SECONDS: u64 = 7 * 24 * 3600;

pub(super) fn retry_schedule(raw: &str) -> Result<Schedule, String> {
    let wanted = "a list of up to 50 whole numbers of seconds, separated by commas: the waits between the attempts, each at most a week";
    let waits = raw.split(',').map(|part| part.trim().parse::<u64>().ok());
    let waits: Option<Vec<_>> = waits
        .map(|wait| wait.filter(|wait| *wait <= LONGEST_RETRY_SECONDS))
        .map(|wait| wait.map(Duration::from_secs))
        .collect();
    let waits = waits.filter(|waits| waits.len() <= MOST_RETRIES);
    waits
        .map(Schedule::new)
        .ok_or_else(|| format!("must be {wanted}"))
}

pub(super) fn webhook_url(raw: &str) -> Result<String, String> {
    check_url(raw).map_err(str::to_owned)?;
    Ok(raw.to_owned())
}

/// One secret, or the new one and the old one.
pub(super) fn webhook_secrets(raw: &str) -> Result<(Credential, Option<Credential>), &'static str> {
    let mut secrets = raw.split(',').map(str::trim).map(Credential::from);
    let all_fit = secrets.clone().all(|secret| is_standard_secret(&secret));
    match (secrets.next(), secrets.next(), secrets.next()) {
        (Some(secret), old, None) if all_fit => Ok((secret, old)),
        _ => Err(
            "must be whsec_ and the base64 of 24 to 64 random bytes (echo whsec_$(openssl rand -base64 32)), or two of these with a comma between them while one is replaced",
        ),
    }
}

pub(super) fn event_types(raw: &str) -> Result<Vec<String>, String> {
    let types: Vec<_> = raw.split(',').map(|word| word.trim().to_owned()).collect();
    if types.iter().all(|word| is_type(word)) {
        Ok(types)
    } else {
        Err(format!(
            "must be a list of {}, separated by commas",
            all_types()
        ))
    }
}

pub(super) fn switch(raw: &str) -> Result<bool, String> {
    match raw {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Whether it works, its first start shows.
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

/// A client of Central Hub.
pub(super) fn client(raw: &str) -> Result<u64, String> {
    number(raw, "a whole number: the client of Central Hub")
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

pub(super) fn stale_sends(raw: &str) -> Result<StaleSends, String> {
    match raw {
        "refuse" => Ok(StaleSends::Refuse),
        "risk" => Ok(StaleSends::Risk),
        _ => Err("must be refuse or risk".to_owned()),
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
