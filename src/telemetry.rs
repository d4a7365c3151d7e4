//! Logging: where lines go, how they look, and what can never be in them.
//!
//! Lines go to stdout, where PM2 and containers expect them. `LOG_FORMAT` chooses text or one JSON object a line,
//! `RUST_LOG` what is logged.
//!
//! The [audit](AUDIT) is logged whatever `RUST_LOG` says of the rest; `audit=off` in it turns it off.
//!
//! Invariant: **of our dependencies only warnings and errors are logged (of chromiumoxide nothing), whatever `RUST_LOG`
//! says.** At debug and trace chromiumoxide writes each message to and from Chrome, and tungstenite each WebSocket
//! frame: login codes, phone numbers and texts. `RUST_LOG=debug` or `trace` is therefore safe, and it means *our* lines.
//! The rule is "ours only" and not a list of talkative crates, so that a new dependency is covered before anybody has
//! read it.

use std::io::IsTerminal;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterFn, ParseError, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

use crate::config::LogFormat;

/// The library and the binary both log under this name and below it.
const OURS: &str = "session_manager";

/// The target of lines about who did what. A name of its own, so that they can be told from all others.
pub const AUDIT: &str = "audit";

/// Says why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is not in the syntax of `tracing-subscriber`.
    #[error("RUST_LOG is no log filter: {0}")]
    Filter(#[from] ParseError),
    /// Something has set a logger before.
    #[error("the log could not be set up: {0}")]
    AlreadySet(#[from] TryInitError),
}

/// Starts logging to stdout, for the whole process and for its lifetime.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let colours = std::io::stdout().is_terminal();
    Ok(subscriber(format, filter, colours, std::io::stdout)?.try_init()?)
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
    fn a_json_line_has_its_message_and_its_fields_under_fields() {
        let line = logged(LogFormat::Json, "info", || {
            tracing::info!(api = "http://127.0.0.1:1", "listening");
        });
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["fields"]["message"], "listening");
        assert_eq!(line["fields"]["api"], "http://127.0.0.1:1");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error() {
        assert!(init(LogFormat::Text, "session_manager=loud").is_err());
    }
}
