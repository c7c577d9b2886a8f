//! One layer of a stream: what is compressed in it is followed, and what that becomes is a layer of its own.

use std::sync::Arc;

use super::{
    Hit,
    beginnings::{LONGEST_BEGINNING, may_follow, places},
    block::Block,
    budget::Shared,
    format::{Body, Method},
    head::{Head, Verdict},
    inflating::{Data, Try},
    runs::{LEAST, begun as begun_run, starts},
    unpacked::{Unpacked, Within},
    unread::Unread,
    writing::Writing,
};
use crate::redact::{tables::Tables, window::Window};

/// What is followed goes on together, in steps of so many bytes.
const STEP: u64 = 1024;
/// How many beginnings are looked at, and how many pieces are unpacked, at a time.
const MOST_HEADS: usize = 8;
const MOST_TRIES: usize = 8;
/// The same in all layers together; and of those that hold megabytes each.
const MOST_LIVE: usize = 32;
const MOST_LARGE: usize = 2;
/// So many layers are looked into: an archive of compressed files in a mail of a mail, and what only looks like data
/// costs little.
const DEEPEST: usize = 6;

/// Follows compressed data.
#[derive(Default)]
pub(in crate::redact) struct Layer {
    /// How many layers there are above it.
    depth: usize,
    heads: Vec<Head>,
    tries: Vec<Try>,
    unread: Vec<Unread>,
}

impl Within for Layer {
    fn take(
        &mut self,
        tables: &Arc<Tables>,
        window: &Window,
        offset: u64,
        shared: &mut Shared,
        hit: &mut dyn FnMut(Hit),
    ) {
        let from = offset.saturating_sub(LONGEST_BEGINNING).max(window.base());
        let text = window.between(from, window.end());
        let mut ready = self.runs(window, offset);
        for (start, end, beginning) in places(text) {
            let (start, end) = (from + start as u64, from + end as u64);
            if end <= offset {
                continue;
            }
            if beginning.is_in_a_writing() && self.may_undo_a_writing(&ready) {
                // What ends before it has to have ended, however the stream came in pieces.
                self.begin_ready(tables, window, end, &mut ready, shared, hit);
                self.advance(window, end, shared, hit);
                if self.undoes_a_writing() {
                    continue;
                }
            }
            // Only where the place is needed: a look at all heads for each beginning costs more than they do.
            if self.heads.len() >= MOST_HEADS {
                self.look_at_heads(window, end, &mut ready, shared);
            }
            if self.heads.len() >= MOST_HEADS {
                let oldest = self.heads.remove(0);
                shared.give_up(oldest.format, oldest.extent.length());
            }
            self.heads.push(Head::new(start, beginning));
        }
        let end = window.end();
        self.begin_ready(tables, window, end, &mut ready, shared, hit);
        // Where a chunk ends is no place in the stream: in it nothing ends before another begins.
        self.advance(window, if self.depth == 0 { end - end % STEP } else { end }, shared, hit);
        // Nothing of it is held back.
        self.follow_unread(window, end, shared);
    }

    fn earliest(&self, window: &Window) -> Option<u64> {
        let end = window.end();
        let from = end.saturating_sub(LONGEST_BEGINNING).max(window.base());
        let begun = may_follow(window.between(from, end)).map(|at| from + at as u64);
        let from = end.saturating_sub(LEAST as u64).max(window.base());
        let run = begun_run(window.between(from, end)).map(|at| from + at as u64);
        self.earliest_at_a_pause().into_iter().chain(begun).chain(run).min()
    }

    fn end(&mut self, shared: &mut Shared, hit: &mut dyn FnMut(Hit)) {
        self.heads.clear();
        for one in std::mem::take(&mut self.tries) {
            one.close(shared, hit);
        }
        self.unread.drain(..).for_each(|one| one.close(shared));
    }
}

impl Layer {
    /// The offset from which on the stream may still be masked at a pause: what may be the beginning of compressed
    /// data, but isn't yet, is shown.
    pub(super) fn earliest_at_a_pause(&self) -> Option<u64> {
        let heads = self.heads.iter().map(|head| head.extent.start);
        heads.chain(self.tries.iter().map(Try::earliest)).min()
    }

    /// Runs of a writing that may be data without a beginning of its own.
    fn runs(&self, window: &Window, offset: u64) -> Vec<(Head, Body)> {
        let from = offset.saturating_sub(LEAST as u64 + 1).max(window.base());
        let known = usize::try_from(offset - from).unwrap_or(usize::MAX);
        let runs = starts(window.between(from, window.end()), known).into_iter();
        let head = |(start, beginning, body)| {
            let mut head = Head::new(from + start as u64, beginning);
            head.extent.upto += LEAST as u64;
            (head, body)
        };
        // What begins with the window is known to have begun before.
        runs.filter(|(start, ..)| *start > 0 || from == 0).map(head).collect()
    }

    /// What is read, and can't be looked into.
    pub(super) fn unread(&self) -> &[Unread] {
        &self.unread
    }

    fn look_at_heads(
        &mut self,
        window: &Window,
        upto: u64,
        ready: &mut Vec<(Head, Body)>,
        shared: &mut Shared,
    ) {
        let mut at = 0;
        while at < self.heads.len() {
            let head = &mut self.heads[at];
            match head.take(window.between(head.extent.upto, upto), &mut shared.budget) {
                Verdict::Waiting => at += 1,
                // What stands there as it is, every view sees; what it holds is found by itself, and masked alone.
                Verdict::Plausible(Body { promise: Block::StoredAlone, .. })
                    if head.writing() == Writing::Plain =>
                {
                    self.heads.remove(at);
                }
                Verdict::Plausible(body) => ready.push((self.heads.remove(at), body)),
                Verdict::Unreadable => {
                    let head = self.heads.remove(at);
                    self.follow_unread(window, head.extent.upto, shared);
                    Unread::note(&mut self.unread, &head);
                }
                Verdict::No => drop(self.heads.remove(at)),
            }
        }
    }

