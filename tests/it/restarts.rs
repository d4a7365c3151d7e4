//! What the next service makes of what the one before has left: sessions that should be up come up by themselves.

use std::fs;

use crate::support::Service;

#[tokio::test]
async fn sessions_of_a_killed_service_come_up_by_themselves_unless_somebody_has_disconnected_them()
{
    let service = Service::with(&[]).await;
    let accounts = [
        service.link("51").await,
        service.link("52").await,
        service.link("53").await,
    ];
    service.connect(54).await;
    service.connect(55).await;
    assert_eq!(service.disconnect(54).await.status, 200);
    let chromes = service.home().processes();
    let scans = service.phone_state().await["devices"].take();

    let home = service.kill();
    let sessions = home.data().join("sandbox/sessions");
    fs::write(sessions.join("56.json"), r#"{"up":tr"#).unwrap();
    let service = Service::start_in(home, |env| {
        env.insert("MAX_CONCURRENT_STARTS", "1".into());
    })
    .await;
    for id in ["51", "52", "53"] {
        service.reaches(id, "READY").await;
    }
    assert_eq!(service.phone_state().await["devices"], scans);
    for (id, account) in [51, 52, 53].into_iter().zip(&accounts) {
        let status = service.status(&id.to_string()).await;
        assert_eq!(status["account"], **account, "{status}");
        service.sends(id, "5491158254201", "de vuelta").await;
    }
    let after = service.home().processes();
    let left: Vec<_> = chromes.iter().filter(|pid| after.contains(pid)).collect();
    assert!(left.is_empty(), "still there: {left:?}");

    // One that only showed codes comes last, one that was disconnected not at all.
    service.code("55").await;
    let down = service.status("54").await;
    assert_eq!(down["state"], "DISCONNECTED", "{down}");
    assert!(sessions.join("56.json.broken").try_exists().unwrap());
    let said = service.log();
    let lines = said.lines().filter(|line| line.contains("56.json"));
    assert_eq!(lines.count(), 1, "{said}");
    service.stop();
}
