//! Which pages may call, and by which name, by the headers that a browser sends for them.

use axum::{
    body::Body,
    http::{HeaderMap, Request},
};

use super::{Answer, Api, assert_refused, links};

/// Where `CORS_ORIGINS` names one other page.
const LISTED: (&str, &str) = ("CORS_ORIGINS", "https://app.example");

const HERE: &str = "127.0.0.1:3001";

async fn ask(api: &Api, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Body::from(if method == "POST" {
        r#"{"cliente_id": 51}"#
    } else {
        ""
    });
    api.call(request.body(body).unwrap()).await
}

/// What becomes of a request that changes something: its status, and its code when it is refused.
async fn outcome(api: &Api, host: &str, origin: &str, more: &[(&str, &str)]) -> (u16, String) {
    let headers = [&[("Host", host), ("Origin", origin)], more].concat();
    told(&ask(api, "POST", "/disconnect", &headers).await)
}

fn told(answer: &Answer) -> (u16, String) {
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status.as_u16(), code)
}

fn refused() -> (u16, String) {
    (403, "ORIGIN_NOT_ALLOWED".to_owned())
}

async fn is_let_in(api: &Api, host: &str, origin: &str, more: &[(&str, &str)]) -> bool {
    let outcome = outcome(api, host, origin, more).await;
    assert!(outcome == refused() || outcome.0 == 200, "{outcome:?}");
    outcome.0 == 200
}

fn shown_to(headers: &HeaderMap) -> Option<&str> {
    let allowed = headers.get("access-control-allow-origin");
    allowed.map(|allowed| allowed.to_str().unwrap())
}

#[tokio::test]
async fn without_a_key_pages_of_this_machine_are_served_and_no_others() {
    let (default, told) = (Api::new(&[]), Api::new(&[("CORS_ORIGINS", "local")]));
    for api in [&default, &told] {
        for page in [
            "http://localhost:5173",
            "http://127.0.0.1",
            "https://[::1]:8443",
            "http://react.localhost:3000",
        ] {
            for (method, path) in [
                ("GET", "/status"),
                ("POST", "/disconnect"),
                ("OPTIONS", "/send"),
            ] {
                let answer = ask(api, method, path, &[("Host", HERE), ("Origin", page)]).await;
                assert!(answer.status.is_success(), "{page}: {}", answer.text());
                assert_eq!(shown_to(&answer.headers), Some(page));
                assert!(
                    answer
                        .headers
                        .get_all("vary")
                        .iter()
                        .any(|it| it == "Origin")
                );
                assert!(answer.headers.contains_key("access-control-expose-headers"));
            }
        }
        for page in [
            "https://evil.example",
            "http://192.168.1.5:3001",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "file://",
            "chrome-extension://localhost",
            "null",
            "",
        ] {
            for (method, path) in [
                ("GET", "/status"),
                ("GET", "/health"),
                ("GET", "/nothing"),
                ("POST", "/disconnect"),
                ("POST", "/send"),
                ("OPTIONS", "/send"),
            ] {
                let answer = ask(api, method, path, &[("Host", HERE), ("Origin", page)]).await;
                assert_eq!(self::told(&answer), refused(), "{page}: {method} {path}");
                assert_eq!(shown_to(&answer.headers), None, "{page}");
            }
        }
        // One that is allowed beside one that is not.
        let two = [
            ("Host", HERE),
            ("Origin", "http://localhost"),
            ("Origin", "http://evil.example"),
        ];
        assert_eq!(ask(api, "GET", "/status", &two).await.status, 403);
        // A backend and curl send none, and are answered as ever.
        let backend = ask(api, "POST", "/disconnect", &[("Host", HERE)]).await;
        assert_eq!(
            (backend.status.as_u16(), shown_to(&backend.headers)),
            (200, Some("*"))
        );
    }
}

