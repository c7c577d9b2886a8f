//! What leaves the room: [`Redacted`], and the counts of what was masked in it.

use std::collections::BTreeMap;

/// Something in which every known needle has been masked. Only this room makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted<T>(pub(super) T);

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

impl Redacted<String> {
    /// No text.
    pub(crate) fn nothing() -> Self {
        Self(String::new())
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
    pub fn add(&mut self, other: &Counts) {
        for (kind, count) in &other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }
}
