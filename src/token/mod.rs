//! Tokens: signed JWTs, run-only, bound to a scope.
//!
//! EdDSA only (RFC 8037), one key per token class, derived from the vault identity. Verifying asks
//! for the time and for the revocations: both are arguments.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::name::{ScopeName, SecretName, TokenId};

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

/// The keys of all classes.
pub struct TokenKeys {}

impl TokenKeys {
    /// From one 32-byte seed a class.
    pub fn new(_issuer: String, _session: &[u8; 32], _delegated: &[u8; 32]) -> Self {
        todo!()
    }
    /// Signs a token for `ttl` from `now`.
    #[expect(clippy::too_many_arguments, reason = "one claim each")]
    pub fn issue(
        &self,
        _class: Class,
        _sub: String,
        _scope: ScopeName,
        _secrets: Option<Vec<SecretName>>,
        _commands: Option<Vec<Vec<String>>>,
        _ttl: Duration,
        _now: Timestamp,
    ) -> (SecretString, Claims) {
        todo!()
    }
    /// Checks a token: signature, class, issuer, audience, times (leeway 5 s), revocations.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(
        &self,
        _token: &str,
        _revoked: &Revocations,
        _now: Timestamp,
    ) -> Result<(Class, Claims), TokenError> {
        todo!()
    }
}
