//! The stage of one run: its private directories, files and environment.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{
    Launch, RunError, digest_program,
    wire::{self, Session, Spec},
};
use crate::{
    name::SecretName,
    policy::{CwdTerm, HomeMode},
    store::files,
};

/// The directories that every PATH ends with.
const SYSTEM_PATH: [&str; 5] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin"];

/// What stands ready for the child; gone when this is dropped, or when the supervisor ends.
pub(super) struct Stage {
    pub spec: Spec,
    _scratch: TempDir,
}

impl Stage {
    /// Checks the program and the directory, and puts everything in place.
    pub(super) fn build(launch: &Launch, session: Session) -> Result<Self, RunError> {
        check_program(launch)?;
        let scratch = tempfile::Builder::new()
            .prefix("authy-mcp-run-")
            .tempdir()
            .map_err(|error| RunError::io("make its private directory", error))?;
        for dir in ["home", "work", "tmp", "files"] {
            files::create_private_dir(&scratch.path().join(dir))
                .map_err(|error| RunError::io("make its private directory", error))?;
        }
        let cwd = working_directory(&launch.cwd, scratch.path())?;
        let env = environment(launch, scratch.path())?;
        let spec = Spec {
            program: launch.program.clone(),
            argv: launch.argv.clone(),
            env,
            cwd,
            scratch: scratch.path().to_owned(),
            session,
            umask: super::tree::started_umask(),
        };
        Ok(Self { spec, _scratch: scratch })
    }
}

fn check_program(launch: &Launch) -> Result<(), RunError> {
    if !launch.program.is_file() {
        return Err(RunError::ProgramNotFound);
    }
    let Some(pin) = launch.pin else { return Ok(()) };
    match digest_program(&launch.program) {
        Ok(digest) if digest == pin => Ok(()),
        Ok(_) => Err(RunError::ProgramChanged),
        Err(_) => Err(RunError::ProgramNotFound),
    }
}

/// Links are followed first: what counts is where the directory is, not how it is called.
fn working_directory(cwd: &CwdTerm, scratch: &Path) -> Result<PathBuf, RunError> {
    let CwdTerm::Within { dir, roots } = cwd else { return Ok(scratch.join("work")) };
    let dir = fs::canonicalize(dir).map_err(|_| RunError::Cwd)?;
    let inside =
        roots.iter().filter_map(|root| fs::canonicalize(root).ok()).any(|root| dir.starts_with(root));
    if inside && dir.is_dir() { Ok(dir) } else { Err(RunError::Cwd) }
}

/// The whole environment: nothing is inherited.
#[expect(clippy::disallowed_methods, reason = "values are delivered here: into variables and private files")]
fn environment(launch: &Launch, scratch: &Path) -> Result<Vec<(String, Zeroizing<String>)>, RunError> {
    let mut env: Vec<(String, Zeroizing<String>)> = Vec::new();
    let mut set = |name: &str, value: &[u8]| env.push((name.to_owned(), wire::encode_value(value)));
    set("PATH", search_path(launch).as_bytes());
    let home = match launch.home {
        HomeMode::Private => scratch.join("home"),
        HomeMode::User => launch.user_home.clone(),
    };
    set("HOME", home.as_os_str().as_bytes());
    set("TMPDIR", scratch.join("tmp").as_os_str().as_bytes());
    if !launch.env.keys().any(|name| name.as_str() == "LANG") {
        set("LANG", b"C.UTF-8");
    }
    let mut paths: Vec<(SecretName, PathBuf)> = Vec::new();
    for (index, (name, secret, value)) in launch.file_secrets.iter().enumerate() {
        let path = scratch.join("files").join(index.to_string());
        files::create_private(&path, value.expose_secret())
            .map_err(|error| RunError::io("write a private file", error))?;
        set(name.as_str(), path.as_os_str().as_bytes());
        paths.push((secret.clone(), path));
    }
    for (name, secret, value) in &launch.env_secrets {
        if value.expose_secret().contains(&0) {
            return Err(RunError::NulInValue(secret.clone()));
        }
        set(name.as_str(), value.expose_secret());
    }
    for (name, text) in &launch.env {
        set(name.as_str(), with_files(text, &paths).as_bytes());
    }
    Ok(env)
}

/// Replaces `{file:NAME}` by the path of that secret's file.
fn with_files(text: &OsString, paths: &[(SecretName, PathBuf)]) -> OsString {
    let Some(text) = text.to_str() else { return text.clone() };
    let replaced = paths.iter().fold(text.to_owned(), |text, (secret, path)| {
        text.replace(&format!("{{file:{secret}}}"), &path.display().to_string())
    });
    replaced.into()
}

fn search_path(launch: &Launch) -> OsString {
    let system = SYSTEM_PATH.iter().map(PathBuf::from);
    let dirs = launch.path.iter().cloned().chain(system);
    let dirs: Vec<OsString> = dirs.map(PathBuf::into_os_string).collect();
    dirs.join(std::ffi::OsStr::new(":"))
}
