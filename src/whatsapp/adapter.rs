//! Which adapter is believed for what.
//!
//! Each adapter sends a [`View`] of the page whenever its view changes. This module holds the latest of each and says
//! how the page [stands](Standing) as a whole. Pure: no page, no time.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::{Standing, Trouble};

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
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the script's own words, each true or not"
)]
pub(super) struct View {
    /// It recognises the page and can tell its state.
    pub(super) state_known: bool,
    pub(super) login: bool,
    pub(super) code: Option<String>,
    pub(super) codes_ended: bool,
    /// The code on the screen was drawn before the page got another secret: no phone can use it.
    pub(super) screen_is_stale: bool,
    pub(super) pairing_code: Option<String>,
    pub(super) linked: bool,
    pub(super) account: Option<String>,
    pub(super) online: bool,
    pub(super) can_send: bool,
    pub(super) trouble: Option<Trouble>,
    pub(super) sync_percent: Option<u8>,
    pub(super) missing: Vec<String>,
    /// Of the library behind it, where there is one.
    pub(super) version: Option<String>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("state_known", &self.state_known)
            .field("login", &self.login)
            .field("linked", &self.linked)
            .finish_non_exhaustive()
    }
}

/// The latest view of each adapter, for one document of the page; in the order in which they are tried.
#[derive(Clone, Debug)]
pub(super) struct Views(Vec<(AdapterName, Option<View>)>);

impl Views {
    /// Nothing heard yet.
    pub(super) fn of_new_document(order: &[AdapterName]) -> Self {
        Self(order.iter().map(|name| (*name, None)).collect())
    }

    /// A new document has begun: what was said of the one before is void.
    pub(super) fn forget(&mut self) {
        for (_, view) in &mut self.0 {
            *view = None;
        }
    }

