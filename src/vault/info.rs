//! What is said of a vault, its secrets and documents; no value is in any of it.

use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::names::{EnvName, SecretName};

/// How the vault's identity is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnlockMethodKind {
    /// `unlock/passphrase.age` (scrypt).
    Passphrase,
    /// The identity itself, 0600.
    IdentityFile,
    /// `unlock/keyring.age`, its passphrase in the platform's keyring.
    Keyring,
}

/// What opens the identity.
pub enum UnlockMethod {
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
    pub unlock: UnlockMethodKind,
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
