//! `doctor`: whether this machine can run the service, and what to do where it cannot.
//!
//! Each group of checks has a file of its own: it reads facts, within a deadline, and judges them with pure functions. This file runs
//! the groups in order and prints their findings. A check changes nothing and leaves nothing behind: it may run while a service runs.
//!
//! ```text
//!  settings ──▶ folders ──▶ machine ──▶ chrome (starts one, which page and machine ask too) ──▶ page ──▶ ports ──▶ hub
//! ```

mod chrome;
mod folders;
mod hub;
mod limits;
mod machine;
mod page;
pub(super) mod ports;
mod report;
mod settings;

use std::path::Path;

use clap::Args;
use report::{Report, Verdict};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Fault,
    exit::{CODES, Exit},
    screen::{Interrupts, say},
};
use crate::config::Config;

/// Look whether this machine can run the service, and say what to do where it cannot.
///
/// Starts Chrome once on a profile of its own and closes it again. Ends with 0 when nothing is wrong, warnings or not, and with 1 when
/// the service could not work like this. Run it as the user that runs the service, in its folder, with its settings: it sees
/// what that user sees. A service that is at work meanwhile is not disturbed.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn run(
    arguments: &Arguments,
    dotenv: &Path,
    sandbox: bool,
) -> Result<Exit, Fault> {
    let mut interrupts = Interrupts::catch()?;
    let cancel = CancellationToken::new();
    let mut report = Report::new(!arguments.json);
    let (config, verdict) = Config::inspect(dotenv, sandbox);
    {
        let examined = examine(&config, &verdict, dotenv, &cancel, &mut report);
        tokio::pin!(examined);
        tokio::select! {
            examined = &mut examined => examined?,
            signal = interrupts.next() => {
                // A Chrome that was started is closed first, which takes seconds at most.
                cancel.cancel();
                examined.await?;
                return Ok(Exit::Signalled(signal));
            }
        }
    }
    if arguments.json {
        say(&json(&report).to_string())?;
    } else {
        say(&report.summary())?;
    }
    Ok(match report.worst() {
        Verdict::Ok | Verdict::Warn => Exit::Done,
        Verdict::Fail => Exit::Failed,
    })
}

async fn examine(
    config: &Config,
    settings: &Result<(), crate::config::ConfigError>,
    dotenv: &Path,
    cancel: &CancellationToken,
    report: &mut Report,
) -> Result<(), Fault> {
    report.group("settings", settings::examine(config, settings, dotenv))?;
    let folders = match folders::examine(config).await {
        Ok(folders) => folders,
        Err(stalled) => return Ok(report.group("folders", vec![("folders", stalled)])?),
    };
    let profiles = folders.profiles_at_rest;
    report.group("folders", folders.checks)?;
    let tried = chrome::examine(config, cancel).await;
    let footprint = tried.footprint;
    report.group("chrome", tried.checks)?;
    report.group("machine", machine::examine(config, profiles))?;
    report.group("limits", limits::examine(config, profiles, footprint))?;
    report.group("page", page::examine(config, tried.visit.as_ref()))?;
    report.group("ports", ports::examine(config).await)?;
    report.group("hub", hub::examine(config).await)?;
    Ok(())
}

fn json(report: &Report) -> serde_json::Value {
    json!({
        "ok": report.worst() != Verdict::Fail,
        "version": env!("CARGO_PKG_VERSION"),
        "checks": report.lines(),
    })
}
