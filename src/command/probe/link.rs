//! The steps of `--link`.

use serde::Serialize;

/// One step, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    name: &'static str,
    outcome: Outcome,
    /// How long it took.
    seconds: u64,
    /// A code of the service, or of WhatsApp.
    #[serde(skip_serializing_if = "Option::is_none")]
    word: Option<String>,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Done,
    Failed,
    Skipped,
}

impl Step {
    pub(super) fn has_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }

    pub(super) fn row(&self) -> [String; 4] {
        let outcome = match self.outcome {
            Outcome::Done => "ok",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped",
        };
        [
            outcome.to_owned(),
            self.name.to_owned(),
            format!("{} s", self.seconds),
            self.word.clone().unwrap_or_default(),
        ]
    }
}
