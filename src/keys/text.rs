//! The text of a key, and what is kept of it.

use std::fmt;

use rand::distr::{Alphanumeric, SampleString as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// So that a key that leaks into a repository or a log is found by a scanner: `smk_[A-Za-z0-9]{32}`.
const PREFIX: &str = "smk_";

/// Letters and digits, some 5.95 bits each: 190 bits.
const RANDOM_CHARACTERS: usize = 32;

/// Enough for a person to distinguish keys; the 166 bits left are as far from being guessed.
const HINT_CHARACTERS: usize = 4;

/// A new key, for its owner alone.
pub struct KeyText(String);

impl KeyText {
    /// A key that does not exist yet.
    pub fn generate() -> Self {
        let random = Alphanumeric.sample_string(&mut rand::rng(), RANDOM_CHARACTERS);
        Self(format!("{PREFIX}{random}"))
    }

    /// The text, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Its last characters.
    pub fn hint(&self) -> String {
        self.0[self.0.len() - HINT_CHARACTERS..].to_owned()
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

/// What a key is recognised by: its SHA-256.
///
/// Plain and unsalted, unlike for a password: a key is 190 random bits, so there is nothing to guess that a slow hash would
/// hold up and no two are alike. A slow one would be paid by every request, and a flood of wrong keys would stop the service.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of a key as it came.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Compares in constant time: how much of a guess is right must not show in how long the answer takes.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// A part of it, enough to distinguish one wrong key from another: to find two with the same part takes billions of tries.
    pub fn start(&self) -> u64 {
        let first = self.0.iter().take(8);
        first.fold(0, |start, byte| start << 8 | u64::from(*byte))
    }

    /// Reads what [`Display`](fmt::Display) writes, which is what `sha256sum` prints.
    pub(super) fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || hex.len() != 2 * bytes.len() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_found_by_scanners_and_like_no_other() {
        let (one, other) = (KeyText::generate(), KeyText::generate());
        assert_ne!(one.reveal(), other.reveal());
        let random = one.reveal().strip_prefix("smk_").unwrap();
        assert_eq!(random.len(), 32);
        assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(random.ends_with(&one.hint()) && one.hint().len() == 4);
        assert!(!format!("{one:?}").contains(random));
    }

    #[test]
    fn a_digest_is_what_sha256sum_prints_and_is_read_back() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), of_nothing);
        assert!(Digest::parse(of_nothing).unwrap().is(&Digest::of(b"")));
        assert!(!Digest::of(b"a").is(&Digest::of(b"b")));
        let signed = of_nothing.replacen("e3", "+3", 1);
        for bad in [
            "",
            "e3",
            &of_nothing[1..],
            &of_nothing.replace('e', "é"),
            &signed,
        ] {
            assert!(Digest::parse(bad).is_none(), "{bad}");
        }
    }
}
