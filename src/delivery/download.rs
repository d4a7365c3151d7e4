//! Fetching a file that a caller names by its address, to be sent.
//!
//! A caller with the right to send chooses the address, and what is behind it chooses what it answers: so each address is looked at as
//! [`client`](super::client) does, also each one that a redirect leads to, nothing is unpacked, and time is bounded. Not responsible for
//! how large a file may be, nor for what it is: who takes the parts decides that.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::{
    client::{HttpClient, Unreached},
    webhook::{LONGEST_URL, check_url},
};

/// A file of 200 MB takes this long at 14 Mbit/s. A caller that has a slower source brings the file with `POST /media`.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(120);

/// What a server that has it answers with from http to https, to a name with `www`, and to where the file really is.
const MOST_REDIRECTS: usize = 5;

/// Why a file was not fetched. None of the texts has an address.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No address that can be asked.
    #[error(
        "it must be an address that begins with http:// or https://, without a user and a password, of at most {LONGEST_URL} characters"
    )]
    NoAddress,
    /// It leads to this machine, or to a private network.
    #[error(
        "{0} of this machine or of a private network: set MEDIA_ALLOW_PRIVATE=true if that is meant"
    )]
    Private(&'static str),
    /// It leads from one address to the next.
    #[error("it redirects more than {MOST_REDIRECTS} times")]
    TooManyRedirects,
    /// Its server has it not, or does not give it.
    #[error("its server answered with the status {0}")]
    Refused(u16),
    /// What comes is packed, and may be of any size once it is unpacked.
    #[error(
        "its server has packed it (Content-Encoding) although it was asked not to: bring the file with POST /media"
    )]
    Packed,
    /// It takes too long.
    #[error("it did not come within {} s: bring the file with POST /media", WHOLE_TIMEOUT.as_secs())]
    TooSlow,
    /// It cannot be reached, or breaks off.
    #[error("{0}")]
    Unreached(String),
}

impl From<Unreached> for DownloadError {
    fn from(why: Unreached) -> Self {
        match why {
            Unreached::Private => Self::Private("it leads to an address"),
            Unreached::TooSlow => Self::TooSlow,
            why @ (Unreached::Unknown(_)
            | Unreached::Unconnected(_)
            | Unreached::BrokeOff(_)
            | Unreached::NoTls
            | Unreached::NoHttp
            | Unreached::Closed
            | Unreached::NoCertificates(_)) => Self::Unreached(why.to_string()),
        }
    }
}

/// Fetches files. A clone is the same.
#[derive(Clone, Debug)]
pub struct Downloader {
    client: HttpClient,
}

/// A file on its way.
#[derive(Debug)]
pub struct Download {
    /// The type that its server names.
    pub mimetype: Option<String>,
    /// The last part of its address, where that is a name.
    pub filename: Option<String>,
    /// How many bytes its server promises.
    pub length: Option<u64>,
    body: Incoming,
    until: Instant,
}

impl Downloader {
    /// `allows_private`: addresses may lead to this machine and to private networks.
    pub fn new(allows_private: bool) -> Self {
        Self {
            client: HttpClient::without_reuse(allows_private),
        }
    }

    /// Begins to fetch: answers once the head of the file is there.
    pub async fn begin(&self, url: &str) -> Result<Download, DownloadError> {
        self.follow(&self.client, url).await
    }

    /// `first` asks the address that the caller gave, and our own client each that it redirects to.
    async fn follow(&self, first: &HttpClient, url: &str) -> Result<Download, DownloadError> {
        let until = Instant::now() + WHOLE_TIMEOUT;
        let mut uri = address(url).ok_or(DownloadError::NoAddress)?;
        for hop in 0..=MOST_REDIRECTS {
            let client = if hop == 0 { first } else { &self.client };
            let asked = timeout_at(until, client.get(&uri, headers()));
            let answer = asked.await.map_err(|_| DownloadError::TooSlow)?;
            let answer = answer.map_err(|why| {
                if hop > 0 && why == Unreached::Private {
                    DownloadError::Private("it redirects to an address")
                } else {
                    why.into()
                }
            })?;
            let status = answer.status();
            if is_redirect(status) {
                let target = answer.headers().get(header::LOCATION);
                let target = target.and_then(|target| target.to_str().ok());
                let next = target.and_then(|target| leads_to(&uri, target));
                uri = next.ok_or(DownloadError::Refused(status.as_u16()))?;
                continue;
            }
            if !status.is_success() {
                return Err(DownloadError::Refused(status.as_u16()));
            }
            let (parts, body) = answer.into_parts();
            let text = |name: header::HeaderName| {
                let value = parts.headers.get(name)?.to_str().ok()?;
                Some(value.trim().to_owned())
            };
            let encoding = text(header::CONTENT_ENCODING);
            if encoding.is_some_and(|name| !name.eq_ignore_ascii_case("identity")) {
                return Err(DownloadError::Packed);
            }
            return Ok(Download {
                mimetype: text(header::CONTENT_TYPE).filter(|named| !named.is_empty()),
                filename: name_in(&uri),
                length: text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
                body,
                until,
            });
        }
        Err(DownloadError::TooManyRedirects)
    }
}

