//! Control groups: a run's own, below this process's or the next one above it that this user may make groups in.
//!
//! Of version 1, where memory and pids are hierarchies of their own; of version 2, where they are controllers of the one
//! hierarchy, and a group with members can't have groups with limits (cgroups(7), "no internal processes"): so it goes up
//! to a directory that hands both on, as a user's own manager has (`app.slice` of `user@UID.service`).

use std::{
    fs, io,
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::fs::{Access, access};

use super::mountinfo::unescape;
use crate::{policy::RunLimits, sandbox::plan::CgroupVersion};

/// How the names of our groups begin.
pub(crate) const PREFIX: &str = "authy-mcp-";
/// A group that came so near to its limit met it: what the kernel can't add is some pages together (`memory.failcnt` is no
/// longer counted by every kernel: 0 on Linux 6.18).
const AT_LIMIT: u64 = 1 << 20;
/// The most levels that are gone up.
const LEVELS: usize = 16;

/// Where this process may make groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgroups {
    version: CgroupVersion,
    /// Of the pids controller, and of the memory controller: one and the same in version 2.
    pids: PathBuf,
    memory: PathBuf,
    /// Version 2: the group that this process is in itself.
    own: Option<PathBuf>,
}

/// A group that a run is in, its files open: from within the run's namespaces they could not be opened any more.
#[derive(Debug)]
pub(crate) struct Group {
    pids_max: fs::File,
    pids_current: fs::File,
    /// The most that there were at once, where the kernel keeps that (Linux 6.2).
    pids_peak: Option<fs::File>,
    pids_events: fs::File,
    memory_max: fs::File,
    /// Where the kernel counts what is swapped out.
    swap_max: Option<fs::File>,
    memory_events: fs::File,
    /// Of version 1: the most that it ever had, and with what was swapped out. Version 2 tells of its limit among the events.
    memory_most: Vec<fs::File>,
    version: CgroupVersion,
}

/// What a run's group says of its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Processes {
    /// How many could not be started, as the group had all that it may have.
    pub refused: u64,
    /// Whether it has all of them now.
    pub full: bool,
}

/// Where this process may make groups, looked for once; what it forks knows it, too.
pub(crate) fn cgroups() -> Option<&'static Cgroups> {
    static FOUND: OnceLock<Option<Cgroups>> = OnceLock::new();
    FOUND.get_or_init(|| Cgroups::find().ok().flatten()).as_ref()
}

impl Cgroups {
    fn find() -> io::Result<Option<Self>> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(Self::of(&own, &mounts))
    }

    /// From what `/proc/self/cgroup` and `/proc/self/mountinfo` say (cgroups(7)).
    fn of(own: &str, mounts: &str) -> Option<Self> {
        let first = |controller| Some(directory(own, mounts, controller)?).filter(|dir| may_make_in(dir));
        if let (Some(pids), Some(memory)) = (first("pids"), first("memory")) {
            return Some(Self { version: CgroupVersion::V1, pids, memory, own: None });
        }
        let (own, mount) = (directory(own, mounts, "")?, mount_point(mounts, "")?.0);
        let above = own.ancestors().take(LEVELS).take_while(|dir| dir.starts_with(&mount));
        let dir = above.into_iter().find(|dir| hands_on(dir) && may_make_in(dir))?.to_owned();
        Some(Self { version: CgroupVersion::V2, pids: dir.clone(), memory: dir, own: Some(own) })
    }

    pub(crate) fn version(&self) -> CgroupVersion {
        self.version
    }

    /// Makes a group of this name and puts this process into it, and with it whatever it forks.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn join(&self, name: &str) -> io::Result<Group> {
        let (pids, memory) = (self.pids.join(name), self.memory.join(name));
        self.dirs().iter().try_for_each(|dir| fs::create_dir(dir.join(name)))?;
        self.dirs().iter().try_for_each(|dir| self.enter(&dir.join(name)))?;
        Group::open(&pids, &memory, self.version)
    }

    /// Goes back to where this process was before it joined a group, and removes that: who has nobody to do so behind it.
    ///
    /// # Errors
    /// Where it may not, or others are in the group.
    pub(crate) fn leave(&self, name: &str) -> io::Result<()> {
        self.dirs().into_iter().try_for_each(|dir| self.enter(self.own.as_deref().unwrap_or(dir)))?;
        self.remove(name)
    }

    fn enter(&self, dir: &Path) -> io::Result<()> {
        let members = match self.version {
            // One thread that moves itself waits for nobody (cgroup_procs_write_start in kernel/cgroup/cgroup.c).
            CgroupVersion::V1 => "tasks",
            CgroupVersion::V2 => "cgroup.procs",
        };
        write_to(&dir.join(members))?.write_all(b"0")
    }

    /// Whether a group can really be made.
    pub(crate) fn try_out(&self, name: &str) -> io::Result<()> {
        self.dirs().iter().try_for_each(|dir| fs::create_dir(dir.join(name)))?;
        self.remove(name)
    }

    /// Removes a group that has no members any more; one that never was is gone.
    ///
    /// # Errors
    /// Where it still has some.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.dirs().iter().try_for_each(|dir| match fs::remove_dir(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    /// The names of all groups of ours that are there, also of other servers.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = self.dirs().into_iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with(PREFIX)).collect()
    }

    fn dirs(&self) -> Vec<&Path> {
        let mut dirs = vec![self.pids.as_path(), self.memory.as_path()];
        dirs.dedup();
        dirs
    }
}

