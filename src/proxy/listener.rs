//! The listeners: who may talk to the proxy, and what each connection is for.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Method, Request, Response, header};
use hyper::{body::Incoming, server::conn::http1, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};
use tokio_rustls::LazyConfigAcceptor;

use super::{
    authority::HostPort,
    body::{Body, nothing},
    dial,
    ledger::Entry,
    refusal::{self, Refusal},
    request, resolver,
    rules::Way,
    run::{self, ASKS_WITHIN, Shared},
    target::{Target, Via},
    terms::Sockets,
};
use crate::policy::Tls;

/// Headers of a request at most, in number and in bytes.
const MOST_HEADERS: usize = 128;
const HEADER_BYTES: usize = 64 << 10;
/// Streams of an HTTP/2 connection at once.
const STREAMS: u32 = 128;

/// What connections to a listener are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The proxy itself.
    Proxy,
    /// A base URL's host.
    Base(usize),
    /// The host whose address it is. No credential is asked for here: a client that knows no proxy has none. Who gets to
    /// this address is in the run's own network, and so could read the credential in the environment of the program: both
    /// ask for the same right over it (`PTRACE_MODE_READ` for `/proc/PID/ns` and `/proc/PID/environ`, proc(5)).
    Hosts,
    /// The run's resolver.
    Resolver,
}

/// Serves on a run's sockets. Of its own listeners the first is the proxy's, the others stand for the base URLs, in order.
pub(super) fn open(run: &Shared, sockets: Sockets) -> io::Result<()> {
    let ports: io::Result<Vec<u16>> = sockets.own.iter().map(|l| l.local_addr().map(|a| a.port())).collect();
    let bases = ports?.into_iter().skip(1).collect();
    // A run's proxy is opened once: it is consumed by serving.
    let _ = run.base_ports.set(bases);
    for (index, listener) in sockets.own.into_iter().enumerate() {
        accept_on(run, listener, index.checked_sub(1).map_or(Door::Proxy, Door::Base))?;
    }
    for listener in sockets.doors {
        accept_on(run, listener, Door::Hosts)?;
    }
    if let Some((datagrams, streams)) = sockets.resolver {
        datagrams.set_nonblocking(true)?;
        run.spawn(resolver::serve_datagrams(run.clone(), UdpSocket::from_std(datagrams)?));
        accept_on(run, streams, Door::Resolver)?;
    }
    Ok(())
}

fn accept_on(run: &Shared, listener: StdListener, door: Door) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    run.spawn(listen(run.clone(), listener, door));
    Ok(())
}

async fn listen(run: Shared, listener: TcpListener, door: Door) {
    loop {
        let Ok(place) = Arc::clone(&run.connections).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Out of descriptors, or a client that is gone already: the next may be luckier.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let serving = run.clone();
        run.spawn(async move {
            match door {
                Door::Proxy => serve_connection(&serving, stream).await,
                Door::Base(index) => serve_base(&serving, stream, index).await,
                Door::Hosts => serve_host(&serving, stream).await,
                Door::Resolver => resolver::serve_stream(&serving, stream).await,
            }
            drop(place);
        });
    }
}

fn http1_server() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(ASKS_WITHIN)
        .max_headers(MOST_HEADERS)
        .max_buf_size(HEADER_BYTES);
    builder
}

/// A connection to the proxy itself.
async fn serve_connection(run: &Shared, stream: TcpStream) {
    let run = run.clone();
    let service = service_fn(move |request| {
        let run = run.clone();
        async move { Ok::<_, Infallible>(handle_proxy_request(&run, request).await) }
    });
    // How a client ends its connection is its own affair.
    let _ = http1_server().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

async fn handle_proxy_request(run: &Shared, request: Request<Incoming>) -> Response<Body> {
    if !knows_credential(run, request.headers()) {
        return refused(run, &request, refusal::CREDENTIAL);
    }
    if request.method() == Method::CONNECT {
        return connect(run, request);
    }
    let authority =
        request.uri().authority().and_then(|authority| HostPort::parse(authority.as_str(), Some(80)));
    let (Some("http"), Some(to)) = (request.uri().scheme_str(), authority) else {
        return refused(run, &request, refusal::FORM);
    };
    if let Some(index) = run.base_at(&to) {
        return request::handle_request(run.clone(), Arc::new(Target::base(run, index)), request).await;
    }
    match run.rules.way(&to) {
        Some(_) if to.is_loopback() => {
            let target = Arc::new(Target { to, tls: Tls::No, via: Via::Proxy });
            request::handle_request(run.clone(), target, request).await
        }
        Some(_) => refused(run, &request, refusal::PLAIN),
        None => refused(run, &request, refusal::NOT_REACHED),
    }
}

fn knows_credential(run: &Shared, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::PROXY_AUTHORIZATION).iter();
    matches!((values.next(), values.next()), (Some(value), None) if run.is_credential(value))
}

