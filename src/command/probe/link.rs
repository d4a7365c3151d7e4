//! `--link`: the main job, once, with a person and a phone.
//!
//! A whole service runs for it inside this command, in folders that are thrown away, and is asked over its API as by any client:
//! there is no second way to link or to send. Whatever happens, the device is logged out at the end unless the person keeps it.
//!
//! ```text
//!  code ──▶ linked ──▶ READY ──▶ number check ──▶ message to oneself ──▶ acks ──▶ the person: arrived? answered?
//!                                                                                        │
//!  log out ◀── READY again ◀── look at the linked page, without the service ◀── disconnect ┘
//! ```

use std::{
    future::pending,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Fault,
    canvas::{Canvas, SESSION, session},
    look::{Looked, look},
    step::{Failure, Outcome, Step, failure, refused, why_ended},
};
use crate::{
    app::App,
    command::{client::Client, qr::view::View, screen::remark},
    config::{Config, ListenHost, Secret, SessionMode},
    http::contract::Status,
    received::Location,
    session::{ClienteId, ReasonCode, session_with_number},
    telemetry::DroppedLines,
    whatsapp::AdapterName,
};

/// How often a state is looked at: nothing for a service that serves this command alone.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// A start takes some 20 s on the real page, and minutes only when something is wrong.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// From a scan to an account on the page, which reloads itself once in between.
const PAIRING_TIMEOUT: Duration = Duration::from_secs(20);

/// Closing a Chrome takes 8.5 s at most, a logout 20 s before that.
const END_TIMEOUT: Duration = Duration::from_secs(40);

/// Whether a message to oneself is ever called delivered depends on the account's other devices: it is not waited for longer.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(15);

/// What the person finds in the chat with their own number. Always the same: it says nothing about anyone.
const TEXT: &str = "session-manager probe: please answer this message";

/// How a person wants it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "With a phone")]
pub(super) struct Wishes {
    /// Go on with a phone: link, send a message to the account's own number, restart, log out.
    #[arg(long)]
    pub(super) link: bool,
    /// Link by phone number: show the eight characters to type on the phone with this number, such as +5491158254201.
    #[arg(long, value_name = "NUMBER", requires = "link")]
    phone: Option<String>,
    /// Leave the device linked, and its folder where it is.
    #[arg(long, requires = "link")]
    pub(super) keep: bool,
    /// Swap light and dark in the code: for a terminal that shows no colours, on a light background.
    #[arg(long, requires = "link")]
    invert: bool,
    /// How long a person may take for the scan, and for each question, in seconds.
    #[arg(long, value_name = "SECONDS", requires = "link", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
}

impl Wishes {
    /// The session of the service with these settings that a pairing code for this number would cost its link. That of this command's
    /// own service, which has other folders, does not know it.
    pub(super) async fn session_at_stake(&self, config: &Config) -> Option<ClienteId> {
        let phone = self.phone.as_ref()?.parse().ok()?;
        session_with_number(&config.tokens_dir, &config.sessions_dir(), &phone).await
    }

    const fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}

/// What came of it all.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) steps: Vec<Step>,
    /// What the linked page has shown.
    pub(super) looked: Option<Looked>,
    /// No phone has scanned in time.
    pub(super) is_late: bool,
}

impl Linked {
    /// Nothing was done: a code would cost this session its link.
    pub(super) fn refused(session: &ClienteId) -> Self {
        remark(&format!(
            "session-manager: code: session {session} of the service is linked to this phone number, and WhatsApp removes that device when a \
             pairing code is asked for; leave --phone out and scan the code, which links one more device"
        ));
        Self {
            steps: vec![Step {
                name: "code",
                outcome: Outcome::Failed,
                seconds: 0,
                word: Some(ReasonCode::NumberLinkedElsewhere.as_str().to_owned()),
            }],
            looked: None,
            is_late: false,
        }
    }
}

