//! What breaks, and when: processes are killed, pages reload, the network and WhatsApp misbehave.

use std::{
    collections::BTreeMap, fs::OpenOptions, io::Write as _, path::Path, sync::Arc, time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep};

use super::{
    super::{Api, Home, Service, chrome::pid_of, try_answer},
    LOOK, Settings, World,
    arrivals::Arrived,
    judge::{Author, Written},
};

/// Half of the strikes wait for a session that can send, but not for ever: there may be none for a while.
const AIM_TIMEOUT: Duration = Duration::from_secs(15);

/// What can happen, and how likely it is.
const STRIKES: [(Strike, u32); 10] = [
    (Strike::Service, 30),
    (Strike::Chrome, 25),
    (Strike::Reload, 8),
    (Strike::SocketClosed, 8),
    (Strike::ReloadInSend, 8),
    (Strike::AckLate, 5),
    (Strike::AckNever, 4),
    (Strike::SendLost, 4),
    (Strike::AdapterLost, 4),
    (Strike::WhatsApp, 4),
];

/// Something that befalls the service or one of its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strike {
    Service,
    Chrome,
    Reload,
    SocketClosed,
    ReloadInSend,
    AckLate,
    AckNever,
    SendLost,
    AdapterLost,
    WhatsApp,
}

impl Strike {
    const fn is_kill(self) -> bool {
        matches!(self, Self::Service | Self::Chrome)
    }
}

/// Owns the processes, and breaks them.
pub(crate) struct Chaos {
    world: Arc<World>,
    /// `None` only while it restarts.
    service: Option<Service>,
    whatsapp: Option<Service>,
    settings: Settings,
    /// By session: the first is session 1.
    accounts: Vec<String>,
    random: StdRng,
    pub(super) struck: BTreeMap<Strike, u32>,
}

impl Chaos {
    pub(super) fn new(
        world: Arc<World>,
        service: Service,
        whatsapp: Service,
        settings: Settings,
        accounts: Vec<String>,
    ) -> Self {
        Self {
            random: StdRng::seed_from_u64(world.plan.seed),
            world,
            service: Some(service),
            whatsapp: Some(whatsapp),
            settings,
            accounts,
            struck: BTreeMap::new(),
        }
    }

    /// Strikes until as many have been killed as planned.
    pub(super) async fn strike_all(&mut self) {
        let mut kills = 0;
        while kills < self.world.plan.kills {
            let pause = self.random.random_range(0..1500);
            sleep(Duration::from_millis(pause)).await;
            let session = self.random.random_range(0..self.accounts.len());
            if self.random.random_bool(0.5) {
                self.aim(session).await;
                let moment = self.random.random_range(0..600);
                sleep(Duration::from_millis(moment)).await;
            }
            let strike = self.strike_one(session, false).await;
            kills += u32::from(strike.is_some_and(Strike::is_kill));
        }
    }

    /// Breaks one session in a random way. Returns what it broke, if there was anything to break.
    pub(crate) async fn strike_one(
        &mut self,
        session: usize,
        spares_service: bool,
    ) -> Option<Strike> {
        let strike = self.choose();
        if spares_service && strike == Strike::Service {
            return None;
        }
        if !self.strike(strike, session).await {
            return None;
        }
        *self.struck.entry(strike).or_default() += 1;
        Some(strike)
    }

    fn choose(&mut self) -> Strike {
        let mut at = self
            .random
            .random_range(0..STRIKES.iter().map(|(_, weight)| weight).sum());
        for (strike, weight) in STRIKES {
            if at < weight {
                return strike;
            }
            at -= weight;
        }
        Strike::Service
    }

    /// Waits until a session can send.
    async fn aim(&self, session: usize) {
        let until = Instant::now() + AIM_TIMEOUT;
        let mut ticks = interval(LOOK / 4);
        while Instant::now() < until && self.status(session).await["state"] != "READY" {
            ticks.tick().await;
        }
    }

    async fn status(&self, session: usize) -> Value {
        let path = format!("/status?cliente_id={}", session + 1);
        let asked = try_answer(self.world.api().request(Method::GET, &path)).await;
        asked.map(|answer| answer.json()).unwrap_or_default()
    }

