//! The right of runs that go on: looked at again whenever the vault has changed, whoever changed it, and ended with
//! what it rests on.
//!
//! An operator's command opens the vault in a process of its own, so nothing tells us. That something was changed is
//! seen by the vault's files, twice a second and before each request that a value goes out with; what it was is
//! asked of the vault, with the request that the run began with. A right that can't be looked at is none for the
//! request at hand, and for the run, if that stays so.

use std::{
    pin::Pin,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use super::{
    Broker, WAIT, blocking,
    live::Live,
    refusal::{self, Code, Refusal},
};
use crate::{
    delivery::Right,
    vault::{Order, Stamp, Turn},
};

/// How often it is looked whether the vault was changed, and whether something has ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often in a row the vault may be in use by others before its runs end: each time was waited for it.
const BUSY_IN_A_ROW: u32 = 6;

/// A place among the runs that go on; given back when dropped.
pub(crate) struct Watched {
    broker: Weak<Broker>,
    number: u64,
    pub live: Arc<Live>,
}

impl Broker {
    /// Watches over a run that was allowed just now, with the vault still held. `before` is how its files looked when
    /// it was opened: what was changed since was changed by this call, and takes no right from anybody.
    pub(crate) fn watch_over(self: &Arc<Self>, live: Live, before: Option<Stamp>) -> Watched {
        let number = self.watch.next.fetch_add(1, Ordering::Relaxed);
        let live = Arc::new(live);
        let mut runs = self.watch.runs();
        if runs.live.is_empty() || (before.is_some() && runs.seen == before) {
            runs.seen = Stamp::of(&self.settings.home);
        }
        runs.live.insert(number, Arc::clone(&live));
        drop(runs);
        Watched { broker: Arc::downgrade(self), number, live }
    }

    /// Whether a run that was allowed a moment ago would be so now. Costs two looks at files where the vault is as it was.
    ///
    /// # Errors
    /// The refusal that it would meet.
    pub(crate) fn stands_yet(&self, watched: &Watched) -> Result<(), Refusal> {
        if !watched.is_over() && self.watch.has_seen(Stamp::of(&self.settings.home)) {
            return Ok(());
        }
        let keys = self.keyring.keys()?.ok_or_else(refusal::locked)?;
        let vault = keys.open_vault(&self.settings.home, Turn { order: Order::Behind, wait: WAIT })?;
        watched.live.may_go_on(&vault, &keys, keys.freshness.now())
    }

    /// Takes note that the vault was changed by something that takes no right, with the vault still held.
    pub(crate) fn changed_nothing_of_rights(&self, before: Option<Stamp>) {
        let mut runs = self.watch.runs();
        if before.is_some() && runs.seen == before {
            runs.seen = Stamp::of(&self.settings.home);
        }
    }

    /// Looks at once: something was given up, or issued, in this process.
    pub(crate) fn look_at_rights(&self) {
        self.watch.wake.notify_one();
    }

    /// Ends the right of every run: the keys are about to go.
    pub(crate) fn revoke_runs(&self) {
        self.watch.runs().live.values().for_each(|live| live.over.cancel());
    }

    /// The right of a run, for its proxy.
    pub(crate) fn right_of(self: &Arc<Self>, live: &Arc<Live>) -> RunRight {
        RunRight { broker: Arc::downgrade(self), live: Arc::clone(live) }
    }

    /// Looks after the runs that go on, for as long as there are any.
    pub(crate) fn keep_watching(self: &Arc<Self>) {
        if self.watch.watching.swap(true, Ordering::AcqRel) {
            return;
        }
        let broker = Arc::clone(self);
        tokio::spawn(async move {
            let mut busy = 0;
            while broker.watch.goes_on() {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = broker.watch.wake.notified() => {}
                }
                broker.watch.all().iter().for_each(|live| live.end_in_time());
                busy = match broker.look_again().await {
                    Ok(()) => 0,
                    Err(refusal) if refusal.code == Code::Busy && busy < BUSY_IN_A_ROW => busy + 1,
                    Err(refusal) => {
                        tracing::warn!(code = ?refusal.code, "what runs are allowed can't be looked at: they end");
                        broker.revoke_runs();
                        0
                    }
                };
            }
        });
    }

    /// Ends the runs that have lost their right by a change. Costs two looks at files where the vault is as it was.
    async fn look_again(self: &Arc<Self>) -> Result<(), Refusal> {
        if self.watch.has_seen(Stamp::of(&self.settings.home)) {
            return Ok(());
        }
        let _one = self.watch.looking.lock().await;
        if self.watch.has_seen(Stamp::of(&self.settings.home)) {
            return Ok(());
        }
        let broker = Arc::clone(self);
        blocking(move || broker.decide_again()).await
    }

    fn decide_again(&self) -> Result<(), Refusal> {
        let keys = self.keyring.keys()?.ok_or_else(refusal::locked)?;
        let vault = keys.open_vault(&self.settings.home, Turn { order: Order::Behind, wait: WAIT })?;
        // Of the state that is looked at: it can't change while the vault is held.
        let stamp = Stamp::of(&self.settings.home);
        let now = keys.freshness.now();
        for live in self.watch.all() {
            if let Err(refusal) = live.may_go_on(&vault, &keys, now) {
                tracing::info!(code = ?refusal.code, "a run has lost its right");
                live.over.cancel();
            }
        }
        self.watch.runs().seen = stamp;
        Ok(())
    }
}

impl Watched {
    /// Whether the run's right was taken back.
    pub(crate) fn is_over(&self) -> bool {
        self.live.over.is_cancelled()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.upgrade() {
            broker.watch.runs().live.remove(&self.number);
        }
    }
}

/// The right of one run.
pub(crate) struct RunRight {
    broker: Weak<Broker>,
    live: Arc<Live>,
}

impl Right for RunRight {
    fn holds(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move {
            let Some(broker) = self.broker.upgrade() else { return false };
            self.live.end_in_time();
            // A vault that can't be looked at may have been changed.
            broker.look_again().await.is_ok() && !self.live.over.is_cancelled()
        })
    }
}
