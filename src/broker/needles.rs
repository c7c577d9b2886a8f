//! What each scope was given since the broker was started: the needles of all its runs, so that one
//! run can't launder what another wrote.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::{
    name::{ScopeName, SecretName},
    redact::{NeedleSet, Needles},
    value::SecretValue,
};

/// The needles of every scope.
#[derive(Default)]
pub(super) struct ScopeNeedles {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    scopes: HashMap<ScopeName, Scope>,
    /// Those of all scopes, until one grows.
    all: Option<NeedleSet>,
}

struct Scope {
    known: HashMap<(SecretName, [u8; 32]), Needles>,
    set: NeedleSet,
}

impl ScopeNeedles {
    /// Adds values to what a scope was given, and returns all of its needles.
    pub(super) fn add<'a>(
        &self,
        scope: &ScopeName,
        values: impl IntoIterator<Item = (&'a SecretName, &'a SecretValue)>,
    ) -> NeedleSet {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { scopes, all } = &mut *known;
        let scope = scopes
            .entry(scope.clone())
            .or_insert_with(|| Scope { known: HashMap::new(), set: NeedleSet::empty() });
        let mut grew = false;
        for (name, value) in values {
            scope.known.entry((name.clone(), digest(value))).or_insert_with(|| {
                grew = true;
                Needles::of(name, value)
            });
        }
        if grew {
            scope.set = NeedleSet::new(scope.known.values());
            *all = None;
        }
        scope.set.clone()
    }

    /// The same as [`ScopeNeedles::of`], one by one, for sets that are put together otherwise.
    pub(super) fn each_of(&self, scope: &ScopeName) -> Vec<Needles> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.scopes.get(scope).map_or_else(Vec::new, |scope| scope.known.values().cloned().collect())
    }

    /// Everything that a scope was given so far.
    pub(super) fn of(&self, scope: &ScopeName) -> NeedleSet {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.scopes.get(scope).map_or_else(NeedleSet::empty, |scope| scope.set.clone())
    }

    /// Everything that any scope was given: for callers whose scope isn't known.
    pub(super) fn all(&self) -> NeedleSet {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { scopes, all } = &mut *known;
        let every = || NeedleSet::new(scopes.values().flat_map(|scope| scope.known.values()));
        all.get_or_insert_with(every).clone()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a digest tells one version of a value from another, in memory only"
)]
fn digest(value: &SecretValue) -> [u8; 32] {
    Sha256::digest(value.expose_secret()).into()
}
