//! Counts of a daemon's life, for `status`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::wire::Latencies;
use crate::broker::refusal::Code;

/// Calls over which latencies are shown.
const REMEMBERED: usize = 1000;

/// What happened so far.
pub(super) struct Stats {
    pub calls: AtomicU64,
    pub denials: AtomicU64,
    pub runs: AtomicU64,
    pub running: AtomicU64,
    latencies: Remembered,
    overheads: Remembered,
    codes: Mutex<BTreeMap<&'static str, u64>>,
    last: Mutex<Instant>,
}

/// A run at work; counted out when dropped.
pub(super) struct Running<'a>(&'a Stats);

impl Stats {
    pub(super) fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            denials: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            running: AtomicU64::new(0),
            latencies: Remembered::default(),
            overheads: Remembered::default(),
            codes: Mutex::default(),
            last: Mutex::new(Instant::now()),
        }
    }

    /// A call came.
    pub(super) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// It shows a credential of this vault: only such a call keeps the daemon from locking.
    pub(super) fn used(&self) {
        *self.last.lock() = Instant::now();
    }

    /// A call was refused, with this code.
    pub(super) fn denied(&self, code: Code) {
        self.denials.fetch_add(1, Ordering::Relaxed);
        *self.codes.lock().entry(code.as_str()).or_default() += 1;
    }

    /// Refusals by their codes.
    pub(super) fn codes(&self) -> BTreeMap<String, u64> {
        let codes = self.codes.lock();
        codes.iter().map(|(code, number)| ((*code).to_owned(), *number)).collect()
    }

    /// A call that ran nothing took so long.
    pub(super) fn took(&self, time: Duration) {
        self.latencies.add(time);
    }

    /// A run took so long beside its program.
    pub(super) fn took_beside(&self, time: Duration) {
        self.overheads.add(time);
    }

    /// A run begins.
    pub(super) fn run(&self) -> Running<'_> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self)
    }

    /// For how long nobody has called and nothing has run.
    pub(super) fn idle(&self) -> Duration {
        if self.running.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        self.last.lock().elapsed()
    }

    pub(super) fn latencies(&self) -> Latencies {
        self.latencies.percentiles()
    }

    pub(super) fn overheads(&self) -> Latencies {
        self.overheads.percentiles()
    }
}

/// The last times.
#[derive(Default)]
struct Remembered(Mutex<VecDeque<Duration>>);

impl Remembered {
    fn add(&self, time: Duration) {
        let mut times = self.0.lock();
        if times.len() == REMEMBERED {
            times.pop_front();
        }
        times.push_back(time);
    }

    fn percentiles(&self) -> Latencies {
        let mut times: Vec<Duration> = self.0.lock().iter().copied().collect();
        times.sort_unstable();
        let at = |share: usize| {
            let index = times.len().saturating_sub(1) * share / 100;
            times.get(index).map_or(0.0, |time| (time.as_secs_f64() * 1e5).round() / 100.0)
        };
        Latencies { p50: at(50), p99: at(99) }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        *self.0.last.lock() = Instant::now();
    }
}
