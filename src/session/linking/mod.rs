//! How a phone links a session, and what the profile notes of the link.
//!
//! Responsible for the code that is typed on the phone, for the passkey that its owner signs with, and for the account that a profile belongs to. Asks the page for
//! nothing itself: `lifecycle` carries out what is due.

pub(super) mod account_link;
pub(super) mod pairing;
pub(super) mod passkey;
