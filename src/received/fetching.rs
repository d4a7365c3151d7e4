//! The way of one file: out of the page of its session, into the store.
//!
//! Each slice is hashed and written before the next one is asked for. What differs from the hash that its sender gave is not kept.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout_at},
};

use super::{Described, Found, Inner, OpenError, StoreError, store::Writing};
use crate::session::{ClienteId, FileError};

/// Slices between the page and the store: the page works on the next one while one is written.
const SLICES: usize = 1;

/// Files that are fetched at once. Each takes up to 7 MB of memory: a few slices, and for a bucket a part of an upload.
const MOST: usize = 16;

/// Of one session: its page brings one after another anyway, and one that is slow must leave places to the others.
const MOST_OF_A_SESSION: usize = 2;

/// A caller waits no longer than this for others' files. It is less than most wait for an answer.
const PLACE_TIMEOUT: Duration = Duration::from_secs(20);

/// The places of files that are being fetched.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// Of each session that has a file under way or waiting.
    of_session: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place that is taken.
struct Place<'a> {
    places: &'a Places,
    session: &'a str,
    own: Option<Arc<Semaphore>>,
    /// Of the session, and of all.
    held: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MOST)),
            of_session: Mutex::default(),
        }
    }

    /// A place for a file of this session, if there is one by then.
    async fn take<'a>(&'a self, session: &'a str, by: Instant) -> Option<Place<'a>> {
        let own = {
            let mut of_session = self.of_session.lock();
            let own = of_session.entry(session.to_owned());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(MOST_OF_A_SESSION))))
        };
        let mut place = Place {
            places: self,
            session,
            own: Some(Arc::clone(&own)),
            held: None,
        };
        // Its own first: who waits for one holds none of all. They are never closed.
        let held = async {
            let own = own.acquire_owned().await.ok()?;
            Some((own, Arc::clone(&self.all).acquire_owned().await.ok()?))
        };
        place.held = timeout_at(by, held).await.ok().flatten();
        place.held.is_some().then_some(place)
    }
}

impl Drop for Place<'_> {
    /// Forgets the session when this was the last one that had to do with it.
    fn drop(&mut self) {
        self.held = None;
        let mut of_session = self.places.of_session.lock();
        self.own = None;
        // Only those in the map have no other owner.
        if of_session
            .get(self.session)
            .is_some_and(|own| Arc::strong_count(own) == 1)
        {
            of_session.remove(self.session);
        }
    }
}

/// Fetches a file, unless another task has done so meanwhile, or it has more bytes than these.
pub(super) async fn once(media: &Inner, found: &Found, most: Option<u64>) -> Result<(), OpenError> {
    let by = Instant::now() + PLACE_TIMEOUT;
    let turn = Arc::clone(media.fetches.lock().entry(found.id.clone()).or_default());
    let fetched = {
        let _held = turn.lock().await;
        unless_kept(media, found, most, by).await
    };
    let mut under_way = media.fetches.lock();
    // In the map, and here.
    if Arc::strong_count(&turn) <= 2 {
        under_way.remove(&found.id);
    }
    drop(under_way);
    fetched
}

async fn unless_kept(
    media: &Inner,
    found: &Found,
    most: Option<u64>,
    by: Instant,
) -> Result<(), OpenError> {
    if is_kept(media, found).await? {
        return Ok(());
    }
    // One that has waited for the same file until now gets a place that is free.
    let place = media.places.take(&found.described.session, by).await;
    let _place = place.ok_or(OpenError::Busy)?;
    fetch(media, found, most.unwrap_or(u64::MAX)).await
}

/// Whether the store has the file, all of it.
async fn is_kept(media: &Inner, found: &Found) -> Result<bool, StoreError> {
    let Some(noted) = media.noted(&found.id).await? else {
        return Ok(false);
    };
    let name = found.id.to_string();
    Ok(media.size_of_kept(&name, &noted).await?.is_some())
}

