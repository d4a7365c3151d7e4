//! Why the ledger has no answer.

/// The ledger cannot be used: nothing was written, and nothing may be sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub(crate) String);

impl LedgerError {
    /// The disk does not finish a write in time.
    pub(crate) fn stands_still() -> Self {
        let why = "the disk did not finish a write in time (is it overloaded, or a network mount that hangs?)";
        Self(why.to_owned())
    }

    /// The keeper has ended.
    pub(super) fn closed() -> Self {
        Self("the ledger is closed".to_owned())
    }
}

/// Why there is no answer to a question of what is in the ledger.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// Too many ask at once, or the disk does not keep up. Sends go on.
    #[error(
        "too many lists of messages are asked for at once: try again later, with fewer callers"
    )]
    Busy,
    /// It cannot be used.
    #[error(transparent)]
    Unavailable(#[from] LedgerError),
}
