//! Sealed values that can be guessed. No run's output answers a guess at them, but their hosts do: one that says
//! what it is sent again has a right guess scrubbed out of it, and a wrong one not. So a rule has to say that it
//! seals such a value all the same.

use crate::{
    names::SecretName,
    policy::{Document, Finding, Promise, RuleListing, Severity},
    redact::{self, GUESSABLE_BELOW},
    vault::{Vault, VaultError},
};

/// A rule that seals a value that can be guessed, and does not say so.
pub(crate) struct Unsaid {
    pub(crate) rule: String,
    pub(crate) secret: SecretName,
    line: usize,
}

/// The rules of a document that seal what can be guessed without saying so, as the values are now.
pub(crate) fn unsaid(vault: &Vault, document: &Document) -> Result<Vec<Unsaid>, VaultError> {
    let names: Vec<SecretName> = vault.list_secrets()?.into_iter().map(|info| info.name).collect();
    let mut found = Vec::new();
    for (rule, secret, line) in document.sealed_unsaid(&names) {
        if vault.judge(secret, redact::bits)?.is_some_and(|bits| bits < GUESSABLE_BELOW) {
            found.push(Unsaid { rule: rule.id.clone(), secret: secret.clone(), line });
        }
    }
    Ok(found)
}

/// Why nothing but best effort is promised.
pub(crate) const WHY: &str = "a value that it seals could be guessed";

impl Unsaid {
    /// Why a document is not applied.
    pub(crate) fn finding(self) -> Finding {
        let Self { rule, secret, line } = self;
        Finding {
            severity: Severity::Error,
            line,
            column: 1,
            message: format!(
                "rule {rule} seals {secret}, whose value could be guessed: a host that says again what it is sent answers guesses"
            ),
            hint: format!(
                "set a longer value (authy-mcp admin set {secret} --generate), or write guessable = true in the rule (admin allow: --guessable)"
            ),
        }
    }
}

/// What is listed of a policy that was applied before its values were judged: nothing but best effort is promised
/// of a rule that seals what can be guessed.
pub(crate) fn corrected(
    vault: &Vault,
    document: &Document,
    mut rules: Vec<RuleListing>,
) -> Result<Vec<RuleListing>, VaultError> {
    let unsaid = unsaid(vault, document)?;
    for rule in rules.iter_mut().filter(|rule| unsaid.iter().any(|one| one.rule == rule.id)) {
        rule.promised.promise = Promise::BestEffort;
        rule.promised.why = Some(WHY.to_owned());
    }
    Ok(rules)
}
