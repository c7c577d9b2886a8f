//! What one run may use of its machine: processes, memory, disk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a run's whole tree may use; nothing where nothing limits it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLimits {
    /// Processes and their threads at once.
    pub processes: Option<u32>,
    /// Bytes of memory, those of its own temporary file systems included.
    pub memory: Option<u64>,
    /// Bytes in its private directories.
    pub disk: Option<u64>,
    /// Of what the kernel counts for all of a user's processes together.
    pub shares: Shares,
}

/// How much of what its whole user has a run may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shares {
    /// All: it is a person's own, and no policy says otherwise.
    #[default]
    All,
    /// A part: a tool call's run leaves the person some.
    Part,
}

/// Whether a run may start where nothing counts its processes as they begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counting {
    /// It may: it is looked at.
    #[default]
    WherePossible,
    /// It may not: its policy limits them, not a default.
    Required,
}

/// Which of them a run was ended by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// As many processes and threads as it may have, and it wanted one more.
    Processes,
    /// More memory than it may have.
    Memory,
    /// More of the disk than it may have, or nearly all that was left of it.
    Disk,
}

impl RunLimits {
    /// What a tool call's run has where its policy says nothing: enough for a build, and too little to take the machine
    /// with it.
    pub const DEFAULT: Self =
        Self { processes: Some(512), memory: Some(4 << 30), disk: Some(10 << 30), shares: Shares::Part };

    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// These limits, and where they say nothing, those of a tool call's run.
    #[must_use]
    pub(crate) fn of_calls(self) -> Self {
        Self {
            processes: self.processes.or(Self::DEFAULT.processes),
            memory: self.memory.or(Self::DEFAULT.memory),
            disk: self.disk.or(Self::DEFAULT.disk),
            shares: Self::DEFAULT.shares,
        }
    }

    /// Whether these leave at least all that others did.
    pub(super) fn leave_all_of(&self, before: &Self) -> bool {
        fn at_least<T: PartialOrd>(now: Option<T>, before: Option<T>) -> bool {
            now.is_none_or(|now| before.is_some_and(|before| now >= before))
        }
        at_least(self.processes, before.processes)
            && at_least(self.memory, before.memory)
            && at_least(self.disk, before.disk)
    }
}

impl Limit {
    /// The word for it in a policy, in results and in the audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_what_is_written_and_the_rest_by_default() {
        let written = RunLimits { memory: Some(1 << 30), ..RunLimits::default() };
        assert_eq!(written.of_calls(), RunLimits { memory: Some(1 << 30), ..RunLimits::DEFAULT });
        assert!(!written.is_none() && RunLimits::default().is_none());
    }

    #[test]
    fn what_leaves_less_of_anything_leaves_less() {
        let before = RunLimits { processes: Some(8), memory: Some(100), ..RunLimits::default() };
        let table = [
            (before, true),
            (RunLimits::default(), true),
            (RunLimits { processes: Some(9), ..before }, true),
            (RunLimits { processes: Some(7), ..before }, false),
            (RunLimits { memory: Some(99), ..before }, false),
            (RunLimits { disk: Some(u64::MAX), ..before }, false),
        ];
        for (now, leaves) in table {
            assert_eq!(now.leave_all_of(&before), leaves, "{now:?}");
        }
    }
}
