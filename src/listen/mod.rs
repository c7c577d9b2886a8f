//! Listening within bounds, for whoever serves HTTP/1: over TCP, or over the daemon's socket.
//!
//! Connections enter; what leaves are requests, each with the [`Guest`] that it came with. A connection is nobody's
//! until a request on it has proven who calls: of such there are few, the oldest makes room for the newest, and each
//! has [`Bounds::header`] to send a request's head. Anybody can open connections, so whatever is unbounded here could
//! be used up by anybody. Nothing here reads a credential.

mod bounds;
mod stall;
mod table;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;

pub(crate) use bounds::Bounds;
use stall::Unread;
pub(crate) use table::Guest;
use table::{Seat, Table};

/// How long what is nobody's may still take once it is over.
const LAST: Duration = Duration::from_secs(1);
/// How long no connection is taken where the system has none to give.
const BREATH: Duration = Duration::from_millis(20);
/// What is read ahead of one connection, in bytes: the longest head of a request.
const READ_AHEAD: usize = 64 << 10;

/// Raises the limit of this process's descriptors as far as it may, and returns what it was: programs that it starts
/// are given that again, since some walk through all that there may be, and others still use `select(2)`.
pub(crate) fn raise_descriptor_limit() -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    // Where it can't be raised, the bounds are smaller.
    let _ = setrlimit(Resource::Nofile, raised);
    before.current
}

/// What connections come from.
pub(crate) trait Listener: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Who is at its other end; each request has it among its extensions.
    type Peer: Clone + Send + Sync + 'static;

    /// The next connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;

    /// What counts as one peer.
    fn name(peer: &Self::Peer) -> String;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = Self::accept(self).await?;
        // An event is small and wanted now.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }

    fn name(peer: &SocketAddr) -> String {
        peer.ip().to_string()
    }
}

/// Serves until `stop`; then lets what has been begun end.
pub(crate) async fn serve<L, S, B>(listener: L, bounds: Bounds, app: S, stop: CancellationToken)
where
    L: Listener,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (table, tracker) = (Arc::new(Table::new(bounds)), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let seat = table.seat(&L::name(&peer));
                let (app, stop) = (app.clone(), stop.clone());
                tracker.spawn(connection(stream, peer, seat, bounds, app, stop));
            }
            Err(error) if of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection can't be taken");
                table.make_room();
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    tracker.close();
    if tokio::time::timeout(LAST, tracker.wait()).await.is_err() {
        table.dismiss_unproven();
        tracker.wait().await;
    }
}

fn of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// One connection, from its first byte to its last. HTTP/1 only: HTTP/2 would carry any number of requests on one.
async fn connection<T, P, S, B>(
    stream: T,
    peer: P,
    seat: Seat,
    bounds: Bounds,
    app: S,
    stop: CancellationToken,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    P: Clone + Send + Sync + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let answer = answering(app, peer, seat.guest());
    let io = TokioIo::new(Unread::new(stream, bounds.unread));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .max_buf_size(READ_AHEAD)
        .serve_connection(io, answer)
        .with_upgrades();
    let mut served = pin!(served);
    let done = tokio::select! {
        done = served.as_mut() => done,
        () = seat.dismissed() => return,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                done = served.as_mut() => done,
                () = seat.dismissed() => return,
            }
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Hands each request on with who it came from and on what, which is busy until it is answered.
fn answering<P, S, B>(
    app: S,
    peer: P,
    guest: Guest,
) -> impl hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
where
    P: Clone + Send + Sync + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
    S::Future: Send,
    B: Body,
{
    service_fn(move |mut request: Request<Incoming>| {
        let asks = guest.asks();
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(guest.clone());
        let answered = app.clone().call(request);
        async move {
            let response = answered.await;
            drop(asks);
            response
        }
    })
}