/// Does it all, in this folder.
pub(super) async fn link(
    config: &Config,
    folder: &Path,
    wishes: &Wishes,
    cancel: &CancellationToken,
) -> Result<Linked, Fault> {
    let key = HEXLOWER.encode(&rand::random::<[u8; 16]>());
    let mut config = of_own(config, folder, &key);
    // This command decides how long the phone is waited for.
    let limits = &mut config.sessions.limits;
    limits.scan = limits.scan.max(wishes.patience() + START_TIMEOUT);
    let app = App::bind(config.clone(), DroppedLines::default()).await;
    let app = app.map_err(|why| Fault::Service(why.to_string()))?;
    let Some(addr) = app.addrs().first().copied() else {
        return Err(Fault::Service("it listens nowhere".to_owned()));
    };
    let client = Client::with_key(&format!("http://{addr}"), Secret::new(key))?;
    let (stop, mut stops) = mpsc::channel::<()>(1);
    let serving = app.run_until(async || {
        // Asked once; another time is never impatience.
        if stops.recv().await.is_none() {
            pending::<()>().await;
        }
    });
    let mut run = Run {
        client,
        wishes,
        config: &config,
        profile: session().profile_in(&config.tokens_dir),
        person: lines_of_person(),
        began: Instant::now(),
        has_code: false,
        is_linked: false,
        sent_key: None,
        is_answered: false,
        linked: Linked {
            steps: Vec::new(),
            looked: None,
            is_late: false,
        },
    };
    let job = async {
        if let Some(Err(why)) = cancel.run_until_cancelled(run.main_job(cancel)).await {
            run.note_failure(&why);
        }
        run.end().await;
        // A service that has ended by itself wants no stop.
        let _ended = stop.send(()).await;
    };
    let (served, ()) = tokio::join!(Box::pin(serving), job);
    served.map_err(Fault::Terminal)?;
    Ok(run.linked)
}

fn is_linked(status: &Status) -> bool {
    matches!(&*status.state, "AUTHENTICATED" | "READY")
}

/// Reads standard input on a thread of its own, which may wait for a line for ever: it ends with the process.
fn lines_of_person() -> mpsc::Receiver<String> {
    let (lines, heard) = mpsc::channel(1);
    let _reader = std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    heard
}

/// The settings of the service with folders, a port and a key of its own, and without what only a lasting service needs.
fn of_own(config: &Config, folder: &Path, key: &str) -> Config {
    let mut config = config.clone();
    config.port = 0;
    config.host = ListenHost::Localhost;
    config.tokens_dir = folder.join("tokens");
    config.data_dir = folder.join("data");
    config.received.location = Location::Folder(folder.join("media"));
    config.api_keys_file = folder.join("keys.json");
    config.api_key = Some(Secret::new(key.to_owned()));
    config.session_mode = SessionMode::Multi;
    config.autostart = Vec::new();
    config.trusted_proxies = 0;
    config.sessions.profile_snapshots = 0;
    config.sessions.hibernate_after = None;
    config
}

struct Run<'a> {
    client: Client,
    wishes: &'a Wishes,
    config: &'a Config,
    profile: PathBuf,
    /// The lines that the person types.
    person: mpsc::Receiver<String>,
    /// When the present step began.
    began: Instant,
    /// A code has been shown, which a phone may have scanned.
    has_code: bool,
    is_linked: bool,
    /// The inner id of the message to oneself, and whether the person has answered it.
    sent_key: Option<String>,
    is_answered: bool,
    linked: Linked,
}

