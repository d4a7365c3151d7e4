//! One-time links, as far as no session runs.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{Answer, Api, assert_refused, events::Stream, keys::Keyed};
use crate::keys::Scope;

pub(super) async fn make(api: &Api, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::post("/sessions/51/link");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.call(request.body(Body::empty()).unwrap()).await
}

pub(super) fn url(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_leads_to_where_the_service_is_reached() {
    let api = Api::new(&[]);
    let host = [("host", "192.168.1.5:3001"), ("x-forwarded-proto", "https")];
    assert!(url(&make(&api, &host).await).starts_with("http://192.168.1.5:3001/link/"));
    let none = make(&api, &[]).await;
    assert_refused(&none, 400, "PUBLIC_URL_UNKNOWN");

    let proxied = Api::new(&[("TRUSTED_PROXIES", "1")]);
    assert!(url(&make(&proxied, &host).await).starts_with("https://192.168.1.5:3001/link/"));
    let named = Api::new(&[("PUBLIC_URL", "https://x.example/wa/")]);
    assert!(url(&make(&named, &[]).await).starts_with("https://x.example/wa/link/"));
}

#[tokio::test]
async fn a_link_needs_no_key_and_shows_one_session_without_its_details() {
    let keyed = Keyed::new(&[("PUBLIC_URL", "http://x")]);
    let sender = keyed.key("sender", Scope::Send, &[]);
    let path = "/sessions/51/link";
    let refused = keyed.call("POST", path, &sender, &json!({})).await;
    assert_refused(&refused, 403, "FORBIDDEN");
    let admin = keyed.key("admin", Scope::Admin, &["51"]);
    let other = "/sessions/52/link";
    let other = keyed.call("POST", other, &admin, &json!({})).await;
    assert_refused(&other, 403, "FORBIDDEN");

    let made = keyed.call("POST", path, &admin, &json!({})).await;
    let path = url(&made).replace("http://x", "");
    let page = keyed.api.get(&path).await;
    assert_eq!(page.status, 200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.headers[name], value, "{name}");
    }
    let mut stream = Stream::open(&keyed.api, &format!("{path}/events"), "").await;
    let ended = stream.until(|heard| heard.data["state"] == "ERROR").await;
    let fields: Vec<&str> = ended
        .data
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(fields, ["expires_at", "reason", "session", "state"]);
    assert_eq!(ended.data["expires_at"], made.json()["expires_at"]);
    // It opens nothing else.
    let token = path.rsplit('/').next().unwrap();
    for path in ["/status?cliente_id=51", "/events/stream?cliente_id=51"] {
        let answer = keyed.call("GET", path, token, &Value::Null).await;
        assert_refused(&answer, 401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn with_a_slash_at_its_end_a_page_is_sent_to_where_its_files_are_found() {
    let api = Api::new(&[("PUBLIC_URL", "http://x")]);
    let path = url(&make(&api, &[]).await).replace("http://x", "");
    let token = path.rsplit('/').next().unwrap();
    for (from, to) in [
        (format!("{path}/"), format!("../{token}")),
        (format!("{path}//"), format!("../../{token}")),
        ("/link/nothing/".to_owned(), "../nothing".to_owned()),
        ("/qr.html/".to_owned(), "../qr.html".to_owned()),
        ("/docs/?x=1".to_owned(), "../docs".to_owned()),
    ] {
        let sent = api.get(&from).await;
        assert_eq!(sent.status, 307, "{from}");
        // Not an address from the root: a proxy may serve it under a path.
        assert_eq!(sent.headers["location"], to, "{from}");
    }
}

#[tokio::test]
async fn a_link_that_never_was_is_a_page_of_404_and_has_no_stream() {
    let api = Api::new(&[]);
    let page = api.get("/link/nothing").await;
    assert_eq!(page.status, 404);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let stream = api.get("/link/nothing/events").await;
    assert_refused(&stream, 404, "LINK_NOT_FOUND");
}

#[tokio::test]
async fn who_passes_a_link_on_does_not_take_all_streams() {
    let api = Api::new(&[("PUBLIC_URL", "http://x")]);
    let path = url(&make(&api, &[]).await).replace("http://x", "") + "/events";
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Stream::open(&api, &path, "").await);
    }
    let more = api.get(&path).await;
    assert_refused(&more, 503, "TOO_MANY_STREAMS");
    Stream::open(&api, "/events/stream", "").await;
}
