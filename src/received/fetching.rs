//! The way of one file: out of the page of its session, into the store.
//!
//! Each slice is hashed and written before the next one is asked for. What differs from the hash that its sender gave is not kept.

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{Described, Found, Inner, OpenError, StoreError, store::Writing};
use crate::session::{ClienteId, FileError};

/// Slices between the page and the store: the page works on the next one while one is written.
const SLICES: usize = 1;

/// Fetches a file, unless another task has done so meanwhile.
pub(super) async fn once(media: &Inner, found: &Found) -> Result<(), OpenError> {
    let turn = Arc::clone(media.fetches.lock().entry(found.id.clone()).or_default());
    let fetched = {
        let _held = turn.lock().await;
        if media.store.note(&found.id.to_string()).await?.is_some() {
            Ok(())
        } else {
            // Never closed.
            let _place = media.places.acquire().await;
            fetch(media, found).await
        }
    };
    let mut under_way = media.fetches.lock();
    // In the map, and here.
    if Arc::strong_count(&turn) <= 2 {
        under_way.remove(&found.id);
    }
    drop(under_way);
    fetched
}

async fn fetch(media: &Inner, found: &Found) -> Result<(), OpenError> {
    let Described {
        session,
        message,
        sha256,
        ..
    } = &found.described;
    let session: Option<ClienteId> = session.parse().ok();
    let session = session.and_then(|id| media.registry.find(&id));
    let session = session.ok_or(FileError::NotRunning("DISCONNECTED"))?;
    let name = found.id.to_string();
    let mut writing = media.store.begin(&name).await?;
    let (sink, slices) = mpsc::channel(SLICES);
    let fetching = session.fetch_media(message.clone(), sink);
    let (fetched, written) = tokio::join!(fetching, write(&mut writing, slices));
    let verdict = match (written, fetched) {
        (Err(why), _) => Err(why.into()),
        (Ok(_), Err(why)) => Err(why.into()),
        (Ok(hash), Ok(())) if sha256.as_ref().is_none_or(|sha256| *sha256 == hash) => Ok(()),
        (Ok(_), Ok(())) => Err(OpenError::OtherBytes(
            "what WhatsApp gave is not what the message said: its hash is another one",
        )),
    };
    match verdict {
        Ok(()) => writing.finish().await?,
        Err(why) => {
            writing.give_up().await;
            return Err(why);
        }
    }
    // A struct of texts is always written.
    let note = serde_json::to_vec(&found.described).unwrap_or_default();
    media.store.note_down(&name, note).await?;
    Ok(())
}

/// Writes slices until no more come. Answers the hash of all.
async fn write(
    writing: &mut Writing,
    mut slices: mpsc::Receiver<Bytes>,
) -> Result<String, StoreError> {
    let mut hash = Sha256::new();
    while let Some(slice) = slices.recv().await {
        hash.update(&slice);
        writing.push(slice).await?;
    }
    Ok(HEXLOWER.encode(&hash.finalize()))
}
