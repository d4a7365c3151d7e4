//! What encrypts a snapshot that leaves this machine: a passphrase, in the format of age (age-encryption.org/v1).
//!
//! Knows the encryption, and not what is in it. Every 64 kB of such a file are authenticated, and so is its end: what can be
//! read of it is what was written. It is read in place; nothing of it is ever on disk unencrypted but the profile itself.

use std::{
    fs::File,
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    iter,
    path::Path,
    str::FromStr,
};

use age::{
    DecryptError, Decryptor, Encryptor, scrypt,
    secrecy::SecretString,
    stream::{StreamReader, StreamWriter},
};

use super::SnapshotError;

/// How every file of age begins, whatever its version.
const MAGIC: &[u8] = b"age-encryption.org/";

/// The version that is written and read here.
const VERSION: &[u8] = b"v1\n";

/// Shorter ones can be guessed: a person who has the file can try for as long as it takes.
const SHORTEST: usize = 12;

/// In bytes. More is no passphrase but the wrong file.
const LONGEST: usize = 1024;

/// scrypt with N = 2^17, what OWASP asks for: half a second and 128 MB for each guess, which a small machine full of
/// Chromes can still spare once.
const WORK_FACTOR: u8 = 17;

/// A file states how much work it takes. 2^18 is what age's own program takes by default (256 MB); more would put the
/// machine's sessions at risk.
const MAX_WORK_FACTOR: u8 = 18;

/// What is typed to encrypt a file and to open it again. Neither shown nor left in memory.
#[derive(Clone, Debug)]
pub struct Passphrase(SecretString);

/// Why a text is no passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassphrase {
    /// There is none.
    #[error("the passphrase is empty")]
    Empty,
    /// It could be guessed.
    #[error(
        "the passphrase is shorter than {SHORTEST} characters: whoever has the file could find it by trying"
    )]
    TooShort,
    /// It is something else.
    #[error("the passphrase is longer than {LONGEST} bytes: is it the right file?")]
    TooLong,
}

impl Passphrase {
    /// The longest one, in bytes.
    pub const LONGEST: usize = LONGEST;
}

impl FromStr for Passphrase {
    type Err = InvalidPassphrase;

    fn from_str(text: &str) -> Result<Self, InvalidPassphrase> {
        if text.trim().is_empty() {
            return Err(InvalidPassphrase::Empty);
        }
        if text.chars().count() < SHORTEST {
            return Err(InvalidPassphrase::TooShort);
        }
        if text.len() > LONGEST {
            return Err(InvalidPassphrase::TooLong);
        }
        Ok(Self(SecretString::from(text.to_owned())))
    }
}

/// Encrypts what is written to it. Without [`StreamWriter::finish`] the file has no end, and is no such file.
pub(super) fn seal<W: Write>(out: W, passphrase: &Passphrase) -> io::Result<StreamWriter<W>> {
    let mut recipient = scrypt::Recipient::new(passphrase.0.clone());
    recipient.set_work_factor(WORK_FACTOR);
    Encryptor::with_recipients(iter::once(&recipient as _))
        .map_err(io::Error::other)?
        .wrap_output(out)
}

/// An encrypted file, as what it was before.
pub(super) type Opened = StreamReader<BufReader<File>>;

/// Opens a file with its passphrase. What it holds is authenticated as it is read.
pub(super) fn open(path: &Path, passphrase: &Passphrase) -> Result<Opened, SnapshotError> {
    let failed = |source| SnapshotError::io("reading", path, source);
    let mut file = File::open(path).map_err(|source| SnapshotError::io("opening", path, source))?;
    let mut first = Vec::new();
    let length = (MAGIC.len() + VERSION.len()).try_into().unwrap_or(u64::MAX);
    (&mut file)
        .take(length)
        .read_to_end(&mut first)
        .map_err(failed)?;
    let path_of = || path.to_owned();
    match first.strip_prefix(MAGIC) {
        None => return Err(SnapshotError::NotAnExport { path: path_of() }),
        Some(VERSION) => {}
        Some(_) => return Err(SnapshotError::OtherEncryption { path: path_of() }),
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut identity = scrypt::Identity::new(passphrase.0.clone());
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let opened = Decryptor::new_buffered(BufReader::new(file))
        .and_then(|file| file.decrypt(iter::once(&identity as _)));
    opened.map_err(|why| explain(why, path))
}

fn explain(why: DecryptError, path: &Path) -> SnapshotError {
    let path = path.to_owned();
    match why {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            SnapshotError::WrongPassphrase { path }
        }
        // Encrypted, but for a key and not for a passphrase.
        DecryptError::NoMatchingKeys => SnapshotError::NotAnExport { path },
        DecryptError::ExcessiveWork { .. } => SnapshotError::OtherEncryption { path },
        // A head of this version that cannot be read is taken for one of another.
        DecryptError::InvalidHeader | DecryptError::InvalidMac | DecryptError::UnknownFormat => {
            SnapshotError::Damaged { path }
        }
        DecryptError::Io(source) if is_damage(&source) => SnapshotError::Damaged { path },
        DecryptError::Io(source) => SnapshotError::io("reading", &path, source),
        why => SnapshotError::io("reading", &path, io::Error::other(why)),
    }
}

/// Whether a read failed because of what is in the file, and not because of the disk.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_neither_short_nor_a_file() {
        let read = |text: &str| text.parse::<Passphrase>().map(drop);
        assert_eq!(read("twelve chars"), Ok(()));
        assert_eq!(read("ñandúñandúña"), Ok(()));
        assert_eq!(read(""), Err(InvalidPassphrase::Empty));
        assert_eq!(read("              "), Err(InvalidPassphrase::Empty));
        assert_eq!(read("eleven char"), Err(InvalidPassphrase::TooShort));
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(read(&long), Err(InvalidPassphrase::TooLong));
        let shown = format!("{:?}", "not to be seen".parse::<Passphrase>().unwrap());
        assert!(!shown.contains("seen"), "{shown}");
    }
}
