//! What each scope was given since the broker was started, and which of it is looked for where.
//!
//! A mask answers a question: whoever prints guesses sees which of them was right. So a value, or a part of one,
//! that nobody can guess is looked for in every run of its scope, which keeps one run from laundering what another
//! wrote. One that can be guessed is looked for only in runs that were given it, which need not guess, and in runs
//! that can read what such a run may have written. What answers no run (refusals, listings, errors) is looked
//! through for the former alone.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::{
    names::{ScopeName, SecretName},
    policy::{CWD, CwdTerm, RunTerms},
    redact::{NeedleSet, Needles},
    sandbox::{SandboxBackend, SandboxPlan},
    value::SecretValue,
};

/// Sets that are kept for the next run like one before.
const KEPT_SETS: usize = 16;

/// The needles of every scope.
#[derive(Default)]
pub(crate) struct ScopeNeedles {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    scopes: HashMap<ScopeName, Scope>,
    /// For callers whose scope isn't known, once one has asked.
    anyone: Option<NeedleSet>,
    /// For the audit, which no agent reads, likewise.
    everything: Option<NeedleSet>,
}

#[derive(Default)]
struct Scope {
    entries: Vec<Entry>,
    by_value: HashMap<(SecretName, [u8; 32]), usize>,
    /// By the entries of which all forms are looked for, in order.
    sets: HashMap<Vec<usize>, NeedleSet>,
}

/// One value that the scope was given, or that was sealed for it.
struct Entry {
    name: SecretName,
    all: Needles,
    beyond_guessing: Needles,
    /// Where runs that were given it may have left it.
    written: Vec<PathBuf>,
}

/// What one run may read and write of what others may, too.
pub(crate) struct Shared {
    reads: Vec<PathBuf>,
    writes: Vec<PathBuf>,
}

/// What is looked for in one run.
pub(crate) struct RunNeedles {
    scope: ScopeName,
    given: BTreeSet<SecretName>,
    shared: Shared,
    /// What stands for sealed values in it.
    placeholders: Vec<Needles>,
    /// Of each value what is looked for.
    pub(crate) each: Vec<Needles>,
    /// The same, ready to be looked for.
    pub(crate) set: NeedleSet,
}

type Named<'a> = (&'a SecretName, &'a SecretValue);

impl ScopeNeedles {
    /// What is looked for in a run that is given some values, while others, sealed or from before, are only known.
    /// From here on, what the run writes counts as if it held what it was given.
    pub(crate) fn for_run<'a>(
        &self,
        scope: &ScopeName,
        given: impl IntoIterator<Item = Named<'a>>,
        known: impl IntoIterator<Item = Named<'a>>,
        shared: Shared,
    ) -> RunNeedles {
        let mut all = self.lock();
        let given: Vec<Named<'a>> = given.into_iter().collect();
        let numbers: Vec<usize> = given.iter().map(|one| all.learn(scope, *one)).collect();
        for one in known {
            all.learn(scope, one);
        }
        let place = all.scopes.entry(scope.clone()).or_default();
        for number in numbers {
            place.entries[number].written_to(&shared.writes);
        }
        let given = given.into_iter().map(|(name, _)| name.clone()).collect();
        let (each, set) = place.looked_for(&given, &shared);
        RunNeedles { scope: scope.clone(), given, shared, placeholders: Vec::new(), each, set }
    }

    /// The same once more behind the run: values that its scope learnt of meanwhile are among them.
    pub(crate) fn again<'a>(&self, run: &mut RunNeedles, known: impl IntoIterator<Item = Named<'a>>) {
        let mut all = self.lock();
        for one in known {
            all.learn(&run.scope, one);
        }
        let place = all.scopes.entry(run.scope.clone()).or_default();
        (run.each, run.set) = place.looked_for(&run.given, &run.shared);
        drop(all);
        run.join();
    }

    /// What is looked for in an answer that is no run's.
    pub(crate) fn of(&self, scope: &ScopeName) -> NeedleSet {
        let mut known = self.lock();
        known.scopes.get_mut(scope).map_or_else(NeedleSet::empty, |scope| scope.set_of(Vec::new()))
    }

    /// The same for callers whose scope isn't known: of everything that any scope was given.
    pub(crate) fn anyone(&self) -> NeedleSet {
        let mut known = self.lock();
        let Known { scopes, anyone, .. } = &mut *known;
        let entries = || scopes.values().flat_map(|scope| &scope.entries);
        anyone.get_or_insert_with(|| NeedleSet::new(entries().map(|entry| &entry.beyond_guessing))).clone()
    }

    /// Everything that any scope was given, what can be guessed too: for what no agent reads.
    pub(crate) fn everything(&self) -> NeedleSet {
        let mut known = self.lock();
        let Known { scopes, everything, .. } = &mut *known;
        let entries = || scopes.values().flat_map(|scope| &scope.entries);
        everything.get_or_insert_with(|| NeedleSet::new(entries().map(|entry| &entry.all))).clone()
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Known> {
        self.known.lock()
    }
}

