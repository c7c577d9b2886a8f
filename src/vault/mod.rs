//! The vault: secrets, their versions, policies, revocations.
//!
//! Every record is an age envelope to the vault's one X25519 identity; MACs in buckets under a root
//! with an epoch say which records there are. [`Vault::reveal`] is the only way to a value and asks
//! for an [`Intent`].

use std::{path::Path, path::PathBuf, time::Duration};

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    audit::{Head, Intent},
    name::{EnvName, SecretName},
    policy::SecretFacts,
    value::SecretValue,
};

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
}

/// The unlocked identity, and every key that is derived from it.
pub struct VaultKey {}

impl VaultKey {
    /// Derives a 32-byte key (HKDF-SHA-256, RFC 5869) for one purpose.
    pub fn derive(&self, _purpose: &str) -> Zeroizing<[u8; 32]> {
        todo!()
    }
    /// The vault's fingerprint.
    pub fn fingerprint(&self) -> &str {
        todo!()
    }
}

/// Reads the description of a home.
///
/// # Errors
/// [`VaultError::NoVault`] where there is none, [`VaultError::Damaged`].
pub fn home_info(_home: &Path) -> Result<HomeInfo, VaultError> {
    todo!()
}

/// Makes a home and an empty vault in it. Refuses a home that has one.
///
/// # Errors
/// [`VaultError`].
pub fn init(_home: &Path, _kind: UnlockKind, _opener: &Opener) -> Result<VaultKey, VaultError> {
    todo!()
}

/// Opens the identity of a home.
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::NoKeyring`], …
pub fn unlock(_home: &Path, _opener: &Opener) -> Result<VaultKey, VaultError> {
    todo!()
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
    #[error("the vault can't be used: {what}")]
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
}

/// An open vault: the database is ours until this is dropped.
pub struct Vault {}

impl Vault {
    /// Opens the vault of a home, waiting for another process up to `wait`, and compares root and
    /// epoch.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(_home: &Path, _key: &VaultKey, _wait: Duration) -> Result<Self, VaultError> {
        todo!()
    }
    /// Sets secrets, all or none; each gets a new version. Metadata that is `None` keeps what was there.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn set_secrets(
        &mut self,
        _changes: Vec<(SecretName, SecretValue, SecretMeta)>,
        _now: Timestamp,
    ) -> Result<Vec<SecretInfo>, VaultError> {
        todo!()
    }
    /// All secrets, by name, values aside: reads the buckets, decrypts no record.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn list_secrets(&self) -> Result<Vec<SecretInfo>, VaultError> {
        todo!()
    }
    /// One secret, value aside.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn secret(&self, _name: &SecretName) -> Result<Option<SecretInfo>, VaultError> {
        todo!()
    }
    /// What a decision needs of those names that exist. Costs the same for each name, there or not.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn facts(&self, _names: &[SecretName]) -> Result<Vec<SecretFacts>, VaultError> {
        todo!()
    }
    /// Removes a secret and its versions.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn remove_secret(&mut self, _name: &SecretName) -> Result<(), VaultError> {
        todo!()
    }
    /// The versions that are kept (the last ten), oldest first.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn history(&self, _name: &SecretName) -> Result<Vec<VersionInfo>, VaultError> {
        todo!()
    }
    /// Makes an older version's value the newest version.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn rollback(
        &mut self,
        _name: &SecretName,
        _version: u64,
        _now: Timestamp,
    ) -> Result<SecretInfo, VaultError> {
        todo!()
    }
    /// The value of a secret, for an intent that is on record and covers it: the only way to one.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn reveal(&self, _name: &SecretName, _intent: &Intent) -> Result<SecretValue, VaultError> {
        todo!()
    }
    /// A document's bytes.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn document(
        &self,
        _kind: DocumentKind,
        _name: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        todo!()
    }
    /// The names of the documents of a kind.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn documents(&self, _kind: DocumentKind) -> Result<Vec<String>, VaultError> {
        todo!()
    }
    /// Writes a document.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_document(
        &mut self,
        _kind: DocumentKind,
        _name: &str,
        _bytes: &[u8],
        _now: Timestamp,
    ) -> Result<(), VaultError> {
        todo!()
    }
    /// Removes a document.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn remove_document(&mut self, _kind: DocumentKind, _name: &str) -> Result<(), VaultError> {
        todo!()
    }
    /// The audit head that was last anchored.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn audit_anchor(&self) -> Result<Option<Head>, VaultError> {
        todo!()
    }
    /// Anchors the audit's head.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn anchor_audit(&mut self, _head: Head) -> Result<(), VaultError> {
        todo!()
    }
    /// Reads and compares everything.
    ///
    /// # Errors
    /// [`VaultError`] where it can't even be started.
    pub fn verify(&self) -> Result<VerifyReport, VaultError> {
        todo!()
    }
    /// Writes the identity files and one `.age` file a record into an empty directory; returns how
    /// many records.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn backup(&self, _dir: &Path) -> Result<u64, VaultError> {
        todo!()
    }
}

/// Rebuilds a home from what [`Vault::backup`] wrote; a vault that is there is kept aside, whole.
///
/// # Errors
/// [`VaultError`].
pub fn restore(_home: &Path, _backup: &Path, _opener: &Opener) -> Result<u64, VaultError> {
    todo!()
}
