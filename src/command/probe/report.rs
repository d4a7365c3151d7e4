//! What was found, as a person reads it and as a program does. Pure.
//!
//! Invariant: nothing personal is in it. What it holds is our own words (names of our tables, codes, numbers of seconds) and, of the
//! outside, version numbers, a language and Chrome's `net::` words. Sentences of the page, of Chrome or of the system are for
//! standard error.

use serde::Serialize;

use super::step::Step;
use crate::{
    command::screen::table,
    session::ReasonCode,
    whatsapp::{AdapterName, Job, Presence, Reliance},
};

/// Grows when a field changes its meaning or goes.
const FORMAT: u32 = 1;

/// Indents what belongs to the line above.
const BELOW: &str = "                  ";

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    format: u32,
    verdict: Verdict,
    session_manager: &'static str,
    chrome: Option<String>,
    page: Page,
    adapters: Vec<Adapter>,
    /// What a person and a phone did, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<Step>>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Each adapter has everything that it needs.
    Whole,
    /// They link and send, and lack what some sends need after a profile was put back from its snapshot.
    #[serde(rename = "no-reset")]
    NoReset,
    /// One of them lacks something; nothing shows that the service does not link or send.
    Weakened,
    /// The service cannot link, or cannot send.
    Broken,
    /// There was no page to look at.
    Unopened,
}

/// Where the page that was opened comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Origin {
    WhatsApp,
    Sandbox,
    /// What `WHATSAPP_URL` says.
    Other,
}

/// The page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Page {
    pub(super) origin: Origin,
    /// `login`, `linked`, or nothing that was recognised.
    pub(super) shows: Option<&'static str>,
    pub(super) build: Option<String>,
    pub(super) language: Option<String>,
    /// Why it was not opened, or what it says that keeps it from working: a reason code.
    pub(super) trouble: Option<&'static str>,
    /// Chrome's word for it, such as `net::ERR_NAME_NOT_RESOLVED`.
    pub(super) word: Option<String>,
    /// Scripts of the page that the operator has replaced.
    pub(super) replaced_scripts: Vec<&'static str>,
}

/// Whether an adapter could be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// All that it relies on was looked up.
    LookedAt,
    /// `WA_JS_PATH` leads to no file. Nothing is wrong with the page.
    NotInstalled,
    /// wa-js is there and does not work on this page.
    NotLoaded,
    /// It gave no answer: its script is replaced by an old one, or the page broke.
    NoAnswer,
}

/// One adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Adapter {
    name: &'static str,
    /// Of wa-js.
    version: Option<String>,
    state: State,
    links: Can,
    sends: Can,
    /// Whether it can begin new Signal sessions, which some sends need after a restore.
    resets: Can,
    relies_on: Vec<Reliance>,
}

/// Whether an adapter can do a job on this page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Can {
    Yes,
    No,
    /// Something that it needs stands on a screen that was not seen.
    Unseen,
}

impl Can {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "NO",
            Self::Unseen => "?",
        }
    }
}

impl Adapter {
    pub(super) fn new(
        name: AdapterName,
        state: State,
        version: Option<String>,
        relies_on: Vec<Reliance>,
    ) -> Self {
        let can = |job| {
            let of_job = || relies_on.iter().filter(|line| line.jobs.contains(&job));
            if state != State::LookedAt || of_job().any(|line| line.status == Presence::Missing) {
                Can::No
            } else if of_job().any(|line| line.status == Presence::Unseen) {
                Can::Unseen
            } else {
                Can::Yes
            }
        };
        Self {
            name: name.as_str(),
            version,
            state,
            links: can(Job::Link),
            sends: can(Job::Send),
            resets: can(Job::Reset),
            relies_on,
        }
    }

    /// The same with what a later look has found. What that did not see stays as it was; else the later look counts, since some
    /// things are there only once an account is linked.
    pub(super) fn looked_at_again(self, later: Self) -> Self {
        let (name, version) = (self.name, later.version.or(self.version));
        let Some(name) = AdapterName::ALL
            .into_iter()
            .find(|known| known.as_str() == name)
        else {
            return Self { version, ..self };
        };
        if later.state != State::LookedAt {
            return Self::new(name, later.state, version, self.relies_on);
        }
        let mut lines = later.relies_on;
        for line in &mut lines {
            let before = self.relies_on.iter().find(|other| other.name == line.name);
            if let (Presence::Unseen, Some(before)) = (line.status, before) {
                *line = before.clone();
            }
        }
        Self::new(name, later.state, version, lines)
    }

