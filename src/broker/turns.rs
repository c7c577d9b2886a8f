//! Turns at the vault. One operation of this process has it at a time, and callers take turns: whoever has many
//! calls waiting has no more of them than whoever has one.
//!
//! Without it every call would poll the lock file beside all others, and which of them is served would be chance:
//! a caller with three hundred calls would have three hundred times the chance of a caller with one. And since one
//! thread of this process stands at the lock file, so would an operator's command have no chance beside it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use tokio::sync::oneshot;

use super::{gate, refusal::Refusal};
use crate::vault::VaultError;

/// Who waits for the vault, by caller.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    elsewhere: Mutex<Elsewhere>,
}

/// What is known of another process that has the vault.
#[derive(Default)]
struct Elsewhere {
    /// Since when whoever has the turn opens the vault.
    opening: Option<Instant>,
    /// When somebody last gave up.
    gave_up: Option<Instant>,
}

/// The name of who goes first: no caller is called so, since names of callers are of processes and subjects.
const FIRST: &str = "\0first";
/// Opening takes no longer by itself.
const OPENS_WITHIN: Duration = Duration::from_secs(2);
/// For how long one who gave up speaks for those who come behind.
const SPEAKS_FOR: Duration = Duration::from_secs(5);

impl Elsewhere {
    fn has_it(&self) -> bool {
        self.opening.is_some_and(|since| since.elapsed() > OPENS_WITHIN)
            || self.gave_up.is_some_and(|when| when.elapsed() < SPEAKS_FOR)
    }
}

#[derive(Default)]
struct Queue {
    taken: bool,
    /// Callers that wait, whose turn is next first: each once, however many calls it has.
    order: VecDeque<String>,
    waiting: HashMap<String, VecDeque<oneshot::Sender<Turn>>>,
}

/// The vault is this holder's, as far as this process goes; the next has it when this is dropped.
pub(crate) struct Turn(Option<Arc<Shared>>);

impl Turns {
    /// Waits for a turn.
    ///
    /// # Errors
    /// When the wait is over: `busy` where another process has the vault, else `rate_limited`.
    pub(crate) async fn take(&self, caller: &str, until: Instant) -> Result<Turn, Refusal> {
        let Some(turn) = self.0.join(caller) else { return Ok(Turn(Some(Arc::clone(&self.0)))) };
        match tokio::time::timeout_at(until.into(), turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ if self.0.elsewhere().has_it() => Err(Refusal::from(VaultError::Busy)),
            _ => Err(gate::limited(
                "more calls are waiting than this machine serves in time".to_owned(),
                "call again in 5 s, with fewer calls at once",
            )),
        }
    }

    /// Waits for a turn before all callers: for what a person types.
    ///
    /// # Errors
    /// As [`Turns::take`].
    pub(crate) async fn take_first(&self, until: Instant) -> Result<Turn, Refusal> {
        self.take(FIRST, until).await
    }
}

impl Queue {
    /// Puts a caller in who has calls waiting and is not there: before all others, or behind them.
    fn line_up(&mut self, caller: String) {
        if caller == FIRST { self.order.push_front(caller) } else { self.order.push_back(caller) }
    }
}

impl Shared {
    fn elsewhere(&self) -> MutexGuard<'_, Elsewhere> {
        self.elsewhere.lock()
    }

    /// Takes the turn where it is free (`None`), or queues for it.
    fn join(&self, caller: &str) -> Option<oneshot::Receiver<Turn>> {
        let mut queue = self.queue.lock();
        if !queue.taken {
            queue.taken = true;
            return None;
        }
        let (send, receive) = oneshot::channel();
        let calls = queue.waiting.entry(caller.to_owned()).or_default();
        let first = calls.is_empty();
        calls.push_back(send);
        if first {
            queue.line_up(caller.to_owned());
        }
        Some(receive)
    }

    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut queue = self.queue.lock();
        while let Some(caller) = queue.order.pop_front() {
            let mut calls = queue.waiting.remove(&caller).unwrap_or_default();
            let next = calls.pop_front();
            if !calls.is_empty() {
                queue.waiting.insert(caller.clone(), calls);
                queue.line_up(caller);
            }
            if next.is_some() {
                return next;
            }
        }
        queue.taken = false;
        None
    }
}

impl Turn {
    /// Gives it to another process: whoever waits meanwhile waits for that.
    pub(crate) fn given_away(&self) {
        self.elsewhere(Some(Instant::now()));
    }

    /// It is back from there.
    pub(crate) fn given_back(&self) {
        self.elsewhere(None);
    }

    fn elsewhere(&self, opening: Option<Instant>) {
        if let Some(shared) = &self.0 {
            *shared.elsewhere() = Elsewhere { opening, gave_up: None };
        }
    }

    /// Opens the vault, for which it may have to wait for another process.
    pub(crate) fn opening<T>(&self, open: impl FnOnce() -> Result<T, VaultError>) -> Result<T, VaultError> {
        let Some(shared) = &self.0 else { return open() };
        shared.elsewhere().opening = Some(Instant::now());
        let opened = open();
        let gave_up = matches!(opened, Err(VaultError::Busy)).then(Instant::now);
        *shared.elsewhere() = Elsewhere { opening: None, gave_up };
        opened
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        // One that has given up meanwhile hands the turn back unused.
        while let Some(next) = shared.next() {
            match next.send(Turn(Some(Arc::clone(&shared)))) {
                Ok(()) => return,
                Err(mut unused) => drop(unused.0.take()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::refusal::Code;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn a_caller_with_one_call_waits_for_one_of_another_who_has_many() {
        let turns = Turns::default();
        let held = turns.take("many", soon()).await.unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for caller in [&["many"; 50][..], &["one"]].concat() {
            let (turns, served) = (turns.clone(), Arc::clone(&served));
            tasks.push(tokio::spawn(async move {
                let _turn = turns.take(caller, soon()).await.unwrap();
                served.lock().push(caller);
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        let served = served.lock();
        assert_eq!((served.len(), served.iter().position(|caller| *caller == "one")), (51, Some(1)));
    }

    #[tokio::test]
    async fn whoever_gives_up_takes_no_turn_along() {
        let turns = Turns::default();
        let held = turns.take("a", soon()).await.unwrap();
        for _ in 0..3 {
            let late = turns.take("b", Instant::now()).await;
            assert_eq!(late.err().unwrap().code, Code::RateLimited);
        }
        drop(held);
        drop(turns.take("c", soon()).await.unwrap());
        assert!(turns.0.queue.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn another_process_is_blamed_only_where_it_is_the_reason() {
        let turns = Turns::default();
        let held = turns.take("a", soon()).await.unwrap();
        let late = async || turns.take("b", Instant::now()).await.err().unwrap().code;
        assert_eq!(late().await, Code::RateLimited);
        assert!(held.opening(|| Err::<(), _>(VaultError::Busy)).is_err());
        assert_eq!(late().await, Code::Busy);
        held.opening(|| Ok(())).unwrap();
        assert_eq!(late().await, Code::RateLimited);
    }
}
