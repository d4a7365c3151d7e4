//! Which session has which account: the sessions whose page is open, and those that do not run.
//!
//! Two profiles may be copies of one, and their sessions take the account from each other. And a pairing code for a number
//! costs another session of that number its link (docs/whatsapp.md#linking-by-phone-number).
//!
//! Responsible for the names only: who takes the account back, and how often, `lifecycle::deadlines` decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{task::spawn_blocking, time::timeout};

use super::desired;
use crate::{
    browser::{Link, ProfileNote},
    masked::Number,
    session::{ClienteId, Recipient},
};

/// A thousand notes are read within a tenth of a second. A disk that takes longer hangs, and no caller may hang with it.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// The accounts of all sessions. A clone is the same.
#[derive(Clone, Debug)]
pub(in crate::session) struct Accounts(Arc<Known>);

#[derive(Debug)]
struct Known {
    /// Of the sessions whose page is open.
    open: Mutex<BTreeMap<ClienteId, Number>>,
    /// The profiles, whose notes say what they are linked to.
    tokens_dir: PathBuf,
    /// The records of the sessions, which outlive the profiles.
    sessions_dir: PathBuf,
}

impl Accounts {
    /// Of the sessions that are kept in these folders.
    pub(in crate::session) fn new(tokens_dir: PathBuf, sessions_dir: PathBuf) -> Self {
        Self(Arc::new(Known {
            open: Mutex::default(),
            tokens_dir,
            sessions_dir,
        }))
    }

    /// The place of a session whose page opens.
    pub(in crate::session) fn hold(&self, id: &ClienteId) -> HeldAccount {
        HeldAccount {
            id: id.clone(),
            accounts: self.clone(),
        }
    }

    /// A session other than `asking` that is linked to the account of this number, whether it runs or not. One whose profile
    /// does not say its account, as after a link that only the adapter `dom` has seen, is not found.
    pub(in crate::session) async fn session_linked_to(
        &self,
        phone: &Recipient,
        asking: &ClienteId,
    ) -> Option<ClienteId> {
        if let Some(found) = find(&self.0.open.lock(), phone, Some(asking)) {
            return Some(found);
        }
        self.session_on_disk(phone, Some(asking)).await
    }

    async fn session_on_disk(
        &self,
        phone: &Recipient,
        asking: Option<&ClienteId>,
    ) -> Option<ClienteId> {
        let on_disk = self.read(Known::on_disk).await?;
        find(&on_disk, phone, asking)
    }

    /// The link that the profile of this session has.
    pub(in crate::session) async fn link_of(&self, id: &ClienteId) -> Option<Link> {
        let id = id.clone();
        let read = self.read(move |known| known.note_of(&id).link().cloned());
        read.await.flatten()
    }

    /// Reads the disk, off the runtime. `None` when it does not answer.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Known) -> T + Send + 'static,
    ) -> Option<T> {
        let known = Arc::clone(&self.0);
        let looking = spawn_blocking(move || look(&known));
        let Ok(read) = timeout(LOOK_TIMEOUT, looking).await else {
            tracing::warn!(
                "the profiles (TOKENS_DIR) were not read within {} s: which accounts sessions have that do not run is not known",
                LOOK_TIMEOUT.as_secs()
            );
            return None;
        };
        // Only a runtime that ends does not read it.
        read.ok()
    }
}

/// The session that is linked to the account of this number, by the profiles and records in these folders: for a command, which is no
/// session itself and knows of no page.
pub async fn session_with_number(
    tokens_dir: &Path,
    sessions_dir: &Path,
    phone: &Recipient,
) -> Option<ClienteId> {
    let accounts = Accounts::new(tokens_dir.to_owned(), sessions_dir.to_owned());
    accounts.session_on_disk(phone, None).await
}

/// A session other than `asking` that has the account of this number.
fn find(
    accounts: &BTreeMap<ClienteId, Number>,
    phone: &Recipient,
    asking: Option<&ClienteId>,
) -> Option<ClienteId> {
    let has_it = |account: &Number| {
        let account = Recipient::of_account(account);
        account.is_some_and(|account| phone.is_of_account(&account))
    };
    let mut others = accounts.iter().filter(|(id, _)| Some(*id) != asking);
    let (id, _) = others.find(|(_, account)| has_it(account))?;
    Some(id.clone())
}

impl Known {
    /// Blocks.
    fn note_of(&self, id: &ClienteId) -> ProfileNote {
        ProfileNote::read_or_linked(&id.profile_in(&self.tokens_dir))
    }

    /// The accounts that profiles and records name. Blocks.
    fn on_disk(&self) -> BTreeMap<ClienteId, Number> {
        let ids: BTreeSet<ClienteId> = names_in(&self.tokens_dir)
            .filter_map(|path| path.file_name()?.to_str()?.parse().ok())
            .chain(names_in(&self.sessions_dir).filter_map(|path| desired::session_of(&path)))
            .collect();
        let accounts = ids.into_iter().filter_map(|id| {
            let note = self.note_of(&id);
            let noted = note.link().and_then(|link| link.account.clone());
            let is_unlinked = note.is_unlinked();
            let recorded = || desired::read(&self.sessions_dir, &id)?.account().cloned();
            let account = noted.or_else(|| recorded().filter(|_| !is_unlinked))?;
            Some((id, account))
        });
        accounts.collect()
    }
}

