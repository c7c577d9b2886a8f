//! Policies: what a scope may do.
//!
//! A TOML document goes in once ([`Document::parse`]), is resolved against this machine when it is
//! applied ([`Resolved`]), and from then on answers [`Request`]s. Pure: no I/O, no clock, no
//! environment; what a decision needs is an argument. Only [`Policy::decide`] and its narrow sibling
//! for operators make an [`Allowed`].

mod again;
mod argv;
mod asker;
mod confine;
mod decide;
mod decision;
mod document;
mod edit;
mod edition;
mod env_names;
mod held;
mod known;
mod listing;
mod operators_word;
mod promise;
mod raw;
mod sandbox;
mod sealed;
mod shape;
mod typed;
mod variables;

pub use again::Timed;
pub use argv::{ArgvError, ArgvPattern, Element, quoted};
pub use decision::{
    Allowed, Asker, CwdTerm, Decision, Deliver, Delivered, Denial, DenyCode, ExitCodes, How, Network,
    OnFileHit, OperatorProof, OutputMode, PinnedRun, Promise, Request, RevealRequest, RevealTerms, RunTerms,
    SaidOff, SandboxMode, SandboxTerms, SecretFacts, Stdin, Terms,
};
pub use document::{
    Document, DocumentError, Finding, HomeMode, Limits, Pinned, ProgramRef, Resolved, Rule, Severity,
    parse_duration,
};
pub use edit::{Change, Effect, NewRule, SetByProxy, add_rule, changes};
pub use edition::Edition;
pub use listing::{Explanation, ListedExample, ListedSecret, RuleListing, Ruling};
pub use promise::{Found, Ground, Hold, ProgramMark, Promised, Review};
pub use raw::policy_schema;
pub use sandbox::{CWD, SandboxPart};
pub use sealed::{BaseUrl, Inject, PathPattern, Place, Reach, ReachPart, Seal, SigV4, Tls};
pub use typed::PathGlob;
pub use variables::{EnvPart, Variables};

use std::{collections::BTreeSet, path::Path, path::PathBuf};

use crate::names::{EnvName, ScopeName, SecretName};
use argv::Braces;

/// A document resolved against the machine on which it was applied: what decides.
#[derive(Debug, Clone)]
pub struct Policy {
    document: Document,
    resolved: Resolved,
    narrowings: Vec<Narrow>,
    operator: Operator,
    ground: Ground,
}

/// Whether this is the built-in policy of the person who can unlock the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Yes,
    No,
}

/// Something that was given up: only what each of these covers, too, is allowed.
#[derive(Debug, Clone)]
struct Narrow {
    secrets: Option<BTreeSet<SecretName>>,
    commands: Option<Vec<ArgvPattern>>,
}

impl Policy {
    /// Joins a document and what its programs and paths were resolved to.
    pub fn new(document: Document, resolved: Resolved) -> Self {
        Self { document, resolved, narrowings: Vec::new(), operator: Operator::No, ground: Ground::default() }
    }

    /// The built-in policy of the person who can unlock the vault: it allows to reveal one named
    /// secret, and nothing else; its scope is `operator`, which no document can have.
    pub fn operator() -> Self {
        let document = Document {
            scope: ScopeName::parse(document::OPERATOR).expect("a scope's name"),
            description: None,
            delegate: false,
            limits: Limits::default(),
            env: EnvPart::default(),
            sandbox: SandboxPart::default(),
            cwd: Vec::new(),
            reach: ReachPart::default(),
            allow: Vec::new(),
            deny: Vec::new(),
            unenforceable: Vec::new(),
        };
        Self { operator: Operator::Yes, ..Self::new(document, Resolved::default()) }
    }

    /// The same policy with less: only these secrets, only these commands. It never allows more.
    ///
    /// # Errors
    /// [`ArgvError`] for a command pattern that is none.
    pub fn narrowed(
        mut self,
        secrets: Option<&[SecretName]>,
        commands: Option<&[Vec<String>]>,
    ) -> Result<Self, ArgvError> {
        let sealed = |name: &SecretName| {
            let rules = self.document.allow.iter().filter(|rule| rule.seal.is_some());
            rules.flat_map(|rule| &rule.secrets).any(|pattern| pattern.matches(name))
        };
        let parse = |command: &Vec<String>| ArgvPattern::parse_with(command, Braces::Types(&sealed));
        let commands = commands.map(|list| list.iter().map(parse).collect()).transpose()?;
        if secrets.is_some() || commands.is_some() {
            self.narrowings
                .push(Narrow { secrets: secrets.map(|names| names.iter().cloned().collect()), commands });
        }
        Ok(self)
    }

    /// The scope that this policy is for.
    pub fn scope(&self) -> &ScopeName {
        &self.document.scope
    }

    /// The document as it was parsed.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// What its programs and paths were resolved to.
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// Variables that the document names, and that are neither passed nor set: they would be refused if it were
    /// applied now.
    pub fn dropped_variables(&self) -> &[EnvName] {
        &self.document.env.dropped
    }

    /// Whether it was applied since a rule that seals what can be guessed has to say so.
    pub fn values_judged(&self) -> bool {
        self.resolved.values_judged
    }

    /// Where a run starts when the call names no directory; `None` for a private empty one.
    pub fn default_cwd(&self) -> Option<PathBuf> {
        self.cwd_roots().into_iter().next()
    }

    /// Whether a run may start in a directory, as far as its text tells.
    pub fn may_start_in(&self, dir: &Path) -> bool {
        decide::lies_in(dir, &self.cwd_roots())
    }

    fn cwd_roots(&self) -> Vec<PathBuf> {
        self.document.cwd_dirs(&self.resolved.home)
    }
}

#[cfg(test)]
mod promise_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
