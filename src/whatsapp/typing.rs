//! Sends by typing, through the adapter `dom`: its script finds out where to click and what stands where, real input events do
//! the rest.
//!
//! Invariants: nothing is typed before the open chat is proven to be the recipient's and its box is empty; nothing is
//! sent before the box holds exactly the text; up to the click on the send button every failure is certain to have sent
//! nothing, and from the click on none is.

use std::time::Duration;

use chromiumoxide::{
    Page,
    cdp::browser_protocol::page::{
        EventJavascriptDialogOpening, HandleJavaScriptDialogParams, NavigateParams,
    },
};
use futures_util::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    AdapterName, Handed, Outgoing, PrepareError, Prepared,
    bridge::{self, CallError},
    input::{Point, click, enter, erase, type_text},
};
use crate::masked::WaId;

/// From the request for the chat's address to its first byte; the page's own service worker answers mostly.
const NAVIGATION_TIMEOUT: Duration = Duration::from_secs(15);

/// From there to the open chat: the page reloads, which takes 5 to 15 s (docs/whatsapp.md#timings). More would leave
/// nothing of the time that a caller waits.
const OPEN_TIMEOUT: Duration = Duration::from_secs(25);

/// What the page may take beyond a wait of its own to say so.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// How long the page may say nothing, or that it is not ready, after it was sent to another address: the chat opens, and
/// the modules that an adapter before this one looks for are waited for. A connection lost meanwhile shows that late,
/// which still is within the 40 s that a session may look READY without being it.
const AWAY_TIMEOUT: Duration = Duration::from_secs(30);

/// Until when a page that reloads to open a chat is not expected to be ready.
pub(super) type Away = watch::Sender<Option<Instant>>;

/// The adapter `dom` on one page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typing<'a> {
    pub(super) page: &'a Page,
    pub(super) away: &'a Away,
}

#[derive(Deserialize)]
struct ComposeBox {
    #[serde(flatten)]
    at: Point,
    is_empty: bool,
    is_focused: bool,
}

#[derive(Deserialize)]
struct SendButton {
    /// `None` where the page shows none: Enter sends too.
    #[serde(flatten)]
    at: Option<Point>,
    known: Vec<String>,
}

/// What went wrong with a text that was to be typed and sent.
#[derive(Debug)]
pub(super) enum Mistyped {
    /// Nothing was sent.
    Unsent(String),
    /// It may have been.
    InDoubt(String),
}

