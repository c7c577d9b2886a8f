//! What a policy allows, put into words: for `list_allowed` and for `policy check`.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use super::{
    applied::Policy,
    argv::ArgvPattern,
    decide::env_of,
    decision::{Asker, Decision, OperatorProof, Promise, Promised, Request, SecretFacts},
    document::Rule,
    words::{DeliveryMode, OutputMode, SandboxMode, Stdin},
};
use crate::names::{EnvName, SecretName, SecretPattern};

/// One rule, its globs as the names they stand for.
#[derive(Debug, Clone)]
pub(crate) struct RuleListing {
    /// Its id.
    pub id: String,
    /// The secrets that it covers and that exist.
    pub secrets: Vec<ListedSecret>,
    /// Its patterns; `None` for any command.
    pub commands: Option<Vec<Vec<String>>>,
    /// How values are delivered.
    pub deliver: DeliveryMode,
    /// Where sealed ones may go.
    pub hosts: Vec<String>,
    /// What may be promised, and why.
    pub promised: Promised,
    /// Whether a call may bring standard input.
    pub stdin: Stdin,
    /// How much of the sandbox must stand, where it is not what the document says.
    pub sandbox: Option<SandboxMode>,
    /// What of the output is returned.
    pub output: OutputMode,
    /// A call that is allowed as it stands.
    pub example: Option<ListedExample>,
}

/// One secret of a rule.
#[derive(Debug, Clone)]
pub(crate) struct ListedSecret {
    /// Its name.
    pub name: SecretName,
    /// What the operator wrote of it.
    pub description: Option<String>,
    /// The variable that it goes by.
    pub env: EnvName,
}

/// A call that is allowed.
#[derive(Debug, Clone)]
pub(crate) struct ListedExample {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Secrets.
    pub secrets: Vec<SecretName>,
}

/// Why a policy answers as it does.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Explanation {
    /// Whether it would run.
    #[serde(rename = "allowed")]
    pub ruling: Ruling,
    /// The rules that decided.
    pub rules: Vec<String>,
    /// The refusal's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<super::DenyCode>,
    /// In plain words, a line each.
    pub steps: Vec<String>,
}

/// What a policy answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// No.
    Refused,
    /// Yes.
    Allowed,
}

/// In JSON it answers the question whether it is allowed.
impl Serialize for Ruling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self == Self::Allowed)
    }
}

impl Policy {
    /// What the session has, given all secrets that exist. A rule of which nothing is left is left out.
    pub(crate) fn listing(&self, all: &[SecretFacts]) -> Vec<RuleListing> {
        if !self.document.unenforceable.is_empty() {
            return Vec::new();
        }
        let listed = self.document.allow.iter().filter(|rule| rule.is_for(Asker::Tool));
        listed.filter_map(|rule| self.rule_listing(rule, all)).collect()
    }

    /// The secrets that a listing can name, where every rule writes them without a glob: then the rest of the vault
    /// need not be looked at.
    pub(crate) fn named_secrets(&self) -> Option<BTreeSet<SecretName>> {
        let patterns = self.document.allow.iter().flat_map(|rule| &rule.secrets);
        patterns.map(SecretPattern::literal).collect()
    }

    fn rule_listing(&self, rule: &Rule, all: &[SecretFacts]) -> Option<RuleListing> {
        let covered = |fact: &&SecretFacts| {
            rule.secrets.iter().any(|p| p.matches(&fact.name)) && self.in_scope(&fact.name)
        };
        let secrets: Vec<ListedSecret> = all
            .iter()
            .filter(covered)
            .map(|fact| ListedSecret {
                name: fact.name.clone(),
                description: fact.description.clone(),
                env: env_of(rule, &fact.name, all),
            })
            .collect();
        if secrets.is_empty() && !rule.secrets.is_empty() {
            return None;
        }
        let patterns = self.listed_patterns(rule);
        if patterns.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let example = self.example(rule, patterns.as_deref(), &secrets, all);
        let carried: Vec<EnvName> = secrets.iter().map(|secret| secret.env.clone()).collect();
        let promised = self.promised(rule, &carried);
        Some(RuleListing {
            id: rule.id.clone(),
            secrets,
            commands: patterns.map(|patterns| patterns.iter().map(ArgvPattern::elements).collect()),
            deliver: rule.deliver,
            hosts: rule.seal.iter().flat_map(|seal| &seal.hosts).map(ToString::to_string).collect(),
            promised,
            stdin: rule.stdin,
            sandbox: rule.sandbox.filter(|mode| *mode != self.document.sandbox.mode),
            output: rule.output,
            example,
        })
    }

    /// The rule's patterns, as far as what was given up leaves them.
    fn listed_patterns(&self, rule: &Rule) -> Option<Vec<ArgvPattern>> {
        let mut patterns = rule.commands.clone();
        for kept in self.narrowings.iter().filter_map(|narrow| narrow.commands.as_ref()) {
            patterns = Some(match patterns {
                None => kept.clone(),
                Some(patterns) => patterns.iter().flat_map(|pattern| both(pattern, kept)).collect(),
            });
        }
        patterns
    }

