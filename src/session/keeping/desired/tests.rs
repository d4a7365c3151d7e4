//! What is remembered, and that it can always be read.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::session::state::Event;

fn id(id: &str) -> ClienteId {
    id.parse().unwrap()
}

fn linked() -> Desired {
    Desired {
        up: true,
        was_ready: true,
        account: Some("5491100000001".into()),
        ..Desired::default()
    }
}

fn link_at(second: i64, account: Option<&str>) -> Link {
    Link {
        account: account.map(Number::from),
        linked_at: Timestamp::from_second(second).unwrap(),
        rescue: crate::browser::Rescue::None,
    }
}

fn after(mut desired: Desired, why: ReasonCode) -> Desired {
    desired.on_end(why);
    desired
}

#[test]
fn only_somebodys_word_or_nobodys_interest_keeps_a_session_down() {
    let disconnected = after(linked(), ReasonCode::DisconnectRequested);
    assert!(!disconnected.is_up() && disconnected.was_ready());
    assert_eq!(after(linked(), ReasonCode::LoggedOut), Desired::default());
    assert!(!after(linked(), ReasonCode::QrTimeout).is_up());
    for unwanted in [
        ReasonCode::ShuttingDown,
        ReasonCode::BrowserLost,
        ReasonCode::NavigationFailed,
        ReasonCode::TemporarilyBanned,
        ReasonCode::Internal,
    ] {
        assert_eq!(after(linked(), unwanted), linked(), "{unwanted:?}");
    }
}

#[test]
fn a_session_that_loses_its_account_is_no_longer_one_that_was_ready() {
    let mut desired = Desired::default();
    desired.on_connect();
    let init = SessionState::Init;
    let codes = init.on(&Event::CodeAwaited).unwrap();
    for state in [&init, &codes, &SessionState::Authenticated] {
        desired.on_state(state, Some("5491100000001"));
        assert!(!desired.was_ready(), "{state:?}");
    }
    desired.on_state(&SessionState::Ready, Some("5491100000001"));
    desired.on_state(&SessionState::Authenticated, None);
    assert_eq!(desired, linked());
    desired.on_state(&codes, None);
    assert!(desired.is_up());
    assert_eq!((desired.was_ready, desired.account), (false, None));
}

#[test]
fn a_state_that_is_told_after_the_end_changes_nothing() {
    let mut desired = after(linked(), ReasonCode::LoggedOut);
    desired.on_state(&SessionState::Ready, Some("5491100000001"));
    assert_eq!(desired, Desired::default());
}

#[test]
fn the_number_is_not_shown() {
    assert!(!format!("{:?}", linked()).contains("549"), "{:?}", linked());
}

#[tokio::test]
async fn what_is_written_is_read_and_is_nobody_elses_business() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("sessions");
    assert_eq!(read_all(&folder), BTreeMap::new());
    let file = DesiredFile::new(&folder, &id("51"), None);
    file.on_connect().await;
    let linked_since = |desired: &mut Desired| *desired = linked();
    file.change(linked_since).await;
    assert_eq!(read_all(&folder), [(id("51"), linked())].into());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&file.path), 0o600);

    // A next service knows it, and forgets it with the account.
    let file = DesiredFile::new(&folder, &id("51"), read_all(&folder).remove(&id("51")));
    assert!(file.is_up().await);
    file.on_end(ReasonCode::LoggedOut).await;
    assert_eq!(folder.read_dir().unwrap().count(), 0);
}

