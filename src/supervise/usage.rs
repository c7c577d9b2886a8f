//! What a run's processes use, as `/proc` has it: how many they are, their memory, and what they hold open that has no
//! name any more.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Seek},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    str::SplitAsciiWhitespace,
};

use rustix::{
    fs::{MemfdFlags, fstat, fstatvfs, memfd_create},
    process::{Pid, getpid},
};

use super::tree;

/// So many processes are looked at, or as many as are too many for their run; and so many of their descriptors: what a look
/// costs has an end. A run that has more could hide behind them what it takes: a look says where it ended there.
const MOST_PROCESSES: usize = 4096;
const MOST_DESCRIPTORS: usize = 4096;

/// A process of the run, and how many threads it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pid: i32,
    threads: u32,
}

/// Whether a look saw all that there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// There was more of it than is looked at.
    Part,
    Whole,
}

/// The processes of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Members {
    pub seen: Vec<Member>,
    pub sight: Sight,
}

/// What is held open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Bytes of files that are nothing but memory (memfd_create(2)).
    pub memory: u64,
    /// Bytes of files on a disk that were removed.
    pub removed: u64,
    /// Whether that is all of it.
    pub sight: Sight,
}

/// The processes below this one, but for those that only watch over the run: at least so many that it is seen where
/// they are more than `most`.
pub(crate) fn members(watchers: &[Pid], most: Option<u32>) -> Members {
    let own = getpid().as_raw_nonzero().get();
    let watches = |pid: i32| watchers.iter().any(|watcher| watcher.as_raw_nonzero().get() == pid);
    // Without it (CONFIG_PROC_CHILDREN) the processes of the whole machine have to be looked at.
    if !Path::new("/proc/thread-self/children").exists() {
        let below = tree::descendants().into_iter().map(|pid| pid.as_raw_nonzero().get());
        let seen = below.filter(|pid| !watches(*pid)).map(|pid| look_at(pid).0).collect();
        return Members { seen, sight: Sight::Whole };
    }
    below(own, looked_at(most), watches, look_at)
}

/// How many processes are looked at of a run that may have so many. One more is let be, and seen: two more are too many.
fn looked_at(most: Option<u32>) -> usize {
    let too_many = most.and_then(|most| usize::try_from(most.saturating_add(2)).ok());
    MOST_PROCESSES.max(too_many.unwrap_or_default())
}

/// The tree below a process, until there are more than so many.
fn below(
    top: i32,
    most: usize,
    watches: impl Fn(i32) -> bool,
    look_at: impl Fn(i32) -> (Member, Vec<i32>),
) -> Members {
    let (mut waiting, mut seen) = (look_at(top).1, Vec::new());
    while let Some(pid) = waiting.pop() {
        let (member, children) = look_at(pid);
        waiting.extend(children);
        if !watches(pid) {
            seen.push(member);
        }
        if seen.len() > most {
            return Members { seen, sight: Sight::Part };
        }
    }
    Members { seen, sight: Sight::Whole }
}

/// How many processes and threads these are: each takes a number of the machine's.
pub(crate) fn count(members: &[Member]) -> u32 {
    members.iter().map(|member| member.threads).sum()
}

/// A process, and its children.
fn look_at(pid: i32) -> (Member, Vec<i32>) {
    let mut member = Member { pid, threads: 0 };
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        member.threads += 1;
        let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    (member, children)
}

