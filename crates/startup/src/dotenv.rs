//! The file `.env`: read line by line, so that all faults are reported together, each with its line.
//!
//! It is read as Node's `dotenv` reads it, since the same file has served the Node service: the value is the rest of
//! the line, a blank and `#` begin a remark, and a value in quotes may go over several lines. Where a value would mean
//! one thing to that library and another to a shell, to Docker or to systemd, it is a fault: a key that is not the
//! written one locks all callers out, or lets a wrong one in. Such a fault is reported only for the program's own settings; other
//! programs may use the same file.
//!
//! Never repeats what stands in a line, which may be a secret, and never touches the process environment: other threads may be
//! reading that.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, ErrorKind, Read as _},
    path::Path,
};

/// From how alike two names are on one is taken for a slip of the other: of ten characters two may be wrong, missing or swapped.
/// `POST` is not like enough to `PORT`, nor `LOG_LEVEL` to `LOG_FORMAT`.
const ALIKE: f64 = 0.8;

/// A file of settings has a few thousand bytes; a device such as `/dev/zero` has no end.
const LARGEST: u64 = 1024 * 1024;

/// What a reader puts in the place of bytes that are not UTF-8.
const NOT_UTF8: char = '\u{fffd}';

/// What the file sets, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Dotenv {
    file: String,
    entries: BTreeMap<String, Entry>,
    faults: Vec<String>,
    /// Lines without effect, since a later one sets the same name.
    repeated: Vec<(String, String)>,
}

/// What the file says of one name.
#[derive(Debug)]
struct Entry {
    /// Or why it cannot be told what it is.
    value: Result<String, &'static str>,
    line: usize,
}

/// What a reader makes of what stands after the `=`.
struct Reading {
    value: Result<String, &'static str>,
    /// How many lines it takes.
    lines: usize,
}

impl Dotenv {
    /// One that is not there sets nothing.
    pub fn read(path: &Path) -> Self {
        let mut dotenv = Self {
            file: path.display().to_string(),
            ..Self::default()
        };
        match text(path) {
            Ok(text) => dotenv.take(&text),
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => dotenv.faults.push(format!("{}: {why}", dotenv.file)),
        }
        dotenv
    }

    fn take(&mut self, text: &str) {
        // As editors and programs on Windows begin and end lines.
        let text = text.trim_start_matches('\u{feff}');
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let lines: Vec<&str> = text.split('\n').collect();
        let mut at = 0;
        while at < lines.len() {
            let (line, number) = (lines[at].trim(), at + 1);
            if line.is_empty() || line.starts_with('#') {
                at += 1;
                continue;
            }
            let Some((name, after)) = name(line) else {
                let file = &self.file;
                self.faults
                    .push(format!("{file}: line {number}: is not NAME=value"));
                at += 1;
                continue;
            };
            let reading = reading(after, &lines[at + 1..]);
            at += reading.lines;
            let entry = Entry {
                value: reading.value,
                line: number,
            };
            // The last one counts, as with Node's dotenv.
            if let Some(before) = self.entries.insert(name.to_owned(), entry) {
                let slip = format!(
                    "{}: line {}: {name} is set again in line {number}, which counts; this line has no effect",
                    self.file, before.line
                );
                self.repeated.push((name.to_owned(), slip));
            }
        }
    }

    /// The value that the file sets, or what is wrong with it.
    pub(crate) fn get(&self, name: &str) -> Option<Result<&str, &'static str>> {
        let entry = self.entries.get(name)?;
        Some(entry.value.as_deref().map_err(|why| *why))
    }

    /// The line that sets it, for people.
    pub(crate) fn place(&self, name: &str) -> Option<String> {
        let line = self.entries.get(name)?.line;
        Some(format!("{} line {line}", self.file))
    }

    /// All that is wrong with the file itself.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Lines in it without effect: those that a later one repeats, and names that no setting has and that look like one
    /// of `known` that has been misspelt. Names that look like none belong to other programs.
    pub fn slips(&self, known: &[String]) -> Vec<String> {
        let strange = self
            .entries
            .iter()
            .filter(|(name, _)| !known.contains(name));
        let slips = strange.filter_map(|(name, Entry { line, .. })| {
            let meant = meant_by(name, known)?;
            Some(format!(
                "{}: line {line}: there is no setting {name}, and it has no effect; did you mean {meant}?",
                self.file
            ))
        });
        let repeated = self
            .repeated
            .iter()
            .filter(|(name, _)| known.contains(name));
        slips
            .chain(repeated.map(|(_, slip)| slip.clone()))
            .collect()
    }
}