#[test]
fn a_file_that_cannot_be_understood_is_set_aside_and_costs_no_other_session() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("51.json", r#"{"up":true,"was_ready":true,"later":1}"#);
    write("52.json", "");
    write("53.json", r#"{"up":"yes"}"#);
    // Neither is a session's: one that was not written to its end, and somebody's note.
    write("54.json.new", r#"{"up":tr"#);
    write("notes.txt", "");
    write("no name.json", "{}");
    fs::create_dir(folder.join("55.json")).unwrap();
    let found = read_all(folder);
    assert_eq!(found.keys().collect::<Vec<_>>(), [&id("51")]);
    assert!(found[&id("51")].was_ready());
    for set_aside in ["52.json.broken", "53.json.broken", "55.json.broken"] {
        assert!(folder.join(set_aside).try_exists().unwrap(), "{set_aside}");
    }
    // Set aside, they are not said a second time.
    assert_eq!(read_all(folder).len(), 1);
    assert!(!folder.join("52.json").try_exists().unwrap());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_tried_again_with_the_next_change() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("sessions");
    fs::write(&folder, "in the way").unwrap();
    let file = DesiredFile::new(&folder, &id("51"), None);
    file.on_connect().await;
    assert!(file.is_up().await);
    fs::remove_file(&folder).unwrap();
    file.on_connect().await;
    assert!(read_all(&folder)[&id("51")].is_up());
}

#[test]
fn a_login_screen_does_not_forget_a_session_whose_link_stands() {
    let link = link_at(7, None);
    let mut desired = linked();
    desired.on_link(Some(&link));
    let codes = SessionState::Init.on(&Event::CodeAwaited).unwrap();
    desired.on_state(&codes, None);
    assert!(desired.was_ready() && desired.linked_at == Some(link.linked_at));
    let missing = after(desired.clone(), ReasonCode::ProfileMissing);
    assert_eq!(missing, desired, "what should be up stays so");
    // Removed on the phone: the note in the profile goes, and with it what is remembered.
    desired.on_link(None);
    assert_eq!((desired.was_ready, &desired.account), (false, &None));
}

#[test]
fn another_link_may_be_another_accounts() {
    let mut desired = linked();
    // By a version that did not note it down.
    desired.on_link(Some(&link_at(7, None)));
    assert_eq!(
        desired,
        Desired {
            linked_at: desired.linked_at,
            ..linked()
        }
    );
    // Its storage was lost, and a phone has scanned a code of the adapter `dom`, which cannot name the account.
    desired.on_link(Some(&link_at(8, None)));
    assert_eq!(desired.account, None);
    desired.on_link(Some(&link_at(9, Some("5491100000002"))));
    assert_eq!(desired.account, Some("5491100000002".into()));
}

#[tokio::test]
async fn why_a_device_was_unlinked_is_known_to_the_next_service_until_it_is_linked_again() {
    let home = tempfile::tempdir().unwrap();
    let file = DesiredFile::new(home.path(), &id("51"), None);
    file.on_connect().await;
    file.on_link(Some(&link_at(7, None))).await;
    file.on_link(None).await;
    let codes = SessionState::Init.on(&Event::CodeAwaited).unwrap();
    for (why, is_kept) in [
        (Reason::of(ReasonCode::QrTimeout), false),
        (Reason::new(ReasonCode::RemovedByWhatsApp, "its word"), true),
    ] {
        file.change(|desired| desired.on_reason(&codes, Some(&why)))
            .await;
        assert_eq!(file.why_unlinked().await.is_some(), is_kept, "{why:?}");
    }
    // Its codes have run out since.
    file.on_end(ReasonCode::QrTimeout).await;
    let next = DesiredFile::new(
        home.path(),
        &id("51"),
        read_all(home.path()).remove(&id("51")),
    );
    let why = next.why_unlinked().await.unwrap();
    assert_eq!(
        (why.code, &*why.detail),
        (ReasonCode::RemovedByWhatsApp, "its word")
    );
    next.on_link(Some(&link_at(8, None))).await;
    assert_eq!(next.why_unlinked().await, None);
}

#[tokio::test]
async fn only_a_session_that_was_never_linked_is_a_newcomer() {
    let home = tempfile::tempdir().unwrap();
    let file = DesiredFile::new(home.path(), &id("51"), None);
    file.on_connect().await;
    assert!(!file.is_newcomer().await, "its folder may have been there");
    file.on_new_profile().await;
    assert!(file.is_newcomer().await);
    // Also for the next service.
    let found = read_all(home.path()).remove(&id("51"));
    let next = DesiredFile::new(home.path(), &id("51"), found);
    assert!(next.is_newcomer().await);
    next.on_link(Some(&link_at(7, None))).await;
    assert!(!next.is_newcomer().await && next.is_linked().await);
    next.on_link(None).await;
    assert!(!next.is_newcomer().await, "it was linked once");
    next.forget().await;
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_session_has_run_before_when_both_its_record_and_its_profile_are_there() {
    let home = tempfile::tempdir().unwrap();
    let (sessions, tokens) = (home.path().join("sessions"), home.path().join("tokens"));
    assert_eq!(session_run_before(&sessions, &tokens), None);
    for folder in [sessions.clone(), tokens.join("52")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(sessions.join("51.json"), "{}").unwrap();
    assert_eq!(
        session_run_before(&sessions, &tokens),
        None,
        "its profile is elsewhere"
    );
    fs::create_dir(tokens.join("51")).unwrap();
    assert_eq!(
        session_run_before(&sessions, &tokens),
        Some("51".parse().unwrap())
    );
}
