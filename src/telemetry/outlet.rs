//! The way of log lines out of the process: a bounded queue, and a thread that writes it out.
//!
//! Invariant: **a thread that logs never waits for the reader of the log.** A pipe that is not read, a terminal that
//! is stopped with Ctrl-S and a slow disk block the writing thread and nothing else. What finds no room in the queue is
//! dropped and counted, and one line says how many were dropped, at their place in the log, once the log takes lines
//! again. A log whose reader has gone or whose disk is full loses lines in the same way; the service goes on.
//!
//! Why not `tracing-appender`: its queue is bounded by lines and not by bytes, it neither counts nor reports what a
//! failed write has lost, and its guard prints to stdout when the writer is stuck, which then blocks the end of the
//! process.

use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};

/// How much may wait to be written: some thousand lines. At `info` a busy service takes longer than ten seconds to fill it,
/// so a reader that pauses loses nothing; and it is small beside what the service takes anyway.
const CAPACITY: usize = 256 * 1024;

/// How many log lines were dropped since the service started. Cheap to clone: all clones are one count.
#[derive(Clone, Debug, Default)]
pub struct DroppedLines(Arc<AtomicU64>);

impl DroppedLines {
    /// How many.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, lines: u64) {
        self.0.fetch_add(lines, Ordering::Relaxed);
    }
}

/// Takes lines and has them written. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Outlet(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Held for as long as it takes to copy a line or to swap two buffers, and never while anything is written.
    queue: Mutex<Queue>,
    /// There is something for the thread to do.
    filled: Condvar,
    /// The thread has written what it had in hand.
    written: Condvar,
    dropped: DroppedLines,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Batch,
    /// How many bytes the thread is writing.
    in_hand: usize,
    is_writing: bool,
    is_closed: bool,
}

impl Queue {
    const fn is_drained(&self) -> bool {
        self.waiting.is_empty() && !self.is_writing
    }
}

/// Lines in one piece, to be written by one call.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
    /// How many lines were dropped after the last of these.
    dropped: u64,
}

impl Batch {
    const fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.dropped == 0
    }
}

impl Outlet {
    /// Starts the thread that writes to `file`. `gap` makes the line that says how many lines were dropped.
    pub(super) fn to(file: File, gap: impl Fn(u64) -> String + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            file,
            gap,
            is_torn: false,
            untold: 0,
        };
        // Never joined: it may be stuck in a write for as long as the process lives. `finish` waits for it as long as
        // is sensible.
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self(shared))
    }

    /// The count of what it drops.
    pub(super) fn dropped(&self) -> DroppedLines {
        self.0.dropped.clone()
    }

    /// Waits until everything is written, or for as long as `patience` lasts: then the rest is lost.
    pub(super) fn finish(&self, patience: Duration) {
        let mut queue = self.0.queue.lock();
        queue.is_closed = true;
        self.0.filled.notify_one();
        let is_waiting = |queue: &mut Queue| !queue.is_drained();
        self.0
            .written
            .wait_while_for(&mut queue, is_waiting, patience);
    }

    fn push(&self, line: &[u8]) {
        let mut queue = self.0.queue.lock();
        if queue.in_hand + queue.waiting.bytes.len() + line.len() <= CAPACITY {
            queue.waiting.bytes.extend_from_slice(line);
            let end = queue.waiting.bytes.len();
            queue.waiting.ends.push(end);
        } else {
            queue.waiting.dropped += 1;
            self.0.dropped.add(1);
        }
        drop(queue);
        self.0.filled.notify_one();
    }
}

/// The formatter hands over each line by one call.
impl Write for Outlet {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    /// Waits for something to write; `None` when nothing comes any more.
    fn take(&self) -> Option<Batch> {
        let mut queue = self.queue.lock();
        self.filled.wait_while(&mut queue, |queue| {
            queue.waiting.is_empty() && !queue.is_closed
        });
        if queue.waiting.is_empty() {
            return None;
        }
        let batch = mem::take(&mut queue.waiting);
        queue.in_hand = batch.bytes.len();
        queue.is_writing = true;
        Some(batch)
    }

    fn on_written(&self) {
        let mut queue = self.queue.lock();
        queue.in_hand = 0;
        queue.is_writing = false;
        drop(queue);
        self.written.notify_all();
    }
}

/// What the thread works with.
struct Writer<G> {
    shared: Arc<Shared>,
    file: File,
    gap: G,
    /// The last write ended within a line, so the next one begins with a line break.
    is_torn: bool,
    /// How many lines were dropped and not reported yet.
    untold: u64,
}

impl<G: Fn(u64) -> String> Writer<G> {
    fn run(&mut self) {
        while let Some(batch) = self.shared.take() {
            self.put(&batch);
            self.shared.on_written();
        }
    }

    fn put(&mut self, batch: &Batch) {
        // Lines that a failed write has lost came before these.
        self.tell_of_gap();
        let written = self.write(&batch.bytes);
        let lost = batch.ends.iter().filter(|end| written < **end).count();
        let lost = u64::try_from(lost).unwrap_or(u64::MAX);
        self.shared.dropped.add(lost);
        self.untold += lost + batch.dropped;
        if lost == 0 {
            self.tell_of_gap();
        }
    }

