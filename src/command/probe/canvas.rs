//! Where the code of `--link` is shown.

use crate::{
    command::{
        qr::view::View,
        screen::{Screen, remark},
    },
    session::ClienteId,
};

/// The name of the only session.
pub(super) const SESSION: &str = "probe";

pub(super) fn session() -> ClienteId {
    SESSION.parse().unwrap_or_else(|_| ClienteId::admin())
}

/// A view in words.
pub(super) fn words(view: &View) -> String {
    view.in_words(&session())
}

/// A terminal's second screen, or standard error: never on standard output, which may be the report's file, unless that is a terminal.
pub(super) enum Canvas {
    Screen { screen: Screen, invert: bool },
    Lines { invert: bool, said: Option<String> },
}

impl Canvas {
    pub(super) fn open(invert: bool) -> Self {
        let screen = Screen::is_there().then(Screen::open).and_then(Result::ok);
        match screen {
            Some(screen) => Self::Screen { screen, invert },
            None => Self::Lines { invert, said: None },
        }
    }

    pub(super) fn show(&mut self, view: &View) {
        match self {
            Self::Screen { screen, invert } => {
                let frame = view.frame(&session(), Screen::size(), *invert);
                // A terminal that is gone shows nothing more.
                let _gone = screen.draw(&frame);
            }
            Self::Lines { invert, said } => {
                let shown = view.picture(*invert).unwrap_or_else(|| words(view));
                let is_last_word = matches!(view, View::Ready { .. } | View::Ended { .. });
                if said.as_ref() != Some(&shown) && !is_last_word {
                    remark(&shown);
                    *said = Some(shown);
                }
            }
        }
    }
}
