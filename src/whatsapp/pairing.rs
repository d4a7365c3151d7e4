//! Asks the page for a code that links by phone number: through the first adapter that can.
//!
//! The code itself is a secret and does not pass here: the adapter's view of the page carries it. The adapters before
//! `dom` call the page's own functions; `dom` types the number as a person does, with real input events.

use serde::Deserialize;
use serde_json::json;

use super::{
    AdapterName, PairingError,
    bridge::{self, CallError, INTERRUPTED, NO_ANSWER},
    input::{Point, click, enter, erase, type_text},
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
    adapters: &[AdapterName],
    phone: &str,
    is_renewal: bool,
) -> Result<(), PairingError> {
    let argument = json!({ "phone": phone, "renewal": is_renewal });
    let mut failures = Vec::new();
    for &adapter in adapters {
        let asked = if adapter == AdapterName::Dom {
            type_number(typing, phone).await
        } else {
            bridge::call(typing.page, adapter, "requestPairingCode", &argument).await
        };
        let Err(why) = asked else { return Ok(()) };
        match why.code.as_str() {
            REFUSED => return Err(PairingError::Refused(why.detail)),
            RATE_LIMITED => return Err(PairingError::RateLimited),
            // It may have been asked: the next adapter would ask twice, and WhatsApp counts.
            NO_ANSWER => return Err(PairingError::Failed(why.detail)),
            INTERRUPTED => return Err(PairingError::Interrupted(why.detail)),
            _ => failures.push(format!("{adapter}: {}", why.detail)),
        }
    }
    Err(PairingError::Failed(failures.join("; ")))
}

/// Brings the page to the screen with the code for this number, as a person does.
async fn type_number(typing: Typing<'_>, phone: &str) -> Result<(), CallError> {
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
        // The page proposes a country.
        erase(typing.page).await.map_err(failed)?;
        type_text(typing.page, &format!("+{phone}"))
            .await
            .map_err(failed)?;
        typing.call::<()>("numberTyped", &number).await?;
        enter(typing.page).await.map_err(failed)?;
    }
    let answered = typing.call::<()>("pairingAnswer", &number).await;
    if answered.is_err() {
        // Back to the code to scan: a notice that stays would cover it.
        typing.go_home().await;
    }
    answered
}