fn connect(run: &Shared, mut request: Request<Incoming>) -> Response<Body> {
    // The target is a host and a port, and nothing else (RFC 9110, section 9.3.6).
    let bare = request.uri().scheme().is_none() && request.uri().path_and_query().is_none();
    let authority = request.uri().authority().filter(|_| bare);
    let Some(to) = authority.and_then(|authority| HostPort::parse(authority.as_str(), None)) else {
        return refused(run, &request, refusal::FORM);
    };
    if request.headers().contains_key(header::TRANSFER_ENCODING)
        || request.headers().contains_key(header::CONTENT_LENGTH)
    {
        return refused(run, &request, refusal::MALFORMED);
    }
    let base = run.base_at(&to);
    let Some(way) = run.rules.way(&to).or(base.map(|_| Way::Intercept)) else {
        return refused(run, &request, refusal::NOT_REACHED);
    };
    let Ok(place) = Arc::clone(&run.tunnels).try_acquire_owned() else {
        return refused(run, &request, refusal::TOO_MANY);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let serving = run.clone();
    run.spawn(async move {
        let Ok(stream) = upgrade.await else { return };
        let stream = TokioIo::new(stream);
        match (base, way) {
            (Some(index), _) => serve_base(&serving, stream, index).await,
            (None, Way::Tunnel) => tunnel(&serving, stream, &to).await,
            (None, Way::Intercept) => intercept(&serving, stream, to).await,
        }
        drop(place);
    });
    Response::new(nothing())
}

fn refused(run: &Shared, request: &Request<Incoming>, refusal: Refusal) -> Response<Body> {
    let authority = request.uri().authority().and_then(|a| HostPort::parse(a.as_str(), Some(80)));
    let host = authority.map_or_else(|| "?".to_owned(), |authority| authority.to_string());
    note(run, host, request.method().as_str(), refusal);
    refusal.response()
}

fn note(run: &Shared, host: String, method: &str, refusal: Refusal) {
    Entry::new(&run.ledger, host, method).refuse(refusal);
}

/// A connection to the address of a host, which says what it is for: TLS must agree, what isn't TLS has nothing else.
async fn serve_host(run: &Shared, stream: TcpStream) {
    let Ok(SocketAddr::V4(at)) = stream.local_addr() else { return };
    match run.names.reached_at(at, &run.rules) {
        Some((to, Way::Intercept)) => intercept(run, stream, to).await,
        Some((to, Way::Tunnel)) => tunnel(run, stream, &to).await,
        None => note(run, at.to_string(), "CONNECT", refusal::NOT_REACHED),
    }
}

/// Bytes to a host that no secret goes to.
async fn tunnel(run: &Shared, mut stream: impl AsyncRead + AsyncWrite + Unpin, to: &HostPort) {
    let mut entry = Entry::new(&run.ledger, to.to_string(), "CONNECT");
    match dial::tcp(&run.rules, to).await {
        Err(error) => entry.refuse(request::dial_refusal(&error)),
        Ok(mut outside) => {
            entry.record().status = 200;
            let copied = tokio::io::copy_bidirectional(&mut stream, &mut outside).await;
            if let Ok((sent, received)) = copied {
                entry.record().sent = sent;
                entry.record().received = received;
            }
        }
    }
}

/// A connection to a host that a secret goes to: TLS ends here, and every request is looked at.
async fn intercept<S>(run: &Shared, mut stream: S, to: HostPort)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// The first byte of a TLS record of type handshake (RFC 8446, section 5.1).
    const HANDSHAKE: u8 = 0x16;
    let mut first = [0];
    let begun = timeout(ASKS_WITHIN, stream.read_exact(&mut first)).await;
    if !matches!(begun, Ok(Ok(_))) {
        return;
    }
    let stream = Begun { first: Some(first[0]), stream };
    if first[0] != HANDSHAKE {
        if to.is_loopback() {
            serve(run, stream, Target { to, tls: Tls::No, via: Via::Tunnel }, Speaks::Http1).await;
        } else {
            note(run, to.to_string(), "CONNECT", refusal::PLAIN);
        }
        return;
    }
    let accepted =
        timeout(ASKS_WITHIN, LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream)).await;
    let Ok(Ok(started)) = accepted else { return };
    let name =
        started.client_hello().server_name().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    if name.is_some_and(|name| name != to.host) {
        note(run, to.to_string(), "CONNECT", refusal::NAME_DIFFERS);
        return;
    }
    let Ok(config) = run.ca.server(&to.host) else { return };
    let Ok(Ok(stream)) = timeout(ASKS_WITHIN, started.into_stream(config)).await else { return };
    let speaks = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Speaks::Http2,
        _ => Speaks::Http1,
    };
    serve(run, stream, Target { to, tls: Tls::Yes, via: Via::Tunnel }, speaks).await;
}

/// What was agreed on with the program (ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

async fn serve_base<S>(run: &Shared, stream: S, index: usize)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let target = Target::base(run, index);
    serve(run, stream, target, Speaks::Http1).await;
}

async fn serve<S>(run: &Shared, stream: S, target: Target, speaks: Speaks)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (serving, target) = (run.clone(), Arc::new(target));
    let service = service_fn(move |request| {
        let answer = request::handle_request(serving.clone(), Arc::clone(&target), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let stream = TokioIo::new(stream);
    if speaks == Speaks::Http2 {
        let _ = http2::Builder::new(run.executor())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADER_BYTES as u32)
            .initial_stream_window_size(run::STREAM_WINDOW)
            .initial_connection_window_size(run::CONNECTION_WINDOW)
            .serve_connection(stream, service)
            .await;
    } else {
        let _ = http1_server().serve_connection(stream, service).with_upgrades().await;
    }
}

/// A stream whose first byte was read already.
struct Begun<S> {
    first: Option<u8>,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
