//! A change of the vault, as the audit announces it.

use serde::{Deserialize, Serialize};

/// A change of the vault, announced before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The epoch that it makes.
    pub epoch: u64,
    /// The digest of the root that it makes.
    #[serde(with = "hex::serde")]
    pub root: [u8; 32],
}

/// The last change of the vault that the log announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The change.
    pub change: Change,
    /// The last one before it that was completed: what a change that was announced and never made has
    /// left in place.
    pub before: Option<Change>,
    /// Whether the log says that it was made.
    pub completed: bool,
}
