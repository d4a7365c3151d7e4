//! Which adapter is believed for what.
//!
//! Each adapter sends a [`View`] of the page whenever its view changes. This module holds the latest of each and says
//! how the page [stands](Standing) as a whole. Pure: no page, no time.

use std::{fmt, str::FromStr, time::Duration};

use serde::Deserialize;

use super::{
    PasskeyRequest, PasskeyStanding, PasskeyStep, Standing, Trouble,
    bridge::{PasskeyAsked, PasskeyEnd},
};
use crate::masked::{Code, Number};

/// An adapter: one way to understand and to drive the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterName {
    /// WhatsApp Web's modules, called by name.
    Modules,
    /// The maintained library wa-js, which finds WhatsApp Web's functions by their shape. Loaded only when the adapters
    /// before it lack something.
    WaJs,
    /// What a person sees.
    Dom,
}

impl AdapterName {
    /// Its name in scripts, settings and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::WaJs => "wa-js",
            Self::Dom => "dom",
        }
    }

    /// Whether it hears everything that comes in, and not only what the screen shows.
    pub const fn hears_all(self) -> bool {
        match self {
            Self::Modules | Self::WaJs => true,
            Self::Dom => false,
        }
    }

    /// Every adapter, in the order in which they are tried unless `ADAPTERS` says otherwise.
    pub const ALL: [Self; 3] = [Self::Modules, Self::WaJs, Self::Dom];
}

/// Says that a text names no adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such adapter")]
pub struct UnknownAdapter;

impl FromStr for AdapterName {
    type Err = UnknownAdapter;

    fn from_str(raw: &str) -> Result<Self, UnknownAdapter> {
        let named = Self::ALL.into_iter().find(|name| name.as_str() == raw);
        named.ok_or(UnknownAdapter)
    }
}

impl fmt::Display for AdapterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One adapter's view of the page. What it cannot know stays at its default.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the script's own words, each true or not"
)]
pub(super) struct View {
    /// It recognises the page and knows its state.
    pub(super) state_known: bool,
    pub(super) login: bool,
    pub(super) code: Option<Code>,
    pub(super) codes_ended: bool,
    /// The code on the screen was drawn before the page got another secret: no phone can use it.
    pub(super) screen_is_stale: bool,
    pub(super) pairing_code: Option<Code>,
    pub(super) passkey: Option<PasskeyView>,
    pub(super) linked: bool,
    pub(super) account: Option<Number>,
    pub(super) online: bool,
    pub(super) can_send: bool,
    pub(super) trouble: Option<Trouble>,
    pub(super) sync_percent: Option<u8>,
    pub(super) missing: Vec<String>,
    /// The first words of a notice over the chats.
    pub(super) notice: Option<String>,
    /// Of the library behind it, where there is one.
    pub(super) version: Option<String>,
}

/// How far linking with a passkey has got, as one adapter sees it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct PasskeyView {
    pub(super) step: PasskeyStep,
    #[serde(default)]
    pub(super) code: Option<Code>,
    /// Why the last attempt failed.
    #[serde(default)]
    pub(super) word: Option<String>,
}

/// What the page wants signed, or why the last request ended without a signature.
#[derive(Clone, Debug, Default)]
struct Relay {
    request: Option<PasskeyRequest>,
    ended: Option<PasskeyEnd>,
}

/// The latest view of each adapter, for one document of the page; in the order in which they are tried.
#[derive(Clone, Debug)]
pub(super) struct Views {
    heard: Vec<(AdapterName, Option<View>)>,
    relay: Relay,
    /// Those that find every name and fail all the same, with what a send met: WhatsApp's functions have changed.
    failing: Vec<(AdapterName, String)>,
    /// wa-js has its turn whatever the others lack.
    wants_wa_js: bool,
}

impl Views {
    /// Nothing heard yet.
    pub(super) fn of_new_document(order: &[AdapterName]) -> Self {
        Self {
            heard: order.iter().map(|name| (*name, None)).collect(),
            relay: Relay::default(),
            failing: Vec::new(),
            wants_wa_js: false,
        }
    }

