//! How a start goes from phase to phase, and how each of them ends it.

use super::*;
use crate::session::{Evidence, EvidenceError, EvidenceFolder};

impl Scenario {
    /// Waits until its start is in this phase.
    async fn is_in(&mut self, wanted: Phase) -> Snapshot {
        let is_in = |now: &Snapshot| now.phase.as_ref().is_some_and(|phase| phase.name == wanted);
        self.sees(is_in).await
    }

    /// Starts, gets stuck, and is given up.
    async fn fails_to_start(&mut self) -> Snapshot {
        self.handle.start();
        self.reaches("INIT").await;
        self.reaches("DISCONNECTED").await
    }

    fn evidence_folder(&self) -> EvidenceFolder {
        EvidenceFolder::new(self.stage.path("evidence/51"))
    }

    async fn evidence(&self) -> Option<Evidence> {
        self.evidence_folder().latest().await.unwrap()
    }
}

fn splash() -> Standing {
    Standing {
        recognised: true,
        ..Standing::default()
    }
}

fn syncing() -> Standing {
    Standing {
        senders: Vec::new(),
        ..offline()
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_shows_its_phase_and_its_limit_until_it_is_ready() {
    let mut session = Scenario::new();
    session.starts().await;
    let inject = session.is_in(Phase::Inject).await.phase.unwrap();
    let left = inject.until.unwrap().duration_since(inject.since);
    assert_eq!(left.as_secs(), 90);
    session.says(splash()).await;
    session.is_in(Phase::Link).await;
    session.says(syncing()).await;
    let sync = session.is_in(Phase::Sync).await;
    assert_eq!(sync.state, SessionState::Authenticated);
    assert_eq!(session.shows(ready(), "READY").await.phase, None);
    let lost = session.shows(offline(), "AUTHENTICATED").await;
    assert_eq!(lost.phase, None);
    session.says(login(Some("a"))).await;
    session.is_in(Phase::Link).await;
}

#[tokio::test(start_paused = true)]
async fn each_phase_ends_a_start_that_stays_in_it_and_is_named_afterwards() {
    let no_code = Standing {
        login: true,
        ..splash()
    };
    // It explains a READY session, and ends none.
    let noticed = Standing {
        notice: Some("We have updated our terms".to_owned()),
        ..syncing()
    };
    for (stuck, says, code) in [
        (Phase::Launch, None, ReasonCode::LaunchTimeout),
        (Phase::Navigate, None, ReasonCode::NavigationFailed),
        (Phase::Inject, None, ReasonCode::PageNotRecognised),
        (Phase::Link, Some(splash()), ReasonCode::CodeTimeout),
        (Phase::Link, Some(no_code), ReasonCode::CodeTimeout),
        (Phase::Link, Some(login(Some("a"))), ReasonCode::QrTimeout),
        (Phase::Sync, Some(syncing()), ReasonCode::SyncTimeout),
        (Phase::Sync, Some(noticed), ReasonCode::SyncTimeout),
    ] {
        let mut session = Scenario::new().stuck_in(stuck);
        session.handle.start();
        session.reaches("INIT").await;
        if let Some(standing) = says {
            session.asks(Call::Opened).await;
            session.says(standing).await;
        }
        let ended = session.reaches("DISCONNECTED").await;
        assert_eq!((ended.phase, ended.failed_phase), (None, Some(stuck)));
        let reason = ended.reason.unwrap();
        assert_eq!(reason.code, code, "{}", reason.detail);
        let named = reason.detail.contains("_TIMEOUT_SECONDS");
        assert!(named, "{}", reason.detail);
        // Its caller may repeat it.
        assert_eq!(ended.retry_at, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_no_adapter_can_send_by_is_not_taken_for_a_slow_sync() {
    let mut session = Scenario::new();
    session.starts().await;
    let changed = Standing {
        senders: Vec::new(),
        missing: vec!["modules: WAWebCmd".to_owned()],
        ..ready()
    };
    let ended = session.shows(changed, "DISCONNECTED").await;
    assert_eq!(ended.failed_phase, Some(Phase::Sync));
    let reason = ended.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::AdapterBroken);
    assert!(reason.detail.contains("WAWebCmd"), "{}", reason.detail);
}

#[tokio::test(start_paused = true)]
async fn a_notice_explains_a_session_that_is_ready_and_not_why_it_is_not_any_more() {
    let noticed = |standing: Standing| Standing {
        notice: Some("We have updated our terms".to_owned()),
        ..standing
    };
    let mut session = Scenario::new();
    session.starts().await;
    session.says(noticed(ready())).await;
    session.reaches_for("READY", ReasonCode::NoticeShown).await;
    session.says(noticed(offline())).await;
    session
        .reaches_for("AUTHENTICATED", ReasonCode::NetworkLost)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_waits_for_its_turn_is_queued_and_no_time_runs() {
    let stage = Stage::of_two(1);
    let (mut first, mut second) = (Scenario::of(&stage, "1"), Scenario::of(&stage, "2"));
    first.starts().await;
    second.handle.start();
    let queued = second.reaches("INIT").await.phase.unwrap();
    assert_eq!((queued.name, queued.until), (Phase::Queued, None));
    second.has_asked_nothing();
    // The first hangs, and has its turn for a while only.
    second.asks(Call::Opened).await;
    second.is_in(Phase::Inject).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_called_off_has_not_failed_and_the_next_forgets_a_failure() {
    let mut session = Scenario::new().stuck_in(Phase::Launch);
    let failed = session.fails_to_start().await;
    assert_eq!(failed.failed_phase, Some(Phase::Launch));
    session.handle.start();
    assert_eq!(session.is_in(Phase::Launch).await.failed_phase, None);
    session.disconnects().await;
    assert_eq!(session.snapshot().failed_phase, None);
}

#[tokio::test(start_paused = true)]
async fn trouble_fails_a_start_in_the_phase_in_which_it_was_seen() {
    let mut session = Scenario::new();
    session.starts().await;
    session.is_in(Phase::Inject).await;
    let trouble = Standing {
        trouble: Some(Trouble::UpdateRequired),
        ..splash()
    };
    let failed = session.shows(trouble, "ERROR").await;
    assert_eq!(failed.failed_phase, Some(Phase::Inject));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_leaves_evidence_before_its_state_says_so() {
    let mut session = Scenario::new().stuck_in(Phase::Navigate);
    session.fails_to_start().await;
    let kept = session.evidence().await.unwrap();
    assert_eq!(
        (kept.phase, kept.reason.as_deref()),
        (Some(Phase::Navigate), Some("NAVIGATION_FAILED"))
    );
    assert_eq!(kept.url.as_deref(), Some("about:blank"));
    let picture = session.evidence_folder().screenshot().await;
    assert_eq!(picture.unwrap(), Some(vec![1]));
    for call in [Call::Opened, Call::LookedAt, Call::Closed] {
        assert_eq!(session.calls.recv().await, Some(call));
    }
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_before_there_is_a_page_leaves_words_only() {
    let mut session = Scenario::new().stuck_in(Phase::Launch);
    session.fails_to_start().await;
    let kept = session.evidence().await.unwrap();
    assert_eq!(kept.reason.as_deref(), Some("LAUNCH_TIMEOUT"));
    assert_eq!(kept.screenshot, None);
}

#[tokio::test(start_paused = true)]
async fn evidence_is_taken_of_a_running_page_when_a_caller_asks_and_goes_with_the_link() {
    let mut session = Scenario::new();
    let refused = session.handle.take_evidence().await;
    assert_is!(refused, Err(EvidenceError::NotRunning));
    session.becomes_ready().await;
    let taken = session.handle.take_evidence().await.unwrap();
    assert_eq!((taken.reason.as_deref(), taken.phase), (None, None));
    assert_eq!(session.evidence().await, Some(taken));
    session.handle.disconnect(true).await.unwrap();
    assert_eq!(session.evidence().await, None);
}

#[tokio::test(start_paused = true)]
async fn any_number_of_callers_who_ask_for_evidence_at_once_share_one_look() {
    let mut session = Scenario::ready().await;
    let take = || session.handle.take_evidence();
    let (first, second, third) = tokio::join!(take(), take(), take());
    let first = first.unwrap();
    assert_eq!((second.unwrap(), third.unwrap()), (first.clone(), first));
    assert_is!(session.calls.try_recv(), Ok(Call::LookedAt));
    session.has_asked_nothing();
    session.handle.take_evidence().await.unwrap();
    assert_is!(session.calls.try_recv(), Ok(Call::LookedAt));
    // One that a caller ends leaves none.
    session.ends().await;
    session.has_asked_nothing();
}
