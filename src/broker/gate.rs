//! The gates: how many calls one caller may have in flight and begin a second, whatever becomes of them.
//!
//! A gate stands before everything that is shared. A limit that counted allowed runs only would let refused calls
//! hold the vault for everybody, so each call counts, and one that was refused counts for several.
//!
//! Whoever was refused often of late is in doubt: few of its calls are let in at once, each a little later, and the
//! rest is told so on the spot. Calls that cost this process nothing but their words still cost it a connection to
//! the daemon and two of its answers, and three hundred of those at once are a machine that is busy.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::refusal::{Code, Refusal};

/// What a gate lets through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Calls in flight of one caller.
    pub each: usize,
    /// Calls in flight of all. Past it each caller has one at a time, so that nobody shuts another out.
    pub all: usize,
    /// Calls a second of one caller, in the long run.
    pub per_second: u32,
    /// Calls that it may begin at once after a pause.
    pub burst: u32,
    /// What a refused call counts for.
    pub refused: u32,
    /// Calls in flight of one caller that were begun while it was in doubt.
    pub doubted: usize,
}

impl Bounds {
    /// Before the vault. One call holds it for about a millisecond, so that a caller that waits for its answers is
    /// never near these; and a client that asks for a thousand things at once, of which a server over stdio works on
    /// 128 (`mcp::stdio`), has all of them answered. Refused calls are no more than 40 a second in the long run: each
    /// costs what a call costs, and none brings anything.
    pub(crate) const OF_THE_VAULT: Self =
        Self { each: 128, all: 1024, per_second: 1000, burst: 2000, refused: 25, doubted: 32 };
    /// Of a server towards its daemon: a connection a call, runs included. How often is for the daemon to say.
    pub(crate) const OF_A_SERVER: Self =
        Self { each: 256, all: 512, per_second: 10_000, burst: 10_000, refused: 1, doubted: 2 };
}

/// How long a no to whoever calls too much takes. Whoever waits for its answers calls no more often than that with each
/// connection; said at once, the no would be asked for again at once, and that is what the machine would do.
pub(crate) const NO_TAKES: Duration = Duration::from_secs(1);

/// The calls of every caller.
pub(crate) struct Gates {
    bounds: Bounds,
    callers: Arc<Mutex<Callers>>,
}

#[derive(Default)]
struct Callers {
    by_key: HashMap<String, Caller>,
    in_flight: usize,
    swept: Option<Instant>,
}

struct Caller {
    in_flight: usize,
    /// Calls that it began, less what has drained since.
    level: f64,
    since: Instant,
    /// Refused calls, less what has drained since.
    doubt: f64,
    /// Those in flight that were begun in doubt. Runs that go on from before don't count.
    doubted: usize,
}

/// A call that was let in; its place is given back when this is dropped.
pub(crate) struct Pass {
    callers: Arc<Mutex<Callers>>,
    key: String,
    refused: u32,
    doubted: bool,
}

/// How often callers that are gone are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// From how many refused calls on a caller is in doubt.
const DOUBT: f64 = 20.0;
/// More are not held against it, so that it is trusted again some seconds after the last.
const MOST_DOUBT: f64 = 40.0;
/// Refused calls a second that are forgotten.
const FORGIVEN: f64 = 5.0;
/// How much later a call of a caller in doubt begins. It keeps its place meanwhile, which is what slows a flood; one
/// that makes a call after the other still has its answer.
const LATER: Duration = Duration::from_millis(100);

