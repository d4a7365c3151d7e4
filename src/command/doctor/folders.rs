//! The folders that must outlive a restart: their owner, whether they can be written, the free space, and the processes that use the
//! profiles in them.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::{Access, access, statvfs};
use tokio::{sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

use super::report::{Check, Finding};
use crate::{
    browser::{
        ForeignProfile, Manifest, Occupancy, Occupant, SnapshotError, SnapshotRoot,
        foreign_profiles, occupancy,
    },
    command::{adopt::storage, screen::one_line},
    config::Config,
    session::ClienteId,
};

/// The rights on a folder of all users but its owner.
const OTHERS: u32 = 0o077;

const MB: u64 = 1024 * 1024;

/// A profile takes 100 to 300 MB, and a snapshot beside it a third of that.
const LITTLE_SPACE_MB: u64 = 1000;

/// What a ledger and one Chrome write within minutes.
const NO_SPACE_MB: u64 = 100;

/// A profile has some thousands of files.
const FEW_FILES: u64 = 20_000;

/// A working disk answers within milliseconds. A network disk that is gone blocks the thread for ever.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);

/// What is known of the folders.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) checks: Vec<Check>,
    /// Profiles that no Chrome uses now: what may still be started beside what runs.
    pub(super) profiles_at_rest: usize,
}

/// Looks at the folders from a separate thread. If a disk does not answer, the thread is left behind, and the error is the only finding:
/// all other checks that touch the disk would block too.
pub(super) async fn examine(config: &Config) -> Result<Folders, Finding> {
    let (told, found) = oneshot::channel();
    let config = config.clone();
    let looking = thread::Builder::new().spawn(move || {
        // The receiver may have timed out.
        let _given_up = told.send(look(&config));
    });
    if let Err(why) = looking {
        let remedy = "look at the limits on processes and threads (ulimit -u)";
        return Err(Finding::fail(format!("no thread: {why}"), remedy));
    }
    match timeout(LOOK_TIMEOUT, found).await {
        Ok(Ok(folders)) => Ok(folders),
        Ok(Err(_)) | Err(_) => Err(Finding::fail(
            format!(
                "TOKENS_DIR or DATA_DIR does not answer within {} s",
                LOOK_TIMEOUT.as_secs()
            ),
            "look at that disk (dmesg, mount); profiles and ledger belong on a local one",
        )),
    }
}

fn look(config: &Config) -> Folders {
    let mut checks = Vec::new();
    for (name, disk, variable, path) in [
        ("tokens", "tokens-disk", "TOKENS_DIR", &config.tokens_dir),
        ("data", "data-disk", "DATA_DIR", &config.data_dir),
    ] {
        checks.push((name, judge(variable, path, &Facts::of(path))));
        checks.extend(space(path).map(|space| (disk, judge_space(path, space))));
    }
    let others = others_profiles(config);
    let is_anothers =
        |profile: &Occupancy| others.iter().any(|other| other.folder == profile.folder);
    let profiles = occupancy(&config.tokens_dir, |name| name.parse::<ClienteId>().is_ok());
    let profiles = match profiles {
        Ok(mut profiles) => {
            profiles.retain(|profile| !is_anothers(profile));
            Ok(profiles)
        }
        failed => failed,
    };
    checks.extend(
        others
            .iter()
            .map(|other| ("adopt", judge_another(other, &config.tokens_dir))),
    );
    let profiles = match profiles {
        Ok(profiles) => profiles,
        Err(why) if why.kind() == io::ErrorKind::NotFound => Vec::new(),
        // The check above has reported a folder that cannot be read.
        Err(_) => {
            return Folders {
                checks,
                profiles_at_rest: 0,
            };
        }
    };
    let at_rest = profiles
        .iter()
        .filter(|profile| profile.occupant.is_none())
        .count();
    let judged = judge_profiles(&profiles).into_iter();
    checks.extend(judged.map(|found| ("profiles", found)));
    let judged = judge_snapshots(newest_snapshots(config), Timestamp::now()).into_iter();
    checks.extend(judged.map(|found| ("snapshots", found)));
    Folders {
        checks,
        profiles_at_rest: at_rest,
    }
}

