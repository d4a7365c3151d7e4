//! API keys: what their holders may do, to which sessions, until when.
//!
//! ```text
//!  session-manager key add ──▶ KeyFile (names, hashes, scopes) ◀──looks── watch ──▶ Keyring ◀──judge── http
//!                                                                  API_KEY ────────────┘
//! ```
//!
//! Responsible for making keys, for keeping what is needed to recognise them, and for recognising one. It knows no route and
//! no header, and of sessions only their names: which request needs which [`Scope`] is `http`'s to say.
//!
//! Invariants: only the person who asked for a key has it: the file has its hash. A file that cannot be read lets no caller in, and
//! nothing that happens to the file while the service runs makes it stop asking for keys.

mod file;
mod key;
mod keyring;
mod name;
mod text;
mod watch;

pub use file::{KeyFile, KeyFileError};
pub use key::{Key, Scope, UnknownScope};
pub use keyring::{Keyring, Verdict};
pub use name::{InvalidKeyName, KeyName};
pub use text::{Digest, KeyText};

#[cfg(test)]
mod tests;
