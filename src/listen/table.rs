//! Who is connected: those who have proven nothing, in the order in which they came, and how many connections each
//! caller has.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;

use tokio_util::sync::CancellationToken;

use super::Bounds;

/// All connections.
pub(super) struct Table {
    bounds: Bounds,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    next: u64,
    /// By their number, so the oldest first.
    unproven: BTreeMap<u64, Unproven>,
    /// Those with a request that is being looked at.
    asking: usize,
    /// Connections of each caller.
    proven: HashMap<String, usize>,
    in_all: usize,
}

struct Unproven {
    peer: String,
    dismissed: CancellationToken,
}

/// A connection's place; it is free when this is dropped.
pub(super) struct Seat(Guest);

/// The connection that a request came on.
#[derive(Clone)]
pub(crate) struct Guest(Arc<Occupant>);

struct Occupant {
    table: Arc<Table>,
    number: u64,
    peer: String,
    dismissed: CancellationToken,
    caller: Mutex<Option<String>>,
}

/// A request on a connection is being looked at: until it is answered, the connection makes room for no other.
pub(super) struct Asking(Option<Guest>);

/// A caller has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Table {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, seats: Mutex::default() }
    }

    /// A place for a connection that has proven nothing. Where there are too many of them, the oldest of the peer
    /// with most goes: one that is refused instead would be the honest one among those that wait for nothing.
    pub(super) fn seat(self: &Arc<Self>, peer: &str) -> Seat {
        let dismissed = CancellationToken::new();
        let mut seats = self.seats.lock();
        let number = seats.next;
        seats.next += 1;
        seats.unproven.insert(number, Unproven { peer: peer.to_owned(), dismissed: dismissed.clone() });
        if seats.unproven.len() > self.bounds.unproven {
            seats.dismiss_oldest();
        }
        drop(seats);
        let (table, peer) = (Arc::clone(self), peer.to_owned());
        Seat(Guest(Arc::new(Occupant { table, number, peer, dismissed, caller: Mutex::default() })))
    }

    /// The system has no descriptor for another.
    pub(super) fn make_room(&self) {
        self.seats.lock().dismiss_oldest();
    }

    pub(super) fn dismiss_unproven(&self) {
        let seats = self.seats.lock();
        seats.unproven.values().for_each(|place| place.dismissed.cancel());
    }
}

impl Seats {
    fn dismiss_oldest(&mut self) {
        let mut count: HashMap<&str, usize> = HashMap::new();
        for place in self.unproven.values() {
            *count.entry(&place.peer).or_default() += 1;
        }
        let most = count.values().copied().max().unwrap_or_default();
        let oldest = self.unproven.iter().find(|(_, place)| count.get(&*place.peer) == Some(&most));
        if let Some(number) = oldest.map(|(number, _)| *number)
            && let Some(place) = self.unproven.remove(&number)
        {
            place.dismissed.cancel();
        }
    }
}

impl Seat {
    pub(super) fn guest(&self) -> Guest {
        self.0.clone()
    }

    pub(super) async fn dismissed(&self) {
        self.0.0.dismissed.cancelled().await;
    }
}

impl Guest {
    /// A whole request has come: whoever sent it waits for an answer, which is soon there. A flood of those that send
    /// none pushes it out no more.
    pub(super) fn asks(&self) -> Asking {
        let table = &self.0.table;
        let mut seats = table.seats.lock();
        // Of these, too, there is no end else.
        if seats.asking >= table.bounds.all || seats.unproven.remove(&self.0.number).is_none() {
            return Asking(None);
        }
        seats.asking += 1;
        Asking(Some(self.clone()))
    }

    /// A request on this connection has proven whose it is. The first one counts: what comes through a proxy of one
    /// caller's may be others'.
    ///
    /// # Errors
    /// [`Full`], where that caller has too many connections.
    pub(crate) fn prove(&self, caller: &str) -> Result<(), Full> {
        let mut own = self.0.caller.lock();
        if own.is_some() {
            return Ok(());
        }
        let table = &self.0.table;
        let mut seats = table.seats.lock();
        let have = seats.proven.get(caller).copied().unwrap_or_default();
        if have >= table.bounds.each || (have > 0 && seats.in_all >= table.bounds.all) {
            return Err(Full);
        }
        *seats.proven.entry(caller.to_owned()).or_default() += 1;
        seats.in_all += 1;
        seats.unproven.remove(&self.0.number);
        *own = Some(caller.to_owned());
        Ok(())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Some(Guest(place)) = self.0.take() else { return };
        let proven = place.caller.lock().is_some();
        let mut seats = place.table.seats.lock();
        seats.asking = seats.asking.saturating_sub(1);
        if !proven {
            let unproven = Unproven { peer: place.peer.clone(), dismissed: place.dismissed.clone() };
            seats.unproven.insert(place.number, unproven);
            if seats.unproven.len() > place.table.bounds.unproven {
                seats.dismiss_oldest();
            }
        }
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        let caller = self.caller.get_mut().take();
        let mut seats = self.table.seats.lock();
        seats.unproven.remove(&self.number);
        let Some(caller) = caller else { return };
        seats.in_all = seats.in_all.saturating_sub(1);
        if let Some(count) = seats.proven.get_mut(&caller) {
            *count -= 1;
            if *count == 0 {
                seats.proven.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn table() -> Arc<Table> {
        let second = Duration::from_secs(1);
        Arc::new(Table::new(Bounds { header: second, unread: second, unproven: 3, each: 2, all: 3 }))
    }

    fn gone(seat: &Seat) -> bool {
        seat.0.0.dismissed.is_cancelled()
    }

    #[test]
    fn the_oldest_of_whoever_has_most_makes_room() {
        let table = table();
        let one = table.seat("one");
        let many: Vec<Seat> = (0..5).map(|_| table.seat("many")).collect();
        assert!(!gone(&one), "whoever has one connection keeps it");
        assert_eq!(many.iter().map(gone).collect::<Vec<_>>(), [true, true, true, false, false]);
        many[4].guest().prove("caller").unwrap();
        drop((table.seat("many"), table.seat("many")));
        assert!(!gone(&many[4]), "who has proven something is not in question");
    }

    #[test]
    fn whoever_waits_for_an_answer_makes_no_room() {
        let table = table();
        let asking = table.seat("peer");
        let asks = asking.guest().asks();
        let silent: Vec<Seat> = (0..4).map(|_| table.seat("peer")).collect();
        assert_eq!((gone(&asking), gone(&silent[0])), (false, true));
        drop(asks);
        assert!(gone(&asking), "answered, and the oldest of too many");
        drop((asking, silent));
        let seats = table.seats.lock();
        assert!(seats.unproven.is_empty() && seats.asking == 0);
    }

    #[test]
    fn a_caller_has_so_many_and_gets_them_back() {
        let table = table();
        let seats: Vec<Seat> = (0..4).map(|_| table.seat("peer")).collect();
        seats[0].guest().prove("a").unwrap();
        seats[0].guest().prove("b").unwrap();
        seats[1].guest().prove("a").unwrap();
        assert_eq!(seats[2].guest().prove("a"), Err(Full));
        seats[2].guest().prove("b").unwrap();
        assert_eq!(seats[3].guest().prove("b"), Err(Full), "there are enough of all, and b has one");
        seats[3].guest().prove("c").unwrap();
        drop(seats);
        let seats = table.seats.lock();
        assert!(seats.proven.is_empty() && seats.unproven.is_empty() && seats.in_all == 0);
    }
}
