//! Which cause gets which answer.

use super::*;
use crate::{
    received::StoreError,
    session::{Reason, ReasonCode},
};

#[track_caller]
fn assert_answer(error: impl Into<ApiError>, status: u16, code: &str, level: LogLevel) {
    let error = error.into();
    let facts = error.facts();
    let answer = (facts.status.as_u16(), facts.code, facts.level);
    assert_eq!(answer, (status, code, level), "{error:?}");
}

#[test]
fn each_cause_has_its_status_its_code_and_its_level() {
    use LogLevel::{Attention, Bug, Usual};
    let failed = |code| ConnectError::Failed(Reason::new(code, "why"));
    assert_answer(failed(ReasonCode::QrTimeout), 500, "QR_TIMEOUT", Usual);
    assert_answer(
        failed(ReasonCode::ProfileInUse),
        500,
        "PROFILE_IN_USE",
        Attention,
    );
    let not_paired = |code| ConnectError::NotPaired(Reason::new(code, "why"));
    assert_answer(
        not_paired(ReasonCode::PairingRefused),
        400,
        "PAIRING_REFUSED",
        Usual,
    );
    assert_answer(
        not_paired(ReasonCode::PairingRateLimited),
        429,
        "PAIRING_RATE_LIMITED",
        Usual,
    );
    assert_answer(
        not_paired(ReasonCode::PairingFailed),
        500,
        "PAIRING_FAILED",
        Attention,
    );
    assert_answer(ConnectError::ShuttingDown, 503, "SHUTTING_DOWN", Usual);
    let unconfirmed = DisconnectError::LogoutUnconfirmed("no answer".to_owned());
    assert_answer(unconfirmed, 500, "LOGOUT_UNCONFIRMED", Attention);
    assert_answer(DisconnectError::NotLinked, 409, "NOT_LINKED", Usual);
    assert_answer(
        SendError::NotReady {
            state: "INIT",
            reason: None,
            retry_at: None,
        },
        503,
        "SESSION_NOT_READY",
        Usual,
    );
    assert_answer(
        SendError::NotOnWhatsApp,
        400,
        "NUMBER_NOT_ON_WHATSAPP",
        Usual,
    );
    assert_answer(
        SendError::Failed("no".to_owned()),
        500,
        "SEND_FAILED",
        Attention,
    );
    let retry_after = std::time::Duration::from_secs(70);
    let full = SendError::QueueFull { retry_after };
    assert_answer(full, 429, "QUEUE_FULL", Usual);
    assert_answer(ApiError::Panic("inside"), 500, "INTERNAL", Bug);
}

#[test]
fn an_unconfirmed_send_carries_its_id_and_a_full_queue_says_when_to_come_back() {
    let unconfirmed = ApiError::from(SendError::Unconfirmed {
        message_id: "true_1@c.us_3EB0".to_owned(),
        detail: "the page is gone".to_owned(),
    });
    let facts = unconfirmed.facts();
    assert_eq!(
        (facts.status.as_u16(), facts.code),
        (500, "SEND_UNCONFIRMED")
    );
    let body = serde_json::to_value(unconfirmed.body(&facts, "why")).unwrap();
    assert_eq!(body["message_id"], "true_1@c.us_3EB0");
    let retry_after = std::time::Duration::from_secs(70);
    let full = ApiError::from(SendError::QueueFull { retry_after }).into_response();
    assert_eq!(full.headers()["retry-after"], "71");
}

#[test]
fn what_a_bucket_answers_is_for_the_log_alone() {
    let said =
        "<Error><AWSAccessKeyId>AKIA</AWSAccessKeyId><StringToSign>AWS4</StringToSign></Error>";
    let why = StoreError::from(std::io::Error::other(said));
    let refused = ApiError::from(OpenError::Store(why));
    assert!(refused.to_string().contains(said), "{refused}");
    let facts = refused.facts();
    assert_eq!(facts.code, "FILE_UNAVAILABLE");
    let message = refused.message(&facts);
    assert!(message.contains("MEDIA_STORE"), "{message}");
    let body = serde_json::to_string(&refused.body(&facts, &message)).unwrap();
    for word in ["AKIA", "AWS4", "Error"] {
        assert!(!body.contains(word), "{body}");
    }
    let stream = refused.in_stream().to_string();
    assert!(!stream.contains("AKIA"), "{stream}");
}

#[test]
fn a_file_that_waits_for_others_says_when_to_come_back_and_one_of_a_session_that_is_not_ready_does_not()
 {
    let busy = ApiError::from(OpenError::Busy);
    assert_eq!(busy.facts().code, "FILE_BUSY");
    assert_eq!(busy.into_response().headers()["retry-after"], "5");
    let not_ready = OpenError::Session(crate::session::FileError::NotRunning("INIT"));
    let not_ready = ApiError::from(not_ready);
    assert_eq!(not_ready.facts().code, "FILE_NOT_READY");
    assert!(
        !not_ready
            .into_response()
            .headers()
            .contains_key("retry-after")
    );
}

#[test]
fn a_session_that_starts_again_by_itself_says_when_to_come_back() {
    let not_ready = |retry_at| {
        ApiError::from(SendError::NotReady {
            state: "DISCONNECTED",
            reason: None,
            retry_at,
        })
        .into_response()
    };
    let now = jiff::Timestamp::now();
    let minute = jiff::SignedDuration::from_mins(1);
    let after = |retry_at| not_ready(Some(retry_at)).headers()["retry-after"].clone();
    let wait: u64 = after(now + minute).to_str().unwrap().parse().unwrap();
    assert!((60..=61).contains(&wait), "{wait}");
    // It is about to.
    assert_eq!(after(now - minute), "1");
    assert!(!not_ready(None).headers().contains_key("retry-after"));
}
