//! The real [`Driver`]: WhatsApp Web in a Chrome of its own.
//!
//! Responsible for opening the page with its scripts and for routing each command to the adapter that serves. What the
//! page reports by itself is [`listener`]'s part, a send [`Senders`]'s.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use chromiumoxide::{
    Page,
    cdp::{
        browser_protocol::page::{AddScriptToEvaluateOnNewDocumentParams, NavigateParams},
        js_protocol::runtime::{AddBindingParams, TerminateExecutionParams},
    },
    error::CdpError,
};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    AdapterName, Answered, ChatAct, ChatActError, Driver, Fact, FetchError, HandOverError, Handed,
    Hear, HearError, HeardBatch, LogoutError, LookUp, LookUpError, NoticeError, OpenError,
    Outgoing, PageEvidence, PageReadError, PageScripts, PairingError, PasskeyAct, PasskeyFailure,
    PrepareError, Prepared, Question, ResetError, Silence, Standing, Whose,
    bridge::{self, CallError, INTERRUPTED, NO_ANSWER},
    bundle::Bundle,
    chat_ids::ChatIds,
    evidence::EvidenceRecorder,
    hearing,
    input::{Point, click},
    listener::{self, Channels, PageEvents},
    media_in, pairing, passkey, reading,
    scripts::{BINDING, DocumentStart},
    sending::{Senders, VERDICT_CAPACITY, Verdict},
    typing::{Away, Typing},
};
use crate::{
    browser::{Browser, Closed, Freezer, LaunchOptions, find_chrome},
    masked::{Number, WaId},
};

/// Setting up a blank page takes milliseconds; on a crowded host seconds.
const SETUP_TIMEOUT: Duration = Duration::from_secs(15);

/// A logout is one request to WhatsApp's server and a reload of the page.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(20);

/// A page answers within a millisecond, and a busy one on a crowded machine within a second or two. What takes longer than this is
/// of no use for sending.
const PING_TIMEOUT: Duration = Duration::from_secs(8);

/// To stop a script takes milliseconds.
const STOP_SCRIPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Every adapter refused a command.
const NONE_CAN: &str = "NONE_CAN";

/// What all pages have in common.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// The Chrome to use; looked for on `search_path` when `None`.
    pub chrome_path: Option<PathBuf>,
    /// How long a Chrome may take until it can be driven.
    pub launch_timeout: Duration,
    /// Where Chrome is looked for, in the form of `PATH`.
    pub search_path: OsString,
    /// Switches added to each Chrome.
    pub chrome_args: Vec<String>,
    /// The address of WhatsApp Web.
    pub url: String,
    /// The adapters in use, in the order in which they are tried.
    pub adapters: Vec<AdapterName>,
    /// The scripts that each document runs.
    pub scripts: PageScripts,
    /// The bundle of wa-js; need not be there. Read for each load, so that the next start takes a new one.
    pub wa_js_path: PathBuf,
    /// Where the files lie that are to be sent, each by the name of its hash.
    pub media_dir: PathBuf,
    /// Whether evidence may show a linked account's chats.
    pub evidence_of_chats: bool,
}

/// WhatsApp Web, open in a Chrome of its own.
#[derive(Debug)]
pub struct WhatsAppPage {
    browser: Browser,
    url: String,
    media_dir: PathBuf,
    /// In the order in which they are tried.
    adapters: Vec<AdapterName>,
    standing: watch::Receiver<Standing>,
    chat_ids: ChatIds,
    away: Away,
    recorder: EvidenceRecorder,
    verdicts: mpsc::Sender<Verdict>,
    listener: JoinHandle<()>,
}

/// What the other files of this module need of a page.
pub(super) struct Parts<'a> {
    pub(super) page: &'a Page,
    pub(super) standing: &'a watch::Receiver<Standing>,
    pub(super) away: &'a Away,
    pub(super) verdicts: &'a mpsc::Sender<Verdict>,
}

impl Driver for WhatsAppPage {
    type Settings = PageSettings;

