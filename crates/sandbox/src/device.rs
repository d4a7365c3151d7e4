//! One connection of one page to the server.
//!
//! Responsible for: the order and the timing of what travels (late acknowledgements, receipts),
//! and the faults of the connection. Not responsible for: what is true (`server`), the codes by
//! which a page is linked (`linking`).
//!
//! ```text
//! hello ──no link──▶ codes: 60 s, 5 × 20 s ──▶ ran out ──refresh──▶ codes …
//!   │                  └─ scanned, or a pairing code was typed ─▶ paired (the page stores its link and connects again)
//!   └──link──▶ welcome: what was missed, then messages both ways ──▶ removed
//! ```

mod after;
mod delivery;
mod linking;
mod older;

use std::{sync::Arc, time::Duration};

use axum::extract::ws::{Message as WsMessage, WebSocket};
use delivery::Delivery;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    SandboxConfig,
    code::DeviceKeys,
    extras::ExtrasOfPage,
    faults::{
        AckFault, Event, Faults, MediaDownloadFault, NumberCheckFault, SendFault, SocketFault,
    },
    journal::{Message, Recipient},
    number::Number,
    ratchets::Envelope,
    server::{self, FRAMES_IN_FLIGHT, Server, Taken},
    wire::{Awaiting, Credentials, FromPage, ToPage},
    world::ConnectionId,
};

/// A page says hello at once; a client that does not is no page of the sandbox.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest frame: the longest text of WhatsApp is 65,536 characters.
pub(super) const MAX_FRAME_BYTES: usize = 512 * 1024;

/// Why a connection ends.
struct Ended;

/// Serves one connection until it ends, by whichever side.
pub(super) async fn serve(
    mut socket: WebSocket,
    server: Arc<Server>,
    config: Arc<SandboxConfig>,
    stop: CancellationToken,
) {
    let hello = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        hello = timeout(HELLO_TIMEOUT, next_frame(&mut socket)) => hello,
    };
    let Ok(Ok(FromPage::Hello {
        tab,
        device,
        keys,
        awaiting,
    })) = hello
    else {
        return;
    };
    let (outbox, inbox) = mpsc::channel(FRAMES_IN_FLIGHT);
    let id = server.connected(&tab, outbox);
    let connection = Connection {
        socket,
        id,
        revisions: server.revisions(),
        server: Arc::clone(&server),
        config,
        link: None,
        keys,
        codes_left: 0,
        code_ends: None,
        pairing_ends: None,
        later: FuturesUnordered::new(),
        delivery: Delivery::default(),
        told: None,
        has_lost: false,
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        _ended = connection.run(inbox, device, awaiting) => {}
    }
    server.disconnected(id);
}

async fn next_frame(socket: &mut WebSocket) -> Result<FromPage, Ended> {
    while let Some(Ok(message)) = socket.recv().await {
        if let WsMessage::Text(text) = message {
            return serde_json::from_str(&text).map_err(|why| {
                // Names the fault, never what the frame held.
                tracing::debug!("a page sent a frame that is none: {:?}", why.classify());
                Ended
            });
        }
    }
    Err(Ended)
}

struct Connection {
    socket: WebSocket,
    id: ConnectionId,
    server: Arc<Server>,
    config: Arc<SandboxConfig>,
    revisions: watch::Receiver<u64>,

    /// Device and account, once the page has proven who it is.
    link: Option<(String, Number)>,
    keys: Option<DeviceKeys>,
    codes_left: u32,
    code_ends: Option<Instant>,
    /// The request for the pairing code that is valid, and until when.
    pairing_ends: Option<(u64, Instant)>,
    /// Frames that are due later.
    later: FuturesUnordered<BoxFuture<'static, ToPage>>,
    delivery: Delivery,
    /// The faults that the page was last told of.
    told: Option<Faults>,
    /// A message that the page has sent was lost. No connection carries what comes behind, so the next message ends this one.
    has_lost: bool,
}

