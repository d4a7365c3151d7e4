//! [`Browser`]: the parts tied together in order, on the way up and on the way down.
//!
//! ```text
//!  open:  claim profile ──▶ start process ──▶ first answer over its pipe ──▶ connect, prepare page
//!           │ refused          │ exit, silence, cancelled, CDP fault: the ladder, awaited
//!  close: ask over CDP ──▶ SIGTERM ──▶ SIGKILL ──▶ none of the group left ──▶ profile given back
//! ```

use std::{fmt, future::Future, path::PathBuf, time::Duration};

use chromiumoxide::Page;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::browser::{
    Advice, BrowserError, ChromeProgram, ChromeVersion, Closed, Exit,
    chrome::{connection::Connection, flags, user_agent},
    measure::limits,
    processes::{freezer::Freezer, output::advice, pipe::Pipe, process::Process},
    procfs::ProcessId,
    profile::{self, Profile},
};

/// When Chrome dies the connection breaks first; its exit, which tells more, is known a moment later.
const EXIT_AFTER_END_TIMEOUT: Duration = Duration::from_millis(500);

/// What to open.
#[derive(Clone, Debug)]
pub struct LaunchOptions {
    /// The Chrome to start.
    pub program: ChromeProgram,
    /// Its profile folder, made when there is none.
    pub profile: PathBuf,
    /// Arguments of the operator, added to the service's; see [`check_extra_arguments`](crate::browser::check_extra_arguments).
    pub extra_args: Vec<String>,
    /// How long it may take from the start of the process until it can be driven.
    pub timeout: Duration,
}

/// A running Chrome with one page. Dropping it kills Chrome; [`Browser::close`] is the way that loses nothing.
#[derive(Debug)]
pub struct Browser {
    // The connection goes first, so that nothing talks to a Chrome that is being killed.
    connection: Connection,
    process: Process,
    version: ChromeVersion,
}

/// Why a browser can no longer be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrowserLost {
    /// Chrome is gone.
    Exited(Exit),
    /// Chrome gave up, and a limit of the machine explains it.
    Refused(Exit, Advice),
    /// Chrome may live, but can no longer be driven.
    Disconnected(String),
}

impl fmt::Display for BrowserLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(exit) => write!(f, "Chrome {exit}"),
            Self::Refused(exit, advice) => write!(f, "Chrome {exit}; {advice}"),
            Self::Disconnected(why) => write!(f, "Chrome can no longer be driven: {why}"),
        }
    }
}

impl Browser {
    /// Starts Chrome on the profile and returns it with one blank page.
    ///
    /// When it fails or is cancelled, what had been started is ended before this returns. A dropped future kills it
    /// without waiting.
    pub async fn open(
        options: LaunchOptions,
        cancel: &CancellationToken,
    ) -> Result<Self, BrowserError> {
        flags::check_extra_arguments(&options.extra_args)?;
        let profile = profile::claim(&options.profile, cancel).await?;
        note_version(&options, &profile).await;
        // Takes milliseconds, and cut short it would leave nothing to await the end of.
        let (process, pipe) = start(&options, profile).await?;
        let connected = cancel
            .run_until_cancelled(connect_in_time(&process, pipe, &options))
            .await
            .unwrap_or(Err(BrowserError::Cancelled));
        match connected {
            Ok(connection) => {
                tracing::debug!(chrome.pid = process.pid(), "opened Chrome");
                Ok(Self {
                    connection,
                    process,
                    version: options.program.version,
                })
            }
            Err(error) => {
                process.close(None::<std::future::Ready<()>>).await;
                Err(error)
            }
        }
    }

    /// The page, blank until it is navigated.
    pub fn page(&self) -> &Page {
        self.connection.page()
    }

    /// Whether Chrome's main process answers a small question. Waits for the answer.
    pub async fn answers(&self) -> bool {
        self.connection.answers().await
    }

    /// Chrome's main process, which leads a process group of its own.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What can stop it for a moment, for a copy of its profile.
    pub fn freezer(&self) -> Freezer {
        self.process.freezer()
    }

    /// Chrome's version.
    pub fn version(&self) -> &ChromeVersion {
        &self.version
    }

