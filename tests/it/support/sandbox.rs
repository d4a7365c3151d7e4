//! The program `whatsapp-sandbox`: one simulated WhatsApp for several services.

use std::{path::Path, process::Stdio};

use rustix::process::Signal;

use super::{
    Api, Home,
    chrome::eventually,
    service::{Environment, PROGRAM, Process, STOP_TIMEOUT, program},
};

/// A running sandbox, alone in its process.
pub(crate) struct SharedSandbox {
    process: Process,
    home: Home,
    url: String,
}

impl SharedSandbox {
    /// Starts one on a fresh folder, on a port that the system chooses.
    pub(crate) async fn start() -> Self {
        // Cargo names only a package's own programs to its tests. It puts those of the whole workspace into one folder, and
        // builds this one for the tests of its own package, so with `--workspace` it is there.
        let sandbox = Path::new(PROGRAM).with_file_name("whatsapp-sandbox");
        assert!(
            sandbox.try_exists().unwrap(),
            "{} is not built: run the tests with --workspace",
            sandbox.display()
        );
        let home = Home::new();
        let environment: Environment = [
            ("SANDBOX_PORT", "0".into()),
            ("SANDBOX_ACK_SECONDS", "0.1".into()),
            ("DATA_DIR", home.data().into()),
        ]
        .into_iter()
        .collect();
        let mut process = Process::spawn(&home, &program(&sandbox), &environment, Stdio::piped);
        // What a service says is waited for in another form.
        drop(process.output.follow(process.child.stdout.take().unwrap()));
        drop(process.output.follow(process.child.stderr.take().unwrap()));
        let output = process.output.clone();
        let url = || {
            let said = output.text();
            let line = said.lines().find(|line| line.contains("WHATSAPP_URL="))?;
            let after = line.split_once("WHATSAPP_URL=")?.1;
            after.split_whitespace().next().map(str::to_owned)
        };
        eventually("the sandbox says where it listens", || url().is_some()).await;
        let url = url().unwrap();
        Self { process, home, url }
    }

    /// Lets a service use it in place of WhatsApp.
    pub(crate) fn apply(&self, environment: &mut Environment) {
        environment.remove("SANDBOX");
        environment.insert("WHATSAPP_URL", self.url.clone().into());
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its phone and its faults.
    pub(crate) fn api(&self) -> Api {
        let url = self.url.trim_end_matches('/').to_owned();
        Api::with(String::new(), url, self.home.secrets.clone())
    }

    /// Asks it to stop, and asserts that it does, with success.
    pub(crate) fn stop(mut self) -> Home {
        self.process.signal(Signal::TERM);
        let status = self.process.exited_within(STOP_TIMEOUT);
        let status = status.expect("the sandbox stops in time");
        assert!(status.success(), "the sandbox stopped with {status}");
        self.home
    }
}
