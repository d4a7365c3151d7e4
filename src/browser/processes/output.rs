//! What Chrome prints: read to the end all the time, the last lines kept, known faults found.
//!
//! A full pipe would stop Chrome, so reading never waits for a reader of the lines.

use std::{collections::VecDeque, future::Future, io::PipeReader, mem, sync::Arc};

use parking_lot::Mutex;
use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver, sync::watch};
use tokio_util::task::AbortOnDropHandle;

use crate::browser::{Advice, Exit, measure::limits};

/// Lines kept: a start failure shows in its last few, a stack trace of Chrome takes about thirty.
const LINES: usize = 40;

/// Bytes kept of one line: the longest that matters takes a hundred.
const LINE_LENGTH: usize = 400;

/// What Chrome prints when it goes on without letting itself be driven. It would be waited for in vain.
const UNDRIVEABLE: &[&str] = &[
    REMOTE_DEBUGGING_FORBIDDEN,
    "DevTools remote debugging requires a non-default data directory",
    // Chrome itself lives, and no page can: too little address space, no process for it.
    "Oilpan: Out of memory (Oilpan: CagedHeap reservation",
    "Zygote could not fork: process_type renderer",
];

/// The policy `RemoteDebuggingAllowed` is false. Chrome 156 prints this 0.1 s after its start and runs on.
const REMOTE_DEBUGGING_FORBIDDEN: &str =
    "DevTools remote debugging is disallowed by the system admin";

/// What some lines mean and what to do about it.
const ADVICE: &[(&str, &str)] = &[
    (
        REMOTE_DEBUGGING_FORBIDDEN,
        "a policy of this machine forbids remote debugging, over which the service drives Chrome: set RemoteDebuggingAllowed to true in /etc/chromium/policies/managed/*.json (Google Chrome: /etc/opt/chrome/policies/managed), or use chromium-headless-shell, which reads no policies",
    ),
    (
        "Running as root without --no-sandbox",
        "Chrome's sandbox does not work as root; run the service as another user or set CHROME_ARGS=--no-sandbox",
    ),
    (
        "No usable sandbox",
        "this system lets Chrome make no sandbox; allow unprivileged user namespaces, or set CHROME_ARGS=--no-sandbox",
    ),
    (
        "Failed to move to new namespace",
        "this container lets Chrome make no sandbox; allow user namespaces, or set CHROME_ARGS=--no-sandbox",
    ),
    (
        "error while loading shared libraries",
        "a system library is missing; install Chrome with its dependencies: apt-get install chromium-headless-shell",
    ),
    (
        "profile appears to be in use",
        "Chrome says that its profile is in use on another computer",
    ),
    (
        "Failed to create a ProcessSingleton",
        "Chrome says that its profile is in use by another one",
    ),
    (
        "Opening in existing browser session",
        "Chrome says that its profile is in use by another one",
    ),
    (
        "/dev/shm",
        "shared memory is too small or not writable; enlarge /dev/shm or set CHROME_ARGS=--disable-dev-shm-usage",
    ),
    (
        "Creating shared memory",
        "shared memory is too small or not writable; enlarge /dev/shm or set CHROME_ARGS=--disable-dev-shm-usage",
    ),
    ("No space left on device", "the disk is full"),
    (
        "Exec format error",
        "this Chrome was built for another kind of processor",
    ),
];

/// The reading task and what it has kept.
#[derive(Debug)]
pub(in crate::browser) struct Output {
    last_lines: Arc<Mutex<VecDeque<String>>>,
    undriveable: watch::Receiver<bool>,
    _reading: AbortOnDropHandle<()>,
}

impl Output {
    /// Starts reading until every process that holds the other end is gone.
    pub(in crate::browser) fn read(pipe: PipeReader) -> std::io::Result<Self> {
        let pipe = Receiver::from_owned_fd(pipe.into())?;
        let last_lines = Arc::default();
        let (found, undriveable) = watch::channel(false);
        let reading = tokio::spawn(read(pipe, Arc::clone(&last_lines), found));
        Ok(Self {
            last_lines,
            undriveable,
            _reading: AbortOnDropHandle::new(reading),
        })
    }

    /// Resolves when Chrome has printed that it refuses to be driven; else never.
    pub(in crate::browser) async fn says_that_it_cannot_be_driven(&self) {
        let mut undriveable = self.undriveable.clone();
        if undriveable.wait_for(|said| *said).await.is_err() {
            // The output has ended without it.
            std::future::pending::<()>().await;
        }
    }

    /// Resolves when nothing more will come.
    pub(in crate::browser) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut undriveable = self.undriveable.clone();
        async move { while undriveable.changed().await.is_ok() {} }
    }

    pub(in crate::browser) fn last_lines(&self) -> LastLines {
        LastLines(Arc::clone(&self.last_lines))
    }
}

