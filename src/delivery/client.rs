//! The HTTP client that gives events to receivers, and fetches files: by `http` and `https`, never through a redirect by itself, and to no address that
//! [`address`](super::address) refuses.
//!
//! The address is looked at when it is connected to, after the name was looked up: a name that leads elsewhere a moment later
//! leads nowhere. Not responsible for what is sent, nor for what an answer means.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
    vec,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header, uri::Scheme};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::crypto::ring;
use tokio::{sync::OnceCell, task::spawn_blocking, time::timeout};
use tower::Service;

use super::address::is_public;

/// How long an attempt may take, from the look-up of the name to the status of the answer.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long what stands behind the status is waited for, where only the status decides: a receiver that sends it at all sends it with
/// the status.
pub(super) const REST_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that does not stand by then is given up while there is time to try the host's next address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(7);

/// How long a connection is kept for the next event, and how many of them to one receiver.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MOST_IDLE: usize = 8;

/// What servers of TLS say, with the status 400, to a client that speaks plain http: nginx, Go and Apache.
const OF_TLS_PORTS: [&[u8]; 3] = [
    b"HTTP request was sent to HTTPS port",
    b"HTTP request to an HTTPS server",
    b"plain HTTP to an SSL-enabled server port",
];

/// How much of an answer is read, so that its connection can be used again.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Why a receiver was not reached. None of the texts has a secret: no address, no header, no body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreached {
    #[error("it did not answer within {} s", ATTEMPT_TIMEOUT.as_secs())]
    TooSlow,
    #[error(
        "its address is one of this machine or of a private network: set WEBHOOK_ALLOW_PRIVATE=true if that is meant"
    )]
    Private,
    #[error("its name cannot be looked up: {0}")]
    Unknown(String),
    #[error("it cannot be reached: {0}")]
    Unconnected(String),
    #[error("the request broke off: {0}")]
    BrokeOff(String),
    #[error("it speaks http and not https: give its address with http://, or let it speak https")]
    NoTls,
    #[error("it does not speak http: if it speaks https, give its address with https://")]
    NoHttp,
    #[error(
        "it closed the connection without an answer: if it speaks https, give its address with https://"
    )]
    Closed,
    #[error(
        "https cannot be spoken: the certificates of this machine cannot be read ({0}); install ca-certificates"
    )]
    NoCertificates(String),
}

/// How long a receiver may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the look-up of the name to the status of the answer.
    pub(super) status: Duration,
    /// From there to the end of the answer. What has not come by then is left out.
    pub(super) rest: Duration,
}

/// What a receiver has answered.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// How long it asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// What it says, as far as that was read. It may hold a secret.
    body: Vec<u8>,
}

impl Answer {
    /// What it says, if that is JSON.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// The client. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    /// Set up by the first request: that reads the certificates of the machine.
    inner: Arc<OnceCell<Inner>>,
    allows_private: bool,
    /// How many connections are kept for later requests.
    most_idle: usize,
}

type Inner = Client<HttpsConnector<HttpConnector<Resolver>>, RequestBody>;

/// What is sent with a request.
pub(crate) type RequestBody = BoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// A request with a body that is in memory.
fn request(method: Method, uri: &Uri, headers: HeaderMap, body: Vec<u8>) -> Request<RequestBody> {
    let body = Full::from(body).map_err(|never| match never {}).boxed();
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers;
    request
}

impl HttpClient {
    pub(crate) fn new(allows_private: bool) -> Self {
        Self {
            inner: Arc::default(),
            allows_private,
            most_idle: MOST_IDLE,
        }
    }

    /// One that has a new connection for each request: so one that breaks off was begun, and not written to a connection that the
    /// other side had closed.
    pub(super) fn without_reuse(allows_private: bool) -> Self {
        Self {
            most_idle: 0,
            ..Self::new(allows_private)
        }
    }

    /// Whether the host of an address may be called, as far as its text says: of a name only that it is `localhost` (RFC 6761, section
    /// 6.3). Any other is looked up when it is called.
    pub(super) fn may_call(&self, uri: &Uri) -> bool {
        self.allows_private || (ip_in(uri).is_none_or(is_public) && !is_localhost(uri))
    }

    /// Posts a body, and answers with the status, and with as much of what stands behind it as has come in time.
    pub(super) async fn post(
        &self,
        uri: &Uri,
        headers: HeaderMap,
        body: Vec<u8>,
        patience: Patience,
    ) -> Result<Answer, Unreached> {
        let request = request(Method::POST, uri, headers, body);
        let answered = timeout(patience.status, self.call(request)).await;
        let (parts, mut frames) = answered.unwrap_or(Err(Unreached::TooSlow))?.into_parts();
        let mut body = Vec::new();
        let rest = async {
            while let Some(Ok(frame)) = frames.frame().await {
                body.extend(frame.data_ref().into_iter().flatten());
                if LARGEST_ANSWER < body.len() {
                    break;
                }
            }
        };
        // The status has said what becomes of the event, whether the rest comes or not.
        timeout(patience.rest, rest).await.ok();
        if parts.status == StatusCode::BAD_REQUEST && is_plain(uri) && is_of_tls_port(&body) {
            return Err(Unreached::NoHttp);
        }
        Ok(Answer {
            status: parts.status,
            retry_after: retry_after(&parts.headers, SystemTime::now()),
            body,
        })
    }
}

