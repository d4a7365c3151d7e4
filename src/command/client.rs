//! The service as a command sees it: one address, one key, JSON in and out.
//!
//! Responsible for reaching it and for saying plainly why it cannot be reached. What an answer means is for the command.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::BytesMut;
use clap::Args;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{self, HeaderMap},
    redirect::Policy,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{fs::File, io::AsyncReadExt as _, time::timeout};

use super::exit::Exit;
use crate::{
    config::{ClientConfig, ConfigError, KeySource, Secret},
    session::ClienteId,
};

/// The service is on this machine, or one hop away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A read answers from memory within milliseconds, on a crowded machine within a second or two.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the service may take to fetch a file from WhatsApp, before it gives its first byte: it gives up after 10 minutes itself.
const FILE_TIMEOUT: Duration = Duration::from_secs(11 * 60);

/// Between two parts of a file, which the service reads from its disk.
const PART_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a file is in memory at a time.
const PART_BYTES: usize = 64 * 1024;

/// Where the service is, and in which form its answer is printed.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The service")]
pub(super) struct Connection {
    /// Where the service listens [default: as HOST and PORT say, in the environment or in the file .env].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[arg(
        long,
        value_name = "FILE",
        help = "A file that holds the API key [default: SESSION_MANAGER_KEY, then API_KEY, in the environment or in .env]"
    )]
    key_file: Option<PathBuf>,
    /// Print the API's own JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// A client of one service.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<(Secret, KeySource)>,
}

/// Why a request failed. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("the settings are wrong:\n{0}")]
    Settings(#[from] ConfigError),
    #[error("--url must be an http:// address, such as http://127.0.0.1:3001")]
    InvalidUrl,
    #[error(
        "this command speaks no TLS: give the service's own http:// address on its machine, or forward it: ssh -L 3001:127.0.0.1:3001 HOST"
    )]
    Tls,
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(reqwest::Error),
    #[error(
        "no service answers at {url} ({why}); start it (`session-manager`, or `pm2 start ecosystem.config.js`), or say where it is with --url"
    )]
    NotRunning { url: String, why: String },
    #[error("the answer of the service at {url} broke off ({why})")]
    BrokeOff { url: String, why: String },
    #[error("the service at {url} did not answer within {} s", after.as_secs())]
    TooSlow { url: String, after: Duration },
    #[error("what answers at {url} is no session-manager: {why}; say where it is with --url")]
    NotOurs { url: String, why: String },
    #[error("{}", unauthorized(.url, *.given))]
    Unauthorized {
        url: String,
        given: Option<KeySource>,
    },
    #[error("{}", refused(.code, .message, .body))]
    Refused {
        status: StatusCode,
        code: String,
        message: String,
        /// After how long the service wants to be asked again.
        retry_after: Option<Duration>,
        /// The answer whole, for `--json`.
        body: Value,
    },
}

fn unauthorized(url: &str, given: Option<KeySource>) -> String {
    match given {
        None => format!(
            "the service at {url} asks for a key: set SESSION_MANAGER_KEY (or API_KEY, in the environment or in .env), or use --key-file"
        ),
        Some(source) => {
            let source = match source {
                KeySource::File => "the file of --key-file",
                KeySource::OwnVariable => "SESSION_MANAGER_KEY",
                KeySource::ServiceVariable => "API_KEY",
            };
            format!(
                "the service at {url} does not accept the key in {source}: it is wrong, revoked or expired"
            )
        }
    }
}

/// The message of the service, with the state of the session and the remedy where the answer has them.
fn refused(code: &str, message: &str, body: &Value) -> String {
    let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
    let state = text("state").map_or_else(String::new, |state| format!(", {state}"));
    let detail = text("detail").filter(|detail| *detail != message);
    let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
    format!("{message} ({code}{state}){detail}")
}

