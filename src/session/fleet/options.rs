//! What the fleet is opened with.

use std::{path::PathBuf, sync::Arc};

use crate::{
    browser::SnapshotKey,
    config::{Config, SessionConfig},
    ledger::{Clock, LedgerOptions},
    whatsapp::{PageScripts, PageSettings},
};

/// What all sessions have in common.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Their settings.
    pub config: Arc<SessionConfig>,
    /// One profile folder per session.
    pub tokens_dir: PathBuf,
    /// One file per session that says whether it should be up.
    pub sessions_dir: PathBuf,
    /// One folder per session with the copies of its profile.
    pub snapshots_dir: PathBuf,
    /// What these are encrypted with.
    pub snapshot_key: Option<SnapshotKey>,
    /// One folder per session that left evidence of a failure.
    pub evidence_dir: PathBuf,
    /// How a page is opened.
    pub page: PageSettings,
    /// How the ledger is opened.
    pub ledger: LedgerOptions,
}

impl RegistryOptions {
    /// As an operator has set them.
    pub fn of(config: &Config) -> Self {
        let sessions_data = config.sessions_data();
        Self {
            config: Arc::new(config.sessions.clone()),
            tokens_dir: config.tokens_dir.clone(),
            sessions_dir: config.sessions_dir(),
            snapshots_dir: config.snapshots_dir(),
            snapshot_key: config.snapshot_key.clone(),
            evidence_dir: sessions_data.join("evidence"),
            page: PageSettings {
                chrome_path: config.chrome_path.clone(),
                launch_timeout: config.sessions.limits.launch,
                search_path: config.search_path.clone(),
                chrome_args: config.chrome_args.clone(),
                url: config.whatsapp_url.clone(),
                adapters: config.adapters.clone(),
                scripts: PageScripts::new(config.page_scripts_dir.clone()),
                wa_js_path: config.wa_js_path.clone(),
                media_dir: config.outgoing_media_dir(),
                evidence_of_chats: config.evidence_of_chats,
            },
            ledger: LedgerOptions {
                folder: sessions_data.join("ledger"),
                idempotency: config.idempotency,
                retention: config.message_retention,
                events: config.event_retention,
                clock: Clock::of_the_machine(),
            },
        }
    }
}
