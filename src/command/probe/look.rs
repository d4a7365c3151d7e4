//! A look at the page: opens it as a session would, and asks each adapter what is there of all that it relies on.
//!
//! Nothing is linked and nothing is asked of WhatsApp beyond loading its page.

use std::{path::Path, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::report::{Adapter, State};
use crate::{
    config::Config,
    session::{Reason, ReasonCode, RegistryOptions},
    whatsapp::{
        AdapterName, Driver as _, FACT_CAPACITY, Fact, Inventory, OpenError, Screen, Standing,
        WhatsAppPage,
    },
};

/// The real page shows its first code some 6 s after its login screen, and its chats come 7 to 15 s after a start
/// (docs/whatsapp.md#timings). Only a page that lacks something is waited for so long.
const SCREEN_PATIENCE: Duration = Duration::from_secs(15);

/// A landmark of the screen that a click leads to is there at once; the script itself waits for the field.
const CLICK_PATIENCE: Duration = Duration::from_secs(3);

/// What a look has found.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) chrome: String,
    pub(super) shows: Option<&'static str>,
    pub(super) build: Option<String>,
    pub(super) language: Option<String>,
    pub(super) trouble: Option<ReasonCode>,
    pub(super) adapters: Vec<Adapter>,
    /// The inner id of the last message of the chat that was opened. Not for the report.
    pub(super) last_key: Option<String>,
}

/// Why there was nothing to look at.
#[derive(Debug)]
pub(super) struct Unopened {
    /// Its sentence may hold a path or an address: it is not for the report.
    pub(super) reason: Reason,
    /// The version of the Chrome that was started, if one was.
    pub(super) chrome: Option<String>,
}

impl Unopened {
    fn of(why: &OpenError) -> Self {
        let reason = match why {
            OpenError::Browser(why) => Reason::from_browser(why),
            OpenError::Scripts(why) => Reason::new(ReasonCode::ScriptsUnreadable, why.as_str()),
            OpenError::Setup(why) => Reason::new(ReasonCode::ChromeFailed, why.as_str()),
            OpenError::Cancelled => Reason::new(ReasonCode::ShuttingDown, "interrupted"),
        };
        Self {
            reason,
            chrome: None,
        }
    }

    fn on(page: &WhatsAppPage, code: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            reason: Reason::new(code, detail),
            chrome: Some(page.chrome_version().to_owned()),
        }
    }

    /// Chrome's word for what keeps it from the page, the only one that may be reported.
    pub(super) fn word(&self) -> Option<String> {
        let words = self
            .reason
            .detail
            .split(|letter: char| !letter.is_ascii_alphanumeric() && !"_:".contains(letter));
        let mut words = words.filter(|word| word.starts_with("net::ERR_"));
        words.next().map(str::to_owned)
    }
}

/// Opens the page on this profile and looks at it. `account` is the number of an account that is linked there.
pub(super) async fn look(
    config: &Config,
    profile: &Path,
    account: Option<&str>,
    cancel: &CancellationToken,
) -> Result<Looked, Unopened> {
    let mut settings = RegistryOptions::of(config).page;
    // Last, and only when all the others have been looked at: once it is loaded it may bring modules along, or block the page.
    settings
        .adapters
        .sort_by_key(|name| *name == AdapterName::WaJs);
    let (facts, mut heard) = mpsc::channel(FACT_CAPACITY);
    let opened = WhatsAppPage::open(&settings, profile, facts, cancel.clone()).await;
    let page = opened.map_err(|why| Unopened::of(&why))?;
    let looked = cancel
        .run_until_cancelled(look_around(
            config,
            &page,
            &settings.adapters,
            account,
            &mut heard,
        ))
        .await;
    // It is heard no more, and a listener that waits would keep Chrome from being closed.
    heard.close();
    page.close().await;
    looked.unwrap_or_else(|| Err(Unopened::of(&OpenError::Cancelled)))
}

async fn look_around(
    config: &Config,
    page: &WhatsAppPage,
    adapters: &[AdapterName],
    account: Option<&str>,
    heard: &mut mpsc::Receiver<Fact>,
) -> Result<Looked, Unopened> {
    let standing = settled(config, page, heard).await?;
    // What is said from here on is of no interest, and must not stay in the way of what comes after it.
    let drained = async {
        while heard.recv().await.is_some() {}
        std::future::pending().await
    };
    tokio::select! {
        looked = take_all(config, page, adapters, account, &standing) => Ok(looked),
        never = drained => never,
    }
}