#[tokio::test]
async fn without_a_key_a_name_that_a_stranger_can_make_lead_here_is_refused() {
    let public = ("PUBLIC_URL", "https://Wa.example/wa/");
    for (settings, by_name) in [
        (&[][..], false),
        (&[LISTED], false),
        (&[public], false),
        (&[("HOST", "0.0.0.0")], true),
        (&[("HOST", "0.0.0.0"), LISTED, public], true),
    ] {
        let api = Api::new(settings);
        let is_public = settings.contains(&public);
        for (host, is_known) in [
            (HERE, true),
            ("127.0.0.1", true),
            ("127.1:3001", true),
            ("192.168.1.5:3001", true),
            ("[::1]:3001", true),
            ("[fd00::1]", true),
            ("localhost:3001", true),
            ("LOCALHOST", true),
            ("localhost.:3001", true),
            ("wa.localhost", true),
            ("wa.example", is_public),
            ("WA.EXAMPLE:443", is_public),
            ("session-manager:3001", by_name),
            ("host.docker.internal:3001", by_name),
            ("evil.example", false),
            ("evil.example:3001", false),
            ("127.0.0.1.evil.example:3001", false),
            ("127.0.0.1.nip.io", false),
            ("localhost.evil.example", false),
            ("localhost@evil.example", false),
            ("evil.example@localhost", false),
            ("a b", false),
            ("", false),
        ] {
            for (method, path) in [("GET", "/status"), ("GET", "/"), ("POST", "/disconnect")] {
                let answer = ask(&api, method, path, &[("Host", host)]).await;
                if is_known {
                    assert_eq!(answer.status, 200, "{settings:?} {host}");
                } else {
                    let (status, code) = told(&answer);
                    assert_eq!(
                        (status, &*code),
                        (421, "MISDIRECTED_REQUEST"),
                        "{settings:?} {host}"
                    );
                    assert_eq!(shown_to(&answer.headers), None);
                }
            }
        }
    }
    // Wherever else the name stands: a second time, or in the target.
    let api = Api::new(&[]);
    let twice = [("Host", HERE), ("Host", "evil.example")];
    assert_eq!(ask(&api, "GET", "/status", &twice).await.status, 421);
    let target = "http://evil.example/status";
    assert_eq!(
        ask(&api, "GET", target, &[("Host", HERE)]).await.status,
        421
    );
    assert_eq!(ask(&api, "GET", "/status", &[]).await.status, 200);
}

#[tokio::test]
async fn with_a_key_or_a_star_every_page_and_every_name_is_answered_as_ever() {
    let open = Api::new(&[("CORS_ORIGINS", "*")]);
    let keyed = Api::new(&[("API_KEY", "s3cret")]);
    for (api, key) in [(&open, "any"), (&keyed, "s3cret")] {
        let strange = [
            ("Host", "evil.example"),
            ("Origin", "https://evil.example"),
            ("Sec-Fetch-Site", "cross-site"),
            ("X-Api-Key", key),
        ];
        for (method, path) in [
            ("GET", "/status"),
            ("POST", "/disconnect"),
            ("OPTIONS", "/send"),
        ] {
            let answer = ask(api, method, path, &strange).await;
            assert!(answer.status.is_success(), "{}", answer.text());
            assert_eq!(shown_to(&answer.headers), Some("*"));
        }
    }
    // The key protects; the page of a stranger has none.
    let strange = [("Host", "evil.example"), ("Origin", "https://evil.example")];
    assert_eq!(ask(&keyed, "GET", "/status", &strange).await.status, 401);
    let told = Api::new(&[("API_KEY", "s3cret"), ("CORS_ORIGINS", "local")]);
    assert_eq!(
        outcome(&told, "wa.example", "https://evil.example", &[]).await,
        refused()
    );
}

