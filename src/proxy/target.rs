//! What a connection to the proxy is for.

use super::{authority::HostPort, run::Shared};
use crate::policy::Tls;

/// What a connection is for: fixed before its first request.
pub(super) struct Target {
    pub to: HostPort,
    pub tls: Tls,
    pub via: Via,
}

/// How a connection came about, which says what its requests look like.
pub(super) enum Via {
    /// Inside a tunnel: the request names a path.
    Tunnel,
    /// Asked of the proxy: the request names the whole address.
    Proxy,
    /// At an address that stands for one host: the path begins with the run's credential.
    Base { path: String },
}

impl Target {
    /// The host that a base URL stands for.
    pub(super) fn base(run: &Shared, index: usize) -> Self {
        let base = &run.bases[index];
        let to = HostPort { host: base.host.clone(), port: base.port };
        Self { to, tls: base.tls, via: Via::Base { path: base.path.clone() } }
    }

    pub(super) fn scheme_port(&self) -> u16 {
        match self.tls {
            Tls::Yes => 443,
            Tls::No => 80,
        }
    }

    /// The host as a page's origin (RFC 6454, section 6.2).
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.to.header(self.scheme_port()))
    }

    pub(super) fn scheme(&self) -> &'static str {
        match self.tls {
            Tls::Yes => "https",
            Tls::No => "http",
        }
    }
}
