//! What WhatsApp Web says when it does not work, as far as the rows of `matrix` do not show what the session makes of it.

use serde_json::json;

use crate::support::Service;

#[tokio::test]
async fn an_account_opened_elsewhere_is_left_there_when_that_is_wanted() {
    let (service, _) = Service::linked(&[("TAKE_OVER", "false")]).await;
    service.faults(json!({ "event": "conflict" })).await;
    let asleep = service.reaches("51", "AUTHENTICATED").await;
    assert_eq!(asleep["reason"], "OPENED_ELSEWHERE", "{asleep}");
    let refused = service.send(51, "5491158254201", "nadie lo lee").await;
    assert_eq!(refused.json()["code"], "SESSION_NOT_READY");
    service.stop();
}

/// How long the session is away is too short to be seen for sure, so `matrix` sees only that it sends again.
#[tokio::test]
async fn an_account_opened_elsewhere_is_taken_back_and_the_log_says_so() {
    let (service, _) = Service::linked(&[]).await;
    service.faults(json!({ "event": "conflict" })).await;
    service
        .logs("took the account over from another window")
        .await;
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn a_slow_sync_says_how_far_it_is() {
    let service = Service::with(&[]).await;
    service.faults(json!({ "sync_ms": 8000 })).await;
    service.connect(51).await;
    service.scan(&service.code("51").await).await;
    let syncing = service
        .status_when("51", "a percentage", |status| {
            status["sync_percent"].as_u64() > Some(0)
        })
        .await;
    assert_eq!(syncing["state"], "AUTHENTICATED", "{syncing}");
    let ready = service.reaches("51", "READY").await;
    assert_eq!(ready.get("sync_percent"), None, "{ready}");
    service.stop();
}
