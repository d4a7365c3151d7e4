//! A linked profile that another program has made, on its way into a folder of this service.
//!
//! ```text
//!  .wwebjs_auth/session-7/Default/IndexedDB/https_web.whatsapp.com_0.*  ──▶  TOKENS_DIR/51/Default/IndexedDB/
//!                                 Local Storage/                        ──▶                        Local Storage/
//! ```
//!
//! Knows where a site keeps its storage in a profile of Chrome, and which process has that open. Invariants: the original is only
//! read, and with its access times kept where the system lets us; nothing is copied that a process has open, or that
//! changes meanwhile; links are not followed; whatever fails, the session's profile is as before.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read as _},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{
    fd::OwnedFd,
    fs::{Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{
    ComesFrom, CopyAge, SnapshotError, archive::UnlessGivenUp, exchange_for, take_place,
    unpack::ENTRIES_MAX,
};
use crate::{
    browser::{
        processes::occupants::{self, Holder},
        profile::{
            self, ProfileNote,
            exchange::{EXCHANGE, Places, Step},
            last_used,
        },
    },
    files::{make_folder, private_file},
};

/// What holds a link, in Chrome's own profile folder. It is what `RemoteAuth` of whatsapp-web.js keeps of a profile to
/// bring the session back elsewhere (`requiredDirs`), and accounts have come back from it for years. Of `IndexedDB`
/// only what is the site's own comes along. A person's own browser may have gigabytes of other things in its profile,
/// passwords among them, and what the rest holds of use (Chrome's settings, caches, a worker's scripts) is made again
/// by the first start.
const INDEXED_DB: &str = "IndexedDB";
const LOCAL_STORAGE: &str = "Local Storage";

/// Chrome's profile in a folder of this service. It starts with this one unless an argument names another.
const DEFAULT: &str = "Default";

/// `LevelDB`'s lock, an empty file, which it makes again.
const LOCK: &str = "LOCK";

/// Where Chrome notes which version of it has used the folder last.
const LAST_VERSION: &str = "Last Version";

/// A version has some 14 bytes. A longer file is something else.
const LAST_VERSION_MAX: u64 = 64;

/// Folders in folders, at the very most: blobs lie three deep.
const DEPTH_MAX: usize = 8;

/// The storage of one site, by the name that Chrome gives to its folders: scheme, host and port, 0 where it is the
/// usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteStorage {
    /// `https_web.whatsapp.com_`
    host: String,
    /// `None`: any, for a sandbox whose port the system chooses.
    port: Option<u16>,
}

impl SiteStorage {
    /// Of the site at this address. `None` when it is none of http or https.
    pub fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit('@').next()?;
        // A colon in brackets is part of an IPv6 address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, usual),
        };
        let host = host.to_ascii_lowercase().replace(':', "_");
        Some(Self {
            host: format!("{scheme}_{host}_"),
            port: match port {
                0 => None,
                port if port == usual => Some(0),
                port => Some(port),
            },
        })
    }

    /// As people find it on the disk.
    pub fn name(&self) -> String {
        let port = self
            .port
            .map_or_else(|| "*".to_owned(), |port| port.to_string());
        format!("{}{port}", self.host)
    }

    /// Whether a folder with this name is the site's. The part after the port is the kind of storage.
    fn is(&self, name: &OsStr) -> bool {
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(&self.host)) else {
            return false;
        };
        let port = rest.split('.').next().unwrap_or_default();
        match (port.parse::<u16>(), self.port) {
            (Ok(port), Some(wanted)) => port == wanted,
            (Ok(_), None) => true,
            (Err(_), _) => false,
        }
    }

    /// What the site has in this profile of Chrome: names in its `IndexedDB`.
    fn within(&self, profile: &Path) -> io::Result<Vec<OsString>> {
        let folder = profile.join(INDEXED_DB);
        let mut found = Vec::new();
        for name in names(&folder)? {
            // A folder that is empty holds nothing.
            if self.is(&name) && names(&folder.join(&name)).is_ok_and(|names| !names.is_empty()) {
                found.push(name);
            }
        }
        Ok(found)
    }
}

