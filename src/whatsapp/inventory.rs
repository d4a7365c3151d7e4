//! What a page has of what the adapters rely on: their own tables, looked up in an open page.
//!
//! For a person who wants to know whether a build of WhatsApp Web can be driven; no session asks. The tables stand in the
//! scripts, which use them themselves: nothing here can differ from what an adapter does.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    AdapterName, Standing, WhatsAppPage,
    bridge::{self, CALL_TIMEOUT, NO_SUCH_COMMAND},
    input::{Point, click},
    page::Parts,
    sending::Verdict,
    typing::Typing,
};

/// wa-js takes 1 to 2 s; one that blocks the page is stopped after 15 s, and then found out by two questions of 10 s.
const WA_JS_PATIENCE: Duration = Duration::from_secs(45);

/// A screen of WhatsApp Web, as the script of `dom` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Screen {
    /// The login code.
    Login,
    /// Linking by phone number: the field for it.
    Number,
    /// The list of chats.
    Chats,
    /// An open chat.
    Chat,
    /// An own message in it.
    #[serde(rename = "own message")]
    OwnMessage,
}

/// What became of something that an adapter relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It is where it should be.
    Found,
    /// It is at another place that the adapter knows.
    Moved,
    /// It is nowhere.
    Missing,
    /// It stands on a screen that the page does not show now.
    Unseen,
}

/// What a service does with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Job {
    /// To show a login code, and to know when a phone has scanned it.
    Link,
    /// To send a message.
    Send,
    /// To begin new Signal sessions, without which some sends are refused after a restore.
    Reset,
}

/// One thing that an adapter relies on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Reliance {
    /// `module`, `export`, `function` (of wa-js) or `landmark`.
    pub kind: String,
    /// Its name: `Module.export`, a path in wa-js, or a landmark of the script of `dom`.
    pub name: String,
    /// Whether it is there.
    pub status: Presence,
    /// Where it is instead, when it has moved.
    pub at: Option<String>,
    /// What it is needed for, for people.
    #[serde(rename(deserialize = "use"))]
    pub needed_for: String,
    /// The jobs that fail without it; none where the adapter serves all the same.
    pub jobs: Vec<Job>,
    /// The screen that a landmark stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<String>,
}

/// What an adapter says of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Inventory {
    /// The build of WhatsApp Web, as the page calls it.
    pub build: Option<String>,
    /// The page's language.
    pub language: Option<String>,
    /// Everything that the adapter relies on.
    pub lines: Vec<Reliance>,
}

impl WhatsAppPage {
    /// What the page has of what an adapter relies on. `screens` are those that it is known to show: what stands on another one
    /// is not missed. For so long as `within` the page is waited for, since modules and screens come late.
    ///
    /// # Errors
    ///
    /// The page gave none: in words for people, which may hold anything.
    pub async fn inventory(
        &self,
        adapter: AdapterName,
        screens: &[Screen],
        within: Duration,
    ) -> Result<Inventory, String> {
        let Parts { page, .. } = self.parts();
        let argument = json!({ "screens": screens, "within_ms": within.as_millis() });
        let patience = within + CALL_TIMEOUT;
        let asked = bridge::call_within(page, adapter, "inventory", &argument, patience).await;
        let taken: Inventory = asked.map_err(|why| match why.code.as_str() {
            NO_SUCH_COMMAND => "its script has no inventory".to_owned(),
            _ => why.detail,
        })?;
        Ok(Inventory {
            build: taken.build.filter(|build| is_plain(build)),
            language: taken.language.filter(|language| is_plain(language)),
            lines: taken.lines,
        })
    }

    /// Has wa-js loaded whether another adapter lacks something or not, and waits until it works or does not. Answers its version.
    ///
    /// # Errors
    ///
    /// It does not serve: in words for people, which may hold a path.
    pub async fn load_wa_js(&self) -> Result<String, String> {
        let Parts {
            verdicts, standing, ..
        } = self.parts();
        // A listener that has gone says nothing more below.
        drop(verdicts.send(Verdict::WaJsWanted).await);
        let mut standing = standing.clone();
        let refusal = |standing: &Standing| {
            let of_wa_js = |line: &String| Some(line.strip_prefix("wa-js: ")?.to_owned());
            standing.missing.iter().find_map(of_wa_js)
        };
        let is_decided =
            |standing: &Standing| standing.wa_js_version.is_some() || refusal(standing).is_some();
        let decided = tokio::time::timeout(WA_JS_PATIENCE, standing.wait_for(is_decided)).await;
        let Ok(Ok(standing)) = decided else {
            let seconds = WA_JS_PATIENCE.as_secs();
            return Err(format!("it did not work within {seconds} s"));
        };
        match &standing.wa_js_version {
            Some(version) => Ok(version.clone()),
            None => Err(refusal(&standing).unwrap_or_default()),
        }
    }

    /// Brings a login screen to the field for a phone number, as a person does by a click. WhatsApp is not asked for anything.
    ///
    /// # Errors
    ///
    /// There is no way there, or it leads elsewhere.
    pub async fn show_number_field(&self) -> Result<(), String> {
        let Parts { page, .. } = self.parts();
        let nothing = json!(null);
        let way = bridge::call::<Point>(page, AdapterName::Dom, "byNumberTarget", &nothing).await;
        click(page, way.map_err(|why| why.detail)?).await?;
        let field = bridge::call::<Point>(page, AdapterName::Dom, "numberField", &nothing).await;
        field.map(drop).map_err(|why| why.detail)
    }

    /// Sends a linked page to the chat with a number. What opens is not proven to be that chat: to be looked at only.
    ///
    /// # Errors
    ///
    /// The page did not go there.
    pub async fn show_chat(&self, number: &str) -> Result<(), String> {
        let Parts { page, away, .. } = self.parts();
        Typing { page, away }.show(number).await
    }

    /// The inner id of the last message of the chat that is open, as the screen shows it.
    pub async fn last_message_key(&self) -> Option<String> {
        let Parts { page, .. } = self.parts();
        let asked = bridge::call(page, AdapterName::Dom, "lastKey", &json!(null)).await;
        asked.ok().flatten()
    }
}

/// Whether a word of the page may go into a report: a version, a language.
fn is_plain(word: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    word.len() <= 40 && word.chars().all(allowed)
}
