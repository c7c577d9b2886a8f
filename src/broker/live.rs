//! The runs that go on, each with all that it takes to decide on it again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    credential::Credential,
    holder::{Holder, State},
    keys::VaultKeys,
    refusal::{Code, Refusal},
    session::Session,
};
use crate::{
    policy::{Allowed, Decision, Policy, Request, RunTerms, Timed},
    vault::{Stamp, Vault},
};

/// The runs of a broker that go on.
#[derive(Default)]
pub(crate) struct Watch {
    runs: Mutex<Runs>,
    pub(super) next: AtomicU64,
    /// One looks for all.
    pub(super) looking: tokio::sync::Mutex<()>,
    pub(super) wake: Notify,
    pub(super) watching: AtomicBool,
}

#[derive(Default)]
pub(super) struct Runs {
    pub(super) live: BTreeMap<u64, Arc<Live>>,
    /// How the vault's files looked when all of these were last found to be allowed.
    pub(super) seen: Option<Stamp>,
}

/// A run that goes on, with all that it takes to decide on it again.
pub(crate) struct Live {
    /// For the time, which does not run backwards.
    keys: Arc<VaultKeys>,
    credential: Credential,
    request: Request,
    terms: RunTerms,
    timed: Timed,
    /// When what it rests on ends, in seconds, as it was last decided; and the process that it ends with.
    ends: AtomicI64,
    holder: Option<Holder>,
    pub(super) over: CancellationToken,
}

impl Live {
    pub(crate) fn new(
        keys: &Arc<VaultKeys>,
        credential: &Credential,
        session: &Session,
        request: &Request,
        terms: &RunTerms,
        timed: Timed,
    ) -> Self {
        Self {
            keys: Arc::clone(keys),
            credential: credential.clone(),
            request: request.clone(),
            terms: terms.clone(),
            timed,
            ends: AtomicI64::new(session.ends.unwrap_or(i64::MAX)),
            holder: session.chain.process().cloned(),
            over: CancellationToken::new(),
        }
    }

    /// Cancelled when the right is gone.
    pub(crate) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// Ends it where it has ended by itself, without a look into the vault.
    pub(super) fn end_in_time(&self) {
        let late = self.ends.load(Ordering::Relaxed) <= self.keys.freshness.now().as_second();
        let orphaned = self.holder.as_ref().is_some_and(|holder| holder.state() == State::Ended);
        if late || orphaned {
            self.over.cancel();
        }
    }

    /// Decides again: as for a new call, but for the runs that are left.
    pub(super) fn may_go_on(&self, vault: &Vault, keys: &VaultKeys, now: Timestamp) -> Result<(), Refusal> {
        let session = Session::again(vault, keys, &self.credential, now)?;
        self.ends.store(session.ends.unwrap_or(i64::MAX), Ordering::Relaxed);
        let allowed = decide(vault, &session.policy, &self.request)?;
        if allowed.terms().give_all_of(&self.terms, self.timed) { Ok(()) } else { Err(given_less()) }
    }
}

/// Decides on a request as the vault is now.
pub(crate) fn decide(
    vault: &Vault,
    policy: &Policy,
    request: &Request,
) -> Result<Allowed<RunTerms>, Refusal> {
    let facts = vault.facts(&policy.names_in_question(request))?;
    match policy.decide(request, &facts) {
        Decision::Deny(denial) => Err(Refusal::from(denial)),
        Decision::Allow(allowed) => Ok(allowed),
    }
}

fn given_less() -> Refusal {
    Refusal::new(
        Code::CommandNotAllowed,
        "the policy gives less than the run was given",
        "call list_allowed to see what it gives now",
    )
}

impl Watch {
    pub(super) fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock()
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        self.runs().live.values().cloned().collect()
    }

    /// What can't be seen was never seen before.
    pub(super) fn has_seen(&self, now: Option<Stamp>) -> bool {
        now.is_some() && self.runs().seen == now
    }

    /// Whether there is anything to watch; where not, the next run begins it anew.
    pub(super) fn goes_on(&self) -> bool {
        let runs = self.runs();
        if runs.live.is_empty() {
            self.watching.store(false, Ordering::Release);
        }
        !runs.live.is_empty()
    }
}
