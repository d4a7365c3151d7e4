//! The words of the API and of the sandbox's phone, for tests to speak.

use std::{fmt::Debug, time::Duration};

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use super::secrets::Secrets;

/// A Chrome starts in 0.3 s and a page is READY in a second or two on an idle machine; ten at once on two cores take
/// far longer.
const STATE_TIMEOUT: Duration = Duration::from_mins(1);

/// A send alone may wait 45 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// How often a state is looked at.
const POLL: Duration = Duration::from_millis(50);

/// An HTTP answer, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// Its JSON; `null` when it has no body or another kind of one.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Holds it to be an error of this status and this stable code.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: &str) {
        let said = (self.status, &self.json()["code"]);
        assert_eq!(said, (status, &json!(code)), "{}", self.text());
    }
}

/// Speaks to a service and to its sandbox, wherever they run.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    service: String,
    sandbox: String,
    client: reqwest::Client,
    secrets: Secrets,
}

impl Api {
    pub(crate) fn new(service: String, sandbox: String) -> Self {
        Self::with(service, sandbox, Secrets::default())
    }

    /// One that remembers there what it asks.
    pub(super) fn with(service: String, sandbox: String, secrets: Secrets) -> Self {
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .unwrap();
        Self {
            service,
            sandbox,
            client,
            secrets,
        }
    }

    /// What must not be in the service's log.
    pub(crate) const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Where the service is.
    pub(crate) fn url(&self) -> &str {
        &self.service
    }

    /// Where its WhatsApp is.
    pub(crate) fn sandbox(&self) -> &str {
        &self.sandbox
    }

    /// Waits until it answers.
    pub(crate) async fn answers(&self) {
        let mut ticks = interval(POLL);
        let answers = timeout(STATE_TIMEOUT, async {
            while self.request(Method::GET, "/health").send().await.is_err() {
                ticks.tick().await;
            }
        });
        answers.await.expect("the service answers");
    }

