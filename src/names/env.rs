//! An environment variable's name.

use super::text::{NameError, check_len, text_newtype};

text_newtype!(
    /// An environment variable's name (POSIX: `[A-Za-z_][A-Za-z0-9_]*`), at most 255 bytes.
    EnvName,
    check_env_name
);

fn check_env_name(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "variable name";
    check_len(WHAT, text, 255)?;
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(NameError::Malformed { what: WHAT, allowed: "A-Z a-z 0-9 _, not beginning with a digit" })
}
