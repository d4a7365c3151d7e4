//! Linking by phone number, against the scripted page.

use super::*;
use crate::session::{ConnectOutcome, PhoneToLink};

fn pairing(code: &str) -> Standing {
    Standing {
        pairing_code: Some(code.into()),
        ..login(Some("a"))
    }
}

type Caller = tokio::task::JoinHandle<Result<ConnectOutcome, ConnectError>>;

impl Scenario {
    /// A caller wants a code for this number.
    fn connect(&self, phone: &str) -> Caller {
        let phone = PhoneToLink {
            number: phone.parse().unwrap(),
            force: false,
        };
        self.asked(|handle| async move { handle.connect_by_phone(phone, USUAL_WAIT).await })
    }

    /// The page is asked for a code, and shows it.
    async fn shows_a_code_for(&mut self, phone: &str, code: &str) {
        self.asks(Call::PairingCode(phone.to_owned(), false)).await;
        self.says(pairing(code)).await;
    }
}

/// What a caller was answered with, if it was a code.
async fn answered(caller: Caller) -> Option<String> {
    let outcome = timeout(NEVER, caller).await.unwrap().unwrap().unwrap();
    let pairing = outcome.snapshot.state.pairing();
    pairing.map(|code| code.text.clone().into())
}

#[tokio::test(start_paused = true)]
async fn a_start_by_phone_number_is_answered_with_the_code_and_any_number_of_callers_get_it() {
    let mut session = Scenario::new();
    let callers = [session.connect(TO), session.connect(TO)];
    session.asks(Call::Opened).await;
    session.says(login(Some("a"))).await;
    session.shows_a_code_for(TO, "ABCDEFGH").await;
    for caller in callers {
        assert_eq!(answered(caller).await.as_deref(), Some("ABCDEFGH"));
    }
    let late = session.connect(TO);
    assert_eq!(answered(late).await.as_deref(), Some("ABCDEFGH"));
    session.shows(ready(), "READY").await;
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_code_to_type_stands_beside_those_to_scan_and_another_number_takes_its_place() {
    let mut session = Scenario::new();
    session.shows_a_code().await;
    for (phone, code) in [(TO, "ABCDEFGH"), (OTHER, "HGFEDCBA")] {
        let caller = session.connect(phone);
        session.shows_a_code_for(phone, code).await;
        assert_eq!(answered(caller).await.as_deref(), Some(code));
        // A connect without a phone changes nothing.
        let plain = session.handle.connect(USUAL_WAIT).await.unwrap();
        let shown = plain.snapshot.state;
        assert_is!(&shown, SessionState::QrRequired { code: Some(_), .. });
        assert_eq!(shown.pairing().unwrap().phone.digits(), phone);
    }
}

#[tokio::test(start_paused = true)]
async fn a_linked_session_is_only_connected_for_its_own_number() {
    let mut session = Scenario::ready().await;
    let own = session.connect("+54 9 11 0000-0001").await;
    assert!(own.unwrap().unwrap().already_connected);
    let other = session.connect(TO).await.unwrap().unwrap_err();
    assert_is!(&other, ConnectError::LinkedToAnother { .. });
    assert!(!other.to_string().contains(TO), "{other}");
    session.has_asked_nothing();
}
