//! Takes the steps of linking with a passkey in the page: through the first adapter that can.
//!
//! The adapters before `dom` call the page's own functions; `dom` clicks its buttons as a person does, with real input events.
//! The signature goes to the page's script that holds the request (passkey.js), whatever the adapter.

use serde_json::{Value, json};

use super::{
    AdapterName, PasskeyAct, PasskeyFailure,
    bridge::{self, CallError, INTERRUPTED, NO_ANSWER},
    console::masked,
    input::{Point, click},
};

/// What the scripts say when WhatsApp refuses, and when the page does not wait any more.
const REFUSED: &str = "PASSKEY_REFUSED";
const NO_REQUEST: &str = "NO_PASSKEY_REQUEST";

/// Takes a step through one adapter after the other, until one has taken it or WhatsApp has refused.
pub(super) async fn carry_out(
    page: &chromiumoxide::Page,
    adapters: &[AdapterName],
    act: &PasskeyAct,
) -> Result<(), PasskeyFailure> {
    let mut failures = Vec::new();
    for &adapter in adapters {
        let taken = match act {
            PasskeyAct::Begin => step(page, adapter, "begin").await,
            PasskeyAct::Confirm => step(page, adapter, "confirm").await,
            PasskeyAct::GiveUp => {
                // The request ends first: the page takes no other way while it waits for a signature.
                match bridge::call(page, adapter, "endPasskey", &json!(null)).await {
                    Ok(()) => step(page, adapter, "give_up").await,
                    Err(why) => Err(why),
                }
            }
            PasskeyAct::Answer { id, assertion } => {
                match serde_json::from_str::<Value>(assertion) {
                    Ok(assertion) => {
                        let answer = json!({ "id": id, "assertion": assertion });
                        bridge::call(page, adapter, "answerPasskey", &answer).await
                    }
                    Err(why) => return Err(PasskeyFailure::Failed(why.to_string())),
                }
            }
        };
        let Err(why) = taken else { return Ok(()) };
        match last_word(why) {
            Ok(failure) => return Err(failure),
            Err(detail) => failures.push(format!("{adapter}: {detail}")),
        }
    }
    Err(PasskeyFailure::Failed(failures.join("; ")))
}

async fn step(
    page: &chromiumoxide::Page,
    adapter: AdapterName,
    act: &str,
) -> Result<(), CallError> {
    let argument = json!({ "act": act });
    if adapter != AdapterName::Dom {
        return bridge::call(page, adapter, "passkey", &argument).await;
    }
    let at: Point = bridge::call(page, adapter, "passkeyTarget", &argument).await?;
    click(page, at).await.map_err(|detail| CallError {
        code: "NOT_CLICKED".to_owned(),
        detail,
    })
}

/// What the page's words mean; as they are, masked, when the next adapter may do better.
fn last_word(CallError { code, detail }: CallError) -> Result<PasskeyFailure, String> {
    let detail = masked(&detail);
    match code.as_str() {
        REFUSED => Ok(PasskeyFailure::Refused(detail)),
        NO_REQUEST => Ok(PasskeyFailure::Over(detail)),
        // It may have been done, and nothing of this is done twice; or there is no document to do it in.
        NO_ANSWER | INTERRUPTED => Ok(PasskeyFailure::Failed(detail)),
        _ => Err(detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str) -> Result<PasskeyFailure, String> {
        last_word(CallError {
            code: code.to_owned(),
            detail: "no".to_owned(),
        })
    }

    #[test]
    fn what_is_final_is_not_tried_by_another_adapter() {
        assert_eq!(said(REFUSED), Ok(PasskeyFailure::Refused("no".to_owned())));
        assert_eq!(said(NO_REQUEST), Ok(PasskeyFailure::Over("no".to_owned())));
        assert_eq!(said(NO_ANSWER), Ok(PasskeyFailure::Failed("no".to_owned())));
        for code in ["NO_PASSKEY_ACTION", "NOT_LOADED", "NO_SUCH_COMMAND"] {
            assert_eq!(said(code), Err("no".to_owned()), "{code}");
        }
    }
}
