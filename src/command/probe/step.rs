//! The steps of `--link`, as they are reported. Pure.

use serde::Serialize;

use super::canvas::words;
use crate::{
    command::{client::ClientError, qr::view::View},
    http::contract::Status,
};

/// One step, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) outcome: Outcome,
    pub(super) seconds: u64,
    /// A code of the service, the state of a message, or the adapter that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) word: Option<String>,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Done,
    Failed,
    /// It could not be tried, or the person did not say.
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

    #[cfg(test)]
    pub(super) fn sample(name: &'static str, outcome: Outcome, word: Option<&str>) -> Self {
        Self {
            name,
            outcome,
            seconds: 3,
            word: word.map(str::to_owned),
        }
    }
}

/// A step that has not succeeded.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: &'static str,
    /// A code: for the report.
    pub(super) word: String,
    /// For the person alone: it may hold anything.
    pub(super) detail: String,
}

pub(super) fn failure(step: &'static str, word: &str, detail: &str) -> Failure {
    Failure {
        step,
        word: word.to_owned(),
        detail: detail.to_owned(),
    }
}

/// The service's code; its sentence may name a number.
pub(super) fn refused(step: &'static str, why: &ClientError) -> Failure {
    let word = if let ClientError::Refused { code, .. } = why {
        code
    } else {
        "NO_ANSWER"
    };
    failure(step, word, &why.to_string())
}

pub(super) fn why_ended(step: &'static str, status: &Status, view: &View) -> Failure {
    let word = status.reason.as_deref().unwrap_or(&status.state);
    failure(step, word, &words(view))
}
