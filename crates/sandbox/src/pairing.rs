//! The code that links a device by phone number: eight characters, typed on the phone.
//!
//! Responsible for: making a code, and reading one as people write it. Not responsible for: how long it lives, who
//! shows it.

use std::fmt;

/// WhatsApp's own alphabet: 32 characters, none of which is taken for another (whatsmeow pair-code.go).
const ALPHABET: &[u8; 32] = b"123456789ABCDEFGHJKLMNPQRSTVWXYZ";
/// Characters of a code; people see them as `ABCD-EFGH`.
const LENGTH: usize = 8;

/// A code. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PairingCode(String);

impl PairingCode {
    /// Makes one that cannot be guessed.
    pub(super) fn random() -> Self {
        let characters = rand::random_iter::<u8>()
            .map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        Self(characters.take(LENGTH).collect())
    }

    /// Reads a code as people type it: in either case, with a dash or blanks in it.
    pub(super) fn parse(raw: &str) -> Result<Self, &'static str> {
        let typed = raw.chars().filter(|c| !matches!(c, '-' | ' '));
        let code: String = typed.map(|c| c.to_ascii_uppercase()).collect();
        if code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Ok(Self(code));
        }
        Err(
            "give the eight characters that the page shows, such as \"ABCD-EFGH\"; 0, I, O and U are none of them",
        )
    }

    /// The eight characters.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_shown_and_as_people_type_it() {
        let code = PairingCode::random();
        let (front, back) = code.as_str().split_at(4);
        for typed in [
            code.as_str().to_owned(),
            format!("{front}-{back}").to_lowercase(),
            format!(" {front} {back} "),
        ] {
            assert_eq!(PairingCode::parse(&typed), Ok(code.clone()));
        }
    }

    #[test]
    fn what_whatsapp_never_shows_is_no_code() {
        for typed in ["", "ABCD", "ABCDEFGHJ", "ABCD-EFG0", "ABCDEFGO", "ÁBCDEFG"] {
            assert!(PairingCode::parse(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn a_code_is_not_shown_for_debugging() {
        let code = PairingCode::random();
        assert!(!format!("{code:?}").contains(code.as_str()));
    }
}
