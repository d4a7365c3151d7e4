//! Does `GET /status` of a READY session stay fast while four other sessions start?

use std::time::{Duration, Instant};

use super::{Latencies, support::Service};

const ALONE: Duration = Duration::from_secs(5);
const OTHERS: [&str; 4] = ["2", "3", "4", "5"];

pub(super) async fn bench() {
    let service = Service::start(|_| {}).await;
    service.link("1").await;

    let began = Instant::now();
    let alone = Latencies::of_status(&service, "1", async || began.elapsed() > ALONE).await;

    let starts = async {
        let connects = OTHERS.map(|id| service.connect(id));
        futures_util::future::join_all(connects).await;
        for id in OTHERS {
            service.code(id).await;
        }
    };
    let have_started = std::cell::Cell::new(false);
    let began = Instant::now();
    let (busy, ()) = tokio::join!(
        Latencies::of_status(&service, "1", async || have_started.get()),
        async {
            starts.await;
            have_started.set(true);
        }
    );
    let took = began.elapsed();

    println!(
        "\n{:32} {:>7} {:>9} {:>9} {:>9}",
        "GET /status of a READY session", "count", "p50 ms", "p99 ms", "max ms"
    );
    alone.row("alone");
    busy.row("while four others start");
    let ratio = busy.percentile(99).as_secs_f64() / alone.percentile(99).as_secs_f64();
    println!(
        "p99, busy / alone: {ratio:.1}; the four showed codes after {:.1} s",
        took.as_secs_f64()
    );
    service.stop();
}
