//! `/webhooks`: who may, what is refused, and what is shown. Deliveries are tested with the module that makes them.

use serde_json::{Value, json};

use super::{Api, assert_refused, keys::Keyed};
use crate::keys::Scope;

const URL: &str = "https://example.com/hook?token=s3cret";

#[tokio::test]
async fn a_secret_is_shown_once_to_the_one_who_has_it_made_and_headers_never() {
    let api = Api::new(&[]);
    let body = json!({"url": URL, "types": ["message.any"], "cliente_ids": [51, "shop"], "headers": {"Authorization": "Bearer s3cret-too"}});
    let made = api.post("/webhooks", body.to_string()).await;
    assert_eq!(made.status.as_u16(), 201);
    let made = made.json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let webhook = &made["webhook"];
    assert_eq!(webhook["cliente_ids"], json!([51, "shop"]));
    assert_eq!(webhook["types"], json!(["message.any"]));
    assert_eq!(webhook["headers"], json!(["authorization"]));
    assert_eq!(
        (&webhook["enabled"], &webhook["compat"]),
        (&json!(true), &Value::Null)
    );
    let id = webhook["id"].as_str().unwrap();
    for path in ["/webhooks".to_owned(), format!("/webhooks/{id}")] {
        let shown = api.get(&path).await.text();
        assert!(shown.contains(id), "{shown}");
        assert!(
            !shown.contains("whsec_") && !shown.contains("s3cret-too"),
            "{shown}"
        );
    }
    let metrics = api.get("/metrics").await.text();
    let line = format!("session_manager_webhook_events_waiting{{webhook=\"{id}\"}} 0");
    assert!(metrics.contains(&line), "{metrics}");
    assert!(!metrics.contains("example.com"), "{metrics}");
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_by_the_name_of_its_field() {
    let api = Api::new(&[]);
    for (body, field) in [
        (json!({}), "url"),
        (json!({"url": "http://127.0.0.1/"}), "url"),
        (json!({"url": "http://[::ffff:10.0.0.1]/"}), "url"),
        (json!({"url": URL, "types": ["mesage"]}), "types"),
        (json!({"url": URL, "type": ["message"]}), "type"),
        (
            json!({"url": URL, "headers": {"Host": "x"}}),
            "headers.Host",
        ),
        (json!({"url": URL, "secret": "s3cret"}), "secret"),
    ] {
        let answer = api.post("/webhooks", body.to_string()).await;
        assert_refused(&answer, 400, "INVALID_WEBHOOK");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("{field} ")), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    assert_eq!(api.get("/webhooks").await.json()["count"], 0);
    for path in ["/webhooks/wh_none", "/webhooks/wh_none/deliveries"] {
        assert_refused(&api.get(path).await, 404, "WEBHOOK_NOT_FOUND");
    }
    let made = api.post("/webhooks", json!({"url": URL}).to_string()).await;
    let id = made.json()["webhook"]["id"].as_str().unwrap().to_owned();
    for (query, code) in [
        ("state=sent", "INVALID_STATE"),
        ("after=x", "INVALID_AFTER"),
        ("limit=0", "INVALID_LIMIT"),
    ] {
        let answer = api.get(&format!("/webhooks/{id}/deliveries?{query}")).await;
        assert_refused(&answer, 400, code);
    }
    let redrive = format!("/webhooks/{id}/redrive");
    for body in [
        json!({"event_ids": []}),
        json!({"event_ids": "evt_1"}),
        json!({"events": ["evt_1"]}),
    ] {
        let answer = api.post(&redrive, body.to_string()).await;
        assert_refused(&answer, 400, "INVALID_WEBHOOK");
    }
    assert_eq!(api.post(&redrive, "").await.json()["redriven"], 0);
    // One that stands there twice is one.
    let unknown = json!({"event_ids": ["evt_1", "evt_2", "evt_1"]});
    let redriven = api.post(&redrive, unknown.to_string()).await.json();
    assert_eq!(
        (&redriven["redriven"], &redriven["not_dead"]),
        (&json!(0), &json!(2))
    );

    let single = Api::new(&[("SESSION_MODE", "single")]);
    let body = json!({"url": URL, "cliente_ids": [51]});
    let answer = single.post("/webhooks", body.to_string()).await;
    assert_refused(&answer, 400, "INVALID_WEBHOOK");
}

#[tokio::test]
async fn a_key_for_some_sessions_reaches_only_webhooks_of_these() {
    let keyed = Keyed::new(&[]);
    let all = keyed.key("all", Scope::Admin, &[]);
    let own = keyed.key("own", Scope::Admin, &["51"]);
    let make = |key: String, body: Value| {
        let keyed = &keyed;
        async move { keyed.call("POST", "/webhooks", &key, &body).await }
    };
    let of_all = make(all.clone(), json!({"url": URL})).await.json();
    let of_52 = make(all.clone(), json!({"url": URL, "cliente_ids": [52]}))
        .await
        .json();
    for body in [
        json!({"url": URL}),
        json!({"url": URL, "cliente_ids": [51, 52]}),
    ] {
        assert_refused(&make(own.clone(), body).await, 403, "FORBIDDEN");
    }
    let of_51 = make(own.clone(), json!({"url": URL, "cliente_ids": [51]}))
        .await
        .json();
    let id = |made: &Value| made["webhook"]["id"].as_str().unwrap().to_owned();
    let listed = keyed.get("/webhooks", &own).await.json();
    assert_eq!(
        (&listed["count"], &listed["webhooks"][0]["id"]),
        (&json!(1), &json!(id(&of_51)))
    );
    for other in [&of_all, &of_52] {
        let path = format!("/webhooks/{}", id(other));
        for (method, path) in [
            ("GET", path.clone()),
            ("PATCH", path.clone()),
            ("DELETE", path.clone()),
            ("POST", format!("{path}/test")),
            ("POST", format!("{path}/redrive")),
            ("GET", format!("{path}/deliveries")),
        ] {
            let answer = keyed.call(method, &path, &own, &json!({})).await;
            assert_refused(&answer, 404, "WEBHOOK_NOT_FOUND");
        }
    }
    let path = format!("/webhooks/{}", id(&of_51));
    let widened = keyed
        .call("PATCH", &path, &own, &json!({"cliente_ids": null}))
        .await;
    assert_refused(&widened, 403, "FORBIDDEN");
    let off = keyed
        .call("PATCH", &path, &own, &json!({"enabled": false}))
        .await;
    assert_eq!(off.json()["webhook"]["enabled"], false);
    let gone = keyed.call("DELETE", &path, &own, &json!({})).await;
    assert_eq!(gone.json()["removed"], id(&of_51));
    assert!(
        !keyed
            .get("/metrics", &own)
            .await
            .text()
            .contains("webhook=\"")
    );
}
