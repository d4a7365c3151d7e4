//! The real binary, started and stopped as an operator would.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::BufReader,
    net::TcpListener,
    ops::Deref,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::timeout;

use super::{
    Api, Home,
    chrome::{eventually, installed_program},
    disk::Disk,
    output::{Listening, Output},
    secrets::Secrets,
};

/// Binding two ports takes milliseconds; a machine that builds at the same time may stall a start for seconds.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The service.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_session-manager");

/// The service promises to stop within 10 s.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(12);

/// The variables of the service under test.
pub(crate) type Environment = BTreeMap<&'static str, OsString>;

/// A running service with its sandbox.
pub(crate) struct Service {
    process: Process,
    home: Home,
    api: Api,
    disk: Option<Disk>,
}

/// What a service prints, and no test reads yet.
pub(crate) struct Unread {
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
}

impl Deref for Service {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// Ends its process group when dropped, prints what it said when the test is failing, and fails the test when it said what
/// it must not.
pub(super) struct Process {
    pub(super) child: Child,
    /// Keeps the thread that started it.
    _starter: mpsc::SyncSender<()>,
    pub(super) output: Output,
    secrets: Secrets,
    /// Where its data is.
    data: PathBuf,
}

impl Service {
    /// Starts a service on a fresh folder; `with` may change its variables.
    pub(crate) async fn start(with: impl FnOnce(&mut Environment)) -> Self {
        Self::start_build(Path::new(PROGRAM), with).await
    }

