//! How a start goes from phase to phase, and how each of them ends it.

use super::*;
use crate::session::EvidenceError;

/// What a start is in, once it is.
async fn phase(session: &mut Session, wanted: Phase) -> Snapshot {
    let is_in = |snapshot: &Snapshot| {
        snapshot
            .phase
            .as_ref()
            .is_some_and(|phase| phase.name == wanted)
    };
    let reached = timeout(NEVER, session.snapshots.wait_for(is_in)).await;
    reached
        .unwrap_or_else(|_| panic!("never in {wanted:?}"))
        .unwrap()
        .clone()
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
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    session.handle.start();
    let page = session.opened().await;
    let inject = phase(&mut session, Phase::Inject).await.phase.unwrap();
    let left = inject.until.unwrap().duration_since(inject.since);
    assert_eq!(left.as_secs(), 90);
    say(&page, splash()).await;
    phase(&mut session, Phase::Link).await;
    say(&page, syncing()).await;
    let sync = phase(&mut session, Phase::Sync).await;
    assert_eq!(sync.state, SessionState::Authenticated);
    say(&page, ready()).await;
    assert_eq!(session.reaches("READY").await.phase, None);
    say(&page, offline()).await;
    assert_eq!(session.reaches("AUTHENTICATED").await.phase, None);
    say(&page, login(Some("a"))).await;
    phase(&mut session, Phase::Link).await;
}

