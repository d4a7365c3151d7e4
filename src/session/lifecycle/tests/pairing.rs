//! Linking by phone number, against the scripted page.

use super::*;
use crate::session::{ConnectOutcome, Recipient};

const PHONE: &str = "5491158254201";
const OTHER: &str = "5491158254202";

fn pairing(code: &str) -> Standing {
    Standing {
        pairing_code: Some(code.into()),
        ..login(Some("a"))
    }
}

impl Session {
    /// A caller wants a code for this number.
    fn connect(
        &self,
        phone: &str,
    ) -> tokio::task::JoinHandle<Result<ConnectOutcome, ConnectError>> {
        let phone: Recipient = phone.parse().unwrap();
        let handle = self.handle.clone();
        tokio::spawn(async move { handle.connect_by_phone(phone, USUAL_WAIT).await })
    }

    async fn asked(&mut self) -> (String, bool) {
        let Call::PairingCode(phone, is_renewal) = self.call().await else {
            panic!("the page was asked for something else than a pairing code");
        };
        (phone, is_renewal)
    }
}

/// What a caller was answered with, if it was a code.
async fn answered(
    caller: tokio::task::JoinHandle<Result<ConnectOutcome, ConnectError>>,
) -> Option<String> {
    let outcome = timeout(NEVER, caller).await.unwrap().unwrap().unwrap();
    let pairing = outcome.snapshot.state.pairing();
    pairing.map(|code| code.text.clone().into())
}

#[tokio::test(start_paused = true)]
async fn a_start_by_phone_number_is_answered_with_the_code_and_any_number_of_callers_get_it() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let callers = [session.connect(PHONE), session.connect(PHONE)];
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    assert_eq!(session.asked().await, (PHONE.to_owned(), false));
    say(&page, pairing("ABCDEFGH")).await;
    for caller in callers {
        assert_eq!(answered(caller).await.as_deref(), Some("ABCDEFGH"));
    }
    let late = session.connect(PHONE);
    assert_eq!(answered(late).await.as_deref(), Some("ABCDEFGH"));
    say(&page, ready()).await;
    session.reaches("READY").await;
    assert!(session.calls.try_recv().is_err(), "it was asked for once");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_shows_codes_to_scan_gets_one_to_type_beside_them() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    session.handle.start();
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    session.reaches("QR_REQUIRED").await;
    let caller = session.connect(PHONE);
    assert_eq!(session.asked().await, (PHONE.to_owned(), false));
    say(&page, pairing("ABCDEFGH")).await;
    assert_eq!(answered(caller).await.as_deref(), Some("ABCDEFGH"));
    let plain = session.handle.connect(USUAL_WAIT).await.unwrap();
    let SessionState::QrRequired { code, pairing, .. } = plain.snapshot.state else {
        panic!("the session left the login");
    };
    assert!(
        code.is_some() && pairing.is_some(),
        "a connect without phone changes nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_code_is_renewed_until_the_session_gives_up() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let caller = session.connect(PHONE);
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    assert_eq!(session.asked().await, (PHONE.to_owned(), false));
    say(&page, pairing("ABCDEFGH")).await;
    answered(caller).await;
    assert_eq!(session.asked().await, (PHONE.to_owned(), true));
    assert_eq!(session.handle.snapshot().state.pairing(), None);
    say(&page, pairing("HGFEDCBA")).await;
    let last = session.reaches("DISCONNECTED").await;
    assert_eq!(last.reason.unwrap().code, ReasonCode::QrTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_refused_number_is_an_error_and_the_codes_to_scan_stay() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    session.handle.start();
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    session.reaches("QR_REQUIRED").await;
    let refused = session.connect("5491158250000").await.unwrap().unwrap_err();
    let ConnectError::NotPaired(reason) = refused else {
        panic!("{refused}");
    };
    assert_eq!(reason.code, ReasonCode::PairingRefused);
    let snapshot = session.handle.snapshot();
    assert_eq!(snapshot.reason.unwrap().code, ReasonCode::PairingRefused);
    assert!(matches!(
        snapshot.state,
        SessionState::QrRequired { code: Some(_), .. }
    ));
    assert_eq!(session.asked().await, ("5491158250000".to_owned(), false));

    let caller = session.connect(PHONE);
    assert_eq!(session.asked().await, (PHONE.to_owned(), false));
    say(&page, pairing("ABCDEFGH")).await;
    assert_eq!(answered(caller).await.as_deref(), Some("ABCDEFGH"));
    assert_eq!(session.handle.snapshot().reason, None);
}

#[tokio::test(start_paused = true)]
async fn another_number_takes_the_place_of_the_one_before() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let first = session.connect(PHONE);
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    session.asked().await;
    say(&page, pairing("ABCDEFGH")).await;
    answered(first).await;
    let second = session.connect(OTHER);
    assert_eq!(session.asked().await, (OTHER.to_owned(), false));
    say(&page, pairing("HGFEDCBA")).await;
    assert_eq!(answered(second).await.as_deref(), Some("HGFEDCBA"));
    let phone = session
        .handle
        .snapshot()
        .state
        .pairing()
        .unwrap()
        .phone
        .clone();
    assert_eq!(phone.digits(), OTHER);
}

#[tokio::test(start_paused = true)]
async fn a_linked_session_is_only_connected_for_its_own_number() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let own = session
        .connect("+54 9 11 0000-0001")
        .await
        .unwrap()
        .unwrap();
    assert!(own.already_connected);
    let other = session.connect(PHONE).await.unwrap().unwrap_err();
    assert!(
        matches!(other, ConnectError::LinkedToAnother { .. }),
        "{other}"
    );
    assert!(!other.to_string().contains(PHONE), "{other}");
    assert!(
        session.calls.try_recv().is_err(),
        "the page was asked for a code"
    );
}
