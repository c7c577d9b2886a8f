//! Secrets: their values, versions and what is said of them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::{
    Vault,
    records::{Change, SECRET, StoredRecord, not_found},
};
use crate::{
    audit::Intent,
    names::SecretName,
    policy::{SecretFacts, Terms},
    value::{Judgement, MAX_VALUE_BYTES, SecretValue},
    vault::{
        SecretInfo, SecretMeta, VaultError, VaultKey, VersionInfo,
        index::{Entry, Version},
    },
};

/// From so many names on the whole index is read, once.
const MANY: usize = 256;

impl Vault {
    /// Sets secrets, all or none; each gets a new version. Metadata that is `None` keeps what was there.
    ///
    /// # Errors
    /// [`VaultError::TooLarge`] before anything is written, or what the database says.
    pub fn set_secrets(
        &mut self,
        changes: Vec<(SecretName, SecretValue, SecretMeta)>,
        now: Timestamp,
    ) -> Result<Vec<SecretInfo>, VaultError> {
        if changes.iter().any(|(_, value, _)| value.len() > MAX_VALUE_BYTES) {
            return Err(VaultError::TooLarge);
        }
        let names: Vec<SecretName> = changes.iter().map(|(name, _, _)| name.clone()).collect();
        let puts = changes.into_iter().map(|(name, value, meta)| put_secret(&name, &value, meta)).collect();
        self.commit(puts, now)?;
        if names.len() > MANY {
            // Every node once, not the way down for each name.
            let wanted: BTreeSet<&SecretName> = names.iter().collect();
            let all = self.list_secrets()?;
            return Ok(all.into_iter().filter(|info| wanted.contains(&info.name)).collect());
        }
        names.iter().map(|name| self.secret(name)?.ok_or_else(|| not_found(SECRET, name.as_str()))).collect()
    }

    /// All secrets, by name, values aside: reads the index, decrypts no record.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn list_secrets(&self) -> Result<Vec<SecretInfo>, VaultError> {
        let mut all: Vec<SecretInfo> = self.entries(SECRET)?.iter().filter_map(info_of).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// One secret, value aside.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn secret(&self, name: &SecretName) -> Result<Option<SecretInfo>, VaultError> {
        Ok(self.entry(SECRET, name.as_str())?.as_ref().and_then(info_of))
    }

    /// What a decision needs of those names that exist. Costs the way down the tree for each name, there or not.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn facts(&self, names: &[SecretName]) -> Result<Vec<SecretFacts>, VaultError> {
        let found = names.iter().map(|name| self.secret(name)).collect::<Result<Vec<_>, _>>()?;
        let facts = found.into_iter().flatten();
        Ok(facts
            .map(|s| SecretFacts { name: s.name, env: s.meta.env, description: s.meta.description })
            .collect())
    }

    /// Removes a secret and its versions.
    ///
    /// # Errors
    /// [`VaultError::NotFound`].
    pub fn remove_secret(&mut self, name: &SecretName) -> Result<(), VaultError> {
        self.remove(SECRET, name.as_str())
    }

    /// The versions that are kept (the last ten), oldest first.
    ///
    /// # Errors
    /// [`VaultError::NotFound`].
    pub fn history(&self, name: &SecretName) -> Result<Vec<VersionInfo>, VaultError> {
        let entry = self.entry(SECRET, name.as_str())?.ok_or_else(|| not_found(SECRET, name.as_str()))?;
        let current = entry.current().map(|version| version.version);
        let info = |v: &Version| VersionInfo {
            version: v.version,
            created: v.created,
            current: Some(v.version) == current,
        };
        Ok(entry.versions.iter().map(info).collect())
    }

    /// Makes an older version's value the newest version.
    ///
    /// # Errors
    /// [`VaultError::NotFound`].
    pub fn rollback(
        &mut self,
        name: &SecretName,
        version: u64,
        now: Timestamp,
    ) -> Result<SecretInfo, VaultError> {
        let entry = self.entry(SECRET, name.as_str())?.ok_or_else(|| not_found(SECRET, name.as_str()))?;
        let (_, value) = self.record(&entry, Some(version))?;
        let meta = entry.meta.clone();
        self.commit(vec![Change::Put { kind: SECRET, name: name.to_string(), value, meta }], now)?;
        self.secret(name)?.ok_or_else(|| not_found(SECRET, name.as_str()))
    }

    /// The value of a secret, for an intent that is on record and covers it: the only way to one.
    ///
    /// ```compile_fail,E0061
    /// # use authy_mcp::testing::{names::SecretName, vault::Vault};
    /// fn peek(vault: &Vault, name: &SecretName) {
    ///     let _ = vault.reveal(name); // no intent, no value
    /// }
    /// ```
    ///
    /// # Errors
    /// [`VaultError::NotCovered`], [`VaultError::NotFound`], [`VaultError::Damaged`] naming the record.
    pub fn reveal<T: Terms>(&self, name: &SecretName, intent: &Intent<T>) -> Result<SecretValue, VaultError> {
        if !intent.covers(name) {
            return Err(VaultError::NotCovered(name.clone()));
        }
        self.sealed(name, intent.version_of(name))?.reveal(intent)
    }

    /// A secret as it is stored, to be revealed once the intent is durable: for that nobody has to hold the vault.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Damaged`] naming the record.
    pub fn sealed(&self, name: &SecretName, version: Option<u64>) -> Result<SealedSecret, VaultError> {
        let entry = self.entry(SECRET, name.as_str())?.ok_or_else(|| not_found(SECRET, name.as_str()))?;
        let current = entry.current().map(|version| version.version);
        let before = entry.versions.iter().map(|v| v.version).filter(|v| Some(*v) < current).max();
        Ok(SealedSecret {
            key: self.key.vault.duplicate(),
            name: name.clone(),
            version,
            wanted: self.stored(&entry, version)?,
            before: before.map(|version| self.stored(&entry, Some(version))).transpose()?,
        })
    }

    /// What is thought of a secret's present value, which stays here: no intent is needed for what has no byte of it.
    ///
    /// # Errors
    /// As [`Vault::reveal`] has them; nothing where there is no such secret.
    pub fn judge<T: Judgement>(
        &self,
        name: &SecretName,
        by: fn(&[u8]) -> T,
    ) -> Result<Option<T>, VaultError> {
        let Some(entry) = self.entry(SECRET, name.as_str())? else { return Ok(None) };
        let (_, value) = self.record(&entry, None)?;
        Ok(Some(by(&value)))
    }
}

