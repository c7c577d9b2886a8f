//! Knowledge of the vault's identity, proven without showing it: HMAC-SHA-256 under a key derived from it,
//! over nonces of both sides.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How long a nonce waits for its request.
const NONCE_LIFE: Duration = Duration::from_secs(30);
/// Nonces that wait at once; a flood of challenges gets no more.
const NONCES: usize = 4096;

/// The key that both sides derive from the identity.
pub(crate) struct LocalKey(Zeroizing<[u8; 32]>);

impl LocalKey {
    /// Takes what the vault's identity was derived to.
    pub(crate) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    fn mac(&self, who: &str, parts: &[&[u8]]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        for part in [who.as_bytes()].iter().chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        hex::encode(mac.finalize().into_bytes())
    }

    /// What the daemon proves itself with.
    pub(super) fn of_daemon(&self, theirs: &str, ours: &str) -> String {
        self.mac("daemon", &[theirs.as_bytes(), ours.as_bytes()])
    }

    /// What a client proves one request with: this path, this body, once.
    pub(super) fn of_client(&self, nonce: &str, path: &str, body: &[u8]) -> String {
        self.mac("client", &[nonce.as_bytes(), path.as_bytes(), &Sha256::digest(body)])
    }
}

pub(super) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

pub(super) fn nonce() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the operating system gives randomness");
    hex::encode(random)
}

/// Nonces that were given out, each good for one request.
#[derive(Default)]
pub(super) struct Nonces {
    given: Mutex<HashMap<String, Instant>>,
}

impl Nonces {
    /// A fresh one, unless too many are waiting.
    pub(super) fn give(&self) -> Option<String> {
        let mut given = self.given.lock();
        given.retain(|_, since| since.elapsed() < NONCE_LIFE);
        if given.len() >= NONCES {
            return None;
        }
        let fresh = nonce();
        given.insert(fresh.clone(), Instant::now());
        Some(fresh)
    }

    /// Takes one back; whether it was ours, and not used before.
    pub(super) fn take(&self, nonce: &str) -> bool {
        let mut given = self.given.lock();
        given.remove(nonce).is_some_and(|since| since.elapsed() < NONCE_LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once() {
        let nonces = Nonces::default();
        let one = nonces.give().unwrap();
        assert!(nonces.take(&one));
        assert!(!nonces.take(&one));
        assert!(!nonces.take("made up"));
    }

    #[test]
    fn a_flood_of_challenges_is_bounded() {
        let nonces = Nonces::default();
        let given = (0..NONCES + 10).filter(|_| nonces.give().is_some()).count();
        assert_eq!(given, NONCES);
    }

    #[test]
    fn a_proof_is_of_one_key_nonce_path_and_body() {
        let key = LocalKey::new(Zeroizing::new([1; 32]));
        let other = LocalKey::new(Zeroizing::new([2; 32]));
        let proof = key.of_client("n", "/v1/run", b"body");
        assert_eq!(proof, key.of_client("n", "/v1/run", b"body"));
        for wrong in [
            other.of_client("n", "/v1/run", b"body"),
            key.of_client("m", "/v1/run", b"body"),
            key.of_client("n", "/v1/retire", b"body"),
            key.of_client("n", "/v1/run", b"bodyy"),
            key.of_client("n/", "v1/run", b"body"),
            key.of_daemon("n", "/v1/run"),
        ] {
            assert!(!same(&proof, &wrong));
        }
    }
}
