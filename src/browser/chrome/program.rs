//! Which Chrome is installed, and which version it is.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Access, access};
use tokio::task::spawn_blocking;

use crate::browser::{
    Advice, BrowserError, ChromeVersion, Exit,
    measure::limits,
    processes::{output::advice, process},
};

/// A program to look for, and where it really lies when what stands in the search path is a shell script.
struct Candidate {
    name: &'static str,
    /// Absolute, or relative to the folder of the script.
    behind_script: &'static [&'static str],
}

/// In order of preference: headless-shell needs some 100 MB less than the full browser.
///
/// A script in between would take our signals, and its command line stands in `/proc` instead of Chrome's.
const CANDIDATES: &[Candidate] = &[
    Candidate {
        name: "chromium-headless-shell",
        behind_script: &["/usr/lib/chromium/chromium-headless-shell"],
    },
    Candidate {
        name: "google-chrome-stable",
        behind_script: &["chrome", "/opt/google/chrome/chrome"],
    },
    Candidate {
        name: "chromium",
        behind_script: &["/usr/lib/chromium/chromium"],
    },
];

/// Printing the version takes 0.1 s; the first start after the machine's own may wait for a slow disk.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);

/// A Chrome that can be started.
#[derive(Clone, Debug)]
pub struct ChromeProgram {
    /// The program itself, not a script that starts it, where they can be distinguished.
    pub path: PathBuf,
    /// Its version, such as `156.0.8078.79`.
    pub version: ChromeVersion,
    /// Which kind of Chrome it is.
    pub kind: ChromeKind,
    /// `setpriv`, which has the system end Chrome with the service; `None` when there is none that works.
    pub setpriv: Option<PathBuf>,
}

/// The two kinds of Chrome; both can be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChromeKind {
    /// The small program without a user interface.
    HeadlessShell,
    /// The browser of a desktop, run without a window.
    FullBrowser,
}

/// Finds the Chrome to use: `explicit` when given, else the best one in `search_path` (the form of `PATH`).
///
/// Starts each candidate with `--version` to see that it runs.
pub async fn find_chrome(
    explicit: Option<&Path>,
    search_path: &OsStr,
) -> Result<ChromeProgram, BrowserError> {
    let (explicit, search_path) = (explicit.map(Path::to_owned), search_path.to_owned());
    let look = move || {
        let setpriv = in_search_path("setpriv", &search_path);
        let found: Vec<PathBuf> = match &explicit {
            Some(path) => vec![real_program(path)],
            None => CANDIDATES
                .iter()
                .filter_map(|candidate| in_search_path(candidate.name, &search_path))
                .map(|path| real_program(&path))
                .collect(),
        };
        (explicit.is_some(), found, setpriv)
    };
    // Off the runtime: a folder of the search path may be on a disk that hangs. A runtime that goes down finds none.
    let (is_explicit, found, setpriv) = spawn_blocking(look).await.map_err(|_| not_found())?;
    let mut unusable = None;
    for path in found {
        match probe(path, setpriv.clone()).await {
            Ok(program) => return Ok(program),
            Err(error) if is_explicit => return Err(error),
            Err(error) => {
                tracing::warn!("passed over a Chrome: {error}");
                unusable.get_or_insert(error);
            }
        }
    }
    Err(unusable.unwrap_or_else(not_found))
}

/// Whether there is anything in `search_path` that may be Chrome; starts nothing.
pub fn ensure_there_is_one(search_path: &OsStr) -> Result<(), BrowserError> {
    let is_there = |candidate: &Candidate| in_search_path(candidate.name, search_path).is_some();
    if CANDIDATES.iter().any(is_there) {
        Ok(())
    } else {
        Err(not_found())
    }
}

fn not_found() -> BrowserError {
    let names = CANDIDATES.iter().map(|candidate| candidate.name);
    BrowserError::NotFound {
        looked_for: names.collect::<Vec<_>>().join(", "),
    }
}

fn in_search_path(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    env::split_paths(search_path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok())
}

/// What a script of a known name starts in the end; the path itself for everything else.
fn real_program(path: &Path) -> PathBuf {
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stands_for = |candidate: &&Candidate| path.file_name() == Some(OsStr::new(candidate.name));
    let Some(candidate) = CANDIDATES.iter().find(stands_for) else {
        return path.to_owned();
    };
    if !is_script(&resolved) {
        return path.to_owned();
    }
    let beside = resolved.parent().unwrap_or(Path::new("/"));
    candidate
        .behind_script
        .iter()
        .map(|behind| beside.join(behind))
        .find(|behind| behind.is_file())
        .unwrap_or_else(|| path.to_owned())
}

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok()
        && start == *b"#!"
}

/// Asks for the version, through `setpriv` first: one that cannot do its part must not keep Chrome from starting.
async fn probe(path: PathBuf, setpriv: Option<PathBuf>) -> Result<ChromeProgram, BrowserError> {
    let (version, setpriv) = match version(&path, setpriv.as_deref()).await {
        Ok(version) => (version, setpriv),
        Err(failed) if setpriv.is_none() => return Err(failed.told_of(path)),
        Err(_) => match version(&path, None).await {
            Ok(version) => (version, None),
            Err(failed) => return Err(failed.told_of(path)),
        },
    };
    if setpriv.is_none() {
        tracing::debug!(
            "no setpriv that works: a killed service leaves a Chrome that hangs to the next start"
        );
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .replace('_', "-");
    let kind = if name.contains("headless-shell") {
        ChromeKind::HeadlessShell
    } else {
        ChromeKind::FullBrowser
    };
    Ok(ChromeProgram {
        path,
        version,
        kind,
        setpriv,
    })
}

/// Why a program printed no version.
struct NoVersion {
    why: String,
    advice: Option<Advice>,
}

impl NoVersion {
    fn told_of(self, path: PathBuf) -> BrowserError {
        let Self { why, advice } = self;
        BrowserError::Unusable { path, why, advice }
    }
}

async fn version(path: &Path, setpriv: Option<&Path>) -> Result<ChromeVersion, NoVersion> {
    let arguments = [OsString::from("--version")];
    let (exit, lines) = process::run_to_end(path, &arguments, setpriv, VERSION_TIMEOUT)
        .await
        .map_err(|error| NoVersion {
            why: error.to_string(),
            advice: limits::advice_on_refusal(&error),
        })?;
    let printed = lines.join(" | ");
    let why = match (
        exit,
        lines.iter().find_map(|line| ChromeVersion::parse(line)),
    ) {
        (Exit::Status(0), Some(version)) => return Ok(version),
        (Exit::Status(0), None) => format!("asked for its version it printed {printed:?}"),
        (exit, _) if printed.is_empty() => {
            format!("asked for its version it {exit} and printed nothing")
        }
        (exit, _) => format!("asked for its version it {exit}: {printed}"),
    };
    Err(NoVersion {
        why,
        advice: advice(Some(exit), &lines),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_each_kind_prints() {
        for printed in [
            "Chromium 156.0.8078.79 ",
            "Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)",
            "Google Chrome 156.0.8078.79",
        ] {
            let version = ChromeVersion::parse(printed).unwrap();
            assert_eq!((version.as_str(), version.major()), ("156.0.8078.79", 156));
        }
        assert_eq!(ChromeVersion::parse("Firefox 156.0"), None);
    }
}
