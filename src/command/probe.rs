//! `probe`: whether the service can work with WhatsApp Web as it is today.
//!
//! Opens the page in a Chrome with a profile that is thrown away, as a session would, and asks the adapters' own tables what the page
//! has of them. It needs no key and no service, takes no port and touches no file of a service, so one that runs is not disturbed.
//!
//! ```text
//!  settings ──▶ look (a Chrome, a page, no link) ──▶ report
//! ```

mod link;
mod look;
mod report;

use std::path::Path;

use clap::Args;
use look::{Looked, Unopened, look};
use report::{Origin, Page, Report, Verdict};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{
    Fault,
    exit::{Exit, PROBE_CODES},
    scratch,
    screen::{Interrupts, remark, say},
};
use crate::{
    app::SandboxOfCommand,
    config::{Config, WHATSAPP_WEB},
    session::ReasonCode,
    whatsapp::{AdapterName, PageScripts},
};

/// Look whether the service can work with WhatsApp Web as it is today, and write a report of it.
///
/// Opens the page in a throw-away profile and says, for each adapter, what it finds of all that it relies on: each module, each
/// export and each landmark of the screen, as found, moved or missing. The report holds nothing personal and can be pasted into
/// an issue (docs/verify.md). Neither a key nor a running service is needed, and one that runs is not disturbed. Run it with the
/// service's settings, in its folder.
#[derive(Args, Clone, Debug)]
#[command(after_help = PROBE_CODES)]
pub struct Arguments {
    /// Look at this adapter only: modules, wa-js or dom [default: those of ADAPTERS].
    #[arg(long, value_name = "NAME")]
    adapter: Option<AdapterName>,
    /// List what was found as it should be as well.
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Print one JSON object, with everything.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn run(
    arguments: &Arguments,
    dotenv: &Path,
    sandbox: bool,
) -> Result<Exit, Fault> {
    let mut config = match Config::load(dotenv, sandbox) {
        Ok(config) => config,
        Err(faults) => {
            remark(&format!(
                "session-manager: the settings are wrong:\n{faults}"
            ));
            return Ok(Exit::Misconfigured);
        }
    };
    if let Some(adapter) = arguments.adapter {
        config.adapters = vec![adapter];
    }
    let mut interrupts = Interrupts::catch()?;
    let cancel = CancellationToken::new();
    let probed = {
        let probed = probe(config, &cancel);
        tokio::pin!(probed);
        tokio::select! {
            probed = &mut probed => probed?,
            signal = interrupts.next() => {
                // A Chrome that was started is closed first, which takes seconds at most; then its profile is deleted.
                cancel.cancel();
                drop(probed.await);
                return Ok(Exit::Signalled(signal));
            }
        }
    };
    say(&if arguments.json {
        probed.json()
    } else {
        probed.text(arguments.all)
    })?;
    Ok(match probed.verdict() {
        Verdict::Whole => Exit::Done,
        Verdict::Weakened => Exit::Weakened,
        Verdict::Broken => Exit::Broken,
        Verdict::Unopened => Exit::Failed,
    })
}

/// Looks at the page, and leaves neither Chrome nor profile.
async fn probe(mut config: Config, cancel: &CancellationToken) -> Result<Report, Fault> {
    let folder = scratch::folder(".probe-", &config.tokens_dir).map_err(Fault::Folder)?;
    let mut page = Page {
        origin: origin(&config),
        shows: None,
        build: None,
        language: None,
        trouble: None,
        word: None,
        replaced_scripts: PageScripts::new(config.page_scripts_dir.clone()).replaced(),
    };
    let _sandbox = start_sandbox(&mut config, &folder).await?;
    let profile = folder.path().join("profile");
    let report = match look(&config, &profile, None, cancel).await {
        Ok(Looked {
            chrome,
            shows,
            build,
            language,
            trouble,
            mut adapters,
        }) => {
            page.shows = shows;
            page.build = build;
            page.language = language;
            page.trouble = trouble.map(ReasonCode::as_str);
            // In the order in which they are tried.
            adapters.sort_by_key(|one| config.adapters.iter().position(|name| one.is(*name)));
            Report::new(Some(chrome), page, adapters, None)
        }
        Err(unopened) => {
            let Unopened { reason, chrome } = &unopened;
            remark(&format!("session-manager: {}", reason.detail));
            page.trouble = Some(reason.code.as_str());
            page.word = unopened.word();
            Report::new(chrome.clone(), page, Vec::new(), None)
        }
    };
    folder.close().map_err(Fault::Folder)?;
    Ok(report)
}

/// With `--sandbox` the page is a sandbox of this command's own, which knows nothing of a service's.
async fn start_sandbox(
    config: &mut Config,
    folder: &TempDir,
) -> Result<Option<SandboxOfCommand>, Fault> {
    let Some(settings) = config.sandbox.take() else {
        return Ok(None);
    };
    let started = SandboxOfCommand::start(&settings, folder.path().join("sandbox")).await;
    let sandbox = started.map_err(|why| Fault::Sandbox(why.to_string()))?;
    config.whatsapp_url.clone_from(&sandbox.url);
    remark(&format!("the simulated phone: {}phone", sandbox.url));
    Ok(Some(sandbox))
}

fn origin(config: &Config) -> Origin {
    match config {
        Config {
            sandbox: Some(_), ..
        } => Origin::Sandbox,
        Config { whatsapp_url, .. } if *whatsapp_url == WHATSAPP_WEB => {
            Origin::WhatsApp
        }
        Config { .. } => Origin::Other,
    }
}
