//! The process behind a session, as it is kept on record: whether it still runs is known only where its number
//! means it.

use std::{fmt, fs, str::FromStr, sync::OnceLock};

use serde::{Deserialize, Serialize};

use crate::supervise::Process;

/// A process, the boot of the machine that it ran in, and the pid namespace in which its number means it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Holder {
    process: Process,
    place: ProcessNamespace,
}

/// Where a process's number means it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProcessNamespace {
    boot: String,
    namespace: String,
}

/// What is known of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs.
    Runs,
    /// It has ended, and will never run again.
    Ended,
    /// It is of a namespace that can't be looked into from here.
    Unknown,
}

impl Holder {
    /// A process that is seen from here; nothing where this can't be told.
    pub(crate) fn of(process: Process) -> Option<Self> {
        Some(Self { process, place: ProcessNamespace::here()?.clone() })
    }

    /// The process.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    pub(crate) fn state(&self) -> State {
        let Some(here) = ProcessNamespace::here().filter(|_| Process::this().is_some()) else {
            return State::Unknown;
        };
        if self.place.boot != here.boot {
            return State::Ended;
        }
        match (self.place.namespace == here.namespace, self.process.is_alive()) {
            (false, _) => State::Unknown,
            (true, true) => State::Runs,
            (true, false) => State::Ended,
        }
    }
}

impl ProcessNamespace {
    /// Looked up once: neither changes while this process runs.
    fn here() -> Option<&'static Self> {
        static HERE: OnceLock<Option<ProcessNamespace>> = OnceLock::new();
        HERE.get_or_init(|| {
            let boot = fs::read_to_string(crate::system::BOOT_ID).ok()?.trim().to_owned();
            let namespace = fs::read_link("/proc/self/ns/pid").ok()?.to_str()?.to_owned();
            Some(Self { boot, namespace })
        })
        .as_ref()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.process, self.place.namespace, self.place.boot)
    }
}

impl From<Holder> for String {
    fn from(holder: Holder) -> Self {
        holder.to_string()
    }
}

impl FromStr for Holder {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split(' ');
        let (Some(process), Some(namespace), Some(boot), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("no process with its namespace and boot");
        };
        let process = process.parse().map_err(|()| "no process")?;
        Ok(Self {
            process,
            place: ProcessNamespace { boot: boot.to_owned(), namespace: namespace.to_owned() },
        })
    }
}

impl TryFrom<String> for Holder {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_process_depends_on_where_it_ran() {
        let this = Holder::of(Process::this().unwrap()).unwrap();
        assert_eq!(this.state(), State::Runs);
        assert_eq!(this.to_string().parse(), Ok(this.clone()));
        let place = |boot: &str, namespace: &str| Holder {
            process: this.process,
            place: ProcessNamespace { boot: boot.to_owned(), namespace: namespace.to_owned() },
        };
        let (boot, namespace) = (this.place.boot.as_str(), this.place.namespace.as_str());
        assert_eq!(place("another", namespace).state(), State::Ended, "the machine was started again");
        assert_eq!(place(boot, "pid:[1]").state(), State::Unknown, "a container's");
        #[expect(clippy::disallowed_methods, reason = "a process that ends")]
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = Process::now(i32::try_from(child.id()).unwrap()).and_then(Holder::of);
        child.wait().unwrap();
        assert!(ended.is_none_or(|ended| ended.state() == State::Ended));
        for bad in ["", "1@2", "1@2 x", "x y z", "1@2 x y z"] {
            assert!(bad.parse::<Holder>().is_err(), "{bad}");
        }
    }
}
