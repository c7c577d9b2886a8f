//! The unlocked identity and what is derived from it, kept for as long as the vault stays the same.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    audit::AuditKeys,
    token::TokenKeys,
    vault::{self, Freshness, Opener, Vault, VaultError, VaultKey},
};

/// Every key of one vault.
pub(super) struct Keys {
    /// The identity.
    pub vault: VaultKey,
    /// For tokens.
    pub token: TokenKeys,
    /// What this process remembers of the vault.
    pub freshness: Arc<Freshness>,
}

impl Keys {
    pub(super) fn new(vault: VaultKey) -> Self {
        Self::with(vault, Arc::default())
    }

    fn with(vault: VaultKey, freshness: Arc<Freshness>) -> Self {
        let token = TokenKeys::new(
            format!("authy-mcp:{}", vault.fingerprint()),
            &vault.derive("token-session"),
            &vault.derive("token-delegated"),
        );
        Self { vault, token, freshness }
    }

    /// Opens the vault of a home, and holds it against what is remembered of it.
    pub(super) fn open_vault(&self, home: &Path) -> Result<Vault, VaultError> {
        self.freshness.open(home, &self.vault, super::WAIT)
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
    /// By the vault's fingerprint: a home that had another vault for a while brings nothing back.
    memories: Mutex<BTreeMap<String, Arc<Freshness>>>,
}

impl KeyRing {
    pub(super) fn new(home: &Path, opener: Option<Opener>) -> Self {
        Self { home: home.to_owned(), opener, held: Mutex::new(None), memories: Mutex::default() }
    }

    /// The keys of the vault that is in the home now; `None` where a person would have to unlock it.
    pub(super) fn keys(&self) -> Result<Option<Arc<Keys>>, VaultError> {
        let info = vault::home_info(&self.home)?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = held.as_ref().filter(|keys| keys.vault.fingerprint() == info.fingerprint) {
            return Ok(Some(Arc::clone(keys)));
        }
        let Some(opener) = &self.opener else { return Ok(None) };
        let key = vault::unlock(&self.home, opener)?;
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let freshness = Arc::clone(memories.entry(key.fingerprint().to_owned()).or_default());
        let keys = Arc::new(Keys::with(key, freshness));
        *held = Some(Arc::clone(&keys));
        Ok(Some(keys))
    }
}
