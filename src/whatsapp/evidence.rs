//! What a page leaves behind when something goes wrong with it: a picture, its console, its address.
//!
//! Responsible for taking it, and for what must not be taken. Three things never leave the page this way:
//!
//! - Chats. Of a page that has, or may have, a linked account on it neither picture nor console is kept, unless the
//!   operator asks for it (`EVIDENCE_OF_CHATS`). That a page shows no chats is known while the login screen is seen, and
//!   before that on a profile that never was linked (a mark in the profile remembers it). Whatever follows the login
//!   screen may be chats that no adapter recognises.
//! - A phone number that was typed to link the page by: it stays on the screen until another document takes its place.
//! - Codes that a phone could scan. Those in a picture are painted over; a picture in which a code is known to be, and is not
//!   found, is thrown away.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chromiumoxide::{
    Page,
    cdp::browser_protocol::page::{
        CaptureScreenshotFormat, CaptureScreenshotParams, GetNavigationHistoryParams,
    },
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{
    Standing,
    console::{Console, ConsoleLine, masked},
    cover::cover_codes,
};

/// A picture takes 0.1 to 0.5 s. A page that hangs gives none, and must not hold up for long whoever closes it.
const EVIDENCE_TIMEOUT: Duration = Duration::from_secs(3);

/// Says that the profile has been linked. It lies in the profile, and so goes where the link goes.
const LINKED_MARK: &str = "linked-once";

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
    /// It shows the phone number that it is to be linked by.
    #[error("a phone number is on show")]
    Number,
}

impl fmt::Debug for PageEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageEvidence")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What a page may have on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// No account was ever linked to this profile.
    NeverLinked,
    /// The login screen.
    Login,
    /// Perhaps chats: the profile was linked once, or the login screen has given way to something.
    PerhapsChats,
    /// An account has been linked since the page was opened.
    Linked,
}

/// Watches one page, from its opening to its close. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    seen: Arc<Mutex<Seen>>,
    mark: Arc<PathBuf>,
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is seen or not, whatever the others are"
)]
struct Seen {
    sight: Sight,
    /// A code to scan is on show.
    has_code: bool,
    /// A code to type is on show: no reader finds that one in a picture.
    has_pairing_code: bool,
    /// A phone number was typed into this document.
    has_number: bool,
    keeps_chats: bool,
    console: Console,
}

impl Witness {
    /// For a page on this profile.
    pub(super) async fn of(profile: &Path, keeps_chats: bool) -> Self {
        let mark = profile.join(LINKED_MARK);
        // A profile that cannot be looked at counts as one that was linked.
        let was_linked = tokio::fs::try_exists(&mark).await.unwrap_or(true);
        Self::new(was_linked, keeps_chats, mark)
    }

    fn new(was_linked: bool, keeps_chats: bool, mark: PathBuf) -> Self {
        let sight = if was_linked {
            Sight::PerhapsChats
        } else {
            Sight::NeverLinked
        };
        Self {
            seen: Arc::new(Mutex::new(Seen {
                sight,
                has_code: false,
                has_pairing_code: false,
                has_number: false,
                keeps_chats,
                console: Console::default(),
            })),
            mark: Arc::new(mark),
        }
    }

    /// Takes a line of the console, if lines may be kept now.
    pub(super) fn hear(&self, line: impl FnOnce() -> ConsoleLine) {
        let mut seen = self.lock();
        if seen.may_be_shown() {
            seen.console.push(line());
        }
    }

    /// A phone number is about to be typed.
    pub(super) fn on_number(&self) {
        self.lock().has_number = true;
    }

    /// Another document has begun.
    pub(super) fn on_document(&self) {
        self.lock().has_number = false;
    }

