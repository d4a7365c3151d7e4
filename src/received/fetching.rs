//! The way of one file: out of the page of its session, into the store.
//!
//! Each slice is hashed and written before the next one is asked for. What differs from the hash that its sender gave is not kept.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;

use super::{Described, Found, Inner, MediaId, OpenError, StoreError, store::Writing};
use crate::session::{ClienteId, FileError};

/// Slices between the page and the store: the page works on the next one while one is written.
const SLICES: usize = 1;

/// Files that are fetched at once. Each takes up to 7 MB of memory: a few slices, and for a bucket a part of an upload.
const MOST: usize = 16;

/// Of one session: its page brings one after another anyway, and a slow session must leave slots to the others.
const MOST_OF_A_SESSION: usize = 2;

/// A caller waits no longer than this for others' files. It is less than most wait for an answer.
const SLOT_TIMEOUT: Duration = Duration::from_secs(20);

/// The fetching of one file. A clone ends with the same result.
type Fetching = Shared<BoxFuture<'static, Result<(), OpenError>>>;

/// The files that are being fetched.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Arc<Mutex<HashMap<MediaId, Fetching>>>);

/// Takes a file out of the map when its fetching ends, also by a panic.
struct Entry {
    map: Arc<Mutex<HashMap<MediaId, Fetching>>>,
    id: MediaId,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.map.lock().remove(&self.id);
    }
}

impl UnderWay {
    /// Joins the fetching of this file that is under way, or begins this one as a task, which goes on when its callers go away. All who
    /// join get its result: were each to try again after a failure, one caller would wait for the tries of all before it.
    pub(super) fn join(
        &self,
        id: &MediaId,
        tasks: &TaskTracker,
        fetching: impl Future<Output = Result<(), OpenError>> + Send + 'static,
    ) -> Fetching {
        let mut under_way = self.0.lock();
        if let Some(fetching) = under_way.get(id) {
            return fetching.clone();
        }
        let (map, key) = (Arc::clone(&self.0), id.clone());
        let task = tasks.spawn(async move {
            // Made here, where the task runs: a runtime that ends drops a task as it is spawned, and the map is locked then.
            let _entry = Entry { map, id: key };
            fetching.await
        });
        let result = async move {
            let ended = task.await;
            ended.unwrap_or_else(|why| {
                Err(if why.is_panic() {
                    OpenError::Fault
                } else {
                    OpenError::ShuttingDown
                })
            })
        };
        let joined = result.boxed().shared();
        under_way.insert(id.clone(), joined.clone());
        joined
    }
}

/// How many files may be fetched at once. Each that is takes a slot.
#[derive(Debug)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    /// Of each session that has a file under way or waiting.
    of_session: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A slot that is taken.
struct Slot<'a> {
    slots: &'a Slots,
    session: &'a str,
    own: Option<Arc<Semaphore>>,
    /// Of the session, and of all.
    held: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MOST)),
            of_session: Mutex::default(),
        }
    }

    /// Takes a slot for a file of this session, if one is free by then.
    async fn take<'a>(&'a self, session: &'a str, by: Instant) -> Option<Slot<'a>> {
        let own = {
            let mut of_session = self.of_session.lock();
            let own = of_session.entry(session.to_owned());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(MOST_OF_A_SESSION))))
        };
        let mut slot = Slot {
            slots: self,
            session,
            own: Some(Arc::clone(&own)),
            held: None,
        };
        // The session's own first: a file that waits for it takes no slot from other sessions. They are never closed.
        let held = async {
            let own = own.acquire_owned().await.ok()?;
            Some((own, Arc::clone(&self.all).acquire_owned().await.ok()?))
        };
        slot.held = timeout_at(by, held).await.ok().flatten();
        slot.held.is_some().then_some(slot)
    }
}

