//! What a session that failed leaves behind, on disk: the latest only.
//!
//! Responsible for what is kept, where, and for one whole replacing the other. What may be seen of a page at all is decided
//! where it is seen (`whatsapp`).
//!
//! ```text
//!  DATA_DIR/evidence/<cliente_id>/  evidence.json  screenshot-<milliseconds>.png
//! ```
//!
//! The JSON names its picture and replaces the one before in one step, so that a reader never gets one of each.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{fs, sync::Mutex, task::spawn_blocking};

use crate::{
    files::{Durability, found, make_folder, write_atomically},
    session::{Evidence, EvidenceError},
    whatsapp::{Driver, LeftOut, PageEvidence},
};

const WORDS: &str = "evidence.json";
const PICTURE: &str = "screenshot-";

/// Where the evidence of one session is kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EvidenceFolder {
    path: Arc<Path>,
    /// Held while it changes: two that are taken at once must not mix. Readers have folders of their own.
    changing: Arc<Mutex<()>>,
}

impl EvidenceFolder {
    /// This folder, which need not be there.
    pub(in crate::session) fn new(path: PathBuf) -> Self {
        Self {
            path: path.into(),
            changing: Arc::default(),
        }
    }

    /// The latest evidence; `None` when there is none, or none that can be understood.
    pub async fn latest(&self) -> io::Result<Option<Evidence>> {
        let words = found(fs::read(self.path.join(WORDS)).await)?;
        // A file of a later version is as good as none.
        Ok(words.and_then(|words| serde_json::from_slice(&words).ok()))
    }

    /// The latest evidence's picture.
    pub async fn screenshot(&self) -> io::Result<Option<Vec<u8>>> {
        let mut gone = None;
        loop {
            let latest = self.latest().await?;
            let name = latest.and_then(|latest| latest.screenshot);
            // Other evidence may take its place between the two reads; its words are there before this picture goes.
            let Some(name) = name.filter(|name| gone.as_ref() != Some(name)) else {
                return Ok(None);
            };
            let picture = found(fs::read(self.path.join(&name)).await)?;
            if picture.is_some() {
                return Ok(picture);
            }
            gone = Some(name);
        }
    }

    /// Puts this in the place of what was there.
    pub(in crate::session) async fn keep(
        &self,
        mut evidence: Evidence,
        picture: Option<Vec<u8>>,
    ) -> io::Result<Evidence> {
        let _alone = self.changing.lock().await;
        let folder = Arc::clone(&self.path);
        spawn_blocking(move || make_folder(&folder)).await??;
        if let Some(picture) = picture {
            let name = format!("{PICTURE}{}.png", evidence.taken_at.as_millisecond());
            write(self.path.join(&name), picture).await?;
            evidence.screenshot = Some(name);
        }
        let words = serde_json::to_vec_pretty(&evidence)?;
        write(self.path.join(WORDS), words).await?;
        self.forget_pictures_but(evidence.screenshot.as_deref())
            .await?;
        Ok(evidence)
    }

    async fn forget_pictures_but(&self, present: Option<&str>) -> io::Result<()> {
        let mut entries = fs::read_dir(&self.path).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            let is_picture = name.to_str().is_some_and(|name| name.starts_with(PICTURE));
            if is_picture && name.to_str() != present {
                fs::remove_file(entry.path()).await?;
            }
        }
        Ok(())
    }

    /// Keeps what was seen of a page with `evidence`, which is what is known without the page.
    pub(in crate::session) async fn keep_seen(
        &self,
        evidence: Evidence,
        seen: PageEvidence,
    ) -> io::Result<Evidence> {
        let (evidence, picture) = evidence.with(seen);
        self.keep(evidence, picture).await
    }

    /// Looks at a page because a caller asks for it.
    pub(in crate::session) async fn take_now(
        self,
        driver: &impl Driver,
        evidence: Evidence,
    ) -> Result<Evidence, EvidenceError> {
        let seen = driver.evidence().await;
        if seen.screenshot == Err(LeftOut::Chats) {
            return Err(EvidenceError::OfChats);
        }
        Ok(self.keep_seen(evidence, seen).await?)
    }

    /// Leaves nothing.
    pub(in crate::session) async fn delete(&self) -> io::Result<()> {
        let _alone = self.changing.lock().await;
        found(fs::remove_dir_all(&self.path).await).map(drop)
    }
}

/// Without a sync: evidence is for a person who looks at a failure soon after it. After a power cut a broken file counts as none.
async fn write(path: PathBuf, bytes: Vec<u8>) -> io::Result<()> {
    spawn_blocking(move || write_atomically(&path, &bytes, Durability::ServiceEnd)).await?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::Timestamp;

    use super::*;
    use crate::session::{Reason, ReasonCode, Snapshot};

    fn evidence(code: ReasonCode) -> Evidence {
        let snapshot = Snapshot::not_running(Timestamp::UNIX_EPOCH);
        Evidence::of(&snapshot).because(Some(&Reason::new(code, "why")))
    }

    #[tokio::test]
    async fn only_the_latest_is_kept_and_only_for_this_user() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("evidence/51");
        let folder = EvidenceFolder::new(path.clone());
        assert_eq!(folder.latest().await.unwrap(), None);

        let first = evidence(ReasonCode::PageLost);
        folder.keep(first, Some(vec![1])).await.unwrap();
        assert_eq!(folder.screenshot().await.unwrap(), Some(vec![1]));
        let mut second = evidence(ReasonCode::CodeTimeout);
        second.taken_at = Timestamp::now() + std::time::Duration::from_secs(1);
        let second = folder.keep(second, Some(vec![2])).await.unwrap();
        // Another reader, as after a restart.
        let reader = EvidenceFolder::new(path.clone());
        assert_eq!(reader.latest().await.unwrap(), Some(second));
        assert_eq!(reader.screenshot().await.unwrap(), Some(vec![2]));

        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        let files: Vec<_> = path.read_dir().unwrap().flatten().collect();
        assert_eq!(files.len(), 2, "{files:?}");
        assert!(files.iter().all(|file| mode(&file.path()) == 0o600));

        let without = evidence(ReasonCode::LaunchTimeout);
        folder.keep(without, None).await.unwrap();
        assert_eq!(folder.screenshot().await.unwrap(), None);
        folder.delete().await.unwrap();
        folder.delete().await.unwrap();
        assert_eq!(folder.latest().await.unwrap(), None);
        assert!(!path.try_exists().unwrap());
    }

    #[tokio::test]
    async fn a_reader_always_gets_a_picture_while_one_replaces_the_other() {
        const EVIDENCE: u8 = 100;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("51");
        let folder = EvidenceFolder::new(path.clone());
        let keep = |nth: u8| {
            let mut evidence = evidence(ReasonCode::PageLost);
            evidence.taken_at += std::time::Duration::from_secs(nth.into());
            folder.keep(evidence, Some(vec![nth]))
        };
        keep(0).await.unwrap();
        let reading = async {
            let reader = EvidenceFolder::new(path);
            let mut latest = 0;
            while latest < EVIDENCE {
                let picture = reader.screenshot().await.unwrap();
                latest = picture.expect("there always is one")[0];
            }
        };
        let keeping = async {
            for nth in 1..=EVIDENCE {
                keep(nth).await.unwrap();
            }
        };
        tokio::join!(reading, keeping);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_understood_is_none() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(WORDS), "{").unwrap();
        let folder = EvidenceFolder::new(home.path().to_owned());
        assert_eq!(folder.latest().await.unwrap(), None);
    }
}