    /// The page stands like this now.
    pub(super) fn on_standing(&self, standing: &Standing) {
        let mut seen = self.lock();
        let before = seen.sight;
        seen.has_code = standing.code.is_some();
        seen.has_pairing_code = standing.pairing_code.is_some();
        seen.sight = if before == Sight::Linked || standing.linked {
            Sight::Linked
        } else if standing.login {
            Sight::Login
        } else if before == Sight::Login {
            Sight::PerhapsChats
        } else {
            before
        };
        if seen.sight == Sight::Linked && before != Sight::Linked {
            if !seen.keeps_chats {
                seen.console.clear();
            }
            let mark = Arc::clone(&self.mark);
            tokio::spawn(async move {
                if let Err(error) = remember(&mark).await {
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
        let screenshot = match self.left_out() {
            Some(why) => Err(why),
            None => match timeout_at(until, picture(page)).await {
                Ok(Some((png, codes))) => self.censor(png, codes),
                Ok(None) | Err(_) => Err(LeftOut::NoAnswer),
            },
        };
        let seen = self.lock();
        PageEvidence {
            url: entry.as_ref().map(|entry| without_query(&entry.url)),
            title: entry.map(|entry| masked(&entry.title)),
            chrome_version: chrome_version.to_owned(),
            console: if seen.may_be_shown() {
                Ok(seen.console.lines())
            } else {
                Err(LeftOut::Chats)
            },
            screenshot,
        }
    }

    fn left_out(&self) -> Option<LeftOut> {
        let seen = self.lock();
        if !seen.may_be_shown() {
            Some(LeftOut::Chats)
        } else if seen.has_number {
            // It may be gone by the time at which the picture is decided on.
            Some(LeftOut::Number)
        } else {
            None
        }
    }

    /// Decides on a picture by what is known after it was taken: the page may have changed meanwhile.
    fn censor(&self, png: Vec<u8>, codes: usize) -> Kept<Vec<u8>> {
        let seen = self.lock();
        if !seen.may_be_shown() {
            Err(LeftOut::Chats)
        } else if seen.has_pairing_code || (seen.has_code && codes == 0) {
            Err(LeftOut::Code)
        } else if seen.has_number {
            Err(LeftOut::Number)
        } else {
            Ok(png)
        }
    }

    /// Each change is whole, so what a panicking thread has left is too.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn may_be_shown(&self) -> bool {
        self.keeps_chats || matches!(self.sight, Sight::NeverLinked | Sight::Login)
    }
}

async fn remember(mark: &Path) -> io::Result<()> {
    tokio::fs::write(mark, "This profile has been linked to an account.\n").await
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
        cover_codes(&png).ok()
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
mod tests {
    use super::*;
    use crate::whatsapp::console::ConsoleLevel;

    fn line() -> ConsoleLine {
        ConsoleLine {
            at: jiff::Timestamp::UNIX_EPOCH,
            level: ConsoleLevel::Info,
            text: "a line".to_owned(),
        }
    }

    fn witness(was_linked: bool, keeps_chats: bool) -> (Witness, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join(LINKED_MARK);
        (Witness::new(was_linked, keeps_chats, mark), folder)
    }

    fn login() -> Standing {
        Standing {
            recognised: true,
            login: true,
            ..Standing::default()
        }
    }

    fn linked() -> Standing {
        Standing {
            recognised: true,
            linked: true,
            ..Standing::default()
        }
    }

    fn lines(witness: &Witness) -> usize {
        witness.lock().console.lines().len()
    }

    #[tokio::test]
    async fn a_page_that_was_linked_once_is_never_shown_again() {
        let (witness, _folder) = witness(false, false);
        witness.hear(line);
        assert_eq!((witness.left_out(), lines(&witness)), (None, 1));
        witness.on_standing(&linked());
        witness.hear(line);
        assert_eq!(lines(&witness), 0);
        for later in [Standing::default(), login()] {
            witness.on_standing(&later);
            assert_eq!(witness.left_out(), Some(LeftOut::Chats));
        }
    }

    #[tokio::test]
    async fn a_profile_that_was_linked_is_shown_only_while_its_login_screen_is_seen() {
        let (witness, _folder) = witness(true, false);
        witness.hear(line);
        assert_eq!(
            (witness.left_out(), lines(&witness)),
            (Some(LeftOut::Chats), 0)
        );
        witness.on_standing(&login());
        assert_eq!(witness.left_out(), None);
        // What has taken its place may be chats that no adapter knows.
        witness.on_standing(&Standing::default());
        assert_eq!(witness.left_out(), Some(LeftOut::Chats));
    }

    #[tokio::test]
    async fn an_operator_may_ask_for_chats() {
        let (witness, _folder) = witness(true, true);
        witness.on_standing(&linked());
        witness.hear(line);
        assert_eq!((witness.left_out(), lines(&witness)), (None, 1));
    }

    #[tokio::test]
    async fn a_code_that_is_not_found_in_the_picture_keeps_the_picture_back() {
        let (witness, _folder) = witness(false, false);
        let code = Some("2@a".to_owned());
        witness.on_standing(&Standing { code, ..login() });
        assert_eq!(witness.censor(vec![1], 1), Ok(vec![1]));
        assert_eq!(witness.censor(vec![1], 0), Err(LeftOut::Code));
    }

    #[tokio::test]
    async fn a_code_to_type_keeps_the_picture_back_whatever_else_is_in_it() {
        let (witness, _folder) = witness(false, false);
        let pairing_code = Some("ABCD1234".to_owned());
        witness.on_standing(&Standing {
            pairing_code,
            ..login()
        });
        assert_eq!(witness.censor(vec![1], 1), Err(LeftOut::Code));
        witness.on_standing(&login());
        assert_eq!(witness.censor(vec![1], 0), Ok(vec![1]));
    }

    #[tokio::test]
    async fn a_number_that_was_typed_keeps_the_picture_back_until_another_document() {
        let (witness, _folder) = witness(false, false);
        witness.on_standing(&login());
        witness.on_number();
        witness.on_standing(&login());
        assert_eq!(witness.left_out(), Some(LeftOut::Number));
        assert_eq!(witness.censor(vec![1], 0), Err(LeftOut::Number));
        witness.on_document();
        assert_eq!(witness.left_out(), None);
        assert_eq!(witness.censor(vec![1], 0), Ok(vec![1]));
    }

    #[tokio::test]
    async fn a_link_is_remembered_in_the_profile() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join(LINKED_MARK);
        remember(&mark).await.unwrap();
        let witness = Witness::of(folder.path(), false).await;
        assert_eq!(witness.left_out(), Some(LeftOut::Chats));
    }

    #[test]
    fn an_address_is_told_without_its_query() {
        for (url, wanted) in [
            (
                "https://a.example/send?phone=549115&x#y",
                "https://a.example/send",
            ),
            ("about:blank", "about:blank"),
        ] {
            assert_eq!(without_query(url), wanted);
        }
    }
}
