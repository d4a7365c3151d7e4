//! A bucket that keeps files: S3 of Amazon, or of any other service that speaks its protocol.
//!
//! Responsible for what `object_store` needs to speak with it: who asks, where, and through which client. What is kept there, and
//! under which names, is [`store`](super::store)'s part.

use std::{sync::Arc, time::Duration};

use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use object_store::{
    ClientOptions, ObjectStore, RetryConfig,
    aws::AmazonS3Builder,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpResponseBody, HttpService,
    },
    prefix::PrefixStore,
};
use startup::Secret;
use tokio::time::timeout;

use crate::delivery::{self, Unreached};

/// How long one request may take until its answer begins: a part of a file goes out meanwhile, of 5 MiB, at 1 Mbit/s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);

/// For how long nothing may come of an answer that has begun.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// A person waits for a file: what does not work by then is said, and works when it is asked for again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);
const MOST_RETRIES: usize = 3;

/// A bucket, and who may use it.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What the names of all files begin with there, with a `/` behind it: a folder of the service's own.
    pub prefix: String,
    /// Where the service is that has it; `None`: Amazon's, in `region`.
    pub endpoint: Option<String>,
    /// The region of the bucket.
    pub region: String,
    /// The id of the access key.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: Secret,
}

/// The bucket as a store. Nothing is asked of it yet.
pub(super) fn open(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_access_key_id(&bucket.access_key_id)
        .with_secret_access_key(bucket.secret_access_key.reveal())
        .with_retry(RetryConfig {
            max_retries: MOST_RETRIES,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        })
        .with_http_connector(Connector);
    if let Some(endpoint) = &bucket.endpoint {
        let is_plain = endpoint.starts_with("http://");
        builder = builder.with_endpoint(endpoint).with_allow_http(is_plain);
    }
    let bucket_itself = builder.build()?;
    let prefix = bucket.prefix.as_str();
    Ok(Arc::new(PrefixStore::new(bucket_itself, prefix)))
}

/// Gives `object_store` the client that the rest of the service has: its own would bring another library for TLS.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Where the bucket is, the operator has set: it may be this machine or a private network.
        Ok(HttpClient::new(Service(delivery::HttpClient::new(true))))
    }
}

#[derive(Debug)]
struct Service(delivery::HttpClient);

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = request.map(|body| body.map_err(Box::from).boxed());
        let answered = timeout(ANSWER_TIMEOUT, self.0.call(request)).await;
        let answer = answered
            .unwrap_or(Err(Unreached::TooSlow))
            .map_err(failed)?;
        Ok(answer.map(|body| {
            let frames = stream::unfold(body, async |mut body| {
                let frame = timeout(SILENCE_TIMEOUT, body.frame()).await;
                let frame = match frame {
                    Ok(frame) => {
                        frame?.map_err(|why| HttpError::new(HttpErrorKind::Interrupted, why))
                    }
                    Err(_) => Err(failed(Unreached::TooSlow)),
                };
                Some((frame, body))
            });
            HttpResponseBody::new(StreamBody::new(frames))
        }))
    }
}

/// By the kind, `object_store` decides what it tries again.
fn failed(why: Unreached) -> HttpError {
    let kind = match why {
        Unreached::TooSlow => HttpErrorKind::Timeout,
        Unreached::Unknown(_) | Unreached::Unconnected(_) => HttpErrorKind::Connect,
        Unreached::BrokeOff(_) | Unreached::Closed => HttpErrorKind::Interrupted,
        Unreached::Private
        | Unreached::NoTls
        | Unreached::NoHttp
        | Unreached::NoCertificates(_) => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, why)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Seek as _},
        path::Path,
        process::{Child, Command, Stdio},
        time::Instant,
    };

    use bytes::Bytes;
    use http::{Method, Request, StatusCode};
    use http_body_util::Full;
    use tokio::time::sleep;

    use super::*;
    use crate::received::store::{Location, Store};

    const FILE: &str = "med_00000000000000000000000000000001";
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A server of S3 (moto). It ends with its test.
    struct Server {
        process: Child,
        url: String,
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.process.kill().ok();
            self.process.wait().ok();
        }
    }

    impl Server {
        async fn start() -> Self {
            let program =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/moto_server");
            let mut said = tempfile::NamedTempFile::new().unwrap();
            #[expect(
                clippy::disallowed_methods,
                reason = "the test plays the service that has the bucket"
            )]
            let mut command = Command::new(program);
            // The system chooses a port that is free, and the server says which.
            command.args(["-H", "127.0.0.1", "-p", "0"]);
            command.stdout(Stdio::null()).stderr(said.reopen().unwrap());
            let mut server = Self {
                process: command.spawn().expect("scripts/test installs moto"),
                url: String::new(),
            };
            let until = Instant::now() + PATIENCE;
            while server.url.is_empty() {
                assert!(Instant::now() < until, "the server of S3 does not listen");
                sleep(Duration::from_millis(50)).await;
                let mut text = String::new();
                said.rewind().unwrap();
                said.read_to_string(&mut text).unwrap();
                let address = text.split_once("Running on ").map(|(_, rest)| rest);
                if let Some((url, _)) = address.and_then(|rest| rest.split_once('\n')) {
                    url.trim().clone_into(&mut server.url);
                }
            }
            server
        }

        /// What another program does there.
        async fn answers(&self, method: Method, path: &str) -> String {
            let body = Full::from(Bytes::new()).map_err(|never| match never {});
            let request = Request::builder()
                .method(method)
                .uri(format!("{}{path}", self.url));
            let request = request.body(body.boxed()).unwrap();
            let client = delivery::HttpClient::new(true);
            let answer = client.call(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            let body = answer.into_body().collect().await.unwrap();
            String::from_utf8(body.to_bytes().into()).unwrap()
        }
    }

    #[tokio::test]
    async fn what_is_too_old_is_deleted_there_and_what_others_have_there_stays() {
        let server = Server::start().await;
        for path in ["/bucket", "/bucket/other", "/bucket/a/b/photo.jpg"] {
            server.answers(Method::PUT, path).await;
        }
        let store = Store::open(&Location::Bucket(Bucket {
            name: "bucket".to_owned(),
            prefix: "a/b".to_owned(),
            endpoint: Some(server.url.clone()),
            region: "us-east-1".to_owned(),
            access_key_id: "AKIA".to_owned(),
            secret_access_key: Secret::new("secret".to_owned()),
        }))
        .unwrap();
        let mut writing = store.begin(FILE).await.unwrap();
        writing.push(Bytes::from_static(b"hola")).await.unwrap();
        writing.finish().await.unwrap();
        store.note_down(FILE, b"{}".to_vec()).await.unwrap();
        store.begin(FILE).await.unwrap().give_up().await;
        assert_eq!(store.size(FILE).await.unwrap(), Some(4));
        assert_eq!(store.forget_older(PATIENCE).await.unwrap(), 0);
        assert_eq!(store.forget_older(Duration::ZERO).await.unwrap(), 1);
        assert_eq!(store.note(FILE).await.unwrap(), None);
        let left = server.answers(Method::GET, "/bucket?list-type=2").await;
        let left: Vec<_> = left.split("<Key>").skip(1).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left[0].starts_with("a/b/photo.jpg<"), "{left:?}");
        assert!(left[1].starts_with("other<"), "{left:?}");
    }
}
