//! A profile that is not there: of a session that was linked an error and no scan, of one that never was nothing at all.

use crate::support::Service;

#[tokio::test]
async fn tokens_that_are_not_mounted_are_an_error_and_are_ready_when_they_are_back() {
    let (service, _) = Service::linked(&[]).await;
    let home = service.stop();
    let (tokens, aside) = (home.tokens(), home.data().join("unmounted"));
    std::fs::rename(&tokens, &aside).unwrap();

    let service = Service::start_in(home, |_| {}).await;
    let status = service.reaches("51", "ERROR").await;
    assert_eq!(status["reason"], "PROFILE_MISSING", "{status}");
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.contains("is TOKENS_DIR mounted?"), "{detail}");
    service
        .connect(51)
        .await
        .assert_refused(500, "PROFILE_MISSING");
    assert!(!tokens.join("51").try_exists().unwrap());
    let home = service.stop();
    std::fs::remove_dir_all(&tokens).unwrap();
    std::fs::rename(&aside, &tokens).unwrap();

    // It comes up without a request.
    let service = Service::start_in(home, |_| {}).await;
    service.reaches("51", "READY").await;
    // And while it runs.
    std::fs::rename(&tokens, &aside).unwrap();
    let status = service.reaches("51", "ERROR").await;
    assert_eq!(status["reason"], "PROFILE_MISSING", "{status}");
    std::fs::remove_dir_all(&tokens).ok();
    std::fs::rename(&aside, &tokens).unwrap();
    service.connect(51).await;
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn names_that_were_never_linked_leave_nothing_when_their_codes_are_over() {
    let service = Service::with(&[("QR_TIMEOUT_SECONDS", "5")]).await;
    for id in [51, 52] {
        service.connect(id).await;
    }
    for id in ["51", "52"] {
        let status = service.reaches(id, "DISCONNECTED").await;
        assert_eq!(status["reason"], "QR_TIMEOUT", "{status}");
    }
    let gone = async {
        while service.get("/sessions").await.json()["details"] != serde_json::json!([]) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let gone = tokio::time::timeout(std::time::Duration::from_secs(20), gone).await;
    assert!(gone.is_ok(), "{}", service.get("/sessions").await.text());
    let status = service.status("51").await;
    assert_eq!(status["reason"], "QR_TIMEOUT", "{status}");
    let left = std::fs::read_dir(service.home().tokens()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    // The name can be used again.
    service.link("51").await;
    service.stop();
}