impl RunNeedles {
    /// Placeholders are masked as their secrets are.
    pub(crate) fn mask_too(&mut self, placeholders: Vec<Needles>) {
        self.placeholders = placeholders;
        self.join();
    }

    fn join(&mut self) {
        if !self.placeholders.is_empty() {
            self.set = NeedleSet::new(self.each.iter().chain(&self.placeholders));
        }
    }
}

impl Known {
    /// The number of a value in its scope.
    fn learn(&mut self, scope: &ScopeName, (name, value): Named<'_>) -> usize {
        let place = self.scopes.entry(scope.clone()).or_default();
        let key = (name.clone(), digest(value));
        if let Some(number) = place.by_value.get(&key) {
            return *number;
        }
        let all = Needles::of(name, value);
        let number = place.entries.len();
        place.entries.push(Entry {
            name: name.clone(),
            beyond_guessing: all.beyond_guessing(),
            all,
            written: Vec::new(),
        });
        place.by_value.insert(key, number);
        let entry = &place.entries[number];
        // Of a value that nobody was given yet, a run looks for what can't be guessed.
        place.sets.values_mut().chain(&mut self.anyone).for_each(|set| set.add(&entry.beyond_guessing));
        self.everything.iter_mut().for_each(|set| set.add(&entry.all));
        number
    }
}

impl Entry {
    fn written_to(&mut self, places: &[PathBuf]) {
        for place in places {
            if !self.written.contains(place) {
                self.written.push(place.clone());
            }
        }
    }
}

impl Scope {
    /// Of which values all forms are looked for, of which only what nobody guesses; one by one, and together.
    fn looked_for(&mut self, given: &BTreeSet<SecretName>, shared: &Shared) -> (Vec<Needles>, NeedleSet) {
        let whole = |(_, entry): &(usize, &Entry)| {
            !entry.all.are_beyond_guessing()
                && (given.contains(&entry.name) || shared.can_read(&entry.written))
        };
        let whole: Vec<usize> =
            self.entries.iter().enumerate().filter(whole).map(|(number, _)| number).collect();
        let each = self.needles(&whole).cloned().collect();
        (each, self.set_of(whole))
    }

    fn needles<'a>(&'a self, whole: &'a [usize]) -> impl Iterator<Item = &'a Needles> {
        let of = |(number, entry): (usize, &'a Entry)| {
            if whole.contains(&number) { &entry.all } else { &entry.beyond_guessing }
        };
        self.entries.iter().enumerate().map(of)
    }

    fn set_of(&mut self, whole: Vec<usize>) -> NeedleSet {
        if let Some(set) = self.sets.get(&whole) {
            return set.clone();
        }
        let set = NeedleSet::new(self.needles(&whole));
        if self.sets.len() >= KEPT_SETS {
            self.sets.clear();
        }
        self.sets.insert(whole, set.clone());
        set
    }
}

impl Shared {
    /// What a run under these terms, contained like this, shares with others. A run that nothing contains reads
    /// and writes what its user does.
    pub(crate) fn of(terms: &RunTerms, plan: &SandboxPlan, home: &Path) -> Self {
        if plan.shape == SandboxBackend::None {
            let all = vec![PathBuf::from("/")];
            return Self { reads: all.clone(), writes: all };
        }
        let cwd = match &terms.cwd {
            CwdTerm::Private => None,
            CwdTerm::Within { dir, .. } => Some(dir.as_path()),
        };
        let places = |paths: &[PathBuf]| -> Vec<PathBuf> {
            paths.iter().filter_map(|path| placed(path, cwd)).map(|path| real(&path)).collect()
        };
        let writes = places(&terms.sandbox.write);
        let own_home = (terms.home == crate::policy::HomeMode::User).then_some(home);
        let mut reads = places(&terms.sandbox.read);
        reads.extend(cwd.into_iter().chain(own_home).map(real));
        reads.extend(terms.path.iter().map(|path| real(path)));
        reads.extend(crate::system::READ.iter().map(Path::new).map(real));
        reads.extend(writes.iter().cloned());
        Self { reads, writes }
    }

