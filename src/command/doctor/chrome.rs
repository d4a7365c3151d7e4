//! Chrome: which one is used, whether it starts and draws, and with which sandbox.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    page::VISIT_TIMEOUT,
    report::{AS_IT_SAYS, Check, Finding},
};
use crate::{
    browser::{
        Browser, BrowserError, ChromeKind, ChromeProgram, Drawn, Footprint, LaunchOptions, Visit,
        check_extra_arguments, find_chrome,
    },
    command::scratch,
    config::Config,
};

/// A start takes 0.3 s on an idle machine.
const SLOW_START: Duration = Duration::from_secs(5);

/// What WhatsApp's phones send and play, by how Chrome is asked for it; and what a message lacks until it is played, if this Chrome cannot
/// look into it. Nothing is refused for that: a file goes out as it is, and WhatsApp Web converts none that the service sends.
const CODECS: [(&str, &str, &str); 4] = [
    (
        "H.264",
        "video/mp4; codecs=\"avc1.42E01E\"",
        "videos have no preview and no length",
    ),
    (
        "AAC",
        "audio/mp4; codecs=\"mp4a.40.2\"",
        "sounds in M4A and AAC have no length",
    ),
    ("MP3", "audio/mpeg", "sounds in MP3 have no length"),
    (
        "Opus in Ogg",
        "audio/ogg; codecs=\"opus\"",
        "voice messages have no length and no waveform",
    ),
];

/// What was learnt from the one Chrome that was started.
#[derive(Debug, Default)]
pub(super) struct Tried {
    pub(super) checks: Vec<Check>,
    /// Its processes and threads, if it came up.
    pub(super) footprint: Option<Footprint>,
    /// The visit to WhatsApp Web, and how long it took, if there was one.
    pub(super) visit: Option<(Visit, Duration)>,
}

/// Looks for Chrome and tries it out.
pub(super) async fn examine(config: &Config, cancel: &CancellationToken) -> Tried {
    let mut tried = Tried::default();
    if let Err(why) = check_extra_arguments(&config.chrome_args) {
        let refused = Finding::fail(why.to_string(), "take it out of CHROME_ARGS");
        tried.checks.push(("arguments", refused));
        return tried;
    }
    let looked = find_chrome(config.chrome_path.as_deref(), &config.search_path);
    let program = match cancel.run_until_cancelled(looked).await {
        None => return tried,
        Some(Ok(program)) => program,
        Some(Err(why)) => {
            tried.checks.push(("program", not_found(&why)));
            return tried;
        }
    };
    tried.checks.extend(judge_program(&program));
    let opened = try_out(config, program, cancel, &mut tried).await;
    if !cancel.is_cancelled() {
        let facts = SandboxFacts::read(&config.chrome_args);
        let sandbox = judge_sandbox(&facts, opened);
        tried
            .checks
            .extend(sandbox.map(|sandbox| ("sandbox", sandbox)));
    }
    tried
}

/// Starts Chrome, asks it everything that other checks need, and closes it. Returns whether it came up.
async fn try_out(
    config: &Config,
    program: ChromeProgram,
    cancel: &CancellationToken,
    tried: &mut Tried,
) -> bool {
    let folder = match scratch::folder(".doctor-", &config.tokens_dir) {
        Ok(folder) => folder,
        Err(why) => {
            let found = format!("no folder for a profile can be made: {why}");
            let failed = Finding::fail(found, "see the folders above");
            tried.checks.push(("start", failed));
            return false;
        }
    };
    let options = LaunchOptions {
        program,
        profile: folder.path().join("profile"),
        extra_args: config.chrome_args.clone(),
        timeout: config.sessions.limits.launch,
    };
    let began = Instant::now();
    let opened = Browser::open(options, cancel).await;
    let took = began.elapsed();
    let has_opened = opened.is_ok();
    match opened {
        Ok(browser) => {
            let asked = cancel.run_until_cancelled(ask(config, &browser, took, tried));
            // Cancelled or not, the Chrome is closed below.
            let _called_off = asked.await;
            browser.close().await;
        }
        Err(BrowserError::Cancelled) => {}
        Err(why) => tried.checks.push(("start", not_started(&why))),
    }
    if let Err(why) = folder.close() {
        let found = format!("the trial's profile could not be removed: {why}");
        let left = Finding::warn(found, "remove it by hand");
        tried.checks.push(("leftover", left));
    }
    has_opened
}

