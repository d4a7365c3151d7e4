//! A request to send a file, under a key that was used before: whether it is the same one, as far as that can be told without the file.
//!
//! A signed address expires and a file that was brought goes after a day, while keys are kept for longer. So a repetition must not need the
//! file: a caller that gets an error for the missing file would send the message once more under another key.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::{
    extras::Extras, http::wire::requests::MediaField, ledger::Record, session::OutgoingMessage,
};

/// How a request looks beside the one that has its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It is the same.
    Same,
    /// Only the file can tell, so it is needed.
    Unclear,
    /// It is another request.
    Other,
}

/// A hash of what a request says; `None` where the file itself is in it, which can always be compared. An address may be signed, so it is
/// not kept itself.
pub(super) fn hash(given: &MediaField, message: &OutgoingMessage) -> Option<String> {
    let MediaField {
        url,
        data: None,
        id,
        mimetype,
        kind,
        filename,
        caption,
        view_once,
    } = given
    else {
        return None;
    };
    let said = (
        (url, id),
        (mimetype, kind, filename),
        (caption, view_once == &Some(true)),
        &*message.extras,
    );
    let said = serde_json::to_vec(&said).ok()?;
    Some(HEXLOWER.encode(&Sha256::digest(said)))
}

/// Compares a request, and its [`hash`], with the one that was accepted under its key.
pub(super) fn compare(
    before: &Record,
    cliente_id: &str,
    message: &OutgoingMessage,
    given: &MediaField,
    hash: &str,
) -> Likeness {
    if before.cliente_id != cliente_id || *before.to != *message.to.as_str() {
        return Likeness::Other;
    }
    if before.extras.request.as_deref() == Some(hash) {
        return Likeness::Same;
    }
    let Some(medium) = &before.extras.media else {
        let is_forgotten = before.body.is_none();
        return if is_forgotten {
            Likeness::Unclear
        } else {
            Likeness::Other
        };
    };
    let rest = Extras {
        media: None,
        request: None,
        ..Extras::clone(&before.extras)
    };
    let is_other = rest != *message.extras
        || medium.caption.as_deref() != given.caption.as_deref()
        || medium.view_once != (given.view_once == Some(true))
        || given.kind.is_some_and(|kind| kind != medium.kind);
    if is_other {
        Likeness::Other
    } else {
        Likeness::Unclear
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

    /// A request that was accepted, of which this is known.
    fn before(request: Option<String>) -> Record {
        let medium = Medium {
            sha256: "ab".repeat(32),
            bytes: 3,
            kind: MediumKind::Document,
            mimetype: "application/pdf".to_owned(),
            filename: Some("lista.pdf".into()),
            caption: Some("Precios".into()),
            view_once: false,
        };
        Record {
            body: Some("".into()),
            extras: Arc::new(Extras {
                media: Some(medium),
                request,
                ..Extras::default()
            }),
            ..record(1)
        }
    }

    /// The same once its texts are forgotten.
    fn forgotten(record: Record) -> Record {
        Record {
            body: None,
            extras: record.extras.without_texts().into(),
            ..record
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

    fn hash_of(given: &MediaField) -> String {
        hash(given, &message("5491158254201")).unwrap()
    }

    #[track_caller]
    fn assert_likeness(before: &Record, given: &MediaField, expected: Likeness) {
        let message = message("5491158254201");
        assert_eq!(
            compare(before, "51", &message, given, &hash_of(given)),
            expected,
            "{given:?}"
        );
    }

    #[test]
    fn only_the_same_words_are_the_same_request_without_its_file_also_when_its_texts_are_forgotten()
    {
        let known = before(Some(hash_of(&given())));
        let others = [
            MediaField {
                url: Some("https://example.com/otra.pdf".to_owned()),
                ..given()
            },
            MediaField {
                filename: Some("otra.pdf".to_owned()),
                ..given()
            },
            MediaField {
                mimetype: Some("text/plain".to_owned()),
                ..given()
            },
        ];
        let forgotten = forgotten(known.clone());
        for record in [&known, &forgotten] {
            assert_likeness(record, &given(), Likeness::Same);
            for other in &others {
                assert_likeness(record, other, Likeness::Unclear);
            }
        }
        let recaptioned = MediaField {
            caption: Some("Otra cosa".to_owned()),
            ..given()
        };
        assert_likeness(&forgotten, &recaptioned, Likeness::Unclear);
        // The file was in the request, or an earlier version has accepted it.
        assert_likeness(&before(None), &given(), Likeness::Unclear);
        let quoting = OutgoingMessage {
            extras: Arc::new(Extras {
                quote: Some("3A5F".into()),
                ..Extras::default()
            }),
            ..message("5491158254201")
        };
        assert_ne!(hash(&given(), &quoting), Some(hash_of(&given())));
    }

    #[test]
    fn a_request_with_its_file_in_it_needs_no_hash() {
        let with_data = MediaField {
            url: None,
            data: Some("aG9sYQ==".to_owned()),
            ..given()
        };
        assert_eq!(hash(&with_data, &message("5491158254201")), None);
    }

    #[test]
    fn another_request_is_seen_without_its_file() {
        let known = hash_of(&given());
        let before = before(Some(known.clone()));
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
        let compared = compare(&before, "51", &elsewhere, &given(), &known);
        assert_eq!(compared, Likeness::Other);
        let message = message("5491158254201");
        let compared = compare(&before, "52", &message, &given(), &known);
        assert_eq!(compared, Likeness::Other);
        let text = record(1);
        assert_likeness(&text, &given(), Likeness::Other);
        assert_likeness(&forgotten(text), &given(), Likeness::Unclear);
    }
}
