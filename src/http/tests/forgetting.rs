//! `DELETE /sessions/{id}`: what is not linked goes, what is stays.

use super::*;

async fn delete(api: &Api, path: &str) -> Answer {
    api.call(Request::delete(path).body(Body::empty()).unwrap())
        .await
}

#[tokio::test]
async fn a_session_that_was_never_linked_is_deleted_and_in_no_list_any_more() {
    let api = Api::new(&[]);
    // There is no Chrome here.
    let failed = api.post("/connect", r#"{"cliente_id": 51}"#).await;
    assert_refused(&failed, 500, "CHROME_NOT_FOUND");
    let listed = api.get("/sessions").await.json();
    assert_eq!(listed["details"].as_array().unwrap().len(), 1);
    let deleted = delete(&api, "/sessions/51").await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    assert_eq!(
        deleted.json(),
        serde_json::json!({"success": true, "message": "Deleted", "cliente_id": "51", "session": "51"})
    );
    let listed = api.get("/sessions").await.json();
    assert_eq!(listed["details"], serde_json::json!([]));
    let status = api.get("/status?cliente_id=51").await.json();
    assert_eq!(status["state"], "DISCONNECTED", "{status}");
    assert_refused(
        &delete(&api, "/sessions/51").await,
        404,
        "SESSION_NOT_FOUND",
    );
    assert_refused(
        &delete(&api, "/sessions/a.b").await,
        400,
        "INVALID_CLIENTE_ID",
    );
    assert_eq!(
        api.get("/sessions/51/evidence").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_linked_profile_is_not_deleted_also_when_no_session_is_known_of_it() {
    let api = Api::new(&[]);
    let profile = api.tokens.path().join("52");
    std::fs::create_dir(&profile).unwrap();
    let link = r#"{"account":"5491100000001","linked_at":"2026-11-25T18:47:41Z"}"#;
    std::fs::write(profile.join("link.json"), link).unwrap();
    assert_refused(&delete(&api, "/sessions/52").await, 409, "SESSION_LINKED");
    assert!(profile.join("link.json").try_exists().unwrap());
}
