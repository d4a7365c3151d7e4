//! The deadlines of a session whose Chrome is up, and with them how far its start has got. Pure: knows no time but what
//! it is given.
//!
//! Each timer belongs to a state, or to a phase of the start, and is cleared when that is left.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    session::{Phase, SessionState, StartLimits},
    whatsapp::{Standing, Trouble},
};

/// A start holds up the ones behind it for this long at most: 16 heavy pages that all start at once on two cores take 18 s
/// (docs/chrome.md#time-of-a-start), and a page that hangs must not stop the others.
const START_TURN: Duration = Duration::from_secs(20);

/// A page of a running session that has turned into something else, such as Chrome's own error page, and does not come
/// back: a reload takes seconds.
pub(super) const UNRECOGNISED_TIMEOUT: Duration = Duration::from_secs(60);

/// A healthy reconnect takes 0.3 to 1.4 s, after an `offline` event up to 3.1 s (docs/whatsapp.md#timings). A silent loss
/// shows in the page after 33 to 34 s only, and READY must end within 40.
const RECONNECT_GRACE: Duration = Duration::from_secs(5);

/// How often a page that could send is asked for a sign of life. With the time that it has to answer, a hang is noticed within
/// 15 s (docs/reliability.md).
const PING_INTERVAL: Duration = Duration::from_secs(4);

/// A page that was reloaded because it had broken is WhatsApp Web again after 5 to 15 s (docs/whatsapp.md#timings).
pub(super) const RELOAD_TIMEOUT: Duration = Duration::from_secs(45);

/// Fresh codes come some 1 s after they were asked for (docs/whatsapp.md#timings); asked again when they did not.
const REFRESH_RETRY: Duration = Duration::from_secs(5);

/// Before the account is taken back from another window, by how often it was within [`TAKE_OVER_WINDOW`]. The first time is at
/// once; then the pauses grow, so that a person at the other window sees what happens. After the last one the account is left
/// where it is: only another program with a copy of this profile takes it again so often, and the two would go on for ever.
const TAKE_OVER_PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(90),
];

/// After the last take-over: if the account is still elsewhere by then, it was in vain.
const LAST_TAKE_OVER_TRIAL: Duration = Duration::from_secs(10);

/// Take-overs count for so long: several times as long as all the pauses, so that two programs do not go on for ever.
const TAKE_OVER_WINDOW: Duration = Duration::from_secs(600);

/// The deadlines of one page.
#[derive(Debug)]
pub(super) struct Deadlines {
    limits: StartLimits,
    takes_over: bool,
    /// How far the start has got; `None` once the session has been READY.
    phase: Option<Phase>,
    /// By when the phase must be left, as long as it has nothing to show.
    start: Option<Instant>,
    /// By when the next start may begin, whatever this one does.
    turn: Option<Instant>,
    /// By when a page that is none of WhatsApp's must be one again.
    recognise: Option<Instant>,
    /// By when the chats must be synced, or further synced than now.
    sync: Option<Instant>,
    /// The furthest so far.
    synced_percent: Option<u8>,
    /// Once READY, a session may be without WhatsApp's server for as long as that takes.
    has_been_ready: bool,
    /// By when a phone must have scanned.
    scan: Option<Instant>,
    /// When fresh codes are to be asked for.
    refresh: Option<Instant>,
    /// When the account is to be taken back from another window, or the last time that it was has been in vain.
    take_over: Option<Instant>,
    /// When it was, within the last [`TAKE_OVER_WINDOW`].
    taken_over: Vec<Instant>,
    /// It was taken back so often, and is left in the other window until that one gives it up.
    left_elsewhere: Option<usize>,
    /// When a connection that is lost counts as lost.
    reconnect: Option<Instant>,
    /// By when a page that is reloaded must be WhatsApp Web again.
    reload: Option<Instant>,
    /// When the page is to be asked for a sign of life.
    ping: Option<Instant>,
}

/// A deadline that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// This phase of the start, before anything could be shown.
    Start(Phase),
    /// This start has had its turn.
    Turn,
    /// The page is no longer WhatsApp Web.
    Recognise,
    /// The chats did not get synced.
    Sync,
    /// No code was scanned.
    Scan,
    /// Fresh codes are due.
    Refresh,
    /// The account is to be taken back from another window.
    TakeOver,
    /// The last take-over was in vain: the account is left in the other window.
    LeftElsewhere,
    /// The connection has been lost for longer than a healthy reconnect takes.
    Reconnect,
    /// The page was reloaded, and is not WhatsApp Web again.
    Reload,
    /// The page is to be asked for a sign of life.
    Ping,
}

