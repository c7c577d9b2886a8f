//! Cookies that hosts gave in a run: a client that keeps them sends them again, and they are of our account. Which they
//! were is kept, not what they are.

use std::collections::BTreeSet;

use http::{HeaderMap, header};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::authority::HostPort;

/// So many cookies of a run are known again; a browser keeps no more of a host either (RFC 6265, section 6.1).
const MOST: usize = 3_000;

/// By their digests.
#[derive(Default)]
pub(super) struct Cookies(Mutex<BTreeSet<[u8; 32]>>);

impl Cookies {
    /// Notes what a host gives, as the program gets it.
    pub(super) fn note(&self, of: &HostPort, headers: &HeaderMap) {
        for given in headers.get_all(header::SET_COOKIE) {
            let pair = given.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            let mut known = self.0.lock();
            if known.len() < MOST {
                known.insert(digest(of, pair));
            }
        }
    }

    /// Whether a host gave this one.
    pub(super) fn are_of(&self, host: &HostPort, cookie: &str) -> bool {
        self.0.lock().contains(&digest(host, cookie.as_bytes()))
    }
}

fn digest(host: &HostPort, pair: &[u8]) -> [u8; 32] {
    let host = host.to_string();
    Sha256::new()
        .chain_update(host.as_bytes())
        .chain_update([0])
        .chain_update(pair.trim_ascii())
        .finalize()
        .into()
}
