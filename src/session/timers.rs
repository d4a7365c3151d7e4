//! The deadlines of a session whose page is open. Pure: knows no time but what it is given.
//!
//! Each timer belongs to a state and is cleared when the state is left.

use std::time::Duration;

use tokio::time::Instant;

use super::SessionState;
use crate::whatsapp::{Standing, Trouble};

/// From an open page to a code or an account. A heavy page takes 4 s, and 18 s when many start at once (CHROME.md); a
/// slow network may need far more, but nobody waits longer than this in front of `INIT`.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(90);

/// A start holds up the ones behind it for this long at most: 16 heavy pages that all start at once on two cores take 18 s
/// (CHROME.md), and a page that hangs must not stop the others.
const START_TURN: Duration = Duration::from_secs(20);

/// A page of a running session that has turned into something else, such as Chrome's own error page, and does not come
/// back: a reload takes seconds.
pub(super) const UNRECOGNISED_TIMEOUT: Duration = Duration::from_secs(60);

/// From the link to READY, and from one step of the sync to the next. The real page takes 7 to 15 s (WHATSAPP.md,
/// section 2), an account with years of chats minutes; one that does not move for this long never arrives.
pub(super) const SYNC_TIMEOUT: Duration = Duration::from_secs(300);

/// A healthy reconnect takes 0.3 to 1.4 s, after an `offline` event up to 3.1 s (WHATSAPP.md, section 2). A silent loss
/// shows in the page after 33 to 34 s only, and READY must end within 40.
const RECONNECT_GRACE: Duration = Duration::from_secs(5);

/// Fresh codes come some 1 s after they were asked for (WHATSAPP.md, section 1); asked again when they did not.
const REFRESH_RETRY: Duration = Duration::from_secs(5);

/// Between two tries to take the account back from another window: a person at that one shall see what happens.
const TAKE_OVER_RETRY: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Timers {
    qr_timeout: Duration,
    takes_over: bool,
    /// By when INIT must be left.
    start: Option<Instant>,
    /// By when the next start may begin, whatever this one does.
    turn: Option<Instant>,
    /// By when a page that is none of WhatsApp's must be one again.
    recognise: Option<Instant>,
    /// By when the chats must be synced, or further synced than now.
    sync: Option<Instant>,
    synced_percent: Option<u8>,
    /// Once READY, a session may be without WhatsApp's server for as long as that takes.
    has_been_ready: bool,
    /// By when somebody must have scanned.
    scan: Option<Instant>,
    /// When fresh codes are to be asked for.
    refresh: Option<Instant>,
    /// When the account is to be taken back from another window.
    take_over: Option<Instant>,
    /// When a connection that is lost counts as lost.
    reconnect: Option<Instant>,
}

/// A deadline that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// The page came up with neither code nor account.
    Start,
    /// This start has had its turn.
    Turn,
    /// The page is no longer WhatsApp Web.
    Recognise,
    /// The chats did not get synced.
    Sync,
    /// Nobody scanned.
    Scan,
    /// Fresh codes are due.
    Refresh,
    /// The account is to be taken back from another window.
    TakeOver,
    /// The connection has been lost for longer than a healthy reconnect takes.
    Reconnect,
}

impl Timers {
    pub(super) fn new(qr_timeout: Duration, takes_over: bool, now: Instant) -> Self {
        let start = Some(now + START_TIMEOUT);
        Self {
            qr_timeout,
            takes_over,
            start,
            turn: Some(now + START_TURN),
            recognise: None,
            sync: None,
            synced_percent: None,
            has_been_ready: false,
            scan: None,
            refresh: None,
            take_over: None,
            reconnect: None,
        }
    }

    /// Sets the timers of `state` in the light of how the page stands, and clears those of other states.
    pub(super) fn set(&mut self, state: &SessionState, standing: &Standing, now: Instant) {
        self.start = self.start.filter(|_| *state == SessionState::Init);
        self.turn = self.turn.filter(|_| *state == SessionState::Init);
        let is_strange = *state != SessionState::Init && !standing.recognised;
        self.recognise = is_strange.then(|| self.recognise.unwrap_or(now + UNRECOGNISED_TIMEOUT));
        self.has_been_ready = match state {
            SessionState::Ready => true,
            SessionState::QrRequired { .. } => false,
            SessionState::Init
            | SessionState::Authenticated
            | SessionState::Disconnected
            | SessionState::Error => self.has_been_ready,
        };
        let is_syncing = *state == SessionState::Authenticated && !self.has_been_ready;
        let has_moved = standing.sync_percent != self.synced_percent;
        self.synced_percent = standing.sync_percent;
        let present = self.sync.filter(|_| !has_moved);
        self.sync = is_syncing.then(|| present.unwrap_or(now + SYNC_TIMEOUT));
        // A page that loads anew knows nothing for a moment: that counts as a reconnect too.
        let is_lost = *state == SessionState::Ready && !standing.is_ready();
        self.reconnect = is_lost.then(|| self.reconnect.unwrap_or(now + RECONNECT_GRACE));
        let is_elsewhere = standing.trouble == Some(Trouble::OpenedElsewhere);
        self.take_over = (is_elsewhere && self.takes_over).then(|| self.take_over.unwrap_or(now));
        let shows_codes = matches!(state, SessionState::QrRequired { .. });
        self.scan = shows_codes.then(|| self.scan.unwrap_or(now + self.qr_timeout));
        let has_run_out = shows_codes && standing.codes_ended;
        self.refresh = has_run_out.then(|| self.refresh.unwrap_or(now));
    }