/// Why a profile was not taken over. The original is as before, and so is the session's profile.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is a file.
    #[error("{} is not a folder: give the folder that the old service hands to Chrome", path.display())]
    NotAFolder {
        /// What was given.
        path: PathBuf,
    },
    /// Nothing that WhatsApp has stored.
    #[error(
        "{} has no storage of WhatsApp Web: there is no {INDEXED_DB}/{site}.* in it, in a Chrome profile in it ({DEFAULT}, Profile 1), or in \
         one of a folder in it; {}", path.display(), where_to_look(site)
    )]
    NoStorage {
        /// The folder.
        path: PathBuf,
        /// The name of the storage.
        site: String,
    },
    /// It would have to be guessed which one is meant.
    #[error("{} holds {} profiles with storage of WhatsApp Web, so name one: {}", path.display(), found.len(), listed(found))]
    Several {
        /// The folder.
        path: PathBuf,
        /// Those in it.
        found: Vec<PathBuf>,
    },
    /// A Chrome works on it.
    #[error(
        "{} is open in {holder}: stop the service that has started it, for good, and try again; two Chromes on one device log it out", path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process.
        holder: Holder,
    },
    /// Something works on it all the same.
    #[error("{} has changed while it was copied: is the old service running?", path.display())]
    Changed {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to take over.
    #[error("{} is a session of this service already: connect that one", path.display())]
    IsOurs {
        /// The folder.
        path: PathBuf,
    },
    /// It would be copied over itself.
    #[error(
        "{} is the very folder in which the service looks for this session: nothing is to be copied; stop the old service, for good, and connect", path.display()
    )]
    IsTheTarget {
        /// The folder.
        path: PathBuf,
    },
    /// Everything else.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl ForeignError {
    fn unreadable(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// Only the real WhatsApp Web has been used by other programs.
fn where_to_look(site: &str) -> &'static str {
    if site.starts_with("https_web.whatsapp.com_") {
        "give the folder that the old service hands to Chrome: .wwebjs_auth/session-<id>, tokens/<session>, _IGNORE_<session>"
    } else {
        "that is the storage of the sandbox, or of WHATSAPP_URL: to adopt a real account, leave them out"
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

/// A profile of Chrome with a site's storage in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignProfile {
    /// Chrome's user data folder, without links.
    pub folder: PathBuf,
    /// The profile in it that has the storage.
    profile: PathBuf,
    /// Names in its `IndexedDB`.
    storage: Vec<OsString>,
}

/// What a profile was when it was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The folder it was taken from.
    pub profile: PathBuf,
    /// How many files were copied.
    pub files: usize,
    /// How large they are.
    pub bytes: u64,
    /// When something was written to it last.
    pub written_at: SystemTime,
    /// The Chrome that has used it last, if that has noted it.
    pub chrome: Option<String>,
    /// The lock of a Chrome of another machine, or another container, that stands in it: nothing here has the profile
    /// open, so it was left over, unless that other one works on a disk that both share.
    pub lock_of_another_host: Option<String>,
}

impl ForeignProfile {
    /// The one in this folder: a user data folder of Chrome, the profile in it, or a folder that holds one such folder.
    pub fn find(folder: &Path, site: &SiteStorage) -> Result<Self, ForeignError> {
        let unreadable = |source| ForeignError::unreadable(folder, source);
        let root = folder.canonicalize().map_err(unreadable)?;
        if !root.is_dir() {
            return Err(ForeignError::NotAFolder {
                path: folder.to_owned(),
            });
        }
        if let Some(parent) = root.parent()
            && let Some(found) = Self::with(parent, &root, site).map_err(unreadable)?
        {
            return Ok(found);
        }
        let mut found = Self::all_in(&root, site).map_err(unreadable)?;
        if found.is_empty() {
            for name in names(&root).map_err(unreadable)? {
                // A folder of another user may stand next to the right one; it is no reason to fail.
                found.extend(Self::all_in(&root.join(name), site).unwrap_or_default());
            }
            found.retain(|found| !is_ours(&found.folder));
        }
        match found.len() {
            0 => Err(ForeignError::NoStorage {
                path: folder.to_owned(),
                site: site.name(),
            }),
            1 => Ok(found.remove(0)),
            _ => Err(ForeignError::Several {
                path: folder.to_owned(),
                found: found.into_iter().map(|found| found.profile).collect(),
            }),
        }
    }

