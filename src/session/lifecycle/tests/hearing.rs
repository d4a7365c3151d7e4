//! What a page hears, and what the session makes of it.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;

use super::scenario::{Scenario, Stage, until};
use crate::{
    heard::Content,
    ledger::{EventKind, EventQuery, Page},
    session::{HearingState, Snapshot},
    whatsapp::{AdapterName, Fact, Hear, Heard, HeardBatch, Said},
};

/// What a page has heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Ears(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    /// With their numbers; `None` for one that the service does not understand.
    waiting: Vec<(u64, Option<Said>)>,
    count: u64,
    questions: Vec<Hear>,
}

impl Ears {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }

    /// Answers as the script of a page does.
    pub(super) fn hear(&self, ask: &Hear) -> HeardBatch {
        let memory = &mut *self.lock();
        let upto = ask.confirmed.as_ref().map_or(0, |confirmed| confirmed.upto);
        memory.waiting.retain(|(n, _)| *n > upto);
        memory.questions.push(ask.clone());
        HeardBatch {
            document: "1".to_owned(),
            upto: memory.waiting.last().map_or(0, |(n, _)| *n),
            by: Some(AdapterName::Modules),
            lacks: Vec::new(),
            phone: None,
            lid: None,
            is_walking: false,
            trouble: None,
            said: memory
                .waiting
                .iter()
                .filter_map(|(_, said)| said.clone())
                .collect(),
            not_understood: memory
                .waiting
                .iter()
                .filter(|(_, said)| said.is_none())
                .count(),
        }
    }
}

impl Ears {
    /// Hears a text with this key.
    fn hears(&self, key: &str) {
        let content: Content = serde_json::from_value(json!({
            "kind": "message",
            "data": {
                "id": format!("false_5491150002222@c.us_{key}"), "key": key, "chat": "5491150002222@c.us", "is_group": false,
                "from": {"phone": "5491150002222", "lid": null, "name": "Ana"}, "kind": "text", "text": "Hola",
            },
        }))
        .unwrap();
        let heard = Heard::new(content, key, "5491150002222@c.us", Timestamp::now());
        self.keeps(Some(Said::Event(Box::new(heard))));
    }

    fn keeps(&self, said: Option<Said>) {
        let memory = &mut *self.lock();
        memory.count += 1;
        memory.waiting.push((memory.count, said));
    }

    fn last_question(&self) -> Hear {
        self.lock().questions.last().unwrap().clone()
    }
}

async fn written(stage: &Stage) -> usize {
    let query = EventQuery {
        kinds: vec![EventKind::Message],
        limit: 100,
        ..EventQuery::default()
    };
    match stage.ledger.events(query).await {
        Ok(Page::Events { events, .. }) => events.len(),
        Ok(Page::Expired { .. }) | Err(_) => 0,
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_may_forget_what_it_has_heard_only_once_that_is_on_disk() {
    let mut session = Scenario::ready().await;
    let ears = session.plan.ears.clone();
    let live = |snapshot: &Snapshot| snapshot.hearing.state == HearingState::Live;
    session.sees(live).await;
    session.stage.break_ledger();
    ears.hears("3A01");
    session.tells(Fact::Heard).await;
    let paused = |snapshot: &Snapshot| snapshot.hearing.state == HearingState::Paused;
    session.sees(paused).await;
    assert_eq!(ears.lock().waiting.len(), 1);
    session.stage.mend_ledger();
    until(async || written(&session.stage).await == 1).await;
    until(async || ears.lock().waiting.is_empty()).await;
    assert_eq!(ears.last_question().confirmed.unwrap().upto, 1);
    session.sees(live).await;
    // The same once more is not written again.
    ears.hears("3A01");
    ears.hears("3A02");
    session.tells(Fact::Heard).await;
    until(async || written(&session.stage).await == 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_confirmed_and_what_comes_after_it_is_heard() {
    let session = Scenario::ready().await;
    let ears = session.plan.ears.clone();
    ears.keeps(None);
    session.tells(Fact::Heard).await;
    until(async || ears.lock().waiting.is_empty()).await;
    assert_eq!(ears.last_question().confirmed.unwrap().upto, 1);
    ears.hears("3A01");
    session.tells(Fact::Heard).await;
    until(async || written(&session.stage).await == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_was_there_before_the_service_listened_is_heard_from_now_on_and_a_new_one_from_its_scan()
 {
    let mut session = Scenario::ready().await;
    let ears = session.plan.ears.clone();
    session
        .sees(|snapshot| snapshot.hearing.state == HearingState::Live)
        .await;
    let first = ears.last_question();
    assert_eq!(first.since, first.floor);
    let age = Timestamp::now().duration_since(first.floor).unsigned_abs();
    assert!(age < Duration::from_secs(60), "{age:?}");
    assert_eq!(first.walks, 1);
    // A page that was away is searched again.
    session.is_back().await;
    session.tells(Fact::Heard).await;
    until(async || ears.last_question().walks == 2).await;
    assert_eq!(ears.last_question().floor, first.floor);
}