impl Drop for Slot<'_> {
    /// Forgets the session when this was its last slot, and no file waits for one.
    fn drop(&mut self) {
        self.held = None;
        let mut of_session = self.slots.of_session.lock();
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

/// Fetches a file, unless the store has it by now, or it has more bytes than these.
pub(super) async fn unless_kept(
    media: &Inner,
    found: &Found,
    most: Option<u64>,
) -> Result<(), OpenError> {
    if is_kept(media, found).await? {
        return Ok(());
    }
    let by = Instant::now() + SLOT_TIMEOUT;
    let slot = media.slots.take(&found.described.session, by).await;
    let _slot = slot.ok_or(OpenError::Busy)?;
    fetch(media, found, most).await
}

/// Whether the store has the file, all of it.
async fn is_kept(media: &Inner, found: &Found) -> Result<bool, StoreError> {
    let Some(noted) = media.noted(&found.id).await? else {
        return Ok(false);
    };
    let name = found.id.to_string();
    Ok(media.size_of_kept(&name, &noted).await?.is_some())
}

async fn fetch(media: &Inner, found: &Found, most: Option<u64>) -> Result<(), OpenError> {
    let Described {
        session,
        message,
        sha256,
        bytes,
        ..
    } = &found.described;
    let session: Option<ClienteId> = session.parse().ok();
    let session = session.and_then(|id| media.registry.find(&id));
    let session = session.ok_or(FileError::NotRunning("DISCONNECTED"))?;
    let name = found.id.to_string();
    // Before the page is asked, which would download all of it for nothing, and again with each try.
    media.store.ensure_room(bytes.unwrap_or(0)).await?;
    let mut writing = media.store.begin(&name).await?;
    let (sink, slices) = mpsc::channel(SLICES);
    let fetching = session.fetch_media(message.clone(), most, sink);
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
    most: Option<u64>,
) -> Result<(String, u64), OpenError> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    while let Some(slice) = slices.recv().await {
        hash.update(&slice);
        bytes += slice.len() as u64;
        if most.is_some_and(|most| most < bytes) {
            return Err(FileError::TooLarge.into());
        }
        writing.push(slice).await?;
    }
    Ok((HEXLOWER.encode(&hash.finalize()), bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::{sync::oneshot, time::sleep};

    use super::*;
    use crate::received::store::{Location, Store};

    #[tokio::test]
    async fn a_file_is_fetched_once_for_all_who_ask_meanwhile_and_all_get_its_result() {
        let (under_way, tasks) = (UnderWay::default(), TaskTracker::new());
        let id = MediaId::read("med_00000000000000000000000000000001").unwrap();
        let begun = Arc::new(AtomicU32::new(0));
        let join = |ends: oneshot::Receiver<OpenError>| {
            let begun = Arc::clone(&begun);
            let fetching = async move {
                begun.fetch_add(1, Ordering::SeqCst);
                ends.await.map_or(Ok(()), Err)
            };
            under_way.join(&id, &tasks, fetching)
        };
        // Its sender is gone, so a fetching with it ends well, and at once.
        let at_once = || oneshot::channel().1;
        let (end, ends) = oneshot::channel();
        let first = join(ends);
        // The first caller goes away, others have come.
        let others: Vec<_> = (0..20).map(|_| join(at_once())).collect();
        drop(first);
        assert_eq!(tasks.len(), 1);
        end.send(FileError::AwaitsPhone.into()).unwrap();
        for other in others {
            let fetched = other.await;
            assert!(
                matches!(fetched, Err(OpenError::Session(FileError::AwaitsPhone))),
                "{fetched:?}"
            );
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        // A caller who comes later has it tried again.
        assert!(join(at_once()).await.is_ok());
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        assert!(under_way.0.lock().is_empty());
    }

    #[tokio::test]
    async fn a_fault_while_a_file_is_fetched_is_no_end_of_the_service_and_blocks_no_later_try() {
        let (under_way, tasks) = (UnderWay::default(), TaskTracker::new());
        let id = MediaId::read("med_00000000000000000000000000000001").unwrap();
        let broken = under_way.join(&id, &tasks, async { panic!("a fault of the program") });
        let fetched = broken.await;
        assert!(matches!(fetched, Err(OpenError::Fault)), "{fetched:?}");
        assert!(under_way.join(&id, &tasks, async { Ok(()) }).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_larger_than_it_may_be_is_given_up_on_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::Folder(folder.path().to_owned())).unwrap();
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
        assert_eq!(written(Some(30)).await.unwrap(), 30);
        assert_eq!(written(None).await.unwrap(), 30);
        let refused = written(Some(29)).await;
        assert!(
            matches!(refused, Err(OpenError::Session(FileError::TooLarge))),
            "{refused:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_session_leaves_slots_to_the_others_and_none_is_waited_for_without_an_end() {
        let slots = Slots::new();
        let by = || Instant::now() + SLOT_TIMEOUT;
        let slow = [slots.take("51", by()).await, slots.take("51", by()).await];
        assert!(slow.iter().all(Option::is_some));
        let since = Instant::now();
        assert!(slots.take("51", by()).await.is_none());
        assert!(SLOT_TIMEOUT <= since.elapsed());
        // Those of others have theirs, and at once.
        let since = Instant::now();
        let other = slots.take("52", by()).await;
        assert!(other.is_some());
        assert_eq!(since.elapsed(), Duration::ZERO);
        // A slot that becomes free is taken by the file that waits.
        let wait = slots.take("51", by());
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
            all.push(slots.take(name, by()).await.unwrap());
        }
        assert!(slots.take("53", by()).await.is_none());
        drop((taken, other, all));
        assert_eq!(slots.of_session.lock().len(), 0);
        assert_eq!(slots.all.available_permits(), MOST);
    }
}
