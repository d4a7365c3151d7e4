//! From Chrome's debugging pipe to the websocket that chromiumoxide speaks, and back.
//!
//! ```text
//!  chromiumoxide ◀── websocket on loopback, one connection ──▶ Relay ◀── pipe ──▶ Chrome
//!                                                                └── ServiceWorkers
//! ```
//!
//! chromiumoxide 0.9.1 builds its connection over a TCP socket and nothing else, and Chrome's own port answers every user of
//! the machine. So the service listens on loopback itself, for the moment in which chromiumoxide connects: it lets in
//! the one connection that names a secret of 256 bits, which never leaves this process, and stops listening.
//!
//! Nothing is kept here: each direction reads the next message only when the last one has been taken, so a side that is slow
//! slows down the other. A message may be as long as Chrome's own limits allow (100 MB to Chrome, 256 MB from it).

use std::{
    io,
    net::Ipv4Addr,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use data_encoding::HEXLOWER;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{FuturesUnordered, SplitSink, SplitStream},
};
use rustix::net::sockopt::set_tcp_quickack;
use subtle::ConstantTimeEq as _;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        Bytes, Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::StatusCode,
        protocol::{
            WebSocketConfig,
            frame::{
                Frame,
                coding::{Data, OpCode},
            },
        },
    },
};

use crate::browser::{
    chrome::workers::ServiceWorkers,
    processes::pipe::{Incoming, Outgoing, Part, Pipe},
};

/// chromiumoxide connects and asks within a millisecond. A stranger that sends nothing is disconnected after this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections of strangers at a time: they wait only to be closed.
const MAX_HANDSHAKES: usize = 64;

/// Commands are some hundred bytes; the library's own 128 KiB for each session would be wasted.
const READ_BUFFER: usize = 8 * 1024;

type Socket = WebSocketStream<TcpStream>;

/// A loopback address that one connection may use, once.
pub(in crate::browser) struct Door {
    listener: TcpListener,
    path: String,
}

impl Door {
    /// Opens one.
    pub(in crate::browser) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let secret: [u8; 32] = rand::random();
        let path = format!("/{}", HEXLOWER.encode(&secret));
        Ok(Self { listener, path })
    }

    /// Where to connect to, its secret included.
    pub(in crate::browser) fn address(&self) -> io::Result<String> {
        Ok(format!("ws://{}{}", self.listener.local_addr()?, self.path))
    }

    /// Waits for the one that knows the secret, and closes the door behind it.
    async fn let_in(self) -> io::Result<Socket> {
        let mut handshakes = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if handshakes.len() < MAX_HANDSHAKES => {
                    let (stream, _) = accepted?;
                    // An answer must not wait for the acknowledgement of the one before it.
                    stream.set_nodelay(true)?;
                    handshakes.push(timeout(HANDSHAKE_TIMEOUT, shake_hands(stream, &self.path)));
                }
                Some(shaken) = handshakes.next() => {
                    if let Ok(Some(socket)) = shaken {
                        return Ok(socket);
                    }
                }
            }
        }
    }
}

/// The socket of a peer that asks for this path.
async fn shake_hands(stream: TcpStream, path: &str) -> Option<Socket> {
    let config = WebSocketConfig::default()
        // What comes in is from chromiumoxide, in this process, and Chrome has its own limit.
        .max_message_size(None)
        .max_frame_size(None)
        .read_buffer_size(READ_BUFFER);
    #[expect(
        clippy::result_large_err,
        reason = "the library's own type of a refusal"
    )]
    let knows_the_secret = |request: &Request, response: Response| {
        let asked = request.uri().path().as_bytes();
        if bool::from(asked.ct_eq(path.as_bytes())) {
            Ok(response)
        } else {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = StatusCode::NOT_FOUND;
            Err(refusal)
        }
    };
    accept_hdr_async_with_config(stream, knows_the_secret, Some(config))
        .await
        .ok()
}

