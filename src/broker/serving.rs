//! What serves a run from outside while it goes on, and the audit of what it did.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{Broker, blocking, live::Live, refusal::Refusal};
use crate::{
    audit::{AuditLog, Intent, Note},
    delivery::{Right, Services, Serving},
    names::RunId,
    policy::RunTerms,
    run::OnListening,
};

/// How often what happened goes on record while a run goes on.
const RECORDED_WITHIN: Duration = Duration::from_secs(1);

/// What serves one run; nothing before the run listens, and nothing any more once it has ended.
type Running = Arc<Mutex<Vec<Box<dyn Serving>>>>;

/// What serves a run while it goes on.
pub(crate) struct Served {
    running: Running,
    recording: Option<(JoinHandle<Result<(), Refusal>>, oneshot::Sender<()>)>,
}

impl Broker {
    /// Serves as soon as the run listens; puts what happens on record as it goes on.
    pub(crate) fn serve_run(
        self: &Arc<Self>,
        services: Services,
        intent: &Intent<RunTerms>,
        audit: &Arc<AuditLog>,
        live: &Arc<Live>,
    ) -> (Option<OnListening>, Served) {
        let running = Running::default();
        if services.is_empty() {
            return (None, Served { running, recording: None });
        }
        let right: Arc<dyn Right> = Arc::new(self.right_of(live));
        let (end, ended) = oneshot::channel();
        let records = self.clone().record_notes(
            Arc::clone(&running),
            Arc::clone(audit),
            intent.run_id().clone(),
            (ended, live.over()),
        );
        let recording = tokio::spawn(records);
        let place = Arc::clone(&running);
        let listening: OnListening = Box::new(move |sockets| *lock(&place) = services.serve(sockets, &right));
        (Some(listening), Served { running, recording: Some((recording, end)) })
    }

    /// Where something can't go on record, nothing more is done for the run.
    async fn record_notes(
        self: Arc<Self>,
        running: Running,
        audit: Arc<AuditLog>,
        run: RunId,
        (mut ended, revoked): (oneshot::Receiver<()>, CancellationToken),
    ) -> Result<(), Refusal> {
        let mut stopped = false;
        loop {
            let over = tokio::select! {
                _ = &mut ended => true,
                () = revoked.cancelled(), if !stopped => {
                    // Its placeholders stand for nothing any more, whatever its processes do until they are gone.
                    stopped = true;
                    lock(&running).iter().for_each(|serving| serving.stop());
                    false
                }
                () = tokio::time::sleep(RECORDED_WITHIN) => false,
            };
            let mut notes = Vec::new();
            if over {
                let last = std::mem::take(&mut *lock(&running));
                for serving in last {
                    notes.extend(serving.end(&run).await);
                }
            } else {
                notes.extend(lock(&running).iter().flat_map(|serving| serving.records(&run)));
            }
            let written = self.write_notes(&audit, notes).await;
            if over || written.is_err() {
                lock(&running).clear();
                return written;
            }
        }
    }

    async fn write_notes(self: &Arc<Self>, audit: &Arc<AuditLog>, notes: Vec<Note>) -> Result<(), Refusal> {
        if notes.is_empty() {
            return Ok(());
        }
        let audit = Arc::clone(audit);
        let written = blocking(move || notes.into_iter().try_for_each(|note| audit.record(note, None))).await;
        self.anchor_soon();
        written.map_err(Refusal::from)
    }
}

impl Served {
    /// Ends it, once the run has; all that happened is on record then.
    pub(crate) async fn end(self) -> Result<(), Refusal> {
        let Some((recording, end)) = self.recording else { return Ok(()) };
        drop(end);
        let written = match recording.await {
            Ok(written) => written,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        lock(&self.running).clear();
        written
    }
}

fn lock<T>(mutex: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    mutex.lock()
}
