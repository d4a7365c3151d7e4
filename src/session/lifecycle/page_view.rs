//! What a page's standing means for the session: reads it as events, and publishes what belongs to the state.
//!
//! Pure but for publishing: no page, no time.

use jiff::Timestamp;

use crate::{
    session::{
        AdapterReport, ClienteId, QrCode, Reason, ReasonCode, SessionState, publisher::Publisher,
        run_end::End, state::Event,
    },
    whatsapp::{AdapterName, Standing, Trouble},
};

/// WhatsApp's word for a device that was removed by its owner (wa-js `LogoutReason.ts`).
const REMOVED_BY_OWNER: &str = "user_initiated";

/// What can be done about a notice over the chats.
const DISMISS: &str =
    "POST /sessions/{id}/notice/dismiss closes it, if what it says needs nothing else to be done";

/// Follows one page.
#[derive(Debug)]
pub(super) struct PageView<'a> {
    publisher: &'a Publisher,
    standing: Standing,
    /// Why WhatsApp has removed the device, in its own word: said just before the login screen comes back.
    removed_because: Option<String>,
    /// Why a login screen shows, when WhatsApp has not removed the device.
    why_login: Option<Reason>,
    elsewhere: Elsewhere,
}

/// What is known of another window that has the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// Another session of this service that is linked to the same account.
    pub(super) session: Option<ClienteId>,
    /// How often the account was taken back, when it is left there for that.
    pub(super) gave_up: Option<usize>,
}

impl Elsewhere {
    /// Why the session cannot send meanwhile.
    fn reason(&self) -> Reason {
        let mut reason = Reason::from_trouble(Trouble::OpenedElsewhere);
        let gave_up = self.gave_up.map(|times| {
            format!("; it was taken back {times} times within minutes, and is left there now")
        });
        let gave_up = gave_up.unwrap_or_default();
        match &self.session {
            Some(other) => {
                reason.detail = format!(
                    "session {other} of this service is linked to the same account, as the same device{gave_up}; \
                     only one of the two can have it: disconnect the other one (POST /disconnect), \
                     then disconnect and connect this one"
                );
            }
            None if self.gave_up.is_some() => {
                reason.detail = format!(
                    "WhatsApp Web is open elsewhere with a copy of this profile{gave_up}; \
                     end the other program or close the other window, then POST /disconnect and POST /connect"
                );
            }
            None => {}
        }
        reason
    }
}

impl<'a> PageView<'a> {
    pub(super) fn new(publisher: &'a Publisher) -> Self {
        Self {
            publisher,
            standing: Standing::default(),
            removed_because: None,
            why_login: None,
            elsewhere: Elsewhere::default(),
        }
    }

    /// The page as it stands now.
    pub(super) const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// WhatsApp says why it removes this device.
    pub(super) fn on_logged_out(&mut self, reason: String) {
        self.removed_because = Some(reason);
    }

    /// Whether it has said so, and the login screen has not followed yet.
    pub(super) const fn is_removed(&self) -> bool {
        self.removed_because.is_some()
    }

    /// Sets the reason that the login screen is published with when it comes.
    pub(super) fn set_login_reason(&mut self, why: Reason) {
        self.why_login = Some(why);
    }

    /// Takes what is known of another window that has the account, and publishes the reason again when that has changed.
    pub(super) fn set_elsewhere(&mut self, elsewhere: Elsewhere) {
        if self.elsewhere != elsewhere {
            self.elsewhere = elsewhere;
            self.report();
        }
    }

    /// Notes and publishes how the page stands, and does not change the session's state.
    pub(super) fn note_standing(&mut self, standing: Standing) {
        self.standing = standing;
        self.report();
    }

    /// Reads how the page stands. Trouble that waiting does not cure ends the session.
    pub(super) fn on_standing(&mut self, standing: Standing) -> Option<End> {
        self.standing = standing;
        self.report();
        let trouble = self.standing.trouble.map(Reason::from_trouble);
        match (self.standing.trouble, trouble) {
            (Some(Trouble::OpenedElsewhere), _) => {
                let reason = self.elsewhere.reason();
                self.publisher.apply(&Event::Linked, None);
                self.publisher.apply(&Event::Unready, Some(reason));
            }
            (_, Some(reason)) => {
                return Some(End {
                    reason,
                    unlinked: false,
                    asked: Vec::new(),
                });
            }
            (_, None) if self.standing.linked => {
                // It was about the account before.
                self.why_login = None;
                self.publisher.apply(&Event::Linked, None);
                if self.standing.is_ready() {
                    self.publisher.apply(&Event::Ready, None);
                }
                // A session that has just been linked, or that has just become READY, has no reason yet.
                self.report();
            }
            (_, None) if self.standing.login => self.on_login(),
            // Neither: the page is pairing, reloads or has lost its server. The code on show cannot be used.
            (_, None) => {
                if matches!(self.publisher.state(), SessionState::QrRequired { .. }) {
                    self.publisher.apply(&Event::CodeAwaited, None);
                }
            }
        }
        None
    }