impl ClientError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Settings(_) | Self::InvalidUrl | Self::Tls => Exit::Misconfigured,
            Self::NotRunning { .. }
            | Self::BrokeOff { .. }
            | Self::TooSlow { .. }
            | Self::NotOurs { .. } => Exit::Unreachable,
            Self::Unauthorized { .. } => Exit::Refused,
            Self::Refused { status, .. } if *status == StatusCode::FORBIDDEN => Exit::Refused,
            Self::Setup(_) | Self::Refused { .. } => Exit::Failed,
        }
    }

    /// The error in the form of an API answer.
    pub(super) fn json(&self) -> Value {
        let code = match self {
            Self::Refused { body, .. } => return body.clone(),
            Self::Settings(_) | Self::InvalidUrl | Self::Tls => "MISCONFIGURED",
            Self::Unauthorized { .. } => "UNAUTHORIZED",
            Self::Setup(_) | Self::NotRunning { .. } | Self::BrokeOff { .. } => {
                "SERVICE_UNREACHABLE"
            }
            Self::TooSlow { .. } => "SERVICE_TOO_SLOW",
            Self::NotOurs { .. } => "NOT_SESSION_MANAGER",
        };
        let message = self.to_string();
        json!({"success": false, "code": code, "message": message, "error": message})
    }
}

impl Client {
    /// Reads where the service is. Makes no request.
    pub(super) fn new(connection: &Connection, dotenv: &Path) -> Result<Self, ClientError> {
        let config = ClientConfig::load(dotenv, connection.key_file.as_deref())?;
        let url = connection.url.clone().unwrap_or(config.url);
        let url = url.trim_end_matches('/').to_owned();
        if url.starts_with("https://") {
            return Err(ClientError::Tls);
        }
        if reqwest::Url::parse(&url).is_err() || !url.starts_with("http://") {
            return Err(ClientError::InvalidUrl);
        }
        Self::at(url, config.key)
    }

    /// For an address where another program may answer.
    pub(super) fn without_key(url: &str) -> Result<Self, ClientError> {
        Self::at(url.to_owned(), None)
    }

    /// For a service that this command has started itself, with a key that it has made.
    pub(super) fn with_key(url: &str, key: Secret) -> Result<Self, ClientError> {
        Self::at(url.to_owned(), Some((key, KeySource::File)))
    }

