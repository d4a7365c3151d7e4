//! Refuses to serve an API without a key to other machines.

use std::path::PathBuf;

use jiff::Timestamp;
use startup::{ListenHost, Secret};

use crate::keys::{Key, KeyFile};

/// A key that other machines can try is guessed twenty times a minute from each address at most, and by many addresses
/// at once. Sixteen letters that a person did not choose are beyond that; fewer may be a word.
const SHORTEST_KEY: usize = 16;

/// Finds the setting that would let any caller in, and says what to do about it.
pub(super) fn check(
    host: ListenHost,
    api_key: Option<&Secret>,
    api_keys_file: PathBuf,
    allow_without_key: bool,
) -> Result<(), (&'static str, String)> {
    let read = KeyFile::new(api_keys_file).read();
    // A file of keys that cannot be read must not count as a service without keys.
    let keys = read.map_err(|why| ("API_KEYS_FILE", why.to_string()))?;
    let now = Timestamp::now();
    let is_good = |keys: &Vec<Key>| keys.iter().any(|key| !key.is_expired(now));
    let is_short = |key: &Secret| key.reveal().chars().count() < SHORTEST_KEY;
    if !host.is_loopback() && api_key.is_some_and(is_short) {
        return Err((
            "API_KEY",
            format!(
                "other machines reach {host} and can try keys: it must have {SHORTEST_KEY} characters or more, such as \
                 `openssl rand -hex 24` prints. Or keep to this machine with HOST=localhost, or remove it and make keys with \
                 `session-manager key add NAME --scope admin`"
            ),
        ));
    }
    let has_key = api_key.is_some() || keys.as_ref().is_some_and(is_good);
    if has_key || host.is_loopback() || allow_without_key {
        return Ok(());
    }
    let found = if keys.is_some() {
        "every key has been revoked or has expired, so every call would be refused"
    } else {
        "there is no key: every machine that reaches it could send from every account"
    };
    Err((
        "HOST",
        format!(
            "other machines reach {host}, and {found}. Make a key with `session-manager key add NAME --scope admin`, or set \
             API_KEY; or keep to this machine with HOST=localhost. ALLOW_WITHOUT_KEY=true serves all the same: only where \
             a firewall or a network of containers decides who gets here"
        ),
    ))
}
