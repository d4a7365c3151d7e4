//! What callers learn of accounts that sessions are linked to while none of them runs.

use std::fs;

use jiff::Timestamp;
use serde_json::json;

use super::{Api, assert_refused, keys::Keyed};
use crate::{
    browser::{Link, ProfileNote, Rescue},
    keys::Scope,
};

const PHONE: &str = "5491150004444";

/// Makes a profile that is linked to [`PHONE`].
fn linked_profile(api: &Api, id: &str) {
    let profile = api.tokens.path().join(id);
    fs::create_dir(&profile).unwrap();
    let link = Link {
        account: Some(PHONE.into()),
        linked_at: Timestamp::UNIX_EPOCH,
        rescue: Rescue::None,
    };
    ProfileNote::change(&profile, |note| note.set_link(Some(link))).unwrap();
}

#[tokio::test]
async fn a_key_learns_the_name_of_no_session_that_it_does_not_reach() {
    let keyed = Keyed::new(&[]);
    linked_profile(&keyed.api, "60");
    let all = keyed.key("all", Scope::Admin, &[]);
    let one = keyed.key("one", Scope::Admin, &["52"]);
    let body = json!({ "cliente_id": 52, "phone": PHONE });
    let known = keyed.call("POST", "/connect", &all, &body).await;
    assert_refused(&known, 409, "NUMBER_LINKED_ELSEWHERE");
    assert_eq!(known.json()["linked_session"], "60");
    assert!(known.text().contains("session 60") && !known.text().contains(PHONE));
    let unknown = keyed.call("POST", "/connect", &one, &body).await;
    assert_refused(&unknown, 409, "NUMBER_LINKED_ELSEWHERE");
    assert!(!unknown.text().contains("60"), "{}", unknown.text());
    assert!(unknown.json().get("linked_session").is_none());
    assert_eq!(keyed.api.folders(), 1, "nothing was begun for session 52");
}

#[tokio::test]
async fn a_forced_code_and_a_session_of_the_number_itself_are_not_held_up() {
    let api = Api::new(&[]);
    linked_profile(&api, "60");
    for body in [
        json!({ "cliente_id": 52, "phone": PHONE, "force": true }),
        // It asks for no code while it is linked.
        json!({ "cliente_id": 60, "phone": PHONE }),
        json!({ "cliente_id": 52, "phone": "5491150005555" }),
        json!({ "cliente_id": 52 }),
    ] {
        let answer = api.post("/connect", body.to_string()).await;
        // As far as it gets on a machine without a Chrome.
        assert_refused(&answer, 500, "CHROME_NOT_FOUND");
    }
    let wrong = json!({ "cliente_id": 52, "phone": PHONE, "force": "true" });
    let answer = api.post("/connect", wrong.to_string()).await;
    assert_refused(&answer, 400, "INVALID_FORCE");
}

#[tokio::test]
async fn a_linked_session_that_does_not_run_says_its_account_and_gets_no_one_time_link() {
    let api = Api::new(&[("PUBLIC_URL", "http://x")]);
    linked_profile(&api, "60");
    let made = api.post("/sessions/60/link", "").await;
    assert_refused(&made, 409, "ALREADY_LINKED");
    assert!(
        api.get("/sessions").await.json()["details"]
            .as_array()
            .unwrap()
            .is_empty(),
        "it was not started"
    );

    // It is known once it has been asked to start, or after a start of the service.
    api.post("/connect", json!({ "cliente_id": 60 }).to_string())
        .await;
    let status = api.get("/status?cliente_id=60").await.json();
    assert_eq!(status["state"], "ERROR", "{status}");
    assert_eq!(status["linked"], true, "{status}");
    assert_eq!(status["account"], PHONE, "{status}");
    let made = api.post("/sessions/60/link", "").await;
    assert_refused(&made, 409, "ALREADY_LINKED");

    // One that has no link has neither.
    let other = api.get("/status?cliente_id=61").await.json();
    assert_eq!(other["linked"], false, "{other}");
    assert!(other.get("account").is_none(), "{other}");
    assert_eq!(api.post("/sessions/61/link", "").await.status, 201);
}
