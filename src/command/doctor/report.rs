//! The findings of all checks, and how they are printed.

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

/// Which check, by a name that is stable for programs, and what it came to.
pub(super) type Check = (&'static str, Finding);

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

/// The remedy where what was found has it.
pub(super) const AS_IT_SAYS: &str = "do what it says, then run this again";

impl Finding {
    pub(super) fn ok(found: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    pub(super) fn warn(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    pub(super) fn fail(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(found, remedy)
        }
    }

    /// Room for `fit` more sessions: none is a failure, less than `at_rest`, the profiles that may still be started, a warning.
    pub(super) fn room(fit: u64, at_rest: usize, found: String, remedy: impl Into<String>) -> Self {
        let at_rest = u64::try_from(at_rest).unwrap_or(u64::MAX);
        if fit == 0 {
            Self::fail(found, remedy)
        } else if fit < at_rest {
            Self::warn(
                format!("{found}; {at_rest} profiles are not running"),
                remedy,
            )
        } else {
            Self::ok(found)
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    group: &'static str,
    name: &'static str,
    #[serde(flatten)]
    finding: Finding,
}

impl Line {
    fn in_words(&self) -> String {
        let verdict = match self.finding.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        let remedy = self.finding.remedy.as_ref();
        let remedy = remedy.map_or_else(String::new, |remedy| format!("\n{:20}→ {remedy}", ""));
        format!(
            "{verdict}  {:<12}  {}{remedy}",
            self.name, self.finding.found
        )
    }
}

/// All verdicts so far.
#[derive(Debug)]
pub(super) struct Report {
    lines: Vec<Line>,
    /// Whether each line is printed at once, since a Chrome may take seconds.
    prints: bool,
}

impl Report {
    pub(super) const fn new(prints: bool) -> Self {
        Self {
            lines: Vec::new(),
            prints,
        }
    }

    pub(super) fn group(&mut self, group: &'static str, checks: Vec<Check>) -> io::Result<()> {
        for (name, finding) in checks {
            let line = Line {
                group,
                name,
                finding,
            };
            if self.prints {
                say(&line.in_words())?;
            }
            self.lines.push(line);
        }
        Ok(())
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(super) fn worst(&self) -> Verdict {
        let verdicts = self.lines.iter().map(|line| line.finding.verdict);
        verdicts.max().unwrap_or(Verdict::Ok)
    }

    pub(super) fn summary(&self) -> String {
        let count = |verdict| {
            let lines = self.lines.iter();
            lines.filter(|line| line.finding.verdict == verdict).count()
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
        let group = vec![
            ("a", Finding::ok("fine")),
            ("b", Finding::warn("so so", "do this")),
        ];
        report.group("x", group).unwrap();
        assert_eq!(report.worst(), Verdict::Warn);
        assert_eq!(report.summary(), "\nthe service can run; 1 warning");
        report
            .group("x", vec![("c", Finding::fail("bad", "do that"))])
            .unwrap();
        assert_eq!(report.worst(), Verdict::Fail);
        assert_eq!(
            report.summary(),
            "\nthe service cannot run: 1 fault, 1 warning"
        );
    }

    #[test]
    fn a_line_has_the_verdict_the_finding_and_below_it_the_remedy() {
        let line = |finding| {
            let line = Line {
                group: "folders",
                name: "disk",
                finding,
            };
            line.in_words()
        };
        let lines = line(Finding::fail("full", "empty it"));
        assert_eq!(
            lines,
            "FAIL  disk          full\n                    → empty it"
        );
        assert_eq!(line(Finding::ok("9 GB")), "ok    disk          9 GB");
    }
}