/// The memory of these processes, where it may be more than that; else something at least as large. What several have
/// in common is taken apart only then: it takes longer.
pub(crate) fn memory(members: &[Member], held: u64, most: u64) -> u64 {
    let own = |member: &Member| Memory::of(member.pid);
    let all = members.iter().map(own).fold(Memory::default(), Memory::and);
    if all.bytes(held) <= most {
        return all.bytes(held);
    }
    let part = |member: &Member| {
        let part = Memory::part_of(member.pid);
        // What can't be read is what it was before.
        if part == Memory::default() { own(member) } else { part }
    };
    members.iter().map(part).fold(Memory::default(), Memory::and).bytes(held)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Memory {
    own: u64,
    shared: u64,
}

impl Memory {
    /// What a process has, with all that it has in common with others.
    fn of(pid: i32) -> Self {
        Self::read(pid, "status", ["RssAnon:", "VmSwap:", "RssShmem:"])
    }

    /// The same, and of what it has in common with others its part.
    fn part_of(pid: i32) -> Self {
        Self::read(pid, "smaps_rollup", ["Pss_Anon:", "SwapPss:", "Pss_Shmem:"])
    }

    /// From a file of `/proc/PID` (proc_pid_status(5), proc_pid_smaps(5)): what is a process's own, what of that is
    /// swapped out, and what it shares by files that are memory.
    fn read(pid: i32, file: &str, names: [&str; 3]) -> Self {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/{file}")) else { return Self::default() };
        let [own, swapped, shared] = names.map(|name| kilobytes(&text, name));
        Self { own: (own + swapped) << 10, shared: shared << 10 }
    }

    fn and(self, other: Self) -> Self {
        Self { own: self.own + other.own, shared: self.shared + other.shared }
    }

    /// With files that are memory: what of these is in a process already is not counted twice.
    fn bytes(self, held: u64) -> u64 {
        self.own + self.shared.max(held)
    }
}

fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// What these processes hold open that no directory shows: memory, and removed files of this device where there is one.
pub(crate) fn held(members: &Members, device: Option<u64>) -> Held {
    let memory = device_of_memory();
    let mut held = Held { memory: 0, removed: 0, sight: members.sight };
    let mut seen = BTreeSet::new();
    let all = members.seen.iter().flat_map(|member| {
        let opened = fs::read_dir(format!("/proc/{}/fd", member.pid));
        opened.into_iter().flatten().flatten()
    });
    for (number, opened) in all.enumerate() {
        if number >= MOST_DESCRIPTORS {
            held.sight = Sight::Part;
            break;
        }
        let Ok(found) = fs::metadata(opened.path()) else { continue };
        let is_memory = memory == Some(found.dev());
        let is_removed = found.nlink() == 0 && device == Some(found.dev());
        if !(is_memory || is_removed) || !found.is_file() || !seen.insert((found.dev(), found.ino())) {
            continue;
        }
        let bytes = found.blocks().saturating_mul(512);
        if is_memory { held.memory += bytes } else { held.removed += bytes }
    }
    held
}

/// Of what device files are that are nothing but memory.
fn device_of_memory() -> Option<u64> {
    let file = memfd_create("authy-mcp", MemfdFlags::CLOEXEC).ok()?;
    Some(fstat(&file).ok()?.st_dev)
}

/// A run's shared memory, by one of its processes that may be looked into.
pub(crate) fn shared_memory(members: &[Member]) -> Option<OwnedFd> {
    let places = members.iter().map(|member| PathBuf::from(format!("/proc/{}/root/dev/shm", member.pid)));
    places.into_iter().find_map(|place| fs::File::open(place).ok().map(OwnedFd::from))
}

/// The list of System V shared memory of this process's namespace (proc_sysvipc(5)): that of who opened it.
pub(crate) fn segments() -> Option<fs::File> {
    fs::File::open("/proc/sysvipc/shm").ok()
}

/// What all of it takes, in memory or swapped out.
pub(crate) fn of_segments(list: &mut fs::File) -> u64 {
    let mut text = String::new();
    let read = list.rewind().and_then(|()| list.read_to_string(&mut text));
    read.map_or(0, |_| taken_by_segments(&text))
}

/// By the names of its columns: the kernel may add some.
fn taken_by_segments(text: &str) -> u64 {
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    let names: Vec<&str> = lines.next().into_iter().flatten().collect();
    let taken = |name: &str| matches!(name, "rss" | "swap");
    let of_line = |line: SplitAsciiWhitespace<'_>| -> u64 {
        let fields = names.iter().zip(line).filter(|(name, _)| taken(name));
        fields.filter_map(|(_, bytes)| bytes.parse::<u64>().ok()).sum()
    };
    lines.map(of_line).sum()
}

