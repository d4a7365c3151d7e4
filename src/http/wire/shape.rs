//! What is wrong inside a field that takes an object or a list, in words for its caller.
//!
//! Responsible for naming the inner field, which serde does not. A value is never repeated: it may be a text, or a whole file.

use std::cell::RefCell;

use serde::de::{DeserializeOwned, value::MapDeserializer};
use serde_json::{Error, Value};

use super::spelling::LONGEST_NAME;

/// The inner field that was read last, and whether it has a list: where reading stopped, it is the one that is wrong.
#[derive(Debug)]
struct Inner {
    name: String,
    is_list: bool,
}

/// Reads such a field, or says what is wrong with it.
pub(super) fn read<T: DeserializeOwned>(given: Value) -> Result<T, String> {
    let Value::Object(fields) = given else {
        let is_list = given.is_array();
        return T::deserialize(given).map_err(|why| said(&why, None, is_list));
    };
    let last = RefCell::new(None);
    // Values are moved: one of them may be a file.
    let fields = fields.into_iter().inspect(|(name, value)| {
        *last.borrow_mut() = Some(Inner {
            name: name.chars().take(LONGEST_NAME).collect(),
            is_list: value.is_array(),
        });
    });
    let read = T::deserialize(MapDeserializer::<_, Error>::new(fields));
    read.map_err(|why| said(&why, last.borrow().as_ref(), false))
}

fn said(why: &Error, inner: Option<&Inner>, is_list: bool) -> String {
    let why = why.to_string();
    if let Some(name) = why.strip_prefix("missing field ") {
        return format!("{} is missing", name.replace('`', ""));
    }
    // Behind it are the fields that there are; the value of what is wrong is in front of it.
    let Some((found, wanted)) = why.rsplit_once(", expected ") else {
        return format!("it must be {why}");
    };
    let wanted = in_words(wanted);
    if found.starts_with("unknown field ") {
        let name = inner.map_or("a field", |inner| inner.name.as_str());
        return format!("{name} is not known here: give {wanted}");
    }
    match inner {
        Some(inner) if inner.is_list && wanted != LIST => {
            format!("each of {} must be {wanted}", inner.name)
        }
        Some(inner) => format!("{} must be {wanted}", inner.name),
        None if is_list => format!("each of the list must be {wanted}"),
        None => format!("it must be {wanted}"),
    }
}

const LIST: &str = "a list";

/// What serde expects, for people who do not write Rust.
fn in_words(wanted: &str) -> String {
    match wanted {
        "f64" => "a number".to_owned(),
        "u32" | "u64" | "usize" => "a whole number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => LIST.to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.replace('`', ""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            requests::{ContactField, MediaField},
            waha::{WahaFileToSend, WahaPoll},
        },
        *,
    };
    use crate::extras::{Place, Question};

    fn wrong<T: DeserializeOwned + std::fmt::Debug>(given: Value) -> String {
        read::<T>(given).unwrap_err()
    }

    #[test]
    fn what_is_wrong_names_its_field_and_what_to_give_and_repeats_no_value() {
        let both = "it must be {\"name\": …, \"phone\": …}, both strings, or a list of these";
        for (found, said) in [
            (wrong::<ContactField>(json!({"name": "Ana"})), both),
            (wrong::<ContactField>(json!("secreto")), both),
            (
                wrong::<MediaField>(json!("fil_secreto")),
                "it must be an object that has one of url, data and id",
            ),
            (
                wrong::<MediaField>(json!({"id": "x", "view_once": "secreto, expected x"})),
                "view_once must be true or false",
            ),
            (
                wrong::<MediaField>(json!({"id": "x", "kind": "foto"})),
                "kind must be one of image, video, audio, voice, document, sticker",
            ),
            (
                wrong::<MediaField>(json!({"id": "x", "file": 1})),
                "file is not known here: give one of url, data, id, mimetype, kind, filename, caption, view_once",
            ),
            (
                wrong::<Place>(json!({"longitude": 1, "latitude": "-34"})),
                "latitude must be a number",
            ),
            (
                wrong::<Place>(json!({"latitude": 1})),
                "longitude is missing",
            ),
            (
                wrong::<Question>(json!({"question": "x", "options": "a,b"})),
                "options must be a list",
            ),
            (
                wrong::<Question>(json!({"question": "x", "options": ["a", 5]})),
                "each of options must be a string",
            ),
            (wrong::<Vec<String>>(json!("549")), "it must be a list"),
            (
                wrong::<Vec<String>>(json!([549])),
                "each of the list must be a string",
            ),
            (
                wrong::<WahaFileToSend>(json!("http://secreto")),
                "it must be an object that has url or data",
            ),
            (
                wrong::<WahaPoll>(json!({"name": "x"})),
                "options is missing",
            ),
        ] {
            assert_eq!(found, said);
        }
    }
}
