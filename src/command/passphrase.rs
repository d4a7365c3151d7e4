//! Where a passphrase comes from: a person at the terminal, a file, or another program. Never an argument, which every user of
//! the machine could read.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::browser::{InvalidPassphrase, Passphrase};

/// More than the longest passphrase, so that one that is too long is noticed.
const READ_MAX: usize = 2 * Passphrase::LONGEST;

/// Where it comes from.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {
    /// A file whose first line is the passphrase; - is standard input [default: ask on the terminal].
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Why there is none. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassphraseError {
    #[error(
        "there is no terminal to ask for the passphrase on ({0}); use --passphrase-file FILE, or - for standard input"
    )]
    NoTerminal(io::Error),
    #[error("--passphrase-file {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Invalid(#[from] InvalidPassphrase),
    #[error("the two passphrases are not the same")]
    Differ,
    #[error("interrupted")]
    Interrupted,
}

impl Source {
    /// A passphrase to encrypt with. It is asked for twice, since a file with a mistyped passphrase cannot be opened.
    pub(super) fn choose(&self) -> Result<Passphrase, PassphraseError> {
        match &self.passphrase_file {
            Some(path) => from_file(path),
            None => chosen(ask),
        }
    }

    /// A passphrase to open a file with.
    pub(super) fn know(&self) -> Result<Passphrase, PassphraseError> {
        match &self.passphrase_file {
            Some(path) => from_file(path),
            None => Ok(ask("Passphrase: ")?.parse()?),
        }
    }
}

fn chosen(
    mut ask: impl FnMut(&str) -> Result<String, PassphraseError>,
) -> Result<Passphrase, PassphraseError> {
    let first = ask("Passphrase (12 characters or more): ")?;
    let passphrase = first.parse()?;
    if ask("The same again: ")? != first {
        return Err(PassphraseError::Differ);
    }
    Ok(passphrase)
}

/// Asks on the terminal itself, even where standard input is a file. What is typed is not shown.
fn ask(question: &str) -> Result<String, PassphraseError> {
    rpassword::prompt_password(question).map_err(|why| {
        if why.kind() == ErrorKind::Interrupted {
            PassphraseError::Interrupted
        } else {
            PassphraseError::NoTerminal(why)
        }
    })
}

fn from_file(path: &Path) -> Result<Passphrase, PassphraseError> {
    let line = if path == Path::new("-") {
        first_line(io::stdin())
    } else {
        File::open(path).and_then(first_line)
    };
    let line = line.map_err(|source| PassphraseError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Ok(line.parse()?)
}

/// Without its end.
fn first_line(from: impl Read) -> io::Result<String> {
    let mut line = String::new();
    let most = READ_MAX.try_into().unwrap_or(u64::MAX);
    BufReader::new(from.take(most)).read_line(&mut line)?;
    let length = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(length);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_it_in_its_first_line() {
        for text in ["correct horse", "correct horse\n", "correct horse\r\nnotes"] {
            assert_eq!(first_line(text.as_bytes()).unwrap(), "correct horse");
        }
        assert_eq!(first_line(&b""[..]).unwrap(), "");
        assert_eq!(first_line(&b" a b \n"[..]).unwrap(), " a b ");
        assert!(first_line(&b"\xff\xfe"[..]).is_err());
        let endless = vec![b'x'; 1 << 20];
        let line = first_line(&endless[..]).unwrap();
        let refused = line.parse::<Passphrase>().unwrap_err();
        assert_eq!(refused, InvalidPassphrase::TooLong);
    }

    #[test]
    fn a_new_one_is_typed_twice_unless_it_is_none() {
        let typed = |lines: &[&str]| {
            let mut lines = lines.iter();
            let chosen = chosen(|_| Ok((*lines.next().expect("no more questions")).to_owned()));
            (chosen.map(drop), lines.count())
        };
        assert!(matches!(
            typed(&["correct horse", "correct horse"]),
            (Ok(()), 0)
        ));
        let (refused, _) = typed(&["correct horse", "correct horsf"]);
        assert!(
            matches!(refused, Err(PassphraseError::Differ)),
            "{refused:?}"
        );
        let (refused, left) = typed(&["short", "short"]);
        assert!(
            matches!(
                refused,
                Err(PassphraseError::Invalid(InvalidPassphrase::TooShort))
            ),
            "{refused:?}"
        );
        assert_eq!(left, 1);
    }
}
