//! The documents that the broker keeps in the vault beside secrets, and how they are written there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{credential::Bound, ground, holder::Holder};
use crate::{
    names::{GrantId, ScopeName, SecretName, TokenId},
    policy::{Document, Edition, Policy, Resolved},
    token::{Claims, Class, Revocations},
    vault::{DocumentKind, Vault, VaultError},
};

/// A document's bytes.
type Record = Zeroizing<Vec<u8>>;

/// Why a document of ours can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
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
pub(crate) struct StoredPolicy {
    pub text: String,
    pub resolved: Resolved,
    /// By which rules it was applied; none is written of those before there were types.
    #[serde(default)]
    pub edition: u32,
}

impl StoredPolicy {
    /// The edition that is applied now.
    pub(crate) const EDITION: u32 = 2;

    pub(crate) fn edition(&self) -> Edition {
        match self.edition {
            0 => Edition::BeforeTypes,
            1 => Edition::Typed,
            _ => Edition::NamedHeaders,
        }
    }

    pub(crate) fn document(&self) -> Result<Document, RecordError> {
        Document::parse_as(&self.text, self.edition(), &self.resolved.services)
            .map_err(|_| RecordError::Unreadable { what: "policy", name: "of this scope".into() })
    }

    /// The policy, on this machine as it is now.
    pub(crate) fn compile(self) -> Result<Policy, RecordError> {
        Ok(ground::look(self.assemble()?))
    }

    /// The policy, before anybody has looked at this machine.
    pub(super) fn assemble(self) -> Result<Policy, RecordError> {
        Ok(Policy::new(self.document()?, self.resolved))
    }
}

/// A token as the vault knows it. Its signed text is only ever with whoever shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredToken {
    pub class: Class,
    /// Under what it was issued; nothing for an operator's.
    pub parent: Option<Parent>,
    pub info: TokenInfo,
    /// The file of `tokens/` in which `config` put it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What its claims narrow it to: asked for when a token that was issued under it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<SecretName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<Vec<String>>>,
    /// Where its narrowings are.
    #[serde(default)]
    pub narrowed_under: NarrowedUnder,
}

/// The name of the document with a token's narrowings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NarrowedUnder {
    /// Its subject, as version 0.1 had it: all tokens of a subject were narrowed together.
    #[default]
    Subject,
    /// Its own id.
    Id,
}

/// Under what a token was issued. It is worth something only as long as that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Parent {
    /// A token, whoever shows it.
    Token(TokenId),
    /// A session that showed a token: what it gave up holds for what it handed on.
    SessionOf { token: TokenId, session: GrantId },
    /// A session without a token, which ends with a process.
    Local { principal: String, process: Holder, bound: Bound },
}

impl StoredToken {
    pub(crate) fn is_delegated(&self) -> bool {
        self.class == Class::Delegated
    }

    /// The name of the document with its narrowings.
    pub(crate) fn grants(&self) -> String {
        match self.narrowed_under {
            NarrowedUnder::Subject => format!("token:{}", self.info.subject),
            NarrowedUnder::Id => self.info.id.to_string(),
        }
    }
}

/// What a session gave up with `request_token`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Narrowing {
    pub id: GrantId,
    pub secrets: Option<Vec<SecretName>>,
    pub commands: Option<Vec<Vec<String>>>,
    /// The session ends then, in seconds: a narrowing never widens again by itself.
    pub ends: Option<i64>,
    pub uses_left: Option<u32>,
    /// The one session that it holds for; everybody who shows the token where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<GrantId>,
    /// The process that the session ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Holder>,
    /// When it was made, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<i64>,
}

/// What was issued under one token of an operator's, or under one session without a token, at whatever depth:
/// so that one agent's calls don't fill the vault.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Issued(pub BTreeMap<TokenId, i64>);

pub(crate) fn policy(vault: &Vault, scope: &ScopeName) -> Result<Option<StoredPolicy>, RecordError> {
    policy_record(vault, scope)?.map(|record| policy_of(&record, scope)).transpose()
}

pub(super) fn policy_record(vault: &Vault, scope: &ScopeName) -> Result<Option<Record>, RecordError> {
    Ok(vault.document(DocumentKind::Policy, scope.as_str())?)
}

pub(super) fn policy_of(record: &Record, scope: &ScopeName) -> Result<StoredPolicy, RecordError> {
    parse(record, "policy", scope.as_str())
}

pub(crate) fn put_policy(
    vault: &mut Vault,
    scope: &ScopeName,
    policy: &StoredPolicy,
    now: Timestamp,
) -> Result<(), RecordError> {
    write(vault, DocumentKind::Policy, scope.as_str(), policy, now)
}

pub(crate) fn token(vault: &Vault, id: &TokenId) -> Result<Option<StoredToken>, RecordError> {
    read(vault, DocumentKind::Token, "token", id.as_str())
}

pub(crate) fn put_token(vault: &mut Vault, token: &StoredToken, now: Timestamp) -> Result<(), RecordError> {
    write(vault, DocumentKind::Token, token.info.id.as_str(), token, now)
}

const REVOCATIONS: &str = "all";

pub(crate) fn revocations(vault: &Vault) -> Result<Revocations, RecordError> {
    Ok(revocations_record(vault)?.map(|record| revocations_of(&record)).transpose()?.unwrap_or_default())
}