    /// Says how many lines are missing at this place, as soon as the log takes a line.
    fn tell_of_gap(&mut self) {
        if self.untold == 0 {
            return;
        }
        let line = (self.gap)(self.untold);
        if self.write(line.as_bytes()) == line.len() {
            self.untold = 0;
        }
    }

    /// Writes all of it if it can, and returns how many bytes it has written. The cause of a failure is not reported: there is no
    /// place for it, and the count of dropped lines shows that something is wrong.
    fn write(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        if self.is_torn && self.write_some(b"\n") == 1 {
            self.is_torn = false;
        }
        if self.is_torn {
            return 0;
        }
        let written = self.write_some(bytes);
        self.is_torn = 0 < written && bytes[written - 1] != b'\n';
        written
    }

    fn write_some(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                // A pipe or a terminal that another program (Node, for one) has made non-blocking.
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    let mut ready = [PollFd::new(&self.file, PollFlags::OUT)];
                    if poll(&mut ready, None).is_err_and(|why| why != rustix::io::Errno::INTR) {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, pipe},
        os::fd::OwnedFd,
        time::Instant,
    };

    use rustix::fs::{OFlags, fcntl_setfl};

    use super::*;

    /// Nothing of what is waited for takes longer than milliseconds.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn outlet(file: impl Into<OwnedFd>) -> Outlet {
        let gap = |lines| format!("{lines} dropped\n");
        Outlet::to(File::from(file.into()), gap).unwrap()
    }

    fn say(outlet: &Outlet, line: &str) {
        let mut outlet = outlet.clone();
        outlet.write_all(line.as_bytes()).unwrap();
    }

    fn eventually(what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            thread::yield_now();
        }
    }

    #[test]
    fn every_line_is_written_before_the_end() {
        let (mut reader, writer) = pipe().unwrap();
        let outlet = outlet(writer);
        let lines: Vec<String> = (0..1000).map(|at| format!("line {at}\n")).collect();
        for line in &lines {
            say(&outlet, line);
        }
        outlet.finish(PATIENCE);
        drop(outlet);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, lines.concat());
    }

    #[test]
    fn a_log_that_is_not_read_drops_lines_counts_them_and_says_so_when_it_is_read_again() {
        let (reader, writer) = pipe().unwrap();
        let outlet = outlet(writer);
        // Two megabytes: far more than the pipe and the queue hold.
        let line = format!("{}\n", "x".repeat(999));
        let began = Instant::now();
        for _ in 0..2000 {
            say(&outlet, &line);
        }
        assert!(began.elapsed() < PATIENCE, "logging has waited");
        let dropped = outlet.dropped().count();
        assert!((1000..2000).contains(&dropped), "{dropped}");

        let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
        let (mut whole, mut told) = (0, 0);
        while whole + told < 2000 {
            let line = lines.next().unwrap();
            match line.strip_suffix(" dropped") {
                Some(count) => told += count.parse::<u64>().unwrap(),
                None => whole += u64::from(line.len() == 999),
            }
        }
        assert_eq!((whole, told), (2000 - dropped, dropped));
        say(&outlet, "read again\n");
        assert_eq!(lines.next().unwrap(), "read again");
        assert_eq!(outlet.dropped().count(), dropped);
        outlet.finish(PATIENCE);
    }

    #[test]
    fn a_log_that_is_not_read_does_not_hold_up_the_end() {
        let (_reader, writer) = pipe().unwrap();
        let outlet = outlet(writer);
        say(&outlet, &"x".repeat(CAPACITY));
        let began = Instant::now();
        outlet.finish(Duration::from_millis(20));
        assert!(began.elapsed() < PATIENCE);
    }

    #[test]
    fn a_log_whose_reader_has_gone_counts_each_line() {
        let (reader, writer) = pipe().unwrap();
        let outlet = outlet(writer);
        say(&outlet, "read\n");
        drop(BufReader::new(reader).lines().next());
        for at in 1..=3 {
            say(&outlet, "lost\n");
            eventually("the line is counted", || outlet.dropped().count() == at);
        }
        outlet.finish(PATIENCE);
    }

    #[test]
    fn a_log_on_a_full_disk_counts_each_line() {
        let outlet = outlet(File::options().write(true).open("/dev/full").unwrap());
        say(&outlet, "one\n");
        say(&outlet, "two\n");
        outlet.finish(PATIENCE);
        assert_eq!(outlet.dropped().count(), 2);
    }

    #[test]
    fn a_line_that_a_full_disk_has_cut_is_ended_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = File::create(&path).unwrap();
        let shared = Arc::<Shared>::default();
        let mut writer = Writer {
            shared,
            file,
            gap: |lines| format!("{lines} dropped\n"),
            is_torn: true,
            untold: 2,
        };
        writer.put(&Batch {
            bytes: b"whole\n".to_vec(),
            ends: vec![6],
            dropped: 0,
        });
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "\n2 dropped\nwhole\n"
        );
    }

    #[test]
    fn a_pipe_that_another_program_has_made_non_blocking_loses_no_line() {
        let (reader, writer) = pipe().unwrap();
        fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
        let outlet = outlet(writer);
        let line = format!("{}\n", "x".repeat(999));
        // More than a pipe holds, less than pipe and queue do.
        for _ in 0..200 {
            say(&outlet, &line);
        }
        let reading = thread::spawn(move || BufReader::new(reader).lines().count());
        outlet.finish(PATIENCE);
        drop(outlet);
        assert_eq!(reading.join().unwrap(), 200);
    }
}
