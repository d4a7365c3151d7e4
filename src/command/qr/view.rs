//! A session's status for a person who holds a phone: data in, lines out.
//!
//! A code is drawn in black on white, independently of the terminal's colours, and with the largest blocks that fit.

use jiff::Timestamp;

use super::super::{screen::Size, status::in_progress};
use crate::{
    http::contract::Status,
    qr::{Blocks, Ink, QUIET_ZONE, QrPicture},
    session::ClienteId,
};

/// Black on white, by numbers of the 256 colours that no theme changes; and the same swapped.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const WHITE_ON_BLACK: &str = "\x1b[38;5;231;48;5;16m";
const NO_COLOURS: &str = "\x1b[0m";

/// The ways to draw a code, the one that is easiest to scan first. Readers cope with half the quiet zone.
const LAYOUTS: [(Blocks, usize); 4] = [
    (Blocks::Half, QUIET_ZONE),
    (Blocks::Half, QUIET_ZONE / 2),
    (Blocks::Sextants, QUIET_ZONE),
    (Blocks::Sextants, QUIET_ZONE / 2),
];

/// A line above the code and one below it.
const LINES_AROUND: usize = 2;

const LEAVES: &str = "Ctrl-C leaves, the session goes on.";

/// What is to be shown.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::command) enum View {
    /// Nothing to scan yet, or no longer.
    Waiting { why: String },
    /// A code to scan.
    Code { text: String, attempts: u32 },
    /// A code to type.
    PairingCode {
        text: String,
        /// The end of the number that it is for.
        phone: Option<String>,
        expires_at: Option<Timestamp>,
    },
    /// It can send.
    Ready { account: Option<String> },
    /// It is not running, or no longer.
    Ended { state: String, why: String },
}

impl View {
    /// The view of a status for a person who wants to scan, or to type a code on a phone.
    pub(in crate::command) fn of(status: &Status, wants_pairing: bool) -> Self {
        let waiting = |why: &str| Self::Waiting {
            why: why.to_owned(),
        };
        match &*status.state {
            "READY" => Self::Ready {
                account: status.account.clone(),
            },
            "DISCONNECTED" | "ERROR" => Self::Ended {
                state: status.state.to_string(),
                why: why_ended(status),
            },
            "QR_REQUIRED" if wants_pairing => match &status.pairing_code {
                Some(text) => Self::PairingCode {
                    text: text.clone(),
                    phone: status.pairing_phone.clone(),
                    expires_at: status.pairing_code_expires_at.map(|at| at.0),
                },
                // Why there will be none.
                None => waiting(
                    status
                        .detail
                        .as_deref()
                        .unwrap_or("WhatsApp Web is about to give a code to type"),
                ),
            },
            "QR_REQUIRED" => match &status.qr {
                Some(code) => Self::Code {
                    text: code.url.clone(),
                    attempts: status.attempts.unwrap_or(1),
                },
                None => waiting("WhatsApp Web is about to show a code"),
            },
            "AUTHENTICATED" => Self::Waiting {
                why: match (&status.detail, status.sync_percent) {
                    (Some(detail), _) => format!("linked: {detail}"),
                    (None, Some(percent)) => format!("linked: the chats are syncing, {percent} %"),
                    (None, None) => "linked: the chats are syncing".to_owned(),
                },
            },
            _ => waiting(match &status.phase {
                Some(phase) => in_progress(phase.name),
                None => "loading WhatsApp Web",
            }),
        }
    }

    /// In one line, for people.
    pub(in crate::command) fn in_words(&self, id: &ClienteId) -> String {
        match self {
            Self::Waiting { why } => format!("session {id}: {why}"),
            Self::Code { attempts, .. } => format!(
                "session {id}, code {attempts}: scan it with WhatsApp (Linked devices, Link a device)"
            ),
            Self::PairingCode { phone, .. } => format!(
                "session {id}: type this on the phone{} (WhatsApp, Linked devices, Link a device, Link with phone number instead)",
                phone
                    .as_deref()
                    .map_or_else(String::new, |end| format!(" {end}"))
            ),
            Self::Ready {
                account: Some(account),
            } => format!("session {id} is READY, account {account}"),
            Self::Ready { account: None } => format!("session {id} is READY"),
            Self::Ended { state, why } => format!("session {id} is {state}: {why}"),
        }
    }

