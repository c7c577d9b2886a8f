//! The documents that the broker keeps in the vault beside secrets, and how they are written there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::admin::TokenInfo;
use crate::{
    name::{GrantId, ScopeName, SecretName, TokenId},
    policy::{Document, Policy, Resolved},
    token::{Class, Revocations},
    vault::{DocumentKind, Vault, VaultError},
};

/// Why a document of ours can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// The vault says so.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It was written by another version, or is damaged in a way that its MAC doesn't show.
    #[error("the {what} called {name} can't be read by this version")]
    Unreadable {
        /// What kind.
        what: &'static str,
        /// Which.
        name: String,
    },
}

/// A policy as it was applied: its text, and what its programs and paths were resolved to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredPolicy {
    pub text: String,
    pub resolved: Resolved,
}

impl StoredPolicy {
    pub(super) fn compile(&self) -> Result<Policy, RecordError> {
        let document = Document::parse(&self.text)
            .map_err(|_| RecordError::Unreadable { what: "policy", name: "of this scope".into() })?;
        Ok(Policy::new(document, self.resolved.clone()))
    }
}

/// A token as the vault knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredToken {
    pub class: Class,
    pub parent: Option<TokenId>,
    pub info: TokenInfo,
    /// The file of `tokens/` in which `config` put it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl StoredToken {
    pub(super) fn is_spent(&self) -> bool {
        self.info.max_uses.is_some_and(|max| self.info.uses >= max)
    }

    /// Takes one use; fails where there is none left.
    pub(super) fn spend(&mut self) -> Result<(), ()> {
        if self.is_spent() {
            return Err(());
        }
        self.info.uses = self.info.uses.saturating_add(1);
        Ok(())
    }
}

/// What a principal gave up with `request_token`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Narrowing {
    pub id: GrantId,
    pub secrets: Option<Vec<SecretName>>,
    pub commands: Option<Vec<Vec<String>>>,
    /// The session ends then, in seconds: a narrowing never widens again.
    pub ends: Option<i64>,
    pub uses_left: Option<u32>,
}

impl Narrowing {
    pub(super) fn spend(&mut self) -> Result<(), ()> {
        match &mut self.uses_left {
            None => Ok(()),
            Some(0) => Err(()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

pub(super) fn policy(vault: &Vault, scope: &ScopeName) -> Result<Option<StoredPolicy>, RecordError> {
    read(vault, DocumentKind::Policy, "policy", scope.as_str())
}

pub(super) fn put_policy(
    vault: &mut Vault,
    scope: &ScopeName,
    policy: &StoredPolicy,
    now: Timestamp,
) -> Result<(), RecordError> {
    write(vault, DocumentKind::Policy, scope.as_str(), policy, now)
}

pub(super) fn token(vault: &Vault, id: &TokenId) -> Result<Option<StoredToken>, RecordError> {
    read(vault, DocumentKind::Token, "token", id.as_str())
}

pub(super) fn put_token(vault: &mut Vault, token: &StoredToken, now: Timestamp) -> Result<(), RecordError> {
    write(vault, DocumentKind::Token, token.info.id.as_str(), token, now)
}

const REVOCATIONS: &str = "all";

pub(super) fn revocations(vault: &Vault) -> Result<Revocations, RecordError> {
    Ok(read(vault, DocumentKind::Revocation, "revocation list", REVOCATIONS)?.unwrap_or_default())
}

pub(super) fn put_revocations(
    vault: &mut Vault,
    revoked: &Revocations,
    now: Timestamp,
) -> Result<(), RecordError> {
    write(vault, DocumentKind::Revocation, REVOCATIONS, revoked, now)
}

pub(super) fn narrowings(vault: &Vault, principal: &str) -> Result<Vec<Narrowing>, RecordError> {
    Ok(read(vault, DocumentKind::Grant, "grant", principal)?.unwrap_or_default())
}

pub(super) fn put_narrowings(
    vault: &mut Vault,
    principal: &str,
    narrowings: &[Narrowing],
    now: Timestamp,
) -> Result<(), RecordError> {
    write(vault, DocumentKind::Grant, principal, &narrowings, now)
}

fn read<T: DeserializeOwned>(
    vault: &Vault,
    kind: DocumentKind,
    what: &'static str,
    name: &str,
) -> Result<Option<T>, RecordError> {
    let Some(bytes) = vault.document(kind, name)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|_| RecordError::Unreadable { what, name: name.to_owned() })
}

fn write<T: Serialize>(
    vault: &mut Vault,
    kind: DocumentKind,
    name: &str,
    record: &T,
    now: Timestamp,
) -> Result<(), RecordError> {
    let bytes = serde_json::to_vec(record).expect("records have string keys only");
    Ok(vault.put_document(kind, name, &bytes, now)?)
}
