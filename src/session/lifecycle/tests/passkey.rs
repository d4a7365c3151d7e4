//! Linking with a passkey, against the scripted page.

use serde_json::Value;

use super::*;
use crate::{
    session::{Assertion, PasskeyAsk, PasskeyError, PasskeyStep, passkey::signed},
    whatsapp::{PasskeyAct, PasskeyFailure, PasskeyRequest, PasskeyStanding, PasskeyStep as Page},
};

/// What the page shows at a step.
fn at(step: Page) -> PasskeyStanding {
    PasskeyStanding {
        step,
        request: None,
        code: (step == Page::Compare).then(|| "ABCD1234".into()),
        word: None,
    }
}

/// How the page names its request.
fn id_of(challenge: &str) -> String {
    challenge.chars().rev().collect()
}

/// The page asks for a signature of this challenge.
fn asking(challenge: &str) -> PasskeyStanding {
    let options = serde_json::json!({"challenge": challenge, "rpId": "whatsapp.com"});
    PasskeyStanding {
        request: Some(PasskeyRequest {
            id: id_of(challenge),
            options: options.to_string().into(),
            timeout: Duration::from_secs(600),
        }),
        ..at(Page::Busy)
    }
}

fn failed(word: &str) -> PasskeyStanding {
    PasskeyStanding {
        word: Some(word.to_owned()),
        ..at(Page::Wanted)
    }
}

fn page(passkey: PasskeyStanding) -> Standing {
    Standing {
        passkey: Some(passkey),
        ..login(None)
    }
}

fn assertion(challenge: &str) -> Assertion {
    let Value::Object(body) = signed(challenge) else {
        unreachable!("it is an object");
    };
    Assertion::parse(&body).unwrap()
}

fn answer_to(challenge: &str) -> Call {
    Call::Passkey(PasskeyAct::Answer {
        id: id_of(challenge),
        assertion: assertion(challenge).json().clone(),
    })
}

const BEGIN: Call = Call::Passkey(PasskeyAct::Begin);

type Caller = tokio::task::JoinHandle<Result<(), PasskeyError>>;

impl Scenario {
    fn wants_step(&self, ask: PasskeyAsk) -> Caller {
        self.asked(|handle| async move { handle.passkey(ask).await })
    }

    fn hands_in(&self, challenge: &str) -> Caller {
        self.wants_step(PasskeyAsk::Answer(assertion(challenge)))
    }

    async fn steps(&mut self, to: PasskeyStep) -> Snapshot {
        self.sees(|snapshot| snapshot.passkey.as_ref().is_some_and(|it| it.step == to))
            .await
    }

    /// A phone has scanned its code and wants a passkey, and the page asks for a signature.
    async fn wants_a_signature(&mut self, challenge: &str) -> Snapshot {
        self.shows_a_code().await;
        self.says(page(at(Page::Wanted))).await;
        self.asks(BEGIN).await;
        self.says(page(asking(challenge))).await;
        self.steps(PasskeyStep::Sign).await
    }
}

