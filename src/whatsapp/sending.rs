//! Sends by whichever adapter can: one that fails while certainly nothing was handed over makes room for the next.
//!
//! Invariant: a send moves on to another adapter only when it is certain that the one before handed nothing over.

use std::{collections::VecDeque, path::Path, time::Duration};

use chromiumoxide::Page;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    AdapterName, HandOverError, Handed, LookUp, LookUpError, Outgoing, PrepareError, Prepared,
    ResetError, Standing, Whose,
    bridge::{self, CALL_TIMEOUT, CallError, INTERRUPTED, NO_ANSWER, NO_SUCH_COMMAND, NOT_LOADED},
    chat_ids::ChatIds,
    media::{self, NOT_STAGED},
    typing::{Away, Mistyped, Typing},
};
use crate::masked::WaId;

/// A number check is one question to WhatsApp's server. One that hangs holds up the sends behind it.
pub(super) const PREPARE_TIMEOUT: Duration = Duration::from_secs(10);

/// A look-up is one question to the page's own database.
pub(super) const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// Some writes into the page's own database, and up to 5 s until the modules of a page are there that has just been loaded.
const RESET_TIMEOUT: Duration = Duration::from_secs(15);

/// Loading wa-js takes 1 to 2 s; one that blocks the page is stopped after 15 s. Waited for rather than typed past: a
/// page that wa-js blocks in the middle of a typed send would leave that send in doubt.
const WA_JS_TIMEOUT: Duration = Duration::from_secs(20);

/// The page has no way to look a message up.
const NO_LOOK_UP: &str = "NO_LOOK_UP";

/// The page lacks what new Signal sessions are begun with, in words of the scripts.
const NO_RESET: &str = "NO_RESET";

/// The account is in no such group.
pub(super) const NOT_IN_GROUP: &str = "NOT_IN_GROUP";

/// The message that is to be answered is not in the chat, or cannot be answered.
const NO_QUOTE: &str = "NO_QUOTE";

/// The chat has another address by now.
const MOVED: &str = "MOVED";

/// Verdicts that may wait for the listener, which takes each at once; one too many is given again by the next send.
pub(super) const VERDICT_CAPACITY: usize = 16;

/// An error of the page's may be a page long.
const LONGEST_WHY: usize = 120;

/// What a send has shown of an adapter, or a person wants of one.
#[derive(Debug)]
pub(super) enum Verdict {
    /// wa-js is to be loaded even if no adapter before it lacks anything.
    WaJsWanted,
    /// It failed, by no fault of the recipient, the message or the network.
    Failed { adapter: AdapterName, why: String },
    /// It sends.
    Worked { adapter: AdapterName },
}

/// What kind of error it was, by a code of the scripts or of the page. A page's code may be anything.
fn class_of(code: &str) -> &str {
    let is_code = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    if code.len() <= LONGEST_WHY && !code.is_empty() && code.chars().all(is_code) {
        code
    } else {
        "PAGE_ERROR"
    }
}

/// The senders of one page.
pub(super) struct Senders<'a> {
    pub(super) page: &'a Page,
    pub(super) away: &'a Away,
    pub(super) standing: &'a watch::Receiver<Standing>,
    pub(super) chat_ids: &'a ChatIds,
    /// Where the files lie that are to be sent.
    pub(super) media_dir: &'a Path,
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
    /// The page is between two documents, and has taken nothing.
    Interrupted(String),
    /// The chat has another address than the message was made ready for, and the page has taken nothing.
    Moved(String),
    /// The message that it was to answer is not there, and the page has taken nothing.
    NoQuote,
    Unknown(String),
}

