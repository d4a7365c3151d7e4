//! The connections of the API: how many, how long each may take, and how they end.
//!
//! A loop of its own, and not `axum::serve`, which waits for ever for the end of a request's headers, and for a reader that does not
//! read. Of what is asked and answered it knows nothing.

use std::{
    convert::Infallible,
    future::{self, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Sleep, sleep},
};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::connections::{ConnectionPlace, Connections, Limits};
use crate::http::guard::public_url::CameTo;

/// Each takes one of 1024 files that a process usually may have open, and Chromes need some. A caller that comes while
/// all are taken, each by a request at work, waits until one is free.
///
/// One network has half of them at most, and so leaves the other half to the others.
const LIMITS: Limits = Limits {
    all: 512,
    of_one_network: Some(256),
};

/// All callers of a trusted proxy have its address.
const LIMITS_BEHIND_A_PROXY: Limits = Limits {
    of_one_network: None,
    ..LIMITS
};

/// When the system gives no connection, mostly because too many files are open, it is asked again after that.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// From the connection to the end of its first request's headers: milliseconds, on a bad line seconds.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// From one answer to the end of the next request's headers. Longer than proxies keep an idle connection (nginx 60 s, Caddy
/// 120 s): who closes first while the other begins a request makes it fail, and that must not be the service.
const NEXT_REQUEST_TIMEOUT: Duration = Duration::from_secs(130);

/// How long a write may wait while the other side takes nothing of an answer. By then the system's own buffers, hundreds of
/// kilobytes, are full.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Ends the connection that a request came by, whatever that does just then.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct HangUp(CancellationToken);

impl HangUp {
    /// At once.
    pub(in crate::http) fn now(&self) {
        self.0.cancel();
    }
}

/// A request that did not come by a connection of this server has none to end.
impl<S: Sync> FromRequestParts<S> for HangUp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Serves until `stop`, and then as long as requests in flight take. Dropped, it drops their connections.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    is_behind_a_proxy: bool,
    stop: CancellationToken,
) -> io::Result<()> {
    let limits = if is_behind_a_proxy {
        LIMITS_BEHIND_A_PROXY
    } else {
        LIMITS
    };
    serve_within(limits, listeners, router, stop).await
}

async fn serve_within(
    limits: Limits,
    listeners: Vec<TcpListener>,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let connections = Connections::new(limits);
    let mut open = JoinSet::new();
    let mut turn = 0;
    let next = async |turn| {
        let (stream, peer) = accept(&listeners, turn).await;
        let place = connections.admit(peer.ip()).await;
        place.map(|place| (stream, peer, place))
    };
    // Kept when something else happens meanwhile: it may have a connection in hand that waits for its place.
    let mut arriving = Box::pin(next(turn));
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_ended) = open.join_next() => {}
            arrived = arriving.as_mut() => {
                if let Some((stream, peer, place)) = arrived {
                    open.spawn(connection(stream, peer, place, router.clone(), stop.clone()));
                }
                turn += 1;
                arriving.set(next(turn));
            }
        }
    }
    drop(arriving);
    drop(listeners);
    while open.join_next().await.is_some() {}
    Ok(())
}

