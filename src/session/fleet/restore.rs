//! The sessions that should be up, started again when the service starts.
//!
//! Responsible for which, and in which order. That only a few start at once is seen to where all starts are; a session
//! itself refuses when it is not wanted any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::{sleep, timeout};

use crate::session::{
    ClienteId, ConnectError, Phase, Registry, SessionHandle, Snapshot, command::AskedBy,
    keeping::desired::Desired,
};

/// A start that there is no room for is asked for again after this: room comes when a session ends, which is seldom.
const RESTORE_RETRY: Duration = Duration::from_secs(5);

/// Those that only showed codes wait until every other one has had its turn to start, and no longer than this: a turn ends
/// after 20 s, and after 80 s at the very worst.
const FIRST_WAVE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Which sessions are to be started, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Waves {
    /// They were READY: callers who want to send wait for them.
    ready: Vec<(ClienteId, AskedBy)>,
    /// They showed codes, or are new.
    others: Vec<(ClienteId, AskedBy)>,
}

impl Waves {
    /// Those of `autostart` in any case; and if `restores`, those that are remembered to be up.
    pub(super) fn of(
        remembered: &BTreeMap<ClienteId, Desired>,
        autostart: &[ClienteId],
        restores: bool,
    ) -> Self {
        let always = autostart.iter().map(|id| (id, AskedBy::Caller));
        let wanted = remembered
            .iter()
            .filter(|(_, desired)| restores && desired.is_up())
            .map(|(id, _)| (id, AskedBy::Restore));
        let was_ready = |id: &ClienteId| remembered.get(id).is_some_and(Desired::was_ready);
        let mut seen = BTreeSet::new();
        let all = always.chain(wanted).filter(|(id, _)| seen.insert(*id));
        let (ready, others) = all
            .map(|(id, asked_by)| (id.clone(), asked_by))
            .partition(|(id, _)| was_ready(id));
        Self { ready, others }
    }

    /// All of them.
    pub(super) fn names(&self) -> impl Iterator<Item = &ClienteId> {
        let both = self.ready.iter().chain(&self.others);
        both.map(|(id, _)| id)
    }

    /// Starts them. Waits for turns and for room, and for no page.
    pub(super) async fn start(self, registry: Arc<Registry>) {
        let count = self.ready.len() + self.others.len();
        if count == 0 {
            return;
        }
        tracing::info!(
            sessions.were_ready = self.ready.len(),
            "starting the {count} sessions that should be up"
        );
        let mut started = Vec::new();
        for (id, asked_by) in &self.ready {
            started.extend(start(&registry, id, *asked_by).await);
        }
        let turns_are_over = async {
            for session in &started {
                has_had_its_turn(session).await;
            }
        };
        if timeout(FIRST_WAVE_TIMEOUT, turns_are_over).await.is_err() {
            tracing::warn!("some sessions are still waiting for their turn to start");
        }
        for (id, asked_by) in &self.others {
            start(&registry, id, *asked_by).await;
        }
    }
}

/// Asks a session to start until there is room for it.
async fn start(registry: &Registry, id: &ClienteId, asked_by: AskedBy) -> Option<SessionHandle> {
    let session = start_once_there_is_room(registry, id, asked_by).await;
    registry.sessions.lock().to_start.remove(id);
    session
}

async fn start_once_there_is_room(
    registry: &Registry,
    id: &ClienteId,
    asked_by: AskedBy,
) -> Option<SessionHandle> {
    let mut is_told = false;
    loop {
        let asked = async {
            let session = registry.find_or_create(id)?;
            session.start_for(asked_by).await?;
            Ok(session)
        };
        match asked.await {
            Ok(session) => return Some(session),
            Err(why @ ConnectError::Full(_)) => {
                if !is_told {
                    tracing::warn!(session.id = %id, "session {id} should be up and waits for room: {why}");
                }
                is_told = true;
            }
            Err(
                why @ (ConnectError::ShuttingDown
                | ConnectError::Failed(_)
                | ConnectError::NotPaired(_)
                | ConnectError::LinkedToAnother { .. }
                | ConnectError::LinkedElsewhere { .. }),
            ) => {
                tracing::debug!(session.id = %id, "session {id} was not started: {why}");
                return None;
            }
        }
        sleep(RESTORE_RETRY).await;
    }
}

/// Waits until its Chrome starts, or it has ended.
async fn has_had_its_turn(session: &SessionHandle) {
    let is_queued = |snapshot: &Snapshot| {
        let phase = snapshot.phase.as_ref().map(|phase| phase.name);
        phase == Some(Phase::Queued)
    };
    let mut snapshots = session.subscribe();
    // One whose actor is gone waits for nothing.
    drop(snapshots.wait_for(|snapshot| !is_queued(snapshot)).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wave: &[(ClienteId, AskedBy)]) -> Vec<&str> {
        wave.iter().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn ready_ones_come_first_and_named_ones_before_others() {
        let remembered: BTreeMap<ClienteId, Desired> = [
            ("1", r#"{"up":true}"#),
            ("2", r#"{"up":true,"was_ready":true}"#),
            ("3", r#"{"up":false,"was_ready":true}"#),
            ("4", r#"{"up":true,"was_ready":true}"#),
            ("5", r#"{"up":false,"was_ready":true}"#),
        ]
        .map(|(id, desired)| (id.parse().unwrap(), serde_json::from_str(desired).unwrap()))
        .into();
        let autostart = ["9", "5", "4", "9"].map(|id| id.parse().unwrap());
        let waves = Waves::of(&remembered, &autostart, true);
        assert_eq!(names(&waves.ready), ["5", "4", "2"]);
        assert_eq!(names(&waves.others), ["9", "1"]);
        // What its operator names is started, whatever a caller has asked for before.
        assert_eq!(waves.ready[0].1, AskedBy::Caller);
        assert_eq!(waves.ready[2].1, AskedBy::Restore);

        let told = Waves::of(&remembered, &autostart, false);
        assert_eq!(names(&told.ready), ["5", "4"]);
        assert_eq!(names(&told.others), ["9"]);
        assert_eq!(Waves::of(&BTreeMap::new(), &[], true), Waves::default());
    }
}
