//! The words of the contract: every answer as a type, its fields in the order in which they were recorded.
//!
//! No decision is taken here but how a snapshot reads on the wire. A field may be added, none may go or change its type.
//! What holds a code that links has no `Debug`: it is for its caller, and for no log.

mod evidence;
mod link;
mod messages;

use std::collections::BTreeMap;

use jiff::Timestamp;
pub(super) use link::{Link, LinkStatus};
pub(super) use messages::{DryRun, Message, Messages};
use serde::{Serialize, Serializer};
use serde_json::Value;

pub(super) use self::evidence::EvidenceAnswer;
use super::{qr::expires_in, target::Target};
use crate::{
    config::CodeLives,
    qr::{QrError, QrPicture},
    session::{
        AdapterReport, ClienteId, ConnectOutcome, DisconnectOutcome, PairingCode, Phase,
        ReasonCode, Recipient, Sent, SessionState, Snapshot,
    },
};

/// A moment as `2026-11-22T12:42:36.107Z`: always three decimals, as JavaScript writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

/// `GET /health`.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    /// Always `ok`: a service that is not, does not answer.
    pub(super) status: &'static str,
    pub(super) service: &'static str,
    pub(super) timestamp: Moment,
    pub(super) version: &'static str,
    pub(super) uptime_seconds: u64,
    /// How many known sessions are in each state; every state is listed.
    pub(super) sessions: BTreeMap<&'static str, usize>,
    pub(super) adapter: AdapterCensus,
    pub(super) chrome: ChromeCensus,
    /// Where the simulated WhatsApp and its phone (`/phone`) are, when this is the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sandbox: Option<String>,
}

/// Which adapters serve, over all sessions.
#[derive(Debug, Default, Serialize)]
pub(super) struct AdapterCensus {
    /// How many sessions each adapter serves.
    pub(super) serving: BTreeMap<&'static str, usize>,
    /// Since when each has served, where it has served longest.
    pub(super) since: BTreeMap<&'static str, Moment>,
    /// What any session's page lacks, each name once.
    pub(super) missing: Vec<String>,
}

/// What runs on the machine.
#[derive(Debug, Default, Serialize)]
pub(super) struct ChromeCensus {
    pub(super) running: usize,
    /// What all that have been measured take together.
    pub(super) memory_mb: u64,
}

/// `GET /status`, and one entry of `/sessions`.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(super) struct Status {
    /// Whether it can send: `state` is `READY`.
    connected: bool,
    state: &'static str,
    /// The same word as `state`.
    status: &'static str,
    cliente_id: Value,
    /// The session that serves this `cliente_id`; another one in `single` mode.
    session: String,
    since: Moment,
    /// Stable, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ReasonCode>,
    /// For people: what happened and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How far a start has got, while one is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<UnderWay>,
    /// The phase in which the last start failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_phase: Option<Phase>,
    /// Only while a code can be scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    qr: Option<PendingQr>,
    /// The eight characters that link by phone number, while WhatsApp takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_code_shown_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_code_expires_at: Option<Moment>,
    /// How many codes have been shown, while one is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// The linked number, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// How far the chats are synced, while they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_percent: Option<u8>,
    adapter: Adapter,
    /// How often its page has been loaded anew, and Chrome started anew, because they had failed; since the service started.
    reloads: u64,
    restarts: u64,
    /// When it is started again by itself, while it waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chrome_pid: Option<u32>,
    /// What all processes of its Chrome take, once that has been measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_mb: Option<u64>,
    /// What was added up: `pss`, or `private` where the system shows no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_measure: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_measured_at: Option<Moment>,
}

/// A phase of a start.
#[derive(Debug, Serialize)]
struct UnderWay {
    name: Phase,
    since: Moment,
    /// When it will have taken too long; a start that waits for its turn has no such moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
}

/// A code that waits for a phone.
#[derive(Serialize)]
struct PendingQr {
    /// A data URL, PNG.
    base64: String,
    /// The text in the code.
    url: String,
    attempts: u32,
    /// When it was first shown, milliseconds since the epoch.
    timestamp: i64,
    /// Seconds; an estimate, see `http::qr`.
    expires_in: i64,
}

