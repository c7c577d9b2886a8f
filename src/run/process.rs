//! Processes by name: a number that is used again, and a moment that isn't.

use std::{fmt, fs, str::FromStr};

/// The most ancestors that are looked at.
const GENERATIONS: usize = 512;

/// A process, by its number and the moment at which it started: together never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in the kernel's ticks since boot (`proc_pid_stat(5)`, field 22).
    started: u64,
}

impl Process {
    /// A process that runs now; `None` where there is none, or no `/proc`.
    pub fn now(pid: i32) -> Option<Self> {
        stat(pid).map(|(_, started)| Self { pid, started })
    }

    /// This process.
    pub fn this() -> Option<Self> {
        Self::now(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        Self::now(self.pid) == Some(self)
    }

    /// Whether it is this process or one that it, or one of its children, started; both still running.
    pub fn has_in_its_tree(self, other: Process) -> bool {
        let mut pid = other.pid;
        let mut first = Some(other);
        for _ in 0..GENERATIONS {
            let Some((parent, started)) = stat(pid) else { return false };
            let now = Self { pid, started };
            if first.take().is_some_and(|first| first != now) {
                return false;
            }
            if now == self {
                return true;
            }
            pid = parent;
        }
        false
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.started)
    }
}

impl FromStr for Process {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (pid, started) = text.split_once('@').ok_or(())?;
        Ok(Self { pid: pid.parse().map_err(drop)?, started: started.parse().map_err(drop)? })
    }
}

/// Parent and starting time. The command's name in the second field may hold anything, parentheses too.
fn stat(pid: i32) -> Option<(i32, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // A zombie has ended.
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return None;
    }
    Some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_a_process_and_what_it_started() {
        let this = Process::this().unwrap();
        assert!(this.has_in_its_tree(this));
        let parent = Process::now(stat(this.pid).unwrap().0).unwrap();
        assert!(parent.has_in_its_tree(this));
        assert!(!this.has_in_its_tree(parent));
        let later = Process { started: this.started + 1, ..this };
        assert!(!later.has_in_its_tree(this), "another process under the same number");
        assert!(!this.has_in_its_tree(later));
        assert!(Process::now(i32::MAX).is_none());
        assert_eq!(this.to_string().parse(), Ok(this));
        assert!(this.is_alive() && !later.is_alive());
        assert!("x".parse::<Process>().is_err());
    }
}
