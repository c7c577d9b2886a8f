//! Policies: what a scope may do.
//!
//! A TOML document goes in once ([`Document::parse`]), is resolved against this machine when it is
//! applied ([`Resolved`]), and from then on answers [`Request`]s. Pure: no I/O, no clock, no
//! environment; what a decision needs is an argument. Only [`Policy::decide`] makes an [`Allowed`].

mod decision;
mod document;

pub use decision::{
    Allowed, CwdTerm, Decision, Deliver, Delivered, Denial, DenyCode, OutputMode, Promise, Request,
    RevealRequest, RunTerms, SandboxMode, SecretFacts, Terms,
};
pub use document::{Document, DocumentError, Finding, HomeMode, Limits, Resolved, Severity};

use crate::name::{ScopeName, SecretName};

/// A document resolved against the machine on which it was applied: what decides.
#[derive(Debug, Clone)]
pub struct Policy {
    document: Document,
    resolved: Resolved,
}

impl Policy {
    /// Joins a document and what its programs and paths were resolved to.
    pub fn new(document: Document, resolved: Resolved) -> Self {
        Self { document, resolved }
    }

    /// The built-in policy of the person who can unlock the vault: it allows to reveal one named
    /// secret, and nothing else; `scope` is `operator`.
    pub fn operator() -> Self {
        todo!()
    }

    /// The scope that this policy is for.
    pub fn scope(&self) -> &ScopeName {
        &self.document.scope
    }

    /// The document as it was parsed.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The secrets whose facts a decision on this request needs: those it names, or, where it names
    /// none, those that the matching rule writes without a glob. A name outside the scope is among
    /// them, so that it costs what a missing one costs.
    pub fn names_in_question(&self, _request: &Request) -> Vec<SecretName> {
        todo!()
    }

    /// Decides. `facts` has an entry for each of [`Policy::names_in_question`] that exists.
    pub fn decide(&self, _request: &Request, _facts: &[SecretFacts]) -> Decision {
        todo!()
    }

    /// Decides on an operator's request to see a value; only [`Policy::operator`] allows it.
    pub fn decide_reveal(&self, _request: &RevealRequest) -> Decision {
        todo!()
    }
}

/// A change that a document makes (being written).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Whether it lets anybody do more.
    pub widens: bool,
    /// In words.
    pub text: String,
}

/// Why a policy answers as it does (being written).
#[derive(Debug, Clone, serde::Serialize)]
pub struct Explanation {
    /// Whether it would run.
    pub allowed: bool,
    /// In plain words, a line each.
    pub steps: Vec<String>,
}

/// A rule from the command line (being written).
#[derive(Debug, Clone, Default)]
pub struct NewRule {
    /// Its id.
    pub id: Option<String>,
    /// Patterns over secret names.
    pub secrets: Vec<String>,
    /// `env`, `file` or `sealed`.
    pub deliver: String,
    /// One argv pattern; `any` where empty.
    pub command: Vec<String>,
    /// Hosts, for sealed delivery.
    pub hosts: Vec<String>,
    /// `redacted`, `withhold`, `status`.
    pub output: Option<String>,
    /// Directories where runs may start.
    pub cwd: Vec<String>,
}
