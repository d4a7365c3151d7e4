//! The wire between the page's scripts and Rust: what comes in through the binding, and calls into the page.

use std::time::Duration;

use chromiumoxide::{
    Page,
    cdp::js_protocol::runtime::{EvaluateParams, ExecutionContextId},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{AdapterName, adapter::View, scripts::ENTRY};

/// The longest a command may take inside the page. A number check goes over the network; a page busy with its own
/// start-up can block for a minute, and then an error is better than waiting on.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// One line of the page.
#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) adapter: String,
    #[serde(flatten)]
    pub(super) said: Said,
}

/// A message of the page.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Said {
    /// A new document has begun: what was known of the one before is void.
    Document,
    /// An adapter's view has changed.
    View { view: View },
    /// wa-js could be injected now: the modules that it needs are there.
    WantsBundle,
    /// An own message has got this far.
    Ack {
        key: String,
        ack: i32,
        /// Why WhatsApp gave it up, in its own word.
        word: Option<String>,
    },
    /// WhatsApp has removed this device, in its own word for why.
    LoggedOut { reason: Option<String> },
    /// The page's own request for a passkey has come, or is over.
    PasskeyRequest {
        request: Option<PasskeyAsked>,
        /// Why the last one ended without a signature.
        ended: Option<PasskeyEnd>,
    },
    /// Something that the page has heard waits to be fetched.
    Heard,
    /// An adapter's script failed before it could say anything.
    Broken { detail: String },
}

/// The page's request for a passkey.
#[derive(Deserialize)]
pub(super) struct PasskeyAsked {
    pub(super) id: String,
    /// Its options, as JSON.
    pub(super) options: serde_json::Value,
    /// How long the page waits.
    pub(super) timeout_ms: u64,
}

/// Why a request for a passkey ended without a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum PasskeyEnd {
    /// Its time is over.
    Timeout,
    /// A caller gave up.
    GivenUp,
}

/// A command that did not succeed.
#[derive(Debug, Deserialize)]
pub(super) struct CallError {
    /// The script's code, or [`NO_ANSWER`].
    pub(super) code: String,
    /// For people.
    pub(super) detail: String,
}

/// The page gave no answer in time: whether the command was carried out is not known.
pub(super) const NO_ANSWER: &str = "NO_ANSWER";

/// The page broke off in the middle, as when it reloads itself: it is not known whether the command was carried out.
pub(super) const INTERRUPTED: &str = "INTERRUPTED";

/// The page is between two documents: the command did nothing.
pub(super) const NOT_LOADED: &str = "NOT_LOADED";

/// The adapter's script has no such command: one of an operator's, from an earlier version.
pub(super) const NO_SUCH_COMMAND: &str = "NO_SUCH_COMMAND";

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer<T> {
    Ok(T),
    Error(CallError),
}

/// Runs an adapter's command in the page and waits for its answer.
pub(super) async fn call<T: DeserializeOwned>(
    page: &Page,
    adapter: AdapterName,
    command: &str,
    argument: &impl Serialize,
) -> Result<T, CallError> {
    call_in(page, None, adapter, command, argument, CALL_TIMEOUT).await
}

/// [`call`] for a command that waits in the page for longer than others may.
pub(super) async fn call_within<T: DeserializeOwned>(
    page: &Page,
    adapter: AdapterName,
    command: &str,
    argument: &impl Serialize,
    within: Duration,
) -> Result<T, CallError> {
    call_in(page, None, adapter, command, argument, within).await
}

/// Does so in one certain document, instead of the present one.
pub(super) async fn call_in<T: DeserializeOwned>(
    page: &Page,
    document: Option<ExecutionContextId>,
    adapter: AdapterName,
    command: &str,
    argument: &impl Serialize,
    within: Duration,
) -> Result<T, CallError> {
    let no_answer = |detail: String| CallError {
        code: NO_ANSWER.to_owned(),
        detail,
    };
    let argument = serde_json::to_string(argument).map_err(|why| no_answer(why.to_string()))?;
    // JSON is JavaScript: the argument needs no further quoting.
    let expression = format!("{ENTRY}({:?}, {command:?}, {argument})", adapter.as_str());
    let params = EvaluateParams {
        await_promise: Some(true),
        return_by_value: Some(true),
        context_id: document,
        ..EvaluateParams::new(expression)
    };
    let evaluated = timeout(within, page.execute(params)).await;
    let result = evaluated
        .map_err(|_| {
            no_answer(format!(
                "the page did not answer within {} s",
                within.as_secs()
            ))
        })?
        .map_err(|why| CallError {
            code: INTERRUPTED.to_owned(),
            detail: format!("the page broke off: {why}"),
        })?
        .result;
    if result.exception_details.is_some() {
        return Err(CallError {
            code: NOT_LOADED.to_owned(),
            detail: "the page's scripts are not there".to_owned(),
        });
    }
    match serde_json::from_value(result.result.value.unwrap_or_default()) {
        Ok(Answer::Ok(value)) => Ok(value),
        Ok(Answer::Error(why)) => Err(why),
        Err(why) => Err(no_answer(format!(
            "the page's answer was not understood: {why}"
        ))),
    }
}
