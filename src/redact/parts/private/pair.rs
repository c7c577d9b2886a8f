//! Ed25519's seed with the public key behind it, as libsodium, Go and Nix keep a key: nothing but these 64 bytes.

use ed25519_dalek::{PUBLIC_KEY_LENGTH, SECRET_KEY_LENGTH, SigningKey};

use super::number::Number;

pub(super) fn private(bytes: &[u8]) -> Option<Vec<Number>> {
    let (seed, public) = bytes.split_first_chunk::<SECRET_KEY_LENGTH>()?;
    // The second half tells that it is one: any 64 bytes could be, and of others both halves are secret.
    let is_pair = public.len() == PUBLIC_KEY_LENGTH
        && SigningKey::from_bytes(seed).verifying_key().as_bytes().as_slice() == public;
    let seed = Number::at("private number", bytes, 0..SECRET_KEY_LENGTH);
    is_pair.then(|| seed.into_iter().chain([Number::pair("private and public number", bytes)]).collect())
}
