//! Identities that are made up: of runs, tokens and grants.

use super::text::{NameError, check_len, text_newtype};

text_newtype!(
    /// A run's identity: `r_` and lower-case letters and digits.
    RunId,
    check_run_id
);

text_newtype!(
    /// A token's identity (`jti`): `t_` and lower-case letters and digits.
    TokenId,
    check_token_id
);

text_newtype!(
    /// A grant's identity: `g_` and lower-case letters and digits.
    GrantId,
    check_grant_id
);

macro_rules! random_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// A new identity of 80 random bits.
            ///
            /// # Panics
            /// Where the operating system has no randomness to give: nothing is safe then.
            pub fn random() -> Self {
                Self(format!(concat!($prefix, "{}"), random_text()).into())
            }
        }
    };
}

random_id!(RunId, "r_");

random_id!(TokenId, "t_");

random_id!(GrantId, "g_");

fn random_text() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect()
}

fn check_id(what: &'static str, prefix: &str, text: &str) -> Result<(), NameError> {
    check_len(what, text, 64)?;
    let body = text.strip_prefix(prefix).unwrap_or_default();
    if !body.is_empty() && body.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Ok(());
    }
    Err(NameError::Malformed {
        what,
        allowed: "its letter, an underscore, and lower-case letters and digits",
    })
}

fn check_run_id(text: &str) -> Result<(), NameError> {
    check_id("run id", "r_", text)
}

fn check_token_id(text: &str) -> Result<(), NameError> {
    check_id("token id", "t_", text)
}

fn check_grant_id(text: &str) -> Result<(), NameError> {
    check_id("grant id", "g_", text)
}
