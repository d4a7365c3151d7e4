//! How snapshots and outcomes read on the wire.

use serde_json::{Value, json};

use super::*;
use crate::{
    config::CodeLives,
    http::wire::target::Target,
    ledger::{Backlog, Failure, LastSend, SendState, Traffic},
    session::{
        ConnectOutcome, PairingCode, QrCode, Reason, ReasonCode, Sent, SessionState, Snapshot,
    },
};

fn snapshot(state: SessionState) -> Snapshot {
    Snapshot {
        state,
        ..Snapshot::not_running(Timestamp::UNIX_EPOCH)
    }
}

fn target(echo: impl Into<Value>) -> Target {
    Target {
        id: "51".parse().unwrap(),
        echo: echo.into(),
    }
}

#[test]
fn a_moment_has_three_decimals_whatever_it_is() {
    let written = |nanoseconds| {
        serde_json::to_value(Moment(Timestamp::from_nanosecond(nanoseconds).unwrap())).unwrap()
    };
    assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(written(1_999_999_999), "1970-01-01T00:00:01.999Z");
}

#[test]
fn a_disconnected_status_says_why_and_has_no_empty_fields() {
    let mut ended = snapshot(SessionState::Disconnected);
    ended.reason = Some(Reason::new(ReasonCode::QrTimeout, "nobody scanned"));
    assert_eq!(
        serde_json::to_value(
            Status::of(target("51"), ended, Traffic::default(), CodeLives::WHATSAPP).unwrap()
        )
        .unwrap(),
        json!({
            "connected": false, "state": "DISCONNECTED", "status": "DISCONNECTED", "cliente_id": "51", "session": "51",
            "since": "1970-01-01T00:00:00.000Z", "hibernating": false, "linked": false, "reason": "QR_TIMEOUT", "detail": "nobody scanned",
            "adapter": {"serving": null, "since": null, "missing": []}, "hearing": {"state": "off"}, "reloads": 0, "restarts": 0,
        })
    );
}

#[test]
fn a_session_that_hibernates_is_ready_for_whoever_asks() {
    let asleep = snapshot(SessionState::Hibernating);
    let status = Status::of(target(51), asleep, Traffic::default(), CodeLives::WHATSAPP);
    let status = serde_json::to_value(status.unwrap()).unwrap();
    assert_eq!(
        (&status["state"], &status["status"], &status["connected"]),
        (&json!("READY"), &json!("READY"), &json!(true))
    );
    assert_eq!(status["hibernating"], true);
}

#[test]
fn a_status_carries_the_code_that_is_pending_and_the_list_does_not() {
    let code = QrCode {
        text: "2@x".into(),
        shown_at: Timestamp::from_millisecond(1234).unwrap(),
    };
    let pairing = PairingCode {
        text: "ABCDEFGH".into(),
        phone: "5491158254201".parse().unwrap(),
        shown_at: Timestamp::from_millisecond(1234).unwrap(),
        expires_at: Timestamp::from_millisecond(5678).unwrap(),
    };
    let pending = snapshot(SessionState::QrRequired {
        code: Some(code),
        attempts: 3,
        pairing: Some(pairing),
    });
    let busy = Traffic {
        backlog: Some(Backlog {
            sends: 2,
            oldest: Timestamp::UNIX_EPOCH,
        }),
        last: Some(LastSend {
            state: SendState::Failed,
            at: Timestamp::UNIX_EPOCH,
            failure: Some(Failure::NotTaken),
        }),
    };
    let status = serde_json::to_value(
        Status::of(target(51), pending.clone(), busy, CodeLives::WHATSAPP).unwrap(),
    )
    .unwrap();
    assert_eq!(
        (&status["qr"]["url"], &status["qr"]["attempts"]),
        (&json!("2@x"), &json!(3))
    );
    assert_eq!(
        (&status["qr"]["timestamp"], &status["cliente_id"]),
        (&json!(1234), &json!(51))
    );
    assert_eq!(
        (
            &status["pairing_code"],
            &status["pairing_code_shown_at"],
            &status["pairing_code_expires_at"]
        ),
        (
            &json!("ABCDEFGH"),
            &json!("1970-01-01T00:00:01.234Z"),
            &json!("1970-01-01T00:00:05.678Z")
        )
    );
    assert!(
        status["qr"]["base64"]
            .as_str()
            .unwrap()
            .starts_with("data:image/png;base64,")
    );

    let listed =
        serde_json::to_value(Status::listed(&"51".parse().unwrap(), pending, busy)).unwrap();
    assert_eq!((listed.get("qr"), &listed["attempts"]), (None, &json!(3)));
    let at = "1970-01-01T00:00:00.000Z";
    let last = json!({"state": "failed", "at": at, "code": "SEND_FAILED"});
    assert_eq!(
        listed["sends"],
        json!({"open": 2, "oldest_at": at, "last": last})
    );
    assert!(!listed.to_string().contains("ABCDEFGH"), "{listed}");
}

#[test]
fn a_connect_says_where_the_session_has_got_to() {
    let message = |state| {
        let outcome = ConnectOutcome {
            snapshot: snapshot(state),
            already_connected: false,
        };
        serde_json::to_value(Connected::of(target(51), None, &outcome)).unwrap()["message"].clone()
    };
    assert_eq!(message(SessionState::Ready), "Connected");
    assert_eq!(
        message(SessionState::QrRequired {
            code: None,
            attempts: 0,
            pairing: None
        }),
        "QR required"
    );
    assert_eq!(message(SessionState::Init), "Connecting");
    assert_eq!(message(SessionState::Authenticated), "Connecting");
}

#[test]
fn a_message_that_only_the_queue_has_is_pending() {
    let sent = |ack| Sent {
        message_id: "true_1@c.us_3EB0".to_owned(),
        state: if ack == 0 {
            SendState::Handed
        } else {
            SendState::Sent
        },
        ack,
        at: Timestamp::UNIX_EPOCH,
        is_repeated: false,
    };
    let pending = AcceptedSend::of(json!(51), "5491158254201".to_owned(), sent(0));
    assert!(!pending.is_with_the_server());
    assert_eq!(
        serde_json::to_value(pending).unwrap(),
        json!({
            "success": true, "ok": true, "message": "Message pending", "message_state": "handed", "message_id": "true_1@c.us_3EB0",
            "data": {
                "success": true, "cliente_id": 51, "to": "5491158254201", "messageId": "true_1@c.us_3EB0",
                "timestamp": "1970-01-01T00:00:00.000Z", "ack": 0,
            },
        })
    );
    assert!(AcceptedSend::of(json!(51), "5491158254201".to_owned(), sent(2)).is_with_the_server());
}

#[test]
fn the_document_has_every_state_by_its_name() {
    let states = [
        StateName::Init,
        StateName::QrRequired,
        StateName::Authenticated,
        StateName::Ready,
        StateName::Disconnected,
        StateName::Error,
    ];
    let names = states.map(|state| serde_json::to_value(state).unwrap());
    assert_eq!(names, SessionState::NAMES.map(Value::from));
}
