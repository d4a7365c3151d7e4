//! What the page reports by itself, turned into facts.
//!
//! One task per open page. It ends with the page, and not with the receiver of facts: what may be kept of the page
//! is known from them to the last.

use std::{future::Future, pin::Pin};

use chromiumoxide::{
    Page,
    cdp::{
        browser_protocol::{
            inspector::EventTargetCrashed,
            log::EventEntryAdded,
            page::{EventFrameNavigated, Frame},
        },
        js_protocol::runtime::{
            EventBindingCalled, EventConsoleApiCalled, EventExceptionThrown, ExecutionContextId,
        },
    },
    error::CdpError,
    listeners::EventStream,
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    AdapterName, Fact, Standing,
    adapter::Views,
    bridge::{Message, Said},
    bundle::{Bundle, Outcome},
    console::ConsoleLine,
    evidence::EvidenceRecorder,
    scripts::BINDING,
    sending::Verdict,
};
use crate::browser::BrowserLost;

/// The events of a page that a listener hears.
pub(super) struct PageEvents {
    bindings: EventStream<EventBindingCalled>,
    crashes: EventStream<EventTargetCrashed>,
    documents: EventStream<EventFrameNavigated>,
    console: EventStream<EventConsoleApiCalled>,
    exceptions: EventStream<EventExceptionThrown>,
    log: EventStream<EventEntryAdded>,
}

impl PageEvents {
    pub(super) async fn open(page: &Page) -> Result<Self, CdpError> {
        Ok(Self {
            bindings: page.event_listener().await?,
            crashes: page.event_listener().await?,
            documents: page.event_listener().await?,
            console: page.event_listener().await?,
            exceptions: page.event_listener().await?,
            log: page.event_listener().await?,
        })
    }
}

/// Where a listener reports what it has heard, and what it hears besides the page.
pub(super) struct Channels {
    /// Gets every fact.
    pub(super) facts: mpsc::Sender<Fact>,
    /// Until when the page is away on purpose.
    pub(super) away: watch::Receiver<Option<Instant>>,
    /// What sends have shown of the adapters.
    pub(super) verdicts: mpsc::Receiver<Verdict>,
    /// Sees all that may become evidence.
    pub(super) recorder: EvidenceRecorder,
    /// The address of WhatsApp Web.
    pub(super) home: String,
}

/// Starts listening. Answers how the page stands, at any time, and the task.
pub(super) fn spawn(
    events: PageEvents,
    adapters: &[AdapterName],
    bundle: Bundle,
    lost: impl Future<Output = BrowserLost> + Send + 'static,
    channels: Channels,
) -> (watch::Receiver<Standing>, JoinHandle<()>) {
    let Channels {
        facts,
        away,
        verdicts,
        recorder,
        home,
    } = channels;
    let (standings, standing) = watch::channel(Standing::default());
    let listener = Listener {
        views: Views::of_new_document(adapters),
        wa_js: WaJs::new(bundle),
        standings,
        facts,
        away: None,
        recorder,
        home: site_of(&home).to_owned(),
    };
    (
        standing,
        tokio::spawn(listener.run(events, Box::pin(lost), away, verdicts)),
    )
}

struct Listener {
    views: Views,
    wa_js: WaJs,
    standings: watch::Sender<Standing>,
    facts: mpsc::Sender<Fact>,
    /// Set while the page reloads because the service asked for it.
    away: Option<Absence>,
    recorder: EvidenceRecorder,
    /// Scheme, host and port of WhatsApp Web.
    home: String,
}

/// A page that is on its way to another address on purpose. That it knows nothing meanwhile is no news.
struct Absence {
    until: Instant,
    /// Until then, what is heard comes from the old document.
    has_new_document: bool,
}