    /// A request to the API, for tests that need more than a word.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.service))
    }

    /// A request to the sandbox, which may not be there.
    pub(crate) fn sandbox_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.sandbox))
    }

    /// `GET` from the API.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    /// `POST` to the API.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.secrets.remember_request(body);
        let answer = answer(self.request(Method::POST, path).json(body)).await;
        self.secrets.remember_answer(&answer.json());
        answer
    }

    /// Starts a session and waits for its code, or for READY.
    pub(crate) async fn connect(&self, id: impl Into<Value>) -> Answer {
        self.post("/connect", &json!({ "cliente_id": id.into() }))
            .await
    }

    /// Ends a session.
    pub(crate) async fn disconnect(&self, id: impl Into<Value>) -> Answer {
        self.post("/disconnect", &json!({ "cliente_id": id.into() }))
            .await
    }

    /// A session as it is now.
    pub(crate) async fn status(&self, id: &str) -> Value {
        let status = self.get(&format!("/status?cliente_id={id}")).await.json();
        self.secrets.remember_answer(&status);
        if let Some(code) = status["qr"]["url"].as_str() {
            self.secrets.remember_code(code);
        }
        status
    }

    /// Waits until a session is in `state` and gives its status then.
    pub(crate) async fn reaches(&self, id: &str, state: &str) -> Value {
        self.status_when(id, state, |status| status["state"] == state)
            .await
    }

    /// Waits until a session shows a code and gives its text.
    pub(crate) async fn code(&self, id: &str) -> String {
        let status = self
            .status_when(id, "a code", |status| status["qr"]["url"].is_string())
            .await;
        status["qr"]["url"].as_str().unwrap().to_owned()
    }

    /// Waits until a session's status is as wanted and gives it.
    pub(crate) async fn status_when(
        &self,
        id: &str,
        what: &str,
        arrived: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let mut ticks = interval(POLL);
        let reached = timeout(STATE_TIMEOUT, async {
            loop {
                ticks.tick().await;
                last = self.status(id).await;
                if arrived(&last) {
                    return;
                }
            }
        });
        let reached = reached.await.is_ok();
        assert!(reached, "session {id} did not reach {what}; it is {last}");
        last
    }

    /// Lets a phone scan a code and gives the account that it belongs to.
    pub(crate) async fn scan(&self, code: &str) -> String {
        let scanned = self.scan_if_shown(code).await;
        scanned.unwrap_or_else(|refused| panic!("{}", refused.text()))
    }

    /// The same where the page may show another code by now; the sandbox's answer then.
    pub(crate) async fn scan_if_shown(&self, code: &str) -> Result<String, Answer> {
        let scanned = self.phone("/phone/scan", &json!({ "code": code })).await;
        if scanned.status != 200 {
            return Err(scanned);
        }
        let account = scanned.json()["account"].as_str().unwrap().to_owned();
        self.secrets.remember_number(&account);
        Ok(account)
    }

    /// Connects a session that has no account, links one, waits until it can send, and gives the account.
    pub(crate) async fn link(&self, id: &str) -> String {
        let connected = self.connect(id).await;
        assert_eq!(connected.status, 200, "{}", connected.text());
        let account = self.scan(&self.code(id).await).await;
        self.reaches(id, "READY").await;
        account
    }

    /// Sends as the backend does.
    pub(crate) async fn send(&self, id: u64, to: &str, text: &str) -> Answer {
        self.post(
            "/send",
            &json!({ "cliente_id": id, "to": to, "message": text }),
        )
        .await
    }

    /// Sends what WhatsApp's server acknowledges in time, and gives the answer.
    pub(crate) async fn sends(&self, id: u64, to: &str, text: &str) -> Value {
        let sent = self.send(id, to, text).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        sent.json()
    }

    /// What WhatsApp's server took from an account: its texts, in order, a doubled one twice.
    pub(crate) async fn messages(&self, account: &str) -> Vec<String> {
        let body = |message: &Value| message["body"].as_str().unwrap().to_owned();
        self.taken(account).await.iter().map(body).collect()
    }

    /// The same with all that the sandbox tells of each.
    pub(crate) async fn taken(&self, account: &str) -> Vec<Value> {
        let request = self
            .client
            .get(format!("{}/phone/messages", self.sandbox))
            .query(&[("account", account)]);
        let messages = answer(request).await.json();
        messages
            .as_array()
            .unwrap_or_else(|| panic!("no list of messages: {messages}"))
            .clone()
    }

    /// Everything that the sandbox's phone shows.
    pub(crate) async fn phone_state(&self) -> Value {
        answer(self.client.get(format!("{}/phone/state", self.sandbox)))
            .await
            .json()
    }

    /// Waits until the sandbox's phone shows something.
    pub(crate) async fn phone_shows(&self, what: &str, arrived: impl Fn(&Value) -> bool) -> Value {
        let mut ticks = interval(POLL);
        let shown = timeout(STATE_TIMEOUT, async {
            loop {
                ticks.tick().await;
                let state = self.phone_state().await;
                if arrived(&state) {
                    return state;
                }
            }
        });
        shown
            .await
            .unwrap_or_else(|_| panic!("the phone never showed {what}"))
    }

    /// Sets the sandbox's faults.
    pub(crate) async fn faults(&self, faults: Value) {
        let set = self.phone("/faults", &faults).await;
        assert_eq!(set.status, 200, "{}", set.text());
    }

    /// `POST` to the sandbox: its phone, its faults.
    pub(crate) async fn phone(&self, path: &str, body: &Value) -> Answer {
        self.secrets.remember_request(body);
        answer(
            self.client
                .post(format!("{}{path}", self.sandbox))
                .json(body),
        )
        .await
    }
}

/// Sends a request and reads its answer whole.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    try_answer(request).await.unwrap()
}

/// [`answer`], for a service that may not be there.
pub(crate) async fn try_answer(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        status,
        headers,
        bytes: response.bytes().await?.into(),
    })
}
