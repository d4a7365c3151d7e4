//! `session-manager key`: makes, shows and revokes keys.
//!
//! Works on the file of keys (`API_KEYS_FILE`), whether the service runs or not: a running one takes a change with its next
//! request. A key is printed once, alone on standard output, so that `KEY=$(session-manager key add …)` holds it.

use std::{
    collections::BTreeSet,
    error::Error,
    io::{self, Write},
    time::Duration,
};

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use crate::{
    config::Config,
    keys::{Key, KeyFile, KeyName, KeyText, Scope},
    session::ClienteId,
};

/// A longer life is a slip, or means a key without an end.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What is to be done with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it, once: it is kept nowhere.
    Add {
        /// What to call it: in the list, and in the audit lines of the log.
        name: KeyName,
        /// What it is good for: read (states, never a text), receive (also what is in messages), send, send+receive, or admin
        /// (everything). Each of them reads too.
        #[arg(long)]
        scope: Scope,
        /// The only session that it is good for; may be given more than once. Default: all sessions.
        #[arg(long = "cliente-id", value_name = "ID")]
        cliente_ids: Vec<ClienteId>,
        /// When it ends: 30m, 12h, 90d or 8w from now. Default: never.
        #[arg(long, value_name = "TIME", value_parser = life)]
        expires: Option<Duration>,
    },
    /// Show what keys there are; never the keys.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a key good for nothing, at once.
    Revoke {
        /// What it is called.
        name: KeyName,
    },
}

impl KeyCommand {
    /// Carries the command out. Standard output is for programs, standard error for people.
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let file = KeyFile::new(config.api_keys_file.clone());
        let now = Timestamp::now();
        match self {
            Self::Add {
                name,
                scope,
                cliente_ids,
                expires,
            } => {
                let text = KeyText::generate();
                let mut key = Key::new(name, &text, scope, now);
                let ids = cliente_ids.into_iter().collect();
                key.cliente_ids = Some(ids).filter(|ids: &BTreeSet<_>| !ids.is_empty());
                key.expires_at = expires.map(|life| now.checked_add(life)).transpose()?;
                // The whole path shows a person in another folder than the service's that it is another file.
                let path = std::path::absolute(file.path())?;
                let told = format!(
                    "key {} ({}) is in {}: this is the only time that it is shown",
                    key.name,
                    in_words(&key, now),
                    path.display()
                );
                let is_first = config.api_key.is_none() && !path.try_exists()?;
                file.add(key)?;
                writeln!(io::stderr(), "{told}")?;
                if is_first {
                    writeln!(
                        io::stderr(),
                        "from now on every call of the API needs a key (the page asks for it), except GET /health, /docs, /openapi.json, /openapi-3.0.json and the files of the page; to undo it, delete that file and restart the service"
                    )?;
                }
                writeln!(io::stdout(), "{}", text.reveal())?;
            }
            Self::List { json } => {
                let keys = file.read()?.unwrap_or_default();
                let list = if json {
                    as_json(&keys, now)
                } else {
                    table(&keys, now)
                };
                write!(io::stdout(), "{list}")?;
            }
            Self::Revoke { name } => {
                let left = file.revoke(&name)?;
                writeln!(io::stderr(), "key {name} is revoked")?;
                if left == 0 {
                    let path = file.path().display();
                    writeln!(
                        io::stderr(),
                        "no key is left in {path}: only API_KEY is accepted. If the service is to ask for no key, delete the file and restart the service"
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// Reads `90d`.
fn life(raw: &str) -> Result<Duration, String> {
    let wanted = || {
        "must be a number of minutes, hours, days or weeks, such as 30m, 12h, 90d, 8w; ten years at most".to_owned()
    };
    let (number, unit) = raw
        .split_at_checked(raw.len().saturating_sub(1))
        .ok_or_else(wanted)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return Err(wanted()),
    };
    let number: u32 = number.parse().map_err(|_| wanted())?;
    let life = Duration::from_secs(u64::from(number) * seconds);
    if life.is_zero() || life > LONGEST_LIFE {
        return Err(wanted());
    }
    Ok(life)
}

fn ids(key: &Key) -> String {
    key.cliente_ids.as_ref().map_or_else(
        || "all".to_owned(),
        |ids| {
            ids.iter()
                .map(ClienteId::as_str)
                .collect::<Vec<_>>()
                .join(",")
        },
    )
}

fn in_words(key: &Key, now: Timestamp) -> String {
    format!(
        "{}, sessions: {}, ends: {}",
        key.scope,
        ids(key),
        ends(key, now)
    )
}

fn ends(key: &Key, now: Timestamp) -> String {
    match key.expires_at {
        None => "never".to_owned(),
        Some(at) if key.is_expired(now) => format!("{at:.0} (expired)"),
        Some(at) => format!("{at:.0}"),
    }
}

fn table(keys: &[Key], now: Timestamp) -> String {
    let heading = ["NAME", "SCOPE", "SESSIONS", "KEY", "MADE", "ENDS"].map(str::to_owned);
    let mut rows = vec![heading];
    rows.extend(keys.iter().map(|key| {
        [
            key.name.to_string(),
            key.scope.to_string(),
            ids(key),
            format!("smk_…{}", key.hint),
            format!("{:.0}", key.created_at),
            ends(key, now),
        ]
    }));
    super::screen::table(&rows).join("\n") + "\n"
}

fn as_json(keys: &[Key], now: Timestamp) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            let ids = key.cliente_ids.as_ref();
            json!({
                "name": key.name.as_str(),
                "scope": key.scope.as_str(),
                "cliente_ids": ids.map(|ids| ids.iter().map(ClienteId::as_str).collect::<Vec<_>>()),
                "hint": key.hint,
                "created_at": key.created_at,
                "expires_at": key.expires_at,
                "expired": key.is_expired(now),
            })
        })
        .collect();
    format!("{:#}\n", json!({ "keys": keys }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_a_number_and_a_unit() {
        for (raw, seconds) in [
            ("30m", 1800),
            ("12h", 43_200),
            ("90d", 7_776_000),
            ("1w", 604_800),
        ] {
            assert_eq!(life(raw), Ok(Duration::from_secs(seconds)), "{raw}");
        }
        for bad in [
            "",
            "d",
            "90",
            "0d",
            "-1d",
            "1.5h",
            "90 d",
            "1y",
            "99999d",
            "4294967296m",
            "1ñ",
        ] {
            assert!(life(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_tells_keys_apart_and_shows_none() {
        let now = Timestamp::UNIX_EPOCH;
        let text = KeyText::generate();
        let mut key = Key::new("shop".parse().unwrap(), &text, Scope::Send, now);
        key.cliente_ids = Some(["51", "52"].map(|id| id.parse().unwrap()).into());
        key.expires_at = Some(now);
        let keys = [key];
        for list in [table(&keys, now), as_json(&keys, now)] {
            let in_sight = ["shop", "send", "51", "52", &text.hint(), "expired"];
            assert!(in_sight.iter().all(|seen| list.contains(seen)), "{list}");
            assert!(!list.contains(text.reveal()), "{list}");
            assert!(!list.contains(&keys[0].digest.to_string()), "{list}");
        }
        assert_eq!(table(&[], now), "NAME  SCOPE  SESSIONS  KEY  MADE  ENDS\n");
    }
}
