//! The unlocked identity and what is derived from it, kept for as long as the vault stays the same.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    audit::AuditKeys,
    token::TokenKeys,
    vault::{self, Opener, VaultError, VaultKey},
};

/// Every key of one vault.
pub(super) struct Keys {
    /// The identity.
    pub vault: VaultKey,
    /// For tokens.
    pub token: TokenKeys,
}

impl Keys {
    pub(super) fn new(vault: VaultKey) -> Self {
        let token = TokenKeys::new(
            format!("authy-mcp:{}", vault.fingerprint()),
            &vault.derive("token-session"),
            &vault.derive("token-delegated"),
        );
        Self { vault, token }
    }

    pub(super) fn audit(&self) -> AuditKeys {
        AuditKeys { mac: self.vault.derive("audit-mac"), sign: self.vault.derive("audit-sign") }
    }
}

/// Unlocks once, and again when the home has another vault than before.
pub(super) struct KeyRing {
    home: PathBuf,
    opener: Option<Opener>,
    held: Mutex<Option<Arc<Keys>>>,
}

impl KeyRing {
    pub(super) fn new(home: &Path, opener: Option<Opener>) -> Self {
        Self { home: home.to_owned(), opener, held: Mutex::new(None) }
    }

    /// The keys of the vault that is in the home now; `None` where a person would have to unlock it.
    pub(super) fn keys(&self) -> Result<Option<Arc<Keys>>, VaultError> {
        let info = vault::home_info(&self.home)?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = held.as_ref().filter(|keys| keys.vault.fingerprint() == info.fingerprint) {
            return Ok(Some(Arc::clone(keys)));
        }
        let Some(opener) = &self.opener else { return Ok(None) };
        let keys = Arc::new(Keys::new(vault::unlock(&self.home, opener)?));
        *held = Some(Arc::clone(&keys));
        Ok(Some(keys))
    }
}
