//! The version of a Chrome.

/// A version of Chrome, four numbers with dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChromeVersion {
    text: String,
    major: u32,
    google: bool,
}

impl ChromeVersion {
    /// Finds the version in what `--version` prints.
    pub(in crate::browser) fn parse(output: &str) -> Option<Self> {
        let text = output.split_ascii_whitespace().find(|word| {
            let numbers = word.split('.');
            numbers.clone().count() == 4
                && numbers.clone().all(|number| number.parse::<u32>().is_ok())
        })?;
        Some(Self {
            text: text.to_owned(),
            major: text.split('.').next()?.parse().ok()?,
            google: output.trim_start().starts_with("Google Chrome ")
                && !output.contains("for Testing"),
        })
    }

    /// The whole version.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its first number.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Whether it calls itself Google Chrome, not Chromium.
    pub(in crate::browser) fn is_google_chrome(&self) -> bool {
        self.google
    }
}
