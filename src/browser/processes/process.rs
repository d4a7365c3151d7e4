//! Programs started, watched and ended: the only file that starts any, and it knows nothing of CDP.
//!
//! Each Chrome leads a process group of its own and has one *thread* of its own, which starts it, waits for it, clears
//! its group away, gives the profile back and only then reaps it:
//!
//! ```text
//!  start ──▶ Running ──exit of the leader──▶ Exited ──no process of the group left, profile given back──▶ Gone
//! ```
//!
//! - The system ends Chrome when the *thread* that started it ends (`PR_SET_PDEATHSIG`, set by `setpriv`). A worker of
//!   the runtime may end long before the service; this thread lives exactly as long as its Chrome.
//! - Until the thread reaps the leader, the group's number cannot go to another process, so signals cannot go astray.
//! - A group that is stopped for a copy of its profile ([`freezer`](super::freezer)) goes on before it is closed.
//! - The profile's lock is held until no process of the group is left, also when the [`Process`] is merely dropped.
//! - A Chrome that is driven gets the two ends of its debugging pipe as descriptors 3 and 4. All four ends are closed in every
//!   other program that is started, as all pipes of the standard library are.

use std::{
    ffi::{OsStr, OsString},
    future::Future,
    io::{self, PipeReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use crate::browser::{
    Exit,
    processes::{environment, freezer::Freezer, output::Output, pipe::Pipe},
    procfs,
};

/// A close over CDP took 0.03 to 0.6 s; sixteen at once on a small machine take longer. With the two below it must fit
/// into the ten seconds in which the service stops.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Chrome writes its storage out on SIGTERM, in well under a second.
const TERM_TIMEOUT: Duration = Duration::from_millis(1500);

/// After SIGKILL only the kernel's own work remains: 40 ms on an idle machine.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// Helpers notice by themselves that their main process is gone, in some 40 ms; they may be writing until then.
const HELPERS_TIMEOUT: Duration = Duration::from_secs(1);

/// `/proc` reports no change, so it is polled: often enough to be unnoticeable, seldom enough to cost nothing.
pub(in crate::browser) const LOOK_INTERVAL: Duration = Duration::from_millis(15);

/// The last lines may still be in the pipe when the exit is known.
const REST_OF_OUTPUT_TIMEOUT: Duration = Duration::from_millis(500);

/// The thread calls nothing deep; formatting a log line is the most.
const THREAD_STACK: usize = 256 * 1024;

/// Hands the debugging pipe over where Chrome looks for it, and becomes the program that follows: same pid, same group.
///
/// The standard library can hand over the descriptors 0 to 2 only. A closure between fork and exec could do this too, but it
/// would have each start copy the service's page tables, where the system's `posix_spawn` need not.
const PIPE_TO_3_AND_4: [&str; 4] = [
    "/bin/sh",
    "-c",
    "exec \"$@\" 3<&0 4>&1 </dev/null >&2",
    "chrome",
];

/// How far the closing ladder had to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Chrome had ended before it was asked.
    AlreadyGone,
    /// Chrome ended when asked over CDP: everything is written.
    Asked,
    /// Chrome ended on SIGTERM.
    Terminated,
    /// Chrome had to be killed.
    Killed,
    /// Not even SIGKILL ended it in time; the profile stays locked until it is gone.
    StillThere,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Running,
    Exited(Exit),
    Gone(Exit),
}

impl Phase {
    fn exit(self) -> Option<Exit> {
        match self {
            Self::Running => None,
            Self::Exited(exit) | Self::Gone(exit) => Some(exit),
        }
    }
}

/// A started program and its group. Dropping it kills the group.
#[derive(Debug)]
pub(in crate::browser) struct Process {
    group: KillOnDrop,
    phase: watch::Receiver<Phase>,
    output: Output,
}

impl Process {
    /// Starts a program in a group of its own, with no input and its output read.
    async fn start(
        program: &Path,
        arguments: &[OsString],
        death_signal: Option<&Path>,
    ) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut command = command(&[], program, death_signal);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        Self::started(command, reader, ()).await
    }

    /// Starts a Chrome in a group of its own, with its output read and the pipe over which it is driven.
    ///
    /// `held` (the profile's lock) is dropped once no process of the group is left, or at once when the start fails.
    pub(in crate::browser) async fn start_driven(
        program: &Path,
        arguments: &[OsString],
        death_signal: Option<&Path>,
        held: impl Send + 'static,
    ) -> io::Result<(Self, Pipe)> {
        let (reader, writer) = io::pipe()?;
        let (chrome_reads, to_chrome) = io::pipe()?;
        let (from_chrome, chrome_writes) = io::pipe()?;
        let mut command = command(&PIPE_TO_3_AND_4, program, death_signal);
        command
            .args(arguments)
            .stdin(chrome_reads)
            .stdout(chrome_writes)
            .stderr(writer);
        let pipe = Pipe::new(from_chrome, to_chrome)?;
        Ok((Self::started(command, reader, held).await?, pipe))
    }

    async fn started(
        mut command: Command,
        output: PipeReader,
        held: impl Send + 'static,
    ) -> io::Result<Self> {
        command.process_group(0);
        let output = Output::read(output)?;
        let (started, start) = oneshot::channel();
        thread::Builder::new()
            .name("chrome".to_owned())
            .stack_size(THREAD_STACK)
            .spawn(move || run(command, held, started))?;
        let (group, phase) = start.await.map_err(io::Error::other)??;
        Ok(Self {
            group,
            phase,
            output,
        })
    }

    pub(in crate::browser) fn pid(&self) -> u32 {
        self.group.0.number()
    }

    /// What can stop it for a moment.
    pub(in crate::browser) fn freezer(&self) -> Freezer {
        Freezer::of(self.group.0.clone())
    }

    pub(in crate::browser) fn output(&self) -> &Output {
        &self.output
    }

    /// The last lines, all of them when the process has ended.
    pub(in crate::browser) async fn last_lines(&self) -> Vec<String> {
        if self.phase.borrow().exit().is_some() {
            return self.lines_after_exit().await;
        }
        self.output.last_lines().read()
    }

    /// The last lines of a process that has ended.
    pub(in crate::browser) fn lines_after_exit(
        &self,
    ) -> impl Future<Output = Vec<String>> + Send + use<> {
        let (ended, lines) = (self.output.ended(), self.output.last_lines());
        async move {
            // A helper that outlives the exit may hold the pipe open: then what is there must do.
            timeout(REST_OF_OUTPUT_TIMEOUT, ended).await.ok();
            lines.read()
        }
    }

    /// Resolves when the process has ended, though its helpers may still be there.
    pub(in crate::browser) fn exited(&self) -> impl Future<Output = Exit> + Send + use<> {
        let mut phase = self.phase.clone();
        async move {
            match phase.wait_for(|phase| phase.exit().is_some()).await {
                Ok(phase) => phase.exit().unwrap_or(Exit::Unknown),
                Err(_) => Exit::Unknown,
            }
        }
    }

    /// Ends the process: `ask` → wait → SIGTERM to the group → wait → SIGKILL → wait until none of the group is left.
    ///
    /// `None` for `ask` begins at SIGTERM. Takes [`ASK_TIMEOUT`] + [`TERM_TIMEOUT`] + [`KILL_TIMEOUT`] at most.
    pub(in crate::browser) async fn close(self, ask: Option<impl Future<Output = ()>>) -> Closed {
        if self.phase.borrow().exit().is_some() {
            return self.gone_or(Closed::AlreadyGone).await;
        }
        // One that is stopped hears nothing: the copy that it is stopped for is given up.
        self.group.0.thaw(None);
        if let Some(ask) = ask {
            let asked_and_exited = async {
                ask.await;
                self.exited().await
            };
            if timeout(ASK_TIMEOUT, asked_and_exited).await.is_ok() {
                return self.gone_or(Closed::Asked).await;
            }
            tracing::warn!(chrome.pid = self.pid(), "Chrome did not close when asked");
        }
        self.group.0.signal(Signal::TERM);
        if timeout(TERM_TIMEOUT, self.exited()).await.is_ok() {
            return self.gone_or(Closed::Terminated).await;
        }
        self.group.0.signal(Signal::KILL);
        self.gone_or(Closed::Killed).await
    }

    /// Waits until no process of the group is left.
    async fn gone_or(&self, closed: Closed) -> Closed {
        let mut phase = self.phase.clone();
        let gone = phase.wait_for(|phase| matches!(phase, Phase::Gone(_)));
        match timeout(KILL_TIMEOUT, gone).await {
            // The channel's other end is the thread, which ends only after it has sent `Gone`.
            Ok(_) => closed,
            Err(_) => Closed::StillThere,
        }
    }
}