impl Deadlines {
    /// The page is asked for.
    pub(super) fn new(limits: StartLimits, takes_over: bool, now: Instant) -> Self {
        Self {
            limits,
            takes_over,
            phase: Some(Phase::Navigate),
            start: Some(now + limits.navigate),
            turn: Some(now + START_TURN),
            recognise: None,
            sync: None,
            synced_percent: None,
            has_been_ready: false,
            scan: None,
            refresh: None,
            take_over: None,
            taken_over: Vec::new(),
            left_elsewhere: None,
            reconnect: None,
            reload: None,
            ping: None,
        }
    }

    /// The page is reloaded because it has broken.
    pub(super) fn on_reload(&mut self, now: Instant) {
        self.reload = Some(now + RELOAD_TIMEOUT);
        (self.recognise, self.reconnect) = (None, None);
    }

    /// Whether the page is being reloaded because it had broken.
    pub(super) const fn is_reloading(&self) -> bool {
        self.reload.is_some()
    }

    /// Whether the session could send since its account was linked.
    pub(super) const fn has_been_ready(&self) -> bool {
        self.has_been_ready
    }

    /// The page's first document has begun.
    pub(super) fn on_document(&mut self, now: Instant) {
        if self.phase == Some(Phase::Navigate) {
            self.phase = Some(Phase::Inject);
            self.start = Some(now + self.limits.inject);
        }
    }

    /// Whether the page has been asked for, and nothing of it is there.
    pub(super) fn awaits_document(&self) -> bool {
        self.phase == Some(Phase::Navigate)
    }

    /// The phase of the start that is under way, and by when it must be over.
    pub(super) fn phase(&self) -> Option<(Phase, Option<Instant>)> {
        let until = match self.phase? {
            Phase::Sync => self.sync,
            Phase::Link => self.start.or(self.scan),
            Phase::Queued | Phase::Launch | Phase::Navigate | Phase::Inject => self.start,
        };
        Some((self.phase?, until))
    }

    /// How far the start has got; it goes back to LINK when the account is removed.
    fn phase_in(&self, state: &SessionState, standing: &Standing) -> Option<Phase> {
        match state {
            SessionState::Hibernating if standing.linked => Some(Phase::Sync),
            SessionState::Init | SessionState::Hibernating if standing.recognised => {
                Some(Phase::Link)
            }
            SessionState::Init | SessionState::Hibernating => self.phase,
            SessionState::QrRequired { .. } => Some(Phase::Link),
            SessionState::Authenticated if !self.has_been_ready => Some(Phase::Sync),
            SessionState::Authenticated
            | SessionState::Ready
            | SessionState::Disconnected
            | SessionState::Error => None,
        }
    }

    /// Sets the timers of `state` in the light of how the page stands, and clears those of other states.
    pub(super) fn set(&mut self, state: &SessionState, standing: &Standing, now: Instant) {
        let is_starting = matches!(state, SessionState::Init | SessionState::Hibernating);
        self.turn = self.turn.filter(|_| is_starting && !standing.linked);
        let is_strange = !is_starting && !standing.recognised;
        self.recognise = is_strange.then(|| self.recognise.unwrap_or(now + UNRECOGNISED_TIMEOUT));
        self.has_been_ready = match state {
            SessionState::Ready => true,
            SessionState::QrRequired { .. } => false,
            SessionState::Init
            | SessionState::Authenticated
            | SessionState::Hibernating
            | SessionState::Disconnected
            | SessionState::Error => self.has_been_ready,
        };
        self.reload = self.reload.filter(|_| !standing.recognised);
        self.ping = self
            .has_been_ready
            .then(|| self.ping.unwrap_or(now + PING_INTERVAL));
        let phase = self.phase_in(state, standing);
        let is_new = phase != self.phase;
        self.phase = phase;
        // A phone that wants a passkey has taken one: that has a limit of its own (`linking/passkey.rs`).
        let wants_passkey = standing.passkey.is_some();
        let has_shown_a_code = matches!(
            state,
            SessionState::QrRequired { code, attempts, pairing }
                if code.is_some() || pairing.is_some() || 0 < *attempts || wants_passkey
        );
        self.start = match phase {
            Some(Phase::Link) if has_shown_a_code => None,
            Some(Phase::Link) if is_new => Some(now + self.limits.code),
            Some(Phase::Navigate | Phase::Inject | Phase::Link) => self.start,
            Some(Phase::Queued | Phase::Launch | Phase::Sync) | None => None,
        };
        let is_syncing = phase == Some(Phase::Sync);
        // Only forward: a page that keeps reloading itself begins from nothing each time, and never arrives.
        let has_moved = self.synced_percent < standing.sync_percent;
        if has_moved || !is_syncing {
            self.synced_percent = standing.sync_percent.filter(|_| is_syncing);
        }
        let present = self.sync.filter(|_| !has_moved);
        self.sync = is_syncing.then(|| present.unwrap_or(now + self.limits.sync));
        // A page that reloads knows nothing for a moment: that counts as a reconnect too.
        let is_lost = *state == SessionState::Ready && !standing.is_ready();
        self.reconnect = is_lost.then(|| self.reconnect.unwrap_or(now + RECONNECT_GRACE));
        let is_elsewhere = standing.trouble == Some(Trouble::OpenedElsewhere);
        self.left_elsewhere = self.left_elsewhere.filter(|_| is_elsewhere);
        self.take_over = (is_elsewhere && self.takes_over)
            .then(|| self.take_over.or_else(|| self.next_take_over(now)))
            .flatten();
        let shows_codes = matches!(state, SessionState::QrRequired { .. });
        self.scan = (has_shown_a_code && !wants_passkey)
            .then(|| self.scan.unwrap_or(now + self.limits.scan));
        let has_run_out = shows_codes && standing.codes_ended && !wants_passkey;
        self.refresh = has_run_out.then(|| self.refresh.unwrap_or(now));
    }

