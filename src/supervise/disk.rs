//! How much of the disk a run takes: what lies in its private directories, counted a part at a time, and how much is
//! left where it may write.

use std::{
    collections::BTreeSet,
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, fstatvfs, openat, statat};

use super::usage::{Held, Sight};

/// So many names are looked at before the supervisor looks at something else: some milliseconds; and so many where the
/// disk fills up, by the run or by others.
const NAMES_AT_ONCE: usize = 2000;
const NAMES_IN_HASTE: usize = 50_000;
/// What a name takes beside its content: a file system can be out of inodes, too, and many names take long to remove.
const INODE: u64 = 4096;
/// So much of a disk stays free, whatever a run may take: what is asked of this machine has to go on record.
const FLOOR: u64 = 256 << 20;

/// What watches over the disk.
#[derive(Debug)]
pub(crate) struct Disk {
    top: OwnedFd,
    /// Where the private directories lie.
    pub device: u64,
    most: u64,
    walk: Walk,
    floors: Vec<Floor>,
    /// What was free of the whole file system when the run began.
    free: Free,
}

/// What is free of a file system.
#[derive(Debug, Clone, Copy)]
struct Free {
    bytes: u64,
    inodes: u64,
}

/// What was found of the run's use of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// As much as it may.
    Within,
    /// The file system fills up, by the run or by others: it is to be looked at again soon.
    Growing,
    /// More than it may.
    Over,
}

/// A way through the private directories: one of them open at a time, however deep they are.
#[derive(Debug, Default)]
struct Walk {
    at: Option<Place>,
    above: Vec<Above>,
    bytes: u64,
    /// Those of more than one name, which are counted once.
    linked: BTreeSet<u64>,
}

/// A directory on the way.
#[derive(Debug)]
struct Place {
    dir: OwnedFd,
    inode: u64,
    /// What of it was not looked at yet.
    entries: Option<Dir>,
    /// Directories in it to which the way goes on.
    below: Vec<CString>,
}

/// A directory to which the way goes back.
#[derive(Debug)]
struct Above {
    inode: u64,
    below: Vec<CString>,
}

/// How far a way has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    GoesOn,
    /// All was seen.
    Ends,
    /// More was seen than may be there.
    TooMuch,
}

/// A file system of which something must stay free.
#[derive(Debug)]
struct Floor {
    dir: OwnedFd,
    device: u64,
    free: u64,
}

impl Disk {
    /// `top` has the private directories; `most` is what they may take, and `written` where else the run may write.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn new<'a>(
        top: &Path,
        most: u64,
        written: impl Iterator<Item = &'a Path>,
    ) -> io::Result<Self> {
        let top = open(CWD, top)?;
        let device = fstat(&top)?.st_dev;
        let mut floors: Vec<Floor> = vec![Floor::of(top.try_clone()?)?];
        for path in written {
            // What can't be opened here can't be written by the run either.
            let Ok(dir) = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else { continue };
            let floor = Floor::of(dir)?;
            if floors.iter().all(|known| known.device != floor.device) {
                floors.push(floor);
            }
        }
        let free = Free::of(&top)?;
        Ok(Self { top, device, most, walk: Walk::default(), floors, free })
    }

    /// Looks at what the run has, with what it has open and nobody finds any more. Where it has more open than was looked
    /// at, it may hide removed files there: then all that is gone from the file system counts as its own.
    pub(crate) fn look(&mut self, held: &Held) -> Use {
        if self.floors.iter().any(Floor::is_passed) {
            return Use::Over;
        }
        let most = self.most;
        let gone = Free::of(&self.top).map(|now| self.free.used_until(now)).ok();
        if held.sight == Sight::Part && gone.is_none_or(|gone| gone > most) {
            return Use::Over;
        }
        let grows = gone.is_some_and(|gone| gone > most / 2);
        let names = if grows { NAMES_IN_HASTE } else { NAMES_AT_ONCE };
        let walked = self.walk.go_on(&self.top, most.saturating_sub(held.removed), names);
        // What can't be looked at was moved meanwhile, or is nobody's any more: the next way shows it.
        let way = walked.unwrap_or(Way::Ends);
        if way != Way::GoesOn {
            self.walk = Walk::default();
        }
        match (way, grows) {
            (Way::TooMuch, _) => Use::Over,
            (_, true) => Use::Growing,
            (_, false) => Use::Within,
        }
    }
}

