//! The page: whether WhatsApp Web can be reached, and the other files that the adapters need.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, absolute},
    time::Duration,
};

use super::report::{Check, Finding};
use crate::{
    browser::Visit,
    config::Config,
    whatsapp::{AdapterName, PageScripts},
};

/// The real page took 7 to 15 s to load whole; that it answers is known long before.
pub(super) const VISIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The bundle of wa-js begins with a notice of its licence and then its version.
const HEAD: u64 = 1000;
const VERSION_AFTER: &str = "wa-js v";

pub(super) fn examine(config: &Config, visit: Option<&(Visit, Duration)>) -> Vec<Check> {
    let mut checks = Vec::new();
    match visit {
        Some((visit, took)) => {
            let visited = judge_visit(&config.whatsapp_url, visit, *took);
            checks.push(("whatsapp", visited));
        }
        None if config.sandbox.is_some() => {
            checks.push(("whatsapp", Finding::ok("simulated: the sandbox is on")));
        }
        // No Chrome could be started to go there.
        None => {}
    }
    if config.adapters.contains(&AdapterName::WaJs) {
        let bundle = judge_wa_js(&config.wa_js_path, head(&config.wa_js_path));
        checks.push(("wa-js", bundle));
    }
    let replaced = PageScripts::new(config.page_scripts_dir.clone()).replaced();
    checks.extend(judge_scripts(&replaced).map(|scripts| ("scripts", scripts)));
    checks
}

fn judge_visit(url: &str, visit: &Visit, took: Duration) -> Finding {
    match visit {
        // WhatsApp's page has a title, and an error page of the headless shell has none.
        Visit::Arrived { title } if title.is_empty() => Finding::warn(
            format!("{url} shows an empty page"),
            "a proxy that asks for a user and a password shows itself like this: docs/operations.md, \"A proxy with a password\"",
        ),
        Visit::Arrived { title } => Finding::ok(format!(
            "{url} answers after {:.1} s: {title:?}",
            took.as_secs_f64()
        )),
        Visit::TooSlow => Finding::warn(
            format!("{url} has not loaded within {} s", took.as_secs()),
            "look at the network; a slow one needs higher limits (NAVIGATE_TIMEOUT_SECONDS, INJECT_TIMEOUT_SECONDS)",
        ),
        Visit::Refused(why) => {
            Finding::warn(format!("{url} cannot be reached: {why}"), remedy_for(why))
        }
    }
}

/// The remedy for a network error of Chrome.
fn remedy_for(why: &str) -> &'static str {
    const REMEDIES: [(&str, &str); 6] = [
        (
            "INVALID_AUTH_CREDENTIALS",
            "the proxy asks for a user and a password, which Chrome cannot give it: docs/operations.md, \"A proxy with a password\"",
        ),
        (
            "NAME_NOT_RESOLVED",
            "names are not resolved: look at /etc/resolv.conf",
        ),
        (
            "CERT_DATE",
            "the clock of this machine is wrong, or a certificate is: timedatectl",
        ),
        (
            "CERT_",
            "something intercepts TLS between this machine and WhatsApp, or its certificates are old: apt-get install ca-certificates",
        ),
        ("PROXY", "look at --proxy-server in CHROME_ARGS"),
        ("TUNNEL", "look at --proxy-server in CHROME_ARGS"),
    ];
    let known = REMEDIES.iter().find(|(sign, _)| why.contains(sign));
    known.map_or(
        "look at the network of this machine, or name a proxy: CHROME_ARGS=--proxy-server=…",
        |(_, remedy)| remedy,
    )
}

/// The beginning of the bundle, or why it cannot be read.
fn head(path: &Path) -> Result<String, String> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    read.map(|_| String::from_utf8_lossy(&head).into_owned())
        .map_err(|why| why.to_string())
}

fn judge_wa_js(path: &Path, head: Result<String, String>) -> Finding {
    let (given, path) = (path, path.display());
    match head {
        Ok(head) => match head.split_once(VERSION_AFTER) {
            Some((_, version)) => {
                let version = version.split_whitespace().next().unwrap_or_default();
                Finding::ok(format!("version {version}, {path}"))
            }
            None => Finding::warn(
                format!("{path} does not begin as wa-js does"),
                "WA_JS_PATH must lead to dist/wppconnect-wa.js of @wppconnect/wa-js",
            ),
        },
        Err(why) => Finding::warn(
            format!(
                "{path}: {why}; when WhatsApp renames a module, only typing on the page is left"
            ),
            how_to_get_wa_js(given),
        ),
    }
}

