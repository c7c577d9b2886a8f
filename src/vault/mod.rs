//! The vault: secrets, their versions, policies, revocations.
//!
//! Every record is an age envelope to the vault's one X25519 identity; MACs in buckets under a root
//! with an epoch say which records there are. [`Vault::reveal`] is the only way to a value and asks
//! for a [`crate::audit::Intent`].

mod automatic;
mod backup;
mod envelope;
mod first;
mod freshness;
mod home;
mod index;
mod key;
mod keyring;
mod open;
mod restore;
mod stamp;
mod unlock;

use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    names::{EnvName, SecretName},
    store::StoreError,
};

pub use automatic::{Backups, Reuse, Snapshot, backups, newest_backup, verify_backups};
pub use backup::Backup;
#[doc(hidden)]
pub use envelope::fuzz as fuzz_envelope;
pub use first::{give_way, stand_first};
pub use freshness::{Accepted, Freshness, Memory, Standing, memory};
#[doc(hidden)]
pub use home::PARTS;
pub use home::home_info;
pub use key::VaultKey;
pub use open::Vault;
pub use restore::{Audit, Before, Restored, Restoring};
pub use stamp::{FileStamp, Stamp, description_stamp, epoch_stamp};
pub use unlock::{Pin, init, unlock};

/// How the vault's identity is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnlockKind {
    /// `unlock/passphrase.age` (scrypt).
    Passphrase,
    /// The identity itself, 0600.
    IdentityFile,
    /// `unlock/keyring.age`, its passphrase in the platform's keyring.
    Keyring,
}

/// What opens the identity.
pub enum Opener {
    /// A passphrase that a person typed, or that came by descriptor or file.
    Passphrase(SecretString),
    /// The identity's file; `None` for the path in the home's description.
    IdentityFile(Option<PathBuf>),
    /// The platform's keyring.
    Keyring,
    /// The identity itself, from the process that opened it.
    Identity(SecretString),
}

/// The public description of a home (`home.json`): what is shown before anything is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HomeInfo {
    /// Format of this home, 1.
    pub format: u32,
    /// Random, 16 bytes in hex.
    pub vault_id: String,
    /// Short hash of the vault's recipient, as shown to people.
    pub fingerprint: String,
    /// The way of unlocking.
    pub unlock: UnlockKind,
    /// Where the identity lies, in identity-file mode.
    pub identity_file: Option<PathBuf>,
    /// Whether the vault's last change is remembered outside of the home; nothing where the first version made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pinned>,
}

/// Whether something outside of the home remembers how far a vault has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pinned {
    /// Nothing does: the operator chose so, or there was no place for it.
    None,
    /// A pin was made.
    Made {
        /// Which home of this vault: random, 8 bytes in hex.
        instance: String,
        /// Its file, below the place of pins.
        file: String,
    },
}

/// What the operator says of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretMeta {
    /// For people and models.
    pub description: Option<String>,
    /// The variable it goes by.
    pub env: Option<EnvName>,
}

/// A secret, value aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretInfo {
    /// Its name.
    pub name: SecretName,
    /// The current version.
    pub version: u64,
    /// What the operator said of it.
    pub meta: SecretMeta,
    /// When the first version was set.
    pub created: Timestamp,
    /// When the current one was.
    pub updated: Timestamp,
}

/// One version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionInfo {
    /// From 1.
    pub version: u64,
    /// When it was set.
    pub created: Timestamp,
    /// Whether it is the current one.
    pub current: bool,
}

/// The kinds of documents beside secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A scope's policy: its text and what it was resolved to.
    Policy,
    /// What is known of an issued token.
    Token,
    /// Revocations.
    Revocation,
    /// A grant.
    Grant,
    /// The tokens that were issued under another, or under a session without one.
    Issued,
}

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
    /// No keyring on this machine.
    #[error("no keyring can be reached: {0}")]
    NoKeyring(String),
    /// Another process has it, and kept it for the whole wait.
    #[error("the vault is in use by another process")]
    Busy,
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

/// What `verify` found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
    /// Records that were read and compared.
    pub records: u64,
    /// The vault's epoch: it grows with every change.
    pub epoch: u64,
    /// Everything that is wrong, each with its place.
    pub damage: Vec<String>,
    /// The automatic backups.
    pub backups: Backups,
}

impl VaultError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// Something else in a file's place is damage, not a disk's fault.
    fn unreadable(name: &str, error: std::io::Error) -> Self {
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
            StoreError::Damaged { what } => Self::Damaged { what: format!("vault/: {what}") },
            StoreError::Io { what, source } => Self::Io { what, source },
        }
    }
}

#[cfg(test)]
mod tests;
