//! The tables in which the needles of many secrets are looked for together.

use std::collections::BTreeMap;

use super::{
    forms::{Form, MatchMode},
    index::Index,
    needles::Needles,
    views::{Alphabet, SqueezedIndex},
};

/// What a needle is called when it is found.
pub(super) struct Label<'a> {
    pub(super) kind: &'static str,
    pub(super) mask: &'a [u8],
}

/// What is looked for in the stream with its escapes undone: the values, their parts, and their base64.
#[derive(Clone)]
pub(super) struct Escaped {
    pub(super) tables: Tables,
    pub(super) alphabet: Alphabet,
}

/// What is looked for, and what it is called.
#[derive(Clone)]
pub(super) struct Tables {
    /// The needles of each secret, by the label of the first of them; the others have the next ones.
    secrets: BTreeMap<u32, Needles>,
    /// How many labels are given.
    labels: u32,
    written: Index,
    squeezed: Option<SqueezedIndex>,
    escaped: Option<Box<Escaped>>,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self { secrets: BTreeMap::new(), labels: 0, written: Index::new(), squeezed: None, escaped: None }
    }

    /// Makes room for the needles of so many secrets.
    pub(super) fn reserve(&mut self, secrets: &[&Needles]) {
        let forms = || secrets.iter().flat_map(|needles| needles.forms());
        self.reserve_for(forms);
        if forms().any(|form| form.escaped) {
            let escaped = || forms().filter(|form| form.escaped);
            self.escaped.get_or_insert_default().tables.reserve_for(escaped);
        }
    }

    fn reserve_for<'a, T: Iterator<Item = &'a Form>>(&mut self, forms: impl Fn() -> T) {
        let of = |squeezed: bool| {
            let wanted = forms().filter(move |form| (form.sight != MatchMode::Literal) == squeezed);
            wanted.map(move |form| if squeezed { form.squeezed() } else { form.place() }.1 as usize)
        };
        self.written.reserve(of(false));
        if of(true).next().is_some() {
            self.squeezed.get_or_insert_default().reserve(of(true));
        }
    }

    /// Adds the needles of a secret. Of two secrets with the same form, the one that was added first has it.
    pub(super) fn add(&mut self, needles: &Needles) {
        let first = self.labels;
        self.add_forms(needles, first, |_| true);
        if needles.forms().iter().any(|form| form.escaped) {
            let escaped = self.escaped.get_or_insert_default();
            escaped.tables.add_forms(needles, first, |form| form.escaped);
            let literal =
                needles.forms().iter().filter(|form| form.escaped && form.sight == MatchMode::Literal);
            literal.for_each(|form| escaped.alphabet.add(needles.bytes(form)));
        }
        self.labels += u32::try_from(needles.forms().len()).unwrap_or(u32::MAX);
        self.secrets.insert(first, needles.clone());
    }

    /// Ends adding for now: what was added is found from here on.
    pub(super) fn settle(&mut self) {
        self.written.settle();
        self.squeezed.iter_mut().for_each(SqueezedIndex::settle);
        self.escaped.iter_mut().for_each(|escaped| escaped.tables.settle());
    }

    fn add_forms(&mut self, needles: &Needles, first: u32, wanted: impl Fn(&Form) -> bool) {
        let all = || (first..).zip(needles.forms()).filter(|(_, form)| wanted(form));
        let literal = all().filter(|(_, form)| form.sight == MatchMode::Literal);
        let places = literal.map(|(label, form)| (form.place(), label));
        self.written.add(needles.arena(), places);
        if all().any(|(_, form)| form.sight != MatchMode::Literal) {
            let squeezed = all().filter(|(_, form)| form.sight != MatchMode::Literal);
            self.squeezed.get_or_insert_default().add(needles.arena(), squeezed);
        }
    }

    pub(super) fn literal(&self) -> &Index {
        &self.written
    }

    pub(super) fn squeezed(&self) -> Option<&SqueezedIndex> {
        self.squeezed.as_ref()
    }

    pub(super) fn escaped(&self) -> Option<&Escaped> {
        self.escaped.as_deref()
    }

    pub(super) fn label(&self, number: u32) -> Label<'_> {
        let secret = self.secrets.range(..=number).next_back();
        let (first, needles) = secret.expect("labels are given with their secrets");
        Label { kind: needles.forms()[(number - first) as usize].kind, mask: &needles.mask }
    }

    /// How many needles there are.
    pub(super) fn len(&self) -> usize {
        self.labels as usize
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.labels == 0
    }
}

impl Default for Escaped {
    fn default() -> Self {
        Self { tables: Tables::new(), alphabet: Alphabet::new() }
    }
}