    /// The page asks for a scan.
    fn on_login(&mut self) {
        let state = self.publisher.state();
        if matches!(
            state,
            SessionState::Authenticated | SessionState::Ready | SessionState::Hibernating
        ) {
            let removed_because = self.removed_because.take();
            let why = self.why_login.take();
            let why = why.unwrap_or_else(|| unlinked(removed_because.as_deref()));
            self.publisher.apply(&Event::Unlinked, Some(why));
        }
        let event = match &self.standing.code {
            Some(text) => Event::CodeShown(QrCode {
                text: text.clone(),
                shown_at: Timestamp::now(),
            }),
            None => Event::CodeAwaited,
        };
        self.publisher.apply(&event, self.why_login.take());
    }

    /// Publishes what belongs to the state.
    fn report(&self) {
        let standing = &self.standing;
        let serving = standing.serving.map(AdapterName::as_str);
        self.publisher.amend(|snapshot| {
            let before = snapshot.clone();
            // A page that reloads knows nothing for a moment.
            if standing.account.is_some() || (standing.recognised && !standing.linked) {
                snapshot.account.clone_from(&standing.account);
            }
            snapshot.sync_percent = standing.sync_percent;
            snapshot.notice.clone_from(&standing.notice);
            let since = if before.adapter.serving == serving {
                before.adapter.since
            } else {
                serving.map(|_| Timestamp::now())
            };
            snapshot.adapter = AdapterReport {
                serving,
                since,
                wa_js_version: standing.wa_js_version.clone(),
                missing: standing.missing.clone(),
            };
            snapshot.reason = self.reason(before.reason.as_ref());
            if before.adapter != snapshot.adapter {
                tracing::info!(
                    adapter.serving = serving,
                    adapter.missing = standing.missing.join(", "),
                    "the page is served by {}",
                    serving.unwrap_or("no adapter")
                );
            }
            (
                &before.account,
                &before.notice,
                before.sync_percent,
                &before.adapter,
                &before.reason,
            ) != (
                &snapshot.account,
                &snapshot.notice,
                snapshot.sync_percent,
                &snapshot.adapter,
                &snapshot.reason,
            )
        });
    }

    /// Why a session that was READY is not any more.
    pub(super) fn why_unready(&self) -> Reason {
        self.held_back()
            .unwrap_or_else(|| Reason::of(ReasonCode::NetworkLost))
    }

    /// The reason to publish: what blocks a linked session from READY, as long as it does; else the present one, unless what it
    /// says of the page is over; else that a notice lies over the chats.
    fn reason(&self, present: Option<&Reason>) -> Option<Reason> {
        let is_over = |reason: &&Reason| {
            matches!(
                reason.code,
                ReasonCode::AdapterBroken | ReasonCode::OpenedElsewhere | ReasonCode::NoticeShown
            )
        };
        let present = || present.filter(|reason| !is_over(reason)).cloned();
        let reason = self.held_back().or_else(present);
        reason.or_else(|| self.notice_reason())
    }

    /// What waiting has not cured, while it holds a linked session back from READY. A run may end with this reason.
    pub(super) fn held_back(&self) -> Option<Reason> {
        let standing = &self.standing;
        if standing.linked && standing.trouble == Some(Trouble::OpenedElsewhere) {
            return Some(self.elsewhere.reason());
        }
        let is_broken = standing.linked
            && standing.online
            && standing.serving.is_some()
            && standing.senders.is_empty()
            && !standing.undecided;
        if !is_broken {
            return None;
        }
        let missing = standing.missing.join(", ");
        if standing.question {
            let detail = format!(
                "a dialog that asks something lies over the chats, and the service answers no question in its account's place: look at it \
                 with POST /sessions/{{id}}/evidence; POST /disconnect and POST /connect may close it; no adapter can send meanwhile ({missing})"
            );
            return Some(Reason::new(ReasonCode::AdapterBroken, detail));
        }
        let remedy = standing.notice.as_ref().map(|_| format!("; {DISMISS}"));
        Some(Reason::new(
            ReasonCode::AdapterBroken,
            format!(
                "WhatsApp Web has changed: no adapter can send; missing: {missing}{}",
                remedy.unwrap_or_default()
            ),
        ))
    }

    /// That a notice lies over the chats of a page that sends all the same. It explains, and never ends a run or stands for what
    /// does: a page that has lost its server shows the same notice.
    fn notice_reason(&self) -> Option<Reason> {
        let notice = self.standing.notice.as_ref()?;
        let detail = format!("WhatsApp Web shows a notice over the chats, \"{notice}\"; {DISMISS}");
        let is_shown = self.standing.is_ready();
        is_shown.then(|| Reason::new(ReasonCode::NoticeShown, detail))
    }

    /// Publishes again what the page says of the state, after another reason for it is over.
    pub(super) fn republish(&self) {
        self.report();
    }
}

/// Why the device is no longer linked.
fn unlinked(reason: Option<&str>) -> Reason {
    match reason {
        None | Some(REMOVED_BY_OWNER) => Reason::of(ReasonCode::Unlinked),
        Some(reason) => Reason::new(
            ReasonCode::RemovedByWhatsApp,
            format!(
                "WhatsApp removed this device from the account ({reason}); scan a code to link it again"
            ),
        ),
    }
}
