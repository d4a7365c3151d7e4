//! How old the profile is that a page runs on: older than what was sent from it, where a copy took the place of another one.
//!
//! ```text
//!  the profile's note: its generation, and the gaps of the copies that it comes from
//!      │ gaps that are new ──▶ the ledger notes the recipients of what was handed over in them, and the account's own devices
//!      ▼
//!  the note goes on above the highest generation that was ever given ──▶ the first hand-over
//! ```
//!
//! A profile that was put back encrypts with numbers that its recipients have seen before. They drop such a message without a
//! word, and report it delivered (docs/whatsapp.md#a-profile-that-is-older-than-what-was-sent-from-it). So before the next send
//! to each of these recipients the page begins a new Signal session with them.
//!
//! Responsible for what is known of that while a page runs. Asks the ledger and the note in one question, before anything is
//! handed over, and no clock. Each step may be repeated after a crash: the ledger notes first, then the profile.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use crate::{
    browser::{Beginning, Gap, ProfileNote},
    ledger::{Ledger, LedgerError, Others, Reset, RestoredCopy, Stale},
    masked::Number,
    session::{Recipient, StaleReport, StaleSends},
    whatsapp::{Driver, PrepareError, Prepared, ResetError, Whose},
};

/// What is known of the age of a profile.
#[derive(Clone, Debug, Default)]
pub(super) struct Age {
    /// The generation that each hand-over notes.
    pub(super) generation: u64,
    /// What the profile lacks.
    pub(super) gaps: Vec<Gap>,
    /// With whom the page has to begin new Signal sessions: the ledger's word, by the lines of the numbers. A number that is
    /// written in its other way has the same Signal sessions.
    stale: Stale,
    /// It was found out: the page's first generation has begun.
    pub(super) is_known: bool,
    /// When the profile took the place of another one, and when the copy was made that it comes from.
    restored_at: Option<Timestamp>,
    copied_at: Option<Timestamp>,
    /// Why the page could not begin new Signal sessions when it was last asked to.
    cannot_reset: Option<String>,
}

impl Age {
    /// What has to be done before something is handed over to this recipient.
    pub(super) fn renewal_for(&self, to: &str) -> Renewal {
        let stale = &self.stale;
        // Most profiles never were put back.
        let has = |lines: &HashSet<Number>| {
            !lines.is_empty() && lines.contains(Recipient::line_of(to).as_str())
        };
        let recipient = match stale.others {
            _ if has(&stale.recipients) => Need::Certain,
            Others::Stale if !has(&stale.fresh) => Need::Certain,
            Others::PerhapsStale if !has(&stale.fresh) => Need::Possible,
            Others::Fresh | Others::Stale | Others::PerhapsStale => Need::None,
        };
        Renewal {
            recipient,
            own_devices: stale.own_devices,
        }
    }

    /// The generation in which the profile took the place of another one for the last time, the first if it never did. What was
    /// handed over before may be missing in it, whatever is copied since.
    pub(super) fn began(&self) -> u64 {
        let gaps = self.gaps.iter();
        gaps.filter_map(|gap| gap.until).max().unwrap_or(0)
    }

    /// What is to be said of it, as long as anything is to be reset. What may be old, and need not be, is no trouble.
    pub(super) fn report(&self) -> Option<StaleReport> {
        let Stale {
            own_devices,
            ref recipients,
            others,
            ..
        } = self.stale;
        let others = others == Others::Stale;
        let is_any = own_devices || others || !recipients.is_empty();
        is_any.then(|| StaleReport {
            restored_at: self.restored_at,
            copied_at: self.copied_at,
            recipients: recipients.len(),
            others,
            own_devices,
            cannot_reset: self.cannot_reset.clone(),
        })
    }

    /// Whether a message to this recipient needs a new Signal session first, for certain.
    pub(super) fn is_stale(&self, to: &str) -> bool {
        self.renewal_for(to).recipient == Need::Certain
    }

    /// The page was asked to begin new Signal sessions.
    pub(super) fn on_asked(&mut self, renewed: Renewed) {
        if renewed.lacking.is_some() {
            self.cannot_reset = renewed.lacking;
        } else if renewed.reset != Reset::default() {
            self.cannot_reset = None;
        }
        if renewed.gave_up_own_devices {
            self.stale.own_devices = false;
        }
    }