    /// Takes an adapter's newest view. One that is not in use is not listened to.
    pub(super) fn update(&mut self, adapter: AdapterName, view: View) {
        if let Some((_, latest)) = self.0.iter_mut().find(|(name, _)| *name == adapter) {
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
        let (_, view) = self.0.iter().find(|(name, _)| *name == adapter)?;
        view.as_ref()
    }

    /// Whether wa-js has its turn: each adapter before it has spoken, and lacks something.
    pub(super) fn need_wa_js(&self) -> bool {
        let mut before = self
            .0
            .iter()
            .take_while(|(name, _)| *name != AdapterName::WaJs);
        self.0.iter().any(|(name, _)| *name == AdapterName::WaJs)
            && before.all(|(_, view)| view.as_ref().is_some_and(|view| !view.missing.is_empty()))
    }

    /// How the page stands: its state from the first adapter that can tell, sends by the first that can send. An adapter
    /// that has not spoken yet is waited for, so that a slower one is not overtaken by a weaker one.
    pub(super) fn standing(&self) -> Standing {
        let wa_js_has_its_turn = self.need_wa_js();
        let heard: Vec<_> = self
            .0
            .iter()
            // One that is not loaded is neither waited for nor missed.
            .filter(|(name, view)| {
                *name != AdapterName::WaJs
                    || wa_js_has_its_turn
                    || view.as_ref().is_some_and(|view| view.version.is_some())
            })
            .map_while(|(name, view)| view.as_ref().map(|view| (*name, view)))
            .collect();
        let state = heard.iter().find(|(_, view)| view.state_known);
        let senders: Vec<_> = heard
            .iter()
            .filter(|(_, view)| view.can_send)
            .map(|(name, _)| *name)
            .collect();
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
            .collect();
        // Bad news is believed from whoever has it: a page that refuses this browser has no modules to ask. Only another
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
        Standing {
            recognised: true,
            login: view.login,
            code,
            codes_ended,
            pairing_code: pairing_code.filter(|_| view.login),
            linked: view.linked,
            account: view.account.clone(),
            online: view.online,
            trouble,
            sync_percent: view.sync_percent,
            serving: Some(senders.first().copied().unwrap_or(*state_from)),
            senders,
            wa_js_version,
            missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(modules: Option<View>, dom: Option<View>) -> Standing {
        let mut views = Views::of_new_document(&[AdapterName::Modules, AdapterName::Dom]);
        for (name, view) in [(AdapterName::Modules, modules), (AdapterName::Dom, dom)] {
            if let Some(view) = view {
                views.update(name, view);
            }
        }
        views.standing()
    }

    fn login(code: Option<&str>) -> View {
        View {
            state_known: true,
            login: true,
            code: code.map(str::to_owned),
            ..View::default()
        }
    }

    #[test]
    fn the_code_on_the_screen_goes_before_one_that_was_built() {
        assert_eq!(
            views(Some(login(Some("built"))), Some(login(Some("shown"))))
                .code
                .as_deref(),
            Some("shown")
        );
    }

    #[test]
    fn a_built_code_serves_when_the_screen_shows_none_that_can_be_read() {
        let standing = views(Some(login(Some("built"))), Some(login(None)));
        assert_eq!(standing.code.as_deref(), Some("built"));
    }

    #[test]
    fn a_built_code_serves_while_the_one_on_the_screen_is_stale() {
        let stale = View {
            screen_is_stale: true,
            pairing_code: Some("ABCDEFGH".to_owned()),
            ..login(Some("built"))
        };
        let standing = views(Some(stale), Some(login(Some("shown"))));
        assert_eq!(standing.code.as_deref(), Some("built"));
        assert_eq!(standing.pairing_code.as_deref(), Some("ABCDEFGH"));
        assert!(!format!("{standing:?}").contains("ABCDEFGH"));
    }

    #[test]
    fn a_built_code_serves_when_the_screen_is_not_understood() {
        assert_eq!(
            views(Some(login(Some("built"))), Some(View::default()))
                .code
                .as_deref(),
            Some("built")
        );
    }

    #[test]
    fn the_screen_serves_when_the_modules_are_not_found() {
        let broken = View {
            missing: vec!["WAWebSocketModel.Socket".to_owned()],
            ..View::default()
        };
        let standing = views(Some(broken), Some(login(Some("shown"))));
        assert_eq!(
            (standing.serving, standing.code.as_deref()),
            (Some(AdapterName::Dom), Some("shown"))
        );
        assert!(standing.senders.is_empty());
        assert_eq!(standing.missing, ["modules: WAWebSocketModel.Socket"]);
    }

    fn lacking(what: &str) -> View {
        View {
            missing: vec![what.to_owned()],
            ..View::default()
        }
    }

    #[test]
    fn wa_js_has_its_turn_only_when_the_modules_lack_something() {
        let mut views = Views::of_new_document(&AdapterName::ALL);
        assert!(!views.need_wa_js(), "the modules have not spoken yet");
        views.update(AdapterName::Modules, login(None));
        views.update(AdapterName::Dom, login(Some("shown")));
        assert!(!views.need_wa_js() && views.standing().recognised);
        views.update(AdapterName::Modules, lacking("WAWebCmd"));
        assert!(views.need_wa_js());
        assert!(!views.standing().recognised, "wa-js is waited for");
    }

    #[test]
    fn a_wa_js_that_does_not_load_is_passed_over_and_named() {
        let mut views = Views::of_new_document(&AdapterName::ALL);
        views.update(AdapterName::Modules, lacking("WAWebCmd"));
        views.update(AdapterName::Dom, login(Some("shown")));
        views.update_broken(AdapterName::WaJs, "WA_JS_PATH: no bundle");
        let standing = views.standing();
        assert_eq!(standing.serving, Some(AdapterName::Dom));
        assert_eq!(
            standing.missing,
            ["modules: WAWebCmd", "wa-js: WA_JS_PATH: no bundle"]
        );
    }

    #[test]
    fn a_wa_js_that_is_not_needed_is_not_missed() {
        let mut views = Views::of_new_document(&AdapterName::ALL);
        views.update(AdapterName::Modules, login(None));
        views.update(AdapterName::WaJs, lacking("WAWebCmd"));
        views.update(AdapterName::Dom, login(Some("shown")));
        assert!(views.standing().missing.is_empty());
    }

    #[test]
    fn nothing_is_decided_before_the_preferred_adapter_has_spoken() {
        assert!(!views(None, Some(login(Some("shown")))).recognised);
    }

    #[test]
    fn a_page_without_modules_can_still_say_that_it_refuses_the_browser() {
        let broken = View {
            missing: vec!["WAWebSocketModel.Socket".to_owned()],
            ..View::default()
        };
        let refused = View {
            trouble: Some(Trouble::UpdateRequired),
            ..View::default()
        };
        let standing = views(Some(broken), Some(refused));
        assert_eq!(standing.trouble, Some(Trouble::UpdateRequired));
        assert!(standing.recognised);
    }

    #[test]
    fn a_dialog_about_another_window_that_outlives_it_is_no_trouble() {
        let dialog = View {
            state_known: true,
            linked: true,
            trouble: Some(Trouble::OpenedElsewhere),
            ..View::default()
        };
        let connected = View {
            trouble: None,
            ..dialog.clone()
        };
        assert_eq!(views(Some(connected), Some(dialog.clone())).trouble, None);
        let alone = views(Some(View::default()), Some(dialog));
        assert_eq!(alone.trouble, Some(Trouble::OpenedElsewhere));
    }

    #[test]
    fn a_code_that_has_run_out_is_not_shown() {
        let ended = View {
            codes_ended: true,
            ..login(None)
        };
        let standing = views(Some(login(Some("stale"))), Some(ended));
        assert!(standing.codes_ended && standing.code.is_none());
    }
}
