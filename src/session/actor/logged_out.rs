//! What becomes of the sends of a session that was logged out.
//!
//! Carries out what [`recovery`](crate::session::recovery) decides.

use crate::{
    ledger::Ledger,
    session::{ClienteId, recovery::Recovery},
};

/// Settles what is open, so that whoever asks is told so at once, and not when another phone is linked.
pub(super) async fn settle_sends(ledger: &Ledger, session: &ClienteId) {
    let open = match ledger.open_sends(session.as_str()).await {
        Ok(open) => open,
        Err(why) => {
            tracing::warn!(error = %why, "what becomes of the open sends is said when a device is linked: {why}");
            return;
        }
    };
    let mut recovery = Recovery::default();
    recovery.on_logged_out(open);
    for (key, step) in recovery.take_notes() {
        ledger.note(&key, step).await;
    }
}
