//! What becomes of the sends of a session that was logged out.
//!
//! Carries out what [`recovery`](crate::session::sending::recovery) decides.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    ledger::{Ledger, LedgerError},
    session::{ClienteId, sending::recovery::Recovery},
};

/// The ledger answers within milliseconds unless the disk stands still, and a caller waits for the end of the logout.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Settles what is open, so that a caller who asks learns it at once, and not when another phone is linked.
pub(super) async fn settle_sends(ledger: &Ledger, session: &ClienteId) {
    let open = timeout(READ_TIMEOUT, ledger.open_sends(session.as_str()));
    let why = match open.await {
        Ok(Ok(open)) => {
            let mut recovery = Recovery::default();
            recovery.on_logged_out(open);
            for (key, step) in recovery.take_notes() {
                ledger.note(&key, step);
            }
            return;
        }
        Ok(Err(LedgerError(why))) => why,
        Err(_late) => "the disk does not keep up".to_owned(),
    };
    tracing::warn!("what becomes of the open sends is said when a device is linked: {why}");
}
