//! Redaction: needles, the streaming redactor, and [`Redacted`], what may leave.
//!
//! Pure. What enters: values, as needles, and the bytes that a child wrote. A net, never a boundary.

use std::collections::BTreeMap;

use crate::{name::SecretName, value::SecretValue};

/// Something in which every known needle has been masked. Only this room makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// What may be shown.
    pub fn get(&self) -> &T {
        &self.0
    }
    /// What may be shown, taken out.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// What was masked: how often, by kind of form (`raw`, `line`, `base64`, `hex`, …).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<&'static str, u64>);

impl Counts {
    /// All masks together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
    /// Adds another stream's counts.
    pub fn add(&mut self, _other: &Counts) {
        todo!()
    }
}

/// The byte forms of one version of one secret. Cheap to clone, wiped when the last is dropped.
#[derive(Clone)]
pub struct Needles {}

impl Needles {
    /// Works out the forms of a value.
    pub fn of(_name: &SecretName, _value: &SecretValue) -> Self {
        todo!()
    }
}

/// An automaton over the needles of any number of secrets. Cheap to clone.
#[derive(Clone)]
pub struct NeedleSet {}

impl NeedleSet {
    /// Builds the automaton.
    pub fn new<'a>(_needles: impl IntoIterator<Item = &'a Needles>) -> Self {
        todo!()
    }
    /// A set with nothing in it.
    pub fn empty() -> Self {
        todo!()
    }
    /// A redactor for one stream.
    pub fn redactor(&self) -> Redactor {
        todo!()
    }
    /// Masks a whole text.
    pub fn text(&self, _text: &str) -> Redacted<String> {
        todo!()
    }
    /// Masks every key and every string of a JSON document.
    pub fn json(&self, _json: serde_json::Value) -> Redacted<serde_json::Value> {
        todo!()
    }
}

/// Masks one stream as it comes. Holds back no more than the longest needle.
pub struct Redactor {}

impl Redactor {
    /// Takes a chunk in and appends what is safe to show.
    pub fn push(&mut self, _chunk: &[u8], _out: &mut Vec<u8>) {
        todo!()
    }
    /// Gives out what is held back at a pause: everything but a tail that could still become a match.
    pub fn flush_idle(&mut self, _out: &mut Vec<u8>) {
        todo!()
    }
    /// Ends the stream.
    pub fn finish(&mut self, _out: &mut Vec<u8>) {
        todo!()
    }
    /// What was masked so far.
    pub fn counts(&self) -> &Counts {
        todo!()
    }
}
