//! Headers that the proxy sets by itself, in place of whatever the program sent there.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use super::{
    refusal::{self, Refusal},
    rules::SealedSecret,
};
use crate::policy::Inject;

/// Sets a secret's header.
pub(super) fn header(headers: &mut HeaderMap, inject: &Inject, held: &SealedSecret) -> Result<(), Refusal> {
    let (name, text) = match inject {
        Inject::Bearer => (header::AUTHORIZATION, Zeroizing::new([b"Bearer ", held.bytes()].concat())),
        Inject::Basic { user } => {
            let encoded = basic(user, held.bytes());
            (header::AUTHORIZATION, Zeroizing::new([b"Basic ", encoded.as_bytes()].concat()))
        }
        Inject::Header { name } => {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refusal::NOT_IN_PLACE)?;
            (name, Zeroizing::new(held.bytes().to_vec()))
        }
        // Signed with the whole request at hand.
        Inject::AwsSigV4(_) => return Ok(()),
    };
    headers.insert(name, sensitive(&text)?);
    Ok(())
}

/// User and password as one word (RFC 7617, section 2).
pub(super) fn basic(user: &str, password: &[u8]) -> Zeroizing<String> {
    let together = Zeroizing::new([user.as_bytes(), b":", password].concat());
    Zeroizing::new(STANDARD.encode(&*together))
}

/// A header's value that no `Debug` shows and no compression table keeps (RFC 7541, section 7.1).
pub(super) fn sensitive(bytes: &[u8]) -> Result<HeaderValue, Refusal> {
    let mut value = HeaderValue::from_bytes(bytes).map_err(|_| refusal::NOT_IN_PLACE)?;
    value.set_sensitive(true);
    Ok(value)
}
