//! How much of a client's is worked on, waits, or was not read by it yet: all of it is bounded, so that a client that
//! asks without reading is one that waits, and no other harm comes of it. Cancels are no part of this: they are read
//! for as long as there is room for an answer.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};

use rmcp::model::RequestId;
use tokio::sync::Notify;

/// Calls of tools that are worked on at once. More wait: each holds the vault in turn, and a policy bounds runs.
const CALLS: usize = 128;
/// Calls that wait for that, and their bytes.
const WAITING: usize = 1024;
const WAITING_BYTES: usize = 16 << 20;
/// Requests whose answer was not written to its end; a pipe that nobody reads is full after four.
const OPEN: usize = 256;
/// Bytes of answers that wait to be written.
const UNREAD_BYTES: usize = 8 << 20;

const CALL: &str = "tools/call";
/// It can't be cancelled (the lifecycle of the specification).
const OPENING: &str = "initialize";

/// What there is of one client's.
#[derive(Default)]
pub(super) struct Flow {
    state: Mutex<State>,
    /// Told whenever there is more room.
    pub changed: Notify,
}

#[derive(Default)]
struct State {
    /// What the client calls its requests, and what the service does: an id of the client's that is used again, after
    /// a cancel, is never taken for the one before.
    ours: HashMap<RequestId, i64>,
    open: HashMap<i64, Open>,
    last: i64,
    calls: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    unwritten: usize,
    unwritten_bytes: usize,
}

/// A request that the service has.
struct Open {
    id: RequestId,
    kind: Kind,
    stands: Stands,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Call,
    Opening,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    WorkedOn,
    /// Its answer is on the way here.
    Done,
    /// It is still worked on; nobody wants the answer.
    Cancelled,
}

/// A request whose turn has not come.
pub(super) struct Waiting {
    pub id: RequestId,
    pub method: String,
    pub line: Vec<u8>,
}

/// What becomes of a request.
pub(super) enum Turn {
    /// It is to be worked on, by this number of ours.
    Now(Waiting, Ticket),
    /// It waits.
    Later,
    /// Too much waits already.
    Never(RequestId),
    /// The client calls another one by the same id.
    Same,
}

/// A request that is worked on, for as long as its handler is; given to the handler.
#[derive(Clone)]
pub(super) struct Ticket(Arc<Held>);

struct Held {
    flow: Arc<Flow>,
    number: i64,
    kind: Kind,
}

impl Ticket {
    pub(super) fn number(&self) -> i64 {
        self.0.number
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.flow.is_done(self.number, self.kind);
    }
}

impl Flow {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Whether one more line may be read.
    pub(super) fn has_room(&self) -> bool {
        self.state().has_room()
    }

