//! Media as WhatsApp keeps them: encrypted files, each under a path of its own.
//!
//! Responsible for: taking and giving out what pages upload and download; the phone's own encryption and decryption. A path
//! alone is worth nothing: who downloads names the hash of the encrypted file too, and reads it with its key only.
//! Not responsible for: which message a file belongs to (`extras`, `stanza`), and the page's encryption (`page/media-crypto.js`).
//!
//! The scheme is WhatsApp's (docs/sandbox.md#media): HKDF-SHA256 of the media key, with a text for each type, gives an
//! initialisation vector and the keys for AES-256-CBC and HMAC-SHA256; the file is the encrypted bytes and the first ten of the HMAC.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use aes::{
    Aes256,
    cipher::{
        BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _, generic_array::GenericArray,
    },
};
use axum::body::Body;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use data_encoding::HEXLOWER;
use futures_util::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::stanza::MediaKind;

/// Beside the journal.
const FOLDER: &str = "blobs";
/// How much of a file is in memory at a time; a whole number of blocks.
const CHUNK_BYTES: usize = 64 * 1024;
const BLOCK_BYTES: usize = 16;
/// So much of the HMAC stands at the end of a file.
const MAC_BYTES: usize = 10;
/// WhatsApp's own limit for documents; other types are limited by the page.
const MOST_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// How a device finds a medium, and reads it. The words are those of a message in the page, in base64 as there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MediaFile {
    pub(super) direct_path: String,
    pub(super) media_key: String,
    pub(super) media_key_timestamp: i64,
    /// SHA-256 of the encrypted file.
    pub(super) enc_filehash: String,
    /// SHA-256 of what it holds.
    pub(super) filehash: String,
}

/// What a phone finds in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) bytes: u64,
    /// In hexadecimal digits.
    pub(super) sha256: String,
}

/// Why a phone cannot show a medium, or a page cannot bring one.
#[derive(Debug, thiserror::Error)]
pub(super) enum MediaError {
    #[error("no such file, or not with this hash")]
    Missing,
    #[error("the key does not open the file")]
    Locked,
    #[error("the file holds something else than its hash says")]
    OtherContent,
    #[error("the bytes do not have the hash that they were announced with")]
    OtherHash,
    #[error("the file is too large")]
    TooLarge,
    #[error("the connection ended in the middle")]
    Cut,
    #[error("the sandbox could not read or write the file: {0}")]
    Storage(#[from] io::Error),
}

/// The files.
#[derive(Debug)]
pub(super) struct MediaStore {
    folder: PathBuf,
    /// Paths that a phone has made by uploading again.
    renewed: Mutex<HashSet<String>>,
}

impl MediaStore {
    /// Opens what there is in `folder`, the sandbox's data.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let folder = folder.join(FOLDER);
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            renewed: Mutex::default(),
        })
    }

    /// Takes an encrypted file, announced with its hash. Answers the path that it has from now on.
    pub(super) async fn take(&self, token: &str, body: Body) -> Result<String, MediaError> {
        let incoming = self.folder.join(format!("{}.part", random_name()));
        let hash = take_to(&incoming, body).await;
        let kept = hash.and_then(|hash| {
            if URL_SAFE_NO_PAD.encode(hash) != token {
                return Err(MediaError::OtherHash);
            }
            Ok(self.keep(&incoming, token)?)
        });
        if kept.is_err() {
            // What is left of it has no name that anything looks for.
            drop(fs::remove_file(&incoming));
        }
        kept
    }

    /// The encrypted file under a path, for those who know its hash as well.
    pub(super) fn find(&self, direct_path: &str, token: &str) -> Option<PathBuf> {
        let name = direct_path
            .strip_prefix(PATH_START)?
            .strip_suffix(PATH_END)?;
        let is_plain = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let path = self.folder.join(format!("{name}.{token}"));
        (is_plain(name) && is_plain(token) && path.is_file()).then_some(path)
    }

    /// A phone uploads again what is no longer under its path: the same file, under another path.
    pub(super) fn renew(&self, file: &MediaFile) -> Option<String> {
        let token = token_of(&file.enc_filehash)?;
        let path = self.find(&file.direct_path, &token)?;
        let name = random_name();
        fs::hard_link(&path, self.folder.join(format!("{name}.{token}"))).ok()?;
        let direct_path = format!("{PATH_START}{name}{PATH_END}");
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.insert(direct_path.clone());
        Some(direct_path)
    }

    /// Whether a phone has made this path by uploading again.
    pub(super) fn is_renewed(&self, direct_path: &str) -> bool {
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.contains(direct_path)
    }

    /// A phone encrypts something and uploads it.
    pub(super) fn put(&self, kind: MediaKind, plain: &[u8], at: i64) -> io::Result<MediaFile> {
        let media_key: [u8; 32] = rand::random();
        let Keys { iv, cipher, mac } = Keys::of(kind, &media_key);
        let mut mac = new_mac(&mac);
        mac.update(&iv);
        let mut encryptor = cbc::Encryptor::<Aes256>::new(&cipher.into(), &iv.into());
        let incoming = self.folder.join(format!("{}.part", random_name()));
        let mut file = File::create(&incoming)?;
        let mut hash = Sha256::new();
        let whole = plain.len() / BLOCK_BYTES * BLOCK_BYTES;
        let padding = BLOCK_BYTES - (plain.len() - whole);
        let mut last = plain[whole..].to_vec();
        last.resize(BLOCK_BYTES, u8::try_from(padding).unwrap_or_default());
        let chunks = plain[..whole].chunks(CHUNK_BYTES).map(<[u8]>::to_vec);
        for mut chunk in chunks.chain([last]) {
            for block in chunk.chunks_exact_mut(BLOCK_BYTES) {
                encryptor.encrypt_block_mut(GenericArray::from_mut_slice(block));
            }
            mac.update(&chunk);
            hash.update(&chunk);
            file.write_all(&chunk)?;
        }
        let mac = mac.finalize().into_bytes();
        hash.update(&mac[..MAC_BYTES]);
        file.write_all(&mac[..MAC_BYTES])?;
        let enc_filehash = hash.finalize();
        let direct_path = self.keep(&incoming, &URL_SAFE_NO_PAD.encode(enc_filehash))?;
        Ok(MediaFile {
            direct_path,
            media_key: STANDARD.encode(media_key),
            media_key_timestamp: at,
            enc_filehash: STANDARD.encode(enc_filehash),
            filehash: STANDARD.encode(Sha256::digest(plain)),
        })
    }

    /// A phone looks at what a message has brought; `sink` gets its bytes.
    pub(super) fn open_file(
        &self,
        kind: MediaKind,
        file: &MediaFile,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<Opened, MediaError> {
        let token = token_of(&file.enc_filehash).ok_or(MediaError::Missing)?;
        let path = self.find(&file.direct_path, &token);
        let media_key = STANDARD.decode(&file.media_key).unwrap_or_default();
        let keys = Keys::of(kind, &media_key);
        let mut reader = File::open(path.ok_or(MediaError::Missing)?)?;
        let (mut bytes, mut hash) = (0, Sha256::new());
        decrypt(&mut reader, &keys, |plain| {
            bytes += plain.len() as u64;
            hash.update(plain);
            sink(plain);
        })?;
        let hash = hash.finalize();
        if STANDARD.encode(hash) != file.filehash {
            return Err(MediaError::OtherContent);
        }
        let sha256 = HEXLOWER.encode(&hash);
        Ok(Opened { bytes, sha256 })
    }

    /// Gives a file the name by which it is found.
    fn keep(&self, incoming: &Path, token: &str) -> io::Result<String> {
        let name = random_name();
        fs::rename(incoming, self.folder.join(format!("{name}.{token}")))?;
        Ok(format!("{PATH_START}{name}{PATH_END}"))
    }
}

