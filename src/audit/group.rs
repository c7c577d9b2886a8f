//! Group commit: lines that several callers have written become durable by one sync. Whoever finds no sync under way
//! leads, and syncs all that is written by then; whoever comes meanwhile follows, and one of them leads the next. There
//! is no timer: a caller that is alone syncs at once.
//!
//! A sync is by the file through which this process began to write to the segment: the kernel tells each open file of a
//! failure once, so one that was opened behind a failure would say that all is well. For the same reason syncs of this
//! process come one after the other, and none follows one that has failed: what was not durable by then never is, and
//! the segment is left.

use std::{collections::BTreeMap, fs::File, path::Path};

use parking_lot::{Condvar, Mutex};

use super::{Head, Intent};
use crate::files;

/// An intent whose line is written, and may not be on the disk yet: nothing is revealed for it.
#[must_use]
pub struct Unsettled<T> {
    pub(super) intent: Intent<T>,
    /// Its event's number, and how many syncs had failed when it was written; nothing for what is on the disk.
    pub(super) written: Option<(u64, u64)>,
}

impl<T> Unsettled<T> {
    pub(super) fn of(intent: Intent<T>, seq: u64, failures: u64) -> Self {
        Self { intent, written: Some((seq, failures)) }
    }
}

impl<T> From<Intent<T>> for Unsettled<T> {
    fn from(intent: Intent<T>) -> Self {
        Self { intent, written: None }
    }
}

/// How far the log is on the disk, as this process knows it.
#[derive(Default)]
pub(super) struct Group {
    pub state: Mutex<State>,
    pub told: Condvar,
    /// One sync at a time, and what it came to.
    pub syncing: Mutex<()>,
}

#[derive(Default)]
pub(super) struct State {
    pub leading: bool,
    durable: Head,
    failures: u64,
    /// By the number of a failure: the last event that was durable before it.
    before: BTreeMap<u64, u64>,
    /// The file that it was, which is left with the next event.
    failed: Option<File>,
}

/// What is known of an event.
pub(super) enum Stands {
    Durable,
    Lost,
    /// Nobody syncs at this moment.
    Open,
    Syncing,
}

impl State {
    pub(super) fn of(&self, seq: u64, failures: u64) -> Stands {
        match self.before.get(&failures) {
            Some(durable) if *durable >= seq => Stands::Durable,
            Some(_) => Stands::Lost,
            None if self.durable.seq >= seq => Stands::Durable,
            None if self.leading => Stands::Syncing,
            None => Stands::Open,
        }
    }
}

impl Group {
    /// All up to an event is on the disk.
    pub(super) fn is_durable(&self, head: Head) {
        let mut state = self.state.lock();
        if head.seq > state.durable.seq {
            state.durable = head;
        }
        drop(state);
        self.told.notify_all();
    }

    /// The last event that this process knows to be on the disk.
    pub(super) fn durable(&self) -> Head {
        self.state.lock().durable
    }

    pub(super) fn failures(&self) -> u64 {
        self.state.lock().failures
    }

    /// Whether the file at a path is one whose sync has failed in this process.
    pub(super) fn has_failed(&self, path: &Path) -> bool {
        self.state.lock().failed.as_ref().is_some_and(|file| files::is_at(file, path))
    }

    pub(super) fn fails(&self, file: &File) {
        let mut state = self.state.lock();
        let (failures, durable) = (state.failures, state.durable.seq);
        state.before.insert(failures, durable);
        state.failures += 1;
        state.failed = file.try_clone().ok();
        drop(state);
        self.told.notify_all();
    }
}
