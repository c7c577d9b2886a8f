//! What a policy's promises stand on: who can change the files that decide what a command does. The policy says which
//! paths are in question; here they are looked at, again for every request, and nothing of it is kept.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::refusal::{Code, Refusal};
use crate::{
    policy::{CwdTerm, Found, Ground, Hold, Policy, ProgramMark, RunTerms},
    sandbox::digest_program,
};

/// Bits of a mode that let others than the owner write. With an access list, the group's bits are the most that it
/// gives anybody (acl(5)), so that these two show its writers, too.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Access lists of other kinds, which a mode does not show.
const OTHER_LISTS: [&str; 3] = ["system.nfs4_acl", "system.richacl", "system.cifs_acl"];

/// The policy, on this machine as it is now.
pub(crate) fn look(policy: Policy) -> Policy {
    let wanted = policy.ground_in_question();
    let mut looked = Looked::default();
    let paths = wanted.into_iter().map(|path| {
        let found = looked.found(&path);
        (path, found)
    });
    let changed = policy.programs_under_review().filter(|(path, mark)| has_changed(path, mark));
    let ground = Ground { paths: paths.collect(), changed: changed.map(|(path, _)| path.clone()).collect() };
    policy.on(ground)
}

/// What one look has found: paths share most of the directories on the way to them, and each is looked at once.
#[derive(Default)]
struct Looked {
    /// Where a path leads.
    real: HashMap<PathBuf, Option<PathBuf>>,
    administrators: HashMap<PathBuf, bool>,
}

/// So many links may follow one another (path_resolution(7)).
const MOST_LINKS: u32 = 40;

impl Looked {
    fn found(&mut self, path: &Path) -> Found {
        let real = self.existing(path);
        // To root every file is its own: whoever calls as root, or has the person's hands, changes what they like.
        let root = rustix::process::geteuid().is_root() || rustix::process::getuid().is_root();
        let held = !root
            && real.as_deref().is_some_and(|real| self.administrators_alone(real))
            && self.administrators_alone(path);
        Found {
            hold: if held { Hold::Administrators } else { Hold::Anybodys },
            real: real.unwrap_or_else(|| path.to_owned()),
        }
    }

    /// Where a path leads; for one that isn't there, where it would be made.
    fn existing(&mut self, path: &Path) -> Option<PathBuf> {
        path.ancestors().find_map(|part| self.real(part, MOST_LINKS))
    }

    /// As `realpath` has it; nothing for what isn't there.
    fn real(&mut self, path: &Path, links: u32) -> Option<PathBuf> {
        if let Some(known) = self.real.get(path) {
            return known.clone();
        }
        let real = match (path.parent(), path.file_name()) {
            (None, _) => path.has_root().then(|| path.to_owned()),
            (Some(parent), Some(name)) => {
                self.real(parent, links).and_then(|parent| self.real_in(&parent, Path::new(name), links))
            }
            (Some(_), None) => fs::canonicalize(path).ok(),
        };
        self.real.insert(path.to_owned(), real.clone());
        real
    }

    fn real_in(&mut self, parent: &Path, name: &Path, links: u32) -> Option<PathBuf> {
        let here = parent.join(name);
        match fs::read_link(&here) {
            Ok(target) => self.real(&parent.join(target), links.checked_sub(1)?),
            // It is there, and no link.
            Err(error) => (error.raw_os_error() == Some(Errno::INVAL.raw_os_error())).then_some(here),
        }
    }

    fn administrators_alone(&mut self, path: &Path) -> bool {
        path.is_absolute()
            && path.ancestors().all(|part| {
                *self.administrators.entry(part.to_owned()).or_insert_with(|| is_administrators(part))
            })
    }
}

/// Whether nobody but root can change what lies at a path, or put another there: it and every directory above it
/// are root's, and nobody else may write them. A link is its directory's to change.
pub(crate) fn administrators_alone(path: &Path) -> bool {
    Looked::default().administrators_alone(path)
}

fn is_administrators(part: &Path) -> bool {
    match fs::symlink_metadata(part) {
        // What isn't there is as safe as the directory in which it would be made.
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        Ok(found) if found.uid() != 0 => false,
        Ok(found) if found.file_type().is_symlink() => true,
        Ok(found) => {
            found.mode() & WRITABLE_BY_OTHERS == 0 && !OTHER_LISTS.iter().any(|list| has(part, list))
        }
    }
}

fn has(path: &Path, attribute: &str) -> bool {
    rustix::fs::lgetxattr(path, attribute, &mut [0_u8; 0][..]).is_ok_and(|length| length > 0)
}

/// By what a program is known again.
pub(crate) fn mark(path: &Path) -> std::io::Result<ProgramMark> {
    Ok(ProgramMark { stamp: stamp(path)?, sha256: hex::encode(digest_program(path)?) })
}

/// What can't be the same for another content, unless root made it so.
fn stamp(path: &Path) -> std::io::Result<String> {
    let found = fs::metadata(path)?;
    Ok(format!(
        "{} {} {}.{} {}.{}",
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec()
    ))
}

fn has_changed(path: &Path, mark: &ProgramMark) -> bool {
    let same = stamp(path).is_ok_and(|stamp| stamp == mark.stamp)
        || digest_program(path).is_ok_and(|digest| hex::encode(digest) == mark.sha256);
    !same
}

