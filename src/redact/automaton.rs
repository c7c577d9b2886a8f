//! The automaton over all needles, and what it knows of each state.

use std::{collections::BTreeSet, fmt, sync::Arc};

use aho_corasick::{
    Anchored, MatchKind,
    automaton::{Automaton as _, StateID},
    nfa::contiguous::NFA,
};
use secrecy::ExposeSecret;

use super::{
    Counts,
    find::Finder,
    forms::{Form, forms},
    stream::Redactor,
};
use crate::{name::SecretName, value::SecretValue};

/// The byte forms of one version of one secret. Cheap to clone, wiped when the last is dropped.
#[derive(Clone)]
pub struct Needles {
    name: SecretName,
    mask: Arc<[u8]>,
    forms: Arc<Vec<Form>>,
}

impl Needles {
    /// Works out the forms of a value, which is masked as `[redacted:NAME]`. A value of fewer than four
    /// bytes has none.
    pub fn of(name: &SecretName, value: &SecretValue) -> Self {
        Self::of_masked(name, value, format!("[redacted:{name}]").as_bytes())
    }

    /// The same, with another text in the value's place: a placeholder that stands for it elsewhere.
    #[expect(clippy::disallowed_methods, reason = "a value becomes what is looked for")]
    pub fn of_masked(name: &SecretName, value: &SecretValue, mask: &[u8]) -> Self {
        Self { name: name.clone(), mask: mask.into(), forms: Arc::new(forms(value.expose_secret())) }
    }
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needles({}, {} forms)", self.name, self.forms.len())
    }
}

/// What a needle is called when it is found.
#[derive(Debug)]
pub(super) struct Label {
    pub kind: &'static str,
    pub mask: Arc<[u8]>,
}

/// An automaton over the needles of any number of secrets. Cheap to clone.
///
/// The automaton holds the needles' bytes in tables of its own, which aren't wiped: whoever reads this
/// process's memory reads its secrets.
#[derive(Clone)]
pub struct NeedleSet(Option<Arc<Tables>>);

/// The automaton, and beside it what each pattern is called and how deep each state lies.
pub(super) struct Tables {
    nfa: NFA,
    labels: Vec<Label>,
    depths: Vec<u32>,
}

impl NeedleSet {
    /// Builds the automaton. Of two secrets with the same form, the one whose name comes first has it.
    pub fn new<'a>(needles: impl IntoIterator<Item = &'a Needles>) -> Self {
        let mut sorted: Vec<&Needles> = needles.into_iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        let labelled = sorted.into_iter().flat_map(|needles| {
            needles.forms.iter().map(move |form| {
                (form.bytes.as_slice(), Label { kind: form.kind, mask: Arc::clone(&needles.mask) })
            })
        });
        Self::from_labelled(labelled)
    }

    /// A set with nothing in it.
    pub fn empty() -> Self {
        Self(None)
    }

    /// A redactor for one stream.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(self.0.clone())
    }

    /// Which needles a whole text holds, in any form: how often, by kind.
    pub fn finds(&self, bytes: &[u8]) -> Counts {
        let mut finder = self.finder();
        finder.push(bytes);
        finder.finish()
    }

    /// The same for a stream: a file that needn't fit into memory.
    pub fn finder(&self) -> Finder {
        Finder::new(self.redactor())
    }

    /// Needles as they are, without any forms, all masked as `mask`.
    #[cfg(test)]
    pub(super) fn exact(needles: &[&[u8]], mask: &str) -> Self {
        let mask: Arc<[u8]> = mask.as_bytes().into();
        Self::from_labelled(
            needles.iter().map(|bytes| (*bytes, Label { kind: "raw", mask: Arc::clone(&mask) })),
        )
    }

    fn from_labelled<'a>(needles: impl Iterator<Item = (&'a [u8], Label)>) -> Self {
        let mut seen = BTreeSet::new();
        let (patterns, labels): (Vec<&[u8]>, Vec<Label>) =
            needles.filter(|(bytes, _)| !bytes.is_empty() && seen.insert(*bytes)).unzip();
        if patterns.is_empty() {
            return Self(None);
        }
        let nfa = NFA::builder()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(&patterns)
            .expect("needles are far fewer than state numbers");
        let depths = depths(&nfa, &patterns);
        Self(Some(Arc::new(Tables { nfa, labels, depths })))
    }
}

impl fmt::Debug for NeedleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NeedleSet({} needles)", self.0.as_ref().map_or(0, |tables| tables.labels.len()))
    }
}

impl Tables {
    pub(super) fn start(&self) -> StateID {
        self.nfa.start_state(Anchored::No).expect("built for unanchored search")
    }

    pub(super) fn next(&self, state: StateID, byte: u8) -> StateID {
        self.nfa.next_state(Anchored::No, state, byte)
    }

    /// How many bytes back the longest needle begins that could still become a match.
    pub(super) fn depth(&self, state: StateID) -> usize {
        self.depths.get(state.as_usize()).map_or(0, |depth| *depth as usize)
    }

    /// The longest needle that ends in this state: its length and its label.
    pub(super) fn longest_match(&self, state: StateID) -> Option<(usize, usize)> {
        if !self.nfa.is_match(state) {
            return None;
        }
        (0..self.nfa.match_len(state))
            .map(|index| self.nfa.match_pattern(state, index))
            .map(|pattern| (self.nfa.pattern_len(pattern), pattern.as_usize()))
            .max_by_key(|(length, _)| *length)
    }

    pub(super) fn label(&self, index: usize) -> &Label {
        &self.labels[index]
    }
}

/// Every state is a prefix of some needle: walking each needle from the start visits them all.
fn depths(nfa: &NFA, patterns: &[&[u8]]) -> Vec<u32> {
    let start = nfa.start_state(Anchored::No).expect("built for unanchored search");
    let mut depths = Vec::new();
    for pattern in patterns {
        let mut state = start;
        for (index, &byte) in pattern.iter().enumerate() {
            state = nfa.next_state(Anchored::No, state, byte);
            let at = state.as_usize();
            if depths.len() <= at {
                depths.resize(at + 1, 0);
            }
            depths[at] = u32::try_from(index + 1).unwrap_or(u32::MAX);
        }
    }
    depths
}
