//! How old the profile is that a page runs on: older than what was sent from it, where a copy took the place of another one.
//!
//! ```text
//!  the profile's note: its generation, and the gaps of the copies that it comes from
//!      │ gaps that are new ──▶ the ledger notes the recipients of what was handed over in them, and the account's own devices
//!      ▼
//!  the note goes on above the highest generation that was ever given ──▶ the first hand-over
//! ```
//!
//! A profile that was put back encrypts with numbers that its recipients have seen before. They drop such a message without a
//! word, and report it delivered (docs/whatsapp.md#a-profile-that-is-older-than-what-was-sent-from-it). So before the next send
//! to each of these recipients the page begins a new Signal session with them.
//!
//! Responsible for what is known of that while a page runs. Asks the ledger and the note in one question, before anything is
//! handed over, and no clock. Each step may be repeated after a crash: the ledger notes first, then the profile.

use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use crate::{
    browser::{Beginning, Gap, ProfileNote},
    ledger::{Ledger, LedgerError, RestoredCopy, Stale},
};

/// What is known of the age of a profile.
#[derive(Clone, Debug, Default)]
pub(super) struct Age {
    /// The generation that each hand-over notes.
    pub(super) generation: u64,
    /// What the profile lacks.
    pub(super) gaps: Vec<Gap>,
    /// With whom the page has to begin new Signal sessions.
    #[expect(dead_code, reason = "the reset itself comes with the next commit")]
    pub(super) stale: Stale,
}

impl Age {
    /// Finds out how old the profile is, and notes what follows from that. To be repeated when it fails: nothing may be handed
    /// over before.
    pub(super) async fn of(
        profile: PathBuf,
        ledger: &Ledger,
        session: &str,
    ) -> Result<Self, LedgerError> {
        let note = read(&profile).await;
        let stale = ledger.stale(session).await?;
        let highest = stale.highest;
        match note.beginning(highest) {
            Beginning::Usual => {
                return Ok(Self {
                    generation: note.generation,
                    gaps: note.gaps,
                    stale,
                });
            }
            Beginning::NewDevice => ledger.begin_device(session).await?,
            Beginning::Restored(gaps) => {
                let copies = gaps.iter().map(|gap| RestoredCopy {
                    after: gap.after,
                    is_from_elsewhere: gap.is_from_elsewhere,
                });
                ledger.mark_stale(session, copies.collect()).await?;
            }
        }
        let note = go_on_above(profile, highest).await?;
        let stale = ledger.stale(session).await?;
        if stale.own_devices {
            tracing::warn!(
                profile.generation = note.generation,
                stale.recipients = stale.recipients.len(),
                "the profile is a copy that may be older than what was sent from it: before the next send to each of {} recipients, \
                 and with the account's own devices, a new Signal session is begun",
                stale.recipients.len()
            );
        }
        Ok(Self {
            generation: note.generation,
            gaps: note.gaps,
            stale,
        })
    }
}

/// Off the runtime, as the disk may hang. A note that cannot be read is that of a copy that lacks everything.
async fn read(profile: &Path) -> ProfileNote {
    let profile = profile.to_owned();
    let read = spawn_blocking(move || ProfileNote::read_or_linked(&profile)).await;
    // Only a runtime that ends does not read it.
    read.unwrap_or_default()
}

async fn go_on_above(profile: PathBuf, highest: Option<u64>) -> Result<ProfileNote, LedgerError> {
    let change = move || {
        let mut changed = ProfileNote::default();
        ProfileNote::change(&profile, |note| {
            note.go_on_above(highest);
            changed = note.clone();
        })?;
        Ok::<_, std::io::Error>(changed)
    };
    let changed = spawn_blocking(change).await.map_err(std::io::Error::from);
    changed.flatten().map_err(|why| {
        LedgerError(format!(
            "in which generation the profile is cannot be noted in it: {why}; free the disk, or mend the rights of TOKENS_DIR"
        ))
    })
}