/// Whether the files that a call named by a type are where the policy says, once links are followed.
///
/// # Errors
/// A refusal that says no more than the argument did.
pub(crate) fn confine(terms: &RunTerms) -> Result<(), Refusal> {
    let cwd = match &terms.cwd {
        CwdTerm::Private => None,
        CwdTerm::Within { dir, .. } => fs::canonicalize(dir).ok(),
    };
    for (glob, text) in &terms.paths {
        let (directory, path) = (glob.directory(), Path::new(text));
        let held = match (path.is_absolute(), &cwd) {
            // Nothing lies in a private directory yet that a link could lead out of.
            (false, None) => true,
            (false, Some(cwd)) => lies_in(&cwd.join(path), &cwd.join(&directory), glob),
            (true, _) => lies_in(path, &firm(&directory), glob),
        };
        if !held {
            return Err(leads_elsewhere(&directory));
        }
    }
    Ok(())
}

/// A directory, with the links followed that only the administrator can have made; any other could be the caller's.
fn firm(directory: &Path) -> PathBuf {
    let firm = directory.ancestors().find(|part| administrators_alone(part));
    let real = firm.and_then(|firm| Some((fs::canonicalize(firm).ok()?, directory.strip_prefix(firm).ok()?)));
    real.map_or_else(|| directory.to_owned(), |(real, rest)| real.join(rest))
}

/// Whether a path leads to where it says: below the directory, whose own links are not followed.
fn lies_in(path: &Path, directory: &Path, glob: &crate::policy::PathGlob) -> bool {
    let real = fs::canonicalize(path).ok().or_else(|| {
        // What isn't there may be made there, unless a link that leads nowhere yet has its name.
        let new = fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        let parent = path.parent().filter(|_| new)?;
        Some(fs::canonicalize(parent).ok()?.join(path.file_name()?))
    });
    real.is_some_and(|real| real.strip_prefix(directory).is_ok_and(|below| glob.fits_below(below)))
}

fn leads_elsewhere(directory: &Path) -> Refusal {
    let place = if directory.as_os_str().is_empty() { Path::new("where runs start") } else { directory };
    Refusal::new(
        Code::CommandNotAllowed,
        format!("a path of the command is not in {}, once links are followed", place.display()),
        "name a file that is there and no link to elsewhere",
    )
}

/// The digests that a pinned run must have beside its program's, each with where the file is now.
///
/// # Errors
/// The path of a file that isn't what it was, or isn't there.
pub(crate) fn pinned_files(terms: &RunTerms) -> Result<Vec<(PathBuf, [u8; 32])>, PathBuf> {
    let cwd = match &terms.cwd {
        CwdTerm::Private => Path::new("/"),
        CwdTerm::Within { dir, .. } => dir,
    };
    let files = terms.pinned.files.iter().map(|(text, sha256)| {
        let path = cwd.join(text);
        let real = fs::canonicalize(&path).map_err(|_| path.clone())?;
        let found = digest_program(&real).map_err(|_| path.clone())?;
        if hex::encode(found) == *sha256 { Ok((real, found)) } else { Err(path) }
    });
    files.collect()
}

/// The first interpreter that isn't one that ran the pinned program.
pub(crate) fn strange_interpreter<'a>(
    terms: &RunTerms,
    chain: &'a [(PathBuf, [u8; 32])],
) -> Option<&'a Path> {
    let known: &BTreeMap<PathBuf, String> = terms.pinned.interpreters.as_ref()?;
    let strange = |(path, digest): &&(PathBuf, [u8; 32])| known.get(path) != Some(&hex::encode(digest));
    chain.iter().skip(1).find(strange).map(|(path, _)| path.as_path())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_what_nobody_else_may_write_is_the_administrators() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            !administrators_alone(&dir.path().join("nothing")),
            "below a directory that everybody writes"
        );
        assert!(!administrators_alone(Path::new("bin/true")));
        assert!(administrators_alone(Path::new("/usr/bin/env")), "a system that its users may write");
        assert!(administrators_alone(Path::new("/usr/bin/authy-mcp-nothing-by-this-name")));
        let file = dir.path().join("tool");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(!administrators_alone(&file));
        let link = dir.path().join("link");
        symlink("/usr/bin/env", &link).unwrap();
        let found = |path: &Path| Looked::default().found(path);
        assert_eq!(found(&link).hold, Hold::Anybodys, "whoever has the link's directory has the program");
        assert_eq!(found(&link).real, fs::canonicalize("/usr/bin/env").unwrap());
    }

    #[test]
    fn one_look_finds_where_every_path_leads() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("deep/er")).unwrap();
        fs::write(at("deep/file"), "").unwrap();
        for (target, name) in [
            ("deep", "by-name"),
            ("by-name/../deep/er", "by-dots"),
            ("deep/file", "to-a-file"),
            ("loop", "loop"),
            ("gone", "nowhere"),
        ] {
            symlink(target, at(name)).unwrap();
        }
        symlink(at("by-name"), at("by-root")).unwrap();
        let mut looked = Looked::default();
        for path in [
            at("deep/er"),
            at("by-name/er"),
            at("by-name/file"),
            at("by-dots"),
            at("by-root/er/../file"),
            at("to-a-file"),
            at("to-a-file/below"),
            at("loop/x"),
            at("nowhere"),
            at("gone"),
            at("deep/er/.."),
            "/".into(),
            "/usr/bin/env".into(),
            "/bin/env".into(),
        ] {
            assert_eq!(looked.real(&path, MOST_LINKS), fs::canonicalize(&path).ok(), "{}", path.display());
        }
    }

    #[test]
    fn a_reviewed_program_is_known_again_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("tool"), dir.path().join("other"));
        fs::write(&file, "one").unwrap();
        let seen = mark(&file).unwrap();
        assert!(!has_changed(&file, &seen));
        fs::write(&other, "one").unwrap();
        fs::rename(&other, &file).unwrap();
        assert!(!has_changed(&file, &seen), "another file with the same content is the same program");
        fs::write(&file, "two").unwrap();
        assert!(has_changed(&file, &seen));
        fs::remove_file(&file).unwrap();
        assert!(has_changed(&file, &seen));
    }
}