/// The bytes that are taken of a file system.
pub(crate) fn taken_of(dir: &OwnedFd) -> u64 {
    let Ok(found) = fstatvfs(dir) else { return 0 };
    found.f_blocks.saturating_sub(found.f_bfree).saturating_mul(found.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_a_process_has_of_its_own_and_what_it_shares() {
        let status = "Name:\tx\nVmRSS:\t  9000 kB\nRssAnon:\t  100 kB\nRssFile:\t 8000 kB\nRssShmem:\t 30 kB\nVmSwap:\t 5 kB\n";
        assert_eq!(kilobytes(status, "RssAnon:"), 100);
        assert_eq!(kilobytes(status, "None:"), 0);
        let memory = Memory { own: 105 << 10, shared: 30 << 10 };
        assert_eq!(memory.bytes(10 << 10), 135 << 10, "mapped files are counted once");
        assert_eq!(memory.bytes(50 << 10), 155 << 10);
    }

    #[test]
    fn segments_take_what_is_written_of_them() {
        let text = "       key      shmid perms  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime        rss       swap\n\
                             0          0   600  8388608 7 7 0 0 0 0 0 1 1 1  4096 100\n\
                             5          1   600  4096    7 7 1 0 0 0 0 1 1 1  4096   0\n";
        assert_eq!(taken_by_segments(text), 4096 + 100 + 4096);
        assert_eq!(taken_by_segments(""), 0);
        let mut list = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut list, text.as_bytes()).unwrap();
        for look in ["the first", "the second"] {
            assert_eq!(of_segments(&mut list), 4096 + 100 + 4096, "{look} look");
        }
        let mut own = String::new();
        segments().unwrap().read_to_string(&mut own).unwrap();
        let columns: Vec<&str> = own.lines().next().unwrap().split_ascii_whitespace().collect();
        assert!(
            ["rss", "swap"].iter().all(|name| columns.contains(name)),
            "the kernel's own has them: {own}"
        );
    }

    #[test]
    fn this_process_is_seen_with_its_memory_and_what_it_holds() {
        let pid = getpid().as_raw_nonzero().get();
        let (this, _) = look_at(pid);
        assert!(this.threads >= 1);
        let members = Members { seen: vec![this], sight: Sight::Whole };
        let before = held(&members, None);
        let file = fs::File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        std::io::Write::write_all(&mut &file, &vec![1; 1 << 20]).unwrap();
        let after = held(&members, None);
        assert!(after.memory >= before.memory + (1 << 20), "{before:?} {after:?}");
        assert!(memory(&[this], 0, u64::MAX) > 0);
        assert!(memory(&[this], 0, 1) > 0);
        assert_ne!(Memory::part_of(pid), Memory::default(), "what several have in common is taken apart");
        let removed = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut &removed, &vec![1; 1 << 20]).unwrap();
        let device = fstat(&removed).unwrap().st_dev;
        let all = held(&members, Some(device));
        assert!(all.removed >= 1 << 20 && all.sight == Sight::Whole, "{all:?}");
        let part = held(&Members { sight: Sight::Part, ..members }, Some(device));
        assert_eq!(part.sight, Sight::Part, "what processes hold that were not looked at is not seen");
    }

    #[test]
    fn as_many_processes_are_looked_at_as_are_too_many() {
        // A process with 6000 children, and one that watches.
        let look_at = |pid| {
            let children = if pid == 1 { (2..=6002).collect() } else { Vec::new() };
            (Member { pid, threads: 1 }, children)
        };
        let look = |most: Option<u32>| {
            let members = below(1, looked_at(most), |pid| pid == 2, look_at);
            (count(&members.seen), members.sight)
        };
        for most in [None, Some(512)] {
            assert_eq!(look(most), (4097, Sight::Part));
        }
        assert_eq!(look(Some(5000)), (5003, Sight::Part), "more than one above the limit");
        assert_eq!(look(Some(6000)), (6000, Sight::Whole));
        assert_eq!(look(Some(u32::MAX)), (6000, Sight::Whole));
    }
}
