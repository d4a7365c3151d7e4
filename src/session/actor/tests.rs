//! The actor against a scripted page, in paused time: minutes pass in no time, and nothing depends on the machine.

mod kill_points;
mod pairing;
mod starts;

use std::{num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Actor, ActorOptions};
use crate::{
    browser::Closed,
    ledger::{Ledger, LedgerOptions, SendState},
    session::{
        ConnectError, DisconnectOutcome, EvidenceFolder, Phase, ReasonCode, SendError, SendLimits,
        SendRequest, SessionHandle, SessionState, Snapshot, StartLimits, TextMessage, WaitFor,
    },
    whatsapp::{
        AdapterName, Driver, Fact, HandOverError, Handed, LeftOut, LogoutError, LookUp,
        LookUpError, OpenError, Outgoing, PageEvidence, PairingError, PrepareError, Prepared,
        Standing, Trouble,
    },
};

/// Far more than any deadline of a session: what has not happened by then never does.
const NEVER: Duration = Duration::from_secs(3600);

/// A page that does what the test says.
#[derive(Debug)]
struct Scripted {
    script: Script,
}

/// What all of a session's pages do.
#[derive(Clone, Debug)]
struct Script {
    calls: mpsc::Sender<Call>,
    /// The phase that never ends.
    stuck_in: Option<Phase>,
}

/// What a session did to its page.
#[derive(Debug)]
enum Call {
    /// It was opened; here are the page's lips.
    Opened(mpsc::Sender<Fact>),
    RefreshCodes,
    /// For which number, and whether in place of an expired one.
    PairingCode(String, bool),
    HandedOver(Outgoing),
    LoggedOut,
    TakenOver,
    LookedAt,
    Closed,
}

impl Driver for Scripted {
    type Settings = Script;

    async fn open(
        script: &Script,
        _profile: &Path,
        facts: mpsc::Sender<Fact>,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        if script.stuck_in == Some(Phase::Launch) {
            stop.cancelled().await;
        }
        let opened = stop.run_until_cancelled(script.calls.send(Call::Opened(facts)));
        opened.await.ok_or(OpenError::Cancelled)?.unwrap();
        Ok(Self {
            script: script.clone(),
        })
    }

    async fn navigate(&self) -> Result<(), String> {
        if self.script.stuck_in == Some(Phase::Navigate) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn chrome_pid(&self) -> Option<u32> {
        None
    }

    async fn refresh_codes(&self) -> Result<(), String> {
        self.script.calls.send(Call::RefreshCodes).await.unwrap();
        Ok(())
    }

    async fn request_pairing_code(
        &self,
        phone: &str,
        is_renewal: bool,
    ) -> Result<(), PairingError> {
        let asked = Call::PairingCode(phone.to_owned(), is_renewal);
        self.script.calls.send(asked).await.unwrap();
        if phone.ends_with("0000") {
            return Err(PairingError::Refused("no such account".to_owned()));
        }
        Ok(())
    }

    async fn check_number(&self, _number: &str) -> Result<Option<String>, PrepareError> {
        Ok(None)
    }

    async fn look_up(&self, _look_up: &LookUp) -> Result<Option<i32>, LookUpError> {
        Ok(None)
    }

    async fn prepare(&self, outgoing: &Outgoing) -> Result<Prepared, PrepareError> {
        if outgoing.to.ends_with("0000") {
            return Err(PrepareError::NotOnWhatsApp);
        }
        let chat = format!("{}@c.us", outgoing.to);
        Ok(Prepared {
            adapter: AdapterName::Modules,
            message_id: Some(message_id(&chat, outgoing)),
            chat,
        })
    }

    async fn hand_over(
        &self,
        prepared: &Prepared,
        outgoing: &Outgoing,
    ) -> Result<Handed, HandOverError> {
        self.script
            .calls
            .send(Call::HandedOver(outgoing.clone()))
            .await
            .unwrap();
        Ok(Handed {
            key: outgoing.key.clone(),
            message_id: message_id(&prepared.chat, outgoing),
        })
    }

    async fn take_over(&self) -> Result<(), String> {
        self.script.calls.send(Call::TakenOver).await.unwrap();
        Ok(())
    }

    async fn log_out(&self) -> Result<(), LogoutError> {
        self.script.calls.send(Call::LoggedOut).await.unwrap();
        Ok(())
    }

    async fn evidence(&self) -> PageEvidence {
        self.script.calls.send(Call::LookedAt).await.unwrap();
        PageEvidence {
            url: Some("about:blank".to_owned()),
            title: None,
            chrome_version: "156.0.0.0".to_owned(),
            console: Err(LeftOut::Chats),
            screenshot: Ok(vec![1]),
        }
    }

    async fn close(self) -> Closed {
        self.script.calls.send(Call::Closed).await.unwrap();
        Closed::Asked
    }
}

fn message_id(chat: &str, outgoing: &Outgoing) -> String {
    format!("true_{chat}_{}", outgoing.key)
}

/// What several sessions share, and the profile folder that they pretend to have.
struct Stage {
    capacity: Arc<Semaphore>,
    starts: Arc<Semaphore>,
    stop: CancellationToken,
    folder: tempfile::TempDir,
    ledger: Ledger,
}

impl Stage {
    fn new(capacity: usize, starts: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, keeper) = Ledger::new(LedgerOptions {
            folder: folder.path().join("ledger"),
            idempotency: NEVER,
            retention: NEVER,
        });
        tokio::spawn(keeper.run());
        Self {
            capacity: Arc::new(Semaphore::new(capacity)),
            starts: Arc::new(Semaphore::new(starts)),
            stop: CancellationToken::new(),
            folder,
            ledger,
        }
    }

