//! Exports on real files: what is written, what is opened, and what is refused because it was cut off, changed or crafted.

use std::{fs::File, io::Write as _, os::unix::fs::PermissionsExt as _};

use sha2::{Digest as _, Sha256};

use super::*;
use crate::{browser::BrowserError, files::private_file};

const LINK: &str = "Default/IndexedDB/a_0.indexeddb.leveldb/000003.log";

/// A folder with one profile in it, larger than one piece of an encryption.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write(LINK, &noise(200_000));
        home.write("Default/Preferences", b"{}");
        home.write("Default/Cache/Cache_Data/index", b"a cache");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn profile(&self) -> PathBuf {
        self.path("tokens/51")
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.profile().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    async fn export(&self, to: &Path, may_replace: bool) -> Result<Manifest, SnapshotError> {
        let to = ExportTo {
            path: to.to_owned(),
            may_replace,
        };
        let held = HeldProfile::take(&self.profile()).await?;
        held.export(origin(), to, passphrase(), CancellationToken::new())
            .await
    }

    /// What else is in the folder that a file was written to.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn origin() -> Origin {
    Origin {
        cliente_id: "51".to_owned(),
        ..Origin::default()
    }
}

fn passphrase() -> Passphrase {
    "correct horse battery".parse().unwrap()
}

/// What cannot be packed any smaller.
fn noise(length: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|number| Sha256::digest(number.to_le_bytes()).to_vec());
    blocks.take(length).collect()
}

/// Puts this, whatever it is, into a file encrypted with the right passphrase.
fn sealed(path: &Path, parts: &[&[u8]]) {
    let mut out = sealed::seal(private_file(path).unwrap(), &passphrase()).unwrap();
    for part in parts {
        out.write_all(part).unwrap();
    }
    out.finish().unwrap().sync_all().unwrap();
}

async fn open(path: &Path) -> Result<Manifest, SnapshotError> {
    export_in(path).await.map(|export| export.0.manifest)
}

async fn export_in(path: &Path) -> Result<Export, SnapshotError> {
    Export::open(path, passphrase(), &CancellationToken::new()).await
}

async fn put_in_place(
    export: Export,
    profile: &Path,
    may_replace: bool,
) -> Result<Manifest, SnapshotError> {
    let give_up = CancellationToken::new();
    export.put_in_place(profile, may_replace, give_up).await
}

#[tokio::test]
async fn a_profile_goes_and_comes_with_its_rights_and_without_caches() {
    let (here, there) = (Home::new(), tempfile::tempdir().unwrap());
    let file = here.path("account");
    let written = here.export(&file, false).await.unwrap();
    assert_eq!(here.names(), ["account", "tokens"]);

    let profile = there.path().join("tokens/shop");
    let export = export_in(&file).await.unwrap();
    let imported = put_in_place(export, &profile, false).await.unwrap();
    assert_eq!(imported, written);
    assert_eq!(fs::read(profile.join(LINK)).unwrap(), noise(200_000));
    assert!(!profile.join("Default/Cache").try_exists().unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&profile)), (0o600, 0o700));
    assert_eq!(
        (mode(&profile.join("Default")), mode(&profile.join(LINK))),
        (0o700, 0o600)
    );
    // An empty folder is nothing that must be kept.
    assert_eq!(Places::of(&profile).set_aside().unwrap().len(), 0);
}

