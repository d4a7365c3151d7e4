//! The environment of Chrome: what it needs of the service's own, by name, and nothing else.
//!
//! A page runs in Chrome, and Chrome's environment stands in `/proc/<pid>/environ` and in crash dumps. So the service's
//! keys and settings, and all that the machine's other tools keep in variables (cloud credentials, tokens of a CI),
//! stay out of it. No setting of the service is read here.

use std::{
    env,
    ffi::{OsStr, OsString},
};

/// What Chrome gets, each with the reason.
const NAMES: &[&str] = &[
    // Where Chrome, and a script in its place, find programs.
    "PATH",
    // Certificates (`~/.pki`) and the caches of fonts.
    "HOME",
    // The user, for libraries that do not ask the system.
    "USER",
    "LOGNAME",
    // The language in which it asks servers, and how it reads the names of files.
    "LANG",
    "LANGUAGE",
    // WhatsApp Web shows times in it.
    "TZ",
    "TZDIR",
    // Shared memory where /dev/shm is too small, and the sockets of its processes.
    "TMPDIR",
    // The libraries of a Chrome that was not installed by the system.
    "LD_LIBRARY_PATH",
    // The setuid helper of a Chrome that was built by hand, without which it has no sandbox.
    "CHROME_DEVEL_SANDBOX",
];

/// Families of names.
const PREFIXES: &[&str] = &[
    // As LANG, for each purpose.
    "LC_",
    // Where settings, caches and fonts are. A window or a desktop's bus Chrome has no use for: it is headless.
    "XDG_",
    "FONTCONFIG_",
];

/// Proxies, from which Chrome learns how to get out. It reads each in either case.
const PROXIES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "AUTO_PROXY",
    "SOCKS_SERVER",
    "SOCKS_VERSION",
];

/// What a Chrome that is started now gets.
pub(in crate::browser) fn for_chrome() -> Vec<(OsString, OsString)> {
    choose(env::vars_os())
}

fn choose(all: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    all.filter_map(|(name, value)| {
        let known = name.to_str()?;
        if NAMES.contains(&known) || PREFIXES.iter().any(|prefix| known.starts_with(prefix)) {
            return Some((name, value));
        }
        let is_proxy = PROXIES
            .iter()
            .any(|proxy| known.eq_ignore_ascii_case(proxy));
        is_proxy.then(|| {
            let value = without_credentials(&value);
            (name, value)
        })
    })
    .collect()
}

/// A proxy without its user and password. Chrome takes none from there: it would leave them out by itself.
fn without_credentials(proxy: &OsStr) -> OsString {
    let Some(text) = proxy.to_str() else {
        return proxy.to_owned();
    };
    let Some((before, host)) = text.rsplit_once('@') else {
        return proxy.to_owned();
    };
    let scheme = before.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some(scheme) => format!("{scheme}://{host}").into(),
        None => host.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(all: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = all.iter().map(|(name, value)| (name.into(), value.into()));
        let text = |text: OsString| text.into_string().unwrap();
        choose(all)
            .into_iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn what_chrome_needs_is_handed_on_and_no_secret_is() {
        let needed = [
            ("PATH", "/usr/bin"),
            ("LC_ALL", "es_AR.UTF-8"),
            ("XDG_RUNTIME_DIR", "/run/user/1000"),
            ("no_proxy", "localhost"),
        ];
        let secret = [
            ("API_KEY", "k"),
            ("SESSION_MANAGER_KEY", "k"),
            ("SNAPSHOT_PASSPHRASE", "p"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("CHROME_ARGS", "--proxy-server=h"),
            ("PATH_TO_KEY", "k"),
            ("path", "k"),
            ("LCX", "k"),
        ];
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        assert_eq!(
            chosen(&[&needed[..], &secret[..]].concat()),
            needed.iter().map(owned).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_proxys_password_does_not_go_along() {
        for (given, expected) in [
            ("http://user:p@ss@proxy:3128", "http://proxy:3128"),
            ("user:pass@proxy:3128", "proxy:3128"),
            ("http://proxy:3128", "http://proxy:3128"),
        ] {
            let handed_on = chosen(&[("https_proxy", given)]);
            assert_eq!(handed_on[0].1, expected, "{given}");
        }
    }
}
