//! What the page writes to its console, and its uncaught errors: the last lines, masked.
//!
//! Responsible for what a line may hold: no longer number, no key and no query of an address gets in. When lines may be kept
//! at all is [`evidence`](super::evidence)'s to say.

use std::collections::VecDeque;

use chromiumoxide::cdp::{
    browser_protocol::log::{EventEntryAdded, LogEntryLevel},
    js_protocol::runtime::{
        ConsoleApiCalledType, EventConsoleApiCalled, EventExceptionThrown, RemoteObject,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Lines kept. A missing module makes wa-js write some fifty (docs/whatsapp.md#wa-js), and what came before tells why.
const LINES: usize = 100;

/// Characters kept of a line: a sentence and the top of a stack.
const LINE_LENGTH: usize = 500;

/// Characters looked at. The rest of a longer line is thrown away unread.
const LOOKED_AT: usize = 4 * LINE_LENGTH;

/// Shorter figures are times, sizes and line numbers; phone numbers and ids are longer.
const LONGEST_FIGURE: usize = 4;

/// What may stand between the figures of a phone number; the last one is the space that a page puts there.
const NUMBER_GAPS: &str = " -.()\u{a0}";

/// Words of letters and figures that are longer are keys or codes: a key of 32 bytes has 43 characters.
const LONGEST_WORD: usize = 39;

/// One line of the page's console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleLine {
    /// When it was heard.
    pub at: Timestamp,
    /// How bad it is.
    pub level: ConsoleLevel,
    /// Masked and cut.
    pub text: String,
}

/// How bad a line is, in the page's own judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleLevel {
    /// Chatter.
    Debug,
    /// A remark.
    Info,
    /// A warning.
    Warning,
    /// An error that the page reports, or one that it did not catch.
    Error,
}

/// The last lines.
#[derive(Debug, Default)]
pub(super) struct Console(VecDeque<ConsoleLine>);

impl Console {
    pub(super) fn push(&mut self, line: ConsoleLine) {
        if self.0.len() == LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn lines(&self) -> Vec<ConsoleLine> {
        self.0.iter().cloned().collect()
    }
}

impl ConsoleLine {
    fn now(level: ConsoleLevel, text: &str) -> Self {
        Self {
            at: Timestamp::now(),
            level,
            text: masked(text),
        }
    }

    /// `console.log` and its kin.
    pub(super) fn called(called: &EventConsoleApiCalled) -> Self {
        let kind = &called.r#type;
        let level = if matches!(
            kind,
            ConsoleApiCalledType::Error | ConsoleApiCalledType::Assert
        ) {
            ConsoleLevel::Error
        } else if *kind == ConsoleApiCalledType::Warning {
            ConsoleLevel::Warning
        } else if *kind == ConsoleApiCalledType::Debug {
            ConsoleLevel::Debug
        } else {
            ConsoleLevel::Info
        };
        let words: Vec<_> = called.args.iter().map(shown).collect();
        Self::now(level, &words.join(" "))
    }

    /// An uncaught error.
    pub(super) fn thrown(thrown: &EventExceptionThrown) -> Self {
        let details = &thrown.exception_details;
        let what = details.exception.as_ref().map(shown).unwrap_or_default();
        let place = details.url.as_deref().unwrap_or_default();
        let text = format!("{} {what} {place}:{}", details.text, details.line_number);
        Self::now(ConsoleLevel::Error, &text)
    }

    /// What Chrome itself says of the page, such as a request that failed.
    pub(super) fn logged(logged: &EventEntryAdded) -> Self {
        let entry = &logged.entry;
        let level = match entry.level {
            LogEntryLevel::Verbose => ConsoleLevel::Debug,
            LogEntryLevel::Info => ConsoleLevel::Info,
            LogEntryLevel::Warning => ConsoleLevel::Warning,
            LogEntryLevel::Error => ConsoleLevel::Error,
        };
        let place = entry.url.as_deref().unwrap_or_default();
        Self::now(level, &format!("{} {place}", entry.text))
    }
}

/// What a console shows of a value: a text as it is, anything else by its description.
fn shown(value: &RemoteObject) -> String {
    match (&value.value, &value.description) {
        (Some(serde_json::Value::String(text)), _) => text.clone(),
        (_, Some(description)) => description.clone(),
        (Some(value), None) => value.to_string(),
        (None, None) => String::new(),
    }
}

/// The text without long numbers, keys, codes and the queries of addresses, cut where it gets too long.
pub(super) fn masked(text: &str) -> String {
    let is_end = |letter: char| letter.is_whitespace() || "\"'`()<>{}[]".contains(letter);
    let (looked_at, more) = match text.char_indices().nth(LOOKED_AT) {
        // What is left of a word that was cut through would not be known for a key.
        Some((end, _)) => (text[..end].trim_end_matches(|letter| !is_end(letter)), "…"),
        None => (text, ""),
    };
    let looked_at = without_written_numbers(looked_at);
    let mut masked = String::new();
    for piece in looked_at.split_inclusive(is_end) {
        let word = piece.trim_end_matches(is_end);
        mask_word(word, &mut masked);
        masked.push_str(&piece[word.len()..]);
    }
    masked.push_str(more);
    masked.truncate(masked.floor_char_boundary(LINE_LENGTH));
    masked
}

fn mask_word(word: &str, masked: &mut String) {
    let is_address = word.contains("://");
    let (word, query) = match word.find(['?', '#']) {
        Some(at) if is_address => word.split_at(at),
        _ => (word, ""),
    };
    let word = match word.split_once("://") {
        // The port of a host is no phone number; what may stand before a host is a password.
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit('@').next().unwrap_or(host);
            mask_parts(scheme, true, masked);
            masked.push_str("://");
            masked.push_str(host);
            path
        }
        None => word,
    };
    mask_parts(word, is_address, masked);
    if !query.is_empty() {
        masked.push('…');
    }
}

/// The text without phone numbers as people write them, with a plus: the groups of their figures are short.
fn without_written_numbers(text: &str) -> String {
    let mut rest = text;
    let mut whole = String::new();
    while let Some(plus) = rest.find('+') {
        let (before, number) = rest.split_at(plus + 1);
        whole.push_str(before);
        // A plus within a word is a letter of a key, which must stay whole to be known for one.
        let is_in_word = before[..plus]
            .ends_with(|letter: char| letter.is_ascii_alphanumeric() || "+/".contains(letter));
        let is_of_number = |letter: char| letter.is_ascii_digit() || NUMBER_GAPS.contains(letter);
        let end = number
            .find(|letter: char| !is_of_number(letter))
            .unwrap_or(number.len());
        let number_only = number[..end].trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let figures = number_only.chars().filter(char::is_ascii_digit).count();
        rest = if !is_in_word && LONGEST_FIGURE < figures {
            whole.push('…');
            &number[number_only.len()..]
        } else {
            number
        };
    }
    whole.push_str(rest);
    whole
}

/// A slash parts the folders of an address, and is a letter of a key.
fn mask_parts(word: &str, is_address: bool, masked: &mut String) {
    let belongs = |letter: char| {
        letter.is_ascii_alphanumeric() || "+=_-".contains(letter) || (letter == '/' && !is_address)
    };
    for part in word.split_inclusive(|letter| !belongs(letter)) {
        if LONGEST_WORD < part.trim_end_matches(|letter| !belongs(letter)).len() {
            masked.push('…');
        } else {
            mask_figures(part, masked);
        }
    }
}

fn mask_figures(part: &str, masked: &mut String) {
    let mut rest = part;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, figures) = rest.split_at(start);
        let length = figures.find(|letter: char| !letter.is_ascii_digit());
        let (figures, after) = figures.split_at(length.unwrap_or(figures.len()));
        masked.push_str(before);
        masked.push_str(if LONGEST_FIGURE < figures.len() {
            "…"
        } else {
            figures
        });
        rest = after;
    }
    masked.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keys_and_queries_are_masked_and_the_rest_is_as_it_was() {
        for (line, wanted) in [
            ("took 1500 ms, line 12", "took 1500 ms, line 12"),
            ("Error: no 5491158254201@c.us!", "Error: no …@c.us!"),
            (
                "at http://me:secret@127.0.0.1:36339/54911/x.js:1",
                "at http://127.0.0.1:36339/…/x.js:1",
            ),
            (
                "GET https://a.example/x.js?t=1#y (404)",
                "GET https://a.example/x.js… (404)",
            ),
            (
                "at f (https://a.example/rsrc.php/v4/yf/l/en_US/abcdefgh.js:10:2)",
                "at f (https://a.example/rsrc.php/v4/yf/l/en_US/abcdefgh.js:10:2)",
            ),
            (
                "ref 2@AbCdEfGhIjKlMnOpQrStUvWxYz+/AbCdEfGhIjKlMnOpQ=,x",
                "ref 2@…x",
            ),
            (
                "to=5491158254201,next=https://a.example/x",
                "to=…,next=https://a.example/x",
            ),
            (
                "linking +54 9 11 5825-4201, or +1 (650) 555-0100.",
                "linking +…, or +….",
            ),
            ("1 + 1 = 2, UTC+3", "1 + 1 = 2, UTC+3"),
            ("key AbCdEfGhIjKlMnOpQrSt+123456AbCdEfGhIjKlMnOpQ", "key …"),
            ("¿qué?", "¿qué?"),
            ("", ""),
        ] {
            assert_eq!(masked(line), wanted);
        }
    }

    #[test]
    fn a_key_at_the_end_of_what_is_looked_at_is_no_shorter_for_that() {
        let keys = format!("{} ", "k".repeat(LONGEST_WORD + 1)).repeat(LOOKED_AT / LONGEST_WORD);
        assert!(!masked(&keys).contains('k'), "{}", masked(&keys));
        assert_eq!(masked(&"k".repeat(LOOKED_AT * 2)), "…");
    }

    #[test]
    fn lines_and_their_length_are_bounded() {
        let mut console = Console::default();
        for number in 0..LINES * 2 {
            let text = format!("{number} {}", "ñ ".repeat(LINE_LENGTH));
            console.push(ConsoleLine::now(ConsoleLevel::Info, &text));
        }
        let lines = console.lines();
        assert_eq!(lines.len(), LINES);
        assert!(lines[0].text.starts_with("100 ñ") && lines[0].text.len() <= LINE_LENGTH);
    }
}
