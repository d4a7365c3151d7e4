//! Do `GET /status` and `POST /send` of a READY session stay as fast as alone while a file of 100 MB goes out of another session, and
//! while one comes in?
//!
//! The sandbox, in the service's process, encrypts and decrypts the same file meanwhile, and this process hashes nothing but holds it: the
//! real service has less to do than what is measured here. It also prints the memory that both Chromes take meanwhile; the service's own
//! memory is held by the tests (`media`, `received`), where the sandbox is another process.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Latencies,
    listen::{highest, memory_of},
    status::{MEASURED, Times, measure, measure_until},
    support::{Service, answer},
};

const SPELL: Duration = Duration::from_secs(8);
const WITH_FILES: u64 = 2;
const BYTES: usize = 100_000_000;
const FRIEND: &str = "5491150002222";

/// A file of 100 MB takes some 10 s here; a busy machine may take ten times that.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) async fn bench() {
    let service = Service::start(|env| {
        env.insert("SANDBOX_ACK_SECONDS", "0.005".into());
        env.insert("RUST_LOG", "info".into());
    })
    .await;
    service.link(&MEASURED.to_string()).await;
    let account = service.link(&WITH_FILES.to_string()).await;
    let file: Vec<u8> = (0..=250_u8).cycle().take(BYTES).collect();
    let media = comes_in(&service, &account, &file).await;

    let chromes_before = chromes_of(&service);
    let alone = measure(&service, SPELL).await;
    let (out, out_took, chromes_out) = beside(&service, async {
        let brought = service
            .request(Method::POST, "/media?filename=grande.bin")
            .header("content-type", "application/octet-stream")
            .timeout(PATIENCE);
        let brought = answer(brought.body(file.clone())).await;
        assert_eq!(brought.status, 201, "{}", brought.text());
        let media = json!({ "id": brought.json()["id"] });
        let fields = json!({ "cliente_id": WITH_FILES, "to": FRIEND, "media": media });
        let request = service.request(Method::POST, "/send").timeout(PATIENCE);
        let sent = answer(request.json(&fields)).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
    })
    .await;
    let (into, in_took, chromes_in) = beside(&service, async {
        let path = media["url"].as_str().expect("the file has an address");
        let given = service.request(Method::GET, path).timeout(PATIENCE);
        let given = answer(given).await;
        assert_eq!((given.status, given.bytes.len()), (200, BYTES));
    })
    .await;

    println!("\n100 MB out in {out_took:.1?}, in in {in_took:.1?}");
    println!(
        "memory of both Chromes: {chromes_before:.0} MB before, at most {chromes_out:.0} MB out, {chromes_in:.0} MB in"
    );
    println!(
        "{:32} {:>7} {:>9} {:>9} {:>9}",
        "another READY session", "count", "p50 ms", "p99 ms", "max ms"
    );
    for (when, times) in [
        ("alone", &alone),
        ("100 MB out", &out),
        ("100 MB in", &into),
    ] {
        for (path, own, of_alone) in [
            ("GET /status", &times.status, &alone.status),
            ("POST /send", &times.send, &alone.send),
        ] {
            let (own, of_alone) = (latencies(own), latencies(of_alone));
            let ratio = |percent| {
                own.percentile(percent).as_secs_f64() / of_alone.percentile(percent).as_secs_f64()
            };
            let ratios = format!("/ alone: p50 {:.2}, p99 {:.2}", ratio(50), ratio(99));
            own.row_with(&format!("{path}, {when}"), &ratios);
        }
    }
    service.stop();
}

fn latencies(times: &[Duration]) -> Latencies {
    Latencies::of(&[times.to_vec()])
}

/// Has a friend send the file to the account, and gives what the log says of it.
async fn comes_in(service: &Service, account: &str, file: &[u8]) -> Value {
    let media = json!({
        "kind": "document", "mimetype": "application/pdf", "filename": "grande.pdf", "data": STANDARD.encode(file),
    });
    let body = json!({ "account": account, "from": FRIEND, "media": media });
    let receive = service.sandbox_request(Method::POST, "/phone/receive");
    let received = answer(receive.timeout(PATIENCE).json(&body)).await;
    assert_eq!(received.status, 200, "{}", received.text());
    let path = format!("/events?cliente_id={WITH_FILES}&types=message&wait=60");
    let heard = answer(service.request(Method::GET, &path).timeout(PATIENCE)).await;
    let heard = heard.json()["events"][0]["data"]["media"].clone();
    assert_eq!(heard["bytes"], BYTES, "{heard}");
    heard
}

/// Measures while that goes on. Answers how long it took, and the most memory (MB) that the Chromes took meanwhile, as well.
async fn beside(service: &Service, work: impl Future<Output = ()>) -> (Times, Duration, f64) {
    let is_done = Cell::new(false);
    let began = Instant::now();
    let took = Cell::new(Duration::ZERO);
    let work = async {
        work.await;
        took.set(began.elapsed());
        is_done.set(true);
    };
    let nothing_else = || 0.0;
    let (times, (_, chromes)) = tokio::join!(
        measure_until(service, || is_done.get()),
        highest(work, nothing_else, || chromes_of(service)),
    );
    (times, took.get(), chromes)
}

/// Memory of all its Chromes, in MB: the proportional set size, so that what they share counts once.
fn chromes_of(service: &Service) -> f64 {
    memory_of(&service.home().processes(), "smaps_rollup", "Pss:")
}
