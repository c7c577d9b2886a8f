//! What a supervisor has of its own before it knows what it will start: a control group, a user namespace, and how
//! willingly the kernel ends what it forks. All of it is made ahead, off the way of a call.

use std::{ffi::OsStr, io};

use super::Role;
#[cfg(target_os = "linux")]
use super::{process::Process, wire::Spec};
#[cfg(target_os = "linux")]
use crate::policy::Shares;
use crate::sandbox::CgroupVersion;
#[cfg(target_os = "linux")]
use crate::sandbox::{
    Kept, Step,
    cgroup::{Group, PREFIX, cgroups},
    enter_own_network, enter_user_namespace,
    shares::OomScore,
};

/// Whether the run has a user namespace of its own.
#[cfg(target_os = "linux")]
pub(crate) type Namespace = crate::sandbox::namespaces::UserNamespace;
#[cfg(not(target_os = "linux"))]
pub(crate) type Namespace = ();

/// The control group that a supervisor is in.
#[cfg(target_os = "linux")]
pub(crate) type Joined = Group;
#[cfg(not(target_os = "linux"))]
pub(crate) type Joined = ();

/// What a supervisor has.
pub(crate) struct Own {
    /// Its namespaces; what failed in them is told when there is somebody to tell.
    pub entered: Result<Namespace, i32>,
    #[cfg(target_os = "linux")]
    group: Option<Group>,
    #[cfg(target_os = "linux")]
    score: Option<OomScore>,
}

/// The word by which a supervisor is told how its group is called.
pub(crate) const GROUP: &str = "group=";

#[cfg(target_os = "linux")]
impl Own {
    /// To be called while this process may still make groups, before it becomes who runs are of: it is in one from here
    /// on. Where none can be made, a run that needs one is not started.
    pub(crate) fn group(word: Option<&OsStr>) -> Option<Group> {
        let name = match word {
            Some(word) => word.to_str()?.strip_prefix(GROUP)?.to_owned(),
            None => group_of(Process::this()?, 0),
        };
        cgroups()?.join(&name).ok()
    }

    /// Before anything is here that must not be read: who can't be read can't write the maps of its namespace, nor its
    /// own score. A process that was forked, or has changed its user, is unreadable (prctl(2), PR_SET_DUMPABLE): it becomes
    /// readable after that change, never before. Nothing is here yet that could be read, and nothing is open through
    /// which it could be.
    pub(crate) fn prepare(role: Role, group: Option<Group>) -> io::Result<Self> {
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
        let score = OomScore::open().ok();
        let entered = if role.has_namespaces() { enter(role) } else { Ok(Namespace::None) };
        Ok(Self { entered, group, score })
    }

    /// Which control groups this machine has for runs.
    pub(crate) fn version(&self) -> Option<CgroupVersion> {
        self.group.as_ref().and_then(|_| Some(cgroups()?.version()))
    }

    /// Keeps a run within its limits, from before there is anything of it.
    pub(crate) fn keep(
        &mut self,
        spec: &Spec,
        namespace: Namespace,
    ) -> Result<Option<super::keeper::Keeper>, i32> {
        let kept = super::keeper::Keeper::begin(spec, self.group.take(), namespace);
        kept.map_err(|error| Step::Limits.failed(&error))
    }

    /// Forks what the kernel ends before anything else of its user: a tool call's run, and one whose memory is limited, so
    /// that its supervisor is there to say so.
    pub(crate) fn forks<T>(&self, spec: &Spec, fork: impl FnOnce() -> T) -> T {
        let goes_first = |kept: &Kept| kept.limits.shares == Shares::Part || kept.limits.memory.is_some();
        match self.score.as_ref().filter(|_| spec.kept.as_ref().is_some_and(goes_first)) {
            Some(score) => score.raised(fork),
            None => fork(),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Own {
    pub(crate) fn group(_: Option<&OsStr>) -> Option<()> {
        None
    }

    pub(crate) fn prepare(_: Role, _: Option<()>) -> io::Result<Self> {
        Ok(Self { entered: Ok(()) })
    }

    pub(crate) fn version(&self) -> Option<CgroupVersion> {
        None
    }
}

#[cfg(target_os = "linux")]
fn enter(role: Role) -> Result<Namespace, i32> {
    let entered = enter_user_namespace().map_err(|error| Step::UserNamespace.failed(&error))?;
    if role != Role::Namespaces {
        enter_own_network().map_err(|error| Step::Network.failed(&error))?;
    }
    Ok(entered)
}

/// How a group is called: by who removes it, so that one of which nobody is left is known as that.
#[cfg(target_os = "linux")]
fn group_of(remover: Process, number: u64) -> String {
    format!("{PREFIX}{remover}-{number}")
}

/// Looks for where groups can be made, which what is forked from here on knows, and removes those of which nobody is
/// left to do so: their server and all of its processes were killed.
pub(crate) fn prepare_groups() {
    #[cfg(target_os = "linux")]
    if let Some(groups) = cgroups() {
        let remover = |name: &str| name.strip_prefix(PREFIX)?.rsplit_once('-')?.0.parse::<Process>().ok();
        let names = groups.names().into_iter();
        for name in names.filter(|name| remover(name).is_some_and(|remover| !remover.is_alive())) {
            // One that has members is of somebody who can't be seen from here.
            let _ = groups.remove(&name);
        }
    }
}

/// Removes the group of a supervisor that no nursery has forked, whose removal nobody else sees to. One that has become
/// another user can't: the next server's nursery does.
pub(crate) fn leave_group() {
    #[cfg(target_os = "linux")]
    if let Some((groups, this)) = cgroups().zip(Process::this()) {
        let _ = groups.leave(&group_of(this, 0));
    }
}

/// The groups of those whom this process forks.
pub(crate) struct Groups {
    #[cfg(target_os = "linux")]
    remover: Option<Process>,
    #[cfg(target_os = "linux")]
    named: u64,
    /// Those that nobody needs any more.
    left: Vec<String>,
}

impl Groups {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            remover: cgroups().and_then(|_| Process::this()),
            #[cfg(target_os = "linux")]
            named: 0,
            left: Vec::new(),
        }
    }

    /// A name that no group has had.
    pub(crate) fn next_name(&mut self) -> Option<String> {
        #[cfg(target_os = "linux")]
        {
            self.named += 1;
            Some(group_of(self.remover?, self.named))
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    pub(crate) fn leave(&mut self, name: Option<String>) {
        self.left.extend(name);
    }

    /// Removes those that nobody is in. What a killed supervisor watched over may take a moment to end.
    pub(crate) fn remove_left(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(groups) = cgroups() {
            self.left.retain(|name| groups.remove(name).is_err());
        }
    }
}

/// Whether a control group can be made from this process.
#[cfg(target_os = "linux")]
pub(crate) fn try_groups() -> Option<CgroupVersion> {
    let groups = cgroups()?;
    groups.try_out(&group_of(Process::this()?, 0)).ok()?;
    Some(groups.version())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn try_groups() -> Option<CgroupVersion> {
    None
}