    /// The ledger has noted new Signal sessions, with the hand-over that comes after them.
    pub(super) fn on_reset(&mut self, to: &str, reset: Reset) {
        if reset.recipient {
            let line = Recipient::line_of(to);
            self.stale.recipients.remove(line.as_str());
            if self.stale.others != Others::Fresh {
                self.stale.fresh.insert(line.into());
            }
        }
        if reset.own_devices {
            self.stale.own_devices = false;
        }
    }

    /// Finds out how old the profile is, and notes what follows from that. To be repeated when it fails: nothing may be handed
    /// over before.
    ///
    /// A page's first hand-over, `is_first`, begins a generation: so a folder that a person has copied while no page was open
    /// is known to be older, should they put it back.
    pub(super) async fn of(
        profile: PathBuf,
        ledger: &Ledger,
        session: &str,
        is_first: bool,
    ) -> Result<Self, LedgerError> {
        let mut note = read(&profile).await;
        let stale = ledger.stale(session).await?;
        let highest = stale.highest;
        match note.beginning(highest) {
            Beginning::Usual => {
                if is_first {
                    note.generation = begin_generation(profile).await.unwrap_or(note.generation);
                }
                return Ok(Self {
                    generation: note.generation,
                    gaps: note.gaps,
                    stale: by_line(stale),
                    is_known: true,
                    restored_at: note.restored_at,
                    copied_at: note.copied_at,
                    cannot_reset: None,
                });
            }
            Beginning::NewDevice => ledger.begin_device(session).await?,
            Beginning::Restored(gaps) => {
                let copies = gaps.iter().map(|gap| RestoredCopy {
                    after: gap.after,
                    is_from_elsewhere: gap.is_from_elsewhere,
                });
                ledger.mark_stale(session, copies.collect()).await?;
            }
        }
        let note = go_on_above(profile, highest).await?;
        let stale = ledger.stale(session).await?;
        if stale.own_devices {
            tracing::warn!(
                profile.generation = note.generation,
                stale.recipients = stale.recipients.len(),
                "the profile is a copy that may be older than what was sent from it: before the next send to each of {} recipients, \
                 and with the account's own devices, a new Signal session is begun",
                stale.recipients.len()
            );
        }
        Ok(Self {
            generation: note.generation,
            gaps: note.gaps,
            stale: by_line(stale),
            is_known: true,
            restored_at: note.restored_at,
            copied_at: note.copied_at,
            cannot_reset: None,
        })
    }
}

fn by_line(stale: Stale) -> Stale {
    let lines = |numbers: HashSet<Number>| {
        let numbers = numbers.into_iter();
        numbers
            .map(|number| Recipient::line_of(&number).into())
            .collect()
    };
    Stale {
        recipients: lines(stale.recipients),
        fresh: lines(stale.fresh),
        ..stale
    }
}

/// How much a recipient needs a new Signal session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    None,
    /// The profile comes from elsewhere, and need not be old.
    Possible,
    /// Something was handed over to them that the profile lacks.
    Certain,
}

/// What has to be done before something is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Renewal {
    recipient: Need,
    own_devices: bool,
}

/// What of it was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Renewed {
    pub(super) reset: Reset,
    /// The page cannot do it for the account's own devices: the next page is asked again.
    pub(super) gave_up_own_devices: bool,
    /// Why the page could not do it.
    pub(super) lacking: Option<String>,
}