/// Carries messages both ways until either side ends; returns the reason. Dropping it closes both sides.
pub(in crate::browser) async fn run(door: Door, pipe: Pipe, workers: ServiceWorkers) -> String {
    let socket = match door.let_in().await {
        Ok(socket) => socket,
        Err(why) => return format!("the service cannot listen on loopback: {why}"),
    };
    let same_socket = match socket.get_ref().as_fd().try_clone_to_owned() {
        Ok(socket) => socket,
        Err(why) => return format!("the relay's websocket failed: {why}"),
    };
    let Pipe { incoming, outgoing } = pipe;
    let (to_client, from_client) = socket.split();
    tokio::select! {
        why = carry_answers(incoming, to_client, workers, outgoing.clone()) => why,
        why = carry_commands(from_client, &same_socket, outgoing) => why,
    }
}

async fn carry_answers(
    mut chrome: Incoming,
    mut client: SplitSink<Socket, Message>,
    mut workers: ServiceWorkers,
    to_chrome: Outgoing,
) -> String {
    loop {
        let (bytes, code, is_last) = match chrome.next().await {
            Err(why) => return why,
            Ok(Part::Whole(message)) => {
                if let Some(commands) = workers.take(&message) {
                    for command in commands {
                        if let Err(why) = to_chrome.send(&command).await {
                            return broken(&why);
                        }
                    }
                    continue;
                }
                (message, Data::Text, true)
            }
            Ok(Part::Piece {
                bytes,
                is_first,
                is_last,
            }) => {
                let code = if is_first { Data::Text } else { Data::Continue };
                (bytes, code, is_last)
            }
        };
        if let Err(why) = client.send(frame(bytes, code, is_last)).await {
            return format!("the relay's websocket failed: {why}");
        }
    }
}

fn frame(bytes: Bytes, code: Data, is_last: bool) -> Message {
    Message::Frame(Frame::message(bytes, OpCode::Data(code), is_last))
}

async fn carry_commands(
    mut client: SplitStream<Socket>,
    same_socket: &OwnedFd,
    chrome: Outgoing,
) -> String {
    while let Some(message) = client.next().await {
        // chromiumoxide leaves Nagle's algorithm on: its next command is held back until this one is acknowledged, which the
        // system does 40 ms later while there is no answer. Where it cannot be set the command is merely late.
        set_tcp_quickack(same_socket, true).ok();
        match message {
            Ok(Message::Text(command)) => {
                if let Err(why) = chrome.send(&command).await {
                    return broken(&why);
                }
            }
            // chromiumoxide sends text only, and a close when it is dropped.
            Ok(_) => {}
            Err(why) => return format!("the relay's websocket failed: {why}"),
        }
    }
    "the relay's websocket was closed".to_owned()
}

fn broken(why: &io::Error) -> String {
    format!("the debugging pipe failed: {why}")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;
    use tokio_tungstenite::{connect_async, tungstenite::Error};

    use super::*;

    #[tokio::test]
    async fn the_door_lets_in_who_knows_the_secret_and_closes_behind_it() {
        let door = Door::open().await.unwrap();
        let address = door.address().unwrap();
        let (host, secret) = address.trim_start_matches("ws://").split_once('/').unwrap();
        assert_eq!(secret.len(), 64, "256 bits");
        let opened = tokio::spawn(door.let_in());

        // A stranger that sends nothing delays no one.
        let _silent = TcpStream::connect(host).await.unwrap();
        for guess in ["", &secret[1..], &"0".repeat(64), "devtools/browser"] {
            let refused = connect_async(format!("ws://{host}/{guess}")).await;
            let Err(Error::Http(answer)) = refused else {
                panic!("{guess:?} was let in");
            };
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        }
        let (mut client, _) = connect_async(&address).await.unwrap();
        let mut server = opened.await.unwrap().unwrap();
        server
            .send(frame(Bytes::from_static(b"{}"), Data::Text, true))
            .await
            .unwrap();
        let heard = client.next().await.unwrap().unwrap();
        assert_eq!(heard, Message::text("{}"));

        // Whether it is known or not.
        assert!(connect_async(&address).await.is_err());
        TcpStream::connect(host).await.unwrap_err();
    }

    #[tokio::test]
    async fn each_door_has_a_secret_of_its_own() {
        let path = async || Door::open().await.unwrap().path;
        assert_ne!(path().await, path().await);
    }
}
