//! Where things are on this machine: the home, the operator's environment, the clients' configurations.
//!
//! With the command line the only reader of home and environment; nothing here opens the vault.

pub(crate) mod above;
pub mod clients;
mod hidden;
pub mod importers;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;
use secrecy::SecretString;

use crate::broker::ResolveContext;

pub(crate) use hidden::{control_files, hidden_in_projects, hidden_places};

/// The variable that names the home.
pub(crate) const HOME: &str = "AUTHY_MCP_HOME";
/// The variable that may carry a session's bearer token.
pub(crate) const TOKEN: &str = "AUTHY_MCP_TOKEN";

/// The variable that names the daemon's socket.
pub(crate) const SOCKET: &str = "AUTHY_MCP_SOCKET";

/// The variable in which a run names the socket of its session; worth nothing outside its process tree.
pub(crate) const RUN: &str = "AUTHY_MCP_RUN";

/// Why this machine's facts can't be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// No home directory.
    #[error("there is no home directory: neither HOME nor the system's user list names one")]
    NoHome,
    /// The home that was named depends on where one is.
    #[error("{HOME} is not an absolute path")]
    RelativeHome,
    /// The working directory is gone.
    #[error("there is no working directory")]
    NoWorkingDirectory,
    /// This binary's own path can't be told.
    #[error("the path of this program can't be found")]
    NoBinary,
}

/// The home: `$AUTHY_MCP_HOME`, or `authy-mcp` in the platform's data directory.
///
/// # Errors
/// [`ConfigError`].
#[expect(clippy::disallowed_methods, reason = "the home is named by the environment")]
pub(crate) fn home() -> Result<PathBuf, ConfigError> {
    if let Some(named) = env::var_os(HOME).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        return if named.is_absolute() { Ok(named) } else { Err(ConfigError::RelativeHome) };
    }
    default_home()
}

/// The home where nothing is said.
///
/// # Errors
/// [`ConfigError::NoHome`].
pub(crate) fn default_home() -> Result<PathBuf, ConfigError> {
    let dirs = etcetera::base_strategy::choose_native_strategy().map_err(|_| ConfigError::NoHome)?;
    Ok(dirs.data_dir().join("authy-mcp"))
}

/// The user's home directory.
///
/// # Errors
/// [`ConfigError::NoHome`].
pub(crate) fn user_home() -> Result<PathBuf, ConfigError> {
    etcetera::home_dir().map_err(|_| ConfigError::NoHome)
}

/// The working directory.
///
/// # Errors
/// [`ConfigError::NoWorkingDirectory`].
pub(crate) fn cwd() -> Result<PathBuf, ConfigError> {
    env::current_dir().map_err(|_| ConfigError::NoWorkingDirectory)
}

/// Where Linux shows a process its own program (proc(5)).
pub(crate) const OWN_BINARY: &str = "/proc/self/exe";

/// This binary.
///
/// # Errors
/// [`ConfigError::NoBinary`].
pub(crate) fn binary() -> Result<PathBuf, ConfigError> {
    env::current_exe().map_err(|_| ConfigError::NoBinary)
}

/// What a policy is resolved against.
///
/// # Errors
/// [`ConfigError`].
pub(crate) fn machine() -> Result<ResolveContext, ConfigError> {
    Ok(ResolveContext { user_home: user_home()?, path: path_dirs(), cwd: cwd()? })
}

/// The operator's PATH.
#[expect(clippy::disallowed_methods, reason = "programs are looked for along the operator's PATH")]
pub(crate) fn path_dirs() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

/// The environment, less what is ours: a policy may pass variables of it to a child.
#[expect(clippy::disallowed_methods, reason = "a policy may pass variables of the server's environment")]
pub(crate) fn environment() -> BTreeMap<String, String> {
    let all = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    all.filter(|(name, _)| !name.starts_with("AUTHY_MCP_")).collect()
}

/// The user's runtime directory (XDG Base Directory Specification), where there is one.
#[expect(clippy::disallowed_methods, reason = "the runtime directory is named by the environment")]
pub(crate) fn runtime_dir() -> Option<PathBuf> {
    let named = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    named.filter(|dir| dir.is_absolute() && dir.is_dir())
}

/// All that a daemon gets of this process's environment: where things are.
#[expect(clippy::disallowed_methods, reason = "the daemon must find what this process finds")]
pub(crate) fn daemon_environment(home: &Path) -> Vec<(&'static str, std::ffi::OsString)> {
    let mut kept = vec![(HOME, home.as_os_str().to_owned())];
    for name in ["HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"] {
        kept.extend(env::var_os(name).map(|value| (name, value)));
    }
    kept
}

/// The daemon's socket, where the person names one.
#[expect(clippy::disallowed_methods, reason = "the daemon's socket may be named in the environment")]
pub(crate) fn socket() -> Option<PathBuf> {
    env::var_os(SOCKET).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty())
}

/// What a service manager says of the sockets that it hands over: to whom, and how many (`sd_listen_fds(3)`).
#[expect(clippy::disallowed_methods, reason = "a service manager speaks by the environment")]
pub(crate) fn listen_words() -> (Option<String>, Option<String>) {
    (env::var("LISTEN_PID").ok(), env::var("LISTEN_FDS").ok())
}

/// The socket of the run whose process tree this process is in.
#[expect(clippy::disallowed_methods, reason = "a run says in the environment that it has a session to give")]
pub(crate) fn run_socket() -> Option<PathBuf> {
    env::var_os(RUN).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The bearer token that whoever started the process put into its environment.
#[expect(clippy::disallowed_methods, reason = "a client may hand its token over in the environment")]
pub(crate) fn token() -> Option<SecretString> {
    env::var(TOKEN)
        .ok()
        .filter(|token| !token.trim().is_empty())
        .map(|token| SecretString::from(token.trim()))
}

/// Whether colours are unwelcome (no-color.org).
#[expect(clippy::disallowed_methods, reason = "a terminal's wishes are in the environment")]
pub(crate) fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The home as it is given to a client: nothing where it is the default.
pub(crate) fn home_for_clients(home: &Path) -> Option<PathBuf> {
    (default_home().ok().as_deref() != Some(home)).then(|| home.to_owned())
}