/// A group of processes that can be signalled as long as its leader has not been reaped.
#[derive(Clone, Debug)]
pub(super) struct Group {
    leader: Pid,
    reaped: Arc<Mutex<bool>>,
    freezes: Arc<watch::Sender<Freezes>>,
}

/// For what a group has been stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Freezes {
    /// How often.
    pub(super) count: u64,
    /// It is stopped now, for the last of them.
    pub(super) is_frozen: bool,
}

impl Group {
    pub(super) fn number(&self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    fn signal(&self, signal: Signal) {
        let reaped = self.reaped.lock();
        if *reaped {
            return;
        }
        if let Err(error) = kill_process_group(self.leader, signal) {
            tracing::debug!(chrome.pid = self.number(), %error, "no signal reached Chrome");
        }
    }

    pub(super) fn freezes(&self) -> watch::Receiver<Freezes> {
        self.freezes.subscribe()
    }

    /// Stops it, unless it is stopped already. Answers the number of this stop.
    pub(super) fn freeze(&self) -> io::Result<u64> {
        let reaped = self.reaped.lock();
        let before = *self.freezes.borrow();
        if *reaped || before.is_frozen {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        kill_process_group(self.leader, Signal::STOP)?;
        let now = Freezes {
            count: before.count + 1,
            is_frozen: true,
        };
        self.freezes.send_replace(now);
        Ok(now.count)
    }

    /// Lets it go on, if it is stopped and, where a number is given, if that is the number of the stop. Answers whether it was.
    pub(super) fn thaw(&self, number: Option<u64>) -> bool {
        let reaped = self.reaped.lock();
        let before = *self.freezes.borrow();
        let is_it = number.is_none_or(|number| number == before.count);
        if !before.is_frozen || !is_it {
            return false;
        }
        if !*reaped && let Err(error) = kill_process_group(self.leader, Signal::CONT) {
            tracing::debug!(chrome.pid = self.number(), %error, "no signal reached Chrome");
        }
        self.freezes
            .send_modify(|freezes| freezes.is_frozen = false);
        true
    }
}

/// The net below [`Process::close`]: the thread does the rest.
#[derive(Debug)]
struct KillOnDrop(Group);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.signal(Signal::KILL);
    }
}

