//! Output to a terminal: a drawing in place that leaves no trace, or lines where the output is no terminal.
//!
//! A drawing is on the terminal's second screen, so that codes do not stay in the lines that can be scrolled back to.

use std::io::{self, IsTerminal as _, Write as _};

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Second screen, no cursor; and back.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";

/// To the top left; after each line the rest of it is wiped, after the last one the rest of the screen.
const HOME: &str = "\x1b[H";
const WIPE_LINE: &str = "\x1b[K\r\n";
const WIPE_REST: &str = "\x1b[J";

/// A window, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

impl Size {
    /// What of a line fits the window: a line that wraps would push the first ones out of it.
    pub(super) fn cut(self, line: &str) -> String {
        line.chars().take(self.columns).collect()
    }
}

/// Rows below each other, each column as wide as its widest cell.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// The second screen of the terminal. Dropping it gives the first one back.
#[derive(Debug)]
pub(super) struct Screen {
    drawn: String,
}

impl Screen {
    /// Whether there is a terminal to draw on.
    pub(super) fn is_there() -> bool {
        io::stdout().is_terminal()
    }

    pub(super) fn open() -> io::Result<Self> {
        let screen = Self {
            drawn: String::new(),
        };
        put(OPEN)?;
        Ok(screen)
    }

    /// The window as it is now: a person may have made it larger.
    pub(super) fn size() -> Size {
        let (columns, lines) = match rustix::termios::tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            // For a terminal that does not report its size.
            Ok(_) | Err(_) => (80, 24),
        };
        Size {
            columns: columns.into(),
            lines: lines.into(),
        }
    }

    /// Puts these lines in the place of what is shown.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let drawing = format!("{HOME}{}\x1b[K{WIPE_REST}", lines.join(WIPE_LINE));
        if drawing != self.drawn {
            put(&drawing)?;
            self.drawn = drawing;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _gone = put(CLOSE);
    }
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A moment in UTC, as the log of the service has it.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%F %TZ").to_string()
}

/// One line of the answer.
pub(super) fn say(line: &str) -> io::Result<()> {
    put(&format!("{}\n", harmless(line)))
}

/// One line beside the answer: what goes on, what went wrong.
pub(super) fn remark(line: &str) {
    // If standard error is closed, no one reads it.
    let _closed = writeln!(io::stderr().lock(), "{}", harmless(line));
}

/// A text from outside, for the middle of a line: line breaks are written out too.
pub(super) fn one_line(text: &str) -> String {
    let shown = |letter: char| !matches!(letter, '\n' | '\t') && is_harmless(letter);
    written_out(text, shown)
}

/// A text from outside, made safe for a terminal: names of files, what an archive says of itself, what a service
/// answers. A terminal obeys control characters: it moves, hides and overwrites, retitles its window, and
/// some terminals run programs. Lines need none of them; drawings go another way.
fn harmless(text: &str) -> String {
    written_out(text, is_harmless)
}

/// JSON stays JSON: there such letters can only be in strings, where they may be written so.
fn written_out(text: &str, shown: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if shown(letter) {
            out.push(letter);
        } else {
            let digits = format!("{:04x}", u32::from(letter));
            out.push_str("\\u");
            out.push_str(&digits);
        }
    }
    out
}

fn is_harmless(letter: char) -> bool {
    match letter {
        '\n' | '\t' => true,
        // Those that turn the direction of what follows, so that a name could be read as another one; and two that end
        // a line for some programs.
        '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            false
        }
        letter => !letter.is_control(),
    }
}

/// The signals by which a person, or a closing window, ends a command.
#[derive(Debug)]
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    /// Catches them from now on, so that the terminal is restored before the command ends.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves with the number of the first that comes.
    pub(super) async fn next(&mut self) -> u8 {
        const NUMBERS: [u8; 3] = [2, 15, 1];
        tokio::select! {
            _ = self.interrupt.recv() => NUMBERS[0],
            _ = self.terminate.recv() => NUMBERS[1],
            _ = self.hang_up.recv() => NUMBERS[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        for (raw, shown) in [
            ("\x1b]0;owned\x07", "\\u001b]0;owned\\u0007"),
            ("\u{9b}2J", "\\u009b2J"),
            ("ok\r\x1b[KFAIL", "ok\\u000d\\u001b[KFAIL"),
            ("abc\u{202e}def", "abc\\u202edef"),
            ("a\x08b\x7f\0", "a\\u0008b\\u007f\\u0000"),
            ("two\nlines\tand ñandú 🙂", "two\nlines\tand ñandú 🙂"),
        ] {
            assert_eq!(harmless(raw), shown);
        }
        assert_eq!(one_line("51\n52\t"), "51\\u000a52\\u0009");
    }

    #[test]
    fn json_that_is_printed_is_the_same_json() {
        let value = serde_json::json!({"a\u{202e}": "\x1b[2J\u{9b}\u{2028}\n"});
        let shown = harmless(&value.to_string());
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }
}
