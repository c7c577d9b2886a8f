//! Why an operation on the vault failed.

use std::path::PathBuf;

use crate::{names::SecretName, store::StoreError};

/// What is wrong with a vault, or with what was asked of it. No variant carries a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// No vault in this home.
    #[error("there is no vault in {}", .0.display())]
    NoVault(PathBuf),
    /// There is one already.
    #[error("there is a vault in {} already", .0.display())]
    AlreadyThere(PathBuf),
    /// The passphrase, file or keyring entry doesn't open it.
    #[error("this doesn't unlock the vault: {0}")]
    WrongKey(String),
    /// No keyring on this machine, or in this build.
    #[error("{0}")]
    NoKeyring(String),
    /// Another process has it, and kept it for the whole wait.
    #[error("the vault is in use by another process")]
    Busy,
    /// A home of a version before: the first command of an operator upgrades it.
    #[error("this vault has format {format}, of an earlier version, and was not upgraded yet")]
    OlderFormat {
        /// Its format.
        format: u32,
    },
    /// A home of a later version.
    #[error("this vault has format {format}, of a later version of authy-mcp than {}", env!("CARGO_PKG_VERSION"))]
    NewerFormat {
        /// Its format.
        format: u32,
    },
    /// Records or files are damaged, swapped, missing or cut.
    #[error("the vault is damaged: {what}")]
    Damaged {
        /// Which file or record, and what is wrong with it.
        what: String,
    },
    /// Something outside of the vault is not what it remembers, or is gone: a person has to say that it is right.
    #[error("the vault may have been put back: {what}")]
    Unconfirmed {
        /// What is missing or differs.
        what: String,
        /// The vault's fingerprint, by which a person accepts it.
        fingerprint: String,
    },
    /// No such secret or document.
    #[error("there is no {what} called {name}")]
    NotFound {
        /// What kind.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// The intent doesn't cover the secret.
    #[error("the intent on record doesn't cover {0}")]
    NotCovered(SecretName),
    /// A value larger than [`crate::value::MAX_VALUE_BYTES`].
    #[error("the value is larger than 1 MiB")]
    TooLarge,
    /// The disk or its permissions.
    #[error("the vault can't be used: {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl VaultError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// Something else in a file's place is damage, not a disk's fault.
    pub(super) fn unreadable(name: &str, error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::InvalidData => Self::damaged(format!("{name} can't be read: {error}")),
            _ => Self::io(format!("read {name}"), error),
        }
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            // Whoever holds the vault's lock is the only one that writes it.
            StoreError::Conflict { .. } => Self::Busy,
            StoreError::Damaged { what } => Self::Damaged { what: format!("store/: {what}") },
            StoreError::Io { what, source } => Self::Io { what, source },
        }
    }
}
