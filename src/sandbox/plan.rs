//! What will contain a run: worked out from what its policy asks for and what the machine can do.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::place::{Cover, Endpoint, PathRule, Seen};
use crate::policy::{Counting, Network, RunLimits, SaidOff, SandboxMode, SandboxTerms};

/// The oldest Landlock that holds other files and other processes by itself: ABI 6 brought the scope of
/// signals (<https://docs.kernel.org/userspace-api/landlock.html>).
const LANDLOCK_ALONE: u32 = 6;

/// What this machine lets an unprivileged process do to contain another. Looked at once a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxCapabilities {
    /// Whether namespaces can be made and set up; where not, the step that failed and why.
    pub namespaces: Result<(), String>,
    /// Whether what is shown in them can be shown through overlays.
    pub locks: Locks,
    /// Landlock's ABI; 0 where there is none.
    pub landlock: u32,
    /// Whether Seatbelt (macOS) is there.
    pub seatbelt: bool,
    /// The control groups that can be made for runs.
    pub cgroups: Option<CgroupVersion>,
    /// Whose processes the kernel counts where there are none.
    pub counted: Counted,
}

/// Control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupVersion {
    /// Hierarchies of their own for pids and memory.
    V1,
    /// One hierarchy.
    V2,
}

/// Whether the kernel counts the processes of the user whom runs are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counted {
    /// Not those of root (getrlimit(2), `RLIMIT_NPROC`).
    No,
    /// In the run's own user namespace.
    Yes,
}

/// What keeps a run within its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LimitKeeper {
    /// A control group of the run's own.
    Cgroup(CgroupVersion),
    /// Its supervisor, which looks at it, and a limit on its processes where the kernel counts them.
    Watch,
}

/// A run's limits, and what keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What keeps them.
    pub by: LimitKeeper,
    /// What they are.
    pub limits: RunLimits,
}

/// Where locks on files go that a run may only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Locks {
    /// On the machine's own files, where everybody meets them.
    Shared,
    /// On overlays of the run's own.
    Apart,
}

impl Locks {
    /// As a number, for a process that reports by one.
    pub(crate) fn code(self) -> i32 {
        self as i32
    }

    /// Of such a number.
    pub(crate) fn of(code: i32) -> Self {
        if code == Self::Apart as i32 { Self::Apart } else { Self::Shared }
    }
}

/// How a run is contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxBackend {
    /// Nothing contains it.
    None,
    /// Namespaces, with filters on top.
    Namespaces,
    /// Landlock and seccomp alone.
    Filters,
    /// macOS's Seatbelt.
    Seatbelt,
}

/// What will contain a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxPlan {
    /// How.
    pub shape: SandboxBackend,
    /// Which network it leaves.
    pub network: Network,
    /// The layers by name, for the result and the audit.
    pub layers: Vec<String>,
    /// Whether Landlock is one of them.
    landlock: bool,
    /// What it may use; nothing where nothing limits it.
    kept: Option<Kept>,
    locks: Locks,
}

/// What a policy asks for and this machine can't enforce.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this machine can't keep a run {what}: {why}")]
pub struct MissingCapability {
    /// Completes "can't keep a run …".
    pub what: &'static str,
    /// The layer that is missing.
    pub why: String,
}

impl SandboxPlan {
    fn none() -> Self {
        Self {
            shape: SandboxBackend::None,
            network: Network::Open,
            layers: Vec::new(),
            landlock: false,
            kept: None,
            locks: Locks::Shared,
        }
    }

    /// Nothing, where a policy says so.
    ///
    /// ```compile_fail,E0061
    /// # use authy_mcp::testing::sandbox::Plan;
    /// fn plan() -> Plan {
    ///     Plan::off() // who says so?
    /// }
    /// ```
    ///
    /// ```compile_fail,E0423
    /// # use authy_mcp::testing::{policy::SaidOff, sandbox::Plan};
    /// fn plan() -> Plan {
    ///     Plan::off(SaidOff(())) // no policy did
    /// }
    /// ```
    pub fn off(_: SaidOff) -> Self {
        Self::none()
    }