    /// Those in a user data folder.
    fn all_in(folder: &Path, site: &SiteStorage) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for name in names(folder)? {
            let profile = folder.join(name);
            // A link may lead anywhere.
            if fs::symlink_metadata(&profile).is_ok_and(|found| found.is_dir()) {
                found.extend(Self::with(folder, &profile, site).unwrap_or_default());
            }
        }
        Ok(found)
    }

    fn with(folder: &Path, profile: &Path, site: &SiteStorage) -> io::Result<Option<Self>> {
        let storage = site.within(profile)?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            profile: profile.to_owned(),
            storage,
        })
        .filter(|found| !found.storage.is_empty()))
    }

    /// The process that has it open.
    pub fn holder(&self) -> Option<Holder> {
        let entries = self.entries().unwrap_or_default();
        self.holder_of(&entries)
    }

    fn holder_of(&self, entries: &[Entry]) -> Option<Holder> {
        // Chrome holds a lock on some of these as long as the profile is open, whatever the page does.
        let beside = names(&self.profile).unwrap_or_default();
        let beside = beside.into_iter().map(|name| self.profile.join(name));
        let copied = entries.iter().map(|entry| self.profile.join(&entry.path));
        let folders = [&*self.folder, &*self.profile];
        occupants::holder(
            folders,
            beside
                .chain(copied)
                .filter_map(|path| open_quietly(&path).ok()),
        )
    }

    /// Makes a copy of it the profile in this folder, for a session that is not running. What is there is set aside if it
    /// `may_make_way`, else this is refused.
    pub async fn put_in_place(
        self,
        path: &Path,
        may_make_way: impl FnOnce(&Path) -> bool + Send + 'static,
        give_up: CancellationToken,
    ) -> Result<Adopted, ForeignError> {
        self.ensure_elsewhere(path)?;
        self.ensure_free(&self.entries()?)?;
        // Given up below, as for an import.
        let profile = profile::claim(path, &CancellationToken::new())
            .await
            .map_err(SnapshotError::from)?;
        let work = move || {
            let places = Places::of(&profile.folder);
            take_place(&profile, may_make_way, || {
                let entries = self.entries()?;
                // One that was set aside may come back, and must not be what makes room for itself.
                let prunes = !places.is_set_aside(&self.folder);
                let steps = EXCHANGE
                    .into_iter()
                    .filter(|step| prunes || *step != Step::Prune);
                let bytes = entries.iter().map(|entry| entry.bytes).sum();
                let (age, from) = (CopyAge::default(), ComesFrom::Elsewhere);
                exchange_for(&profile, bytes, age, from, steps, |copy| {
                    self.copy(&entries, copy, &give_up)
                })?;
                Ok(self.adopted(&entries))
            })
        };
        spawn_blocking(work)
            .await
            .unwrap_or(Err(SnapshotError::GivenUp.into()))
    }

    /// Refuses what is no other program's: a session of this service, or the place that the copy is to have.
    fn ensure_elsewhere(&self, path: &Path) -> Result<(), ForeignError> {
        // What is not there yet cannot hold the original.
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        let place = path.canonicalize().ok().or_else(|| {
            let name = path.file_name()?;
            Some(parent.clone()?.join(name))
        });
        let path = self.folder.clone();
        if place.is_some_and(|place| Places::of(&place).will_change(&self.folder)) {
            return Err(ForeignError::IsTheTarget { path });
        }
        if parent.as_deref() == self.folder.parent() && is_ours(&self.folder) {
            return Err(ForeignError::IsOurs { path });
        }
        Ok(())
    }

    fn ensure_free(&self, entries: &[Entry]) -> Result<(), ForeignError> {
        match self.holder_of(entries) {
            Some(holder) => Err(ForeignError::InUse {
                path: self.folder.clone(),
                holder,
            }),
            None => Ok(()),
        }
    }

    /// The files and folders to copy, by paths in the profile, each folder before its contents.
    fn entries(&self) -> Result<Vec<Entry>, ForeignError> {
        let mut entries = Vec::new();
        let mut add = |path: &Path| add(&self.profile, path, 0, &mut entries);
        let indexed_db = Path::new(INDEXED_DB);
        add(Path::new(LOCAL_STORAGE))?;
        for name in &self.storage {
            add(&indexed_db.join(name))?;
        }
        Ok(entries)
    }

    /// Copies into a folder that is not there yet, and has it all on disk when it returns.
    fn copy(
        &self,
        entries: &[Entry],
        to: &Path,
        give_up: &CancellationToken,
    ) -> Result<(), ForeignError> {
        let written = |source| SnapshotError::io("writing to", to, source);
        let profile = to.join(DEFAULT);
        make_folder(to).map_err(written)?;
        make_folder(&profile.join(INDEXED_DB)).map_err(written)?;
        for entry in entries {
            let (from, to) = (self.profile.join(&entry.path), profile.join(&entry.path));
            if entry.is_folder {
                make_folder(&to).map_err(written)?;
                continue;
            }
            if give_up.is_cancelled() {
                return Err(SnapshotError::GivenUp.into());
            }
            let from_file =
                open_quietly(&from).map_err(|source| ForeignError::unreadable(&from, source))?;
            let inner = File::from(from_file).take(entry.bytes);
            let mut from_file = UnlessGivenUp { inner, give_up };
            let copied = io::copy(&mut from_file, &mut private_file(&to).map_err(written)?);
            let copied = copied.map_err(|source| {
                if give_up.is_cancelled() {
                    SnapshotError::GivenUp
                } else {
                    SnapshotError::io("copying", &from, source)
                }
            })?;
            if copied != entry.bytes {
                return Err(self.changed());
            }
        }
        let noted = ProfileNote::change(to, |note| {
            // It has been linked, so no picture of its page is evidence: it may show chats.
            note.linked_once = true;
            note.chrome = self.last_version();
        });
        noted.map_err(written)?;
        // One call for all of them.
        let synced = File::open(to).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
        synced.map_err(written)?;
        // A Chrome that was started meanwhile may have written half of what it had to.
        self.ensure_free(entries)?;
        if *entries != self.entries()? {
            return Err(self.changed());
        }
        if give_up.is_cancelled() {
            return Err(SnapshotError::GivenUp.into());
        }
        Ok(())
    }

    fn changed(&self) -> ForeignError {
        ForeignError::Changed {
            path: self.folder.clone(),
        }
    }

    fn adopted(&self, entries: &[Entry]) -> Adopted {
        let files = || entries.iter().filter(|entry| !entry.is_folder);
        let last = files()
            .map(|entry| entry.modified)
            .max()
            .unwrap_or_default();
        let (seconds, nanos) = last;
        let since_1970 = Duration::new(
            seconds.try_into().unwrap_or(0),
            nanos.try_into().unwrap_or(0),
        );
        Adopted {
            profile: self.profile.clone(),
            files: files().count(),
            bytes: files().map(|entry| entry.bytes).sum(),
            written_at: SystemTime::UNIX_EPOCH + since_1970,
            chrome: self.last_version(),
            lock_of_another_host: occupants::lock_of_another_host(&self.folder),
        }
    }

    /// What Chrome has noted, if it reads like a version.
    fn last_version(&self) -> Option<String> {
        let file = open_quietly(&self.folder.join(LAST_VERSION)).ok()?;
        let mut text = String::new();
        let mut file = File::from(file).take(LAST_VERSION_MAX);
        file.read_to_string(&mut text).ok()?;
        let version = text.trim();
        let numbers = version.split('.').map(str::parse::<u32>);
        let is_version =
            numbers.clone().count() == 4 && numbers.clone().all(|number| number.is_ok());
        is_version.then(|| version.to_owned())
    }
}