    /// When to look again; `None` while nothing has a deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        [
            self.start,
            self.turn,
            self.recognise,
            self.sync,
            self.scan,
            self.refresh,
            self.take_over,
            self.reconnect,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes one deadline that has passed, those that end the session first.
    pub(super) fn passed(&mut self, now: Instant) -> Option<Passed> {
        let has_passed = |timer: &mut Instant| *timer <= now;
        if self.start.take_if(has_passed).is_some() {
            return Some(Passed::Start);
        }
        if self.recognise.take_if(has_passed).is_some() {
            return Some(Passed::Recognise);
        }
        if self.turn.take_if(has_passed).is_some() {
            return Some(Passed::Turn);
        }
        if self.sync.take_if(has_passed).is_some() {
            return Some(Passed::Sync);
        }
        if self.scan.take_if(has_passed).is_some() {
            return Some(Passed::Scan);
        }
        if self.reconnect.take_if(has_passed).is_some() {
            return Some(Passed::Reconnect);
        }
        if self.take_over.take_if(has_passed).is_some() {
            self.take_over = Some(now + TAKE_OVER_RETRY);
            return Some(Passed::TakeOver);
        }
        self.refresh.take_if(has_passed)?;
        self.refresh = Some(now + REFRESH_RETRY);
        Some(Passed::Refresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: SessionState = SessionState::QrRequired {
        code: None,
        attempts: 1,
        pairing: None,
    };

    fn recognised() -> Standing {
        Standing {
            recognised: true,
            ..Standing::default()
        }
    }

    fn timers() -> (Timers, Instant) {
        let now = Instant::now();
        (Timers::new(Duration::from_secs(300), true, now), now)
    }

    #[test]
    fn the_time_to_scan_runs_from_the_first_code_and_not_from_the_last() {
        let (mut timers, now) = timers();
        timers.set(&CODES, &recognised(), now);
        timers.set(&CODES, &recognised(), now + Duration::from_secs(200));
        assert_eq!(
            timers.passed(now + Duration::from_secs(300)),
            Some(Passed::Scan)
        );
    }

    #[test]
    fn fresh_codes_are_asked_for_at_once_and_again_when_none_came() {
        let (mut timers, now) = timers();
        let ended = Standing {
            codes_ended: true,
            ..recognised()
        };
        timers.set(&CODES, &ended, now);
        assert_eq!(timers.passed(now), Some(Passed::Refresh));
        assert_eq!(timers.passed(now), None);
        assert_eq!(timers.passed(now + REFRESH_RETRY), Some(Passed::Refresh));
        timers.set(&CODES, &recognised(), now + REFRESH_RETRY);
        assert_eq!(timers.passed(now + REFRESH_RETRY * 3), None);
    }

    #[test]
    fn a_sync_that_moves_goes_on_and_one_that_stands_still_ends() {
        let (mut timers, now) = timers();
        let at = |percent| Standing {
            linked: true,
            sync_percent: Some(percent),
            ..recognised()
        };
        let half = SYNC_TIMEOUT / 2;
        for (step, percent) in [(0, 1), (1, 20), (2, 40)] {
            timers.set(
                &SessionState::Authenticated,
                &at(percent),
                now + half * step,
            );
        }
        timers.set(&SessionState::Authenticated, &at(40), now + half * 3);
        assert_eq!(timers.passed(now + half * 3), None);
        assert_eq!(timers.passed(now + half * 4), Some(Passed::Sync));
    }

    #[test]
    fn a_session_that_was_ready_may_be_without_its_network_for_long() {
        let (mut timers, now) = timers();
        let linked = Standing {
            linked: true,
            ..recognised()
        };
        timers.set(&SessionState::Ready, &linked, now);
        timers.set(&SessionState::Authenticated, &linked, now);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn the_time_to_start_ends_with_init() {
        let (mut timers, now) = timers();
        timers.set(&CODES, &recognised(), now);
        assert_eq!(timers.passed(now + START_TIMEOUT), None);
    }

    #[test]
    fn a_page_that_is_strange_for_long_is_lost() {
        let (mut timers, now) = timers();
        timers.set(&SessionState::Ready, &recognised(), now);
        timers.set(&SessionState::Ready, &Standing::default(), now);
        assert_eq!(
            timers.passed(now + RECONNECT_GRACE),
            Some(Passed::Reconnect)
        );
        timers.set(
            &SessionState::Authenticated,
            &Standing::default(),
            now + RECONNECT_GRACE,
        );
        assert_eq!(
            timers.passed(now + UNRECOGNISED_TIMEOUT),
            Some(Passed::Recognise)
        );
    }

    #[test]
    fn a_start_that_hangs_lets_the_next_one_go() {
        let (mut timers, now) = timers();
        assert_eq!(timers.passed(now + START_TURN), Some(Passed::Turn));
        assert_eq!(timers.passed(now + START_TURN), None);
    }
}
