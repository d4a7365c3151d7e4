//! Which Chrome used a profile last, and a warning when an older one is about to.
//!
//! A newer Chrome takes over what an older one has left. The reverse is not promised: Chrome may refuse the profile, or begin its
//! storage again. The operator decides about that, so it is only logged.

use std::{io, path::Path};

use tokio::task::spawn_blocking;

use super::ProfileNote;
use crate::browser::ChromeVersion;

/// Notes the Chrome that is about to use the profile. Logs a warning when it is older than the last one. Off the runtime: the
/// disk may hang.
pub(in crate::browser) async fn note(folder: &Path, version: &ChromeVersion) -> io::Result<()> {
    let (folder, version) = (folder.to_owned(), version.clone());
    spawn_blocking(move || put(&folder, &version)).await?
}

fn put(folder: &Path, version: &ChromeVersion) -> io::Result<()> {
    let mut last = None;
    let noted = ProfileNote::change(folder, |note| {
        last = note.chrome.replace(version.as_str().to_owned());
    });
    if last
        .as_deref()
        .is_some_and(|last| is_older(version.as_str(), last))
    {
        tracing::warn!(
            chrome.version = version.as_str(),
            chrome.last_version = last,
            "the profile was used by a newer Chrome before: this one may refuse it or begin its storage anew; \
             if the session asks for a scan, go back to the newer one (CHROME_PATH)"
        );
    }
    noted
}

/// Whether a version comes before another one.
pub(in crate::browser) fn is_older(version: &str, than: &str) -> bool {
    let numbers = |text: &str| {
        text.split('.')
            .map(str::parse::<u32>)
            .collect::<Result<Vec<_>, _>>()
    };
    matches!((numbers(version), numbers(than)), (Ok(version), Ok(than)) if version < than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_older_by_its_first_number_that_differs() {
        assert!(is_older("99.0.0.0", "156.0.8078.79"));
        assert!(is_older("156.0.8078.79", "156.0.8079.2"));
        assert!(!is_older("156.0.8078.79", "156.0.8078.79"));
        assert!(!is_older("157.0.1.1", "156.0.8078.79"));
        assert!(!is_older("156.0.8078.79", "not a version"));
    }

    #[test]
    fn the_last_version_is_noted_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let read = || ProfileNote::read(folder.path()).unwrap().chrome;
        assert_eq!(read(), None);
        let version = ChromeVersion::parse("Chromium 156.0.8078.79").unwrap();
        put(folder.path(), &version).unwrap();
        assert_eq!(read().as_deref(), Some("156.0.8078.79"));
    }
}