    /// The code alone, without colours, for an output that is no terminal.
    pub(in crate::command) fn picture(&self, invert: bool) -> Option<String> {
        match self {
            Self::Code { text, .. } => {
                let ink = if invert { Ink::Dark } else { Ink::Light };
                let lines = QrPicture::of(text)
                    .ok()?
                    .lines(Blocks::Half, ink, QUIET_ZONE);
                Some(lines.join("\n"))
            }
            Self::PairingCode { text, .. } => Some(grouped(text)),
            Self::Waiting { .. } | Self::Ready { .. } | Self::Ended { .. } => None,
        }
    }

    /// All that is in the window.
    pub(in crate::command) fn frame(
        &self,
        id: &ClienteId,
        size: Size,
        invert: bool,
    ) -> Vec<String> {
        let words = size.cut(&self.in_words(id));
        match self {
            Self::Waiting { .. } | Self::Ready { .. } | Self::Ended { .. } => vec![words],
            Self::PairingCode {
                text, expires_at, ..
            } => {
                let left =
                    expires_at.map(|at| at.duration_since(Timestamp::now()).as_secs().max(0));
                let life = left.map_or_else(String::new, |left| format!("good for {left} s; "));
                let spaced = grouped(text)
                    .chars()
                    .flat_map(|letter| [letter, ' '])
                    .collect::<String>();
                vec![
                    words,
                    String::new(),
                    size.cut(&format!("    {spaced}")),
                    String::new(),
                    size.cut(&format!("{life}the next one replaces it. {LEAVES}")),
                ]
            }
            Self::Code { text, .. } => {
                let Ok(code) = QrPicture::of(text) else {
                    return vec!["the code is too long to be drawn".to_owned()];
                };
                let Some((blocks, quiet)) = layout(code.modules(), size) else {
                    let (columns, lines) = needed(code.modules());
                    return vec![
                        words,
                        size.cut(&format!(
                            "make this window larger: {columns} columns and {lines} lines"
                        )),
                    ];
                };
                let hint = match blocks {
                    Blocks::Half => format!("The next code replaces this one. {LEAVES}"),
                    Blocks::Sextants => {
                        let (_, lines) = Blocks::Half.size(code.modules() + QUIET_ZONE);
                        format!(
                            "Boxes instead of a code? Make this window {} lines high.",
                            lines + LINES_AROUND
                        )
                    }
                };
                let colours = if invert {
                    WHITE_ON_BLACK
                } else {
                    BLACK_ON_WHITE
                };
                let coloured = |line: String| format!("{colours}{line}{NO_COLOURS}");
                let picture = code
                    .lines(blocks, Ink::Dark, quiet)
                    .into_iter()
                    .map(coloured);
                std::iter::once(words)
                    .chain(picture)
                    .chain([size.cut(&hint)])
                    .collect()
            }
        }
    }
}

/// The first layout that fits the window.
fn layout(modules: usize, size: Size) -> Option<(Blocks, usize)> {
    LAYOUTS.into_iter().find(|(blocks, quiet)| {
        let (columns, lines) = blocks.size(modules + 2 * quiet);
        columns <= size.columns && lines + LINES_AROUND <= size.lines
    })
}

/// The smallest window that a code fits.
fn needed(modules: usize) -> (usize, usize) {
    let (columns, lines) = Blocks::Sextants.size(modules + QUIET_ZONE);
    (columns, lines + LINES_AROUND)
}

/// As the phone shows the places for it.
fn grouped(code: &str) -> String {
    match code.split_at_checked(4) {
        Some((first, second)) if second.len() == 4 => format!("{first}-{second}"),
        Some(_) | None => code.to_owned(),
    }
}

