//! From TOML to a document: shapes, names, patterns and limits are judged here, and all errors are told at once, each
//! with its line. Nothing but a [`Document`] that holds together leaves.

mod limits;
mod quantities;
pub(super) mod raw;
pub(super) mod reader;
mod sandbox;
mod sealed;
mod shape;
mod size;
mod variables;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde::Deserialize;
use toml::de::DeTable;

use self::{
    raw::{Approval, At, RawCommands, RawDocument, RawRule, RawSandbox},
    reader::{Reader, finding, place},
    size::check_length,
};
use super::{
    argv::{ArgvPattern, Braces},
    document::{Document, DocumentError, Finding, OPERATOR, Rule},
    edition::Edition,
    env_names,
    sealed::{ReachPart, Seal, UpstreamProxy},
    services::{self, Services},
    words::{DeliveryMode, ExitCodes, Stdin},
};
use crate::names::{EnvName, ScopeName, SecretName, SecretPattern};
pub(crate) use quantities::parse_duration;

impl Document {
    /// Parses a document.
    ///
    /// # Errors
    /// All the findings of severity error, each with line and column.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        check_length(text)?;
        Self::parse_of(text, Edition::NamedHeaders, &services::shipped(), Shapes::Ours)
    }

    /// Parses a document that was applied, by the rules and with the services of that time.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub(crate) fn parse_as(text: &str, edition: Edition, services: &Services) -> Result<Self, DocumentError> {
        Self::parse_of(text, edition, services, Shapes::OfTheTypes)
    }

    fn parse_of(
        text: &str,
        edition: Edition,
        services: &Services,
        shapes: Shapes,
    ) -> Result<Self, DocumentError> {
        let (raw, errors) = read(text, shapes)?;
        let mut reader = Reader { text, edition, services, errors, unenforceable: Vec::new() };
        if !reader.is_stored() {
            reader.check_count(&raw);
        }
        let document = reader.document(&raw);
        match document {
            Some(document) if reader.errors.is_empty() => {
                Ok(Self { unenforceable: reader.unenforceable, ..document })
            }
            _ => {
                reader.errors.sort_by_key(|finding| (finding.line, finding.column));
                Err(DocumentError(reader.errors))
            }
        }
    }
}

/// Which values a document may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shapes {
    /// Those that are documented: of what is applied.
    Ours,
    /// Those that the types take, which are a few more (a table may be a list): of what was applied before.
    OfTheTypes,
}

/// The document as TOML has it, and what of it has another shape and is left out: what was left out is refused.
fn read(text: &str, shapes: Shapes) -> Result<(RawDocument, Vec<Finding>), DocumentError> {
    if let Some(raw) = toml::from_str(text).ok().filter(|_| shapes == Shapes::OfTheTypes) {
        return Ok((raw, Vec::new()));
    }
    let mut table = DeTable::parse(text).map_err(|error| syntax(text, &error))?;
    let wrong = shape::judge(table.get_mut());
    let errors: Vec<Finding> =
        wrong.into_iter().map(|wrong| finding(text, wrong.span, wrong.message, &wrong.hint)).collect();
    match RawDocument::deserialize(toml::Deserializer::from(table)) {
        Ok(raw) => Ok((raw, errors)),
        Err(error) if errors.is_empty() => Err(unread(text, error.span().unwrap_or(0..0))),
        Err(_) => Err(DocumentError(errors)),
    }
}

/// A value that the types refuse and the shapes don't: there should be none.
fn unread(text: &str, span: Range<usize>) -> DocumentError {
    DocumentError(vec![finding(text, span, "a value that no policy has", KEYS)])
}

const KEYS: &str = "the keys and their values are in schemas/policy.schema.json; authy-mcp admin policy --help has an example";

/// What is not even TOML, in the parser's words.
fn syntax(text: &str, error: &toml::de::Error) -> DocumentError {
    let message = error.message().lines().next().unwrap_or_default().to_owned();
    DocumentError(vec![finding(text, error.span().unwrap_or(0..0), message, KEYS)])
}

