//! The public half of the token keys: enough to tell a token of this vault from any other text, by whoever has
//! no key of the vault, and before anything that is shared is touched.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};

use super::{AUDIENCE, Claims, Class, LEEWAY, LONGEST, TokenError, crypto};

/// One Ed25519 public key a class, in hex, and the issuer whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys {
    /// `authy-mcp:` and the vault's fingerprint.
    pub issuer: String,
    /// Of tokens that an operator issued.
    pub session: String,
    /// Of tokens that were issued under another.
    pub delegated: String,
}

impl PublicKeys {
    /// Checks what a token says by itself: signature, class, issuer, audience, times (leeway 5 s). Whether it was
    /// revoked, or used up, is for the vault to say.
    ///
    /// # Errors
    /// [`TokenError`], no more telling than need be.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<(Class, Claims), TokenError> {
        crypto::install();
        if token.len() > LONGEST {
            return Err(TokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let class = header.kid.as_deref().and_then(Class::parse).ok_or(TokenError::Invalid)?;
        let key = self.key(class).ok_or(TokenError::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &self.validation())
            .map_err(|_| TokenError::Invalid)?
            .claims;
        let second = now.as_second();
        if claims.exp.saturating_add(LEEWAY) <= second {
            return Err(TokenError::Expired);
        }
        if claims.nbf > second.saturating_add(LEEWAY) || claims.iat > second.saturating_add(LEEWAY) {
            return Err(TokenError::Invalid);
        }
        Ok((class, claims))
    }

    /// `None` where the key is none: then no token is good.
    fn key(&self, class: Class) -> Option<DecodingKey> {
        let key = match class {
            Class::Session => &self.session,
            Class::Delegated => &self.delegated,
        };
        let bytes: [u8; 32] = hex::decode(key).ok()?.try_into().ok()?;
        Some(DecodingKey::from_ed_der(&bytes))
    }

    /// Signature, algorithm, issuer, audience; the times are compared with the caller's clock instead.
    fn validation(&self) -> Validation {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }
}