#[tokio::test]
async fn a_file_that_is_there_stays_unless_it_may_go() {
    let home = Home::new();
    let file = home.path("account");
    fs::write(&file, "mine").unwrap();
    let refused = home.export(&file, false).await;
    assert!(
        matches!(refused, Err(SnapshotError::FileThere { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    home.export(&file, true).await.unwrap();
    open(&file).await.unwrap();
    assert_eq!(home.names(), ["account", "tokens"]);
}

#[tokio::test]
async fn an_export_that_is_given_up_leaves_nothing() {
    let home = Home::new();
    let to = ExportTo {
        path: home.path("account"),
        may_replace: false,
    };
    let give_up = CancellationToken::new();
    give_up.cancel();
    let held = HeldProfile::take(&home.profile()).await.unwrap();
    let ended = held.export(origin(), to, passphrase(), give_up).await;
    assert!(matches!(ended, Err(SnapshotError::GivenUp)), "{ended:?}");
    assert_eq!(home.names(), ["tokens"]);
}

#[tokio::test]
async fn an_import_that_is_given_up_changes_nothing() {
    let home = Home::new();
    let file = home.path("account");
    home.export(&file, false).await.unwrap();
    let given_up = CancellationToken::new();
    let export = export_in(&file).await.unwrap();
    given_up.cancel();
    let opened = Export::open(&file, passphrase(), &given_up).await;
    assert!(matches!(opened, Err(SnapshotError::GivenUp)), "{opened:?}");
    home.write(LINK, b"newer");
    let old = home.profile();
    let ended = export.put_in_place(&old, true, given_up.clone()).await;
    assert!(matches!(ended, Err(SnapshotError::GivenUp)), "{ended:?}");
    let export = export_in(&file).await.unwrap();
    let new = home.path("tokens/52");
    let ended = export.put_in_place(&new, false, given_up).await;
    assert!(matches!(ended, Err(SnapshotError::GivenUp)), "{ended:?}");

    assert_eq!(fs::read(home.profile().join(LINK)).unwrap(), b"newer");
    let tokens = fs::read_dir(home.path("tokens")).unwrap();
    let mut names: Vec<_> = tokens.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["51", "51.lock", "52.lock"]);
}

#[tokio::test]
async fn a_profile_that_is_there_stays_unless_it_may_be_set_aside() {
    let home = Home::new();
    let file = home.path("account");
    home.export(&file, false).await.unwrap();
    home.write(LINK, b"newer");
    let export = export_in(&file).await.unwrap();
    let refused = put_in_place(export, &home.profile(), false).await;
    assert!(
        matches!(refused, Err(SnapshotError::ProfileThere { .. })),
        "{refused:?}"
    );
    let link = home.profile().join(LINK);
    assert_eq!(fs::read(&link).unwrap(), b"newer");

    let export = export_in(&file).await.unwrap();
    put_in_place(export, &home.profile(), true).await.unwrap();
    assert_eq!(fs::read(&link).unwrap(), noise(200_000));
    let aside = Places::of(&home.profile()).set_aside().unwrap();
    assert_eq!(fs::read(aside[0].join(LINK)).unwrap(), b"newer");
}

#[tokio::test]
async fn a_wrong_passphrase_opens_nothing() {
    let home = Home::new();
    let file = home.path("account");
    home.export(&file, false).await.unwrap();
    let wrong = "correct horse batterz".parse().unwrap();
    let refused = Export::open(&file, wrong, &CancellationToken::new()).await;
    assert!(
        matches!(refused, Err(SnapshotError::WrongPassphrase { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_file_that_was_cut_off_or_changed_is_damaged() {
    let home = Home::new();
    let file = home.path("account");
    home.export(&file, false).await.unwrap();
    let bytes = fs::read(&file).unwrap();
    let head = bytes
        .windows(4)
        .position(|part| part == b"--- ")
        .expect("the line that authenticates the head");
    let piece = 65_536 + 16;
    // Within the head, after it, before and after a whole piece, and at the end.
    let pieces = head + 48 + 16;
    for length in [
        head - 5,
        head + 10,
        head + 60,
        pieces,
        pieces + 2 * piece,
        bytes.len() - piece,
        bytes.len() - 1,
    ] {
        fs::write(&file, &bytes[..length]).unwrap();
        let cut = open(&file).await;
        assert!(
            matches!(cut, Err(SnapshotError::Damaged { .. })),
            "cut at {length}: {cut:?}"
        );
    }
    for at in [
        head + 10,
        head + 100,
        head + piece + 200,
        bytes.len() - 40,
        bytes.len() - 1,
    ] {
        let mut changed = bytes.clone();
        // In the head, no letter that may stand there.
        changed[at] ^= 0x80;
        fs::write(&file, changed).unwrap();
        let changed = open(&file).await;
        assert!(
            matches!(changed, Err(SnapshotError::Damaged { .. })),
            "byte {at}: {changed:?}"
        );
    }
    fs::write(&file, [&bytes[..], b"x"].concat()).unwrap();
    let longer = open(&file).await;
    assert!(
        matches!(longer, Err(SnapshotError::Damaged { .. })),
        "{longer:?}"
    );
}

#[tokio::test]
async fn another_kind_of_file_is_none() {
    let home = Home::new();
    let file = home.path("account");
    for other in [
        &b""[..],
        b"age",
        b"session-manager profile\n{}",
        b"PK\x03\x04",
    ] {
        fs::write(&file, other).unwrap();
        let refused = open(&file).await;
        assert!(
            matches!(refused, Err(SnapshotError::NotAnExport { .. })),
            "{refused:?}"
        );
    }
    sealed(
        &file,
        &[b"dear diary, of all that I have encrypted with this"],
    );
    let refused = open(&file).await;
    assert!(
        matches!(refused, Err(SnapshotError::NotASnapshot { .. })),
        "{refused:?}"
    );
    let missing = open(&home.path("nowhere")).await;
    assert!(
        matches!(missing, Err(SnapshotError::Io { .. })),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_file_of_a_later_version_is_told_from_a_damaged_one() {
    let home = Home::new();
    let file = home.path("account");
    sealed(
        &file,
        &[
            b"session-manager profile\n{\"format\":2,\"new\":true}\n",
            &[0; 99],
        ],
    );
    let refused = open(&file).await;
    assert!(
        matches!(refused, Err(SnapshotError::OtherFormat { format: 2, .. })),
        "{refused:?}"
    );
    home.export(&file, true).await.unwrap();
    let bytes = fs::read(&file).unwrap();
    // Of a later age; and one that asks for a terabyte of memory.
    for (old, new) in [("org/v1\n", "org/v2\n"), (" 17\n", " 30\n")] {
        let at = bytes
            .windows(old.len())
            .position(|part| part == old.as_bytes())
            .unwrap();
        let mut later = bytes.clone();
        later[at..at + new.len()].copy_from_slice(new.as_bytes());
        fs::write(&file, later).unwrap();
        let refused = open(&file).await;
        assert!(
            matches!(refused, Err(SnapshotError::OtherEncryption { .. })),
            "{new:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_file_that_ends_anywhere_in_a_piece_of_its_encryption_can_be_read() {
    let home = Home::new();
    let file = home.path("account");
    home.export(&file, false).await.unwrap();
    let manifest = open(&file).await.unwrap();
    let mut head = b"session-manager profile\n".to_vec();
    serde_json::to_writer(&mut head, &manifest).unwrap();
    head.push(b'\n');
    let piece = 65_536;
    // In one piece, filling it, with its checksum across two, and filling both.
    for length in [piece - 1, piece, piece + 31, 2 * piece] {
        let mut bytes = head.clone();
        bytes.extend(noise(length - head.len() - 32));
        sealed(&file, &[&bytes, &Sha256::digest(&bytes)]);
        assert_eq!(open(&file).await.unwrap(), manifest, "{length} bytes");
    }
    let wrong = [0; 32];
    sealed(&file, &[&head, &wrong]);
    let damaged = open(&file).await;
    assert!(
        matches!(damaged, Err(SnapshotError::Damaged { .. })),
        "{damaged:?}"
    );
}

#[tokio::test]
async fn a_disk_that_is_too_full_is_left_as_it_is() {
    let home = Home::new();
    let file = home.path("account");
    home.export(&file, false).await.unwrap();
    let mut manifest = open(&file).await.unwrap();
    manifest.bytes = 1 << 60;
    let mut bytes = b"session-manager profile\n".to_vec();
    serde_json::to_writer(&mut bytes, &manifest).unwrap();
    bytes.push(b'\n');
    let sum = Sha256::digest(&bytes);
    sealed(&file, &[&bytes, &sum]);
    let export = export_in(&file).await.unwrap();
    let refused = put_in_place(export, &home.path("tokens/52"), false).await;
    assert!(
        matches!(refused, Err(SnapshotError::NoSpace { .. })),
        "{refused:?}"
    );
    assert!(!home.path("tokens/52").try_exists().unwrap());

    // A file with nothing in it, as large as a file can be.
    let large = File::create(home.profile().join("Default/large")).unwrap();
    large.set_len(1 << 43).unwrap();
    let refused = home.export(&home.path("other"), false).await;
    assert!(
        matches!(refused, Err(SnapshotError::NoSpace { .. })),
        "{refused:?}"
    );
    assert_eq!(home.names(), ["account", "tokens"]);
}

#[tokio::test]
async fn an_archive_that_cannot_be_unpacked_leaves_no_profile() {
    let home = Home::new();
    let file = home.path("account");
    home.export(&file, false).await.unwrap();
    let manifest = open(&file).await.unwrap();
    let mut bytes = b"session-manager profile\n".to_vec();
    serde_json::to_writer(&mut bytes, &manifest).unwrap();
    bytes.extend_from_slice(b"\nno archive at all");
    let sum = Sha256::digest(&bytes);
    sealed(&file, &[&bytes, &sum]);
    for (name, may_replace) in [("tokens/52", false), ("tokens/51", true)] {
        let export = export_in(&file).await.unwrap();
        let refused = put_in_place(export, &home.path(name), may_replace).await;
        assert!(
            matches!(refused, Err(SnapshotError::Io { .. })),
            "{refused:?}"
        );
    }
    assert!(!home.path("tokens/52").try_exists().unwrap());
    assert_eq!(fs::read(home.profile().join(LINK)).unwrap(), noise(200_000));
    assert_eq!(Places::of(&home.profile()).set_aside().unwrap().len(), 0);
}

#[tokio::test]
async fn a_profile_in_use_is_not_read() {
    let home = Home::new();
    let _held = HeldProfile::take(&home.profile()).await.unwrap();
    let refused = home.export(&home.path("account"), false).await;
    let is_locked = matches!(
        refused,
        Err(SnapshotError::Profile(BrowserError::ProfileLocked { .. }))
    );
    assert!(is_locked, "{refused:?}");
}
