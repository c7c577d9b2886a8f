//! Policies: what a scope may do.
//!
//! A TOML document goes in once ([`Document::parse`]), is resolved against this machine when it is
//! applied ([`Resolved`]), and from then on answers [`Request`]s. Pure: no I/O, no clock, no
//! environment; what a decision needs is an argument. Only [`Policy::decide`] and its narrow sibling
//! for operators make an [`Allowed`].

mod again;
mod applied;
mod argv;
mod asker;
mod confine;
pub(crate) mod credentials;
mod decide;
mod decision;
mod dirs;
mod document;
mod edit;
mod edition;
mod env_names;
mod ground;
mod held;
mod known;
mod limits;
mod listing;
mod operators_word;
pub(crate) mod other_request;
mod promise;
mod read;
mod resolved;
mod sandbox;
mod sealed;
mod services;
mod together;
mod typed;
mod variables;
mod words;

pub(crate) use again::Timed;
pub(crate) use applied::Policy;
pub use argv::ArgvPattern;
pub(crate) use argv::quoted;
pub use decision::{Allowed, CwdTerm, How, RevealTerms, RunTerms, SaidOff, SandboxTerms, Terms};
pub(crate) use decision::{
    Asker, Decision, Delivered, Denial, DenyCode, OperatorProof, Promise, Promised, Request, RevealRequest,
    SecretFacts,
};
pub use document::Document;
pub(crate) use document::{Finding, ProgramRef, Rule, Severity};
pub(crate) use edit::{Change, Effect, NewRule, SetByProxy, add_rule, changes};
pub(crate) use edition::Edition;
pub(crate) use ground::{Found, Ground, Hold};
pub(crate) use limits::{Counting, Limit, RunLimits, Shares};
pub(crate) use listing::{Explanation, RuleListing, Ruling};
pub(crate) use read::parse_duration;
pub use read::raw::policy_schema;
pub(crate) use resolved::{Pinned, ProgramMark, Resolved, Review};
pub(crate) use sandbox::CWD;
pub use sealed::{
    BaseUrl, EgressAllowlist, Inject, OfService, PathPattern, Seal, SigV4, SubstitutionSite, Tls,
    UpstreamProxy,
};
pub use services::{Service, ServiceInject};
pub(crate) use typed::PathGlob;
pub(crate) use words::{DeliveryMode, ExitCodes, OnFileHit, OutputMode, Stdin};
pub use words::{HomeMode, Network, SandboxMode};

#[cfg(test)]
mod promise_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
