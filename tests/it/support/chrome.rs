//! Real Chromes for tests: which are installed, some that are not ours, and who is left on a folder.
//!
//! The one place of the tests that starts programs and reads the environment.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use session_manager::browser::{ChromeProgram, find_chrome};
use tempfile::TempDir;

/// Far more than any wait takes, since the machine is shared: only a broken test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// How often a state is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Where the tests look for programs.
pub(crate) fn search_path() -> OsString {
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests have no configuration; this is where theirs comes from"
    )]
    std::env::var_os("PATH").unwrap()
}

/// The small Chrome.
pub(crate) async fn headless_shell() -> ChromeProgram {
    installed("chromium-headless-shell").await
}

/// The Chrome with a user interface.
pub(crate) async fn full_browser() -> ChromeProgram {
    installed("chromium").await
}

/// Both kinds.
pub(crate) async fn both() -> [ChromeProgram; 2] {
    [headless_shell().await, full_browser().await]
}

async fn installed(name: &str) -> ChromeProgram {
    let path = installed_program(name);
    find_chrome(Some(&path), &search_path()).await.unwrap()
}

/// Where a program is; independent of the environment that it is started with.
pub(crate) fn installed_program(name: &str) -> PathBuf {
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: apt-get install {name}"))
}

/// A folder for profiles. Dropping it fails the test when a living process still names it on its command line.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.0.path().join("admin")
    }

    /// Living processes that name this folder.
    pub(crate) fn processes(&self) -> Vec<u32> {
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                // A zombie has no command line any more.
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let name = self.0.path().as_os_str().as_bytes();
                line.windows(name.len()).any(|window| window == name)
            })
            .collect()
    }

    /// For after a close, which promises it.
    pub(crate) fn assert_nobody_is_left(&self) {
        let left = self.processes();
        assert!(left.is_empty(), "still there: {left:?}");
    }

    /// Writes a program that the tests can start in place of Chrome.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;

        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !thread::panicking() && !self.processes().is_empty() && Instant::now() < until {
            thread::sleep(LOOK_INTERVAL);
        }
        let left = self.processes();
        for pid in &left {
            kill_process(pid_of(*pid), Signal::KILL).ok();
        }
        assert!(
            thread::panicking() || left.is_empty(),
            "processes were left on {}: {left:?}",
            self.0.path().display()
        );
    }
}

/// A program that the test started itself. Its group is killed when it is dropped.
pub(crate) struct Started(Child);

impl Started {
    /// A Chrome on this profile that does not come from the service, up and running.
    pub(crate) async fn chrome(program: &ChromeProgram, profile: &Path, more: &[&str]) -> Self {
        let mut folder = OsString::from("--user-data-dir=");
        folder.push(profile);
        let mut arguments: Vec<OsString> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-port=0",
        ]
        .into_iter()
        .chain(more.iter().copied())
        .map(OsString::from)
        .collect();
        arguments.push(folder);
        let started = Self::program(&program.path, &arguments, Path::new("/"));
        eventually("the test's own Chrome is up", || {
            profile.join("DevToolsActivePort").is_file()
        })
        .await;
        started
    }

    pub(crate) fn program(
        program: &Path,
        arguments: &[impl AsRef<OsStr>],
        working_directory: &Path,
    ) -> Self {
        Self::program_with(program, arguments, working_directory, Stdio::null())
    }

    /// The same, with a place for what it says of itself.
    pub(crate) fn program_with(
        program: &Path,
        arguments: &[impl AsRef<OsStr>],
        working_directory: &Path,
        errors: Stdio,
    ) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place of the tests that starts programs"
        )]
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(working_directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// What a service would write into the marker of its Chromes if it were this process.
    pub(crate) fn as_owner(&self) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        format!("{}:{}", self.pid(), fields.split(' ').nth(19).unwrap())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        kill_process_group(pid_of(self.0.id()), Signal::KILL).ok();
        self.0.wait().ok();
    }
}

pub(crate) fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// Waits for a state.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "it never came to pass: {what}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Copies a profile that no Chrome has open, without what a Chrome leaves that was killed.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &to);
        } else if kind.is_file() {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