    /// Follows everything up to where a chunk ends: at a pause, and before the end.
    pub(super) fn settle(&mut self, window: &Window, shared: &mut Shared, hit: &mut dyn FnMut(Hit)) {
        self.advance(window, window.end(), shared, hit);
    }

    /// Begins what is data up to an offset, and follows everything to the last of it.
    fn begin_ready(
        &mut self,
        tables: &Arc<Tables>,
        window: &Window,
        upto: u64,
        ready: &mut Vec<(Head, Body)>,
        shared: &mut Shared,
        hit: &mut dyn FnMut(Hit),
    ) {
        self.look_at_heads(window, upto, ready, shared);
        ready.sort_by_key(|(head, _)| head.extent.upto);
        let count = ready.partition_point(|(head, _)| head.extent.upto <= upto);
        for (head, body) in ready.drain(..count) {
            // What ends before a try begins leaves its place to it, however the stream came in pieces.
            self.advance(window, head.extent.upto, shared, hit);
            self.begin(tables, &head, body, shared, hit);
        }
    }

    /// Unpacks from a beginning on. Where there is no place, the least promising piece is given up; where the
    /// budget is used up, this one is.
    fn begin(
        &mut self,
        tables: &Arc<Tables>,
        head: &Head,
        body: Body,
        shared: &mut Shared,
        hit: &mut dyn FnMut(Hit),
    ) {
        let body = if head.is_an_archive_in_a_writing() {
            Body { method: Method::Stored, header: 0, ..body }
        } else {
            body
        };
        if shared.budget.is_used_up() || self.depth >= DEEPEST {
            return shared.give_up(head.format, head.extent.length());
        }
        shared.budget.set_up(body.method);
        if self.tries.len() >= MOST_TRIES || shared.live >= MOST_LIVE {
            self.give_up_the_least(shared, hit, |_| true);
        }
        if body.method.is_large() && shared.large >= MOST_LARGE {
            self.give_up_the_least(shared, hit, Try::is_large);
        }
        if shared.live >= MOST_LIVE || body.method.is_large() && shared.large >= MOST_LARGE {
            return shared.give_up(head.format, head.extent.length());
        }
        let within = Box::new(Self { depth: self.depth + 1, ..Self::default() });
        let inner = Unpacked::new(Arc::clone(tables), within);
        self.tries.push(Try::new(head, body, inner, shared));
    }

    /// Whether an archive in a writing is followed, or may be soon.
    fn may_undo_a_writing(&self, ready: &[(Head, Body)]) -> bool {
        let mut heads = self.heads.iter().chain(ready.iter().map(|(head, _)| head));
        self.undoes_a_writing() || heads.any(Head::is_an_archive_in_a_writing)
    }

    /// Whether an archive in a writing is followed: what is in it is found there.
    fn undoes_a_writing(&self) -> bool {
        self.tries.iter().any(Try::is_an_archive_in_a_writing)
    }

    fn give_up_the_least(
        &mut self,
        shared: &mut Shared,
        hit: &mut dyn FnMut(Hit),
        of: impl Fn(&Try) -> bool,
    ) {
        let all = (0..self.tries.len()).filter(|at| of(&self.tries[*at]));
        let Some(least) = all.min_by_key(|at| self.tries[*at].promise()) else { return };
        let least = self.tries.remove(least);
        shared.give_up(least.format, least.extent.length());
        least.close(shared, hit);
    }

    /// Follows everything up to an offset, one step of the stream after the other: what is within one piece takes its place
    /// where what is within another had it.
    fn advance(&mut self, window: &Window, upto: u64, shared: &mut Shared, hit: &mut dyn FnMut(Hit)) {
        while let Some(first) =
            self.tries.iter().map(|one| one.extent.upto).min().filter(|first| *first < upto)
        {
            let next = (first + 1).next_multiple_of(STEP).min(upto);
            self.step(window, next, shared, hit);
        }
        self.follow_unread(window, upto, shared);
    }

    fn step(&mut self, window: &Window, upto: u64, shared: &mut Shared, hit: &mut dyn FnMut(Hit)) {
        let mut at = 0;
        while let Some(one) = self.tries.get_mut(at) {
            let data = one.take(window.between(one.extent.upto, upto), shared);
            if data == Data::GoesOn {
                one.mask().into_iter().for_each(&mut *hit);
                at += 1;
                continue;
            }
            let one = self.tries.remove(at);
            if data == Data::GivenUp {
                shared.give_up(one.format, one.extent.length());
            }
            one.close(shared, hit);
        }
    }

    /// Those that are over by an offset leave their place to others.
    fn follow_unread(&mut self, window: &Window, upto: u64, shared: &mut Shared) {
        self.unread.iter_mut().for_each(|one| one.take(window, upto));
        self.unread.extract_if(.., |one| one.is_over()).for_each(|one| one.close(shared));
    }
}

impl Head {
    /// Its entries follow each other within the writing, where none of them begins at a character of its own.
    fn is_an_archive_in_a_writing(&self) -> bool {
        self.format.name == "zip" && self.writing() != Writing::Plain
    }
}