impl Download {
    /// The next part; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        loop {
            let frame = timeout_at(self.until, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| DownloadError::TooSlow)? else {
                return Ok(None);
            };
            let frame =
                frame.map_err(|why| DownloadError::Unreached(format!("it broke off: {why}")))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

fn headers() -> HeaderMap {
    [
        (header::ACCEPT, HeaderValue::from_static("*/*")),
        (
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        ),
        (
            header::USER_AGENT,
            HeaderValue::from_static(concat!("session-manager/", env!("CARGO_PKG_VERSION"))),
        ),
    ]
    .into_iter()
    .collect()
}

const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn address(url: &str) -> Option<Uri> {
    // What stands behind `#` is for a browser.
    let url = url.split('#').next().unwrap_or_default();
    check_url(url).ok()?;
    url.parse().ok()
}

/// Where a redirect leads: an address, or a path of the same server.
fn leads_to(from: &Uri, target: &str) -> Option<Uri> {
    if let Some(rest) = target.strip_prefix("//") {
        return address(&format!("{}://{rest}", from.scheme_str()?));
    }
    if !target.contains("://") {
        let folder = from
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let path = if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("{folder}/{target}")
        };
        return address(&format!(
            "{}://{}{path}",
            from.scheme_str()?,
            from.authority()?
        ));
    }
    address(target)
}

fn name_in(uri: &Uri) -> Option<String> {
    let last = uri.path().rsplit('/').next()?;
    // A form's escapes are those of a path, but for the `+`.
    let plain = last.replace('+', "%2B");
    let (name, _) = form_urlencoded::parse(plain.as_bytes()).next()?;
    Some(name.into_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_redirect_to_a_private_address_is_not_followed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let answer = format!(
                "HTTP/1.1 302 Found\r\nlocation: http://{address}/secret\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            // There is no second connection.
            let again = listener.accept();
            assert!(
                tokio::time::timeout(Duration::from_millis(200), again)
                    .await
                    .is_err()
            );
        });
        // Only the first address is taken for one of the public internet.
        let first = HttpClient::without_reuse(true);
        let followed = Downloader::new(false)
            .follow(&first, &format!("http://{address}/"))
            .await;
        let why = followed.unwrap_err();
        assert!(matches!(why, DownloadError::Private(_)), "{why}");
        server.await.unwrap();
    }

    #[test]
    fn only_an_address_of_the_web_is_asked() {
        for url in [
            "ftp://example.com/x",
            "file:///etc/passwd",
            "/etc/passwd",
            "example.com/x.png",
            "http://user:pass@example.com/",
            "http:///x",
            "data:text/plain,x",
            "",
        ] {
            assert_eq!(address(url), None, "{url}");
        }
        assert!(address("https://example.com/x.png?y=1#z").is_some());
    }

    #[test]
    fn a_redirect_is_read_as_a_browser_reads_it() {
        let from = "https://example.com/a/b.png".parse().unwrap();
        for (target, to) in [
            ("/c.png", "https://example.com/c.png"),
            ("c.png", "https://example.com/a/c.png"),
            ("//cdn.example/c.png", "https://cdn.example/c.png"),
            ("http://127.0.0.1/", "http://127.0.0.1/"),
        ] {
            assert_eq!(leads_to(&from, target).unwrap().to_string(), to);
        }
        assert_eq!(leads_to(&from, "file:///etc/passwd"), None);
    }

    #[test]
    fn a_name_is_the_last_part_of_the_path() {
        let name = |url: &str| name_in(&url.parse().unwrap());
        assert_eq!(
            name("https://e.com/a/lista%20de+x.pdf?v=1").as_deref(),
            Some("lista de+x.pdf")
        );
        assert_eq!(name("https://e.com/a/"), None);
        assert_eq!(name("https://e.com"), None);
    }
}
