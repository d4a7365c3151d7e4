//! The name of a key: what its owner calls it, and what the audit says.

use std::{fmt, str::FromStr};

/// The longest name.
const MAX_LENGTH: usize = 64;

/// What the audit calls the key of the setting, so that no other may be called so.
pub(super) const MASTER: &str = "API_KEY";

/// Names one key: 1 to 64 of `A-Z a-z 0-9 _ - .`, a letter or digit first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// Says why a text names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key's name must be 1 to 64 letters, digits, '-', '_' or '.', a letter or digit first, and not API_KEY"
)]
pub struct InvalidKeyName;

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = InvalidKeyName;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let starts_well = raw.starts_with(|first: char| first.is_ascii_alphanumeric());
        let is_reserved = raw.eq_ignore_ascii_case(MASTER);
        if !starts_well || MAX_LENGTH < raw.len() || !raw.bytes().all(allowed) || is_reserved {
            return Err(InvalidKeyName);
        }
        Ok(Self(raw.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_is_taken_for_nobody_else() {
        for good in ["a", "lead-master", "shop_51.test", "9", &"x".repeat(64)] {
            assert_eq!(good.parse::<KeyName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-",
            "_x",
            ".",
            "a b",
            "a\n",
            "ñ",
            "api_key",
            "API_KEY",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad:?}");
        }
    }
}
