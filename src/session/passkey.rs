//! Linking with a passkey: what callers see of it, what they may ask, and the signature that they hand in.
//!
//! The vocabulary; when what is due, `linking/passkey.rs` knows. A challenge and a signature are secrets, and hide themselves in
//! `Debug`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Reason, ReasonCode};
use crate::{
    masked::{Code, Passkey},
    whatsapp::PasskeyRequest,
};

/// The site whose passkeys WhatsApp asks for: the end of each page's host on which one may be used.
const SITE: &str = "whatsapp.com";

/// The hash of the site, the flags and a counter (Web Authentication, authenticator data).
const LEAST_DATA: usize = 37;
const SITE_HASH: usize = 32;
/// The flag that says that the person was verified, which WhatsApp requires.
const VERIFIED: u8 = 0b100;

/// What linking with a passkey waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum PasskeyStep {
    /// The page prepares an attempt.
    Preparing,
    /// A person signs the challenge.
    Sign,
    /// WhatsApp's server takes the signature.
    Sending,
    /// WhatsApp asks the phone.
    Phone,
    /// A person compares the code with the one on the phone.
    Compare,
    /// WhatsApp links the device.
    Linking,
}

impl PasskeyStep {
    /// The step as on the wire.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How far linking with a passkey has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyReport {
    /// What it waits for.
    pub step: PasskeyStep,
    /// When WhatsApp's page gives this step up. The next attempt begins then by itself.
    pub expires_at: Option<Timestamp>,
    /// A signature that is handed in before this needs no comparison of codes.
    pub without_code_until: Option<Timestamp>,
    /// What is to be signed, while a person has to.
    pub request: Option<PasskeyRequest>,
    /// The code to compare, while a person has to.
    pub code: Option<Code>,
    /// How many challenges there have been.
    pub attempt: u32,
    /// Why the attempt before failed.
    pub last_failure: Option<String>,
}

impl PasskeyReport {
    /// What the session's state is explained with.
    pub(super) fn reason(&self) -> Reason {
        let code = ReasonCode::PasskeyRequired;
        let now = match self.step {
            PasskeyStep::Preparing | PasskeyStep::Sign => code.policy().detail,
            PasskeyStep::Sending => "WhatsApp is looking at the passkey's signature",
            PasskeyStep::Phone => {
                "WhatsApp has the passkey's signature and asks the phone: open WhatsApp there, and confirm if it asks"
            }
            PasskeyStep::Compare => {
                "compare the code with the one on the phone: the page at / shows it, and so does GET /sessions/{id}/passkey; \
                 if they are the same, confirm it there or by POST /sessions/{id}/passkey/confirm"
            }
            PasskeyStep::Linking => "the passkey is accepted, and WhatsApp links the device",
        };
        let before = self.last_failure.as_ref().filter(|_| {
            matches!(
                self.step,
                PasskeyStep::Preparing | PasskeyStep::Sign | PasskeyStep::Compare
            )
        });
        let detail = match before {
            Some(why) => {
                format!("{now}. The attempt before failed: {why}; a code has to be compared now")
            }
            None => now.to_owned(),
        };
        Reason::new(code, detail)
    }
}

/// What a caller may ask while a passkey is wanted.
#[derive(Debug)]
pub enum PasskeyAsk {
    /// Here is the signature.
    Answer(Assertion),
    /// The codes are the same.
    Confirm,
    /// Go back to the codes to scan.
    GiveUp,
}

/// A field of an assertion that cannot be right, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct InvalidAssertion {
    /// Its name, with a dot before the name of an inner field.
    pub field: &'static str,
    /// What is wrong with it and what to do, to be read after the name.
    pub why: &'static str,
}

/// What a browser gave for a challenge: checked for its form, and for the person and the page that made it. Whether the
/// signature itself is good, only WhatsApp knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The challenge that was signed, as base64url.
    challenge: Passkey,
    site_hash: [u8; SITE_HASH],
    /// All that WhatsApp's page needs of it, as JSON, bytes as base64url.
    json: Passkey,
}