/// What stands in the file. What is not UTF-8 may stand in a remark.
fn text(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let is_folder = file.metadata()?.is_dir();
    let fault = |why| Err(io::Error::new(ErrorKind::InvalidData, why));
    if is_folder {
        // So Docker makes a mounted file that is not there on the host.
        return fault("is a folder; it must be a file with lines NAME=value, or absent");
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > LARGEST) {
        return fault("is larger than 1 MB; it must be a file with lines NAME=value");
    }
    // A mark of UTF-16, or its zero bytes. PowerShell 5 writes it.
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.contains(&0) {
        return fault("is not UTF-8 text (UTF-16, as PowerShell's > writes it?): save it as UTF-8");
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The name that a line sets, and what follows its `=`. `NAME: value` is taken too, as by Node's dotenv.
fn name(line: &str) -> Option<(&str, &str)> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let exported = line
        .strip_prefix("export")
        .filter(|rest| rest.starts_with(char::is_whitespace))
        .map(str::trim_start)
        .filter(|rest| rest.starts_with(is_of_name));
    let line = exported.unwrap_or(line);
    let end = line.find(|c| !is_of_name(c))?;
    let (name, rest) = line.split_at(end);
    let after = match rest.trim_start().strip_prefix('=') {
        Some(after) => after,
        None => rest
            .strip_prefix(':')
            .filter(|after| after.starts_with(char::is_whitespace))?,
    };
    Some((name, after)).filter(|(name, _)| !name.is_empty())
}

/// The value that begins `after` the `=`; it may go on over the `next` lines.
fn reading(after: &str, next: &[&str]) -> Reading {
    let value = after.trim_start();
    let checked = |value: Result<String, &'static str>| {
        value.and_then(|value| {
            if value.contains(NOT_UTF8) {
                Err("is not UTF-8 text: save the file as UTF-8")
            } else {
                Ok(value)
            }
        })
    };
    match value.chars().next() {
        Some(quote @ ('\'' | '"' | '`')) => {
            let text = [&[&value[1..]], next].concat().join("\n");
            let mut reading = in_quotes(quote, &text);
            reading.value = checked(reading.value);
            reading
        }
        _ => Reading {
            value: checked(without_quotes(after)),
            lines: 1,
        },
    }
}

/// A value without quotes: the rest of the line, without a remark.
fn without_quotes(after: &str) -> Result<String, &'static str> {
    let value = match after.find('#') {
        None => after,
        Some(at) if after[..at].ends_with(char::is_whitespace) => &after[..at],
        Some(_) => {
            return Err(
                "has a # without a blank before it, which some programs take for a remark and others for a part of the value: \
                 put the value in single quotes, or a blank before the remark",
            );
        }
    };
    if value.contains('$') {
        return Err(OPEN_DOLLAR);
    }
    Ok(value.trim().to_owned())
}

/// What is wrong with a `$` that no single quotes protect: a shell, docker compose and others would put a variable in
/// its place.
const OPEN_DOLLAR: &str = "a value with $ in it must stand in single quotes, since no variable is put in its place here and other \
     programs would do so";

/// A value after an opening `quote`, in the `text` of its own line and of those after it.
fn in_quotes(quote: char, text: &str) -> Reading {
    let mut is_escaped = false;
    let mut has_escaped_quote = false;
    let closing = text.char_indices().find(|(_, c)| {
        if *c == quote && !is_escaped {
            return true;
        }
        has_escaped_quote |= is_escaped && *c == quote;
        is_escaped = *c == '\\' && !is_escaped;
        false
    });
    let Some((end, _)) = closing else {
        return Reading {
            value: Err("begins with a quote that is not closed"),
            lines: 1,
        };
    };
    let (value, after) = (&text[..end], &text[end + 1..]);
    let after = after.split('\n').next().unwrap_or_default().trim();
    if !after.is_empty() && !after.starts_with('#') {
        // That quote may be the opening one of another value, which must not be swallowed.
        return Reading {
            value: Err("has something after its closing quote"),
            lines: 1,
        };
    }
    let read = if has_escaped_quote {
        Err(
            "has a backslash before a quote, which programs read in different ways: put it in quotes of another kind, \
             without the backslash",
        )
    } else if quote == '"' {
        unescaped(value)
    } else {
        Ok(value.to_owned())
    };
    Reading {
        value: read,
        lines: 1 + value.matches('\n').count(),
    }
}

