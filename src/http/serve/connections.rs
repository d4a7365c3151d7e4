//! Which connections are open, and which of them gives way when another one comes.
//!
//! A connection that asks nothing holds a place that a caller with a request needs. So when no place is left, the connection
//! that has asked nothing for the longest time is closed, and no connection with a request at work ever is.
//!
//! ```text
//!  opened ──▶ idle ──headers──▶ arriving ──whole body──▶ busy ──whole answer──▶ idle
//!               └────── may give way ──────┘
//! ```
//!
//! A request whose body is still arriving has begun nothing, so its connection may give way too: bodies that never end would
//! hold the places otherwise.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::http::guard::client::{is_of_a_private_network, network_of};

/// A caller that has just connected sends its request within milliseconds, and one that has just been answered may send the
/// next. Neither is cut off, unless every place is taken by connections as new as this: then the new one waits so long.
const LEAST_IDLE: Duration = Duration::from_millis(250);

/// A reached limit is logged, but not once for each connection of a flood.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How many connections may be open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) all: usize,
    /// Of one network that stands for one owner ([`owner_of`]); `None` behind a proxy, which all callers come from.
    pub(super) of_one_network: Option<usize>,
}

/// The open connections; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    open: Mutex<Open>,
    /// A place has become free, or a connection idle. Only the loop that accepts connections waits for it.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    last_id: u64,
    by_id: HashMap<u64, OpenConnection>,
    told_at: Option<Instant>,
}

#[derive(Debug)]
struct OpenConnection {
    /// `None` when its address says nothing about its owner.
    network: Option<IpAddr>,
    /// Since when it has been idle, or its request has been arriving; `None` while a request is at work.
    idle_since: Option<Instant>,
    gives_way: CancellationToken,
}

/// What becomes of a new connection.
enum ConnectionDecision {
    Admitted(ConnectionPlace),
    /// Its network has all the places that one network may have, each with a request at work.
    Refused,
    /// There is no place, and the first one that may give way does so then.
    Full(Option<Instant>),
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits,
            open: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// A place for a connection from `peer`, as soon as there is one; `None` when its network has too many at work.
    pub(super) async fn admit(&self, peer: IpAddr) -> Option<ConnectionPlace> {
        let network = owner_of(peer.to_canonical());
        loop {
            let ripe_at = match self.try_admit(network) {
                ConnectionDecision::Admitted(place) => return Some(place),
                ConnectionDecision::Refused => return None,
                ConnectionDecision::Full(ripe_at) => ripe_at,
            };
            let ripens = async {
                match ripe_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.0.changed.notified() => {}
                () = ripens => {}
            }
        }
    }

    fn try_admit(&self, network: Option<IpAddr>) -> ConnectionDecision {
        let (mut open, now) = (self.0.open.lock(), Instant::now());
        let Limits {
            all,
            of_one_network,
        } = self.0.limits;
        if let (Some(network), Some(of_one_network)) = (network, of_one_network) {
            let is_of_it = |connection: &OpenConnection| connection.network == Some(network);
            if open.by_id.values().filter(|it| is_of_it(it)).count() >= of_one_network {
                open.tell(now, &format!("{network} has {of_one_network} connections"));
                match open.longest_idle(is_of_it) {
                    Some((id, _)) => open.give_way(id),
                    None => return ConnectionDecision::Refused,
                }
            }
        }
        if open.by_id.len() >= all {
            open.tell(now, &format!("{all} connections are open"));
            match open.longest_idle(|_| true) {
                Some((id, since)) if since + LEAST_IDLE <= now => open.give_way(id),
                idle => return ConnectionDecision::Full(idle.map(|(_, since)| since + LEAST_IDLE)),
            }
        }
        open.last_id += 1;
        let (id, gives_way) = (open.last_id, CancellationToken::new());
        let connection = OpenConnection {
            network,
            idle_since: Some(now),
            gives_way: gives_way.clone(),
        };
        open.by_id.insert(id, connection);
        ConnectionDecision::Admitted(ConnectionPlace(Arc::new(Held {
            id,
            gives_way,
            shared: Arc::clone(&self.0),
        })))
    }
}

/// The network that stands for the owner of this address. `None` where many may come from one address: every program of this
/// machine has its loopback address, all callers of a port that a container publishes have its bridge's gateway, and a
/// proxy on another machine of a private network speaks for all of its callers. A limit would be one for all of them
/// together.
fn owner_of(peer: IpAddr) -> Option<IpAddr> {
    (!is_of_a_private_network(peer)).then(|| network_of(peer))
}