/// Which adapter serves a session's page.
#[derive(Debug, Serialize)]
struct Adapter {
    serving: Option<&'static str>,
    since: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wa_js_version: Option<String>,
    missing: Vec<String>,
}

impl Status {
    /// The session that a request meant, with its code if there is one.
    pub(super) fn of(
        target: Target,
        snapshot: Snapshot,
        lives: CodeLives,
    ) -> Result<Self, QrError> {
        let qr = PendingQr::of(&snapshot.state, lives)?;
        let pairing = snapshot.state.pairing().cloned();
        Ok(Self {
            qr,
            pairing_code_shown_at: pairing.as_ref().map(|code| Moment(code.shown_at)),
            pairing_code_expires_at: pairing.as_ref().map(|code| Moment(code.expires_at)),
            pairing_code: pairing.map(|code| code.text),
            ..Self::without_code(target.echo, &target.id, snapshot)
        })
    }

    /// One of many sessions. Its codes are left out: drawing them all would make the list slow.
    pub(super) fn listed(id: &ClienteId, snapshot: Snapshot) -> Self {
        Self::without_code(Value::from(id.as_str()), id, snapshot)
    }

    fn without_code(cliente_id: Value, session: &ClienteId, snapshot: Snapshot) -> Self {
        let state = snapshot.state.name();
        let (reason, detail) = snapshot
            .reason
            .map(|reason| (reason.code, reason.detail))
            .unzip();
        Self {
            connected: is_ready(&snapshot.state),
            state,
            status: state,
            cliente_id,
            session: session.to_string(),
            since: Moment(snapshot.since),
            reason,
            detail,
            phase: snapshot.phase.map(|phase| UnderWay {
                name: phase.name,
                since: Moment(phase.since),
                until: phase.until.map(Moment),
            }),
            failed_phase: snapshot.failed_phase,
            qr: None,
            pairing_code: None,
            pairing_code_shown_at: None,
            pairing_code_expires_at: None,
            attempts: if let SessionState::QrRequired { attempts, .. } = snapshot.state {
                Some(attempts)
            } else {
                None
            },
            account: snapshot.account,
            sync_percent: snapshot.sync_percent,
            adapter: snapshot.adapter.into(),
            reloads: snapshot.reloads,
            restarts: snapshot.restarts,
            retry_at: snapshot.retry_at.map(Moment),
            chrome_pid: snapshot.chrome_pid,
            memory_mb: snapshot.memory.map(|memory| memory.mb),
            memory_measure: snapshot.memory.map(|memory| memory.measure.as_str()),
            memory_measured_at: snapshot.memory.map(|memory| Moment(memory.at)),
        }
    }
}

impl PendingQr {
    fn of(state: &SessionState, lives: CodeLives) -> Result<Option<Self>, QrError> {
        let SessionState::QrRequired {
            code: Some(code),
            attempts,
            ..
        } = state
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            base64: QrPicture::of(&code.text)?.data_url()?,
            url: code.text.clone(),
            attempts: *attempts,
            timestamp: code.shown_at.as_millisecond(),
            expires_in: expires_in(code, *attempts, lives, Timestamp::now()),
        }))
    }
}

impl From<AdapterReport> for Adapter {
    fn from(report: AdapterReport) -> Self {
        let AdapterReport {
            serving,
            since,
            wa_js_version,
            missing,
        } = report;
        Self {
            serving,
            since: since.map(Moment),
            wa_js_version,
            missing,
        }
    }
}

/// `GET /sessions`.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(super) struct Sessions {
    pub(super) success: bool,
    /// The ones that are READY.
    pub(super) sessions: Vec<String>,
    /// How many those are.
    pub(super) count: usize,
    /// Every known session.
    pub(super) details: Vec<Status>,
}

/// `GET /qr` when it is not asked for a picture.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Qr {
    /// Nothing to scan.
    NoQr {
        state: &'static str,
        /// Never empty: what to do, or what to wait for.
        reason: String,
        cliente_id: Value,
        session: String,
    },
    /// Scan this.
    QrAvailable {
        /// A data URL, PNG.
        qr: String,
        state: &'static str,
        attempts: u32,
        /// Seconds; an estimate, see `http::qr`.
        expires_in: i64,
        cliente_id: Value,
        session: String,
    },
}