    /// From now on wa-js has its turn, whether the others lack something or not.
    pub(super) fn want_wa_js(&mut self) {
        self.wants_wa_js = true;
    }

    /// A new document has begun: what was heard of the one before is void.
    pub(super) fn forget(&mut self) {
        for (_, view) in &mut self.heard {
            *view = None;
        }
        self.relay = Relay::default();
    }

    /// The page's request for a passkey has come, or is over.
    pub(super) fn update_passkey(
        &mut self,
        request: Option<PasskeyAsked>,
        ended: Option<PasskeyEnd>,
    ) {
        let request = request.map(|asked| PasskeyRequest {
            id: asked.id,
            options: asked.options.to_string().into(),
            timeout: Duration::from_millis(asked.timeout_ms),
        });
        self.relay = Relay { request, ended };
    }

    /// How far linking with a passkey has got: as the first adapter says that sees any of it. A request is a fact of its own,
    /// and holds whatever an adapter sees.
    fn passkey(&self) -> Option<PasskeyStanding> {
        let mut views = self.heard.iter().filter_map(|(_, view)| view.as_ref());
        let seen = views.find_map(|view| view.passkey.clone());
        let Relay { request, ended } = &self.relay;
        if request.is_some() {
            return Some(PasskeyStanding {
                step: PasskeyStep::Busy,
                request: request.clone(),
                code: None,
                word: None,
            });
        }
        let PasskeyView { step, code, word } = seen?;
        let timed_out = (*ended == Some(PasskeyEnd::Timeout)).then(|| "TIMEOUT".to_owned());
        Some(PasskeyStanding {
            step,
            request: None,
            code,
            word: word
                .map(|word| timed_out.unwrap_or(word))
                .filter(|_| step == PasskeyStep::Wanted),
        })
    }

    /// An adapter has failed at its own part of a send: the others go before it.
    pub(super) fn update_failing(&mut self, adapter: AdapterName, why: String) {
        self.trust(adapter);
        self.failing.push((adapter, why));
    }

    /// An adapter has sent.
    pub(super) fn trust(&mut self, adapter: AdapterName) {
        self.failing.retain(|(name, _)| *name != adapter);
    }

    /// The page may be another build now: what failed on the one before may work.
    pub(super) fn trust_all(&mut self) {
        self.failing.clear();
    }

    fn is_failing(&self, adapter: AdapterName) -> bool {
        self.failing.iter().any(|(name, _)| *name == adapter)
    }

    /// Takes an adapter's newest view. One that is not in use is not listened to.
    pub(super) fn update(&mut self, adapter: AdapterName, view: View) {
        if let Some((_, latest)) = self.heard.iter_mut().find(|(name, _)| *name == adapter) {
            *latest = Some(view);
        }
    }

    /// The adapter does not work, for the reason given: it is passed over.
    pub(super) fn update_broken(&mut self, adapter: AdapterName, reason: &str) {
        let missing = vec![reason.to_owned()];
        self.update(
            adapter,
            View {
                missing,
                ..View::default()
            },
        );
    }

    fn of(&self, adapter: AdapterName) -> Option<&View> {
        let (_, view) = self.heard.iter().find(|(name, _)| *name == adapter)?;
        view.as_ref()
    }

    /// Whether wa-js has its turn: it is wanted, or each adapter before it has spoken, and lacks something or fails; and it does
    /// not fail itself.
    pub(super) fn need_wa_js(&self) -> bool {
        let has_had_its_turn = |(name, view): &(AdapterName, Option<View>)| {
            let lacks = |view: &View| !view.missing.is_empty() || self.is_failing(*name);
            view.as_ref().is_some_and(lacks)
        };
        let at = self
            .heard
            .iter()
            .position(|(name, _)| *name == AdapterName::WaJs);
        !self.is_failing(AdapterName::WaJs)
            && at
                .is_some_and(|at| self.wants_wa_js || self.heard[..at].iter().all(has_had_its_turn))
    }

