//! The files that messages bring: pictures, videos, sounds, documents, stickers.
//!
//! ```text
//!  http ──▶ received ──▶ store        a folder, or a bucket
//!             │
//!             └─────▶ session      the page brings a file that is not there yet
//! ```
//!
//! Responsible for which files there are, for fetching each from the page of its session once, and for forgetting it again. In reading
//! order:
//!
//! - [`store`] keeps files; with [`bucket`], which reaches one, the only file that names `object_store`.
//! - [`range`] reads what part of a file a request wants; pure.
//! - [`fetching`] gets a file out of a page into the store.
//! - [`eager`] does so for each message that comes, where the settings say so.
//! - this file has the face of all of it.
//!
//! A file is named by the event that told of its message: the log of events says what it is, whose and of which message. What is in the
//! store has the same beside it, since it may be kept for longer than the event. A file is in the store whole or not at all: its note is
//! written last. The bytes of a file go through memory a slice at a time.
//!
//! No name of a file, and no address of a chat, is in a log.

mod bucket;
mod eager;
mod fetching;
mod range;
mod store;

use std::{fmt, sync::Arc, time::Duration};

pub use bucket::Bucket;
use bytes::Bytes;
use fetching::{Slots, UnderWay};
use futures_util::stream::BoxStream;
pub use range::{Part, Unsatisfiable};
use serde::{Deserialize, Serialize};
use store::Store;
pub use store::{Location, StoreError};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    heard::{EVENT_ID_START, HeardMessage, MEDIA_ID_START, media_id},
    ledger::{Event, EventKind, ReadError},
    masked::{Text, WaId},
    session::{FileError, Registry},
};

/// How often the store is looked through for what is too old.
const SWEEP_EVERY: Duration = Duration::from_secs(15 * 60);

/// The hexadecimal digits behind it.
const ID_DIGITS: usize = 32;

/// When files are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Download {
    /// When a caller asks for one.
    #[default]
    Demand,
    /// As soon as its message has come.
    Always,
}

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct ReceivedOptions {
    /// When files are fetched.
    pub download: Download,
    /// Those with more bytes are fetched only when a caller asks for one: anybody may send them.
    pub download_most: u64,
    /// For how long they are kept.
    pub retention: Duration,
    /// Where they are kept.
    pub location: Location,
}

/// The id of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaId(String);

impl MediaId {
    /// That of the file of a message that this event tells of.
    pub fn of_event(event: &str) -> Option<Self> {
        Self::read(&media_id(event)?)
    }

    /// An id as callers write it. It becomes a part of names, so its alphabet is closed.
    pub fn read(id: &str) -> Option<Self> {
        let digits = id.strip_prefix(MEDIA_ID_START)?;
        let is_id = digits.len() == ID_DIGITS
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_id.then(|| Self(digits.to_owned()))
    }

    fn event(&self) -> String {
        format!("{EVENT_ID_START}{}", self.0)
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MEDIA_ID_START}{}", self.0)
    }
}

/// What is known of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Described {
    /// The session that heard of it.
    pub session: String,
    /// The full id of its message.
    message: WaId,
    /// Its type, as its sender says it.
    pub mimetype: Option<String>,
    /// Its name, as its sender says it.
    pub filename: Option<Text>,
    /// The SHA-256 of its bytes, in hexadecimal digits, as its sender says it.
    pub sha256: Option<String>,
    /// Its size: as its sender says it, and of a file that is kept the size that it had when it was written.
    bytes: Option<u64>,
}

impl Described {
    /// One of which only this is known.
    #[cfg(test)]
    pub(crate) fn named(mimetype: Option<&str>, filename: Option<&str>) -> Self {
        Self {
            session: "51".to_owned(),
            message: WaId::default(),
            mimetype: mimetype.map(str::to_owned),
            filename: filename.map(Text::from),
            sha256: None,
            bytes: None,
        }
    }

    /// The file of a message that an event tells of.
    fn of(event: &Event) -> Option<Self> {
        if !matches!(event.kind, EventKind::Message | EventKind::OwnMessage) {
            return None;
        }
        let message: HeardMessage = serde_json::from_str(&event.data).ok()?;
        let media = message.media?;
        Some(Self {
            session: event.session.clone(),
            message: message.id,
            mimetype: media.mimetype,
            filename: media.filename,
            sha256: media.sha256,
            bytes: media.bytes,
        })
    }
}

/// A file, and where it is known from.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which.
    pub id: MediaId,
    /// What it is.
    pub described: Described,
    /// The store has a note of it.
    is_kept: bool,
}

