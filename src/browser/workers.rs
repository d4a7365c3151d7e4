//! Service workers given the page's client hints before their first line runs.
//!
//! No override of the page reaches them: headless-shell calls itself `HeadlessChrome` there. chromiumoxide has no way
//! to speak to them either, so this is a connection of its own that does nothing else. (The user agent itself needs no
//! help: the command line's reaches them.)
//!
//! Events are taken as JSON: one kind of them matters here, and reading every kind that Chrome has into a type of its own, as
//! chromiumoxide does for pages, would be a third of all the code that the compiler makes of this crate.

use chromiumoxide::{
    Connection, Method as _,
    cdp::{
        browser_protocol::target::{
            EventAttachedToTarget, FilterEntry, SessionId, SetAutoAttachParams, TargetFilter,
        },
        js_protocol::runtime::RunIfWaitingForDebuggerParams,
    },
    error::CdpError,
    types::{CallId, CdpJsonEventMessage, Message, MethodType as _},
};
use futures_util::StreamExt as _;
use serde::Serialize;

use super::{program::ChromeVersion, user_agent};

const SERVICE_WORKER: &str = "service_worker";

/// A connection on which every service worker of this Chrome reports before it starts.
pub(super) struct ServiceWorkers {
    connection: Connection<CdpJsonEventMessage>,
    version: ChromeVersion,
}

impl ServiceWorkers {
    /// Connects; from here on service workers wait for [`ServiceWorkers::dress_all`].
    pub(super) async fn connect(address: &str, version: &ChromeVersion) -> Result<Self, CdpError> {
        let connection = Connection::connect(address).await?;
        let mut workers = Self {
            connection,
            version: version.clone(),
        };
        let only_them = FilterEntry::builder().r#type(SERVICE_WORKER).build();
        let attach = SetAutoAttachParams {
            flatten: Some(true),
            filter: Some(TargetFilter::new([only_them])),
            ..SetAutoAttachParams::new(true, true)
        };
        let call = workers.send(attach.identifier(), None, &attach)?;
        while let Some(message) = workers.connection.next().await {
            if let Message::Response(response) = message?
                && response.id == call
            {
                return match response.error {
                    Some(error) => Err(error.into()),
                    None => Ok(workers),
                };
            }
        }
        Err(CdpError::NoResponse)
    }

    /// Gives each service worker its client hints and lets it run, until the connection breaks; returns the reason.
    pub(super) async fn dress_all(mut self) -> String {
        while let Some(message) = self.connection.next().await {
            let done = match message {
                Ok(Message::Event(event)) => self.on_event(event),
                Ok(Message::Response(response)) => {
                    if let Some(error) = response.error {
                        tracing::debug!(%error, "a service worker was not given its client hints");
                    }
                    Ok(())
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => {}
                Err(error @ (CdpError::Ws(_) | CdpError::Io(_))) => return error.to_string(),
                Err(error) => tracing::debug!(%error, "skipped what Chrome said of a worker"),
            }
        }
        "Chrome closed the connection".to_owned()
    }

    fn on_event(&mut self, event: CdpJsonEventMessage) -> Result<(), CdpError> {
        if event.method != EventAttachedToTarget::method_id() {
            return Ok(());
        }
        let attached: EventAttachedToTarget = serde_json::from_value(event.params)?;
        let worker = Some(&attached.session_id);
        let hints = user_agent::with_client_hints(&self.version);
        self.send(hints.identifier(), worker, &hints)?;
        let run = RunIfWaitingForDebuggerParams::default();
        self.send(run.identifier(), worker, &run)?;
        Ok(())
    }

    fn send(
        &mut self,
        method: impl Into<std::borrow::Cow<'static, str>>,
        worker: Option<&SessionId>,
        parameters: &impl Serialize,
    ) -> Result<CallId, CdpError> {
        let parameters = serde_json::to_value(parameters)?;
        let call = self
            .connection
            .submit_command(method.into(), worker.cloned(), parameters)?;
        Ok(call)
    }
}