impl Group {
    fn open(pids: &Path, memory: &Path, version: CgroupVersion) -> io::Result<Self> {
        let [memory_max, swap_max, memory_events] = match version {
            CgroupVersion::V1 => {
                ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control"]
            }
            CgroupVersion::V2 => ["memory.max", "memory.swap.max", "memory.events"],
        };
        let most = ["memory.max_usage_in_bytes", "memory.memsw.max_usage_in_bytes"].into_iter();
        Ok(Self {
            pids_max: open_both_ways(&pids.join("pids.max"))?,
            pids_current: fs::File::open(pids.join("pids.current"))?,
            pids_peak: fs::File::open(pids.join("pids.peak")).ok(),
            pids_events: fs::File::open(pids.join("pids.events"))?,
            memory_max: open_both_ways(&memory.join(memory_max))?,
            swap_max: write_to(&memory.join(swap_max)).ok(),
            memory_events: fs::File::open(memory.join(memory_events))?,
            memory_most: most.filter_map(|name| fs::File::open(memory.join(name)).ok()).collect(),
            version,
        })
    }

    /// Limits what the members may use. `watchers` of them are no processes of the run.
    ///
    /// # Errors
    /// Of the operating system: then it is not limited.
    pub(crate) fn limit(&self, limits: &RunLimits, watchers: u32) -> io::Result<()> {
        if let Some(most) = limits.processes {
            (&self.pids_max).write_all(most.saturating_add(watchers).to_string().as_bytes())?;
        }
        let Some(most) = limits.memory else { return Ok(()) };
        (&self.memory_max).write_all(most.to_string().as_bytes())?;
        let Some(mut swap) = self.swap_max.as_ref() else { return Ok(()) };
        // Version 1 counts memory and swap together, version 2 swap alone: none in both.
        let swapped = match self.version {
            CgroupVersion::V1 => most,
            CgroupVersion::V2 => 0,
        };
        swap.write_all(swapped.to_string().as_bytes())
    }

    /// Whether one of them was killed, and the group met its own limit of memory. One alone is not enough: a machine that is
    /// out of memory kills a run's processes first, and it is counted here, too.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let met = match self.version {
            CgroupVersion::V1 => {
                let limit = number_in(&self.memory_max).unwrap_or(u64::MAX);
                let near = |most: u64| most.saturating_add(AT_LIMIT) >= limit;
                self.memory_most.iter().filter_map(number_in).any(near)
            }
            CgroupVersion::V2 => counted(&self.memory_events, "oom") > 0,
        };
        met && counted(&self.memory_events, "oom_kill") > 0
    }

    /// How it stands with its processes.
    pub(crate) fn processes(&self) -> Processes {
        let most = number_in(&self.pids_max);
        let had_all = |file: &fs::File| most.zip(number_in(file)).is_some_and(|(most, now)| now >= most);
        // In version 1, and before Linux 6.11, what a group further up refuses is counted here.
        let by_itself = self.pids_peak.as_ref().is_none_or(had_all);
        let refused = if by_itself { counted(&self.pids_events, "max") } else { 0 };
        Processes { refused, full: had_all(&self.pids_current) }
    }
}

fn open_both_ways(path: &Path) -> io::Result<fs::File> {
    fs::File::options().read(true).write(true).open(path)
}

fn write_to(path: &Path) -> io::Result<fs::File> {
    fs::File::options().write(true).open(path)
}

/// The number of an event. What can't be read was not counted.
fn counted(file: &fs::File, event: &str) -> u64 {
    number_of(&text_of(file), event)
}

/// The number that is all there is; nothing where it is a word ("max").
fn number_in(file: &fs::File) -> Option<u64> {
    text_of(file).trim().parse().ok()
}

