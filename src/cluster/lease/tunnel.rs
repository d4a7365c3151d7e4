//! Whether a Chrome may open a new connection, and send on one that it has. The gate asks.
//!
//! The order of a new tunnel is: connect to the other side, ask the engine, judge with [`may_open`], then let the first byte through.
//! It is asked *after* the connection stands because of a machine that is suspended with its clocks between the engine's answer and
//! the first byte: the other side closes a silent connection long before another host may own the session.
//! Asked before, such a machine could connect after it wakes, with a word that is older than the new owner.

use std::time::Duration;

use super::{BootTime, Lease, LeaseState};

/// How old the engine's word may be when the tunnel is opened.
pub const WORD_LIFETIME: Duration = Duration::from_secs(2);

/// The engine's answer to "is this claim still the session's?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// When the question was sent.
    pub asked: BootTime,
    /// Whether the session's row names this claim.
    pub is_mine: bool,
}

/// Why a tunnel is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TunnelRefused {
    /// The hard deadline has passed.
    #[error("the lease of this host has expired")]
    Expired,
    /// The engine did not answer. The tunnels that stand go on until the hard deadline.
    #[error("the engine did not say whose the session is")]
    NoWord,
    /// The word is too old, or was asked for before the connection stood.
    #[error("the engine's word is older than the connection")]
    OldWord,
    /// Another host has the session, or none.
    #[error("the session is not this host's any more")]
    NotOwner,
}

/// Whether a chunk of bytes may be forwarded at this moment. It is asked for each one.
pub fn may_forward(lease: &Lease, now: BootTime) -> bool {
    lease.state_at(now) != LeaseState::Expired
}

/// Whether a tunnel may be opened whose connection stood at `connected`.
pub fn may_open(
    lease: &Lease,
    connected: BootTime,
    word: Option<Word>,
    now: BootTime,
) -> Result<(), TunnelRefused> {
    if !may_forward(lease, now) {
        return Err(TunnelRefused::Expired);
    }
    let word = word.ok_or(TunnelRefused::NoWord)?;
    if !word.is_mine {
        return Err(TunnelRefused::NotOwner);
    }
    if word.asked < connected || WORD_LIFETIME < now.since(word.asked) {
        return Err(TunnelRefused::OldWord);
    }
    Ok(())
}
