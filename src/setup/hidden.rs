//! What no run sees, whatever else of the user's home it is shown: other credentials, and the configurations
//! of MCP clients, in which people keep tokens of other servers.

use std::path::{Path, PathBuf};

use super::clients::Clients;
use crate::system;

/// Credentials, clients' configurations, sockets: hidden unless a policy names them.
pub(crate) fn hidden_places(user_home: &Path) -> Vec<PathBuf> {
    let credentials = system::CREDENTIALS.iter().map(|path| user_home.join(path));
    let clients = Clients::all().hidden_in_home(user_home);
    let runtime = super::runtime_dir();
    credentials.chain(clients).chain(system::SOCKETS.iter().map(PathBuf::from)).chain(runtime).collect()
}

/// Clients' configurations in a project, relative to it.
pub(crate) fn hidden_in_projects() -> Vec<PathBuf> {
    let clients = Clients::all().hidden_in_projects().into_iter();
    clients.chain(system::TOKENS_IN_PROJECTS.iter().map(PathBuf::from)).collect()
}

/// What clients start or trust unasked in a project, relative to it: a run may read and never write it.
pub(crate) fn control_files() -> Vec<PathBuf> {
    Clients::all().control_files()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_reads_in_a_project_is_no_runs_to_write() {
        let control = control_files();
        for client in Clients::all().rows() {
            let Some(file) = client.file(Path::new("/home/u"), Path::new("/src/p")) else { continue };
            let Ok(in_project) = file.strip_prefix("/src/p") else { continue };
            let covered = control.iter().any(|name| in_project.starts_with(name));
            assert!(covered, "{}: {}", client.word, file.display());
        }
        for name in hidden_in_projects() {
            let lists =
                control.iter().map(PathBuf::as_path).chain(system::CONTROL_FILES.iter().map(Path::new));
            assert!(lists.into_iter().any(|control| name.starts_with(control)), "{}", name.display());
        }
    }

    #[test]
    fn every_clients_configuration_is_hidden() {
        let home = Path::new("/home/u");
        let hidden = hidden_places(home);
        let in_projects = hidden_in_projects();
        assert!(
            in_projects.contains(&".mcp.json".into()) && in_projects.contains(&".vscode/mcp.json".into())
        );
        for client in Clients::all().rows() {
            let Some(file) = client.file(home, Path::new("/src/p")) else { continue };
            let covered = hidden.iter().any(|place| file.starts_with(place))
                || in_projects.iter().any(|name| Path::new("/src/p").join(name) == file);
            assert!(covered, "{}: {}", client.word, file.display());
        }
    }
}
