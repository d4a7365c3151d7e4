//! What a real scrape says of real sessions, and that the documents name nothing that is not in it.

use std::collections::{BTreeMap, BTreeSet};

use axum::{http::StatusCode, response::IntoResponse as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    support::{Service, answer, chrome::eventually},
    webhooks::{self, Target},
};

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

/// Every label there is. What is not a word of this program is here: `session`, and `route` as the router writes it.
const LABELS: [&str; 12] = [
    "adapter", "code", "le", "link", "method", "outcome", "route", "session", "state", "status",
    "version", "webhook",
];

/// Units that Prometheus has others for, and words that say what the type says already.
const NO_NAME: [&str; 18] = [
    "ms",
    "milliseconds",
    "minutes",
    "hours",
    "days",
    "kb",
    "mb",
    "kilobytes",
    "megabytes",
    "percent",
    "gauge",
    "counter",
    "histogram",
    "summary",
    "metric",
    "count",
    "sum",
    "bucket",
];

/// What `promtool check metrics` finds fault with, and each label that is not known.
fn faults(scrape: &str) -> Vec<String> {
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut helps = BTreeSet::new();
    let mut faults = Vec::new();
    for line in scrape.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap_or((help, ""));
            if !helps.insert(name) || text.is_empty() {
                faults.push(format!("{name} is not explained once"));
            }
            continue;
        }
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|line| line.split_once(' '))
        {
            let is_total = name.ends_with("_total");
            let snake = |c: char| c.is_ascii_lowercase() || c == '_';
            if types.insert(name, kind).is_some()
                || !helps.contains(name)
                || is_total != (kind == "counter")
                || !name.chars().all(snake)
                || name.split('_').any(|word| NO_NAME.contains(&word))
            {
                faults.push(format!(
                    "{name} is no good name for a {kind}, or is there twice"
                ));
            }
            continue;
        }
        let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let mut parts = ["_bucket", "_sum", "_count"].into_iter();
        let of_histogram = parts.find_map(|part| name.strip_suffix(part));
        let is_known = types.contains_key(name)
            || of_histogram.is_some_and(|name| types.get(name) == Some(&"histogram"));
        if !is_known {
            faults.push(format!("{name} has no type"));
        }
        for label in labels.split(',').filter_map(|label| label.split_once('=')) {
            if !LABELS.contains(&label.0) {
                faults.push(format!("{name} has the label {}", label.0));
            }
        }
    }
    faults
}

/// The value of a series, by its whole name.
fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series));
    let value = line.and_then(|line| line.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("{series} is not in\n{scrape}"));
    value.parse().unwrap()
}

fn assert_says(scrape: &str, line: &str) {
    assert!(
        scrape.lines().any(|other| other == line),
        "{line}\n{scrape}"
    );
}

#[test]
fn the_faults_of_a_scrape_are_found() {
    let good =
        "# HELP a_seconds How long.\n# TYPE a_seconds histogram\na_seconds_count{link=\"new\"} 1\n";
    assert_eq!(faults(good), Vec::<String>::new());
    for (from, to) in [
        ("# HELP a_seconds How long.\n", ""),
        ("How long.", ""),
        ("a_seconds", "a_ms"),
        ("a_seconds", "aSeconds"),
        ("a_seconds", "a_total"),
        ("histogram", "counter"),
        ("a_seconds_count{", "b_seconds_count{"),
        ("link=", "to="),
    ] {
        let bad = good.replace(from, to);
        assert!(!faults(&bad).is_empty(), "{bad}");
    }
    assert!(!faults(&good.repeat(2)).is_empty());
}

