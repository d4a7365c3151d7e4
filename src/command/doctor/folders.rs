//! The folders that must outlive a restart: whose they are, whether they can be written, how much room there is, and who uses the
//! profiles in them.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{Access, access, statvfs};
use tokio::{sync::oneshot, time::timeout};

use super::report::Check;
use crate::{
    browser::{ForeignProfile, Holder, Occupancy, Occupant, foreign_profiles, occupancy},
    command::{adopt::storage, screen::one_line},
    config::Config,
    session::ClienteId,
};

/// Who else than its owner gets at a folder.
const OTHERS: u32 = 0o077;

const MB: u64 = 1024 * 1024;

/// A profile takes 100 to 300 MB, and a snapshot beside it a third of that.
const LITTLE_SPACE_MB: u64 = 1000;

/// What a ledger and one Chrome write within minutes.
const NO_SPACE_MB: u64 = 100;

/// A profile has some thousands of files.
const FEW_FILES: u64 = 20_000;

/// A look takes milliseconds on a disk that is there. One that has gone away, such as a network's, holds whoever looks for ever.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);

/// What is known of the folders.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) checks: Vec<Check>,
    /// Profiles that no Chrome uses now: what may still be started beside what runs.
    pub(super) profiles_at_rest: usize,
}

/// Looks at them, from a thread of its own, which is left behind where a disk does not answer. The error is all there is to say
/// then: nothing else that touches such a disk would come back.
pub(super) async fn examine(config: &Config) -> Result<Folders, Check> {
    let (told, found) = oneshot::channel();
    let config = config.clone();
    let looking = thread::Builder::new().spawn(move || {
        // Whoever asked may have given up.
        let _given_up = told.send(look(&config));
    });
    if let Err(why) = looking {
        let remedy = "look at the limits on processes and threads (ulimit -u)";
        return Err(Check::fail("folders", format!("no thread: {why}"), remedy));
    }
    match timeout(LOOK_TIMEOUT, found).await {
        Ok(Ok(folders)) => Ok(folders),
        Ok(Err(_)) | Err(_) => Err(Check::fail(
            "folders",
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
    for (name, variable, path) in [
        ("tokens", "TOKENS_DIR", &config.tokens_dir),
        ("data", "DATA_DIR", &config.data_dir),
    ] {
        checks.push(judge(name, variable, path, &Facts::of(path)));
        checks.extend(space(path).map(|space| judge_space(name, path, space)));
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
            .map(|other| judge_another(other, other.holder(), config.tokens_dir.as_path())),
    );
    let profiles = match profiles {
        Ok(profiles) => profiles,
        Err(why) if why.kind() == io::ErrorKind::NotFound => Vec::new(),
        // A folder that cannot be read has its line above, and nothing is known of what is in it.
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
    checks.extend(judge_profiles(&profiles));
    Folders {
        checks,
        profiles_at_rest: at_rest,
    }
}

/// Where whatsapp-web.js keeps its profiles unless told otherwise, in the folder that it is started in.
const WWEBJS_FOLDER: &str = ".wwebjs_auth";

/// Profiles that other programs have linked: where the service keeps its own, for the old one may have used the same
/// folder, and in the folder that whatsapp-web.js makes beside it.
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

fn judge_another(profile: &ForeignProfile, holder: Option<Holder>, tokens_dir: &Path) -> Check {
    let folder = one_line(&profile.folder.display().to_string());
    let name = profile.folder.file_name().unwrap_or_default();
    let is_a_sessions = profile.folder.parent() == Some(tokens_dir)
        && name
            .to_str()
            .is_some_and(|name| name.parse::<ClienteId>().is_ok());
    let open = holder.map_or_else(String::new, |holder| format!(", and is open in {holder}"));
    let by_hand = if is_a_sessions {
        format!(
            "; if it was copied there to be session {}, just connect that",
            one_line(&name.to_string_lossy())
        )
    } else {
        String::new()
    };
    Check::warn(
        "adopt",
        format!("{folder} is an account that another program has linked{open}"),
        format!(
            "to take it over without a scan, stop that program for good, then: session-manager adopt {} --as <cliente_id>{by_hand}",
            quoted(&folder)
        ),
    )
}

/// As a shell takes it, since it is there to be copied.
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
    /// It will be made; or it cannot be, below this folder.
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
    // A disk may take data and refuse it only now; and a lock must be to be had, for each profile is held by one.
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

fn judge(name: &'static str, variable: &str, path: &Path, facts: &Facts) -> Check {
    let shown = path.display();
    match facts {
        Facts::Missing { stopped_at: None } => Check::ok(
            name,
            format!("{shown} is not there yet; the service makes it"),
        ),
        Facts::Missing {
            stopped_at: Some(above),
        } => Check::fail(
            name,
            format!(
                "{shown} is not there, and cannot be made in {}",
                above.display()
            ),
            format!("make it and give it to the service's user, or set {variable}"),
        ),
        Facts::NoFolder => Check::fail(
            name,
            format!("{shown} is no folder"),
            format!("set {variable}"),
        ),
        Facts::Unreadable(why) => Check::fail(
            name,
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
            Check::fail(name, format!("{shown} cannot be written: {why}"), remedy)
        }
        Facts::There { owner, me, .. } if owner != me => Check::warn(
            name,
            format!("{shown} belongs to user {owner}, and this runs as {me}"),
            format!(
                "look as the service's user, who sees something else: sudo -u '#{owner}' session-manager doctor"
            ),
        ),
        Facts::There { mode, .. } if mode & OTHERS != 0 => Check::warn(
            name,
            format!(
                "{shown} has mode {:o}: other users get at the accounts in it",
                mode & 0o777
            ),
            format!("chmod 700 {shown}"),
        ),
        Facts::There { .. } => Check::ok(name, format!("{shown} is private and can be written")),
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

fn judge_space(name: &'static str, path: &Path, space: Space) -> Check {
    let name = match name {
        "tokens" => "tokens-disk",
        _ => "data-disk",
    };
    let shown = path.display();
    let found = format!("{} MB free for {shown}", space.mb);
    let remedy = "make room: old snapshots (PROFILE_SNAPSHOTS), evidence and logs first; never a profile by hand";
    match space {
        Space { mb, .. } if mb < NO_SPACE_MB => Check::fail(name, found, remedy),
        Space {
            files: Some(files), ..
        } if files < FEW_FILES => Check::warn(
            name,
            format!("only {files} more files (inodes) for {shown}"),
            remedy,
        ),
        Space { mb, .. } if mb < LITTLE_SPACE_MB => Check::warn(name, found, remedy),
        Space { .. } => Check::ok(name, found),
    }
}

fn judge_profiles(profiles: &[Occupancy]) -> Vec<Check> {
    let name = "profiles";
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
            Some(Occupant::Stranger(pid)) => checks.push(Check::fail(
                name,
                format!("{} is open in a Chrome that is not the service's, process {pid}", id(profile)),
                "close that one; the service leaves it alone, and the session is ERROR with PROFILE_IN_USE",
            )),
            Some(Occupant::Nobody(pid)) => checks.push(Check::warn(
                name,
                format!("{}: a Chrome that a killed service has left, process {pid}", id(profile)),
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
    checks.push(Check::ok(name, found));
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::report::Verdict;

    fn verdict(facts: &Facts) -> Verdict {
        judge("tokens", "TOKENS_DIR", Path::new("tokens"), facts).verdict
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
            judge_space("data", Path::new("data"), space).verdict
        };
        assert_eq!(verdict(50, None), Verdict::Fail);
        assert_eq!(verdict(500, None), Verdict::Warn);
        assert_eq!(verdict(50_000, Some(10)), Verdict::Warn);
        assert_eq!(verdict(50_000, Some(1_000_000)), Verdict::Ok);
    }

    #[test]
    fn a_profile_in_the_hands_of_a_stranger_is_a_fault() {
        let profile = |id: &str, occupant, leftover_files| Occupancy {
            folder: PathBuf::from(format!("tokens/{id}")),
            occupant,
            leftover_files,
        };
        let checks = judge_profiles(&[
            profile("51", Some(Occupant::Service(1)), vec!["SingletonLock"]),
            profile("52", Some(Occupant::Stranger(2)), vec![]),
            profile("53", Some(Occupant::Nobody(3)), vec![]),
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
            .filter(|check| check.name == "adopt")
            .collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|check| check.verdict == Verdict::Warn));
        let remedy = found[0].remedy.as_ref().unwrap();
        let command = format!(
            "session-manager adopt {}/tokens/session-admin --as",
            home.path().display()
        );
        assert!(
            remedy.contains(&command) && remedy.contains("session session-admin"),
            "{remedy}"
        );
        // What it is called is its own affair, and must not be taken for a word of ours.
        let (found, remedy) = (&found[1].found, found[1].remedy.as_ref().unwrap());
        assert!(found.contains(r"it's \u001b[2J\u000aok "), "{found}");
        assert!(
            remedy.contains(r"'\''s ") && !remedy.contains('\n'),
            "{remedy}"
        );
    }
}
