//! The view of the file system: an empty root, the system's directories, devices, what the policy names.

use std::{
    collections::BTreeMap,
    ffi::CString,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
        mount_change, mount_remount, unmount,
    },
    process::{chdir, geteuid, pivot_root},
};

use super::{
    super::{Containment, INSIDE, Locks, Seen},
    At, Failed, Step,
    apart::Overlays,
    by_descriptor, mountinfo, open_place, open_without_links,
};
use crate::{policy::Network, sandbox::digest, system};

/// Where copies lie, in the view.
const COPIES: &str = ".programs";
/// What is said of a file that is not what was digested: no operation on files fails with it.
pub(crate) const CHANGED: i32 = libc::EKEYREJECTED;

/// Puts the view together and enters it. What was shown of the host before is gone from here afterwards.
pub(crate) fn enter(contained: &Containment) -> Result<(), Failed> {
    let root = contained.scratch.as_path();
    // The view covers it, and shows it.
    let [own, tmp] = [open_dir(root).at(Step::Private)?, open_dir(&root.join("tmp")).at(Step::Private)?];
    // First: a mount below a shared one would show up on the host.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).at(Step::Root)?;
    let quiet = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", root, "tmpfs", quiet, c"mode=755").at(Step::Root)?;
    let overlays = (contained.locks == Locks::Apart).then(|| Overlays::new(root)).transpose();
    let mut view = MountView { root, overlays: overlays.at(Step::Apart)? };
    view.system(contained.network).at(Step::System)?;
    view.devices(contained).at(Step::Devices)?;
    view.proc().at(Step::Proc)?;
    let private = view.private(&own, &tmp).at(Step::Private)?;
    let mut access = view.places(contained).at(Step::Places)?;
    access.written.extend(private);
    access.written.extend(["dev/pts", "dev/shm"].map(|dir| root.join(dir)));
    // Over all that is shown: a file of the system's that was laid on top would be seen instead.
    view.covers(&contained.covers, &own, &access).at(Step::Covers)?;
    if let Some(overlays) = view.overlays.take() {
        overlays.put_away().at(Step::Apart)?;
    }
    // Read-only once everything is mounted, since mount points are made in it; and entered last, since what is shown is
    // reached by paths of the host, which are gone from then on.
    view.close(&access).at(Step::ReadOnly)?;
    view.pivot().at(Step::Enter)
}

/// Makes the mounts that a machine can refuse, of which no run sees anything: in mounts of one's own, over the
/// directory of temporary files. What else a view is made of lies in paths, and is refused with the run itself. Whether
/// what is shown can be shown through overlays is no condition, and is told.
pub(crate) fn try_out() -> Result<Locks, Failed> {
    let root = std::env::temp_dir();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).at(Step::Root)?;
    let quiet = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", &root, "tmpfs", quiet, c"mode=755").at(Step::Root)?;
    // Not that directory itself: what the machine has mounted below it is still in the list of mounts, and is covered.
    let root = root.join(".authy-mcp-view");
    fs::create_dir(&root).at(Step::Root)?;
    mount("tmpfs", &root, "tmpfs", quiet, c"mode=755").at(Step::Root)?;
    let view = MountView { root: &root, overlays: None };
    view.mount_proc().at(Step::Proc)?;
    let usr = Path::new("/usr");
    let tried = Overlays::new(&root).and_then(|overlays| {
        overlays.of(usr, open_without_links(usr)?)?;
        overlays.put_away()
    });
    view.close(&Access::default()).at(Step::ReadOnly)?;
    Ok(tried.map_or(Locks::Shared, |()| Locks::Apart))
}

pub(super) struct MountView<'a> {
    pub root: &'a Path,
    /// Through which what is read is shown, where that is what was planned.
    overlays: Option<Overlays>,
}