#[tokio::test]
async fn a_scrape_tells_of_a_session_that_sends_and_has_every_name_of_the_documents() {
    let (service, _) = Service::linked(&[("WEBHOOK_ALLOW_PRIVATE", "true")]).await;
    let webhook = json!({"url": "http://127.0.0.1:9/", "types": ["message.revoked"]});
    let made = service.post("/webhooks", &webhook).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let text = "cuenta conmigo";
    service.sends(51, "5491158254201", text).await;
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
        r#"session_manager_sends_total{outcome="unknown",code=""} 0"#,
        "session_manager_send_ack_seconds_count 1",
        "session_manager_page_load_seconds_count 1",
        "session_manager_link_seconds_count 1",
        r#"session_manager_start_seconds_count{link="new"} 1"#,
        r#"session_manager_start_seconds_count{link="kept"} 0"#,
        "session_manager_sessions_left_out 0",
    ] {
        assert_says(&scrape, line);
    }
    assert_eq!(faults(&scrape), Vec::<String>::new());
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

    let cpu = r#"session_manager_session_cpu_seconds_total{session="51"}"#;
    let of_the_first = value(&scrape, cpu);
    assert!(of_the_first > 0.0, "{scrape}");
    service.disconnect("51").await;
    service.connect("51").await;
    service.reaches("51", "READY").await;
    let scrape = service.get("/metrics").await.text();
    assert!(value(&scrape, cpu) >= of_the_first, "{scrape}");
    for line in [
        "session_manager_page_load_seconds_count 2",
        "session_manager_link_seconds_count 1",
        r#"session_manager_start_seconds_count{link="new"} 1"#,
        r#"session_manager_start_seconds_count{link="kept"} 1"#,
    ] {
        assert_says(&scrape, line);
    }

    let dashboard: Value = serde_json::from_str(DOCUMENTS[1].1).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(
        variables
            .iter()
            .any(|variable| variable["name"] == "session")
    );
    service.stop();
}

#[tokio::test]
async fn a_scrape_has_the_times_from_a_page_to_the_log_and_from_the_log_to_a_receiver() {
    const FRIEND: &str = "5491150002222";
    const TO_LOG: &str = "session_manager_page_to_log_seconds";
    let settings = [
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
        ("WEBHOOK_RETRY_SECONDS", "1"),
    ];
    let (service, account) = Service::linked(&settings).await;
    service.hearing_is("live").await;
    // It fails the first time.
    let target = Target::open(|number| match number {
        1 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => StatusCode::OK.into_response(),
    })
    .await;
    let body = json!({ "url": target.url, "types": ["message"] });
    let id = webhooks::add(&service, &body).await;
    let receives = async |text: &str| {
        let body = json!({ "from": FRIEND, "body": text });
        service.does(&account, "receive", body).await;
    };
    let began = Instant::now();
    receives("la primera").await;
    eventually("the receiver has it", || target.taken().len() == 1).await;
    let took = began.elapsed().as_secs_f64();
    let to_receiver = |part: &str| {
        format!("session_manager_webhook_log_to_receiver_seconds_{part}{{webhook=\"{id}\"}}")
    };
    let scrape = service.get("/metrics").await.text();
    assert_eq!(faults(&scrape), Vec::<String>::new());
    assert!((1.0..2.0).contains(&value(&scrape, &to_receiver("count"))));
    // The second attempt comes a second after the first one.
    let sum = value(&scrape, &to_receiver("sum"));
    assert!((1.0..took).contains(&sum), "{sum} of {took}");
    assert_says(&scrape, &format!("{TO_LOG}_count 1"));
    let sum = value(&scrape, &format!("{TO_LOG}_sum"));
    assert!(sum > 0.0 && sum < took - 1.0, "{sum} of {took}");

    // What is found afterwards was heard by no page as it happened.
    service.disconnect("51").await;
    receives("la segunda").await;
    service.connect("51").await;
    eventually("the receiver has it", || target.taken().len() == 2).await;
    assert_eq!(target.taken()[1]["late"], true);
    let scrape = service.get("/metrics").await.text();
    assert_says(&scrape, &format!("{TO_LOG}_count 1"));
    assert_says(&scrape, &format!("{} 2", to_receiver("count")));

    // A webhook that is gone leaves nothing behind.
    let gone = service.request(Method::DELETE, &format!("/webhooks/{id}"));
    assert_eq!(answer(gone).await.status, 200);
    let scrape = service.get("/metrics").await.text();
    assert!(!scrape.contains(&id), "{scrape}");
    service.stop();
}
