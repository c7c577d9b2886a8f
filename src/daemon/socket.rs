//! Where a daemon listens: whom a client trusts there, and whom a daemon lets in.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{MetadataExt, PermissionsExt, chown},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

use super::LocalError;
use crate::files;

/// A daemon's socket, as a client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Socket {
    /// Where it lies.
    pub path: PathBuf,
    /// Who may listen there.
    pub trust: Trust,
}

/// Who may listen at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// This user, and nobody else.
    OwnUser,
    /// Whoever owns the directory that it lies in: for a path that the person named.
    Owner,
}

/// Who may call a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenTo {
    /// Its own user.
    OwnUser,
    /// Also members of this group, by the kernel's check of the socket and its directory; each with a token.
    Group(u32),
}

/// Where the listening socket comes from.
pub(crate) enum Listener {
    /// It is made here.
    Fresh,
    /// A service manager made it, and keeps it when the daemon ends.
    Handed(UnixListener),
}

impl Socket {
    /// A socket of this user's.
    pub(crate) fn own(path: PathBuf) -> Self {
        Self { path, trust: Trust::OwnUser }
    }

    /// Whether the peer that the kernel names may be listening here.
    pub(super) fn admits(&self, peer: u32) -> Result<(), LocalError> {
        let ours = rustix::process::getuid().as_raw();
        let trusted = match self.trust {
            Trust::OwnUser => peer == ours,
            Trust::Owner => owned_all_the_way(&self.path, peer, ours),
        };
        if trusted { Ok(()) } else { Err(LocalError::NotOurs(self.path.clone())) }
    }
}

/// Whether nobody but the peer, root and ourselves can have put something at this path: every directory above
/// it is one of theirs, and closed to writers, or one where only owners remove (sticky).
fn owned_all_the_way(socket: &Path, peer: u32, ours: u32) -> bool {
    let Ok(real) = fs::canonicalize(socket) else { return false };
    let mut above = real.ancestors().skip(1);
    let Some(Ok(dir)) = above.next().map(fs::symlink_metadata) else { return false };
    dir.uid() == peer
        && dir.mode() & 0o022 == 0
        && above.all(|dir| {
            fs::symlink_metadata(dir).is_ok_and(|dir| {
                [0, peer, ours].contains(&dir.uid()) && (dir.mode() & 0o022 == 0 || dir.mode() & 0o1000 != 0)
            })
        })
}

/// Listens at a path whose directory only those may enter whom the daemon is open to.
pub(super) fn listen(socket: &Path, open_to: OpenTo) -> Result<UnixListener, LocalError> {
    prepare_dir(socket.parent().unwrap_or(Path::new("/")), open_to)?;
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    match open_to {
        OpenTo::OwnUser => fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?,
        OpenTo::Group(group) => {
            chown(socket, None, Some(group))?;
            fs::set_permissions(socket, fs::Permissions::from_mode(0o660))?;
        }
    }
    Ok(listener)
}

/// The runtime directory: ours, nobody else's to write, and nobody's to enter but the group's.
fn prepare_dir(dir: &Path, open_to: OpenTo) -> Result<(), LocalError> {
    let mode = ours_to_write(dir)?;
    match open_to {
        OpenTo::OwnUser if mode & 0o077 == 0 => Ok(()),
        OpenTo::Group(group) if mode & 0o007 == 0 => {
            chown(dir, None, Some(group))?;
            Ok(fs::set_permissions(dir, fs::Permissions::from_mode(0o750))?)
        }
        _ => Err(LocalError::NotOurs(dir.to_owned())),
    }
}

/// Makes a directory, or makes sure that it is ours and that nobody else can put something into it. Returns
/// its mode.
pub(super) fn ours_to_write(dir: &Path) -> Result<u32, LocalError> {
    if !dir.is_dir() {
        files::create_private_dir(dir)?;
    }
    let found = fs::symlink_metadata(dir)?;
    let ours = found.is_dir() && found.uid() == rustix::process::getuid().as_raw();
    if ours && found.mode() & 0o022 == 0 {
        Ok(found.mode())
    } else {
        Err(LocalError::NotOurs(dir.to_owned()))
    }
}

