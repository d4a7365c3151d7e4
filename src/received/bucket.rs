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
    /// What the names of all files begin with there, with a `/` behind it; may be empty.
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

/// What `object_store` tries again by itself is told by the kind.
fn failed(why: Unreached) -> HttpError {
    let kind = match why {
        Unreached::TooSlow => HttpErrorKind::Timeout,
        Unreached::Unknown(_) | Unreached::Unconnected(_) => HttpErrorKind::Connect,
        Unreached::BrokeOff(_) => HttpErrorKind::Interrupted,
        Unreached::Private | Unreached::NoCertificates(_) => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, why)
}