impl Gates {
    /// Gates with these bounds.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, callers: Arc::default() }
    }

    /// Lets a call in, or says when to come again.
    ///
    /// # Errors
    /// A refusal with the code `rate_limited`.
    pub(crate) fn enter(&self, key: &str) -> Result<Pass, Refusal> {
        self.enter_at(key, Instant::now())
    }

    /// The same at this moment.
    pub(crate) fn enter_at(&self, key: &str, now: Instant) -> Result<Pass, Refusal> {
        let mut callers = self.callers.lock();
        callers.sweep(self.bounds, now);
        let crowded = callers.in_flight >= self.bounds.all;
        let caller = callers.by_key.entry(key.to_owned()).or_insert_with(|| Caller::new(now));
        caller.drain(self.bounds, now);
        if caller.in_flight >= self.bounds.each {
            return Err(too_many_at_once(caller.in_flight));
        }
        if crowded && caller.in_flight > 0 {
            return Err(crowded_out());
        }
        let doubted = caller.doubt >= DOUBT;
        if doubted && caller.doubted >= self.bounds.doubted {
            // Whoever goes on meanwhile stays in doubt.
            caller.doubts();
            return Err(in_doubt());
        }
        let over = caller.level + 1.0 - f64::from(self.bounds.burst);
        if over > 0.0 {
            return Err(too_often(self.bounds, over));
        }
        caller.level += 1.0;
        caller.in_flight += 1;
        caller.doubted += usize::from(doubted);
        callers.in_flight += 1;
        Ok(Pass {
            callers: Arc::clone(&self.callers),
            key: key.to_owned(),
            refused: self.bounds.refused.saturating_sub(1),
            doubted,
        })
    }
}

impl Caller {
    fn new(now: Instant) -> Self {
        Self { in_flight: 0, level: 0.0, since: now, doubt: 0.0, doubted: 0 }
    }

    fn drain(&mut self, bounds: Bounds, now: Instant) {
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        self.level = (self.level - seconds * f64::from(bounds.per_second)).max(0.0);
        self.doubt = (self.doubt - seconds * FORGIVEN).max(0.0);
        self.since = now;
    }

    fn doubts(&mut self) {
        self.doubt = (self.doubt + 1.0).min(MOST_DOUBT);
    }
}

impl Callers {
    /// Forgets whoever has nothing in flight and nothing to wait for: a name a call would fill the memory else.
    fn sweep(&mut self, bounds: Bounds, now: Instant) {
        if self.swept.is_some_and(|last| now.saturating_duration_since(last) < SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        self.by_key.retain(|_, caller| {
            caller.drain(bounds, now);
            caller.in_flight > 0 || caller.level > 0.0 || caller.doubt > 0.0
        });
    }
}

impl Pass {
    /// The call was refused: it counts for more, since each costs what a call costs and brings nothing.
    pub(crate) fn was_refused(&self) {
        let mut callers = self.callers.lock();
        if let Some(caller) = callers.by_key.get_mut(&self.key) {
            caller.level += f64::from(self.refused);
            caller.doubts();
        }
    }