fn why_ended(status: &Status) -> String {
    match (&status.reason, &status.detail) {
        (Some(reason), Some(detail)) => format!("{detail} ({reason})"),
        (Some(reason), None) => reason.to_string(),
        (None, _) => "it is not running; without --no-connect this command starts it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn view(status: &Value) -> View {
        View::of(&Status::sample(status), false)
    }

    fn code(length: usize) -> View {
        View::Code {
            text: "x".repeat(length),
            attempts: 3,
        }
    }

    fn frame(view: &View, columns: usize, lines: usize) -> Vec<String> {
        view.frame(&ClienteId::admin(), Size { columns, lines }, false)
    }

    /// What is left of a line when the colours are gone.
    fn width(line: &str) -> usize {
        let line = line.replace(BLACK_ON_WHITE, "").replace(NO_COLOURS, "");
        line.chars().count()
    }

    #[test]
    fn each_state_says_what_a_person_can_do() {
        let qr = json!({"state": "QR_REQUIRED", "qr": {"url": "2@x", "base64": "", "attempts": 2, "timestamp": 0, "expires_in": 9}, "attempts": 2});
        assert!(matches!(view(&qr), View::Code { text, attempts: 2 } if text == "2@x"));
        let statuses = [
            qr,
            json!({"state": "INIT", "phase": {"name": "QUEUED", "since": "1970-01-01T00:00:00.000Z"}}),
            json!({"state": "INIT"}),
            json!({"state": "QR_REQUIRED"}),
            json!({"state": "AUTHENTICATED", "sync_percent": 40}),
            json!({"state": "AUTHENTICATED", "reason": "NETWORK_LOST", "detail": "no network"}),
            json!({"state": "READY", "account": "549"}),
            json!({"state": "ERROR", "reason": "CHROME_NOT_FOUND", "detail": "install one"}),
            json!({"state": "DISCONNECTED"}),
        ];
        let words = statuses.map(|status| view(&status).in_words(&ClienteId::admin()));
        insta::assert_snapshot!("words", words.join("\n"));
    }

    #[test]
    fn a_person_who_types_a_code_is_not_shown_one_to_scan() {
        let both = json!({"state": "QR_REQUIRED", "qr": {"url": "2@x", "base64": "", "attempts": 2, "timestamp": 0, "expires_in": 9}, "pairing_code": "ABCDEFGH"});
        let shown = View::of(&Status::sample(&both), true);
        assert_eq!(shown.picture(false).as_deref(), Some("ABCD-EFGH"));
        assert!(frame(&shown, 80, 24)[2].contains("A B C D - E F G H"));
    }

    #[test]
    fn a_login_code_fits_a_window_of_80_by_24_and_is_drawn_large_where_there_is_room() {
        for length in [200, 230, 250, 271] {
            for (columns, lines) in [(80, 24), (80, 35), (200, 60)] {
                let drawn = frame(&code(length), columns, lines);
                assert!(
                    drawn.len() <= lines && drawn.len() > 20,
                    "{length}: {}",
                    drawn.len()
                );
                assert!(drawn.iter().all(|line| width(line) <= columns), "{length}");
                let has_half_blocks = drawn.iter().any(|line| line.contains('▀'));
                assert_eq!(has_half_blocks, lines > 24, "{length} in {lines} lines");
            }
        }
    }

    #[test]
    fn a_window_that_is_too_small_says_how_large_it_must_be() {
        let drawn = frame(&code(230), 80, 10);
        assert!(drawn[1].contains("29 columns and 21 lines"), "{}", drawn[1]);
        assert!(
            frame(&code(230), 12, 3)
                .iter()
                .all(|line| width(line) <= 12)
        );
    }

    #[test]
    fn a_code_is_dark_on_light_unless_it_is_swapped() {
        let size = Size {
            columns: 80,
            lines: 40,
        };
        let swapped = code(230).frame(&ClienteId::admin(), size, true);
        assert!(swapped[1].starts_with(WHITE_ON_BLACK));
        let plain = code(230).picture(false).unwrap();
        assert!(plain.starts_with('█'), "light where characters are");
        assert!(code(230).picture(true).unwrap().starts_with(' '));
    }
}
