//! The wa-js bundle: read from disk, injected, watched until it works.
//!
//! Responsible for one load of it into one document. When that is wanted is [`listener`](super::listener)'s part; what
//! is done inside the page is the adapter script's.

use std::{io, path::PathBuf, time::Duration};

use chromiumoxide::{
    Page,
    cdp::{
        browser_protocol::page::ReloadParams,
        js_protocol::runtime::{EvaluateParams, ExecutionContextId, TerminateExecutionParams},
    },
};
use serde_json::json;
use tokio::time::timeout;

use super::{
    AdapterName,
    bridge::{self, CALL_TIMEOUT, CallError, NO_ANSWER},
};

/// Running the bundle took 0.15 s at most over CDP. What takes a hundred times as long has blocked the page, as wa-js
/// does for a minute when a collection is missing.
const EVALUATE_TIMEOUT: Duration = Duration::from_secs(15);

/// Chrome answers these itself, not the page; on a crowded host that takes seconds.
const RESCUE_TIMEOUT: Duration = Duration::from_secs(10);

/// What one load came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It runs; the adapter speaks for itself from here on.
    Loaded,
    /// It does not serve in this document, unless it says otherwise later; the reason, for people.
    Failed(String),
    /// It blocked the page, which was reloaded: it must not be tried again.
    Blocked(String),
}

/// A page that the bundle can be loaded into.
#[derive(Clone, Debug)]
pub(super) struct Bundle {
    pub(super) page: Page,
    pub(super) path: PathBuf,
}

impl Bundle {
    /// Loads the bundle into a document, and into no other that may have replaced it meanwhile.
    pub(super) async fn load(self, document: ExecutionContextId) -> Outcome {
        let outcome = self.inject(document).await;
        match &outcome {
            Outcome::Loaded => {}
            Outcome::Failed(why) | Outcome::Blocked(why) => {
                tracing::warn!(error = why, "wa-js does not serve: {why}");
            }
        }
        outcome
    }

    async fn inject(&self, document: ExecutionContextId) -> Outcome {
        let source = match tokio::fs::read_to_string(&self.path).await {
            Ok(source) => source,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Outcome::Failed("WA_JS_PATH: no bundle".to_owned());
            }
            Err(why) => {
                return Outcome::Failed(format!(
                    "WA_JS_PATH: {} cannot be read: {why}",
                    self.path.display()
                ));
            }
        };
        match self.call::<bool>(document, "configure").await {
            Ok(true) => {}
            Ok(false) => return Outcome::Failed("the page has a WPP of its own".to_owned()),
            Err(why) => return self.after(why).await,
        }
        // Not by a script tag: the page's content security policy refuses that.
        let params = EvaluateParams {
            context_id: Some(document),
            ..EvaluateParams::new(source)
        };
        let evaluated = timeout(EVALUATE_TIMEOUT, self.page.execute(params));
        match evaluated.await {
            Err(_elapsed) => return self.rescue().await,
            Ok(Err(why)) => return Outcome::Failed(format!("the bundle was not run: {why}")),
            Ok(Ok(answer)) if answer.result.exception_details.is_some() => {
                return Outcome::Failed("the bundle of WA_JS_PATH threw an error".to_owned());
            }
            Ok(Ok(_)) => {}
        }
        match self.call::<()>(document, "loaded").await {
            Ok(()) => Outcome::Loaded,
            Err(why) => self.after(why).await,
        }
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        document: ExecutionContextId,
        command: &str,
    ) -> Result<T, CallError> {
        let document = Some(document);
        bridge::call_in(
            &self.page,
            document,
            AdapterName::WaJs,
            command,
            &json!(null),
            CALL_TIMEOUT,
        )
        .await
    }

    /// A call that did not succeed: only one that was never answered means that the page is blocked.
    async fn after(&self, why: CallError) -> Outcome {
        if why.code == NO_ANSWER && self.is_blocked().await {
            return self.rescue().await;
        }
        Outcome::Failed(why.detail)
    }

    /// Whether the page does not even answer the simplest question.
    async fn is_blocked(&self) -> bool {
        let asked = timeout(RESCUE_TIMEOUT, self.page.execute(EvaluateParams::new("0")));
        asked.await.is_err()
    }

    /// Stops what blocks the page, and reloads the page without the bundle. Once: a caller that hears of it does not load
    /// the bundle again before the next start.
    async fn rescue(&self) -> Outcome {
        let stopped = timeout(
            RESCUE_TIMEOUT,
            self.page.execute(TerminateExecutionParams::default()),
        );
        let reloaded = async {
            let stopped = stopped.await;
            let reload = self.page.execute(ReloadParams::default());
            (
                stopped.is_ok(),
                timeout(RESCUE_TIMEOUT, reload).await.is_ok(),
            )
        };
        let (stopped, reloaded) = reloaded.await;
        tracing::warn!(
            stopped,
            reloaded,
            "wa-js blocked the page, which is loaded anew without it"
        );
        Outcome::Blocked("it blocked the page; not tried again before the next start".to_owned())
    }
}
