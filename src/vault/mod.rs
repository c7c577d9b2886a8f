//! The vault: secrets, their versions, policies, revocations.
//!
//! Every record is an age envelope to the vault's one X25519 identity; MACs in buckets under a root
//! with an epoch say which records there are. [`Vault::reveal`] is the only way to a value and asks
//! for a [`crate::audit::Intent`].

mod automatic;
mod backup;
mod envelope;
mod error;
mod first;
mod freshness;
mod home;
mod index;
mod info;
mod key;
mod keyring;
mod open;
mod restore;
mod stamp;
mod unlock;

pub use automatic::{Backups, Reuse, Snapshot, backups, newest_backup, verify_backups};
pub use backup::Backup;
#[doc(hidden)]
pub use envelope::fuzz as fuzz_envelope;
pub use error::VaultError;
pub use first::{give_way, stand_first};
pub use freshness::{Accepted, Freshness, Memory, Standing, memory};
#[doc(hidden)]
pub use home::PARTS;
pub use home::home_info;
pub use info::{DocumentKind, HomeInfo, Opener, Pinned, SecretInfo, SecretMeta, UnlockKind, VersionInfo};
pub use key::VaultKey;
pub use open::{Vault, VerifyReport};
pub use restore::{Audit, Before, Restored, Restoring};
pub use stamp::{FileStamp, Stamp, description_stamp, epoch_stamp};
pub use unlock::{Pin, init, unlock};

#[cfg(test)]
mod tests;
