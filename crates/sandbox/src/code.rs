//! The text inside a QR code: what the phone reads and the server compares.
//!
//! Responsible for: taking a scanned text apart and comparing it with what a device has.
//! Not responsible for: how long a code lives, drawing it.

use serde::Deserialize;

/// How the text of the codes begins since the spring of 2026; the bare parts stay valid.
const URL_PREFIX: &str = "https://wa.me/settings/linked_devices#";

/// The public keys of a device that wants to be linked, as the page sent them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceKeys {
    /// The public half of the noise key, base64.
    pub(super) noise: String,
    /// The public half of the identity key, base64.
    pub(super) identity: String,
    /// The secret with which the phone signs the device, base64.
    pub(super) adv: String,
}

/// A code as the phone read it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ScannedCode {
    /// The server's part, which expires.
    pub(super) reference: String,
    /// The device's part.
    pub(super) keys: DeviceKeys,
}

impl ScannedCode {
    /// Takes apart `ref,noise,identity,adv[,platform]`, bare or behind the URL of linked devices.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bare = text.strip_prefix(URL_PREFIX).unwrap_or(text);
        let parts: Vec<&str> = bare.split(',').collect();
        let ([reference, noise, identity, adv] | [reference, noise, identity, adv, _]) =
            parts.as_slice()
        else {
            return None;
        };
        Some(Self {
            reference: (*reference).to_owned(),
            keys: DeviceKeys {
                noise: (*noise).to_owned(),
                identity: (*identity).to_owned(),
                adv: (*adv).to_owned(),
            },
        })
    }
}

/// The text that the page shows for `reference` when it behaves.
pub(super) fn text(reference: &str, keys: &DeviceKeys) -> String {
    let DeviceKeys {
        noise,
        identity,
        adv,
    } = keys;
    format!("{URL_PREFIX}{reference},{noise},{identity},{adv},1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_bare_with_and_without_platform_and_as_a_url() {
        let read = ScannedCode::parse("2@r,n,i,a").unwrap();
        assert_eq!(ScannedCode::parse("2@r,n,i,a,1").unwrap(), read);
        assert_eq!(ScannedCode::parse(&text("2@r", &read.keys)).unwrap(), read);
    }

    #[test]
    fn a_reference_alone_is_no_code() {
        for text in ["", "2@r", "2@r,n,i", "a,b,c,d,e,f"] {
            assert_eq!(ScannedCode::parse(text), None);
        }
    }
}