/// A file that is given out.
pub struct Opened {
    /// The size of all of it.
    pub size: u64,
    /// Which of its bytes come.
    pub part: Part,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Why a file is not given out. A clone is the same error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// The session or its page does not give it.
    #[error(transparent)]
    Session(#[from] FileError),
    /// What the page gave is not what the message said.
    #[error("{0}")]
    OtherBytes(&'static str),
    /// Others are being fetched, of its session or of all.
    #[error(
        "the file is not here yet, and as many others as can be at once are on their way: ask again in a moment"
    )]
    Busy,
    /// No byte of it is meant.
    #[error(transparent)]
    Range(#[from] Unsatisfiable),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task that fetched it has ended by a panic. The panic's own line in the log has the place.
    #[error("fetching the file broke off, which is a fault of this program: its log has the place")]
    Fault,
    /// The service stops.
    #[error("the service is shutting down")]
    ShuttingDown,
}

/// All files. A clone is the same.
#[derive(Clone, Debug)]
pub struct Received(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Arc<Registry>,
    store: Store,
    options: ReceivedOptions,
    /// Each file is fetched once, however many ask for it.
    under_way: UnderWay,
    slots: Slots,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Received {
    /// Files of the messages that `registry` hears of.
    ///
    /// # Errors
    ///
    /// The folder cannot be made. A bucket is asked for nothing yet.
    pub fn open(registry: Arc<Registry>, options: ReceivedOptions) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Inner {
            store: Store::open(&options.location)?,
            registry,
            options,
            under_way: UnderWay::default(),
            slots: Slots::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })))
    }

    /// Begins to forget what is too old, and to fetch what comes if that is set. Waits for nothing; to be called once.
    pub fn begin(&self) {
        let own = self.clone();
        self.spawn(async move { own.sweep().await });
        if self.0.options.download == Download::Always {
            let own = self.clone();
            self.spawn(async move { eager::run(own).await });
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Ends what is under way. A file that is being fetched is not kept.
    pub async fn shut_down(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    async fn sweep(&self) {
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.0.store.forget_older(self.0.options.retention).await {
                Ok(0) => {}
                Ok(files) => tracing::info!(
                    files,
                    "{files} files of messages were too old, and are deleted"
                ),
                Err(why) => {
                    tracing::warn!(error = %why, "files of messages that are too old could not be looked for: {why}");
                }
            }
        }
    }

    /// What is known of a file: by the log of events, or beside the file itself.
    ///
    /// # Errors
    ///
    /// Neither can be read.
    pub async fn find(&self, id: &MediaId) -> Result<Option<Found>, FindError> {
        if let Some(described) = self.0.noted(id).await? {
            return Ok(Some(Found {
                id: id.clone(),
                described,
                is_kept: true,
            }));
        }
        let event = self.0.registry.ledger().event(&id.event()).await?;
        let described = event.as_ref().and_then(Described::of);
        Ok(described.map(|described| Found {
            id: id.clone(),
            described,
            is_kept: false,
        }))
    }

    /// A file, or the part of it that a header `Range` means. Has it fetched if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be had, or no part of it is meant.
    pub async fn give(&self, found: &Found, range: Option<&str>) -> Result<Opened, OpenError> {
        let name = found.id.to_string();
        let kept = if found.is_kept {
            self.0.size_of_kept(&name, &found.described).await?
        } else {
            None
        };
        let size = if kept.is_some() {
            kept
        } else {
            self.fetch(found, None).await?;
            self.0.store.size(&name).await?
        };
        let size = size.ok_or(StoreError::Lost)?;
        let part = range::meant(range, size)?;
        let bytes = self.0.store.read(&name, part.clone()).await?;
        Ok(Opened { size, part, bytes })
    }

    /// Has a file fetched, if it has no more bytes than these. It is fetched once, however many ask for it, and goes on when its callers go
    /// away.
    async fn fetch(&self, found: &Found, most: Option<u64>) -> Result<(), OpenError> {
        loop {
            let (own, found) = (self.clone(), found.clone());
            let id = found.id.clone();
            let fetching = async move {
                let stop = own.0.stop.clone();
                let fetched = stop
                    .run_until_cancelled(fetching::unless_kept(&own.0, &found, most))
                    .await;
                fetched.unwrap_or(Err(OpenError::ShuttingDown))
            };
            let joined = self.0.under_way.join(&id, &self.0.tasks, fetching);
            match joined.await {
                // It was fetched for another one, with a limit that does not count here.
                Err(OpenError::Session(FileError::TooLarge)) if most.is_none() => {}
                fetched => return fetched,
            }
        }
    }
}

impl Inner {
    /// What the store has noted of a file. A note that cannot be read is none.
    async fn noted(&self, id: &MediaId) -> Result<Option<Described>, StoreError> {
        let note = self.store.note(&id.to_string()).await?;
        Ok(note.and_then(|note| serde_json::from_slice(&note).ok()))
    }

    /// The size of a file that is noted, if all of it is there: its bytes may have been deleted, or cut off by a power cut. Earlier versions
    /// have noted no size.
    async fn size_of_kept(&self, name: &str, noted: &Described) -> Result<Option<u64>, StoreError> {
        let size = self.store.size(name).await?;
        Ok(size.filter(|size| noted.bytes.is_none_or(|bytes| bytes == *size)))
    }
}

/// Why it is not known whether there is a file.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be read.
    #[error(transparent)]
    Ledger(#[from] ReadError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_file_is_that_of_its_event_under_another_name() {
        let event = "evt_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa";
        let id = MediaId::of_event(event).unwrap();
        assert_eq!(id.to_string(), "med_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa");
        assert_eq!(MediaId::read(&id.to_string()), Some(id.clone()));
        assert_eq!(id.event(), event);
        for strange in [
            "",
            "med_",
            event,
            "med_4f1c",
            "med_../../../../../../../../../../etc/",
            "med_4F1C0B7F7B0D4C63A1B8F0D6F3F5C9AA",
        ] {
            assert_eq!(MediaId::read(strange), None, "{strange}");
        }
    }
}