/// The lines that are kept, which can be read after the output has been given up.
pub(in crate::browser) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    pub(in crate::browser) fn read(&self) -> Vec<String> {
        let lines = self.0.lock();
        lines.iter().cloned().collect()
    }
}

/// What the operator can do, when the lines, or the way in which Chrome ended, show a known fault.
pub(in crate::browser) fn advice(exit: Option<Exit>, lines: &[String]) -> Option<Advice> {
    // A limit shows in lines that would be advised on as if they were the cause, such as that of a library.
    limits::advice(exit, lines).or_else(|| {
        ADVICE
            .iter()
            .find(|(sign, _)| lines.iter().any(|line| line.contains(sign)))
            .map(|(_, advice)| Advice::lasting(*advice))
    })
}

async fn read(
    mut pipe: Receiver,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    undriveable: watch::Sender<bool>,
) {
    let mut lines = Lines::default();
    let mut buffer = [0; 4096];
    loop {
        let count = match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        for line in lines.feed(&buffer[..count]) {
            keep(line, &last_lines, &undriveable);
        }
    }
    if let Some(line) = lines.rest() {
        keep(line, &last_lines, &undriveable);
    }
}

fn keep(line: String, last_lines: &Mutex<VecDeque<String>>, undriveable: &watch::Sender<bool>) {
    // What a page writes to its console may hold messages and numbers.
    if line.trim().is_empty() || line.contains(":CONSOLE") {
        return;
    }
    let is_undriveable = UNDRIVEABLE.iter().any(|sign| line.contains(sign));
    tracing::trace!(chrome.line = line, "Chrome printed a line");
    let mut lines = last_lines.lock();
    if lines.len() == LINES {
        lines.pop_front();
    }
    lines.push_back(line);
    drop(lines);
    // Told after the line is kept, so that it is there to be shown.
    if is_undriveable {
        undriveable.send_replace(true);
    }
}

/// Bytes cut into lines of bounded length.
#[derive(Default)]
struct Lines {
    open: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = LINE_LENGTH.saturating_sub(self.open.len());
            self.open.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                complete.extend(self.rest().or_else(|| Some(String::new())));
            }
        }
        complete
    }

    fn rest(&mut self) -> Option<String> {
        let bytes = mem::take(&mut self.open);
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_where_they_end_and_where_they_get_too_long() {
        let mut lines = Lines::default();
        assert!(lines.feed(b"one").is_empty());
        assert_eq!(lines.feed(b" more\r\ntwo\nth"), ["one more", "two"]);
        assert!(lines.feed(&[b'x'; 10_000]).is_empty());
        let long = lines.feed(b"\n");
        assert_eq!(long[0].len(), LINE_LENGTH);
        assert_eq!(lines.rest(), None);
    }

    #[test]
    fn only_the_last_lines_are_kept_and_none_of_the_pages_own() {
        let kept = Mutex::default();
        let (undriveable, _) = watch::channel(false);
        for number in 0..LINES * 3 {
            keep(format!("line {number}"), &kept, &undriveable);
            keep(
                format!("[INFO:CONSOLE] secret {number}"),
                &kept,
                &undriveable,
            );
        }
        let kept = kept.into_inner();
        assert_eq!(kept.len(), LINES);
        assert_eq!(kept.front().unwrap(), &format!("line {}", LINES * 2));
    }

    #[test]
    fn a_chrome_that_says_it_cannot_be_driven_is_heard_and_a_page_that_says_so_is_not() {
        let kept = Mutex::default();
        let (undriveable, heard) = watch::channel(false);
        let page = format!("[1:1:INFO:CONSOLE:1] \"{REMOTE_DEBUGGING_FORBIDDEN}.\"");
        keep(page, &kept, &undriveable);
        assert!(!*heard.borrow());
        // As Chromium 156 printed it.
        let said = "DevTools remote debugging is disallowed by the system admin.";
        keep(said.to_owned(), &kept, &undriveable);
        assert!(*heard.borrow());
        let lines: Vec<String> = kept.into_inner().into();
        let advice = advice(None, &lines).unwrap().to_string();
        assert!(advice.contains("RemoteDebuggingAllowed"), "{advice}");
    }

    #[test]
    fn known_faults_come_with_advice() {
        let told = |line: &str| advice(None, &[line.to_owned()]);
        let library = "chrome: error while loading shared libraries: libnss3.so: cannot open";
        let advised = told(library).unwrap().to_string();
        assert!(advised.contains("apt-get install"), "{advised}");
        assert_eq!(told("Failed to connect to the bus"), None);
    }
}
