//! What becomes of the sends of a session that was logged out.
//!
//! Carries out what [`recovery`](crate::session::recovery) decides.

use tokio::time::timeout;

use crate::{
    ledger::{Ledger, LedgerError},
    session::{ClienteId, recovery::Recovery, sending::NOTE_TIMEOUT},
};

/// Settles what is open, so that whoever asks is told so at once, and not when another phone is linked.
pub(super) async fn settle_sends(ledger: &Ledger, session: &ClienteId) {
    let settle = async {
        let mut recovery = Recovery::default();
        recovery.on_logged_out(ledger.open_sends(session.as_str()).await?);
        for (key, step) in recovery.take_notes() {
            ledger.note(&key, step).await;
        }
        Ok::<_, LedgerError>(())
    };
    let why = match timeout(NOTE_TIMEOUT, settle).await {
        Ok(Ok(())) => return,
        Ok(Err(why)) => why.to_string(),
        Err(_late) => "the disk does not keep up".to_owned(),
    };
    tracing::warn!("what becomes of the open sends is said when a device is linked: {why}");
}
