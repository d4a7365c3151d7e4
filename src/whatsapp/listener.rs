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
    time::{Instant, sleep_until},
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
    away: watch::Receiver<Option<Instant>>,
) -> (watch::Receiver<Standing>, JoinHandle<()>) {
    let (standings, standing) = watch::channel(Standing::default());
    let listener = Listener {
        views: Views::of_new_document(adapters),
        standings,
        facts,
        away: None,
    };
    (
        standing,
        tokio::spawn(listener.run(ears, Box::pin(lost), away)),
    )
}

struct Listener {
    views: Views,
    standings: watch::Sender<Standing>,
    facts: mpsc::Sender<Fact>,
    /// Set while the page loads anew because it was told to.
    away: Option<Absence>,
}

/// A page that is on its way to another address on purpose. That it knows nothing meanwhile is no news.
struct Absence {
    until: Instant,
    /// What is heard before is said by the old document.
    has_new_document: bool,
}

impl Listener {
    async fn run(
        mut self,
        mut ears: Ears,
        mut lost: Pin<Box<dyn Future<Output = BrowserLost> + Send>>,
        mut left: watch::Receiver<Option<Instant>>,
    ) {
        loop {
            let back_by = self.away.as_ref().map(|absence| absence.until);
            let fact = tokio::select! {
                biased;
                lost = &mut lost => Fact::BrowserLost(lost.to_string()),
                Ok(()) = left.changed() => {
                    let until = *left.borrow_and_update();
                    self.away = until.map(|until| Absence { until, has_new_document: false });
                    continue;
                }
                Some(_crash) = ears.crashes.next() => Fact::PageLost("the page crashed".to_owned()),
                Some(called) = ears.bindings.next() => match self.hear(&called) {
                    Some(fact) => fact,
                    None => continue,
                },
                () = sleep_until(back_by.unwrap_or_else(Instant::now)), if back_by.is_some() => {
                    self.away = None;
                    match self.stands() {
                        Some(fact) => fact,
                        None => continue,
                    }
                }
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
            (Said::Document, _) => {
                self.views.forget();
                if let Some(absence) = &mut self.away {
                    absence.has_new_document = true;
                }
            }
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
        self.stands()
    }

    /// How the page stands now, if that is news.
    fn stands(&mut self) -> Option<Fact> {
        let standing = self.views.standing();
        if let Some(absence) = &self.away {
            let is_back = absence.has_new_document && (standing.is_ready() || standing.login);
            if !is_back {
                return None;
            }
            self.away = None;
        }
        let changed = self
            .standings
            .send_if_modified(|last| std::mem::replace(last, standing.clone()) != standing);
        changed.then_some(Fact::Stands(standing))
    }
}
