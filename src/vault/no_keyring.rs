//! In place of the platform's keyring, in a build without the feature `keyring`: whoever asks for it is told so.

use secrecy::SecretString;

use super::VaultError;

pub(super) fn keep(_: &str, _: &SecretString) -> Result<(), VaultError> {
    Err(left_out())
}

pub(super) fn fetch(_: &str) -> Result<SecretString, VaultError> {
    Err(left_out())
}

fn left_out() -> VaultError {
    VaultError::NoKeyring("this build has no keyring: it was made without the feature keyring".to_owned())
}
