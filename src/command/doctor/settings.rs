//! Settings: whether the service would take them, and who can read the file that they are in.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use super::report::Check;
use crate::config::{Config, ConfigError};

/// Who else than its owner may read a file.
const OTHERS: u32 = 0o077;

pub(super) fn examine(
    config: &Config,
    settings: &Result<(), ConfigError>,
    dotenv: &Path,
) -> Vec<Check> {
    let mode = match fs::metadata(dotenv) {
        Ok(file) => Some(file.permissions().mode()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => None,
        // The settings say so themselves.
        Err(_) => None,
    };
    let mut checks = judge(settings, mode.is_some());
    let slips = config.slips.iter();
    checks.extend(slips.map(|slip| {
        Check::warn(
            "settings",
            slip.clone(),
            "mend the name, or take the line out",
        )
    }));
    checks.extend(mode.and_then(judge_mode));
    checks
}

fn judge(settings: &Result<(), ConfigError>, has_file: bool) -> Vec<Check> {
    let source = if has_file {
        "from the environment and .env"
    } else {
        "from the environment; there is no .env in this folder"
    };
    match settings {
        Ok(()) => vec![Check::ok("settings", format!("valid, {source}"))],
        Err(faults) => {
            let remedy =
                "mend it in .env or in the environment; docs/configuration.md has them all";
            let lines = faults.faults().iter();
            lines
                .map(|fault| Check::fail("settings", fault, remedy))
                .collect()
        }
    }
}

fn judge_mode(mode: u32) -> Option<Check> {
    (mode & OTHERS != 0).then(|| {
        Check::warn(
            "env-file",
            format!(
                ".env has mode {:o}: others can read what is in it",
                mode & 0o777
            ),
            "chmod 600 .env",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::report::Verdict;

    #[test]
    fn each_fault_of_the_settings_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let dotenv = folder.path().join(".env");
        fs::write(&dotenv, "PORT=x\nMAX_SESSIONS=y\nSESION_MODE=single\n").unwrap();
        fs::set_permissions(&dotenv, fs::Permissions::from_mode(0o644)).unwrap();
        let (config, settings) = Config::inspect(&dotenv, false);
        let checks = examine(&config, &settings, &dotenv);
        let verdicts: Vec<_> = checks.iter().map(|check| check.verdict).collect();
        assert_eq!(
            verdicts,
            [Verdict::Fail, Verdict::Fail, Verdict::Warn, Verdict::Warn]
        );
        assert!(checks[2].found.contains("did you mean SESSION_MODE?"));
        assert!(
            checks[0].found.starts_with("PORT: ") || checks[0].found.starts_with("MAX_SESSIONS: ")
        );
    }

    #[test]
    fn a_file_for_its_owner_alone_is_nothing_to_speak_of() {
        assert_eq!(judge_mode(0o100_600), None);
        assert!(judge_mode(0o100_640).is_some());
        assert_eq!(judge(&Ok(()), false).len(), 1);
    }
}
