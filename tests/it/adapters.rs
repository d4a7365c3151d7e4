//! The adapters one by one, and what happens when one of them is broken.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::Service;

const TO: &str = "5491158254201";
const NOBODY: &str = "5491158250000";
const UNKNOWN: &str = "5491158254202";

/// The two versions of wa-js that are known to differ most in what matters here.
pub(crate) const CURRENT: &str = "@wppconnect/wa-js";
pub(crate) const OLD: &str = "wa-js-4.0.0";

/// Where npm has put a version of wa-js.
pub(crate) fn bundle(package: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("node_modules")
        .join(package)
        .join("dist/wppconnect-wa.js");
    assert!(path.is_file(), "wa-js is installed: run npm install");
    path
}

/// The settings of a service with this order of adapters, and with today's wa-js where that is one of them.
pub(crate) fn served_by(
    adapters: &'static str,
) -> impl FnOnce(&mut BTreeMap<&'static str, OsString>) {
    move |env| {
        env.insert("ADAPTERS", adapters.into());
        env.insert("WA_JS_PATH", bundle(CURRENT).into());
    }
}

/// A service whose page may only be driven by `adapters`, with a bundle of wa-js.
async fn with_bundle(adapters: &'static str, bundle: PathBuf) -> Service {
    Service::start(move |env| {
        env.insert("ADAPTERS", adapters.into());
        env.insert("WA_JS_PATH", bundle.into());
    })
    .await
}

#[tokio::test]
async fn wa_js_alone_does_everything() {
    alone_does_everything(CURRENT, json!({})).await;
}

#[tokio::test]
async fn an_older_wa_js_alone_does_everything_on_an_older_page() {
    alone_does_everything(OLD, json!({ "build": "early-2026" })).await;
}

#[tokio::test]
async fn wa_js_alone_does_everything_where_chats_go_by_lid() {
    alone_does_everything(CURRENT, json!({ "lid_chats": true })).await;
}

#[tokio::test]
async fn an_older_wa_js_alone_does_everything_on_an_older_page_where_chats_go_by_lid() {
    let faults = json!({ "build": "early-2026", "lid_chats": true });
    alone_does_everything(OLD, faults).await;
}

