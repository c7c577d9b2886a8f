//! Where a run starts is chosen by its caller, and where `{cwd}` is written that is a written place. A caller that starts it
//! in a control file would have that for one, in which nothing is called as a control file is.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{
    before::{NAMES_OF_A_REPOSITORY, is_repository},
    names::{ControlNames, Opened},
};
use crate::{policy::CWD, system};

/// Where a run starts outside of its private directories, links followed.
pub(in crate::run) struct Start {
    /// The directory.
    pub dir: PathBuf,
    /// The one that the policy names, and that it lies in: what that is is the policy's own word.
    pub root: PathBuf,
}

impl Start {
    /// The control file that the caller's choice would make a place to be written, if the policy does not open it.
    pub(in crate::run) fn leads_into(
        &self,
        write: &[PathBuf],
        names: &ControlNames,
        opened: &[PathBuf],
    ) -> Option<PathBuf> {
        let opened = Opened(opened.to_vec());
        let chosen = self.dir.strip_prefix(&self.root).ok().filter(|chosen| *chosen != Path::new(""))?;
        let below = write.iter().filter_map(|path| path.strip_prefix(CWD).ok());
        let mut places = below.map(|below| chosen.components().chain(below.components()).collect());
        places.find_map(|place: PathBuf| {
            let by_name = names.begun(&place, chosen.components().count(), &opened).map(Path::to_path_buf);
            by_name.or_else(|| self.repository(&place, chosen, &opened))
        })
    }

    /// A repository under any name in which a place lies. One that is itself the place is looked at as a whole.
    fn repository(&self, place: &Path, chosen: &Path, opened: &Opened) -> Option<PathBuf> {
        let is_there =
            |dir: &Path, name: &&OsStr| fs::symlink_metadata(self.root.join(dir).join(name)).is_ok();
        let found = chosen.ancestors().filter(|dir| *dir != Path::new("") && *dir != place).find(|dir| {
            let names = NAMES_OF_A_REPOSITORY.iter().map(OsStr::new);
            is_repository(names.filter(|name| is_there(dir, name)))
        })?;
        let opens = opened.opens(place, found, Path::new(system::GIT));
        (!opens).then(|| found.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(root: &Path, chosen: &str, write: &str, opened: &[&str]) -> Option<String> {
        let start = Start { dir: root.join(chosen), root: root.to_owned() };
        let names = ControlNames::with(vec![".claude".into(), ".vscode".into()]);
        let opened: Vec<PathBuf> = opened.iter().map(PathBuf::from).collect();
        start.leads_into(&[write.into()], &names, &opened).map(|path| path.display().to_string())
    }

    #[test]
    fn no_caller_makes_a_control_file_a_written_place() {
        let root = Path::new("/nowhere/project");
        for (chosen, write, expected) in [
            (".git/hooks", "{cwd}", Some(".git")),
            (".git", "{cwd}", Some(".git")),
            (".git", "{cwd}/hooks", Some(".git")),
            ("sub/.GIT/modules/x/hooks", "{cwd}", Some(".git")),
            (".vscode", "{cwd}", Some(".vscode")),
            (".github/workflows", "{cwd}", Some(".github")),
            ("a/.claude/commands", "{cwd}/out", Some(".claude")),
            (".idea", "{cwd}", Some(".idea")),
            // The way to one, of which the rest is no name of a control file.
            ("a/.cargo", "{cwd}", Some(".cargo/config")),
            ("a/.yarn", "{cwd}/releases", Some(".yarn/releases")),
            (".config", "{cwd}", Some(".config/autostart")),
            // A home's, and this is none.
            ("a/.config", "{cwd}", None),
            // The policy's own word.
            ("", "{cwd}/.github", None),
            ("sub", "{cwd}/.github", None),
            ("sub", "{cwd}", None),
            (".git/hooks", "/nowhere/else", None),
            (".cargo/registry", "{cwd}", None),
        ] {
            assert_eq!(leads(root, chosen, write, &[]).as_deref(), expected, "{chosen} {write}");
        }
        for (chosen, opened, expected) in [
            (".git/hooks", ".git/hooks", None),
            (".git/hooks", ".git/info", Some(".git")),
            (".git", ".git/hooks", Some(".git")),
            (".claude/worktrees/x", ".claude/worktrees", None),
            (".vscode", ".vscode/tasks.json", Some(".vscode")),
        ] {
            assert_eq!(leads(root, chosen, "{cwd}", &[opened]).as_deref(), expected, "{chosen} {opened}");
        }
    }

    #[test]
    fn a_repository_is_one_under_any_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["far/objects", "far/refs", "far/hooks"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("far/HEAD"), "ref: refs/heads/x").unwrap();
        let leads = |chosen, write, opened| leads(dir.path(), chosen, write, opened);
        assert_eq!(leads("far/hooks", "{cwd}", &[]).as_deref(), Some("far"));
        assert_eq!(leads("far", "{cwd}/hooks", &[]).as_deref(), Some("far"));
        assert_eq!(leads("far", "{cwd}", &[]), None, "it is looked at as a whole");
        assert_eq!(leads("far/hooks", "{cwd}", &[".git/hooks"]), None);
    }
}
