//! The program `whatsapp-sandbox`: a simulated WhatsApp alone, which several services share.
//!
//! Responsible for: its options and settings, where it says that it listens, the signals that end it. What is simulated is
//! the library's.
//!
//! Exit codes: 0 stopped on request, 1 failed, 2 the command line is wrong, 64 the settings are wrong.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use startup::{
    Dotenv, Found, ListenHost, Refused, Settings, SettingsError, Signals, listen, parse,
    reached_at, variable,
};
use tokio::{pin, runtime::Runtime};
use tokio_util::sync::CancellationToken;
use tracing::Level;
use whatsapp_sandbox::{Sandbox, SandboxConfig, SandboxError, SandboxSettings};

/// Settings that are not in the environment.
const DOTENV: &str = ".env";

/// What the service ends with as well when its settings are wrong: `EX_USAGE` of sysexits.h.
const MISCONFIGURED: u8 = 64;

/// Simulates WhatsApp Web, WhatsApp's server and a phone, for services that are started with WHATSAPP_URL set to its address.
/// An option goes before the environment variable that is named with it, and that before the file .env.
#[derive(Debug, Parser)]
#[command(version)]
#[expect(clippy::doc_markdown, reason = "these comments are what --help prints")]
struct Arguments {
    /// The addresses to listen on, by default those of loopback; the sandbox asks for no key [env: SANDBOX_HOST]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<OsString>,
    /// The port to listen on, by default 3002; 0 lets the system choose [env: SANDBOX_PORT]
    #[arg(long, value_name = "PORT")]
    port: Option<OsString>,
    /// How long the first login code is valid, and each later one, by default 60,20 [env: SANDBOX_CODE_SECONDS]
    #[arg(long, value_name = "FIRST,NEXT")]
    code_seconds: Option<OsString>,
    /// How long a code for linking by phone number is valid, by default 180 [env: SANDBOX_PAIRING_SECONDS]
    #[arg(long, value_name = "SECONDS")]
    pairing_seconds: Option<OsString>,
    /// How long a message waits for its acknowledgement, by default 0.5 [env: SANDBOX_ACK_SECONDS]
    #[arg(long, value_name = "SECONDS")]
    ack_seconds: Option<OsString>,
    /// Accounts and messages are kept in the folder sandbox of this one, by default data [env: DATA_DIR]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<OsString>,
}

impl Arguments {
    /// The option that stands for this variable.
    fn given(&self, name: &str) -> Option<&OsString> {
        match name {
            "SANDBOX_HOST" => self.host.as_ref(),
            "SANDBOX_PORT" => self.port.as_ref(),
            "SANDBOX_CODE_SECONDS" => self.code_seconds.as_ref(),
            "SANDBOX_PAIRING_SECONDS" => self.pairing_seconds.as_ref(),
            "SANDBOX_ACK_SECONDS" => self.ack_seconds.as_ref(),
            "DATA_DIR" => self.data_dir.as_ref(),
            _ => None,
        }
    }

    fn settings(&self, dotenv: &Path) -> Result<(SandboxSettings, SandboxConfig), SettingsError> {
        let file = Dotenv::read(dotenv);
        let mut settings = Settings::new(|name: &str| {
            let given = self.given(name).cloned().map(Found::given);
            given.or_else(|| variable(name, &file))
        });
        settings.complain_of(file.faults());
        // `HOST` is where a service listens, and that may be everywhere.
        let own = SandboxSettings::gather(&mut settings, ListenHost::Localhost);
        let data_dir = settings.parsed("DATA_DIR", PathBuf::from("data"), parse::path);
        settings.verdict()?;
        let config = own.in_folder(data_dir.join("sandbox"));
        Ok((own, config))
    }
}

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot listen on {}: {}: SANDBOX_HOST and SANDBOX_PORT say where", .0.addr, .0.source)]
    Bind(Refused),
    #[error("DATA_DIR: {0}")]
    Sandbox(#[from] SandboxError),
    #[error("signals cannot be caught: {0}")]
    Signals(io::Error),
    #[error("its threads cannot be started: {0}")]
    Threads(io::Error),
    #[error("stdout: {0}")]
    Stdout(io::Error),
    #[error("it stopped serving")]
    Ended,
}

fn main() -> ExitCode {
    let (settings, config) = match Arguments::parse().settings(Path::new(DOTENV)) {
        Ok(settings) => settings,
        Err(faults) => {
            complain(&format!("the settings are wrong:\n{faults}"));
            return MISCONFIGURED.into();
        }
    };
    // Stdout says where it listens, and nothing else.
    tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    let served = Runtime::new()
        .map_err(Fault::Threads)
        .and_then(|runtime| runtime.block_on(serve(settings, config)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why.to_string());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is said to a person")]
fn complain(why: &str) {
    eprintln!("whatsapp-sandbox: {why}");
}

async fn serve(settings: SandboxSettings, config: SandboxConfig) -> Result<(), Fault> {
    let mut signals = Signals::catch().map_err(Fault::Signals)?;
    let listening = listen(settings.host, settings.port).await;
    let sandbox = Sandbox::open(listening.map_err(Fault::Bind)?, config)?;
    say_where(sandbox.addr()).map_err(Fault::Stdout)?;
    let stop = CancellationToken::new();
    let running = sandbox.run(stop.clone());
    pin!(running);
    tokio::select! {
        () = &mut running => return Err(Fault::Ended),
        () = signals.next() => {}
    }
    stop.cancel();
    running.await;
    Ok(())
}

/// Writes all lines at once: a reader may close the pipe after the first line.
fn say_where(addr: SocketAddr) -> io::Result<()> {
    let addr = SocketAddr::new(reached_at(addr.ip()), addr.port());
    let lines = format!(
        "simulated WhatsApp  http://{addr}/\n\
         simulated phone     http://{addr}/phone\n\
         start services with WHATSAPP_URL=http://{addr}/ and folders of their own: TOKENS_DIR and DATA_DIR\n"
    );
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()
}
