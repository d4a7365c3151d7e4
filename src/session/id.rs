//! The name of a session. It becomes the name of a folder, so its alphabet is closed.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The longest name; with the tokens folder before it a profile path stays far below what file systems allow.
const MAX_LENGTH: usize = 64;

/// Names one session: a positive integer, or 1 to 64 of `A-Z a-z 0-9 _ -`.
///
/// The number `51` and the text `"51"` are the same session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClienteId(String);

/// Says why a text or a number names no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cliente_id must be a positive integer, or 1 to 64 letters, digits, '-' or '_'")]
pub struct InvalidClienteId;

impl ClienteId {
    /// `admin`: the session of a caller that names none, unless `DEFAULT_CLIENTE_ID` says otherwise.
    pub fn admin() -> Self {
        Self("admin".to_owned())
    }

    /// Reads a JSON number: only positive integers name a session. `51.0` is the integer 51, as JavaScript has it.
    pub fn from_number(number: &serde_json::Number) -> Result<Self, InvalidClienteId> {
        let written = number.to_string();
        let digits = written.strip_suffix(".0").unwrap_or(&written);
        match digits.parse::<u64>() {
            Ok(id) if id > 0 => Ok(Self(id.to_string())),
            _ => Err(InvalidClienteId),
        }
    }

    /// The number that names this session, if one can: `7`, but not `007`, which is another session, and not `0`.
    pub fn number(session: &str) -> Option<u64> {
        let number: u64 = session.parse().ok()?;
        (number > 0 && number.to_string() == session).then_some(number)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its profile folder under `tokens_dir`.
    pub fn profile_in(&self, tokens_dir: &Path) -> PathBuf {
        tokens_dir.join(&self.0)
    }
}

impl FromStr for ClienteId {
    type Err = InvalidClienteId;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if raw.is_empty() || MAX_LENGTH < raw.len() || !raw.bytes().all(allowed) {
            return Err(InvalidClienteId);
        }
        Ok(Self(raw.to_owned()))
    }
}

impl fmt::Display for ClienteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_to_sixty_four_plain_characters() {
        for good in ["1", "51", "admin", "A-b_9", &"x".repeat(64)] {
            assert_eq!(good.parse::<ClienteId>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn nothing_that_could_leave_the_tokens_folder_is_a_name() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "a\0b",
            "ñandú",
            "a b",
            "a\n",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<ClienteId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_session_has_a_number_only_if_that_number_names_it_and_no_other_one() {
        assert_eq!(ClienteId::number("51"), Some(51));
        for name in [
            "0",
            "007",
            "+5",
            "1e5",
            "-1",
            "5a",
            "admin",
            "99999999999999999999",
        ] {
            assert_eq!(ClienteId::number(name), None, "{name}");
        }
    }

    #[test]
    fn only_positive_integers_are_names() {
        let number = |json: &str| ClienteId::from_number(&serde_json::from_str(json).unwrap());
        for same in ["51", "51.0"] {
            assert_eq!(number(same).unwrap(), "51".parse().unwrap());
        }
        for bad in ["0", "-51", "51.5", "1e400", "18446744073709551616"] {
            assert!(
                serde_json::from_str::<serde_json::Number>(bad).is_err() || number(bad).is_err(),
                "{bad}"
            );
        }
    }
}
