//! The two ends of Chrome's debugging pipe: whole messages of JSON, each of which ends in a NUL byte.
//!
//! Chrome reads from its descriptor 3 and writes to 4 (`--remote-debugging-pipe`). Other users of the machine cannot get at
//! a pipe: there is no port to connect to, and `/proc/<pid>/fd` is closed to them. Chrome ends in good order when the pipe
//! closes, so it does not outlive the service.

use std::{
    io::{self, PipeReader, PipeWriter},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use memchr::memchr;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe::{Receiver, Sender},
    sync::Mutex,
};

/// What is read at once. A pipe holds 64 KiB.
const CHUNK: usize = 16 * 1024;

/// A longer message is handed on in parts as it comes, so a picture of 100 MB takes little more memory here than this. The
/// messages that the service itself looks into are far shorter.
const LONGEST_WHOLE: usize = 64 * 1024;

/// What ends a message.
const END: u8 = 0;

/// Chrome has closed its end, as it does when it ends.
pub(in crate::browser) const CLOSED: &str = "Chrome closed the debugging pipe";

/// A message of Chrome, or a part of it.
#[derive(Debug)]
pub(in crate::browser) enum Part {
    /// A message.
    Whole(Bytes),
    /// A part of a message that is too long to be kept.
    Piece {
        bytes: Bytes,
        is_first: bool,
        is_last: bool,
    },
}

/// Chrome's messages.
#[derive(Debug)]
pub(in crate::browser) struct Incoming {
    pipe: Receiver,
    buffer: BytesMut,
    /// So much of the buffer holds no end of a message.
    searched: usize,
    /// The beginning of this message has been handed on.
    in_a_long_one: bool,
}

/// The way to Chrome. Cheap to clone; one message goes at a time.
#[derive(Clone, Debug)]
pub(in crate::browser) struct Outgoing(Arc<Mutex<Sender>>);

/// Both.
#[derive(Debug)]
pub(in crate::browser) struct Pipe {
    pub(in crate::browser) incoming: Incoming,
    pub(in crate::browser) outgoing: Outgoing,
}

/// What a message is about.
#[derive(Debug, Deserialize)]
pub(in crate::browser) struct Envelope {
    #[serde(default)]
    pub(in crate::browser) id: Option<i64>,
    /// The target that it is for: one connection serves all of Chrome's targets. `None` is Chrome itself.
    #[serde(default, rename = "sessionId")]
    pub(in crate::browser) session: Option<String>,
    #[serde(default)]
    pub(in crate::browser) method: Option<String>,
    #[serde(default)]
    pub(in crate::browser) params: Value,
    #[serde(default)]
    pub(in crate::browser) result: Value,
    #[serde(default)]
    pub(in crate::browser) error: Value,
}

impl Pipe {
    /// From what Chrome writes into, and what it reads.
    pub(in crate::browser) fn new(
        from_chrome: PipeReader,
        to_chrome: PipeWriter,
    ) -> io::Result<Self> {
        Ok(Self {
            incoming: Incoming {
                pipe: Receiver::from_owned_fd(from_chrome.into())?,
                buffer: BytesMut::new(),
                searched: 0,
                in_a_long_one: false,
            },
            outgoing: Outgoing(Arc::new(Mutex::new(Sender::from_owned_fd(
                to_chrome.into(),
            )?))),
        })
    }

    /// Asks something and waits for the answer; `overheard` gets the other messages that come meanwhile.
    ///
    /// For the time before anything else speaks over this pipe.
    pub(in crate::browser) async fn ask(
        &mut self,
        id: i64,
        session: Option<&str>,
        method: &str,
        params: &Value,
        mut overheard: impl FnMut(Envelope),
    ) -> Result<Value, String> {
        self.outgoing
            .send(&call(id, session, method, params))
            .await
            .map_err(|why| why.to_string())?;
        loop {
            let Part::Whole(message) = self.incoming.next().await? else {
                continue;
            };
            match serde_json::from_slice::<Envelope>(&message) {
                Ok(answer) if answer.id == Some(id) => {
                    return if answer.error.is_null() {
                        Ok(answer.result)
                    } else {
                        Err(answer.error.to_string())
                    };
                }
                Ok(other) => overheard(other),
                Err(why) => return Err(format!("Chrome said something unreadable: {why}")),
            }
        }
    }
}

/// A command as Chrome reads it.
pub(in crate::browser) fn call(
    id: i64,
    session: Option<&str>,
    method: &str,
    params: &Value,
) -> String {
    let mut call = json!({ "id": id, "method": method, "params": params });
    if let Some(session) = session {
        call["sessionId"] = session.into();
    }
    call.to_string()
}

