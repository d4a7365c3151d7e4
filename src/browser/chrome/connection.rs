//! The CDP connection to one Chrome: opened, listened to all the time, its one page prepared, its end noticed.
//!
//! Knows nothing of processes. What cannot be understood is skipped and never ends the connection.

use std::{fmt::Display, future::Future, mem, sync::Arc, time::Duration};

use chromiumoxide::{
    Browser as Cdp, Page,
    cdp::browser_protocol::{
        browser::{CloseParams, GetVersionParams},
        target::SetAutoAttachParams,
    },
    error::CdpError,
    handler::{Handler, HandlerConfig},
};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::browser::{
    ChromeVersion,
    chrome::{
        relay::{self, Door},
        user_agent,
        workers::ServiceWorkers,
    },
    processes::pipe::Pipe,
};

/// Each step of preparing took under 0.2 s; a machine that starts several Chromes at once needs far more.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// chromiumoxide reports no new page, so it is polled: a start takes 60 ms and more.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// When chromiumoxide forgets an answer that never came. Callers have deadlines of their own, and a heavy
/// page may block for a minute.
const FORGET_TIMEOUT: Duration = Duration::from_mins(2);

/// A Chrome that ends is noticed by its pipe; one that hangs shows itself only when it is asked something.
const PULSE_INTERVAL: Duration = Duration::from_secs(15);

/// The question goes to Chrome's main process, which a busy page does not block; a swapping machine may.
const PULSE_TIMEOUT: Duration = Duration::from_mins(1);

/// The step at which a Chrome that is up would not be driven, and why.
#[derive(Debug)]
pub(in crate::browser) struct StepFailed {
    pub(in crate::browser) step: &'static str,
    pub(in crate::browser) why: String,
}

/// A CDP connection with one prepared page.
#[derive(Debug)]
pub(in crate::browser) struct Connection {
    cdp: Arc<Cdp>,
    page: Page,
    end: watch::Receiver<Option<String>>,
    _listening: AbortOnDropHandle<()>,
    _relaying: AbortOnDropHandle<()>,
    _pulse: AbortOnDropHandle<()>,
}

impl Connection {
    /// Connects, takes the one blank page and gives it the user agent of `version`.
    ///
    /// Waits without a limit for Chrome's first answer, which shows that it is up.
    pub(in crate::browser) async fn open(
        mut pipe: Pipe,
        version: &ChromeVersion,
    ) -> Result<Self, StepFailed> {
        let failed = |step: &'static str| move |why: String| StepFailed { step, why };
        let version_asked = GetVersionParams::IDENTIFIER;
        pipe.ask(0, None, version_asked, &json!({}), drop)
            .await
            .map_err(failed("waiting for its first answer"))?;
        let (workers, first) = step(
            "listening to service workers",
            ServiceWorkers::listen(&mut pipe, version),
        )
        .await?;
        for command in first {
            let sending = async { pipe.outgoing.send(&command).await };
            step("starting a service worker", sending).await?;
        }
        let door = Door::open().await;
        let opened = door.and_then(|door| Ok((door.address()?, door)));
        let (address, door) = opened
            .map_err(|why| why.to_string())
            .map_err(failed("listening on loopback"))?;
        let (ended, end) = watch::channel(None);
        let relaying = AbortOnDropHandle::new(tokio::spawn(relay(
            relay::run(door, pipe, workers),
            ended.clone(),
        )));
        let config = HandlerConfig {
            // Only WhatsApp's certificate distinguishes it from an attacker in between.
            ignore_https_errors: false,
            ignore_invalid_messages: true,
            viewport: None,
            request_timeout: FORGET_TIMEOUT,
            ..HandlerConfig::default()
        };
        let (cdp, handler) = step("connecting", Cdp::connect_with_config(address, config)).await?;
        let cdp = Arc::new(cdp);
        let listening = AbortOnDropHandle::new(tokio::spawn(listen(handler, ended.clone())));
        let page = step("waiting for the page", first_page(&cdp)).await?;
        step(
            "setting the user agent",
            page.execute(user_agent::with_client_hints(version)),
        )
        .await?;
        // chromiumoxide 0.9.1 stops each worker at its start, lets it run and drops it at once, in which a service worker
        // of the page fails to install more often than not.
        step(
            "letting workers alone",
            page.execute(SetAutoAttachParams {
                flatten: Some(true),
                ..SetAutoAttachParams::new(false, false)
            }),
        )
        .await?;
        let pulse = AbortOnDropHandle::new(tokio::spawn(ping_loop(Arc::clone(&cdp), ended)));
        Ok(Self {
            cdp,
            page,
            end,
            _listening: listening,
            _relaying: relaying,
            _pulse: pulse,
        })
    }