impl Assertion {
    /// Reads what `credential.toJSON()` gives in a browser.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, InvalidAssertion> {
        let wrong = |field, why| InvalidAssertion { field, why };
        if body.contains_key("assertion") && !body.contains_key("response") {
            return Err(wrong(
                "assertion",
                "is not known here: send what is in it as the body itself",
            ));
        }
        if body.get("type").and_then(Value::as_str) != Some("public-key") {
            return Err(wrong(
                "type",
                "must be \"public-key\": send what credential.toJSON() gives, whole",
            ));
        }
        let id = bytes(body, "id", "id")?;
        let raw_id = bytes(body, "rawId", "rawId")?;
        if id != raw_id {
            return Err(wrong(
                "rawId",
                "must be the same as id: send what credential.toJSON() gives, unchanged",
            ));
        }
        let response = body
            .get("response")
            .and_then(Value::as_object)
            .ok_or(wrong(
                "response",
                "is missing, or is no object: send what credential.toJSON() gives, whole",
            ))?;
        let client = bytes(response, "clientDataJSON", "response.clientDataJSON")?;
        let data = bytes(response, "authenticatorData", "response.authenticatorData")?;
        let signature = bytes(response, "signature", "response.signature")?;
        let user = match response.get("userHandle") {
            None | Some(Value::Null) => None,
            Some(_) => Some(bytes(response, "userHandle", "response.userHandle")?),
        };
        let challenge = signed_challenge(&client)?;
        let site_hash = site_hash(&data)?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let json = json!({
            "id": text(&id), "rawId": text(&id), "type": "public-key",
            "response": {
                "clientDataJSON": text(&client),
                "authenticatorData": text(&data),
                "signature": text(&signature),
                "userHandle": user.as_deref().map(text),
            },
        });
        Ok(Self {
            challenge,
            site_hash,
            json: json.to_string().into(),
        })
    }

    /// Whether it signs this challenge, as base64url.
    pub(super) fn is_of(&self, challenge: &str) -> bool {
        *self.challenge == *challenge.trim_end_matches('=')
    }

    /// Whether it was made for this site.
    pub(super) fn is_for(&self, site: &str) -> bool {
        Sha256::digest(site).as_slice() == self.site_hash
    }

    /// What the page gets.
    pub(super) const fn json(&self) -> &Passkey {
        &self.json
    }
}

/// The bytes of a field. Any spelling of base64 is read: people paste what their browser gave them.
fn bytes(
    object: &Map<String, Value>,
    name: &str,
    field: &'static str,
) -> Result<Vec<u8>, InvalidAssertion> {
    const MISSING: &str = "is missing, or is no text: send what credential.toJSON() gives, whole";
    const NO_BASE64: &str =
        "is not base64url, or is empty: send what credential.toJSON() gives, unchanged";
    let wrong = |why| InvalidAssertion { field, why };
    let text = object.get(name).and_then(Value::as_str);
    let text = text.ok_or(wrong(MISSING))?;
    let text = text
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_");
    let decoded = URL_SAFE_NO_PAD.decode(text);
    decoded
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .ok_or(wrong(NO_BASE64))
}

/// The challenge in the client data, which a browser has written.
fn signed_challenge(client: &[u8]) -> Result<Passkey, InvalidAssertion> {
    let wrong = |why| InvalidAssertion {
        field: "response.clientDataJSON",
        why,
    };
    let client: Value = serde_json::from_slice(client)
        .map_err(|_| wrong("holds no JSON: send what credential.toJSON() gives, unchanged"))?;
    if client["type"] != "webauthn.get" {
        return Err(wrong(
            "is of another kind: sign with navigator.credentials.get",
        ));
    }
    let origin = client["origin"].as_str().unwrap_or_default();
    let host = origin.strip_prefix("https://").unwrap_or_default();
    let is_whatsapps = host
        .strip_suffix(SITE)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if !is_whatsapps {
        return Err(wrong(
            "says that it was signed on another page: sign on https://web.whatsapp.com",
        ));
    }
    let challenge = client["challenge"].as_str();
    let challenge = challenge.filter(|text| !text.is_empty()).ok_or(wrong(
        "has no challenge: send what credential.toJSON() gives, unchanged",
    ))?;
    Ok(challenge.trim_end_matches('=').into())
}

/// The hash of the site in the authenticator data. The person must have been verified.
fn site_hash(data: &[u8]) -> Result<[u8; SITE_HASH], InvalidAssertion> {
    let wrong = |why| InvalidAssertion {
        field: "response.authenticatorData",
        why,
    };
    let hash = data.first_chunk().filter(|_| LEAST_DATA <= data.len());
    let hash = hash.ok_or(wrong(
        "is too short: send what credential.toJSON() gives, unchanged",
    ))?;
    if data[SITE_HASH] & VERIFIED == 0 {
        return Err(wrong(
            "says that the person was not verified: sign again, and unlock the passkey with finger, face or PIN",
        ));
    }
    Ok(*hash)
}