    /// The same run, kept within its limits as far as this machine can: nothing else contains it.
    #[must_use]
    pub(crate) fn within(self, terms: &SandboxTerms, machine: &SandboxCapabilities) -> Self {
        Self { kept: machine.keep(terms.limits), ..self }
    }

    /// What keeps the run within its limits, where it has some.
    pub(crate) fn kept(&self) -> Option<Kept> {
        self.kept
    }

    /// Whether Landlock is one of the layers.
    pub(crate) fn landlock(&self) -> bool {
        self.landlock
    }

    /// Where its locks go.
    pub(crate) fn locks(&self) -> Locks {
        self.locks
    }

    /// The same for a run that is given a value, which it could tell by locks: `apart` says whether all that it is shown
    /// can be shown through overlays. Where they can't be, that is said.
    pub(crate) fn of_a_value(mut self, machine: &SandboxCapabilities, apart: impl FnOnce() -> bool) -> Self {
        let namespaces = self.shape == SandboxBackend::Namespaces && self.network != Network::Open;
        if namespaces && machine.locks == Locks::Apart && apart() {
            self.locks = Locks::Apart;
        } else {
            self.layer("locks shared".to_owned());
        }
        self
    }

    /// One more among its layers, where it has some: the network stays the last word.
    fn layer(&mut self, name: String) {
        if self.shape != SandboxBackend::None {
            self.layers.insert(self.layers.len().saturating_sub(1), name);
        }
    }

    /// What contains a run under these terms on this machine. `required` is a matter of properties: any
    /// layers that hold them will do.
    ///
    /// # Errors
    /// The first property that can't be had, where the terms require all.
    pub fn make(terms: &SandboxTerms, machine: &SandboxCapabilities) -> Result<Self, MissingCapability> {
        let plan = match terms.mode {
            SandboxMode::Off => Self::none(),
            SandboxMode::Required => {
                let plan = Self::strict(terms, machine)?;
                machine.can_keep(terms)?;
                plan
            }
            SandboxMode::BestEffort => Self::strict(terms, machine).unwrap_or_else(|_| Self::none()),
        };
        Ok(plan.limited(terms, machine))
    }

    /// The same, and its limits among its layers.
    fn limited(self, terms: &SandboxTerms, machine: &SandboxCapabilities) -> Self {
        let mut plan = self.within(terms, machine);
        if let Some(kept) = plan.kept {
            plan.layer(kept.by.to_string());
        }
        plan
    }

    fn strict(terms: &SandboxTerms, machine: &SandboxCapabilities) -> Result<Self, MissingCapability> {
        let network = terms.network;
        let filters = |landlock: u32| {
            let landlock = (landlock > 0).then(|| format!("landlock {landlock}"));
            landlock.into_iter().chain(["seccomp".to_owned(), format!("network {}", network.as_str())])
        };
        if machine.seatbelt && network != Network::Proxy {
            let layers = vec!["seatbelt".to_owned(), format!("network {}", network.as_str())];
            return Ok(Self { shape: SandboxBackend::Seatbelt, network, layers, ..Self::none() });
        }
        match &machine.namespaces {
            Ok(()) => {
                let layers =
                    std::iter::once("namespaces".to_owned()).chain(filters(machine.landlock)).collect();
                Ok(Self {
                    shape: SandboxBackend::Namespaces,
                    network,
                    layers,
                    landlock: machine.landlock > 0,
                    ..Self::none()
                })
            }
            Err(why) if network == Network::Proxy => Err(MissingCapability {
                what: "to the egress proxy",
                why: format!("it needs namespaces ({why})"),
            }),
            Err(why) if machine.landlock < LANDLOCK_ALONE => Err(MissingCapability {
                what: "from other files and processes",
                why: format!(
                    "it needs namespaces ({why}), or Landlock of ABI {LANDLOCK_ALONE} (this kernel has {})",
                    machine.landlock
                ),
            }),
            Err(_) => {
                let layers = filters(machine.landlock).collect();
                Ok(Self { shape: SandboxBackend::Filters, network, layers, landlock: true, ..Self::none() })
            }
        }
    }
}