    async fn open(
        settings: &PageSettings,
        profile: &Path,
        facts: mpsc::Sender<Fact>,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        let (scripts, adapters) = (settings.scripts.clone(), settings.adapters.clone());
        // Off the runtime: it reads files of PAGE_SCRIPTS_DIR, whose disk may hang.
        let script = spawn_blocking(move || scripts.document_start(&adapters))
            .await
            .map_err(|_| OpenError::Cancelled)?
            .map_err(|why| OpenError::Scripts(why.to_string()))?;
        let program = find_chrome(settings.chrome_path.as_deref(), &settings.search_path).await?;
        tracing::info!(chrome.path = %program.path.display(), chrome.version = program.version.as_str(), "starting {} {}", program.path.display(), program.version.as_str());
        let options = LaunchOptions {
            program,
            profile: profile.to_owned(),
            extra_args: settings.chrome_args.clone(),
            timeout: settings.launch_timeout,
        };
        let browser = match Browser::open(options, &stop).await {
            Err(crate::browser::BrowserError::Cancelled) => return Err(OpenError::Cancelled),
            opened => opened?,
        };
        let (away, left) = watch::channel(None);
        let recorder = EvidenceRecorder::of(profile, settings.evidence_of_chats).await;
        let (verdicts, judged) = mpsc::channel(VERDICT_CAPACITY);
        let channels = Channels {
            facts,
            away: left,
            verdicts: judged,
            recorder: recorder.clone(),
            home: settings.url.clone(),
        };
        let ready = stop
            .run_until_cancelled(set_up(&browser, settings, script, channels))
            .await;
        match ready.unwrap_or(Err(OpenError::Cancelled)) {
            Ok((standing, listener)) => Ok(Self {
                browser,
                url: settings.url.clone(),
                media_dir: settings.media_dir.clone(),
                adapters: settings.adapters.clone(),
                standing,
                chat_ids: ChatIds::default(),
                away,
                recorder,
                verdicts,
                listener,
            }),
            Err(why) => {
                browser.close().await;
                Err(why)
            }
        }
    }

    /// chromiumoxide answers when the page has loaded with all that belongs to it; that its document has begun is a fact
    /// long before.
    async fn navigate(&self) -> Result<(), String> {
        let asked = self.browser.page().execute(NavigateParams::new(&self.url));
        match asked.await {
            // Chrome's own words, such as net::ERR_NAME_NOT_RESOLVED.
            Ok(answer) => answer.result.error_text.map_or(Ok(()), Err),
            // The connection has forgotten the question, while the session still has patience.
            Err(CdpError::Timeout) => std::future::pending().await,
            Err(why) => Err(why.to_string()),
        }
    }

    async fn reload(&self) -> Result<(), String> {
        // A script that hangs would keep the page from going anywhere; Chrome does this in spite of it. One that does not
        // hang has nothing to be stopped.
        let stop = self
            .browser
            .page()
            .execute(TerminateExecutionParams::default());
        drop(timeout(STOP_SCRIPT_TIMEOUT, stop).await);
        self.navigate().await
    }

    async fn ping(&self) -> Result<(), Silence> {
        let freezer = self.browser.freezer();
        loop {
            let before = freezer.thawed().await;
            let answered = self.ping_once().await;
            // A silence while Chrome was stopped says nothing about it.
            if answered.is_ok() || freezer.count() == before {
                return answered;
            }
        }
    }

    fn chrome_pid(&self) -> Option<u32> {
        Some(self.browser.pid())
    }

    fn freezer(&self) -> Option<Freezer> {
        Some(self.browser.freezer())
    }

    async fn refresh_codes(&self) -> Result<(), String> {
        let asked = self.first_to("refreshCodes").await;
        let Err(why) = asked else { return Ok(()) };
        // A person would click the button; the service does so too, with real mouse events.
        let target: Point = self
            .call(AdapterName::Dom, "refreshTarget", json!(null))
            .await
            .map_err(|other| format!("{}; {}", why.detail, other.detail))?;
        click(self.browser.page(), target).await
    }

