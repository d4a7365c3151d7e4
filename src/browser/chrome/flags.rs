//! The command line of one Chrome: data with reasons, no I/O.
//!
//! The set was measured for memory against the defaults of other tools: about half of theirs.
//! Chrome is always headless, and its profile, debugging pipe and user agent are always the service's.

use std::{ffi::OsString, path::Path};

use crate::browser::{
    BrowserError,
    procfs::{MARKER, ProcessId, USER_DATA_DIR},
};

/// The lean set.
const SWITCHES: &[&str] = &[
    // No window, whatever the machine has.
    "--headless=new",
    // No person is there to answer first-run and default-browser questions.
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-search-engine-choice-screen",
    // Traffic, memory and wake-ups that have nothing to do with the page.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-component-extensions-with-background-pages",
    "--disable-sync",
    "--disable-client-side-phishing-detection",
    "--disable-domain-reliability",
    "--no-pings",
    "--metrics-recording-only",
    // One process less, and no reports of a page with private messages.
    "--disable-breakpad",
    "--disable-crash-reporter",
    // A page that computes for a minute is normal here and must not be killed for it.
    "--disable-hang-monitor",
    "--disable-ipc-flooding-protection",
    "--disable-prompt-on-repost",
    "--disable-popup-blocking",
    // The page is never in front, yet must keep hearing its socket.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--mute-audio",
    "--hide-scrollbars",
    // Cookies are sealed with a fixed key: a desktop's key ring would tie the profile to a login session.
    "--password-store=basic",
    "--use-mock-keychain",
    // The same pixels everywhere.
    "--force-color-profile=srgb",
    // One site per Chrome, and each session has a Chrome of its own: isolation by process gains nothing inside.
    "--disable-site-isolation-trials",
    "--renderer-process-limit=1",
    // Nothing is drawn for a screen: 10 MB and a process less.
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--in-process-gpu",
    "--no-unsandboxed-zygote",
    // Driven over the descriptors 3 and 4. A port would answer every user of the machine.
    "--remote-debugging-pipe",
];

/// Features switched off, and why in the order of the lines.
const DISABLED_FEATURES: &[&str] = &[
    // Services and surfaces of a browser with a person in front.
    "Translate",
    "MediaRouter",
    "DialMediaRouteProvider",
    "OptimizationHints",
    "AutofillServerCommunication",
    "WebUIReloadButton",
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    // Client hints asked for at connection time would bypass the ones we set.
    "AcceptCHFrame",
    // The sandbox is plain HTTP on loopback.
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    // Pages kept and processes started in reserve.
    "BackForwardCache",
    "SpareRendererForSitePerProcess",
    "MultipleSpareRPHs",
    "AudioServiceOutOfProcess",
    // Processes per site, as above.
    "ProcessPerSiteUpToMainFrameThreshold",
    "IsolateSandboxedIframes",
    "IsolateOrigins",
    "site-per-process",
];

/// The network service inside the main process: 7 to 16 MB and a process less.
const ENABLED_FEATURES: &[&str] = &["NetworkServiceInProcess2"];

/// `navigator.webdriver` is false, as for a person.
const DISABLED_BLINK_FEATURES: &[&str] = &["AutomationControlled"];

/// Size before speed: 40 MB less for a page as heavy as the real one.
const JS_FLAGS: &[&str] = &[
    "--optimize-for-size",
    "--max-semi-space-size=1",
    "--no-sparkplug",
];

/// Arguments that the service needs for itself, and what happens without.
const OURS: &[(&str, &str)] = &[
    (
        USER_DATA_DIR,
        "each session has a profile folder of its own",
    ),
    (
        "headless",
        "the service always runs Chrome without a window",
    ),
    (
        "remote-debugging-port",
        "every user of the machine could take the account over through it",
    ),
    (
        "remote-debugging-pipe",
        "the service speaks to Chrome over that pipe in its own way",
    ),
    (
        "remote-debugging-address",
        "there is no debugging port that could listen there",
    ),
    ("user-agent", "it is derived from Chrome's version"),
    ("type", "it starts a helper process instead of Chrome"),
    (MARKER, "it tells the service's own processes"),
];

