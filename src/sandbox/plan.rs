//! What will contain a run: worked out from what its policy asks for and what the machine can do.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::place::{Cover, Endpoint, PathRule};
use crate::policy::{Network, SaidOff, SandboxMode, SandboxTerms};

/// The oldest Landlock that holds other files and other processes by itself: ABI 6 brought the scope of
/// signals (<https://docs.kernel.org/userspace-api/landlock.html>).
const LANDLOCK_ALONE: u32 = 6;

/// What this machine lets an unprivileged process do to contain another. Looked at once a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxCapabilities {
    /// Whether namespaces can be made and set up; where not, the step that failed and why.
    pub namespaces: Result<(), String>,
    /// Landlock's ABI; 0 where there is none.
    pub landlock: u32,
    /// Whether Seatbelt (macOS) is there.
    pub seatbelt: bool,
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
        Self { shape: SandboxBackend::None, network: Network::Open, layers: Vec::new(), landlock: false }
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

    /// Whether Landlock is one of the layers.
    pub(crate) fn landlock(&self) -> bool {
        self.landlock
    }

    /// What contains a run under these terms on this machine. `required` is a matter of properties: any
    /// layers that hold them will do.
    ///
    /// # Errors
    /// The first property that can't be had, where the terms require all.
    pub fn make(terms: &SandboxTerms, machine: &SandboxCapabilities) -> Result<Self, MissingCapability> {
        match terms.mode {
            SandboxMode::Off => Ok(Self::none()),
            SandboxMode::Required => Self::strict(terms, machine),
            SandboxMode::BestEffort => Ok(Self::strict(terms, machine).unwrap_or_else(|_| Self::none())),
        }
    }

    fn strict(terms: &SandboxTerms, machine: &SandboxCapabilities) -> Result<Self, MissingCapability> {
        let network = terms.network;
        let filters = |landlock: u32| {
            let landlock = (landlock > 0).then(|| format!("landlock {landlock}"));
            landlock.into_iter().chain(["seccomp".to_owned(), format!("network {}", network.as_str())])
        };
        if machine.seatbelt && network != Network::Proxy {
            let layers = vec!["seatbelt".to_owned(), format!("network {}", network.as_str())];
            return Ok(Self { shape: SandboxBackend::Seatbelt, network, layers, landlock: false });
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
                Ok(Self { shape: SandboxBackend::Filters, network, layers, landlock: true })
            }
        }
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
    /// Whether the run is given a Unix socket, and may make some.
    pub given: bool,
    /// Whether the run shares a person's terminal.
    pub terminal: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(namespaces: bool, landlock: u32) -> SandboxCapabilities {
        let namespaces = if namespaces { Ok(()) } else { Err("user namespaces are closed".to_owned()) };
        SandboxCapabilities { namespaces, landlock, seatbelt: false }
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
}