    /// The first call made of these patterns and secrets that is allowed; all secrets at once if possible.
    fn example(
        &self,
        rule: &Rule,
        patterns: Option<&[ArgvPattern]>,
        secrets: &[ListedSecret],
        all: &[SecretFacts],
    ) -> Option<ListedExample> {
        let names: Vec<SecretName> = secrets.iter().map(|secret| secret.name.clone()).collect();
        let one: Vec<SecretName> = names.iter().take(1).cloned().collect();
        let commands: Vec<Vec<String>> = match patterns {
            Some(patterns) => patterns.iter().map(ArgvPattern::example).collect(),
            None => vec![any_example(rule, secrets.first()?)],
        };
        let calls = commands.iter().flat_map(|command| [(command, &names), (command, &one)]);
        calls
            .map(|(command, secrets)| ListedExample { command: command.clone(), secrets: secrets.clone() })
            .find(|example| {
                let request = Request {
                    command: example.command.clone(),
                    secrets: Some(example.secrets.clone()),
                    resolved_program: patterns.is_none().then(|| "/usr/bin/env".into()),
                    ..Request::default()
                };
                matches!(self.decide(&request, all), Decision::Allow(_))
            })
    }

    /// Decides on a request and says why, for the operator.
    pub(crate) fn explain(&self, request: &Request, facts: &[SecretFacts]) -> Explanation {
        let explained = self.explain_as(request, facts);
        if explained.ruling == Ruling::Allowed {
            return explained;
        }
        // To the operator it is said what is theirs alone; an agent hears nothing of it.
        let asker = Asker::Operator(OperatorProof::of_an_opened_vault());
        let mut own = self.explain_as(&Request { asker, ..request.clone() }, facts);
        if own.ruling == Ruling::Allowed {
            own.steps.push("only by authy-mcp run, with your own proof: over MCP it is refused".to_owned());
            return own;
        }
        explained
    }

    fn explain_as(&self, request: &Request, facts: &[SecretFacts]) -> Explanation {
        match self.decide(request, facts) {
            Decision::Deny(denial) => {
                let mut steps = vec![format!("refused: {}", denial.message), denial.hint.clone()];
                steps.extend(self.reasons(request, facts));
                let patterns = denial.allowed.iter().map(|pattern| format!("allowed: {}", quoted(pattern)));
                steps.extend(patterns);
                Explanation {
                    ruling: Ruling::Refused,
                    rules: denial.rule.into_iter().collect(),
                    code: Some(denial.code),
                    steps,
                }
            }
            Decision::Allow(allowed) => {
                let terms = allowed.terms();
                let mut steps = vec![format!("allowed by {}", terms.rules.join(", "))];
                steps.push(format!("runs {}", terms.program.display()));
                for secret in &terms.secrets {
                    let hosts = secret.how.seal().map(|seal| format!(", to {}", seal.hosts_in_words()));
                    steps.push(format!(
                        "{} in {} ({}){}",
                        secret.name,
                        secret.env,
                        secret.how.deliver().as_str(),
                        hosts.unwrap_or_default()
                    ));
                }
                steps.push(format!("promise: {}", promise_text(terms.promise)));
                steps.extend(terms.promise_why.iter().map(|why| format!("why: {why}")));
                Explanation { ruling: Ruling::Allowed, rules: terms.rules.clone(), code: None, steps }
            }
        }
    }

    /// What a refusal does not tell an agent: which of the reasons it was.
    fn reasons(&self, request: &Request, facts: &[SecretFacts]) -> Vec<String> {
        let mut reasons = Vec::new();
        for name in request.secrets.iter().flatten() {
            if !facts.iter().any(|fact| fact.name == *name) {
                reasons.push(format!("{name} does not exist"));
            } else if self.document.deny.iter().any(|pattern| pattern.matches(name)) {
                reasons.push(format!("{name} is denied by a [[deny]] rule"));
            } else if !self.in_scope(name) {
                reasons.push(format!("no rule covers {name}"));
            }
        }
        reasons
    }
}

/// What shows that a secret of a rule for any command works: without showing it, where it can be.
fn any_example(rule: &Rule, secret: &ListedSecret) -> Vec<String> {
    let host = rule.seal.iter().flat_map(|seal| &seal.hosts).find(|host| !host.is_wildcard());
    match host {
        Some(host) => vec!["curl".to_owned(), "-sS".to_owned(), format!("https://{host}/")],
        None => vec!["printenv".to_owned(), secret.env.to_string()],
    }
}

fn both(pattern: &ArgvPattern, kept: &[ArgvPattern]) -> Vec<ArgvPattern> {
    let mut found = Vec::new();
    for narrow in kept {
        if pattern.matches(&narrow.example(), None) {
            found.push(narrow.clone());
        } else if narrow.matches(&pattern.example(), None) {
            found.push(pattern.clone());
        }
    }
    found
}

fn promise_text(promise: Promise) -> &'static str {
    match promise {
        Promise::Sealed => "sealed: the child never has the value",
        Promise::Reviewed => "reviewed: what this command does with the value; output is redacted on top",
        Promise::ReviewedByOperator => {
            "reviewed by the operator: this command can't tell the value, on their word; output is redacted on top"
        }
        Promise::BestEffort => "best effort: redaction is a net, not a boundary",
    }
}

fn quoted(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}
