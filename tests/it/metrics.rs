//! What a real scrape says of real sessions, and that the documents name nothing that is not in it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Service;

const DOCUMENTS: [(&str, &str); 3] = [
    ("metrics.md", include_str!("../../docs/metrics.md")),
    (
        "dashboard.json",
        include_str!("../../docs/grafana/dashboard.json"),
    ),
    ("alerts.yml", include_str!("../../docs/grafana/alerts.yml")),
];

/// Whatever looks like the name of a metric.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("session_manager_") || word.starts_with("process_"))
        .collect()
}

#[tokio::test]
async fn a_scrape_tells_of_a_session_that_sends_and_has_every_name_of_the_documents() {
    let service = Service::start(|_| {}).await;
    service.link("51").await;
    let text = "cuenta conmigo";
    assert_eq!(service.send(51, "5491158254201", text).await.status, 200);
    let unknown = service.send(51, "5491158250000", text).await;
    assert_eq!(unknown.status, 400, "{}", unknown.text());
    service
        .status_when("51", "measured memory", |status| {
            status["memory_mb"].is_u64()
        })
        .await;
    let scrape = service.get("/metrics").await.text();
    for line in [
        r#"session_manager_sessions{state="READY"} 1"#,
        r#"session_manager_adapter_sessions{adapter="modules"} 1"#,
        r#"session_manager_session_state{session="51",state="READY"} 1"#,
        r#"session_manager_session_state{session="51",state="INIT"} 0"#,
        r#"session_manager_session_restarts_total{session="51"} 0"#,
        r#"session_manager_session_open_sends{session="51"} 0"#,
        "session_manager_sends_accepted_total 2",
        r#"session_manager_sends_total{outcome="sent",code=""} 1"#,
        r#"session_manager_sends_total{outcome="failed",code="NUMBER_NOT_ON_WHATSAPP"} 1"#,
        "session_manager_send_ack_seconds_count 1",
        "session_manager_sessions_left_out 0",
    ] {
        assert!(
            scrape.lines().any(|other| other == line),
            "{line}\n{scrape}"
        );
    }
    let told: BTreeSet<&str> = scrape
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    for (document, text) in DOCUMENTS {
        let names = named(text);
        assert!(names.len() > 10, "{document}: {names:?}");
        for name in names {
            let histogram = format!("{name}_bucket");
            assert!(
                told.contains(name) || told.contains(&*histogram),
                "{document} names {name}, which is not in\n{scrape}"
            );
        }
    }
    let in_parts = |name: &str| name.ends_with("_bucket") || name.ends_with("_sum");
    let documented = named(DOCUMENTS[0].1);
    for name in told.iter().filter(|name| !in_parts(name)) {
        let name = name.trim_end_matches("_count");
        assert!(
            documented.contains(name),
            "metrics.md says nothing of {name}"
        );
    }
    // Neither a number nor a text is in it.
    assert!(
        !scrape.contains("54911") && !scrape.contains(text),
        "{scrape}"
    );

    let dashboard: Value = serde_json::from_str(DOCUMENTS[1].1).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(
        variables
            .iter()
            .any(|variable| variable["name"] == "session")
    );
    service.stop();
}