impl Adopted {
    /// Whether a newer Chrome than this one has used it last.
    pub fn is_newer_than(&self, version: &crate::browser::ChromeVersion) -> bool {
        let last = self.chrome.as_deref();
        last.is_some_and(|last| last_used::is_older(version.as_str(), last))
    }
}

/// Profiles with the site's storage, in folders in this one, that this service has not used yet.
pub fn foreign_profiles(folder: &Path, site: &SiteStorage) -> Vec<ForeignProfile> {
    let mut found = Vec::new();
    for name in names(folder).unwrap_or_default() {
        let folder = folder.join(name);
        if !is_ours(&folder) {
            found.extend(ForeignProfile::all_in(&folder, site).unwrap_or_default());
        }
    }
    found
}

/// Whether a folder is a profile of this service, or on its way to be one.
fn is_ours(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    Places::is_on_its_way(name) || ProfileNote::is_in(folder)
}

/// A file or folder, as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    is_folder: bool,
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

fn add(
    profile: &Path,
    path: &Path,
    depth: usize,
    entries: &mut Vec<Entry>,
) -> Result<(), ForeignError> {
    let whole = profile.join(path);
    let unreadable = |source: io::Error| ForeignError::unreadable(&whole, source);
    let too_much = || unreadable(io::Error::other("it has too many files for a profile"));
    let found = match rustix::fs::lstat(&whole) {
        // A profile may do without, and a file may go while others are looked at: what is copied is compared in the end.
        Err(Errno::NOENT) => return Ok(()),
        found => found.map_err(|errno| unreadable(errno.into()))?,
    };
    let kind = FileType::from_raw_mode(found.st_mode);
    if !(kind.is_dir() || kind.is_file()) || path.file_name() == Some(OsStr::new(LOCK)) {
        // Links and pipes lead to something that is no part of the profile.
        return Ok(());
    }
    if depth > DEPTH_MAX || entries.len() >= ENTRIES_MAX {
        return Err(too_much());
    }
    entries.push(Entry::of(path, &found, kind.is_dir()));
    if kind.is_dir() {
        for name in names(&whole).map_err(unreadable)? {
            add(profile, &path.join(name), depth + 1, entries)?;
        }
    }
    Ok(())
}

