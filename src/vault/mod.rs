//! The vault: secrets, their versions, policies, revocations.
//!
//! Every record is an age envelope to the vault's one X25519 identity; a tree of digests under a MACed root with an
//! epoch says which records there are. [`Vault::reveal`] is the only way to a value and asks
//! for a [`crate::audit::Intent`].

mod automatic;
mod backup;
mod cache;
mod envelope;
mod error;
mod format_one;
mod freshness;
mod home;
mod index;
mod info;
mod key;
#[cfg_attr(not(feature = "keyring"), path = "no_keyring.rs")]
mod keyring;
mod lend;
mod newest;
mod object;
mod open;
mod restore;
mod stamp;
mod tree;
mod unlock;

pub(crate) use automatic::{Backups, Reuse, backups, newest_backup, verify_backups};
pub(crate) use backup::Backup;
#[doc(hidden)]
pub use envelope::fuzz as fuzz_envelope;
pub(crate) use error::VaultError;
pub(crate) use freshness::{Accepted, Freshness, Memory, Standing, memory};
#[doc(hidden)]
pub use home::PARTS;
pub(crate) use home::{FORMAT, home_info};
pub use info::UnlockMethod;
pub(crate) use info::{
    DocumentKind, HomeInfo, Pinned, SecretInfo, SecretMeta, UnlockMethodKind, VersionInfo,
};
pub(crate) use key::VaultKey;
pub(crate) use lend::Loan;
pub use open::Vault;
pub(crate) use open::{Files, SealedSecret, Turn, VerifyReport};
pub(crate) use restore::{Audit, Before, Restoring};
pub(crate) use stamp::{Stamp, description_stamp};
pub use unlock::unlock;
pub(crate) use unlock::{Pin, init};

pub(crate) use crate::store::{Engine, Left, Order};

/// Stores, for tests of the rooms above.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use crate::store::{MemoryStore, Object, ObjectId, Store, StoreError};
}

#[cfg(test)]
mod tests;