/// `GET /qr-code`, an older name.
#[derive(Serialize)]
pub(super) struct QrCodeAnswer {
    #[serde(rename = "qrDataUrl")]
    pub(super) qr_data_url: String,
    /// The text in the code.
    pub(super) qr: String,
    pub(super) status: &'static str,
}

/// `POST /connect`.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(super) struct Connected {
    success: bool,
    message: &'static str,
    state: &'static str,
    /// The same word as `state`.
    status: &'static str,
    cliente_id: Value,
    session: String,
    #[serde(rename = "alreadyConnected")]
    already_connected: bool,
    /// The eight characters to type on the phone that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_code_expires_at: Option<Moment>,
}

impl Connected {
    /// `phone`: whose code was asked for, if any; another one's is none of the caller's business.
    pub(super) fn of(target: Target, phone: Option<&Recipient>, outcome: &ConnectOutcome) -> Self {
        let state = outcome.snapshot.state.name();
        let is_meant = |code: &&PairingCode| Some(&code.phone) == phone;
        let pairing = outcome.snapshot.state.pairing().filter(is_meant);
        Self {
            success: true,
            message: match outcome.snapshot.state {
                SessionState::Ready => "Connected",
                SessionState::QrRequired { .. } => "QR required",
                SessionState::Init
                | SessionState::Authenticated
                | SessionState::Disconnected
                | SessionState::Error => "Connecting",
            },
            state,
            status: state,
            cliente_id: target.echo,
            session: target.id.to_string(),
            already_connected: outcome.already_connected,
            pairing_code: pairing.map(|code| code.text.clone()),
            pairing_code_expires_at: pairing.map(|code| Moment(code.expires_at)),
        }
    }
}

/// `POST /disconnect`.
#[derive(Debug, Serialize)]
pub(super) struct Disconnected {
    success: bool,
    message: &'static str,
    cliente_id: Value,
    session: String,
}

impl Disconnected {
    pub(super) fn of(target: Target, outcome: DisconnectOutcome) -> Self {
        Self {
            success: true,
            message: match outcome {
                DisconnectOutcome::NoActiveSession => "No active session",
                DisconnectOutcome::Disconnected => "Disconnected",
                DisconnectOutcome::DisconnectedWithErrors => "Disconnected with errors",
                DisconnectOutcome::LoggedOut => "Logged out",
            },
            cliente_id: target.echo,
            session: target.id.to_string(),
        }
    }
}

/// `POST /send`, taken by WhatsApp's server or by its queue.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    success: bool,
    ok: bool,
    message: &'static str,
    message_id: String,
    /// How far it has got: `GET /messages/{message_id}` tells more.
    message_state: &'static str,
    data: AcceptedMessage,
}

/// What the service before this one told of a message.
#[derive(Debug, Serialize)]
struct AcceptedMessage {
    success: bool,
    cliente_id: Value,
    to: String,
    #[serde(rename = "messageId")]
    message_id: String,
    timestamp: Moment,
    ack: i32,
}

impl Accepted {
    pub(super) fn of(cliente_id: Value, to: String, sent: Sent) -> Self {
        Self {
            success: true,
            ok: true,
            message: if sent.ack >= 1 {
                "Message sent"
            } else {
                "Message pending"
            },
            message_id: sent.message_id.clone(),
            message_state: sent.state.as_str(),
            data: AcceptedMessage {
                success: true,
                cliente_id,
                to,
                message_id: sent.message_id,
                timestamp: Moment(sent.at),
                ack: sent.ack,
            },
        }
    }

    /// Whether WhatsApp's server has it; else it waits in WhatsApp's own queue.
    pub(super) const fn is_with_the_server(&self) -> bool {
        self.data.ack >= 1
    }
}

/// Whether a session can send.
pub(super) const fn is_ready(state: &SessionState) -> bool {
    matches!(state, SessionState::Ready)
}

#[cfg(test)]
mod tests;