pub(super) fn revocations_record(vault: &Vault) -> Result<Option<Record>, RecordError> {
    Ok(vault.document(DocumentKind::Revocation, REVOCATIONS)?)
}

pub(super) fn revocations_of(record: &Record) -> Result<Revocations, RecordError> {
    parse(record, "revocation list", REVOCATIONS)
}

pub(crate) fn put_revocations(
    vault: &mut Vault,
    revoked: &Revocations,
    now: Timestamp,
) -> Result<(), RecordError> {
    write(vault, DocumentKind::Revocation, REVOCATIONS, revoked, now)
}

pub(crate) fn narrowings(vault: &Vault, name: &str) -> Result<Vec<Narrowing>, RecordError> {
    Ok(read(vault, DocumentKind::Grant, "grant", name)?.unwrap_or_default())
}

pub(crate) fn put_narrowings(
    vault: &mut Vault,
    name: &str,
    narrowings: &[Narrowing],
    now: Timestamp,
) -> Result<(), RecordError> {
    if narrowings.is_empty() {
        return remove_narrowings(vault, name);
    }
    write(vault, DocumentKind::Grant, name, &narrowings, now)
}

pub(crate) fn remove_token(vault: &mut Vault, id: &TokenId) -> Result<(), RecordError> {
    remove(vault, DocumentKind::Token, id.as_str())
}

pub(crate) fn remove_narrowings(vault: &mut Vault, name: &str) -> Result<(), RecordError> {
    remove(vault, DocumentKind::Grant, name)
}

/// What was issued under a token or a session without one, by its name.
pub(crate) fn issued(vault: &Vault, under: &str) -> Result<Issued, RecordError> {
    Ok(read(vault, DocumentKind::Issued, "list of issued tokens", under)?.unwrap_or_default())
}

pub(crate) fn put_issued(
    vault: &mut Vault,
    under: &str,
    issued: &Issued,
    now: Timestamp,
) -> Result<(), RecordError> {
    if issued.0.is_empty() {
        return remove(vault, DocumentKind::Issued, under);
    }
    write(vault, DocumentKind::Issued, under, issued, now)
}

/// Removes a document, where there is one.
fn remove(vault: &mut Vault, kind: DocumentKind, name: &str) -> Result<(), RecordError> {
    match vault.remove_document(kind, name) {
        Ok(()) | Err(VaultError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn read<T: DeserializeOwned>(
    vault: &Vault,
    kind: DocumentKind,
    what: &'static str,
    name: &str,
) -> Result<Option<T>, RecordError> {
    vault.document(kind, name)?.map(|record| parse(&record, what, name)).transpose()
}

fn parse<T: DeserializeOwned>(record: &Record, what: &'static str, name: &str) -> Result<T, RecordError> {
    serde_json::from_slice(record).map_err(|_| RecordError::Unreadable { what, name: name.to_owned() })
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

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = r#"{"id":"t_a","scope":"s","subject":"agent/g_b","issued_at":1,"expires_at":2,"max_uses":null,"uses":0,"revoked":false}"#;

    #[test]
    fn what_version_0_1_wrote_is_read() {
        let read = |parent: &str| -> StoredToken {
            serde_json::from_str(&format!(r#"{{"class":"delegated","parent":{parent},"info":{INFO}}}"#))
                .unwrap()
        };
        let under_a_token = read("\"t_x\"");
        assert_eq!(under_a_token.parent, Some(Parent::Token(TokenId::parse("t_x").unwrap())));
        assert_eq!(under_a_token.grants(), "token:agent/g_b", "where its narrowings were");
        assert_eq!(read("null").parent, None);
        let narrowing: Narrowing = serde_json::from_str(
            r#"{"id":"g_a","secrets":null,"commands":[["x"]],"ends":5,"uses_left":null}"#,
        )
        .unwrap();
        assert!(narrowing.session.is_none(), "it held for everybody");
        assert!(!narrowing.has_ended());
    }

    #[test]
    fn parents_are_read_as_they_were_written() {
        let holder = Holder::of(crate::supervise::Process::this().unwrap()).unwrap();
        for parent in [
            Parent::Token(TokenId::parse("t_x").unwrap()),
            Parent::SessionOf {
                token: TokenId::parse("t_x").unwrap(),
                session: GrantId::parse("g_y").unwrap(),
            },
            Parent::Local { principal: "local:0#x".to_owned(), process: holder, bound: Bound::Tree },
        ] {
            let text = serde_json::to_string(&parent).unwrap();
            assert_eq!(serde_json::from_str::<Parent>(&text).unwrap(), parent, "{text}");
        }
    }
}

/// A token as the vault knows it, without the token.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub(crate) struct TokenInfo {
    /// Its identity.
    pub id: TokenId,
    /// The scope it is bound to.
    pub scope: ScopeName,
    /// The principal.
    pub subject: String,
    /// When it was issued (seconds).
    pub issued_at: i64,
    /// When it ends (seconds).
    pub expires_at: i64,
    /// How many runs it is good for.
    pub max_uses: Option<u32>,
    /// How many it was used for.
    pub uses: u32,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl TokenInfo {
    pub(crate) fn new(claims: &Claims, max_uses: Option<u32>) -> Self {
        Self {
            id: claims.jti.clone(),
            scope: claims.scope.clone(),
            subject: claims.sub.clone(),
            issued_at: claims.iat,
            expires_at: claims.exp,
            max_uses,
            uses: 0,
            revoked: false,
        }
    }
}