impl Open {
    fn longest_idle(&self, may: impl Fn(&OpenConnection) -> bool) -> Option<(u64, Instant)> {
        let idle = self.by_id.iter().filter(|(_, connection)| may(connection));
        let idle = idle.filter_map(|(id, connection)| Some((*id, connection.idle_since?)));
        // Of two that became idle in one moment, the older: ids count up.
        idle.min_by_key(|(id, since)| (*since, *id))
    }

    /// Its place is free from now on: it takes no request any more, and closes within microseconds.
    fn give_way(&mut self, id: u64) {
        if let Some(connection) = self.by_id.remove(&id) {
            connection.gives_way.cancel();
        }
    }

    fn tell(&mut self, now: Instant, what: &str) {
        if self
            .told_at
            .is_none_or(|told_at| told_at + TOLD_EVERY <= now)
        {
            self.told_at = Some(now);
            tracing::warn!("{what}, which is as many as may be: those that ask nothing give way");
        }
    }
}

/// The place of one connection, free again when all clones are dropped.
#[derive(Clone, Debug)]
pub(super) struct ConnectionPlace(Arc<Held>);

#[derive(Debug)]
struct Held {
    id: u64,
    gives_way: CancellationToken,
    shared: Arc<Shared>,
}

impl ConnectionPlace {
    /// Resolves when the connection is to be closed at once.
    pub(super) async fn gives_way(&self) {
        self.0.gives_way.cancelled().await;
    }

    /// A request has come, and its body is still on the way.
    fn arrives(&self) {
        self.set_idle_since(Some(Instant::now()));
    }

    /// A request is at work. `false`: the connection has given way, and nothing may be begun any more.
    fn is_busy(&self) -> bool {
        self.set_idle_since(None)
    }

    fn set_idle_since(&self, idle_since: Option<Instant>) -> bool {
        let mut open = self.0.shared.open.lock();
        let connection = open.by_id.get_mut(&self.0.id);
        connection.is_some_and(|connection| {
            connection.idle_since = idle_since;
            true
        })
    }

    /// The body of a request, whose end makes the connection busy.
    pub(super) fn receiving(&self, body: Body) -> Body {
        let phase = if !body.is_end_stream() {
            self.arrives();
            Phase::Arriving(self.clone())
        } else if self.is_busy() {
            return body;
        } else {
            Phase::GivenWay
        };
        Body::new(FollowedBody { body, phase })
    }

    /// The body of an answer, whose end makes the connection idle.
    pub(super) fn answering(&self, body: Body) -> Body {
        // A handler need not read the body of its request.
        self.is_busy();
        let phase = Phase::Answering {
            _busy: Busy(self.clone()),
        };
        Body::new(FollowedBody { body, phase })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.open.lock().by_id.remove(&self.id);
        self.shared.changed.notify_one();
    }
}

/// A body whose end changes what its connection does.
struct FollowedBody {
    body: Body,
    phase: Phase,
}

enum Phase {
    /// A request's body is on the way.
    Arriving(ConnectionPlace),
    /// The connection has given way: what came by it is never begun.
    GivenWay,
    /// An answer is on the way.
    Answering { _busy: Busy },
}