/// As WhatsApp's paths look.
const PATH_START: &str = "/v/t62.7118-24/";
const PATH_END: &str = ".enc";

/// A hash as it stands in an address.
pub(super) fn token_of(hash: &str) -> Option<String> {
    Some(URL_SAFE_NO_PAD.encode(STANDARD.decode(hash).ok()?))
}

async fn take_to(path: &Path, body: Body) -> Result<[u8; 32], MediaError> {
    let mut file = tokio::fs::File::create(path).await?;
    let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| MediaError::Cut)?;
        bytes += chunk.len() as u64;
        if MOST_BYTES < bytes {
            return Err(MediaError::TooLarge);
        }
        hash.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(hash.finalize().into())
}

/// What a media key gives.
struct Keys {
    iv: [u8; 16],
    cipher: [u8; 32],
    mac: [u8; 32],
}

impl Keys {
    fn of(kind: MediaKind, media_key: &[u8]) -> Self {
        let info = match kind {
            MediaKind::Image | MediaKind::Sticker => "WhatsApp Image Keys",
            MediaKind::Video => "WhatsApp Video Keys",
            MediaKind::Audio | MediaKind::Ptt => "WhatsApp Audio Keys",
            MediaKind::Document
            | MediaKind::Location
            | MediaKind::Vcard
            | MediaKind::PollCreation => "WhatsApp Document Keys",
        };
        let expanded = expand(media_key, info.as_bytes());
        let mut keys = Self {
            iv: [0; 16],
            cipher: [0; 32],
            mac: [0; 32],
        };
        keys.iv.copy_from_slice(&expanded[..16]);
        keys.cipher.copy_from_slice(&expanded[16..48]);
        keys.mac.copy_from_slice(&expanded[48..80]);
        keys
    }
}

fn new_mac(key: &[u8]) -> Hmac<Sha256> {
    // It takes keys of any length.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&GenericKey::default()))
}