/// What a browser on WhatsApp's page gives for this challenge.
#[cfg(test)]
pub(super) use tests::signed;

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::session) fn signed(challenge: &str) -> Value {
        let client = json!({"type": "webauthn.get", "challenge": challenge, "origin": "https://web.whatsapp.com"});
        let mut data = Sha256::digest(SITE).to_vec();
        data.extend([0b101, 0, 0, 0, 0]);
        json!({
            "id": "AAEC", "rawId": "AAEC", "type": "public-key", "authenticatorAttachment": "cross-platform",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client.to_string()),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": "_-8", "userHandle": null,
            },
        })
    }

    fn parsed(value: &Value) -> Result<Assertion, InvalidAssertion> {
        Assertion::parse(value.as_object().unwrap())
    }

    #[test]
    fn what_a_browser_gives_is_read_in_any_spelling_and_keeps_its_secrets() {
        let read = parsed(&signed("Y2hhbGxlbmdl")).unwrap();
        assert!(read.is_of("Y2hhbGxlbmdl") && read.is_of("Y2hhbGxlbmdl=") && !read.is_of("Y2g"));
        assert!(read.is_for("whatsapp.com") && !read.is_for("web.whatsapp.com"));
        let mut padded = signed("Y2hhbGxlbmdl");
        padded["response"]["signature"] = "/+8=".into();
        padded["response"]["userHandle"] = "AQ==".into();
        let padded = parsed(&padded).unwrap();
        let json: Value = serde_json::from_str(padded.json()).unwrap();
        assert_eq!(json["response"]["signature"], "_-8");
        assert_eq!(json["response"]["userHandle"], "AQ");
        let debug = format!("{read:?}");
        assert!(!debug.contains("Y2hh") && !debug.contains("_-8"), "{debug}");
    }

    #[test]
    fn each_field_that_cannot_be_right_is_named_with_what_to_do() {
        type Change = fn(&mut Value);
        let client = |text: &str| URL_SAFE_NO_PAD.encode(text).into();
        let changes: [(&str, Change); 10] = [
            ("type", |it| it["type"] = Value::Null),
            ("id", |it| it["id"] = 5.into()),
            ("rawId", |it| it["rawId"] = "AAED".into()),
            ("rawId", |it| it["rawId"] = "".into()),
            ("response", |it| it["response"] = "text".into()),
            ("response.clientDataJSON", |it| {
                it["response"]["clientDataJSON"] = "AAAA".into();
            }),
            ("response.authenticatorData", |it| {
                it["response"]["authenticatorData"] = "AAAA".into();
            }),
            ("response.signature", |it| {
                it["response"]["signature"] = "*".into();
            }),
            ("response.userHandle", |it| {
                it["response"]["userHandle"] = 1.into();
            }),
            ("assertion", |it| *it = json!({ "assertion": it.clone() })),
        ];
        for (field, change) in changes {
            let mut given = signed("Y2g");
            change(&mut given);
            let why = parsed(&given).unwrap_err();
            assert_eq!(why.field, field);
            assert!(why.to_string().contains(": s"), "no remedy: {why}");
        }
        for (text, part) in [
            (r#"{"type":"webauthn.create"}"#, "another kind"),
            (
                r#"{"type":"webauthn.get","challenge":"Y2g","origin":"https://notwhatsapp.com"}"#,
                "another page",
            ),
            (
                r#"{"type":"webauthn.get","challenge":"Y2g","origin":"http://web.whatsapp.com"}"#,
                "another page",
            ),
            (
                r#"{"type":"webauthn.get","origin":"https://web.whatsapp.com"}"#,
                "no challenge",
            ),
        ] {
            let mut given = signed("Y2g");
            given["response"]["clientDataJSON"] = client(text);
            let why = parsed(&given).unwrap_err().to_string();
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn a_person_who_was_not_verified_is_told_to_sign_again() {
        let mut given = signed("Y2g");
        let mut data = Sha256::digest(SITE).to_vec();
        data.extend([0b001, 0, 0, 0, 0]);
        given["response"]["authenticatorData"] = URL_SAFE_NO_PAD.encode(data).into();
        let why = parsed(&given).unwrap_err();
        assert!(why.to_string().contains("not verified"), "{why}");
    }
}