/// A secret as it is stored: no value, and the only way from here to one is an intent.
pub struct SealedSecret {
    key: VaultKey,
    name: SecretName,
    version: Option<u64>,
    wanted: StoredRecord,
    before: Option<StoredRecord>,
}

impl SealedSecret {
    /// The value, for an intent that is on record and covers it.
    ///
    /// # Errors
    /// [`VaultError::NotCovered`], [`VaultError::Damaged`] naming the record.
    pub fn reveal<T: Terms>(&self, intent: &Intent<T>) -> Result<SecretValue, VaultError> {
        self.check(intent)?;
        Ok(SecretValue::from_zeroizing(self.wanted.value(&self.key)?))
    }

    /// The value that the secret had before its present one, for an intent that covers it: what rotation has replaced may
    /// still open doors, and is masked beside the present one.
    ///
    /// # Errors
    /// As [`SealedSecret::reveal`] has them.
    pub fn reveal_previous<T: Terms>(&self, intent: &Intent<T>) -> Result<Option<SecretValue>, VaultError> {
        self.check(intent)?;
        let value = self.before.as_ref().map(|record| record.value(&self.key)).transpose()?;
        Ok(value.map(SecretValue::from_zeroizing))
    }

    /// Which secret this is.
    pub fn name(&self) -> &SecretName {
        &self.name
    }

    fn check<T: Terms>(&self, intent: &Intent<T>) -> Result<(), VaultError> {
        if intent.covers(&self.name) && intent.version_of(&self.name) == self.version {
            return Ok(());
        }
        Err(VaultError::NotCovered(self.name.clone()))
    }
}

#[expect(clippy::disallowed_methods, reason = "a value is encrypted into its record")]
fn put_secret(name: &SecretName, value: &SecretValue, meta: SecretMeta) -> Change {
    let value = Zeroizing::new(value.expose_secret().to_vec());
    Change::Put { kind: SECRET, name: name.to_string(), value, meta }
}

fn info_of(entry: &Entry) -> Option<SecretInfo> {
    let current = entry.current()?;
    Some(SecretInfo {
        name: SecretName::parse(&entry.name).ok()?,
        version: current.version,
        meta: entry.meta.clone(),
        created: entry.since,
        updated: current.created,
    })
}