/// Why an argument with a user and a password is refused. Chromium 156 opens no page with one
/// (`ERR_NO_SUPPORTED_PROXIES`). To answer the proxy over CDP, requests would have to be intercepted, which stalls
/// those of workers.
const CREDENTIALS: &str = "Chrome takes no user and password there, and every user of the machine can read its command line; \
    have the proxy let this machine's address in, or run a forwarder here that knows them (docs/operations.md, \"A proxy with a password\")";

/// Everything that goes onto Chrome's command line.
pub(in crate::browser) fn command_line(
    profile: &Path,
    owner: ProcessId,
    user_agent: &str,
    as_root: bool,
    extra: &[String],
) -> Result<Vec<OsString>, BrowserError> {
    let mut disabled = Joined::new(DISABLED_FEATURES);
    let mut enabled = Joined::new(ENABLED_FEATURES);
    let mut blink = Joined::new(DISABLED_BLINK_FEATURES);
    let mut js_flags = JS_FLAGS.join(" ");
    let mut others = Vec::new();

    // Of two equal switches Chrome hears the last one only, so what the operator adds is joined to the service's; where they
    // contradict, the operator's word counts.
    for argument in extra {
        match split(argument)? {
            ("disable-features", Some(names)) => {
                disabled.add(names);
                enabled.remove(names);
            }
            ("enable-features", Some(names)) => {
                enabled.add(names);
                disabled.remove(names);
            }
            ("disable-blink-features", Some(names)) => blink.add(names),
            ("js-flags", Some(flags)) => {
                js_flags.push(' ');
                js_flags.push_str(flags);
            }
            _ => others.push(argument),
        }
    }

    let mut line: Vec<OsString> = SWITCHES.iter().map(OsString::from).collect();
    if as_root {
        // Chrome refuses its sandbox to root; everybody else keeps it.
        line.push("--no-sandbox".into());
    }
    let mut folder = OsString::from(format!("--{USER_DATA_DIR}="));
    folder.push(profile);
    line.push(folder);
    line.push(format!("--{MARKER}={owner}").into());
    // The only way that reaches the service worker too.
    line.push(format!("--user-agent={user_agent}").into());
    line.push(format!("--js-flags={js_flags}").into());
    line.push(format!("--enable-features={}", enabled.0.join(",")).into());
    line.push(format!("--disable-features={}", disabled.0.join(",")).into());
    line.push(format!("--disable-blink-features={}", blink.0.join(",")).into());
    line.extend(others.into_iter().map(OsString::from));
    Ok(line)
}

/// Checks the operator's extra arguments without starting anything.
///
/// Fails with [`BrowserError::ArgumentRefused`] for the first one that the service keeps for itself.
pub fn check_extra_arguments(extra: &[String]) -> Result<(), BrowserError> {
    extra
        .iter()
        .try_for_each(|argument| split(argument).map(drop))
}

/// `--name=value` as name and value.
fn split(argument: &str) -> Result<(&str, Option<&str>), BrowserError> {
    let refused = |why: &str| BrowserError::ArgumentRefused {
        argument: argument.to_owned(),
        why: why.to_owned(),
    };
    let dashless = argument
        .strip_prefix("--")
        .or_else(|| argument.strip_prefix('-'))
        .filter(|rest| !rest.is_empty())
        .ok_or_else(|| refused("an argument of Chrome starts with two dashes"))?;
    let (name, value) = match dashless.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (dashless, None),
    };
    if value.is_some_and(|value| holds_credentials(name, value)) {
        // The refused argument is named in the log too, so it is named without its value.
        return Err(BrowserError::ArgumentRefused {
            argument: format!("--{name}=…"),
            why: CREDENTIALS.to_owned(),
        });
    }
    match OURS.iter().find(|(ours, _)| *ours == name) {
        Some((_, why)) => Err(refused(why)),
        None => Ok((name, value)),
    }
}