/// A folder that cannot be read has no names: a start of a session says what is wrong with it.
fn names_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// What one session has, as long as its page is open.
#[derive(Debug)]
pub(in crate::session) struct HeldAccount {
    id: ClienteId,
    accounts: Accounts,
}

impl HeldAccount {
    /// The page is linked to this account, or to none.
    pub(in crate::session) fn set(&self, account: Option<Number>) {
        let mut accounts = self.accounts.0.open.lock();
        match account {
            Some(account) => accounts.insert(self.id.clone(), account),
            None => accounts.remove(&self.id),
        };
    }

    /// Another session with a page of the same account.
    pub(in crate::session) fn other_session(&self) -> Option<ClienteId> {
        let accounts = self.accounts.0.open.lock();
        let own = Recipient::of_account(accounts.get(&self.id)?)?;
        find(&accounts, &own, Some(&self.id))
    }
}

impl Drop for HeldAccount {
    fn drop(&mut self) {
        self.accounts.0.open.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browser::Rescue;

    struct Host(tempfile::TempDir);

    impl Host {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn accounts(&self) -> Accounts {
            Accounts::new(self.0.path().join("tokens"), self.0.path().join("sessions"))
        }

        fn profile(&self, id: &str, account: Option<&str>) {
            let profile = self.0.path().join("tokens").join(id);
            fs::create_dir_all(&profile).unwrap();
            let link = account.map(|account| Link {
                account: Some(account.into()),
                linked_at: jiff::Timestamp::UNIX_EPOCH,
                rescue: Rescue::None,
            });
            ProfileNote::change(&profile, |note| note.set_link(link)).unwrap();
        }

        fn record(&self, id: &str, account: &str) {
            let folder = self.0.path().join("sessions");
            fs::create_dir_all(&folder).unwrap();
            let record = serde_json::json!({ "up": false, "was_ready": true, "account": account });
            fs::write(folder.join(format!("{id}.json")), record.to_string()).unwrap();
        }

        async fn finds(&self, phone: &str) -> Option<String> {
            let (phone, asking) = (phone.parse().unwrap(), "51".parse().unwrap());
            let accounts = self.accounts();
            let found = accounts.session_linked_to(&phone, &asking).await;
            found.map(|id| id.to_string())
        }
    }

    #[tokio::test]
    async fn a_session_that_does_not_run_is_found_by_its_profile_or_by_its_record() {
        let host = Host::new();
        assert_eq!(host.finds("5491158254201").await, None);
        host.profile("51", Some("5491158254201"));
        assert_eq!(host.finds("5491158254201").await, None, "its own");
        host.profile("60", Some("5491158254201"));
        assert_eq!(host.finds("5491158254201").await.as_deref(), Some("60"));
        assert_eq!(host.finds("5491158254202").await, None);
        // Its profile is on a volume that is not mounted.
        host.record("61", "5491158254202");
        assert_eq!(host.finds("5491158254202").await.as_deref(), Some("61"));
        // The record was not written after the link had gone.
        host.profile("61", None);
        assert_eq!(host.finds("5491158254202").await, None);
    }

    #[tokio::test]
    async fn a_number_is_found_however_whatsapp_writes_it() {
        for (account, phone) in [
            ("5491158254201", "541158254201"),
            ("5491158254201", "54111558254201"),
            ("5215512345678", "525512345678"),
            ("551187654321", "5511987654321"),
        ] {
            let host = Host::new();
            host.profile("60", Some(account));
            assert_eq!(host.finds(phone).await.as_deref(), Some("60"), "{phone}");
        }
    }

    #[test]
    fn two_pages_have_the_same_account_however_each_writes_it() {
        let accounts = Host::new().accounts();
        let held = ["60", "61"].map(|id| accounts.hold(&id.parse().unwrap()));
        held[0].set(Some("5491158254201".into()));
        held[1].set(Some("541158254201".into()));
        assert_eq!(held[0].other_session().unwrap().to_string(), "61");
        held[1].set(Some("5491158254202".into()));
        assert_eq!(held[0].other_session(), None);
    }

    #[tokio::test]
    async fn a_page_that_is_open_knows_its_account_before_the_profile_does() {
        let host = Host::new();
        let accounts = host.accounts();
        let (phone, asking) = ("5491158254201".parse().unwrap(), "51".parse().unwrap());
        let held = accounts.hold(&"60".parse().unwrap());
        held.set(Some("5491158254201".into()));
        let found = accounts.session_linked_to(&phone, &asking).await;
        assert_eq!(found.unwrap().to_string(), "60");
        drop(held);
        assert_eq!(accounts.session_linked_to(&phone, &asking).await, None);
    }
}
