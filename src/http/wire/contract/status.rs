//! The words of `/status` and `/sessions`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Moment, NamedClienteId, StateName, expires_in, passkey::PasskeyWanted};
use crate::{
    config::CodeLives,
    http::wire::target::Target,
    ledger::{LastSend, Traffic},
    qr::{QrError, QrPicture},
    session::{
        AdapterReport, ClienteId, HearingReport, Phase, SessionState, Snapshot, StaleReport,
    },
};

/// `GET /status`, and one entry of `/sessions`.
#[derive(Deserialize, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(crate) struct Status {
    /// Whether it can send: `state` is `READY`.
    connected: bool,
    #[schema(value_type = StateName)]
    pub(crate) state: Cow<'static, str>,
    /// The same word as `state`.
    #[schema(value_type = String)]
    status: Cow<'static, str>,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    /// The session that serves this `cliente_id`; another one in `single` mode.
    pub(crate) session: String,
    pub(crate) since: Moment,
    /// Its Chrome is closed until something is to be sent, or is starting for that. It is READY all the same.
    pub(crate) hibernating: bool,
    /// Stable, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "QR_TIMEOUT")]
    pub(crate) reason: Option<Cow<'static, str>>,
    /// For people: what happened and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// How far a start has got, while one is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<UnderWay>,
    /// The phase in which the last start failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) failed_phase: Option<Phase>,
    /// Only while a code can be scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) qr: Option<PendingQr>,
    /// The eight characters that link by phone number, while WhatsApp takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pairing_code: Option<String>,
    /// The end of the number that the code is for: `…4201`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pairing_phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_code_shown_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pairing_code_expires_at: Option<Moment>,
    /// While the phone wants the account's passkey before it links the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) passkey: Option<PasskeyWanted>,
    /// How many codes have been shown, while one is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempts: Option<u32>,
    /// Whether the session is linked to an account, also while it does not run.
    #[serde(default)]
    linked: bool,
    /// The linked number, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// How far the chats are synced, while they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sync_percent: Option<u8>,
    /// The first words of a notice that lies over the chats and only wants to be closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    pub(crate) adapter: Adapter,
    /// How far it has heard what comes in.
    #[serde(default)]
    hearing: Hearing,
    /// How often its page has been reloaded, and Chrome restarted, because they had failed; since the service started.
    reloads: u64,
    restarts: u64,
    /// When it is started again by itself, while it waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chrome_pid: Option<u32>,
    /// What all processes of its Chrome take, once that has been measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_mb: Option<u64>,
    /// What was added up: `pss`, or `private` where the system shows no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    memory_measure: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_measured_at: Option<Moment>,
    /// Once it has had a message to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    sends: Option<Sends>,
    /// While messages depend on it: a copy took the profile's place, and is older than what was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<Restored>,
}

/// A copy that took the profile's place, and with whom new Signal sessions have to be begun since.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct Restored {
    /// When it took that place.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Moment>,
    /// When the copy was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    copied_at: Option<Moment>,
    /// With so many recipients a new session is begun before the next message to each.
    stale_recipients: usize,
    /// Also with each recipient that the ledger does not know any more.
    stale_others: bool,
    /// Also with the account's own devices: until then the phone may not show what is sent.
    stale_own_devices: bool,
    /// Why the page could not do so when it was last asked: messages to these recipients are then refused with `PROFILE_STALE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cannot_reset: Option<String>,
}

impl From<StaleReport> for Restored {
    fn from(stale: StaleReport) -> Self {
        Self {
            at: stale.restored_at.map(Moment),
            copied_at: stale.copied_at.map(Moment),
            stale_recipients: stale.recipients,
            stale_others: stale.others,
            stale_own_devices: stale.own_devices,
            cannot_reset: stale.cannot_reset,
        }
    }
}

/// What a session does with messages, without what they say and to whom.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct Sends {
    /// How many wait, or have not been taken by WhatsApp's server yet.
    open: usize,
    /// When the oldest of those was written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_at: Option<Moment>,
    /// The latest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
}

/// How far the latest message has got.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct Last {
    /// As in `/messages`.
    #[schema(value_type = String, example = "delivered")]
    state: Cow<'static, str>,
    /// Since when.
    at: Moment,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    code: Option<Cow<'static, str>>,
}

/// A phase of a start.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct UnderWay {
    #[schema(value_type = String)]
    pub(crate) name: Phase,
    since: Moment,
    /// When it will have taken too long; a start that waits for its turn has no such moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
}

/// A code that waits for a phone.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct PendingQr {
    /// A data URL, PNG.
    base64: String,
    /// The text in the code.
    pub(crate) url: String,
    attempts: u32,
    /// When it was first shown, milliseconds since the epoch.
    timestamp: i64,
    /// Seconds; an estimate.
    expires_in: i64,
}

/// Which adapter serves a session's page.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Adapter {
    #[schema(value_type = Option<String>)]
    pub(crate) serving: Option<Cow<'static, str>>,
    since: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wa_js_version: Option<String>,
    pub(crate) missing: Vec<String>,
}