type GenericKey = hmac::digest::Key<Hmac<Sha256>>;

/// HKDF-SHA256 (RFC 5869) without a salt, as long as WhatsApp uses it.
fn expand(key: &[u8], info: &[u8]) -> Vec<u8> {
    const LENGTH: usize = 112;
    let mut extract = new_mac(&[0; 32]);
    extract.update(key);
    let extracted = extract.finalize().into_bytes();
    let mut expanded: Vec<u8> = Vec::new();
    for step in 1..=u8::MAX {
        if LENGTH <= expanded.len() {
            break;
        }
        let mut block = new_mac(&extracted);
        block.update(&expanded[expanded.len().saturating_sub(32)..]);
        block.update(info);
        block.update(&[step]);
        expanded.extend_from_slice(&block.finalize().into_bytes());
    }
    expanded
}

/// Reads an encrypted file. `sink` has got bytes when this finds that they are not what was encrypted.
fn decrypt(file: &mut File, keys: &Keys, mut sink: impl FnMut(&[u8])) -> Result<(), MediaError> {
    let length = file.metadata()?.len();
    let encrypted = length
        .checked_sub(MAC_BYTES as u64)
        .filter(|bytes| *bytes > 0 && bytes.is_multiple_of(BLOCK_BYTES as u64));
    let mut left = encrypted.ok_or(MediaError::Locked)?;
    let mut mac = new_mac(&keys.mac);
    mac.update(&keys.iv);
    let mut decryptor = cbc::Decryptor::<Aes256>::new(&keys.cipher.into(), &keys.iv.into());
    let mut chunk = vec![0; CHUNK_BYTES];
    while left > 0 {
        let size = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        let chunk = &mut chunk[..size];
        file.read_exact(chunk)?;
        left -= size as u64;
        mac.update(chunk);
        for block in chunk.chunks_exact_mut(BLOCK_BYTES) {
            decryptor.decrypt_block_mut(GenericArray::from_mut_slice(block));
        }
        let padding = match chunk.last() {
            Some(padding) if left == 0 => usize::from(*padding),
            Some(_) | None => 0,
        };
        let end = size.checked_sub(padding).ok_or(MediaError::Locked)?;
        sink(&chunk[..end]);
    }
    let mut end = [0; MAC_BYTES];
    file.read_exact(&mut end)?;
    if mac.finalize().into_bytes()[..MAC_BYTES] == end {
        Ok(())
    } else {
        Err(MediaError::Locked)
    }
}

fn random_name() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 12]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_phone_has_encrypted_opens_with_its_key_path_and_hash_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = MediaStore::open(folder.path()).unwrap();
        for length in [1, 15, 16, 17, CHUNK_BYTES, CHUNK_BYTES + 5] {
            let plain: Vec<u8> = (0..length)
                .map(|at| u8::try_from(at % 251).unwrap())
                .collect();
            let file = store.put(MediaKind::Image, &plain, 1).unwrap();
            let mut read = Vec::new();
            let opened = store
                .open_file(MediaKind::Image, &file, |part| read.extend_from_slice(part))
                .unwrap();
            assert_eq!((read, opened.bytes), (plain, length as u64));

            let mut other = file.clone();
            other.media_key = STANDARD.encode([7; 32]);
            let refused = store.open_file(MediaKind::Image, &other, |_| {});
            assert!(matches!(refused, Err(MediaError::Locked)), "{refused:?}");
            let as_video = store.open_file(MediaKind::Video, &file, |_| {});
            assert!(matches!(as_video, Err(MediaError::Locked)), "{as_video:?}");
            other = file.clone();
            other.enc_filehash = STANDARD.encode([7; 32]);
            let refused = store.open_file(MediaKind::Image, &other, |_| {});
            assert!(matches!(refused, Err(MediaError::Missing)), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn a_file_is_taken_with_the_hash_that_it_was_announced_with() {
        let folder = tempfile::tempdir().unwrap();
        let store = MediaStore::open(folder.path()).unwrap();
        let token = URL_SAFE_NO_PAD.encode(Sha256::digest(b"bytes"));
        let path = store.take(&token, Body::from("bytes")).await.unwrap();
        assert!(store.find(&path, &token).is_some());
        assert!(
            store
                .find(&path, &URL_SAFE_NO_PAD.encode([7; 32]))
                .is_none()
        );
        assert!(store.find("/v/t62.7118-24/../x.enc", &token).is_none());
        let other = store.take(&token, Body::from("others")).await;
        assert!(matches!(other, Err(MediaError::OtherHash)), "{other:?}");
    }

    /// RFC 5869, A.3: no salt and no info.
    #[test]
    fn keys_are_derived_as_the_standard_says() {
        let expanded = expand(&[0x0b; 22], b"");
        assert_eq!(
            expanded[..8],
            [0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f]
        );
    }
}
