//! Connections to the outside: a host that the policy names, resolved once, at an address that may be
//! reached, with its certificate verified for that name.

use std::{
    io,
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
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    addresses::{Named, addresses},
    authority::HostPort,
    rules::EgressRules,
};
use crate::policy::Tls;

/// How long one address may take to answer, and a server to show its certificate.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

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
    /// Its certificate is not good, or it speaks no TLS.
    #[error("the host's certificate does not hold against the system's roots, or it speaks no TLS")]
    Certificate,
}

/// Connects to a host that the policy names.
pub(super) async fn tcp(rules: &EgressRules, to: &HostPort) -> Result<TcpStream, DialError> {
    let named: Named = rules.named(to).ok_or(DialError::NotNamed)?;
    let addresses = addresses(to, named).await.map_err(|_| DialError::Name)?;
    if addresses.is_empty() {
        return Err(DialError::Inside);
    }
    for address in addresses {
        if let Ok(Ok(stream)) = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
            // A connection that can't be hurried is slower, and no less good.
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
    }
    Err(DialError::Connect)
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
