//! The states that events lead to, one after the other.

use jiff::Timestamp;

use super::*;

fn code(text: &str) -> QrCode {
    QrCode {
        text: text.into(),
        shown_at: Timestamp::UNIX_EPOCH,
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
fn a_first_link_goes_through_every_state() {
    use Event as E;
    let steps = [
        E::Started,
        E::CodeAwaited,
        E::CodeShown(code("a")),
        E::Linked,
        E::Ready,
    ];
    let names: Vec<_> = (1..=steps.len())
        .map(|n| after(&steps[..n]).name())
        .collect();
    assert_eq!(
        names,
        [
            "INIT",
            "QR_REQUIRED",
            "QR_REQUIRED",
            "AUTHENTICATED",
            "READY"
        ]
    );
}

#[test]
fn each_new_code_counts_and_the_same_code_again_is_no_news() {
    let shown = after(&[
        Event::Started,
        Event::CodeShown(code("a")),
        Event::CodeShown(code("b")),
    ]);
    assert_eq!(
        shown,
        SessionState::QrRequired {
            code: Some(code("b")),
            attempts: 2,
            pairing: None
        }
    );
    assert_eq!(shown.on(&Event::CodeShown(code("b"))), None);
}

#[test]
fn codes_that_ran_out_keep_their_count() {
    let waiting = after(&[
        Event::Started,
        Event::CodeShown(code("a")),
        Event::CodeAwaited,
    ]);
    assert_eq!(
        waiting,
        SessionState::QrRequired {
            code: None,
            attempts: 1,
            pairing: None
        }
    );
}

#[test]
fn a_pairing_code_stands_beside_the_codes_to_scan_and_goes_with_the_link() {
    let pairing = PairingCode {
        text: "ABCDEFGH".into(),
        phone: "5491158254201".parse().unwrap(),
        shown_at: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH,
    };
    assert!(!format!("{pairing:?}").contains("ABCDEFGH"));
    let shown = Event::PairingShown(pairing.clone());
    let both = after(&[
        Event::Started,
        Event::CodeShown(code("a")),
        shown.clone(),
        Event::CodeShown(code("b")),
        Event::CodeAwaited,
    ]);
    assert_eq!(both.pairing(), Some(&pairing));
    assert_eq!(both.on(&Event::PairingOver).unwrap().pairing(), None);
    assert_eq!(both.on(&Event::Linked), Some(SessionState::Authenticated));
    for elsewhere in [SessionState::Init, SessionState::Ready, SessionState::Error] {
        assert_eq!(elsewhere.on(&shown), None);
    }
}

#[test]
fn an_ended_session_ignores_late_news_and_starts_again_only_when_asked() {
    for ended in [SessionState::Disconnected, SessionState::Error] {
        for late in [
            Event::CodeShown(code("a")),
            Event::CodeAwaited,
            Event::Linked,
            Event::Ready,
            Event::Unready,
            Event::Unlinked,
        ] {
            assert_eq!(ended.on(&late), None, "{ended:?} {late:?}");
        }
        assert_eq!(ended.on(&Event::Started), Some(SessionState::Init));
    }
}

#[test]
fn an_unlinked_session_asks_for_a_scan_and_counts_anew() {
    let ready = after(&[
        Event::Started,
        Event::CodeShown(code("a")),
        Event::Linked,
        Event::Ready,
    ]);
    assert_eq!(
        ready.on(&Event::Unlinked),
        Some(SessionState::QrRequired {
            code: None,
            attempts: 0,
            pairing: None
        })
    );
}

#[test]
fn a_lost_connection_takes_ready_away_and_gives_it_back() {
    let linked = after(&[Event::Started, Event::Linked, Event::Ready, Event::Unready]);
    assert_eq!(linked, SessionState::Authenticated);
    assert_eq!(linked.on(&Event::Ready), Some(SessionState::Ready));
}
