//! The bytes of a message that came in, as the service gets them out of the page: in slices, by the script `media_in.js`.
//!
//! Responsible for waiting until WhatsApp Web has the file, and for handing its slices on one after another: the next one is asked for
//! when the one before was taken, so a file of any size takes as much memory as two slices. Not responsible for where they go, nor
//! for whether they are what the message said.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chromiumoxide::Page;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    AdapterName,
    bridge::{self, CallError, INTERRUPTED, NO_ANSWER, NO_SUCH_COMMAND, NOT_LOADED},
};
use crate::masked::{Text, WaId};

/// A slice is a text of a third more on its way. Larger ones take more memory and no less time.
const SLICE_BYTES: u64 = 512 * 1024;

/// How soon the page is asked again while it downloads.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// WhatsApp's servers give 100 MB within a minute on an ordinary line. What takes longer than this has stopped.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// A phone that is there uploads again within seconds; a longer wait is its caller's, who asks again.
const PHONE_TIMEOUT: Duration = Duration::from_secs(20);

/// Why there are no bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Neither WhatsApp's servers nor the phone have it any more, or the message is gone.
    #[error("{0}")]
    Gone(String),
    /// WhatsApp's servers do not have it any more. The phone was asked to upload it again, and has not done so yet.
    #[error("the phone was asked to upload it again")]
    AwaitsPhone,
    /// It has more bytes than its receiver wants.
    #[error("it has more bytes than are wanted")]
    TooLarge,
    /// WhatsApp Web could not bring it, or it is not what its hash says.
    #[error("{0}")]
    Failed(String),
    /// The page gave no answer, as when it reloads itself: the same may work in a moment.
    #[error("{0}")]
    NoAnswer(String),
    /// No adapter in use can see files.
    #[error("{0}")]
    Lacking(String),
    /// Its receiver wants no more of it.
    #[error("it is not wanted any more")]
    NotWanted,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Fetching,
    Waiting,
    Ready,
    Gone,
    Failed,
    TooLarge,
    Unknown,
}

#[derive(Deserialize)]
struct Opened {
    stage: Stage,
    bytes: Option<u64>,
    detail: Option<String>,
}

#[derive(Serialize)]
struct Meant<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Wanted<'a> {
    id: &'a str,
    most: Option<u64>,
}

#[derive(Serialize)]
struct Slice<'a> {
    id: &'a str,
    from: u64,
    length: u64,
}

/// Brings the file of a message, by the first adapter that can, and gives its slices to `sink` in their order. Their end is the end
/// of the file when this answers `Ok`. One with more bytes than `most` is not brought.
pub(super) async fn fetch(
    page: &Page,
    adapters: &[AdapterName],
    message: &WaId,
    most: Option<u64>,
    sink: &mpsc::Sender<Bytes>,
) -> Result<(), FetchError> {
    let mut refusal = FetchError::Lacking("no adapter is in use".to_owned());
    for &adapter in adapters {
        let file = File {
            page,
            adapter,
            id: message,
        };
        match file.opened(most).await {
            Ok(bytes) => {
                let given = file.give(bytes, sink).await;
                file.close().await;
                return given;
            }
            // The page goes on waiting: the next question finds it there.
            Err(FetchError::AwaitsPhone) => return Err(FetchError::AwaitsPhone),
            Err(FetchError::Gone(why)) => return Err(FetchError::Gone(why)),
            Err(FetchError::TooLarge) => {
                file.close().await;
                return Err(FetchError::TooLarge);
            }
            Err(why) => {
                file.close().await;
                // What an adapter met says more than that another one cannot.
                if !matches!(why, FetchError::Lacking(_))
                    || matches!(refusal, FetchError::Lacking(_))
                {
                    refusal = why;
                }
            }
        }
    }
    Err(refusal)
}

/// The file of one message, in one page.
struct File<'a> {
    page: &'a Page,
    adapter: AdapterName,
    id: &'a str,
}

impl File<'_> {
    /// Gives all of it.
    async fn give(&self, bytes: u64, sink: &mpsc::Sender<Bytes>) -> Result<(), FetchError> {
        let mut from = 0;
        while from < bytes {
            let length = SLICE_BYTES.min(bytes - from);
            let slice = self.slice(from, length).await?;
            from += length;
            sink.send(slice).await.map_err(|_| FetchError::NotWanted)?;
        }
        Ok(())
    }

    /// Waits until the page has the file. Answers its size.
    async fn opened(&self, most: Option<u64>) -> Result<u64, FetchError> {
        let began = Instant::now();
        let mut phone_asked_at = None;
        loop {
            let wanted = Wanted { id: self.id, most };
            let opened = self.call::<Opened>("mediaOpen", &wanted).await?;
            let detail = opened.detail.unwrap_or_default();
            match (opened.stage, opened.bytes) {
                // The page goes by what the message says, which its sender has written.
                (Stage::Ready, Some(bytes)) if most.is_some_and(|most| most < bytes) => {
                    return Err(FetchError::TooLarge);
                }
                (Stage::TooLarge, _) => return Err(FetchError::TooLarge),
                (Stage::Ready, Some(bytes)) => return Ok(bytes),
                (Stage::Ready, None) | (Stage::Failed, _) => {
                    return Err(FetchError::Failed(detail));
                }
                (Stage::Gone, _) => {
                    let no_word = "WhatsApp's servers do not have it any more, nor does the phone";
                    let why = if detail.is_empty() {
                        no_word.to_owned()
                    } else {
                        detail
                    };
                    return Err(FetchError::Gone(why));
                }
                (Stage::Unknown, _) => return Err(FetchError::Gone(detail)),
                (Stage::Waiting, _) => {
                    let since = *phone_asked_at.get_or_insert_with(Instant::now);
                    if PHONE_TIMEOUT < since.elapsed() {
                        return Err(FetchError::AwaitsPhone);
                    }
                }
                (Stage::Fetching, _) if DOWNLOAD_TIMEOUT < began.elapsed() => {
                    let why = format!(
                        "WhatsApp Web did not bring it within {} s",
                        DOWNLOAD_TIMEOUT.as_secs()
                    );
                    return Err(FetchError::Failed(why));
                }
                (Stage::Fetching, _) => {}
            }
            sleep(ASK_AGAIN).await;
        }
    }

    async fn slice(&self, from: u64, length: u64) -> Result<Bytes, FetchError> {
        let slice = Slice {
            id: self.id,
            from,
            length,
        };
        // Masked: a text that is not understood must not get into a log.
        let text = self.call::<Text>("mediaRead", &slice).await?;
        let decoded = STANDARD.decode(text.as_bytes());
        match decoded {
            Ok(bytes) if bytes.len() as u64 == length => Ok(bytes.into()),
            Ok(_) | Err(_) => Err(FetchError::Failed(
                "the page gave other bytes than it was asked for".to_owned(),
            )),
        }
    }

    /// Lets the page forget it. One that does not hear this forgets it by itself.
    async fn close(&self) {
        let meant = Meant { id: self.id };
        drop(self.call::<()>("mediaClose", &meant).await);
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        command: &str,
        argument: &impl Serialize,
    ) -> Result<T, FetchError> {
        let answered = bridge::call(self.page, self.adapter, command, argument);
        answered.await.map_err(error_of)
    }
}

fn error_of(why: CallError) -> FetchError {
    match why.code.as_str() {
        NO_SUCH_COMMAND => FetchError::Lacking(why.detail),
        NO_ANSWER | INTERRUPTED | NOT_LOADED | "NOT_OPEN" => FetchError::NoAnswer(why.detail),
        _ => FetchError::Failed(why.detail),
    }
}
