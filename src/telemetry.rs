//! Logging: where lines go, how they look, and what can never be in them.
//!
//! Lines go to stdout, where PM2 and containers expect them, through an [`outlet`] that never blocks a thread that logs.
//! `LOG_FORMAT` chooses text or one JSON object a line, `RUST_LOG` what is logged. A panic is a line at `ERROR` like
//! any other: the standard library would print it to stderr, which blocks when stderr is not read. Nothing is printed to
//! stderr while the service runs.
//!
//! The [audit](AUDIT) is logged independently of the rest of `RUST_LOG`; only `audit=off` in it turns it off.
//!
//! Invariant: **of the dependencies only warnings and errors are logged (of chromiumoxide nothing), even if `RUST_LOG` asks
//! for more.** At debug and trace chromiumoxide writes each message to and from Chrome, and tungstenite each WebSocket
//! frame: login codes, phone numbers and texts. `RUST_LOG=debug` or `trace` is therefore safe: it means the lines of this crate.
//! The rule is not a list of talkative crates, so that it covers a new dependency from the first day.

use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    fs::File,
    io::{self, IsTerminal as _},
    os::fd::AsFd as _,
    panic::{self, PanicHookInfo},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterFn, ParseError, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

use crate::config::LogFormat;

mod outlet;

pub use outlet::DroppedLines;
use outlet::Outlet;

/// The library and the binary both log under this name and below it.
const OURS: &str = "session_manager";

/// The target of the audit lines, which say who did what. It has its own name so that they can be filtered.
pub const AUDIT: &str = "audit";

/// How long the last lines are waited for at the end of the process. They are written while the service still stops, so
/// a log that is read takes them within milliseconds; one that is not read must not keep the process. Counts towards
/// the `kill_timeout` of the supervisor.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(500);

/// Says why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is not in the syntax of `tracing-subscriber`.
    #[error("RUST_LOG is no log filter: {0}")]
    Filter(#[from] ParseError),
    /// Something has set a logger before.
    #[error("the log could not be set up: {0}")]
    AlreadySet(#[from] TryInitError),
    /// The thread that writes it cannot be started.
    #[error("the log could not be set up: {0}")]
    Outlet(#[from] io::Error),
}

/// The log of this process.
#[derive(Debug)]
#[must_use = "its last lines are lost unless it is finished"]
pub struct Log(Outlet);

impl Log {
    /// The count of lines that the log had no room for.
    pub fn dropped(&self) -> DroppedLines {
        self.0.dropped()
    }

    /// Waits until the last lines are written, if the log takes them in time.
    pub fn finish(self) {
        self.0.finish(LAST_LINES_TIMEOUT);
    }
}

/// Starts logging to stdout, for the whole process and for its lifetime. Panics are logged from then on.
pub fn init(format: LogFormat, filter: &str) -> Result<Log, TelemetryError> {
    let colours = io::stdout().is_terminal();
    // A handle of its own: the standard library's is locked for as long as a write to it takes.
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let outlet = Outlet::to(stdout, move |dropped| gap(format, dropped))?;
    let writer = outlet.clone();
    subscriber(format, filter, colours, move || writer.clone())?.try_init()?;
    panic::set_hook(Box::new(log_panic));
    Ok(Log(outlet))
}

/// The line that replaces dropped lines, in the form of all other lines. `RUST_LOG` does not filter it: a log with a gap
/// must say so.
fn gap(format: LogFormat, dropped: u64) -> String {
    // As the formatter writes it.
    let timestamp = format!("{:.6}", Timestamp::now());
    let message = format!(
        "{dropped} log lines are missing here: nothing read the log fast enough, or its disk was full"
    );
    let target = module_path!();
    match format {
        LogFormat::Text => {
            format!("{timestamp}  WARN {target}: {message} lines.dropped={dropped}\n")
        }
        LogFormat::Json => {
            let fields = json!({ "message": message, "lines.dropped": dropped });
            let line = json!({ "timestamp": timestamp, "level": "WARN", "fields": fields, "target": target });
            format!("{line}\n")
        }
    }
}

/// Logs what the standard library would print, except a text that was formatted at the panic: it may quote input. The text of a
/// wrong slice of a `str` quotes the `str`, which may be a message or a number.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let what = fixed_text(panic.payload());
    let place = panic.location().map(ToString::to_string);
    let place = place.as_deref().unwrap_or("an unknown place");
    // Taken only when RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let has_backtrace = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = has_backtrace.then(|| tracing::field::display(backtrace));
    tracing::error!(
        panic.place = place,
        panic.backtrace = backtrace,
        "a thread panicked at {place}: {what}"
    );
}

/// What a panic says, when it is a text of the program and so holds nothing of what the program was given.
pub(crate) fn fixed_text(payload: &(dyn Any + Send)) -> &'static str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.unwrap_or("its text is left out, for it may quote what was sent")
}

/// What [`init`] installs, with another place to write to for tests.
fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    colours: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + use<W>, ParseError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colours).boxed(),
        LogFormat::Json => lines.json().with_span_list(false).boxed(),
    };
    Ok(Registry::default()
        // What is said later of the same target goes before.
        .with(EnvFilter::try_new(format!("{AUDIT}=info,{filter}"))?)
        .with(only_ours_below_warn())
        .with(lines))
}

