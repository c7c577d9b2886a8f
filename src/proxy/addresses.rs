//! Which address a name stands for, asked once; and which addresses are reached at all.
//!
//! Nothing of an environment decides: names are asked for in full, with a final dot, so that neither
//! `LOCALDOMAIN`, `HOSTALIASES` nor a search list says what they mean (resolver(5), hosts(5)).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::authority::HostPort;
use crate::system::HOSTS;

/// How a policy names a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// By its name: what it resolves to must be a public address.
    Plainly,
    /// With a port: a private network is meant, and this machine where the name says so.
    WithPort,
}

/// What an address is reached for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    /// Networks of one's own (RFC 1918, RFC 4193, RFC 6598).
    Private,
    /// This machine.
    Loopback,
    /// Link-local, cloud metadata, multicast, reserved: reached only as a literal that a policy names.
    Never,
}

/// Addresses outside the ranges above at which clouds hand out credentials.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// The addresses of a host that may be reached, to be tried in order; none where all are refused.
///
/// # Errors
/// Where the name can't be resolved.
pub(super) async fn addresses(of: &HostPort, named: Named) -> io::Result<Vec<SocketAddr>> {
    let found = resolve(of).await?;
    let reached = found.into_iter().filter(|address| permitted(*address, of, named));
    Ok(reached.map(|address| SocketAddr::new(address, of.port)).collect())
}

/// Whether a host that somebody else resolves may be asked for: an address that is written out is held to the same.
pub(super) fn may_be_asked_for(of: &HostPort, named: Named) -> bool {
    of.address().is_none_or(|address| permitted(address, of, named))
}

/// The addresses of a proxy that the operator names, wherever it is.
///
/// # Errors
/// Where the name can't be resolved.
pub(super) async fn of_proxy(of: &HostPort) -> io::Result<Vec<SocketAddr>> {
    Ok(resolve(of).await?.into_iter().map(|address| SocketAddr::new(address, of.port)).collect())
}

async fn resolve(of: &HostPort) -> io::Result<Vec<IpAddr>> {
    if let Some(address) = of.address() {
        return Ok(vec![address]);
    }
    if of.is_loopback() {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let listed = tokio::fs::read_to_string(HOSTS).await.map(|text| in_hosts(&text, &of.host));
    match listed {
        Ok(listed) if !listed.is_empty() => Ok(listed),
        _ => {
            let found = tokio::net::lookup_host((format!("{}.", of.host), of.port)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
    }
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(host)).then_some(address)
    });
    entries.collect()
}

fn permitted(address: IpAddr, of: &HostPort, named: Named) -> bool {
    let literal = named == Named::WithPort && of.address() == Some(address);
    match (kind(address), named) {
        _ if literal => true,
        (Kind::Public, _) | (Kind::Private, Named::WithPort) => true,
        (Kind::Loopback, Named::WithPort) => of.is_loopback(),
        (Kind::Private | Kind::Loopback, Named::Plainly) | (Kind::Never, _) => false,
    }
}

fn kind(address: IpAddr) -> Kind {
    if METADATA.contains(&address) {
        return Kind::Never;
    }
    match address {
        IpAddr::V4(v4) => kind_v4(v4),
        IpAddr::V6(v6) => kind_v6(v6),
    }
}

/// The registry of special-purpose addresses (RFC 6890) and what has been added to it.
fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        [127, ..] => Kind::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Kind::Private,
        [0, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [198, 18 | 19, ..] => Kind::Never,
        [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] | [224..=255, ..] => Kind::Never,
        _ => Kind::Public,
    }
}

/// Addresses that carry an IPv4 address (mapped, compatible, NAT64, 6to4) are what they carry.
fn kind_v6(address: Ipv6Addr) -> Kind {
    let carried = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        kind(Ipv4Addr::new(a, b, c, d).into())
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Never,
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => carried(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
        [0x2002, high, low, ..] => carried(high, low),
        [0xfc00..=0xfdff, ..] => Kind::Private,
        // Global unicast is 2000::/3; in it, Teredo, documentation and benchmarking are nobody's.
        [0x2001, 0 | 2 | 0xdb8, ..] => Kind::Never,
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(host: &str, address: &str, named: Named) -> bool {
        let authority = HostPort::parse(host, Some(443)).unwrap();
        permitted(address.parse().unwrap(), &authority, named)
    }

    #[test]
    fn what_is_inside_is_not_reached_by_a_name() {
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "198.18.0.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "fec0::1",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!reached("api.example.com", inside, Named::Plainly), "{inside}");
        }
        for outside in ["93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2002:5db8:d822::"] {
            assert!(reached("api.example.com", outside, Named::Plainly), "{outside}");
        }
    }

    #[test]
    fn a_name_with_a_port_reaches_a_private_network_and_no_more() {
        for (host, address, may) in [
            ("vault.internal:8200", "10.0.0.1", true),
            ("vault.internal:8200", "fd12::1", true),
            ("vault.internal:8200", "127.0.0.1", false),
            ("vault.internal:8200", "::ffff:127.0.0.1", false),
            ("vault.internal:8200", "169.254.169.254", false),
            ("vault.internal:8200", "fd00:ec2::254", false),
            ("localhost:8080", "127.0.0.1", true),
            ("localhost:8080", "::1", true),
            ("localhost:8080", "169.254.169.254", false),
            ("127.0.0.1:8080", "127.0.0.1", true),
            ("169.254.169.254:80", "169.254.169.254", true),
        ] {
            assert_eq!(reached(host, address, Named::WithPort), may, "{host} {address}");
        }
    }

    #[test]
    fn the_hosts_file_is_read_as_it_is_meant() {
        let text =
            "127.0.0.1 localhost # me\n10.1.2.3\tone.example two.example\n# 10.9.9.9 one.example\nx y\n";
        assert_eq!(in_hosts(text, "two.example"), ["10.1.2.3".parse::<IpAddr>().unwrap()]);
        assert!(in_hosts(text, "wo.example").is_empty() && in_hosts(text, "me").is_empty());
    }
}