impl HttpClient {
    /// Asks for what is at an address, and answers as soon as its head is there: its body is still to come.
    pub(super) async fn get(
        &self,
        uri: &Uri,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, Unreached> {
        let request = request(Method::GET, uri, headers, Vec::new());
        let asked = timeout(ATTEMPT_TIMEOUT, self.call(request)).await;
        asked.map_err(|_| Unreached::TooSlow)?
    }

    /// Makes a request, and answers as soon as the head of the answer is there, for which the caller sets a limit.
    pub(crate) async fn call(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Unreached> {
        if !self.may_call(request.uri()) {
            return Err(Unreached::Private);
        }
        let client = self
            .inner
            .get_or_try_init(|| set_up(self.allows_private, self.most_idle));
        let uri = request.uri().clone();
        let answered = client.await?.request(request).await;
        answered.map_err(|why| reason(&why, why.is_connect(), &uri))
    }
}

async fn set_up(allows_private: bool, most_idle: usize) -> Result<Inner, Unreached> {
    let mut connector = HttpConnector::new_with_resolver(Resolver { allows_private });
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let built = spawn_blocking(move || {
        let provider = ring::default_provider();
        let https = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?;
        let https = https.https_or_http().enable_http1();
        io::Result::Ok(https.wrap_connector(connector))
    });
    let unread = |why: String| Unreached::NoCertificates(why);
    let connector = built.await.map_err(|why| unread(why.to_string()))?;
    let connector = connector.map_err(|why| unread(why.to_string()))?;
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(most_idle)
        .build(connector))
}

/// The address that stands in place of a name.
fn ip_in(uri: &Uri) -> Option<IpAddr> {
    let host = uri.host()?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

fn is_localhost(uri: &Uri) -> bool {
    let name = uri.host().unwrap_or_default().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    name == "localhost" || name.ends_with(".localhost")
}

fn is_plain(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTP)
}

fn is_of_tls_port(body: &[u8]) -> bool {
    OF_TLS_PORTS
        .iter()
        .any(|words| memchr::memmem::find(body, words).is_some())
}

/// Looks names up as the machine does, and gives only addresses that may be connected to.
#[derive(Clone, Debug)]
struct Resolver {
    allows_private: bool,
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allows_private = self.allows_private;
        async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found =
                found.map_err(|why| io::Error::other(Unreached::Unknown(why.to_string())))?;
            Ok(allowed(found, allows_private)
                .map_err(io::Error::other)?
                .into_iter())
        }
        .boxed()
    }
}

/// Those of a name's addresses that may be connected to.
fn allowed(
    found: impl Iterator<Item = SocketAddr>,
    allows_private: bool,
) -> Result<Vec<SocketAddr>, Unreached> {
    let is_allowed = |address: &SocketAddr| allows_private || is_public(address.ip());
    let (allowed, refused): (Vec<_>, Vec<_>) = found.partition(is_allowed);
    if allowed.is_empty() && !refused.is_empty() {
        return Err(Unreached::Private);
    }
    Ok(allowed)
}

