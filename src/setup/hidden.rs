//! What no run sees, whatever else of the user's home it is shown: other credentials, and the configurations
//! of MCP clients, in which people keep tokens of other servers.

use std::path::{Path, PathBuf};

use super::clients::CLIENTS;

/// Below the user's home.
const CREDENTIALS: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".config/gcloud",
    ".config/gh",
    ".config/glab-cli",
    ".config/op",
    ".config/sops",
    ".config/age",
    ".config/rclone",
    ".config/doctl",
    ".config/hub",
    ".config/heroku",
    ".config/stripe",
    ".config/google-chrome",
    ".config/chromium",
    ".config/autostart",
    ".config/systemd",
    ".oci",
    ".kube",
    ".docker",
    ".config/containers",
    ".terraform.d",
    ".terraformrc",
    ".vault-token",
    ".netrc",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".git-credentials",
    ".config/git/credentials",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".password-store",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".local/share/fish/fish_history",
    ".mozilla",
    ".thunderbird",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".psql_history",
    ".node_repl_history",
    ".claude",
    ".claude.json",
    ".codex",
    ".cursor",
    ".gemini",
    ".codeium",
    ".config/Claude",
    ".config/goose",
    ".config/opencode",
    ".config/zed",
    ".config/Code/User",
    ".local/share/opencode",
    ".wrangler",
    ".config/.wrangler",
    ".config/configstore",
    ".config/netlify",
    ".local/share/com.vercel.cli",
    ".fly",
    ".config/hcloud",
    ".config/ngrok",
    ".cloudflared",
    ".databrickscfg",
    ".sentryclirc",
    ".huggingface",
    ".cache/huggingface/token",
    ".composer/auth.json",
    ".config/composer/auth.json",
    ".bundle/config",
    ".subversion/auth",
    ".boto",
    ".s3cfg",
    ".config/keepassxc",
    ".config/BraveSoftware",
    ".config/microsoft-edge",
    ".config/Slack",
    ".config/discord",
    ".Xauthority",
    ".ICEauthority",
    ".mysql_history",
    ".sqlite_history",
    ".rediscli_history",
    ".viminfo",
    // Where container engines, virtual machines and key agents keep their sockets.
    ".colima",
    ".lima",
    ".orbstack",
    ".rd",
    ".minikube",
    ".local/share/containers",
    ".local/share/docker",
    ".1password",
    ".bitwarden-ssh-agent.sock",
    "Library/Keychains",
    "Library/Application Support/Claude",
];

/// Below a project, beside where [`CLIENTS`] have theirs.
const IN_PROJECTS: &[&str] = &[
    ".cursor/mcp.json",
    ".gemini/settings.json",
    ".codex/config.toml",
    ".claude/settings.local.json",
    ".roo/mcp.json",
    ".amazonq/mcp.json",
];

/// Sockets and state outside of it that are as good as being the user.
const SOCKETS: &[&str] =
    &["/run/docker.sock", "/var/run/docker.sock", "/run/podman", "/run/dbus", "/run/user"];

/// Credentials, clients' configurations, sockets: hidden unless a policy names them.
pub fn hidden_places(user_home: &Path) -> Vec<PathBuf> {
    let credentials = CREDENTIALS.iter().map(|path| user_home.join(path));
    let clients = CLIENTS.iter().filter_map(|(client, _, _)| client.file(user_home, user_home));
    let runtime = super::runtime_dir();
    credentials.chain(clients).chain(SOCKETS.iter().map(PathBuf::from)).chain(runtime).collect()
}

/// Clients' configurations in a project, relative to it.
pub fn hidden_in_projects() -> Vec<PathBuf> {
    let nowhere = Path::new("/");
    let files = CLIENTS.iter().filter_map(|(client, _, _)| {
        let (here, there) = (client.file(nowhere, Path::new("/a"))?, client.file(nowhere, Path::new("/b"))?);
        (here != there).then(|| here.strip_prefix("/a").map(Path::to_path_buf).ok()).flatten()
    });
    files.chain(IN_PROJECTS.iter().map(PathBuf::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clients_configuration_is_hidden() {
        let home = Path::new("/home/u");
        let hidden = hidden_places(home);
        let in_projects = hidden_in_projects();
        assert!(
            in_projects.contains(&".mcp.json".into()) && in_projects.contains(&".vscode/mcp.json".into())
        );
        for (client, word, _) in CLIENTS {
            let Some(file) = client.file(home, Path::new("/src/p")) else { continue };
            let covered = hidden.iter().any(|place| file.starts_with(place))
                || in_projects.iter().any(|name| Path::new("/src/p").join(name) == file);
            assert!(covered, "{word}: {}", file.display());
        }
    }
}