async fn ask(config: &Config, browser: &Browser, took: Duration, tried: &mut Tried) {
    let drawn = browser.draw_test_page().await;
    tried.checks.push(("start", judge_start(took, &drawn)));
    let plays = browser.plays(&CODECS.map(|(_, asked, _)| asked)).await;
    tried.checks.push(("codecs", judge_codecs(&plays)));
    tried.footprint = Some(browser.footprint());
    if config.sandbox.is_none() {
        let began = Instant::now();
        let visit = browser.visit(&config.whatsapp_url, VISIT_TIMEOUT).await;
        tried.visit = Some((visit, began.elapsed()));
    }
}

fn not_found(why: &BrowserError) -> Finding {
    let remedy = "apt-get install chromium-headless-shell (Ubuntu: Google's google-chrome-stable), or set CHROME_PATH to one that works";
    failed(why, remedy)
}

fn not_started(why: &BrowserError) -> Finding {
    let remedy = "the last lines are Chrome's own; on a machine that is merely slow: raise LAUNCH_TIMEOUT_SECONDS";
    failed(why, remedy)
}

/// Where the cause of Chrome's end is known, the advice is in the text.
fn failed(why: &BrowserError, remedy: &str) -> Finding {
    let remedy = why.advice().map_or(remedy, |_| AS_IT_SAYS);
    Finding::fail(why.to_string(), remedy)
}

fn judge_program(program: &ChromeProgram) -> Vec<Check> {
    let path = program.path.display();
    let version = program.version.as_str();
    let found = match program.kind {
        ChromeKind::HeadlessShell => Finding::ok(format!("headless shell {version}, {path}")),
        ChromeKind::FullBrowser => Finding::warn(
            format!(
                "full browser {version}, {path}: some 100 MB more for each session than the headless shell"
            ),
            "apt-get install chromium-headless-shell, where the system has it",
        ),
    };
    let no_setpriv = program.setpriv.is_none().then(|| {
        Finding::warn("not there, or it does not work: when the service is killed, a Chrome that hangs stays until its next start",
            "apt-get install util-linux",
        )
    });
    let no_setpriv = no_setpriv.map(|found| ("setpriv", found));
    [Some(("program", found)), no_setpriv]
        .into_iter()
        .flatten()
        .collect()
}

fn judge_start(took: Duration, drawn: &Result<Drawn, String>) -> Finding {
    let seconds = format!("{:.1} s", took.as_secs_f64());
    match drawn {
        Ok(Drawn::Whole) if took > SLOW_START => Finding::warn(
            format!("up only after {seconds}; it drew a page"),
            "the machine is busy or slow: start fewer at once (MAX_CONCURRENT_STARTS), give them longer (LAUNCH_TIMEOUT_SECONDS)",
        ),
        Ok(Drawn::Whole) => Finding::ok(format!("up after {seconds}, drew a page, closed")),
        Ok(Drawn::WithoutText) => Finding::warn(
            format!("up after {seconds}; it draws, but no text: there are no fonts"),
            "apt-get install fonts-liberation (pictures of failures are hard to read without; sessions work)",
        ),
        Ok(Drawn::Wrong) => Finding::fail(
            format!("up after {seconds}, but it draws something else than it was told"),
            "try another Chrome (CHROME_PATH), and without CHROME_ARGS",
        ),
        Err(why) => Finding::fail(
            format!("up after {seconds}, but it draws nothing: {why}"),
            "its renderer does not work: look at memory and /dev/shm below, try another Chrome (CHROME_PATH)",
        ),
    }
}

/// `plays`: of each of [`CODECS`].
fn judge_codecs(plays: &Result<Vec<bool>, String>) -> Finding {
    let plays = match plays {
        Ok(plays) => plays,
        Err(why) => {
            return Finding::warn(
                format!("it does not say what it plays: {why}"),
                "see what is said of its start",
            );
        }
    };
    let names = |wanted: bool| -> Vec<_> {
        let all = CODECS.iter().zip(plays);
        all.filter(|(_, plays)| **plays == wanted)
            .map(|(codec, _)| codec)
            .collect()
    };
    let listed = |codecs: &[&(&'static str, &str, &str)]| {
        let names: Vec<_> = codecs.iter().map(|(name, ..)| *name).collect();
        names.join(", ")
    };
    let lacking = names(false);
    if lacking.is_empty() {
        return Finding::ok(format!("plays {}", listed(&names(true))));
    }
    let without: Vec<_> = lacking.iter().map(|(.., lacks)| *lacks).collect();
    Finding::warn(
        format!(
            "this build does not play {}: files are sent all the same, byte for byte, but {} until their recipient has loaded them",
            listed(&lacking),
            without.join("; ")
        ),
        "if that matters: a build with these codecs, such as google-chrome-stable or Debian's chromium-headless-shell (CHROME_PATH)",
    )
}

/// What decides on Chrome's sandbox.
#[derive(Debug, Default)]
struct SandboxFacts {
    is_root: bool,
    is_switched_off: bool,
    /// Kernel settings that keep ordinary users from making a sandbox, as they stand.
    closed: Vec<&'static str>,
}

/// Each with the value that closes it, and the one that opens it.
const KERNEL_SETTINGS: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "10000"),
    // Debian's own.
    ("kernel.unprivileged_userns_clone", "0", "1"),
    // Ubuntu 23.10 and later.
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

