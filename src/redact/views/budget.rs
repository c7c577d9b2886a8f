//! What looking into compressed data may cost, and what all layers of a stream share.

use std::collections::BTreeMap;

use miniz_oxide::{DataFormat, inflate::stream::InflateState};

use super::format::{Format, Method};

/// What a stream may cost beyond being read, in bytes: inflated ones, and those that are looked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::redact) struct Budget {
    pub(in crate::redact) read: u64,
    pub(in crate::redact) spent: u64,
    /// Tries that were set up.
    pub(in crate::redact) tries: u64,
    /// Bytes that heads were made of, each as often as there were heads to look at it.
    pub(in crate::redact) judged: u64,
}

impl Budget {
    /// What any stream may cost, however short: a few documents that shrink well.
    pub(in crate::redact) const ONCE: u64 = 4 << 20;
    /// What each byte that is read adds.
    pub(in crate::redact) const A_BYTE: u64 = 8;
    /// What setting up a try costs.
    const A_TRY: usize = 1 << 11;
    /// The same of one that takes megabytes: they are cleared first, which takes as long as looking through so much.
    const A_LARGE_TRY: usize = 32 << 10;
    /// A byte that a head looks at costs so many times less than one that is inflated.
    const CHEAPER: u64 = 8;

    pub(super) fn spend(&mut self, bytes: usize) {
        self.spent += bytes as u64;
    }

    pub(super) fn set_up(&mut self, method: Method) {
        self.tries += 1;
        self.spend(if method.is_large() { Self::A_LARGE_TRY } else { Self::A_TRY });
    }

    pub(super) fn judge(&mut self, bytes: u64) {
        self.judged += bytes;
    }

    /// All of it together.
    pub(in crate::redact) fn cost(&self) -> u64 {
        self.spent + self.judged / Self::CHEAPER
    }

    /// The most that the stream may have cost: what is under way when the budget ends is finished, a batch of each try.
    pub(in crate::redact) fn most(&self) -> u64 {
        Self::ONCE + Self::A_BYTE * self.read + (64 << 10)
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.cost() >= Self::ONCE + Self::A_BYTE * self.read
    }
}

/// So much data without a magic number is hardly chance.
const LEAST_WITHOUT_MAGIC: u64 = 1024;

/// What all layers of a stream draw from: data within data costs no more than data beside data.
#[derive(Default)]
pub(in crate::redact) struct Shared {
    pub(super) budget: Budget,
    /// Of tries that are over, for those to come: making one costs more than a short piece does.
    spare: Vec<Box<InflateState>>,
    /// Pieces that are unpacked now, in all layers; and those that take megabytes.
    pub(super) live: usize,
    pub(super) large: usize,
    /// Bytes of the pieces that were not looked into, by format.
    given_up: BTreeMap<&'static str, u64>,
}

impl Shared {
    /// The state of nothing.
    pub(super) fn state(&mut self) -> Box<InflateState> {
        self.spare.pop().unwrap_or_else(|| InflateState::new_boxed(DataFormat::Raw))
    }

    pub(super) fn take_back(&mut self, mut state: Box<InflateState>) {
        state.reset(DataFormat::Raw);
        self.spare.push(state);
    }

    /// Counts what is not followed. What has no magic number is nothing before some of it was read.
    pub(super) fn give_up(&mut self, format: &Format, bytes: u64) {
        if !format.magic.is_empty() || bytes >= LEAST_WITHOUT_MAGIC {
            *self.given_up.entry(format.name).or_default() += bytes;
        }
    }

    pub(super) fn given_up(&self) -> &BTreeMap<&'static str, u64> {
        &self.given_up
    }
}