impl Walk {
    /// Looks at so many names, until there is more than that.
    fn go_on(&mut self, top: &OwnedFd, most: u64, names: usize) -> io::Result<Way> {
        if self.at.is_none() {
            self.at = Some(Place::of(top.try_clone()?)?);
        }
        for _ in 0..names {
            let way = self.step()?;
            if self.bytes > most {
                return Ok(Way::TooMuch);
            }
            if way != Way::GoesOn {
                return Ok(way);
            }
        }
        Ok(Way::GoesOn)
    }

    fn step(&mut self) -> io::Result<Way> {
        let Some(at) = &mut self.at else { return Ok(Way::Ends) };
        if let Some(entry) = at.entries.as_mut().and_then(Dir::read) {
            self.bytes += at.count(entry?.file_name(), &mut self.linked);
        } else if let Some(name) = at.below.pop() {
            // What is gone since it was listed takes nothing.
            if let Ok(dir) = open(&at.dir, &*name) {
                let Place { inode, below, .. } = std::mem::replace(at, Place::of(dir)?);
                self.above.push(Above { inode, below });
            }
        } else {
            let Some(Above { inode, below }) = self.above.pop() else { return Ok(Way::Ends) };
            let dir = open(&at.dir, c"..")?;
            if fstat(&dir)?.st_ino != inode {
                // It was moved: what is beside it now is not what was.
                return Err(io::ErrorKind::NotFound.into());
            }
            *at = Place { dir, inode, entries: None, below };
        }
        Ok(Way::GoesOn)
    }
}

impl Place {
    fn of(dir: OwnedFd) -> io::Result<Self> {
        let (inode, entries) = (fstat(&dir)?.st_ino, Dir::read_from(&dir)?);
        Ok(Self { dir, inode, entries: Some(entries), below: Vec::new() })
    }

    /// What a name of it takes.
    fn count(&mut self, name: &CStr, linked: &mut BTreeSet<u64>) -> u64 {
        if matches!(name.to_bytes(), b"." | b"..") {
            return 0;
        }
        let Ok(found) = statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) else { return 0 };
        let is_dir = FileType::from_raw_mode(found.st_mode).is_dir();
        if is_dir {
            self.below.push(name.to_owned());
        } else if found.st_nlink > 1 && !linked.insert(found.st_ino) {
            return 0;
        }
        taken(&found) + INODE
    }
}

impl Free {
    fn of(dir: &OwnedFd) -> io::Result<Self> {
        let found = fstatvfs(dir)?;
        Ok(Self { bytes: found.f_bfree.saturating_mul(found.f_frsize), inodes: found.f_ffree })
    }

    /// What somebody has used since then.
    fn used_until(self, now: Self) -> u64 {
        let names = self.inodes.saturating_sub(now.inodes);
        self.bytes.saturating_sub(now.bytes).saturating_add(names.saturating_mul(INODE))
    }
}

impl Floor {
    /// Where little was free already, half of that: a run is not ended for what others have written.
    fn of(dir: OwnedFd) -> io::Result<Self> {
        let (device, free) = (fstat(&dir)?.st_dev, free_at(&dir)?);
        Ok(Self { dir, device, free: FLOOR.min(free / 2) })
    }

    fn is_passed(&self) -> bool {
        free_at(&self.dir).is_ok_and(|free| free < self.free)
    }
}

