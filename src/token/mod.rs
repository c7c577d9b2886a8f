//! Tokens: signed JWTs, run-only, bound to a scope.
//!
//! EdDSA only (RFC 8037), one key per token class, derived from the vault identity. Verifying asks
//! for the time and for the revocations: both are arguments.

mod claims;
mod crypto;
mod public;

use std::time::Duration;

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;

use crate::names::{ScopeName, SecretName, TokenId};

use claims::{AUDIENCE, LONGEST};
pub(crate) use claims::{Claims, TokenError};
pub use claims::{Class, LEEWAY, Revocations};
pub(crate) use public::PublicKeys;

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
        let header = Header { kid: Some(order.class.as_str().to_owned()), ..Header::new(Algorithm::EdDSA) };
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

#[cfg(test)]
mod tests;
