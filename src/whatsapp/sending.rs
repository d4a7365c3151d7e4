//! Sends by whichever adapter can: one that fails while certainly nothing was handed over makes room for the next.
//!
//! Invariant: a send moves on to another adapter only when it is certain that the one before handed nothing over.

use std::time::Duration;

use chromiumoxide::Page;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    AdapterName, HandOverError, Handed, Outgoing, PrepareError, Prepared, Standing,
    bridge::{self, CALL_TIMEOUT, CallError, INTERRUPTED, NO_ANSWER, NOT_LOADED},
    typing::{Away, Typing},
};

/// A number check is one question to WhatsApp's server. One that hangs holds up the sends behind it.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(10);

/// Loading wa-js takes 1 to 2 s; one that blocks the page is stopped after 15 s. Waited for rather than typed past: a
/// page that wa-js blocks in the middle of a typed send would leave that send in doubt.
const WA_JS_TIMEOUT: Duration = Duration::from_secs(20);

/// Verdicts that may wait for the listener, which takes each at once; one too many is given again by the next send.
pub(super) const VERDICT_CAPACITY: usize = 16;

/// An error of the page's may be a page long.
const LONGEST_WHY: usize = 120;

/// What a send has shown of an adapter.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It failed, by no fault of the recipient, the message or the network.
    Failed { adapter: AdapterName, why: String },
    /// It sends.
    Worked { adapter: AdapterName },
}

/// The senders of one page.
pub(super) struct Sending<'a> {
    pub(super) page: &'a Page,
    pub(super) away: &'a Away,
    /// In the order in which they are tried.
    pub(super) adapters: &'a [AdapterName],
    pub(super) standing: &'a watch::Receiver<Standing>,
    pub(super) verdicts: &'a mpsc::Sender<Verdict>,
}

/// What became of a hand-over.
enum Outcome {
    Handed(Handed),
    /// The page has taken nothing; `is_own` when that is the adapter's own failure.
    Refused {
        why: String,
        is_own: bool,
    },
    Unknown(String),
}