    pub(super) fn is(&self, name: AdapterName) -> bool {
        self.name == name.as_str()
    }

    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.name == other.name
    }

    fn count(&self, status: Presence) -> usize {
        let lines = self.relies_on.iter();
        lines.filter(|line| line.status == status).count()
    }

    /// Whether it lacks something that a job needs. A wa-js that is not installed lacks nothing: the page does not know of it.
    fn lacks_something(&self) -> bool {
        let is_installed = self.state != State::NotInstalled;
        is_installed && (self.links == Can::No || self.sends == Can::No)
    }
}

impl Report {
    pub(super) fn new(
        chrome: Option<String>,
        page: Page,
        adapters: Vec<Adapter>,
        steps: Option<Vec<Step>>,
    ) -> Self {
        let is_able = |can: fn(&Adapter) -> Can| adapters.iter().any(|one| can(one) != Can::No);
        let has_failed = steps.iter().flatten().any(Step::has_failed);
        let verdict = if chrome.is_none() || (adapters.is_empty() && page.trouble.is_some()) {
            Verdict::Unopened
        } else if page.shows.is_none()
            || has_failed
            || !is_able(|one| one.links)
            || !is_able(|one| one.sends)
        {
            Verdict::Broken
        } else if adapters.iter().any(Adapter::lacks_something) {
            Verdict::Weakened
        } else if !is_able(|one| one.resets) {
            // All of them use the same functions of the page.
            Verdict::NoReset
        } else {
            Verdict::Whole
        };
        Self {
            format: FORMAT,
            verdict,
            session_manager: env!("CARGO_PKG_VERSION"),
            chrome,
            page,
            adapters,
            steps,
        }
    }

    /// Whether an adapter was seen to have everything for a job.
    fn is_seen_to(&self, can: fn(&Adapter) -> Can) -> bool {
        self.adapters.iter().any(|one| can(one) == Can::Yes)
    }

