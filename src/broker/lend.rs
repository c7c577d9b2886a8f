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
use crate::vault::{Errand, Left, Loan, VaultError};

/// A turn that was given away. The next in this process has its own when this is dropped.
pub(crate) struct Given {
    what: What,
    // Given back last.
    turn: Turn,
}

enum What {
    Loan(Loan),
    /// Nothing: whoever has the turn takes the vault's lock.
    Left {
        _left: Left,
    },
}

impl Given {
    /// Answers a request; an empty one where there is nothing to ask.
    pub(crate) fn answer(&self, request: &[u8]) -> Vec<u8> {
        match &self.what {
            What::Loan(loan) => loan.answer(request),
            What::Left { .. } => Vec::new(),
        }
    }
}

impl Drop for Given {
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

    /// Gives the turn away, to who has proven to hold the identity, or who only wants the vault for itself.
    ///
    /// # Errors
    /// A refusal, when the wait is over.
    pub(crate) async fn give(
        self: &Arc<Self>,
        errand: Errand,
        peer: &str,
        wait: Duration,
    ) -> Result<Given, Refusal> {
        let until = Instant::now() + wait;
        let turn = match errand {
            Errand::Turn { first: false } => self.turns.take(peer, until).await?,
            Errand::Turn { first: true } | Errand::Leave => self.turns.take_first(until).await?,
        };
        let broker = Arc::clone(self);
        blocking(move || {
            let (home, engine) = (&broker.settings.home, &broker.around.engine);
            let left = until.saturating_duration_since(Instant::now());
            let what = match errand {
                Errand::Leave => What::Left { _left: engine.leave(left).map_err(VaultError::from)? },
                Errand::Turn { .. } => {
                    let keys = broker.keyring.keys()?.ok_or_else(refusal::locked)?;
                    What::Loan(Loan::open(home, &keys.vault, &keys.freshness, left)?)
                }
            };
            turn.given_away();
            Ok(Given { what, turn })
        })
        .await
    }
}
