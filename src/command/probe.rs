//! `probe`: whether the service can work with WhatsApp Web as it is today.
//!
//! Opens the page in a Chrome with a profile that is thrown away, as a session would, and asks the adapters' own tables what the page
//! has of them. It needs no key and no service, takes no port and touches no file of a service, so one that runs is not disturbed.
//!
//! ```text
//!  settings ──▶ look (a Chrome, a page, no link) ──▶ [link (a service of its own, a person, a phone)] ──▶ report
//! ```

mod canvas;
mod link;
mod look;
mod report;
mod step;

use std::path::Path;

use clap::Args;
use link::{Linked, Wishes, link};
use look::{Looked, Unopened, look};
use report::{Adapter, Origin, Page, Report, Verdict};
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
///
/// With --link it goes on with a person and a phone: it shows a code, waits until the account is READY, checks the account's own
/// number, sends one message to it, asks whether it has arrived, looks at the linked page, connects again, and logs the device out.
/// What it says meanwhile goes to standard error; standard output has the report alone.
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
    #[command(flatten)]
    wishes: Wishes,
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
        let probed = probe(config, &arguments.wishes, &cancel);
        tokio::pin!(probed);
        tokio::select! {
            probed = &mut probed => probed?,
            signal = interrupts.next() => {
                // A device that was linked is logged out first and a Chrome closed, then its profile is deleted: seconds. A second
                // signal drops all that.
                cancel.cancel();
                tokio::select! {
                    ended = &mut probed => drop(ended),
                    _ = interrupts.next() => {}
                }
                return Ok(Exit::Signalled(signal));
            }
        }
    };
    let Probed { report, is_late } = probed;
    say(&if arguments.json {
        report.json()
    } else {
        report.text(arguments.all)
    })?;
    Ok(match report.verdict() {
        _ if is_late => Exit::Undecided,
        Verdict::Whole => Exit::Done,
        Verdict::NoReset => Exit::NoReset,
        Verdict::Weakened => Exit::Weakened,
        Verdict::Broken => Exit::Broken,
        Verdict::Unopened => Exit::Failed,
    })
}

/// What came of it.
struct Probed {
    report: Report,
    /// No phone has scanned in time.
    is_late: bool,
}

/// Looks at the page, links if that is wanted, and leaves neither Chrome nor profile.
async fn probe(
    mut config: Config,
    wishes: &Wishes,
    cancel: &CancellationToken,
) -> Result<Probed, Fault> {
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
    // A sandbox of this command's own knows none of the service's accounts.
    let at_stake = if config.sandbox.is_some() {
        None
    } else {
        wishes.session_at_stake(&config).await
    };
    let sandbox = start_sandbox(&mut config, &folder).await?;
    let tell_phone = |sandbox: &Option<SandboxOfCommand>| {
        if let Some(sandbox) = sandbox {
            remark(&format!("the simulated phone: {}phone", sandbox.url));
        }
    };
    // The first look shows a code too, and its page is closed: a person who scanned that one would link nothing.
    if !wishes.link {
        tell_phone(&sandbox);
    }
    let profile = folder.path().join("profile");
    let looked = look(&config, &profile, None, cancel).await;
    let probed = match looked {
        Ok(looked) => {
            page.shows = looked.shows;
            page.build = looked.build;
            page.language = looked.language;
            page.trouble = looked.trouble.map(ReasonCode::as_str);
            let mut adapters = looked.adapters;
            let linked = match at_stake {
                _ if !wishes.link || cancel.is_cancelled() => None,
                Some(session) => Some(Linked::refused(&session)),
                None => {
                    tell_phone(&sandbox);
                    Some(link(&config, folder.path(), wishes, cancel).await?)
                }
            };
            let is_late = linked.as_ref().is_some_and(|linked| linked.is_late);
            let steps = linked.map(|Linked { steps, looked, .. }| {
                adapters = together(std::mem::take(&mut adapters), looked);
                steps
            });
            // In the order in which they are tried.
            adapters.sort_by_key(|one| config.adapters.iter().position(|name| one.is(*name)));
            let report = Report::new(Some(looked.chrome), page, adapters, steps);
            Probed { report, is_late }
        }
        Err(unopened) => {
            let Unopened { reason, chrome } = &unopened;
            remark(&format!("session-manager: {}", reason.detail));
            page.trouble = Some(reason.code.as_str());
            page.word = unopened.word();
            let report = Report::new(chrome.clone(), page, Vec::new(), None);
            Probed {
                report,
                is_late: false,
            }
        }
    };
    if wishes.keep {
        let kept = folder.keep();
        remark(&format!("kept: {}", kept.display()));
    } else {
        folder.close().map_err(Fault::Folder)?;
    }
    Ok(probed)
}

/// What the linked page has shown, added to what was seen before.
fn together(before: Vec<Adapter>, later: Option<Looked>) -> Vec<Adapter> {
    let Some(Looked { mut adapters, .. }) = later else {
        return before;
    };
    let add = |one: Adapter| match adapters.iter().position(|other| other.is_of(&one)) {
        Some(at) => one.looked_at_again(adapters.swap_remove(at)),
        None => one,
    };
    before.into_iter().map(add).collect()
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
    Ok(Some(sandbox))
}

fn origin(config: &Config) -> Origin {
    match config {
        Config {
            sandbox: Some(_), ..
        } => Origin::Sandbox,
        Config { whatsapp_url, .. } if *whatsapp_url == WHATSAPP_WEB => Origin::WhatsApp,
        Config { .. } => Origin::Other,
    }
}
