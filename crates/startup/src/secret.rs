//! A setting that must not be seen.

use std::fmt;

/// A text that never shows itself.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides the text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, to compare it or to show it to the service that asks for it, and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