impl Entry {
    fn of(path: &Path, found: &Stat, is_folder: bool) -> Self {
        let bytes = if is_folder {
            0
        } else {
            found.st_size.try_into().unwrap_or(0)
        };
        Self {
            path: path.to_owned(),
            is_folder,
            bytes,
            modified: (found.st_mtime, found.st_mtime_nsec.try_into().unwrap_or(0)),
        }
    }
}

/// Opens a file or folder for reading, and neither waits for what is no file, nor follows a link, nor leaves a trace
/// where it need not: the time of a last access is left to the owner of a file only.
fn open_quietly(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => Ok(rustix::fs::open(path, flags, Mode::empty())?),
        opened => Ok(opened?),
    }
}

/// What is in a folder, in order. Nothing is in what is no folder, or is not there.
fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let listed = match open_quietly(folder) {
        Ok(folder) => Dir::new(folder),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => {
                return Ok(Vec::new());
            }
            _ => return Err(error),
        },
    };
    let listed = match listed {
        Err(Errno::NOTDIR) => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut names = Vec::new();
    for entry in listed {
        match entry {
            Ok(entry) => names.push(OsString::from_vec(entry.file_name().to_bytes().to_vec())),
            Err(Errno::NOTDIR) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
    }
    names.retain(|name| !matches!(name.as_bytes(), b"." | b".."));
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
