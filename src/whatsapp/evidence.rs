//! What a page leaves behind when something goes wrong with it: a picture, its console, its address.
//!
//! Responsible for taking it; what must not be taken, [`disclosure`] decides. Three things never leave the page this way:
//!
//! - Chats. Of a page that has, or may have, a linked account on it neither picture nor console is kept, unless the
//!   operator asks for it (`EVIDENCE_OF_CHATS`). That a page shows no chats is known while the login screen is seen, and
//!   before that on a profile that never was linked (a mark in the profile remembers it). Whatever follows the login
//!   screen may be chats that no adapter recognises.
//! - A phone number that was typed to link the page by: it stays on the screen until another document takes its place.
//! - Codes that a phone could scan. Those in a picture are painted over; a picture in which a code is known to be, and is not
//!   found, is thrown away.

mod disclosure;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chromiumoxide::{
    Page,
    cdp::browser_protocol::page::{
        CaptureScreenshotFormat, CaptureScreenshotParams, GetNavigationHistoryParams,
    },
};
use disclosure::Disclosure;
use parking_lot::Mutex;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{
    Standing,
    console::{Console, ConsoleLine, masked},
    redact_qr::redact_codes,
};
use crate::browser::ProfileNote;

/// A picture takes 0.1 to 0.5 s. A page that hangs gives none, and must not delay its closing for long.
const EVIDENCE_TIMEOUT: Duration = Duration::from_secs(3);

/// What was seen of a page at one moment.
#[derive(Clone)]
pub struct PageEvidence {
    /// Where it is, without query and fragment.
    pub url: Option<String>,
    /// What it calls itself.
    pub title: Option<String>,
    /// The Chrome that shows it.
    pub chrome_version: String,
    /// The last lines of its console, or why there are none.
    pub console: Kept<Vec<ConsoleLine>>,
    /// What it looks like as a PNG, or why that is not known.
    pub screenshot: Kept<Vec<u8>>,
}

/// Something that was kept, or not.
pub type Kept<T> = Result<T, LeftOut>;

/// Why a part of the evidence is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftOut {
    /// There was nothing to look at.
    #[error("there was no page")]
    NoPage,
    /// It gave no picture in time, or Chrome is gone.
    #[error("the page gave no picture in time")]
    NoAnswer,
    /// It may show chats.
    #[error(
        "the page may show an account's chats (one is linked, or has been, or the login screen has given way to something unknown): EVIDENCE_OF_CHATS=true keeps them too"
    )]
    Chats,
    /// It shows a code that could not be painted over.
    #[error("a login code is on show")]
    Code,
    /// It shows the phone number by which it will be linked.
    #[error("a phone number is on show")]
    Number,
}

impl LeftOut {
    /// Each of them.
    pub const ALL: [Self; 5] = [
        Self::NoPage,
        Self::NoAnswer,
        Self::Chats,
        Self::Code,
        Self::Number,
    ];

    /// The stable word for it, which programs read instead of the sentence.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoPage => "NO_PAGE",
            Self::NoAnswer => "NO_ANSWER",
            Self::Chats => "CHATS",
            Self::Code => "CODE",
            Self::Number => "NUMBER",
        }
    }
}

impl fmt::Debug for PageEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageEvidence")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What has been seen and heard of a page.
#[derive(Debug)]
struct Seen {
    disclosure: Disclosure,
    console: Console,
}

/// Watches one page, from its opening to its close. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct EvidenceRecorder {
    seen: Arc<Mutex<Seen>>,
    profile: Arc<Path>,
}

impl EvidenceRecorder {
    /// For a page on this profile.
    pub(super) async fn of(profile: &Path, keeps_chats: bool) -> Self {
        let profile: Arc<Path> = profile.into();
        let noted = Arc::clone(&profile);
        let read = spawn_blocking(move || ProfileNote::read_or_linked(&noted).linked_once).await;
        Self::new(read.unwrap_or(true), keeps_chats, profile)
    }

    fn new(was_linked: bool, keeps_chats: bool, profile: Arc<Path>) -> Self {
        Self {
            seen: Arc::new(Mutex::new(Seen {
                disclosure: Disclosure::new(was_linked, keeps_chats),
                console: Console::default(),
            })),
            profile,
        }
    }

    /// Takes a line of the console, if lines may be kept now.
    pub(super) fn hear(&self, line: impl FnOnce() -> ConsoleLine) {
        let mut seen = self.seen.lock();
        if seen.disclosure.may_be_shown() {
            seen.console.push(line());
        }
    }

    /// A phone number is about to be typed.
    pub(super) fn on_number(&self) {
        self.seen.lock().disclosure.on_number();
    }

    /// Another document has begun.
    pub(super) fn on_document(&self) {
        self.seen.lock().disclosure.on_document();
    }

    /// The page stands like this now.
    pub(super) fn on_standing(&self, standing: &Standing) {
        let mut seen = self.seen.lock();
        if seen.disclosure.on_standing(standing) {
            if !seen.disclosure.keeps_chats() {
                seen.console.clear();
            }
            let profile = Arc::clone(&self.profile);
            // Not by the session's actor: a phone may scan the code after the actor has ended, until Chrome is closed.
            spawn_blocking(move || {
                if let Err(error) = ProfileNote::change(&profile, |note| note.linked_once = true) {
                    tracing::warn!(%error, "it could not be noted that the profile is linked: {error}");
                }
            });
        }
    }

    /// Looks at the page, for a few seconds at most.
    pub(super) async fn look(&self, page: &Page, chrome_version: &str) -> PageEvidence {
        let until = Instant::now() + EVIDENCE_TIMEOUT;
        let asked = page.execute(GetNavigationHistoryParams::default());
        let entry = match timeout_at(until, asked).await {
            Ok(Ok(answer)) => usize::try_from(answer.result.current_index)
                .ok()
                .and_then(|at| answer.result.entries.get(at).cloned()),
            Ok(Err(_)) | Err(_) => None,
        };
        let left_out = self.seen.lock().disclosure.left_out();
        let screenshot = match left_out {
            Some(why) => Err(why),
            None => match timeout_at(until, picture(page)).await {
                Ok(Some((png, codes))) => self.seen.lock().disclosure.censor(png, codes),
                Ok(None) | Err(_) => Err(LeftOut::NoAnswer),
            },
        };
        let seen = self.seen.lock();
        PageEvidence {
            url: entry.as_ref().map(|entry| without_query(&entry.url)),
            title: entry.map(|entry| masked(&entry.title)),
            chrome_version: chrome_version.to_owned(),
            console: if seen.disclosure.may_be_shown() {
                Ok(seen.console.lines())
            } else {
                Err(LeftOut::Chats)
            },
            screenshot,
        }
    }
}

/// What the page looks like, without codes, and how many codes it had.
async fn picture(page: &Page) -> Option<(Vec<u8>, usize)> {
    let params = CaptureScreenshotParams {
        format: Some(CaptureScreenshotFormat::Png),
        ..CaptureScreenshotParams::default()
    };
    let captured = page.execute(params).await.ok()?;
    let encoded = captured.result.data;
    let covered = spawn_blocking(move || {
        let png = STANDARD.decode(AsRef::<[u8]>::as_ref(&encoded)).ok()?;
        redact_codes(&png).ok()
    });
    let covered = covered.await.ok()??;
    Some((covered.png, covered.codes))
}

/// An address up to its query: what follows may name a number.
fn without_query(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    masked(&url[..end])
}

#[cfg(test)]
mod tests;