    async fn request_pairing_code(
        &self,
        phone: &str,
        is_renewal: bool,
    ) -> Result<(), PairingError> {
        let typing = Typing {
            page: self.browser.page(),
            away: &self.away,
        };
        pairing::request(typing, &self.recorder, &self.adapters, phone, is_renewal).await
    }

    async fn passkey(&self, act: &PasskeyAct) -> Result<(), PasskeyFailure> {
        passkey::carry_out(self.browser.page(), &self.adapters, act).await
    }

    async fn check_number(&self, number: &str) -> Result<Option<WaId>, PrepareError> {
        self.sending().check_number(number).await
    }

    async fn look_up(&self, look_up: &LookUp) -> Result<Option<i32>, LookUpError> {
        self.sending().find(&self.adapters, look_up).await
    }

    async fn prepare(&self, outgoing: &Outgoing) -> Result<Prepared, PrepareError> {
        self.sending().prepare(outgoing).await
    }

    async fn reset_sessions(&self, whose: &Whose) -> Result<(), ResetError> {
        self.sending().reset_sessions(&self.adapters, whose).await
    }

    async fn hand_over(
        &self,
        prepared: &Prepared,
        outgoing: &Outgoing,
    ) -> Result<Handed, HandOverError> {
        // Here, before any adapter has it, so that each sends the same text.
        let outgoing = outgoing.with_one_line_break();
        self.sending().hand_over(prepared, &outgoing).await
    }

    async fn hear(&self, ask: &Hear) -> Result<HeardBatch, HearError> {
        hearing::hear(self.browser.page(), &self.adapters, ask).await
    }

    async fn fetch_media(
        &self,
        message: &WaId,
        most: Option<u64>,
        sink: &mpsc::Sender<Bytes>,
    ) -> Result<(), FetchError> {
        media_in::fetch(self.browser.page(), &self.adapters, message, most, sink).await
    }

    async fn read(&self, question: &Question) -> Result<Answered, PageReadError> {
        reading::read(self.browser.page(), &self.adapters, question).await
    }

    async fn in_chat(
        &self,
        to: &Number,
        chat: Option<&WaId>,
        act: ChatAct,
    ) -> Result<(), ChatActError> {
        self.sending().in_chat(&self.adapters, to, chat, act).await
    }

    async fn take_over(&self) -> Result<(), String> {
        self.first_to("takeOver").await.map_err(|why| why.detail)
    }

    async fn log_out(&self) -> Result<(), LogoutError> {
        // On the screen a logout is found by the texts of a menu only: the adapter `dom` has none.
        self.first_to("logOut").await.map_err(|why| {
            LogoutError(format!(
                "{}; the phone can remove this device, under linked devices",
                why.detail
            ))
        })?;
        // The page goes away with the link: what comes after it says whether the logout came through.
        let mut standing = self.standing.clone();
        let unlinked = timeout(
            LOGOUT_TIMEOUT,
            standing.wait_for(|standing| standing.login && !standing.linked),
        )
        .await;
        match unlinked {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_closed)) => Err(LogoutError("the page was lost".to_owned())),
            Err(_elapsed) => Err(LogoutError(format!(
                "the account was still linked after {} s",
                LOGOUT_TIMEOUT.as_secs()
            ))),
        }
    }

    async fn dismiss_notice(&self, words: &str) -> Result<(), NoticeError> {
        let mut why = String::new();
        for &adapter in &self.adapters {
            let dismissed = self.call::<()>(adapter, "dismissNotice", json!({ "words": words }));
            match dismissed.await {
                Ok(()) => return Ok(()),
                Err(refused) if refused.code == "NO_NOTICE" => return Err(NoticeError::None),
                Err(refused) if refused.code == "NOTICE_WITH_CHOICE" => {
                    return Err(NoticeError::WithChoice);
                }
                // It was pressed, or may have been: the next adapter would press whatever is there by then.
                Err(refused) if refused.code == "NOTICE_STAYS" || refused.code == NO_ANSWER => {
                    return Err(NoticeError::Stays(refused.detail));
                }
                Err(refused) => why = refused.detail,
            }
        }
        Err(NoticeError::Stays(why))
    }

    async fn evidence(&self) -> PageEvidence {
        let version = self.browser.version().as_str();
        self.recorder.look(self.browser.page(), version).await
    }

    async fn close(self) -> Closed {
        let closed = self.browser.close().await;
        self.listener.abort();
        closed
    }
}

