//! What programs are on this machine: where a policy's programs lie, and what they are.

use std::{
    collections::HashMap,
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use crate::{
    policy::{Document, Finding, Policy, Request, Resolved, Severity},
    sandbox::digest_program,
    system,
};

/// Digests of programs, kept for as long as the file stays the same (by inode, size and times).
#[derive(Default)]
pub(crate) struct Digests {
    known: Mutex<HashMap<(PathBuf, Stamp), [u8; 32]>>,
}

/// What tells one content of a file from another without reading it.
#[derive(PartialEq, Eq, Hash)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Digests {
    /// SHA-256 of a program's file.
    pub(crate) fn of(&self, program: &Path) -> io::Result<[u8; 32]> {
        let file = std::fs::metadata(program)?;
        let stamp = Stamp {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        };
        let key = (program.to_owned(), stamp);
        if let Some(digest) = self.known.lock().get(&key) {
            return Ok(*digest);
        }
        let digest = digest_program(program)?;
        self.known.lock().insert(key, digest);
        Ok(digest)
    }
}

/// Resolves a document's programs, and digests those that it pins.
pub(crate) fn resolve(document: &Document, machine: &ResolveContext) -> Result<Resolved, Vec<Finding>> {
    let mut resolved = Resolved {
        services: document.services(),
        home: machine.user_home.clone(),
        search: search_path(document, machine),
        ..Resolved::default()
    };
    let mut findings = Vec::new();
    for program in document.programs() {
        match find(&program.name, &resolved.search) {
            Some(path) => {
                if program.pin {
                    match digest_program(&path) {
                        Ok(digest) => drop(resolved.digests.insert(path.clone(), hex::encode(digest))),
                        Err(_) => findings.push(not_found(&program, &resolved.search)),
                    }
                }
                resolved.programs.insert(program.name.clone(), path);
            }
            None => findings.push(not_found(&program, &resolved.search)),
        }
    }
    match extra_ca(document, machine) {
        None => {}
        Some(Ok(pem)) => resolved.extra_ca = Some(pem),
        Some(Err(finding)) => findings.push(finding),
    }
    if findings.is_empty() { Ok(resolved) } else { Err(findings) }
}

/// The operator's roots, kept as they are now: what lies at the path later changes nothing.
fn extra_ca(document: &Document, machine: &ResolveContext) -> Option<Result<String, Finding>> {
    let (path, line) = document.extra_ca(&machine.user_home)?;
    let pem = std::fs::read_to_string(&path).ok().filter(|pem| crate::delivery::is_bundle(pem));
    Some(pem.ok_or_else(|| Finding {
        severity: Severity::Error,
        line,
        column: 1,
        message: format!("{} is not a file of certificates", path.display()),
        hint: "name a file with -----BEGIN CERTIFICATE----- in it".to_owned(),
    }))
}

/// Where a call's program lies under a policy that allows any; policies with patterns know already.
pub(crate) fn program_of(policy: &Policy, request: &Request) -> Option<PathBuf> {
    let name = request.command.first()?;
    find(name, &policy.resolved().search)
}

/// A directory counts only if it is absolute, not writable by everybody, and not below the working
/// directory: what an agent can write to must not decide what a name means.
fn search_path(document: &Document, machine: &ResolveContext) -> Vec<PathBuf> {
    let own = document.path_dirs(&machine.user_home);
    let operators = machine
        .path
        .iter()
        .filter(|dir| dir.is_absolute() && !dir.starts_with(&machine.cwd) && !world_writable(dir));
    let mut search: Vec<PathBuf> = Vec::new();
    for dir in own.into_iter().chain(operators.cloned()).chain(system::path()) {
        if !search.contains(&dir) {
            search.push(dir);
        }
    }
    search
}

fn world_writable(dir: &Path) -> bool {
    std::fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0)
}

fn find(name: &str, search: &[PathBuf]) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    let path = Path::new(name);
    if path.is_absolute() {
        return is_program(path).then(|| path.to_owned());
    }
    if name.contains('/') {
        return None;
    }
    search.iter().map(|dir| dir.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn not_found(program: &crate::policy::ProgramRef, search: &[PathBuf]) -> Finding {
    let dirs: Vec<String> = search.iter().map(|dir| dir.display().to_string()).collect();
    Finding {
        severity: Severity::Error,
        line: program.line,
        column: program.column,
        message: format!("the program {} isn't there, or can't be run", program.name),
        hint: format!(
            "install it, name it by its absolute path, or add its directory to [env] path (looked in {})",
            dirs.join(", ")
        ),
    }
}

/// What of this machine a policy is resolved against.
#[derive(Debug, Clone)]
pub(crate) struct ResolveContext {
    /// The user's home, for `~`.
    pub user_home: PathBuf,
    /// The operator's PATH.
    pub path: Vec<PathBuf>,
    /// The operator's working directory, below which no program is taken.
    pub cwd: PathBuf,
}