impl SandboxCapabilities {
    /// What keeps a run within these limits here, as well as can be.
    fn keep(&self, limits: RunLimits) -> Option<Kept> {
        let by = self.cgroups.map_or(LimitKeeper::Watch, LimitKeeper::Cgroup);
        // What looks at a run needs Linux's /proc.
        (!limits.is_none() && !self.seatbelt).then_some(Kept { by, limits })
    }

    /// Whether a run's processes are counted by the kernel.
    pub(crate) fn counts_processes(&self) -> bool {
        self.cgroups.is_some() || self.counted == Counted::Yes || self.seatbelt
    }

    /// A run that starts processes faster than anybody looks is held by what the kernel counts alone.
    fn can_keep(&self, terms: &SandboxTerms) -> Result<(), MissingCapability> {
        if self.counts_processes() || terms.counting == Counting::WherePossible {
            return Ok(());
        }
        Err(MissingCapability {
            what: "within its limits",
            why:
                "the kernel doesn't count root's processes but in a control group, and none can be made here"
                    .to_owned(),
        })
    }
}

impl fmt::Display for LimitKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cgroup(CgroupVersion::V1) => "limits cgroup v1",
            Self::Cgroup(CgroupVersion::V2) => "limits cgroup v2",
            Self::Watch => "limits watched",
        })
    }
}

impl fmt::Display for SandboxPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers.is_empty() { f.write_str("off") } else { f.write_str(&self.layers.join(", ")) }
    }
}

/// What a run is contained by, complete: what its supervisor carries out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Containment {
    pub shape: SandboxBackend,
    pub network: Network,
    /// What is seen, and how; in the order in which it is put together.
    pub places: Vec<PathRule>,
    /// The run's private directory. The root of its view is put together over it.
    pub scratch: PathBuf,
    /// Where the caller is to be found on the run's own loopback.
    pub listen: Vec<Endpoint>,
    /// The run's own files that lie over the system's.
    pub covers: Vec<Cover>,
    /// Whether Landlock is there.
    pub landlock: bool,
    /// Where locks go on what is shown to be read.
    pub locks: Locks,
    /// Whether the run is given a Unix socket, and may make some.
    pub given: bool,
    /// Whether the run shares a person's terminal.
    pub terminal: bool,
    /// The most bytes of memory that its own temporary file system may take; half of the machine's where nothing is said.
    pub memory: Option<u64>,
}

