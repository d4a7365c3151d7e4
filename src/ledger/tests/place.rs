//! A file that is removed, replaced, overwritten or damaged: it is noticed, nothing is accepted, and none is begun in
//! its place.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::*;

/// A ledger with one send that was handed over under a key, and its file.
struct Place {
    folder: tempfile::TempDir,
    ledger: Ledger,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(options(folder.path()));
        accepted(&ledger, with_key("3EB0A", "order-7")).await;
        hand(&ledger, "3EB0A").await;
        Self { folder, ledger }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ledger/ledger.sqlite3")
    }

    fn aside(&self) -> PathBuf {
        self.folder.path().join("aside")
    }

    /// Nothing is accepted, neither a new request nor a repetition, and nothing read; the error says this.
    async fn assert_unusable(&self, said: &str) {
        for key in ["order-7", "order-8"] {
            let why = self.ledger.accept(with_key("3EB0B", key)).await;
            let why = why.unwrap_err().to_string();
            assert!(why.contains(said), "{key}: {why}");
        }
        let why = self.ledger.list(Query::default()).await.unwrap_err();
        assert!(why.to_string().contains(said), "{why}");
    }

    /// The repetition is known, and what is new is accepted.
    async fn assert_whole(&self) {
        let again = self.ledger.accept(with_key("3EB0C", "order-7")).await;
        assert!(matches!(again.unwrap(), Accepted::Known(_)));
        accepted(&self.ledger, with_key("3EB0D", "order-9")).await;
    }

    /// The same folder, as the next service has it.
    async fn restart(&mut self) {
        self.ledger.close().await;
        self.ledger = open(options(self.folder.path()));
    }
}

/// Writes over the content of a file, which stays the same file.
fn overwrite(file: &Path, content: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(content.len() as u64).unwrap();
    file.write_all_at(content, 0).unwrap();
    file.sync_all().unwrap();
}

#[tokio::test]
async fn a_file_that_was_removed_is_an_error_also_after_a_restart_and_never_a_new_ledger() {
    let mut place = Place::new().await;
    fs::remove_file(place.file()).unwrap();
    place.assert_unusable("is gone").await;
    assert!(!place.file().try_exists().unwrap());
    place.restart().await;
    place.assert_unusable("is gone").await;
    assert!(!place.file().try_exists().unwrap());
    // An operator who wants a new one moves the folder aside, and the service begins it.
    fs::rename(place.folder.path().join("ledger"), place.aside()).unwrap();
    place.restart().await;
    accepted(&place.ledger, with_key("3EB0B", "order-7")).await;
}

#[tokio::test]
async fn a_file_that_comes_back_is_gone_on_with() {
    let place = Place::new().await;
    fs::rename(place.file(), place.aside()).unwrap();
    place.assert_unusable("is gone").await;
    fs::rename(place.aside(), place.file()).unwrap();
    place.assert_whole().await;
}

#[tokio::test]
async fn another_file_in_its_place_is_not_used_until_a_restart() {
    let mut place = Place::new().await;
    let other = Place::new().await;
    other.ledger.close().await;
    fs::rename(place.file(), place.aside()).unwrap();
    fs::copy(other.file(), place.file()).unwrap();
    place
        .assert_unusable("is not the file that this service has open")
        .await;
    fs::remove_file(place.file()).unwrap();
    fs::rename(place.aside(), place.file()).unwrap();
    place.assert_whole().await;
    // The operator's word is the restart.
    let log = place.file().with_file_name("ledger.sqlite3-wal");
    place.ledger.close().await;
    assert!(!log.try_exists().unwrap());
    fs::copy(other.file(), place.file()).unwrap();
    place.restart().await;
    place.assert_whole().await;
}

#[tokio::test]
async fn a_file_that_is_overwritten_is_noticed_and_not_written_any_more() {
    let nonsense = |bytes: usize| b"another program".repeat(bytes / 15 + 1);
    let older = {
        let place = Place::new().await;
        place.ledger.close().await;
        fs::read(place.file()).unwrap()
    };
    for content in [vec![], nonsense(100), nonsense(1_000_000), older] {
        let mut place = Place::new().await;
        overwrite(&place.file(), &content);
        place.assert_unusable("was overwritten").await;
        place.assert_unusable("was overwritten").await;
        assert!(fs::read(place.file()).unwrap() == content, "it is written");
        // Beside what was put there the old log would do damage.
        let log = place.file().with_file_name("ledger.sqlite3-wal");
        assert!(!log.try_exists().unwrap());
        place.restart().await;
        if content.starts_with(b"SQLite") {
            place.assert_whole().await;
        } else if !content.is_empty() {
            place.assert_unusable("is damaged").await;
            assert!(fs::read(place.file()).unwrap() == content, "it is written");
        }
    }
}

#[tokio::test]
async fn a_copy_of_the_same_size_is_noticed_and_a_touch_is_none() {
    let place = Place::new().await;
    let older = fs::read(place.file()).unwrap();
    let long_ago = rustix::fs::Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let times = rustix::fs::Timestamps {
        last_access: long_ago,
        last_modification: long_ago,
    };
    // Opens nothing: to close a file that is open elsewhere in this process would take its locks away.
    let flags = rustix::fs::AtFlags::empty();
    rustix::fs::utimensat(rustix::fs::CWD, place.file(), &times, flags).unwrap();
    place.assert_whole().await;

    let mut spoilt = older.clone();
    let page = spoilt.len() / 2;
    spoilt[page..].fill(0xAA);
    overwrite(&place.file(), &spoilt[..]);
    let why = place.ledger.accept(with_key("3EB0E", "order-10")).await;
    assert!(why.unwrap_err().to_string().contains("was overwritten"));
}

#[tokio::test]
async fn a_file_that_is_damaged_before_the_start_says_so_and_what_to_do() {
    let mut place = Place::new().await;
    for n in 0..200 {
        accepted(&place.ledger, send(&format!("3EB1{n}"))).await;
    }
    place.ledger.close().await;
    let whole = fs::read(place.file()).unwrap();
    let mut damaged = whole.clone();
    let from = damaged.len() / 3 / 4096 * 4096;
    damaged[from..from + 4 * 4096].fill(0x5A);
    fs::write(place.file(), &damaged).unwrap();
    place.restart().await;
    place.assert_unusable("is damaged").await;
    place.assert_unusable("put back a copy").await;
    assert!(fs::read(place.file()).unwrap() == damaged, "it is written");
    fs::write(place.file(), &whole).unwrap();
    place.assert_whole().await;
}

/// Nothing was ever open here, so there is no file of this service to look at.
#[test]
fn a_ledger_that_could_not_be_opened_can_be_used_again_only_when_a_transaction_has_worked() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = super::disk::Disk::new(options(folder.path()));
    let in_the_way = folder.path().join("ledger");
    fs::write(&in_the_way, "").unwrap();
    assert!(!disk.look(false).unwrap(), "it was not looked at");
    for _ in 0..3 {
        disk.look(true).unwrap_err();
    }
    fs::remove_file(in_the_way).unwrap();
    assert!(disk.look(true).unwrap());
}
