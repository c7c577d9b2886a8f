//! The platform's keyring: it keeps the passphrase of `unlock/keyring.age`. Where there is none, that
//! is an error at once: a desktop that isn't there must not be waited for.

use std::{fmt::Display, sync::mpsc, thread, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::VaultError;

/// A person may have to unlock the keyring in a dialogue of the desktop.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const SERVICE: &str = "authy-mcp";

/// Keeps a passphrase under the vault's id.
#[expect(clippy::disallowed_methods, reason = "the passphrase goes to the keyring, and nowhere else")]
pub(super) fn keep(vault_id: &str, passphrase: &SecretString) -> Result<(), VaultError> {
    let text = passphrase.expose_secret().to_owned();
    let id = vault_id.to_owned();
    ask(move || keyring::v1::Entry::new(SERVICE, &id)?.set_password(&text))
}

/// The passphrase that is kept under the vault's id.
pub(super) fn fetch(vault_id: &str) -> Result<SecretString, VaultError> {
    let id = vault_id.to_owned();
    ask(move || keyring::v1::Entry::new(SERVICE, &id)?.get_password()).map(SecretString::from)
}

fn ask<T: Send + 'static>(
    question: impl FnOnce() -> keyring::v1::Result<T> + Send + 'static,
) -> Result<T, VaultError> {
    reachable()?;
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        // Nobody waits any more where this fails.
        let _ = send.send(question());
    });
    match receive.recv_timeout(ANSWER_WITHIN) {
        Ok(answer) => answer.map_err(unreachable),
        Err(_) => Err(unreachable("it does not answer")),
    }
}

/// On Linux the keyring is the Secret Service on the session bus: without a bus there is none.
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "the session bus is named by the environment only")]
fn reachable() -> Result<(), VaultError> {
    let named = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty());
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    if named || runtime.is_some_and(|dir| dir.join("bus").exists()) {
        return Ok(());
    }
    Err(unreachable("there is no session bus on this machine, so no desktop keyring"))
}

#[cfg(not(target_os = "linux"))]
fn reachable() -> Result<(), VaultError> {
    Ok(())
}

fn unreachable(why: impl Display) -> VaultError {
    VaultError::NoKeyring(format!("no keyring can be reached: {why}"))
}