impl HttpBody for FollowedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if matches!(this.phase, Phase::GivenWay) {
            return Poll::Pending;
        }
        let frame = Pin::new(&mut this.body).poll_frame(context);
        if let Phase::Arriving(place) = &this.phase {
            let is_whole = matches!(frame, Poll::Ready(None)) || this.body.is_end_stream();
            if is_whole && !place.is_busy() {
                this.phase = Phase::GivenWay;
                return Poll::Pending;
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        !matches!(self.phase, Phase::GivenWay) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Makes the connection idle when it is dropped.
struct Busy(ConnectionPlace);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set_idle_since(Some(Instant::now()));
        self.0.0.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures_util::{FutureExt as _, stream};
    use tokio::time::{advance, timeout};

    use super::*;

    const LIMITS: Limits = Limits {
        all: 4,
        of_one_network: Some(2),
    };

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    async fn admitted(connections: &Connections, address: &str) -> ConnectionPlace {
        let admitted = connections.admit(at(address));
        let admitted = timeout(Duration::from_secs(1), admitted).await;
        admitted.expect("in time").expect("not refused")
    }

    fn is_open(place: &ConnectionPlace) -> bool {
        place.gives_way().now_or_never().is_none()
    }

    /// As a connection whose request has no body.
    fn asks(place: &ConnectionPlace) -> Body {
        let _none = place.receiving(Body::empty());
        place.answering(Body::from("answer"))
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_one_gives_way_and_one_at_work_never_does() {
        let connections = Connections::new(LIMITS);
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(admitted(&connections, "127.0.0.1").await);
            advance(LEAST_IDLE).await;
        }
        let answer = asks(&open[0]);
        let _fifth = admitted(&connections, "::1").await;
        let states: Vec<bool> = open.iter().map(is_open).collect();
        assert_eq!(states, [true, false, true, true]);
        // It is the newest now, so it is the last to go.
        drop(answer);
        let _sixth = admitted(&connections, "127.0.0.1").await;
        assert!(is_open(&open[0]) && !is_open(&open[2]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_new_has_its_time_and_the_one_after_it_waits() {
        let connections = Connections::new(LIMITS);
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(admitted(&connections, "127.0.0.1").await);
        }
        let since = Instant::now();
        open.push(admitted(&connections, "127.0.0.1").await);
        assert!((LEAST_IDLE..LEAST_IDLE * 2).contains(&since.elapsed()));
        // While all of them work, a new one waits until one has done.
        let mut answers: Vec<_> = open.iter().filter(|it| is_open(it)).map(asks).collect();
        assert_eq!(answers.len(), 4);
        let mut waiting = Box::pin(connections.admit(at("127.0.0.1")));
        assert!(
            timeout(Duration::from_secs(60), &mut waiting)
                .await
                .is_err()
        );
        drop(answers.pop());
        assert!(timeout(LEAST_IDLE * 2, waiting).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_has_its_share_and_loopback_has_all() {
        let connections = Connections::new(LIMITS);
        let first = admitted(&connections, "2001:db8:1:2::1").await;
        let second = admitted(&connections, "2001:db8:1:2:ffff::2").await;
        // The next one of that network costs that network, and at once.
        let third = admitted(&connections, "2001:db8:1:2::3").await;
        assert!(!is_open(&first) && is_open(&second));
        let answers = [asks(&second), asks(&third)];
        let more = connections.admit(at("2001:db8:1:2::4"));
        assert!(
            more.now_or_never()
                .expect("it is not kept waiting")
                .is_none()
        );
        let _other_network = admitted(&connections, "2001:db8:1:3::1").await;
        drop(answers);
        let mut of_loopback = Vec::new();
        for address in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
            advance(LEAST_IDLE).await;
            of_loopback.push(admitted(&connections, address).await);
        }
        assert!(of_loopback.iter().all(is_open));
    }

    #[tokio::test(start_paused = true)]
    async fn callers_who_come_by_one_gateway_or_proxy_may_have_all_and_then_wait() {
        let behind_a_proxy = Limits {
            of_one_network: None,
            ..LIMITS
        };
        for (limits, address) in [
            (LIMITS, "172.17.0.1"),
            (LIMITS, "::ffff:192.168.65.1"),
            (LIMITS, "169.254.1.1"),
            (LIMITS, "fd00::1"),
            (LIMITS, "fe80::1"),
            (behind_a_proxy, "203.0.113.1"),
            (behind_a_proxy, "2001:db8::1"),
        ] {
            let connections = Connections::new(limits);
            let mut answers = Vec::new();
            for _ in 0..limits.all {
                answers.push(asks(&admitted(&connections, address).await));
            }
            let mut waiting = Box::pin(connections.admit(at(address)));
            let waits = timeout(Duration::from_secs(60), &mut waiting).await;
            assert!(waits.is_err(), "{address}");
            drop(answers.pop());
            let admitted = timeout(LEAST_IDLE * 2, waiting).await.unwrap();
            assert!(admitted.is_some(), "{address}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_holds_no_place_and_one_that_ends_too_late_is_never_begun() {
        let connections = Connections::new(Limits {
            all: 1,
            of_one_network: Some(1),
        });
        let first = admitted(&connections, "127.0.0.1").await;
        let endless = stream::pending::<Result<Bytes, axum::Error>>();
        let arriving = first.receiving(Body::from_stream(endless));
        let second = admitted(&connections, "127.0.0.1").await;
        assert!(!is_open(&first));
        drop(arriving);
        let late = first.receiving(Body::from("{}"));
        assert!(to_bytes(late, 100).now_or_never().is_none());
        let late = first.receiving(Body::empty());
        assert!(to_bytes(late, 100).now_or_never().is_none());
        // And one that ends in time is begun, and read whole.
        let body = second.receiving(Body::from("{}"));
        assert_eq!(to_bytes(body, 100).await.unwrap(), "{}");
        let waiting = connections.admit(at("127.0.0.1"));
        assert!(timeout(Duration::from_secs(60), waiting).await.is_err());
    }
}
