//! Asks the page for a code that links by phone number: through the first adapter that can.
//!
//! The code itself is a secret and does not pass here: the adapter's view of the page carries it. The adapters before
//! `dom` call the page's own functions; `dom` types the number as a person does, with real input events.

use serde::Deserialize;
use serde_json::json;

use super::{
    AdapterName, PairingError,
    bridge::{self, CallError, INTERRUPTED, NO_ANSWER},
    console::masked,
    evidence::EvidenceRecorder,
    input::{Point, click, enter, select_all, type_text},
    typing::Typing,
};

/// What the scripts say when WhatsApp refuses, and when it has been asked too often.
const REFUSED: &str = "PAIRING_REFUSED";
const RATE_LIMITED: &str = "PAIRING_RATE_LIMITED";

/// What of the login the page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Screen {
    /// The code to scan, and the way to the number.
    Scan,
    /// The field for the number.
    Number,
    /// A code that links the phone with this number, or will be there in a moment.
    Code,
    /// Anything else: a notice, the code for another number.
    Other,
}

/// Asks through one adapter after the other, until one has asked or WhatsApp has refused.
pub(super) async fn request(
    typing: Typing<'_>,
    recorder: &EvidenceRecorder,
    adapters: &[AdapterName],
    phone: &str,
    is_renewal: bool,
) -> Result<(), PairingError> {
    let argument = json!({ "phone": phone, "renewal": is_renewal });
    let mut failures = Vec::new();
    for &adapter in adapters {
        let asked = if adapter == AdapterName::Dom {
            type_number(typing, recorder, phone).await
        } else {
            bridge::call(typing.page, adapter, "requestPairingCode", &argument).await
        };
        let Err(why) = asked else { return Ok(()) };
        match last_word(why) {
            Ok(error) => return Err(error),
            Err(detail) => failures.push(format!("{adapter}: {detail}")),
        }
    }
    Err(PairingError::Failed(failures.join("; ")))
}

/// What the page's words mean; as they are, masked, when the next adapter may do better.
fn last_word(CallError { code, detail }: CallError) -> Result<PairingError, String> {
    // They may repeat the number, and go into answers, the log and evidence.
    let detail = masked(&detail);
    match code.as_str() {
        REFUSED => Ok(PairingError::Refused(detail)),
        RATE_LIMITED => Ok(PairingError::RateLimited),
        // It may have been asked: the next adapter would ask twice, and WhatsApp counts.
        NO_ANSWER => Ok(PairingError::Failed(detail)),
        INTERRUPTED => Ok(PairingError::Interrupted(detail)),
        _ => Err(detail),
    }
}

/// Brings the page to the screen with the code for this number, as a person does.
async fn type_number(
    typing: Typing<'_>,
    recorder: &EvidenceRecorder,
    phone: &str,
) -> Result<(), CallError> {
    let number = json!({ "phone": phone });
    let failed = |detail: String| CallError {
        code: "NOT_TYPED".to_owned(),
        detail,
    };
    let mut screen: Screen = typing.call("pairingScreen", &number).await?;
    if screen == Screen::Other {
        typing.go_home().await;
        screen = typing.call("pairingScreen", &number).await?;
    }
    if screen == Screen::Scan {
        let way: Point = typing.call("byNumberTarget", &json!(null)).await?;
        click(typing.page, way).await.map_err(failed)?;
    }
    if screen != Screen::Code {
        let field: Point = typing.call("numberField", &json!(null)).await?;
        click(typing.page, field).await.map_err(failed)?;
        // The page proposes a country, puts it back when the field is emptied, and takes digits only.
        select_all(typing.page).await.map_err(failed)?;
        recorder.on_number();
        type_text(typing.page, phone).await.map_err(failed)?;
        let next: Option<Point> = typing.call("numberTyped", &number).await?;
        match next {
            Some(next) => click(typing.page, next).await,
            None => enter(typing.page).await,
        }
        .map_err(failed)?;
    }
    let answered = typing.call::<()>("pairingAnswer", &number).await;
    if answered.is_err() {
        // Back to the code to scan: a notice that stays would cover it.
        typing.go_home().await;
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_says_of_a_number_does_not_repeat_it() {
        for code in [REFUSED, NO_ANSWER, INTERRUPTED, "PAIRING_FAILED"] {
            let why = CallError {
                code: code.to_owned(),
                detail: "invalid wid 5491158254201@c.us, +54 9 11 5825-4201".to_owned(),
            };
            let said = match last_word(why) {
                Ok(error) => error.to_string(),
                Err(detail) => detail,
            };
            assert_eq!(said, "invalid wid …@c.us, +…", "{code}");
        }
    }
}
