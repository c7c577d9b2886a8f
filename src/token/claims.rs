//! What a token says, and what ends it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::{ScopeName, SecretName, TokenId};

/// What a token is for: each class has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Issued by an operator to an agent's session.
    Session,
    /// Issued under another token (`request_token`).
    Delegated,
}

/// What a token says (RFC 7519 names).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer: `authy-mcp:` and the vault's fingerprint.
    pub iss: String,
    /// Audience: `authy-mcp`.
    pub aud: String,
    /// Subject: the principal.
    pub sub: String,
    /// Identity of this token.
    pub jti: TokenId,
    /// Issued at, seconds.
    pub iat: i64,
    /// Not before, seconds.
    pub nbf: i64,
    /// Expiry, seconds.
    pub exp: i64,
    /// The scope it is bound to.
    pub scope: ScopeName,
    /// Narrower than the scope: only these secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<SecretName>>,
    /// Narrower than the scope: only these argv patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<Vec<String>>>,
}

/// Who was revoked: a document in the vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    /// `jti` → when it was revoked.
    pub tokens: BTreeMap<TokenId, Timestamp>,
    /// Subject → tokens issued before this second are worth nothing.
    pub not_before: BTreeMap<String, i64>,
}

impl Revocations {
    /// Whether a token was revoked, by itself or with all that its subject had until then.
    pub fn names(&self, id: &TokenId, subject: &str, issued_at: i64) -> bool {
        self.tokens.contains_key(id) || self.not_before.get(subject).is_some_and(|first| issued_at < *first)
    }
}

/// Why a token is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// Not a token of ours, or not one of this vault.
    #[error("the token is not valid for this vault")]
    Invalid,
    /// Revoked.
    #[error("the token was revoked")]
    Revoked,
}

/// The only audience.
pub(super) const AUDIENCE: &str = "authy-mcp";

/// How far clocks may be apart, in seconds.
pub const LEEWAY: i64 = 5;

/// A longer text is no token of ours, and is not parsed.
pub(super) const LONGEST: usize = 8 * 1024;

impl Class {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Delegated => "delegated",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Session, Self::Delegated].into_iter().find(|class| class.as_str() == word)
    }
}
