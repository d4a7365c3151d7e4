//! What Chrome prints: read to the end all the time, the last lines kept, the debugging address and known faults found.
//!
//! A full pipe would stop Chrome, so reading never waits for anybody.

use std::{
    collections::VecDeque,
    io::PipeReader,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver, sync::watch};
use tokio_util::task::AbortOnDropHandle;

/// Lines kept: a start failure is told in its last few, a stack trace of Chrome takes about thirty.
const LINES: usize = 40;

/// Bytes kept of one line: the longest that matters, the debugging address, takes a hundred.
const LINE_LENGTH: usize = 400;

/// What Chrome prints once it can be driven.
const ADDRESS: &str = "DevTools listening on ";

/// What some lines mean and what to do about it.
const ADVICE: &[(&str, &str)] = &[
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
pub(super) struct Output {
    last_lines: Arc<Mutex<VecDeque<String>>>,
    address: watch::Receiver<Option<String>>,
    _reading: AbortOnDropHandle<()>,
}

impl Output {
    /// Starts reading until every process that holds the other end is gone.
    pub(super) fn read(pipe: PipeReader) -> std::io::Result<Self> {
        let pipe = Receiver::from_owned_fd(pipe.into())?;
        let last_lines = Arc::default();
        let (found, address) = watch::channel(None);
        let reading = tokio::spawn(read(pipe, Arc::clone(&last_lines), found));
        Ok(Self {
            last_lines,
            address,
            _reading: AbortOnDropHandle::new(reading),
        })
    }

    /// The address at which Chrome can be driven, once printed; `None` when the output ended without.
    pub(super) async fn address(&self) -> Option<String> {
        let mut address = self.address.clone();
        address.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Resolves when nothing more will come.
    pub(super) async fn ended(&self) {
        let mut address = self.address.clone();
        while address.changed().await.is_ok() {}
    }

    pub(super) fn last_lines(&self) -> Vec<String> {
        let lines = self
            .last_lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }
}

/// What the operator can do, when the lines hold a known fault.
pub(super) fn advice(lines: &[String]) -> Option<&'static str> {
    ADVICE
        .iter()
        .find(|(sign, _)| lines.iter().any(|line| line.contains(sign)))
        .map(|(_, advice)| *advice)
}

async fn read(
    mut pipe: Receiver,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    address: watch::Sender<Option<String>>,
) {
    let mut lines = Lines::default();
    let mut buffer = [0; 4096];
    loop {
        let count = match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        for line in lines.feed(&buffer[..count]) {
            keep(line, &last_lines, &address);
        }
    }
    if let Some(line) = lines.rest() {
        keep(line, &last_lines, &address);
    }
}

fn keep(
    line: String,
    last_lines: &Mutex<VecDeque<String>>,
    address: &watch::Sender<Option<String>>,
) {
    if let Some((_, found)) = line.split_once(ADDRESS) {
        address.send_replace(Some(found.trim().to_owned()));
    }
    // What a page writes to its console may hold messages and numbers.
    if line.trim().is_empty() || line.contains(":CONSOLE") {
        return;
    }
    tracing::trace!(chrome.line = line, "Chrome printed a line");
    let mut lines = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.len() == LINES {
        lines.pop_front();
    }
    lines.push_back(line);
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
        let (address, _) = watch::channel(None);
        for number in 0..LINES * 3 {
            keep(format!("line {number}"), &kept, &address);
            keep(format!("[INFO:CONSOLE] secret {number}"), &kept, &address);
        }
        let kept = kept.into_inner().unwrap();
        assert_eq!(kept.len(), LINES);
        assert_eq!(kept.front().unwrap(), &format!("line {}", LINES * 2));
    }

    #[test]
    fn known_faults_come_with_advice() {
        let told = |line: &str| advice(&[line.to_owned()]);
        let library = "chrome: error while loading shared libraries: libnss3.so: cannot open";
        assert!(told(library).unwrap().contains("apt-get install"));
        assert_eq!(told("Failed to connect to the bus"), None);
    }
}