/// Has the page reset the Signal sessions that are older than what the other side has seen. `risks`: what to do where it
/// cannot.
pub(super) async fn renew<D: Driver>(
    driver: &D,
    renewal: Renewal,
    prepared: &Prepared,
    limit: Instant,
    risks: StaleSends,
) -> (Renewed, Result<(), PrepareError>) {
    let mut renewed = Renewed::default();
    if renewal.recipient != Need::None {
        let whose = Whose::Recipient(prepared.clone());
        match reset(driver, &whose, limit).await {
            Ok(()) => renewed.reset.recipient = true,
            Err(ResetError::NoAnswer(why)) => {
                return (renewed, Err(PrepareError::Interrupted(why)));
            }
            Err(ResetError::Lacking(why))
                if renewal.recipient == Need::Certain && risks == StaleSends::Refuse =>
            {
                renewed.lacking = Some(why.clone());
                let why = format!(
                    "the profile is a copy older than what was sent to this recipient, who would not see the message, and no new \
                     Signal session could be begun: {why}; update the page scripts, or accept the loss with STALE_SENDS=risk"
                );
                return (renewed, Err(PrepareError::Stale(why)));
            }
            Err(ResetError::Lacking(why)) => {
                tracing::warn!(
                    error = why,
                    "a message goes to a recipient who may not see it, as the profile may be older than what was sent to them: {why}"
                );
                renewed.lacking = Some(why);
            }
        }
    }
    if renewal.own_devices {
        match reset(driver, &Whose::OwnDevices, limit).await {
            Ok(()) => renewed.reset.own_devices = true,
            Err(ResetError::NoAnswer(why)) => {
                return (renewed, Err(PrepareError::Interrupted(why)));
            }
            // The recipient sees the message all the same.
            Err(ResetError::Lacking(why)) => {
                renewed.gave_up_own_devices = true;
                tracing::warn!(
                    error = why,
                    "the account's own phone may not show the next messages, as the profile may be older than what was sent: {why}"
                );
                renewed.lacking = Some(why);
            }
        }
    }
    (renewed, Ok(()))
}

async fn reset<D: Driver>(driver: &D, whose: &Whose, limit: Instant) -> Result<(), ResetError> {
    let reset = timeout_at(limit, driver.reset_sessions(whose)).await;
    reset.unwrap_or_else(|_elapsed| {
        let why = "the page did not begin a new Signal session in time";
        Err(ResetError::NoAnswer(why.to_owned()))
    })
}

/// Off the runtime, as the disk may hang. A note that cannot be read is that of a copy that lacks everything.
async fn read(profile: &Path) -> ProfileNote {
    let profile = profile.to_owned();
    let read = spawn_blocking(move || ProfileNote::read_or_linked(&profile)).await;
    // Only a runtime that ends does not read it.
    read.unwrap_or_default()
}

/// `None` if that cannot be noted: then it is the one that the profile is in.
async fn begin_generation(profile: PathBuf) -> Option<u64> {
    let ended = spawn_blocking(move || ProfileNote::end_generation(&profile)).await;
    let ended = ended.map_err(std::io::Error::from).flatten();
    ended
        .inspect_err(|error| tracing::warn!(%error, "no new generation of the profile can be noted in it: {error}"))
        .ok()
        .map(|ended| ended + 1)
}

async fn go_on_above(profile: PathBuf, highest: Option<u64>) -> Result<ProfileNote, LedgerError> {
    let change = move || {
        let mut changed = ProfileNote::default();
        ProfileNote::change(&profile, |note| {
            note.go_on_above(highest);
            changed = note.clone();
        })?;
        Ok::<_, std::io::Error>(changed)
    };
    let changed = spawn_blocking(change).await.map_err(std::io::Error::from);
    changed.flatten().map_err(|why| {
        LedgerError(format!(
            "in which generation the profile is cannot be noted in it: {why}; free the disk, or mend the rights of TOKENS_DIR"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_written_in_its_other_way_is_the_same_recipient() {
        let (one, other) = ("5491158254201", "541158254201");
        let stale = |others| {
            by_line(Stale {
                recipients: [one.into()].into(),
                others,
                ..Stale::default()
            })
        };
        for others in [Others::Fresh, Others::Stale, Others::PerhapsStale] {
            let mut age = Age {
                stale: stale(others),
                ..Age::default()
            };
            for to in [one, other] {
                assert_eq!(age.renewal_for(to).recipient, Need::Certain, "{to}");
            }
            let reset = Reset {
                recipient: true,
                own_devices: false,
            };
            age.on_reset(other, reset);
            for to in [one, other] {
                assert_eq!(age.renewal_for(to).recipient, Need::None, "{to}");
            }
        }
    }
}
