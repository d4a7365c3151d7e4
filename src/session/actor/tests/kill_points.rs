//! The service dies between any two steps of a send, and the caller asks again: one message, and one answer.
//!
//! Actor, ledger and caller run as tasks of which each poll is a step. One run after another dies one step later, until
//! one gets through: so every write, the hand-over and the answer have a death before and after them. The ledger is a
//! real file; the page is a model of what of WhatsApp outlives a page: its store, and its server, which knows ids.

use std::{
    num::NonZeroUsize,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc},
    task::yield_now,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    page::message_id,
    stage::{HEALS_PER_HOUR, NEVER, ready, say},
};
use crate::{
    browser::{Closed, SnapshotRoot},
    ledger::{Ledger, LedgerOptions, SendState},
    session::{
        EvidenceFolder, IdempotencyKey, SendError, SendLimits, SendRequest, Sent, SessionHandle,
        StartLimits, TextMessage,
        actor::{Actor, ActorOptions},
        capacity::Capacity,
        desired::DesiredFile,
        safekeeping::Safekeeping,
    },
    whatsapp::{
        AdapterName, Driver, Fact, HandOverError, Handed, LogoutError, LookUp, LookUpError,
        OpenError, Outgoing, PageEvidence, PairingError, PrepareError, Prepared, Silence,
    },
};

/// A life that is not cut short.
const ALL_STEPS: usize = usize::MAX;

/// More than any run takes: one that goes on for ever is a fault of this test.
const MOST_STEPS: usize = 2000;

/// Between two tries of a caller.
const BACK_OFF: Duration = Duration::from_millis(200);

/// Counts the steps of a service until its death.
#[derive(Debug)]
struct Life {
    steps_left: AtomicUsize,
    over: CancellationToken,
}

impl Life {
    fn of(steps: usize) -> Arc<Self> {
        Arc::new(Self {
            steps_left: AtomicUsize::new(steps),
            over: CancellationToken::new(),
        })
    }

    fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) -> Task {
        AbortOnDropHandle::new(tokio::spawn(Mortal {
            task: Box::pin(task),
            life: Arc::clone(self),
        }))
    }
}

type Task = AbortOnDropHandle<()>;

/// A task that does nothing any more once its life is over.
struct Mortal {
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
    life: Arc<Life>,
}

impl Future for Mortal {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let one_less = |left: usize| left.checked_sub(1);
        let steps = &self.life.steps_left;
        let is_alive = steps.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        if is_alive.is_err() {
            self.life.over.cancel();
            return Poll::Pending;
        }
        self.task.as_mut().poll(context)
    }
}

/// What of WhatsApp outlives a page.
#[derive(Clone, Debug, Default)]
struct WhatsApp(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    /// The page's own store: inner ids and texts.
    store: Vec<(String, String)>,
    /// What the server took, one of each id.
    server: Vec<(String, String)>,
    /// The page dies before its store has what the server took.
    stores_late: bool,
}

impl WhatsApp {
    fn store(&self, outgoing: &Outgoing) {
        let store = &mut self.0.lock().unwrap().store;
        let message = (outgoing.key.clone(), outgoing.body.clone());
        if !store.contains(&message) {
            store.push(message);
        }
    }

    fn take(&self, key: &str, body: &str) {
        let server = &mut self.0.lock().unwrap().server;
        if !server.iter().any(|(known, _)| known == key) {
            server.push((key.to_owned(), body.to_owned()));
        }
    }

    fn has_stored(&self, key: &str) -> bool {
        let store = &self.0.lock().unwrap().store;
        store.iter().any(|(known, _)| known == key)
    }
}

/// A page that is ready at once, and whose every step can be the last one.
#[derive(Debug)]
struct Modelled {
    whatsapp: WhatsApp,
    facts: mpsc::Sender<Fact>,
}

impl Modelled {
    async fn acknowledge(&self, key: String) {
        // A session that has ended hears nothing any more.
        let _gone = self.facts.send(Fact::Ack { key, ack: 1 }).await;
    }
}

impl Driver for Modelled {
    type Settings = WhatsApp;