#[tokio::test(start_paused = true)]
async fn each_phase_ends_a_start_that_stays_in_it_and_is_named_afterwards() {
    for (stuck, says, code) in [
        (Phase::Launch, None, ReasonCode::LaunchTimeout),
        (Phase::Navigate, None, ReasonCode::NavigationFailed),
        (Phase::Inject, None, ReasonCode::PageNotRecognised),
        (Phase::Link, Some(splash()), ReasonCode::CodeTimeout),
        (
            Phase::Link,
            Some(Standing {
                login: true,
                ..splash()
            }),
            ReasonCode::CodeTimeout,
        ),
        (Phase::Link, Some(login(Some("a"))), ReasonCode::QrTimeout),
        (Phase::Sync, Some(syncing()), ReasonCode::SyncTimeout),
    ] {
        let stage = Stage::new(1, 1);
        let mut session = stage.session_stuck_in("51", Some(stuck));
        session.handle.start();
        session.reaches("INIT").await;
        let page = match says {
            Some(standing) => {
                let page = session.opened().await;
                say(&page, standing).await;
                Some(page)
            }
            None => None,
        };
        let ended = session.reaches("DISCONNECTED").await;
        let reason = ended.reason.unwrap();
        assert_eq!(reason.code, code, "{}", reason.detail);
        assert!(
            reason.detail.contains("_TIMEOUT_SECONDS"),
            "{}",
            reason.detail
        );
        assert_eq!((ended.phase, ended.failed_phase), (None, Some(stuck)));
        drop(page);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_no_adapter_can_send_by_is_not_taken_for_a_slow_sync() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    session.handle.start();
    let page = session.opened().await;
    let changed = Standing {
        senders: Vec::new(),
        missing: vec!["modules: WAWebCmd".to_owned()],
        ..ready()
    };
    say(&page, changed).await;
    let ended = session.reaches("DISCONNECTED").await;
    assert_eq!(ended.failed_phase, Some(Phase::Sync));
    let reason = ended.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::AdapterBroken);
    assert!(reason.detail.contains("WAWebCmd"), "{}", reason.detail);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_waits_for_its_turn_is_queued_and_no_time_runs() {
    let stage = Stage::new(2, 1);
    let (mut first, mut second) = (stage.session("1"), stage.session("2"));
    first.handle.start();
    let _page = first.opened().await;
    second.handle.start();
    let queued = second.reaches("INIT").await.phase.unwrap();
    assert_eq!((queued.name, queued.until), (Phase::Queued, None));
    // The first hangs, and has its turn for a while only. The second page is kept: one that is not heard any more ends the phase
    // before this test has seen it.
    let _page = second.opened().await;
    phase(&mut second, Phase::Inject).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_called_off_has_not_failed_and_the_next_forgets_a_failure() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session_stuck_in("51", Some(Phase::Launch));
    session.handle.start();
    session.reaches("INIT").await;
    session.reaches("DISCONNECTED").await;
    assert_eq!(session.handle.snapshot().failed_phase, Some(Phase::Launch));
    session.handle.start();
    let again = phase(&mut session, Phase::Launch).await;
    assert_eq!(again.failed_phase, None);
    session.handle.disconnect(false).await.unwrap();
    assert_eq!(session.handle.snapshot().failed_phase, None);
}

#[tokio::test(start_paused = true)]
async fn trouble_fails_a_start_in_the_phase_in_which_it_was_seen() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    session.handle.start();
    let page = session.opened().await;
    phase(&mut session, Phase::Inject).await;
    let trouble = Some(Trouble::UpdateRequired);
    say(
        &page,
        Standing {
            trouble,
            ..splash()
        },
    )
    .await;
    assert_eq!(
        session.reaches("ERROR").await.failed_phase,
        Some(Phase::Inject)
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_leaves_evidence_before_its_state_says_so() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session_stuck_in("51", Some(Phase::Navigate));
    session.handle.start();
    session.reaches("INIT").await;
    session.reaches("DISCONNECTED").await;
    let kept = stage.evidence("51").latest().await.unwrap().unwrap();
    assert_eq!(
        (kept.phase, kept.reason.as_deref()),
        (Some(Phase::Navigate), Some("NAVIGATION_FAILED"))
    );
    assert_eq!(kept.url.as_deref(), Some("about:blank"));
    assert_eq!(
        stage.evidence("51").screenshot().await.unwrap(),
        Some(vec![1])
    );
    session.opened().await;
    assert!(matches!(session.calls.recv().await, Some(Call::LookedAt)));
    assert!(matches!(session.calls.recv().await, Some(Call::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_before_there_is_a_page_leaves_words_only() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session_stuck_in("51", Some(Phase::Launch));
    session.handle.start();
    session.reaches("INIT").await;
    session.reaches("DISCONNECTED").await;
    let kept = stage.evidence("51").latest().await.unwrap().unwrap();
    assert_eq!(kept.reason.as_deref(), Some("LAUNCH_TIMEOUT"));
    assert_eq!(kept.screenshot, None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_somebody_ends_leaves_no_evidence() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    session.handle.disconnect(false).await.unwrap();
    assert_eq!(stage.evidence("51").latest().await.unwrap(), None);
    assert!(matches!(session.calls.recv().await, Some(Call::Closed)));
}

#[tokio::test(start_paused = true)]
async fn evidence_is_taken_of_a_running_page_when_somebody_asks_and_goes_with_the_link() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let refused = session.handle.take_evidence().await.unwrap_err();
    assert!(matches!(refused, EvidenceError::NotRunning), "{refused:?}");

    let _page = session.ready().await;
    let taken = session.handle.take_evidence().await.unwrap();
    assert_eq!((taken.reason.as_deref(), taken.phase), (None, None));
    let kept = stage.evidence("51").latest().await.unwrap();
    assert_eq!(kept, Some(taken));

    session.handle.disconnect(true).await.unwrap();
    assert_eq!(stage.evidence("51").latest().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn any_number_of_callers_who_ask_for_evidence_at_once_share_one_look() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let take = || session.handle.take_evidence();
    let taken = tokio::join!(take(), take(), take(), take());
    let first = taken.0.unwrap();
    for other in [taken.1, taken.2, taken.3] {
        assert_eq!(other.unwrap(), first);
    }
    assert!(matches!(session.calls.try_recv(), Ok(Call::LookedAt)));
    assert!(session.calls.try_recv().is_err(), "it was looked at twice");
    session.handle.take_evidence().await.unwrap();
    assert!(matches!(session.calls.try_recv(), Ok(Call::LookedAt)));
}