/// Where whatsapp-web.js keeps its profiles unless told otherwise, in the folder that it is started in.
const WWEBJS_FOLDER: &str = ".wwebjs_auth";

/// Profiles that other programs have linked: in the folder of the service's own profiles, since an old service may have used the same
/// one, and in the folder that whatsapp-web.js makes beside it.
fn others_profiles(config: &Config) -> Vec<ForeignProfile> {
    let Some(site) = storage(config) else {
        return Vec::new();
    };
    let beside = match config.tokens_dir.parent() {
        Some(parent) if parent != Path::new("") => parent.join(WWEBJS_FOLDER),
        _ => PathBuf::from(WWEBJS_FOLDER),
    };
    let mut found = foreign_profiles(&config.tokens_dir, &site);
    found.extend(foreign_profiles(&beside, &site));
    // A person's browser may have several profiles in it.
    found.dedup_by(|one, other| one.folder == other.folder);
    found
}

fn judge_another(profile: &ForeignProfile, tokens_dir: &Path) -> Finding {
    let folder = one_line(&profile.folder.display().to_string());
    let name = profile.folder.file_name().unwrap_or_default();
    let is_a_sessions = profile.folder.parent() == Some(tokens_dir)
        && name
            .to_str()
            .is_some_and(|name| name.parse::<ClienteId>().is_ok());
    let open = profile
        .holder()
        .map_or_else(String::new, |holder| format!(", and is open in {holder}"));
    let by_hand = if is_a_sessions {
        format!(
            "; if it was copied there to be session {}, just connect that",
            one_line(&name.to_string_lossy())
        )
    } else {
        String::new()
    };
    Finding::warn(
        format!("{folder} is an account that another program has linked{open}"),
        format!(
            "to take it over without a scan, stop that program for good, then: session-manager adopt {} --as <cliente_id>{by_hand}",
            quoted(&folder)
        ),
    )
}

/// Quoted for a shell, since a person copies it.
fn quoted(path: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+:@%,".contains(letter);
    if path.chars().all(is_plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// A folder as it is found.
#[derive(Debug)]
enum Facts {
    There {
        mode: u32,
        owner: u32,
        me: u32,
        /// Why nothing can be written to it, if so.
        refused: Option<String>,
    },
    /// The service will make it, unless the folder `stopped_at` above it cannot be written.
    Missing {
        stopped_at: Option<PathBuf>,
    },
    Unreadable(String),
    NoFolder,
}

impl Facts {
    fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => Self::NoFolder,
            Ok(found) => Self::There {
                mode: found.permissions().mode(),
                owner: found.uid(),
                me: rustix::process::geteuid().as_raw(),
                refused: write_something(path).err().map(|why| why.to_string()),
            },
            Err(why) if why.kind() == io::ErrorKind::NotFound => Self::Missing {
                stopped_at: not_writable_above(path),
            },
            Err(why) => Self::Unreadable(why.to_string()),
        }
    }
}

/// A file that is gone again at once. A folder whose mode allows it may still be on a disk that is full or read-only.
fn write_something(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".doctor-")
        .tempfile_in(folder)?;
    io::Write::write_all(&mut file, b"may be removed")?;
    // Some disks accept data and report the error only here. The lock must work too: each profile is held by one.
    file.as_file().sync_all()?;
    file.as_file().try_lock().map_err(io::Error::from)?;
    file.close()
}

/// The nearest folder above that is there, when nothing can be made in it.
fn not_writable_above(path: &Path) -> Option<PathBuf> {
    let above = path.ancestors().skip(1).map(|folder| match folder {
        nothing if nothing == Path::new("") => Path::new("."),
        folder => folder,
    });
    let nearest = above.into_iter().find(|folder| folder.is_dir())?;
    access(nearest, Access::WRITE_OK)
        .is_err()
        .then(|| nearest.to_owned())
}

