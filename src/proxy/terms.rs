//! What a proxy is made for: the sealed secrets of a run and what it may reach; and why one can't be made.

use std::{
    net::{TcpListener, UdpSocket},
    pin::Pin,
    time::Duration,
};

use crate::{
    names::SecretName,
    policy::{EgressAllowlist, Seal},
    redact::Needles,
    value::SecretValue,
};

/// A sealed secret: what the policy says of it, and its value.
pub struct Sealed {
    /// Which.
    pub name: SecretName,
    /// Hosts, injection, places.
    pub seal: Seal,
    /// The value.
    pub value: SecretValue,
}

/// What one run may reach, and with what.
pub struct ProxyTerms {
    /// Its sealed secrets.
    pub sealed: Vec<Sealed>,
    /// What it may reach beside their hosts.
    pub reach: EgressAllowlist,
    /// The needles of everything else that the scope was given.
    pub known: Vec<Needles>,
    /// How long the run's certificate authority lives.
    pub lifetime: Duration,
}

/// What a proxy serves on.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Its own, and one for each base URL, in order.
    pub own: Vec<TcpListener>,
    /// At the addresses of its hosts.
    pub doors: Vec<TcpListener>,
    /// At which names are asked for.
    pub resolver: Option<(UdpSocket, TcpListener)>,
}

impl From<Vec<TcpListener>> for Sockets {
    fn from(own: Vec<TcpListener>) -> Self {
        Self { own, ..Self::default() }
    }
}

/// Why a run's proxy can't be made.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// A value that could not be taken out of what comes back.
    #[error("the value of {0} is too short to be sealed: it could not be taken out of an answer")]
    TooShort(SecretName),
    /// The operator's roots aren't certificates.
    #[error("the policy's extra_ca is not a bundle of certificates")]
    ExtraCa,
    /// A certificate can't be made.
    #[error("the run's certificates can't be made")]
    Certificate(#[source] rcgen::Error),
    /// TLS can't be set up.
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
    /// A listener can't be used.
    #[error("the run's proxy can't listen")]
    Listen(#[source] std::io::Error),
}

impl EgressError {
    pub(super) fn certificate(error: rcgen::Error) -> Self {
        Self::Certificate(error)
    }
}

/// Whether a run still may do what it was allowed to. Asked before anything with a value in it leaves.
pub trait Right: Send + Sync {
    /// Looks as things are at this moment; what can't be looked at is a no.
    fn holds(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}
