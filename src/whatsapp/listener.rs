//! What the page says by itself, turned into facts.
//!
//! One task per open page. It ends with the page, or when nobody wants facts any more.

use std::{future::Future, pin::Pin};

use chromiumoxide::{
    Page,
    cdp::{
        browser_protocol::inspector::EventTargetCrashed, js_protocol::runtime::EventBindingCalled,
    },
    error::CdpError,
    listeners::EventStream,
};
use futures_util::StreamExt;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{
    AdapterName, Fact, Standing,
    adapter::Views,
    bridge::{Message, Said},
    scripts::BINDING,
};
use crate::browser::BrowserLost;

/// Where the page's words arrive.
pub(super) struct Ears {
    bindings: EventStream<EventBindingCalled>,
    crashes: EventStream<EventTargetCrashed>,
}

impl Ears {
    pub(super) async fn open(page: &Page) -> Result<Self, CdpError> {
        Ok(Self {
            bindings: page.event_listener().await?,
            crashes: page.event_listener().await?,
        })
    }
}

/// Starts listening. Answers how the page stands, at any time, and the task.
pub(super) fn spawn(
    ears: Ears,
    adapters: &[AdapterName],
    lost: impl Future<Output = BrowserLost> + Send + 'static,
    facts: mpsc::Sender<Fact>,
) -> (watch::Receiver<Standing>, JoinHandle<()>) {
    let (standings, standing) = watch::channel(Standing::default());
    let listener = Listener {
        views: Views::of_new_document(adapters),
        standings,
        facts,
    };
    (standing, tokio::spawn(listener.run(ears, Box::pin(lost))))
}

struct Listener {
    views: Views,
    standings: watch::Sender<Standing>,
    facts: mpsc::Sender<Fact>,
}

impl Listener {
    async fn run(
        mut self,
        mut ears: Ears,
        mut lost: Pin<Box<dyn Future<Output = BrowserLost> + Send>>,
    ) {
        loop {
            let fact = tokio::select! {
                biased;
                lost = &mut lost => Fact::BrowserLost(lost.to_string()),
                Some(_crash) = ears.crashes.next() => Fact::PageLost("the page crashed".to_owned()),
                Some(called) = ears.bindings.next() => match self.hear(&called) {
                    Some(fact) => fact,
                    None => continue,
                },
            };
            let is_last = matches!(fact, Fact::BrowserLost(_));
            if self.facts.send(fact).await.is_err() || is_last {
                return;
            }
        }
    }

    fn hear(&mut self, called: &EventBindingCalled) -> Option<Fact> {
        if called.name != BINDING {
            return None;
        }
        let Ok(Message { adapter, said }) = serde_json::from_str(&called.payload) else {
            // The payload may hold anything: it is not shown.
            tracing::warn!(
                bytes = called.payload.len(),
                "the page said something that was not understood"
            );
            return None;
        };
        let adapter = adapter.parse::<AdapterName>().ok();
        match (said, adapter) {
            (Said::Ack { key, ack }, _) => return Some(Fact::Ack { key, ack }),
            (Said::LoggedOut { reason }, _) => {
                return Some(Fact::LoggedOut(
                    reason.unwrap_or_else(|| "unknown".to_owned()),
                ));
            }
            (Said::Document, _) => self.views.forget(),
            (Said::View { view }, Some(adapter)) => self.views.update(adapter, view),
            (Said::Broken { detail }, Some(adapter)) => {
                tracing::error!(
                    adapter = adapter.as_str(),
                    "the page script of adapter {adapter} is broken: {detail}"
                );
                self.views.update_broken(adapter);
            }
            (Said::View { .. } | Said::Broken { .. }, None) => return None,
        }
        let standing = self.views.standing();
        let changed = self
            .standings
            .send_if_modified(|last| std::mem::replace(last, standing.clone()) != standing);
        changed.then_some(Fact::Stands(standing))
    }
}