/// A value in double quotes, in which `\n` and `\r` stand for line breaks.
fn unescaped(value: &str) -> Result<String, &'static str> {
    if value.contains('$') {
        return Err(OPEN_DOLLAR);
    }
    let plain = value.replace("\\n", "\n").replace("\\r", "\r");
    if plain.contains('\\') {
        return Err(
            "has a backslash in double quotes, which programs read in different ways: put the value in single quotes",
        );
    }
    Ok(plain)
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

    /// The value of `A` in a file that is without fault itself.
    fn value(text: &str) -> Result<String, &'static str> {
        let dotenv = dotenv(text);
        assert_eq!(dotenv.faults(), [""; 0], "{text}");
        let value = dotenv.get("A").unwrap_or_else(|| panic!("{text}"));
        value.map(str::to_owned)
    }

    #[test]
    fn each_fault_is_told_with_its_line_and_none_with_what_stands_there() {
        let text = "PORT=3001\n\nAPI_KEY s3cret\n# A remark.\nOTHER=s3c$ret\n=s3cret\nHOST=::1\n";
        let dotenv = dotenv(text);
        let wanted = [
            ".env: line 3: is not NAME=value",
            ".env: line 6: is not NAME=value",
        ];
        assert_eq!(dotenv.faults(), wanted);
        assert_eq!(
            (dotenv.get("PORT"), dotenv.get("HOST")),
            (Some(Ok("3001")), Some(Ok("::1")))
        );
        // It may be another program's, which takes it.
        assert!(dotenv.get("OTHER").unwrap().is_err());
        assert_eq!(dotenv.place("OTHER").unwrap(), ".env line 5");
    }

    /// Each is what the versions 16 and 17 of Node's `dotenv` make of it: tried with them.
    #[test]
    fn values_are_read_as_nodes_dotenv_reads_them() {
        for (text, wanted) in [
            ("A=1", "1"),
            ("A=1 # a remark", "1"),
            ("A=--one --two=3", "--one --two=3"),
            ("A=--one --two # a remark", "--one --two"),
            ("export A='x $y'", "x $y"),
            ("export\tA=1", "1"),
            ("  A = spaced out  ", "spaced out"),
            ("A: yaml", "yaml"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=\"two\\nlines\"", "two\nlines"),
            ("A='two\\nlines'", "two\\nlines"),
            ("A=`it's \"so\"`", "it's \"so\""),
            ("A='a # b' # remark", "a # b"),
            ("A='x'#remark", "x"),
            ("A=", ""),
            ("A= # nothing", ""),
            ("A=''", ""),
            ("A=1\nA=2", "2"),
            ("A=1\r\nB=2\r\n", "1"),
            ("B=2\rA=1\r", "1"),
            ("\u{feff}A=1", "1"),
            ("A=a=b==", "a=b=="),
            ("A=100%", "100%"),
            ("A=%h/x", "%h/x"),
            ("A=~/tokens", "~/tokens"),
            ("A=--ua=\"x y\"", "--ua=\"x y\""),
            ("A=C:\\dir", "C:\\dir"),
            ("A=it's", "it's"),
            ("A=ñandú", "ñandú"),
        ] {
            assert_eq!(value(text).as_deref(), Ok(wanted), "{text:?}");
        }
    }

    #[test]
    fn a_value_that_programs_read_in_different_ways_is_a_fault_with_a_remedy() {
        for (text, said) in [
            ("A=pa$$word", "single quotes"),
            ("A=\"pa${word}\"", "single quotes"),
            ("A=abc#def", "a blank before the remark"),
            ("A=#abc", "a blank before the remark"),
            ("A=\"a\\tb\"", "single quotes"),
            ("A=\"a\\\"b\"", "quotes of another kind"),
            ("A='it\\'s'", "quotes of another kind"),
            ("A='it's'", "after its closing quote"),
            ("A='x'y", "after its closing quote"),
            ("A=\"open\nB=2", "not closed"),
            ("A=a\u{fffd}o", "save the file as UTF-8"),
        ] {
            let why = value(text).unwrap_err();
            assert!(why.contains(said), "{text:?}: {why}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_own_line_alone() {
        for after in ["C=3", "C=\"3\""] {
            let dotenv = dotenv(&format!("A=1\nB=\"open\n{after}\n"));
            assert!(dotenv.get("B").unwrap().is_err());
            assert_eq!(dotenv.get("C"), Some(Ok("3")));
        }
    }

    #[test]
    fn a_file_that_is_none_of_text_is_a_fault_that_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let faults = |path: &Path| Dotenv::read(path).faults().to_vec();
        assert_eq!(faults(&path), [""; 0]);
        let utf16: Vec<u8> = "A=1\r\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let with_mark = [b"\xff\xfe", utf16.as_slice()].concat();
        for (bytes, said) in [
            (utf16.as_slice(), "UTF-8"),
            (&with_mark, "UTF-8"),
            (&vec![b'#'; 2_000_000], "1 MB"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let faults = faults(&path);
            assert!(faults.len() == 1 && faults[0].contains(said), "{faults:?}");
        }
        // A remark in Latin-1 is nobody's matter.
        std::fs::write(&path, b"# contrase\xf1a\nA=1\n").unwrap();
        let dotenv = Dotenv::read(&path);
        assert_eq!((dotenv.faults(), dotenv.get("A")), (&[][..], Some(Ok("1"))));
        let faults = faults(folder.path());
        assert!(faults[0].contains("is a folder"), "{faults:?}");
    }

    #[test]
    fn a_line_that_a_later_one_repeats_is_told() {
        let known = ["PORT", "HOST"].map(str::to_owned);
        let slips = dotenv("PORT=1\nHOST=::1\nPORT=2\nDB=x\nDB=y\n").slips(&known);
        assert_eq!(slips.len(), 1, "{slips:?}");
        assert!(slips[0].starts_with(".env: line 1: PORT is set again in line 3"));
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