    async fn open(
        whatsapp: &WhatsApp,
        _profile: &Path,
        facts: mpsc::Sender<Fact>,
        _stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            whatsapp: whatsapp.clone(),
            facts,
        })
    }

    /// As WhatsApp does: what the server has not taken is sent first.
    async fn navigate(&self) -> Result<(), String> {
        let stored = self.whatsapp.0.lock().unwrap().store.clone();
        for (key, body) in stored {
            self.whatsapp.take(&key, &body);
            yield_now().await;
            self.acknowledge(key).await;
        }
        say(&self.facts, ready()).await;
        Ok(())
    }

    async fn reload(&self) -> Result<(), String> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), Silence> {
        Ok(())
    }

    fn chrome_pid(&self) -> Option<u32> {
        None
    }

    async fn refresh_codes(&self) -> Result<(), String> {
        Ok(())
    }

    async fn request_pairing_code(&self, _phone: &str, _again: bool) -> Result<(), PairingError> {
        Ok(())
    }

    async fn check_number(&self, _number: &str) -> Result<Option<String>, PrepareError> {
        Ok(None)
    }

    async fn look_up(&self, look_up: &LookUp) -> Result<Option<i32>, LookUpError> {
        yield_now().await;
        let key = look_up.message_id.rsplit('_').next().unwrap();
        let is_stored = self.whatsapp.has_stored(key);
        yield_now().await;
        Ok(is_stored.then_some(1))
    }

    async fn prepare(&self, outgoing: &Outgoing) -> Result<Prepared, PrepareError> {
        yield_now().await;
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
        yield_now().await;
        let Outgoing { key, body, .. } = outgoing;
        if self.whatsapp.0.lock().unwrap().stores_late {
            self.whatsapp.take(key, body);
            yield_now().await;
            self.whatsapp.store(outgoing);
        } else {
            self.whatsapp.store(outgoing);
            yield_now().await;
            self.whatsapp.take(key, body);
        }
        yield_now().await;
        self.acknowledge(key.clone()).await;
        yield_now().await;
        Ok(Handed {
            key: key.clone(),
            message_id: message_id(&prepared.chat, outgoing),
        })
    }

    async fn take_over(&self) -> Result<(), String> {
        Ok(())
    }

    async fn log_out(&self) -> Result<(), LogoutError> {
        Ok(())
    }

    async fn evidence(&self) -> PageEvidence {
        unreachable!("nothing ends with evidence here")
    }

    async fn close(self) -> Closed {
        Closed::Asked
    }
}

/// A folder, a WhatsApp and what callers were told, over the lives of several services.
struct World {
    folder: tempfile::TempDir,
    whatsapp: WhatsApp,
    told: Told,
    waits: bool,
}

/// What callers were told of each text.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<Answer>>>);