    /// Whether anything waits for its turn.
    pub(super) fn waits(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// A request that came in.
    pub(super) fn enter(self: &Arc<Self>, request: Waiting) -> Turn {
        let mut state = self.state();
        if state.ours.contains_key(&request.id) || state.waiting.iter().any(|other| other.id == request.id) {
            return Turn::Same;
        }
        let kind = Kind::of(&request.method);
        if kind != Kind::Call || (state.waiting.is_empty() && state.calls < CALLS) {
            let ticket = state.start(self, &request.id, kind);
            return Turn::Now(request, ticket);
        }
        if state.waiting.len() >= WAITING || state.waiting_bytes + request.line.len() > WAITING_BYTES {
            return Turn::Never(request.id);
        }
        state.waiting_bytes += request.line.len();
        state.waiting.push_back(request);
        Turn::Later
    }

    /// The next of those that wait, if it is its turn.
    pub(super) fn next(self: &Arc<Self>) -> Option<(Waiting, Ticket)> {
        let mut state = self.state();
        if state.calls >= CALLS || !state.has_room() {
            return None;
        }
        let next = state.waiting.pop_front()?;
        state.waiting_bytes -= next.line.len();
        let ticket = state.start(self, &next.id, Kind::Call);
        Some((next, ticket))
    }

    /// A request that the client wants no more; what the service calls it, where it has it.
    pub(super) fn cancel(&self, id: &RequestId) -> Option<i64> {
        let mut state = self.state();
        if let Some(at) = state.waiting.iter().position(|waiting| waiting.id == *id) {
            let gone = state.waiting.remove(at)?;
            state.waiting_bytes -= gone.line.len();
            return None;
        }
        let number = *state.ours.get(id)?;
        let open = state.open.get_mut(&number).filter(|open| open.kind != Kind::Opening)?;
        match open.stands {
            Stands::Done => drop(state.open.remove(&number)),
            _ => open.stands = Stands::Cancelled,
        }
        state.ours.remove(id);
        Some(number)
    }

    /// A request that could not be read after all.
    pub(super) fn forget(&self, ticket: &Ticket) {
        let mut state = self.state();
        if let Some(open) = state.open.remove(&ticket.number()) {
            state.ours.remove(&open.id);
        }
    }

    /// What the client calls a request that is answered now; nothing where it wants no answer.
    pub(super) fn is_answered(&self, id: &RequestId) -> Option<RequestId> {
        let RequestId::Number(number) = id else { return None };
        let mut state = self.state();
        let open = state.open.remove(number).filter(|open| open.stands != Stands::Cancelled)?;
        state.ours.remove(&open.id);
        Some(open.id)
    }

    fn is_done(&self, number: i64, kind: Kind) {
        let mut state = self.state();
        state.calls -= usize::from(kind == Kind::Call);
        match state.open.get_mut(&number) {
            Some(open) if open.stands == Stands::Cancelled => drop(state.open.remove(&number)),
            Some(open) => open.stands = Stands::Done,
            None => {}
        }
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn will_be_written(&self, bytes: usize) {
        let mut state = self.state();
        state.unwritten += 1;
        state.unwritten_bytes += bytes;
    }

    pub(super) fn was_written(&self, bytes: usize) {
        let mut state = self.state();
        state.unwritten -= 1;
        state.unwritten_bytes -= bytes;
        drop(state);
        self.changed.notify_one();
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.open.len() + self.unwritten < OPEN && self.unwritten_bytes < UNREAD_BYTES
    }

    fn start(&mut self, flow: &Arc<Flow>, id: &RequestId, kind: Kind) -> Ticket {
        self.last += 1;
        let number = self.last;
        self.calls += usize::from(kind == Kind::Call);
        self.ours.insert(id.clone(), number);
        self.open.insert(number, Open { id: id.clone(), kind, stands: Stands::WorkedOn });
        Ticket(Arc::new(Held { flow: Arc::clone(flow), number, kind }))
    }
}

impl Kind {
    fn of(method: &str) -> Self {
        match method {
            CALL => Self::Call,
            OPENING => Self::Opening,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: i64, method: &str) -> Waiting {
        Waiting { id: RequestId::Number(id), method: method.to_owned(), line: vec![b' '; 100] }
    }

    fn now(flow: &Arc<Flow>, id: i64, method: &str) -> Ticket {
        match flow.enter(request(id, method)) {
            Turn::Now(_, ticket) => ticket,
            _ => panic!("{id} is not worked on"),
        }
    }

    #[test]
    fn what_is_worked_on_and_what_waits_is_bounded() {
        let flow = Arc::new(Flow::default());
        let mut tickets: Vec<Ticket> = (0..128).map(|id| now(&flow, id, CALL)).collect();
        for id in 128..128 + 1024 {
            assert!(matches!(flow.enter(request(id, CALL)), Turn::Later), "{id}");
        }
        assert!(matches!(flow.enter(request(5000, CALL)), Turn::Never(_)));
        assert!(flow.next().is_none());
        // Other requests, and cancels, are no calls.
        assert!(flow.has_room());
        now(&flow, 6000, "ping");
        assert_eq!(flow.cancel(&RequestId::Number(130)), None);
        assert!(flow.cancel(&RequestId::Number(3)).is_some());
        // One that ends gives way to the next, in turn.
        drop(tickets.remove(0));
        let (next, ticket) = flow.next().unwrap();
        assert_eq!(next.id, RequestId::Number(128));
        assert!(flow.next().is_none());
        drop((tickets, ticket));
        assert_eq!(flow.next().unwrap().0.id, RequestId::Number(129));
        assert_eq!(flow.next().unwrap().0.id, RequestId::Number(131));
    }

    #[test]
    fn a_client_that_reads_nothing_is_not_read() {
        let flow = Arc::new(Flow::default());
        let mut answered = 0;
        while flow.has_room() {
            let ticket = now(&flow, answered, "tools/list");
            let ours = RequestId::Number(ticket.number());
            drop(ticket);
            assert_eq!(flow.is_answered(&ours), Some(RequestId::Number(answered)));
            flow.will_be_written(20_000);
            answered += 1;
        }
        assert_eq!(answered, 256);
        flow.was_written(20_000);
        assert!(flow.has_room());
        flow.will_be_written(UNREAD_BYTES);
        flow.was_written(20_000);
        flow.was_written(20_000);
        assert!(!flow.has_room(), "a few large answers are as much");
    }

    #[test]
    fn an_id_stands_for_one_request_at_a_time() {
        let flow = Arc::new(Flow::default());
        let first = now(&flow, 1, CALL);
        assert!(matches!(flow.enter(request(1, "ping")), Turn::Same));
        let ours = RequestId::Number(first.number());
        assert_eq!(flow.cancel(&RequestId::Number(1)), Some(first.number()));
        // It is free at once, and the answer of the one before is nobody's.
        let second = now(&flow, 1, CALL);
        assert_eq!(flow.is_answered(&ours), None);
        drop(first);
        let ours = RequestId::Number(second.number());
        drop(second);
        assert_eq!(flow.is_answered(&ours), Some(RequestId::Number(1)));
        assert!(flow.cancel(&RequestId::Number(1)).is_none());
        // The session's opening is never cancelled.
        now(&flow, 2, OPENING);
        assert!(flow.cancel(&RequestId::Number(2)).is_none());
        assert!(matches!(flow.enter(request(2, CALL)), Turn::Same));
        assert_eq!(flow.state().open.len(), 1);
    }

    #[test]
    fn a_cancel_of_what_is_done_already_leaves_nothing() {
        let flow = Arc::new(Flow::default());
        let ticket = now(&flow, 1, CALL);
        let ours = RequestId::Number(ticket.number());
        drop(ticket);
        assert!(flow.cancel(&RequestId::Number(1)).is_some());
        assert_eq!(flow.is_answered(&ours), None);
        let state = flow.state();
        assert!(state.open.is_empty() && state.ours.is_empty() && state.calls == 0);
    }
}
