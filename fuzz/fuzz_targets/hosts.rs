//! Hosts, as clients name them and as policies do: one spelling for one place, and a pattern covers no other.

#![no_main]

use authy_mcp::testing::{names::HostPattern, proxy::authority};
use libfuzzer_sys::fuzz_target;

// A place as a client names it, and two patterns, a line each.
fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let [named, one, other] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let patterns = [one, other].map(|text| HostPattern::parse(text).ok());
    patterns.iter().flatten().for_each(exact);
    if let [Some(one), Some(other)] = &patterns {
        assert_eq!(one.overlaps(other), other.overlaps(one));
    }
    let Some((host, port)) = authority(named, Some(443)) else { return };
    assert_eq!(authority(&format!("{host}:{port}"), None), Some((host.clone(), port)));
    assert!(host == host.to_ascii_lowercase() && !host.ends_with('.') && port != 0 && host.len() <= 253);
    assert!(!host.contains([':', '/', '@', '[', '%', '\\', ' ']) && host.is_ascii());
    let covering: Vec<_> = patterns.iter().flatten().filter(|pattern| pattern.covers(&host, port)).collect();
    for pattern in &covering {
        assert_eq!(pattern.port().unwrap_or(443), port);
        let below = host.ends_with(&format!(".{}", pattern.host()));
        assert!(if pattern.is_wildcard() { below } else { host == pattern.host() });
        assert!(!pattern.is_wildcard() || host.parse::<std::net::IpAddr>().is_err());
    }
    if let [one, other] = covering.as_slice() {
        assert!(one.overlaps(other), "{one} and {other} both cover {host}:{port}");
    }
});

/// A pattern without a wildcard is itself a place, and covers it.
fn exact(pattern: &HostPattern) {
    assert!(pattern.overlaps(pattern));
    if !pattern.is_wildcard() {
        let (host, port) = authority(pattern.as_str(), Some(443)).expect("a host that clients can name");
        assert!(pattern.covers(&host, port));
    }
}
