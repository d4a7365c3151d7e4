//! Which accounts may go to another host, and what an import leaves: on real folders, without a Chrome.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use super::*;

const LINK: &str = r#"{"account":"5491100000001","linked_at":"2026-11-25T18:47:41Z"}"#;
const PASSPHRASE: &str = "correct horse battery";

/// A host with profiles.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn tokens(&self) -> PathBuf {
        self.0.path().join("tokens")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.tokens().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.tokens().join(path)).ok()
    }

    async fn export(&self, id: &str, to: &Path) -> Result<Manifest, TransferError> {
        let to = ExportTo {
            path: to.to_owned(),
            may_replace: false,
        };
        let profile = LinkedProfile::take(&id.parse().unwrap(), &self.tokens()).await?;
        let passphrase = PASSPHRASE.parse().unwrap();
        profile
            .export(to, passphrase, CancellationToken::new())
            .await
    }

    async fn import(&self, id: &str, file: &Path) -> Result<Manifest, TransferError> {
        let id = id.parse().unwrap();
        import(
            &id,
            &self.tokens(),
            file,
            PASSPHRASE.parse().unwrap(),
            false,
            CancellationToken::new(),
        )
        .await
    }
}

#[tokio::test]
async fn an_import_leaves_no_older_snapshot_of_its_link_that_could_take_its_place() {
    let host = Host::new();
    let (id, snapshots) = ("51".parse().unwrap(), host.0.path().join("snapshots"));
    let root = SnapshotRoot::new(snapshots.clone(), 5, 1, CancellationToken::new());
    let of_session = root.of("51", host.tokens().join("51"));
    let take = async |linked_at: &str| {
        let origin = Origin {
            cliente_id: "51".to_owned(),
            account: None,
            linked_at: Some(linked_at.parse().unwrap()),
        };
        of_session.take(origin).await.unwrap();
    };
    let count = || {
        let entries = fs::read_dir(snapshots.join("51")).unwrap();
        let is_manifest = |entry: &fs::DirEntry| {
            entry
                .path()
                .extension()
                .is_some_and(|kind| kind == "manifest")
        };
        entries
            .filter(|entry| is_manifest(entry.as_ref().unwrap()))
            .count()
    };
    host.write("51/link.json", LINK);
    take("2026-11-25T18:47:41Z").await;
    take("2025-01-01T00:00:00Z").await;
    let file = host.0.path().join("51.account");
    let exported = host.export("51", &file).await.unwrap();
    take("2026-11-25T18:47:41Z").await;
    assert_eq!(count(), 3);

    forget_older_snapshots(&id, &host.tokens(), snapshots.clone(), None, &exported)
        .await
        .unwrap();
    // The one of another link stays, and so does the one that is younger than the export.
    assert_eq!(count(), 2);
}

#[tokio::test]
async fn an_account_moves_with_its_link_under_another_name() {
    let (here, there) = (Host::new(), Host::new());
    here.write("51/link.json", LINK);
    here.write("51/Default/Cookies", "cookies");
    let file = here.0.path().join("51.account");
    let exported = here.export("51", &file).await.unwrap();
    assert_eq!(exported.account.as_deref(), Some("5491100000001"));
    let bytes = fs::read(&file).unwrap();
    let is_in = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    assert!(!is_in(b"5491100000001") && !is_in(b"cookies"));
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let imported = there.import("shop", &file).await.unwrap();
    assert_eq!(imported, exported);
    assert_eq!(imported.cliente_id, "51");
    assert_eq!(
        there.read("shop/Default/Cookies").as_deref(),
        Some("cookies")
    );
    let link = link_of(&there.tokens().join("shop")).await.unwrap();
    assert_eq!(imported.linked_at, Some(link.linked_at));
    // And the profile stays where it was.
    assert_eq!(here.read("51/link.json").as_deref(), Some(LINK));
}

#[tokio::test]
async fn only_an_account_that_is_linked_can_go() {
    let host = Host::new();
    let file = host.0.path().join("51.account");
    let nothing = host.export("51", &file).await;
    assert!(
        matches!(
            nothing,
            Err(TransferError::Snapshot(SnapshotError::NoProfile { .. }))
        ),
        "{nothing:?}"
    );
    // It was only looked for.
    assert!(!host.tokens().try_exists().unwrap());

    host.write("51/Default/Cookies", "none");
    let lost = LINK.replace('}', r#","rescue":"all"}"#);
    for note in [None, Some("half a no"), Some(&*lost)] {
        if let Some(note) = note {
            host.write("51/link.json", note);
        }
        let refused = host.export("51", &file).await;
        assert!(
            matches!(refused, Err(TransferError::NotLinked { .. })),
            "{note:?} {refused:?}"
        );
    }
    assert!(!file.try_exists().unwrap());
}

#[tokio::test]
async fn a_session_that_runs_neither_goes_nor_makes_way() {
    let host = Host::new();
    host.write("51/link.json", LINK);
    let file = host.0.path().join("51.account");
    host.export("51", &file).await.unwrap();

    let id = "51".parse().unwrap();
    let running = LinkedProfile::take(&id, &host.tokens()).await.unwrap();
    let again = host.0.path().join("again");
    for refused in [
        host.export("51", &again).await,
        host.import("51", &file).await,
    ] {
        let why = refused.unwrap_err();
        let own = Some(std::process::id());
        assert!(
            matches!(&why, TransferError::Running { holder, .. } if *holder == own),
            "{why:?}"
        );
        assert!(why.to_string().contains("POST /disconnect"), "{why}");
    }
    assert!(!again.try_exists().unwrap());
    drop(running);
    host.export("51", &again).await.unwrap();
}

#[test]
fn a_session_that_should_be_up_is_known_without_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let id = "51".parse().unwrap();
    let path = folder.path().join("51.json");
    assert!(!is_to_be_up(&id, folder.path()));
    for (note, wanted) in [
        (r#"{"up":true}"#, true),
        (r#"{"up":false}"#, false),
        ("{", false),
    ] {
        fs::write(&path, note).unwrap();
        assert_eq!(is_to_be_up(&id, folder.path()), wanted, "{note}");
    }
}

#[tokio::test]
async fn the_other_sessions_of_an_account_are_found_by_their_notes() {
    let host = Host::new();
    let other = r#"{"account":"5491100000002","linked_at":"2026-11-25T18:47:41Z"}"#;
    for (profile, note) in [("95", LINK), ("96", LINK), ("97", other)] {
        host.write(&format!("{profile}/link.json"), note);
    }
    host.write("98/Default/Preferences", "{}");
    let id = "96".parse().unwrap();
    let others = others_linked_to("5491100000001", &id, &host.tokens()).await;
    assert_eq!(others.unwrap(), ["95".parse().unwrap()]);
}