impl MountView<'_> {
    pub(super) fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn system(&self, network: Network) -> io::Result<()> {
        for path in system::READ.map(Path::new) {
            let Ok(found) = fs::symlink_metadata(path) else { continue };
            if found.is_symlink() {
                symlink(fs::read_link(path)?, self.inside(path))?;
            } else if found.is_dir() {
                self.show(path)?;
            }
        }
        if network == Network::Open {
            for path in system::RESOLVER.map(Path::new).into_iter().filter(|path| path.exists()) {
                self.show(path)?;
            }
        }
        Ok(())
    }

    fn devices(&self, contained: &Containment) -> io::Result<()> {
        let dev = self.root.join("dev");
        fs::create_dir(&dev)?;
        for name in system::DEVICES.iter().chain(contained.terminal.then_some(&system::TERMINAL)) {
            fs::write(dev.join(name), "")?;
            mount_bind(format!("/dev/{name}"), dev.join(name))?;
        }
        for (name, target) in system::DEVICE_LINKS {
            symlink(target, dev.join(name))?;
        }
        fs::create_dir(dev.join("shm"))?;
        let quiet = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", dev.join("shm"), "tmpfs", quiet, shared_memory(contained.memory)?.as_c_str())?;
        fs::create_dir(dev.join("pts"))?;
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        mount("devpts", dev.join("pts"), "devpts", flags, c"newinstance,ptmxmode=0666,mode=620")
            .map_err(Into::into)
    }

    fn mount_proc(&self) -> io::Result<PathBuf> {
        let proc = self.root.join("proc");
        fs::create_dir(&proc)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", &proc, "proc", flags, None)?;
        Ok(proc)
    }

    fn proc(&self) -> io::Result<()> {
        let proc = self.mount_proc()?;
        if geteuid().is_root() {
            for name in system::PROC_READ.map(|name| proc.join(name)).iter().filter(|path| path.exists()) {
                mount_bind(name, name)?;
            }
            for name in system::PROC_HIDDEN.map(|name| proc.join(name)).iter().filter(|path| path.exists()) {
                mount_bind("/dev/null", name)?;
            }
        }
        system::THE_MACHINE.iter().try_for_each(|path| self.hide(Path::new(path)))
    }

    /// The run's own directories, which are what it may write in any case.
    fn private(&self, own: &OwnedFd, tmp: &OwnedFd) -> io::Result<Vec<PathBuf>> {
        let places = [(self.inside(Path::new(INSIDE)), own), (self.root.join("tmp"), tmp)];
        for (place, shown) in &places {
            fs::create_dir_all(place)?;
            mount_bind(by_descriptor(shown), place)?;
        }
        Ok(places.map(|(place, _)| place).into())
    }

    /// What the policy names.
    fn places(&self, contained: &Containment) -> io::Result<Access> {
        let mut access = Access::default();
        for place in &contained.places {
            let path = place.path.as_path();
            match &place.seen {
                Seen::Read => self.show(path)?,
                // Of what may be written, where locks are the machine's.
                Seen::Write | Seen::Closed | Seen::Held => self.bind(path, &open_place(place)?)?,
                Seen::Part => self.show_if_there(path)?,
                Seen::Parts => self.show_in_parts(path)?,
                Seen::Link(target) => self.link(path, target)?,
                Seen::Hidden => self.hide(path)?,
                Seen::Copy(sha256) => self.copy(path, sha256)?,
            }
            match &place.seen {
                Seen::Read | Seen::Closed | Seen::Part | Seen::Hidden | Seen::Copy(_) => {
                    access.closed.push(self.inside(path));
                }
                Seen::Write | Seen::Held => access.written.push(self.inside(path)),
                Seen::Parts | Seen::Link(_) => {}
            }
        }
        Ok(access)
    }

    /// Shows a place where it lies on the host, with all that is mounted in it. Both ends are opened first, and
    /// no link is followed to either: a swap meanwhile gains nothing.
    fn show(&self, path: &Path) -> io::Result<()> {
        self.show_opened(path, open_without_links(path)?)
    }

    fn show_opened(&self, path: &Path, source: OwnedFd) -> io::Result<()> {
        match &self.overlays {
            Some(overlays) => self.bind(path, &overlays.of(path, source)?),
            None => self.bind(path, &source),
        }
    }

    /// One overlay will do for all the parts.
    fn show_in_parts(&self, path: &Path) -> io::Result<()> {
        if let Some(overlays) = &self.overlays {
            overlays.of(path, open_without_links(path)?)?;
        }
        self.target(path, Kind::Dir).map(drop)
    }

    fn bind(&self, path: &Path, source: &OwnedFd) -> io::Result<()> {
        let is_dir = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(source)?.st_mode).is_dir();
        let target = self.target(path, if is_dir { Kind::Dir } else { Kind::File })?;
        Ok(mount_bind_recursive(by_descriptor(source), by_descriptor(&target))?)
    }

    /// The same for what may be gone since it was listed, or be something else: then it isn't seen.
    fn show_if_there(&self, path: &Path) -> io::Result<()> {
        open_without_links(path).map_or(Ok(()), |source| self.show_opened(path, source))
    }

    fn link(&self, path: &Path, target: &Path) -> io::Result<()> {
        let inside = self.inside(path);
        if let Some(parent) = inside.parent() {
            fs::create_dir_all(parent)?;
        }
        match symlink(target, inside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    /// Shows a copy of a file, taken into memory that nobody else reaches, under its own name: what runs is what
    /// was digested, whoever may write the file.
    fn copy(&self, path: &Path, sha256: &[u8; 32]) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let source =
            rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
        let mut source = fs::File::from(source);
        digest::regular(&source)?;
        let copies = self.root.join(COPIES);
        fs::create_dir_all(&copies)?;
        let copy = copies.join(hex::encode(sha256));
        let mut to = fs::File::create(&copy)?;
        if digest::copy(&mut source, &mut to)? != *sha256 {
            return Err(io::Error::from_raw_os_error(CHANGED));
        }
        to.set_permissions(fs::Permissions::from_mode(0o555))?;
        let target = self.target(path, Kind::File)?;
        Ok(mount_bind(&copy, by_descriptor(&target))?)
    }

    fn hide(&self, path: &Path) -> io::Result<()> {
        let Ok(found) = fs::symlink_metadata(self.inside(path)) else { return Ok(()) };
        if found.is_symlink() {
            // It leads where it led; what lies there is hidden by its own name.
            return Ok(());
        }
        if found.is_dir() {
            let target = self.target(path, Kind::Dir)?;
            let quiet = MountFlags::NOSUID | MountFlags::NODEV;
            return Ok(mount("tmpfs", by_descriptor(&target), "tmpfs", quiet, c"mode=755,size=1m")?);
        }
        let target = self.target(path, Kind::File)?;
        Ok(mount_bind("/dev/null", by_descriptor(&target))?)
    }

    /// Where a place goes in the view, made where it is missing.
    pub(super) fn target(&self, path: &Path, kind: Kind) -> io::Result<OwnedFd> {
        let inside = self.inside(path);
        match open_without_links(&inside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        if let Some(parent) = inside.parent() {
            fs::create_dir_all(parent)?;
        }
        match kind {
            Kind::Dir => fs::create_dir(&inside)?,
            Kind::File => drop(fs::File::create_new(&inside)?),
        }
        open_without_links(&inside)
    }

    /// Makes every mount below the root read-only but those that may be written, and what lies in these. Flags
    /// that a mount came with stay: they are locked (mount_namespaces(7)).
    fn close(&self, access: &Access) -> io::Result<()> {
        let text = fs::read_to_string("/proc/self/mountinfo")?;
        // Several mounts may lie on one point: the last is what is seen.
        let mounts: BTreeMap<PathBuf, MountFlags> = text
            .lines()
            .filter_map(mountinfo::mount_of)
            .filter(|(point, _)| point.starts_with(self.root))
            .collect();
        let dev = self.root.join("dev");
        for (point, flags) in mounts {
            let mut wanted = flags | MountFlags::NOSUID;
            if !point.starts_with(&dev) {
                wanted |= MountFlags::NODEV;
            }
            if point == self.root || !(point.starts_with(&dev) || access.may_write(&point)) {
                wanted |= MountFlags::RDONLY;
            }
            if wanted != flags {
                mount_remount(&point, wanted | MountFlags::BIND, "")?;
            }
        }
        Ok(())
    }

    fn pivot(&self) -> io::Result<()> {
        chdir(self.root)?;
        // pivot_root(2), NOTES: the old root is then on top of the new one, and is taken away.
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        Ok(chdir("/")?)
    }
}

/// Of what size the run's shared memory is: it takes memory, and so may its files' names.
fn shared_memory(most: Option<u64>) -> io::Result<CString> {
    /// Each takes about a kilobyte of the kernel's memory.
    const FILES: u32 = 65_536;
    let size = most.map_or_else(String::new, |most| format!(",size={most},nr_inodes={FILES}"));
    CString::new(format!("mode=1777{size}")).map_err(io::Error::other)
}

pub(super) enum Kind {
    Dir,
    File,
}

/// Which mounts may be written: these, and what lies in them, but for what lies closed in those.
#[derive(Default)]
pub(super) struct Access {
    written: Vec<PathBuf>,
    closed: Vec<PathBuf>,
}

impl Access {
    pub(super) fn may_write(&self, point: &Path) -> bool {
        let deepest = |places: &[PathBuf]| -> usize {
            places
                .iter()
                .filter(|place| point.starts_with(place))
                .map(|place| place.components().count())
                .max()
                .unwrap_or_default()
        };
        deepest(&self.written) > deepest(&self.closed)
    }
}

/// Opens a directory of the run's, for mounting.
fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}