impl Containment {
    /// Where else than into its private directories the run may write.
    pub(crate) fn written(&self) -> impl Iterator<Item = &PathRule> {
        self.places.iter().filter(|place| place.seen == Seen::Write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(namespaces: bool, landlock: u32) -> SandboxCapabilities {
        let namespaces = if namespaces { Ok(()) } else { Err("user namespaces are closed".to_owned()) };
        SandboxCapabilities {
            namespaces,
            locks: Locks::Apart,
            landlock,
            seatbelt: false,
            cgroups: None,
            counted: Counted::Yes,
        }
    }

    #[test]
    fn a_value_is_told_by_no_lock_or_it_is_said_that_it_could_be() {
        let (all, bare) =
            (machine(true, 7), SandboxCapabilities { locks: Locks::Shared, ..machine(true, 7) });
        let table = [
            (Network::None, &all, true, Locks::Apart, "namespaces, landlock 7, seccomp, network none"),
            (Network::Proxy, &all, true, Locks::Apart, "namespaces, landlock 7, seccomp, network proxy"),
            (
                Network::None,
                &all,
                false,
                Locks::Shared,
                "namespaces, landlock 7, seccomp, locks shared, network none",
            ),
            (
                Network::None,
                &bare,
                true,
                Locks::Shared,
                "namespaces, landlock 7, seccomp, locks shared, network none",
            ),
            (
                Network::Open,
                &all,
                true,
                Locks::Shared,
                "namespaces, landlock 7, seccomp, locks shared, network open",
            ),
            (
                Network::None,
                &machine(false, 7),
                true,
                Locks::Shared,
                "landlock 7, seccomp, locks shared, network none",
            ),
        ];
        for (network, machine, apart, locks, said) in table {
            let terms = SandboxTerms { network, ..SandboxTerms::default() };
            let plan = SandboxPlan::make(&terms, machine).unwrap();
            assert_eq!(plan.locks(), Locks::Shared, "who is given nothing has nothing to tell");
            let plan = plan.of_a_value(machine, || apart);
            assert_eq!((plan.locks(), plan.to_string().as_str()), (locks, said), "{network:?}");
        }
        assert_eq!(
            [Locks::Shared, Locks::Apart].map(|locks| Locks::of(locks.code())),
            [Locks::Shared, Locks::Apart]
        );
    }

    #[test]
    fn a_plan_holds_what_is_asked_for_or_names_what_it_lacks() {
        use Network::{None, Open, Proxy};
        use SandboxMode::{BestEffort, Off, Required};
        let table = [
            (Required, None, machine(true, 7), Ok("namespaces, landlock 7, seccomp, network none")),
            (Required, Open, machine(true, 0), Ok("namespaces, seccomp, network open")),
            (Required, Proxy, machine(true, 1), Ok("namespaces, landlock 1, seccomp, network proxy")),
            (Required, None, machine(false, 6), Ok("landlock 6, seccomp, network none")),
            (Required, Open, machine(false, 7), Ok("landlock 7, seccomp, network open")),
            (Required, None, machine(false, 5), Err("from other files and processes")),
            (Required, Open, machine(false, 0), Err("from other files and processes")),
            (Required, Proxy, machine(false, 7), Err("to the egress proxy")),
            (BestEffort, None, machine(false, 0), Ok("off")),
            (BestEffort, None, machine(true, 0), Ok("namespaces, seccomp, network none")),
            (Off, Open, machine(true, 7), Ok("off")),
        ];
        for (mode, network, machine, expected) in table {
            let terms = SandboxTerms { mode, network, ..SandboxTerms::default() };
            let plan = SandboxPlan::make(&terms, &machine);
            let said = plan.as_ref().map(ToString::to_string).map_err(|lack| lack.what);
            assert_eq!(said.as_deref(), expected.as_deref(), "{mode:?} {network:?} {machine:?}");
        }
    }

    #[test]
    fn limits_are_kept_by_a_control_group_or_watched_and_named() {
        use SandboxMode::{BestEffort, Off, Required};
        let held =
            |limits: &str| Ok(format!("namespaces, landlock 7, seccomp, limits {limits}, network none"));
        let (v1, v2) = (Some(CgroupVersion::V1), Some(CgroupVersion::V2));
        let table = [
            (Required, v1, Counted::No, held("cgroup v1")),
            (Required, v2, Counted::Yes, held("cgroup v2")),
            (Required, None, Counted::Yes, held("watched")),
            (Required, None, Counted::No, Err("within its limits")),
            (BestEffort, None, Counted::No, held("watched")),
            (Off, v1, Counted::No, Ok("off".to_owned())),
        ];
        for (mode, cgroups, counted, expected) in table {
            let machine = SandboxCapabilities { cgroups, counted, ..machine(true, 7) };
            let counting = Counting::Required;
            let terms =
                SandboxTerms { mode, counting, limits: RunLimits::DEFAULT, ..SandboxTerms::default() };
            let plan = SandboxPlan::make(&terms, &machine);
            let said = plan.as_ref().map(ToString::to_string).map_err(|lack| lack.what);
            assert_eq!(said, expected, "{mode:?} {cgroups:?} {counted:?}");
            assert!(plan.is_err() || plan.is_ok_and(|plan| plan.kept().is_some()));
            // A default is no reason to refuse a run; and where nothing is limited, nothing is missing.
            let default = SandboxTerms { counting: Counting::WherePossible, ..terms };
            assert!(SandboxPlan::make(&default, &machine).unwrap().kept().is_some());
            let terms = SandboxTerms { mode, ..SandboxTerms::default() };
            assert_eq!(SandboxPlan::make(&terms, &machine).unwrap().kept(), None);
        }
    }
}
