//! What a passkey makes of a challenge, and what WhatsApp takes of it.
//!
//! Responsible for the bytes: what a browser hands out for a passkey on WhatsApp's site, and every check of it that a server
//! makes. There is no key pair: what the phone has signed is remembered, and only exactly that is a good signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::random_token;

/// The site that the passkey is for.
const RELYING_PARTY: &str = "whatsapp.com";
/// The page on which a browser signs for it.
const ORIGIN: &str = "https://web.whatsapp.com";
/// The person was there, and was verified (Web Authentication, authenticator data).
const PRESENT_AND_VERIFIED: u8 = 0b101;
/// The hash of the site, the flags and a counter: the least that authenticator data holds.
const LEAST_DATA: usize = 37;

/// What a browser on WhatsApp's site gives for this challenge.
pub(super) fn assertion(challenge: &str) -> Value {
    let client = json!({ "type": "webauthn.get", "challenge": challenge, "origin": ORIGIN, "crossOrigin": false });
    let mut data = Sha256::digest(RELYING_PARTY).to_vec();
    data.push(PRESENT_AND_VERIFIED);
    data.extend([0; 4]);
    let id = random_token::<16>();
    json!({
        "id": id, "rawId": id, "type": "public-key",
        "response": {
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client.to_string()),
            "authenticatorData": URL_SAFE_NO_PAD.encode(data),
            "signature": random_token::<64>(),
            "userHandle": random_token::<16>(),
        },
    })
}

/// Checks what a page hands in: why it is not taken, if it is not.
pub(super) fn check(
    assertion: &str,
    challenge: &str,
    signed: Option<&Value>,
) -> Result<(), &'static str> {
    let given: Value = serde_json::from_str(assertion).map_err(|_| "the assertion is no JSON")?;
    let bytes = |field: &str| {
        let text = given["response"][field].as_str()?;
        URL_SAFE_NO_PAD.decode(text).ok()
    };
    if given["type"] != "public-key" || given["id"] != given["rawId"] {
        return Err("the assertion is of no public key");
    }
    let client = bytes("clientDataJSON").ok_or("clientDataJSON is not there")?;
    let client: Value = serde_json::from_slice(&client).map_err(|_| "clientDataJSON is no JSON")?;
    if client["type"] != "webauthn.get" {
        return Err("clientDataJSON is of another ceremony");
    }
    if client["challenge"] != challenge {
        return Err("another challenge was signed");
    }
    if client["origin"] != ORIGIN {
        return Err("it was signed on another site");
    }
    let data = bytes("authenticatorData").ok_or("authenticatorData is not there")?;
    if data.len() < LEAST_DATA || data[..32] != *Sha256::digest(RELYING_PARTY) {
        return Err("authenticatorData is of another site");
    }
    if data[32] & PRESENT_AND_VERIFIED != PRESENT_AND_VERIFIED {
        return Err("the person was not verified");
    }
    if signed != Some(&given) {
        return Err("the signature is not good");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Value);

    fn in_client(assertion: &mut Value, field: &str, value: &str) {
        let text = assertion["response"]["clientDataJSON"].as_str().unwrap();
        let client = URL_SAFE_NO_PAD.decode(text).unwrap();
        let mut client: Value = serde_json::from_slice(&client).unwrap();
        client[field] = value.into();
        assertion["response"]["clientDataJSON"] = URL_SAFE_NO_PAD.encode(client.to_string()).into();
    }

    fn in_data(assertion: &mut Value, at: usize, value: u8) {
        let text = assertion["response"]["authenticatorData"].as_str().unwrap();
        let mut data = URL_SAFE_NO_PAD.decode(text).unwrap();
        data[at] = value;
        assertion["response"]["authenticatorData"] = URL_SAFE_NO_PAD.encode(data).into();
    }

    #[test]
    fn only_what_the_phone_has_signed_for_this_challenge_is_taken() {
        let signed = assertion("c");
        assert_eq!(check(&signed.to_string(), "c", Some(&signed)), Ok(()));
        assert!(check("{", "c", Some(&signed)).is_err());
        assert_eq!(
            check(&signed.to_string(), "c", None),
            Err("the signature is not good")
        );
        let changes: [(Change, &str); 8] = [
            (
                |it| it["type"] = "password".into(),
                "the assertion is of no public key",
            ),
            (
                |it| it["id"] = "other".into(),
                "the assertion is of no public key",
            ),
            (
                |it| in_client(it, "type", "webauthn.create"),
                "clientDataJSON is of another ceremony",
            ),
            (
                |it| in_client(it, "challenge", "d"),
                "another challenge was signed",
            ),
            (
                |it| in_client(it, "origin", "https://example.com"),
                "it was signed on another site",
            ),
            (
                |it| in_data(it, 0, 0),
                "authenticatorData is of another site",
            ),
            (|it| in_data(it, 32, 1), "the person was not verified"),
            (
                |it| it["response"]["signature"] = "AAAA".into(),
                "the signature is not good",
            ),
        ];
        for (change, why) in changes {
            let mut given = signed.clone();
            change(&mut given);
            assert_eq!(check(&given.to_string(), "c", Some(&signed)), Err(why));
        }
    }
}
