//! The file `.env`: read line by line, so that each fault is told with its line, and all of them at once.
//!
//! Never repeats what stands in a line, which may be a secret, and never touches the process environment: other threads may be
//! reading that.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path};

use super::parse;

/// From how alike two names are on one is taken for a slip of the other: of ten characters two may be wrong, missing or swapped.
/// `POST` is not like enough to `PORT`, nor `LOG_LEVEL` to `LOG_FORMAT`.
const ALIKE: f64 = 0.8;

/// What the file sets, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Dotenv {
    file: String,
    values: BTreeMap<String, (String, usize)>,
    faults: Vec<String>,
}

impl Dotenv {
    /// One that is not there sets nothing.
    pub(super) fn read(path: &Path) -> Self {
        let mut dotenv = Self {
            file: path.display().to_string(),
            ..Self::default()
        };
        match fs::read_to_string(path) {
            Ok(text) => dotenv.take(&text),
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => dotenv.faults.push(format!("{}: {why}", dotenv.file)),
        }
        dotenv
    }

    fn take(&mut self, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        let mut at = 0;
        while at < lines.len() {
            let number = at + 1;
            // The parser would put variables in the place of $NAME and so cut a secret short without a word.
            if parse::has_open_dollar(lines[at]) {
                self.complain(number, "a value with $ in it must stand in single quotes");
                at += 1;
                continue;
            }
            let Some((pairs, after)) = pairs(&lines, at) else {
                self.complain(number, "is not NAME=value");
                at += 1;
                continue;
            };
            for (name, value) in pairs {
                // The last one counts, as it always has.
                self.values.insert(name, (value, number));
            }
            at = after;
        }
    }

    fn complain(&mut self, line: usize, why: &str) {
        self.faults
            .push(format!("{}: line {line}: {why}", self.file));
    }

    /// The value that the file sets.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.as_str())
    }

    /// All that is wrong with it.
    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// The names in it that no setting has, and that look like one of `known` that has been misspelt. Names that look like none
    /// belong to other programs.
    pub(super) fn slips(&self, known: &[String]) -> Vec<String> {
        let strange = self.values.iter().filter(|(name, _)| !known.contains(name));
        let slips = strange.filter_map(|(name, (_, line))| {
            let meant = meant_by(name, known)?;
            Some(format!(
                "{}: line {line}: there is no setting {name}, and it has no effect; did you mean {meant}?",
                self.file
            ))
        });
        slips.collect()
    }
}

/// What the line at `at` sets, together with those after it that belong to its quoted value; and where the next one begins. `None`
/// when it cannot be understood.
fn pairs(lines: &[&str], at: usize) -> Option<(Vec<(String, String)>, usize)> {
    let parsed = |text: &str| {
        let pairs = dotenvy::from_read_iter(text.as_bytes());
        pairs.collect::<Result<Vec<_>, _>>().ok()
    };
    if let Some(pairs) = parsed(lines[at]) {
        return Some((pairs, at + 1));
    }
    let (_, value) = lines[at].split_once('=')?;
    if !value.trim_start().starts_with(['"', '\'']) {
        return None;
    }
    // A quote that is not closed on its line.
    (at + 1..lines.len()).find_map(|last| {
        let pairs = parsed(&lines[at..=last].join("\n"))?;
        Some((pairs, last + 1))
    })
}

/// The known name that is most like this one, if any is like it at all.
fn meant_by<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let name = name.to_uppercase();
    let alike = known.iter().map(|known| {
        let alike = strsim::normalized_damerau_levenshtein(&name, known);
        (known.as_str(), alike)
    });
    alike
        .filter(|(_, alike)| *alike >= ALIKE)
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(known, _)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dotenv(text: &str) -> Dotenv {
        let mut dotenv = Dotenv {
            file: ".env".to_owned(),
            ..Dotenv::default()
        };
        dotenv.take(text);
        dotenv
    }

    #[test]
    fn each_fault_is_told_with_its_line_and_none_with_what_stands_there() {
        let text = "PORT=3001\n\nAPI_KEY s3cret\n# A remark.\nOTHER=s3c$ret\n=s3cret\nHOST=::1\n";
        let dotenv = dotenv(text);
        let wanted = [
            ".env: line 3: is not NAME=value",
            ".env: line 5: a value with $ in it must stand in single quotes",
            ".env: line 6: is not NAME=value",
        ];
        assert_eq!(dotenv.faults(), wanted);
        assert_eq!(
            (dotenv.get("PORT"), dotenv.get("HOST")),
            (Some("3001"), Some("::1"))
        );
    }

    #[test]
    fn values_are_read_as_dotenv_files_write_them() {
        let text = "A=1 # a remark\nexport B='x $y'\nC=\"two\nlines\"\nD = spaced\nE=\nA=2\n";
        let dotenv = dotenv(text);
        assert_eq!(dotenv.faults(), [""; 0]);
        let got = ["A", "B", "C", "D", "E", "F"].map(|name| dotenv.get(name));
        let wanted = ["2", "x $y", "two\nlines", "spaced", ""];
        assert_eq!(got[..5], wanted.map(Some));
        assert_eq!(got[5], None);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_with_its_line() {
        let dotenv = dotenv("A=1\nB=\"open\nC=3\n");
        assert_eq!(dotenv.faults(), [".env: line 2: is not NAME=value"]);
        assert_eq!(dotenv.get("C"), Some("3"));
    }

    #[test]
    fn a_name_that_is_nearly_a_setting_is_told_and_one_of_another_program_is_not() {
        let known = [
            "PORT",
            "HOST",
            "SESSION_MEMORY_MB",
            "DEFAULT_CLIENTE_ID",
            "LOG_FORMAT",
        ];
        let known = known.map(str::to_owned);
        for (name, meant) in [
            ("SESION_MEMORY_MB", Some("SESSION_MEMORY_MB")),
            ("SESSION_MEMORY", Some("SESSION_MEMORY_MB")),
            ("DEFAULT_CLIENT_ID", Some("DEFAULT_CLIENTE_ID")),
            ("port", Some("PORT")),
            ("PORTS", Some("PORT")),
            ("POST", None),
            ("NODE_ENV", None),
            ("LOG_LEVEL", None),
            ("DATABASE_URL", None),
            ("PORT", None),
        ] {
            let slips = dotenv(&format!("# A remark.\n{name}=x\n")).slips(&known);
            match meant {
                None => assert_eq!(slips, [""; 0]),
                Some(meant) => {
                    assert_eq!(slips.len(), 1, "{name}");
                    let starts = format!(".env: line 2: there is no setting {name},");
                    let ends = format!("did you mean {meant}?");
                    assert!(
                        slips[0].starts_with(&starts) && slips[0].ends_with(&ends),
                        "{slips:?}"
                    );
                }
            }
        }
    }
}
