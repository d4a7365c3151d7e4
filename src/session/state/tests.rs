//! The states that events lead to, one after the other.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn code(text: &str) -> QrCode {
    QrCode {
        text: text.into(),
        shown_at: Timestamp::UNIX_EPOCH,
    }
}

fn pairing() -> PairingCode {
    PairingCode {
        text: "ABCDEFGH".into(),
        phone: "5491158254201".parse().unwrap(),
        shown_at: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH,
    }
}

fn asking(code: Option<&str>, attempts: u32, pairing: Option<PairingCode>) -> SessionState {
    SessionState::QrRequired {
        code: code.map(self::code),
        attempts,
        pairing,
    }
}

fn after(events: &[Event]) -> SessionState {
    events
        .iter()
        .fold(SessionState::Disconnected, |state, event| {
            state.on(event).unwrap_or(state)
        })
}

#[test]
fn a_session_goes_through_every_state_of_its_life() {
    use Event as E;
    let (a, b) = (|| E::CodeShown(code("a")), || E::CodeShown(code("b")));
    let paired = || Some(pairing());
    let steps = [
        (E::Started, SessionState::Init),
        (E::CodeAwaited, asking(None, 0, None)),
        (a(), asking(Some("a"), 1, None)),
        (b(), asking(Some("b"), 2, None)),
        (b(), asking(Some("b"), 2, None)),
        (E::PairingShown(pairing()), asking(Some("b"), 2, paired())),
        (a(), asking(Some("a"), 3, paired())),
        (E::CodeAwaited, asking(None, 3, paired())),
        (E::PairingOver, asking(None, 3, None)),
        (E::PairingShown(pairing()), asking(None, 3, paired())),
        (E::Linked, SessionState::Authenticated),
        (E::Slept, SessionState::Authenticated),
        (E::Ready, SessionState::Ready),
        (E::Unready, SessionState::Authenticated),
        (E::Ready, SessionState::Ready),
        (E::Slept, SessionState::Hibernating),
        (E::CodeAwaited, SessionState::Hibernating),
        (E::Unready, SessionState::Authenticated),
        (E::Ready, SessionState::Ready),
        (E::Slept, SessionState::Hibernating),
        (E::Ready, SessionState::Ready),
        (E::Restarted, SessionState::Init),
        (E::Linked, SessionState::Authenticated),
        (E::Unlinked, asking(None, 0, None)),
        (E::Forgotten, asking(None, 0, None)),
        (E::Failed, SessionState::Error),
        (E::Ended, SessionState::Error),
        (E::Started, SessionState::Init),
        (E::Ended, SessionState::Disconnected),
    ];
    let mut state = SessionState::Disconnected;
    for (step, (event, wanted)) in steps.into_iter().enumerate() {
        state = state.on(&event).unwrap_or(state);
        assert_eq!(state, wanted, "after step {step}, {event:?}");
    }
}

#[test]
fn a_pairing_code_is_shown_to_no_log() {
    assert!(!format!("{:?}", pairing()).contains("ABCDEFGH"));
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        "[ab]".prop_map(|text| Event::CodeShown(code(&text))),
        Just(Event::PairingShown(pairing())),
        proptest::sample::select(vec![
            Event::Started,
            Event::Restarted,
            Event::CodeAwaited,
            Event::PairingOver,
            Event::Linked,
            Event::Ready,
            Event::Unready,
            Event::Slept,
            Event::Unlinked,
            Event::Ended,
            Event::Failed,
            Event::Forgotten,
        ]),
    ]
}

proptest! {
    #[test]
    fn no_event_is_news_twice_and_an_ended_session_waits_for_a_start(
        before in proptest::collection::vec(event(), 0..12),
        event in event(),
    ) {
        let state = after(&before);
        let next = state.on(&event);
        let may_repeat = matches!(event, Event::Forgotten | Event::PairingShown(_));
        prop_assert!(may_repeat || next.as_ref() != Some(&state), "{:?}", event);
        if !state.is_running() {
            let is_heard = matches!(event, Event::Started | Event::Forgotten);
            prop_assert_eq!(next.is_some(), is_heard, "{:?}", event);
        } else if matches!(event, Event::Started | Event::Forgotten) {
            prop_assert_eq!(&next, &None);
        }
        // Only a session that was READY hibernates, and a code to type stands at a login only.
        let next = next.unwrap_or_else(|| state.clone());
        let may_hibernate = matches!(state, SessionState::Ready | SessionState::Hibernating);
        prop_assert!(may_hibernate || next != SessionState::Hibernating);
        let may_pair = matches!(state, SessionState::QrRequired { .. });
        prop_assert!(may_pair || next.pairing().is_none());
    }
}