/// Why a request has failed, from the chain of its causes: the innermost one is the system's own word.
fn reason(why: &(dyn Error + 'static), is_connect: bool, uri: &Uri) -> Unreached {
    let mut cause = why;
    loop {
        if let Some(own) = carried::<Unreached>(cause) {
            return own.clone();
        }
        // What comes in the place of TLS is read as a message of TLS that has no such type.
        if let Some(rustls::Error::InvalidMessage(_)) = carried(cause) {
            return Unreached::NoTls;
        }
        // What comes in the place of an answer, such as an alert of TLS, is read as one. One that is too large is one.
        let is_no_answer =
            |why: &hyper::Error| why.is_parse() && !why.is_parse_too_large() && is_plain(uri);
        if carried(cause).is_some_and(is_no_answer) {
            return Unreached::NoHttp;
        }
        // Other servers of TLS close the connection.
        if !is_connect && is_plain(uri) && is_close(cause) {
            return Unreached::Closed;
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None => break,
        }
    }
    let text = of_certificate(cause).unwrap_or_else(|| cause.to_string());
    if is_connect {
        Unreached::Unconnected(text)
    } else {
        Unreached::BrokeOff(text)
    }
}

/// Whether the other side has ended the connection before its answer was whole.
fn is_close(cause: &(dyn Error + 'static)) -> bool {
    let is_incomplete = carried(cause).is_some_and(hyper::Error::is_incomplete_message);
    let is_reset = |why: &io::Error| why.kind() == io::ErrorKind::ConnectionReset;
    is_incomplete || cause.downcast_ref().is_some_and(is_reset)
}

/// What an error is, or what it carries as an error of the system, which does not say so as its source.
fn carried<'a, E: Error + 'static>(cause: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let inner = || carried(cause.downcast_ref::<io::Error>()?.get_ref()?);
    cause.downcast_ref().or_else(inner)
}

/// What is wrong with a certificate: the kind alone, since the text of some has the names in it.
fn of_certificate(cause: &(dyn Error + 'static)) -> Option<String> {
    let rustls::Error::InvalidCertificate(why) = carried(cause)? else {
        return None;
    };
    // Its `Debug` begins with the name of the variant.
    let kind: String = format!("{why:?}")
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    Some(format!("invalid peer certificate: {kind}"))
}

/// How long an answer asks to be left alone: in seconds, or until a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn a_name_leads_only_to_its_public_addresses() {
        let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        let (public, private) = (address("1.1.1.1"), address("10.0.0.1"));
        let both = || [private, public].into_iter();
        assert_eq!(allowed(both(), false), Ok(vec![public]));
        assert_eq!(allowed(both(), true), Ok(vec![private, public]));
        assert_eq!(
            allowed([private].into_iter(), false),
            Err(Unreached::Private)
        );
    }

    #[test]
    fn a_certificate_for_another_name_is_said_without_any_name() {
        let host = "hooks.example.com";
        let why = rustls::CertificateError::NotValidForNameContext {
            expected: rustls::pki_types::ServerName::try_from(host).unwrap(),
            presented: vec!["other.example.com".to_owned()],
        };
        let why = rustls::Error::InvalidCertificate(why);
        assert!(why.to_string().contains(host), "{why}");
        // As the connector has it.
        let why = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, why));
        let uri = Uri::from_static("https://hooks.example.com/");
        let shown = reason(&why, true, &uri).to_string();
        assert_eq!(
            shown,
            "it cannot be reached: invalid peer certificate: NotValidForNameContext"
        );
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let same = unknown.to_string();
        assert_eq!(
            reason(&unknown, false, &uri).to_string(),
            format!("the request broke off: {same}")
        );
    }

    /// A receiver that answers every connection with these bytes, and closes it.
    async fn answers(bytes: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _read = stream.read(&mut request).await;
                stream.write_all(bytes).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn http_where_https_is_spoken_and_the_reverse_is_said_plainly() {
        let client = HttpClient::without_reuse(true);
        let patience = Patience {
            status: ATTEMPT_TIMEOUT,
            rest: REST_TIMEOUT,
        };
        for (scheme, bytes, why) in [
            (
                "https",
                &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..],
                Some(Unreached::NoTls),
            ),
            ("http", b"", Some(Unreached::Closed)),
            // A fatal alert of TLS 1.2: no message was expected that looks so.
            ("http", b"\x15\x03\x03\x00\x02\x02\x0a", Some(Unreached::NoHttp)),
            (
                "http",
                b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
                Some(Unreached::NoHttp),
            ),
            (
                "http",
                b"HTTP/1.0 400 Bad Request\r\n\r\nthere is no field url\n",
                None,
            ),
        ] {
            let address = answers(bytes).await;
            let uri: Uri = format!("{scheme}://{address}/").parse().unwrap();
            let answered = client.post(&uri, HeaderMap::new(), b"{}".to_vec(), patience);
            let answered = answered.await;
            assert_eq!(answered.as_ref().err(), why.as_ref(), "{answered:?}");
        }
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let asked = |text: &'static str| {
            let headers = [(header::RETRY_AFTER, text.parse().unwrap())];
            retry_after(&headers.into_iter().collect(), now)
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        let later = asked("Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(later, Some(Duration::from_secs(60)));
        let over = asked("Sun, 06 Nov 1994 08:48:37 GMT");
        assert_eq!(over, Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }

    /// Each way to write this machine, and a name for it. Nothing is connected to, so no port is needed.
    #[tokio::test]
    async fn this_machine_is_refused_however_it_is_written() {
        let client = HttpClient::new(false);
        for host in [
            "127.0.0.1",
            "127.1.2.3",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "localhost",
            // How the C library reads a number.
            "2130706433",
            "0x7f.1",
            "127.1",
        ] {
            let uri: Uri = format!("http://{host}:9/").parse().unwrap();
            let patience = Patience {
                status: ATTEMPT_TIMEOUT,
                rest: REST_TIMEOUT,
            };
            let answered = client.post(&uri, HeaderMap::new(), Vec::new(), patience);
            assert_eq!(answered.await, Err(Unreached::Private), "{host}");
        }
    }
}
