//! What is known of a session at one moment, for a person who asks what went wrong.
//!
//! Vocabulary only: [`EvidenceFolder`](super::EvidenceFolder) keeps it on disk. `whatsapp` decides what may be shown of a page.

use std::{io, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Phase, Reason, Snapshot};
use crate::whatsapp::{ConsoleLine, LeftOut, PageEvidence};

/// What is known of a session at one moment, for a person who asks what went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The phase of the start that was under way.
    pub phase: Option<Phase>,
    /// The cause as on the wire; `None` when there was none, and a caller asked for the evidence.
    pub reason: Option<String>,
    /// The cause for people.
    pub detail: Option<String>,
    /// Where the page was, without query.
    pub url: Option<String>,
    /// What the page called itself.
    pub title: Option<String>,
    /// The Chrome that ran.
    pub chrome_version: Option<String>,
    /// The adapter that served.
    pub adapter: Option<String>,
    /// What the adapters lacked.
    pub missing: Vec<String>,
    /// The last lines that Chrome printed, when it did not come up.
    pub chrome_output: Vec<String>,
    /// The last lines of the page's console.
    pub console: Vec<ConsoleLine>,
    /// Why there are none.
    pub console_left_out: Option<String>,
    /// The same as a code.
    #[serde(default)]
    pub console_left_out_code: Option<String>,
    /// The picture's file.
    pub screenshot: Option<String>,
    /// Why there is none.
    pub screenshot_left_out: Option<String>,
    /// The same as a code.
    #[serde(default)]
    pub screenshot_left_out_code: Option<String>,
}

/// Why no evidence was taken. All who asked for one look are told the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EvidenceError {
    /// There is no page to look at.
    #[error("the session has no page now; POST /connect starts one")]
    NotRunning,
    /// The page may show chats.
    #[error("nothing was taken: {}", LeftOut::Chats)]
    OfChats,
    /// It could not be written.
    #[error("the evidence could not be written (DATA_DIR): {0}")]
    Io(Arc<io::Error>),
}

impl From<io::Error> for EvidenceError {
    fn from(why: io::Error) -> Self {
        Self::Io(Arc::new(why))
    }
}

impl Evidence {
    /// What the session says of itself, without a page.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let (no_page, code) = in_words(Some(LeftOut::NoPage));
        Self {
            taken_at: Timestamp::now(),
            phase: snapshot.phase.as_ref().map(|phase| phase.name),
            reason: None,
            detail: None,
            url: None,
            title: None,
            chrome_version: None,
            adapter: snapshot.adapter.serving.map(str::to_owned),
            missing: snapshot.adapter.missing.clone(),
            chrome_output: Vec::new(),
            console: Vec::new(),
            console_left_out: no_page.clone(),
            console_left_out_code: code.clone(),
            screenshot: None,
            screenshot_left_out: no_page,
            screenshot_left_out_code: code,
        }
        .because(snapshot.reason.as_ref())
    }

    /// With this cause.
    pub(super) fn because(self, reason: Option<&Reason>) -> Self {
        Self {
            reason: reason.map(|reason| reason.code.as_str().to_owned()),
            detail: reason.map(|reason| reason.detail.clone()),
            ..self
        }
    }

    /// And what was seen of its page. Gives the picture apart.
    pub(super) fn with(self, seen: PageEvidence) -> (Self, Option<Vec<u8>>) {
        let (console_left_out, console_left_out_code) =
            in_words(seen.console.as_ref().err().copied());
        let (screenshot_left_out, screenshot_left_out_code) =
            in_words(seen.screenshot.as_ref().err().copied());
        let words = Self {
            url: seen.url,
            title: seen.title,
            chrome_version: Some(seen.chrome_version),
            console: seen.console.unwrap_or_default(),
            console_left_out,
            console_left_out_code,
            screenshot_left_out,
            screenshot_left_out_code,
            ..self
        };
        (words, seen.screenshot.ok())
    }
}

/// Why something was left out, as a sentence and as a code.
fn in_words(why: Option<LeftOut>) -> (Option<String>, Option<String>) {
    (
        why.map(|why| why.to_string()),
        why.map(|why| why.code().to_owned()),
    )
}