    /// Answers whether there was anything to strike.
    async fn strike(&mut self, strike: Strike, session: usize) -> bool {
        let account = self.accounts[session].clone();
        match strike {
            Strike::Service => {
                // A Chrome that is left alone goes on for a while.
                let left_alone = self.random.random_range(0..400);
                self.replace_service(Duration::from_millis(left_alone))
                    .await;
            }
            Strike::Chrome => {
                let Some(pid) = self.status(session).await["chrome_pid"].as_u64() else {
                    return false;
                };
                // It may have ended already.
                return kill_process(pid_of(u32::try_from(pid).unwrap()), Signal::KILL).is_ok();
            }
            Strike::Reload => self.befalls(&account, "reload").await,
            Strike::SocketClosed => self.befalls(&account, "socket_closed").await,
            Strike::ReloadInSend => {
                self.for_a_while(&account, json!({ "reload_in_send": true }), 1500)
                    .await;
            }
            Strike::AckLate => {
                self.for_a_while(&account, json!({ "ack_delay_ms": 2500 }), 4000)
                    .await;
            }
            Strike::AckNever => {
                self.for_a_while(&account, json!({ "ack": "never" }), 3000)
                    .await;
                // As on the real page, what was not acknowledged is sent again with the next connection.
                self.befalls(&account, "socket_closed").await;
            }
            Strike::SendLost => {
                self.set_for_a_while(&account, json!({ "send": "lost" }), 2000)
                    .await;
                // The connection that has lost a message carries none behind it.
                let refused = json!({ "account": account, "socket": "refuse" });
                self.sandbox().faults(refused).await;
                self.sandbox().faults(json!({ "account": account })).await;
            }
            Strike::AdapterLost => {
                let renamed = json!({ "WAWebSendMsgChatAction": "WAWebSendMessageChatAction" });
                let fault = json!({ "rename_modules": renamed, "event": "reload" });
                // wa-js takes its time until it serves.
                self.for_a_while(&account, fault, 10_000).await;
                self.befalls(&account, "reload").await;
            }
            Strike::WhatsApp => {
                let away = self.random.random_range(0..1000);
                self.cut_network(Duration::from_millis(away)).await;
            }
        }
        true
    }

    /// Kills the service, and starts another after `pause`.
    pub(crate) async fn replace_service(&mut self, pause: Duration) {
        let home = self.kill_service();
        sleep(pause).await;
        self.start_service(home).await;
    }

    /// Takes all of WhatsApp away, and brings it back.
    pub(crate) async fn cut_network(&mut self, away: Duration) {
        let (home, _log) = self.whatsapp.take().unwrap().kill_and_read();
        sleep(away).await;
        self.whatsapp = Some(Service::start_in(home, |_| {}).await);
    }

    /// The service that runs.
    pub(crate) const fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    async fn befalls(&self, account: &str, event: &str) {
        let fault = json!({ "account": account, "event": event });
        self.sandbox().faults(fault).await;
    }

    /// Sets a fault of one account, and clears it again.
    async fn for_a_while(&mut self, account: &str, fault: Value, at_most: u64) {
        self.set_for_a_while(account, fault, at_most).await;
        self.sandbox().faults(json!({ "account": account })).await;
    }

    /// Sets a fault of one account, and waits until it is to be cleared.
    async fn set_for_a_while(&mut self, account: &str, mut fault: Value, at_most: u64) {
        fault["account"] = account.into();
        self.sandbox().faults(fault).await;
        let while_ms = self.random.random_range(at_most / 5..at_most);
        sleep(Duration::from_millis(while_ms)).await;
    }

    fn sandbox(&self) -> &Api {
        self.whatsapp.as_ref().unwrap()
    }

    fn kill_service(&mut self) -> Home {
        let (home, log) = self.service.take().unwrap().kill_and_read();
        self.keep(&log);
        home
    }

    async fn start_service(&mut self, home: Home) {
        let service = Service::start_in(home, |env| self.settings.apply(env)).await;
        *self.world.api.lock().unwrap() = Api::clone(&service);
        self.service = Some(service);
    }

    fn keep(&self, log: &str) {
        let append = |path: &Path| {
            let mut options = OpenOptions::new();
            let file = options.create(true).append(true).open(path);
            file.and_then(|mut file| file.write_all(log.as_bytes()))
        };
        if let Some(path) = &self.world.plan.log {
            append(path).unwrap();
        }
    }

    /// Removes all faults. Messages that were never acknowledged are, once the pages connect again.
    pub(super) async fn mend(&self) {
        self.sandbox().faults(json!({})).await;
        self.sandbox()
            .faults(json!({ "event": "socket_closed" }))
            .await;
    }

    /// What WhatsApp's server has of an account.
    pub(super) async fn taken(&self, account: &str) -> Vec<Value> {
        self.sandbox().taken(account).await
    }

    /// The same of all sessions, as it should be heard.
    pub(super) async fn sent(&self) -> Vec<Written> {
        let mut sent = Vec::new();
        for (account, session) in self.accounts.iter().zip(1..) {
            sent.extend(self.taken(account).await.iter().map(|message| {
                let Arrived { id, text, .. } = Arrived::of(message);
                Written {
                    session,
                    chat: message["to"].as_str().unwrap().to_owned(),
                    author: Author::Service,
                    key: id,
                    text,
                }
            }));
        }
        sent
    }

    /// Stops what is left, in order. Answers how many processes the service has left behind.
    pub(super) fn stop(mut self) -> usize {
        let mut left = 0;
        if let Some(service) = self.service.take() {
            self.keep(&service.log());
            left = service.ended().processes().len();
        }
        if let Some(whatsapp) = self.whatsapp.take() {
            whatsapp.stop();
        }
        left
    }
}
