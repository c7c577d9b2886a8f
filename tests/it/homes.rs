//! What a run is shown of its user's home, and of what only root reads on the machine.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use crate::stage::Stage;

const MARKER: &str = "kX93-in-a-file-of-the-home";

/// Where programs keep logins, none of which is on a list of ours.
const LOGINS: [&str; 42] = [
    ".acme/account.conf",
    ".airflow/airflow.cfg",
    ".appveyor/token",
    ".b2_account_info",
    ".bluemix/config.json",
    ".config/acli/jira_config.yaml",
    ".config/b2/account_info",
    ".config/cachix/cachix.dhall",
    ".config/checkov/creds",
    ".config/cloudctl/token",
    ".config/deployer/session.json",
    ".config/etcdctl/auth",
    ".config/fastly/config.toml",
    ".config/gitea/token",
    ".config/imapfilter/config.lua",
    ".config/linode-cli",
    ".config/newtool/login.json",
    ".config/nats/context/prod.json",
    ".config/oauth2l/cache",
    ".config/pulsectl/key",
    ".config/scw/config.yaml",
    ".config/shodan/api_key",
    ".config/upcloud.yml",
    ".config/vultr-cli.yaml",
    ".consul-token",
    ".dropbox_uploader",
    ".exercism/user.json",
    ".floo/login",
    ".gist",
    ".influxdbv2/configs",
    ".launchdarkly/cred",
    ".local/share/newtool/auth.json",
    ".mc/config.json",
    ".new-assistant/session.json",
    ".nomad-token",
    ".pulumi/credentials.json",
    ".rnd-wallet/key",
    ".secrets",
    ".sfdx/org.json",
    ".spaceship/token",
    ".twurlrc",
    ".zowe/profile.yaml",
];

