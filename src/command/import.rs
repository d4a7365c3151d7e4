//! `import`: an account that was exported elsewhere, as a session of this host.
//!
//! Works on the folder of profiles, whether a service runs or not; the session itself must not run.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    exit::{Exit, TRANSFER_CODES},
    export::{Fault, account, done_or_given_up},
    passphrase::Source,
    screen::{Interrupts, one_line, remark, say},
};
use crate::{
    browser::Manifest,
    config::Config,
    session::{self, ClienteId},
};

/// Take an account that was exported on another host.
///
/// The session may have another name than it had there. Connect it afterwards: no code is to be scanned.
#[derive(Args, Clone, Debug)]
#[command(after_help = TRANSFER_CODES)]
pub struct Arguments {
    /// What the session is to be called here.
    cliente_id: ClienteId,
    /// The file that `export` has written.
    file: PathBuf,
    /// Set a profile aside that the session has already. It is not deleted.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    passphrase: Source,
}

pub(super) async fn run(arguments: Arguments, dotenv: &Path, sandbox: bool) -> Result<Exit, Fault> {
    let config = Config::load(dotenv, sandbox)?;
    let id = arguments.cliente_id;
    // After a signal the terminal must echo again.
    let mut interrupts = Interrupts::catch()?;
    let passphrase = arguments.passphrase.know()?;
    let give_up = CancellationToken::new();
    let work = session::import(
        &id,
        &config.tokens_dir,
        &arguments.file,
        passphrase,
        arguments.replace,
        give_up.clone(),
    );
    let manifest = done_or_given_up(work, &give_up, &mut interrupts).await?;
    let older = session::forget_older_snapshots(
        &id,
        &config.tokens_dir,
        config.snapshots_dir(),
        config.snapshot_key.as_ref(),
        &manifest,
    );
    if let Err(why) = older.await {
        remark(&format!(
            "session-manager: the account is imported, but snapshots of it from before could not be removed: {why}; delete them, or \
             one may take the profile's place should it be damaged"
        ));
    }
    say(&summary(&id, &arguments.file, &manifest))?;
    if let Some(account) = &manifest.account {
        match session::others_linked_to(account, &id, &config.tokens_dir).await {
            Ok(others) => {
                for other in &others {
                    remark(&linked_twice(&id, other));
                }
            }
            Err(why) => remark(&format!(
                "session-manager: it is not known whether another session here is linked to this account: {why}"
            )),
        }
    }
    remark(&next_step(&id, &manifest));
    Ok(Exit::Done)
}

fn summary(id: &ClienteId, file: &Path, manifest: &Manifest) -> String {
    format!(
        "session {id} is the account of {}{}, as it was on {:.0}",
        file.display(),
        account(manifest),
        manifest.taken_at
    )
}

/// The warning for a person who has one account in two sessions of one service.
fn linked_twice(id: &ClienteId, other: &ClienteId) -> String {
    format!(
        "WARNING: session {other} here is linked to the same account. Do not connect both: they would take the account from each other. \
         Disconnect session {other} before you connect session {id}: POST /disconnect {{\"cliente_id\": \"{other}\"}}"
    )
}

fn next_step(id: &ClienteId, manifest: &Manifest) -> String {
    format!(
        "Start it with POST /connect, or `session-manager qr {id}`: no code is to be scanned. Do not connect it where it comes from \
         (there it was session {}): WhatsApp would see one device in two places, and may remove it.",
        // The file says this of itself, and may come from an attacker.
        one_line(&manifest.cliente_id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_of_itself_is_not_obeyed_by_a_terminal() {
        let manifest: Manifest = serde_json::from_value(serde_json::json!({
            "format": 1,
            "cliente_id": "51\x1b]0;owned\x07\nsession-manager: all is well",
            "account": "\x1b[2J\u{202e}5491100000001\r\n",
            "taken_at": "2026-11-25T18:47:41Z",
            "files": 1,
            "bytes": 1,
        }))
        .unwrap();
        let id = "52".parse().unwrap();
        for said in [
            summary(&id, Path::new("file"), &manifest),
            next_step(&id, &manifest),
        ] {
            assert!(!said.chars().any(char::is_control), "{said:?}");
        }
        let said = summary(&id, Path::new("file"), &manifest);
        assert!(
            said.contains(r"(account \u001b[2J\u202e5491100000001\u000d\u000a)"),
            "{said}"
        );
    }
}
