//! The sandbox of a run: what it can reach, enforced by whatever layers this machine gives.
//!
//! What enters is what a policy asks for ([`crate::policy::SandboxTerms`]) and what the machine can do ([`SandboxCapabilities`]);
//! what leaves is a [`SandboxPlan`], or the name of what can't be enforced ([`plan::MissingCapability`]). A run whose plan can't be
//! carried out to the letter never starts: set-up fails closed, step by step, before any program runs.
//!
//! On Linux, without root: namespaces (user, mount, pid, ipc, uts, and network unless that is open) with a
//! view of the file system that is put together from nothing; Landlock and seccomp on top. Where user
//! namespaces are closed, Landlock and seccomp alone are enough for what they can hold.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::system_calls;
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    At, CHANGED, Failed, Step, can_be_apart, cgroup, contain_program, enter_own_network,
    enter_user_namespace, landlock_abi, mounts, namespaces, shares,
};
#[cfg(target_os = "linux")]
mod closed;
pub(crate) mod digest;
mod home;
mod place;
mod plan;
mod remedy;
#[cfg(any(target_os = "macos", test))]
pub(crate) mod seatbelt;
mod view;

#[cfg(target_os = "linux")]
pub(crate) use closed::Closed;
pub(crate) use digest::{digest_program, program_chain};
pub(crate) use place::Endpoint;
pub(crate) use place::{Cover, INSIDE, PathRule, Seen};
pub(crate) use plan::Containment;
pub use plan::SandboxPlan;
pub(crate) use plan::{
    CgroupVersion, Counted, Kept, LimitKeeper, Locks, SandboxBackend, SandboxCapabilities,
};
pub(crate) use remedy::remedy;
pub(crate) use view::ViewError;
pub(crate) use view::{Wanted, places, read_only};

/// There are no overlays.
#[cfg(not(target_os = "linux"))]
pub(crate) fn can_be_apart(_: &[std::path::PathBuf]) -> bool {
    false
}

/// Of the system no run is kept from more than its user is.
#[cfg(not(target_os = "linux"))]
#[derive(Default)]
pub(crate) struct Closed;

#[cfg(not(target_os = "linux"))]
impl Closed {
    pub(crate) fn now(&self) -> Vec<std::path::PathBuf> {
        Vec::new()
    }
}

impl SandboxCapabilities {
    /// This machine, where `namespaces` and `cgroups` came of trying them out in a process of their own (whether the first
    /// can be made, and what is shown in them be shown through overlays), and whose processes it counts.
    pub fn with(namespaces: Result<Locks, String>, cgroups: Option<CgroupVersion>, counted: Counted) -> Self {
        Self {
            locks: namespaces.as_ref().copied().unwrap_or(Locks::Shared),
            namespaces: namespaces.map(drop),
            #[cfg(target_os = "linux")]
            landlock: linux::landlock_abi(),
            #[cfg(not(target_os = "linux"))]
            landlock: 0,
            seatbelt: cfg!(target_os = "macos"),
            cgroups,
            counted,
        }
    }
}