    pub(super) const fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|why| format!("{{\"error\":\"{why}\"}}"))
    }

    /// For people, at most 80 columns wide. With `all` what was found as it should be is listed too.
    pub(super) fn text(&self, all: bool) -> String {
        let mut parts = vec![self.head()];
        if !self.adapters.is_empty() {
            parts.push(self.table().join("\n"));
        }
        let lines = self.lines(all);
        if !lines.is_empty() {
            parts.push(lines.join("\n"));
        }
        if let Some(steps) = &self.steps {
            let rows: Vec<_> = steps.iter().map(Step::row).collect();
            parts.push(table(&rows).join("\n"));
        }
        parts.push(self.last_word());
        parts.join("\n\n")
    }

    fn head(&self) -> String {
        let Page {
            origin,
            build,
            language,
            replaced_scripts,
            ..
        } = &self.page;
        let known = |what: &Option<String>| what.clone().unwrap_or_else(|| "unknown".to_owned());
        let origin = match origin {
            Origin::WhatsApp => "WhatsApp Web",
            Origin::Sandbox => "the sandbox",
            Origin::Other => "the page of WHATSAPP_URL",
        };
        let mut rows = vec![
            [
                "page".to_owned(),
                format!("{origin}, build {}", known(build)),
            ],
            ["language".to_owned(), known(language)],
            ["Chrome".to_owned(), known(&self.chrome)],
            [
                "session-manager".to_owned(),
                self.session_manager.to_owned(),
            ],
        ];
        if !replaced_scripts.is_empty() {
            rows.push(["replaced scripts".to_owned(), replaced_scripts.join(", ")]);
        }
        table(&rows).join("\n")
    }

    fn table(&self) -> Vec<String> {
        let title = [
            "adapter", "links", "sends", "found", "moved", "missing", "unseen", "",
        ];
        let row = |one: &Adapter| {
            let count = |status| one.count(status).to_string();
            let remark = match (one.state, &one.version) {
                (State::LookedAt, Some(version)) => version.clone(),
                (State::LookedAt, None) => String::new(),
                (State::NotInstalled, _) => "not installed".to_owned(),
                (State::NotLoaded, _) => "does not load".to_owned(),
                (State::NoAnswer, _) => "no answer".to_owned(),
            };
            let can = |can: Can| match one.state {
                State::NotInstalled => "-".to_owned(),
                State::LookedAt | State::NotLoaded | State::NoAnswer => can.in_words().to_owned(),
            };
            [
                one.name.to_owned(),
                can(one.links),
                can(one.sends),
                count(Presence::Found),
                count(Presence::Moved),
                count(Presence::Missing),
                count(Presence::Unseen),
                remark,
            ]
        };
        let rows: Vec<_> = [title.map(str::to_owned)]
            .into_iter()
            .chain(self.adapters.iter().map(row))
            .collect();
        table(&rows)
    }

    fn lines(&self, all: bool) -> Vec<String> {
        let is_shown =
            |line: &&Reliance| all || matches!(line.status, Presence::Moved | Presence::Missing);
        let of_adapter = |one: &Adapter| {
            let name = one.name;
            let shown = one.relies_on.iter().filter(is_shown);
            shown.map(|line| in_words(name, line)).collect::<Vec<_>>()
        };
        self.adapters.iter().flat_map(of_adapter).collect()
    }

    fn last_word(&self) -> String {
        let unseen: usize = self
            .adapters
            .iter()
            .map(|one| one.count(Presence::Unseen))
            .sum();
        let rest = match (unseen, &self.steps) {
            (0, _) | (_, Some(_)) => "",
            (_, None) => {
                "\nUnseen is what stands on screens that come after linking, or only when\nsomething has happened; --link looks at most of them."
            }
        };
        let trouble = self.page.trouble.map(|code| {
            let word = self.page.word.as_deref();
            word.map_or_else(|| code.to_owned(), |word| format!("{code}, {word}"))
        });
        let verdict = match self.verdict {
            Verdict::Whole => "Each adapter finds everything that it needs.".to_owned(),
            Verdict::NoReset => {
                "Linking and sending need nothing that is missing. After a profile was put back\nfrom its snapshot, sends to some recipients are refused (PROFILE_STALE)."
                    .to_owned()
            }
            Verdict::Weakened if self.is_seen_to(|one| one.sends) => {
                "An adapter lacks something; another one links and sends.".to_owned()
            }
            Verdict::Weakened => {
                "An adapter lacks something; nothing shows that linking or sending fails, and\nnothing that sending works: the screens that it needs were not seen."
                    .to_owned()
            }
            Verdict::Broken => match (&self.page.shows, &trouble) {
                (_, Some(trouble)) => format!("The service cannot work with this page: {trouble}."),
                (None, None) => format!(
                    "No adapter recognises this page: {}.",
                    ReasonCode::PageNotRecognised.as_str()
                ),
                (Some(_), None) if self.steps.iter().flatten().any(Step::has_failed) => {
                    "A step has failed.".to_owned()
                }
                (Some(_), None) => {
                    "No adapter can do what the service needs: linking or sending fails.".to_owned()
                }
            },
            Verdict::Unopened => {
                let why = trouble.unwrap_or_default();
                format!("The page was not opened: {why}.")
            }
        };
        format!("{verdict}{rest}")
    }
}

fn in_words(adapter: &str, line: &Reliance) -> String {
    let status = match line.status {
        Presence::Found => "found",
        Presence::Moved => "moved",
        Presence::Missing => "MISSING",
        Presence::Unseen => "unseen",
    };
    let gone = match (line.status, &*line.kind) {
        (Presence::Missing, "module") => " (the whole module)",
        _ => "",
    };
    let optional = if line.jobs.is_empty() {
        ", optional"
    } else {
        ""
    };
    let screen = line.screen.as_ref();
    let on = screen.map_or_else(String::new, |screen| format!(", screen \"{screen}\""));
    let at = line.at.as_ref();
    let at = at.map_or_else(String::new, |at| format!("\n{BELOW}→ {at}"));
    format!(
        "{adapter:<8}  {status:<7} {}{gone}\n{BELOW}{}{optional}{on}{at}",
        line.name, line.needed_for
    )
}

#[cfg(test)]
mod tests;
