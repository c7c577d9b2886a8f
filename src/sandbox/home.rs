//! What of a user's home a run is shown: by the list of what holds no credentials (`system::of_home`), never by one of what
//! does.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::system;

/// What of the list is there, each as it is reached without a link on the way to it.
pub(super) fn listed(home: &Path) -> impl Iterator<Item = PathBuf> {
    let direct = |path: &PathBuf| {
        let parent = path.parent();
        fs::symlink_metadata(path).is_ok()
            && parent.and_then(|dir| fs::canonicalize(dir).ok()).as_deref() == parent
    };
    system::of_home().map(move |part| home.join(part)).filter(direct)
}

/// What begins with a dot and is not on the list, as it is now: of a home that is shown as a whole, it isn't. Where a file
/// that is not on the list is a link, so is not what it leads to.
pub(super) fn unlisted(home: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    look_into(home, Path::new(""), &mut found);
    found
}

fn look_into(home: &Path, part: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(home.join(part)).into_iter().flatten().flatten() {
        let part = part.join(entry.file_name());
        if !begins_with_a_dot(&part) || system::of_home().any(|listed| part == Path::new(listed)) {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type().ok();
        if kind.is_some_and(|kind| kind.is_dir()) && holds_something_listed(&part) {
            look_into(home, &part, found);
            continue;
        }
        if kind.is_none_or(|kind| kind.is_symlink()) {
            found.extend(fs::canonicalize(&path).ok().filter(|target| target.is_file()));
        }
        found.push(path);
    }
}

fn begins_with_a_dot(part: &Path) -> bool {
    part.components().next().is_some_and(|first| OsStr::as_bytes(first.as_os_str()).starts_with(b"."))
}

fn holds_something_listed(part: &Path) -> bool {
    system::of_home().any(|listed| Path::new(listed).starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_home_only_what_is_listed_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(dir.path()).unwrap();
        for file in [
            ".cargo/bin/tool",
            ".cargo/credentials.toml",
            ".config/git/ignore",
            ".config/git/other",
            ".config/new-tool/login",
            ".gitconfig",
            ".newer",
            "notes",
            "dotfiles/zshrc",
            ".local/share/mise/x",
            ".local/share/other/x",
        ] {
            let path = home.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("dotfiles/zshrc", home.join(".zshrc")).unwrap();
        std::os::unix::fs::symlink("dotfiles", home.join(".rustup-link")).unwrap();
        let relative = |paths: Vec<PathBuf>| -> Vec<String> {
            let mut found: Vec<String> =
                paths.iter().map(|path| path.strip_prefix(&home).unwrap().display().to_string()).collect();
            found.sort();
            found
        };
        assert_eq!(
            relative(listed(&home).collect()),
            [".cargo/bin", ".config/git/ignore", ".gitconfig", ".local/share/mise"]
        );
        assert_eq!(
            relative(unlisted(&home)),
            [
                ".cargo/credentials.toml",
                ".config/git/other",
                ".config/new-tool",
                ".local/share/other",
                ".newer",
                ".rustup-link",
                ".zshrc",
                "dotfiles/zshrc",
            ]
        );
        for credentials in system::CREDENTIALS {
            let shown = |listed: &&str| Path::new(credentials).starts_with(listed);
            assert_eq!(system::of_home().find(shown), None, "{credentials}");
        }
    }
}
