//! Whom a decision waits for. The policy alone decides so far; whoever is to be asked besides comes in here, between the
//! decision and its commit, while nobody holds the vault.

use std::pin::Pin;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::refusal::Refusal;
use crate::{
    names::{RunId, ScopeName},
    policy::{Request, RunTerms},
};

/// A run that was decided on: nothing of it is on record, spent or revealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The run that it becomes.
    pub run: RunId,
    /// The scope that decided.
    pub scope: ScopeName,
    /// Of who asks, what for, and all terms: what is agreed to is this and nothing else.
    digest: [u8; 32],
}

/// Who has to agree.
pub(crate) trait Consent: Send + Sync {
    /// Whether anybody has to, to a run on these terms.
    fn is_needed(&self, terms: &RunTerms) -> bool;

    /// Waits for the answer.
    ///
    /// # Errors
    /// The refusal.
    fn answer<'a>(
        &'a self,
        pending: &'a Pending,
        cancel: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>>;
}

/// Nobody: the policy alone decides.
pub(crate) struct PolicyAlone;

impl Consent for PolicyAlone {
    fn is_needed(&self, _: &RunTerms) -> bool {
        false
    }

    fn answer<'a>(
        &'a self,
        _: &'a Pending,
        _: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Pending {
    pub(super) fn of(
        run: &RunId,
        scope: &ScopeName,
        principal: &str,
        request: &Request,
        terms: &RunTerms,
    ) -> Self {
        // As the types show themselves: a field that is new to them is part of what is agreed to.
        let whole = format!("{scope} {principal:?} {request:?} {terms:?}");
        Self { run: run.clone(), scope: scope.clone(), digest: Sha256::digest(whole).into() }
    }

    /// Whether two are the same, to the last term.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.run == other.run && self.digest == other.digest
    }
}