    /// When the account is taken back next, or the last take-over has been in vain; `None` once it is left where it is.
    fn next_take_over(&mut self, now: Instant) -> Option<Instant> {
        if self.left_elsewhere.is_some() {
            return None;
        }
        self.taken_over.retain(|at| now - *at < TAKE_OVER_WINDOW);
        let pause = TAKE_OVER_PAUSES.get(self.taken_over.len());
        Some(now + *pause.unwrap_or(&LAST_TAKE_OVER_TRIAL))
    }

    /// How often the account was taken back in vain, when it is left in the other window for that.
    pub(super) const fn gave_up_taking_over(&self) -> Option<usize> {
        self.left_elsewhere
    }

    /// Every timer that is set, and what it means that it has passed; those that end the session first.
    fn timers(&self) -> impl Iterator<Item = (Instant, Expired)> + use<> {
        let timer = |at: Option<Instant>, expired| at.map(|at| (at, expired));
        let is_last_pause_over = TAKE_OVER_PAUSES.len() <= self.taken_over.len();
        let take_over = if is_last_pause_over {
            Expired::LeftElsewhere
        } else {
            Expired::TakeOver
        };
        let timers = [
            // A start that has a deadline is in a phase.
            self.start.zip(self.phase.map(Expired::Start)),
            timer(self.recognise, Expired::Recognise),
            timer(self.turn, Expired::Turn),
            timer(self.sync, Expired::Sync),
            timer(self.scan, Expired::Scan),
            timer(self.reconnect, Expired::Reconnect),
            timer(self.reload, Expired::Reload),
            timer(self.ping, Expired::Ping),
            timer(self.take_over, take_over),
            timer(self.refresh, Expired::Refresh),
        ];
        timers.into_iter().flatten()
    }

    /// When to look again; `None` while nothing has a deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.timers().map(|(at, _)| at).min()
    }

    /// Takes one deadline that has passed, those that end the session first, and sets it again where it repeats.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Expired> {
        let (_, expired) = self.timers().find(|(at, _)| *at <= now)?;
        match expired {
            Expired::Start(_) => self.start = None,
            Expired::Recognise => self.recognise = None,
            Expired::Turn => self.turn = None,
            Expired::Sync => self.sync = None,
            Expired::Scan => self.scan = None,
            Expired::Reconnect => self.reconnect = None,
            Expired::Reload => self.reload = None,
            Expired::Ping => self.ping = Some(now + PING_INTERVAL),
            Expired::LeftElsewhere => {
                self.take_over = None;
                self.left_elsewhere = Some(self.taken_over.len());
            }
            Expired::TakeOver => {
                self.taken_over.push(now);
                self.take_over = self.next_take_over(now);
            }
            Expired::Refresh => self.refresh = Some(now + REFRESH_RETRY),
        }
        Some(expired)
    }
}

#[cfg(test)]
mod tests;
