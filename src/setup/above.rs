//! The directories above the home: whoever may write to one of them can put another home in its place.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Group, Uid, User};

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In such a directory nobody moves what is another's (inode(7)).
const STICKY: u32 = 0o1000;
/// Who has what belongs to nobody in this user namespace (user_namespaces(7)).
const UNMAPPED: u32 = 65534;

/// A directory in which others can exchange what leads to the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exposed {
    /// By its mode.
    Writable(PathBuf),
    /// As it is theirs, or as what lies in it is.
    Anothers(PathBuf),
}

impl Exposed {
    /// What is wrong, in words.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Writable(dir) => {
                format!("others may write to {}, and can put another home in its place", dir.display())
            }
            Self::Anothers(path) => {
                format!("{} belongs to another user, who can put another home in its place", path.display())
            }
        }
    }

    /// The command that changes it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::Writable(dir) => format!("chmod go-w {}", quoted(dir)),
            Self::Anothers(path) => {
                format!(
                    "set AUTHY_MCP_HOME to a directory of your own, or: chown {} {}",
                    Uid::current(),
                    quoted(path)
                )
            }
        }
    }
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    shlex::try_quote(&text).map_or(text.clone(), Into::into)
}

/// Every directory above a home, as it is named and as its links lead, in which others could exchange what follows.
pub(crate) fn exposed_above(home: &Path) -> Vec<Exposed> {
    let mut steps: BTreeSet<PathBuf> = home.ancestors().map(Path::to_owned).collect();
    let there = home.ancestors().find_map(|path| fs::canonicalize(path).ok());
    steps.extend(there.iter().flat_map(|path| path.ancestors()).map(Path::to_owned));
    let exposed = steps.iter().filter_map(|step| exposed_in(step.parent()?, step));
    let exposed: Vec<Exposed> = exposed.collect();
    // Several steps lead through one directory.
    exposed
        .iter()
        .enumerate()
        .filter(|(at, one)| !exposed[..*at].contains(one))
        .map(|(_, one)| one.clone())
        .collect()
}

/// Whether others could exchange `step`, which lies in `dir`.
fn exposed_in(dir: &Path, step: &Path) -> Option<Exposed> {
    // What isn't there yet is made by whoever makes the home.
    let above = fs::metadata(dir).ok()?;
    if !is_ours(above.uid()) {
        return Some(Exposed::Anothers(dir.to_owned()));
    }
    let others =
        above.mode() & OTHERS_WRITE != 0 || (above.mode() & GROUP_WRITES != 0 && !is_own_group(above.gid()));
    if !others {
        return None;
    }
    if above.mode() & STICKY == 0 {
        return Some(Exposed::Writable(dir.to_owned()));
    }
    match fs::symlink_metadata(step) {
        Ok(inside) if is_ours(inside.uid()) => None,
        Ok(_) => Some(Exposed::Anothers(step.to_owned())),
        Err(_) => None,
    }
}

fn is_ours(uid: u32) -> bool {
    [0, UNMAPPED, Uid::effective().as_raw()].contains(&uid)
}

/// Whether a group is this user's alone, as many systems make one for each user. Root's own is no such group.
fn is_own_group(gid: u32) -> bool {
    let uid = Uid::effective();
    let (Ok(Some(user)), Ok(Some(group))) = (User::from_uid(uid), Group::from_gid(Gid::from_raw(gid))) else {
        return false;
    };
    !uid.is_root()
        && user.gid == group.gid
        && user.name == group.name
        && group.mem.iter().all(|member| *member == user.name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_can_exchange_is_named_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        let (outer, inner) = (dir.join("outer"), dir.join("outer/inner"));
        fs::create_dir_all(&inner).unwrap();
        let home = inner.join("home/not/there");
        for (path, mode, exposed) in [
            (&outer, 0o755, false),
            (&outer, 0o777, true),
            (&outer, 0o1777, false),
            (&outer, 0o702, true),
            (&inner, 0o777, true),
            (&inner, 0o1777, false),
        ] {
            set(&outer, 0o700);
            set(&inner, 0o700);
            set(path, mode);
            let expected = if exposed { vec![Exposed::Writable(path.clone())] } else { Vec::new() };
            assert_eq!(exposed_above(&home), expected, "{} {mode:o}", path.display());
        }
        // A link that stands in such a directory is exchanged as well as a directory.
        set(&inner, 0o700);
        let open = dir.join("open");
        fs::create_dir(&open).unwrap();
        std::os::unix::fs::symlink(&inner, open.join("link")).unwrap();
        set(&open, 0o777);
        assert_eq!(exposed_above(&open.join("link/home")), [Exposed::Writable(open.clone())]);
        assert!(Exposed::Writable(open).remedy().starts_with("chmod go-w /"));
    }
}
