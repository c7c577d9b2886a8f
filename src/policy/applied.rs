//! A policy in force: a document and what it was resolved to, with what was given up of it since.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    argv::{ArgvError, ArgvPattern, Braces},
    dirs::lies_in,
    document::{Document, Limits, OPERATOR},
    ground::Ground,
    resolved::Resolved,
    sandbox::SandboxPart,
    sealed::ReachPart,
    variables::EnvPart,
};
use crate::names::{ScopeName, SecretName};

/// A document resolved against the machine on which it was applied: what decides.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(super) document: Arc<Document>,
    pub(super) resolved: Arc<Resolved>,
    pub(super) narrowings: Vec<Narrow>,
    pub(super) operator: Operator,
    pub(super) ground: Ground,
}

/// Whether this is the built-in policy of the person who can unlock the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Yes,
    No,
}

/// Something that was given up: only what each of these covers, too, is allowed.
#[derive(Debug, Clone)]
pub(super) struct Narrow {
    pub(super) secrets: Option<BTreeSet<SecretName>>,
    pub(super) commands: Option<Vec<ArgvPattern>>,
}

impl Policy {
    /// Joins a document and what its programs and paths were resolved to.
    pub(crate) fn new(document: Document, resolved: Resolved) -> Self {
        Self {
            document: Arc::new(document),
            resolved: Arc::new(resolved),
            narrowings: Vec::new(),
            operator: Operator::No,
            ground: Ground::default(),
        }
    }

    /// The built-in policy of the person who can unlock the vault: it allows to reveal one named
    /// secret, and nothing else; its scope is `operator`, which no document can have.
    pub(crate) fn operator() -> Self {
        let document = Document {
            scope: ScopeName::parse(OPERATOR).expect("a scope's name"),
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
    pub(crate) fn narrowed(
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

    /// The document as it was parsed.
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    /// What its programs and paths were resolved to.
    pub(crate) fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// Variables that the document names, and that are neither passed nor set: they would be refused if it were
    /// applied now.
    #[cfg(test)]
    pub(crate) fn dropped_variables(&self) -> &[crate::names::EnvName] {
        &self.document.env.dropped
    }

    /// Whether it was applied since a rule that seals what can be guessed has to say so.
    pub(crate) fn values_judged(&self) -> bool {
        self.resolved.values_judged
    }

    /// Where a run starts when the call names no directory; `None` for a private empty one.
    pub(crate) fn default_cwd(&self) -> Option<PathBuf> {
        self.cwd_roots().into_iter().next()
    }

    /// Whether a run may start in a directory, as far as its text tells.
    pub(crate) fn may_start_in(&self, dir: &Path) -> bool {
        lies_in(dir, &self.cwd_roots())
    }

    pub(super) fn cwd_roots(&self) -> Vec<PathBuf> {
        self.document.cwd_dirs(&self.resolved.home)
    }
}