    fn at(url: String, key: Option<(Secret, KeySource)>) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // The key goes to the service only: no redirect and no proxy of the environment may get it.
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(ClientError::Setup)?;
        Ok(Self { http, url, key })
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.http
            .request(Method::GET, format!("{}{path}", self.url))
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        self.http.request(Method::POST, url).json(body)
    }

    /// Brings a file, part by part.
    pub(super) fn bring(&self, file: File, name: &str) -> RequestBuilder {
        let parts = stream::try_unfold(file, async |mut file| {
            let mut part = BytesMut::with_capacity(PART_BYTES);
            let read = file.read_buf(&mut part).await?;
            io::Result::Ok((read > 0).then(|| (Frame::data(part.freeze()), file)))
        });
        let url = format!("{}/media", self.url);
        self.http
            .request(Method::POST, url)
            .query(&[("filename", name)])
            .body(reqwest::Body::wrap(StreamBody::new(parts)))
    }

    /// The status of one session.
    pub(super) async fn status(&self, id: &ClienteId) -> Result<Answer, ClientError> {
        let request = self.get("/status").query(&[("cliente_id", id.as_str())]);
        self.ask(request, READ_TIMEOUT).await
    }

    /// Sends a request with the key and reads the answer whole, within `patience`.
    pub(super) async fn ask(
        &self,
        request: RequestBuilder,
        patience: Duration,
    ) -> Result<Answer, ClientError> {
        let request = self.with_the_key(request);
        let exchange = async {
            let response = request.timeout(patience).send().await?;
            let (status, retry_after) = (response.status(), retry_after(response.headers()));
            Ok((status, retry_after, response.bytes().await?))
        };
        let (status, retry_after, bytes) = exchange
            .await
            .map_err(|why| self.no_answer(&why, patience))?;
        let body = self.json_in(status, &bytes)?;
        if status.is_success() {
            Ok(Answer { body })
        } else {
            Err(self.refusal(status, retry_after, body))
        }
    }

    /// Asks for a file with the key, and gives each part of it to `take`. The service may have to fetch it first.
    pub(super) async fn fetch<E: From<ClientError>>(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let too_slow = |after| ClientError::TooSlow {
            url: self.url.clone(),
            after,
        };
        let asked = self.with_the_key(self.get(path)).send();
        let asked = timeout(FILE_TIMEOUT, asked).await;
        let asked = asked.map_err(|_| too_slow(FILE_TIMEOUT))?;
        let mut response = asked.map_err(|why| self.no_answer(&why, FILE_TIMEOUT))?;
        let status = response.status();
        if !status.is_success() {
            let retry_after = retry_after(response.headers());
            let bytes = timeout(READ_TIMEOUT, response.bytes()).await;
            let bytes = bytes.map_err(|_| too_slow(READ_TIMEOUT))?;
            let bytes = bytes.map_err(|why| self.no_answer(&why, READ_TIMEOUT))?;
            let body = self.json_in(status, &bytes)?;
            return Err(self.refusal(status, retry_after, body).into());
        }
        loop {
            let part = timeout(PART_TIMEOUT, response.chunk()).await;
            let part = part.map_err(|_| too_slow(PART_TIMEOUT))?;
            match part.map_err(|why| self.no_answer(&why, PART_TIMEOUT))? {
                Some(part) => take(&part)?,
                None => return Ok(()),
            }
        }
    }

    fn with_the_key(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some((key, _)) => request.header("x-api-key", key.reveal()),
            None => request,
        }
    }

    fn json_in(&self, status: StatusCode, bytes: &[u8]) -> Result<Value, ClientError> {
        serde_json::from_slice(bytes).map_err(|_not_json| ClientError::NotOurs {
            url: self.url.clone(),
            why: format!("it answers {status} without JSON"),
        })
    }

    /// What an answer that is an error says.
    fn refusal(
        &self,
        status: StatusCode,
        retry_after: Option<Duration>,
        body: Value,
    ) -> ClientError {
        if status == StatusCode::UNAUTHORIZED {
            return ClientError::Unauthorized {
                url: self.url.clone(),
                given: self.key.as_ref().map(|(_, source)| *source),
            };
        }
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        match (text("code"), text("message")) {
            (Some(code), Some(message)) => ClientError::Refused {
                status,
                code,
                message,
                retry_after,
                body,
            },
            _ => ClientError::NotOurs {
                url: self.url.clone(),
                why: format!("it answers {status}"),
            },
        }
    }

    fn no_answer(&self, why: &reqwest::Error, patience: Duration) -> ClientError {
        let url = self.url.clone();
        if why.is_timeout() && !why.is_connect() {
            return ClientError::TooSlow {
                url,
                after: patience,
            };
        }
        // The last cause is the system's own word, such as "Connection refused".
        let mut cause: &dyn std::error::Error = why;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let cause = cause.to_string();
        if why.is_connect() {
            ClientError::NotRunning { url, why: cause }
        } else {
            ClientError::BrokeOff { url, why: cause }
        }
    }
}

/// The header `Retry-After`, which this service gives in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?))
}

/// An answer that is no error.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) body: Value,
}

impl Answer {
    /// Its body as a type. An older or newer service may lack what this command needs.
    pub(super) fn read<T: DeserializeOwned>(&self, client: &Client) -> Result<T, ClientError> {
        serde_json::from_value(self.body.clone()).map_err(|why| ClientError::NotOurs {
            url: client.url.clone(),
            why: why.to_string(),
        })
    }
}
