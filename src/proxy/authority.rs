//! Hosts and ports as clients name them, parsed strictly: one spelling for one place.

use std::{fmt, net::IpAddr};

/// A host (lower-case, without a final dot; no IPv6 literals, which no policy names) and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HostPort {
    pub host: String,
    pub port: u16,
}

impl HostPort {
    /// Parses `host[:port]` (RFC 3986, section 3.2, without user information).
    pub(super) fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let digits =
            |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
        let port = match port {
            Some(port) => port.parse().ok().filter(|n| digits(port) && *n != 0)?,
            None => default_port?,
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        (host.len() <= 253 && host.split('.').all(label)).then_some(Self { host, port })
    }

    /// The host as an address, where it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether the host is this machine by its name (RFC 6761, section 6.3) or address.
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || self.address().is_some_and(|address| address.is_loopback())
    }

    /// As in a `Host` header: the port only where it isn't the scheme's.
    pub(super) fn header(&self, scheme_port: u16) -> String {
        if self.port == scheme_port { self.host.clone() } else { self.to_string() }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_one_place() {
        let parse = |text| HostPort::parse(text, Some(443)).map(|authority| authority.to_string());
        assert_eq!(parse("API.Example.com."), Some("api.example.com:443".to_owned()));
        assert_eq!(parse("127.0.0.1:8080"), Some("127.0.0.1:8080".to_owned()));
        for bad in [
            "", "a:0", "a:+1", "a:99999", "a:", "u@a", "[::1]:1", "a b", "a..b", "a/b", "a:1:2", "a\u{e9}",
            "..", "a%2eb",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(HostPort::parse("a", None), None);
    }
}
