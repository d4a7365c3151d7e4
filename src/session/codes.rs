//! The codes by which a phone links a session: one that it scans, one that is typed on it. Both are secrets.

use std::fmt;

use jiff::Timestamp;

use super::Recipient;

/// A login code: what a phone scans. Its `Debug` does not show the text.
#[derive(Clone, PartialEq, Eq)]
pub struct QrCode {
    /// The text that the picture encodes, exactly as the page has it.
    pub text: String,
    /// When it was first seen.
    pub shown_at: Timestamp,
}

impl fmt::Debug for QrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QrCode")
            .field("shown_at", &self.shown_at)
            .finish_non_exhaustive()
    }
}

/// A code that links by phone number: typed on the phone instead of scanned by it. Its `Debug` does not show the text.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// The eight characters.
    pub text: String,
    /// The only phone that can use it.
    pub phone: Recipient,
    /// When it was first seen.
    pub shown_at: Timestamp,
    /// From then on WhatsApp takes it no more.
    pub expires_at: Timestamp,
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairingCode")
            .field("phone", &self.phone)
            .field("shown_at", &self.shown_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
