//! How a start goes from phase to phase, and how each of them ends it.

use super::*;

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
async fn a_start_that_waits_for_its_turn_is_queued_and_no_time_runs() {
    let stage = Stage::new(2, 1);
    let (mut first, mut second) = (stage.session("1"), stage.session("2"));
    first.handle.start();
    let _page = first.opened().await;
    second.handle.start();
    let queued = second.reaches("INIT").await.phase.unwrap();
    assert_eq!((queued.name, queued.until), (Phase::Queued, None));
    // The first hangs, and has its turn for a while only.
    second.opened().await;
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
