//! Process trees: who descends from whom, and how all of them end.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use rustix::fs::Mode;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait, waitpid};

use super::process::{Process, parent_of};

/// Passes over a tree that forks while it is being ended, before giving up.
const PASSES: u32 = 2000;

/// Every process below this one, children first.
pub(crate) fn descendants() -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (process, parent) in processes() {
        children.entry(parent).or_default().push(process.pid);
    }
    let mut found = Vec::new();
    let mut waiting = vec![getpid().as_raw_nonzero().get()];
    while let Some(parent) = waiting.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            waiting.push(child);
            found.extend(Pid::from_raw(child));
        }
    }
    found
}

/// Sends a signal to every process below this one.
pub(crate) fn signal_all(signal: Signal) {
    for pid in descendants() {
        // A process that has ended meanwhile is what was wanted.
        let _ = kill_process(pid, signal);
    }
}

/// Ends every process below this one and reaps it: stopped first, so that none forks on while the others
/// are ended, then killed, until none is left. This process must be the subreaper of the tree.
pub(crate) fn end_all() {
    for _ in 0..PASSES {
        // Whoever has no child has no descendant either: orphans fall to this process.
        if reap_all() == Children::None || descendants().is_empty() {
            return;
        }
        signal_all(Signal::STOP);
        signal_all(Signal::KILL);
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether anything is left below this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Children {
    None,
    Some,
}

/// Reaps whatever has ended.
fn reap_all() -> Children {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Err(rustix::io::Errno::CHILD) => return Children::None,
            _ => return Children::Some,
        }
    }
}

/// Supervisors of this process, and its nursery, until they have been waited for.
static SUPERVISORS: Mutex<Vec<Process>> = Mutex::new(Vec::new());
static SUBREAPER: AtomicBool = AtomicBool::new(false);

/// Makes this process the one to which orphans fall whose supervisor was killed. To be called by a
/// process that starts nothing but supervisors: whatever else falls to it is ended.
pub(crate) fn become_subreaper() {
    #[cfg(target_os = "linux")]
    if rustix::process::set_child_subreaper(Some(getpid())).is_ok() {
        SUBREAPER.store(true, Ordering::Release);
    }
}

/// A supervisor while it lives, or a nursery: none of the orphans that fall to this process. One that ended unseen stays
/// here for a while, which spares no other process under its number.
#[derive(Debug)]
pub(crate) struct Registered(Option<Process>);

impl Registered {
    pub(crate) fn new(pid: i32) -> Self {
        let process = parent_of(pid).map(|(process, _)| process);
        SUPERVISORS.lock().extend(process);
        Self(process)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        SUPERVISORS.lock().retain(|process| Some(*process) != self.0);
    }
}

/// Ends what a killed supervisor left behind: children of this process that are no supervisors.
pub(crate) fn end_orphans() {
    if !SUBREAPER.load(Ordering::Acquire) {
        return;
    }
    let own = getpid().as_raw_nonzero().get();
    for _ in 0..PASSES {
        let supervisors = SUPERVISORS.lock().clone();
        let orphans = processes()
            .into_iter()
            .filter(|(process, parent)| *parent == own && !supervisors.contains(process));
        let orphans: Vec<Pid> = orphans.filter_map(|(process, _)| Pid::from_raw(process.pid)).collect();
        if orphans.is_empty() {
            return;
        }
        for pid in orphans {
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Every process and its parent, as `/proc` has them (proc_pid_stat(5), fields 1 and 4).
fn processes() -> Vec<(Process, i32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(parent_of).collect()
}

/// The umask that this process was started with, once [`private_umask`] has put another in its place.
static STARTED_WITH: OnceLock<u32> = OnceLock::new();

/// From now on nothing that this process makes can be read by others, whoever makes it (the database
/// engine does not ask). What it runs gets the umask that it was started with.
pub(crate) fn private_umask() {
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // A second call finds what the first one left.
    let _ = STARTED_WITH.set(before.bits());
}

/// The umask for what is run.
pub(crate) fn started_umask() -> Option<u32> {
    STARTED_WITH.get().copied()
}

/// The number of a signal's name.
pub(crate) fn signal_number(name: &str) -> i32 {
    name.parse::<nix::sys::signal::Signal>().map_or(0, |signal| signal as i32)
}

/// A signal's name, as `SIGKILL`; its number where it has none.
pub(crate) fn signal_name(number: i32) -> String {
    nix::sys::signal::Signal::try_from(number)
        .map_or_else(|_| format!("SIG{number}"), |signal| signal.as_str().to_owned())
}