impl Typing<'_> {
    /// Opens the recipient's chat, or learns that there is none.
    pub(super) async fn prepare(self, outgoing: &Outgoing) -> Result<Prepared, PrepareError> {
        #[derive(Deserialize)]
        struct Opened {
            chat: WaId,
        }
        let failed = |why: CallError| PrepareError::Failed(why.detail);
        if outgoing.to.contains('@') || !outgoing.extras.is_none() {
            let why = "no adapter can send this now: on the screen only plain texts to phone numbers are typed";
            return Err(PrepareError::Failed(why.to_owned()));
        }
        let shown = self.show(&outgoing.to).await;
        shown.map_err(PrepareError::Failed)?;
        let within = json!({ "to": outgoing.to, "within_ms": OPEN_TIMEOUT.as_millis() });
        let opened = self.call_within("opened", &within, OPEN_TIMEOUT + ANSWER_MARGIN);
        match opened.await {
            Ok(Opened { chat }) => Ok(Prepared {
                adapter: AdapterName::Dom,
                message_id: None,
                chat,
            }),
            Err(why) if why.code == "NOT_ON_WHATSAPP" => {
                self.close_dialog().await;
                Err(PrepareError::NotOnWhatsApp)
            }
            Err(why) => {
                self.go_home().await;
                Err(failed(why))
            }
        }
    }

    /// Sends the page to the chat with a number: what opens is still to be proven.
    pub(super) async fn show(self, number: &str) -> Result<(), String> {
        let route = self.call("route", &json!({ "to": number })).await;
        let Route { url } = route.map_err(|why| why.detail)?;
        self.go_to(url).await
    }

    /// Types the text into the open chat and sends it by a click, or by Enter where there is nothing to click.
    pub(super) async fn hand_over(self, outgoing: &Outgoing) -> Result<Handed, Mistyped> {
        let body = &outgoing.body;
        let SendButton { at, known } = match self.type_in(&outgoing.to, body).await {
            Ok(button) => button,
            Err(why) => {
                // What cannot be erased is not sent either: the next send opens its chat again and erases what it finds.
                if let Err(erasing) = erase(self.page).await {
                    tracing::warn!(
                        error = erasing,
                        "a text that was typed in part was not erased: {erasing}"
                    );
                }
                return Err(Mistyped::Unsent(why));
            }
        };
        let sent = match at {
            Some(at) => click(self.page, at).await,
            None => enter(self.page).await,
        };
        sent.map_err(Mistyped::InDoubt)?;
        let sent = json!({ "known": known, "body": body });
        let Answer { key, message_id } = self
            .call("sent", &sent)
            .await
            .map_err(|why| Mistyped::InDoubt(why.detail))?;
        Ok(Handed { key, message_id })
    }

    /// Brings exactly `body` into an empty compose box. Answers where to click to send it.
    async fn type_in(self, to: &str, body: &str) -> Result<SendButton, String> {
        let found = self.compose_box(to).await?;
        click(self.page, found.at).await?;
        let mut focused = self.compose_box(to).await?;
        if !focused.is_focused {
            return Err("the compose box did not take the focus; nothing was sent".to_owned());
        }
        if !focused.is_empty {
            // A draft: the page keeps them over a reload.
            erase(self.page).await?;
            focused = self.compose_box(to).await?;
        }
        if !focused.is_empty {
            return Err("the compose box could not be emptied; nothing was sent".to_owned());
        }
        type_text(self.page, body).await?;
        let ready = json!({ "to": to, "body": body });
        let ready = self.call("ready", &ready).await;
        ready.map_err(|why| why.detail)
    }

    async fn compose_box(self, to: &str) -> Result<ComposeBox, String> {
        let found = self.call("box", &json!({ "to": to })).await;
        found.map_err(|why| why.detail)
    }

    /// Loads the page again at `url`. A page that asks whether to leave is answered yes: it had its time before.
    async fn go_to(self, url: String) -> Result<(), String> {
        let mut questions = self
            .page
            .event_listener::<EventJavascriptDialogOpening>()
            .await
            .map_err(|why| why.to_string())?;
        self.away.send_replace(Some(Instant::now() + AWAY_TIMEOUT));
        let navigation = self.page.execute(NavigateParams::new(url));
        tokio::pin!(navigation);
        let navigated = timeout(NAVIGATION_TIMEOUT, async {
            loop {
                tokio::select! {
                    navigated = &mut navigation => return navigated,
                    Some(_question) = questions.next() => {
                        self.page.execute(HandleJavaScriptDialogParams::new(true)).await?;
                    }
                }
            }
        });
        let answer = navigated
            .await
            .map_err(|_| {
                format!(
                    "the page did not go to the chat within {} s; nothing was sent",
                    NAVIGATION_TIMEOUT.as_secs()
                )
            })?
            .map_err(|why| why.to_string())?;
        // Chrome's own words, such as net::ERR_INTERNET_DISCONNECTED.
        match answer.result.error_text {
            Some(why) => Err(format!(
                "the page could not go to the chat: {why}; nothing was sent"
            )),
            None => Ok(()),
        }
    }

    /// Leaves a chat or a login that did not go as it should: a dialog that stays would cover the page for good.
    pub(super) async fn go_home(self) {
        let gone = async {
            let home = self.call("home", &json!(null)).await;
            let Route { url } = home.map_err(|why| why.detail)?;
            self.go_to(url).await
        };
        if let Err(why) = gone.await {
            tracing::warn!(
                error = why,
                "the page did not go back to its first screen: {why}"
            );
        }
    }

    /// Closes the dialog about an unknown number. One that stays is gone with the next send's load.
    async fn close_dialog(self) {
        let closed = async {
            let target = self.call("dialogTarget", &json!(null)).await;
            let at: Point = target.map_err(|why| why.detail)?;
            click(self.page, at).await
        };
        if let Err(why) = closed.await {
            tracing::warn!(
                error = why,
                "the dialog about an unknown number was not closed: {why}"
            );
        }
    }

    pub(super) async fn call<T: DeserializeOwned>(
        self,
        command: &str,
        argument: &serde_json::Value,
    ) -> Result<T, CallError> {
        bridge::call(self.page, AdapterName::Dom, command, argument).await
    }

    async fn call_within<T: DeserializeOwned>(
        self,
        command: &str,
        argument: &serde_json::Value,
        within: Duration,
    ) -> Result<T, CallError> {
        bridge::call_within(self.page, AdapterName::Dom, command, argument, within).await
    }
}

/// An address, as the script makes it.
#[derive(Deserialize)]
struct Route {
    url: String,
}

/// The script's answer to a message that is in the chat.
#[derive(Deserialize)]
struct Answer {
    key: String,
    message_id: WaId,
}
