//! Which paths are control files, by their names alone, and which other written files a person should know of.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::system;

/// Control files by name: what other programs run or trust unasked.
#[derive(Debug)]
pub struct ControlNames {
    anywhere: Names,
    at_the_top: Names,
}

/// Names by their last part, as file systems that don't tell capitals apart have them.
#[derive(Debug, Default)]
struct Names(HashMap<OsString, Vec<PathBuf>>);

impl Names {
    fn of(paths: impl Iterator<Item = PathBuf>) -> Self {
        let mut names = Self::default();
        for path in paths {
            let last = path.file_name().unwrap_or_default().to_ascii_lowercase();
            names.0.entry(last).or_default().push(path);
        }
        names
    }

    fn ends(&self, path: &Path) -> Option<&Path> {
        let candidates = self.0.get(&path.file_name()?.to_ascii_lowercase())?;
        candidates.iter().map(PathBuf::as_path).find(|name| ends_with(path, name))
    }
}

impl ControlNames {
    /// Those of the system's list, and those of clients, relative to a project.
    pub fn with(clients: Vec<PathBuf>) -> Self {
        let own = system::CONTROL_FILES.iter().chain(&[system::GIT]).map(PathBuf::from);
        let home = system::CONTROL_FILES_OF_A_HOME.iter().map(PathBuf::from);
        Self { anywhere: Names::of(own.chain(clients)), at_the_top: Names::of(home) }
    }

    /// The name of a control file that a path ends with; paths are relative to a written place.
    pub(super) fn ends(&self, path: &Path) -> Option<&Path> {
        let top = || self.at_the_top.ends(path).filter(|name| parts(name) == parts(path));
        self.anywhere.ends(path).or_else(top)
    }

    /// The control file that a path is, or lies in: the outermost, and how it is called.
    pub(super) fn holding<'a>(&self, path: &'a Path) -> Option<(&'a Path, &Path)> {
        let mut above: Vec<&Path> = path.ancestors().filter(|part| *part != Path::new("")).collect();
        above.reverse();
        above.into_iter().find_map(|part| self.ends(part).map(|name| (part, name)))
    }
}

impl Default for ControlNames {
    fn default() -> Self {
        Self::with(Vec::new())
    }
}

fn parts(path: &Path) -> usize {
    path.components().count()
}

fn ends_with(path: &Path, name: &Path) -> bool {
    let mut path = path.components().rev();
    name.components()
        .rev()
        .all(|part| path.next().is_some_and(|own| own.as_os_str().eq_ignore_ascii_case(part.as_os_str())))
}

/// Control files that a policy opens, relative to a project.
#[derive(Debug, Clone, Default)]
pub(super) struct Opened(pub Vec<PathBuf>);

impl Opened {
    /// Whether a control file may be written as a whole.
    pub(super) fn whole(&self, name: &Path) -> bool {
        self.0.iter().any(|opened| name.starts_with(opened))
    }

    /// Whether something in it may.
    pub(super) fn part_of(&self, name: &Path) -> bool {
        self.0.iter().any(|opened| opened.starts_with(name))
    }

    /// Whether a path in a control file may be written: `unit` is the file's place, `name` how it is called.
    pub(super) fn opens(&self, path: &Path, unit: &Path, name: &Path) -> bool {
        let inner = path.strip_prefix(unit).unwrap_or(Path::new(""));
        self.whole(name) || self.whole(&name.join(inner))
    }
}

/// What a written file is that others will run, or run from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WrittenKind {
    /// What other programs run or trust unasked.
    Control,
    /// A program, or a script.
    Program,
    /// Configuration that tools which a person starts read, and run from.
    Config,
}

impl WrittenKind {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Program => "program",
            Self::Config => "config",
        }
    }
}

/// Whether a path lies in what a package manager unpacked, or in a repository.
pub(super) fn is_unpacked(path: &Path) -> bool {
    path.parent().is_some_and(|dir| {
        dir.components().any(|part| system::PACKAGES.iter().any(|name| part.as_os_str() == *name))
    })
}

/// Whether a file's directory makes it a program.
pub(super) fn is_in_program_dir(path: &Path) -> bool {
    let dir = path.parent().and_then(Path::file_name);
    dir.is_some_and(|dir| system::PROGRAM_DIRS.iter().any(|name| dir == *name))
}

/// Whether tools read their configuration from a file of this name.
pub(super) fn is_configuration(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let like = |(begins, ends): &(&str, &str)| {
        bytes.len() > begins.len() + ends.len()
            && bytes.starts_with(begins.as_bytes())
            && bytes.ends_with(ends.as_bytes())
    };
    system::CONFIGURATION.iter().any(|known| name == *known) || system::CONFIGURATION_LIKE.iter().any(like)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(path: &str) -> Option<(String, String)> {
        let names = ControlNames::with(vec![".claude".into(), ".mcp.json".into()]);
        let found = names.holding(Path::new(path));
        found.map(|(unit, name)| (unit.display().to_string(), name.display().to_string()))
    }

    #[test]
    fn control_files_are_known_wherever_they_lie() {
        for (path, expected) in [
            (".mcp.json", Some((".mcp.json", ".mcp.json"))),
            ("a/b/.mcp.json", Some(("a/b/.mcp.json", ".mcp.json"))),
            ("a/.claude/skills/x/SKILL.md", Some(("a/.claude", ".claude"))),
            ("a/.Claude/settings.json", Some(("a/.Claude", ".claude"))),
            ("sub/.cargo/config.toml", Some(("sub/.cargo/config.toml", ".cargo/config.toml"))),
            (".cargo/registry/x", None),
            ("sub/.git/hooks/pre-commit", Some(("sub/.git", ".git"))),
            (".bashrc", Some((".bashrc", ".bashrc"))),
            (".config/fish/config.fish", Some((".config/fish", ".config/fish"))),
            ("dotfiles/.bashrc", None),
            ("mise.toml", Some(("mise.toml", "mise.toml"))),
            ("src/main.rs", None),
            ("", None),
        ] {
            let expected = expected.map(|(unit, name)| (unit.to_owned(), name.to_owned()));
            assert_eq!(holding(path), expected, "{path}");
        }
    }

    #[test]
    fn a_policy_opens_them_by_name() {
        let opened = Opened(vec![".git/hooks".into(), ".vscode/settings.json".into(), ".husky".into()]);
        let opens = |path: &str, unit: &str, name: &str| {
            opened.opens(Path::new(path), Path::new(unit), Path::new(name))
        };
        assert!(opens("a/.husky/_/x", "a/.husky", ".husky"));
        assert!(opens("a/.vscode/settings.json", "a/.vscode", ".vscode"));
        assert!(!opens("a/.vscode/tasks.json", "a/.vscode", ".vscode"));
        assert!(opened.part_of(Path::new(".vscode")) && !opened.part_of(Path::new(".idea")));
        assert!(opened.whole(Path::new(".git/hooks")) && !opened.whole(Path::new(".git/info")));
    }

    #[test]
    fn what_tools_read_is_known_by_name() {
        for (name, expected) in [
            ("package.json", true),
            ("requirements-dev.txt", true),
            ("vite.config.ts", true),
            ("Dockerfile.dev", true),
            ("rules.mk", true),
            (".config.js", false),
            ("main.rs", false),
        ] {
            assert_eq!(is_configuration(OsStr::new(name)), expected, "{name}");
        }
        assert!(is_unpacked(Path::new("a/node_modules/x/.mcp.json")) && !is_unpacked(Path::new("a/vendor")));
        assert!(is_in_program_dir(Path::new(".venv/bin/python")));
    }
}
