//! Sealed values that can be guessed. No run's output answers a guess at them, but their hosts do: one that says
//! what it is sent again has a right guess scrubbed out of it, and a wrong one not. So a rule has to say that it
//! seals such a value all the same.

use secrecy::ExposeSecret;

use super::refusal::{Code, Refusal};
use crate::{
    names::SecretName,
    policy::{Document, Finding, Promise, RuleListing, RunTerms, Severity},
    proxy::Sealed,
    redact::{self, GUESSABLE_BELOW},
    vault::{Vault, VaultError},
};

/// What may be promised of a run with these sealed values, or why they are not sealed. Under a policy that was
/// applied before its values were judged they still are, and nothing but best effort is promised.
#[expect(clippy::disallowed_methods, reason = "a value is judged before it is sealed")]
pub(crate) fn check(terms: &RunTerms, sealed: &[Sealed]) -> Result<Promise, Refusal> {
    let unsaid = sealed.iter().find(|Sealed { name, seal, value }| {
        !terms.guessable.contains(name)
            && !seal.only_names(name)
            && redact::is_guessable(value.expose_secret())
    });
    match unsaid {
        None => Ok(terms.promise),
        Some(_) if !terms.values_judged => Ok(Promise::BestEffort),
        Some(Sealed { name, .. }) => Err(Refusal {
            rule: terms.rules.first().cloned(),
            ..Refusal::new(
                Code::CommandNotAllowed,
                format!("the value of {name} could be guessed, and its rule does not say guessable = true"),
                format!(
                    "ask the operator to set a longer value (authy-mcp admin set {name} --generate), or to write guessable = true in the rule"
                ),
            )
        }),
    }
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        policy::{Decision, Policy, Request, Resolved, SecretFacts},
        value::SecretValue,
    };

    /// The terms of a run that has `db/pin` sealed.
    fn terms(more: &str, values_judged: bool) -> RunTerms {
        let text = format!(
            "scope = \"s\"\n[[allow]]\nid = \"api\"\nsecrets = [\"db/pin\"]\ndeliver = \"sealed\"\nhosts = [\"api.example.com\"]\ninject = \"bearer\"\ncommands = \"any\"\n{more}"
        );
        let resolved = Resolved { values_judged, ..Resolved::default() };
        let policy = Policy::new(Document::parse(&text).unwrap(), resolved);
        let secret = SecretName::parse("db/pin").unwrap();
        let request = Request {
            command: vec!["true".to_owned()],
            secrets: Some(vec![secret.clone()]),
            resolved_program: Some("/bin/true".into()),
            ..Request::default()
        };
        let facts = [SecretFacts { name: secret, env: None, description: None }];
        let Decision::Allow(allowed) = policy.decide(&request, &facts) else { panic!("it is allowed") };
        allowed.terms().clone()
    }

    fn checked(more: &str, values_judged: bool, value: &str) -> Result<Promise, Code> {
        let terms = terms(more, values_judged);
        let value = SecretValue::new(value.as_bytes().to_vec());
        let secret = &terms.secrets[0];
        let sealed = [Sealed { name: secret.name.clone(), seal: secret.how.seal().unwrap().clone(), value }];
        check(&terms, &sealed).map_err(|refusal| refusal.code)
    }

    #[test]
    fn sealing_what_can_be_guessed_has_to_be_said_and_what_was_applied_before_is_best_effort() {
        const HARD: &str = "sk-proj-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5eUo2W";
        for (more, judged, value, expected) in [
            ("", true, "48291736", Err(Code::CommandNotAllowed)),
            ("guessable = false", true, "Falcon27!granite", Err(Code::CommandNotAllowed)),
            ("guessable = true", true, "48291736", Ok(Promise::Sealed)),
            ("", true, HARD, Ok(Promise::Sealed)),
            ("", false, "48291736", Ok(Promise::BestEffort)),
            ("", false, HARD, Ok(Promise::Sealed)),
            ("guessable = true", false, "48291736", Ok(Promise::Sealed)),
        ] {
            assert_eq!(checked(more, judged, value), expected, "{more} {judged} {value}");
        }
        assert_eq!(
            terms("guessable = true", true).guessable,
            BTreeSet::from([SecretName::parse("db/pin").unwrap()])
        );
    }
}