    fn evidence(&self, id: &str) -> EvidenceFolder {
        EvidenceFolder::new(self.folder.path().join("evidence").join(id))
    }

    fn session(&self, id: &str) -> Session {
        self.session_stuck_in(id, None)
    }

    fn session_stuck_in(&self, id: &str, stuck_in: Option<Phase>) -> Session {
        let (calls_tx, calls) = mpsc::channel(64);
        let (handle, actor) = Actor::<Scripted>::new(ActorOptions {
            id: id.parse().unwrap(),
            profile: self.folder.path().join(id),
            evidence: self.evidence(id),
            page: Script {
                calls: calls_tx,
                stuck_in,
            },
            capacity: Arc::clone(&self.capacity),
            starts: Arc::clone(&self.starts),
            limits: StartLimits::default(),
            pairing_life: Duration::from_secs(180),
            take_over: true,
            sends: SendLimits {
                queue_max: NonZeroUsize::new(100).unwrap(),
                rate_per_minute: None,
                wait: Duration::from_secs(45),
            },
            send_dedup: None,
            ledger: self.ledger.clone(),
            stop: self.stop.child_token(),
        });
        let task = tokio::spawn(actor.run());
        Session {
            snapshots: handle.subscribe(),
            handle,
            calls,
            task,
        }
    }
}

struct Session {
    handle: SessionHandle,
    snapshots: watch::Receiver<Snapshot>,
    calls: mpsc::Receiver<Call>,
    task: tokio::task::JoinHandle<()>,
}

impl Session {
    /// The next thing that it does to its page, but for looks at one that fails.
    async fn call(&mut self) -> Call {
        loop {
            let call = timeout(NEVER, self.calls.recv()).await;
            let call = call.expect("the page was asked for nothing").unwrap();
            if !matches!(call, Call::LookedAt) {
                return call;
            }
        }
    }

    async fn opened(&mut self) -> mpsc::Sender<Fact> {
        let Call::Opened(page) = self.call().await else {
            panic!("something else was asked of the page before it was opened");
        };
        page
    }

    /// Starts it and lets the page say that it can send.
    async fn ready(&mut self) -> mpsc::Sender<Fact> {
        self.handle.start();
        let page = self.opened().await;
        say(&page, ready()).await;
        self.reaches("READY").await;
        page
    }

    async fn reaches(&mut self, state: &str) -> Snapshot {
        let reached = self
            .snapshots
            .wait_for(|snapshot| snapshot.state.name() == state);
        let reached = timeout(NEVER, reached).await;
        reached
            .unwrap_or_else(|_| panic!("never became {state}"))
            .unwrap()
            .clone()
    }

    fn send(&self, to: &str) -> tokio::task::JoinHandle<Result<crate::session::Sent, SendError>> {
        let message = TextMessage {
            to: to.parse().unwrap(),
            body: "hola".to_owned(),
        };
        let request = SendRequest {
            message,
            cliente_id: "51".to_owned(),
            idempotency_key: None,
            waits: true,
        };
        let handle = self.handle.clone();
        tokio::spawn(async move { handle.send(request).await })
    }
}

async fn say(page: &mpsc::Sender<Fact>, standing: Standing) {
    page.send(Fact::Stands(standing)).await.unwrap();
}

fn login(code: Option<&str>) -> Standing {
    Standing {
        recognised: true,
        login: true,
        code: code.map(str::to_owned),
        codes_ended: code.is_none(),
        ..Standing::default()
    }
}

