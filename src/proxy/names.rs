//! The names that a run resolves: each host of its policy has an address of its own on the run's loopback, at which it
//! stands at its real port. So a client that knows no proxy finds it, and the address says which host was meant.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddrV4},
};

use parking_lot::Mutex;

use super::{
    authority::HostPort,
    rules::{EgressRules, Way},
};
use crate::names::HostPattern;

/// Where a run asks for names: the address that a resolver is asked at where no other is configured (resolv.conf(5)).
pub(crate) const RESOLVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);
/// Names that have an address at most: subdomains of a wildcard get theirs when they are asked for, by a program that
/// may ask for any.
const MOST: usize = 4096;
/// Hosts of a third byte of the addresses: `127.0.1.1` to `127.0.1.250` come first.
const ROW: usize = 250;
/// Ports below this are the system's: no program of a run can listen there, so that every address is taken at once
/// (ip(7), `ip_unprivileged_port_start`).
const FIRST_OF_PROGRAMS: u16 = 1024;

/// The names of one run, and their addresses.
pub(super) struct Names {
    hosts: Vec<HostPattern>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_name: HashMap<String, usize>,
    in_order: Vec<String>,
}

impl Known {
    fn index(&mut self, name: &str) -> Option<usize> {
        if let Some(index) = self.by_name.get(name) {
            return Some(*index);
        }
        let index = self.in_order.len();
        if index >= MOST {
            return None;
        }
        self.by_name.insert(name.to_owned(), index);
        self.in_order.push(name.to_owned());
        Some(index)
    }
}

impl Names {
    pub(super) fn of(rules: &EgressRules) -> Self {
        let hosts: Vec<HostPattern> = rules.hosts().cloned().collect();
        let mut known = Known::default();
        for host in hosts.iter().filter(|host| !host.is_wildcard()).map(HostPattern::host) {
            if host != LOCALHOST && host.parse::<Ipv4Addr>().is_err() {
                known.index(&host);
            }
        }
        Self { hosts, known: Mutex::new(known) }
    }

    /// The address of a name (lower-case, without a final dot); `None` for one that the policy does not name.
    pub(super) fn address_of(&self, name: &str) -> Option<Ipv4Addr> {
        let named = |host: &HostPattern| host.covers(name, host.port().unwrap_or(443));
        if name != LOCALHOST && self.hosts.iter().any(named) {
            return self.known.lock().index(name).and_then(address);
        }
        // RFC 6761, section 6.3.
        (name == LOCALHOST || name.ends_with(".localhost")).then_some(Ipv4Addr::LOCALHOST)
    }

    /// Which host is meant by a connection to an address, and what becomes of it.
    pub(super) fn reached_at(&self, at: SocketAddrV4, rules: &EgressRules) -> Option<(HostPort, Way)> {
        let host = |host: String| HostPort { host, port: at.port() };
        let named = index(*at.ip()).and_then(|index| self.known.lock().in_order.get(index).cloned());
        let literal = at.ip().to_string();
        let local = (*at.ip() == Ipv4Addr::LOCALHOST).then(|| LOCALHOST.to_owned());
        let meant = named.into_iter().chain(local).chain([literal]);
        meant.map(host).find_map(|to| rules.way(&to).map(|way| (to, way)))
    }

    /// Where to listen: at a port of the system's, or of a wildcard, at every address; else where the hosts are, so that
    /// the program may use the port at another.
    pub(super) fn doors(&self, taken: &[u16]) -> Vec<SocketAddrV4> {
        let mut by_port: BTreeMap<u16, BTreeSet<Ipv4Addr>> = BTreeMap::new();
        for host in &self.hosts {
            let port = host.port().unwrap_or(443);
            let everywhere = port < FIRST_OF_PROGRAMS || host.is_wildcard();
            let at = if everywhere { Some(Ipv4Addr::UNSPECIFIED) } else { self.own_address(&host.host()) };
            by_port.entry(port).or_default().extend(at);
        }
        let free = by_port.into_iter().filter(|(port, _)| !taken.contains(port) && *port != RESOLVER.port());
        let doors = free.flat_map(|(port, at)| {
            let everywhere = at.contains(&Ipv4Addr::UNSPECIFIED).then_some(Ipv4Addr::UNSPECIFIED);
            let at = everywhere.map_or(at, |everywhere| BTreeSet::from([everywhere]));
            at.into_iter().map(move |at| SocketAddrV4::new(at, port))
        });
        doors.collect()
    }

    /// Where a host that is named in full is: an address of this machine's is itself, any other is reached by the proxy
    /// alone.
    fn own_address(&self, host: &str) -> Option<Ipv4Addr> {
        match host.parse::<Ipv4Addr>() {
            Ok(literal) => literal.is_loopback().then_some(literal),
            Err(_) => self.address_of(host),
        }
    }