impl Reader<'_> {
    fn document(&mut self, raw: &RawDocument) -> Option<Document> {
        let scope = self.name(&raw.scope, ScopeName::parse);
        if raw.scope.get() == OPERATOR {
            self.error(raw.scope.span(), "the scope operator is built in", "choose another name");
        }
        let limits = self.limits(raw);
        let env = self.env(&raw.env);
        let sandbox = self.sandbox(raw);
        let cwd = raw.sandbox.cwd.iter().filter_map(|dir| self.dir(dir)).collect();
        let reach = self.reach(&raw.sandbox);
        let mut ids = BTreeSet::new();
        let mut allow = Vec::new();
        for (index, rule) in raw.allow.iter().enumerate() {
            let at = rule.span();
            if let Some(rule) = self.rule(index, rule) {
                if rule.reviewed && !self.is_stored() {
                    let at = raw.allow[index].get().reviewed.as_ref().map_or(at, At::span);
                    self.check_reviewed(at, &rule, &sandbox);
                }
                if !ids.insert(rule.id.clone()) {
                    self.error(
                        raw.allow[index].span(),
                        format!("two rules are called {}", rule.id),
                        "give each its own id",
                    );
                }
                allow.push(rule);
            }
        }
        let deny = raw.deny.iter().flat_map(|rule| &rule.secrets);
        let deny = deny.filter_map(|pattern| self.name(pattern, SecretPattern::parse)).collect();
        Some(Document {
            scope: scope?,
            description: raw.description.clone(),
            delegate: raw.delegate,
            limits,
            env,
            sandbox,
            cwd,
            reach,
            allow,
            deny,
            unenforceable: Vec::new(),
        })
    }

    fn rule(&mut self, index: usize, at: &At<RawRule>) -> Option<Rule> {
        let raw = at.get();
        self.rule_unenforceable(raw);
        let id = raw.id.as_ref().map_or_else(|| format!("#{}", index + 1), |id| id.get().clone());
        if let Some(given) = raw.id.as_ref().filter(|id| ScopeName::parse(id.get()).is_err()) {
            self.error(given.span(), "a rule's id is made of A-Z a-z 0-9 _ . -", "choose a short word");
        }
        let secrets =
            raw.secrets.iter().filter_map(|pattern| self.name(pattern, SecretPattern::parse)).collect();
        let commands = self.commands(raw)?;
        if raw.pin && commands.is_none() {
            self.error(
                raw.commands.span(),
                "pin holds the digests of programs, and any command names none",
                "name the commands, or leave pin out",
            );
        }
        let seal = self.seal(raw, at.span());
        let env = self.rule_env(raw);
        let set_env = self.set_env(raw);
        for (secret, variable) in &env {
            if set_env.contains_key(variable) {
                self.error(
                    at.span(),
                    format!("{variable} is set by set_env and carries {secret}, too"),
                    "name another variable",
                );
            }
        }
        Some(Rule {
            id,
            secrets,
            deliver: *raw.deliver.get(),
            sandbox: self.rule_sandbox(raw),
            exit_code: raw.exit_code.unwrap_or(match commands {
                None if seal.is_none() => ExitCodes::Reduced,
                // A program that has no value says none by its exit code.
                None | Some(_) => ExitCodes::Exact,
            }),
            commands,
            env,
            set_env,
            pin: raw.pin,
            stdin: raw.stdin.as_ref().map(|at| *at.get()).unwrap_or(
                // What such a rule's program is told is what its arguments say, unless the policy says otherwise.
                if self.is_stored() || raw.secrets.is_empty() { Stdin::Text } else { Stdin::None },
            ),
            reviewed: raw.reviewed.as_ref().is_some_and(|at| *at.get()),
            output: raw.output,
            timeout: self.duration(raw.timeout.as_ref()),
            seal,
            guessable: raw.guessable.as_ref().is_some_and(|at| *at.get()),
            line: place(self.text, at.span().start).0,
            commands_at: place(self.text, raw.commands.span().start),
        })
    }

    fn rule_unenforceable(&mut self, raw: &RawRule) {
        if let Some(approval) = raw.approval.as_ref().filter(|approval| *approval.get() != Approval::Never) {
            self.refuse(
                approval.span(),
                "this version can't ask a person for approval",
                "write approval = \"never\", or leave it out",
            );
        }
    }

    /// The sealed part of a rule, which no other delivery has.
    fn seal(&mut self, raw: &RawRule, at: Range<usize>) -> Option<Seal> {
        let mut wrong = Vec::new();
        let seal = match *raw.deliver.get() {
            DeliveryMode::Sealed => sealed::seal(raw, at, self.edition, self.services, &mut wrong),
            DeliveryMode::Env | DeliveryMode::File => {
                wrong = sealed::stray(raw);
                None
            }
        };
        for (span, message, hint) in wrong {
            self.error(span, message, hint);
        }
        seal
    }

    fn reach(&mut self, raw: &RawSandbox) -> ReachPart {
        let mut wrong = Vec::new();
        let hosts = raw.hosts.as_ref().map(|hosts| sealed::host_patterns(hosts, &mut wrong));
        for (span, message, hint) in wrong {
            self.error(span, message, hint);
        }
        let extra_ca = raw.extra_ca.as_ref().and_then(|path| self.dir(path));
        let line = raw.extra_ca.as_ref().map_or(0, |at| place(self.text, at.span().start).0);
        let upstream = raw.upstream_proxy.as_ref().and_then(|proxy| self.upstream(proxy));
        ReachPart { hosts: hosts.unwrap_or_default(), extra_ca, upstream, line }
    }

    fn upstream(&mut self, raw: &At<String>) -> Option<UpstreamProxy> {
        let parsed = UpstreamProxy::parse(raw.get());
        if parsed.is_none() {
            self.error(
                raw.span(),
                "upstream_proxy is not http:// with a host and a port",
                "write upstream_proxy = \"http://proxy.example.com:3128\", without a user and a password",
            );
        }
        parsed
    }

    fn commands(&mut self, rule: &RawRule) -> Option<Option<Vec<ArgvPattern>>> {
        let raw = &rule.commands;
        let sealed: Vec<SecretPattern> = match rule.deliver.get() {
            DeliveryMode::Sealed => {
                rule.secrets.iter().filter_map(|p| SecretPattern::parse(p.get()).ok()).collect()
            }
            DeliveryMode::Env | DeliveryMode::File => Vec::new(),
        };
        let is_sealed = |name: &SecretName| sealed.iter().any(|pattern| pattern.matches(name));
        let braces = if self.is_stored() { Braces::Themselves } else { Braces::Types(&is_sealed) };
        const FORM: &str = "write a list of lists, one element an argument: commands = [[\"npm\", \"test\"]]; or commands = \"any\"";
        match raw.get() {
            RawCommands::Word(word) if word == "any" => Some(None),
            RawCommands::Word(_) => {
                self.error(raw.span(), "commands is neither a list of argv patterns nor \"any\"", FORM);
                None
            }
            RawCommands::Patterns(patterns) if patterns.is_empty() => {
                self.error(raw.span(), "commands is empty", FORM);
                None
            }
            RawCommands::Patterns(patterns) => {
                let mut parsed = Vec::new();
                for pattern in patterns {
                    match ArgvPattern::parse_with(pattern, braces) {
                        Ok(pattern) => parsed.push(pattern),
                        Err(error) => self.error(raw.span(), format!("the command pattern {error}"), FORM),
                    }
                }
                Some(Some(parsed))
            }
        }
    }

    fn rule_env(&mut self, raw: &RawRule) -> BTreeMap<SecretName, EnvName> {
        let mut env: BTreeMap<SecretName, EnvName> = BTreeMap::new();
        for (secret, variable) in &raw.env {
            let name = self.name(secret, SecretName::parse);
            let parsed = self.name(variable, EnvName::parse);
            if env_names::set_by_us(variable.get()) {
                self.error(
                    variable.span(),
                    format!("{} is not for secrets", variable.get()),
                    "name another variable",
                );
            }
            if let (Some(name), Some(parsed)) = (name, parsed) {
                if env.values().any(|known| *known == parsed) {
                    self.error(
                        variable.span(),
                        format!("two secrets go by {parsed}"),
                        "give each its own variable",
                    );
                }
                env.insert(name, parsed);
            }
        }
        env
    }

    fn set_env(&mut self, raw: &RawRule) -> BTreeMap<EnvName, String> {
        let mut set = BTreeMap::new();
        for (name, text) in &raw.set_env {
            if env_names::set_by_us(name.get()) {
                self.error(
                    name.span(),
                    format!("{} is set by authy-mcp", name.get()),
                    "use [env] path or [env] home",
                );
            } else if text.contains('\0') {
                self.error(name.span(), format!("the text of {} has a NUL byte", name.get()), "leave it out");
            } else if let Some(parsed) = self.name(name, EnvName::parse) {
                set.insert(parsed, text.clone());
            }
        }
        set
    }
}
