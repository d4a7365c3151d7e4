//! Archives as nobody but an attacker packs them.

use std::{fs, io::Write as _};

use tar::EntryType;

use super::{
    super::{Origin, contents::Contents},
    *,
};

/// One entry, and what the header says of it.
struct Packed<'a>(EntryType, &'a str, &'a [u8]);

fn archive(entries: &[Packed<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for Packed(kind, path, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len().try_into().unwrap());
        header.set_mode(0o777);
        // The library would not write some of them.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Unpacks it into `folder`, with a manifest that tells of so many files of so many bytes.
fn unpacked(tar: &[u8], told: (u64, u64), folder: &Path) -> Result<(), String> {
    unpacked_at_most(ENTRIES_MAX, tar, told, folder)
}

fn unpacked_at_most(
    entries_max: usize,
    tar: &[u8],
    (files, bytes): (u64, u64),
    folder: &Path,
) -> Result<(), String> {
    let mut manifest = Manifest::new(Origin::default(), None, 0, &Contents::default());
    (manifest.files, manifest.bytes) = (files, bytes);
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    packed.write_all(tar).unwrap();
    let packed = packed.finish().unwrap();
    let give_up = CancellationToken::new();
    let checked = walk(entries_max, &*packed, &manifest, None, &give_up);
    assert!(!folder.try_exists().unwrap(), "a look writes nothing");
    let unpacked = walk(entries_max, &*packed, &manifest, Some(folder), &give_up);
    let unpacked = unpacked.map_err(|why| why.to_string());
    // A folder whose parent is not there is for the disk to refuse.
    let by_the_disk = |why: &String| why.contains("No such file");
    let is_same = checked.map_err(|why| why.to_string()) == unpacked;
    assert!(is_same || unpacked.as_ref().is_err_and(by_the_disk));
    unpacked
}

/// Why it is refused, and how many bytes of files stand in the folder then.
fn refused(entries: &[Packed<'_>], told: (u64, u64)) -> (String, u64) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("unpacking");
    let why = unpacked(&archive(entries), told, &folder).unwrap_err();
    let mut names = fs::read_dir(home.path()).unwrap();
    assert!(names.all(|entry| entry.unwrap().file_name() == "unpacking"));
    (why, Contents::of(&folder).unwrap().bytes())
}

#[test]
fn an_archive_that_holds_more_than_it_says_is_refused_before_more_is_written() {
    let large = vec![0; 50_000_000];
    let bomb = [
        Packed(EntryType::Regular, "small", b"123456"),
        Packed(EntryType::Regular, "large", &large),
    ];
    let (why, written) = refused(&bomb, (2, 6));
    assert_eq!((&*why, written), ("it has more in it than it says", 6));
    let empty = [
        Packed(EntryType::Regular, "1", b""),
        Packed(EntryType::Regular, "2", b""),
    ];
    let (why, _) = refused(&empty, (1, 0));
    assert_eq!(why, "it has more in it than it says");
}

#[test]
fn an_archive_that_holds_less_than_it_says_is_refused() {
    let one = [Packed(EntryType::Regular, "1", b"123456")];
    for told in [(2, 6), (1, 7)] {
        assert_eq!(refused(&one, told).0, "some of its files are missing");
    }
    let home = tempfile::tempdir().unwrap();
    let whole = archive(&one);
    // Within the file.
    let cut = unpacked(&whole[..515], (1, 6), &home.path().join("51"));
    assert!(cut.is_err());
}

#[test]
fn nothing_is_written_outside_of_the_folder_and_nothing_but_files_and_folders() {
    for path in ["../x", "/tmp/x", "a/../../x", "./x"] {
        let (why, _) = refused(&[Packed(EntryType::Regular, path, b"x")], (1, 1));
        assert_eq!(why, "a path in it leads out of the profile", "{path}");
    }
    for kind in [EntryType::Symlink, EntryType::Fifo, EntryType::XHeader] {
        let (why, _) = refused(&[Packed(kind, "x", b"")], (1, 0));
        assert_eq!(why, "it has more than files and folders", "{kind:?}");
    }
    // A thousand folders at the price of one.
    let deep = [Packed(EntryType::Directory, "a/b/c/d", b"")];
    assert!(refused(&deep, (0, 0)).0.contains("No such file"));
}

#[test]
fn a_path_is_not_longer_than_a_path_can_be() {
    let long = "x".repeat(150);
    let longest = "x".repeat(1_000_000);
    let home = tempfile::tempdir().unwrap();
    for (path, is_one) in [(&long, true), (&longest, false)] {
        let tar = archive(&[
            Packed(EntryType::GNULongName, "././@LongLink", path.as_bytes()),
            Packed(EntryType::Regular, "short", b"123"),
        ]);
        let folder = home.path().join(path.len().to_string());
        assert_eq!(unpacked(&tar, (1, 3), &folder).is_ok(), is_one);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), usize::from(is_one));
    }
}

#[test]
fn no_more_files_and_folders_are_made_than_a_profile_has() {
    const TOO_MANY: &str = "it has too many files for a profile";
    let names = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let folders = names.map(|name| Packed(EntryType::Directory, name, b""));
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folders");
    let why = unpacked_at_most(5, &archive(&folders), (0, 0), &folder).unwrap_err();
    assert_eq!(
        (&*why, fs::read_dir(&folder).unwrap().count()),
        (TOO_MANY, 5)
    );
    let folder = home.path().join("just as many");
    unpacked_at_most(9, &archive(&folders), (0, 0), &folder).unwrap();

    // Of files the manifest tells, so nothing is begun.
    let files = names.map(|name| Packed(EntryType::Regular, name, b""));
    let folder = home.path().join("files");
    let why = unpacked_at_most(5, &archive(&files), (9, 0), &folder).unwrap_err();
    assert_eq!((&*why, folder.try_exists().unwrap()), (TOO_MANY, false));

    // Paths of nothing are no way around it.
    let paths = names.map(|name| Packed(EntryType::GNULongName, "././@LongLink", name.as_bytes()));
    let folder = home.path().join("paths");
    let why = unpacked_at_most(5, &archive(&paths), (0, 0), &folder).unwrap_err();
    assert_eq!(why, "it has more than files and folders");
}
