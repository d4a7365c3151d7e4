//! A request to send a file, under a key that was used before: whether it is the same one, as far as that can be told without the file.
//!
//! A signed address expires and a file that was brought goes after a day, while keys are kept for longer. So a repetition must not need the
//! file: a caller that is told that the file is not there takes another key, and its message goes out twice.

use crate::{
    extras::Extras, http::wire::requests::MediaField, ledger::Record, session::OutgoingMessage,
};

/// How a request looks beside the one that has its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It is the same.
    Same,
    /// The file decides; without it, it is taken for the same.
    Unsure,
    /// It names its file in another way, so without the file it is not taken for the same.
    OtherSource,
    /// It is another request.
    Other,
}

/// Compares a request with the one that was accepted under its key. `source`: the hash of what it calls its file.
pub(super) fn compare(
    before: &Record,
    cliente_id: &str,
    message: &OutgoingMessage,
    given: &MediaField,
    source: &str,
) -> Likeness {
    if before.cliente_id != cliente_id || *before.to != *message.to.as_str() {
        return Likeness::Other;
    }
    let Some(medium) = &before.extras.media else {
        let is_forgotten = before.body.is_none();
        return if is_forgotten {
            Likeness::Unsure
        } else {
            Likeness::Other
        };
    };
    let rest = Extras {
        media: None,
        ..Extras::clone(&before.extras)
    };
    let is_other = rest != *message.extras
        || medium.caption.as_deref() != given.caption.as_deref()
        || medium.view_once != (given.view_once == Some(true))
        || given.kind.is_some_and(|kind| kind != medium.kind);
    if is_other {
        return Likeness::Other;
    }
    // What is kept of these was judged by the bytes.
    let is_called_the_same = given
        .mimetype
        .as_ref()
        .is_none_or(|mimetype| *mimetype == medium.mimetype)
        && given
            .filename
            .as_deref()
            .is_none_or(|filename| Some(filename) == medium.filename.as_deref());
    match &medium.source {
        Some(before) if before != source => Likeness::OtherSource,
        Some(_) if is_called_the_same => Likeness::Same,
        Some(_) | None => Likeness::Unsure,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        extras::{Medium, MediumKind},
        ledger::tests::record,
    };

    fn before(source: Option<&str>) -> Record {
        let medium = Medium {
            sha256: "ab".repeat(32),
            bytes: 3,
            kind: MediumKind::Document,
            mimetype: "application/pdf".to_owned(),
            filename: Some("lista.pdf".into()),
            caption: Some("Precios".into()),
            view_once: false,
            source: source.map(str::to_owned),
        };
        Record {
            body: Some("".into()),
            extras: Arc::new(Extras {
                media: Some(medium),
                ..Extras::default()
            }),
            ..record(1)
        }
    }

    fn message(to: &str) -> OutgoingMessage {
        OutgoingMessage {
            to: to.parse().unwrap(),
            body: "".into(),
            extras: Arc::default(),
        }
    }

    fn given() -> MediaField {
        MediaField {
            url: Some("https://example.com/lista.pdf".to_owned()),
            data: None,
            id: None,
            mimetype: None,
            kind: None,
            filename: None,
            caption: Some("Precios".to_owned()),
            view_once: None,
        }
    }

    #[track_caller]
    fn assert_likeness(before: &Record, given: &MediaField, expected: Likeness) {
        let message = message("5491158254201");
        assert_eq!(
            compare(before, "51", &message, given, "hash"),
            expected,
            "{given:?}"
        );
    }

    #[test]
    fn a_repetition_is_known_without_its_file_by_how_it_names_it() {
        assert_likeness(&before(Some("hash")), &given(), Likeness::Same);
        assert_likeness(&before(Some("another")), &given(), Likeness::OtherSource);
        // In the request itself, or by an earlier version.
        assert_likeness(&before(None), &given(), Likeness::Unsure);
        let called = MediaField {
            filename: Some("lista.pdf".to_owned()),
            mimetype: Some("application/pdf".to_owned()),
            kind: Some(MediumKind::Document),
            ..given()
        };
        assert_likeness(&before(Some("hash")), &called, Likeness::Same);
        let renamed = MediaField {
            filename: Some("otra.pdf".to_owned()),
            ..given()
        };
        assert_likeness(&before(Some("hash")), &renamed, Likeness::Unsure);
    }

    #[test]
    fn another_request_is_seen_without_its_file() {
        let before = before(Some("hash"));
        for other in [
            MediaField {
                caption: None,
                ..given()
            },
            MediaField {
                kind: Some(MediumKind::Image),
                ..given()
            },
            MediaField {
                view_once: Some(true),
                ..given()
            },
        ] {
            assert_likeness(&before, &other, Likeness::Other);
        }
        let elsewhere = message("5491150003333");
        let compared = compare(&before, "51", &elsewhere, &given(), "hash");
        assert_eq!(compared, Likeness::Other);
        let message = message("5491158254201");
        let compared = compare(&before, "52", &message, &given(), "hash");
        assert_eq!(compared, Likeness::Other);
        let text = record(1);
        assert_likeness(&text, &given(), Likeness::Other);
        let forgotten = Record { body: None, ..text };
        assert_likeness(&forgotten, &given(), Likeness::Unsure);
    }
}
