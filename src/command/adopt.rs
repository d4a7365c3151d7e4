//! `adopt`: an account that another program has linked, as a session of this service.
//!
//! Works on folders, whether a service runs or not. The session itself must not run, and neither must the other program.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    exit::{ADOPT_CODES, Exit},
    export::{Fault, done_or_given_up},
    screen::{Interrupts, one_line, remark, say},
};
use crate::{
    browser::{Adopted, SiteStorage, find_chrome},
    config::Config,
    session::{self, ClienteId},
};

/// Take over an account that another program has linked in this machine's Chrome, without a scan.
///
/// For whatsapp-web.js (`LocalAuth`), venom, wppconnect, open-wa, and other programs that drive a Chrome. What a link needs
/// is copied; the original is only read. Stop the other program first, for good.
#[derive(Args, Clone, Debug)]
#[command(after_help = ADOPT_CODES)]
pub struct Arguments {
    /// The user data folder of its Chrome, such as `.wwebjs_auth/session-<id>` or `tokens/<session>`, or a folder with
    /// one such folder in it.
    folder: PathBuf,
    /// What the session is to be called here.
    #[arg(long = "as", value_name = "CLIENTE_ID")]
    cliente_id: ClienteId,
    /// Set a linked profile aside that the session has already. It is not deleted.
    #[arg(long)]
    replace: bool,
}

pub(super) async fn run(arguments: Arguments, dotenv: &Path, sandbox: bool) -> Result<Exit, Fault> {
    let config = Config::load(dotenv, sandbox)?;
    let Some(site) = storage(&config) else {
        remark("session-manager: WHATSAPP_URL is no address of a site");
        return Ok(Exit::Misconfigured);
    };
    let id = arguments.cliente_id;
    let mut interrupts = Interrupts::catch()?;
    let give_up = CancellationToken::new();
    let work = session::adopt(
        &id,
        &config.tokens_dir,
        &arguments.folder,
        &site,
        arguments.replace,
        give_up.clone(),
    );
    let adopted = done_or_given_up(work, &give_up, &mut interrupts).await?;
    say(&summary(&id, &adopted))?;
    for warning in warnings(&adopted, &config).await {
        remark(&warning);
    }
    remark(&next_steps(&id, &adopted));
    Ok(Exit::Done)
}

/// Where the page that the service opens has its storage.
pub(super) fn storage(config: &Config) -> Option<SiteStorage> {
    match &config.sandbox {
        Some(sandbox) => {
            let addr = SocketAddr::new(sandbox.host.reached_at(), sandbox.port);
            SiteStorage::of(&format!("http://{addr}/"))
        }
        None => SiteStorage::of(&config.whatsapp_url),
    }
}

fn summary(id: &ClienteId, adopted: &Adopted) -> String {
    let written_at = Timestamp::try_from(adopted.written_at);
    let written_at = written_at.map_or_else(
        |_| String::new(),
        |at| format!(", last written to on {at:.0}"),
    );
    format!(
        "session {id} has the account of {}{written_at}: {} files, {} kB",
        one_line(&adopted.profile.display().to_string()),
        adopted.files,
        adopted.bytes.div_ceil(1000),
    )
}

async fn warnings(adopted: &Adopted, config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(lock) = &adopted.lock_of_another_host {
        warnings.push(format!(
            "WARNING: a Chrome of another host or container ({}) has left its lock there. Nothing here has the profile open; make sure that \
             nothing there has.",
            one_line(lock)
        ));
    }
    // Without a Chrome there is nothing to compare with, and `doctor` says so.
    let ours = find_chrome(config.chrome_path.as_deref(), &config.search_path).await;
    if let Ok(program) = ours
        && adopted.is_newer_than(&program.version)
    {
        warnings.push(format!(
            "WARNING: Chrome {} has used it last, and the service has {}. An older Chrome may not be able to read what a newer one has stored; it then \
             starts with empty storage in the copy, and WhatsApp asks for a code. Give the service that Chrome or a newer one (CHROME_PATH) before you \
             connect.",
            adopted.chrome.as_deref().unwrap_or_default(),
            program.version.as_str(),
        ));
    }
    warnings
}

fn next_steps(id: &ClienteId, adopted: &Adopted) -> String {
    format!(
        "What to do next:\n\
         1. Stop the old service, for good: it must not come up again with the machine (pm2 delete, pm2 save). Two Chromes on one device log it out.\n\
         2. Start the session: POST /connect {{\"cliente_id\": \"{id}\"}}, or `session-manager qr {id}`. READY comes without a scan; if a code is asked for \
         all the same, WhatsApp had removed that device, or the profile was never linked: scan it.\n\
         3. {} is as it was. Never start the old service on it again once the session has been READY here; delete it after some quiet days: \
         a person who has it can act as the account.",
        one_line(&adopted.profile.display().to_string()),
    )
}
