//! Measures the real service against the sandbox: `scripts/bench NAME`.
//!
//! Figures of one run are to be compared with each other, never with those of another machine or moment. Everything goes
//! to loopback, is bounded in time and count, and ends by itself.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints its figures, and a failed expectation ends it"
)]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

#[path = "../../tests/it/support/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it than the benches do")]
mod support;

mod crash;
mod faults;
mod freeze;
mod listen;
mod media;
mod send;
mod soak;
mod stall;
mod status;
mod stop;

#[tokio::main]
async fn main() -> ExitCode {
    // Cargo adds switches of its own.
    let asked = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let went_well = match asked.as_deref() {
        Some("crash") => crash::bench().await,
        Some("faults") => faults::bench().await,
        Some("freeze") => freeze::bench().await,
        Some("listen") => listen::bench().await,
        Some("media") => {
            media::bench().await;
            true
        }
        Some("soak") => soak::soak().await,
        Some("rounds") => soak::rounds().await,
        Some("stall") => stall::bench().await,
        Some("stop") => stop::bench().await,
        Some("send") => {
            send::bench().await;
            true
        }
        Some("status") | None => {
            status::bench().await;
            true
        }
        Some(other) => panic!(
            "no such benchmark: {other}; there are: crash, faults, freeze, listen, media, rounds, send, soak, stall, status, stop"
        ),
    };
    if went_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What follows a switch on the command line.
fn argument(switch: &str) -> Option<String> {
    std::env::args().skip_while(|given| given != switch).nth(1)
}

/// A build of the service that is measured.
struct Build {
    /// Where its rows say so: empty when there is one only.
    name: String,
    program: PathBuf,
}

impl Build {
    /// This build, or the one of `--binary`; with `--beside`, that one after it. They take turns within one run, because
    /// figures of two runs cannot be compared.
    fn all() -> Vec<Self> {
        let path = |switch| argument(switch).map(PathBuf::from);
        let first = path("--binary").unwrap_or_else(|| support::PROGRAM.into());
        let programs: Vec<_> = [Some(first), path("--beside")]
            .into_iter()
            .flatten()
            .collect();
        let is_one = programs.len() == 1;
        for (letter, program) in ["A", "B"].iter().zip(&programs).filter(|_| !is_one) {
            println!("{letter}: {}", program.display());
        }
        let build = |(letter, program): (&str, PathBuf)| Self {
            name: if is_one {
                String::new()
            } else {
                format!(" {letter}")
            },
            program: std::path::absolute(&program).expect("--binary, --beside"),
        };
        ["A", "B"].into_iter().zip(programs).map(build).collect()
    }

    fn program(&self) -> &Path {
        &self.program
    }
}

/// Says how the first of two builds compares with the second, if there are two: below 1 it is faster.
fn compare(name: &str, of: &[&Latencies]) {
    if let [first, second] = of {
        let ratio = |percent| {
            first.percentile(percent).as_secs_f64() / second.percentile(percent).as_secs_f64()
        };
        println!(
            "{name:32} {:>7} {:9.2} {:9.2}",
            "A / B",
            ratio(50),
            ratio(99)
        );
    }
}

/// Times of many requests.
struct Latencies(Vec<Duration>);

impl Latencies {
    /// Of several series together.
    fn of(series: &[Vec<Duration>]) -> Self {
        let mut times = series.concat();
        times.sort_unstable();
        Self(times)
    }

    fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len().checked_sub(1).expect("there were requests");
        self.0[last * percent / 100]
    }

    fn row(&self, name: &str) {
        self.row_with(name, "");
    }

    /// The same with more at its end.
    fn row_with(&self, name: &str, more: &str) {
        let ms = |percent| self.percentile(percent).as_secs_f64() * 1000.0;
        let space = if more.is_empty() { "" } else { "   " };
        println!(
            "{name:32} {:7} {:9.2} {:9.2} {:9.2}{space}{more}",
            self.0.len(),
            ms(50),
            ms(99),
            ms(100)
        );
    }
}