    /// The run's `/etc/hosts` (hosts(5)): what is named in full. Subdomains of a wildcard are the resolver's.
    pub(super) fn hosts_file(&self) -> String {
        let mut text = "127.0.0.1 localhost sandbox\n".to_owned();
        for (index, name) in self.known.lock().in_order.iter().enumerate() {
            if let Some(address) = address(index) {
                let _ = writeln!(text, "{address} {name}");
            }
        }
        text
    }
}

const LOCALHOST: &str = "localhost";

fn address(index: usize) -> Option<Ipv4Addr> {
    let row = u8::try_from(1 + index / ROW).ok()?;
    let last = u8::try_from(1 + index % ROW).ok()?;
    Some(Ipv4Addr::new(127, 0, row, last))
}

fn index(address: Ipv4Addr) -> Option<usize> {
    let [127, 0, row, last] = address.octets() else { return None };
    let (row, last) = (usize::from(row).checked_sub(1)?, usize::from(last).checked_sub(1)?);
    (last < ROW).then_some(row * ROW + last)
}

/// The system's `/etc/nsswitch.conf` with names taken from the run's own files and resolver only (nsswitch.conf(5)).
pub(crate) fn hosts_first(system: &str) -> String {
    let others = system.lines().filter(|line| !line.trim_start().starts_with("hosts:"));
    others.chain(["hosts: files dns"]).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::EgressAllowlist;

    fn named(hosts: &[&str]) -> (Names, EgressRules) {
        let hosts = hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect();
        let rules =
            EgressRules { held: Vec::new(), reach: EgressAllowlist { hosts, ..EgressAllowlist::default() } };
        (Names::of(&rules), rules)
    }

    #[test]
    fn each_host_has_an_address_and_the_address_says_which_host() {
        let (names, rules) = named(&["a.example", "b.example:8443", "*.c.example", "localhost:3000"]);
        let at = |name: &str, port| {
            let address = names.address_of(name)?;
            let (to, _) = names.reached_at(SocketAddrV4::new(address, port), &rules)?;
            Some(format!("{address} {to}"))
        };
        assert_eq!(at("a.example", 443).as_deref(), Some("127.0.1.1 a.example:443"));
        assert_eq!(at("b.example", 8443).as_deref(), Some("127.0.1.2 b.example:8443"));
        assert_eq!(at("x.c.example", 443).as_deref(), Some("127.0.1.3 x.c.example:443"));
        assert_eq!(at("y.c.example", 443).as_deref(), Some("127.0.1.4 y.c.example:443"));
        assert_eq!(at("x.c.example", 443).as_deref(), Some("127.0.1.3 x.c.example:443"), "once is for good");
        assert_eq!(at("localhost", 3000).as_deref(), Some("127.0.0.1 localhost:3000"));
        for (name, port) in [("a.example", 8443), ("b.example", 443), ("localhost", 443)] {
            assert_eq!(at(name, port), None, "{name}:{port}");
        }
        for name in ["c.example", "example", "a.example.evil", "10.0.0.1", ""] {
            assert_eq!(names.address_of(name), None, "{name}");
        }
        let text = names.hosts_file();
        assert!(text.starts_with("127.0.0.1 localhost sandbox\n127.0.1.1 a.example\n"), "{text}");
    }

    #[test]
    fn a_program_that_asks_for_ever_gets_no_more_addresses() {
        let (names, _) = named(&["a.example", "*.c.example"]);
        let found: BTreeSet<Ipv4Addr> =
            (0..2 * MOST).filter_map(|n| names.address_of(&format!("n{n}.c.example"))).collect();
        assert_eq!(found.len(), MOST - 1);
        assert!(found.iter().enumerate().all(|(n, address)| index(*address) == Some(n + 1)));
        assert_eq!(names.address_of("a.example"), Some(Ipv4Addr::new(127, 0, 1, 1)));
    }

    #[test]
    fn a_programs_ports_are_taken_only_where_a_host_is() {
        let (names, _) = named(&[
            "a.example",
            "b.example:80",
            "c.example:8443",
            "d.example:8443",
            "*.e.example:9000",
            "f.example:9000",
            "127.0.0.9:5000",
            "10.0.0.1:5001",
            "g.example:53",
            "h.example:61080",
        ]);
        let doors = names.doors(&[61_080]).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            doors,
            [
                "0.0.0.0:80",
                "0.0.0.0:443",
                "127.0.0.9:5000",
                "127.0.1.3:8443",
                "127.0.1.4:8443",
                "0.0.0.0:9000"
            ]
        );
    }

    #[test]
    fn only_names_of_hosts_come_from_elsewhere() {
        let system = "passwd: files systemd\n hosts: mymachines mdns4_minimal [NOTFOUND=return] dns\nnetworks: files\n";
        assert_eq!(hosts_first(system), "passwd: files systemd\nnetworks: files\nhosts: files dns\n");
        assert_eq!(hosts_first(""), "hosts: files dns\n");
    }
}
