//! The commands of the binary, as a person runs them: through pipes, or on a terminal of their own.

use std::{
    fs::File,
    io::{Read, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use session_manager::qr::{Blocks, Ink};

use super::{
    Home,
    chrome::{PATIENCE, eventually, search_path},
};

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command on the files of a service, with a passphrase on its standard input.
pub(crate) fn transfer(home: &Home, arguments: &[&str], passphrase: &str) -> Printed {
    let (tokens, data) = (home.tokens(), home.data());
    let settings = [
        ("TOKENS_DIR", tokens.to_str().unwrap()),
        ("DATA_DIR", data.to_str().unwrap()),
        ("SANDBOX", "1"),
    ];
    let arguments = [arguments, &["--passphrase-file", "-"]].concat();
    run(command(&arguments, &settings, home.path()), passphrase)
}

/// A command that is running.
pub(crate) struct Running {
    child: Child,
    out: Shown,
    err: Shown,
    /// What a person can still type.
    input: Option<ChildStdin>,
}

/// What has been shown so far.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    fn follow(mut stream: impl Read + Send + 'static) -> Self {
        let shown = Self::default();
        let reading = shown.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose other end is closed reads as an error.
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                reading.lock().extend_from_slice(&buffer[..count]);
            }
        });
        shown
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock()).into_owned()
    }
}

/// A command with nothing of the tester's environment but where programs are.
pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)], folder: &Path) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test starts the program that it tests"
    )]
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-manager"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", search_path())
        .envs(variables.iter().copied())
        // No `.env` of the tester's is found from here.
        .current_dir(folder);
    command
}

/// Runs a command to its end, with `input` on its standard input.
pub(crate) fn run(mut command: Command, input: &str) -> Printed {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may have ended by now.
    let _ended = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Printed {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Running {
    /// Starts a command whose output goes through pipes.
    pub(crate) fn piped(command: Command) -> Self {
        Self::start(command, Stdio::null())
    }

    /// Starts a command whose questions a person answers.
    pub(crate) fn asking(command: Command) -> Self {
        Self::start(command, Stdio::piped())
    }

    fn start(mut command: Command, input: Stdio) -> Self {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            out: Shown::follow(child.stdout.take().unwrap()),
            err: Shown::follow(child.stderr.take().unwrap()),
            input: child.stdin.take(),
            child,
        }
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// Waits until standard error has it.
    pub(crate) async fn remarks(&self, what: &str) {
        eventually(what, || self.err().contains(what)).await;
    }

    /// Starts a command on a terminal of its own, of this size.
    pub(crate) fn on_a_terminal(mut command: Command, columns: u16, lines: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let mut child = command
            .stdin(slave.try_clone().unwrap())
            .stdout(slave)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Ours is the master only: it ends when the command's own ends are closed.
        drop(command);
        let err = Shown::follow(child.stderr.take().unwrap());
        Self {
            child,
            out: Shown::follow(File::from(master)),
            err,
            input: None,
        }
    }

    pub(crate) fn out(&self) -> String {
        self.out.text()
    }

    pub(crate) fn err(&self) -> String {
        self.err.text()
    }

    pub(crate) async fn shows(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        eventually(what, || is_so(&self.out())).await;
    }

    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends, and returns its exit code.
    pub(crate) fn ends(&mut self) -> i32 {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().expect("it ends");
            }
            assert!(Instant::now() < until, "it does not end: {}", self.err());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended needs no end.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The texts of the codes among these lines, in half blocks whose ink is light, in order.
pub(crate) fn codes(printed: &str) -> Vec<String> {
    let mut codes = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    // The last line may be half read.
    let (whole, _) = printed.rsplit_once('\n').unwrap_or_default();
    for line in whole.lines() {
        if line.chars().count() > 30 && line.chars().all(|c| " ▀▄█".contains(c)) {
            block.push(line);
            let (columns, lines) = Blocks::Half.size(line.chars().count());
            assert!(block.len() <= lines && columns == line.chars().count());
            if block.len() == lines {
                codes.push(read(&block, Ink::Light));
                block.clear();
            }
        } else {
            block.clear();
        }
    }
    codes
}

fn read(lines: &[&str], ink: Ink) -> String {
    const SCALE: u32 = 4;
    let is_drawn = |x: usize, y: usize| {
        let drawn = lines[y / 2].chars().nth(x).unwrap();
        drawn == '█' || drawn == if y.is_multiple_of(2) { '▀' } else { '▄' }
    };
    let width = u32::try_from(lines[0].chars().count()).unwrap();
    let picture = image::GrayImage::from_fn(width * SCALE, width * SCALE, |x, y| {
        let is_drawn = is_drawn((x / SCALE) as usize, (y / SCALE) as usize);
        image::Luma([if is_drawn == (ink == Ink::Light) {
            255
        } else {
            0
        }])
    });
    let mut picture = rqrr::PreparedImage::prepare(picture);
    picture.detect_grids()[0].decode().unwrap().1
}
