//! Which hosts a pattern stands for.

use super::text::{NameError, check_len, text_newtype};

text_newtype!(
    /// A host that a sealed secret may go to: `host` or `host:port`, `*.` in front for its subdomains.
    HostPattern,
    check_host_pattern
);

impl HostPattern {
    /// The host without `*.` in front and without a port, lower-case.
    pub fn host(&self) -> String {
        let (host, _) = split_port(self.as_str());
        host.strip_prefix("*.").unwrap_or(host).to_ascii_lowercase()
    }

    /// The port, where one is written; otherwise the pattern stands for 443.
    pub fn port(&self) -> Option<u16> {
        split_port(self.as_str()).1.and_then(|port| port.parse().ok())
    }

    /// Whether it stands for all the subdomains of a host.
    pub fn is_wildcard(&self) -> bool {
        self.as_str().starts_with("*.")
    }

    /// Whether it covers a host (lower-case, without a final dot) at a port. A wildcard covers every depth
    /// of subdomains, not the host itself, and no address.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        if self.port().unwrap_or(443) != port {
            return false;
        }
        let own = self.host();
        if !self.is_wildcard() {
            return own == host;
        }
        let address = host.parse::<std::net::IpAddr>().is_ok();
        !address && host.strip_suffix(&own).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
    }

    /// Whether a host and port exist that both cover.
    pub fn overlaps(&self, other: &Self) -> bool {
        let inside = |wide: &Self, narrow: &Self| {
            let (wide_host, narrow_host) = (wide.host(), narrow.host());
            wide.is_wildcard() && narrow_host.ends_with(&format!(".{wide_host}"))
        };
        self.port().unwrap_or(443) == other.port().unwrap_or(443)
            && ((self.host() == other.host() && self.is_wildcard() == other.is_wildcard())
                || inside(self, other)
                || inside(other, self))
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

fn check_host_pattern(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "host";
    check_len(WHAT, text, 260)?;
    let (host, port) = split_port(text);
    let host = host.strip_prefix("*.").unwrap_or(host);
    let labels = host.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    });
    let digits = |port: &str| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    let port_fits = port.is_none_or(|port| digits(port) && port.parse::<u16>().is_ok_and(|n| n != 0));
    if labels && host.len() <= 253 && port_fits {
        return Ok(());
    }
    Err(NameError::Malformed {
        what: WHAT,
        allowed: "a host name, *. in front for its subdomains, and a :port if need be",
    })
}
