//! Directories as a policy writes them.

use std::path::{Component, Path, PathBuf};

/// `~` at the beginning is the operator's home.
pub(super) fn expand(dir: &str, home: &Path) -> PathBuf {
    match dir.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(dir),
    }
}

/// Whether a directory is one of the roots or lies below one, by its text: absolute, without `.` or `..`.
pub(super) fn lies_in(dir: &Path, roots: &[PathBuf]) -> bool {
    let plain = dir.is_absolute()
        && dir.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)))
        && !dir.as_os_str().as_encoded_bytes().contains(&0)
        && !dir.as_os_str().as_encoded_bytes().windows(3).any(|w| w == b"/./");
    plain && roots.iter().any(|root| dir.starts_with(root))
}
