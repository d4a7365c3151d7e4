//! Starts that do not get far: each phase ends in time, says why, and leaves evidence. What that must not show: [`pictures`].

mod pictures;

use axum::{Router, response::Html, routing::get};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::support::{Service, chrome::Folder};

/// A page that has nothing to do with WhatsApp.
struct Elsewhere {
    url: String,
    _server: AbortOnDropHandle<()>,
}

impl Elsewhere {
    async fn serve(page: &'static str) -> Self {
        let router = Router::new().route("/", get(move || async move { Html(page) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/?to=5491158254201",
            listener.local_addr().unwrap()
        );
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            _server: AbortOnDropHandle::new(server),
        }
    }

    /// A service whose sessions open it.
    async fn service(&self) -> Service {
        Service::start(|env| {
            env.insert("SANDBOX", "false".into());
            env.insert("WHATSAPP_URL", self.url.clone().into());
            env.insert("INJECT_TIMEOUT_SECONDS", "2".into());
        })
        .await
    }
}

/// A service with its variables, and a fault from the first page on.
async fn service(fault: Value, with: &[(&'static str, &str)]) -> Service {
    let service = Service::start(|env| {
        for (name, value) in with {
            env.insert(name, value.into());
        }
    })
    .await;
    service.faults(fault).await;
    service
}

async fn evidence(service: &Service) -> Value {
    let answer = service.get("/sessions/51/evidence").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The picture that the evidence names, which must be one.
async fn picture(service: &Service, evidence: &Value) -> image::GrayImage {
    let path = evidence["screenshot"]
        .as_str()
        .unwrap_or_else(|| panic!("no picture: {evidence}"));
    assert_eq!(path, "/sessions/51/evidence/screenshot.png");
    let answer = service.get(path).await;
    assert_eq!(answer.header("content-type"), Some("image/png"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let picture = image::load_from_memory(&answer.bytes).unwrap().to_luma8();
    assert!(picture.width() > 300 && picture.height() > 300);
    picture
}

/// Whether it shows anything at all.
fn shows_something(picture: &image::GrayImage) -> bool {
    let first = picture.get_pixel(0, 0);
    picture.pixels().any(|pixel| pixel != first)
}

#[tokio::test]
async fn a_page_that_never_answers_ends_the_start_in_its_phase() {
    let fault = json!({ "page": "never_loads" });
    let service = service(fault, &[("NAVIGATE_TIMEOUT_SECONDS", "2")]).await;
    service.connect(51).await;
    let failed = service.reaches("51", "DISCONNECTED").await;
    assert_eq!(failed["reason"], "NAVIGATION_FAILED", "{failed}");
    assert_eq!(failed["failed_phase"], "NAVIGATE", "{failed}");
    assert_eq!(failed.get("phase"), None, "{failed}");
    let evidence = evidence(&service).await;
    assert_eq!(evidence["phase"], "NAVIGATE", "{evidence}");
    assert_eq!(evidence["reason"], "NAVIGATION_FAILED", "{evidence}");
    assert_eq!(evidence["detail"], failed["detail"], "{evidence}");
    service.home().assert_nobody_is_left();
    service.stop();
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_told_in_the_word_of_chrome() {
    let service = Service::with(&[
        ("SANDBOX", "false"),
        ("WHATSAPP_URL", "http://127.0.0.1:9/"),
    ])
    .await;
    service.connect(51).await;
    let failed = service.reaches("51", "DISCONNECTED").await;
    assert_eq!(failed["reason"], "NAVIGATION_FAILED", "{failed}");
    assert_eq!(failed["failed_phase"], "NAVIGATE", "{failed}");
    let detail = failed["detail"].as_str().unwrap();
    assert!(detail.contains("net::ERR_"), "{detail}");
    service.stop();
}

#[tokio::test]
async fn a_page_that_comes_late_comes_up_and_shows_how_far_it_is() {
    let at_once = [("CONNECT_WAIT_SECONDS", "0")];
    let service = service(json!({ "page_delay_ms": 3000 }), &at_once).await;
    service.connect(51).await;
    let waiting = service
        .status_when("51", "NAVIGATE", |status| {
            status["phase"]["name"] == "NAVIGATE"
        })
        .await;
    assert_eq!(waiting["state"], "INIT", "{waiting}");
    let moment = |name: &str| waiting["phase"][name].as_str().unwrap().to_owned();
    assert!(moment("since") < moment("until"), "{waiting}");
    let linking = service.reaches("51", "QR_REQUIRED").await;
    assert_eq!(linking["phase"]["name"], "LINK", "{linking}");
    service.scan(&service.code("51").await).await;
    let ready = service.reaches("51", "READY").await;
    assert_eq!(ready.get("phase"), None, "{ready}");
    assert_eq!(service.get("/sessions/51/evidence").await.status, 404);
    service.stop();
}

#[tokio::test]
async fn a_page_that_stays_at_its_splash_is_no_endless_start() {
    let fault = json!({ "page": "never_starts" });
    let service = service(
        fault,
        &[
            ("CODE_TIMEOUT_SECONDS", "2"),
            ("INJECT_TIMEOUT_SECONDS", "20"),
        ],
    )
    .await;
    service.connect(51).await;
    let failed = service.reaches("51", "DISCONNECTED").await;
    assert_eq!(failed["reason"], "CODE_TIMEOUT", "{failed}");
    assert_eq!(failed["failed_phase"], "LINK", "{failed}");
    let evidence = evidence(&service).await;
    assert!(shows_something(&picture(&service, &evidence).await));
    service.stop();
}

#[tokio::test]
async fn an_address_that_leads_elsewhere_is_shown_as_it_is_without_its_query() {
    let page = "<title>Nothing here 5491158254201</title><h1>Captive portal</h1>
        <script>console.warn('for', 5491158254201, {a: 1}); throw new Error('broken')</script>";
    let elsewhere = Elsewhere::serve(page).await;
    let service = elsewhere.service().await;
    service.connect(51).await;
    let failed = service.reaches("51", "DISCONNECTED").await;
    assert_eq!(failed["reason"], "PAGE_NOT_RECOGNISED", "{failed}");
    assert_eq!(failed["failed_phase"], "INJECT", "{failed}");

    let evidence = evidence(&service).await;
    assert!(shows_something(&picture(&service, &evidence).await));
    let url = elsewhere.url.split('?').next().unwrap();
    assert_eq!(evidence["url"], url, "{evidence}");
    assert_eq!(evidence["title"], "Nothing here …", "{evidence}");
    assert!(evidence["chrome_version"].is_string(), "{evidence}");
    let console = evidence["console"].as_array().unwrap();
    let said = |level: &str, text: &str| {
        let mut lines = console.iter().filter(|line| line["level"] == level);
        lines.any(|line| line["text"].as_str().unwrap().contains(text))
    };
    assert!(said("warning", "for … Object"), "{evidence}");
    assert!(said("error", "Error: broken"), "{evidence}");

    // It outlives the service, and needs a key.
    let home = service.stop();
    let service = Service::start_in(home, |env| {
        env.insert("SANDBOX", "false".into());
        env.insert("API_KEY", "key".into());
        env.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    for path in [
        "/sessions/51/evidence",
        "/sessions/51/evidence/screenshot.png",
    ] {
        assert_eq!(service.get(path).await.status, 401, "{path}");
        let request = service.request(reqwest::Method::GET, path);
        let answer = crate::support::answer(request.header("X-Api-Key", "key")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    service.stop();
}

#[tokio::test]
async fn a_page_that_hangs_gives_no_picture_and_holds_nobody_up() {
    let elsewhere = Elsewhere::serve("<h1>Busy</h1><script>while (true) {}</script>").await;
    let service = elsewhere.service().await;
    let since = Instant::now();
    service.connect(51).await;
    service.reaches("51", "DISCONNECTED").await;
    // Two seconds of patience, three for a picture, eight and a half to close.
    assert!(since.elapsed().as_secs() < 16, "{:?}", since.elapsed());
    let evidence = evidence(&service).await;
    assert_eq!(evidence["screenshot"], Value::Null, "{evidence}");
    assert!(evidence["screenshot_left_out"].is_string(), "{evidence}");
    assert_eq!(
        service
            .get("/sessions/51/evidence/screenshot.png")
            .await
            .json()["code"],
        "NO_EVIDENCE"
    );
    service.stop();
}

#[tokio::test]
async fn a_chrome_that_never_comes_up_leaves_what_it_said() {
    let folder = Folder::new();
    let chrome = folder.script(
        "chrome",
        "#!/bin/sh\ncase \"$*\" in *--version*) echo 'Chromium 156.0.7000.1'; exit;; esac\necho 'waiting for Godot' >&2\nexec sleep 60\n",
    );
    let service = Service::start(|env| {
        env.insert("CHROME_PATH", chrome.clone().into());
        env.insert("LAUNCH_TIMEOUT_SECONDS", "1".into());
    })
    .await;
    let refused = service
        .post("/connect", &json!({ "cliente_id": 51, "wait": "ready" }))
        .await;
    assert_eq!(
        refused.json()["code"],
        "LAUNCH_TIMEOUT",
        "{}",
        refused.text()
    );
    let failed = service.status("51").await;
    assert_eq!(failed["failed_phase"], "LAUNCH", "{failed}");
    let evidence = evidence(&service).await;
    assert_eq!(evidence["chrome_output"], json!(["waiting for Godot"]));
    assert_eq!(evidence["screenshot"], Value::Null, "{evidence}");
    service.stop();
}

#[tokio::test]
async fn a_switch_that_the_service_itself_needs_is_a_wrong_setting() {
    let (code, said) = Service::fails(|env| {
        env.insert("CHROME_ARGS", "--user-data-dir=/elsewhere".into());
    })
    .await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("CHROME_ARGS:"), "{said}");
}

#[tokio::test]
async fn a_proxys_password_among_the_switches_is_a_wrong_setting_and_is_not_shown() {
    let (code, said) = Service::fails(|env| {
        let proxy = "--mute-audio --proxy-server=http://user:hunter2@127.0.0.1:3128";
        env.insert("CHROME_ARGS", proxy.into());
    })
    .await;
    assert_eq!(code, 64, "{said}");
    assert!(
        said.contains("CHROME_ARGS:") && said.contains("--proxy-server"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}
