//! Which Chrome used a profile last: noted in the folder itself, so that it goes along wherever the folder goes.
//!
//! A newer Chrome takes over what an older one has left. The other way round is not promised: Chrome may refuse the profile, or
//! begin its storage anew. That is the operator's to decide, so it is only said.

use std::{fs, io, path::Path};

use tokio::task::spawn_blocking;

use super::ChromeVersion;

pub(super) const NOTE: &str = "chrome-version";

/// Notes the Chrome that is about to use the profile. Says so when it is older than the last one. Off the runtime: the
/// disk may hang.
pub(super) async fn note(folder: &Path, version: &ChromeVersion) -> io::Result<()> {
    let (folder, version) = (folder.to_owned(), version.clone());
    spawn_blocking(move || put(&folder, &version)).await?
}

fn put(folder: &Path, version: &ChromeVersion) -> io::Result<()> {
    let last = read(folder);
    if last.as_deref() == Some(version.as_str()) {
        return Ok(());
    }
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
    write(folder, version.as_str())
}

/// Notes the Chrome that has used the profile where it comes from.
pub(super) fn write(folder: &Path, version: &str) -> io::Result<()> {
    fs::write(folder.join(NOTE), version)
}

/// Whether a Chrome of this service has worked on the folder.
pub fn has_been_used(folder: &Path) -> bool {
    read(folder).is_some()
}

/// The version that was noted.
pub(super) fn read(folder: &Path) -> Option<String> {
    let noted = fs::read_to_string(folder.join(NOTE)).ok()?;
    Some(noted.trim().to_owned()).filter(|noted| !noted.is_empty())
}

/// Whether a version comes before another one.
pub(super) fn is_older(version: &str, than: &str) -> bool {
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
        assert_eq!(read(folder.path()), None);
        let version = ChromeVersion::parse("Chromium 156.0.8078.79").unwrap();
        put(folder.path(), &version).unwrap();
        assert_eq!(read(folder.path()).as_deref(), Some("156.0.8078.79"));
    }
}
