//! What a supervisor does once something is started: it lets the program become one, passes on what it is told, and
//! sees its end. Orders come first: a program whose run was told to end before it was let through never runs.

use std::{
    io::{self, Read},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait},
};

#[cfg(not(target_os = "linux"))]
use super::keeper_elsewhere::Keeper;
use super::{
    gate::{Gate, Stands},
    program::Forked,
    tree,
    wire::{Order, Report},
};
#[cfg(target_os = "linux")]
use super::{init::Init, keeper::Keeper};
use crate::policy::Limit;

/// How often the program's end is looked for where the kernel doesn't tell.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often what fell to this process is reaped.
const REAP_EVERY: Duration = Duration::from_secs(1);

/// What was started: a program, or the process 1 that has it.
pub(crate) enum Started {
    Program(Forked, Gate),
    #[cfg(target_os = "linux")]
    Init(Init),
}

impl Started {
    fn pid(&self) -> Pid {
        match self {
            Self::Program(forked, _) => forked.pid,
            #[cfg(target_os = "linux")]
            Self::Init(init) => init.pid,
        }
    }

    /// Those below this process that are none of the run's own.
    fn watchers(&self) -> Vec<Pid> {
        match self {
            Self::Program(..) => Vec::new(),
            #[cfg(target_os = "linux")]
            Self::Init(init) => vec![init.pid],
        }
    }

    fn gate(&mut self) -> &mut Gate {
        match self {
            Self::Program(_, gate) => gate,
            #[cfg(target_os = "linux")]
            Self::Init(init) => &mut init.gate,
        }
    }

    /// Whether the program itself has ended, though its process 1 may be about to say so.
    fn has_ended(&self) -> bool {
        match self {
            // It is waited for before anything else is looked at.
            Self::Program(..) => false,
            #[cfg(target_os = "linux")]
            Self::Init(init) => {
                let mut said = [PollFd::from_borrowed_fd(init.said(), PollFlags::IN)];
                poll(&mut said, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
            }
        }
    }

    /// How the program ended. Process 1 says it of its own; one that was killed took it along.
    fn report(&mut self, status: WaitStatus) -> Report {
        match self {
            Self::Program(forked, _) => forked.failure().unwrap_or_else(|| Report::of(status)),
            #[cfg(target_os = "linux")]
            Self::Init(init) => init.report().unwrap_or(Report::Signaled(9)),
        }
    }
}

/// Whether the program was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Shut,
    Open,
    /// Nobody will come.
    Gone,
}

/// What the run was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    ToEnd,
}

/// A supervisor at work.
pub(crate) struct Watch<'a> {
    pub started: Started,
    /// Where orders come from. When whoever started the run is gone, the tree is ended.
    pub orders: &'a UnixStream,
    /// The signal that the terminal of a shared session sent to this process, too.
    pub terminal: Option<Arc<AtomicUsize>>,
    /// What keeps the run within its limits, where it has some.
    pub keeper: Option<Keeper>,
}

impl Watch<'_> {
    /// Waits for the program's end, doing what it is told meanwhile.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn until_its_end(mut self) -> io::Result<Report> {
        let ending = ExitWatch::of(self.started.pid());
        let (mut door, mut told, mut listens) = (Door::Shut, Told::Nothing, true);
        loop {
            if let Some(report) = self.reap(told) {
                return Ok(report);
            }
            if let Some(limit) = self.limit() {
                // One that is being ended already was ended by that.
                return Ok(if told == Told::ToEnd { Report::Ended } else { Report::Limited(limit) });
            }
            let gate = (door == Door::Shut).then(|| self.started.gate());
            let rests = self.keeper.as_ref().map(Keeper::rests);
            let ready = ending.or_ready(listens.then_some(self.orders), gate.as_deref(), rests)?;
            if ready.orders {
                let order = self.order();
                match door {
                    Door::Shut => {
                        if let Some(report) = before_it_runs(order) {
                            return Ok(report);
                        }
                    }
                    Door::Open | Door::Gone => {
                        if matches!(order, Order::Terminate | Order::Kill) && !self.started.has_ended() {
                            told = Told::ToEnd;
                        }
                        self.obey(order);
                    }
                }
                listens = order != Order::Kill;
            } else if ready.gate {
                // No order is waiting now: this is the last moment at which one counts.
                match self.at_gate()? {
                    Ok(now) => door = now,
                    Err(report) => return Ok(report),
                }
            }
        }
    }

    fn reap(&mut self, told: Told) -> Option<Report> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.started.pid() {
                return Some(match (self.started.report(status), told) {
                    (Report::Exited(_) | Report::Signaled(_), Told::ToEnd) => Report::Ended,
                    (report, _) => self.keeper.as_ref().map_or(report, |keeper| keeper.concluded(report)),
                });
            }
        }
        None
    }

    /// The limit that the run has come to.
    fn limit(&mut self) -> Option<Limit> {
        let watchers = self.started.watchers();
        self.keeper.as_mut()?.look(&watchers)
    }

    fn order(&self) -> Order {
        let mut bytes = [0; 2];
        let mut orders = self.orders;
        orders.read_exact(&mut bytes).map_or(Order::Kill, |()| Order::decode(bytes))
    }

    fn at_gate(&mut self) -> io::Result<Result<Door, Report>> {
        let from_terminal = self.terminal.as_ref().map_or(0, |signal| signal.load(Ordering::SeqCst));
        let gate = self.started.gate();
        Ok(match gate.read() {
            Stands::Ready if from_terminal != 0 => {
                Err(Report::Signaled(i32::try_from(from_terminal).unwrap_or_default()))
            }
            Stands::Ready => gate.open().map_or(Ok(Door::Gone), |()| Ok(Door::Open)),
            Stands::Away => Ok(Door::Shut),
            Stands::Gone => Ok(Door::Gone),
        })
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Terminate => tree::signal_all(Signal::TERM),
            Order::Kill => {
                tree::signal_all(Signal::STOP);
                tree::signal_all(Signal::KILL);
            }
            Order::Signal(number) => {
                if let Some(signal) = Signal::from_named_raw(i32::from(number))
                    && self.started.gate().signal(signal).is_err()
                {
                    // A program that has ended meanwhile needs no signal.
                    let _ = kill_process(self.started.pid(), signal);
                }
            }
        }
    }
}

