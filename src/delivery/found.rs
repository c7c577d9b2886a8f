//! What the program of a sealed run finds in the place of the system's files: names and roots, for clients that ask no
//! variable.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Outfit;
use crate::{
    policy::RunTerms,
    proxy::{Egress, RESOLVER, hosts_first},
    system,
};

/// Versions of a language below one prefix that are looked at.
const MOST_VERSIONS: usize = 8;

/// Puts them among the run's files. `bundle` is what its file of roots is called there already.
pub(super) fn put(outfit: &mut Outfit, egress: &Egress, terms: &RunTerms, bundle: &str) {
    let switch = fs::read_to_string(system::NAME_SERVICES).unwrap_or_default();
    let resolver = format!("nameserver {}\n", RESOLVER.ip());
    for (place, text) in [
        (system::HOSTS, egress.hosts_file()),
        (system::NAME_SERVICES, hosts_first(&switch)),
        (system::RESOLVER_FILE, resolver),
    ] {
        lay_over(outfit, place, || Some(text.into_bytes()), [PathBuf::from(place)]);
    }
    let prefixes = prefixes(terms);
    let python = prefixes.iter().flat_map(|prefix| certifi(prefix));
    lay_over(outfit, bundle, || None, system::CERTIFICATES.iter().map(PathBuf::from).chain(python));
    let beside = prefixes.iter().flat_map(|prefix| system::KEYSTORES_OF_JAVA.map(|store| prefix.join(store)));
    let stores = system::KEYSTORES.iter().map(PathBuf::from).chain(beside);
    lay_over(outfit, "authy-mcp//roots.jks", || Some(egress.java_roots()), stores);
}

/// What is not there needs nothing over it, and is not made.
fn lay_over(
    outfit: &mut Outfit,
    called: &str,
    make: impl FnOnce() -> Option<Vec<u8>>,
    places: impl IntoIterator<Item = PathBuf>,
) {
    let mut found: Vec<PathBuf> =
        places.into_iter().filter_map(|place| fs::canonicalize(place).ok()).collect();
    found.sort();
    found.dedup();
    if !found.is_empty() {
        outfit.materials.files.extend(make().map(|bytes| (called.to_owned(), bytes)));
        outfit.materials.covers.push((called.to_owned(), found));
    }
}

/// Where an interpreter of the run lies with what belongs to it: of the directories of `[env] path`, the one of the program,
/// and the one that a link of the program's leads to.
fn prefixes(terms: &RunTerms) -> Vec<PathBuf> {
    let program = [Some(terms.program.clone()), fs::canonicalize(&terms.program).ok()];
    let beside = program.iter().flatten().filter_map(|program| program.parent());
    let dirs = terms.path.iter().map(PathBuf::as_path).chain(beside);
    let prefixes = dirs.filter(|dir| dir.ends_with("bin")).filter_map(Path::parent);
    let mut prefixes: Vec<PathBuf> = prefixes.map(Path::to_path_buf).collect();
    prefixes.sort();
    prefixes.dedup();
    prefixes
}

/// The roots that Python's packages bring with them, of a virtual environment or an installation by itself. The system's
/// own packages read the system's.
fn certifi(prefix: &Path) -> Vec<PathBuf> {
    if [Path::new("/"), Path::new("/usr")].contains(&prefix) {
        return Vec::new();
    }
    let versions = fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten();
    let versions = versions.filter(|entry| entry.file_name().to_string_lossy().starts_with("python"));
    let packages = versions.take(MOST_VERSIONS).map(|entry| entry.path().join("site-packages"));
    packages.flat_map(|packages| system::PYTHON_ROOTS.map(|roots| packages.join(roots))).collect()
}