/// The command that puts the bundle where the service looks for it. npm brings it; no package of the service holds a copy, because
/// WhatsApp changes and only the newest version works.
fn how_to_get_wa_js(path: &Path) -> String {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    let in_modules = path.ancestors().find(|at| at.ends_with("node_modules"));
    let Some(folder) = in_modules.and_then(Path::parent) else {
        return "WA_JS_PATH must lead to dist/wppconnect-wa.js of @wppconnect/wa-js".to_owned();
    };
    // A clone of the repository says which version its tests were run with; an installed package has no such file.
    let command = if folder.join("package-lock.json").is_file() {
        "npm ci --omit=dev"
    } else {
        "npm install @wppconnect/wa-js"
    };
    format!(
        "{command} in {}, as the service's user, or set WA_JS_PATH",
        folder.display()
    )
}

fn judge_scripts(replaced: &[&str]) -> Option<Finding> {
    (!replaced.is_empty()).then(|| {
        Finding::warn(
            format!("PAGE_SCRIPTS_DIR replaces {}", replaced.join(", ")),
            "remove the copies once a release has caught up with WhatsApp (docs/adapters.md)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::report::Verdict;

    #[test]
    fn a_page_that_cannot_be_reached_is_a_warning_with_the_remedy_for_its_cause() {
        let visit =
            |visit| judge_visit("https://web.whatsapp.com/", &visit, Duration::from_secs(2));
        let arrived = Visit::Arrived {
            title: "WhatsApp".to_owned(),
        };
        assert_eq!(visit(arrived).verdict, Verdict::Ok);
        assert_eq!(visit(Visit::TooSlow).verdict, Verdict::Warn);
        let empty = visit(Visit::Arrived {
            title: String::new(),
        });
        assert_eq!(empty.verdict, Verdict::Warn);
        assert!(empty.remedy.unwrap().contains("proxy"));
        for (why, says) in [
            ("net::ERR_NAME_NOT_RESOLVED", "resolv.conf"),
            ("net::ERR_CERT_DATE_INVALID", "clock"),
            ("net::ERR_CERT_AUTHORITY_INVALID", "ca-certificates"),
            ("net::ERR_PROXY_CONNECTION_FAILED", "--proxy-server in"),
            ("net::ERR_INVALID_AUTH_CREDENTIALS", "password"),
            ("net::ERR_CONNECTION_REFUSED", "network"),
        ] {
            let check = visit(Visit::Refused(why.to_owned()));
            assert_eq!(check.verdict, Verdict::Warn);
            assert!(check.remedy.unwrap().contains(says), "{why}");
        }
    }

    #[test]
    fn the_version_of_wa_js_is_read_from_its_head() {
        let path = Path::new("wa.js");
        let head =
            "/*! For license information */\n/*! wppconnect-team/wa-js v4.6.0 */(()=>{".to_owned();
        assert_eq!(judge_wa_js(path, Ok(head)).found, "version 4.6.0, wa.js");
        assert_eq!(
            judge_wa_js(path, Ok("hello".to_owned())).verdict,
            Verdict::Warn
        );
        assert_eq!(
            judge_wa_js(path, Err("gone".to_owned())).verdict,
            Verdict::Warn
        );
        assert_eq!(judge_scripts(&[]), None);
    }

    #[test]
    fn a_bundle_that_is_missing_comes_from_npm_into_the_folder_where_it_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder
            .path()
            .join("node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js");
        let place = format!(" in {}, as", folder.path().display());
        let remedy = how_to_get_wa_js(&bundle);
        assert!(
            remedy.starts_with("npm install @wppconnect/wa-js") && remedy.contains(&place),
            "{remedy}"
        );
        std::fs::write(folder.path().join("package-lock.json"), "{}").unwrap();
        let remedy = how_to_get_wa_js(&bundle);
        assert!(
            remedy.starts_with("npm ci --omit=dev") && remedy.contains(&place),
            "{remedy}"
        );
        let elsewhere = how_to_get_wa_js(&folder.path().join("wa.js"));
        assert!(elsewhere.contains("WA_JS_PATH must lead to"), "{elsewhere}");
    }
}