    /// Whether any of the places overlaps with what may be read.
    fn can_read(&self, written: &[PathBuf]) -> bool {
        let overlap = |one: &PathBuf, other: &PathBuf| one.starts_with(other) || other.starts_with(one);
        written.iter().any(|place| self.reads.iter().any(|read| overlap(place, read)))
    }
}

/// A path of a policy, where the run starts put in.
fn placed(path: &Path, cwd: Option<&Path>) -> Option<PathBuf> {
    match path.strip_prefix(CWD) {
        Ok(below) => cwd.map(|cwd| cwd.join(below)),
        Err(_) => Some(path.to_owned()),
    }
}

/// The same place by whatever link it is named; what isn't there is where it says.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a digest tells one version of a value from another, in memory only"
)]
fn digest(value: &SecretValue) -> [u8; 32] {
    Sha256::digest(value.expose_secret()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "48291736";
    const KEY: &str = "tok_9fQ2xT7vLm4Z/kW8+hN3pR6sYb1";

    fn scope(name: &str) -> ScopeName {
        ScopeName::parse(name).unwrap()
    }

    fn named(name: &str, value: &str) -> (SecretName, SecretValue) {
        (SecretName::parse(name).unwrap(), SecretValue::new(value.as_bytes().to_vec()))
    }

    fn shared(reads: &[&str], writes: &[&str]) -> Shared {
        let places = |all: &[&str]| all.iter().map(PathBuf::from).collect();
        Shared { reads: places(reads), writes: places(writes) }
    }

    /// What a run of a scope finds of the PIN and of the key.
    fn found(
        all: &ScopeNeedles,
        name: &str,
        given: &[&(SecretName, SecretValue)],
        reads: &[&str],
    ) -> (u64, u64) {
        let given = given.iter().map(|(name, value)| (name, value));
        let run = all.for_run(&scope(name), given, [], shared(reads, &[]));
        (run.set.finds(PIN.as_bytes()).total(), run.set.finds(KEY.as_bytes()).total())
    }

    #[test]
    fn what_can_be_guessed_is_looked_for_where_it_can_be() {
        let all = ScopeNeedles::default();
        let (pin, key) = (named("db/pin", PIN), named("a/key", KEY));
        let both = [(&pin.0, &pin.1), (&key.0, &key.1)];
        all.for_run(&scope("s"), both, [], shared(&[], &["/srv/out"]));
        // Given; able to read where it may have been left, from above, below or the place itself; anybody else.
        assert_eq!(found(&all, "s", &[&pin], &[]), (1, 1));
        for (reads, masked) in [
            (&["/srv/out"][..], 1),
            (&["/srv"], 1),
            (&["/"], 1),
            (&["/srv/out/deep"], 1),
            (&["/usr", "/srv/output", "/srv/in"], 0),
            (&[], 0),
        ] {
            assert_eq!(found(&all, "s", &[], reads), (masked, 1), "{reads:?}");
        }
        // Another scope was given nothing; callers without one, and listings, see what nobody guesses.
        assert_eq!(found(&all, "t", &[], &["/srv/out"]), (0, 0));
        let sees = |set: NeedleSet| (set.finds(PIN.as_bytes()).total(), set.finds(KEY.as_bytes()).total());
        assert_eq!((sees(all.anyone()), sees(all.of(&scope("s")))), ((0, 1), (0, 1)));
        assert_eq!(sees(all.everything()), (1, 1));
    }

    #[test]
    fn what_is_only_known_is_looked_for_if_nobody_guesses_it() {
        let all = ScopeNeedles::default();
        let (pin, key) = (named("db/pin", PIN), named("a/key", KEY));
        let known = [(&pin.0, &pin.1), (&key.0, &key.1)];
        let mut run = all.for_run(&scope("s"), [], known, shared(&["/"], &["/"]));
        let sees =
            |run: &RunNeedles| (run.set.finds(PIN.as_bytes()).total(), run.set.finds(KEY.as_bytes()).total());
        assert_eq!(sees(&run), (0, 1));
        // The versions of a secret that a run is given are given with it: the old one, and one that comes meanwhile.
        let (old, new) = (named("db/pin", "51739264"), named("db/pin", "60284817"));
        let mut given = all.for_run(&scope("s"), [(&pin.0, &pin.1)], [(&old.0, &old.1)], shared(&[], &[]));
        assert_eq!((given.set.finds(b"51739264").total(), given.set.finds(b"60284817").total()), (1, 0));
        all.again(&mut given, [(&new.0, &new.1)]);
        assert_eq!(given.set.finds(b"60284817").total(), 1);
        all.again(&mut run, []);
        assert_eq!(sees(&run), (0, 1));
    }
}