fn judge(variable: &str, path: &Path, facts: &Facts) -> Finding {
    let shown = path.display();
    match facts {
        Facts::Missing { stopped_at: None } => {
            Finding::ok(format!("{shown} is not there yet; the service makes it"))
        }
        Facts::Missing {
            stopped_at: Some(above),
        } => Finding::fail(
            format!(
                "{shown} is not there, and cannot be made in {}",
                above.display()
            ),
            format!("make it and give it to the service's user, or set {variable}"),
        ),
        Facts::NoFolder => {
            Finding::fail(format!("{shown} is no folder"), format!("set {variable}"))
        }
        Facts::Unreadable(why) => Finding::fail(
            format!("{shown} cannot be looked at: {why}"),
            format!("give it to the service's user, or set {variable}"),
        ),
        Facts::There {
            refused: Some(why),
            owner,
            me,
            ..
        } => {
            let remedy = if owner == me {
                "look at its mode, at the disk (full? read-only?), and under systemd at ReadWritePaths".to_owned()
            } else {
                format!(
                    "it belongs to user {owner} and this runs as {me}: chown -R it, or run as that user"
                )
            };
            Finding::fail(format!("{shown} cannot be written: {why}"), remedy)
        }
        Facts::There { owner, me, .. } if owner != me => Finding::warn(
            format!("{shown} belongs to user {owner}, and this runs as {me}"),
            format!(
                "look as the service's user, who sees something else: sudo -u '#{owner}' session-manager doctor"
            ),
        ),
        Facts::There { mode, .. } if mode & OTHERS != 0 => Finding::warn(
            format!(
                "{shown} has mode {:o}: other users get at the accounts in it",
                mode & 0o777
            ),
            format!("chmod 700 {shown}"),
        ),
        Facts::There { .. } => Finding::ok(format!("{shown} is private and can be written")),
    }
}

/// What is left on a disk.
#[derive(Clone, Copy, Debug)]
struct Space {
    mb: u64,
    /// `None` where the file system does not count them.
    files: Option<u64>,
}

/// Of the folder, or of what it will be made in.
fn space(path: &Path) -> Option<Space> {
    let there = path.ancestors().find(|folder| folder.is_dir());
    let disk = statvfs(there.unwrap_or(Path::new("."))).ok()?;
    Some(Space {
        mb: disk.f_bavail.saturating_mul(disk.f_frsize) / MB,
        files: (disk.f_files > 0).then_some(disk.f_favail),
    })
}

fn judge_space(path: &Path, space: Space) -> Finding {
    let shown = path.display();
    let found = format!("{} MB free for {shown}", space.mb);
    let remedy = "make room: old snapshots (PROFILE_SNAPSHOTS), evidence and logs first; never a profile by hand";
    match space {
        Space { mb, .. } if mb < NO_SPACE_MB => Finding::fail(found, remedy),
        Space {
            files: Some(files), ..
        } if files < FEW_FILES => Finding::warn(
            format!("only {files} more files (inodes) for {shown}"),
            remedy,
        ),
        Space { mb, .. } if mb < LITTLE_SPACE_MB => Finding::warn(found, remedy),
        Space { .. } => Finding::ok(found),
    }
}