impl Listener {
    async fn run(
        mut self,
        mut events: PageEvents,
        mut lost: Pin<Box<dyn Future<Output = BrowserLost> + Send>>,
        mut left: watch::Receiver<Option<Instant>>,
        mut verdicts: mpsc::Receiver<Verdict>,
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
                Some(_crash) = events.crashes.next() => Fact::PageLost("the page crashed".to_owned()),
                Some(navigated) = events.documents.next() => {
                    match self.on_navigated(&navigated.frame) {
                        Some(fact) => fact,
                        None => continue,
                    }
                }
                Some(called) = events.bindings.next() => match self.hear(&called) {
                    Some(fact) => fact,
                    None => continue,
                },
                Some((document, outcome)) = self.wa_js.loads.next() => match self.on_load(document, outcome) {
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
                Some(verdict) = verdicts.recv() => match self.judge(verdict) {
                    Some(fact) => fact,
                    None => continue,
                },
                // Last: a page that never stops talking must not keep the rest from being heard.
                Some(called) = events.console.next() => {
                    self.recorder.hear(|| ConsoleLine::called(&called));
                    continue;
                }
                Some(thrown) = events.exceptions.next() => {
                    self.recorder.hear(|| ConsoleLine::thrown(&thrown));
                    continue;
                }
                Some(logged) = events.log.next() => {
                    self.recorder.hear(|| ConsoleLine::logged(&logged));
                    continue;
                }
            };
            let is_last = matches!(fact, Fact::BrowserLost(_));
            // A session that has ended takes no more, while its page is looked at once more.
            drop(self.facts.send(fact).await);
            if is_last {
                return;
            }
        }
    }

    /// The page, or a frame inside it, shows another document.
    fn on_navigated(&self, frame: &Frame) -> Option<Fact> {
        if frame.parent_id.is_some() {
            return None;
        }
        if frame.unreachable_url.is_some() {
            return Some(Fact::ErrorPage);
        }
        let site = site_of(&frame.url);
        if site == self.home {
            return Some(Fact::DocumentBegan);
        }
        // What follows the site may be anything.
        Some(Fact::PageElsewhere(site.to_owned()))
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
            (
                Said::Ack {
                    key,
                    ack: ..=-1,
                    word: Some(word),
                },
                _,
            ) => return Some(Fact::GaveUp { key, word }),
            (Said::Ack { key, ack, .. }, _) => return Some(Fact::Ack { key, ack }),
            (Said::Heard, _) => return Some(Fact::Heard),
            (Said::LoggedOut { reason }, _) => {
                return Some(Fact::LoggedOut(
                    reason.unwrap_or_else(|| "unknown".to_owned()),
                ));
            }
            (Said::Document, _) => {
                self.views.forget();
                self.wa_js.forget();
                self.recorder.on_document();
                match &mut self.away {
                    Some(absence) => absence.has_new_document = true,
                    None => self.views.trust_all(),
                }
            }
            (Said::WantsBundle, _) => self.wa_js.can_load = Some(called.execution_context_id),
            (Said::View { view }, Some(adapter)) => self.views.update(adapter, view),
            (Said::PasskeyRequest { request, ended }, _) => {
                self.views.update_passkey(request, ended);
            }
            (Said::Broken { detail }, Some(adapter)) => {
                tracing::error!(
                    adapter = adapter.as_str(),
                    "the page script of adapter {adapter} is broken: {detail}"
                );
                self.views.update_broken(adapter, "its script");
            }
            // The scripts that relay a passkey, hear what comes in, and know more than text: the adapters work without them.
            (Said::Broken { detail }, None) => {
                tracing::error!(
                    "a page script that serves all adapters, passkey.js, hearing.js, content.js or media_in.js, is broken: {detail}"
                );
                return None;
            }
            (Said::View { .. }, None) => return None,
        }
        self.load_wa_js();
        self.stands()
    }

    /// A send has shown what an adapter is worth, or one is wanted.
    fn judge(&mut self, verdict: Verdict) -> Option<Fact> {
        match verdict {
            Verdict::Failed { adapter, why } => self.views.update_failing(adapter, why),
            Verdict::Worked { adapter } => self.views.trust(adapter),
            Verdict::WaJsWanted => self.views.want_wa_js(),
        }
        self.load_wa_js();
        self.stands()
    }

    /// Loads wa-js when it has its turn and the document can take it.
    fn load_wa_js(&mut self) {
        if !self.views.need_wa_js() {
            return;
        }
        if let Some(why) = &self.wa_js.given_up {
            self.views.update_broken(AdapterName::WaJs, why);
        } else {
            self.wa_js.load();
        }
    }

    fn on_load(&mut self, document: u64, outcome: Outcome) -> Option<Fact> {
        if let Outcome::Blocked(why) = &outcome {
            self.wa_js.given_up = Some(why.clone());
        }
        if let Outcome::Failed(why) | Outcome::Blocked(why) = outcome
            && document == self.wa_js.document
        {
            self.views.update_broken(AdapterName::WaJs, &why);
        }
        self.load_wa_js();
        self.stands()
    }

    /// How the page stands now, if that is news.
    fn stands(&mut self) -> Option<Fact> {
        let standing = self.views.standing();
        self.recorder.on_standing(&standing);
        if let Some(absence) = &self.away {
            let is_back = absence.has_new_document
                && (standing.is_ready() || standing.login || standing.trouble.is_some());
            if !is_back {
                return None;
            }
            self.away = None;
        }
        if let Some(version) = &standing.wa_js_version
            && self.standings.borrow().wa_js_version.is_none()
        {
            tracing::info!(wa_js.version = version, "wa-js {version} is loaded");
        }
        let changed = self
            .standings
            .send_if_modified(|last| std::mem::replace(last, standing.clone()) != standing);
        changed.then_some(Fact::Stands(standing))
    }
}

/// How far wa-js is with the present document.
struct WaJs {
    bundle: Bundle,
    /// Counts documents, so that news of an earlier one is recognised.
    document: u64,
    /// The document has what wa-js needs, and does not have wa-js.
    can_load: Option<ExecutionContextId>,
    /// Why it is not loaded any more before the next start.
    given_up: Option<String>,
    loads: FuturesUnordered<BoxFuture<'static, (u64, Outcome)>>,
}

impl WaJs {
    fn new(bundle: Bundle) -> Self {
        Self {
            bundle,
            document: 0,
            can_load: None,
            given_up: None,
            loads: FuturesUnordered::new(),
        }
    }

    fn forget(&mut self) {
        self.document += 1;
        self.can_load = None;
    }

    /// Loads it into the present document if that can take it: never twice into one, and never before it is known how
    /// the last load ended.
    fn load(&mut self) {
        if !self.loads.is_empty() {
            return;
        }
        let Some(context) = self.can_load.take() else {
            return;
        };
        let document = self.document;
        let load = self.bundle.clone().load(context);
        self.loads
            .push(async move { (document, load.await) }.boxed());
    }
}

/// An address up to its host and port; up to the first colon where it has none, as `data:`.
fn site_of(url: &str) -> &str {
    let Some(host) = url.find("://").map(|scheme| scheme + 3) else {
        return url.split_inclusive(':').next().unwrap_or_default();
    };
    let end = url[host..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..host + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_what_stands_before_the_path() {
        for (url, site) in [
            ("https://web.whatsapp.com/", "https://web.whatsapp.com"),
            (
                "http://127.0.0.1:3002/send?phone=1",
                "http://127.0.0.1:3002",
            ),
            ("https://web.whatsapp.com?x", "https://web.whatsapp.com"),
            ("data:text/html,secret", "data:"),
            ("about:blank", "about:"),
        ] {
            assert_eq!(site_of(url), site);
        }
    }
}
