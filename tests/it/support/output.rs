//! What a service under test prints: always read, kept within bounds, shown when its test fails.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::oneshot;

/// A test at debug prints some thousands of lines; more than this is a fault that the last lines show as well, and the log cannot be
/// searched for what it must not hold.
const KEPT_LINES: usize = 200_000;

/// What a process that has ended printed is read in milliseconds.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The lines so far, of both streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    lines: Arc<Mutex<VecDeque<String>>>,
    is_cut: Arc<AtomicBool>,
    /// Each is disconnected when its stream has been read to its end.
    readers: Arc<Mutex<Vec<mpsc::Receiver<()>>>>,
}

/// Where a service listens, from its own log.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) api: String,
    pub(super) sandbox: Option<String>,
}

impl Output {
    /// Reads `stream` to its end on a thread of its own. The first line that says where the service listens is handed
    /// over; when the stream ends without one, the receiver learns that too.
    pub(super) fn follow(
        &self,
        stream: impl Read + Send + 'static,
    ) -> oneshot::Receiver<Listening> {
        let (tell, listening) = oneshot::channel();
        let (reading, reader) = mpsc::channel();
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(reader);
        let output = self.clone();
        thread::spawn(move || {
            let _reading = reading;
            let mut tell = Some(tell);
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let (Some(found), true) = (listening_line(&line), tell.is_some()) {
                    // The test may have given up waiting.
                    let _gone = tell.take().map(|tell| tell.send(found));
                }
                output.push(line);
            }
        });
        listening
    }

    /// Reads `stream` until it says where the service listens, and no further. Gives the stream back.
    pub(super) fn read_to_listening<R: Read + Send + 'static>(
        &self,
        stream: R,
    ) -> oneshot::Receiver<(Listening, BufReader<R>)> {
        let (tell, listening) = oneshot::channel();
        let output = self.clone();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
                let found = listening_line(&line);
                output.push(line.trim_end().to_owned());
                if let Some(found) = found {
                    // The test may have given up waiting.
                    let _gone = tell.send((found, stream));
                    return;
                }
                line.clear();
            }
        });
        listening
    }

    fn push(&self, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
            self.is_cut.store(true, Ordering::Relaxed);
        }
        lines.push_back(line);
    }

    /// Waits until all that a process which has ended printed is read.
    pub(crate) fn await_end(&self) {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        for reader in &*readers {
            // It never says anything; it only ends.
            let _ended = reader.recv_timeout(END_TIMEOUT);
        }
    }

    /// Whether more was printed than is kept.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Everything kept, one line each.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().flat_map(|line| [line, "\n"]).collect()
    }
}

fn listening_line(line: &str) -> Option<Listening> {
    let fields = serde_json::from_str::<Value>(line).ok()?["fields"].take();
    if fields["message"] != "listening" {
        return None;
    }
    let text = |name: &str| fields[name].as_str().map(str::to_owned);
    Some(Listening {
        api: text("api")?,
        sandbox: text("sandbox"),
    })
}
