//! A scope's name.

use super::text::{NameError, check_len, is_word, text_newtype};

text_newtype!(
    /// A scope's name: `[A-Za-z0-9_.-]`, at most 64 bytes, beginning with a letter or a digit.
    ScopeName,
    check_scope_name
);

fn check_scope_name(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "scope name";
    check_len(WHAT, text, 64)?;
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_word) {
        return Ok(());
    }
    Err(NameError::Malformed { what: WHAT, allowed: "A-Z a-z 0-9 _ . -, beginning with a letter or a digit" })
}
