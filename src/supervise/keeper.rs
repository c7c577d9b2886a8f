//! Keeps a run within what it may use, by looking at it; and names the limit that it came to.
//!
//! Where a control group holds the run, the kernel does, and what is looked at is whether it had to. Where there is none,
//! what is looked at is what the run uses: in between it can use more. The first look comes after most runs are over.

use std::{
    fs, io,
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
        Containment, Kept, LimitKeeper, SandboxBackend,
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
/// At so many looks, one after the other, a run wants more processes than it may have before it is ended for that. A
/// program that was refused one, and goes on with fewer, is left alone; what starts them without an end is not.
const LOOKS_AT_LIMIT: u32 = 5;

/// What keeps one run.
pub(crate) struct Keeper {
    kept: Kept,
    group: Option<Group>,
    /// How many processes were refused by the last look.
    refused: u64,
    looks_at_limit: u32,
    disk: Option<Disk>,
    disk_grows: bool,
    /// Whether no file may be larger than all that it may have.
    files_are_held: bool,
    /// Its own temporary file system, once it could be opened.
    shared: Option<OwnedFd>,
    /// The list of its own System V shared memory.
    segments: Option<fs::File>,
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
        leave_the_user_some(&kept.limits, namespace)?;
        let disk = kept.limits.disk.map(|most| Disk::new(&spec.scratch, most, written(spec))).transpose()?;
        Ok(Some(Self {
            kept,
            group,
            refused: 0,
            looks_at_limit: 0,
            files_are_held: largest_file(spec).is_some(),
            disk,
            disk_grows: false,
            shared: None,
            segments: None,
            shape: spec.contain.as_ref().map_or(SandboxBackend::None, |contain| contain.shape),
            next: Instant::now() + LOOK_AFTER,
        }))
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
        let found = self.look_at_group().or_else(|| self.look_at_all(watchers));
        // A disk that fills up waits for nobody.
        let rest = if self.disk_grows { LOOK_AFTER } else { LOOK_AFTER.max((worked() - before) * REST) };
        self.next = Instant::now() + rest;
        found
    }

    /// What the run came to, where it ended by itself. How its program exited is left as it is, with what a limit refused it:
    /// it went on with that. One that fails after the kernel has killed a part of it was ended by that.
    pub(crate) fn concluded(&self, report: Report) -> Report {
        let out_of_memory = self.group.as_ref().is_some_and(Group::ran_out_of_memory);
        let refused = self.group.as_ref().is_some_and(|group| group.processes().refused > 0);
        match report {
            Report::Exited(0) if out_of_memory => Report::ExitedWithout(0, Limit::Memory),
            Report::Exited(_) | Report::Signaled(_) if out_of_memory => Report::Limited(Limit::Memory),
            Report::Exited(code) if refused => Report::ExitedWithout(code, Limit::Processes),
            // A file that would have been larger than all that it may have (setrlimit(2)).
            Report::Signaled(signal_hook::consts::SIGXFSZ) if self.files_are_held => {
                Report::Limited(Limit::Disk)
            }
            report => report,
        }
    }

    fn look_at_group(&mut self) -> Option<Limit> {
        let group = self.group.as_ref()?;
        if group.ran_out_of_memory() {
            return Some(Limit::Memory);
        }
        let now = group.processes();
        let wants_more = now.refused > self.refused || (now.refused > 0 && now.full);
        self.refused = now.refused;
        self.wants_processes(wants_more)
    }

    fn wants_processes(&mut self, more: bool) -> Option<Limit> {
        self.looks_at_limit = if more { self.looks_at_limit + 1 } else { 0 };
        (self.looks_at_limit >= LOOKS_AT_LIMIT).then_some(Limit::Processes)
    }

    /// One more than it may have is let be by what the kernel counts, so that it is seen here; what nobody counts has no end.
    fn look_at_processes(&mut self, members: &[Member]) -> Option<Limit> {
        let most = self.kept.limits.processes?;
        let now = usage::count(members);
        if now > most.saturating_add(shares::ONE_MORE) {
            return Some(Limit::Processes);
        }
        self.wants_processes(now > most)
    }

    fn look_at_all(&mut self, watchers: &[Pid]) -> Option<Limit> {
        let limits = self.kept.limits;
        let watched = self.kept.by == LimitKeeper::Watch;
        // What the kernel counts needs no walk through all of its processes ten times a second.
        if !watched && self.disk.is_none() {
            return None;
        }
        let members = usage::members(watchers, limits.processes);
        if watched && let Some(limit) = self.look_at_processes(&members.seen) {
            return Some(limit);
        }
        let held = usage::held(&members, self.disk.as_ref().map(|disk| disk.device));
        let used = self.disk.as_mut().map_or(Use::Within, |disk| disk.look(&held));
        self.disk_grows = used == Use::Growing;
        if used == Use::Over {
            return Some(Limit::Disk);
        }
        let most = limits.memory.filter(|_| watched)?;
        let files = held.memory + self.shared_memory(&members.seen);
        (usage::memory(&members.seen, files, most) > most).then_some(Limit::Memory)
    }

    fn shared_memory(&mut self, members: &[Member]) -> u64 {
        // Without a view of its own it has the machine's.
        if self.shape != SandboxBackend::Namespaces {
            return 0;
        }
        if self.shared.is_none() {
            self.shared = usage::shared_memory(members);
        }
        // This process has made the run's namespace of System V objects, and is in it.
        if self.segments.is_none() {
            self.segments = usage::segments();
        }
        let segments = self.segments.as_mut().map_or(0, usage::of_segments);
        segments + self.shared.as_ref().map_or(0, usage::taken_of)
    }
}

/// Where else than into its private directories a run may write.
fn written(spec: &Spec) -> impl Iterator<Item = &Path> {
    spec.contain.iter().flat_map(Containment::written).map(|place| place.path.as_path())
}

/// The largest file of a run that writes nowhere but into its private directories: all that it may have. It holds for every
/// file of a process (setrlimit(2)): where a run makes something for others, the directories are looked at alone.
fn largest_file(spec: &Spec) -> Option<u64> {
    let apart = spec.contain.is_some() && written(spec).next().is_none();
    spec.kept?.limits.disk.filter(|_| apart)
}

/// How long this process has had a processor. Beside a run that takes all of them a look takes long by the clock: it is not
/// to come the later for that.
fn worked() -> Duration {
    let worked = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(worked).unwrap_or_default()
}

/// Limits the process that becomes the program.
pub(crate) fn restrict_use(spec: &Spec, namespace: UserNamespace) -> io::Result<()> {
    let Some(kept) = &spec.kept else { return Ok(()) };
    shares::restrict_use(kept, largest_file(spec), namespace, WATCHERS)
}