impl Incoming {
    /// The next message, or part of one; the error is the reason why there will be none. May be cancelled.
    pub(in crate::browser) async fn next(&mut self) -> Result<Part, String> {
        loop {
            if let Some(part) = self.take() {
                return Ok(part);
            }
            self.buffer.reserve(CHUNK);
            match self.pipe.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(CLOSED.to_owned()),
                Ok(_) => {}
                Err(why) => return Err(format!("the debugging pipe failed: {why}")),
            }
        }
    }

    /// What the buffer holds of the next message, if that is enough to be handed on.
    fn take(&mut self) -> Option<Part> {
        let end = memchr(END, self.buffer.get(self.searched..).unwrap_or_default());
        let Some(end) = end.map(|end| self.searched + end) else {
            self.searched = self.buffer.len();
            if self.buffer.len() <= LONGEST_WHOLE {
                return None;
            }
            self.searched = 0;
            return Some(Part::Piece {
                bytes: self.buffer.split().freeze(),
                is_first: !std::mem::replace(&mut self.in_a_long_one, true),
                is_last: false,
            });
        };
        let mut message = self.buffer.split_to(end + 1);
        message.truncate(end);
        self.searched = 0;
        Some(if std::mem::take(&mut self.in_a_long_one) {
            Part::Piece {
                bytes: message.freeze(),
                is_first: false,
                is_last: true,
            }
        } else {
            Part::Whole(message.freeze())
        })
    }
}

impl Outgoing {
    /// Sends one message. Waits for Chrome to take it; not to be cancelled, which would leave half of it.
    pub(in crate::browser) async fn send(&self, message: &str) -> io::Result<()> {
        let mut pipe = self.0.lock().await;
        if message.len() > LONGEST_WHOLE {
            // A file to be sent, which need not be copied.
            pipe.write_all(message.as_bytes()).await?;
            return pipe.write_all(&[END]).await;
        }
        // One write for both: Chrome is woken once.
        let mut bytes = Vec::with_capacity(message.len() + 1);
        bytes.extend_from_slice(message.as_bytes());
        bytes.push(END);
        pipe.write_all(&bytes).await
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn pipes() -> (Pipe, PipeWriter, PipeReader) {
        let (from_chrome, chrome_writes) = io::pipe().unwrap();
        let (chrome_reads, to_chrome) = io::pipe().unwrap();
        let pipe = Pipe::new(from_chrome, to_chrome).unwrap();
        (pipe, chrome_writes, chrome_reads)
    }

    #[tokio::test]
    async fn messages_are_told_apart_however_they_are_cut() {
        let (mut pipe, mut chrome, _reads) = pipes();
        chrome.write_all(b"{\"id\":1}\0{\"id\"").unwrap();
        let first = pipe.incoming.next().await.unwrap();
        assert!(matches!(first, Part::Whole(message) if message == "{\"id\":1}"));
        chrome.write_all(b":2}\0\0").unwrap();
        let second = pipe.incoming.next().await.unwrap();
        assert!(matches!(second, Part::Whole(message) if message == "{\"id\":2}"));
        let empty = pipe.incoming.next().await.unwrap();
        assert!(matches!(empty, Part::Whole(message) if message.is_empty()));
        chrome.write_all(b"half a message").unwrap();
        drop(chrome);
        assert_eq!(pipe.incoming.next().await.unwrap_err(), CLOSED);
    }

    #[tokio::test]
    async fn a_long_message_is_handed_on_in_parts_of_bounded_size() {
        const LENGTH: usize = 5_000_000;
        let (mut pipe, mut chrome, _reads) = pipes();
        let writing = tokio::task::spawn_blocking(move || {
            chrome.write_all(&vec![b'x'; LENGTH]).unwrap();
            chrome.write_all(b"\0{}\0").unwrap();
            chrome
        });
        let (mut length, mut parts) = (0, 0);
        loop {
            let Part::Piece {
                bytes,
                is_first,
                is_last,
            } = pipe.incoming.next().await.unwrap()
            else {
                panic!("it is longer than what is kept whole");
            };
            assert_eq!(is_first, parts == 0);
            assert!(bytes.len() <= 4 * LONGEST_WHOLE, "{}", bytes.len());
            length += bytes.len();
            parts += 1;
            if is_last {
                break;
            }
        }
        assert_eq!(length, LENGTH);
        assert!(parts > 10);
        let next = pipe.incoming.next().await.unwrap();
        assert!(matches!(next, Part::Whole(message) if message == "{}"));
        drop(writing.await.unwrap());
    }
}
