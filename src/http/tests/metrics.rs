//! What is counted where no browser runs. A real scrape of real sessions is in `tests/it/metrics.rs`.

use serde_json::json;

use super::{Api, keys::Keyed};
use crate::keys::Scope;

impl Api {
    async fn scrape(&self) -> String {
        let answer = self.get("/metrics").await;
        assert_eq!(
            answer.headers["content-type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        answer.text()
    }
}

/// The value of a series, by its whole name.
fn value(scrape: &str, series: &str) -> Option<f64> {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series))?;
    line.strip_prefix(' ')?.parse().ok()
}

#[tokio::test]
async fn requests_are_counted_by_route_and_a_made_up_path_makes_no_label() {
    let api = Api::new(&[]);
    let counted = |route: &str, method: &str, status: u16| {
        format!(
            r#"session_manager_http_requests_total{{route="{route}",method="{method}",status="{status}"}}"#
        )
    };
    for id in ["a", "b"] {
        api.get(&format!("/messages/{id}")).await;
        api.get(&format!("/{id}-5491158254201")).await;
    }
    api.get("/status").await;
    api.post("/status", "{}").await;
    let brew = axum::http::Request::builder().method("BREW").uri("/status");
    api.call(brew.body(axum::body::Body::empty()).unwrap())
        .await;
    let scrape = api.scrape().await;
    assert_eq!(
        value(&scrape, &counted("/messages/{id}", "GET", 404)),
        Some(2.0)
    );
    assert_eq!(value(&scrape, &counted("none", "GET", 404)), Some(2.0));
    assert_eq!(value(&scrape, &counted("/status", "GET", 200)), Some(1.0));
    assert!(
        !scrape.contains("54911") && !scrape.contains("BREW"),
        "{scrape}"
    );
    assert!(scrape.contains(r#"method="other""#), "{scrape}");
    let took =
        r#"session_manager_http_request_duration_seconds_count{route="/status",method="GET"}"#;
    assert_eq!(value(&scrape, took), Some(1.0));
    // Itself only once it is answered.
    assert_eq!(value(&scrape, &counted("/metrics", "GET", 200)), None);
    let scrape = api.scrape().await;
    assert_eq!(value(&scrape, &counted("/metrics", "GET", 200)), Some(1.0));
}

#[tokio::test]
async fn a_caller_that_goes_away_is_counted_too() {
    let api = Api::new(&[]);
    let never = axum::body::Body::from_stream(futures_util::stream::pending::<
        Result<Vec<u8>, std::io::Error>,
    >());
    let going = api.post("/connect", never);
    assert!(futures_util::FutureExt::now_or_never(going).is_none());
    let gone =
        r#"session_manager_http_requests_total{route="/connect",method="POST",status="499"}"#;
    assert_eq!(value(&api.scrape().await, gone), Some(1.0));
}

#[tokio::test]
async fn a_key_for_some_sessions_sees_their_series_alone() {
    let keyed = Keyed::new(&[]);
    let all = keyed.key("all", Scope::Admin, &[]);
    let own = keyed.key("own", Scope::Read, &["51"]);
    for id in ["51", "52"] {
        let body = json!({ "cliente_id": id });
        keyed.call("POST", "/connect", &all, &body).await;
    }
    let state = |id| format!(r#"session_manager_session_state{{session="{id}",state="ERROR"}}"#);
    let in_error = r#"session_manager_sessions{state="ERROR"}"#;
    let scrape = keyed.get("/metrics", &all).await.text();
    assert_eq!(value(&scrape, &state("51")), Some(1.0));
    assert_eq!(value(&scrape, &state("52")), Some(1.0));
    assert_eq!(value(&scrape, in_error), Some(2.0));
    let scrape = keyed.get("/metrics", &own).await.text();
    assert_eq!(value(&scrape, &state("51")), Some(1.0));
    assert_eq!(value(&scrape, in_error), Some(1.0));
    assert!(!scrape.contains(r#"session="52""#), "{scrape}");
}
