//! Whom a nursery has forked, until they have ended and what was theirs is gone.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, WaitOptions, waitpid},
};

use super::own::Groups;

/// One that has been forked here, until it has ended.
struct Child {
    pid: Pid,
    process: OwnedFd,
    group: Option<String>,
}

/// All of them.
pub(super) struct Brood {
    children: Vec<Child>,
    groups: Groups,
}

impl Brood {
    pub(super) fn new() -> Self {
        Self { children: Vec::new(), groups: Groups::new() }
    }

    /// How the group of the next one will be called.
    pub(super) fn next_group(&mut self) -> Option<String> {
        self.groups.next_name()
    }

    /// One that was just forked.
    ///
    /// # Errors
    /// Of the operating system.
    pub(super) fn add(&mut self, pid: Pid, group: Option<String>) -> io::Result<&OwnedFd> {
        let process = descriptor_of(pid)?;
        self.children.push(Child { pid, process, group });
        self.children.last().map(|child| &child.process).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// What is readable when one has ended.
    pub(super) fn ends(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.children.iter().map(|child| PollFd::new(&child.process, PollFlags::IN))
    }

    /// Reaps those that have ended, and removes their groups: nobody is in them any more.
    pub(super) fn reap(&mut self) {
        let groups = &mut self.groups;
        self.children.retain_mut(|child| {
            let lives = matches!(waitpid(Some(child.pid), WaitOptions::NOHANG), Ok(None));
            if !lives {
                groups.leave(child.group.take());
            }
            lives
        });
        groups.remove_left();
    }

    /// Waits until all have ended, but not longer than that.
    pub(super) fn reap_all(mut self, within: Duration) {
        let until = Instant::now() + within;
        loop {
            self.reap();
            let left = until.saturating_duration_since(Instant::now());
            let Ok(left) = Timespec::try_from(left) else { return };
            if self.children.is_empty() || left == Timespec::default() {
                return;
            }
            let mut ends: Vec<PollFd<'_>> = self.ends().collect();
            // A signal only wakes it early.
            let _ = poll(&mut ends, Some(&left));
        }
    }
}

#[cfg(target_os = "linux")]
fn descriptor_of(pid: Pid) -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

#[cfg(not(target_os = "linux"))]
fn descriptor_of(_: Pid) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
