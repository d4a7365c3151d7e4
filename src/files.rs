//! Files and folders for their owner alone, and files that are replaced in one step: a reader finds the old one or the new one, whole, whatever is killed meanwhile.
//!
//! The new file is written under another name and then renamed. Each caller says what the rename must survive. Everything here
//! blocks, and makes files for their owner alone. This module imports no other one of this crate.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// An account's keys may lie in it.
pub(crate) const FOLDER_MODE: u32 = 0o700;

/// What a file that was replaced must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A power cut as well: the file and its folder are on disk before the call returns. A slow disk takes some 10 ms.
    PowerCut,
    /// The end of the service, but no power cut: after one the file may be the old one, or empty.
    ServiceEnd,
}

/// A file on its way to its place. Dropped before it is there, it is removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    path: PathBuf,
    is_in_place: bool,
}

impl NewFile {
    /// Begins one under the name that it has until it is whole. What a killed service has left there goes.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: private_file(&path)?,
            path,
            is_in_place: false,
        })
    }

    /// The file, to be written.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, in the same folder.
    pub(crate) fn put_in_place(mut self, path: &Path, survives: Durability) -> io::Result<()> {
        if survives == Durability::PowerCut {
            self.file.sync_all()?;
        }
        fs::rename(&self.path, path)?;
        self.is_in_place = true;
        match survives {
            Durability::PowerCut => sync_folder(folder_of(path)),
            Durability::ServiceEnd => Ok(()),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_in_place {
            // The next attempt removes it too; until then it only takes up room.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Replaces the file at `path`, or makes it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], survives: Durability) -> io::Result<()> {
    let new = NewFile::create(beside(path, "new"))?;
    new.file().write_all(bytes)?;
    new.put_in_place(path, survives)
}

/// The path with an ending more: `keys.json` and `lock` make `keys.json.lock`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(".");
    path.push(ending);
    path.into()
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}

/// An empty file for its owner alone, in the place of whatever file is there.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    remove_file(path)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// What became of a file that need not be there: `None` when it is not.
pub(crate) fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(there) => Ok(Some(there)),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why),
    }
}

/// Removes a file that need not be there.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    found(fs::remove_file(path)).map(drop)
}

/// Removes a folder that need not be there, and what is in it.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    found(fs::remove_dir_all(path)).map(drop)
}

/// Makes a folder for its owner alone, and those above it that are not there.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut folders = DirBuilder::new();
    folders.recursive(true).mode(FOLDER_MODE).create(path)
}

/// Has what was renamed or removed in it on disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_for_its_owner_alone_whatever_a_killed_service_has_left() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("note");
        fs::write(beside(&path, "new"), "half").unwrap();
        for survives in [Durability::ServiceEnd, Durability::PowerCut] {
            let text = format!("{survives:?}");
            write_atomically(&path, text.as_bytes(), survives).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(home.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_does_not_get_to_its_place_leaves_the_old_file_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("note");
        fs::write(&path, "old").unwrap();
        let new = NewFile::create(beside(&path, "new")).unwrap();
        new.file().write_all(b"half").unwrap();
        drop(new);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(home.path().read_dir().unwrap().count(), 1);
    }
}