async fn alone_does_everything(package: &str, build: Value) {
    let service = with_bundle("wa-js", bundle(package)).await;
    service.faults(build.clone()).await;
    let account = service.link("51").await;
    let status = service.status("51").await;
    assert_eq!(status["adapter"]["serving"], "wa-js", "{status}");
    assert_eq!(status["adapter"]["missing"], json!([]), "{status}");
    assert_eq!(status["account"], account.as_str());
    let version = if package == OLD { "4.0.0" } else { "4.6.0" };
    assert_eq!(status["adapter"]["wa_js_version"], version);
    assert!(
        service
            .log()
            .contains(&format!("wa-js {version} is loaded"))
    );

    let text = "¡Hola! 👋\n<b>*x*</b> https://example.com/ \"'\\\nuno\ndos";
    // Every kind of line break is one, as by the other adapters.
    let given = text.replace("\nuno\ndos", "\r\nuno\rdos");
    let sent = service.send(51, TO, &given).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let (id, ack) = (&sent.json()["message_id"], &sent.json()["data"]["ack"]);
    let id = id.as_str().unwrap().to_owned();
    assert!(
        id.starts_with("true_") && ack.as_i64() >= Some(1),
        "{}",
        sent.text()
    );
    assert_eq!(service.messages(&account).await, [text]);
    let taken = service.phone_state().await["sent"][0].clone();
    assert!(id.ends_with(taken["id"].as_str().unwrap()), "{id}, {taken}");
    assert_eq!(taken["mixed_addressing"], Value::Null, "{taken}");

    let nobody = service.send(51, NOBODY, "nadie lo lee").await;
    assert_eq!(nobody.json()["code"], "NUMBER_NOT_ON_WHATSAPP");
    service
        .faults(json!({ "number_check": "network_error" }))
        .await;
    // A number that is known is not asked about again, and then nothing says that the page has heard of the fault.
    let failed = service.send(51, UNKNOWN, "nadie lo lee").await;
    assert_eq!(failed.json()["code"], "SEND_FAILED", "{}", failed.text());
    service.faults(json!({ "send": "throws" })).await;
    let failed = service.send(51, UNKNOWN, "nadie lo lee").await;
    assert_eq!(failed.json()["code"], "SEND_FAILED", "{}", failed.text());
    service.faults(build.clone()).await;
    assert_eq!(service.messages(&account).await, [text]);

    // The link outlives the service, and wa-js serves without a scan.
    let home = service.stop();
    let path = bundle(package);
    let service = Service::start_in(home, move |env| {
        env.insert("ADAPTERS", "wa-js".into());
        env.insert("WA_JS_PATH", path.into());
        // It is to load the page that the faults make.
        env.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    service.faults(build.clone()).await;
    service.connect(51).await;
    service.reaches("51", "READY").await;
    service.sends(51, TO, "otra vez más").await;
    assert_eq!(service.messages(&account).await, [text, "otra vez más"]);

    let out = service
        .post(
            "/disconnect",
            &json!({ "cliente_id": "51", "logout": true }),
        )
        .await;
    assert_eq!(out.status, 200, "{}", out.text());
    assert_eq!(service.phone_state().await["devices"], json!([]));
    service.stop();
}

#[tokio::test]
async fn wa_js_serves_when_a_module_that_it_waits_for_has_a_new_name() {
    let service = with_bundle("wa-js", bundle(CURRENT)).await;
    let renamed = json!({ "rename_modules": { "WAWebConnModel": "WAWebConnectionModel" } });
    service.faults(renamed).await;
    let account = service.link("51").await;
    service.sends(51, TO, "nadie lo lee").await;
    assert_eq!(service.messages(&account).await, ["nadie lo lee"]);
    service.stop();
}

#[tokio::test]
async fn modules_that_arrive_late_do_not_break_an_older_wa_js() {
    let service = with_bundle("wa-js", bundle(OLD)).await;
    let late = json!({ "modules_delay_ms": 3000, "build": "early-2026" });
    service.faults(late).await;
    let account = service.link("51").await;
    service.sends(51, TO, "nadie lo lee").await;
    assert_eq!(service.messages(&account).await, ["nadie lo lee"]);
    service.stop();
}

#[tokio::test]
async fn wa_js_is_not_loaded_while_the_modules_serve() {
    let service = with_bundle("modules,wa-js,dom", bundle(CURRENT)).await;
    service.link("51").await;
    let adapter = service.status("51").await["adapter"].clone();
    assert_eq!(adapter["serving"], "modules");
    assert_eq!(adapter["wa_js_version"], Value::Null);
    assert_eq!(adapter["missing"], json!([]));
    assert!(!service.log().contains("is loaded"));
    service.stop();
}

#[tokio::test]
async fn each_document_gets_wa_js_once() {
    let service = with_bundle("wa-js", bundle(CURRENT)).await;
    service.link("51").await;
    let loads = || service.log().matches("is loaded").count();
    assert_eq!(loads(), 1);
    service.faults(json!({ "event": "reload" })).await;
    service
        .status_when("51", "another document", |_| loads() > 1)
        .await;
    service.reaches("51", "READY").await;
    service.sends(51, TO, "nadie lo lee").await;
    assert_eq!(loads(), 2);
    service.stop();
}

#[tokio::test]
async fn a_new_bundle_serves_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wa.js");
    std::fs::copy(bundle(OLD), &file).unwrap();
    let service = with_bundle("wa-js", file.clone()).await;
    service
        .phone("/faults", &json!({ "build": "early-2026" }))
        .await;
    let version = async || service.status("51").await["adapter"]["wa_js_version"].clone();
    service.link("51").await;
    assert_eq!(version().await, "4.0.0");
    service.disconnect("51").await;
    std::fs::copy(bundle(CURRENT), &file).unwrap();
    service.connect(51).await;
    service.reaches("51", "READY").await;
    assert_eq!(version().await, "4.6.0");
    service.stop();
}

const RENAMED: &str = "WAWebSocketModel";

/// A service whose modules do not serve, with a bundle that is not wa-js.
async fn with_script(script: &str) -> (Service, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wa.js");
    std::fs::write(&file, script).unwrap();
    let service = with_bundle("modules,wa-js,dom", file).await;
    let renamed = json!({ "rename_modules": { RENAMED: "WAWebSocket" } });
    service.faults(renamed).await;
    (service, folder)
}

/// The screen gives the code although the adapters before it do not work; what is said of wa-js.
async fn dom_serves(service: &Service) -> String {
    service.connect(51).await;
    let status = service
        .status_when("51", "a code by dom", |status| {
            status["qr"]["url"].is_string() && status["adapter"]["serving"] == "dom"
        })
        .await;
    let adapter = &status["adapter"];
    let missing = adapter["missing"].as_array().unwrap();
    let of_wa_js = missing
        .iter()
        .filter_map(|what| what.as_str()?.strip_prefix("wa-js: "))
        .collect::<Vec<_>>();
    of_wa_js.join(", ")
}

#[tokio::test]
async fn a_missing_bundle_is_named_and_the_others_serve() {
    let (service, folder) = with_script("").await;
    drop(folder);
    assert_eq!(dom_serves(&service).await, "WA_JS_PATH: no bundle");
    service.stop();
}

#[tokio::test]
async fn a_bundle_that_throws_is_named_and_the_others_serve() {
    let (service, _folder) = with_script("throw new Error('broken')").await;
    let said = dom_serves(&service).await;
    assert!(said.contains("threw"), "{said}");
    service.stop();
}

#[tokio::test]
async fn a_wa_js_that_never_becomes_ready_is_passed_over() {
    let (service, _folder) = with_script("window.WPP = { version: '0.0.0', isReady: false }").await;
    let said = dom_serves(&service).await;
    assert!(said.contains("did not become ready"), "{said}");
    service.stop();
}

#[tokio::test]
async fn a_wa_js_that_becomes_ready_late_takes_over_then() {
    let source = std::fs::read_to_string(bundle(CURRENT)).unwrap();
    let late = format!("setTimeout(() => {{ {source}\n }}, 17000)");
    let (service, _folder) = with_script(&late).await;
    let other = json!({ "rename_modules": { "WAWebStreamModel": "WAWebStream" } });
    service.faults(other).await;
    let said = dom_serves(&service).await;
    assert!(said.contains("did not become ready"), "{said}");
    service
        .status_when("51", "wa-js", |status| {
            status["adapter"]["serving"] == "wa-js"
        })
        .await;
    service.stop();
}

#[tokio::test]
async fn a_wa_js_that_blocks_the_page_is_stopped_and_not_tried_again() {
    let blocks = "window.WPP = { version: '0.0.0' };
        setTimeout(() => { const end = Date.now() + 300000; while (Date.now() < end); }, 0)";
    let (service, _folder) = with_script(blocks).await;
    let said = dom_serves(&service).await;
    assert!(said.contains("blocked the page"), "{said}");
    service.faults(json!({ "event": "reload" })).await;
    service
        .status_when("51", "another document", |status| {
            status["adapter"]["serving"].is_null()
        })
        .await;
    // A second block would take longer than the code is waited for here.
    let said = dom_serves(&service).await;
    assert!(said.contains("blocked the page"), "{said}");
    // And the screen sends.
    service.scan(&service.code("51").await).await;
    service.reaches("51", "READY").await;
    service.sends(51, TO, "por la pantalla").await;
    assert_eq!(service.status("51").await["adapter"]["serving"], "dom");
    service.stop();
}

#[tokio::test]
async fn a_bundle_that_is_asked_for_and_cannot_be_read_is_a_wrong_setting() {
    let (code, said) = Service::fails(|env| {
        env.insert("WA_JS_PATH", "/nonexistent/wa.js".into());
    })
    .await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("WA_JS_PATH:"), "{said}");
}

