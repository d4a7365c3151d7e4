//! How an event is signed: as Standard Webhooks says, or as WAHA does. Pure.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rand::RngExt as _;
use sha2::{Sha256, Sha512};

use crate::masked::Credential;

/// What a secret of Standard Webhooks begins with.
const PREFIX: &str = "whsec_";

/// How many bytes such a secret may have, as the standard says.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How many a new one has.
const NEW_BYTES: usize = 32;

/// A new secret.
pub(super) fn new_secret() -> Credential {
    let mut bytes = [0_u8; NEW_BYTES];
    rand::rng().fill(&mut bytes);
    format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes)).into()
}

/// The key in a secret of Standard Webhooks; `None`: it is none.
pub(super) fn key_in(secret: &Credential) -> Option<Vec<u8>> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    BYTES.contains(&key.len()).then_some(key)
}

/// The header `webhook-signature`: one signature for each of the secrets.
pub(super) fn standard<'a>(
    secrets: impl Iterator<Item = &'a Credential>,
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> String {
    let mut signed = format!("{id}.{}.", at.as_second()).into_bytes();
    signed.extend_from_slice(body);
    let signatures = secrets.filter_map(key_in).map(|key| {
        let code = code::<Hmac<Sha256>>(&key, &signed);
        format!("v1,{}", BASE64_STANDARD.encode(code))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

/// The header `X-Webhook-Hmac`.
pub(super) fn waha(secret: &Credential, body: &[u8]) -> String {
    HEXLOWER.encode(&code::<Hmac<Sha512>>(secret.as_bytes(), body))
}

fn code<M: Mac + KeyInit>(key: &[u8], signed: &[u8]) -> Vec<u8> {
    // A key of any length is taken.
    <M as KeyInit>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mac| mac.chain_update(signed).finalize().into_bytes().to_vec(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's own libraries.
    #[test]
    fn a_body_is_signed_as_standard_webhooks_says_with_each_secret() {
        let secret = Credential::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let sign = |secrets: &[&Credential]| {
            standard(
                secrets.iter().copied(),
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                at,
                br#"{"test": 2432232314}"#,
            )
        };
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(&[&secret]), signature);
        let new = new_secret();
        let two = sign(&[&new, &secret]);
        let parts: Vec<_> = two.split(' ').collect();
        assert_eq!((parts.len(), parts[1]), (2, signature));
        assert_ne!(parts[0], signature);
    }

    /// The example of WAHA's documentation.
    #[test]
    fn a_body_is_signed_as_waha_does() {
        let body = br#"{"event":"message","session":"default","engine":"WEBJS"}"#;
        let code = waha(&"my-secret-key".into(), body);
        assert!(code.starts_with("208f8a55dde9e05519e898b10b89bf0d0b3b0fdf"));
        assert_eq!(code.len(), 128);
    }

    #[test]
    fn a_new_secret_is_one_and_no_two_are_the_same() {
        let (one, other) = (new_secret(), new_secret());
        assert_eq!(key_in(&one).map(|key| key.len()), Some(NEW_BYTES));
        assert_ne!(one, other);
        for wrong in [
            "",
            "whsec_",
            "whsec_abc",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert_eq!(key_in(&wrong.into()), None, "{wrong}");
        }
    }
}
