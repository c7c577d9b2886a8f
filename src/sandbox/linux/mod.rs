//! Containment on Linux, by an unprivileged process, without unsafe code.
//!
//! A supervisor enters a user namespace while it holds nothing yet ([`enter_user_namespace`]: a process that
//! can't be read can't write its maps). For each run it forks process 1 of a new pid namespace (`supervise/init.rs`),
//! which puts the view together, and forks the program, which takes the filters on before it becomes what was
//! decided. When the program ends, so does process 1, and the kernel ends everything else with it.
//!
//! Every step fails closed, and is named by its number ([`Step`]).

mod apart;
mod calls;
pub(crate) mod cgroup;
mod compile;
mod covers;
mod filters;
mod mountinfo;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod shares;
mod syscalls;

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::PathRule;

pub(crate) use apart::can_be_apart;
pub use calls::system_calls;
pub(crate) use filters::{contain_program, landlock_abi};
pub(crate) use mounts::CHANGED;
pub(crate) use namespaces::{enter_own_network, enter_user_namespace};

/// A step of containing a run; its number goes over the wire where it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    UserNamespace = 1,
    Namespaces = 2,
    Root = 3,
    System = 4,
    Devices = 5,
    Proc = 6,
    Private = 7,
    Places = 8,
    ReadOnly = 9,
    Enter = 10,
    Network = 11,
    Listen = 12,
    Capabilities = 13,
    Landlock = 14,
    Seccomp = 15,
    Fork = 16,
    Covers = 17,
    Limits = 18,
    Apart = 19,
}

impl Step {
    const ALL: [Self; 19] = [
        Self::UserNamespace,
        Self::Namespaces,
        Self::Root,
        Self::System,
        Self::Devices,
        Self::Proc,
        Self::Private,
        Self::Places,
        Self::ReadOnly,
        Self::Enter,
        Self::Network,
        Self::Listen,
        Self::Capabilities,
        Self::Landlock,
        Self::Seccomp,
        Self::Fork,
        Self::Covers,
        Self::Limits,
        Self::Apart,
    ];

    /// A failed step and its errno as one number.
    pub(crate) fn failed(self, error: &io::Error) -> i32 {
        (self as i32) << 16 | (error.raw_os_error().unwrap_or_default() & 0xffff)
    }

    /// In words.
    pub(crate) fn describe(number: i32) -> String {
        let errno = io::Error::from_raw_os_error(number & 0xffff);
        match Self::ALL.into_iter().find(|step| *step as i32 == number >> 16) {
            Some(step) => format!("{step}: {errno}"),
            None => errno.to_string(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserNamespace => "making a user namespace",
            Self::Namespaces => "making mount and pid namespaces",
            Self::Root => "making an empty root",
            Self::System => "showing the system's directories",
            Self::Devices => "making devices",
            Self::Proc => "mounting /proc",
            Self::Private => "making private directories",
            Self::Places => "showing what the policy names",
            Self::ReadOnly => "making what is shown read-only",
            Self::Enter => "entering the view",
            Self::Network => "making a network of its own",
            Self::Listen => "listening for the proxy",
            Self::Capabilities => "dropping capabilities",
            Self::Landlock => "restricting itself by Landlock",
            Self::Seccomp => "restricting its system calls",
            Self::Fork => "starting a process",
            Self::Covers => "laying the run's own files over the system's",
            Self::Limits => "limiting what it may use",
            Self::Apart => "keeping locks apart",
        })
    }
}

/// A step that failed.
pub(crate) struct Failed(pub i32);

/// Names the step where an operation fails.
pub(crate) trait At<T> {
    fn at(self, step: Step) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failed> {
        self.map_err(|error| Failed(step.failed(&error.into())))
    }
}

/// Opens a place for mounting, and follows no link on the way: whoever may write above it could put one there.
pub(crate) fn open_without_links(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?)
}

/// The same for what lies in a directory, and nothing else.
fn open_beneath(dir: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(rustix::fs::openat2(dir, path, flags, Mode::empty(), within)?)
}

/// [`open_without_links`] for a place of the policy: what lies there must be what lay there when the run was prepared.
pub(crate) fn open_place(place: &PathRule) -> io::Result<OwnedFd> {
    let opened = open_without_links(&place.path)?;
    let found = rustix::fs::fstat(&opened)?;
    match place.inode {
        Some(inode) if inode != (found.st_dev, found.st_ino) => {
            Err(io::Error::from_raw_os_error(libc::ESTALE))
        }
        _ => Ok(opened),
    }
}

/// A name of what is open, for calls that take names.
fn by_descriptor(descriptor: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_told_with_its_reason() {
        let number = Step::Proc.failed(&io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(Step::describe(number), "mounting /proc: Operation not permitted (os error 1)");
        assert!(Step::ALL.iter().enumerate().all(|(index, step)| *step as usize == index + 1));
    }
}
