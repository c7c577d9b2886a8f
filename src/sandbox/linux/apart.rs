//! Overlays of a run's own (overlayfs), through which it sees what it may only read: locks on files are on the overlay's
//! inodes then, so the run holds up nobody outside, and tells nobody by them. Locks on devices, and what watchers of files are
//! told, go through: `docs/decisions/0016-locks-and-notices.md`.

use std::{
    cell::RefCell,
    ffi::CString,
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, StatVfsMountFlags},
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

use super::{by_descriptor, mountinfo, open_beneath, open_without_links};
use crate::system;

/// Where overlays lie while the view is put together, and the directory that is their second layer: a kernel wants two.
const OVERLAYS: &str = ".overlays";
const EMPTY: &str = "empty";

/// File systems that are known to be a layer of an overlay (linux/magic.h): ext4, XFS, Btrfs, tmpfs, overlayfs, sysfs,
/// squashfs, EROFS.
const LAYERS: [u64; 8] =
    [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x6265_6572, 0x7371_7368, 0xe0f5_e1e2];

/// Whether a run that is shown these places beside the system's directories can see all of them through overlays. One
/// doesn't show what is mounted below its directory, and a user namespace makes none where something is.
pub(crate) fn can_be_apart(places: &[PathBuf]) -> bool {
    let Ok(text) = fs::read_to_string("/proc/self/mountinfo") else { return false };
    let points: Vec<PathBuf> = text.lines().filter_map(mountinfo::mount_of).map(|(point, _)| point).collect();
    let system = system::READ.iter().map(PathBuf::from).filter(|path| !path.is_symlink());
    let places = system.chain(places.iter().cloned()).filter(|path| path.exists());
    places.into_iter().all(|place| {
        let dir = if place.is_dir() { place.as_path() } else { place.parent().unwrap_or(&place) };
        let below = |point: &PathBuf| point.starts_with(dir) && point != dir;
        // The kernel's type is signed on some machines.
        let layer = rustix::fs::statfs(dir).is_ok_and(|found| LAYERS.contains(&(found.f_type as u64)));
        layer && !points.iter().any(below)
    })
}

/// The overlays of one view.
pub(super) struct Overlays {
    dir: PathBuf,
    empty: OwnedFd,
    /// Which directory is seen through which.
    made: RefCell<Vec<(PathBuf, PathBuf)>>,
}

impl Overlays {
    /// None yet. `root` is a file system of the view's own.
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        let dir = root.join(OVERLAYS);
        fs::create_dir_all(dir.join(EMPTY))?;
        let empty = open_without_links(&dir.join(EMPTY))?;
        Ok(Self { dir, empty, made: RefCell::default() })
    }

    /// What is open, through an overlay: its own, or one of a directory that holds it. A file is seen through one of
    /// its directory. What is neither is as it was: nobody locks a socket.
    pub(super) fn of(&self, path: &Path, opened: OwnedFd) -> io::Result<OwnedFd> {
        let dir = match FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode) {
            FileType::Directory => path,
            FileType::RegularFile => path.parent().ok_or(io::ErrorKind::InvalidInput)?,
            _ => return Ok(opened),
        };
        let held = self.made.borrow().iter().find(|(lower, _)| dir.starts_with(lower)).cloned();
        let (lower, overlay) = match held {
            Some(held) => held,
            None => self.make(dir)?,
        };
        let within = path.strip_prefix(&lower).map_err(io::Error::other)?;
        let within = if within.as_os_str().is_empty() { Path::new(".") } else { within };
        open_beneath(open_without_links(&overlay)?, within)
    }

    fn make(&self, lower: &Path) -> io::Result<(PathBuf, PathBuf)> {
        let source = open_without_links(lower)?;
        let overlay = self.dir.join(self.made.borrow().len().to_string());
        fs::create_dir(&overlay)?;
        let mut flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        // A file system that runs nothing doesn't by way of another.
        if rustix::fs::fstatvfs(&source)?.f_flag.contains(StatVfsMountFlags::NOEXEC) {
            flags |= MountFlags::NOEXEC;
        }
        let [upper, empty] = [&source, &self.empty].map(by_descriptor);
        let layers = CString::new(format!("lowerdir={upper}:{empty}"))?;
        mount("overlay", &overlay, "overlay", flags, layers.as_c_str())?;
        let made = (lower.to_owned(), overlay);
        self.made.borrow_mut().push(made.clone());
        Ok(made)
    }

    /// Takes them from where they were put together: what is shown of them stays.
    pub(super) fn put_away(self) -> io::Result<()> {
        for (_, overlay) in self.made.into_inner() {
            unmount(&overlay, UnmountFlags::DETACH)?;
        }
        Ok(())
    }
}
