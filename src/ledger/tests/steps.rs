//! How a send changes with what happens to it, without a disk.

use proptest::prelude::*;

use super::*;

/// A send in that state, with the acknowledgement that belongs to it.
fn blank(state: SendState) -> Record {
    let ack = match state {
        SendState::Sent => 1,
        SendState::Delivered => 2,
        SendState::Read => 3,
        SendState::Queued
        | SendState::Handed
        | SendState::Failed
        | SendState::Unknown
        | SendState::Cancelled => 0,
    };
    Record {
        account: Some("5491150000001".into()),
        state,
        ack,
        queued_at: at(0),
        ..record(1)
    }
}

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).unwrap()
}

fn failed(why: Failure) -> Step {
    Step::Failed(why, String::new())
}

fn steps() -> [(&'static str, Step); 14] {
    let taken = Step::Taken {
        wa_key: "3EB0A".to_owned(),
        message_id: "true_5491158254201@c.us_3EB0A".into(),
    };
    [
        ("handing", Step::Handing(handing("3EB0A"))),
        ("taken", taken),
        ("ack -1", Step::Acknowledged(-1)),
        ("ack 0", Step::Acknowledged(0)),
        ("ack 1", Step::Acknowledged(1)),
        ("ack 2", Step::Acknowledged(2)),
        ("ack 3", Step::Acknowledged(3)),
        ("given up", Step::GivenUp("ERROR_EXPIRED".to_owned())),
        ("absent", Step::Absent),
        ("refused", failed(Failure::NotTaken)),
        ("ended", failed(Failure::SessionEnded)),
        ("unwritten", failed(Failure::NotWritten)),
        ("unknown", Step::Unknown(String::new())),
        ("cancelled", Step::Cancelled),
    ]
}

/// Which steps are news in which state, and where they lead. All others change nothing.
#[test]
fn late_news_and_repetitions_change_nothing() {
    for (state, news) in [
        (
            SendState::Queued,
            "handing=handed refused=failed ended=failed unwritten=failed cancelled=cancelled",
        ),
        (
            SendState::Handed,
            "handing=handed taken=handed ack -1=failed ack 1=sent ack 2=delivered ack 3=read \
             given up=failed absent=queued refused=failed unwritten=failed unknown=unknown",
        ),
        (SendState::Sent, "taken=sent ack 2=delivered ack 3=read"),
        (SendState::Delivered, "taken=delivered ack 3=read"),
        (SendState::Read, "taken=read"),
        (SendState::Failed, ""),
        (
            SendState::Unknown,
            "taken=unknown ack -1=failed ack 1=sent ack 2=delivered ack 3=read given up=failed",
        ),
        (SendState::Cancelled, ""),
    ] {
        let mut found = Vec::new();
        for (name, step) in steps() {
            let mut record = blank(state);
            if record.take(&step, at(1)) {
                found.push(format!("{name}={}", record.state.as_str()));
            } else {
                assert_eq!(record, blank(state), "{name}");
            }
        }
        assert_eq!(found.join(" "), news, "{state:?}");
    }
    let mut given_up = blank(SendState::Unknown);
    assert!(given_up.take(&Step::GivenUp("ERROR_EXPIRED".to_owned()), at(1)));
    assert!(given_up.detail.unwrap().contains("ERROR_EXPIRED"));
    // One that the page did not seem to have waits again, and turns out to be sent.
    let mut absent = Record {
        handed_at: Some(at(0)),
        is_taken: true,
        ..blank(SendState::Handed)
    };
    assert!(absent.take(&Step::Absent, at(1)));
    assert_eq!((absent.state, absent.is_taken), (SendState::Queued, false));
    assert!(absent.take(&Step::Acknowledged(1), at(2)));
    assert_eq!(absent.state, SendState::Sent);
}

proptest! {
    #[test]
    fn whatever_happens_to_a_send_its_record_fits_its_state(
        steps in proptest::collection::vec((proptest::sample::select(steps().to_vec()), any::<bool>()), 0..20),
    ) {
        let mut record = blank(SendState::Queued);
        for (second, ((name, mut step), knows_account)) in (1..).zip(steps) {
            if let Step::Handing(handing) = &mut step && !knows_account {
                handing.account = None;
            }
            let before = record.clone();
            let is_news = record.take(&step, at(second));
            prop_assert!(is_news || record == before, "{name}");
            let again = name != "handing" && record.clone().take(&step, at(second + 1));
            prop_assert!(!again, "{name} is news twice");
            // Known once, known for ever.
            prop_assert!(record.account.is_some());
            prop_assert!(before.handed_at.is_none() || record.handed_at == before.handed_at);
            prop_assert!(before.sent_at.is_none() || record.sent_at == before.sent_at);
            let is_at_server = matches!(record.state, SendState::Sent | SendState::Delivered | SendState::Read);
            prop_assert_eq!(record.sent_at.is_some(), is_at_server);
            prop_assert_eq!(record.delivered_at.is_some(), record.ack >= 2);
            prop_assert_eq!(record.read_at.is_some(), record.ack >= 3);
            let has_ended = matches!(record.state, SendState::Failed | SendState::Unknown | SendState::Cancelled);
            prop_assert_eq!(record.ended_at.is_some(), has_ended);
            prop_assert!(record.state != SendState::Queued || !record.is_taken);
            let is_failed = record.state == SendState::Failed;
            prop_assert_eq!(record.failure.is_some(), is_failed);
        }
    }
}
