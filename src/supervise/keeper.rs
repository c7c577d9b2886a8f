//! Keeps a run within what it may use, by looking at it; and names the limit that it came to.
//!
//! Where a control group holds the run, the kernel does, and what is looked at is whether it had to. Where there is none,
//! what is looked at is what the run uses: in between it can use more. The first look comes after most runs are over.

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Pid;

use super::{
    disk::{Disk, Use},
    usage::{self, Member},
    wire::{Report, Spec},
};
use crate::{
    policy::Limit,
    sandbox::{
        Kept, LimitKeeper, SandboxBackend, Seen,
        cgroup::Group,
        namespaces::UserNamespace,
        shares::{self, leave_the_user_some},
    },
};

/// The first look, and the least between two.
const LOOK_AFTER: Duration = Duration::from_millis(100);
/// A look that took long is followed by so many times as much without one: it takes a twentieth of a processor at most.
const REST: u32 = 20;

/// The supervisor, and in namespaces process 1: no processes of the run, but counted with it.
pub(crate) const WATCHERS: u32 = 2;

/// What keeps one run.
pub(crate) struct Keeper {
    kept: Kept,
    group: Option<Group>,
    disk: Disk,
    disk_grows: bool,
    /// Its own temporary file system, once it could be opened.
    shared: Option<OwnedFd>,
    shape: SandboxBackend,
    next: Instant,
}

impl Keeper {
    /// Before anything of the run is there.
    ///
    /// # Errors
    /// Where what should keep it can't.
    pub(crate) fn begin(
        spec: &Spec,
        group: Option<Group>,
        namespace: UserNamespace,
    ) -> io::Result<Option<Self>> {
        let Some(kept) = spec.kept else { return Ok(None) };
        let group = match kept.by {
            LimitKeeper::Watch => None,
            LimitKeeper::Cgroup(_) => Some(group.ok_or(io::ErrorKind::NotFound)?),
        };
        if let Some(group) = &group {
            group.limit(&kept.limits, WATCHERS)?;
        }
        leave_the_user_some(namespace)?;
        let places = spec.contain.iter().flat_map(|contain| &contain.places);
        let written = places.filter(|place| place.seen == Seen::Write).map(|place| place.path.as_path());
        let disk = Disk::new(Path::new(&spec.scratch), kept.limits.disk, written)?;
        let shape = spec.contain.as_ref().map_or(SandboxBackend::None, |contain| contain.shape);
        let next = Instant::now() + LOOK_AFTER;
        Ok(Some(Self { kept, group, disk, disk_grows: false, shared: None, shape, next }))
    }

    /// How long until the next look.
    pub(crate) fn rests(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Looks, if it is time to: the limit that the run has come to.
    pub(crate) fn look(&mut self, watchers: &[Pid]) -> Option<Limit> {
        if Instant::now() < self.next {
            return None;
        }
        let before = worked();
        let found = self.group.as_ref().and_then(Group::reached).or_else(|| self.look_at_all(watchers));
        // A disk that fills up waits for nobody.
        let rest = if self.disk_grows { LOOK_AFTER } else { LOOK_AFTER.max((worked() - before) * REST) };
        self.next = Instant::now() + rest;
        found
    }

    /// What the run came to, where it ended by itself: one of which a limit took something did not do what it would have
    /// done.
    pub(crate) fn concluded(&self, report: Report) -> Report {
        let by_itself = matches!(report, Report::Exited(_) | Report::Signaled(_));
        let reached = self.group.as_ref().filter(|_| by_itself).and_then(Group::reached);
        match (report, reached) {
            (_, Some(limit)) => Report::Limited(limit),
            // A file that would have been larger than all that it may have (setrlimit(2)).
            (Report::Signaled(signal_hook::consts::SIGXFSZ), _) if self.kept.limits.disk.is_some() => {
                Report::Limited(Limit::Disk)
            }
            (report, None) => report,
        }
    }

    fn look_at_all(&mut self, watchers: &[Pid]) -> Option<Limit> {
        let limits = self.kept.limits;
        let members = usage::members(watchers);
        let watched = self.kept.by == LimitKeeper::Watch;
        if watched && limits.processes.is_some_and(|most| usage::count(&members) >= most) {
            return Some(Limit::Processes);
        }
        let held = usage::held(&members, self.disk.device);
        let used = self.disk.look(held.removed);
        self.disk_grows = used == Use::Growing;
        if used == Use::Over {
            return Some(Limit::Disk);
        }
        let most = limits.memory.filter(|_| watched)?;
        let files = held.memory + self.shared_memory(&members);
        (usage::memory(&members, files, most) > most).then_some(Limit::Memory)
    }

    fn shared_memory(&mut self, members: &[Member]) -> u64 {
        // Without a view of its own it has the machine's.
        if self.shape != SandboxBackend::Namespaces {
            return 0;
        }
        if self.shared.is_none() {
            self.shared = usage::shared_memory(members);
        }
        self.shared.as_ref().map_or(0, usage::taken_of)
    }
}

/// How long this process has had a processor. Beside a run that takes all of them a look takes long by the clock: it is not
/// to come the later for that.
fn worked() -> Duration {
    let worked = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(worked).unwrap_or_default()
}

/// Limits the process that becomes the program.
pub(crate) fn restrict_use(kept: &Kept, namespace: UserNamespace) -> io::Result<()> {
    shares::restrict_use(kept, namespace, WATCHERS)
}
