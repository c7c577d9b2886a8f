//! Tokens: signed JWTs, run-only, bound to a scope.
//!
//! EdDSA only (RFC 8037), one key per token class, derived from the vault identity. Verifying asks
//! for the time and for the revocations: both are arguments.

mod crypto;
mod public;

use std::{collections::BTreeMap, time::Duration};

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::names::{ScopeName, SecretName, TokenId};

pub use public::PublicKeys;

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
const AUDIENCE: &str = "authy-mcp";
/// How far clocks may be apart, in seconds.
pub const LEEWAY: i64 = 5;
/// A longer text is no token of ours, and is not parsed.
const LONGEST: usize = 8 * 1024;

/// The keys of all classes.
pub struct TokenKeys {
    public: PublicKeys,
    session: EncodingKey,
    delegated: EncodingKey,
}

/// What a new token is to say.
#[derive(Debug, Clone)]
pub struct Order {
    /// What it is for.
    pub class: Class,
    /// The principal.
    pub sub: String,
    /// The scope it is bound to.
    pub scope: ScopeName,
    /// Only these secrets.
    pub secrets: Option<Vec<SecretName>>,
    /// Only these argv patterns.
    pub commands: Option<Vec<Vec<String>>>,
    /// How long it lives.
    pub ttl: Duration,
}

impl TokenKeys {
    /// From one 32-byte seed a class.
    pub fn new(issuer: String, session: &[u8; 32], delegated: &[u8; 32]) -> Self {
        crypto::install();
        let public = |seed| hex::encode(SigningKey::from_bytes(seed).verifying_key().as_bytes());
        Self {
            public: PublicKeys { issuer, session: public(session), delegated: public(delegated) },
            session: EncodingKey::from_ed_der(session),
            delegated: EncodingKey::from_ed_der(delegated),
        }
    }

    /// What checks a signature, and makes none.
    pub fn public(&self) -> &PublicKeys {
        &self.public
    }

    /// Signs a token that begins now.
    pub fn issue(&self, order: Order, now: Timestamp) -> (SecretString, Claims) {
        let iat = now.as_second();
        let claims = Claims {
            iss: self.public.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: order.sub,
            jti: TokenId::random(),
            iat,
            nbf: iat,
            exp: iat.saturating_add_unsigned(order.ttl.as_secs()),
            scope: order.scope,
            secrets: order.secrets,
            commands: order.commands,
        };
        let header = Header { kid: Some(order.class.word().to_owned()), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, self.pair(order.class))
            .expect("claims have string keys only, and the provider takes this key");
        (SecretString::from(token), claims)
    }

    /// Checks a token: signature, class, issuer, audience, times (leeway 5 s), revocations.
    ///
    /// # Errors
    /// [`TokenError`], no more telling than need be.
    pub fn verify(
        &self,
        token: &str,
        revoked: &Revocations,
        now: Timestamp,
    ) -> Result<(Class, Claims), TokenError> {
        let (class, claims) = self.public.verify(token, now)?;
        if revoked.names(&claims.jti, &claims.sub, claims.iat) {
            return Err(TokenError::Revoked);
        }
        Ok((class, claims))
    }

    fn pair(&self, class: Class) -> &EncodingKey {
        match class {
            Class::Session => &self.session,
            Class::Delegated => &self.delegated,
        }
    }
}

impl Class {
    fn word(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Delegated => "delegated",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Session, Self::Delegated].into_iter().find(|class| class.word() == word)
    }
}

#[cfg(test)]
mod tests;
