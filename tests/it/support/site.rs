//! A site that looks at the browser which visits it: its page, a worker, a service worker and the request itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    http::{HeaderMap, header},
    response::Html,
    routing::{get, post},
};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// A site whose page and workers tell what they see of the browser.
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) reports: Arc<Mutex<BTreeMap<String, Value>>>,
    _server: AbortOnDropHandle<()>,
}

impl Site {
    pub(crate) async fn serve() -> Self {
        let reports: Arc<Mutex<BTreeMap<String, Value>>> = Arc::default();
        let script = |text: &'static str| {
            get(move || async move { ([(header::CONTENT_TYPE, "text/javascript")], text) })
        };
        let (from_page, from_request) = (Arc::clone(&reports), Arc::clone(&reports));
        let page = move |headers: HeaderMap| async move {
            let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            let report = serde_json::json!({
                "userAgent": text("user-agent"),
                "hints": text("sec-ch-ua"),
            });
            from_request
                .lock()
                .unwrap()
                .insert("request".to_owned(), report);
            Html(PAGE)
        };
        let report = move |body: String| async move {
            let report: Value = serde_json::from_str(&body).unwrap();
            let who = report["who"].as_str().unwrap().to_owned();
            from_page.lock().unwrap().insert(who, report);
        };
        let router = Router::new()
            .route("/", get(page))
            .route("/quiet", get(async || Html("<title>quiet</title>")))
            .route("/look.js", script(LOOK))
            .route(
                "/worker.js",
                script("importScripts('/look.js'); look('worker');"),
            )
            .route(
                "/service.js",
                script("importScripts('/look.js'); onmessage = () => look('service worker');"),
            )
            .route("/report", post(report));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            reports,
            _server: AbortOnDropHandle::new(server),
        }
    }
}

const PAGE: &str = "<script src=/look.js></script><script>
    look('page');
    new Worker('/worker.js');
    navigator.serviceWorker.register('/service.js')
        .then(() => navigator.serviceWorker.ready)
        .then(registration => registration.active.postMessage('look'));
</script>";

const LOOK: &str = "async function look(who) {
    const hints = await navigator.userAgentData.getHighEntropyValues(['fullVersionList', 'architecture']);
    const {userAgent, webdriver} = navigator;
    fetch('/report', {method: 'POST', body: JSON.stringify({who, userAgent, webdriver, ...hints})});
}";
