//! Documents: policies, tokens, revocations, grants. Records as secrets are, of one version.

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{Vault, records::Change};
use crate::vault::{DocumentKind, SecretMeta, VaultError};

impl Vault {
    /// A document's bytes.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn document(&self, kind: DocumentKind, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let Some(entry) = self.entry(kind.as_str(), name)? else { return Ok(None) };
        let Some(current) = entry.current() else { return Ok(None) };
        self.cache.document(&current.id, || self.record(&entry, None).map(|(_, value)| value)).map(Some)
    }

    /// The names of the documents of a kind.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn documents(&self, kind: DocumentKind) -> Result<Vec<String>, VaultError> {
        let mut names: Vec<String> =
            self.entries(kind.as_str())?.into_iter().map(|entry| entry.name).collect();
        names.sort();
        Ok(names)
    }

    /// Writes a document.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_document(
        &mut self,
        kind: DocumentKind,
        name: &str,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let value = Zeroizing::new(bytes.to_vec());
        self.commit(
            vec![Change::Put {
                kind: kind.as_str(),
                name: name.to_owned(),
                value,
                meta: SecretMeta::default(),
            }],
            now,
        )
    }

    /// Removes a document.
    ///
    /// # Errors
    /// [`VaultError::NotFound`].
    pub fn remove_document(&mut self, kind: DocumentKind, name: &str) -> Result<(), VaultError> {
        self.remove(kind.as_str(), name)
    }
}

impl DocumentKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Token => "token",
            Self::Revocation => "revocation",
            Self::Grant => "grant",
            Self::Issued => "issued",
        }
    }
}
