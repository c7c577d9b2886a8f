//! What of the system others may not read. Another user's run doesn't read it anyway; of root's everything is.

use std::{
    collections::BTreeSet,
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    process::geteuid,
};

use crate::system;

/// What is closed to others where the machine's administrators keep files, for runs of root's. Known from the first run
/// on for as long as nothing changes there: the kernel says so before a change is over, so that what is known is never
/// older than the last change.
#[derive(Default)]
pub(crate) struct Closed(Mutex<Option<Known>>);

struct Known {
    paths: Vec<PathBuf>,
    /// Where the kernel says what has changed in the directories that were looked through.
    changes: OwnedFd,
}

impl Closed {
    /// Every file that others may not read, and every directory that they may not list or enter; nothing for a user who
    /// is not root.
    pub(crate) fn now(&self) -> Vec<PathBuf> {
        if geteuid().is_root() { self.below(&system::ADMINISTERED.map(Path::new)) } else { Vec::new() }
    }

    fn below(&self, roots: &[&Path]) -> Vec<PathBuf> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.stands()) {
            return known.paths.clone();
        }
        // Watched before it is read: what changes in between is looked at again the next time.
        let changes = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok();
        let mut search = Search { roots, changes, found: BTreeSet::new() };
        roots.iter().for_each(|root| search.look_at(root));
        let paths: Vec<PathBuf> = search.found.into_iter().collect();
        // A directory that can't be watched: all is looked through every time.
        *known = search.changes.map(|changes| Known { paths: paths.clone(), changes });
        paths
    }
}

impl Known {
    fn stands(&self) -> bool {
        let mut event = [std::mem::MaybeUninit::uninit(); 512];
        let mut changes = inotify::Reader::new(&self.changes, &mut event);
        matches!(changes.next(), Err(rustix::io::Errno::WOULDBLOCK))
    }
}

/// Bits that others need of a file, and of a directory.
const READ: u32 = 0o4;
const READ_AND_ENTER: u32 = 0o5;

fn is_closed(found: &fs::Metadata) -> bool {
    let needed = if found.is_dir() { READ_AND_ENTER } else { READ };
    found.mode() & needed != needed
}

/// What the kernel follows of a path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Where the last part of a link's target lies, which may be a link again.
fn one_link_further(link: &Path) -> Option<PathBuf> {
    let target = link.parent()?.join(fs::read_link(link).ok()?);
    match (target.parent(), target.file_name()) {
        (Some(dir), Some(name)) => fs::canonicalize(dir).ok().map(|dir| dir.join(name)),
        _ => fs::canonicalize(&target).ok(),
    }
}

struct Search<'a> {
    roots: &'a [&'a Path],
    changes: Option<OwnedFd>,
    found: BTreeSet<PathBuf>,
}

impl Search<'_> {
    fn look_at(&mut self, path: &Path) {
        let Ok(found) = fs::symlink_metadata(path) else { return };
        if found.is_symlink() {
            self.look_behind(path);
        } else if is_closed(&found) {
            self.found.insert(path.to_owned());
        } else if found.is_dir() {
            self.look_into(path);
        }
    }

    /// What a link leads to may be elsewhere in what is shown of the system, where nothing else is looked at: it is watched
    /// by itself, and so is each link on the way to it. What comes to be later where a link leads nowhere stays unknown, as what others may read.
    fn look_behind(&mut self, link: &Path) {
        let Ok(target) = fs::canonicalize(link) else { return };
        let mut at = link.to_owned();
        for _ in 0..MOST_LINKS {
            let Some(next) = one_link_further(&at) else { break };
            if !self.roots.iter().any(|root| next.starts_with(root)) {
                let itself = WatchFlags::ATTRIB | WatchFlags::MOVE_SELF | WatchFlags::DONT_FOLLOW;
                self.watch(&next, itself);
            }
            at = next;
        }
        if fs::symlink_metadata(&target).is_ok_and(|found| is_closed(&found)) {
            self.found.insert(target);
        }
    }

    fn look_into(&mut self, dir: &Path) {
        self.watch(dir, WatchFlags::CREATE | WatchFlags::ATTRIB | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR);
        match fs::read_dir(dir) {
            Ok(entries) => entries.flatten().for_each(|entry| self.look_at(&entry.path())),
            Err(_) => drop(self.found.insert(dir.to_owned())),
        }
    }

    /// Before what is watched is looked at. What is reached by two names is watched for both.
    fn watch(&mut self, path: &Path, flags: WatchFlags) {
        let flags = flags | WatchFlags::MASK_ADD;
        self.changes.take_if(|changes| inotify::add_watch(changes, path, flags).is_err());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_may_not_read_is_known_as_soon_as_it_is_so() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        set(&dir, 0o755);
        let file = |name: &str, mode: u32| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            set(&path, mode);
            path
        };
        let (open, key, group) = (file("open", 0o644), file("deep/key", 0o600), file("group", 0o640));
        file("closed/inside", 0o644);
        set(&dir.join("closed"), 0o711);
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        symlink(elsewhere.path(), dir.join("link")).unwrap();
        let closed = Closed::default();
        let now = || closed.below(&[&dir]);
        let mut expected = vec![dir.join("closed"), key.clone(), group, elsewhere.path().to_owned()];
        expected.sort();
        assert_eq!(now(), expected);
        let looked = || closed.0.lock().unwrap().as_ref().unwrap().stands();
        assert!(looked(), "what is known is not looked for again");
        // A mode, a file that is written anew, a directory that comes with what is in it.
        set(&open, 0o600);
        assert!(now().contains(&open));
        fs::remove_file(&key).unwrap();
        let fresh = file("deep/.key.new", 0o600);
        fs::rename(fresh, dir.join("deep/key2")).unwrap();
        assert!(now().contains(&dir.join("deep/key2")));
        file("later/deeper/key", 0o600);
        assert!(now().contains(&dir.join("later/deeper/key")));
        set(&dir.join("later/deeper/key"), 0o644);
        assert!(!now().contains(&dir.join("later/deeper/key")));
        // What a link leads to elsewhere: its mode, and another file in its place.
        set(elsewhere.path(), 0o644);
        assert!(!now().contains(&elsewhere.path().to_owned()));
        set(elsewhere.path(), 0o600);
        assert!(now().contains(&elsewhere.path().to_owned()));
        set(elsewhere.path(), 0o644);
        assert!(!now().contains(&elsewhere.path().to_owned()));
        let fresh = tempfile::NamedTempFile::new_in(elsewhere.path().parent().unwrap()).unwrap();
        fs::rename(fresh.path(), elsewhere.path()).unwrap();
        assert!(now().contains(&elsewhere.path().to_owned()));
        assert!(looked(), "what a link leads to is looked at no more often");
        // A link on the way, that comes to lead to another file.
        let beyond = tempfile::tempdir().unwrap();
        let way = fs::canonicalize(beyond.path()).unwrap();
        let [hop, one, two] = ["hop", "one", "two"].map(|name| way.join(name));
        for (path, mode) in [(&one, 0o644), (&two, 0o600)] {
            fs::write(path, "x").unwrap();
            set(path, mode);
        }
        symlink(&one, &hop).unwrap();
        symlink(&hop, dir.join("chain")).unwrap();
        assert!(!now().contains(&one) && looked());
        symlink(&two, way.join("new")).unwrap();
        fs::rename(way.join("new"), &hop).unwrap();
        assert!(now().contains(&two));
    }
}
