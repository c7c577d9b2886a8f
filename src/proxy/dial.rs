//! Connections to the outside: a host that the policy names, resolved once, at an address that may be
//! reached, with its certificate verified for that name.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    addresses::{Named, addresses, may_be_asked_for, of_proxy},
    authority::HostPort,
    rules::EgressRules,
};
use crate::policy::{Tls, UpstreamProxy};

/// How long one address may take to answer, and a server to show its certificate.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long the operator's proxy may take to connect: it may try several addresses itself.
const PROXY_ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// The headers of its answer, in bytes at most.
const LONGEST_ANSWER: usize = 16 << 10;

/// Why a host isn't reached. What the other side said is not part of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// The policy doesn't name it.
    #[error("no host of that name and port is in the policy")]
    NotNamed,
    /// All that the name stands for is inside.
    #[error(
        "the name stands for addresses that are not reached: this machine, a private network, or a reserved range"
    )]
    Inside,
    /// No such name.
    #[error("the name can't be resolved")]
    Name,
    /// Nobody answers.
    #[error("the host can't be connected to")]
    Connect,
    /// The operator's proxy is not there, or lets nobody through.
    #[error("the upstream proxy can't be connected to, or does not connect to the host")]
    Upstream,
    /// Its certificate is not good, or it speaks no TLS.
    #[error("the host's certificate does not hold against the system's roots, or it speaks no TLS")]
    Certificate,
}

/// Connects to a host that the policy names.
pub(super) async fn tcp(rules: &EgressRules, to: &HostPort) -> Result<TcpStream, DialError> {
    let named: Named = rules.named(to).ok_or(DialError::NotNamed)?;
    match &rules.reach.upstream {
        // This machine is no business of another.
        Some(proxy) if !to.is_loopback() => by_proxy(proxy, to, named).await,
        _ => {
            let addresses = addresses(to, named).await.map_err(|_| DialError::Name)?;
            if addresses.is_empty() {
                return Err(DialError::Inside);
            }
            first_of(addresses).await.ok_or(DialError::Connect)
        }
    }
}

async fn first_of(addresses: Vec<SocketAddr>) -> Option<TcpStream> {
    for address in addresses {
        if let Ok(Ok(stream)) = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
            // A connection that can't be hurried is slower, and no less good.
            let _ = stream.set_nodelay(true);
            return Some(stream);
        }
    }
    None
}

/// Has the operator's proxy connect. It resolves the name, so where that leads can't be looked at from here: what holds is
/// that the policy names the host, and its certificate.
async fn by_proxy(proxy: &UpstreamProxy, to: &HostPort, named: Named) -> Result<TcpStream, DialError> {
    if !may_be_asked_for(to, named) {
        return Err(DialError::Inside);
    }
    let at = HostPort { host: proxy.host.clone(), port: proxy.port };
    let addresses = of_proxy(&at).await.map_err(|_| DialError::Upstream)?;
    let mut stream = first_of(addresses).await.ok_or(DialError::Upstream)?;
    let connected = timeout(PROXY_ANSWERS_WITHIN, ask(&mut stream, to)).await;
    if matches!(connected, Ok(Ok(true))) { Ok(stream) } else { Err(DialError::Upstream) }
}

/// Asks a proxy for a connection; whether it has made one. Not a byte behind its answer is read: that is the host's.
async fn ask(stream: &mut TcpStream, to: &HostPort) -> io::Result<bool> {
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST_ANSWER {
            return Ok(false);
        }
        head.push(stream.read_u8().await?);
    }
    Ok(made(&head))
}

/// Whether an answer to CONNECT says that there is a connection: any status of 2xx (RFC 9110, section 9.3.6).
fn made(head: &[u8]) -> bool {
    let version = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "));
    version.is_some_and(|rest| matches!(rest, [b'2', b'0'..=b'9', b'0'..=b'9', b' ' | b'\r', ..]))
}

/// Makes the connections of one run's client.
#[derive(Clone)]
pub(super) struct Dial {
    rules: Arc<EgressRules>,
    tls: Arc<ClientConfig>,
}

impl Dial {
    /// Connections that may speak these protocols (ALPN, RFC 7301).
    pub(super) fn new(rules: Arc<EgressRules>, mut tls: ClientConfig, protocols: &[&[u8]]) -> Self {
        tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Self { rules, tls: Arc::new(tls) }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Outside>, DialError> {
        let tls = if uri.scheme_str() == Some("https") { Tls::Yes } else { Tls::No };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let to = HostPort::parse(authority, Some(443)).ok_or(DialError::NotNamed)?;
        let stream = tcp(&self.rules, &to).await?;
        if tls == Tls::No {
            return Ok(TokioIo::new(Outside::Plain(stream)));
        }
        let name = ServerName::try_from(to.host).map_err(|_| DialError::Name)?;
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
        let stream = timeout(CONNECT_WITHIN, handshake).await.map_err(|_| DialError::Connect)?;
        Ok(TokioIo::new(Outside::Tls(Box::new(stream.map_err(|_| DialError::Certificate)?))))
    }
}

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<Outside>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// One connection to the outside.
pub(super) enum Outside {
    /// To a loopback host that the policy names.
    Plain(TcpStream),
    /// Everything else.
    Tls(Box<TlsStream<TcpStream>>),
}

/// The same, by `hyper_util`'s trait for what it pools.
impl Connection for Outside {
    fn connected(&self) -> Connected {
        match self {
            Self::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            Self::Plain(_) | Self::Tls(_) => Connected::new(),
        }
    }
}

impl AsyncRead for Outside {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Outside {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_connected_only_where_it_says_so() {
        for (head, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", true),
            ("HTTP/1.0 200\r\nX: y\r\n\r\n", true),
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false),
            ("HTTP/1.1 2000 x\r\n\r\n", false),
            ("HTTP/1.1 302 Found\r\n\r\n", false),
            ("HTTP/2 200 OK\r\n\r\n", false),
            ("\r\n\r\n", false),
        ] {
            assert_eq!(made(head.as_bytes()), expected, "{head}");
        }
    }
}
