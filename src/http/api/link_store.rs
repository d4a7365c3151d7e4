//! The one-time links that are open: kept in memory, each as a sum of its token.
//!
//! Decides whether a link is good. What it shows is [`link`](super::link)'s part. All of that goes by the monotonic clock: a
//! wall clock that is set back must not bring a link to life that was over.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::{
    http::wire::error::ApiError,
    session::{ClienteId, Snapshot},
};

/// Long enough for a person to be told, to find the phone and to scan; short enough for an address that may be passed on.
pub(in crate::http) const LIFE: Duration = Duration::from_secs(10 * 60);

/// So long it can be told from one that never was.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Far more than there are sessions to be linked within an hour.
const MOST: usize = 1000;

/// 256 bits.
const TOKEN_BYTES: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::http) struct OneTimeLinks(Mutex<HashMap<[u8; 32], OneTimeLink>>);

/// A link to the code of one session.
#[derive(Clone, Debug)]
pub(in crate::http) struct OneTimeLink {
    pub(super) session: ClienteId,
    made: Instant,
    pub(super) expires: Instant,
    /// The same for people.
    pub(super) expires_at: Timestamp,
    /// Of its token.
    pub(super) sum: [u8; 32],
}

impl OneTimeLinks {
    /// Makes a link and gives its token, which is kept nowhere.
    pub(super) fn make(
        &self,
        session: ClienteId,
        now: Instant,
    ) -> Result<(String, Timestamp), ApiError> {
        let mut links = self.0.lock();
        links.retain(|_, link| now.saturating_duration_since(link.expires) < REMEMBERED);
        if links.len() >= MOST {
            return Err(ApiError::TooManyLinks);
        }
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>());
        let wall = Timestamp::now();
        let expires_at = wall.saturating_add(LIFE).unwrap_or(wall);
        let link = OneTimeLink {
            session,
            made: now,
            expires: now + LIFE,
            expires_at,
            sum: sum(&token),
        };
        links.insert(link.sum, link);
        Ok((token, expires_at))
    }

    /// The link with this token, if it is still good.
    pub(super) fn find(
        &self,
        token: &str,
        now: Instant,
        snapshot: impl FnOnce(&ClienteId) -> Snapshot,
    ) -> Result<OneTimeLink, ApiError> {
        let link = self.0.lock().get(&sum(token)).cloned();
        let link = link.ok_or(ApiError::UnknownLink)?;
        if now < link.expires && !link.is_used(&snapshot(&link.session)) {
            Ok(link)
        } else {
            Err(ApiError::LinkOver)
        }
    }
}

impl OneTimeLink {
    /// Whether its session is linked, or has been since the link was made.
    pub(super) fn is_used(&self, snapshot: &Snapshot) -> bool {
        let since = snapshot.linked_since;
        snapshot.is_linked() || since.is_some_and(|since| self.made <= since)
    }
}

fn sum(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::session::SessionState;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    fn at(second: u64) -> Instant {
        *START + Duration::from_secs(second)
    }

    fn made(links: &OneTimeLinks) -> String {
        links.make("51".parse().unwrap(), at(1000)).unwrap().0
    }

    fn unlinked() -> Snapshot {
        Snapshot::not_running(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_link_is_good_for_ten_minutes_and_then_known_to_be_over_for_an_hour() {
        let links = OneTimeLinks::default();
        let token = made(&links);
        assert!(token.len() >= 43, "{token}");
        let code = |second| {
            let found = links.find(&token, at(second), |_| unlinked());
            found.map(|_| ()).map_err(|why| why.facts().code)
        };
        assert_eq!(code(1000), Ok(()));
        assert_eq!(code(1599), Ok(()));
        assert_eq!(code(1600), Err("LINK_OVER"));
        links.make("52".parse().unwrap(), at(5100)).unwrap();
        assert_eq!(code(5100), Err("LINK_OVER"));
        links.make("52".parse().unwrap(), at(5200)).unwrap();
        assert_eq!(code(5200), Err("LINK_NOT_FOUND"));
        let wrong = links.find("x", at(1000), |_| unlinked());
        assert_eq!(wrong.unwrap_err().facts().code, "LINK_NOT_FOUND");
    }

    #[test]
    fn a_link_is_over_once_its_session_has_been_linked_also_when_it_is_unlinked_later() {
        let links = OneTimeLinks::default();
        let token = made(&links);
        let found = |state: SessionState, linked_since: Option<u64>| {
            let snapshot = Snapshot {
                state,
                // What the wall clock says of it, which may have been set back, is not asked.
                linked_at: linked_since.map(|_| Timestamp::UNIX_EPOCH),
                linked_since: linked_since.map(at),
                ..unlinked()
            };
            links.find(&token, at(1100), |_| snapshot).is_ok()
        };
        assert!(found(SessionState::Init, None));
        assert!(found(SessionState::Disconnected, Some(999)));
        assert!(!found(SessionState::Disconnected, Some(1000)));
        assert!(!found(SessionState::Authenticated, None));
        assert!(!found(SessionState::Ready, None));
        assert!(!found(SessionState::Hibernating, None));
    }

    #[test]
    fn no_two_links_are_alike_and_their_tokens_are_not_kept() {
        let links = OneTimeLinks::default();
        let (one, other) = (made(&links), made(&links));
        assert_ne!(one, other);
        assert!(!format!("{links:?}").contains(&one));
    }

    #[test]
    fn links_are_not_made_without_end() {
        let links = OneTimeLinks::default();
        for _ in 0..MOST {
            made(&links);
        }
        let more = links.make("51".parse().unwrap(), at(1000));
        assert_eq!(more.unwrap_err().facts().code, "TOO_MANY_LINKS");
    }
}
