//! What must not be in a log: the texts, numbers, codes, keys and secrets of a test.
//!
//! The log of every service of every test is held to it, at `debug`. What they are is known in three ways: they went through the
//! test's hands ([`Api`](super::Api), the settings), they are in the ledger that the service leaves ([`remember_ledger`]), or they are
//! recognised by their form ([`Form`]). A service's end looks once at its whole log, for all of them together. Texts of tests are in
//! Spanish, since a log has English words.
//!
//! [`remember_ledger`]: Secrets::remember_ledger

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use rusqlite::Connection;
use serde_json::Value;

/// Shorter texts occur in any log by chance.
const SHORTEST_TEXT: usize = 4;

/// A shorter text counts only as a word of its own: `Hola`, but not in `Holanda`.
const SHORTEST_PART: usize = 8;

/// Of a longer text its beginning is looked for: who shows a part of a text shows that.
const LONGEST_PART: usize = 100;

/// A shorter number is no full one.
const SHORTEST_NUMBER: usize = 7;

/// A part of a login code that is shorter says nothing, such as the platform at its end.
const SHORTEST_CODE_PART: usize = 20;

/// The fields of requests, of answers and of events that hold something secret, at any depth: of the API, of webhooks and of the
/// sandbox's phone.
const TEXT_FIELDS: [&str; 10] = [
    "message", "body", "text", "texto", "caption", "question", "vcard", "secret", "password", "url",
];
const NUMBER_FIELDS: [&str; 9] = [
    "to",
    "account",
    "number",
    "from",
    "by",
    "phone",
    "telefono",
    "participants",
    "mentions",
];
const CODE_FIELDS: [&str; 2] = ["code", "pairing_code"];
/// Each of its values is one.
const HEADERS: &str = "headers";

/// The only fields of answers that are looked at: others say the same as what was asked, or explain an error.
const ANSWER_FIELDS: [&str; 2] = ["secret", "pairing_code"];

/// How a setting's name ends whose value is a secret.
const SECRET_SETTINGS: [&str; 4] = ["_KEY", "_SECRET", "_PASS", "_TOKEN"];

/// A secret that is known by its form: how it begins or ends, and what else it needs.
struct Form {
    anchor: &'static str,
    is_secret: fn(before: &str, after: &str) -> bool,
}

/// So many characters of this kind.
fn run(text: impl Iterator<Item = char>, is_part: fn(char) -> bool) -> usize {
    text.take_while(|c| is_part(*c)).count()
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=_-".contains(c)
}

/// Digits before an address, as in `5491158254201@c.us`.
fn follows_number(before: &str, _: &str) -> bool {
    run(before.chars().rev(), |c| c.is_ascii_digit()) >= SHORTEST_NUMBER
}

const FORMS: [Form; 8] = [
    // An API key.
    Form {
        anchor: "smk_",
        is_secret: |_, after| run(after.chars(), |c| c.is_ascii_alphanumeric()) >= 32,
    },
    // What a webhook is signed with.
    Form {
        anchor: "whsec_",
        is_secret: |_, after| run(after.chars(), is_base64) >= 24,
    },
    // A login code.
    Form {
        anchor: "2@",
        is_secret: |_, after| run(after.chars(), is_base64) >= SHORTEST_CODE_PART,
    },
    // Each fictitious number of the tests begins so.
    Form {
        anchor: "54911",
        is_secret: |_, after| run(after.chars(), |c| c.is_ascii_digit()) >= SHORTEST_NUMBER,
    },
    Form {
        anchor: "@c.us",
        is_secret: follows_number,
    },
    Form {
        anchor: "@lid",
        is_secret: follows_number,
    },
    Form {
        anchor: "@g.us",
        is_secret: follows_number,
    },
    Form {
        anchor: "@s.whatsapp.net",
        is_secret: follows_number,
    },
];

/// The secrets of the services on one folder, remembered as they pass. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Arc<Mutex<BTreeSet<String>>>);

impl Secrets {
    /// Remembers what a request says.
    pub(crate) fn remember_request(&self, body: &Value) {
        self.remember_fields(body, None, |_| true);
    }

    /// Remembers what the service has made and answered with.
    pub(crate) fn remember_answer(&self, body: &Value) {
        self.remember_fields(body, None, |field| ANSWER_FIELDS.contains(&field));
    }

    fn remember_fields(&self, value: &Value, field: Option<&str>, is_meant: fn(&str) -> bool) {
        match (value, field) {
            (Value::Object(fields), Some(HEADERS)) => {
                let values = fields.values().filter_map(Value::as_str);
                values.for_each(|value| self.remember_text(value));
            }
            (Value::Object(fields), _) => {
                for (name, value) in fields {
                    self.remember_fields(value, Some(name), is_meant);
                }
            }
            (Value::Array(values), _) => {
                for value in values {
                    self.remember_fields(value, field, is_meant);
                }
            }
            (Value::String(text), Some(field)) if is_meant(field) => {
                if TEXT_FIELDS.contains(&field) {
                    self.remember_text(text);
                }
                if NUMBER_FIELDS.contains(&field) {
                    self.remember_number(text);
                }
                if CODE_FIELDS.contains(&field) {
                    self.remember_code(text);
                }
            }
            (Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null, _) => {}
        }
    }