/// Put before the bundle: makes a request to anybody but the page's own server show in the log.
const WATCH: &str = "(() => {
    const watched = (url) => {
        const { origin, href } = new URL(url, location);
        if (origin === location.origin) return;
        __sessionManagerFact(JSON.stringify({ adapter: 'wa-js', kind: 'broken', detail: `asked ${href}` }));
    };
    const { fetch } = window;
    window.fetch = (what, ...rest) => (watched(what.url ?? what), fetch(what, ...rest));
    const { open } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.open = function (method, url, ...rest) {
        watched(url);
        return open.call(this, method, url, ...rest);
    };
    const { sendBeacon } = Navigator.prototype;
    Navigator.prototype.sendBeacon = function (url, data) {
        watched(url);
        return sendBeacon.call(this, url, data);
    };
})();
";

/// Nothing tells that nothing will come. wa-js sends its analytics a second after what they tell of.
const ANALYTICS_OBSERVED: Duration = Duration::from_secs(3);

/// Without its switches wa-js would report every page to an analytics service, and ask other servers for a preview of every link.
#[tokio::test]
async fn wa_js_speaks_to_nobody_but_whatsapp() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wa.js");
    let source = std::fs::read_to_string(bundle(CURRENT)).unwrap();
    std::fs::write(&file, format!("{WATCH}{source}")).unwrap();
    let service = with_bundle("wa-js", file).await;
    service.link("51").await;
    for text in ["https://example.com/", "see example.com"] {
        service.sends(51, TO, text).await;
    }
    let asked = timeout(ANALYTICS_OBSERVED, service.logs("asked http")).await;
    assert!(asked.is_err(), "{}", service.log());
    service.stop();
}

#[tokio::test]
async fn wa_js_gets_fresh_codes_when_they_have_run_out() {
    for build in [json!({}), json!({ "lid_chats": true })] {
        let path = bundle(CURRENT);
        let service = Service::start(move |env| {
            env.insert("ADAPTERS", "wa-js".into());
            env.insert("WA_JS_PATH", path.into());
            env.insert("SANDBOX_CODE_SECONDS", "1,1".into());
        })
        .await;
        service.faults(build.clone()).await;
        service.connect(51).await;
        // A batch has six codes: the seventh needs a fresh one.
        service
            .status_when("51", "a code of the second batch", |status| {
                status["attempts"].as_u64() > Some(6) && status["qr"]["url"].is_string()
            })
            .await;
        service.stop();
    }
}
