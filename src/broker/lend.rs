//! The vault, while another process of the operator's has its turn at it: over the daemon's socket, proven by the identity.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Broker, blocking,
    refusal::{self, Refusal},
    turns::Turn,
};
use crate::vault::{Left, Loan, VaultError};

/// A turn that was given away, and what goes with it: the [`Loan`] of the database, or [nothing](Left), where whoever has
/// the turn takes the vault's lock. The next in this process has its own when this is dropped.
pub(crate) struct Given<T> {
    what: T,
    // Given back last.
    turn: Turn,
}

impl Given<Loan> {
    /// Answers a request.
    pub(crate) fn answer(&self, request: &[u8]) -> Vec<u8> {
        self.what.answer(request)
    }
}

impl<T> Drop for Given<T> {
    fn drop(&mut self) {
        self.turn.given_back();
    }
}

impl Broker {
    /// Keeps the vault's database until [`Broker::let_go`]: others reach it at this socket.
    pub(crate) fn keep(&self, socket: &Path) {
        self.around.engine.keep(socket);
    }

    /// Keeps it no longer. Runs that go on are served as beside any other process.
    pub(crate) async fn let_go(self: &Arc<Self>) {
        let broker = Arc::clone(self);
        blocking(move || broker.around.engine.let_go()).await;
    }

    /// Gives the turn away, with the database, to who has proven to hold the identity: before all calls where a person
    /// waits for it.
    ///
    /// # Errors
    /// A refusal, when the wait is over.
    pub(crate) async fn give(
        self: &Arc<Self>,
        first: bool,
        peer: &str,
        wait: Duration,
    ) -> Result<Given<Loan>, Refusal> {
        let until = Instant::now() + wait;
        let turn =
            if first { self.turns.take_first(until).await? } else { self.turns.take(peer, until).await? };
        self.given(turn, until, |broker, wait| {
            let keys = broker.keyring.keys()?.ok_or_else(refusal::locked)?;
            Ok(Loan::open(&broker.settings.home, &keys.vault, &keys.freshness, wait)?)
        })
        .await
    }

    /// Gives the turn away, to who wants the vault for itself: what is kept of it is let go of.
    ///
    /// # Errors
    /// A refusal, when the wait is over.
    pub(crate) async fn leave(self: &Arc<Self>, wait: Duration) -> Result<Given<Left>, Refusal> {
        let until = Instant::now() + wait;
        let turn = self.turns.take_first(until).await?;
        self.given(turn, until, |broker, wait| {
            Ok(broker.around.engine.leave(wait).map_err(VaultError::from)?)
        })
        .await
    }

    async fn given<T: Send + 'static>(
        self: &Arc<Self>,
        turn: Turn,
        until: Instant,
        take: impl FnOnce(&Self, Duration) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Given<T>, Refusal> {
        let broker = Arc::clone(self);
        blocking(move || {
            let what = take(&broker, until.saturating_duration_since(Instant::now()))?;
            turn.given_away();
            Ok(Given { what, turn })
        })
        .await
    }
}
