//! What must not be in a log: the texts, codes and numbers that went through a test's hands.
//!
//! Every service of every test is held to it: [`Api`](super::Api) remembers, and the service's end looks.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

/// Shorter texts occur in any log by chance.
const SHORTEST_TEXT: usize = 4;

/// A part of a login code that is shorter says nothing, such as the platform at its end.
const SHORTEST_CODE_PART: usize = 20;

/// The fields of requests and answers that hold something secret: of the API, and of the sandbox's phone.
const TEXT_FIELDS: [&str; 2] = ["message", "body"];
const NUMBER_FIELDS: [&str; 4] = ["to", "account", "number", "from"];
const CODE_FIELDS: [&str; 1] = ["code"];

/// The secrets of one service, remembered as they pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Arc<Mutex<BTreeSet<String>>>);

impl Secrets {
    /// Remembers what a request says.
    pub(crate) fn remember_request(&self, body: &Value) {
        let texts = |names: &'static [&str]| names.iter().filter_map(|name| body[*name].as_str());
        texts(&TEXT_FIELDS).for_each(|text| self.remember_text(text));
        texts(&NUMBER_FIELDS).for_each(|number| self.remember_number(number));
        texts(&CODE_FIELDS).for_each(|code| self.remember_code(code));
    }

    /// Remembers a text.
    pub(crate) fn remember_text(&self, text: &str) {
        // A log of JSON lines shows a text as JSON does.
        let as_logged = Value::from(text).to_string();
        for form in [text.trim(), as_logged.trim_matches('"').trim()] {
            if form.chars().count() >= SHORTEST_TEXT {
                self.insert(form);
            }
        }
    }

    /// Remembers a phone number, however it is written.
    pub(crate) fn remember_number(&self, number: &str) {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        self.remember_text(&digits);
    }

    /// Remembers a login code: each part of it is a key, or leads to one.
    pub(crate) fn remember_code(&self, code: &str) {
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

    /// The lines of `log` that hold a secret, with the secret before each.
    pub(crate) fn found_in(&self, log: &str) -> Vec<String> {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line_of = |secret: &String| log.lines().find(|line| line.contains(secret.as_str()));
        let found = secrets
            .iter()
            .filter_map(|secret| Some(format!("{secret:?} in {}", line_of(secret)?)));
        found.collect()
    }
}