    pub(in crate::browser) fn page(&self) -> &Page {
        &self.page
    }

    /// Resolves with the reason when Chrome can no longer be driven.
    pub(in crate::browser) fn ended(&self) -> impl Future<Output = String> + Send + use<> {
        let mut end = self.end.clone();
        async move {
            match end.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_) => "the connection was dropped".to_owned(),
            }
        }
    }

    pub(in crate::browser) fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Whether Chrome's main process answers. Waits for as long as the caller has patience.
    pub(in crate::browser) async fn answers(&self) -> bool {
        self.cdp.execute(GetVersionParams::default()).await.is_ok()
    }

    /// Asks Chrome to close and waits for the answer, for as long as the caller has patience.
    pub(in crate::browser) async fn ask_to_close(&self) {
        if let Err(error) = self.cdp.execute(CloseParams::default()).await {
            // It may close before it answers.
            tracing::debug!(%error, "Chrome gave no answer to the request to close");
        }
    }
}

async fn step<T, E: Display>(
    name: &'static str,
    doing: impl Future<Output = Result<T, E>>,
) -> Result<T, StepFailed> {
    let why = match timeout(STEP_TIMEOUT, doing).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", STEP_TIMEOUT.as_secs()),
    };
    Err(StepFailed { step: name, why })
}

/// The page that Chrome opens by itself, on the address at the end of its command line.
///
/// The full browser opens it only after it has printed its debugging address. A second page of the service would cost
/// memory, and closing the first one would be a race.
async fn first_page(cdp: &Cdp) -> Result<Page, CdpError> {
    loop {
        if let Some(page) = cdp.pages().await?.into_iter().next() {
            return Ok(page);
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// Everything goes through the relay, so its end is the connection's: Chrome's own end is noticed here first.
async fn relay(relaying: impl Future<Output = String>, ended: watch::Sender<Option<String>>) {
    end_with(&ended, relaying.await);
}

/// Drives the connection until it breaks.
async fn listen(mut handler: Handler, ended: watch::Sender<Option<String>>) {
    // A panic in the handler ends the connection too, and must be reported.
    let mut tell = TellOnDrop {
        ended,
        reason: "the connection's handler failed".to_owned(),
    };
    while let Some(polled) = handler.next().await {
        match polled {
            Ok(()) => {}
            // The handler goes on asking a broken socket for ever, so this is where it ends.
            Err(error @ (CdpError::Ws(_) | CdpError::Io(_))) => {
                tell.reason = error.to_string();
                return;
            }
            Err(error) => tracing::debug!(%error, "skipped what Chrome said"),
        }
    }
    tell.reason = String::from("Chrome closed the connection");
}

struct TellOnDrop {
    ended: watch::Sender<Option<String>>,
    reason: String,
}

impl Drop for TellOnDrop {
    fn drop(&mut self) {
        end_with(&self.ended, mem::take(&mut self.reason));
    }
}

/// The first reason counts.
fn end_with(ended: &watch::Sender<Option<String>>, reason: String) {
    ended.send_if_modified(|end| {
        let first = end.is_none();
        end.get_or_insert(reason);
        first
    });
}

/// Asks Chrome a small question now and then.
async fn ping_loop(cdp: Arc<Cdp>, ended: watch::Sender<Option<String>>) {
    loop {
        sleep(PULSE_INTERVAL).await;
        match timeout(PULSE_TIMEOUT, cdp.execute(GetVersionParams::default())).await {
            Ok(Ok(_)) => {}
            Ok(Err(CdpError::Ws(_) | CdpError::Io(_) | CdpError::ChannelSendError(_))) => {
                return end_with(&ended, "the connection is closed".to_owned());
            }
            Ok(Err(error)) => tracing::debug!(%error, "Chrome answered a small question oddly"),
            Err(_) => {
                let silence = format!("Chrome gave no answer within {} s", PULSE_TIMEOUT.as_secs());
                return end_with(&ended, silence);
            }
        }
    }
}
