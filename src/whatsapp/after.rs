//! What is done to messages that are there, and in chats, by whichever adapter can.
//!
//! Invariant: what is done to a message may be done twice, so an adapter that says that it failed makes room for the next one. One
//! that says nothing does not: what became of it is looked up.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    AdapterName, ChatAct, ChatActError, HandOverError, Handed, LookUpError, Outgoing, PrepareError,
    Prepared, TargetError,
    bridge::{self, CALL_TIMEOUT, INTERRUPTED, NO_ANSWER, NO_SUCH_COMMAND, NOT_LOADED},
    sending::{LOOK_UP_TIMEOUT, NOT_IN_GROUP, PREPARE_TIMEOUT, Senders, behind},
};
use crate::{
    extras::Action,
    masked::{Number, WaId},
};

/// The message is not there, and nothing tells what became of it.
const GONE: &str = "GONE";

/// WhatsApp said no, and nothing is done.
const REFUSED: &str = "REFUSED";

/// There is no such chat.
const NO_CHAT: &str = "NO_CHAT";

/// What an adapter cannot do that works on the screen.
const ON_SCREEN: &str = "no adapter can do this now: on the screen only plain texts are sent";

/// What a code of the scripts says of the message that is meant.
fn target_error(code: &str) -> Option<TargetError> {
    match code {
        "NO_MESSAGE" => Some(TargetError::NoMessage),
        "NOT_EDITABLE" => Some(TargetError::NotEditable),
        "NOT_REVOCABLE" => Some(TargetError::NotRevocable),
        _ => None,
    }
}

/// What the scripts get to know of it.
fn argument(outgoing: &Outgoing, action: &Action, chat: Option<&WaId>) -> Value {
    let Action { kind, key, id } = action;
    json!({
        "send": outgoing.key,
        "kind": kind,
        "key": key,
        "id": id,
        "to": outgoing.to,
        "chat": chat,
        // As it is handed over, so that it is found again.
        "body": outgoing.with_one_line_break().body,
    })
}

/// Those that do more than work on the screen.
fn beyond_the_screen(adapters: &[AdapterName]) -> impl Iterator<Item = AdapterName> {
    let adapters = adapters.iter().copied();
    adapters.filter(|name| *name != AdapterName::Dom)
}

