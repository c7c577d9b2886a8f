//! A stream that is passed on, redacted on a thread of its own: the tasks beside it (signals, the run's proxy) go
//! on, whatever the program writes.

use std::io;

use tokio::sync::{mpsc, oneshot};

use super::background::in_the_background;
use crate::redact::{LedgerPage, MaskLedger, Redactor};

/// What is done next with the stream.
pub(super) enum Next {
    /// These bytes came.
    Push(Vec<u8>),
    /// It is silent: what waits only for more is shown.
    Pause,
    /// It has ended.
    End,
}

struct Job {
    next: Next,
    reply: oneshot::Sender<Vec<u8>>,
}

/// The thread, as its stream sees it.
pub(super) struct Masker {
    jobs: mpsc::Sender<Job>,
    ledger: oneshot::Receiver<MaskLedger>,
}

impl Masker {
    /// # Errors
    /// There can be no more threads.
    pub(super) fn start(page: LedgerPage, mut redactor: Redactor) -> io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(1);
        let (end, ledger) = oneshot::channel();
        in_the_background(move || {
            while let Some(Job { next, reply }) = waiting.blocking_recv() {
                let mut safe = Vec::new();
                match next {
                    Next::Push(bytes) => redactor.push(&bytes, &mut safe),
                    Next::Pause => redactor.flush_idle(&mut safe),
                    Next::End => redactor.finish(&mut safe),
                }
                // Whoever asked may be gone.
                let _ = reply.send(safe);
            }
            let mut ledger = MaskLedger::default();
            ledger.enter(page, &redactor);
            let _ = end.send(ledger);
        })?;
        Ok(Self { jobs, ledger })
    }

    /// What of the stream has become safe to show.
    pub(super) async fn ask(&self, next: Next) -> Vec<u8> {
        let (reply, answer) = oneshot::channel();
        // A thread that is gone shows nothing.
        let _ = self.jobs.send(Job { next, reply }).await;
        answer.await.unwrap_or_default()
    }

    /// What was masked, and what was not looked into.
    pub(super) async fn ledger(self) -> MaskLedger {
        let Self { jobs, ledger } = self;
        drop(jobs);
        ledger.await.unwrap_or_default()
    }
}
