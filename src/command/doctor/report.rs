//! Verdicts, and how they are told.

use std::io;

use serde::Serialize;

use crate::command::screen::say;

/// What a check came to, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// The service works, but not as well, as safely or as long as it could.
    Warn,
    /// The service, or a session, cannot work like this.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was looked at; stable, for programs.
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    /// What was found.
    pub(super) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    pub(super) fn warn(
        name: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Warn,
            remedy: Some(remedy.into()),
            ..Self::ok(name, found)
        }
    }

    pub(super) fn fail(
        name: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(name, found, remedy)
        }
    }

    /// Room for `fit` more sessions: none is a failure, less than `at_rest`, the profiles that may still be started, a warning.
    pub(super) fn room(
        name: &'static str,
        fit: u64,
        at_rest: usize,
        found: String,
        remedy: impl Into<String>,
    ) -> Self {
        let at_rest = u64::try_from(at_rest).unwrap_or(u64::MAX);
        if fit == 0 {
            Self::fail(name, found, remedy)
        } else if fit < at_rest {
            let found = format!("{found}; {at_rest} profiles are not running");
            Self::warn(name, found, remedy)
        } else {
            Self::ok(name, found)
        }
    }

    fn in_words(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        let remedy = self.remedy.as_ref();
        let remedy = remedy.map_or_else(String::new, |remedy| format!("\n{:20}→ {remedy}", ""));
        format!("{verdict}  {:<12}  {}{remedy}", self.name, self.found)
    }
}

/// A check with the group that it belongs to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Grouped {
    group: &'static str,
    #[serde(flatten)]
    check: Check,
}

/// All verdicts so far.
#[derive(Debug)]
pub(super) struct Report {
    checks: Vec<Grouped>,
    /// Whether each is told as soon as it is known: Chrome may take seconds.
    tells: bool,
}

impl Report {
    pub(super) const fn new(tells: bool) -> Self {
        Self {
            checks: Vec::new(),
            tells,
        }
    }

    pub(super) fn group(&mut self, group: &'static str, checks: Vec<Check>) -> io::Result<()> {
        for check in checks {
            if self.tells {
                say(&check.in_words())?;
            }
            self.checks.push(Grouped { group, check });
        }
        Ok(())
    }

    pub(super) fn checks(&self) -> &[Grouped] {
        &self.checks
    }

    pub(super) fn worst(&self) -> Verdict {
        let verdicts = self.checks.iter().map(|grouped| grouped.check.verdict);
        verdicts.max().unwrap_or(Verdict::Ok)
    }

    pub(super) fn summary(&self) -> String {
        let count = |verdict| {
            let of_it = self
                .checks
                .iter()
                .filter(|grouped| grouped.check.verdict == verdict);
            of_it.count()
        };
        match (count(Verdict::Fail), count(Verdict::Warn)) {
            (0, 0) => "\nall is well".to_owned(),
            (0, warnings) => format!("\nthe service can run; {}", counted(warnings, "warning")),
            (faults, warnings) => format!(
                "\nthe service cannot run: {}, {}",
                counted(faults, "fault"),
                counted(warnings, "warning")
            ),
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_counts_and_warnings_are_no_failure() {
        let mut report = Report::new(false);
        assert_eq!(report.worst(), Verdict::Ok);
        let group = vec![Check::ok("a", "fine"), Check::warn("b", "so so", "do this")];
        report.group("x", group).unwrap();
        assert_eq!(report.worst(), Verdict::Warn);
        assert_eq!(report.summary(), "\nthe service can run; 1 warning");
        report
            .group("x", vec![Check::fail("c", "bad", "do that")])
            .unwrap();
        assert_eq!(report.worst(), Verdict::Fail);
        assert_eq!(
            report.summary(),
            "\nthe service cannot run: 1 fault, 1 warning"
        );
    }

    #[test]
    fn a_line_has_the_verdict_the_finding_and_below_it_the_remedy() {
        let lines = Check::fail("disk", "full", "empty it").in_words();
        assert_eq!(
            lines,
            "FAIL  disk          full\n                    → empty it"
        );
        assert_eq!(
            Check::ok("disk", "9 GB").in_words(),
            "ok    disk          9 GB"
        );
    }
}
