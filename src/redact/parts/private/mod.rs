//! Private keys as what they are: the numbers in a key, whatever container it has, and where in it they stand.
//!
//! A container is known by its own structure and read to its end; what does not fit is not of it. Public halves,
//! certificates and what all keys of a kind have in common are never given: pieces of them stand in output that tells
//! nothing. Of what is encrypted the ciphertext is the secret: with the passphrase it is the key.

mod asn1;
pub(super) mod bech32;
mod cursor;
mod jks;
mod number;
mod openssh;
mod pair;
mod pgp;
mod pkcs12;
mod remainder;

pub(super) use number::{Number, SHORTEST};
pub(super) use openssh::putty;

/// What bytes are, if they are a key or stand for one.
pub(super) enum Container {
    /// The private numbers of all keys in it.
    Private(Vec<Number>),
    /// A public key or a certificate.
    Public,
}

/// Containers, each read by a function that gives what is private in it.
const CONTAINERS: &[fn(&[u8]) -> Option<Vec<Number>>] =
    &[asn1::private, openssh::private, pkcs12::private, jks::private, pgp::private, pair::private];

/// Reads a container.
pub(super) fn read(bytes: &[u8]) -> Option<Container> {
    if asn1::is_public(bytes) {
        return Some(Container::Public);
    }
    let numbers = CONTAINERS.iter().find_map(|container| container(bytes))?;
    Some(Container::Private(numbers))
}
