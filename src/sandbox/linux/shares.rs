//! What a process about to become a program is limited by of its own, and what its run may take of what the whole user
//! has.

use std::{
    fs, io,
    io::{Seek, Write},
    sync::OnceLock,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    policy::{RunLimits, Shares},
    sandbox::plan::{Kept, LimitKeeper},
};

use super::namespaces::UserNamespace;

/// Of what a user has of the kernel's watchers, a run may take one part of so many. Eight runs at once, which a policy
/// allows by default, leave some for the person's own editor.
const PARTS: u64 = 10;
/// A run has at least so many: a file watcher or two must work where a user has few.
const LEAST_WATCHERS: u64 = 4;
/// Watched over, a run can have so many more processes than it may: that it wanted more is seen by that.
pub(crate) const ONE_MORE: u32 = 1;
/// The most descriptors that a process of a limited run may have: servers want tens of thousands, and each takes memory
/// of the kernel.
const DESCRIPTORS: u64 = 65_536;

/// Counts of the user's, which a user namespace can have fewer of (namespaces(7), `/proc/sys/user`; inotify(7)).
const COUNTS: [(&str, &str); 2] = [
    ("/proc/sys/user/max_inotify_instances", "/proc/sys/fs/inotify/max_user_instances"),
    ("/proc/sys/user/max_inotify_watches", "/proc/sys/fs/inotify/max_user_watches"),
];
/// Of these a run has none: nothing in it may make one, and what can't be counted can't be used up.
const NONE: [&str; 3] = [
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/user/max_fanotify_groups",
    "/proc/sys/user/max_fanotify_marks",
];

/// Leaves this process's user namespace, which must be the run's own, a part of what its user has, where the run may take
/// no more. To be called before its program is there, which could otherwise be faster.
///
/// # Errors
/// Where a count is there and can't be written.
pub(crate) fn leave_the_user_some(limits: &RunLimits, namespace: UserNamespace) -> io::Result<()> {
    if limits.shares == Shares::All || namespace == UserNamespace::None {
        // These would be the machine's.
        return Ok(());
    }
    let shares = shares().iter().map(|(path, share)| (*path, *share));
    shares.chain(NONE.map(|path| (path, 0))).try_for_each(|(path, share)| set(path, share))
}

/// How much a run may have of each, asked for once.
pub(crate) fn shares() -> &'static [(&'static str, u64)] {
    static FOUND: OnceLock<Vec<(&str, u64)>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let of_user = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        let all = COUNTS.into_iter().filter_map(|(count, user)| Some((count, part_of(of_user(user)?))));
        all.collect()
    })
}

fn part_of(all: u64) -> u64 {
    (all / PARTS).max(LEAST_WATCHERS).min(all)
}

/// A kernel that does not count it has nothing to limit.
fn set(path: &str, most: u64) -> io::Result<()> {
    match fs::File::options().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened?.write_all(most.to_string().as_bytes()),
    }
}

/// Limits the process that becomes the program, and so all that it starts. `watchers` are no processes of the run,
/// but of its user namespace; and no file may be larger than `largest`.
///
/// # Errors
/// Of the operating system: then it is not limited.
pub(crate) fn restrict_use(
    kept: &Kept,
    largest: Option<u64>,
    namespace: UserNamespace,
    watchers: u32,
) -> io::Result<()> {
    let counts = kept.by == LimitKeeper::Watch && namespace == UserNamespace::Own;
    if let Some(most) = kept.limits.processes.filter(|_| counts) {
        // After the namespace was entered: it counts the run alone, not all that the user runs (getrlimit(2)).
        lower(Resource::Nproc, u64::from(most.saturating_add(watchers).saturating_add(ONE_MORE)))?;
    }
    if let Some(most) = largest {
        lower(Resource::Fsize, most)?;
    }
    match kept.limits.shares {
        Shares::All => Ok(()),
        Shares::Part => lower(Resource::Nofile, DESCRIPTORS),
    }
}

fn lower(resource: Resource, most: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let lower = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
    Ok(setrlimit(resource, Rlimit { current: lower(now.current), maximum: lower(now.maximum) })?)
}

/// How willingly the kernel ends a process when memory runs out (proc_pid_oom_score_adj(5)): opened while this process
/// can still be read, since one that can't be may not be written either.
#[derive(Debug)]
pub(crate) struct OomScore {
    file: fs::File,
    own: i32,
}

/// A run's processes go before anything that its user has open, and not before what has asked to be the first.
const RUNS_SCORE: i32 = 800;

impl OomScore {
    pub(crate) fn open() -> io::Result<Self> {
        const PATH: &str = "/proc/self/oom_score_adj";
        let own = fs::read_to_string(PATH)?.trim().parse().map_err(io::Error::other)?;
        Ok(Self { file: fs::File::options().write(true).open(PATH)?, own })
    }

    /// Does this with the score of a run's processes, which what is forked meanwhile keeps. Its supervisor must outlive
    /// them, to say what became of the run.
    pub(crate) fn raised<T>(&self, fork: impl FnOnce() -> T) -> T {
        // It may fail where the machine forbids it; then the run is as likely to go as its supervisor.
        let _ = self.write(RUNS_SCORE.max(self.own));
        let done = fork();
        let _ = self.write(self.own);
        done
    }

    fn write(&self, score: i32) -> io::Result<()> {
        let mut file = &self.file;
        file.rewind()?;
        file.write_all(score.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_leaves_its_user_most() {
        for (all, part) in [(128, 12), (20, 4), (3, 3), (0, 0), (1_048_576, 104_857)] {
            assert_eq!(part_of(all), part, "{all}");
        }
    }
}
