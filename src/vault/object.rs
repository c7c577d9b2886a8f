//! What the store keeps of a vault: an age file, behind a head that says which key opens it and who made it.
//!
//! ```text
//! "authy-mcp object 2\n" ‖ key id ‖ author id ‖ signature (Ed25519) ‖ age file
//! ```
//! Ids are the first eight bytes of a SHA-256: of the recipient, of the author's public key. The signature is over the
//! vault's id and the rest of the object. On one machine there is one key and one author, who is whoever holds the
//! identity; the root says which authors count.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::{VaultError, VaultKey};
use crate::store::Object;

const MAGIC: &[u8; 19] = b"authy-mcp object 2\n";
const ID: usize = 8;
const SIGNATURE: usize = 64;
const HEAD: usize = MAGIC.len() + 2 * ID + SIGNATURE;
/// What the author's key is derived for.
const PURPOSE: &str = "operator";

/// Who makes objects and roots.
pub(super) struct Author {
    key: SigningKey,
    id: [u8; ID],
}

impl Author {
    /// The author that an identity is.
    pub(super) fn of(key: &VaultKey) -> Self {
        let key = SigningKey::from_bytes(&key.derive(PURPOSE));
        let id = short(key.verifying_key().as_bytes());
        Self { key, id }
    }

    /// The id, in hex.
    pub(super) fn id(&self) -> String {
        hex::encode(self.id)
    }

    /// The public key, in hex.
    pub(super) fn public(&self) -> String {
        hex::encode(self.key.verifying_key().as_bytes())
    }

    /// Signs a message of a vault.
    pub(super) fn sign(&self, vault_id: &str, message: &[u8]) -> [u8; SIGNATURE] {
        self.key.sign(&framed(vault_id, message)).to_bytes()
    }
}

/// Encrypts, and signs.
pub(super) fn seal(
    key: &VaultKey,
    author: &Author,
    vault_id: &str,
    plain: &[u8],
) -> Result<Object, VaultError> {
    Ok(wrap(key, author, vault_id, &key.encrypt(plain)?))
}

/// Signs an age file that is there.
pub(super) fn wrap(key: &VaultKey, author: &Author, vault_id: &str, age: &[u8]) -> Object {
    let ids = [short(key.recipient().as_bytes()), author.id].concat();
    let signature = author.sign(vault_id, &[ids.as_slice(), age].concat());
    Object::new([MAGIC.as_slice(), &ids, &signature, age].concat())
}

/// The age file of an object, and what its head says; nothing where it is no object.
pub(super) fn open(object: &[u8]) -> Option<Opened<'_>> {
    let (head, age) = object.split_at_checked(HEAD)?;
    let rest = head.strip_prefix(MAGIC.as_slice())?;
    let (ids, signature) = rest.split_at_checked(2 * ID)?;
    Some(Opened { ids, signature, age })
}

/// An object, taken apart.
pub(super) struct Opened<'a> {
    ids: &'a [u8],
    signature: &'a [u8],
    /// What stock age opens.
    pub age: &'a [u8],
}

impl Opened<'_> {
    /// Whether one of these authors (public keys in hex) made it, for this vault.
    pub(super) fn is_by<'k>(&self, mut authors: impl Iterator<Item = &'k String>, vault_id: &str) -> bool {
        let message = [self.ids, self.age].concat();
        authors.any(|author| verifies(author, vault_id, &message, self.signature))
    }
}

/// Whether a signature is the author's (a public key in hex), over a message of this vault.
pub(super) fn verifies(author: &str, vault_id: &str, message: &[u8], signature: &[u8]) -> bool {
    let key = hex::decode(author).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    let signature = Signature::from_slice(signature).ok();
    let (Some(key), Some(signature)) = (key, signature) else { return false };
    key.verify_strict(&framed(vault_id, message), &signature).is_ok()
}

fn framed(vault_id: &str, message: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), vault_id.as_bytes(), b"\n", Sha256::digest(message).as_slice()].concat()
}

fn short(bytes: &[u8]) -> [u8; ID] {
    Sha256::digest(bytes)[..ID].try_into().expect("a digest is longer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_says_whose_it_is_and_no_byte_of_it_can_change() {
        let key = VaultKey::new(age::x25519::Identity::generate());
        let author = Author::of(&key);
        let object = seal(&key, &author, "v1", b"plain").unwrap();
        let by = |bytes: &[u8], author: &Author, vault: &str| {
            open(bytes).is_some_and(|opened| opened.is_by([author.public()].iter(), vault))
        };
        assert!(by(object.bytes(), &author, "v1"));
        assert_eq!(&*key.decrypt(open(object.bytes()).unwrap().age).unwrap(), b"plain");
        assert!(!by(object.bytes(), &author, "v2"), "of another vault");
        let other = Author::of(&VaultKey::new(age::x25519::Identity::generate()));
        assert!(!by(object.bytes(), &other, "v1"), "of another author");
        for at in 0..object.bytes().len() {
            let mut changed = object.bytes().to_vec();
            changed[at] ^= 1;
            assert!(!by(&changed, &author, "v1"), "byte {at}");
        }
    }
}