impl Connection {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<ToPage>,
        device: Option<Credentials>,
        awaiting: Vec<Awaiting>,
    ) -> Result<(), Ended> {
        self.open(device, awaiting).await?;
        loop {
            let code_ends = self.code_ends;
            let pairing_ends = self.pairing_ends.map(|(_, ends)| ends);
            tokio::select! {
                frame = next_frame(&mut self.socket) => self.on_frame(frame?).await?,
                frame = inbox.recv() => self.forward(frame.ok_or(Ended)?).await?,
                Some(frame) = self.later.next() => self.forward(frame).await?,
                () = sleep_until(code_ends.unwrap_or_else(Instant::now)), if code_ends.is_some() => {
                    self.next_code().await?;
                }
                () = sleep_until(pairing_ends.unwrap_or_else(Instant::now)), if pairing_ends.is_some() => {
                    self.pairing_expired().await?;
                }
                changed = self.revisions.changed() => {
                    changed.map_err(|_| Ended)?;
                    self.on_faults().await?;
                    self.deliver().await?;
                }
            }
        }
    }

    async fn open(
        &mut self,
        device: Option<Credentials>,
        awaiting: Vec<Awaiting>,
    ) -> Result<(), Ended> {
        let Some(credentials) = device else {
            self.on_faults().await?;
            return self.new_batch().await;
        };
        let account = match self.server.attach(self.id, &credentials) {
            Ok(account) => account,
            Err(reason) => return self.forward(ToPage::Removed { reason }).await,
        };
        self.link = Some((credentials.id, account.clone()));
        self.on_faults().await?;
        let welcome = ToPage::Welcome {
            account: account.as_str().to_owned(),
            lid: account.lid(),
        };
        self.send(&welcome).await?;
        self.begin_delivery().await?;
        for Awaiting { id } in awaiting {
            if self.server.read(|world| world.has(&account, &id)) {
                self.acknowledge(&id, Duration::ZERO);
            }
        }
        Ok(())
    }

    async fn on_frame(&mut self, frame: FromPage) -> Result<(), Ended> {
        match frame {
            FromPage::Ping => self.send(&ToPage::Pong).await,
            FromPage::RefreshCodes => self.new_batch().await,
            FromPage::PairingCode { request, phone } => self.pairing_code(request, &phone).await,
            FromPage::EndPairing => {
                self.end_pairing();
                Ok(())
            }
            FromPage::HeardFaults { change } => {
                self.server.heard_faults(self.id, change);
                Ok(())
            }
            FromPage::Keys { keys } => {
                self.server.keys_changed(self.id, keys.clone());
                self.keys = Some(keys);
                Ok(())
            }
            FromPage::Exists {
                request,
                user,
                server,
            } => self.answer_exists(request, &user, &server).await,
            FromPage::Send {
                id,
                user,
                server,
                body,
                from_server,
                envelopes,
                extras,
            } => {
                let message = Sent {
                    id,
                    body,
                    envelopes,
                    extras,
                };
                self.take(message, &user, &server, &from_server).await
            }
            FromPage::Reupload { request, id } => self.reupload(request, &id).await,
            FromPage::Change {
                id,
                target,
                change,
                envelopes,
            } => {
                let done = after::Done {
                    id,
                    target,
                    act: change,
                    envelopes,
                };
                self.take_change(done).await
            }
            FromPage::Seen { user, server } => self.seen(&user, &server),
            FromPage::ChatState {
                user,
                server,
                state,
            } => self.chat_state(&user, &server, state),
            FromPage::Received { ids } => self.received(ids).await,
            FromPage::Older {
                user,
                server,
                oldest,
            } => self.answer_older(&user, &server, oldest.as_deref()).await,
            FromPage::Logout => {
                let Some((device, _)) = &self.link else {
                    return Err(Ended);
                };
                self.server.log_out(device).map_err(|_| Ended)
            }
            FromPage::Revoke => {
                let Some((device, _)) = &self.link else {
                    return Err(Ended);
                };
                self.server.revoke(device).map_err(|_| Ended)
            }
            FromPage::Passkey { assertion } => self.take_passkey(&assertion).await,
            FromPage::PasskeyOptions => self.passkey_options().await,
            FromPage::PasskeyConfirmed => self.confirm_passkey().await,
            FromPage::Hello { .. } => Err(Ended),
        }
    }

    /// Sends a frame that came from elsewhere, and ends with it when it is the last one.
    async fn forward(&mut self, frame: ToPage) -> Result<(), Ended> {
        if matches!(
            frame,
            ToPage::Event {
                event: Event::SocketClosed
            }
        ) {
            return Err(Ended);
        }
        if matches!(frame, ToPage::PasskeyRequest { .. }) {
            // The page shows neither code any more.
            self.code_ends = None;
            self.end_pairing();
        }
        self.send(&frame).await?;
        if matches!(
            frame,
            ToPage::Paired { .. } | ToPage::Removed { .. } | ToPage::Conflict
        ) {
            // The page has to read these before the socket goes, so it is the page that closes it.
            while next_frame(&mut self.socket).await.is_ok() {}
            return Err(Ended);
        }
        Ok(())
    }

    async fn send(&mut self, frame: &ToPage) -> Result<(), Ended> {
        let text = serde_json::to_string(frame).map_err(|_| Ended)?;
        self.socket
            .send(WsMessage::text(text))
            .await
            .map_err(|_| Ended)
    }

    fn faults(&self) -> Faults {
        let account = self.link.as_ref().map(|(_, account)| account);
        self.server.read(|world| world.faults_of(account))
    }

    /// Tells the page of its faults, and suffers those of the connection.
    async fn on_faults(&mut self) -> Result<(), Ended> {
        let faults = self.faults();
        let change = self.server.read(|world| world.fault_changes);
        if self.told.as_ref() == Some(&faults) {
            self.server.heard_faults(self.id, change);
            return Ok(());
        }
        self.told = Some(faults.clone());
        let socket = faults.socket;
        if socket == Some(SocketFault::Refuse) {
            return Err(Ended);
        }
        let faults = Box::new(faults);
        self.send(&ToPage::Faults { faults, change }).await?;
        while socket == Some(SocketFault::Silent) {
            // What the page says is lost, as on a cut cable; only its farewell ends this.
            next_frame(&mut self.socket).await?;
        }
        Ok(())
    }

    async fn answer_exists(&mut self, request: u64, user: &str, server: &str) -> Result<(), Ended> {
        let faults = self.faults();
        let error = match faults.number_check {
            Some(NumberCheckFault::Never) => return Ok(()),
            Some(NumberCheckFault::NetworkError) => true,
            None => false,
        };
        let number = Number::addressed(user, server).filter(Number::is_on_whatsapp);
        // The address of an account is the number under which it is registered, however it was asked for.
        let number = number.map(|number| number.registered());
        let found = number.is_some() && !error;
        let lid = number.as_ref().filter(|_| !faults.no_lids);
        let lid = lid.map(Number::lid).unwrap_or_default();
        let number = number.map(String::from).unwrap_or_default();
        self.send(&ToPage::Exists {
            request,
            found,
            number,
            lid,
            error,
        })
        .await
    }

    async fn take(
        &mut self,
        sent: Sent,
        user: &str,
        server: &str,
        from_server: &str,
    ) -> Result<(), Ended> {
        let Sent {
            id,
            body,
            envelopes,
            extras,
        } = sent;
        let Some((_, account)) = self.link.clone() else {
            return Err(Ended);
        };
        let faults = self.faults();
        if faults.send == Some(SendFault::Lost) {
            self.has_lost = true;
            return Ok(());
        }
        if self.has_lost {
            return Err(Ended);
        }
        let recipient = self.recipient_of(&account, user, server);
        let refused = faults.send == Some(SendFault::Refused);
        // The page says so by itself, and knows more words for it.
        if faults.send_result.is_some() {
            return Ok(());
        }
        // To decrypt a large file takes a while, and the other connections go on.
        let store = Arc::clone(self.server.media());
        let extras = spawn_blocking(move || extras.read(&store)).await;
        let extras = extras.map_err(|_| Ended)?;
        let Some((recipient, extras)) = recipient.zip(extras).filter(|_| !refused) else {
            return self
                .send(&ToPage::Ack {
                    id,
                    ack: -1,
                    at: present(),
                })
                .await;
        };
        let is_group = matches!(recipient, Recipient::Group(_));
        let message = Message {
            id: id.clone(),
            account,
            recipient,
            body,
            extras,
            at: server::now(),
            resent: 0,
            mixed_addressing: !is_group && from_server != server,
            seen_by_recipient: true,
            seen_by_own_phone: true,
        };
        match self.server.take(message, envelopes) {
            Ok(Taken::New | Taken::Again) => {}
            Err(why) => {
                tracing::error!("the sandbox could not store a message: {why}");
                return Err(Ended);
            }
        }
        let delay = faults
            .ack_delay_ms
            .map_or(self.config.ack_delay, Duration::from_millis);
        self.acknowledge(&id, delay);
        Ok(())
    }

    /// The page cannot download a medium any more, and asks a phone that has it.
    async fn reupload(&mut self, request: u64, id: &str) -> Result<(), Ended> {
        let Some((_, account)) = &self.link else {
            return Err(Ended);
        };
        let direct_path = match self.faults().media_download {
            Some(MediaDownloadFault::Waiting) => return Ok(()),
            Some(MediaDownloadFault::Gone) => None,
            Some(
                MediaDownloadFault::Expired
                | MediaDownloadFault::Corrupt
                | MediaDownloadFault::Never,
            )
            | None => {
                let file = self.server.read(|world| world.media_file(account, id));
                file.and_then(|(_, file)| self.server.media().renew(&file))
            }
        };
        self.send(&ToPage::Reuploaded {
            request,
            direct_path,
        })
        .await
    }

    /// Whom a page writes to: a person who is on WhatsApp, or a group of the account.
    fn recipient_of(&self, account: &Number, user: &str, server: &str) -> Option<Recipient> {
        if server == "g.us" {
            let is_own = self.server.read(|world| {
                let group = world.groups.get(user);
                group.is_some_and(|group| group.account == *account && !group.is_left)
            });
            return is_own.then(|| Recipient::Group(user.to_owned()));
        }
        let person = Number::addressed(user, server).filter(Number::is_on_whatsapp);
        person.map(Recipient::Person)
    }

    fn is_seen(&self, id: &str) -> bool {
        let account = self.link.as_ref().map(|(_, account)| account);
        account.is_some_and(|account| self.server.read(|world| world.is_seen(account, id)))
    }

    /// Schedules the acknowledgement of a stored message, and the receipts that follow it.
    fn acknowledge(&mut self, id: &str, delay: Duration) {
        let steps = match self.faults().ack {
            Some(AckFault::Never) => 0,
            Some(AckFault::NoReceipts) => 1,
            None if self.is_seen(id) => 3,
            // A device that drops a message has received it all the same, and says so. No person reads it.
            None => 2,
        };
        let due = Instant::now() + delay;
        for (ack, step) in (1..=steps).zip(0_u32..) {
            self.acknowledge_at(due + self.config.ack_delay * step, id, ack);
        }
    }

    /// Tells the page at that time how far a message has got.
    fn acknowledge_at(&self, due: Instant, id: &str, ack: i8) {
        let id = id.to_owned();
        let frame = async move {
            sleep_until(due).await;
            ToPage::Ack {
                id,
                ack,
                at: present(),
            }
        };
        self.later.push(frame.boxed());
    }
}

/// What a page sends.
struct Sent {
    id: String,
    body: String,
    envelopes: Vec<Envelope>,
    extras: ExtrasOfPage,
}

fn present() -> i64 {
    Timestamp::now().as_second()
}