fn ready() -> Standing {
    Standing {
        recognised: true,
        linked: true,
        online: true,
        senders: vec![AdapterName::Modules],
        serving: Some(AdapterName::Modules),
        account: Some("5491100000001".to_owned()),
        ..Standing::default()
    }
}

fn offline() -> Standing {
    Standing {
        online: false,
        ..ready()
    }
}

/// The wait that callers have unless they say otherwise.
const USUAL_WAIT: WaitFor = WaitFor::Code(Duration::from_secs(8));

#[tokio::test(start_paused = true)]
async fn an_unscanned_code_disconnects_the_session_after_fresh_codes_were_asked_for() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    session.handle.start();
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    session.reaches("QR_REQUIRED").await;
    say(&page, login(None)).await;
    assert!(matches!(session.call().await, Call::RefreshCodes));
    say(&page, login(Some("b"))).await;
    let last = session.reaches("DISCONNECTED").await;
    assert_eq!(last.reason.unwrap().code, ReasonCode::QrTimeout);
    assert!(matches!(session.call().await, Call::Closed));
}

#[tokio::test(start_paused = true)]
async fn twenty_connects_at_once_open_one_page_and_get_one_answer() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let connects = (0..20).map(|_| {
        let handle = session.handle.clone();
        tokio::spawn(async move { handle.connect(USUAL_WAIT).await.unwrap().snapshot.revision })
    });
    let connects: Vec<_> = connects.collect();
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    let mut revisions = Vec::new();
    for connect in connects {
        revisions.push(connect.await.unwrap());
    }
    revisions.dedup();
    assert_eq!(revisions.len(), 1);
    assert!(
        session.calls.try_recv().is_err(),
        "a second page was opened"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connect_answers_at_its_deadline_when_the_page_takes_longer() {
    let stage = Stage::new(1, 1);
    let session = stage.session("51");
    let outcome = session.handle.connect(USUAL_WAIT).await.unwrap();
    assert_eq!(outcome.snapshot.state, SessionState::Init);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_page_is_never_recognised_says_so() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let failed = session.handle.connect(WaitFor::Ready).await.unwrap_err();
    assert!(
        matches!(&failed, ConnectError::Failed(reason) if reason.code == ReasonCode::PageNotRecognised),
        "{failed:?}"
    );
    session.opened().await;
    assert!(matches!(session.call().await, Call::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_healthy_reconnect_keeps_ready_and_a_lost_network_takes_it_away() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, offline()).await;
    tokio::time::advance(Duration::from_secs(3)).await;
    say(&page, ready()).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(session.handle.snapshot().state, SessionState::Ready);

    say(&page, offline()).await;
    let lost = session.reaches("AUTHENTICATED").await;
    assert_eq!(lost.reason.unwrap().code, ReasonCode::NetworkLost);
    say(&page, ready()).await;
    session.reaches("READY").await;
}

#[tokio::test(start_paused = true)]
async fn an_unlinked_session_asks_for_a_scan_and_says_why() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, login(Some("a"))).await;
    let unlinked = session.reaches("QR_REQUIRED").await;
    assert_eq!(unlinked.reason.unwrap().code, ReasonCode::Unlinked);
    assert_eq!(unlinked.account, None);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_whatsapp_removed_says_so_in_its_word() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let reason = "account_locked".to_owned();
    page.send(Fact::LoggedOut(reason)).await.unwrap();
    say(&page, login(Some("a"))).await;
    let reason = session.reaches("QR_REQUIRED").await.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::RemovedByWhatsApp);
    assert!(
        reason.detail.contains("account_locked"),
        "{}",
        reason.detail
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_opened_elsewhere_is_taken_back() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let elsewhere = Standing {
        online: false,
        trouble: Some(Trouble::OpenedElsewhere),
        ..ready()
    };
    say(&page, elsewhere).await;
    let asleep = session.reaches("AUTHENTICATED").await;
    assert_eq!(asleep.reason.unwrap().code, ReasonCode::OpenedElsewhere);
    assert!(matches!(session.call().await, Call::TakenOver));
    say(&page, ready()).await;
    assert_eq!(session.reaches("READY").await.reason, None);
}

