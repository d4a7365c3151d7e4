//! A page that is ready at once, and what of WhatsApp outlives it: its store, and a server that knows ids.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{sync::mpsc, task::yield_now};
use tokio_util::sync::CancellationToken;

use crate::{
    browser::Closed,
    masked::WaId,
    session::lifecycle::tests::{
        page::message_id,
        stage::{ready, say},
    },
    whatsapp::{
        AdapterName, Driver, Fact, HandOverError, Handed, LogoutError, LookUp, LookUpError,
        OpenError, Outgoing, PageEvidence, PairingError, PrepareError, Prepared, Silence,
    },
};

/// What of WhatsApp outlives a page.
#[derive(Clone, Debug, Default)]
pub(super) struct WhatsApp(Arc<Mutex<Memory>>);

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
    /// One whose page dies before its store has what the server took, if it `stores_late`.
    pub(super) fn new(stores_late: bool) -> Self {
        let whatsapp = Self::default();
        whatsapp.lock().stores_late = stores_late;
        whatsapp
    }

    /// What the server took, one of each id.
    pub(super) fn server(&self) -> Vec<(String, String)> {
        self.lock().server.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }

    fn store(&self, outgoing: &Outgoing) {
        let store = &mut self.lock().store;
        let message = (outgoing.key.clone(), outgoing.body.clone().into());
        if !store.contains(&message) {
            store.push(message);
        }
    }

    fn take(&self, key: &str, body: &str) {
        let server = &mut self.lock().server;
        if !server.iter().any(|(known, _)| known == key) {
            server.push((key.to_owned(), body.to_owned()));
        }
    }

    fn has_stored(&self, key: &str) -> bool {
        let store = &self.lock().store;
        store.iter().any(|(known, _)| known == key)
    }
}

/// A page that is ready at once, and whose every step can be the last one.
#[derive(Debug)]
pub(super) struct Modelled {
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
        let stored = self.whatsapp.lock().store.clone();
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

    async fn check_number(&self, _number: &str) -> Result<Option<WaId>, PrepareError> {
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
        let chat = WaId::from(format!("{}@c.us", &*outgoing.to));
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
        if self.whatsapp.lock().stores_late {
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
