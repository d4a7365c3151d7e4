//! Texts that no log may show: phone numbers, ids that contain one, messages, login codes, passkeys and credentials.
//!
//! Each derefs to `str`. Its `Debug` hides the text and it has no `Display`, so a struct with such a field derives `Debug`, and
//! only code that asks for the text can print it. This module imports no other one of this crate.

use std::{borrow::Borrow, fmt, ops::Deref};

use serde::{Deserialize, Serialize};

macro_rules! masked {
    ($($(#[$role:meta])* $name:ident($text:ident) $shown:expr;)*) => {$(
        $(#[$role])*
        #[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $text = self;
                write!(f, "{}({})", stringify!($name), $shown)
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(masked: $name) -> Self {
                masked.0
            }
        }
    )*};
}

masked! {
    /// A phone number or a linked account, digits only. Its `Debug` shows the last four digits.
    Number(digits) format_args!("…{}", digits.get(digits.len().saturating_sub(4)..).unwrap_or_default());

    /// WhatsApp's id of a chat, `<number>@c.us`, or of a message, `true_<chat>_<key>`.
    WaId(_id) "…";

    /// The text of a message. Its `Debug` shows how many bytes it has.
    Text(text) format_args!("{} bytes", text.len());

    /// A code that links a phone: one to scan, or one to type.
    Code(_code) "…";

    /// What is to be signed with a passkey, or what was signed, as JSON. Its `Debug` shows how many bytes it has.
    Passkey(text) format_args!("{} bytes", text.len());

    /// What a receiver of events knows the service by: a secret that signs, or the value of a header.
    Credential(_secret) "…";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_four_digits_of_a_number_and_nothing_of_the_rest() {
        assert_eq!(
            format!("{:?}", Number::from("5491158254201")),
            "Number(…4201)"
        );
        assert_eq!(format!("{:?}", Number::from("12")), "Number(…12)");
        assert_eq!(
            format!("{:?}", WaId::from("true_5491158254201@c.us_3EB0")),
            "WaId(…)"
        );
        assert_eq!(format!("{:?}", Text::from("hola")), "Text(4 bytes)");
        assert_eq!(format!("{:?}", Code::from("2@secret")), "Code(…)");
        assert_eq!(format!("{:?}", Passkey::from("{}")), "Passkey(2 bytes)");
        assert_eq!(
            format!("{:?}", Credential::from("whsec_x")),
            "Credential(…)"
        );
    }
}