impl Senders<'_> {
    /// Lets the first of `adapters` that can find the message, and see that WhatsApp allows what is to be done to it.
    pub(super) async fn prepare_action(
        &self,
        adapters: &[AdapterName],
        outgoing: &Outgoing,
        action: &Action,
    ) -> Result<Prepared, PrepareError> {
        #[derive(Deserialize)]
        struct Answer {
            chat: WaId,
        }
        let mut failed = if adapters.is_empty() {
            PrepareError::Interrupted("no adapter can send now".to_owned())
        } else {
            PrepareError::Failed(ON_SCREEN.to_owned())
        };
        let argument = argument(outgoing, action, outgoing.chat.as_ref());
        for adapter in beyond_the_screen(adapters) {
            let asked = bridge::call_within(
                self.page,
                adapter,
                "prepareAfter",
                &argument,
                PREPARE_TIMEOUT,
            );
            let why = match asked.await {
                Ok(Answer { chat }) => {
                    return Ok(Prepared {
                        adapter,
                        // WhatsApp Web gives what is done an id of its own.
                        message_id: None,
                        chat,
                    });
                }
                Err(why) => why,
            };
            if let Some(why) = target_error(&why.code) {
                return Err(why.into());
            }
            failed = match why.code.as_str() {
                "NOT_ON_WHATSAPP" => return Err(PrepareError::NotOnWhatsApp),
                NOT_IN_GROUP => return Err(PrepareError::NotInGroup),
                "CHECK_FAILED" | NO_ANSWER => return Err(PrepareError::Unanswered(why.detail)),
                INTERRUPTED | NOT_LOADED => PrepareError::Interrupted(why.detail),
                _ => PrepareError::Failed(why.detail),
            };
        }
        Err(failed)
    }

    /// Lets the adapter that has found the message do it, and waits until WhatsApp's server has it.
    pub(super) async fn act(
        &self,
        prepared: &Prepared,
        outgoing: &Outgoing,
        action: &Action,
    ) -> Result<Handed, HandOverError> {
        #[derive(Deserialize)]
        struct Answer {
            /// Of what was done, where WhatsApp Web gave it one.
            id: Option<WaId>,
            key: Option<String>,
        }
        let argument = argument(outgoing, action, Some(&prepared.chat));
        let asked = bridge::call_within(
            self.page,
            prepared.adapter,
            "handOverAfter",
            &argument,
            CALL_TIMEOUT,
        );
        let why = match asked.await {
            Ok(Answer { id, key }) => {
                return Ok(Handed {
                    key: key.unwrap_or_else(|| outgoing.key.clone()),
                    message_id: id.unwrap_or_else(|| outgoing.key.as_str().into()),
                });
            }
            Err(why) => why,
        };
        if let Some(why) = target_error(&why.code) {
            return Err(why.into());
        }
        match why.code.as_str() {
            NO_ANSWER | INTERRUPTED => Err(HandOverError::Unknown(why.detail)),
            NOT_LOADED => Err(HandOverError::Interrupted(why.detail)),
            REFUSED => Err(HandOverError::GivenUp(why.detail)),
            _ => {
                let senders = self.senders();
                let rest = behind(&senders, prepared.adapter);
                match self.prepare_action(rest, outgoing, action).await {
                    Ok(next) => Err(HandOverError::Passed(next)),
                    Err(_) => Err(HandOverError::NotHanded(why.detail)),
                }
            }
        }
    }

    /// Lets the first of `adapters` that can see whether it is done: 1 if it is, `None` if it is not.
    pub(super) async fn find_action(
        &self,
        adapters: &[AdapterName],
        outgoing: &Outgoing,
        action: &Action,
    ) -> Result<Option<i32>, LookUpError> {
        #[derive(Deserialize)]
        struct Answer {
            done: bool,
        }
        let argument = argument(outgoing, action, outgoing.chat.as_ref());
        let (mut refusals, mut is_blind) = (Vec::new(), true);
        for adapter in beyond_the_screen(adapters) {
            let found = bridge::call_within(
                self.page,
                adapter,
                "lookUpAfter",
                &argument,
                LOOK_UP_TIMEOUT,
            );
            match found.await {
                Ok(Answer { done }) => return Ok(done.then_some(1)),
                Err(why) if why.code == GONE => return Err(LookUpError::NoAdapter(why.detail)),
                Err(why) => {
                    is_blind &= why.code == NO_SUCH_COMMAND;
                    refusals.push(why.detail);
                }
            }
        }
        if refusals.is_empty() {
            refusals.push("on the screen it is not seen what was done to a message".to_owned());
        }
        let why = refusals.join("; ");
        if is_blind {
            Err(LookUpError::NoAdapter(why))
        } else {
            Err(LookUpError::NoAnswer(why))
        }
    }

    /// Lets the first of `adapters` that can do something in a chat do it.
    pub(super) async fn in_chat(
        &self,
        adapters: &[AdapterName],
        to: &Number,
        chat: Option<&WaId>,
        act: ChatAct,
    ) -> Result<(), ChatActError> {
        let act = match act {
            ChatAct::Seen => "seen",
            ChatAct::Typing => "typing",
            ChatAct::Recording => "recording",
            ChatAct::Paused => "paused",
        };
        let argument = json!({ "to": to, "chat": chat, "act": act });
        let mut failed = ON_SCREEN.to_owned();
        for adapter in beyond_the_screen(adapters) {
            let done =
                bridge::call_within::<()>(self.page, adapter, "inChat", &argument, PREPARE_TIMEOUT);
            match done.await {
                Ok(()) => return Ok(()),
                Err(why) if why.code == NO_CHAT => return Err(ChatActError::NoChat),
                Err(why) => failed = why.detail,
            }
        }
        Err(ChatActError::Failed(failed))
    }
}