impl Run<'_> {
    async fn main_job(&mut self, cancel: &CancellationToken) -> Result<(), Failure> {
        let Some(account) = self.link_phone().await? else {
            return Ok(());
        };
        let account = account.or_else(|| self.wishes.phone.clone());
        if let Some(account) = &account {
            self.check_number(account).await?;
            self.send(account).await?;
            self.ask_person().await;
        } else {
            // The screen shows the account's own number nowhere.
            for step in ["number check", "message to oneself"] {
                self.skip(step, "the number is not known");
            }
        }
        self.ask("/disconnect", &json!({}), END_TIMEOUT, "disconnect")
            .await?;
        self.done("disconnect", None);
        match look(self.config, &self.profile, account.as_deref(), cancel).await {
            Ok(looked) => {
                let (is_linked, trouble) = (looked.shows == Some("linked"), looked.trouble);
                let last_key = looked.last_key.clone();
                self.linked.looked = Some(looked);
                if !is_linked {
                    let word = trouble.map_or("not linked", |code| code.as_str());
                    return Err(failure(
                        "linked page",
                        word,
                        "the page shows no linked account",
                    ));
                }
                self.done("linked page", None);
                self.judge_answer(last_key.as_deref());
            }
            Err(unopened) => {
                let reason = unopened.reason;
                return Err(failure("linked page", reason.code.as_str(), &reason.detail));
            }
        }
        self.ask("/connect", &json!({}), START_TIMEOUT, "READY again")
            .await?;
        let until = Instant::now() + START_TIMEOUT;
        loop {
            let status = self.status("READY again").await?;
            match View::of(&status, false) {
                View::Ready { .. } => break,
                View::Waiting { .. } if Instant::now() < until => {}
                View::Waiting { .. } => {
                    return Err(failure(
                        "READY again",
                        "SYNC_TIMEOUT",
                        "it is not READY in time",
                    ));
                }
                View::Code { .. } | View::PairingCode { .. } => {
                    self.is_linked = false;
                    return Err(failure(
                        "READY again",
                        ReasonCode::Unlinked.as_str(),
                        "the link is gone",
                    ));
                }
                ended @ View::Ended { .. } => {
                    return Err(why_ended("READY again", &status, &ended));
                }
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        self.done("READY again", None);
        Ok(())
    }

    /// Shows codes until a phone has linked the session and it is READY. Answers the account, as far as it is known; nothing when no
    /// phone came in time.
    async fn link_phone(&mut self) -> Result<Option<Option<String>>, Failure> {
        let wants_pairing = self.wishes.phone.is_some();
        let mut body = json!({});
        if let Some(phone) = &self.wishes.phone {
            body["phone"] = Value::from(phone.as_str());
        }
        self.ask("/connect", &body, START_TIMEOUT, "code").await?;
        let mut canvas = Canvas::open(self.wishes.invert);
        let mut ticks = interval(LOOK_INTERVAL);
        let mut until = Instant::now() + START_TIMEOUT;
        loop {
            ticks.tick().await;
            let status = self.status("code").await?;
            let view = View::of(&status, wants_pairing);
            canvas.show(&view);
            let is_code = matches!(view, View::Code { .. } | View::PairingCode { .. });
            if is_code && !self.has_code {
                self.has_code = true;
                self.done("code", None);
                until = Instant::now() + self.wishes.patience();
            }
            if !self.is_linked && is_linked(&status) {
                self.is_linked = true;
                self.done("linked", None);
                // Syncing has a limit of its own, in the service.
                until = Instant::now() + self.config.sessions.limits.sync + START_TIMEOUT;
            }
            if status.reason.as_deref() == Some(ReasonCode::PasskeyRequired.as_str()) {
                drop(canvas);
                let detail = "this account asks for its passkey, which this command cannot pass on: link it with the service itself, or try another account";
                let word = ReasonCode::PasskeyRequired.as_str();
                return Err(failure("linked", word, detail));
            }
            match view {
                View::Ready { account } => {
                    let adapter = status.adapter.serving.as_deref();
                    self.done("READY", adapter);
                    return Ok(Some(account));
                }
                ended @ View::Ended { .. }
                    if status.reason.as_deref() == Some(ReasonCode::QrTimeout.as_str()) =>
                {
                    drop(canvas);
                    self.linked.is_late = true;
                    return Err(why_ended("linked", &status, &ended));
                }
                ended @ View::Ended { .. } => {
                    drop(canvas);
                    let step = if self.is_linked { "READY" } else { "linked" };
                    return Err(why_ended(step, &status, &ended));
                }
                View::Waiting { .. } | View::Code { .. } | View::PairingCode { .. } => {}
            }
            if until < Instant::now() {
                drop(canvas);
                self.linked.is_late = self.has_code && !self.is_linked;
                let step = match (self.is_linked, self.has_code) {
                    (true, _) => "READY",
                    (false, true) => "linked",
                    (false, false) => "code",
                };
                // What the page wants may be the cause, as a passkey.
                let word = status.reason.as_deref().unwrap_or("TIMEOUT");
                let detail = status.detail.as_deref().unwrap_or("time ran out");
                return Err(failure(step, word, detail));
            }
        }
    }

    async fn check_number(&mut self, account: &str) -> Result<(), Failure> {
        let body = json!({"to": account, "message": TEXT, "dry_run": true});
        let wait = self.config.sessions.sends.wait + END_TIMEOUT;
        match self.ask("/send", &body, wait, "number check").await {
            Ok(checked) if checked["on_whatsapp"] == true => self.done("number check", None),
            Ok(_) => {
                let detail = "WhatsApp says that the account's own number has no account";
                return Err(failure("number check", "NOT_ON_WHATSAPP", detail));
            }
            // On the screen a number is checked only by opening its chat.
            Err(why) if why.word == "SEND_FAILED" && self.config.adapters == [AdapterName::Dom] => {
                self.skip("number check", &why.word);
            }
            Err(why) => return Err(why),
        }
        Ok(())
    }

    async fn send(&mut self, account: &str) -> Result<(), Failure> {
        const STEP: &str = "message to oneself";
        let body = json!({"to": account, "message": TEXT});
        let wait = self.config.sessions.sends.wait + END_TIMEOUT;
        let sent = self.ask("/send", &body, wait, STEP).await?;
        let id = sent["message_id"].as_str().unwrap_or_default().to_owned();
        let message = self.message(&id, STEP).await?;
        self.sent_key = message["key"].as_str().map(str::to_owned);
        self.done(STEP, message["adapter"].as_str());
        let until = Instant::now() + RECEIPT_TIMEOUT;
        loop {
            let message = self.message(&id, "acks").await?;
            let state = message["state"].as_str().unwrap_or_default().to_owned();
            let is_final = matches!(&*state, "read" | "failed" | "unknown" | "cancelled");
            if is_final || until < Instant::now() {
                return match &*state {
                    "sent" | "delivered" | "read" => {
                        self.done("acks", Some(&state));
                        Ok(())
                    }
                    _ => Err(failure(
                        "acks",
                        &state,
                        "WhatsApp's server did not acknowledge it",
                    )),
                };
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Only a person knows what a phone shows. The service does not hear messages yet: whether an answer has come is looked up on
    /// the page later.
    async fn ask_person(&mut self) {
        const SEEN: &str = "seen on the phone";
        remark(&format!(
            "Is there a message \"{TEXT}\" on the phone, in the chat with your own number? [y/n]"
        ));
        match self.hears_person().await.as_deref() {
            Some("y" | "Y" | "yes" | "s" | "S" | "si" | "sí") => self.done(SEEN, None),
            Some("n" | "N" | "no") => self.push(SEEN, Outcome::Failed, Some("the person says no")),
            Some(_) | None => self.skip(SEEN, "the person did not say"),
        }
        remark("Write any answer in that chat on the phone, then press Enter here.");
        self.is_answered = self.hears_person().await.is_some();
        self.began = Instant::now();
    }

    /// A line that the person types; nothing when none comes.
    async fn hears_person(&mut self) -> Option<String> {
        let line = timeout(self.wishes.patience(), self.person.recv()).await;
        line.ok().flatten().map(|line| line.trim().to_owned())
    }

    /// Whether the page has the answer: then the last message of the chat is not the one that was sent.
    fn judge_answer(&mut self, last_key: Option<&str>) {
        const STEP: &str = "answer on the page";
        match (&self.sent_key, last_key) {
            (Some(sent), Some(last)) if self.is_answered && sent == last => {
                self.push(
                    STEP,
                    Outcome::Failed,
                    Some("the last message is the one that was sent"),
                );
            }
            (Some(_), Some(_)) if self.is_answered => self.done(STEP, None),
            (Some(_), Some(_)) => self.skip(STEP, "the person did not say"),
            (_, _) => self.skip(STEP, "the chat was not seen"),
        }
    }

    /// Whether a phone links the device in this moment: the code is gone from the page, and no account is there yet.
    async fn links_after_all(&self) -> bool {
        let until = Instant::now() + PAIRING_TIMEOUT;
        while let Ok(status) = self.status("log out").await {
            let has_code = status.qr.is_some() || status.pairing_code.is_some();
            let may_be_pairing = match &*status.state {
                "QR_REQUIRED" => self.has_code && !has_code,
                "INIT" => self.has_code,
                _ => return is_linked(&status),
            };
            if !may_be_pairing || until < Instant::now() {
                return false;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        false
    }

    /// Leaves no device behind, unless it is kept.
    async fn end(&mut self) {
        let is_linked = self.is_linked || self.links_after_all().await;
        if !is_linked || self.wishes.keep {
            return;
        }
        self.began = Instant::now();
        remark("logging this device out");
        // A session that does not run has to be up to log out.
        let logged_out = async {
            let status = self.status("log out").await?;
            if matches!(&*status.state, "DISCONNECTED" | "ERROR") {
                let body = json!({"wait": "ready"});
                self.ask("/connect", &body, START_TIMEOUT, "log out")
                    .await?;
            }
            self.ask(
                "/disconnect",
                &json!({"logout": true}),
                END_TIMEOUT,
                "log out",
            )
            .await
        };
        match logged_out.await {
            Ok(_) => self.done("log out", None),
            Err(why) => {
                self.note_failure(&why);
                remark("remove this device on the phone, under linked devices");
            }
        }
    }

    async fn status(&self, step: &'static str) -> Result<Status, Failure> {
        let status = self.client.status(&session()).await;
        let status = status.and_then(|answer| answer.read(&self.client));
        status.map_err(|why| refused(step, &why))
    }

    async fn message(&self, id: &str, step: &'static str) -> Result<Value, Failure> {
        let asked = self.client.get(&format!("/messages/{id}"));
        let answer = self.client.ask(asked, END_TIMEOUT).await;
        answer
            .map(|answer| answer.body)
            .map_err(|why| refused(step, &why))
    }

    async fn ask(
        &self,
        path: &str,
        body: &Value,
        patience: Duration,
        step: &'static str,
    ) -> Result<Value, Failure> {
        // The body of a send takes numbers only; the header takes each name of a session.
        let request = self.client.post(path, body);
        let request = request.header("x-cliente-id", SESSION);
        let answer = self.client.ask(request, patience).await;
        answer
            .map(|answer| answer.body)
            .map_err(|why| refused(step, &why))
    }

    fn done(&mut self, step: &'static str, word: Option<&str>) {
        self.push(step, Outcome::Done, word);
    }

    fn skip(&mut self, step: &'static str, why: &str) {
        self.push(step, Outcome::Skipped, Some(why));
    }

    fn note_failure(&mut self, why: &Failure) {
        remark(&format!("session-manager: {}: {}", why.step, why.detail));
        self.push(why.step, Outcome::Failed, Some(&why.word));
    }

    fn push(&mut self, name: &'static str, outcome: Outcome, word: Option<&str>) {
        let seconds = self.began.elapsed().as_secs();
        self.began = Instant::now();
        remark(&format!("{name}: {outcome:?}").to_lowercase());
        self.linked.steps.push(Step {
            name,
            outcome,
            seconds,
            word: word.map(str::to_owned),
        });
    }
}
