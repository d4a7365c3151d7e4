//! Hibernation: when a session may close its Chrome, and how it waits without one.
//!
//! [`IdleClock`] knows since when the Chrome is not needed; it is pure and knows no time but what it is given. A session that
//! hibernates keeps its place among the sessions that may run, because its callers see it as READY, and the lock of its
//! profile, so that `export` cannot take the account away meanwhile. Everything that comes wakes it;
//! the [`mailbox`](super::mailbox) keeps it, and the queue of sends, until a page is there.

use std::{future::pending, time::Duration};

use rand::RngExt as _;
use tokio::time::Instant;

use super::{
    Actor,
    admission::Stage,
    capacity::Starting,
    mailbox::{Heard, Mail},
};
use crate::{
    session::{
        Phase,
        command::{Command, LifeCommand, answer},
        publisher::Publisher,
        run_end::End,
        state::Event,
    },
    whatsapp::Driver,
};

/// A device that is not seen for weeks is unlinked by WhatsApp, and one that was unlinked on the phone is READY only in
/// appearance: so it is looked after at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);

/// It is made shorter by up to this part, so that sessions which fell asleep together do not all wake at once.
const JITTER: f64 = 0.25;

/// Memory that starts have reserved is free again once their pages stand: looked for again after this.
const MEMORY_RETRY: Duration = Duration::from_secs(1);

/// Since when the Chrome is not needed, and from when on it may be closed. Lives as long as one page.
#[derive(Debug)]
pub(super) struct IdleClock {
    after: Option<Duration>,
    quiet_since: Option<Instant>,
}

impl IdleClock {
    /// Of a session that may sleep after so long (`HIBERNATE_AFTER_SECONDS`); `None`: never.
    pub(super) const fn new(after: Option<Duration>) -> Self {
        Self {
            after,
            quiet_since: None,
        }
    }

    /// Whether the page is not needed now.
    pub(super) fn set(&mut self, is_quiet: bool, now: Instant) {
        self.quiet_since = is_quiet.then(|| self.quiet_since.unwrap_or(now));
    }

    /// A caller has asked for the session: the time starts again.
    pub(super) const fn on_asked(&mut self) {
        self.quiet_since = None;
    }

    /// From when on it may sleep; `None` while it is needed, or when it never may.
    pub(super) fn due(&self) -> Option<Instant> {
        Some(self.quiet_since? + self.after?)
    }
}

/// The session takes longer to wake than a send waits for it: callers do not see it as READY any more, but how far it has got.
pub(super) fn on_late_wake(publisher: &Publisher, is_linked: bool) {
    tracing::warn!("the session takes long to wake: it is not READY any more");
    publisher.apply(&Event::Restarted, None);
    if is_linked {
        publisher.apply(&Event::Linked, None);
    }
}

impl<D: Driver> Actor<D> {
    /// Returns when the page is needed, or to be looked after, and there is memory for it; or with the session's end.
    pub(super) async fn hibernate(&mut self) -> Result<Starting, End> {
        self.forget_chrome();
        let hold = self.options.safekeeping.hold();
        let holding = self.mail.during(&mut self.intake, hold);
        // Given back before the next Chrome needs it.
        let _held = holding.await;
        tracing::info!("hibernating: Chrome is closed until something is to be sent");
        let jitter = rand::rng().random_range(1.0 - JITTER..1.0);
        let longest = Instant::now() + LONGEST_SLEEP.mul_f64(jitter);
        // When to try to wake, while there is no memory for it.
        let mut retry_at = None;
        loop {
            let now = Instant::now();
            let wake_by = self.mail.wake_by();
            // A deadline is heard only when no command waits: what was asked for before goes first, since a session that wakes
            // does not hear of its end for a while.
            let try_at = if wake_by.is_some() || longest <= now {
                retry_at.unwrap_or(now)
            } else {
                longest
            };
            let listened = &self.options.shared.listened;
            let id = &self.options.id;
            // While it waits for memory it is awake already, as far as this goes.
            let may_sleep = self.options.shared.config.hibernate_listening || wake_by.is_some();
            let wanted = async {
                if may_sleep {
                    pending::<()>().await;
                }
                listened.wanted(id).await;
            };
            let heard = self
                .mail
                .wait(&mut self.intake, Stage::Hibernating, wanted, Some(try_at));
            match heard.await {
                Heard::Stop => return Err(End::stopping()),
                Heard::Mail(mail) => {
                    if let Some(end) = self.on_mail_asleep(mail) {
                        return Err(end);
                    }
                }
                Heard::Deadline => match self.options.shared.capacity.start_again() {
                    Ok(starting) => {
                        tracing::info!("waking up");
                        self.publisher.reach(Some((Phase::Queued, None)));
                        self.budget.on_started();
                        return Ok(starting);
                    }
                    Err(full) if wake_by.is_some_and(|then| then <= Instant::now()) => {
                        return Err(End::without_memory(&full));
                    }
                    Err(full) => {
                        tracing::debug!("not woken yet: {full}");
                        let later = Instant::now() + MEMORY_RETRY;
                        retry_at = Some(wake_by.map_or(later, |then| then.min(later)));
                    }
                },
                Heard::StageWork(()) => {
                    tracing::info!("messages of this session are wanted, which only a page hears");
                    self.mail.wake(Instant::now());
                }
            }
        }
    }

    /// Answers with the session's end, if the mail ends it.
    fn on_mail_asleep(&mut self, mail: Mail) -> Option<End> {
        match mail {
            Mail::Command(Command::Life(LifeCommand::Connect { phone, reply, .. })) => {
                self.phone = phone.or(self.phone.take());
                self.mail.wake(Instant::now());
                answer(reply, Ok(true));
                None
            }
            Mail::Command(Command::Life(LifeCommand::Disconnect { reply, .. })) => {
                Some(End::disconnect(reply))
            }
            Mail::Closed => Some(End::stopping()),
            // Refused or kept in this stage, or about a Chrome that is gone.
            Mail::Command(Command::Life(LifeCommand::Forget { .. }) | Command::Page(_))
            | Mail::DealtWith => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(600);

    #[test]
    fn the_time_runs_from_the_end_of_the_last_need() {
        let (mut clock, now) = (IdleClock::new(Some(AFTER)), Instant::now());
        assert_eq!(clock.due(), None);
        clock.set(true, now);
        let later = now + AFTER / 2;
        clock.set(true, later);
        assert_eq!(clock.due(), Some(now + AFTER));
        clock.set(false, later);
        assert_eq!(clock.due(), None);
        clock.set(true, later);
        assert_eq!(clock.due(), Some(later + AFTER));
    }

    #[test]
    fn whoever_asks_for_the_session_keeps_it_awake() {
        let (mut clock, now) = (IdleClock::new(Some(AFTER)), Instant::now());
        clock.set(true, now);
        clock.on_asked();
        clock.set(true, now + AFTER);
        assert_eq!(clock.due(), Some(now + AFTER + AFTER));
    }

    #[test]
    fn a_session_that_never_may_never_does() {
        let (mut clock, now) = (IdleClock::new(None), Instant::now());
        clock.set(true, now);
        assert_eq!(clock.due(), None);
    }
}