/// The newest snapshot of each session that has any.
fn newest_snapshots(config: &Config) -> Vec<(String, Result<Manifest, SnapshotError>)> {
    let folder = config.snapshots_dir();
    let root = SnapshotRoot::new(folder.clone(), 1, 1, CancellationToken::new())
        .encrypted_with(config.snapshot_key.as_ref());
    // A folder that is not there has none; one that cannot be read, the check of DATA_DIR has reported.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<_> = names
        .filter(|name| name.parse::<ClienteId>().is_ok())
        .filter_map(|name| {
            let newest = root.of(&name, config.tokens_dir.join(&name)).newest();
            Some((name, newest.transpose()?))
        })
        .collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

/// One finding for all of them; none where there is no snapshot. A snapshot that cannot be used keeps neither the service nor its
/// session from running: it is missed when that profile is lost.
fn judge_snapshots(
    snapshots: Vec<(String, Result<Manifest, SnapshotError>)>,
    now: Timestamp,
) -> Option<Finding> {
    let mut oldest: Option<(Timestamp, String)> = None;
    let (mut count, mut lacks_key, mut unusable) = (0, false, Vec::new());
    for (session, newest) in snapshots {
        match newest {
            Ok(manifest) => {
                count += 1;
                let this = (manifest.taken_at, session);
                oldest = Some(oldest.map_or(this.clone(), |oldest| oldest.min(this)));
            }
            Err(why) => {
                lacks_key |= matches!(why, SnapshotError::OtherKey { .. });
                unusable.push(format!(
                    "{session}: the newest snapshot cannot be used: {why}"
                ));
            }
        }
    }
    let usable = oldest.map(|(taken_at, session)| {
        let minutes = now.duration_since(taken_at).as_secs().max(0) / 60;
        let age = match minutes {
            0..120 => format!("{minutes} min"),
            _ => format!("{} h", minutes / 60),
        };
        format!("{count} sessions have one; the oldest is that of {session}, taken {age} ago")
    });
    if unusable.is_empty() {
        return usable.map(Finding::ok);
    }
    let remedy = if lacks_key {
        "set SNAPSHOT_KEY or SNAPSHOT_KEY_FILE as they were; if that key is lost, delete these snapshots by hand"
    } else {
        "nothing: an older one is used, and the next one takes its place; look at the disk if this comes back"
    };
    unusable.extend(usable);
    Some(Finding::warn(unusable.join("; "), remedy))
}

fn judge_profiles(profiles: &[Occupancy]) -> Vec<Finding> {
    let id = |profile: &Occupancy| {
        let name = profile.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let ids = |which: &dyn Fn(&&Occupancy) -> bool| -> Vec<String> {
        profiles.iter().filter(which).map(id).collect()
    };
    let mut checks = Vec::new();
    for profile in profiles {
        match profile.occupant {
            Some(Occupant::Stranger(pid)) => checks.push(Finding::fail(format!("{} is open in a Chrome that is not the service's, process {pid}", id(profile)),
                "close that one; the service leaves it alone, and the session is ERROR with PROFILE_IN_USE",
            )),
            Some(Occupant::LeftOver(pid)) => checks.push(Finding::warn(format!("{}: a Chrome that a killed service has left, process {pid}", id(profile)),
                "nothing: the next start of the service ends it",
            )),
            Some(Occupant::Service(_)) | None => {}
        }
    }
    let in_use = ids(&|profile| matches!(profile.occupant, Some(Occupant::Service(_))));
    let stale = ids(&|profile| profile.occupant.is_none() && !profile.leftover_files.is_empty());
    let stale = match stale.join(", ") {
        none if none.is_empty() => none,
        ids => format!("; stale Singleton* files in {ids}, which the next start removes"),
    };
    let (all, in_use) = (profiles.len(), in_use.len());
    let found = format!("{all} here, {in_use} in use by a service{stale}");
    checks.push(Finding::ok(found));
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::report::Verdict;

    fn verdict(facts: &Facts) -> Verdict {
        judge("TOKENS_DIR", Path::new("tokens"), facts).verdict
    }

    fn there(mode: u32, owner: u32, refused: Option<&str>) -> Facts {
        Facts::There {
            mode,
            owner,
            me: 1000,
            refused: refused.map(str::to_owned),
        }
    }

    #[test]
    fn a_folder_must_be_writable_and_should_be_private_and_ones_own() {
        assert_eq!(verdict(&there(0o40700, 1000, None)), Verdict::Ok);
        assert_eq!(verdict(&there(0o40755, 1000, None)), Verdict::Warn);
        assert_eq!(verdict(&there(0o40700, 0, None)), Verdict::Warn);
        assert_eq!(
            verdict(&there(0o40700, 1000, Some("read-only"))),
            Verdict::Fail
        );
        assert_eq!(verdict(&Facts::NoFolder), Verdict::Fail);
        assert_eq!(verdict(&Facts::Missing { stopped_at: None }), Verdict::Ok);
        let stopped_at = Some(PathBuf::from("/"));
        assert_eq!(verdict(&Facts::Missing { stopped_at }), Verdict::Fail);
    }

    #[test]
    fn looking_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            Facts::of(folder.path()),
            Facts::There { refused: None, .. }
        ));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let below = folder.path().join("not/there");
        assert!(matches!(
            Facts::of(&below),
            Facts::Missing { stopped_at: None }
        ));
        assert!(!below.try_exists().unwrap());
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Facts::of(&file), Facts::NoFolder));
    }

    #[test]
    fn a_disk_is_judged_by_space_and_by_files() {
        let verdict = |mb, files| {
            let space = Space { mb, files };
            judge_space(Path::new("data"), space).verdict
        };
        assert_eq!(verdict(50, None), Verdict::Fail);
        assert_eq!(verdict(500, None), Verdict::Warn);
        assert_eq!(verdict(50_000, Some(10)), Verdict::Warn);
        assert_eq!(verdict(50_000, Some(1_000_000)), Verdict::Ok);
    }

    #[test]
    fn a_profile_that_another_chrome_has_open_is_a_fault() {
        let profile = |id: &str, occupant, leftover_files| Occupancy {
            folder: PathBuf::from(format!("tokens/{id}")),
            occupant,
            leftover_files,
        };
        let checks = judge_profiles(&[
            profile("51", Some(Occupant::Service(1)), vec!["SingletonLock"]),
            profile("52", Some(Occupant::Stranger(2)), vec![]),
            profile("53", Some(Occupant::LeftOver(3)), vec![]),
            profile("54", None, vec!["SingletonLock"]),
        ]);
        let verdicts: Vec<_> = checks.iter().map(|check| check.verdict).collect();
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Warn, Verdict::Ok]);
        assert!(checks[0].found.starts_with("52 ") && checks[0].found.contains("process 2"));
        let summary = "4 here, 1 in use by a service; stale Singleton* files in 54, which the next start removes";
        assert_eq!(checks[2].found, summary);
    }

    #[test]
    fn an_old_programs_profile_is_pointed_at_and_is_no_session() {
        let home = tempfile::tempdir().unwrap();
        let old = |folder: &str| {
            let storage = "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb";
            let storage = home.path().join(folder).join(storage);
            fs::create_dir_all(&storage).unwrap();
            fs::write(storage.join("000003.log"), "linked").unwrap();
        };
        old("tokens/session-admin");
        old(".wwebjs_auth/it's \x1b[2J\nok    all well");
        // One of the service's own.
        old("tokens/51");
        fs::write(home.path().join("tokens/51/chrome-version"), "156.0.0.0").unwrap();
        let tokens = home.path().join("tokens").into_os_string();
        let lookup = |name: &str| (name == "TOKENS_DIR").then(|| tokens.clone());
        let config = Config::from_lookup(lookup).unwrap();

        let folders = look(&config);
        assert_eq!(folders.profiles_at_rest, 1);
        let found: Vec<_> = folders
            .checks
            .iter()
            .filter_map(|(name, found)| (*name == "adopt").then_some(found))
            .collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|found| found.verdict == Verdict::Warn));
        let remedy = found[0].remedy.as_ref().unwrap();
        let command = format!(
            "session-manager adopt {}/tokens/session-admin --as",
            home.path().display()
        );
        assert!(
            remedy.contains(&command) && remedy.contains("session session-admin"),
            "{remedy}"
        );
        // The name of a folder must not look like a line of the report.
        let (found, remedy) = (&found[1].found, found[1].remedy.as_ref().unwrap());
        assert!(found.contains(r"it's \u001b[2J\u000aok "), "{found}");
        assert!(
            remedy.contains(r"'\''s ") && !remedy.contains('\n'),
            "{remedy}"
        );
    }

    #[test]
    fn snapshots_are_judged_by_whether_they_can_be_opened() {
        let error = |is_about_the_key: bool| {
            let path = PathBuf::from("data/snapshots/51/a.manifest");
            if is_about_the_key {
                SnapshotError::OtherKey {
                    path,
                    has_key: false,
                }
            } else {
                SnapshotError::Damaged { path }
            }
        };
        assert_eq!(judge_snapshots(vec![], Timestamp::now()), None);
        let found = vec![
            ("51".to_owned(), Err(error(true))),
            ("52".to_owned(), Err(error(false))),
        ];
        let check = judge_snapshots(found, Timestamp::now()).unwrap();
        // The service runs, and so do the sessions.
        assert_eq!(check.verdict, Verdict::Warn);
        for part in ["51: ", "SNAPSHOT_KEY is not set", "52: ", "damaged"] {
            assert!(check.found.contains(part), "{part}: {}", check.found);
        }
        assert!(check.remedy.unwrap().contains("SNAPSHOT_KEY_FILE"));
    }
}
