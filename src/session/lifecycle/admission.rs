//! Whether a command is carried out now, kept for later, or refused.
//!
//! Pure. The one place that decides this, in every stage of a session; [`mailbox`](super::mailbox) carries it out.

use crate::session::{
    SessionState,
    command::{Command, LifeCommand, PageCommand},
};

/// What a session is doing, as far as a command is concerned. Whether a page that is being opened, or is open, belongs to a
/// session that wakes, its state says: that is `HIBERNATING` until the page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No Chrome runs, and none is being started.
    Idle,
    /// A Chrome is being started.
    Opening,
    /// A Chrome was being started, and a caller has asked for its end.
    CalledOff,
    /// The page is open.
    Running,
    /// There is no Chrome until something needs one.
    Hibernating,
    /// A step is under way that no command may interrupt: a Chrome is being closed, or the profile is being worked on, or looked
    /// for before a start.
    Busy,
    /// The service stops.
    Stopping,
}

/// What becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Now,
    /// Kept until the stage is no longer [`Stage::Busy`] or [`Stage::CalledOff`].
    OnceFree,
    /// Kept until the page stands, which it wakes.
    OnceAwake,
    Refuse(Refusal),
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The session is in a state in which it cannot be done; `/status` says why.
    NotReady,
    /// The stage is [`Stage::Busy`]; the state that is published is still the one before.
    Busy,
    /// Only a page that is linked can be logged out.
    NotLinked,
    /// Only a session that does not run can be forgotten.
    Running,
    ShuttingDown,
}

/// The decision. `published` is the state that callers see.
pub(super) fn admit(stage: Stage, published: &SessionState, command: &Command) -> Admission {
    let is_hibernating = *published == SessionState::Hibernating;
    match (stage, command) {
        // They change nothing but what is there, and are not answered.
        (_, Command::Page(PageCommand::Remove { .. } | PageCommand::Measured { .. })) => {
            Admission::Now
        }
        (Stage::Stopping, _) => Admission::Refuse(Refusal::ShuttingDown),
        (_, Command::Page(PageCommand::Send { new, .. })) => {
            admit_send(stage, published, new.is_durable)
        }
        // A question to the page, or something that only a page can do.
        (
            Stage::Opening | Stage::Running | Stage::Hibernating | Stage::Busy,
            Command::Page(
                PageCommand::Check { .. }
                | PageCommand::Read { .. }
                | PageCommand::InChat { .. }
                | PageCommand::Evidence { .. }
                | PageCommand::Media { .. },
            )
            | Command::Life(LifeCommand::Disconnect { logout: true, .. }),
        ) if is_hibernating => Admission::OnceAwake,
        // The notice was on the page before; the next one loads without it, or shows it again.
        (_, Command::Page(PageCommand::DismissNotice { .. })) if is_hibernating => {
            Admission::Refuse(Refusal::NotReady)
        }
        (Stage::Running, Command::Page(_)) => Admission::Now,
        (Stage::Busy, Command::Page(_)) => Admission::Refuse(Refusal::Busy),
        (_, Command::Page(_)) => Admission::Refuse(Refusal::NotReady),
        (Stage::CalledOff | Stage::Busy, Command::Life(_)) => Admission::OnceFree,
        (Stage::Opening, Command::Life(LifeCommand::Disconnect { logout: true, .. })) => {
            Admission::Refuse(Refusal::NotLinked)
        }
        (
            Stage::Opening | Stage::Running | Stage::Hibernating,
            Command::Life(LifeCommand::Forget { .. }),
        ) => Admission::Refuse(Refusal::Running),
        (Stage::Idle | Stage::Opening | Stage::Running | Stage::Hibernating, Command::Life(_)) => {
            Admission::Now
        }
    }
}

fn admit_send(stage: Stage, published: &SessionState, is_durable: bool) -> Admission {
    match stage {
        // A session that hibernates takes sends in every stage: the next page sends them.
        Stage::Opening | Stage::Running | Stage::Hibernating | Stage::Busy
            if *published == SessionState::Hibernating =>
        {
            Admission::Now
        }
        Stage::Running
            if published.takes_sends()
                || (is_durable && *published == SessionState::Authenticated) =>
        {
            Admission::Now
        }
        Stage::Busy => Admission::Refuse(Refusal::Busy),
        Stage::Idle
        | Stage::Opening
        | Stage::CalledOff
        | Stage::Running
        | Stage::Hibernating
        | Stage::Stopping => Admission::Refuse(Refusal::NotReady),
    }
}

#[cfg(test)]
mod tests;
