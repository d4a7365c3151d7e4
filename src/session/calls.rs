//! What a send asks of its page, each by a deadline.
//!
//! Not responsible for what the answers mean: [`outbox`](super::outbox) knows.

use tokio::time::{Instant, timeout_at};

use super::numbers::Known;
use crate::whatsapp::{Driver, HandOverError, Handed, Outgoing, PrepareError, Prepared};

/// Makes a message ready, unless what is known of its number says that there is nobody to send it to.
pub(super) async fn prepare<D: Driver>(
    driver: &D,
    known: Option<Known>,
    outgoing: Outgoing,
    limit: Instant,
) -> Result<Prepared, PrepareError> {
    let chat = match known {
        Some(Known::Nowhere) => return Err(PrepareError::NotOnWhatsApp),
        Some(Known::At(chat)) => Some(chat),
        None => None,
    };
    let outgoing = Outgoing { chat, ..outgoing };
    let prepared = timeout_at(limit, driver.prepare(&outgoing)).await;
    prepared.unwrap_or_else(|_elapsed| {
        let why = "the page did not look the number up in time; nothing was sent";
        Err(PrepareError::Failed(why.to_owned()))
    })
}

/// Hands a message over.
pub(super) async fn hand_over<D: Driver>(
    driver: &D,
    prepared: Prepared,
    outgoing: Outgoing,
    limit: Instant,
) -> Result<Handed, HandOverError> {
    let handed = timeout_at(limit, driver.hand_over(&prepared, &outgoing)).await;
    handed.unwrap_or_else(|_elapsed| {
        let why = "the page did not say in time whether it took the message";
        Err(HandOverError::Unknown(why.to_owned()))
    })
}
