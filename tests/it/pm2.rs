//! Real PM2 from npm starts, restarts and stops the service from `ecosystem.config.js`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Api, Home,
    chrome::{PATIENCE, search_path},
};

/// PM2's own daemon, in a folder of its own. Dropping it ends daemon and service.
struct Pm2 {
    home: Home,
    /// PM2's daemon has this folder in its name: not one that Chromes are looked for by.
    daemon: TempDir,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Pm2 {
    fn new(home: Home, environment: Vec<(&'static str, PathBuf)>) -> Self {
        let daemon = TempDir::new().unwrap();
        Self {
            home,
            daemon,
            environment,
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        #[expect(
            clippy::disallowed_methods,
            reason = "the test plays the operator who calls PM2"
        )]
        let mut command = Command::new(repository.join("node_modules/.bin/pm2"));
        command
            .args(arguments)
            .current_dir(repository)
            .env_clear()
            .env("PATH", search_path())
            .env("HOME", self.daemon.path())
            .env("PM2_HOME", self.daemon.path())
            .env("SESSION_MANAGER_BIN", env!("CARGO_BIN_EXE_session-manager"))
            .envs(self.environment.iter().cloned());
        command.output().expect("PM2 is installed: npm ci")
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "pm2 {arguments:?}: {said}");
        said
    }

    /// All that PM2 has written down of what the service said.
    fn log(&self) -> String {
        let files = fs::read_dir(self.daemon.path().join("logs")).unwrap();
        let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        texts.collect()
    }

    /// What PM2 knows of the service.
    fn process(&self) -> Value {
        let list = self.succeeds(&["jlist"]);
        // A first call may say something of its own before the list.
        let list = list.lines().find(|line| line.starts_with('[')).unwrap();
        let mut list: Value = serde_json::from_str(list).unwrap();
        assert_eq!(list[0]["name"], "session-manager", "{list}");
        list[0].take()
    }
}

impl Drop for Pm2 {
    fn drop(&mut self) {
        self.run(&["kill"]);
    }
}

#[tokio::test]
async fn pm2_starts_restarts_and_stops_the_service_and_no_chrome_is_left() {
    let home = Home::new();
    // PM2 gives no way to learn a port that the system chose: two that were free a moment ago.
    let (port, sandbox_port) = (free_port(), free_port());
    let environment = vec![
        ("PORT", port.to_string().into()),
        ("SANDBOX", "1".into()),
        ("SANDBOX_PORT", sandbox_port.to_string().into()),
        ("SANDBOX_ACK_SECONDS", "0.1".into()),
        ("TOKENS_DIR", home.tokens()),
        ("DATA_DIR", home.data()),
        ("RUST_LOG", "debug".into()),
    ];
    let pm2 = Pm2::new(home, environment);
    pm2.succeeds(&["start", "ecosystem.config.js"]);
    let service = Api::new(
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{sandbox_port}"),
    );
    service.answers().await;
    let account = service.link("51").await;
    service.sends(51, "5491158254201", "uno de dos").await;
    let before = pm2.process()["pid"].take();
    let chromes = pm2.home.processes();
    assert!(!chromes.is_empty());

    pm2.succeeds(&["restart", "session-manager"]);
    service.answers().await;
    assert_ne!(pm2.process()["pid"], before);
    // What runs now is the session that the service has restored.
    let after = pm2.home.processes();
    let left: Vec<_> = chromes.iter().filter(|pid| after.contains(pid)).collect();
    assert!(left.is_empty(), "still there: {left:?}");
    service.reaches("51", "READY").await;
    service.sends(51, "5491158254201", "dos de dos").await;
    assert_eq!(
        service.messages(&account).await,
        ["uno de dos", "dos de dos"]
    );

    pm2.succeeds(&["stop", "session-manager"]);
    assert_eq!(pm2.process()["pm2_env"]["status"], "stopped");
    // 0 says that it stopped in order and was not killed.
    assert_eq!(pm2.process()["pm2_env"]["exit_code"], 0);
    pm2.home.assert_nobody_is_left();
    let log = pm2.log();
    assert!(
        log.contains("session 51") || log.contains("session.id"),
        "{log}"
    );
    assert_eq!(service.secrets().found_in(&log), [""; 0]);
}

#[test]
fn pm2_does_not_restart_a_service_whose_settings_are_wrong() {
    let home = Home::new();
    let environment = vec![("PORT", "many".into()), ("TOKENS_DIR", home.tokens())];
    let pm2 = Pm2::new(home, environment);
    pm2.succeeds(&["start", "ecosystem.config.js"]);
    // PM2 sets the pid to 0 when it has decided that this exit is final.
    let deadline = Instant::now() + PATIENCE;
    while pm2.process()["pid"] != 0 {
        assert!(Instant::now() < deadline, "PM2 does not give it up");
    }
    assert_eq!(pm2.process()["pm2_env"]["exit_code"], 64);
    assert_eq!(pm2.process()["pm2_env"]["restart_time"], 0);
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