/// Whether an address in it names a user: `http://user:password@host`, in a list and without the scheme too.
fn holds_credentials(name: &str, value: &str) -> bool {
    // A proxy's value is a list of proxies, `http=host:port;socks=host:port`, in which an @ has no other meaning.
    if name == "proxy-server" {
        return value.contains('@');
    }
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ',', ';', ' ']).next();
        authority.is_some_and(|authority| authority.contains('@'))
    })
}

/// Names that Chrome takes as one comma-separated value.
struct Joined(Vec<String>);

impl Joined {
    fn new(names: &[&str]) -> Self {
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn add(&mut self, names: &str) {
        for name in names.split(',').filter(|name| !name.is_empty()) {
            if !self.0.iter().any(|ours| ours == name) {
                self.0.push(name.to_owned());
            }
        }
    }

    fn remove(&mut self, names: &str) {
        self.0
            .retain(|ours| names.split(',').all(|name| name != ours));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(as_root: bool, extra: &[&str]) -> Result<Vec<String>, BrowserError> {
        let extra: Vec<String> = extra.iter().map(|text| (*text).to_owned()).collect();
        let owner = ProcessId::of_this_service().unwrap();
        let line = command_line(Path::new("/p"), owner, "Agent", as_root, &extra)?;
        Ok(line
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect())
    }

    fn value(line: &[String], name: &str) -> String {
        let mut found = line.iter().filter_map(|word| word.strip_prefix(name));
        let value = found.next().unwrap().to_owned();
        assert_eq!(
            found.next(),
            None,
            "{name} stands twice, and Chrome hears the last one only"
        );
        value
    }

    #[test]
    fn features_of_the_operator_are_joined_to_ours() {
        let line = line(
            false,
            &[
                "--disable-features=Mine,Translate",
                "--enable-features=BackForwardCache",
                "--js-flags=--lite-mode",
            ],
        )
        .unwrap();
        let disabled = value(&line, "--disable-features=");
        assert!(disabled.ends_with(",Mine"), "{disabled}");
        assert_eq!(disabled.matches("Translate").count(), 1, "{disabled}");
        assert!(!disabled.contains("BackForwardCache"), "{disabled}");
        let enabled = value(&line, "--enable-features=");
        assert_eq!(enabled, "NetworkServiceInProcess2,BackForwardCache");
        let js_flags = value(&line, "--js-flags=");
        assert!(js_flags.starts_with("--optimize-for-size") && js_flags.ends_with(" --lite-mode"));
    }

    #[test]
    fn the_sandbox_is_off_for_root_or_when_asked_only() {
        let has = |line: Vec<String>| line.iter().any(|word| word == "--no-sandbox");
        assert!(!has(line(false, &[]).unwrap()));
        assert!(has(line(true, &[]).unwrap()));
        assert!(has(line(false, &["--no-sandbox"]).unwrap()));
    }

    #[test]
    fn an_argument_with_a_password_is_refused_without_showing_it() {
        for argument in [
            "--proxy-server=http://user:hunter2@proxy.example:3128",
            "--proxy-server=user:hunter2@proxy.example:3128",
            "--proxy-server=http=a:1;https=socks5://user:hunter2@b:2",
            "-proxy-server=socks5://hunter2@proxy.example",
            "--proxy-pac-url=https://user:hunter2@proxy.example/proxy.pac",
            "--proxy-pac-url=https://user:hunter2@",
        ] {
            let refusal = line(false, &[argument]).unwrap_err().to_string();
            assert!(!refusal.contains("hunter2"), "{refusal}");
            assert!(refusal.contains("docs/operations.md"), "{refusal}");
        }
        for argument in [
            "--proxy-server=http://proxy.example:3128",
            "--proxy-bypass-list=*.example;10.0.0.0/8",
            "--proxy-pac-url=https://proxy.example/a@b.pac",
        ] {
            line(false, &[argument]).unwrap();
        }
    }

    #[test]
    fn arguments_that_the_service_keeps_for_itself_are_refused() {
        for argument in [
            "--user-data-dir=/x",
            "-headless",
            "--remote-debugging-port=9222",
            "chrome",
            "--",
        ] {
            let refusal = line(false, &[argument]).unwrap_err();
            assert!(refusal.to_string().contains(argument), "{refusal}");
        }
    }
}