    /// Starts a service on a fresh folder with these variables besides the usual ones.
    pub(crate) async fn with(settings: &[(&'static str, &str)]) -> Self {
        Self::start(|env| env.extend(settings.iter().map(|(name, value)| (*name, value.into()))))
            .await
    }

    /// The same with session 51 linked; gives its account.
    pub(crate) async fn linked(settings: &[(&'static str, &str)]) -> (Self, String) {
        let service = Self::with(settings).await;
        let account = service.link("51").await;
        (service, account)
    }

    /// Starts a service on the folder of an earlier one.
    pub(crate) async fn start_in(home: Home, with: impl FnOnce(&mut Environment)) -> Self {
        Self::started(Path::new(PROGRAM), home, None, with).await
    }

    /// Starts another build of the service on a fresh folder.
    pub(crate) async fn start_build(program: &Path, with: impl FnOnce(&mut Environment)) -> Self {
        Self::started(program, Home::new(), None, with).await
    }

    /// Starts a service on a fresh folder, with its ledger on a disk of its own.
    pub(crate) async fn start_on(disk: Disk, with: impl FnOnce(&mut Environment)) -> Self {
        Self::start_in_on(Home::new(), disk, with).await
    }

    /// The same on a folder that is there.
    pub(crate) async fn start_in_on(
        home: Home,
        disk: Disk,
        with: impl FnOnce(&mut Environment),
    ) -> Self {
        Self::started(Path::new(PROGRAM), home, Some(disk), with).await
    }

    async fn started(
        service: &Path,
        home: Home,
        mut disk: Option<Disk>,
        with: impl FnOnce(&mut Environment),
    ) -> Self {
        let mut environment = environment(&home);
        with(&mut environment);
        let ledger = home.ledger();
        let words = match &mut disk {
            Some(disk) => disk.wrap(&ledger, &program(service)),
            None => program(service),
        };
        let mut process = Process::spawn(&home, &words, &environment, Stdio::piped);
        if let Some(disk) = &mut disk {
            disk.belongs_to(process.child.id());
        }
        let stdout = process.child.stdout.take().unwrap();
        let stderr = process.child.stderr.take().unwrap();
        // Only stdout is the log.
        drop(process.output.follow(stderr));
        let listening = timeout(START_TIMEOUT, process.output.follow(stdout))
            .await
            .expect("the service says in time where it listens")
            .expect("the service listens instead of ending");
        Self::at(listening, home, process, disk, &environment)
    }

    fn at(
        listening: Listening,
        mut home: Home,
        process: Process,
        disk: Option<Disk>,
        environment: &Environment,
    ) -> Self {
        // A test with a page of its own has none; it may be the sandbox of another process.
        let elsewhere = || {
            let url = environment.get("WHATSAPP_URL")?.to_str()?;
            Some(url.trim_end_matches('/').to_owned())
        };
        let sandbox = listening.sandbox.or_else(elsewhere).unwrap_or_default();
        let port = sandbox.rsplit(':').next();
        home.sandbox_port = port.and_then(|port| port.parse().ok());
        let api = Api::with(listening.api, sandbox, home.secrets.clone());
        Self {
            process,
            home,
            api,
            disk,
        }
    }

    /// Starts a service whose stdout and stderr are pipes that are not read from the moment when it listens.
    pub(crate) async fn start_unread() -> (Self, Unread) {
        let home = Home::new();
        let environment = environment(&home);
        let mut process = Process::spawn(
            &home,
            &program(Path::new(PROGRAM)),
            &environment,
            Stdio::piped,
        );
        let stdout = process.child.stdout.take().unwrap();
        let stderr = process.child.stderr.take().unwrap();
        let (listening, stdout) = timeout(START_TIMEOUT, process.output.read_to_listening(stdout))
            .await
            .expect("the service says in time where it listens")
            .expect("the service listens instead of ending");
        let service = Self::at(listening, home, process, None, &environment);
        (service, Unread { stdout, stderr })
    }

    /// Reads on where it was stopped.
    pub(crate) fn read_on(&self, unread: Unread) {
        drop(self.process.output.follow(unread.stdout));
        drop(self.process.output.follow(unread.stderr));
    }

    /// Starts a service whose stdout and stderr are this file.
    pub(crate) async fn start_with_output_to(path: &str) -> Self {
        let home = Home::new();
        let mut environment = environment(&home);
        // What it says of its ports cannot be read: two that were free a moment ago.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.map(|free| free.local_addr().unwrap().port());
        environment.insert("PORT", ports[0].to_string().into());
        environment.insert("SANDBOX_PORT", ports[1].to_string().into());
        let output = || File::options().write(true).open(path).unwrap().into();
        let process = Process::spawn(&home, &program(Path::new(PROGRAM)), &environment, output);
        let [api, sandbox] = ports.map(|port| format!("http://127.0.0.1:{port}"));
        let sandbox = Some(sandbox);
        let listening = Listening { api, sandbox };
        let service = Self::at(listening, home, process, None, &environment);
        service.answers().await;
        service
    }

    /// Starts a service on a fresh folder as `nohup` does.
    pub(crate) async fn start_under_nohup() -> Self {
        let home = Home::new();
        let environment = environment(&home);
        let nohup = installed_program("nohup").into_os_string();
        let words = [vec![nohup], program(Path::new(PROGRAM))].concat();
        let mut process = Process::spawn(&home, &words, &environment, Stdio::piped);
        drop(process.output.follow(process.child.stderr.take().unwrap()));
        let stdout = process.child.stdout.take().unwrap();
        let listening = timeout(START_TIMEOUT, process.output.follow(stdout))
            .await
            .expect("the service says in time where it listens")
            .expect("the service listens instead of ending");
        Self::at(listening, home, process, None, &environment)
    }

    /// Starts a service that is expected to refuse to run; returns its exit code and what it said.
    pub(crate) async fn fails(with: impl FnOnce(&mut Environment)) -> (i32, String) {
        Self::fails_in(&Home::new(), with).await
    }

    /// The same in a folder that a test has prepared.
    pub(crate) async fn fails_in(
        home: &Home,
        with: impl FnOnce(&mut Environment),
    ) -> (i32, String) {
        let mut environment = environment(home);
        with(&mut environment);
        let mut process = Process::spawn(
            home,
            &program(Path::new(PROGRAM)),
            &environment,
            Stdio::piped,
        );
        let streams = [
            process.output.follow(process.child.stdout.take().unwrap()),
            process.output.follow(process.child.stderr.take().unwrap()),
        ];
        // Each resolves when its stream ends.
        for ended in streams {
            let listening = timeout(START_TIMEOUT, ended).await;
            assert!(
                listening.expect("the service ends").is_err(),
                "the service listens"
            );
        }
        let status = process
            .exited_within(STOP_TIMEOUT)
            .expect("the service ends");
        (status.code().unwrap(), process.output.text())
    }

    /// Starts a service that cannot come to listen, sends it a signal as soon as it catches that, and gives what it ended with.
    pub(crate) async fn stopped_before_it_listens(home: &Home, signal: Signal) -> ExitStatus {
        let mut process = Process::spawn(
            home,
            &program(Path::new(PROGRAM)),
            &environment(home),
            Stdio::piped,
        );
        drop(process.output.follow(process.child.stdout.take().unwrap()));
        drop(process.output.follow(process.child.stderr.take().unwrap()));
        let pid = process.child.id();
        let is_caught = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
            caught >> (signal.as_raw() - 1) & 1 == 1
        };
        eventually("the signal is caught", is_caught).await;
        process.signal(signal);
        process
            .exited_within(STOP_TIMEOUT)
            .expect("the service ends in time")
    }

    /// Its folder.
    pub(crate) const fn home(&self) -> &Home {
        &self.home
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// The disk that its ledger is on, where it has one of its own.
    pub(crate) const fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Waits until it has logged `text`.
    pub(crate) async fn logs(&self, text: &str) {
        eventually(text, || self.log().contains(text)).await;
    }

    /// Everything that it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.output.text()
    }

    /// What it says, also after it has ended.
    pub(crate) fn output(&self) -> Output {
        self.process.output.clone()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until it has ended with success after a signal. What is left is for the test to look at.
    pub(crate) fn ends_within(mut self, patience: Duration) -> Home {
        let status = self
            .process
            .exited_within(patience)
            .expect("the service ends in time");
        assert!(status.success(), "the service ended with {status}");
        self.home
    }

    /// Asks it to stop, as PM2 and systemd do, and asserts that it does: in time, with success, with no Chrome left.
    pub(crate) fn stop(self) -> Home {
        let home = self.ended();
        home.assert_nobody_is_left();
        home
    }

    /// The same, and what is left is for the caller to look at.
    pub(crate) fn ended(mut self) -> Home {
        self.process.signal(Signal::TERM);
        let status = self
            .process
            .exited_within(STOP_TIMEOUT)
            .expect("the service stops in time");
        assert!(status.success(), "the service stopped with {status}");
        self.home
    }

    /// Ends it as a crash would: it alone, at once. What is left is for the test to look at.
    pub(crate) fn kill(self) -> Home {
        self.kill_and_read().0
    }

    /// The same, and what it had logged.
    pub(crate) fn kill_and_read(mut self) -> (Home, String) {
        self.process.signal(Signal::KILL);
        self.process
            .exited_within(STOP_TIMEOUT)
            .expect("a killed process ends");
        (self.home, self.process.output.text())
    }
}

/// What a service under test runs with. Nothing else of the tester's environment reaches it.
fn environment(home: &Home) -> Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test finds the machine's Chrome as its user does"
    )]
    let inherited = ["PATH", "HOME", "CHROME_PATH", "WA_JS_PATH"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    let own = [
        ("PORT", "0".into()),
        ("SANDBOX", "1".into()),
        (
            "SANDBOX_PORT",
            home.sandbox_port.unwrap_or(0).to_string().into(),
        ),
        ("SANDBOX_ACK_SECONDS", "0.1".into()),
        ("TOKENS_DIR", home.tokens().into()),
        ("DATA_DIR", home.data().into()),
        // Tests that are about the pace set one.
        ("SEND_RATE_PER_MINUTE", "0".into()),
        ("LOG_FORMAT", "json".into()),
        // So that a failed test tells all, and so that every test is a test of what the log must not hold.
        ("RUST_LOG", "debug".into()),
    ];
    inherited.chain(own).collect()
}

/// The service, so that the system ends it when the process that started it has ended: a test that is killed leaves nothing, although
/// its service has a group of its own. Set last, since what comes before may be another user's.
pub(super) fn program(service: &Path) -> Vec<OsString> {
    let setpriv = installed_program("setpriv").into_os_string();
    let words = ["--pdeathsig", "KILL", "--"].map(OsString::from);
    [setpriv]
        .into_iter()
        .chain(words)
        .chain([service.into()])
        .collect()
}

/// Starts it from a thread that waits until the sender is dropped: what counts for the system is the end of the *thread* that
/// started a process, and a runtime's threads come and go.
fn start(mut command: Command) -> (Child, mpsc::SyncSender<()>) {
    let (started, start) = mpsc::sync_channel(1);
    let (lifetime, ended) = mpsc::sync_channel(0);
    thread::spawn(move || {
        started.send(command.spawn()).unwrap();
        // Nothing is ever sent.
        let _ended = ended.recv();
    });
    (start.recv().unwrap().unwrap(), lifetime)
}

impl Process {
    pub(super) fn spawn(
        home: &Home,
        words: &[OsString],
        environment: &Environment,
        output: impl Fn() -> Stdio,
    ) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test starts the program that it tests"
        )]
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .envs(environment)
            // No `.env` of the tester's is found from here.
            .current_dir(home.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        let (child, lifetime) = start(command);
        home.secrets.remember_settings(environment);
        Self {
            child,
            _starter: lifetime,
            output: Output::default(),
            secrets: home.secrets.clone(),
            data: home.data(),
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        // A process that has ended by now needs no signal.
        let _ended = kill_process(Pid::from_child(&self.child), signal);
    }

    pub(super) fn exited_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return Some(status),
                None if Instant::now() > deadline => return None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first, so that a failing test does not leave Chromes to the next one.
        self.signal(Signal::TERM);
        if self.exited_within(STOP_TIMEOUT).is_none() {
            let _ended = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            self.exited_within(STOP_TIMEOUT);
        }
        if std::thread::panicking() {
            println!("--- the service said:\n{}--- end", self.output.text());
            return;
        }
        self.output.await_end();
        assert!(!self.output.is_cut(), "the log is too long to be searched");
        self.secrets.remember_ledger(&self.data);
        let found = self.secrets.found_in(&self.output.text());
        assert!(found.is_empty(), "the log holds {found:#?}");
    }
}
