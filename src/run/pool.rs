//! How many supervisors of one kind wait for the next run: as many as were missing at once, within bounds.

use std::collections::VecDeque;

/// The most that wait. Each is a process, and most have a network.
const MOST: usize = 8;

/// Those of one kind that wait, oldest first.
#[derive(Debug)]
pub(super) struct Pool<T> {
    waiting: VecDeque<T>,
    wanted: usize,
    /// Whether somebody is about to fill it.
    filling: bool,
    /// Whether one was taken since the last look.
    used: bool,
    watched: bool,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), wanted: 0, filling: false, used: false, watched: false }
    }
}

impl<T> Pool<T> {
    /// One for a run that begins, where one waits: the oldest, which is ready if any is. Each run that finds none is
    /// a reason to have one more, unless those that are wanted are on their way.
    pub(super) fn take(&mut self) -> Option<T> {
        self.used = true;
        let taken = self.waiting.pop_front();
        let missed = usize::from(taken.is_none() && !self.filling);
        self.wanted = (self.wanted + missed).clamp(1, MOST);
        taken
    }

    /// Puts one in that will wait.
    pub(super) fn put(&mut self, one: T) {
        self.waiting.push_back(one);
    }

    /// Whether somebody has to fill it, who puts one in for as long as it [lacks](Self::still_lacks) one.
    pub(super) fn begins_to_fill(&mut self) -> bool {
        !self.filling && self.still_lacks()
    }

    /// Whether fewer wait than are wanted. Where not, it is filled: the next that is taken is somebody else's to replace.
    pub(super) fn still_lacks(&mut self) -> bool {
        self.filling = self.waiting.len() < self.wanted;
        self.filling
    }

    /// No more can be put in now.
    pub(super) fn gives_up(&mut self) {
        self.filling = false;
    }

    /// Whether somebody has to [look](Self::look) at it from now on: nobody does so far.
    pub(super) fn is_unwatched(&mut self) -> bool {
        !std::mem::replace(&mut self.watched, true)
    }

    /// Where none was taken since the last look: all but one, to be let go. Nobody has to look again until one is taken.
    pub(super) fn look(&mut self) -> Option<VecDeque<T>> {
        if std::mem::take(&mut self.used) {
            return None;
        }
        self.watched = false;
        self.wanted = self.wanted.min(1);
        Some(self.waiting.split_off(self.waiting.len().min(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(pool: &mut Pool<usize>, numbers: &mut impl Iterator<Item = usize>) -> usize {
        while pool.still_lacks() {
            pool.put(numbers.next().unwrap());
        }
        pool.waiting.len()
    }

    #[test]
    fn one_fills_it_and_a_run_meanwhile_is_no_reason_for_more() {
        let mut pool = Pool::default();
        assert_eq!(pool.take(), None);
        assert!(pool.begins_to_fill() && !pool.begins_to_fill());
        assert_eq!(pool.take(), None);
        assert_eq!(fill(&mut pool, &mut (0..)), 1, "the next of one after another");
        assert!(!pool.begins_to_fill());
        assert_eq!((pool.take(), pool.take()), (Some(0), None));
        assert!(pool.begins_to_fill());
        assert_eq!(fill(&mut pool, &mut (1..)), 2, "two at once");
        assert_eq!(pool.take(), Some(1));
        assert!(pool.begins_to_fill(), "somebody else than who has filled it");
        pool.gives_up();
        assert!(pool.begins_to_fill());
    }

    #[test]
    fn as_many_wait_as_were_missing_at_once() {
        let (mut pool, mut numbers) = (Pool::default(), 0..);
        assert_eq!(fill(&mut pool, &mut numbers), 0, "nobody has needed one yet");
        // Three runs at once.
        assert_eq!((pool.take(), pool.take(), pool.take()), (None, None, None));
        assert_eq!(fill(&mut pool, &mut numbers), 3);
        // Runs one after another need no more, and get the oldest.
        for number in 0..10 {
            assert_eq!(pool.take(), Some(number));
            assert_eq!(fill(&mut pool, &mut numbers), 3);
        }
        for _ in 0..3 * MOST {
            pool.take();
        }
        assert_eq!(fill(&mut pool, &mut numbers), MOST);
    }

    #[test]
    fn one_that_was_there_first_is_followed_by_one() {
        let (mut pool, mut numbers) = (Pool::default(), 1..);
        pool.put(0);
        assert_eq!(pool.take(), Some(0));
        assert_eq!(fill(&mut pool, &mut numbers), 1);
    }

    #[test]
    fn all_but_one_go_when_it_is_quiet() {
        let (mut pool, mut numbers) = (Pool::default(), 0..);
        assert!((0..MOST).all(|_| pool.take().is_none()));
        fill(&mut pool, &mut numbers);
        assert!(pool.is_unwatched() && !pool.is_unwatched());
        assert_eq!(pool.look(), None, "it was in use");
        assert_eq!(pool.look().unwrap().len(), MOST - 1);
        assert!(!pool.still_lacks() && pool.is_unwatched());
        assert_eq!(pool.look().unwrap().len(), 0);
    }
}
