//! What is kept of a page as evidence, and what of it is left out because chats may be on it.

use super::*;
use crate::whatsapp::console::ConsoleLevel;

fn line() -> ConsoleLine {
    ConsoleLine {
        at: jiff::Timestamp::UNIX_EPOCH,
        level: ConsoleLevel::Info,
        text: "a line".to_owned(),
    }
}

fn recorder(was_linked: bool, keeps_chats: bool) -> (EvidenceRecorder, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let recorder = EvidenceRecorder::new(was_linked, keeps_chats, folder.path().into());
    (recorder, folder)
}

fn login() -> Standing {
    Standing {
        recognised: true,
        login: true,
        ..Standing::default()
    }
}

fn linked() -> Standing {
    Standing {
        recognised: true,
        linked: true,
        ..Standing::default()
    }
}

fn left_out(recorder: &EvidenceRecorder) -> Option<LeftOut> {
    recorder.seen.lock().disclosure.left_out()
}

fn lines(recorder: &EvidenceRecorder) -> usize {
    recorder.seen.lock().console.lines().len()
}

#[tokio::test]
async fn a_page_that_was_linked_once_is_never_shown_again() {
    let (recorder, _folder) = recorder(false, false);
    recorder.hear(line);
    assert_eq!((left_out(&recorder), lines(&recorder)), (None, 1));
    recorder.on_standing(&linked());
    recorder.hear(line);
    assert_eq!(lines(&recorder), 0);
    for later in [Standing::default(), login()] {
        recorder.on_standing(&later);
        assert_eq!(left_out(&recorder), Some(LeftOut::Chats));
    }
}

#[tokio::test]
async fn a_profile_that_was_linked_is_shown_only_while_its_login_screen_is_seen() {
    let (recorder, _folder) = recorder(true, false);
    recorder.hear(line);
    assert_eq!(
        (left_out(&recorder), lines(&recorder)),
        (Some(LeftOut::Chats), 0)
    );
    recorder.on_standing(&login());
    assert_eq!(left_out(&recorder), None);
    // What has taken its place may be chats that no adapter knows.
    recorder.on_standing(&Standing::default());
    assert_eq!(left_out(&recorder), Some(LeftOut::Chats));
}

#[tokio::test]
async fn an_operator_may_ask_for_chats() {
    let (recorder, _folder) = recorder(true, true);
    recorder.on_standing(&linked());
    recorder.hear(line);
    assert_eq!((left_out(&recorder), lines(&recorder)), (None, 1));
}

#[tokio::test]
async fn a_code_that_is_not_found_in_the_picture_keeps_the_picture_back() {
    let (recorder, _folder) = recorder(false, false);
    let code = Some("2@a".into());
    recorder.on_standing(&Standing { code, ..login() });
    assert_eq!(
        recorder.seen.lock().disclosure.censor(vec![1], 1),
        Ok(vec![1])
    );
    assert_eq!(
        recorder.seen.lock().disclosure.censor(vec![1], 0),
        Err(LeftOut::Code)
    );
}

#[tokio::test]
async fn a_code_to_type_keeps_the_picture_back_whatever_else_is_in_it() {
    let (recorder, _folder) = recorder(false, false);
    let pairing_code = Some("ABCD1234".into());
    recorder.on_standing(&Standing {
        pairing_code,
        ..login()
    });
    assert_eq!(
        recorder.seen.lock().disclosure.censor(vec![1], 1),
        Err(LeftOut::Code)
    );
    recorder.on_standing(&login());
    assert_eq!(
        recorder.seen.lock().disclosure.censor(vec![1], 0),
        Ok(vec![1])
    );
}

#[tokio::test]
async fn a_number_that_was_typed_keeps_the_picture_back_until_another_document() {
    let (recorder, _folder) = recorder(false, false);
    recorder.on_standing(&login());
    recorder.on_number();
    recorder.on_standing(&login());
    assert_eq!(left_out(&recorder), Some(LeftOut::Number));
    assert_eq!(
        recorder.seen.lock().disclosure.censor(vec![1], 0),
        Err(LeftOut::Number)
    );
    recorder.on_document();
    assert_eq!(left_out(&recorder), None);
    assert_eq!(
        recorder.seen.lock().disclosure.censor(vec![1], 0),
        Ok(vec![1])
    );
}

#[tokio::test]
async fn a_link_is_remembered_in_the_profile() {
    let folder = tempfile::tempdir().unwrap();
    ProfileNote::change(folder.path(), |note| note.linked_once = true).unwrap();
    let recorder = EvidenceRecorder::of(folder.path(), false).await;
    assert_eq!(left_out(&recorder), Some(LeftOut::Chats));
}

#[test]
fn an_address_is_told_without_its_query() {
    for (url, wanted) in [
        (
            "https://a.example/send?phone=549115&x#y",
            "https://a.example/send",
        ),
        ("about:blank", "about:blank"),
    ] {
        assert_eq!(without_query(url), wanted);
    }
}