/// What becomes of a run that is told something while nothing of it has run: what is there is ended at once. Signals
/// do what they would do to a program that has said nothing about them.
fn before_it_runs(order: Order) -> Option<Report> {
    match order {
        Order::Terminate | Order::Kill => Some(Report::NeverRan),
        Order::Signal(number) => {
            let signal = i32::from(number);
            let harmless = [Signal::CHILD, Signal::CONT, Signal::URG, Signal::WINCH, Signal::TSTP];
            let ends = !harmless.iter().any(|harmless| harmless.as_raw() == signal);
            ends.then_some(Report::Signaled(signal))
        }
    }
}

/// What tells of a program's end: a descriptor of it (pidfd_open(2)), or the clock where there is none.
struct ExitWatch {
    #[cfg(target_os = "linux")]
    descriptor: Option<OwnedFd>,
}

/// What there is to read.
#[derive(Debug, Clone, Copy)]
struct Ready {
    orders: bool,
    gate: bool,
}

impl ExitWatch {
    fn of(program: Pid) -> Self {
        #[cfg(target_os = "linux")]
        {
            let flags = rustix::process::PidfdFlags::empty();
            Self { descriptor: rustix::process::pidfd_open(program, flags).ok() }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = program;
            Self {}
        }
    }

    fn descriptor(&self) -> Option<&OwnedFd> {
        #[cfg(target_os = "linux")]
        return self.descriptor.as_ref();
        #[cfg(not(target_os = "linux"))]
        return None;
    }

    /// Waits until the program may have ended, or there is something to read.
    fn or_ready(
        &self,
        orders: Option<&UnixStream>,
        gate: Option<&Gate>,
        rests: Option<Duration>,
    ) -> io::Result<Ready> {
        let within = if self.descriptor().is_some() { REAP_EVERY } else { LOOK_EVERY };
        let within = rests.map_or(within, |rests| rests.min(within));
        let mut waited: Vec<PollFd<'_>> = Vec::with_capacity(3);
        waited.extend(orders.map(|orders| PollFd::new(orders, PollFlags::IN)));
        waited.extend(gate.map(|gate| PollFd::new(gate, PollFlags::IN)));
        waited.extend(self.descriptor().map(|ending| PollFd::new(ending, PollFlags::IN)));
        let timeout = Timespec::try_from(within).map_err(io::Error::other)?;
        match poll(&mut waited, Some(&timeout)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Ready { orders: false, gate: false }),
            Err(error) => return Err(error.into()),
        }
        let mut readable = waited.iter().map(|waited| !waited.revents().is_empty());
        let mut is_ready = |asked: bool| asked && readable.next().unwrap_or(false);
        Ok(Ready { orders: is_ready(orders.is_some()), gate: is_ready(gate.is_some()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_before_anything_runs_is_the_end_of_it() {
        let table = [
            (Order::Terminate, Some(Report::NeverRan)),
            (Order::Kill, Some(Report::NeverRan)),
            (Order::Signal(1), Some(Report::Signaled(1))),
            (Order::Signal(2), Some(Report::Signaled(2))),
            (Order::Signal(15), Some(Report::Signaled(15))),
            (Order::Signal(28), None),
        ];
        for (order, expected) in table {
            assert_eq!(before_it_runs(order), expected, "{order:?}");
        }
    }
}
