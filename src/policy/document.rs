//! The policy document: its types, and what follows from them. How it is read stands in [`super::read`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use super::{
    argv::ArgvPattern,
    decision::{Asker, SandboxTerms},
    dirs::expand,
    limits::{Counting, RunLimits},
    sandbox::SandboxPart,
    sealed::{ReachPart, Seal},
    services::Services,
    variables::EnvPart,
    words::{DeliveryMode, ExitCodes, HomeMode, Network, OutputMode, SandboxMode, Stdin},
};
use crate::names::{EnvName, ScopeName, SecretName, SecretPattern};

/// The scope that is built in, for the operator's own look at a value.
pub(super) const OPERATOR: &str = "operator";

/// A policy as it was written, parsed.
#[derive(Debug, Clone)]
pub struct Document {
    /// The scope's name.
    pub scope: ScopeName,
    /// What the operator wrote of it.
    pub description: Option<String>,
    /// Whether `request_token` may answer with a bearer token.
    pub delegate: bool,
    /// Limits, defaults filled in.
    pub limits: Limits,
    /// The child's environment.
    pub env: EnvPart,
    /// The sandbox that is asked for.
    pub sandbox: SandboxPart,
    /// Directories where runs may start, `~` not yet replaced.
    pub cwd: Vec<String>,
    /// What runs reach by the proxy, beside the hosts of sealed secrets.
    pub reach: ReachPart,
    /// What is allowed, in file order.
    pub allow: Vec<Rule>,
    /// What is denied.
    pub deny: Vec<SecretPattern>,
    /// What this version can't enforce, found while parsing.
    pub(super) unenforceable: Vec<Finding>,
}

/// `[[allow]]`.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its id, or `#N`.
    pub id: String,
    /// Which secrets.
    pub secrets: Vec<SecretPattern>,
    /// How.
    pub deliver: DeliveryMode,
    /// Which commands; `None` for any.
    pub commands: Option<Vec<ArgvPattern>>,
    /// Secret → variable.
    pub env: BTreeMap<SecretName, EnvName>,
    /// Variables that the rule sets.
    pub set_env: BTreeMap<EnvName, String>,
    /// Whether the program's digest is held.
    pub pin: bool,
    /// Whether a call may bring standard input.
    pub stdin: Stdin,
    /// Whether the operator says that its commands can't tell a secret.
    pub reviewed: bool,
    /// What of the output is returned.
    pub output: OutputMode,
    /// How much of the sandbox must stand, where it is not what the document says.
    pub sandbox: Option<SandboxMode>,
    /// What is told of exit codes.
    pub exit_code: ExitCodes,
    /// A shorter timeout than the scope's.
    pub timeout: Option<Duration>,
    /// Where its secrets may go, for sealed delivery.
    pub seal: Option<Seal>,
    /// Whether values that can be guessed are sealed, too.
    pub guessable: bool,
    /// Line of the rule.
    pub(super) line: usize,
    /// Line and column of its commands.
    pub(super) commands_at: (usize, usize),
}

/// Limits of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Of one run.
    pub timeout: Duration,
    /// Bytes a stream.
    pub output: usize,
    /// Runs a minute.
    pub runs_per_minute: u32,
    /// Runs at once.
    pub concurrent_runs: u32,
    /// The longest that a token may live.
    pub token_ttl: Duration,
    /// What one run may use, as far as it is written.
    pub run: RunLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            output: 64 << 10,
            runs_per_minute: 60,
            concurrent_runs: 8,
            token_ttl: Duration::from_secs(90 * 24 * 3600),
            run: RunLimits::default(),
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Weak, but applied.
    Warning,
    /// Refused.
    Error,
}

/// Something wrong or weak in a document, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Refused or only weak.
    pub severity: Severity,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: String,
}

/// A document that can't be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the policy has {} error(s), the first at line {}", .0.len(), .0.first().map_or(0, |f| f.line))]
pub struct DocumentError(pub Vec<Finding>);