async fn outcome(caller: Caller) -> Result<(), PasskeyError> {
    timeout(NEVER, caller).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_signature_links_the_session_and_a_repeated_request_is_answered_alike() {
    let mut session = Scenario::new();
    let asked = session.wants_a_signature("Y2g").await;
    assert_eq!(asked.state.name(), "QR_REQUIRED");
    session.assert_reason(ReasonCode::PasskeyRequired);
    let passkey = asked.passkey.unwrap();
    assert!(passkey.expires_at.is_some() && passkey.without_code_until.is_some());
    assert_eq!(passkey.attempt, 1);
    assert!(!format!("{passkey:?}").contains("Y2g"));

    let callers = [session.hands_in("Y2g"), session.hands_in("Y2g")];
    session.asks(answer_to("Y2g")).await;
    session.says(page(at(Page::Busy))).await;
    session.steps(PasskeyStep::Sending).await;
    let mut other = signed("Y2g");
    other["response"]["signature"] = "AAAA".into();
    let other = Assertion::parse(other.as_object().unwrap()).unwrap();
    let other = outcome(session.wants_step(PasskeyAsk::Answer(other))).await;
    assert_is!(other, Err(PasskeyError::NonePending(_)));
    session.says(page(at(Page::Phone))).await;
    for caller in callers {
        outcome(caller).await.unwrap();
    }
    outcome(session.hands_in("Y2g")).await.unwrap();
    session.shows(ready(), "READY").await;
    assert_eq!(session.snapshot().passkey, None);
    assert_eq!(session.snapshot().reason, None);
    assert_is!(
        outcome(session.hands_in("Y2g")).await,
        Err(PasskeyError::NonePending(_))
    );
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_signature_of_another_challenge_or_for_another_site_does_not_reach_the_page() {
    let mut session = Scenario::new();
    session.wants_a_signature("Y2g").await;
    assert_eq!(
        outcome(session.hands_in("b3RoZXI")).await,
        Err(PasskeyError::OtherChallenge)
    );
    let mut elsewhere = asking("Y2g");
    let request = elsewhere.request.as_mut().unwrap();
    request.id = "another".to_owned();
    request.options = r#"{"challenge":"Y2g","rpId":"example.com"}"#.into();
    session.says(page(elsewhere)).await;
    session
        .sees(|snapshot| snapshot.passkey.as_ref().is_some_and(|it| it.attempt == 2))
        .await;
    assert_is!(
        outcome(session.hands_in("Y2g")).await,
        Err(PasskeyError::Invalid(_))
    );
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_refused_says_so_and_the_next_one_begins_by_itself() {
    let mut session = Scenario::new();
    session.wants_a_signature("Y2g").await;
    let caller = session.hands_in("Y2g");
    session.asks(answer_to("Y2g")).await;
    session.says(page(at(Page::Busy))).await;
    session.says(page(failed("bad request"))).await;
    assert_eq!(
        outcome(caller).await,
        Err(PasskeyError::Refused("bad request".to_owned()))
    );
    let began = tokio::time::Instant::now();
    session.asks(BEGIN).await;
    assert_eq!(began.elapsed().as_secs(), 2);
    session.says(page(asking("bmV3"))).await;
    let again = session
        .sees(|snapshot| snapshot.passkey.as_ref().is_some_and(|it| it.attempt == 2))
        .await;
    let passkey = again.passkey.unwrap();
    assert_eq!(passkey.without_code_until, None);
    assert!(passkey.last_failure.unwrap().contains("bad request"));
    let detail = again.reason.unwrap().detail;
    assert!(detail.contains("bad request"), "{detail}");

    // After a failed attempt the codes are compared.
    let caller = session.hands_in("bmV3");
    session.asks(answer_to("bmV3")).await;
    session.says(page(at(Page::Compare))).await;
    outcome(caller).await.unwrap();
    let compare = session.steps(PasskeyStep::Compare).await.passkey.unwrap();
    assert_eq!(compare.code.as_deref(), Some("ABCD1234"));
    let callers = [
        session.wants_step(PasskeyAsk::Confirm),
        session.wants_step(PasskeyAsk::Confirm),
    ];
    session.asks(Call::Passkey(PasskeyAct::Confirm)).await;
    for caller in callers {
        outcome(caller).await.unwrap();
    }
    outcome(session.wants_step(PasskeyAsk::Confirm))
        .await
        .unwrap();
    session.shows(ready(), "READY").await;
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_challenge_whose_time_is_over_and_a_phone_that_does_not_answer_are_followed_by_another_attempt()
 {
    let mut session = Scenario::new();
    session.wants_a_signature("Y2g").await;
    session.says(page(failed("TIMEOUT"))).await;
    session.asks(BEGIN).await;
    let why = session.snapshot().passkey.unwrap().last_failure.unwrap();
    assert!(why.contains("no signature"), "{why}");
    session.says(page(asking("bmV3"))).await;
    session.steps(PasskeyStep::Sign).await;
    let caller = session.hands_in("bmV3");
    session.asks(answer_to("bmV3")).await;
    session.says(page(at(Page::Phone))).await;
    outcome(caller).await.unwrap();
    session.says(page(failed("timeout"))).await;
    session.asks(BEGIN).await;
    let why = session.snapshot().passkey.unwrap().last_failure.unwrap();
    assert!(why.contains("the phone"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_cannot_begin_is_asked_again_more_and_more_slowly_and_the_session_ends_in_half_an_hour()
 {
    let mut session = Scenario::new();
    session.shows_a_code().await;
    let began = tokio::time::Instant::now();
    for _ in 0..100 {
        let why = PasskeyFailure::Failed("no module".to_owned());
        session.plan.passkeys.plan(Err(why));
    }
    session.says(page(at(Page::Wanted))).await;
    let mut times = 0;
    loop {
        let call = session.call().await;
        if matches!(call, Call::Closed) {
            break;
        }
        assert!(matches!(call, Call::Passkey(PasskeyAct::Begin)), "{call:?}");
        times += 1;
    }
    assert_eq!(began.elapsed().as_secs() / 60, 30);
    assert!((20..60).contains(&times), "{times}");
    let reason = session.reaches_for("ERROR", ReasonCode::PasskeyRequired);
    let detail = reason.await.detail;
    assert!(
        detail.contains("30 minutes") && detail.contains("no module"),
        "{detail}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_who_gives_up_waits_until_the_page_shows_codes_and_nothing_begins_meanwhile() {
    let mut session = Scenario::new();
    session.wants_a_signature("Y2g").await;
    let callers = [
        session.wants_step(PasskeyAsk::GiveUp),
        session.wants_step(PasskeyAsk::GiveUp),
    ];
    session.asks(Call::Passkey(PasskeyAct::GiveUp)).await;
    session.says(page(failed("given up"))).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    session.has_asked_nothing();
    session.says(login(Some("b"))).await;
    for caller in callers {
        outcome(caller).await.unwrap();
    }
    let shown = session.snapshot();
    assert_eq!((shown.passkey, shown.reason), (None, None));
    assert_is!(
        outcome(session.wants_step(PasskeyAsk::GiveUp)).await,
        Err(PasskeyError::NonePending(_))
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_that_keeps_its_passkey_screen_fails_who_gave_up_and_goes_on() {
    let mut session = Scenario::new();
    session.wants_a_signature("Y2g").await;
    let caller = session.wants_step(PasskeyAsk::GiveUp);
    session.asks(Call::Passkey(PasskeyAct::GiveUp)).await;
    session.says(page(failed("given up"))).await;
    assert_is!(outcome(caller).await, Err(PasskeyError::Failed(_)));
    session.asks(BEGIN).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_answered_when_the_page_loads_again_and_when_the_session_ends() {
    let mut session = Scenario::new();
    session.wants_a_signature("Y2g").await;
    let caller = session.hands_in("Y2g");
    session.asks(answer_to("Y2g")).await;
    // It may link the device as well.
    session.says(Standing::default()).await;
    session.steps(PasskeyStep::Linking).await;
    session.says(login(Some("b"))).await;
    assert_is!(outcome(caller).await, Err(PasskeyError::NonePending(_)));

    session.says(page(at(Page::Wanted))).await;
    session.asks(BEGIN).await;
    session.says(page(asking("bmV3"))).await;
    session.steps(PasskeyStep::Sign).await;
    let caller = session.hands_in("bmV3");
    session.asks(answer_to("bmV3")).await;
    let end = session.asked(|handle| async move { handle.disconnect(false).await });
    assert_is!(outcome(caller).await, Err(PasskeyError::NonePending(_)));
    session.asks(Call::Closed).await;
    end.await.unwrap().unwrap();
    assert_is!(
        outcome(session.hands_in("bmV3")).await,
        Err(PasskeyError::NonePending(why)) if why.contains("DISCONNECTED")
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_that_links_the_device_at_once_shows_nothing_in_between() {
    let mut session = Scenario::new();
    session.wants_a_signature("Y2g").await;
    let caller = session.hands_in("Y2g");
    session.asks(answer_to("Y2g")).await;
    session.says(Standing::default()).await;
    session.says(ready()).await;
    outcome(caller).await.unwrap();
    session.reaches("READY").await;
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_the_page_did_not_take_can_be_handed_in_again() {
    let mut session = Scenario::new();
    session.wants_a_signature("Y2g").await;
    let why = PasskeyFailure::Failed("no answer".to_owned());
    session.plan.passkeys.plan(Err(why));
    let caller = session.hands_in("Y2g");
    session.asks(answer_to("Y2g")).await;
    assert_eq!(
        outcome(caller).await,
        Err(PasskeyError::Failed("no answer".to_owned()))
    );
    let passkey = session.steps(PasskeyStep::Sign).await.passkey.unwrap();
    assert!(passkey.request.is_some() && passkey.expires_at.is_some());
    let caller = session.hands_in("Y2g");
    session.asks(answer_to("Y2g")).await;
    session.says(page(at(Page::Phone))).await;
    outcome(caller).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_does_not_come_leaves_the_caller_with_what_is_known() {
    let mut session = Scenario::new();
    session.wants_a_signature("Y2g").await;
    let caller = session.hands_in("Y2g");
    session.asks(answer_to("Y2g")).await;
    session.says(page(at(Page::Busy))).await;
    let asked = tokio::time::Instant::now();
    outcome(caller).await.unwrap();
    assert_eq!(asked.elapsed().as_secs(), 20);
    session.steps(PasskeyStep::Sending).await;
}

#[tokio::test(start_paused = true)]
async fn while_a_passkey_is_wanted_no_code_is_asked_for_and_a_scan_is_not_waited_for() {
    let mut session = Scenario::new();
    let phone = crate::session::PhoneToLink {
        number: TO.parse().unwrap(),
        force: false,
    };
    let connect =
        session.asked(|handle| async move { handle.connect_by_phone(phone, USUAL_WAIT).await });
    session.asks(Call::Opened).await;
    session.says(login(Some("a"))).await;
    session.asks(Call::PairingCode(TO.to_owned(), false)).await;
    session.says(page(at(Page::Wanted))).await;
    session.asks(BEGIN).await;
    session.says(page(asking("Y2g"))).await;
    let outcome = connect.await.unwrap().unwrap();
    assert!(outcome.snapshot.passkey.is_some());
    // Longer than a code to scan is waited for.
    tokio::time::sleep(Duration::from_secs(20 * 60)).await;
    session.has_asked_nothing();
    session.assert_reason(ReasonCode::PasskeyRequired);
}