type Started = io::Result<(KillOnDrop, watch::Receiver<Phase>)>;

/// The life of one process, in its own thread.
fn run(mut command: Command, held: impl Send, started: oneshot::Sender<Started>) {
    let spawned = command.spawn();
    // It holds the other end of the output, which would never end.
    drop(command);
    let child = match spawned {
        Ok(child) => child,
        Err(error) => {
            drop(held);
            // The caller may have given up. Nothing was started, so the error may be dropped.
            started.send(Err(error)).ok();
            return;
        }
    };
    let group = Group {
        leader: Pid::from_child(&child),
        reaped: Arc::default(),
        freezes: Arc::new(watch::Sender::new(Freezes::default())),
    };
    let (phase, watching) = watch::channel(Phase::Running);
    // When the caller does not wait any more, the guard comes back, is dropped and kills the process.
    drop(started.send(Ok((KillOnDrop(group.clone()), watching))));

    let exit = wait_for_exit(group.leader);
    phase.send_replace(Phase::Exited(exit));
    clear_away(&group);
    drop(held);
    phase.send_replace(Phase::Gone(exit));
    reap(child, &group);
}

/// Waits without reaping, so that the number stays taken.
fn wait_for_exit(leader: Pid) -> Exit {
    let status = loop {
        match waitid(
            WaitId::Pid(leader),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        ) {
            Err(Errno::INTR) => {}
            Ok(status) => break status,
            Err(_) => break None,
        }
    };
    let Some(status) = status else {
        return Exit::Unknown;
    };
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Exit::Status(status),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

/// Lets the helpers of an ended leader go by themselves, then ends them.
fn clear_away(group: &Group) {
    let patience = Instant::now() + HELPERS_TIMEOUT;
    while procfs::group_is_alive(group.number()) {
        if patience < Instant::now() {
            group.signal(Signal::KILL);
        }
        thread::sleep(LOOK_INTERVAL);
    }
}

fn reap(mut child: Child, group: &Group) {
    let mut reaped = group.reaped.lock();
    *reaped = true;
    if let Err(error) = child.wait() {
        tracing::debug!(chrome.pid = group.number(), %error, "Chrome had already been reaped");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts programs"
)]
fn command(first: &[&str], program: &Path, death_signal: Option<&Path>) -> Command {
    let mut words: Vec<&OsStr> = first.iter().map(OsStr::new).collect();
    if let Some(setpriv) = death_signal {
        // It replaces itself with the program: same pid, same group.
        words.push(setpriv.as_os_str());
        words.extend(["--pdeathsig", "KILL", "--"].map(OsStr::new));
    }
    words.push(program.as_os_str());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command.env_clear().envs(environment::for_chrome());
    command
}

/// Runs a program to its end and returns what it printed last; it is killed when the deadline passes.
pub(in crate::browser) async fn run_to_end(
    program: &Path,
    arguments: &[OsString],
    death_signal: Option<&Path>,
    deadline: Duration,
) -> io::Result<(Exit, Vec<String>)> {
    let process = Process::start(program, arguments, death_signal).await?;
    let exit = timeout(deadline, process.exited())
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it did not end in time"))?;
    Ok((exit, process.last_lines().await))
}
