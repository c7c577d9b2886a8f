//! What was asked for: one record a request, never contents, and no more of them than an audit can bear.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::refusal::Refusal;
use crate::names::SecretName;

/// Records of a run that are kept one by one; of what comes after only the number is.
const KEPT: usize = 2_000;

/// One request, as it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The host and port.
    pub host: String,
    /// The method, or `CONNECT` for a tunnel.
    pub method: String,
    /// The path without its query, redacted and bounded; a placeholder in it is `{{name}}`.
    pub path: String,
    /// The answer's status; what the proxy itself answered where it refused.
    pub status: u16,
    /// Why the proxy refused, where it did.
    pub refused: Option<&'static str>,
    /// Which secrets went with it.
    pub secrets: Vec<SecretName>,
    /// Bytes of the request's body.
    pub sent: u64,
    /// Bytes of the answer's body, as the program got it.
    pub received: u64,
    /// How often a value was taken out of the answer.
    pub scrubs: u64,
}

/// The records of one run.
#[derive(Default)]
pub(super) struct Ledger {
    records: Mutex<VecDeque<Record>>,
    written: AtomicU64,
    beyond: AtomicU64,
}

impl Ledger {
    pub(super) fn write(&self, record: Record) {
        if self.written.fetch_add(1, Ordering::Relaxed) >= KEPT as u64 {
            self.beyond.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.records.lock().push_back(record);
    }

    /// Takes out what was written since the last time.
    pub(super) fn take(&self) -> Vec<Record> {
        self.records.lock().drain(..).collect()
    }

    /// How many requests have no record.
    pub(super) fn beyond(&self) -> u64 {
        self.beyond.load(Ordering::Relaxed)
    }
}

/// A request under way: writes its record when it is dropped, whatever ended it.
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    record: Record,
}

impl Entry {
    pub(super) fn new(ledger: &Arc<Ledger>, host: String, method: &str) -> Self {
        let record = Record {
            host,
            method: method.chars().take(16).collect(),
            path: String::new(),
            status: 0,
            refused: None,
            secrets: Vec::new(),
            sent: 0,
            received: 0,
            scrubs: 0,
        };
        Self { ledger: Arc::clone(ledger), record }
    }

    pub(super) fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    /// The proxy answers instead of the host.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.record.status = refusal.status.as_u16();
        self.record.refused = Some(refusal.code);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.write(self.record.clone());
    }
}
