//! Processes by name: a number that is used again, and a moment that isn't.

use std::{fmt, fs, str::FromStr};

/// The most ancestors that are looked at.
const GENERATIONS: usize = 512;

/// A process, by its number and the moment at which it started: together never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in the kernel's ticks since boot (`proc_pid_stat(5)`, field 22).
    started: u64,
}

impl Process {
    /// A process that runs now; `None` where there is none, or no `/proc`.
    pub(crate) fn now(pid: i32) -> Option<Self> {
        stat(pid).map(|(_, started)| Self { pid, started })
    }

    /// This process.
    pub(crate) fn this() -> Option<Self> {
        Self::now(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(self) -> bool {
        Self::now(self.pid) == Some(self)
    }

    /// Whether it is this process or one that it, or one of its children, started; both still running.
    pub(crate) fn has_in_its_tree(self, other: Process) -> bool {
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

/// A process and its parent, also of one that has ended and was not waited for.
pub(crate) fn parent_of(pid: i32) -> Option<(Process, i32)> {
    let fields = fields(pid)?;
    Some((Process { pid, started: field(&fields, 19)? }, field(&fields, 1)?))
}

/// Parent and starting time of a process that runs.
fn stat(pid: i32) -> Option<(i32, u64)> {
    let fields = fields(pid)?;
    let ended = matches!(fields.split_ascii_whitespace().next(), Some("Z" | "X"));
    if ended { None } else { Some((field(&fields, 1)?, field(&fields, 19)?)) }
}

fn field<T: FromStr>(fields: &str, index: usize) -> Option<T> {
    fields.split_ascii_whitespace().nth(index)?.parse().ok()
}

/// The fields of `proc_pid_stat(5)` from the third, the state: the command's name before it may hold anything,
/// parentheses and bytes that are no text too.
fn fields(pid: i32) -> Option<String> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let behind_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    String::from_utf8(stat.get(behind_name..)?.to_vec()).ok()
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
