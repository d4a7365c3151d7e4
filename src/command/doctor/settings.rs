//! Settings: whether the service would take them, and who can read the file that they are in.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use rustix::process::{getegid, geteuid};

use super::report::{Check, Finding};
use crate::{
    config::{Config, ConfigError, CorsOrigins},
    keys::KeyFile,
};

/// The rights on a file of all users but its owner.
const OTHERS: u32 = 0o077;

/// The right of a file's group that the service needs.
const READ_BY_GROUP: u32 = 0o040;

pub(super) fn examine(
    config: &Config,
    settings: &Result<(), ConfigError>,
    dotenv: &Path,
) -> Vec<Check> {
    let file = match fs::metadata(dotenv) {
        Ok(file) => Some(file),
        Err(why) if why.kind() == io::ErrorKind::NotFound => None,
        // The settings report it.
        Err(_) => None,
    };
    let mut checks = judge(settings, file.is_some());
    let slips = config.slips.iter();
    checks.extend(slips.map(|slip| {
        let remedy = "mend the name, or take the line out";
        ("settings", Finding::warn(slip.clone(), remedy))
    }));
    checks.extend(file.and_then(|file| {
        // The package installs it so: it belongs to root, and the service's own group may read it.
        let is_lent = file.uid() != geteuid().as_raw() && file.gid() == getegid().as_raw();
        Some(("env-file", judge_mode(file.mode(), is_lent)?))
    }));
    checks.extend(judge_pages(config).map(|pages| ("web-pages", pages)));
    checks
}

/// Whether any web page may use the service.
fn judge_pages(config: &Config) -> Option<Finding> {
    let keys = KeyFile::new(config.api_keys_file.clone());
    // A file that cannot be read makes the service ask for keys as well, or does not let it start.
    let has_key = config.api_key.is_some() || !matches!(keys.read(), Ok(None));
    let is_open = config.cors_origins == Some(CorsOrigins::Any);
    (is_open && !has_key).then(|| {
        Finding::warn("CORS_ORIGINS=* and no key: every web page that is open in a browser on this machine can read the sessions and send",
            "take CORS_ORIGINS out, list the pages that may call, or make a key with `session-manager key add`",
        )
    })
}

fn judge(settings: &Result<(), ConfigError>, has_file: bool) -> Vec<Check> {
    let source = if has_file {
        "from the environment and .env"
    } else {
        "from the environment; there is no .env in this folder"
    };
    match settings {
        Ok(()) => vec![("settings", Finding::ok(format!("valid, {source}")))],
        Err(faults) => {
            let remedy =
                "mend it in .env or in the environment; docs/configuration.md has them all";
            let lines = faults.faults().iter();
            lines
                .map(|fault| ("settings", Finding::fail(fault, remedy)))
                .collect()
        }
    }
}

fn judge_mode(mode: u32, is_lent: bool) -> Option<Finding> {
    let needed = if is_lent { READ_BY_GROUP } else { 0 };
    (mode & OTHERS & !needed != 0).then(|| {
        Finding::warn(
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::command::doctor::report::Verdict;

    #[test]
    fn each_fault_of_the_settings_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let dotenv = folder.path().join(".env");
        fs::write(&dotenv, "PORT=x\nMAX_SESSIONS=y\nSESION_MODE=single\n").unwrap();
        let others = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644);
        fs::set_permissions(&dotenv, others).unwrap();
        let (config, settings) = Config::inspect(&dotenv, false);
        let checks = examine(&config, &settings, &dotenv);
        let verdicts: Vec<_> = checks.iter().map(|(_, found)| found.verdict).collect();
        assert_eq!(
            verdicts,
            [Verdict::Fail, Verdict::Fail, Verdict::Warn, Verdict::Warn]
        );
        assert!(checks[2].1.found.contains("did you mean SESSION_MODE?"));
        assert!(
            checks[0].1.found.starts_with("PORT: ")
                || checks[0].1.found.starts_with("MAX_SESSIONS: ")
        );
    }

    #[test]
    fn any_web_page_may_call_is_a_warning_unless_there_is_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let found = |more: &str| {
            let dotenv = folder.path().join(".env");
            let data = folder.path().display();
            fs::write(&dotenv, format!("DATA_DIR={data}\n{more}")).unwrap();
            fs::set_permissions(&dotenv, fs::Permissions::from_mode(0o600)).unwrap();
            let (config, settings) = Config::inspect(&dotenv, false);
            let checks = examine(&config, &settings, &dotenv);
            let found = checks.into_iter().find(|(name, _)| *name == "web-pages");
            found.map(|(_, found)| found.verdict)
        };
        assert_eq!(found("CORS_ORIGINS=*"), Some(Verdict::Warn));
        assert_eq!(found(""), None);
        assert_eq!(found("CORS_ORIGINS=local"), None);
        assert_eq!(found("CORS_ORIGINS=*\nAPI_KEY=s3cret"), None);
        fs::write(folder.path().join("keys.json"), "{").unwrap();
        assert_eq!(found("CORS_ORIGINS=*"), None);
    }

    #[test]
    fn a_file_that_only_its_owner_reads_gives_no_line() {
        assert_eq!(judge_mode(0o100_600, false), None);
        assert!(judge_mode(0o100_640, false).is_some());
        assert_eq!(judge(&Ok(()), false).len(), 1);
    }

    #[test]
    fn a_file_of_another_user_may_be_read_by_the_services_group_only() {
        assert_eq!(judge_mode(0o100_640, true), None);
        assert!(judge_mode(0o100_644, true).is_some());
        assert!(judge_mode(0o100_660, true).is_some());
    }
}
