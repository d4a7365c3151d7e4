//! Why a text is not JSON, in words that tell what to do.
//!
//! The parser says where it stopped. What stands there, and before it, tells the cause; what stands in the texts around
//! it is not repeated.

use serde_json::error::Category;

/// Names and words of a body are ASCII; an error repeats no more of one.
const LONGEST_WORD: usize = 24;

/// The sentence for the caller, to stand behind "the body is not a JSON object: ".
pub(super) fn cause(text: &str, why: &serde_json::Error) -> String {
    let at = offset(text, why);
    let (before, rest) = (&text[..at], &text[at..]);
    let found = rest.chars().next();
    let last = before.trim_end().chars().next_back();
    let said = why.to_string();
    let sentence = if text.starts_with('\'') {
        "it begins with a single quote, which cmd.exe hands on: in cmd.exe use double quotes around it and \\\" inside".to_owned()
    } else if !text.starts_with('{') && text.contains('=') {
        "it looks like a form: send it with Content-Type: application/x-www-form-urlencoded, or send JSON".to_owned()
    } else if said.starts_with("recursion limit") {
        "it is nested more than 128 deep".to_owned()
    } else if why.classify() == Category::Eof {
        "it ends too early: a quotation mark, a bracket or a brace is not closed".to_owned()
    } else if said.starts_with("control character") {
        raw_character(found)
    } else if said.starts_with("invalid escape") {
        "a backslash in a text stands in front of nothing that can be escaped: write a backslash as \\\\".to_owned()
    } else if said.starts_with("trailing characters") {
        "there is more text after its end: send one object only".to_owned()
    } else if said.starts_with("trailing comma") || (last == Some(',') && is_end(found)) {
        "a comma stands in front of a closing } or ]: leave it out".to_owned()
    } else if found == Some('\'') {
        "a name or a text stands in single quotes: use double quotes".to_owned()
    } else if found == Some('\u{201c}') || found == Some('\u{201d}') {
        "a name or a text stands in curly quotation marks, as word processors write them: use \""
            .to_owned()
    } else if said.starts_with("key must be a string") {
        "a name in it is not in double quotes: write {\"cliente_id\": 51} (Windows shells take the quotes away: write \\\" there, or send a file)".to_owned()
    } else if rest.starts_with("//") || rest.starts_with("/*") || found == Some('#') {
        "it has a comment, and JSON has none".to_owned()
    } else if said.starts_with("invalid number")
        || said.starts_with("number out of range")
        || matches!(found, Some('+' | '.'))
    {
        "a number in it is not written as JSON has it: without a 0 or + in front; put what is a text, such as a phone number, in double quotes".to_owned()
    } else if let Some(word) = word(before, rest) {
        format!(
            "{word} is no JSON value: write true, false, null, a number, or a text in double quotes"
        )
    } else if matches!(found, Some('"')) {
        "a comma or a colon is missing in front of a quotation mark; a quotation mark inside of a text is written as \\\"".to_owned()
    } else {
        "a comma, a colon, a value or a quotation mark is missing; a quotation mark inside of a text is written as \\\"".to_owned()
    };
    format!("{sentence} (byte {at})")
}

/// How many bytes stand before the one at which the parser stopped.
fn offset(text: &str, why: &serde_json::Error) -> usize {
    // The parser names the last byte that it has read: what is missing is missing behind it.
    if why.classify() == Category::Eof {
        return text.len();
    }
    let lines = text.split_inclusive('\n');
    let before: usize = lines.take(why.line().saturating_sub(1)).map(str::len).sum();
    let mut at = (before + why.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn is_end(found: Option<char>) -> bool {
    matches!(found, Some('}' | ']'))
}

/// A character that stands in a text as it is, and must be escaped there.
fn raw_character(found: Option<char>) -> String {
    match found {
        Some('\t') => "there is a real tab in a text: write it as \\t".to_owned(),
        Some(c) if c.is_control() && c != '\n' && c != '\r' => {
            format!(
                "there is an unescaped character U+{:04X} in a text: write it as \\u{0:04x}",
                u32::from(c)
            )
        }
        Some(_) | None => {
            "there is a real line break in a text: write a line break as \\n".to_owned()
        }
    }
}

/// A bare word at which the parser stopped, such as `NaN`, `None` or `undefined`. It may have read its first letters.
fn word(before: &str, rest: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphabetic();
    let start = before.trim_end_matches(is_part).len();
    if before[..start].ends_with('"') {
        // What goes on behind a quotation mark is the rest of a text.
        return None;
    }
    let word: String = before[start..]
        .chars()
        .chain(rest.chars())
        .take_while(|c| is_part(*c))
        .take(LONGEST_WORD)
        .collect();
    (!word.is_empty()).then_some(word)
}