    /// When the call may begin: at once, or a little later where its caller is in doubt.
    pub(crate) async fn begins(&self) {
        if self.doubted {
            tokio::time::sleep(LATER).await;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut callers = self.callers.lock();
        callers.in_flight = callers.in_flight.saturating_sub(1);
        if let Some(caller) = callers.by_key.get_mut(&self.key) {
            caller.in_flight = caller.in_flight.saturating_sub(1);
            caller.doubted = caller.doubted.saturating_sub(usize::from(self.doubted));
        }
    }
}

fn too_many_at_once(count: usize) -> Refusal {
    limited(
        format!("{count} calls of this session are in flight, which is the limit"),
        "wait for some of them to end, then call again",
    )
}

fn in_doubt() -> Refusal {
    limited(
        "many calls of this session were refused lately, so few of them are let in at once".to_owned(),
        "call again in 1 s, one call after the other",
    )
}

fn crowded_out() -> Refusal {
    limited(
        "too many calls of all sessions are in flight, and this session has one of them".to_owned(),
        "wait for it to end, then call again",
    )
}

fn too_often(bounds: Bounds, over: f64) -> Refusal {
    let wait = (over / f64::from(bounds.per_second)).ceil().max(1.0);
    limited(
        format!(
            "this session calls more than {} times a second (a refused call counts as {})",
            bounds.per_second, bounds.refused
        ),
        &format!("call again in {wait} s"),
    )
}

pub(crate) fn limited(message: String, hint: &str) -> Refusal {
    Refusal::new(Code::RateLimited, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bounds = Bounds { each: 3, all: 5, per_second: 10, burst: 6, refused: 3, doubted: 1 };

    fn code(entered: Result<Pass, Refusal>) -> Code {
        entered.err().map(|refusal| refusal.code).expect("a refusal")
    }

    #[test]
    fn a_caller_has_so_many_in_flight_and_gets_each_place_back() {
        let gates = Gates::new(SMALL);
        let held: Vec<Pass> = (0..3).map(|_| gates.enter("a").unwrap()).collect();
        assert_eq!(code(gates.enter("a")), Code::RateLimited);
        assert!(gates.enter("b").is_ok(), "another caller is not held up");
        drop(held);
        assert!(gates.enter("a").is_ok());
    }

    #[test]
    fn a_thousand_calls_of_a_client_are_let_in_and_few_that_are_refused() {
        let gates = Gates::new(Bounds::OF_THE_VAULT);
        let now = Instant::now();
        for _ in 0..8 {
            let held: Vec<Pass> = (0..128).map(|_| gates.enter_at("a", now).unwrap()).collect();
            assert_eq!(code(gates.enter_at("a", now)), Code::RateLimited);
            drop(held);
        }
        let refused = |at: Instant| {
            let refused = std::iter::from_fn(|| gates.enter_at("b", at).ok().map(|pass| pass.was_refused()));
            refused.take(1000).count()
        };
        let at_once = refused(now);
        assert!((60..=100).contains(&at_once), "{at_once}");
        let more = refused(now + Duration::from_secs(1));
        assert!((30..=50).contains(&more), "{more}");
    }

    #[test]
    fn in_a_crowd_everybody_still_has_one() {
        let gates = Gates::new(SMALL);
        let _held: Vec<Pass> = ["a", "a", "a", "b", "b"].map(|key| gates.enter(key).unwrap()).into();
        assert_eq!(code(gates.enter("b")), Code::RateLimited);
        assert!(gates.enter("c").is_ok());
    }

    #[test]
    fn a_refused_call_counts_for_several_and_time_pays_it_back() {
        let gates = Gates::new(SMALL);
        let now = Instant::now();
        for _ in 0..2 {
            gates.enter_at("a", now).unwrap().was_refused();
        }
        let refusal = gates.enter_at("a", now).err().unwrap();
        assert_eq!((refusal.code, &*refusal.hint), (Code::RateLimited, "call again in 1 s"));
        assert!(gates.enter_at("b", now).is_ok());
        assert!(gates.enter_at("a", now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn whoever_is_refused_often_has_few_at_once_until_it_stops() {
        let gates = Gates::new(Bounds { per_second: 1000, burst: 1000, ..SMALL });
        let now = Instant::now();
        let running = gates.enter_at("a", now).unwrap();
        for _ in 0..100 {
            gates.enter_at("a", now).unwrap().was_refused();
        }
        let one = gates.enter_at("a", now).unwrap();
        assert!(one.doubted && !running.doubted);
        assert_eq!(code(gates.enter_at("a", now)), Code::RateLimited);
        assert!(!gates.enter_at("b", now).unwrap().doubted);
        drop(one);
        drop(gates.enter_at("a", now).unwrap());
        let later = now + Duration::from_secs(5);
        let again: Vec<Pass> = (0..2).map(|_| gates.enter_at("a", later).unwrap()).collect();
        assert!(again.iter().all(|pass| !pass.doubted));
    }

    #[test]
    fn callers_that_are_gone_are_forgotten() {
        let gates = Gates::new(SMALL);
        let now = Instant::now();
        for number in 0..1000 {
            drop(gates.enter_at(&number.to_string(), now).unwrap());
        }
        drop(gates.enter_at("last", now + SWEEP_EVERY).unwrap());
        assert_eq!(gates.callers.lock().by_key.len(), 1);
    }
}
