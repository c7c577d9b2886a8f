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
            let last = folded(path.file_name().unwrap_or_default());
            names.0.entry(last).or_default().push(path);
        }
        names
    }

    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.values().flatten()
    }

    fn ends(&self, path: &Path) -> Option<&Path> {
        let candidates = self.0.get(&folded(path.file_name()?))?;
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

    /// The control file that a path is, lies in or leads to, if its name begins in the path's first parts, and it is not
    /// opened.
    pub(super) fn begun(&self, path: &Path, first: usize, opened: &Opened) -> Option<&Path> {
        let begins = |name: &&PathBuf, at: usize| {
            let rest: PathBuf = path.components().skip(at).collect();
            let mut both = rest.components().zip(name.components());
            let inner = rest.components().skip(parts(name));
            both.all(|(own, part)| folded(own.as_os_str()) == folded(part.as_os_str()))
                && !opened.whole(&name.components().chain(inner).collect::<PathBuf>())
        };
        let anywhere = self.anywhere.all().filter(|name| (0..first).any(|at| begins(name, at)));
        let at_the_top = self.at_the_top.all().filter(|name| begins(name, 0));
        anywhere.chain(at_the_top).min().map(PathBuf::as_path)
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
        .all(|part| path.next().is_some_and(|own| folded(own.as_os_str()) == folded(part.as_os_str())))
}

/// A name as file systems that don't tell capitals apart compare it. Beside ASCII's own letters two fold to one of ASCII:
/// the long s and the sign of the kelvin (Unicode's `CaseFolding.txt`).
fn folded(name: &OsStr) -> OsString {
    match name.to_str() {
        Some(text) if !text.is_ascii() => {
            text.replace('\u{17f}', "s").replace('\u{212a}', "k").to_ascii_lowercase().into()
        }
        _ => name.to_ascii_lowercase(),
    }
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
    is_checked(path) || {
        // A package of those that a project took in, not what lies beside them.
        let mut dirs = path.parent().unwrap_or(Path::new("")).components();
        dirs.any(|part| part.as_os_str() == system::TAKEN_IN) && dirs.next().is_some()
    }
}

/// Whether a path lies in what a package manager unpacks anew, or in a repository, and starts nothing by its mode alone.
pub(super) fn is_checked(path: &Path) -> bool {
    let dirs = path.ancestors().skip(1);
    dirs.into_iter().any(|dir| system::PACKAGES.iter().any(|packages| dir.ends_with(packages)))
}

/// Whether all that lies in a directory belongs to packages.
pub(super) fn holds_packages(dir: &Path) -> bool {
    is_unpacked(&dir.join(system::GIT))
}

/// Whether Python runs a file as it starts, wherever among its packages that lies (`site` of its library).
pub(super) fn is_run_by_python(path: &Path) -> bool {
    let is = |part: &OsStr| {
        let stem = part.as_bytes().split(|byte| *byte == b'.').next().unwrap_or_default();
        system::RUN_BY_PYTHON.iter().any(|name| stem == name.as_bytes())
    };
    let lies_in = path.parent().and_then(Path::file_name);
    path.extension().is_some_and(|extension| extension == "pth")
        || path.file_name().is_some_and(is)
        || lies_in.is_some_and(is)
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
        let names = ControlNames::with(vec![".claude".into(), ".mcp.json".into(), ".vscode".into()]);
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
            (".v\u{17f}code/tasks.json", Some((".v\u{17f}code", ".vscode"))),
            (".hu\u{17f}\u{212a}y/x", Some((".hu\u{17f}\u{212a}y", ".husky"))),
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
        for (path, unpacked, checked) in [
            ("a/node_modules/x/.mcp.json", true, true),
            (".cargo/registry/src/x/build.rs", true, true),
            ("a/vendor", false, false),
            ("a/vendor/.mcp.json", false, false),
            ("a/vendor/x/run", true, false),
            ("registry/run", false, false),
        ] {
            let found = (is_unpacked(Path::new(path)), is_checked(Path::new(path)));
            assert_eq!(found, (unpacked, checked), "{path}");
        }
        assert!(holds_packages(Path::new("a/vendor/x")) && !holds_packages(Path::new("a/vendor")));
        let python = |path: &str| is_run_by_python(Path::new(path));
        for path in ["x.pth", "lib/sitecustomize.py", "usercustomize/__init__.py", "sitecustomize.abi3.so"] {
            assert!(python(path), "{path}");
        }
        assert!(!python("lib/site.py"));
        assert!(is_in_program_dir(Path::new(".venv/bin/python")));
    }
}
