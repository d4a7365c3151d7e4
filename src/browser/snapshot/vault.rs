//! The key of snapshots: what names blocks, and what encrypts the objects of a store.
//!
//! Both are derived from the operator's key (BLAKE3 in its mode for key derivation). Without one, blocks have names all the same, which
//! then protect from damage only. The cipher is that of an export's file, ChaCha20-Poly1305, with the long nonce (`XChaCha20`), of which
//! any number can be taken at random.

use std::{fmt, str::FromStr};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};

/// What each derived key is for: never to be changed, or nothing that was written can be read.
const NAMES: &str = "session-manager 2026-11-30 names of blocks";
const SEALS: &str = "session-manager 2026-11-30 encryption of snapshots";
const FINGERPRINT: &str = "session-manager 2026-11-30 fingerprint of a key";

const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 24;

/// What the snapshots of all profiles are encrypted with. Never shown.
#[derive(Clone)]
pub struct SnapshotKey([u8; KEY_LENGTH]);

/// A text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 32 random bytes in base64 or in hexadecimal digits, as `openssl rand -base64 32` prints them"
)]
pub struct InvalidSnapshotKey;

impl fmt::Debug for SnapshotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotKey(…)")
    }
}

impl FromStr for SnapshotKey {
    type Err = InvalidSnapshotKey;

    fn from_str(text: &str) -> Result<Self, InvalidSnapshotKey> {
        let text = text.trim();
        let bytes = from_hex(text)
            .or_else(|| STANDARD.decode(text).ok())
            .or_else(|| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok());
        let key = bytes.and_then(|bytes| bytes.try_into().ok());
        key.map(Self).ok_or(InvalidSnapshotKey)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len() == 2 * KEY_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    is_hex
        .then(|| (0..KEY_LENGTH).map(byte).collect())
        .flatten()
}

/// Names blocks, and encrypts what a store is given, if there is a key.
#[derive(Clone)]
pub(super) struct Vault {
    names: [u8; KEY_LENGTH],
    seal: Option<XChaCha20Poly1305>,
    fingerprint: Option<String>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl Vault {
    pub(super) fn new(key: Option<&SnapshotKey>) -> Self {
        let Some(SnapshotKey(key)) = key else {
            return Self {
                names: blake3::derive_key(NAMES, b""),
                seal: None,
                fingerprint: None,
            };
        };
        let fingerprint = blake3::derive_key(FINGERPRINT, key);
        let fingerprint = u64::from_be_bytes(first_eight(&fingerprint));
        Self {
            names: blake3::derive_key(NAMES, key),
            seal: Some(XChaCha20Poly1305::new(
                &blake3::derive_key(SEALS, key).into(),
            )),
            fingerprint: Some(format!("{fingerprint:016x}")),
        }
    }

    /// The name of a block by its content: only a holder of the key can tell which content has this name.
    pub(super) fn name(&self, block: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.names, block)
    }

    /// Which key there is, if there is one. Says nothing about the key itself.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Encrypts, if there is a key. What is `bound` to it is not in it, and must be the same when it is opened.
    pub(super) fn seal(&self, plain: Vec<u8>, bound: &[u8]) -> Option<Vec<u8>> {
        let Some(cipher) = &self.seal else {
            return Some(plain);
        };
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let payload = Payload {
            msg: &plain,
            aad: bound,
        };
        // Fails only for more than the cipher can take, which is 256 GB.
        let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// The reverse; `None` for what was not sealed with this key, or was changed since.
    pub(super) fn open(&self, sealed: Vec<u8>, bound: &[u8]) -> Option<Vec<u8>> {
        let Some(cipher) = &self.seal else {
            return Some(sealed);
        };
        let (nonce, msg) = sealed.split_at_checked(NONCE_LENGTH)?;
        let payload = Payload { msg, aad: bound };
        cipher.decrypt(XNonce::from_slice(nonce), payload).ok()
    }
}

fn first_eight(bytes: &[u8; KEY_LENGTH]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn a_key_is_32_bytes_in_either_spelling_and_nothing_else() {
        let key = |text: &str| text.parse::<SnapshotKey>().map(|SnapshotKey(bytes)| bytes);
        assert_eq!(key(HEX), key(BASE64));
        assert_eq!(key(HEX), key(&format!(" {}\n", HEX.to_uppercase())));
        assert!(key(HEX).is_ok());
        for wrong in ["", "a passphrase of a person", &HEX[2..], &BASE64[4..]] {
            assert_eq!(key(wrong), Err(InvalidSnapshotKey), "{wrong}");
        }
        let shown = format!("{:?}", HEX.parse::<SnapshotKey>().unwrap());
        assert_eq!(shown, "SnapshotKey(…)");
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_what_it_was_bound_to() {
        let vault = |text: &str| Vault::new(Some(&text.parse().unwrap()));
        let (own, other) = (vault(HEX), vault(&HEX.replace('0', "f")));
        let sealed = own.seal(b"an account".to_vec(), b"head").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"account"));
        let open = |vault: &Vault, bound| vault.open(sealed.clone(), bound);
        assert_eq!(open(&own, b"head"), Some(b"an account".to_vec()));
        assert_eq!(open(&own, b"other"), None);
        assert_eq!(open(&other, b"head"), None);
        assert_ne!(own.fingerprint(), other.fingerprint());
        assert_ne!(own.name(b"x"), other.name(b"x"));
        assert_eq!(
            Vault::new(None).open(b"x".to_vec(), b""),
            Some(b"x".to_vec())
        );
    }
}