/// The next connection of any listener; a busy one does not keep the others from their turn.
async fn accept(listeners: &[TcpListener], turn: usize) -> (TcpStream, SocketAddr) {
    loop {
        let accepted = poll_fn(|context| {
            let (before, from) = listeners.split_at(turn % listeners.len().max(1));
            let mut in_turn = from.iter().chain(before);
            let ready = in_turn.find_map(|listener| match listener.poll_accept(context) {
                Poll::Ready(accepted) => Some(accepted),
                Poll::Pending => None,
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        });
        match accepted.await {
            Ok(accepted) => return accepted,
            // The caller went away before it was let in.
            Err(why)
                if matches!(
                    why.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                ) => {}
            Err(why) => {
                tracing::error!("no connection can be accepted: {why}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    place: ConnectionPlace,
    router: Router,
    stop: CancellationToken,
) {
    let (hang_up, asked) = (HangUp::default(), CancellationToken::new());
    let came_to = stream
        .local_addr()
        .map(|address| CameTo(address.ip().to_canonical()));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        asked.cancel();
        let mut request = request.map(|body| place.receiving(Body::new(body)));
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(peer));
        extensions.insert(hang_up.clone());
        if let Ok(came_to) = came_to {
            extensions.insert(came_to);
        }
        let (answer, place) = (router.clone().call(request), place.clone());
        async move {
            let response = answer.await?;
            Ok::<_, Infallible>(response.map(|body| place.answering(body)))
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_REQUEST_TIMEOUT)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream)), service);
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
            () = place.gives_way() => return,
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
struct WriteTimeout<S> {
    stream: S,
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteTimeout<S> {
    const fn new(stream: S) -> Self {
        Self {
            stream,
            waits: None,
        }
    }

    fn limit<T>(
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

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.limit(context, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.limit(context, wrote)
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
        served_within(LIMITS).await
    }

    async fn served_within(
        limits: Limits,
    ) -> (SocketAddr, CancellationToken, JoinSet<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, mut serving) = (CancellationToken::new(), JoinSet::new());
        let cut = async |Extension(hang_up): Extension<HangUp>| {
            hang_up.now();
            future::pending::<()>().await;
        };
        let router = Router::new()
            .route("/", get(async || "yes").post(async |body: String| body))
            .route("/cut", get(cut))
            .route("/never", get(future::pending::<()>))
            .route("/hidden", get(async || "HIDDEN"));
        serving.spawn(serve_within(limits, vec![listener], router, stop.clone()));
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

    #[tokio::test]
    async fn connections_that_ask_nothing_give_way_whatever_they_have_sent_and_those_at_work_stay()
    {
        let (addr, _stop, _serving) = served_within(Limits {
            all: 4,
            of_one_network: Some(4),
        })
        .await;
        let mut open = Vec::new();
        for begun in [
            &b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            b"",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx",
        ] {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(begun).await.unwrap();
            open.push(stream);
        }
        for _ in 0..5 {
            let mut caller = TcpStream::connect(addr).await.unwrap();
            caller
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            let mut answer = vec![0; 512];
            let size = caller.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..size]).into_owned();
            assert!(
                answer.contains("content-length: 3\r\n") && answer.ends_with("yes"),
                "{answer}"
            );
            open.push(caller);
        }
        let mut at_work = open.swap_remove(0);
        assert!(
            tokio::time::timeout(Duration::from_millis(10), rest(&mut at_work))
                .await
                .is_err()
        );
        for silent in &mut open[1..4] {
            assert_eq!(rest(silent).await.0, "");
        }
    }

    /// A proxy in front reads where a request ends in one way. One that the service could end elsewhere must not leave
    /// a second one behind, which the proxy has never seen.
    #[tokio::test]
    async fn no_request_is_hidden_in_another() {
        let (addr, _stop, _serving) = served().await;
        let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
        let length = hidden.len();
        for (version, headers, body) in [
            (
                "1.1",
                "Content-Length: 6\r\nTransfer-Encoding: chunked",
                "0\r\n\r\n",
            ),
            (
                "1.1",
                "Transfer-Encoding: chunked\r\nContent-Length: 6",
                "0\r\n\r\n",
            ),
            ("1.1", "Content-Length: 0\r\nContent-Length: 5", ""),
            ("1.1", "Content-Length: 0, 5", ""),
            ("1.1", "Content-Length: +0", ""),
            ("1.1", "Content-Length: 0x0", ""),
            ("1.1", "Content-Length : 0", ""),
            ("1.1", "Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
            ("1.1", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
            ("1.1", "Transfer-Encoding : chunked", "0\r\n\r\n"),
            ("1.1", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
            ("1.0", "Transfer-Encoding: chunked", "0\r\n\r\n"),
            ("1.1", "Transfer-Encoding: chunked", "10000000000000000\r\n"),
            ("1.1", "Transfer-Encoding: chunked", "-0\r\n\r\n"),
            ("1.1", &format!("Content-Length: {length}"), ""),
        ] {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            let head = format!("POST / HTTP/{version}\r\nHost: x\r\n{headers}\r\n\r\n");
            let whole = format!("{head}{body}{hidden}");
            stream.write_all(whole.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let (answers, _) = rest(&mut stream).await;
            let last = answers.rsplit("\r\n\r\n").next().unwrap();
            assert_ne!(last, "HIDDEN", "{headers}: {answers}");
            assert!(
                answers.matches("HTTP/1.1 ").count() <= 1,
                "{headers}: {answers}"
            );
        }
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
        let mut near = WriteTimeout::new(near);
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