impl Sending<'_> {
    /// Lets the first adapter that can make the message ready do so.
    pub(super) async fn prepare(&self, outgoing: &Outgoing) -> Result<Prepared, PrepareError> {
        self.prepare_by(self.senders(), outgoing).await
    }

    /// Lets the adapter that made the message ready hand it over, and those behind it when it takes nothing.
    pub(super) async fn hand_over(
        &self,
        prepared: &Prepared,
        outgoing: &Outgoing,
    ) -> Result<Handed, HandOverError> {
        let mut prepared = prepared.clone();
        loop {
            let adapter = prepared.adapter;
            let behind = self.behind(adapter);
            let (refused, is_own) = match self.hand_over_by(&prepared, outgoing).await {
                Outcome::Handed(handed) => {
                    if self.standing.borrow().failing.contains(&adapter) {
                        self.judge(Verdict::Worked { adapter });
                    }
                    return Ok(handed);
                }
                Outcome::Unknown(why) => return Err(HandOverError::Unknown(why)),
                Outcome::Refused { why, is_own } => (why, is_own),
            };
            let rest = if is_own {
                self.pass_over(adapter, &refused, behind).await
            } else {
                behind
            };
            prepared = match self.prepare_by(rest, outgoing).await {
                Ok(prepared) => prepared,
                Err(_) => return Err(HandOverError::NotHanded(refused)),
            };
            tracing::warn!(
                adapter = prepared.adapter.as_str(),
                "an adapter did not take a message; trying {}",
                prepared.adapter
            );
        }
    }

    /// The adapters that can send now, in the order in which they are tried.
    fn senders(&self) -> Vec<AdapterName> {
        self.standing.borrow().senders.clone()
    }

    /// Those that have not had their chance when `adapter` has.
    fn behind(&self, adapter: AdapterName) -> Vec<AdapterName> {
        let senders = self.senders();
        let tried = senders.iter().position(|name| *name == adapter);
        tried.map_or_else(Vec::new, |at| senders[at + 1..].to_vec())
    }

    fn judge(&self, verdict: Verdict) {
        // A listener that has gone has no use for it.
        drop(self.verdicts.try_send(verdict));
    }

    /// An adapter has failed at its own part: it comes last from now on, and wa-js gets its turn if it has not had it.
    /// Answers who is to try this send, of `rest` and wa-js.
    async fn pass_over(
        &self,
        adapter: AdapterName,
        why: &str,
        mut rest: Vec<AdapterName>,
    ) -> Vec<AdapterName> {
        let is_known = self.standing.borrow().failing.contains(&adapter);
        let why = why.chars().take(LONGEST_WHY).collect();
        self.judge(Verdict::Failed { adapter, why });
        let place = |wanted| self.adapters.iter().position(|name| *name == wanted);
        let wa_js_may_come =
            place(AdapterName::WaJs) > place(adapter) && !rest.contains(&AdapterName::WaJs);
        if is_known || !wa_js_may_come {
            return rest;
        }
        let mut standing = self.standing.clone();
        let is_decided = |standing: &Standing| {
            standing
                .senders
                .first()
                .is_some_and(|name| *name != adapter)
        };
        let decided = timeout(WA_JS_TIMEOUT, standing.wait_for(is_decided)).await;
        if let Ok(Ok(standing)) = decided
            && standing.senders.contains(&AdapterName::WaJs)
        {
            rest.insert(0, AdapterName::WaJs);
        }
        rest
    }

    async fn prepare_by(
        &self,
        mut senders: Vec<AdapterName>,
        outgoing: &Outgoing,
    ) -> Result<Prepared, PrepareError> {
        // The session is READY, so this is a page between two documents.
        let mut failed = PrepareError::Interrupted("no adapter can send now".to_owned());
        while !senders.is_empty() {
            let adapter = senders.remove(0);
            if adapter == AdapterName::Dom {
                match self.typing().prepare(outgoing).await {
                    Err(PrepareError::Failed(why)) => failed = PrepareError::Failed(why),
                    prepared => return prepared,
                }
                continue;
            }
            let why = match self.look_up(adapter, outgoing).await {
                Ok(prepared) => return Ok(prepared),
                Err(why) => why,
            };
            failed = match why.code.as_str() {
                "NOT_ON_WHATSAPP" => return Err(PrepareError::NotOnWhatsApp),
                INTERRUPTED | NOT_LOADED => PrepareError::Interrupted(why.detail),
                // Other errors of the page may be about the recipient.
                "MISFIT" => {
                    senders = self.pass_over(adapter, &why.detail, senders).await;
                    PrepareError::Failed(why.detail)
                }
                _ => PrepareError::Failed(why.detail),
            };
        }
        Err(failed)
    }

    async fn look_up(
        &self,
        adapter: AdapterName,
        outgoing: &Outgoing,
    ) -> Result<Prepared, CallError> {
        #[derive(Deserialize)]
        struct Answer {
            message_id: Option<String>,
            chat: String,
        }
        let argument = json!({ "key": outgoing.key, "to": outgoing.to });
        let asked = bridge::call_within(self.page, adapter, "prepare", &argument, PREPARE_TIMEOUT);
        let Answer { message_id, chat } = asked.await?;
        Ok(Prepared {
            adapter,
            message_id,
            chat,
        })
    }

    async fn hand_over_by(&self, prepared: &Prepared, outgoing: &Outgoing) -> Outcome {
        #[derive(Deserialize)]
        struct Answer {
            key: String,
            message_id: String,
        }
        let adapter = prepared.adapter;
        if adapter == AdapterName::Dom {
            return match self.typing().hand_over(outgoing).await {
                Ok(handed) => Outcome::Handed(handed),
                Err(HandOverError::NotHanded(why)) => Outcome::Refused { why, is_own: false },
                Err(HandOverError::Unknown(why)) => Outcome::Unknown(why),
            };
        }
        let argument = json!({ "key": outgoing.key, "chat": prepared.chat, "body": outgoing.body });
        let handed =
            bridge::call_within(self.page, adapter, "handOver", &argument, CALL_TIMEOUT).await;
        match handed {
            Ok(Answer { key, message_id }) => Outcome::Handed(Handed { key, message_id }),
            Err(why) if [NO_ANSWER, INTERRUPTED, "IN_DOUBT"].contains(&why.code.as_str()) => {
                Outcome::Unknown(why.detail)
            }
            // The recipient is known by now and a text is only a text: what the page throws is about the call.
            Err(why) => Outcome::Refused {
                is_own: ["MISFIT", "PAGE_ERROR", "NOT_HANDED"].contains(&why.code.as_str()),
                why: why.detail,
            },
        }
    }

    const fn typing(&self) -> Typing<'_> {
        Typing {
            page: self.page,
            away: self.away,
        }
    }
}