async fn fetch(media: &Inner, found: &Found, most: u64) -> Result<(), OpenError> {
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
    let (fetched, written) = tokio::join!(fetching, write(&mut writing, slices, most));
    let verdict = match (written, fetched) {
        (Err(why), _) => Err(why),
        (Ok(_), Err(why)) => Err(why.into()),
        (Ok((hash, bytes)), Ok(())) if sha256.as_ref().is_none_or(|sha256| *sha256 == hash) => {
            Ok(bytes)
        }
        (Ok(_), Ok(())) => Err(OpenError::OtherBytes(
            "what WhatsApp gave is not what the message said: its hash is another one",
        )),
    };
    let bytes = match verdict {
        Ok(bytes) => {
            writing.finish().await?;
            bytes
        }
        Err(why) => {
            writing.give_up().await;
            return Err(why);
        }
    };
    let noted = Described {
        bytes: Some(bytes),
        ..found.described.clone()
    };
    // A struct of texts is always written.
    let note = serde_json::to_vec(&noted).unwrap_or_default();
    media.store.note_down(&name, note).await?;
    Ok(())
}

/// Writes slices until no more come. Answers the hash of all, and how many bytes they are.
async fn write(
    writing: &mut Writing,
    mut slices: mpsc::Receiver<Bytes>,
    most: u64,
) -> Result<(String, u64), OpenError> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    while let Some(slice) = slices.recv().await {
        hash.update(&slice);
        bytes += slice.len() as u64;
        if most < bytes {
            return Err(OpenError::OtherBytes(
                "it is larger than its message says, and than MEDIA_DOWNLOAD_MAX_MB allows",
            ));
        }
        writing.push(slice).await?;
    }
    Ok((HEXLOWER.encode(&hash.finalize()), bytes))
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::received::store::{Place as StorePlace, Store};

    #[tokio::test]
    async fn a_file_that_is_larger_than_it_may_be_is_given_up_on_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StorePlace::Folder(folder.path().to_owned())).unwrap();
        let name = "med_00000000000000000000000000000001";
        let written = async |most| {
            let mut writing = store.begin(name).await.unwrap();
            let (sink, slices) = mpsc::channel(3);
            for _ in 0..3 {
                sink.send(Bytes::from_static(b"0123456789")).await.unwrap();
            }
            drop(sink);
            let written = write(&mut writing, slices, most).await;
            writing.give_up().await;
            written.map(|(_, bytes)| bytes)
        };
        assert_eq!(written(30).await.unwrap(), 30);
        assert!(matches!(written(29).await, Err(OpenError::OtherBytes(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_session_leaves_places_to_the_others_and_none_is_waited_for_without_an_end() {
        let places = Places::new();
        let by = || Instant::now() + PLACE_TIMEOUT;
        let slow = [places.take("51", by()).await, places.take("51", by()).await];
        assert!(slow.iter().all(Option::is_some));
        let since = Instant::now();
        assert!(places.take("51", by()).await.is_none());
        assert!(PLACE_TIMEOUT <= since.elapsed());
        // Those of others have theirs, and at once.
        let since = Instant::now();
        let other = places.take("52", by()).await;
        assert!(other.is_some());
        assert_eq!(since.elapsed(), Duration::ZERO);
        // A place that becomes free is taken by the one who waits.
        let wait = places.take("51", by());
        let free = async {
            sleep(Duration::from_secs(1)).await;
            drop(slow);
        };
        let (taken, ()) = tokio::join!(wait, free);
        assert!(taken.is_some());
        // Also of all together there is an end.
        let names: Vec<_> = (0..MOST).map(|session| format!("9{session}")).collect();
        let mut all = Vec::new();
        for name in &names[..MOST - 2] {
            all.push(places.take(name, by()).await.unwrap());
        }
        assert!(places.take("53", by()).await.is_none());
        drop((taken, other, all));
        assert_eq!(places.of_session.lock().len(), 0);
        assert_eq!(places.all.available_permits(), MOST);
    }
}