impl Senders<'_> {
    /// Lets the first adapter that can make the message ready do so. Where the first one has done it for this chat before, it
    /// need not be asked.
    pub(super) async fn prepare(&self, outgoing: &Outgoing) -> Result<Prepared, PrepareError> {
        let mut standing = self.standing.clone();
        let is_decided = |standing: &Standing| !standing.undecided || !standing.is_last_resort();
        // Whatever it comes to, the senders of that moment try.
        drop(timeout(WA_JS_TIMEOUT, standing.wait_for(is_decided)).await);
        let senders = self.senders();
        if let Some(action) = outgoing.action() {
            return self.prepare_action(&senders, outgoing, action).await;
        }
        if let (Some(&first), Some(chat)) = (senders.first(), &outgoing.chat)
            && let Some(prepared) = self.chat_ids.prepare(first, chat, &outgoing.key)
        {
            self.stage(first, outgoing).await?;
            return Ok(prepared);
        }
        self.prepare_by(senders, outgoing).await
    }

    /// Lets the adapter that made the message ready hand it over. When it takes nothing, one behind it makes the message
    /// ready, and the caller, which keeps the ledger, says when that one may have it.
    pub(super) async fn hand_over(
        &self,
        prepared: &Prepared,
        outgoing: &Outgoing,
    ) -> Result<Handed, HandOverError> {
        if let Some(action) = outgoing.action() {
            return self.act(prepared, outgoing, action).await;
        }
        let adapter = prepared.adapter;
        let senders = self.senders();
        let (refused, is_own) = match self.hand_over_by(prepared, outgoing).await {
            Outcome::Handed(handed) => {
                self.chat_ids.learn(prepared, &outgoing.key);
                if self.standing.borrow().failing.contains(&adapter) {
                    self.judge(Verdict::Worked { adapter });
                }
                return Ok(handed);
            }
            Outcome::Unknown(why) => return Err(HandOverError::Unknown(why)),
            Outcome::Interrupted(why) => return Err(HandOverError::Interrupted(why)),
            // Each adapter would look for it in the same store.
            Outcome::NoQuote => return Err(HandOverError::NoQuote),
            // The page was not asked this time.
            Outcome::Moved(_) if self.chat_ids.forget(&prepared.chat) => {
                return Err(self.make_ready_again(senders, outgoing).await);
            }
            Outcome::Refused { why, is_own } => (why, is_own),
            Outcome::Moved(why) => (why, false),
        };
        let rest = if is_own {
            self.pass_over(adapter, &refused, &senders).await
        } else {
            behind(&senders, adapter).to_vec()
        };
        match self.prepare_by(rest, outgoing).await {
            Ok(next) => {
                tracing::warn!(
                    adapter = next.adapter.as_str(),
                    "an adapter did not take a message; trying {}",
                    next.adapter
                );
                Err(HandOverError::Passed(next))
            }
            Err(_) => Err(HandOverError::NotHanded(refused)),
        }
    }

    /// Asks about a chat that has moved to another address.
    async fn make_ready_again(
        &self,
        senders: Vec<AdapterName>,
        outgoing: &Outgoing,
    ) -> HandOverError {
        match self.prepare_by(senders, outgoing).await {
            Ok(next) => HandOverError::Passed(next),
            Err(
                PrepareError::Interrupted(why)
                | PrepareError::Unanswered(why)
                | PrepareError::NotUploaded(why)
                | PrepareError::Silent(why),
            ) => HandOverError::Interrupted(why),
            Err(
                why @ (PrepareError::NotOnWhatsApp
                | PrepareError::NotInGroup
                | PrepareError::Target(_)
                | PrepareError::Failed(_)
                | PrepareError::MediaRefused(_)
                | PrepareError::Stale(_)),
            ) => HandOverError::NotHanded(why.to_string()),
        }
    }

    /// Lets the first adapter that can ask WhatsApp about a number do so. On the screen a number is checked by opening its
    /// chat, which is more than a question.
    pub(super) async fn check_number(&self, number: &str) -> Result<Option<WaId>, PrepareError> {
        #[derive(Deserialize)]
        struct Answer {
            chat: Option<WaId>,
        }
        let mut failed = PrepareError::Interrupted("no adapter can check a number now".to_owned());
        let senders = self.senders();
        for &adapter in senders.iter().filter(|name| **name != AdapterName::Dom) {
            let argument = json!({ "to": number });
            let checked = bridge::call_within(
                self.page,
                adapter,
                "checkNumber",
                &argument,
                PREPARE_TIMEOUT,
            );
            failed = match checked.await {
                Ok(Answer { chat }) => return Ok(chat),
                Err(why) => PrepareError::Failed(why.detail),
            };
        }
        Err(failed)
    }

    /// Lets the first of `adapters` that can see WhatsApp's store find a message there.
    pub(super) async fn find(
        &self,
        adapters: &[AdapterName],
        look_up: &LookUp,
    ) -> Result<Option<i32>, LookUpError> {
        #[derive(Deserialize)]
        struct Answer {
            ack: Option<i32>,
        }
        let (message_id, key) = match look_up {
            LookUp::Message { message_id, key } => (message_id, key),
            LookUp::Action(outgoing) => {
                let lacking = || LookUpError::NoAdapter("it is no action".to_owned());
                let action = outgoing.action().ok_or_else(lacking)?;
                return self.find_action(adapters, outgoing, action).await;
            }
        };
        let (mut refusals, mut is_blind) = (Vec::new(), true);
        for &adapter in adapters.iter().filter(|name| **name != AdapterName::Dom) {
            let argument = json!({ "message_id": message_id, "key": key });
            let found =
                bridge::call_within(self.page, adapter, "lookUp", &argument, LOOK_UP_TIMEOUT);
            match found.await {
                Ok(Answer { ack }) => return Ok(ack),
                Err(why) => {
                    // One that is not loaded, or does not answer, may in a moment.
                    is_blind &= why.code == NO_LOOK_UP;
                    refusals.push(why.detail);
                }
            }
        }
        if refusals.is_empty() {
            refusals.push("on the screen a message cannot be found by its id".to_owned());
        }
        let why = refusals.join("; ");
        if is_blind {
            Err(LookUpError::NoAdapter(why))
        } else {
            Err(LookUpError::NoAnswer(why))
        }
    }

    /// Lets the first of `adapters` that knows how begin new Signal sessions. All of them use the same functions of the page:
    /// where one finds them missing, so do the others.
    pub(super) async fn reset_sessions(
        &self,
        adapters: &[AdapterName],
        whose: &Whose,
    ) -> Result<(), ResetError> {
        let argument = match whose {
            Whose::Recipient(Prepared { adapter, chat, .. }) => {
                // The screen does not say which address a chat has: there it is the number that was typed.
                json!({ "chat": chat, "asks": *adapter == AdapterName::Dom, "own": false })
            }
            Whose::OwnDevices => json!({ "own": true }),
        };
        for &adapter in adapters {
            let reset = bridge::call_within::<()>(
                self.page,
                adapter,
                "resetSessions",
                &argument,
                RESET_TIMEOUT,
            );
            match reset.await {
                Ok(()) => return Ok(()),
                // An operator's own script, of an earlier version.
                Err(why) if why.code == NO_SUCH_COMMAND => {}
                Err(why) if [NO_ANSWER, INTERRUPTED, NOT_LOADED].contains(&why.code.as_str()) => {
                    return Err(ResetError::NoAnswer(why.detail));
                }
                // Our own words. Those of an exception of the page may name a number or a message, and this goes into the log.
                Err(why) if why.code == NO_RESET => return Err(ResetError::Lacking(why.detail)),
                Err(why) => {
                    let class = class_of(&why.code);
                    return Err(ResetError::Lacking(format!(
                        "WhatsApp Web's own functions for it failed ({class})"
                    )));
                }
            }
        }
        let why = "no page script knows resetSessions (an older one in PAGE_SCRIPTS_DIR?)";
        Err(ResetError::Lacking(why.to_owned()))
    }

    /// The adapters that can send now, in the order in which they are tried.
    pub(super) fn senders(&self) -> Vec<AdapterName> {
        self.standing.borrow().senders.clone()
    }

    fn judge(&self, verdict: Verdict) {
        // A listener that has gone has no use for it.
        drop(self.verdicts.try_send(verdict));
    }

    /// An adapter has failed at its own part: it comes last from now on, and wa-js gets its turn if it has not had it.
    /// Answers which adapters try this send next: those after it among the `senders`, and those that can send since then.
    async fn pass_over(
        &self,
        adapter: AdapterName,
        why: &str,
        senders: &[AdapterName],
    ) -> Vec<AdapterName> {
        let rest = behind(senders, adapter);
        let is_known = self.standing.borrow().failing.contains(&adapter);
        let why = why.chars().take(LONGEST_WHY).collect();
        self.judge(Verdict::Failed { adapter, why });
        if is_known {
            return rest.to_vec();
        }
        let mut standing = self.standing.clone();
        let is_decided =
            |standing: &Standing| standing.failing.contains(&adapter) && !standing.undecided;
        match timeout(WA_JS_TIMEOUT, standing.wait_for(is_decided)).await {
            Ok(Ok(standing)) => {
                let has_its_chance =
                    |name: &&AdapterName| rest.contains(name) || !senders.contains(name);
                let next = standing.senders.iter().filter(has_its_chance);
                next.copied().collect()
            }
            Ok(Err(_)) | Err(_) => rest.to_vec(),
        }
    }

    async fn prepare_by(
        &self,
        senders: Vec<AdapterName>,
        outgoing: &Outgoing,
    ) -> Result<Prepared, PrepareError> {
        // The session is READY, so no sender at all is a page between two documents.
        let mut failed = PrepareError::Interrupted("no adapter can send now".to_owned());
        let mut unanswered = None;
        let mut rest = VecDeque::from(senders.clone());
        while let Some(adapter) = rest.pop_front() {
            if adapter == AdapterName::Dom {
                match self.typing().prepare(outgoing).await {
                    Err(PrepareError::Failed(why)) => failed = PrepareError::Failed(why),
                    prepared => return prepared,
                }
                continue;
            }
            let why = match self.make_ready(adapter, outgoing).await {
                Ok(prepared) => match self.stage(adapter, outgoing).await {
                    Ok(()) => return Ok(prepared),
                    // Another adapter finds the page's functions in another way.
                    Err(PrepareError::Failed(why)) => {
                        failed = PrepareError::Failed(why);
                        continue;
                    }
                    Err(why) => return Err(why),
                },
                Err(why) => why,
            };
            failed = match why.code.as_str() {
                "NOT_ON_WHATSAPP" => return Err(PrepareError::NotOnWhatsApp),
                NOT_IN_GROUP => return Err(PrepareError::NotInGroup),
                // WhatsApp's server did not answer: it answers no other adapter either.
                "CHECK_FAILED" => return Err(PrepareError::Unanswered(why.detail)),
                NO_ANSWER => {
                    unanswered.get_or_insert_with(|| why.detail.clone());
                    PrepareError::Unanswered(why.detail)
                }
                INTERRUPTED | NOT_LOADED => PrepareError::Interrupted(why.detail),
                // Other errors of the page may be about the recipient.
                "MISFIT" => {
                    rest = self.pass_over(adapter, &why.detail, &senders).await.into();
                    PrepareError::Failed(why.detail)
                }
                _ => PrepareError::Failed(why.detail),
            };
        }
        // What the last adapter could not do does not speak against a number that the first ones got no answer about.
        match (failed, unanswered) {
            (PrepareError::Failed(_), Some(why)) => Err(PrepareError::Unanswered(why)),
            (failed, _) => Err(failed),
        }
    }

    /// Has the file of a message uploaded, if it has one: so that it is on WhatsApp's server before the message is handed over.
    async fn stage(&self, adapter: AdapterName, outgoing: &Outgoing) -> Result<(), PrepareError> {
        let Some(medium) = &outgoing.extras.media else {
            return Ok(());
        };
        media::stage(self.page, adapter, self.media_dir, outgoing, medium).await
    }

    async fn make_ready(
        &self,
        adapter: AdapterName,
        outgoing: &Outgoing,
    ) -> Result<Prepared, CallError> {
        #[derive(Deserialize)]
        struct Answer {
            message_id: Option<WaId>,
            chat: WaId,
        }
        let argument = json!({ "key": outgoing.key, "to": outgoing.to, "chat": outgoing.chat });
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
            message_id: WaId,
        }
        let adapter = prepared.adapter;
        if adapter == AdapterName::Dom {
            return match self.typing().hand_over(outgoing).await {
                Ok(handed) => Outcome::Handed(handed),
                Err(Mistyped::Unsent(why)) => Outcome::Refused { why, is_own: false },
                Err(Mistyped::InDoubt(why)) => Outcome::Unknown(why),
            };
        }
        let mut argument = json!({
            "key": outgoing.key,
            "chat": prepared.chat,
            "message_id": prepared.message_id,
            "body": outgoing.body,
        });
        // By a name of its own: a script of an earlier version (PAGE_SCRIPTS_DIR) would send the text without the rest.
        let command = if outgoing.extras.is_none() {
            "handOver"
        } else {
            argument["extras"] = json!(*outgoing.extras);
            "handOverWithExtras"
        };
        let handed =
            bridge::call_within(self.page, adapter, command, &argument, CALL_TIMEOUT).await;
        match handed {
            Ok(Answer { key, message_id }) => Outcome::Handed(Handed { key, message_id }),
            Err(why) if [NO_ANSWER, INTERRUPTED, "IN_DOUBT"].contains(&why.code.as_str()) => {
                Outcome::Unknown(why.detail)
            }
            // The page was loaded again, and has the file no more.
            Err(why) if [NOT_LOADED, NOT_STAGED].contains(&why.code.as_str()) => {
                Outcome::Interrupted(why.detail)
            }
            Err(why) if why.code == MOVED => Outcome::Moved(why.detail),
            Err(why) if why.code == NO_QUOTE => Outcome::NoQuote,
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

/// Those of `senders` that have not had their chance when `adapter` has.
pub(super) fn behind(senders: &[AdapterName], adapter: AdapterName) -> &[AdapterName] {
    let tried = senders.iter().position(|name| *name == adapter);
    tried.map_or(&[], |at| &senders[at + 1..])
}