/// How far a session has heard what comes in, and what is written on its phone.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct Hearing {
    /// `off`: there is no page, or none that can hear. `starting`: the page is not connected yet. `catching_up`: it hears, and
    /// what came while it could not is still being looked for. `live`: it hears everything. `limited`: it hears some of it, and `detail` says what is
    /// missing. `paused`: the log cannot be written, and what is heard waits in the page.
    #[schema(value_type = String, example = "live")]
    state: Cow<'static, str>,
    /// The adapter by which it hears.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    adapter: Option<Cow<'static, str>>,
    /// Everything that happened up to this moment, by WhatsApp's clock, is in the log; as of the last time when that was noted. It
    /// stands still while nothing happens: `state` says whether the session hears.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard_until: Option<Moment>,
    /// When the newest event happened that was written since the page is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_at: Option<Moment>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<HearingReport> for Hearing {
    fn from(report: HearingReport) -> Self {
        Self {
            state: report.state.as_str().into(),
            adapter: report.adapter.map(|adapter| adapter.as_str().into()),
            heard_until: report.heard_until.map(Moment),
            last_event_at: report.last_event_at.map(Moment),
            detail: report.detail,
        }
    }
}

#[cfg(test)]
impl Status {
    /// What a service answers that says this, and has nothing to say of the rest.
    pub(crate) fn sample(says: &Value) -> Self {
        let mut whole = serde_json::json!({
            "connected": false, "state": "INIT", "status": "INIT", "cliente_id": "51", "session": "51",
            "since": "1970-01-01T00:00:00.000Z", "hibernating": false, "reloads": 0, "restarts": 0,
            "adapter": {"serving": null, "since": null, "missing": []},
        });
        let whole_fields = whole.as_object_mut().unwrap();
        whole_fields.extend(says.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }
}

impl Status {
    /// The session that a request meant, with its code if there is one.
    pub(in crate::http) fn of(
        target: Target,
        snapshot: Snapshot,
        traffic: Traffic,
        lives: CodeLives,
    ) -> Result<Self, QrError> {
        let qr = PendingQr::of(&snapshot.state, lives)?;
        let pairing = snapshot.state.pairing().cloned();
        Ok(Self {
            qr,
            // A number never stands there in full: the code is shown to persons who may not be its owner.
            pairing_phone: pairing.as_ref().map(|code| code.phone.to_string()),
            pairing_code_shown_at: pairing.as_ref().map(|code| Moment(code.shown_at)),
            pairing_code_expires_at: pairing.as_ref().map(|code| Moment(code.expires_at)),
            pairing_code: pairing.map(|code| code.text.into()),
            ..Self::without_code(target.echo, &target.id, snapshot, traffic)
        })
    }

    /// One of many sessions. Its codes are left out: drawing them all would make the list slow.
    pub(in crate::http) fn listed(id: &ClienteId, snapshot: Snapshot, traffic: Traffic) -> Self {
        Self::without_code(Value::from(id.as_str()), id, snapshot, traffic)
    }

    fn without_code(
        cliente_id: Value,
        session: &ClienteId,
        snapshot: Snapshot,
        traffic: Traffic,
    ) -> Self {
        let state = snapshot.state.name();
        let (linked, account) = (snapshot.is_linked(), snapshot.linked_account().cloned());
        let (reason, detail) = snapshot
            .reason
            .map(|reason| (reason.code.as_str().into(), reason.detail))
            .unzip();
        Self {
            connected: is_ready(&snapshot.state),
            state: state.into(),
            status: state.into(),
            cliente_id,
            session: session.to_string(),
            since: Moment(snapshot.since),
            hibernating: snapshot.state == SessionState::Hibernating,
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
            pairing_phone: None,
            pairing_code_shown_at: None,
            pairing_code_expires_at: None,
            passkey: snapshot.passkey.as_ref().map(PasskeyWanted::of),
            attempts: if let SessionState::QrRequired { attempts, .. } = snapshot.state {
                Some(attempts)
            } else {
                None
            },
            linked,
            account: account.map(Into::into),
            sync_percent: snapshot.sync_percent,
            notice: snapshot.notice,
            adapter: snapshot.adapter.into(),
            hearing: snapshot.hearing.into(),
            reloads: snapshot.reloads,
            restarts: snapshot.restarts,
            retry_at: snapshot.retry_at.map(Moment),
            chrome_pid: snapshot.chrome_pid,
            memory_mb: snapshot.memory.map(|memory| memory.mb),
            memory_measure: snapshot.memory.map(|memory| memory.measure.as_str().into()),
            memory_measured_at: snapshot.memory.map(|memory| Moment(memory.at)),
            sends: Sends::of(traffic),
            restored: snapshot.stale.map(Restored::from),
        }
    }
}

impl Sends {
    fn of(traffic: Traffic) -> Option<Self> {
        let Traffic { backlog, last } = traffic;
        (backlog.is_some() || last.is_some()).then(|| Self {
            open: backlog.map_or(0, |backlog| backlog.sends),
            oldest_at: backlog.map(|backlog| Moment(backlog.oldest)),
            last: last.map(Last::from),
        })
    }
}

impl From<LastSend> for Last {
    fn from(last: LastSend) -> Self {
        Self {
            state: last.state.as_str().into(),
            at: Moment(last.at),
            code: last.failure.map(|failure| failure.as_str().into()),
        }
    }
}

impl PendingQr {
    pub(super) fn of(state: &SessionState, lives: CodeLives) -> Result<Option<Self>, QrError> {
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
            url: code.text.clone().into(),
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
            serving: serving.map(Cow::from),
            since: since.map(Moment),
            wa_js_version,
            missing,
        }
    }
}

/// `GET /sessions`.
#[derive(Deserialize, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(crate) struct Sessions {
    pub(in crate::http) success: bool,
    /// The ones that are READY.
    pub(in crate::http) sessions: Vec<String>,
    /// How many those are.
    pub(in crate::http) count: usize,
    /// Every known session.
    pub(crate) details: Vec<Status>,
}

/// Whether a session counts as READY: it can send, if need be after it has woken.
pub(in crate::http) const fn is_ready(state: &SessionState) -> bool {
    state.takes_sends()
}
