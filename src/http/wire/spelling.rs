//! Names in a request that are one slip away from a field that decides what is done.
//!
//! Responsible for refusing them: other names that are not known are ignored, as callers of the Node service rely on, but a
//! dry run that is misspelt must not send.

use axum::http::request::Parts;

use super::{
    error::{Cause, Code, ErrorFacts},
    extract::{FromBody, Object},
    requests::fields_of,
};

/// What an error repeats of a name, which may be a whole body that was taken for a form.
pub(in crate::http) const LONGEST_NAME: usize = 40;

/// Fields that no request needs, and that change what is done with it: left out by a slip, something else is done than was
/// asked for, without a word. Each with the code of a value that it does not take.
const OPTIONAL: [(&str, Code); 7] = [
    ("dry_run", Code::InvalidDryRun),
    ("wait", Code::InvalidWait),
    ("logout", Code::InvalidLogout),
    ("async", Code::InvalidAsync),
    ("idempotency_key", Code::InvalidIdempotencyKey),
    ("quote", Code::InvalidContent),
    ("mentions", Code::InvalidContent),
];

/// One slip away from such a field, and a word of its own.
const OTHER_WORDS: [&str; 1] = ["sync"];

/// A name that seems to be meant as one of these fields.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {place} has {name:?}, which seems to be meant as {field}: write {field}, or leave it out; nothing was done"
)]
pub(in crate::http) struct Misspelt {
    /// Where it stands.
    place: &'static str,
    /// The begin of its name.
    name: String,
    field: &'static str,
    /// That of a wrong value of the field.
    code: Code,
}

impl Cause for Misspelt {
    fn facts(&self) -> ErrorFacts {
        self.code.facts()
    }
}

/// Refuses a field or a parameter that is one of [`OPTIONAL`] but for its case, its hyphens and one slip.
pub(super) fn check<B: FromBody>(body: &Object, parts: &Parts) -> Result<(), Misspelt> {
    let query = parts.uri.query().unwrap_or_default();
    let parameters = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let parameters: Vec<_> = parameters.collect();
    for (field, code) in OPTIONAL {
        let refuse = |place, name: &str| {
            let name = name.chars().take(LONGEST_NAME).collect();
            Err(Misspelt {
                place,
                name,
                field,
                code,
            })
        };
        // A request that has the right name as well means the other.
        if fields_of::<B::Fields>().contains(&field)
            && !body.contains_key(field)
            && let Some(name) = body.keys().find(|name| is_slip(name, field))
        {
            return refuse("body", name);
        }
        if B::QUERY.contains(&field)
            && !parameters.iter().any(|name| name == field)
            && let Some(name) = parameters.iter().find(|name| is_slip(name, field))
        {
            return refuse("query", name);
        }
    }
    Ok(())
}

/// Whether this name was meant as that field.
fn is_slip(name: &str, field: &str) -> bool {
    let name = bare(name);
    strsim::damerau_levenshtein(&name, &bare(field)) <= 1 && !OTHER_WORDS.contains(&&*name)
}

/// A name without capitals, hyphens, underscores and the like.
pub(in crate::http) fn bare(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters
        .flat_map(char::to_lowercase)
        .take(LONGEST_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_field_that_changes_what_is_done_is_seen_and_other_names_are_left_alone() {
        for (field, slips) in [
            (
                "dry_run",
                &[
                    "dryrun", "dryRun", "dry-run", "DRY_RUN", "dr_yrun", "dry_rn",
                ][..],
            ),
            ("wait", &["wiat", "Wait", "waits"]),
            ("logout", &["log_out", "logOut", "logut"]),
            ("async", &["Async", "asinc", "a-sync"]),
            (
                "idempotency_key",
                &["idempotencyKey", "Idempotency-Key", "idempotncy_key"],
            ),
            ("quote", &["qoute", "Quote", "quoted"]),
            ("mentions", &["mention", "mentionS"]),
        ] {
            for slip in slips {
                assert!(is_slip(slip, field), "{slip}");
            }
        }
        let own = [
            "sync",
            "run",
            "key",
            "login",
            "to",
            "message",
            "text",
            "delay",
            "priority",
            "source",
            "dry",
            "test",
            "cliente_id",
            "phone",
            "at",
            "note",
            "quota_id",
        ];
        for name in own {
            let meant = OPTIONAL.iter().find(|(field, _)| is_slip(name, field));
            assert!(meant.is_none(), "{name}");
        }
    }
}