fn text_of(file: &fs::File) -> String {
    let mut bytes = [0; 512];
    let length = file.read_at(&mut bytes, 0).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

fn number_of(text: &str, event: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.into_iter().find(|(name, _)| *name == event);
    found.and_then(|(_, number)| number.trim().parse().ok()).unwrap_or_default()
}

/// The directory of this process's own group in the hierarchy that has a controller; "" is that of version 2.
fn directory(own: &str, mounts: &str, controller: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let has = fields.next()?.split(',').any(|name| name == controller);
        fields.next().filter(|_| has)
    })?;
    let (point, root) = mount_point(mounts, controller)?;
    // A group that lies outside of what is mounted here can't be reached.
    let below = Path::new(path).strip_prefix(&root).ok()?;
    let inside = !below.components().any(|part| part == std::path::Component::ParentDir);
    inside.then(|| if below.as_os_str().is_empty() { point.clone() } else { point.join(below) })
}

/// Where a hierarchy is mounted, and which part of it is.
fn mount_point(mounts: &str, controller: &str) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let mut kind = kind.split(' ');
        let fits = match (kind.next()?, controller) {
            ("cgroup2", "") => true,
            ("cgroup", controller) if !controller.is_empty() => {
                kind.nth(1).is_some_and(|options| options.split(',').any(|option| option == controller))
            }
            _ => false,
        };
        fits.then(|| (unescape(point), unescape(root)))
    })
}

/// Whether this process may make a group there and move into it: it may write the directory, and its list of members,
/// which is asked for where the two groups meet.
fn may_make_in(dir: &Path) -> bool {
    let may = |path: &Path, what| access(path, what).is_ok();
    may(dir, Access::WRITE_OK | Access::EXEC_OK) && may(&dir.join("cgroup.procs"), Access::WRITE_OK)
}

