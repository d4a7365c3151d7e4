//! Which adapter is believed for what.
//!
//! Each adapter sends a [`View`] of the page whenever its view changes. This module holds the latest of each and says
//! how the page [stands](Standing) as a whole. Pure: no page, no time.

use std::fmt;

use serde::Deserialize;

use super::Standing;

/// The adapters, in the order in which they are tried.
const ORDER: [AdapterName; 2] = [AdapterName::Modules, AdapterName::Dom];

/// An adapter: one way to understand and to drive the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterName {
    /// WhatsApp Web's modules, called by name.
    Modules,
    /// What a person sees.
    Dom,
}

impl AdapterName {
    /// Its name in scripts, settings and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::Dom => "dom",
        }
    }

    /// Every adapter, the preferred first.
    pub const fn all() -> [Self; 2] {
        ORDER
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
    pub(super) linked: bool,
    pub(super) account: Option<String>,
    pub(super) online: bool,
    pub(super) can_send: bool,
    pub(super) missing: Vec<String>,
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

/// The latest view of each adapter, for one document of the page.
#[derive(Clone, Debug, Default)]
pub(super) struct Views {
    modules: Option<View>,
    dom: Option<View>,
}

impl Views {
    /// Takes an adapter's newest view.
    pub(super) fn update(&mut self, adapter: AdapterName, view: View) {
        *match adapter {
            AdapterName::Modules => &mut self.modules,
            AdapterName::Dom => &mut self.dom,
        } = Some(view);
    }

    /// The adapter's script does not run: it is passed over.
    pub(super) fn update_broken(&mut self, adapter: AdapterName) {
        self.update(
            adapter,
            View {
                missing: vec!["its script".to_owned()],
                ..View::default()
            },
        );
    }

    fn of(&self, adapter: AdapterName) -> Option<&View> {
        match adapter {
            AdapterName::Modules => self.modules.as_ref(),
            AdapterName::Dom => self.dom.as_ref(),
        }
    }

    /// How the page stands: its state from the first adapter that can tell, sends by the first that can send. An adapter
    /// that has not spoken yet is waited for, so that a slower one is not overtaken by a weaker one.
    pub(super) fn standing(&self) -> Standing {
        let heard: Vec<_> = ORDER
            .into_iter()
            .map_while(|name| self.of(name).map(|view| (name, view)))
            .collect();
        let state = heard.iter().find(|(_, view)| view.state_known);
        let sender = heard.iter().find(|(_, view)| view.can_send);
        let missing = heard
            .iter()
            .flat_map(|(name, view)| {
                view.missing
                    .iter()
                    .map(move |what| format!("{name}: {what}"))
            })
            .collect();
        let Some((state_from, view)) = state else {
            return Standing {
                missing,
                ..Standing::default()
            };
        };

        // What the page shows is what its makers want scanned; a code built from modules may have an older form.
        let shown = self.dom.as_ref().filter(|dom| dom.login);
        let codes_ended =
            view.login && (view.codes_ended || shown.is_some_and(|dom| dom.codes_ended));
        let code = shown
            .map_or(&view.code, |dom| &dom.code)
            .clone()
            .filter(|_| view.login && !codes_ended);
        Standing {
            recognised: true,
            login: view.login,
            code,
            codes_ended,
            linked: view.linked,
            account: view.account.clone(),
            online: view.online,
            serving: Some(sender.map_or(*state_from, |(name, _)| *name)),
            can_send: sender.is_some(),
            missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(modules: Option<View>, dom: Option<View>) -> Standing {
        Views { modules, dom }.standing()
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
    fn a_login_screen_without_a_code_is_waited_for() {
        assert_eq!(
            views(Some(login(Some("built"))), Some(login(None))).code,
            None
        );
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
        assert!(!standing.can_send);
        assert_eq!(standing.missing, ["modules: WAWebSocketModel.Socket"]);
    }

    #[test]
    fn nothing_is_decided_before_the_preferred_adapter_has_spoken() {
        assert!(!views(None, Some(login(Some("shown")))).recognised);
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
