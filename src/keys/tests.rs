//! The file and those who look at it, as they change.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::{Key, KeyFile, KeyFileError, KeyText, Keyring, Scope, Verdict};

struct Place {
    folder: TempDir,
    file: KeyFile,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("data/keys.json"));
        Self { folder, file }
    }

    fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    fn keyring(&self, master: Option<&str>) -> Keyring {
        Keyring::new(master, self.path())
    }

    /// Adds a key and gives its text.
    fn add(&self, name: &str) -> KeyText {
        let text = KeyText::generate();
        let key = Key::new(name.parse().unwrap(), &text, Scope::Send, Timestamp::now());
        self.file.add(key).unwrap();
        text
    }
}

/// The verdict on a key, or on none, after a look at the file.
fn verdict(keyring: &Keyring, key: &str) -> String {
    keyring.look();
    judged(keyring, key)
}

fn judged(keyring: &Keyring, key: &str) -> String {
    let key = Some(key.as_bytes()).filter(|key| !key.is_empty());
    match keyring.judge(key, Timestamp::now()) {
        Verdict::Known(key) => format!("Known {}", key.name),
        other @ (Verdict::NotAsked
        | Verdict::Missing
        | Verdict::Wrong
        | Verdict::Expired
        | Verdict::Master) => format!("{other:?}"),
    }
}

#[test]
fn the_file_is_for_its_owner_alone_and_never_holds_a_key() {
    let place = Place::new();
    let text = place.add("shop");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.path()), 0o600);
    assert_eq!(mode(place.folder.path().join("data")), 0o700);
    let contents = fs::read_to_string(place.path()).unwrap();
    assert!(contents.contains("shop") && !contents.contains(text.reveal()));
    // Nothing of a change is left beside it but the lock.
    let mut left: Vec<_> = fs::read_dir(place.folder.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["keys.json", "keys.json.lock"]);
}

#[test]
fn a_name_is_given_once_and_an_unknown_one_is_not_revoked() {
    let place = Place::new();
    place.add("shop");
    let again = Key::new(
        "shop".parse().unwrap(),
        &KeyText::generate(),
        Scope::Read,
        Timestamp::now(),
    );
    assert!(matches!(
        place.file.add(again),
        Err(KeyFileError::NameTaken(_))
    ));
    let unknown = place.file.revoke(&"other".parse().unwrap());
    assert!(matches!(unknown, Err(KeyFileError::UnknownName(_))));
    assert_eq!(place.file.revoke(&"shop".parse().unwrap()).unwrap(), 0);
    assert_eq!(place.file.read().unwrap().unwrap().len(), 0);
}

#[test]
fn two_commands_never_change_the_file_at_once() {
    let place = Place::new();
    place.add("shop");
    let lock = fs::File::open(place.path().with_extension("json.lock")).unwrap();
    lock.lock().unwrap();
    let refused = place.file.revoke(&"shop".parse().unwrap());
    assert!(matches!(refused, Err(KeyFileError::Busy(_))));
    drop(lock);
    assert_eq!(place.file.revoke(&"shop".parse().unwrap()).unwrap(), 0);
}

#[test]
fn a_key_comes_into_force_and_goes_out_of_it_with_the_next_look() {
    let place = Place::new();
    let keyring = place.keyring(None);
    assert_eq!(verdict(&keyring, ""), "NotAsked");
    assert!(!keyring.is_asked_for());
    let (shop, desk) = (place.add("shop"), place.add("desk"));
    assert_eq!(verdict(&keyring, ""), "Missing");
    assert_eq!(verdict(&keyring, shop.reveal()), "Known shop");
    place.file.revoke(&"shop".parse().unwrap()).unwrap();
    assert_eq!(verdict(&keyring, shop.reveal()), "Wrong");
    assert_eq!(verdict(&keyring, desk.reveal()), "Known desk");
    for cut in [&desk.reveal()[1..], &desk.reveal()[..35], "smk_"] {
        assert_eq!(verdict(&keyring, cut), "Wrong", "{cut}");
    }
}

#[test]
fn a_key_that_has_expired_is_told_from_a_wrong_one_and_opens_nothing() {
    let place = Place::new();
    let (keyring, text) = (place.keyring(None), KeyText::generate());
    let now = Timestamp::now();
    let mut key = Key::new("shop".parse().unwrap(), &text, Scope::Read, now);
    key.expires_at = Some(now.checked_add(Duration::from_secs(60)).unwrap());
    place.file.add(key).unwrap();
    keyring.look();
    let judge = |now| keyring.judge(Some(text.reveal().as_bytes()), now);
    assert!(matches!(judge(now), Verdict::Known(_)));
    let later = now.checked_add(Duration::from_secs(60)).unwrap();
    assert!(matches!(judge(later), Verdict::Expired));
    assert!(matches!(keyring.judge(None, later), Verdict::Missing));
}

