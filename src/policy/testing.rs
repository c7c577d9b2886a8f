//! Permissions for the tests of other rooms, which can't make one.

use super::{Allowed, RevealTerms, document::OPERATOR};
use crate::names::{ScopeName, SecretName};

/// A permission to look at one secret.
pub(crate) fn allowed(secret: &str) -> Allowed<RevealTerms> {
    Allowed {
        scope: ScopeName::parse(OPERATOR).expect("a scope's name"),
        terms: Box::new(RevealTerms { secret: SecretName::parse(secret).expect("a name"), version: None }),
    }
}
