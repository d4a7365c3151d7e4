//! The program `whatsapp-sandbox`, started and stopped as a person or a supervisor does. That services share it is held
//! where the services are: `tests/it/sandbox/shared.rs` at the top of the repository.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failed expectation is how a test fails, and a test starts the program that it tests"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The program in this folder, with nothing of the tester's environment.
fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whatsapp-sandbox"));
    command
        .env_clear()
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Running {
    fn start(mut command: Command) -> (Self, String) {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let running = Self(child);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .trim_end()
            .strip_prefix("simulated WhatsApp  http://")
            .and_then(|address| address.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("it says where it listens, not {line:?}"));
        (running, address.to_owned())
    }

    fn ends_with_success(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
        let status = self.0.wait().unwrap();
        assert!(status.success(), "{signal:?}: {status}");
    }
}

fn get(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_on_loopback_until_it_is_told_to_stop_and_keeps_its_journal() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = TempDir::new().unwrap();
        let mut command = program(folder.path());
        command.args(["--port", "0", "--data-dir", "kept"]);
        let (running, address) = Running::start(command);
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        assert!(get(&address, "/").contains("/web/loader.js"));
        let messages = get(&address, "/phone/messages");
        assert!(messages.ends_with("\r\n\r\n[]"), "{messages}");
        running.ends_with_success(signal);
        let journal = folder.path().join("kept/sandbox/journal.jsonl");
        assert!(journal.try_exists().unwrap());
    }
}

#[test]
fn an_option_goes_before_a_variable_and_that_before_the_file() {
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join(".env"),
        "SANDBOX_PORT=70000\nSANDBOX_HOST=127.0.0.3\nDATA_DIR=from-file\nHOST=0.0.0.0\nPORT=nothing of ours\n",
    )
    .unwrap();
    let mut command = program(folder.path());
    command
        .env("SANDBOX_HOST", "127.0.0.2")
        .args(["--port", "0"]);
    let (running, address) = Running::start(command);
    assert!(address.starts_with("127.0.0.2:"), "{address}");
    running.ends_with_success(Signal::TERM);
    assert!(folder.path().join("from-file/sandbox").is_dir());
}

#[test]
fn wrong_settings_are_told_all_at_once_and_nothing_is_served() {
    let folder = TempDir::new().unwrap();
    let mut command = program(folder.path());
    command
        .env("SANDBOX_CODE_SECONDS", "60")
        .env("SANDBOX_HOST", "everywhere")
        .args(["--port", "70000"]);
    let ended = command.output().unwrap();
    assert_eq!(ended.status.code(), Some(64));
    let said = String::from_utf8(ended.stderr).unwrap();
    for name in ["SANDBOX_CODE_SECONDS", "SANDBOX_HOST", "SANDBOX_PORT"] {
        assert!(said.contains(&format!("\n{name}: ")), "{name}: {said}");
    }
}