fn free_at(dir: &OwnedFd) -> io::Result<u64> {
    let found = fstatvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The bytes that a file takes on its disk: it may be larger, with holes.
pub(crate) fn taken(found: &rustix::fs::Stat) -> u64 {
    u64::try_from(found.st_blocks).unwrap_or_default().saturating_mul(512)
}

fn open(at: impl AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HELD: Held = Held { memory: 0, removed: 0, sight: Sight::Whole };

    /// Looks until one way through is complete, or there is too much.
    fn is_over(disk: &mut Disk, removed: u64) -> bool {
        let most = disk.most - removed;
        loop {
            let way = disk.walk.go_on(&disk.top, most, NAMES_AT_ONCE).unwrap();
            if way != Way::GoesOn {
                disk.walk = Walk::default();
                return way == Way::TooMuch;
            }
        }
    }

    fn watched(dir: &Path, most: u64) -> Disk {
        Disk::new(dir, most, std::iter::empty()).unwrap()
    }

    #[test]
    fn what_lies_there_is_counted_and_holes_are_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), vec![1; 1 << 20]).unwrap();
        fs::hard_link(dir.path().join("a/b/file"), dir.path().join("again")).unwrap();
        fs::File::create(dir.path().join("hole")).unwrap().set_len(1 << 40).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
        let mut disk = watched(dir.path(), (1 << 20) + (64 << 10));
        assert!(!is_over(&mut disk, 0));
        assert!(is_over(&mut disk, 1 << 20), "what has no name any more is counted with it");
        fs::write(dir.path().join("more"), vec![1; 1 << 17]).unwrap();
        assert!(is_over(&mut disk, 0));
        fs::remove_file(dir.path().join("more")).unwrap();
        assert!(!is_over(&mut disk, 0));
    }

    #[test]
    fn many_names_take_something_too_and_are_counted_a_part_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..NAMES_AT_ONCE + 10 {
            fs::File::create(dir.path().join(number.to_string())).unwrap();
        }
        let names = u64::try_from(NAMES_AT_ONCE).unwrap();
        let mut disk = watched(dir.path(), (names + 100) * INODE);
        assert_eq!(
            disk.walk.go_on(&disk.top, u64::MAX, NAMES_AT_ONCE).unwrap(),
            Way::GoesOn,
            "there is more to see"
        );
        assert!(!is_over(&mut disk, 0));
        assert!(is_over(&mut disk, 100 * INODE));
    }

    #[test]
    fn a_tree_is_counted_to_its_ground_and_back() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("before"), vec![1; 1 << 17]).unwrap();
        let mut deep = open(CWD, dir.path()).unwrap();
        // Deeper than a path may be long, and than descriptors may be open.
        for _ in 0..3000 {
            rustix::fs::mkdirat(&deep, "d", Mode::RWXU).unwrap();
            deep = open(&deep, "d").unwrap();
        }
        let file = openat(&deep, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap();
        std::io::Write::write_all(&mut fs::File::from(file), &vec![1; 1 << 20]).unwrap();
        fs::create_dir(dir.path().join("beside")).unwrap();
        fs::write(dir.path().join("beside/file"), vec![1; 1 << 17]).unwrap();
        let directories = 3001 * (INODE + 4096);
        assert!(!is_over(&mut watched(dir.path(), directories + (3 << 20)), 0));
        assert!(is_over(&mut watched(dir.path(), (1 << 20) + (1 << 18) - 1 + 3001 * INODE), 0));
        super::super::discard::discard(dir.path()).unwrap();
    }

    #[test]
    fn what_was_nearly_full_already_ends_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = watched(dir.path(), u64::MAX);
        assert!(disk.floors.iter().all(|floor| floor.free <= FLOOR && !floor.is_passed()));
        for floor in &mut disk.floors {
            floor.free = u64::MAX;
        }
        assert_eq!(disk.look(&HELD), Use::Over);
    }

    #[test]
    fn what_is_gone_is_the_runs_where_it_may_hide_it() {
        let dir = tempfile::tempdir().unwrap();
        let most = 1 << 30;
        let mut disk = watched(dir.path(), most);
        let part = Held { sight: Sight::Part, ..HELD };
        assert_ne!(disk.look(&part), Use::Over);
        disk.free.bytes += 1 << 40;
        assert_eq!(disk.look(&HELD), Use::Growing, "others may have used it");
        assert_eq!(disk.look(&part), Use::Over);
    }

    #[test]
    fn what_somebody_uses_is_bytes_and_names() {
        let before = Free { bytes: 1000, inodes: 10 };
        assert_eq!(before.used_until(Free { bytes: 900, inodes: 9 }), 100 + INODE);
        assert_eq!(before.used_until(Free { bytes: 2000, inodes: 20 }), 0);
    }
}