fn only_ours_below_warn() -> FilterFn {
    filter_fn(|of: &Metadata<'_>| {
        is_ours(of.target())
            || of.target() == AUDIT
            || (*of.level() <= Level::WARN && !is_chromiumoxide(of.target()))
    })
}

/// It warns of each event of a newer Chrome that it does not know, and calls every end of a connection an error. What of
/// it matters comes back to `browser` as an error and is logged there.
fn is_chromiumoxide(target: &str) -> bool {
    target.starts_with("chromiumoxide")
}

fn is_ours(target: &str) -> bool {
    target
        .strip_prefix(OURS)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, say: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(format, filter, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, say);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn what_goes_to_and_from_chrome_is_never_logged() {
        let filters = [
            "trace",
            "debug",
            "chromiumoxide=trace",
            "chromiumoxide::conn=trace,tungstenite=trace,info",
        ];
        for filter in filters {
            let lines = logged(LogFormat::Text, filter, || {
                tracing::trace!(target: "chromiumoxide::conn", "Received 2@code");
                tracing::debug!(target: "chromiumoxide::conn::raw_ws::parse_errors", "2@code");
                tracing::trace!(target: "tungstenite::protocol", "Sending frame: 2@code");
                tracing::info!(target: "session_manager_helper", "2@code");
            });
            assert_eq!(lines, "", "{filter}");
        }
    }

    #[test]
    fn our_lines_and_the_warnings_of_others_are_logged_as_asked() {
        let say = || {
            tracing::debug!("ours");
            tracing::warn!(target: "axum::serve", "theirs");
            tracing::warn!(target: "chromiumoxide::handler", "noise");
        };
        let at_debug = logged(LogFormat::Text, "debug", say);
        assert!(
            at_debug.contains("ours") && at_debug.contains("theirs"),
            "{at_debug}"
        );
        assert!(!at_debug.contains("noise"), "{at_debug}");
        assert!(!at_debug.contains('\u{1b}'), "no colours in a file");
        let at_info = logged(LogFormat::Text, "info", say);
        assert!(
            !at_info.contains("ours") && at_info.contains("theirs"),
            "{at_info}"
        );
    }

    #[test]
    fn the_audit_is_logged_unless_it_is_turned_off() {
        let say = || {
            tracing::info!("ours");
            tracing::info!(target: AUDIT, "POST /send");
        };
        for (filter, is_logged) in [
            ("warn", true),
            ("session_manager=error", true),
            ("off", true),
            ("audit=off", false),
            ("debug,audit=warn", false),
        ] {
            let lines = logged(LogFormat::Text, filter, say);
            assert_eq!(lines.contains("POST /send"), is_logged, "{filter}: {lines}");
        }
    }

    #[test]
    fn a_panic_is_logged_with_its_place_and_never_with_what_it_quotes() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            subscriber(LogFormat::Text, "info", false, move || writer.clone()).unwrap();
        let before = panic::take_hook();
        panic::set_hook(Box::new(log_panic));
        tracing::subscriber::with_default(subscriber, || {
            let message = "caf\u{e9} secreto".to_owned();
            let cut = std::hint::black_box(4);
            panic::catch_unwind(|| message[..cut].len()).unwrap_err();
            panic::catch_unwind(|| panic!("a text of the program")).unwrap_err();
        });
        panic::set_hook(before);
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(!logged.contains("secreto"), "{logged}");
        assert!(logged.contains("a text of the program"), "{logged}");
        let places = logged.matches("src/telemetry.rs:").count();
        assert!(places >= 2, "{logged}");
    }

    #[test]
    fn a_json_line_has_its_message_and_its_fields_under_fields() {
        let line = logged(LogFormat::Json, "info", || {
            tracing::info!(api = "http://127.0.0.1:1", "listening");
        });
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["fields"]["message"], "listening");
        assert_eq!(line["fields"]["api"], "http://127.0.0.1:1");
    }

    #[test]
    fn the_line_about_dropped_lines_looks_like_all_others() {
        let say = || tracing::warn!(lines.dropped = 3, "3 log lines");
        let line = logged(LogFormat::Text, "info", say);
        let gap_line = gap(LogFormat::Text, 3);
        let words = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let mut next = || words.next().unwrap().to_owned();
            (next().len(), next())
        };
        assert_eq!(words(&gap_line), words(&line), "{gap_line}{line}");
        assert!(gap_line.contains(" session_manager::telemetry: 3 log lines"));
        assert!(gap_line.ends_with(" lines.dropped=3\n"), "{gap_line}");
        assert!(line.ends_with(" lines.dropped=3\n"), "{line}");

        let keys = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let names = |of: &serde_json::Value| {
                let names = of.as_object().unwrap().keys().cloned();
                names.collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(line["fields"]["lines.dropped"], 3);
            (names(&line), names(&line["fields"]))
        };
        let line = logged(LogFormat::Json, "info", say);
        assert_eq!(keys(&gap(LogFormat::Json, 3)), keys(&line));
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error() {
        assert!(init(LogFormat::Text, "session_manager=loud").is_err());
    }
}
