//! What a send asks of its page, each by a deadline.
//!
//! Not responsible for what the answers mean: [`outbox`](super::outbox) knows.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::numbers::Known;
use crate::whatsapp::{Driver, HandOverError, Handed, Outgoing, PrepareError, Prepared, Silence};

/// A page that is well answers a ping within milliseconds. Shorter than the moment that a caller waits for the last word
/// on its send.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

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
    let why = match timeout_at(limit, driver.prepare(&outgoing)).await {
        Ok(Err(why @ (PrepareError::Failed(_) | PrepareError::Unanswered(_)))) => why,
        Ok(answered) => return answered,
        Err(_elapsed) => {
            PrepareError::Unanswered("the page did not look the number up in time".to_owned())
        }
    };
    // A page that hangs, or a Chrome that was stopped, fails at everything: then it is not this message that failed.
    match timeout(SIGN_OF_LIFE, driver.ping()).await {
        Ok(Ok(())) => Err(why),
        Ok(Err(Silence::Page(silence) | Silence::Chrome(silence))) => {
            Err(PrepareError::Silent(silence))
        }
        Err(_elapsed) => {
            let silence = "neither the page nor Chrome gives a sign of life";
            Err(PrepareError::Silent(silence.to_owned()))
        }
    }
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