    /// Resolves when Chrome ends or can no longer be driven, at once when that has happened already.
    ///
    /// May be asked for any number of times, and dropped at any time.
    pub fn lost(&self) -> impl Future<Output = BrowserLost> + Send + use<> {
        let exited = self.process.exited();
        let lines = self.process.lines_after_exit();
        let ended = self.connection.ended();
        async move {
            tokio::pin!(exited);
            let exit = tokio::select! {
                biased;
                exit = &mut exited => exit,
                why = ended => match timeout(EXIT_AFTER_END_TIMEOUT, exited).await {
                    Ok(exit) => exit,
                    Err(_) => return BrowserLost::Disconnected(why),
                },
            };
            // The lines say nothing about any other end, so it is reported without waiting for them.
            if !limits::ended_itself(exit) {
                return BrowserLost::Exited(exit);
            }
            match limits::advice_on_end(exit, &lines.await) {
                Some(advice) => BrowserLost::Refused(exit, advice),
                None => BrowserLost::Exited(exit),
            }
        }
    }

    /// Closes Chrome in order and gives the profile back: asks over CDP, then SIGTERM, then SIGKILL.
    ///
    /// Takes some 0.1 s, and 8.5 s at most. When it returns no process of this Chrome is left, but for
    /// [`Closed::StillThere`].
    pub async fn close(self) -> Closed {
        let Self {
            connection,
            process,
            version: _,
        } = self;
        let ask = (!connection.has_ended()).then(|| connection.ask_to_close());
        let closed = process.close(ask).await;
        tracing::debug!(?closed, "closed Chrome");
        closed
    }
}

/// A folder that cannot be written is for Chrome to complain about.
async fn note_version(options: &LaunchOptions, profile: &Profile) {
    if let Err(error) = profile::last_used::note(&profile.folder, &options.program.version).await {
        tracing::debug!(%error, "the version of Chrome could not be noted in the profile");
    }
}

async fn start(options: &LaunchOptions, profile: Profile) -> Result<(Process, Pipe), BrowserError> {
    let program = &options.program;
    let owner = ProcessId::of_this_service().ok_or_else(|| BrowserError::NotStarted {
        path: program.path.clone(),
        source: std::io::Error::other("/proc is not there"),
        advice: None,
    })?;
    let mut arguments = flags::command_line(
        &profile.folder,
        owner,
        &user_agent::of(&program.version),
        rustix::process::geteuid().is_root(),
        &options.extra_args,
    )?;
    arguments.push("about:blank".into());
    Process::start_driven(
        &program.path,
        &arguments,
        program.setpriv.as_deref(),
        profile,
    )
    .await
    .map_err(|source| BrowserError::NotStarted {
        path: program.path.clone(),
        advice: limits::advice_on_refusal(&source),
        source,
    })
}

async fn connect_in_time(
    process: &Process,
    pipe: Pipe,
    options: &LaunchOptions,
) -> Result<Connection, BrowserError> {
    // On the heap: it would make every future around it large.
    let connecting = Box::pin(connect(process, pipe, &options.program.version));
    match timeout(options.timeout, connecting).await {
        Ok(connected) => connected,
        Err(_elapsed) => {
            let output = process.last_lines().await;
            Err(BrowserError::NotReady {
                after: options.timeout,
                advice: advice(None, &output),
                output,
            })
        }
    }
}

async fn connect(
    process: &Process,
    pipe: Pipe,
    version: &ChromeVersion,
) -> Result<Connection, BrowserError> {
    let failed = tokio::select! {
        biased;
        exit = process.exited() => return Err(exited_early(process, exit).await),
        () = process.output().says_that_it_cannot_be_driven() => {
            let output = process.last_lines().await;
            return Err(BrowserError::Undriveable { advice: advice(None, &output), output });
        }
        connected = Connection::open(pipe, version) => match connected {
            Ok(connection) => return Ok(connection),
            Err(failed) => failed,
        },
    };
    // A Chrome that ends closes its pipe first; its exit, which tells more, is known a moment later.
    match timeout(EXIT_AFTER_END_TIMEOUT, process.exited()).await {
        Ok(exit) => Err(exited_early(process, exit).await),
        Err(_) => Err(BrowserError::Protocol {
            step: failed.step,
            why: failed.why,
            advice: advice(None, &process.last_lines().await),
        }),
    }
}

async fn exited_early(process: &Process, exit: Exit) -> BrowserError {
    let output = process.last_lines().await;
    BrowserError::ExitedEarly {
        exit,
        advice: advice(Some(exit), &output),
        output,
    }
}
