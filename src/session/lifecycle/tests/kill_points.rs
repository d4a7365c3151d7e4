//! The service dies between any two steps of a send, and the caller asks again: one message, and one answer.
//!
//! Actor, ledger and caller run as tasks of which each poll is a step. One run after another dies one step later, until
//! one gets through: so every write, the hand-over and the answer have a death before and after them. The ledger is a
//! real file; the page is a model of what of WhatsApp outlives a page.

mod life;

use std::sync::Mutex;

use life::Life;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::session::{Sent, SessionHandle};

/// A life that is not cut short.
const ALL_STEPS: usize = usize::MAX;

/// More than any run takes: one that goes on for ever is a fault of this test.
const MOST_STEPS: usize = 2000;

/// Between two tries of a caller.
const BACK_OFF: Duration = Duration::from_millis(200);

/// A folder, a WhatsApp and what callers were told, over the lives of several services.
struct World {
    folder: Arc<tempfile::TempDir>,
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

    /// Asserts that all ids are those that the server knows the texts by, and that a caller who was told that a text was
    /// sent was never told anything else afterwards.
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
            assert!(
                is_sent || !sent.contains(body),
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
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            whatsapp: WhatsApp::new(stores_late),
            told: Told::default(),
            waits,
        }
    }

    /// Lets a service live for so many steps, or until its callers have what they want. Answers whether they do.
    async fn live(&self, steps: usize) -> bool {
        // What the life before has begun on the disk goes on on its thread: two services on one file are another test. On a paused
        // clock this sleep ends only when no such thread works any more.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let life = Life::of(steps);
        let (stage, keeper) = Stage::over(Arc::clone(&self.folder), |_| {});
        let (page, _calls) = script(Some(self.whatsapp.clone()));
        let stop = CancellationToken::new();
        let (handle, actor) = stage.actor("51", page, stage.desired("51"), stop);
        handle.start();
        let _service = [life.spawn(keeper), life.spawn(actor.run())];
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
        let server = self.whatsapp.server();
        let bodies: Vec<_> = server.iter().map(|(_, body)| body.as_str()).collect();
        assert_eq!(bodies, ["first", "second"], "{when}");
        self.told.check(&server, when);
    }
}

/// Asks under one key until the service takes it on.
async fn accepted(handle: &SessionHandle, body: &'static str, waits: bool, told: &Told) -> Sent {
    loop {
        let request = request(TO, body, Some(body), waits);
        let answer = handle.send(request).await;
        told.note(body, &answer);
        match answer {
            Ok(sent) => return sent,
            Err(SendError::NotReady { .. } | SendError::Unconfirmed { .. }) => {
                tokio::time::sleep(BACK_OFF).await;
            }
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
async fn a_send_that_outlives_its_caller_is_one_message_wherever_the_service_dies() {
    dies_everywhere(false, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_send_is_one_message_even_if_the_page_forgets_what_the_server_took() {
    dies_everywhere(true, true).await;
}
