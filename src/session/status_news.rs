//! `session.status`: the log of events learns each change of a session's state, and of the reason for it.
//!
//! Written by the one place that publishes, so the log has the order in which callers saw the changes. The actor waits for no disk:
//! the ledger keeps what it cannot write yet. What else changes in a snapshot, such as how far the chats are synced or which code is
//! shown, is no event.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ClienteId, ReasonCode, Snapshot};
use crate::ledger::{EventKind, Ledger, Me, NewEvent};

/// What `data` says in an event `session.status`: as in the answer of `GET /status`.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusNews {
    /// Where the session stands.
    #[schema(value_type = String, example = "READY")]
    state: &'static str,
    /// Why, when that needs saying: a code of docs/reasons.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<&'static str>,
    /// The same for a person, with the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// What tells one event from the next: callers see READY also of a session that hibernates.
type Shown = (&'static str, Option<ReasonCode>);

/// What a snapshot shows of it.
pub(super) fn shown(snapshot: &Snapshot) -> Shown {
    let reason = snapshot.reason.as_ref().map(|reason| reason.code);
    (snapshot.state.name(), reason)
}

/// Where one session writes its changes.
#[derive(Debug)]
pub(super) struct StatusLog {
    session: ClienteId,
    ledger: Ledger,
}

impl StatusLog {
    pub(super) const fn new(session: ClienteId, ledger: Ledger) -> Self {
        Self { session, ledger }
    }

    /// Writes down how the session stands now, if that is news to a reader who saw `before`.
    pub(super) fn follow(&self, before: Shown, snapshot: &Snapshot) {
        let (state, reason) = shown(snapshot);
        if before == (state, reason) {
            return;
        }
        let news = StatusNews {
            state,
            reason: reason.map(ReasonCode::as_str),
            detail: snapshot.reason.as_ref().map(|reason| reason.detail.clone()),
        };
        // Three texts can always be written as JSON.
        let Ok(data) = serde_json::to_string(&news) else {
            return;
        };
        self.ledger.note_event(NewEvent {
            session: self.session.to_string(),
            kind: EventKind::Status,
            // The same state comes repeatedly, and each time is another event.
            once: format!("status {:032x}", rand::random::<u128>()).into(),
            who: None,
            chat: None,
            me: Me {
                phone: snapshot.linked_account().cloned(),
                lid: None,
            },
            happened_at: Timestamp::now(),
            is_late: false,
            data: data.into(),
            own_key: None,
        });
    }
}