    /// Remembers what a service is set to that is secret.
    pub(crate) fn remember_settings<'a>(
        &self,
        settings: impl IntoIterator<Item = (&'a &'static str, &'a OsString)>,
    ) {
        for (name, value) in settings {
            let name = format!("_{name}");
            let is_secret = SECRET_SETTINGS.iter().any(|end| name.ends_with(end));
            if let Some(value) = value.to_str().filter(|_| is_secret) {
                self.remember_text(value);
            }
        }
    }

    /// Remembers the texts and numbers that a service has written down under this folder: also what its sandbox thought up, and what
    /// another service of the test said to it. A ledger that the test has damaged says nothing.
    pub(crate) fn remember_ledger(&self, data: &Path) {
        for ledger in ledgers_under(data) {
            // In a copy: the service that comes next must find what the last one left.
            let copy = tempfile::tempdir().unwrap();
            for entry in fs::read_dir(ledger).into_iter().flatten().flatten() {
                let _not_a_file = fs::copy(entry.path(), copy.path().join(entry.file_name()));
            }
            let _damaged = self.remember_file(&copy.path().join("ledger.sqlite3"));
        }
    }

    fn remember_file(&self, path: &Path) -> rusqlite::Result<()> {
        let file = Connection::open(path)?;
        let mut events = file.prepare("SELECT data FROM events WHERE data IS NOT NULL")?;
        for data in events.query_map([], |row| row.get::<_, String>(0))? {
            // Not all that a test writes there is JSON.
            self.remember_request(&serde_json::from_str(&data?).unwrap_or_default());
        }
        let mut sends = file.prepare("SELECT recipient, account, body FROM sends")?;
        let mut rows = sends.query([])?;
        while let Some(row) = rows.next()? {
            let text = |column: usize| row.get::<_, Option<String>>(column);
            for number in [text(0)?, text(1)?].iter().flatten() {
                self.remember_number(number);
            }
            if let Some(body) = text(2)? {
                self.remember_text(&body);
            }
        }
        Ok(())
    }

    /// Remembers a text.
    pub(crate) fn remember_text(&self, text: &str) {
        // A log of JSON lines shows a text as JSON does.
        let as_logged = Value::from(text).to_string();
        for form in [text.trim(), as_logged.trim_matches('"').trim()] {
            if form.chars().count() >= SHORTEST_TEXT {
                let beginning: String = form.chars().take(LONGEST_PART).collect();
                self.insert(&beginning);
            }
        }
    }

    /// Remembers a phone number, however it is written.
    pub(crate) fn remember_number(&self, number: &str) {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        if digits.len() >= SHORTEST_NUMBER {
            self.insert(&digits);
        }
    }

    /// Remembers a code to scan or to type: each part of it is a key, or leads to one.
    pub(crate) fn remember_code(&self, code: &str) {
        let is_to_type = code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_to_type {
            self.insert(code);
        }
        for part in code.split(['#', ',']) {
            if part.len() >= SHORTEST_CODE_PART && !part.starts_with("http") {
                self.insert(part);
            }
        }
    }

    fn insert(&self, secret: &str) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(secret.to_owned());
    }

    /// The first line of `log` that holds each secret, with the secret before it.
    pub(crate) fn found_in(&self, log: &str) -> Vec<String> {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forms = FORMS.iter().map(|form| form.anchor);
        let sought: Vec<&str> = forms.chain(secrets.iter().map(String::as_str)).collect();
        // A table for each state would take longer to make than a log to read.
        let search = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&sought)
            .unwrap();
        let mut found = BTreeMap::new();
        for hit in search.find_overlapping_iter(log) {
            let (before, after) = (&log[..hit.start()], &log[hit.end()..]);
            let number = hit.pattern().as_usize();
            let is_secret = if let Some(form) = FORMS.get(number) {
                (form.is_secret)(before, after)
            } else {
                let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                sought[number].len() >= SHORTEST_PART
                    || !(is_part(before.chars().next_back()) || is_part(after.chars().next()))
            };
            if is_secret {
                let begin = before.rfind('\n').map_or(0, |at| at + 1);
                let end = after.find('\n').map_or(log.len(), |at| hit.end() + at);
                found.entry(number).or_insert(&log[begin..end]);
            }
        }
        let shown = |(number, line): (usize, &str)| format!("{:?} in {line}", sought[number]);
        found.into_iter().map(shown).collect()
    }
}

/// The folders of ledgers in a folder of data: with a sandbox it stands one level deeper.
fn ledgers_under(data: &Path) -> Vec<PathBuf> {
    let folders = [data.join("ledger"), data.join("sandbox/ledger")];
    let has_one = |folder: &PathBuf| folder.join("ledger.sqlite3").try_exists().unwrap_or(false);
    folders.into_iter().filter(has_one).collect()
}
