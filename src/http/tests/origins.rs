//! Which pages may change something, by the headers that a browser sends for them.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};

use super::Api;

/// Where `CORS_ORIGINS` names one other page.
const LISTED: (&str, &str) = ("CORS_ORIGINS", "https://app.example");

async fn is_let_in(api: &Api, host: &str, origin: &str, more: &[(&str, &str)]) -> bool {
    let mut request = Request::post("/disconnect")
        .header("Host", host)
        .header("Origin", origin);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let body = Body::from(r#"{"cliente_id": 51}"#);
    let answer = api.call(request.body(body).unwrap()).await;
    if answer.status == StatusCode::FORBIDDEN {
        assert_eq!(answer.json()["code"], "ORIGIN_NOT_ALLOWED");
        return false;
    }
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    true
}

#[tokio::test]
async fn the_services_own_page_may_act_and_no_other_that_is_not_listed() {
    let api = Api::new(&[LISTED]);
    for own in [
        "127.0.0.1:3001",
        "192.168.1.5:3001",
        "localhost:3001",
        "wa.localhost",
        "[::1]:3001",
    ] {
        let origin = format!("http://{own}");
        assert!(is_let_in(&api, own, &origin, &[]).await, "{own}");
    }
    assert!(is_let_in(&api, "127.0.0.1:3001", "https://app.example", &[]).await);
    for strange in [
        "http://127.0.0.1:3002",
        "https://127.0.0.1:3001",
        "http://localhost:3001",
        "http://evil.example",
        "file://",
        "null",
        "",
    ] {
        let is_in = is_let_in(&api, "127.0.0.1:3001", strange, &[]).await;
        assert!(!is_in, "{strange}");
    }
}

#[tokio::test]
async fn a_name_that_anybody_can_make_lead_here_proves_nothing_unless_a_key_is_asked_for() {
    let (host, origin) = ("evil.example:3001", "http://evil.example:3001");
    let open = Api::new(&[LISTED]);
    assert!(!is_let_in(&open, host, origin, &[]).await);
    let keyed = Api::new(&[LISTED, ("API_KEY", "s3cret")]);
    assert!(is_let_in(&keyed, host, origin, &[("x-api-key", "s3cret")]).await);
}

#[tokio::test]
async fn behind_a_proxy_the_own_page_is_known_by_the_public_address_or_by_what_the_proxy_says() {
    let origin = "https://wa.example";
    let named = Api::new(&[LISTED, ("PUBLIC_URL", "https://WA.example:443/wa/")]);
    assert!(is_let_in(&named, "10.0.0.1:3001", origin, &[]).await);
    assert!(!is_let_in(&named, "10.0.0.1:3001", "http://wa.example", &[]).await);
    let key = ("x-api-key", "s3cret");
    let told = [key, ("x-forwarded-proto", "https")];
    let proxied = [LISTED, ("API_KEY", "s3cret"), ("TRUSTED_PROXIES", "1")];
    assert!(is_let_in(&Api::new(&proxied), "wa.example", origin, &told).await);
    assert!(!is_let_in(&Api::new(&proxied[..2]), "wa.example", origin, &told).await);
}