/// Whether groups in it have limits of both kinds.
fn hands_on(dir: &Path) -> bool {
    let enabled = fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap_or_default();
    ["memory", "pids"].iter().all(|wanted| enabled.split_ascii_whitespace().any(|name| name == *wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as the kernel shows it, in a directory.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(groups: &[(&str, &str)]) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            for (path, control) in groups {
                let dir = tree.path(path);
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join("cgroup.procs"), "").unwrap();
                fs::write(dir.join("cgroup.subtree_control"), control).unwrap();
            }
            tree
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        /// What mountinfo says of it.
        fn mounted(&self, lines: &[(&str, &str, &str)]) -> String {
            let line = |(root, point, kind): &(&str, &str, &str)| {
                format!("30 29 0:26 {root} {} rw,nosuid shared:4 - {kind}\n", self.path(point).display())
            };
            lines.iter().map(line).collect()
        }
    }

    #[test]
    fn of_version_1_both_hierarchies_are_needed() {
        let tree = Tree::new(&[("memory/a/b", ""), ("pids", ""), ("cpu,pids/c", ""), (r"pi\x2dds/c", "")]);
        let apart = [("/", "memory", "cgroup cgroup rw,memory"), ("/", "pids", "cgroup cgroup rw,pids")];
        let found = Cgroups::of("8:pids:/\n4:memory:/a/b\n0::/\n", &tree.mounted(&apart)).unwrap();
        let (pids, memory) = (tree.path("pids"), tree.path("memory/a/b"));
        let expected = Cgroups { version: CgroupVersion::V1, pids, memory, own: None };
        assert_eq!(found, expected);
        // Mounted with another controller, and only a part of it, as in a container.
        let part =
            [("/", "memory", "cgroup cgroup rw,memory"), ("/x", "cpu,pids", "cgroup cgroup rw,cpu,pids")];
        let found = Cgroups::of("8:cpu,pids:/x/c\n4:memory:/a/b\n", &tree.mounted(&part)).unwrap();
        assert_eq!(found.pids, tree.path("cpu,pids/c"));
        // As systemd writes a dash in a name: a backslash, which the list of mounts writes in its own way.
        let dashed = [part[0], (r"/a\134x2db", r"pi\134x2dds", "cgroup cgroup rw,pids")];
        let found = Cgroups::of("8:pids:/a\\x2db/c\n4:memory:/a/b\n", &tree.mounted(&dashed)).unwrap();
        assert_eq!(found.pids, tree.path(r"pi\x2dds/c"));
        for own in
            ["4:memory:/a/b\n0::/\n", "8:pids:/\n4:memory:/gone\n", "8:pids:/../up\n4:memory:/a/b\n", ""]
        {
            assert_eq!(Cgroups::of(own, &tree.mounted(&apart)), None, "{own:?}");
        }
        assert_eq!(
            Cgroups::of("8:cpu,pids:/c\n4:memory:/a/b\n", &tree.mounted(&part)),
            None,
            "outside of it"
        );
    }

    #[test]
    fn of_version_2_it_is_the_next_above_that_hands_both_on() {
        let user = "user.slice/user-1.slice/user@1.service";
        let tree = Tree::new(&[
            ("v2", "cpu memory pids"),
            (&format!("v2/{user}"), "memory pids"),
            (&format!("v2/{user}/app.slice"), "cpu memory pids"),
            (&format!("v2/{user}/app.slice/editor.scope"), ""),
            (&format!("v2/{user}/half.slice"), "pids"),
            (&format!("v2/{user}/half.slice/editor.scope"), ""),
        ]);
        let mounts = tree.mounted(&[("/", "v2", "cgroup2 cgroup2 rw,nsdelegate")]);
        let found = |own: &str| Cgroups::of(&format!("0::/{own}\n"), &mounts).map(|found| found.pids);
        let (app, user_service) = (format!("{user}/app.slice"), user.to_owned());
        assert_eq!(found(&format!("{app}/editor.scope")), Some(tree.path("v2").join(&app)));
        assert_eq!(
            found(&format!("{user}/half.slice/editor.scope")),
            Some(tree.path("v2").join(user_service))
        );
        assert_eq!(found("../other"), None);
        // Nobody may write what isn't there; and what lies above the mount is none of it.
        fs::remove_file(tree.path("v2").join(&app).join("cgroup.procs")).unwrap();
        assert_eq!(found(&format!("{app}/editor.scope")), Some(tree.path("v2").join(user)));
        for dir in ["v2", &format!("v2/{user}")] {
            fs::write(tree.path(dir).join("cgroup.subtree_control"), "cpu").unwrap();
        }
        assert_eq!(found(&format!("{app}/editor.scope")), None);
    }

    /// The group whose files say this.
    fn group(version: CgroupVersion, files: &[(&str, &str)]) -> Group {
        let dir = tempfile::tempdir().unwrap();
        let usual = ["pids.max", "pids.current", "pids.events", "memory.limit_in_bytes", "memory.max"];
        let rest = ["memory.oom_control", "memory.events"];
        for name in usual.into_iter().chain(rest) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        Group::open(dir.path(), dir.path(), version).unwrap()
    }

    #[test]
    fn a_kill_by_the_machine_is_no_limit_of_the_runs() {
        use CgroupVersion::{V1, V2};
        let killed = ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
        let limit = ("memory.limit_in_bytes", "67108864\n");
        let (most, with_swap) = ("memory.max_usage_in_bytes", "memory.memsw.max_usage_in_bytes");
        let table = [
            (V1, vec![killed, limit, (most, "33554432\n"), (with_swap, "40000000\n")], false),
            (V1, vec![killed, limit, (most, "67108864\n")], true),
            (V1, vec![killed, limit, (most, "33554432\n"), (with_swap, "67076096\n")], true),
            (
                V1,
                vec![killed, ("memory.limit_in_bytes", "9223372036854771712\n"), (most, "67108864\n")],
                false,
            ),
            (V1, vec![limit, (most, "67108864\n")], false),
            (V2, vec![("memory.events", "max 0\noom 0\noom_kill 1\n")], false),
            (V2, vec![("memory.events", "max 7\noom 1\noom_kill 1\n")], true),
            (V2, vec![("memory.events", "max 7\noom 1\noom_kill 0\n")], false),
        ];
        for (version, files, expected) in table {
            assert_eq!(group(version, &files).ran_out_of_memory(), expected, "{version:?} {files:?}");
        }
    }

    #[test]
    fn what_a_group_above_refuses_is_no_limit_of_the_runs() {
        let table = [
            ("66\n", "66\n", Some("66\n"), (4, true)),
            ("66\n", "3\n", Some("66\n"), (4, false)),
            ("66\n", "3\n", Some("40\n"), (0, false)),
            ("66\n", "66\n", None, (4, true)),
            ("max\n", "66\n", Some("66\n"), (0, false)),
        ];
        for (most, now, peak, (refused, full)) in table {
            let mut files = vec![("pids.max", most), ("pids.current", now), ("pids.events", "max 4\n")];
            files.extend(peak.map(|peak| ("pids.peak", peak)));
            let group = group(CgroupVersion::V1, &files);
            assert_eq!(group.processes(), Processes { refused, full }, "{files:?}");
        }
    }

    #[test]
    fn events_are_read_by_their_names() {
        assert_eq!(number_of("oom_kill_disable 7\nunder_oom 1\noom_kill 2\n", "oom_kill"), 2);
        assert_eq!(number_of("low 0\nhigh 0\nmax 40\noom 3\noom_kill 1\noom_group_kill 0\n", "oom_kill"), 1);
        assert_eq!(number_of("max 12\n", "max"), 12);
        assert_eq!(number_of("", "max"), 0);
    }
}
