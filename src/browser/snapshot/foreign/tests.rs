//! Profiles of other programs, as folders of files: which is found, what is taken, and that nothing happens to it.

use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use sha2::{Digest as _, Sha256};

use super::*;

const WHATSAPP: &str = "https://web.whatsapp.com/";
const STORAGE: &str = "IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb";

fn site() -> SiteStorage {
    SiteStorage::of(WHATSAPP).unwrap()
}

/// What is known of a file: its size, its three times, its mode, and what is in it.
type State = (u64, [(i64, i64); 3], u32, Vec<u8>);

/// A machine on which another program has worked.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With one profile of Chrome that was linked, as whatsapp-web.js has it, in this user data folder.
    fn with(old: &str) -> Self {
        let home = Self::new();
        home.link(&format!("{old}/Default"));
        home
    }

    fn link(&self, profile: &str) {
        for (path, text) in [
            (&*format!("{STORAGE}/000003.log"), "linked"),
            (&format!("{STORAGE}/LOCK"), ""),
            (
                "IndexedDB/https_web.whatsapp.com_0.indexeddb.blob/1/00/1",
                "a blob",
            ),
            (
                "IndexedDB/https_bank.example_0.indexeddb.leveldb/000003.log",
                "a secret",
            ),
            ("Local Storage/leveldb/000003.log", "local"),
            ("Local Storage/leveldb/LOCK", ""),
            ("Cache/Cache_Data/index", "a cache"),
            ("Login Data", "passwords"),
            ("Preferences", "{}"),
        ] {
            self.write(&format!("{profile}/{path}"), text);
        }
        let user_data = Path::new(profile).parent().unwrap().to_str().unwrap();
        self.write(&format!("{user_data}/Last Version"), "156.0.8078.79");
        self.write(&format!("{user_data}/Local State"), "{}");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn find(&self, folder: &str) -> Result<ForeignProfile, ForeignError> {
        ForeignProfile::find(&self.path(folder), &site())
    }

    async fn adopt(&self, folder: &str, may_replace: bool) -> Result<Adopted, ForeignError> {
        let found = self.find(folder)?;
        found
            .put_in_place(
                &self.path("tokens/51"),
                move |_| may_replace,
                CancellationToken::new(),
            )
            .await
    }

    /// What is below a folder.
    fn paths(&self, folder: &str) -> Vec<String> {
        let root = self.path(folder);
        let mut paths: Vec<_> = all_below(&root)
            .into_iter()
            .map(|path| {
                path.strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        paths.sort();
        paths
    }

    /// All that can be known of what is below a folder, times of access and all.
    fn state(&self, folder: &str) -> BTreeMap<PathBuf, State> {
        let of = |path: PathBuf| {
            let found = fs::symlink_metadata(&path).unwrap();
            let times = [
                (found.atime(), found.atime_nsec()),
                (found.mtime(), found.mtime_nsec()),
                (found.ctime(), found.ctime_nsec()),
            ];
            let hash = if found.is_file() {
                hash(&path)
            } else {
                Vec::new()
            };
            (path, (found.len(), times, found.mode(), hash))
        };
        let root = self.path(folder);
        let mut paths = all_below(&root);
        paths.push(root);
        paths.into_iter().map(of).collect()
    }
}

fn hash(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Or the test itself would leave the trace that it looks for.
    File::from(open_quietly(path).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    Sha256::digest(bytes).to_vec()
}

fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(folder).unwrap() {
        let path = folder.join(name);
        let is_folder = fs::symlink_metadata(&path).unwrap().is_dir();
        found.push(path.clone());
        if is_folder {
            found.extend(all_below(&path));
        }
    }
    found
}

#[test]
fn a_site_is_known_by_the_name_that_chrome_gives_its_storage() {
    for (url, name) in [
        (WHATSAPP, "https_web.whatsapp.com_0"),
        (
            "https://WEB.whatsapp.com:443/x?y#z",
            "https_web.whatsapp.com_0",
        ),
        ("http://127.0.0.1:3002/", "http_127.0.0.1_3002"),
        ("http://localhost/", "http_localhost_0"),
        ("http://[::1]:3002/", "http_[__1]_3002"),
        ("http://a:b@host:81", "http_host_81"),
        ("http://127.0.0.1:0/", "http_127.0.0.1_*"),
    ] {
        assert_eq!(SiteStorage::of(url).unwrap().name(), name, "{url}");
    }
    assert_eq!(SiteStorage::of("ftp://a/"), None);
    let is = |name: &str| site().is(OsStr::new(name));
    assert!(is("https_web.whatsapp.com_0.indexeddb.leveldb") && is("https_web.whatsapp.com_0"));
    for other in [
        "http_web.whatsapp.com_0.indexeddb.leveldb",
        "https_web.whatsapp.com_8443.indexeddb.leveldb",
        "https_web.whatsapp.com.evil.example_0.indexeddb.leveldb",
        "https_web.whatsapp.com_",
    ] {
        assert!(!is(other), "{other}");
    }
    let any = SiteStorage::of("http://127.0.0.1:0/").unwrap();
    assert!(any.is(OsStr::new("http_127.0.0.1_38102.indexeddb.leveldb")));
}

#[test]
fn a_profile_is_found_by_its_folder_by_what_is_in_it_and_by_what_it_is_in() {
    for old in [
        ".wwebjs_auth/session",
        ".wwebjs_auth/session-7",
        "tokens/session-admin",
        "userDataDir/shop",
        "_IGNORE_shop",
    ] {
        let home = Home::with(&format!("old/{old}"));
        let folder = format!("old/{old}");
        let parent = Path::new(&folder).parent().unwrap().to_str().unwrap();
        for given in [&*folder, &format!("{folder}/Default"), parent] {
            let found = home.find(given).unwrap();
            assert_eq!(found.folder, home.path(&folder), "{given}");
        }
    }
}

#[test]
fn of_several_chrome_profiles_the_one_with_whatsapp_in_it_is_taken() {
    let home = Home::with("chrome");
    fs::remove_dir_all(home.path(&format!("chrome/Default/{STORAGE}"))).unwrap();
    fs::remove_dir_all(
        home.path("chrome/Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.blob"),
    )
    .unwrap();
    home.link("chrome/Profile 1");
    assert_eq!(
        home.find("chrome").unwrap().profile,
        home.path("chrome/Profile 1")
    );
}

#[test]
fn what_could_be_one_or_another_is_listed_and_not_guessed() {
    let home = Home::with("auth/session-1");
    home.link("auth/session-2/Default");
    home.link("chrome/Default");
    home.link("chrome/Profile 1");
    for (given, one, other) in [
        ("auth", "auth/session-1/Default", "auth/session-2/Default"),
        ("chrome", "chrome/Default", "chrome/Profile 1"),
    ] {
        let refused = home.find(given).unwrap_err();
        let said = refused.to_string();
        assert!(matches!(refused, ForeignError::Several { .. }), "{said}");
        for path in [one, other] {
            assert!(said.contains(home.path(path).to_str().unwrap()), "{said}");
        }
    }
}

#[test]
fn a_folder_without_whatsapps_storage_is_refused_by_name() {
    let home = Home::new();
    fs::create_dir_all(home.path("empty")).unwrap();
    home.write("file", "x");
    home.write(
        "other/Default/IndexedDB/https_bank.example_0.indexeddb.leveldb/1",
        "x",
    );
    // Chrome makes the folder before there is anything in it.
    fs::create_dir_all(home.path(&format!("fresh/Default/{STORAGE}"))).unwrap();
    home.write("venom/session.data.json", "{}");
    let refused = home.find("file").unwrap_err();
    assert!(
        matches!(refused, ForeignError::NotAFolder { .. }),
        "{refused}"
    );
    for given in ["empty", "other", "other/Default", "fresh", "venom"] {
        let refused = home.find(given).unwrap_err();
        let said = refused.to_string();
        assert!(
            matches!(refused, ForeignError::NoStorage { .. }),
            "{given}: {said}"
        );
        assert!(
            said.contains("https_web.whatsapp.com_0") && said.contains(given),
            "{said}"
        );
    }
    let missing = home.find("nothing").unwrap_err();
    assert!(
        matches!(missing, ForeignError::Unreadable { .. }),
        "{missing}"
    );
}

#[test]
fn links_are_not_followed_out_of_the_folder_that_was_named() {
    let home = Home::with("elsewhere");
    for (given, link, leads_to) in [
        ("chrome", "chrome/Default", "elsewhere/Default"),
        ("parent", "parent/session-1", "elsewhere"),
        (
            "storage",
            "storage/Default/IndexedDB",
            "elsewhere/Default/IndexedDB",
        ),
    ] {
        let link = home.path(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(home.path(leads_to), &link).unwrap();
        let refused = home.find(given).unwrap_err();
        assert!(
            matches!(refused, ForeignError::NoStorage { .. }),
            "{given}: {refused}"
        );
    }
    // One that somebody names is meant.
    symlink(home.path("elsewhere"), home.path("short")).unwrap();
    assert_eq!(home.find("short").unwrap().folder, home.path("elsewhere"));
}

#[tokio::test]
async fn what_a_link_needs_is_copied_and_nothing_else() {
    let home = Home::with("old/session-admin");
    home.write("old/session-admin/DevToolsActivePort", "1");
    symlink("elsewhere-17", home.path("old/session-admin/SingletonLock")).unwrap();
    symlink(
        "/etc",
        home.path("old/session-admin/Default/Local Storage/etc"),
    )
    .unwrap();
    symlink(
        "/etc/passwd",
        home.path(&format!("old/session-admin/Default/{STORAGE}/passwd")),
    )
    .unwrap();
    let adopted = home.adopt("old", false).await.unwrap();
    assert_eq!(
        home.paths("tokens/51"),
        [
            "Default",
            "Default/IndexedDB",
            "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.blob",
            "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.blob/1",
            "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.blob/1/00",
            "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.blob/1/00/1",
            "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb",
            "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb/000003.log",
            "Default/Local Storage",
            "Default/Local Storage/leveldb",
            "Default/Local Storage/leveldb/000003.log",
            "session-manager.json",
        ]
    );
    let path = home.path(&format!("tokens/51/Default/{STORAGE}/000003.log"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "linked");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&home.path("tokens/51")), mode(&path)), (0o700, 0o600));
    assert_eq!(
        home.paths("tokens")
            .iter()
            .filter(|path| !path.starts_with("51/"))
            .count(),
        2
    );
    assert_eq!((adopted.files, adopted.bytes), (3, 17));
    assert_eq!(adopted.chrome.as_deref(), Some("156.0.8078.79"));
    assert_eq!(
        adopted.lock_of_another_host.as_deref(),
        Some("elsewhere-17")
    );
    let version = |text: &str| crate::browser::ChromeVersion::parse(text).unwrap();
    assert!(adopted.is_newer_than(&version("Chromium 155.0.1.1")));
    assert!(!adopted.is_newer_than(&version("Chromium 156.0.8078.79")));
}

#[tokio::test]
async fn a_profile_by_another_name_becomes_the_one_that_chrome_starts_with() {
    let home = Home::new();
    home.link("chrome/Profile 1");
    home.adopt("chrome/Profile 1", false).await.unwrap();
    let copied = home.path(&format!("tokens/51/Default/{STORAGE}/000003.log"));
    assert_eq!(fs::read_to_string(copied).unwrap(), "linked");
}

#[tokio::test]
async fn nothing_at_all_happens_to_the_original() {
    let home = Home::with("old/session-7");
    symlink("elsewhere-17", home.path("old/session-7/SingletonLock")).unwrap();
    let before = home.state("old");
    home.adopt("old", false).await.unwrap();
    home.adopt("old/session-7", false).await.unwrap_err();
    home.adopt("old/session-7/Default", true).await.unwrap();
    let after = home.state("old");
    for (path, state) in before {
        // To read a link is all that can be done with it, and the system notes that.
        if !path.is_symlink() {
            assert_eq!(after[&path], state, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_profile_that_may_not_make_way_stays_and_one_that_may_is_set_aside() {
    let home = Home::with("old");
    home.write("tokens/51/Default/Preferences", "mine");
    let refused = home.adopt("old", false).await.unwrap_err();
    let is_there = ForeignError::Snapshot(SnapshotError::ProfileThere {
        path: home.path("tokens/51"),
    });
    assert_eq!(refused.to_string(), is_there.to_string());
    assert_eq!(home.paths("tokens/51"), ["Default", "Default/Preferences"]);

    home.adopt("old", true).await.unwrap();
    let aside = Places::of(&home.path("tokens/51")).set_aside().unwrap();
    assert_eq!(aside.len(), 1);
    assert_eq!(
        fs::read_to_string(aside[0].join("Default/Preferences")).unwrap(),
        "mine"
    );
    // More than are kept: the one that is taken from those set aside must outlive that.
    for _ in 0..4 {
        home.adopt("old", true).await.unwrap();
    }
    let aside = Places::of(&home.path("tokens/51")).set_aside().unwrap();
    let oldest = format!(
        "tokens/51.aside/{}",
        aside[0].file_name().unwrap().to_str().unwrap()
    );
    home.adopt(&oldest, true).await.unwrap();
    assert!(aside[0].is_dir());
}

#[tokio::test]
async fn a_session_of_this_service_is_no_other_programs_profile() {
    let home = Home::with("old");
    home.adopt("old", false).await.unwrap();
    let itself = home.adopt("tokens/51", true).await.unwrap_err();
    assert!(
        matches!(itself, ForeignError::IsTheTarget { .. }),
        "{itself}"
    );
    let found = home.find("tokens/51").unwrap();
    let another = found
        .put_in_place(&home.path("tokens/52"), |_| true, CancellationToken::new())
        .await
        .unwrap_err();
    assert!(matches!(another, ForeignError::IsOurs { .. }), "{another}");
    assert!(!home.path("tokens/52").try_exists().unwrap());

    // Beside it one is found that a program has made which keeps its profiles in a folder of the same name.
    home.link("tokens/session-admin/Default");
    fs::create_dir_all(home.path("tokens/53.unpacking/Default")).unwrap();
    home.link("tokens/53.unpacking/Default");
    assert_eq!(
        home.find("tokens").unwrap().folder,
        home.path("tokens/session-admin")
    );
    let found = foreign_profiles(&home.path("tokens"), &site());
    let found: Vec<_> = found.into_iter().map(|found| found.folder).collect();
    assert_eq!(found, [home.path("tokens/session-admin")]);
    // Where one was copied by hand, there is nothing to do but to connect.
    let found = home.find("tokens").unwrap();
    let by_hand = found
        .put_in_place(
            &home.path("tokens/session-admin"),
            |_| true,
            CancellationToken::new(),
        )
        .await
        .unwrap_err();
    assert!(
        matches!(by_hand, ForeignError::IsTheTarget { .. }),
        "{by_hand}"
    );
}

#[tokio::test]
async fn what_changes_while_it_is_copied_is_not_taken_and_leaves_nothing() {
    let home = Home::with("old");
    let found = home.find("old").unwrap();
    let entries = found.entries().unwrap();
    home.write(
        &format!("old/Default/{STORAGE}/000003.log"),
        "linked, and more",
    );
    let give_up = CancellationToken::new();
    let copied = found.copy(&entries, &home.path("tokens/51.unpacking"), &give_up);
    assert!(
        matches!(copied, Err(ForeignError::Changed { .. })),
        "{copied:?}"
    );

    give_up.cancel();
    let stopped = found
        .put_in_place(&home.path("tokens/51"), |_| false, give_up)
        .await
        .unwrap_err();
    assert!(
        matches!(stopped, ForeignError::Snapshot(SnapshotError::GivenUp)),
        "{stopped}"
    );
    assert_eq!(home.paths("tokens"), ["51.lock"]);
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nothing_up() {
    let home = Home::with("old");
    let pipe = home.path("old/Last Version");
    fs::remove_file(&pipe).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(home.find("old").unwrap().last_version(), None);
}
