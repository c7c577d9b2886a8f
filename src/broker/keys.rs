//! The unlocked identity and what is derived from it, kept for as long as the vault stays the same.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{kept::Kept, surroundings::Surroundings};
use crate::{
    audit::AuditKeys,
    clock::Clock,
    files::FileStamp,
    token::TokenKeys,
    vault::{self, Freshness, Turn, UnlockMethod, Vault, VaultError, VaultKey},
};

/// How long an operation waits for another process that has the vault.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// Every key of one vault.
pub(crate) struct VaultKeys {
    /// The identity.
    pub vault: VaultKey,
    /// For tokens.
    pub token: TokenKeys,
    /// What this process remembers of the vault.
    pub freshness: Arc<Freshness>,
    /// What need not be worked out again while the vault says the same.
    pub kept: Kept,
}

impl VaultKeys {
    /// Keys of a vault of which this process remembers nothing yet.
    pub(crate) fn new(vault: VaultKey, around: &Surroundings) -> Self {
        Self::with(vault, Arc::new(around.freshness()))
    }

    fn with(vault: VaultKey, freshness: Arc<Freshness>) -> Self {
        let token = TokenKeys::new(
            format!("authy-mcp:{}", vault.fingerprint()),
            &vault.derive("token-session"),
            &vault.derive("token-delegated"),
        );
        Self { vault, token, freshness, kept: Kept::default() }
    }

    /// Opens the vault of a home, and holds it against what is remembered of it.
    pub(crate) fn open_vault(&self, home: &Path, turn: Turn) -> Result<Vault, VaultError> {
        self.freshness.open(home, &self.vault, turn)
    }

    /// The clock by which what is done with them is dated.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.freshness.clock()
    }

    pub(crate) fn audit(&self) -> AuditKeys {
        AuditKeys { mac: self.vault.derive("audit-mac"), sign: self.vault.derive("audit-sign") }
    }
}

/// Unlocks once, and again when the home has another vault than before.
pub(crate) struct KeyRing {
    home: PathBuf,
    opener: Option<UnlockMethod>,
    around: Surroundings,
    held: Mutex<Option<Arc<VaultKeys>>>,
    /// By the vault's fingerprint: a home that had another vault for a while brings nothing back.
    memories: Mutex<BTreeMap<String, Arc<Freshness>>>,
    looked: Mutex<Option<Looked>>,
}

/// When the home's description was last looked at, and how it looked.
#[derive(Clone, Copy)]
struct Looked {
    at: Instant,
    stamp: Option<FileStamp>,
}

/// For how long nobody looks whether the home has another vault.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl KeyRing {
    pub(crate) fn new(home: &Path, opener: Option<UnlockMethod>, around: Surroundings) -> Self {
        Self {
            home: home.to_owned(),
            opener,
            around,
            held: Mutex::new(None),
            memories: Mutex::default(),
            looked: Mutex::new(None),
        }
    }

    /// The keys that are in memory, unless the home has got another description since they came there, or somebody
    /// opens the vault at this moment. Waits for nobody, and reads nothing.
    pub(crate) fn held(&self) -> Option<Arc<VaultKeys>> {
        let keys = Arc::clone(self.held.try_lock()?.as_ref()?);
        let mut looked = self.looked.lock();
        let last = looked.as_mut()?;
        if last.at.elapsed() >= LOOK_EVERY {
            if vault::description_stamp(&self.home) != last.stamp {
                return None;
            }
            last.at = Instant::now();
        }
        Some(keys)
    }

    fn has_looked(&self, stamp: Option<FileStamp>) {
        *self.looked.lock() = Some(Looked { at: Instant::now(), stamp });
    }

    /// The keys of the vault that is in the home now; `None` where a person would have to unlock it.
    pub(crate) fn keys(&self) -> Result<Option<Arc<VaultKeys>>, VaultError> {
        // Before it is read: what comes after is looked at again.
        let stamp = vault::description_stamp(&self.home);
        let info = vault::home_info(&self.home)?;
        let mut held = self.held.lock();
        if let Some(keys) = held.as_ref().filter(|keys| keys.vault.fingerprint() == info.fingerprint) {
            self.has_looked(stamp);
            return Ok(Some(Arc::clone(keys)));
        }
        let Some(opener) = &self.opener else { return Ok(None) };
        let key = vault::unlock(&self.home, opener)?;
        let mut memories = self.memories.lock();
        let freshness =
            memories.entry(key.fingerprint().to_owned()).or_insert_with(|| Arc::new(self.around.freshness()));
        let freshness = Arc::clone(freshness);
        let keys = Arc::new(VaultKeys::with(key, freshness));
        *held = Some(Arc::clone(&keys));
        self.has_looked(stamp);
        Ok(Some(keys))
    }
}
