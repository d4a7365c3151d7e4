//! What must not be in a log is looked for by every test; here it is tested that it would be found.

use serde_json::json;

use crate::support::{Service, secrets::Secrets};

#[test]
fn a_text_a_number_and_a_code_are_found_in_a_log() {
    let secrets = Secrets::default();
    let code = "https://wa.me/settings/linked_devices#2@abcdefghijklmnopqrstuvwxyz,key,1";
    secrets.remember_request(&json!({ "to": "+54 9 11 5825-4201", "message": "dos\nlíneas" }));
    secrets.remember_request(&json!({ "code": code }));
    for line in [
        "sending to 5491158254201",
        r#"{"text":"dos\nlíneas"}"#,
        "the code 2@abcdefghijklmnopqrstuvwxyz is shown",
    ] {
        assert_eq!(secrets.found_in(line).len(), 1, "{line}");
    }
    let harmless = "POST /send 200 in 12 ms\nsession 51 became READY\nhttps://wa.me/settings";
    assert_eq!(secrets.found_in(harmless), [""; 0]);
}

/// Without it, no other test would say anything about logs.
#[tokio::test]
async fn a_service_whose_log_holds_a_secret_fails_its_test() {
    let service = Service::start(|_| {}).await;
    service.secrets().remember_text("listening");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| service.stop()));
    let why = ended.err().expect("the test fails");
    let why = why.downcast_ref::<String>().unwrap();
    assert!(why.contains("the log holds"), "{why}");
}
