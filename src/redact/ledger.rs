//! One ledger a run: what was masked in everything that is told of it, and what was not looked into.
//!
//! A result's `redactions` and `not_looked_into`, whether it is withheld, and what the audit keeps are made of this
//! ledger alone, so that they say the same. Whatever masks has to be given one: there is no other way to a
//! [`Redacted`](super::Redacted). What was masked in a text stays masked, so that a second look at it adds nothing.

use std::collections::BTreeMap;

use super::{redacted::Counts, stream::Redactor};

/// A page of the ledger: the part of what is told that an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LedgerPage {
    /// Standard output, and what was told of it on the way.
    Stdout,
    /// Standard error, likewise.
    Stderr,
    /// Everything else: paths, notes, words.
    Rest,
}

impl LedgerPage {
    /// The page of a stream, by its descriptor.
    pub(crate) fn of(fd: u8) -> Self {
        match fd {
            1 => Self::Stdout,
            2 => Self::Stderr,
            _ => Self::Rest,
        }
    }

    /// The word for it in a result.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Rest => "result",
        }
    }
}

/// What was masked, and what was not looked into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MaskLedger {
    masked: Counts,
    /// Bytes by page and by kind.
    not_looked_into: BTreeMap<(LedgerPage, &'static str), u64>,
}

impl MaskLedger {
    /// For what belongs to no run, or was entered in a run's ledger where it was masked first: nobody reads this one.
    pub(crate) fn of_no_run() -> Self {
        Self::default()
    }

    /// Enters what a redactor did to a text or a stream that has ended. What is looked at again is not looked into as
    /// before: the larger number holds.
    pub(crate) fn enter(&mut self, page: LedgerPage, done: &Redactor) {
        self.masked.add(done.counts());
        for (kind, bytes) in done.not_looked_into() {
            let known = self.not_looked_into.entry((page, kind)).or_default();
            *known = bytes.max(*known);
        }
    }

    /// Enters what another ledger of the same run has.
    pub(crate) fn add(&mut self, other: Self) {
        self.masked.add(&other.masked);
        for (part, bytes) in other.not_looked_into {
            let known = self.not_looked_into.entry(part).or_default();
            *known = bytes.max(*known);
        }
    }

    /// What was masked.
    pub(crate) fn masked(&self) -> &Counts {
        &self.masked
    }

    /// What was not looked into: on which page, of which kind, how many bytes.
    pub(crate) fn not_looked_into(&self) -> impl Iterator<Item = (LedgerPage, &'static str, u64)> {
        self.not_looked_into.iter().map(|((page, kind), bytes)| (*page, *kind, *bytes))
    }

    /// Whether nothing was masked, and everything was looked into.
    pub(crate) fn is_clean(&self) -> bool {
        self.masked.total() == 0 && self.not_looked_into.is_empty()
    }
}
