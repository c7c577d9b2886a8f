//! Knowledge of the vault's identity, proven without showing it: HMAC-SHA-256 under a key derived from it,
//! over nonces of both sides.
//!
//! The first proof on a connection is over a nonce that the daemon has just given. Those behind it are over the same one
//! and their number: the kernel keeps who is at the other end of a connection, so neither side need be asked again, and
//! none of them is good twice, or anywhere else.

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

/// A nonce's successor on its connection, which the daemon is not asked for.
pub(super) fn successor(first: &str, number: u64) -> String {
    format!("{first}.{number}")
}

/// What was proven on one connection: the nonce of the first proof, and how many came behind it.
#[derive(Debug, Default)]
pub(super) struct Proven(Mutex<Option<(String, u64)>>);

impl Proven {
    /// Takes a nonce: one that was given and not used before, or what comes next on this connection. It is used up
    /// either way; where the proof over it is good, [`Proven::begin`] is told.
    pub(super) fn takes(&self, nonce: &str, given: &Nonces) -> bool {
        match &mut *self.0.lock() {
            Some((first, number)) if nonce == successor(first, *number + 1) => {
                *number += 1;
                true
            }
            _ => given.take(nonce),
        }
    }

    /// The first proof on this connection was good.
    pub(super) fn begin(&self, nonce: &str) {
        self.0.lock().get_or_insert_with(|| (nonce.to_owned(), 0));
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
    fn a_connection_goes_on_from_its_first_proof_in_order() {
        let (nonces, one, other) = (Nonces::default(), Proven::default(), Proven::default());
        let first = nonces.give().unwrap();
        let at = |number| successor(&first, number);
        assert!(!one.takes(&at(1), &nonces), "before anything was proven");
        assert!(one.takes(&first, &nonces));
        assert!(!one.takes(&at(1), &nonces), "the proof was not good, or is not looked at yet");
        one.begin(&first);
        for wrong in [0, 2, u64::MAX] {
            assert!(!one.takes(&at(wrong), &nonces), "{wrong}");
        }
        assert!(one.takes(&at(1), &nonces));
        assert!(!one.takes(&at(1), &nonces), "again");
        assert!(one.takes(&at(2), &nonces));
        assert!(!one.takes(&first, &nonces) && !other.takes(&at(3), &nonces), "on another connection");
        // Another proof on the same connection changes nothing of what comes next.
        let second = nonces.give().unwrap();
        assert!(one.takes(&second, &nonces));
        one.begin(&second);
        assert!(!one.takes(&successor(&second, 1), &nonces) && one.takes(&at(3), &nonces));
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