#[tokio::test(start_paused = true)]
async fn trouble_that_needs_a_person_ends_the_session_with_its_reason() {
    for (trouble, code) in [
        (Trouble::UpdateRequired, ReasonCode::UpdateRequired),
        (Trouble::TemporarilyBanned, ReasonCode::TemporarilyBanned),
        (Trouble::PasskeyRequired, ReasonCode::PasskeyRequired),
        (Trouble::StorageError, ReasonCode::StorageError),
    ] {
        let stage = Stage::new(1, 1);
        let mut session = stage.session("51");
        let page = session.ready().await;
        say(
            &page,
            Standing {
                trouble: Some(trouble),
                ..ready()
            },
        )
        .await;
        let ended = session.reaches("ERROR").await;
        assert_eq!(ended.reason.unwrap().code, code);
        assert!(matches!(session.call().await, Call::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn starts_queue_up_behind_the_limit() {
    let stage = Stage::new(2, 1);
    let (mut first, mut second) = (stage.session("1"), stage.session("2"));
    first.handle.start();
    let page = first.opened().await;
    second.handle.start();
    second.reaches("INIT").await;
    assert!(
        second.calls.try_recv().is_err(),
        "the second started beside the first"
    );
    say(&page, login(Some("a"))).await;
    second.opened().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_beyond_the_limit_is_refused_and_one_that_ended_makes_room() {
    let stage = Stage::new(1, 1);
    let (mut first, second) = (stage.session("1"), stage.session("2"));
    let _page = first.ready().await;
    let refused = second.handle.connect(WaitFor::Ready).await.unwrap_err();
    assert!(
        matches!(refused, ConnectError::TooManySessions),
        "{refused:?}"
    );
    first.handle.disconnect(false).await.unwrap();
    second.handle.connect(USUAL_WAIT).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_calls_a_start_off_that_still_waits_for_its_turn() {
    let stage = Stage::new(2, 1);
    let (mut first, second) = (stage.session("1"), stage.session("2"));
    first.handle.start();
    let _page = first.opened().await;
    second.handle.start();
    assert_eq!(
        second.handle.disconnect(false).await.unwrap(),
        DisconnectOutcome::Disconnected
    );
    assert_eq!(second.handle.snapshot().state, SessionState::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn a_send_is_answered_with_the_servers_acknowledgement() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let sent = session.send("5491158254201");
    let Call::HandedOver(Outgoing { key, .. }) = session.call().await else {
        panic!("no hand-over")
    };
    page.send(Fact::Ack { key, ack: 1 }).await.unwrap();
    assert_eq!(sent.await.unwrap().unwrap().ack, 1);
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_send_is_pending_at_its_deadline_and_does_not_hold_up_the_next() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let (one, other) = (session.send("5491158254201"), session.send("5491158254202"));
    assert!(matches!(session.call().await, Call::HandedOver(_)));
    assert!(matches!(session.call().await, Call::HandedOver(_)));
    assert_eq!(one.await.unwrap().unwrap().ack, 0);
    assert_eq!(other.await.unwrap().unwrap().ack, 0);
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_not_on_whatsapp_is_refused_and_nothing_handed_over() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let refused = session.send("5491158250000").await.unwrap().unwrap_err();
    assert!(matches!(refused, SendError::NotOnWhatsApp), "{refused:?}");
    assert!(session.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_chrome_that_dies_leaves_a_handed_message_unconfirmed() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let sent = session.send("5491158254201");
    assert!(matches!(session.call().await, Call::HandedOver(_)));
    page.send(Fact::BrowserLost("Chrome was ended by signal 9".to_owned()))
        .await
        .unwrap();
    let outcome = sent.await.unwrap().unwrap_err();
    assert!(
        matches!(
            outcome,
            SendError::Unconfirmed {
                message_id: Some(_),
                ..
            }
        ),
        "{outcome:?}"
    );
    let last = session.reaches("DISCONNECTED").await;
    assert_eq!(last.reason.unwrap().code, ReasonCode::BrowserLost);
}

#[tokio::test(start_paused = true)]
async fn a_logout_unlinks_closes_and_deletes_the_profile() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let profile = stage.folder.path().join("51");
    std::fs::create_dir(&profile).unwrap();
    let _page = session.ready().await;
    assert_eq!(
        session.handle.disconnect(true).await.unwrap(),
        DisconnectOutcome::LoggedOut
    );
    assert!(matches!(session.call().await, Call::LoggedOut));
    assert!(matches!(session.call().await, Call::Closed));
    assert!(!profile.try_exists().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_stopping_service_closes_the_page_and_ends_the_actor() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    stage.stop.cancel();
    assert!(matches!(session.call().await, Call::Closed));
    timeout(NEVER, &mut session.task).await.unwrap().unwrap();
    assert!(matches!(
        session.send("5491158254201").await.unwrap(),
        Err(SendError::ShuttingDown)
    ));
}