type Answer = (&'static str, Result<Sent, SendError>);

impl Told {
    fn note(&self, body: &'static str, answer: &Result<Sent, SendError>) {
        self.0.lock().unwrap().push((body, answer.clone()));
    }

    /// Asserts that all ids are those that the server knows the texts by, and that whoever was told that a text was sent
    /// was never told anything else afterwards, but that the ledger cannot be asked: here the one of the last life may have
    /// it open for a moment.
    fn check(&self, server: &[(String, String)], when: &str) {
        let mut sent = Vec::new();
        for (body, answer) in self.0.lock().unwrap().iter() {
            let is_sent = matches!(
                answer,
                Ok(Sent {
                    state: SendState::Sent,
                    ..
                })
            );
            let says_nothing = matches!(answer, Err(SendError::LedgerUnavailable(_)));
            assert!(
                is_sent || says_nothing || !sent.contains(body),
                "{when}: {body} was sent, and then {answer:?}"
            );
            if is_sent {
                sent.push(body);
            }
            if let Ok(Sent { message_id, .. }) = answer {
                let (key, _) = server.iter().find(|(_, taken)| taken == body).unwrap();
                assert!(
                    message_id.ends_with(key),
                    "{when}: {body} was answered with {message_id}"
                );
            }
        }
    }
}

impl World {
    fn new(waits: bool, stores_late: bool) -> Self {
        let whatsapp = WhatsApp::default();
        whatsapp.0.lock().unwrap().stores_late = stores_late;
        Self {
            folder: tempfile::tempdir().unwrap(),
            whatsapp,
            told: Told::default(),
            waits,
        }
    }

    /// Lets a service live for so many steps, or until its callers have what they want. Answers whether they do.
    async fn live(&self, steps: usize) -> bool {
        let life = Life::of(steps);
        let (ledger, keeper) = Ledger::new(LedgerOptions {
            folder: self.folder.path().join("ledger"),
            idempotency: NEVER,
            retention: NEVER,
        });
        let profile = self.folder.path().join("51");
        let root = SnapshotRoot::new(
            self.folder.path().to_owned(),
            0,
            1,
            CancellationToken::new(),
        );
        let snapshots = root.of("51", profile.clone());
        let (handle, actor) = Actor::<Modelled>::new(ActorOptions {
            id: "51".parse().unwrap(),
            safekeeping: Safekeeping::new("51".parse().unwrap(), profile.clone(), snapshots),
            profile,
            desired: DesiredFile::new(self.folder.path(), &"51".parse().unwrap(), None),
            evidence: EvidenceFolder::new(self.folder.path().join("evidence")),
            page: self.whatsapp.clone(),
            capacity: Arc::new(Capacity::new(NonZeroUsize::MIN, 0, || None)),
            starts: Arc::new(Semaphore::new(1)),
            limits: StartLimits::default(),
            pairing_life: Duration::from_secs(180),
            take_over: true,
            hibernate_after: None,
            heals_per_hour: HEALS_PER_HOUR,
            memory_mb: None,
            sends: SendLimits {
                queue_max: NonZeroUsize::new(100).unwrap(),
                rate_per_minute: None,
                wait: Duration::from_secs(45),
            },
            send_dedup: None,
            ledger,
            stop: CancellationToken::new(),
        });
        handle.start();
        let _service = [life.spawn(keeper.run()), life.spawn(actor.run())];
        let (told, waits) = (self.told.clone(), self.waits);
        let callers = life.spawn(async move {
            let mut answered = Vec::new();
            for body in ["first", "second"] {
                answered.push(accepted(&handle, body, waits, &told).await);
            }
            for (body, mut sent) in ["first", "second"].into_iter().zip(answered) {
                while !matches!(sent.state, SendState::Sent) {
                    tokio::time::sleep(BACK_OFF).await;
                    sent = accepted(&handle, body, waits, &told).await;
                }
            }
        });
        tokio::select! {
            biased;
            () = life.over.cancelled() => false,
            done = timeout(NEVER, callers) => {
                done.expect("the callers are served").unwrap();
                true
            }
        }
    }

    fn check(&self, when: &str) {
        let server = &self.whatsapp.0.lock().unwrap().server;
        let bodies: Vec<_> = server.iter().map(|(_, body)| body.as_str()).collect();
        assert_eq!(bodies, ["first", "second"], "{when}");
        self.told.check(server, when);
    }
}

/// Asks under one key until the service takes it on.
async fn accepted(handle: &SessionHandle, body: &'static str, waits: bool, told: &Told) -> Sent {
    loop {
        let request = SendRequest {
            message: TextMessage {
                to: "5491158254201".parse().unwrap(),
                body: body.to_owned(),
            },
            cliente_id: "51".to_owned(),
            idempotency_key: Some(body.parse::<IdempotencyKey>().unwrap()),
            waits,
        };
        let answer = handle.send(request).await;
        told.note(body, &answer);
        match answer {
            Ok(sent) => return sent,
            Err(
                SendError::NotReady { .. }
                | SendError::LedgerUnavailable(_)
                | SendError::Unconfirmed { .. },
            ) => tokio::time::sleep(BACK_OFF).await,
            Err(why) => panic!("{body}: {why}"),
        }
    }
}

/// Dies once at every step, and once more on the way back.
async fn dies_everywhere(waits: bool, stores_late: bool) {
    for steps in 1..MOST_STEPS {
        let world = World::new(waits, stores_late);
        if world.live(steps).await {
            world.check("without a death");
            println!("{steps} steps");
            return;
        }
        // Spread over the way back, so that both deaths together come close to every pair.
        let again = 1 + steps * 7 % 40;
        world.live(again).await;
        assert!(world.live(ALL_STEPS).await);
        world.check(&format!("killed at step {steps}, then at step {again}"));
    }
    panic!("it never got through");
}

#[tokio::test(start_paused = true)]
async fn a_send_is_one_message_wherever_the_service_dies() {
    dies_everywhere(true, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_nobody_waits_for_is_one_message_wherever_the_service_dies() {
    dies_everywhere(false, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_send_is_one_message_even_if_the_page_forgets_what_the_server_took() {
    dies_everywhere(true, true).await;
}