/// A program that a document names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramRef {
    /// As written.
    pub name: String,
    /// Whether its digest is held.
    pub pin: bool,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl Document {
    /// What the document asks for and this version can't enforce, each with its line and the way out.
    pub fn unenforceable(&self) -> Vec<Finding> {
        self.unenforceable.clone()
    }

    /// The programs that its patterns name, each once.
    pub fn programs(&self) -> Vec<ProgramRef> {
        let mut programs: BTreeMap<&str, ProgramRef> = BTreeMap::new();
        for rule in &self.allow {
            for pattern in rule.commands.iter().flatten() {
                let (line, column) = rule.commands_at;
                let known = programs.entry(&pattern.program).or_insert_with(|| ProgramRef {
                    name: pattern.program.clone(),
                    pin: false,
                    line,
                    column,
                });
                known.pin |= rule.pin;
            }
        }
        programs.into_values().collect()
    }

    /// The directories of `[env] path`.
    pub fn path_dirs(&self, home: &Path) -> Vec<PathBuf> {
        self.env.path.iter().map(|dir| expand(dir, home)).collect()
    }

    /// The directories where runs may start.
    pub fn cwd_dirs(&self, home: &Path) -> Vec<PathBuf> {
        self.cwd.iter().map(|dir| expand(dir, home)).collect()
    }

    /// The file of `[sandbox] extra_ca`, and the line that names it.
    pub fn extra_ca(&self, home: &Path) -> Option<(PathBuf, usize)> {
        self.reach.extra_ca.as_ref().map(|path| (expand(path, home), self.reach.line))
    }

    /// The services that its rules name, as they are.
    pub(crate) fn services(&self) -> Services {
        let named = self.allow.iter().filter_map(|rule| rule.seal.as_ref()?.service.as_ref());
        named.map(|service| (service.name.clone(), service.entry.clone())).collect()
    }

    /// Which of these secrets a rule seals without a word of guessing: rule, secret, line of the rule.
    pub fn sealed_unsaid<'a>(&'a self, secrets: &'a [SecretName]) -> Vec<(&'a Rule, &'a SecretName, usize)> {
        let unsaid = self.allow.iter().filter(|rule| rule.seal.is_some() && !rule.guessable);
        let covered = unsaid.flat_map(|rule| {
            let fits = |name: &&SecretName| rule.secrets.iter().any(|pattern| pattern.matches(name));
            let secret = |name: &&SecretName| !rule.seal.iter().any(|seal| seal.only_names(name));
            secrets.iter().filter(fits).filter(secret).map(move |name| (rule, name, rule.line))
        });
        let denied = |name: &SecretName| self.deny.iter().any(|pattern| pattern.matches(name));
        covered.filter(|(_, name, _)| !denied(name)).collect()
    }

    /// What a run under a rule of this document may reach and use; under several, what the document says.
    pub(super) fn sandbox_of(&self, rules: &[&Rule], home: &Path, asker: Asker) -> SandboxTerms {
        let limits = match asker {
            Asker::Tool => self.limits.run.of_calls(),
            // No person at a terminal is surprised by a limit that no policy has.
            Asker::TokenHolder | Asker::Operator(_) => self.limits.run,
        };
        let counting = self.limits.run.processes.map_or(Counting::WherePossible, |_| Counting::Required);
        let terms = SandboxTerms { limits, counting, ..self.sandbox.terms(home) };
        match rules {
            [Rule { sandbox: Some(SandboxMode::Off), .. }] => SandboxTerms {
                mode: SandboxMode::Off,
                network: Network::Open,
                limits,
                ..SandboxTerms::default()
            },
            [Rule { sandbox: Some(mode), .. }] => SandboxTerms { mode: *mode, ..terms },
            _ => terms,
        }
    }

    /// What is weak in the document, and applied all the same.
    pub fn warnings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut warn = |line, message: String, hint: &str| {
            found.push(Finding {
                severity: Severity::Warning,
                line,
                column: 1,
                message,
                hint: hint.to_owned(),
            });
        };
        for rule in &self.allow {
            let id = &rule.id;
            match &rule.commands {
                _ if rule.seal.is_some() => {}
                None => warn(
                    rule.line,
                    format!("rule {id} lets any command have its secrets"),
                    "name the commands; redaction is a net, not a boundary",
                ),
                Some(patterns) => {
                    let mut args = patterns.iter().flat_map(|pattern| &pattern.args);
                    if let Some(any) = args.find(|element| element.names_no_place()) {
                        warn(
                            rule.line,
                            format!(
                                "rule {id}: {} stands for any text, also a whole path, one with .., or an address",
                                any.as_str()
                            ),
                            "write {int:1..100}, {enum:a|b}, {host:a|b} or {path:DIR/*.sql} to hold it",
                        );
                    }
                }
            }
            for (message, hint) in rule.seal.iter().flat_map(Seal::warnings) {
                warn(rule.line, format!("rule {id}: {message}"), hint);
            }
            if rule.secrets.iter().any(|pattern| pattern.as_str() == "**") {
                warn(
                    rule.line,
                    format!("rule {id} covers every secret, also those that are set later"),
                    "name the secrets, or a prefix of theirs",
                );
            }
        }
        if self.sandbox.mode == SandboxMode::Off {
            warn(
                1,
                "the sandbox is off: what an agent runs can read what you can read, and reach the network"
                    .to_owned(),
                "allow commands that you would run yourself",
            );
        }
        if self.sandbox.network == Network::Open && self.sandbox.mode != SandboxMode::Off {
            warn(
                1,
                "the network is open: what runs with a secret can send it anywhere".to_owned(),
                "for HTTP APIs, deliver it sealed; for all else, allow commands that you would run yourself",
            );
        }
        if self.env.home == HomeMode::User {
            warn(
                1,
                "children have your HOME, with every credential and start-up file in it".to_owned(),
                "leave [env] home private",
            );
        }
        found
    }
}
