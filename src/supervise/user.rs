//! Another user for runs, where the daemon has one of its own (tier 3). The supervisor of a run becomes that
//! user before it takes anything: no group of the daemon's, no capability, and no way to either.
//!
//! Between two users that are not root the kernel keeps every capability (`capabilities(7)`), so each set is
//! emptied by hand and read back.

use std::{fs, io, os::unix::fs::lchown, path::Path, path::PathBuf};

use nix::unistd::{Gid, Uid, User};

/// The user that runs are of: not root, and not whoever starts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    uid: u32,
    gid: u32,
    /// That user's home directory, for policies that ask for it.
    pub home: PathBuf,
}

/// Why runs can't be of another user.
#[derive(Debug, thiserror::Error)]
pub enum RunAsError {
    /// The system doesn't know the name.
    #[error("there is no user called {0}")]
    Unknown(String),
    /// Root, or root's group.
    #[error("runs can't be of root")]
    Root,
    /// Then nothing would be kept apart.
    #[error("runs are to be of another user than the daemon's own")]
    Own,
    /// The capabilities that it takes are missing.
    #[error("this process can't start anything as another user: it lacks {0}")]
    Incapable(String),
    /// The system has no such thing.
    #[error("runs of another user need Linux")]
    Unsupported,
    /// The operating system.
    #[error("the user can't be looked up: {0}")]
    Io(#[from] io::Error),
}

impl RunAs {
    /// A user by name or number, if this process can start runs as that one.
    ///
    /// # Errors
    /// [`RunAsError`].
    pub fn named(name: &str) -> Result<Self, RunAsError> {
        let user = match name.parse() {
            Ok(number) => User::from_uid(Uid::from_raw(number)),
            Err(_) => User::from_name(name),
        };
        let found = user.map_err(io::Error::from)?;
        let run_as = match (found, name.parse::<u32>()) {
            (Some(user), _) => Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir },
            // A number that no name stands for has its own as its group.
            (None, Ok(number)) => Self { uid: number, gid: number, home: PathBuf::from("/") },
            (None, Err(_)) => return Err(RunAsError::Unknown(name.to_owned())),
        };
        if run_as.uid == 0 || run_as.gid == 0 {
            return Err(RunAsError::Root);
        }
        if run_as.uid == Uid::effective().as_raw() {
            return Err(RunAsError::Own);
        }
        capable()?;
        Ok(run_as)
    }

    /// The words that tell a supervisor, as [`Self::from_words`] reads them.
    pub(crate) fn words(&self) -> [String; 2] {
        [self.uid.to_string(), self.gid.to_string()]
    }

    pub(crate) fn from_words(uid: &str, gid: &str) -> Option<Self> {
        Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: PathBuf::new() })
    }

    /// Hands what was made for a run to its user.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        lchown(path, Some(self.uid), Some(self.gid))
    }

    /// Becomes this user for good. Call it before there is a second thread.
    ///
    /// # Errors
    /// Where anything of what the process was is left.
    pub(crate) fn become_for_good(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return linux::become_for_good(Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        #[cfg(not(target_os = "linux"))]
        return Err(io::ErrorKind::Unsupported.into());
    }
}

/// Whether what a supervisor needs outlives the start of a program: by being root, or as an ambient capability.
fn capable() -> Result<(), RunAsError> {
    #[cfg(target_os = "linux")]
    return linux::capable();
    #[cfg(not(target_os = "linux"))]
    return Err(RunAsError::Unsupported);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
    use rustix::thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_ambient_set,
        capability_is_in_bounding_set, clear_ambient_capability_set, remove_capability_from_bounding_set,
        set_capabilities, set_no_new_privs,
    };

    use super::RunAsError;

    /// What the daemon needs, and the unit gives it: to become another user with groups and bounds of its
    /// own, to hand it its directory, and to end what it left.
    const NEEDED: [(CapabilitySet, &str); 5] = [
        (CapabilitySet::SETUID, "CAP_SETUID"),
        (CapabilitySet::SETGID, "CAP_SETGID"),
        (CapabilitySet::SETPCAP, "CAP_SETPCAP"),
        (CapabilitySet::CHOWN, "CAP_CHOWN"),
        (CapabilitySet::KILL, "CAP_KILL"),
    ];

    pub(crate) fn capable() -> Result<(), RunAsError> {
        let held = capabilities(None).map_err(io::Error::from)?;
        let root = Uid::effective().is_root();
        let mut missing = Vec::new();
        for (capability, name) in NEEDED {
            let kept = root || capability_is_in_ambient_set(capability).map_err(io::Error::from)?;
            if !kept || !held.effective.contains(capability) {
                missing.push(name);
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(RunAsError::Incapable(missing.join(", "))) }
    }

    pub(crate) fn become_for_good(uid: Uid, gid: Gid) -> io::Result<()> {
        // While there still is the capability to do so.
        for capability in CapabilitySet::all() {
            if capability_is_in_bounding_set(capability).unwrap_or(false) {
                remove_capability_from_bounding_set(capability)?;
            }
        }
        // Groups first: the change of the user can take away what it needs to change them (capabilities(7)).
        setgroups(&[])?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
        clear_ambient_capability_set()?;
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
        set_no_new_privs(true)?;
        let (users, groups) = (getresuid()?, getresgid()?);
        let held = capabilities(None)?;
        let switched = [users.real, users.effective, users.saved] == [uid; 3]
            && [groups.real, groups.effective, groups.saved] == [gid; 3]
            && getgroups()?.is_empty()
            && (held.effective | held.permitted | held.inheritable).is_empty()
            && setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_err();
        if switched { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_never_of_root_nor_of_whoever_starts_them() {
        for (name, root) in [("root", true), ("0", true), ("no-such-user-4Hn8", false)] {
            match RunAs::named(name) {
                Err(RunAsError::Root) => assert!(root, "{name}"),
                Err(RunAsError::Unknown(_)) => assert!(!root, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        let own = Uid::effective();
        if !own.is_root() {
            assert!(matches!(RunAs::named(&own.to_string()), Err(RunAsError::Own)));
        }
    }

    #[test]
    fn words_are_read_as_they_were_written() {
        let run_as = RunAs { uid: 47, gid: 48, home: PathBuf::new() };
        let [uid, gid] = run_as.words();
        assert_eq!(RunAs::from_words(&uid, &gid), Some(run_as));
        assert_eq!(RunAs::from_words("x", "1"), None);
    }
}