fn stage(env: &str, sandbox: &str) -> Stage {
    let stage = Stage::new();
    stage.set("a/key", b"sk-contained-7Qm2vXz9LrT4");
    let text = format!(
        "scope = \"s\"\n[env]\n{env}\n[sandbox]\n{sandbox}\n[[allow]]\nsecrets = [\"a/key\"]\ndeliver = \"env\"\n\
         commands = \"any\"\n"
    );
    stage.policy(&text);
    stage
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn run(stage: &Stage, script: &str) -> Value {
    stage.serve("s").run(json!({"command": ["/bin/sh", "-c", script], "secrets": ["a/key"]}))
}

/// Every file below the home that can be read, and whether one holds the marker.
fn reads(stage: &Stage) -> (Vec<String>, Value) {
    let home = stage.dir.path().display().to_string();
    let result = run(
        stage,
        &format!("grep -rls . {home}/ 2>/dev/null; grep -rc {MARKER} {home}/ 2>/dev/null | grep -v ':0$'"),
    );
    let said = result["stdout"].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<String> =
        said.lines().filter_map(|line| line.strip_prefix(&format!("{home}/"))).map(str::to_owned).collect();
    found.sort();
    (found, result)
}

#[test]
fn no_login_of_a_home_is_read_whether_a_list_knows_it_or_not() {
    let rows = [
        ("home = \"user\"", ""),
        ("", "read = [\"~\"]"),
        ("home = \"user\"", "read = [\"~\"]"),
        // By other ways than its own name.
        ("", "cwd = [\"~\"]"),
        ("", "cwd = [\"~\"]\nread = [\"{cwd}\"]"),
        ("path = [\"~\"]", ""),
    ];
    for (env, sandbox) in rows {
        let stage = stage(env, sandbox);
        let home = stage.dir.path();
        for path in LOGINS.into_iter().chain([".ssh/id_ed25519", ".aws/credentials", ".bashrc"]) {
            put(&home.join(path), MARKER);
        }
        put(&home.join(".cargo/bin/tool"), "tool");
        put(&home.join(".gitconfig"), "[user]\n\tname = Ann\n");
        put(&home.join(".cargo/config.toml"), "[registries.own]\ntoken = \"cioYxJ4vK0eQz7LmN3pR8sT2uW\"\n");
        put(&home.join("work/notes"), "notes");
        let (found, result) = reads(&stage);
        let expected: &[&str] = match (env, sandbox) {
            ("home = \"user\"", "") => &[".cargo/bin/tool", ".gitconfig"],
            _ => &[".cargo/bin/tool", ".gitconfig", "work/notes"],
        };
        let found: Vec<&String> = found.iter().filter(|path| *path != "policy.toml").collect();
        assert_eq!(found, expected, "{env} {sandbox}: {result}");
    }
}

/// An agent with a shell of its own makes one.
#[test]
fn where_a_run_starts_is_where_a_link_leads_to() {
    let stage = stage("", "cwd = [\"~\"]");
    let home = stage.dir.path();
    put(&home.join(".gitconfig"), "[user]\n\tname = Ann\n");
    put(&home.join(".cargo/config.toml"), "[registries.own]\ntoken = \"cioYxJ4vK0eQz7LmN3pR8sT2uW\"\n");
    let link = home.join("link");
    std::os::unix::fs::symlink(home, &link).unwrap();
    let script = format!("cat {0}/.gitconfig {0}/.cargo/config.toml 2>/dev/null", home.display());
    let result = stage
        .serve("s")
        .run(json!({"command": ["/bin/sh", "-c", script], "secrets": ["a/key"], "cwd": link}));
    assert_eq!(result["stdout"], "[user]\n\tname = Ann\n", "{result}");
}

#[test]
fn what_the_policy_names_of_a_home_is_read() {
    let stage = stage("home = \"user\"", "read = [\"~/.config/newtool\", \"~/.gist\"]");
    for path in LOGINS {
        put(&stage.dir.path().join(path), MARKER);
    }
    let (found, result) = reads(&stage);
    assert_eq!(
        found,
        [".config/newtool/login.json", ".config/newtool/login.json:1", ".gist", ".gist:1"],
        "{result}"
    );
}

/// Another user's run does not read it anyway: its owner is root.
#[test]
fn a_run_of_roots_is_shown_what_others_may_read() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stage = stage("", "");
    let dir = tempfile::Builder::new().prefix("authy-mcp-test").tempdir_in("/etc").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut server = stage.serve("s");
    let script = format!(
        "cat {0}/open {0}/key {0}/closed/open 2>/dev/null; cat /etc/shadow /proc/slabinfo 2>/dev/null",
        dir.path().display()
    );
    let mut said = || {
        let result = server.run(json!({"command": ["/bin/sh", "-c", script], "secrets": ["a/key"]}));
        result["stdout"].as_str().unwrap_or_default().to_owned()
    };
    let file = |name: &str, mode: u32| {
        put(&dir.path().join(name), &format!("{name}\n"));
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    file("open", 0o644);
    file("key", 0o600);
    file("closed/open", 0o644);
    fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(said(), "open\n");
    // The server knows of it before the next run.
    file("open", 0o640);
    assert_eq!(said(), "");
    file("key", 0o644);
    assert_eq!(said(), "key\n");
}

/// The link lies where administrators keep files, and what it leads to does not.
#[test]
fn a_run_of_roots_is_shown_what_a_link_leads_to_as_others_may_read_it() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stage = stage("", "");
    let [links, files] = ["/etc", "/usr/share"]
        .map(|dir| tempfile::Builder::new().prefix("authy-mcp-test").tempdir_in(dir).unwrap());
    for dir in [&links, &files] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let key = files.path().join("key");
    put(&key, "key\n");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(&key, links.path().join("key")).unwrap();
    let mut server = stage.serve("s");
    let script = format!("cat {0}/key {1} 2>/dev/null", links.path().display(), key.display());
    let mut said = || {
        let result = server.run(json!({"command": ["/bin/sh", "-c", script], "secrets": ["a/key"]}));
        result["stdout"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(said(), "key\nkey\n");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(said(), "");
}
