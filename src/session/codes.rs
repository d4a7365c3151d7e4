//! The codes by which a phone links a session: one that it scans, one that is typed on it. Both are secrets.

use jiff::Timestamp;

use super::Recipient;
use crate::masked::Code;

/// A login code: what a phone scans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QrCode {
    /// The text that the picture encodes, exactly as the page has it.
    pub text: Code,
    /// When it was first seen.
    pub shown_at: Timestamp,
}

/// A code that links by phone number: typed on the phone instead of scanned by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingCode {
    /// The eight characters.
    pub text: Code,
    /// The only phone that can use it.
    pub phone: Recipient,
    /// When it was first seen.
    pub shown_at: Timestamp,
    /// From then on WhatsApp takes it no more.
    pub expires_at: Timestamp,
}