/// The number of a group, by its name or as it is.
///
/// # Errors
/// [`LocalError::NoGroup`].
pub(crate) fn group(name: &str) -> Result<u32, LocalError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let found = nix::unistd::Group::from_name(name).map_err(io::Error::from)?;
    found.map(|group| group.gid.as_raw()).ok_or_else(|| LocalError::NoGroup(name.to_owned()))
}

/// The first descriptor that a service manager hands over (`sd_listen_fds(3)`).
const FIRST: i32 = 3;

/// The socket that a service manager handed to this very process, where its words say so: `pid` is whom it
/// meant, `count` how many. To be called before there is a fork, whose child is not meant.
///
/// # Errors
/// [`LocalError::Io`] where it is no listening Unix socket, or there are several.
pub(crate) fn handed_over(pid: Option<&str>, count: Option<&str>) -> Result<Listener, LocalError> {
    let meant = pid.is_some_and(|pid| pid == std::process::id().to_string());
    match count.filter(|_| meant) {
        None | Some("0") => Ok(Listener::Fresh),
        Some("1") => Ok(Listener::Handed(take(FIRST)?)),
        Some(_) => {
            Err(LocalError::Io(io::Error::other("the service manager hands over more than one socket")))
        }
    }
}

/// Takes a descriptor that the process was started with: the kernel looks it up in this process, so that
/// nothing rests on a number being right.
#[cfg(target_os = "linux")]
fn take(number: i32) -> io::Result<UnixListener> {
    use rustix::{
        net::{AddressFamily, sockopt},
        process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
    };
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    let taken: OwnedFd = pidfd_getfd(&this, number, PidfdGetfdFlags::empty())?;
    let domain = sockopt::socket_domain(&taken);
    if domain != Ok(AddressFamily::UNIX) || !sockopt::socket_acceptconn(&taken)? {
        return Err(io::Error::other("what the service manager handed over is not a listening Unix socket"));
    }
    // The copy closes itself when a program is started; the original, which nobody else here has, would not.
    nix::unistd::close(number)?;
    Ok(UnixListener::from(taken))
}

#[cfg(not(target_os = "linux"))]
fn take(_: i32) -> io::Result<UnixListener> {
    let _: fn(OwnedFd) -> UnixListener = UnixListener::from;
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_process_that_was_meant_takes_a_socket() {
        let this = std::process::id().to_string();
        for (pid, count) in
            [(None, Some("1")), (Some("1"), Some("1")), (Some(&*this), None), (Some(&this), Some("0"))]
        {
            assert!(matches!(handed_over(pid, count), Ok(Listener::Fresh)), "{pid:?} {count:?}");
        }
        assert!(handed_over(Some(&this), Some("2")).is_err());
    }

    #[test]
    fn a_path_that_others_could_have_made_is_not_trusted() {
        let ours = rustix::process::getuid().as_raw();
        let scene = tempfile::tempdir().unwrap();
        let dir = scene.path().join("run");
        files::create_private_dir(&dir).unwrap();
        let socket = Socket { path: dir.join("daemon.sock"), trust: Trust::Owner };
        assert!(socket.admits(ours).is_err(), "nobody listens there");
        fs::write(&socket.path, "").unwrap();
        assert!(socket.admits(ours).is_ok());
        assert!(socket.admits(ours + 1).is_err(), "the directory is another's");
        for (path, mode) in [(&*dir, 0o720), (&*dir, 0o702), (scene.path(), 0o777)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(socket.admits(ours).is_err(), "{mode:o}");
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        assert!(Socket::own(socket.path.clone()).admits(ours).is_ok());
        assert!(Socket::own(socket.path).admits(ours + 1).is_err());
    }

    #[test]
    fn groups_are_known_by_name_and_number() {
        assert_eq!(group("47").unwrap(), 47);
        assert!(matches!(group("no-such-group-4Hn8"), Err(LocalError::NoGroup(_))));
    }
}
