//! The connections of the API: how many, how long each may take, and how they end.
//!
//! Our own loop and not `axum::serve`, which waits for ever for the end of a request's headers, and for a reader that does not
//! read. Of what is asked and answered it knows nothing.

use std::{
    convert::Infallible,
    future, io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
    serve::Listener,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{Sleep, sleep},
};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

/// Each takes one of 1024 files that a process usually may have open, and Chromes need some. Who comes when all are taken waits
/// in the system's queue until one is free.
const MAX_CONNECTIONS: usize = 512;

/// From the connection to the end of its first request's headers: milliseconds, on a bad line seconds.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// From one answer to the end of the next request's headers. Longer than proxies keep an idle connection (nginx 60 s, Caddy
/// 120 s): who closes first while the other begins a request makes it fail, and that must not be us.
const NEXT_REQUEST_TIMEOUT: Duration = Duration::from_secs(130);

/// For a piece of an answer that the other side does not take. The system has taken hundreds of kilobytes before that.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Ends the connection that a request came by, whatever that does just then.
#[derive(Clone, Debug, Default)]
pub(super) struct HangUp(CancellationToken);

impl HangUp {
    /// At once.
    pub(super) fn now(&self) {
        self.0.cancel();
    }
}

/// A request that did not come by a connection of ours has none to end.
impl<S: Sync> FromRequestParts<S> for HangUp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Serves until `stop`, and then as long as requests in flight take. Dropped, it drops their connections.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, Listener::accept(&mut listener).await)
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_ended) = open.join_next() => {}
            (place, (stream, peer)) = accepted => {
                let connection = connection(stream, peer, router.clone(), stop.clone());
                open.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
    Ok(())
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    let (hang_up, asked) = (HangUp::default(), CancellationToken::new());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        asked.cancel();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(hang_up.clone());
        router.clone().call(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_REQUEST_TIMEOUT)
        .serve_connection(TokioIo::new(Hurried::new(stream)), service);
    let mut serving = pin!(serving);
    let mut asks_nothing = pin!(async {
        tokio::select! {
            () = asked.cancelled() => future::pending().await,
            () = sleep(FIRST_REQUEST_TIMEOUT) => {}
        }
    });
    let mut stops = pin!(stop.cancelled());
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // What goes wrong with a connection is its caller's loss, and no news.
            _ended = serving.as_mut() => return,
            () = hang_up.0.cancelled() => return,
            () = asks_nothing.as_mut() => return,
            () = stops.as_mut(), if !is_stopping => {
                if !asked.is_cancelled() {
                    return;
                }
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A connection whose writes fail when the other side takes nothing for [`WRITE_TIMEOUT`].
struct Hurried<S> {
    stream: S,
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S> Hurried<S> {
    const fn new(stream: S) -> Self {
        Self {
            stream,
            waits: None,
        }
    }

    fn hurry<T>(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.waits = None;
            return wrote;
        }
        let waits = self
            .waits
            .get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        let is_over = waits.as_mut().poll(context);
        is_over.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Hurried<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hurried<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.hurry(context, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.hurry(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::{Extension, routing::get};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::Instant,
    };

    use super::*;

    async fn served() -> (SocketAddr, CancellationToken, JoinSet<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, mut serving) = (CancellationToken::new(), JoinSet::new());
        let cut = async |Extension(hang_up): Extension<HangUp>| {
            hang_up.now();
            future::pending::<()>().await;
        };
        let router = Router::new()
            .route("/", get(async || "yes"))
            .route("/cut", get(cut));
        serving.spawn(serve(listener, router, stop.clone()));
        (addr, stop, serving)
    }

    /// What comes until the connection ends, and how long that takes.
    async fn rest(stream: &mut TcpStream) -> (String, Duration) {
        let (mut text, since) = (String::new(), Instant::now());
        // A connection that is cut may be reset.
        let _ended = stream.read_to_string(&mut text).await;
        (text, since.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_come_to_the_end_of_the_headers_is_cut_off() {
        let (addr, _stop, _serving) = served().await;
        for begun in ["", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow"] {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            let (_, took) = rest(&mut stream).await;
            assert!(took <= FIRST_REQUEST_TIMEOUT * 2, "{took:?}");
        }
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let one_and_a_half = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX-Slow";
        stream.write_all(one_and_a_half).await.unwrap();
        let (text, took) = rest(&mut stream).await;
        assert!(text.ends_with("yes"), "{text}");
        assert!(
            FIRST_REQUEST_TIMEOUT < took && took <= NEXT_REQUEST_TIMEOUT * 2,
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_can_end_its_connection() {
        let (addr, _stop, _serving) = served().await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let asked = b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(asked).await.unwrap();
        assert_eq!(rest(&mut stream).await.0, "");
    }

    #[tokio::test]
    async fn a_stop_ends_what_is_idle_or_was_never_asked_and_the_loop() {
        let (addr, stop, mut serving) = served().await;
        let mut silent = TcpStream::connect(addr).await.unwrap();
        let mut idle = TcpStream::connect(addr).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 512];
        assert!(idle.read(&mut answer).await.unwrap() > 0);
        stop.cancel();
        serving.join_next().await.unwrap().unwrap().unwrap();
        rest(&mut silent).await;
        rest(&mut idle).await;
        assert!(TcpStream::connect(addr).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_is_given_up_and_a_slow_one_is_not() {
        let (near, mut far) = duplex(16);
        let mut near = Hurried::new(near);
        let since = Instant::now();
        let slow = async {
            for _ in 0..4 {
                sleep(WRITE_TIMEOUT * 9 / 10).await;
                far.read_exact(&mut [0; 16]).await.unwrap();
            }
        };
        let (wrote, ()) = tokio::join!(near.write_all(&[0; 80]), slow);
        wrote.unwrap();
        assert!(since.elapsed() > WRITE_TIMEOUT * 3);
        let stuck = near.write_all(&[0; 80]).await.unwrap_err();
        assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
    }
}