    /// How the page stands: its state from the first adapter that knows it, sends by the first that can send; one that
    /// fails is the last resort. An adapter that has not spoken yet is waited for, so that a slower one is not overtaken
    /// by a weaker one.
    pub(super) fn standing(&self) -> Standing {
        let wa_js_has_its_turn = self.need_wa_js();
        let candidates: Vec<_> = self
            .heard
            .iter()
            // One that is not loaded is neither waited for nor missed.
            .filter(|(name, view)| {
                *name != AdapterName::WaJs
                    || wa_js_has_its_turn
                    || view.as_ref().is_some_and(|view| view.version.is_some())
            })
            // Nor is one that would come last.
            .filter(|(name, view)| view.is_some() || !self.is_failing(*name))
            .collect();
        let heard: Vec<_> = candidates
            .iter()
            .map_while(|(name, view)| view.as_ref().map(|view| (*name, view)))
            .collect();
        let undecided = heard.len() < candidates.len();
        let state = heard.iter().find(|(_, view)| view.state_known);
        let mut senders: Vec<_> = heard
            .iter()
            .filter(|(_, view)| view.can_send)
            .map(|(name, _)| *name)
            .collect();
        senders.sort_by_key(|name| self.is_failing(*name));
        let wa_js_version = self
            .of(AdapterName::WaJs)
            .and_then(|view| view.version.clone());
        let missing = heard
            .iter()
            .flat_map(|(name, view)| {
                view.missing
                    .iter()
                    .map(move |what| format!("{name}: {what}"))
            })
            .chain(
                self.failing
                    .iter()
                    .map(|(name, why)| format!("{name}: a send that works ({why})")),
            )
            .collect();
        // Every adapter sees the screen alike, so any of them is believed.
        let notice = heard.iter().find_map(|(_, view)| view.notice.clone());
        let failing = self.failing.iter().map(|(name, _)| *name).collect();
        // Any adapter is believed about trouble: a page that refuses this browser has no modules to ask. Only another
        // window is the socket's to know, if the socket can be asked: the dialog about it may outlive it.
        let knows_better = state
            .map(|(name, _)| *name)
            .filter(|name| *name != AdapterName::Dom);
        let is_old_news = |name: AdapterName, trouble: Trouble| {
            trouble == Trouble::OpenedElsewhere && knows_better.is_some_and(|other| other != name)
        };
        let trouble = heard
            .iter()
            .find_map(|(name, view)| view.trouble.filter(|trouble| !is_old_news(*name, *trouble)));
        let Some((state_from, view)) = state else {
            return Standing {
                recognised: trouble.is_some(),
                trouble,
                wa_js_version,
                missing,
                ..Standing::default()
            };
        };

        // What the page shows is what its makers want scanned; a code built from modules may have an older form.
        let shown = self.of(AdapterName::Dom).filter(|dom| dom.login);
        let screen_is_stale = heard.iter().any(|(_, view)| view.screen_is_stale);
        let pairing_code = heard.iter().find_map(|(_, view)| view.pairing_code.clone());
        let codes_ended =
            view.login && (view.codes_ended || shown.is_some_and(|dom| dom.codes_ended));
        let code = shown
            .filter(|_| !screen_is_stale)
            .and_then(|dom| dom.code.clone())
            .or_else(|| view.code.clone())
            .filter(|_| view.login && !codes_ended);
        let passkey = self.passkey().filter(|_| !view.linked);
        // What is left of a code is worthless, and to ask for another would end the attempt.
        let shows_codes = view.login && passkey.is_none();
        Standing {
            recognised: true,
            login: view.login || passkey.is_some(),
            code: code.filter(|_| shows_codes),
            codes_ended: codes_ended && shows_codes,
            pairing_code: pairing_code.filter(|_| shows_codes),
            passkey,
            linked: view.linked,
            account: view.account.clone(),
            online: view.online,
            trouble,
            sync_percent: view.sync_percent,
            serving: Some(senders.first().copied().unwrap_or(*state_from)),
            senders,
            failing,
            undecided,
            wa_js_version,
            missing,
            notice,
        }
    }
}

#[cfg(test)]
mod tests;