#[test]
fn the_setting_s_key_is_known_beside_those_of_the_file() {
    let place = Place::new();
    let keyring = place.keyring(Some("s3cret"));
    assert_eq!(verdict(&keyring, ""), "Missing");
    assert_eq!(verdict(&keyring, "s3cret"), "Master");
    let shop = place.add("shop");
    assert_eq!(verdict(&keyring, "s3cret"), "Master");
    assert_eq!(verdict(&keyring, shop.reveal()), "Known shop");
    for wrong in ["s3cre", "s3cret2", "S3CRET"] {
        assert_eq!(verdict(&keyring, wrong), "Wrong", "{wrong}");
    }
    assert!(!format!("{keyring:?}").contains("s3cret"));
}

#[test]
fn a_file_that_breaks_keeps_the_last_keys_in_force_and_one_that_goes_takes_them_along() {
    let place = Place::new();
    let (keyring, shop) = (place.keyring(None), place.add("shop"));
    assert_eq!(verdict(&keyring, shop.reveal()), "Known shop");
    let good = fs::read_to_string(place.path()).unwrap();
    let broken = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("cliente_ids", "cliente_id"),
        good.replace("\"hint\"", "\"cliente_id\": \"51\", \"hint\""),
        good.replace("\"hint\"", "\"cliente_ids\": [], \"hint\""),
        good.replace("\"hint\"", "\"cliente_ids\": [\"../x\"], \"hint\""),
        good.replace("\"send\"", "\"root\""),
        good.replace("sha256\": \"", "sha256\": \"0"),
    ];
    for text in broken.iter().filter(|text| **text != good) {
        fs::write(place.path(), text).unwrap();
        assert!(place.file.read().is_err(), "{text}");
        assert_eq!(verdict(&keyring, shop.reveal()), "Known shop", "{text}");
        assert_eq!(verdict(&keyring, ""), "Missing", "{text}");
    }
    // One that has never seen a good file lets nobody in.
    assert_eq!(verdict(&place.keyring(None), shop.reveal()), "Wrong");
    fs::write(place.path(), &good).unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o620)).unwrap();
    assert_eq!(verdict(&place.keyring(None), shop.reveal()), "Wrong");
    fs::remove_file(place.path()).unwrap();
    assert_eq!(verdict(&keyring, shop.reveal()), "Wrong");
    assert_eq!(verdict(&keyring, ""), "Missing");
    assert_eq!(verdict(&place.keyring(None), ""), "NotAsked");
}

#[test]
fn what_stands_in_a_broken_file_is_not_repeated() {
    let place = Place::new();
    fs::create_dir(place.folder.path().join("data")).unwrap();
    fs::write(place.path(), r#"{"version": "smk_s3cret", "keys": []}"#).unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o600)).unwrap();
    let why = place.file.read().unwrap_err().to_string();
    assert!(!why.contains("s3cret"), "{why}");
    assert!(why.contains("keys.json") && why.contains("line 1"), "{why}");
}

#[test]
fn a_key_that_is_there_twice_breaks_the_file() {
    let place = Place::new();
    let text = place.add("shop");
    let twin = Key::new(
        "twin".parse().unwrap(),
        &text,
        Scope::Admin,
        Timestamp::now(),
    );
    place.file.add(twin).unwrap();
    assert!(
        place
            .file
            .read()
            .unwrap_err()
            .to_string()
            .contains("key 2 is there twice")
    );
}

#[test]
fn before_the_first_look_only_the_setting_s_key_is_let_in_and_no_request_looks() {
    let place = Place::new();
    let (open, keyed) = (place.keyring(None), place.keyring(Some("s3cret")));
    for keyring in [&open, &keyed] {
        assert!(keyring.is_asked_for());
        assert_eq!(judged(keyring, ""), "Missing");
    }
    assert_eq!(judged(&keyed, "s3cret"), "Master");
    open.look();
    let shop = place.add("shop");
    assert_eq!(judged(&open, shop.reveal()), "NotAsked");
    assert_eq!(verdict(&open, shop.reveal()), "Known shop");
    place.file.revoke(&"shop".parse().unwrap()).unwrap();
    assert_eq!(judged(&open, shop.reveal()), "Known shop");
    assert_eq!(verdict(&open, shop.reveal()), "Wrong");
}

#[test]
fn what_is_not_a_regular_file_is_a_fault_that_holds_nobody() {
    let place = Place::new();
    let (keyring, shop) = (place.keyring(None), place.add("shop"));
    assert_eq!(verdict(&keyring, shop.reveal()), "Known shop");
    fs::remove_file(place.path()).unwrap();
    for kind in ["a pipe", "a folder", "a device"] {
        match kind {
            "a pipe" => {
                let mode = Mode::from_raw_mode(0o600);
                mknodat(CWD, place.path(), FileType::Fifo, mode, 0).unwrap();
            }
            "a folder" => fs::create_dir(place.path()).unwrap(),
            _ => symlink("/dev/zero", place.path()).unwrap(),
        }
        let why = place.file.read().unwrap_err().to_string();
        assert!(why.contains("not a regular file"), "{kind}: {why}");
        assert_eq!(verdict(&keyring, shop.reveal()), "Known shop", "{kind}");
        let changed = place.file.revoke(&"shop".parse().unwrap());
        assert!(matches!(changed, Err(KeyFileError::NotAFile(_))), "{kind}");
        if kind == "a folder" {
            fs::remove_dir(place.path()).unwrap();
        } else {
            fs::remove_file(place.path()).unwrap();
        }
    }
}
