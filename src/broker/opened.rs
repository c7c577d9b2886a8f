//! The vault and its audit while they are ours.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use super::{keys::VaultKeys, standing::Standing, turns::Turn};
use crate::{audit::AuditLog, vault::Vault};

/// Everything that an operation holds while it decides: the database is ours until this is dropped.
pub(crate) struct Opened {
    pub(crate) keys: Arc<VaultKeys>,
    pub(crate) vault: HeldVault,
    pub(crate) audit: Arc<AuditLog>,
}

/// The vault while it is ours. When it is given back, what the doors know is held against it, and the next in this
/// process has its turn.
pub(crate) struct HeldVault {
    vault: Vault,
    standing: Option<Standing>,
    // Given back last.
    _turn: Option<Turn>,
}

impl HeldVault {
    /// For an operator's command, which has no doors and nobody else in its process.
    pub(crate) fn alone(vault: Vault) -> Self {
        Self { vault, standing: None, _turn: None }
    }

    /// In a turn that was waited for.
    pub(super) fn in_turn(vault: Vault, standing: Standing, turn: Turn) -> Self {
        Self { vault, standing: Some(standing), _turn: Some(turn) }
    }
}

impl Deref for HeldVault {
    type Target = Vault;

    fn deref(&self) -> &Vault {
        &self.vault
    }
}

impl DerefMut for HeldVault {
    fn deref_mut(&mut self) -> &mut Vault {
        &mut self.vault
    }
}

impl Drop for HeldVault {
    fn drop(&mut self) {
        if let Some(standing) = &self.standing {
            standing.look(&self.vault);
        }
    }
}