#[tokio::test]
async fn a_page_that_may_not_call_cannot_show_an_answer_either() {
    let api = Api::new(&[]);
    let listed = Api::new(&[LISTED]);
    let status = async |api: &Api, headers: &[(&str, &str)]| {
        let headers = [&[("Host", "localhost:3001")], headers].concat();
        let answer = ask(api, "GET", "/qr?format=ascii&cliente_id=51", &headers).await;
        // There is no code; who is let in is told so.
        if answer.status == 404 {
            200
        } else {
            answer.status.as_u16()
        }
    };
    let image = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Sec-Fetch-Dest", "image"),
    ];
    let frame = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "iframe"),
    ];
    let visit = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    let neighbour = [
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Sec-Fetch-Dest", "image"),
    ];
    let (evil, local, app) = (
        ("Referer", "https://evil.example/"),
        ("Referer", "http://127.0.0.1:5173/"),
        ("Referer", "https://app.example/"),
    );
    for headers in [&image[..], &[&image[..], &[evil]].concat(), &frame] {
        assert_eq!(status(&api, headers).await, 403, "{headers:?}");
        assert_eq!(status(&listed, headers).await, 403, "{headers:?}");
    }
    for headers in [
        &[][..],
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "none")],
        &visit,
        &[evil],
    ] {
        assert_eq!(status(&api, headers).await, 200, "{headers:?}");
        assert_eq!(status(&listed, headers).await, 200, "{headers:?}");
    }
    // The page of another port of this machine, and one that is listed.
    assert_eq!(status(&api, &neighbour).await, 200);
    assert_eq!(status(&listed, &neighbour).await, 403);
    assert_eq!(status(&api, &[&image[..], &[local]].concat()).await, 200);
    assert_eq!(status(&listed, &[&image[..], &[app]].concat()).await, 200);
    assert_eq!(status(&api, &[&image[..], &[app]].concat()).await, 403);
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
    assert!(is_let_in(&api, HERE, "https://app.example", &[]).await);
    for strange in [
        "http://127.0.0.1:3002",
        "https://127.0.0.1:3001",
        "http://localhost:3001",
        "http://evil.example",
        "file://",
        "null",
        "",
    ] {
        let is_in = is_let_in(&api, HERE, strange, &[]).await;
        assert!(!is_in, "{strange}");
    }
    let both = Api::new(&[("CORS_ORIGINS", "local,https://app.example:443")]);
    for page in ["http://localhost:5173", "https://app.example"] {
        assert!(is_let_in(&both, HERE, page, &[]).await, "{page}");
    }
}

#[tokio::test]
async fn a_name_that_anybody_can_make_lead_here_proves_nothing_unless_a_key_is_asked_for() {
    let (host, origin) = ("evil.example:3001", "http://evil.example:3001");
    let open = Api::new(&[LISTED]);
    assert_eq!(outcome(&open, host, origin, &[]).await.0, 421);
    let keyed = Api::new(&[LISTED, ("API_KEY", "s3cret")]);
    assert!(is_let_in(&keyed, host, origin, &[("x-api-key", "s3cret")]).await);
}

#[tokio::test]
async fn behind_a_proxy_the_own_page_is_known_by_the_public_address_or_by_what_the_proxy_says() {
    let origin = "https://wa.example";
    let named = Api::new(&[LISTED, ("PUBLIC_URL", "https://WA.example:443/wa/")]);
    assert!(is_let_in(&named, "10.0.0.1:3001", origin, &[]).await);
    assert!(is_let_in(&named, "wa.example", origin, &[]).await);
    assert!(!is_let_in(&named, "10.0.0.1:3001", "http://wa.example", &[]).await);
    let local = Api::new(&[("PUBLIC_URL", "https://wa.example")]);
    for host in ["wa.example", "10.0.0.1:3001", HERE] {
        let headers = [("Host", host), ("Origin", origin)];
        let answer = ask(&local, "GET", "/status", &headers).await;
        assert_eq!(
            (answer.status.as_u16(), shown_to(&answer.headers)),
            (200, Some(origin))
        );
    }
    let key = ("x-api-key", "s3cret");
    let told = [key, ("x-forwarded-proto", "https")];
    let proxied = [LISTED, ("API_KEY", "s3cret"), ("TRUSTED_PROXIES", "1")];
    assert!(is_let_in(&Api::new(&proxied), "wa.example", origin, &told).await);
    assert!(!is_let_in(&Api::new(&proxied[..2]), "wa.example", origin, &told).await);
}

#[tokio::test]
async fn a_link_never_begins_with_a_name_or_address_that_only_the_request_vouches_for() {
    let key = ("x-api-key", "s3cret");
    let keyed = Api::new(&[("API_KEY", "s3cret")]);
    for host in [
        "127.0.0.1:3001",
        "localhost:3001",
        "192.168.1.5:3001",
        "[::1]:3001",
    ] {
        let made = links::make(&keyed, &[key, ("host", host)]).await;
        assert!(links::url(&made).starts_with(&format!("http://{host}/link/")));
    }
    for host in [
        "evil.example",
        "203.0.113.9",
        "session-manager:3001",
        "[2001:db8::1]",
    ] {
        let made = links::make(&keyed, &[key, ("host", host)]).await;
        assert_refused(&made, 400, "PUBLIC_URL_UNKNOWN");
        assert!(made.text().contains("set PUBLIC_URL"), "{}", made.text());
    }
    let named = Api::new(&[("API_KEY", "s3cret"), ("PUBLIC_URL", "https://wa.example/")]);
    let made = links::make(&named, &[key, ("host", "evil.example")]).await;
    assert!(links::url(&made).starts_with("https://wa.example/link/"));
}