impl WhatsAppPage {
    async fn ping_once(&self) -> Result<(), Silence> {
        let page = timeout(PING_TIMEOUT, self.browser.page().evaluate_expression("0"));
        let chrome = timeout(PING_TIMEOUT, self.browser.answers());
        let seconds = PING_TIMEOUT.as_secs();
        match tokio::join!(page, chrome) {
            // An error is an answer, as from a page between two documents.
            (Ok(_), _) => Ok(()),
            (Err(_), Ok(true)) => Err(Silence::Page(format!(
                "the page hangs: no answer within {seconds} s"
            ))),
            (Err(_), Ok(false) | Err(_)) => Err(Silence::Chrome(format!(
                "Chrome hangs: no answer within {seconds} s"
            ))),
        }
    }

    /// The version of its Chrome.
    pub fn chrome_version(&self) -> &str {
        self.browser.version().as_str()
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            page: self.browser.page(),
            standing: &self.standing,
            away: &self.away,
            verdicts: &self.verdicts,
        }
    }

    fn sending(&self) -> Senders<'_> {
        Senders {
            page: self.browser.page(),
            away: &self.away,
            standing: &self.standing,
            chat_ids: &self.chat_ids,
            media_dir: &self.media_dir,
            verdicts: &self.verdicts,
        }
    }

    /// Lets the first adapter that can carry the command out do so. One that does not answer may have done it.
    async fn first_to(&self, command: &str) -> Result<(), CallError> {
        let mut refusals = Vec::new();
        for &adapter in &self.adapters {
            match self.call::<()>(adapter, command, json!(null)).await {
                Ok(()) => return Ok(()),
                // It may have been carried out: the next adapter would do it twice.
                Err(why) if [NO_ANSWER, INTERRUPTED].contains(&why.code.as_str()) => {
                    return Err(why);
                }
                Err(why) => refusals.push(why.detail),
            }
        }
        Err(CallError {
            code: NONE_CAN.to_owned(),
            detail: refusals.join("; "),
        })
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        adapter: AdapterName,
        command: &str,
        argument: serde_json::Value,
    ) -> Result<T, CallError> {
        bridge::call(self.browser.page(), adapter, command, &argument).await
    }
}

/// Makes the blank page ready to load WhatsApp Web.
async fn set_up(
    browser: &Browser,
    settings: &PageSettings,
    script: DocumentStart,
    channels: Channels,
) -> Result<(watch::Receiver<Standing>, JoinHandle<()>), OpenError> {
    let page = browser.page();
    let setup = async {
        // Heard from the first word on: the listener is there before anything can speak.
        let events = PageEvents::open(page).await?;
        page.execute(AddBindingParams::new(BINDING)).await?;
        page.execute(AddScriptToEvaluateOnNewDocumentParams::new(
            script.source.as_str(),
        ))
        .await?;
        Ok::<_, CdpError>(events)
    };
    let setup = async {
        script.check(page).await.map_err(OpenError::Scripts)?;
        setup.await.map_err(|why| OpenError::Setup(why.to_string()))
    };
    let events = timeout(SETUP_TIMEOUT, setup).await.map_err(|_| {
        OpenError::Setup(format!(
            "Chrome did not prepare the page within {} s",
            SETUP_TIMEOUT.as_secs()
        ))
    })??;
    let bundle = Bundle {
        page: page.clone(),
        path: settings.wa_js_path.clone(),
    };
    Ok(listener::spawn(
        events,
        &settings.adapters,
        bundle,
        browser.lost(),
        channels,
    ))
}
