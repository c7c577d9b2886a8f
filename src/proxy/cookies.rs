//! Cookies that hosts gave in a run: a client that keeps them sends them again, and they are of our account. Which they
//! were is kept, not what they are.

use std::collections::{BTreeSet, VecDeque};

use http::{HeaderMap, header};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::authority::HostPort;
use crate::names::SecretName;

/// So many cookies of a run are known again, those that were given or sent last; a browser keeps no more of a host either (RFC 6265, section 6.1).
const MOST: usize = 3_000;

type Digest = [u8; 32];

/// By their digests, and in the order in which they were last given or sent.
#[derive(Default)]
pub(super) struct Cookies(Mutex<(BTreeSet<Digest>, VecDeque<Digest>)>);

impl Cookies {
    /// Notes what a host gives to which these secrets go, as the program gets it.
    pub(super) fn note(&self, of: &HostPort, secrets: &[&SecretName], headers: &HeaderMap) {
        for given in headers.get_all(header::SET_COOKIE) {
            let mut parts = given.as_bytes().split(|byte| *byte == b';');
            let pair = parts.next().unwrap_or_default();
            self.keep(digest(&of.to_string(), pair));
            // The last one counts (section 5.3).
            if let Some(domain) =
                parts.filter_map(domain).next_back().filter(|domain| covers(domain, &of.host))
            {
                secrets.iter().for_each(|secret| self.keep(digest(&shared(&domain, secret), pair)));
            }
        }
    }

    fn keep(&self, digest: Digest) {
        let mut known = self.0.lock();
        let (known, order) = &mut *known;
        if !known.insert(digest) {
            order.retain(|before| *before != digest);
        }
        order.push_back(digest);
        if order.len() > MOST {
            order.pop_front().map(|oldest| known.remove(&oldest));
        }
    }

    /// Whether this host gave this one, or another of a domain of both, to which one of the secrets goes, too.
    pub(super) fn are_of(&self, host: &HostPort, secrets: &[&SecretName], cookie: &str) -> bool {
        let domains = host.host.match_indices('.').map(|(dot, _)| &host.host[dot + 1..]);
        let domains = domains.chain([host.host.as_str()]);
        let shared = domains.flat_map(|domain| secrets.iter().map(move |secret| shared(domain, secret)));
        let places = shared.chain([host.to_string()]).map(|of| digest(&of, cookie.as_bytes()));
        // What goes on being used is none of the oldest, wherever it is of.
        places.filter(|place| self.is_used(*place)).count() > 0
    }

    fn is_used(&self, digest: Digest) -> bool {
        let known = self.0.lock().0.contains(&digest);
        if known {
            self.keep(digest);
        }
        known
    }
}

/// The domain that a cookie is for, beside its host (section 5.2.3).
fn domain(part: &[u8]) -> Option<String> {
    let (name, value) = std::str::from_utf8(part).ok()?.split_once('=')?;
    let value = value.trim();
    let value = value.strip_prefix('.').unwrap_or(value);
    name.trim().eq_ignore_ascii_case("domain").then(|| value.to_ascii_lowercase())
}

fn covers(domain: &str, host: &str) -> bool {
    let below = host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    below && domain.contains('.')
}

fn shared(domain: &str, secret: &SecretName) -> String {
    format!(".{domain} {secret}")
}

fn digest(of: &str, pair: &[u8]) -> Digest {
    Sha256::new()
        .chain_update(of.as_bytes())
        .chain_update([0])
        .chain_update(pair.trim_ascii())
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostPort {
        HostPort::parse(name, Some(443)).unwrap()
    }

    fn given(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::SET_COOKIE, cookie.parse().unwrap())])
    }

    #[test]
    fn the_newest_cookies_are_known_and_those_of_a_domain_by_hosts_of_one_secret() {
        let (ours, other) = (SecretName::parse("a/b").unwrap(), SecretName::parse("c/d").unwrap());
        let cookies = Cookies::default();
        let at = host("api.x.example");
        cookies.note(&at, &[&ours], &given("s=1; Path=/; Domain=.X.example"));
        cookies.note(&at, &[&ours], &given("t=1"));
        cookies.note(&at, &[&ours], &given("u=1; Domain=y.example"));
        cookies.note(&at, &[&ours], &given("v=1; Domain=example"));
        for (to, secret, cookie, known) in [
            ("api.x.example", &ours, "s=1", true),
            ("www.x.example", &ours, "s=1", true),
            ("x.example", &ours, "s=1", true),
            ("www.x.example", &other, "s=1", false),
            ("www.y.example", &ours, "s=1", false),
            ("www.x.example", &ours, "s=2", false),
            ("www.x.example", &ours, "t=1", false),
            ("www.y.example", &ours, "u=1", false),
            ("www.y.example", &ours, "v=1", false),
        ] {
            assert_eq!(cookies.are_of(&host(to), &[secret], cookie), known, "{to} {cookie}");
        }
        for n in 0..MOST {
            cookies.note(&at, &[&ours], &given(&format!("n={n}")));
        }
        assert!(cookies.are_of(&at, &[&ours], "n=2999") && !cookies.are_of(&at, &[&ours], "t=1"));
        assert_eq!(cookies.0.lock().0.len(), MOST);
    }

    #[test]
    fn a_cookie_that_is_used_stays_known_however_many_come_beside_it() {
        let ours = SecretName::parse("a/b").unwrap();
        for s in ["s=1", "s=1; Domain=x.example"] {
            let cookies = Cookies::default();
            let (at, beside) = (host("api.x.example"), host("www.x.example"));
            cookies.note(&at, &[&ours], &given(s));
            cookies.note(&at, &[&ours], &given("t=1"));
            for n in 0..=MOST {
                assert!(cookies.are_of(&at, &[&ours], "s=1"), "{s} {n}");
                cookies.note(&at, &[&ours], &given(&format!("n={n}")));
            }
            assert!(!cookies.are_of(&at, &[&ours], "t=1"), "what is not used is forgotten");
            assert_eq!(cookies.are_of(&beside, &[&ours], "s=1"), s.contains("Domain"));
        }
    }
}