async fn take_all(
    config: &Config,
    page: &WhatsAppPage,
    adapters: &[AdapterName],
    account: Option<&str>,
    standing: &Standing,
) -> Looked {
    let shows = match standing {
        Standing { linked: true, .. } => Some("linked"),
        Standing { login: true, .. } => Some("login"),
        Standing { .. } => None,
    };
    let trouble = standing
        .trouble
        .map(|trouble| Reason::from_trouble(trouble).code);
    // A page that is not recognised is taken for what a profile without a link should show.
    let screens: &[Screen] = if standing.linked {
        &[Screen::Chats]
    } else {
        &[Screen::Login]
    };
    let mut looked = Looked {
        chrome: page.chrome_version().to_owned(),
        shows,
        build: None,
        language: None,
        trouble,
        adapters: Vec::new(),
        last_key: None,
    };
    let by_name = adapters.iter().filter(|name| **name != AdapterName::WaJs);
    let inventories = by_name.map(|&name| async move {
        let taken = page.inventory(name, screens, SCREEN_PATIENCE).await;
        (name, taken)
    });
    // At once: a page that lacks something is waited for only once.
    for (name, taken) in join_all(inventories).await {
        looked.take(name, None, taken);
    }
    if adapters.contains(&AdapterName::WaJs) {
        match wa_js(config, page).await {
            Ok(version) => {
                let taken = page
                    .inventory(AdapterName::WaJs, screens, SCREEN_PATIENCE)
                    .await;
                looked.take(AdapterName::WaJs, Some(version), taken);
            }
            Err(state) => {
                let without = Adapter::new(AdapterName::WaJs, state, None, Vec::new());
                looked.adapters.push(without);
            }
        }
    }
    if !adapters.contains(&AdapterName::Dom) {
        return looked;
    }
    // The next screens: by a click, or by the address of a chat.
    let (is_there, screens): (bool, &[Screen]) = match account {
        Some(account) if standing.linked => (
            page.show_chat(account).await.is_ok(),
            &[Screen::Chat, Screen::OwnMessage],
        ),
        Some(_) | None => (page.show_number_field().await.is_ok(), &[Screen::Number]),
    };
    if is_there {
        let patience = if account.is_some() {
            SCREEN_PATIENCE
        } else {
            CLICK_PATIENCE
        };
        let taken = page.inventory(AdapterName::Dom, screens, patience).await;
        looked.take(AdapterName::Dom, None, taken);
        looked.last_key = page.last_message_key().await;
    }
    looked
}

/// wa-js, loaded in addition to all that works without it.
async fn wa_js(config: &Config, page: &WhatsAppPage) -> Result<String, State> {
    match tokio::fs::try_exists(&config.wa_js_path).await {
        Ok(true) => page.load_wa_js().await.map_err(|_| State::NotLoaded),
        Ok(false) | Err(_) => Err(State::NotInstalled),
    }
}

impl Looked {
    fn take(
        &mut self,
        name: AdapterName,
        version: Option<String>,
        taken: Result<Inventory, String>,
    ) {
        let adapter = match taken {
            Ok(taken) => {
                self.build = self.build.take().or(taken.build);
                self.language = self.language.take().or(taken.language);
                Adapter::new(name, State::LookedAt, version, taken.lines)
            }
            Err(_) => Adapter::new(name, State::NoAnswer, version, Vec::new()),
        };
        match self.adapters.iter().position(|known| known.is(name)) {
            None => self.adapters.push(adapter),
            Some(at) => {
                let before = self.adapters.remove(at);
                self.adapters.insert(at, before.looked_at_again(adapter));
            }
        }
    }
}

/// Loads WhatsApp Web and waits until it shows what it will show, within the limits of a session's start. A page that no adapter
/// recognises by then is looked at as it is.
async fn settled(
    config: &Config,
    page: &WhatsAppPage,
    heard: &mut mpsc::Receiver<Fact>,
) -> Result<Standing, Unopened> {
    let limits = config.sessions.limits;
    let mut until = Instant::now() + limits.navigate;
    let (mut is_loaded, mut has_document) = (false, false);
    let mut latest = Standing::default();
    let navigation = page.navigate();
    tokio::pin!(navigation);
    loop {
        let fact = tokio::select! {
            biased;
            loaded = &mut navigation, if !is_loaded => match loaded {
                Ok(()) => {
                    is_loaded = true;
                    continue;
                }
                Err(why) => {
                    return Err(Unopened::on(page, ReasonCode::NavigationFailed, why));
                }
            },
            fact = heard.recv() => fact,
            () = sleep_until(until) => {
                if has_document {
                    return Ok(latest);
                }
                let seconds = limits.navigate.as_secs();
                let detail = format!("nothing has come of it within {seconds} s (NAVIGATE_TIMEOUT_SECONDS)");
                return Err(Unopened::on(page, ReasonCode::NavigationFailed, detail));
            }
        };
        match fact {
            Some(Fact::DocumentBegan) => {
                has_document = true;
                until = Instant::now() + limits.inject;
            }
            Some(Fact::Stands(standing)) => {
                let is_up = standing.login || (standing.linked && standing.online);
                let is_settled = !standing.undecided && (is_up || standing.trouble.is_some());
                latest = standing;
                if is_settled {
                    return Ok(latest);
                }
            }
            Some(Fact::BrowserLost(why)) => {
                return Err(Unopened::on(page, ReasonCode::BrowserLost, why));
            }
            Some(Fact::PageLost(why)) => {
                return Err(Unopened::on(page, ReasonCode::PageLost, why));
            }
            Some(Fact::PageElsewhere(site)) => {
                let detail = format!("the page went to {site}");
                return Err(Unopened::on(page, ReasonCode::PageLost, detail));
            }
            None => return Err(Unopened::on(page, ReasonCode::BrowserLost, "Chrome ended")),
            // The error of the navigation itself says more.
            Some(
                Fact::ErrorPage
                | Fact::Heard
                | Fact::Ack { .. }
                | Fact::GaveUp { .. }
                | Fact::LoggedOut(_),
            ) => {}
        }
    }
}
