//! Reads of the ledger, each on its own connection beside the one that writes: a write never waits for a read.
//!
//! Responsible for how many reads run at once and for how long one may take. The keeper decides which file is read: it opens
//! the file, and notices when it is no longer the right one.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::spawn_blocking,
    time::timeout,
};

use super::{
    Checked, FILE, File, Identity, STEPS_BETWEEN_LOOKS, StoreError, check, connect,
    is_interruption, look_at,
};

/// Reads at once. Each keeps a core busy while it lasts. The machines that this runs on have two cores or more, which the
/// sessions' writes and Chromes need too.
const READS_AT_ONCE: u16 = 4;

/// How long a read may take. One that finds its rows by an index takes a few milliseconds; one that takes longer than this
/// waits for a slow disk, and its caller is answered so.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a read waits for its turn. If its turn does not come by then, too many callers read at once.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits for a read that has its turn. A disk that hangs blocks the thread for ever, but not the caller.
const HANGING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a check of the whole file may take while the service goes on; 100 MB take about a second.
const CHECK_TIMEOUT: Duration = Duration::from_secs(120);

/// Why there is nothing to read.
#[derive(Debug)]
pub(in crate::ledger) enum Unread {
    /// The keeper has no file open.
    Closed,
    /// Too many read at once, or the disk does not keep up.
    Busy,
    /// The file cannot be used.
    Failed(StoreError),
}

/// The file that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct OpenFile {
    pub(in crate::ledger) folder: PathBuf,
    pub(in crate::ledger) identity: Identity,
    /// How often the keeper has opened it: another number means that idle connections are stale.
    pub(in crate::ledger) opening: u64,
}

/// The connections for reads. A clone is the same.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct Readers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    turns: Arc<Semaphore>,
    file: watch::Sender<Option<OpenFile>>,
    /// Connections to the present file that no read uses now.
    idle: Mutex<Vec<Reader>>,
}

/// A connection and what it reads.
#[derive(Debug)]
struct Reader {
    connection: File,
    file: OpenFile,
}

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Shared {
            turns: Arc::new(Semaphore::new(READS_AT_ONCE.into())),
            file: watch::Sender::new(None),
            idle: Mutex::default(),
        }))
    }
}

impl Readers {
    /// From now on reads use this file, or are answered that none is open.
    pub(in crate::ledger) fn set(&self, file: Option<OpenFile>) {
        let is_other = self.0.file.send_if_modified(|present| {
            let is_other = *present != file;
            *present = file;
            is_other
        });
        if is_other {
            self.0.idle.lock().clear();
        }
    }

    /// Runs `work` on the file, in its turn.
    pub(in crate::ledger) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Unread> {
        let turn = Arc::clone(&self.0.turns).acquire_owned();
        let Ok(Ok(turn)) = timeout(TURN_TIMEOUT, turn).await else {
            return Err(Unread::Busy);
        };
        let file = self.0.file.borrow().clone().ok_or(Unread::Closed)?;
        let readers = self.clone();
        let reading = spawn_blocking(move || {
            // Held until the read is over, also when its caller no longer waits.
            let _turn = turn;
            readers.read_now(file, work)
        });
        match timeout(HANGING_TIMEOUT, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(_panicked)) => Err(Unread::Closed),
            Err(_elapsed) => Err(Unread::Busy),
        }
    }

    fn read_now<T>(
        &self,
        file: OpenFile,
        work: impl FnOnce(&File) -> Result<T, StoreError>,
    ) -> Result<T, Unread> {
        let path = file.folder.join(FILE);
        // An open file that was moved away can still be read, but its content may be out of date.
        let present = look_at(&path).map_err(|why| Unread::Failed(why.into()))?;
        if present.as_ref().map(Identity::of) != Some(file.identity) {
            return Err(Unread::Closed);
        }
        let idle = self
            .0
            .idle
            .lock()
            .pop()
            .filter(|reader| reader.file == file);
        let reader = idle.map_or_else(|| Reader::open(file), Ok)?;
        let until = Instant::now() + READ_TIMEOUT;
        let limited = reader
            .connection
            .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || until < Instant::now()));
        let read = limited
            .map_err(StoreError::from)
            .and_then(|()| work(&reader.connection));
        match read {
            Ok(read) => {
                if self.0.file.borrow().as_ref() == Some(&reader.file) {
                    self.0.idle.lock().push(reader);
                }
                Ok(read)
            }
            Err(StoreError::Sqlite { why }) if is_interruption(&why) => Err(Unread::Busy),
            Err(why) => Err(Unread::Failed(why.about(&reader.file.folder))),
        }
    }

    /// Waits until no read uses the file. While the permit is held, new reads wait for their turn.
    pub(in crate::ledger) fn pause(
        &self,
    ) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + 'static {
        let all = Arc::clone(&self.0.turns).acquire_many_owned(READS_AT_ONCE.into());
        async move { all.await.ok() }
    }

    /// Checks the whole file for damage. Blocks; takes no turn of the reads.
    pub(in crate::ledger) fn check(&self) -> Result<Checked, StoreError> {
        let Some(file) = self.0.file.borrow().clone() else {
            return Ok(Checked::InPart);
        };
        let path = file.folder.join(FILE);
        check(&connect(&path)?, &path, CHECK_TIMEOUT)
    }
}

impl Reader {
    fn open(file: OpenFile) -> Result<Self, Unread> {
        let open = || -> Result<File, StoreError> {
            let connection = connect(&file.folder.join(FILE))?;
            connection.execute_batch("PRAGMA query_only = ON")?;
            Ok(connection)
        };
        match open() {
            Ok(connection) => Ok(Self { connection, file }),
            Err(why) => Err(Unread::Failed(why.about(&file.folder))),
        }
    }
}
