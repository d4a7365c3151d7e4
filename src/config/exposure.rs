//! Whether the door stands open: who can reach the API, and whether it asks for a key.

use jiff::Timestamp;

use super::Config;
use crate::keys::KeyFile;

/// Finds the setting that lets strangers in, and says what to do about it.
pub(super) fn check(config: &Config) -> Result<(), (&'static str, String)> {
    let read = KeyFile::new(config.api_keys_file.clone()).read();
    // Whoever has written down who may do what does not want it passed over.
    let keys = read.map_err(|why| ("API_KEYS_FILE", why.to_string()))?;
    let now = Timestamp::now();
    let is_good = |keys: &Vec<_>| {
        keys.iter()
            .any(|key: &crate::keys::Key| !key.is_expired(now))
    };
    let has_key = config.api_key.is_some() || keys.as_ref().is_some_and(is_good);
    if has_key || config.host.is_loopback() || config.allow_without_key {
        return Ok(());
    }
    let host = config.host;
    let found = if keys.is_some() {
        "every key has been revoked or has expired, and nobody could get in"
    } else {
        "there is no key: whoever reaches it could send from every account"
    };
    Err((
        "HOST",
        format!(
            "other machines reach {host}, and {found}. Make a key with `session-manager key add NAME --scope admin`, or set \
             API_KEY; or keep to this machine with HOST=127.0.0.1. ALLOW_WITHOUT_KEY=true serves all the same: only where \
             a firewall or a network of containers decides who gets here"
        ),
    ))
}