impl SandboxFacts {
    fn read(chrome_args: &[String]) -> Self {
        let stands = |setting: &str| {
            let file = PathBuf::from("/proc/sys").join(setting.replace('.', "/"));
            fs::read_to_string(file).ok()
        };
        let is_closed = |(setting, closes, _): &(&str, &str, &str)| {
            stands(setting).is_some_and(|value| value.trim() == *closes)
        };
        Self {
            is_root: rustix::process::geteuid().is_root(),
            is_switched_off: chrome_args.iter().any(|switch| switch == "--no-sandbox"),
            closed: KERNEL_SETTINGS
                .iter()
                .filter(|setting| is_closed(setting))
                .map(|(setting, ..)| *setting)
                .collect(),
        }
    }
}

fn judge_sandbox(facts: &SandboxFacts, has_opened: bool) -> Option<Finding> {
    if facts.is_root {
        return Some(Finding::warn(
            "off: this runs as root, to whom Chrome refuses it",
            "run the service as a user of its own (docs/deploy/README.md)",
        ));
    }
    if facts.is_switched_off {
        return Some(Finding::warn(
            "off: CHROME_ARGS has --no-sandbox",
            "take it out, unless this system lets Chrome make none",
        ));
    }
    if has_opened {
        return Some(Finding::ok("on"));
    }
    let closed = KERNEL_SETTINGS
        .iter()
        .find(|(setting, ..)| facts.closed.contains(setting));
    closed.map(|(setting, closes, opens)| {
        Finding::fail(format!("{setting} is {closes}: ordinary users can make no sandbox, which may be why Chrome did not start"),
            format!("sysctl -w {setting}={opens}, or set CHROME_ARGS=--no-sandbox"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::report::Verdict;

    #[test]
    fn a_chrome_that_is_up_must_draw_what_it_is_told() {
        let (quick, slow) = (Duration::from_millis(300), Duration::from_secs(9));
        let verdict = |took, drawn| judge_start(took, &drawn).verdict;
        assert_eq!(verdict(quick, Ok(Drawn::Whole)), Verdict::Ok);
        assert_eq!(verdict(slow, Ok(Drawn::Whole)), Verdict::Warn);
        assert_eq!(verdict(quick, Ok(Drawn::WithoutText)), Verdict::Warn);
        assert_eq!(verdict(quick, Ok(Drawn::Wrong)), Verdict::Fail);
        assert_eq!(verdict(quick, Err("crashed".to_owned())), Verdict::Fail);
    }

    #[test]
    fn a_codec_that_is_missing_is_named_with_what_is_lost_and_nothing_is_a_failure() {
        assert_eq!(
            judge_codecs(&Ok(vec![true; 4])),
            Finding::ok("plays H.264, AAC, MP3, Opus in Ogg")
        );
        let free = judge_codecs(&Ok(vec![false, false, true, true]));
        assert_eq!(free.verdict, Verdict::Warn);
        assert!(
            free.found.contains("does not play H.264, AAC:")
                && free.found.contains("no preview")
                && !free.found.contains("waveform"),
            "{}",
            free.found
        );
        let silent = judge_codecs(&Err("crashed".to_owned()));
        assert_eq!(silent.verdict, Verdict::Warn);
    }

    #[test]
    fn a_sandbox_that_is_off_has_its_cause_and_one_that_cannot_be_has_its_remedy() {
        let root = SandboxFacts {
            is_root: true,
            ..SandboxFacts::default()
        };
        assert_eq!(judge_sandbox(&root, true).unwrap().verdict, Verdict::Warn);
        let told = SandboxFacts {
            is_switched_off: true,
            ..SandboxFacts::default()
        };
        assert!(
            judge_sandbox(&told, true)
                .unwrap()
                .found
                .contains("CHROME_ARGS")
        );
        let closed = SandboxFacts {
            closed: vec!["kernel.apparmor_restrict_unprivileged_userns"],
            ..SandboxFacts::default()
        };
        // Ubuntu lets the Chrome of its own list make one all the same: that it is up decides.
        assert_eq!(judge_sandbox(&closed, true).unwrap().verdict, Verdict::Ok);
        let check = judge_sandbox(&closed, false).unwrap();
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.remedy.unwrap().contains("sysctl -w kernel.apparmor"));
        assert_eq!(judge_sandbox(&SandboxFacts::default(), false), None);
    }
}
