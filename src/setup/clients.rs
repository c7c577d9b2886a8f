//! The clients' configurations: what an entry looks like in each, and where it belongs.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

/// What a client must start: absolute paths, no secret.
#[derive(Debug, Clone)]
pub struct Entry {
    /// This binary.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The home, where it is not the default.
    pub home: Option<PathBuf>,
}

/// A client that has a configuration of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Claude Code: `.mcp.json` in the project.
    ClaudeCode,
    /// Claude Desktop.
    ClaudeDesktop,
    /// Cursor.
    Cursor,
    /// Visual Studio Code: `.vscode/mcp.json` in the project.
    Vscode,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Windsurf.
    Windsurf,
    /// Zed.
    Zed,
    /// opencode: `opencode.json` in the project.
    Opencode,
    /// Goose.
    Goose,
    /// Any client that takes the common form.
    Json,
}

/// Every client, with its word on the command line and the name of its example.
pub const CLIENTS: &[(Client, &str, &str)] = &[
    (Client::ClaudeCode, "claude-code", "claude-code.json"),
    (Client::ClaudeDesktop, "claude-desktop", "claude-desktop.json"),
    (Client::Cursor, "cursor", "cursor.json"),
    (Client::Vscode, "vscode", "vscode.json"),
    (Client::Codex, "codex", "codex.toml"),
    (Client::Gemini, "gemini", "gemini.json"),
    (Client::Windsurf, "windsurf", "windsurf.json"),
    (Client::Zed, "zed", "zed.json"),
    (Client::Opencode, "opencode", "opencode.json"),
    (Client::Goose, "goose", "goose.yaml"),
    (Client::Json, "json", "json.json"),
];

/// Why an entry can't be written into a client's configuration.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file can't be read or written.
    #[error("{} can't be used", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is of a form that can't be changed without losing something of it.
    #[error("{} is not plain {form}, and is left as it is", .path.display())]
    NotPlain {
        /// Which.
        path: PathBuf,
        /// What it would have to be.
        form: &'static str,
    },
    /// This client's file is written by hand.
    #[error("this client's configuration is written by hand")]
    ByHand,
}

impl Client {
    /// The word on the command line.
    pub fn word(self) -> &'static str {
        CLIENTS.iter().find(|(client, _, _)| *client == self).map_or("json", |(_, word, _)| word)
    }

    /// The client of a word.
    pub fn parse(word: &str) -> Option<Self> {
        CLIENTS.iter().find(|(_, known, _)| *known == word).map(|(client, _, _)| *client)
    }

    /// Where its configuration lies, given the user's home and the project.
    pub fn file(self, home: &Path, project: &Path) -> Option<PathBuf> {
        let mac = cfg!(target_os = "macos");
        Some(match self {
            Self::ClaudeCode => project.join(".mcp.json"),
            Self::ClaudeDesktop if mac => {
                home.join("Library/Application Support/Claude/claude_desktop_config.json")
            }
            Self::ClaudeDesktop => home.join(".config/Claude/claude_desktop_config.json"),
            Self::Cursor => home.join(".cursor/mcp.json"),
            Self::Vscode => project.join(".vscode/mcp.json"),
            Self::Codex => home.join(".codex/config.toml"),
            Self::Gemini => home.join(".gemini/settings.json"),
            Self::Windsurf => home.join(".codeium/windsurf/mcp_config.json"),
            Self::Zed => home.join(".config/zed/settings.json"),
            Self::Opencode => project.join("opencode.json"),
            Self::Goose => home.join(".config/goose/config.yaml"),
            Self::Json => return None,
        })
    }

    /// The entry as it stands alone in this client's configuration.
    pub fn text(self, entry: &Entry) -> String {
        match self {
            Self::Codex => codex(None, entry).unwrap_or_default(),
            Self::Goose => goose(entry),
            _ => pretty(&merged(Map::new(), self, entry)),
        }
    }

    /// Puts the entry into the client's file, beside whatever is there; what was there is kept as `.bak`.
    ///
    /// # Errors
    /// [`WriteError`]: the file is as it was.
    pub fn write(self, file: &Path, entry: &Entry) -> Result<(), WriteError> {
        let failed = |source| WriteError::Io { path: file.to_owned(), source };
        let before = match fs::read_to_string(file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let not_plain = |form| WriteError::NotPlain { path: file.to_owned(), form };
        let text = match self {
            Self::Goose | Self::Json => return Err(WriteError::ByHand),
            Self::Codex => codex(before.as_deref(), entry).ok_or_else(|| not_plain("TOML"))?,
            _ => {
                let known = match before.as_deref().map(str::trim) {
                    None | Some("") => Map::new(),
                    Some(text) => serde_json::from_str(text).map_err(|_| not_plain("JSON"))?,
                };
                pretty(&merged(known, self, entry))
            }
        };
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        if let Some(before) = before {
            let mut kept = file.as_os_str().to_owned();
            kept.push(".bak");
            fs::write(kept, before).map_err(failed)?;
        }
        replace(file, &text).map_err(failed)
    }

    /// The key under which servers stand, and the entry below it.
    fn shape(self, entry: &Entry) -> (&'static str, Value) {
        let command = entry.command.display().to_string();
        let env = entry.home.as_ref().map(|home| json!({super::HOME: home}));
        let mut plain = json!({"command": command, "args": entry.args});
        let (key, env_key) = match self {
            Self::Vscode => {
                plain = json!({"type": "stdio", "command": command, "args": entry.args});
                ("servers", "env")
            }
            Self::Zed => {
                plain = json!({"source": "custom", "command": command, "args": entry.args});
                ("context_servers", "env")
            }
            Self::Opencode => {
                let mut whole = vec![command];
                whole.extend(entry.args.iter().cloned());
                plain = json!({"type": "local", "command": whole, "enabled": true});
                ("mcp", "environment")
            }
            _ => ("mcpServers", "env"),
        };
        if let Some(env) = env {
            plain[env_key] = env;
        }
        (key, plain)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

fn merged(mut known: Map<String, Value>, client: Client, entry: &Entry) -> Map<String, Value> {
    let (key, shape) = client.shape(entry);
    let servers = known.entry(key).or_insert_with(|| json!({}));
    if !servers.is_object() {
        *servers = json!({});
    }
    servers["authy-mcp"] = shape;
    known
}

fn pretty(map: &Map<String, Value>) -> String {
    let mut text = serde_json::to_string_pretty(map).unwrap_or_default();
    text.push('\n');
    text
}

fn codex(before: Option<&str>, entry: &Entry) -> Option<String> {
    let mut document: toml_edit::DocumentMut = before.unwrap_or_default().parse().ok()?;
    let servers = document.entry("mcp_servers").or_insert_with(|| {
        let mut table = toml_edit::Table::new();
        table.set_implicit(true);
        toml_edit::Item::Table(table)
    });
    let mut table = toml_edit::Table::new();
    table["command"] = toml_edit::value(entry.command.display().to_string());
    table["args"] = toml_edit::value(entry.args.iter().collect::<toml_edit::Array>());
    if let Some(home) = &entry.home {
        let mut env = toml_edit::InlineTable::new();
        env.insert(super::HOME, home.display().to_string().into());
        table["env"] = toml_edit::value(env);
    }
    servers.as_table_like_mut()?.insert("authy-mcp", toml_edit::Item::Table(table));
    Some(document.to_string())
}

fn goose(entry: &Entry) -> String {
    // JSON strings are YAML strings (YAML 1.2).
    let quote = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let mut text =
        String::from("extensions:\n  authy-mcp:\n    name: authy-mcp\n    type: stdio\n    enabled: true\n");
    text += &format!("    cmd: {}\n    args:\n", quote(&entry.command.display().to_string()));
    for arg in &entry.args {
        text += &format!("      - {}\n", quote(arg));
    }
    if let Some(home) = &entry.home {
        text += &format!("    envs:\n      {}: {}\n", super::HOME, quote(&home.display().to_string()));
    }
    text
}

/// Readers see the old file or the new.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let dir = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut fresh = tempfile::NamedTempFile::new_in(dir)?;
    io::Write::write_all(&mut fresh, text.as_bytes())?;
    let permissions = fs::metadata(file).map_or_else(|_| None, |meta| Some(meta.permissions()));
    if let Some(permissions) = permissions {
        fresh.as_file().set_permissions(permissions)?;
    }
    fresh.persist(file)?;
    Ok(())
}

/// A paragraph for a project's AGENTS.md.
pub fn agents_paragraph(scope: &str) -> String {
    format!(
        "## Secrets\n\n\
         This project's keys and passwords are in a vault that you use through the MCP server `authy-mcp` (scope `{scope}`).\n\
         You never see a value: call `list_allowed`, copy an example, and run it with `run_with_secrets`. Inside the command\n\
         each secret is in the variable that `list_allowed` names. `[redacted:NAME]` in output is a hidden value, not an error.\n\
         Don't ask for secrets in the conversation, don't read `.env` files, and don't print variables to look for values; if\n\
         something is refused, tell the user the command in the refusal's `operator_command`.\n"
    )
}

/// What `mcp-config-examples/` holds: file name → text, made for placeholder paths.
pub fn examples() -> Vec<(&'static str, String)> {
    let entry = Entry {
        command: "/usr/local/bin/authy-mcp".into(),
        args: ["serve", "--token-file", "/home/me/.local/share/authy-mcp/tokens/dev-CLIENT.jwt"]
            .map(str::to_owned)
            .to_vec(),
        home: None,
    };
    let mut examples: Vec<(&str, String)> = CLIENTS
        .iter()
        .map(|(client, word, file)| {
            let args = entry.args.iter().map(|arg| arg.replace("CLIENT", word)).collect();
            (*file, client.text(&Entry { args, ..entry.clone() }))
        })
        .collect();
    examples.push(("AGENTS.md", agents_paragraph("dev")));
    examples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { command: "/bin/authy-mcp".into(), args: vec!["serve".into()], home: Some("/h".into()) }
    }

    #[test]
    fn other_entries_stay() {
        let dir = tempfile::tempdir().unwrap();
        for (client, before, kept) in [
            (Client::Cursor, "{\"mcpServers\": {\"other\": {\"command\": \"x\"}}, \"theme\": 1}", "other"),
            (Client::Codex, "# mine\nmodel = \"m\"\n[mcp_servers.other]\ncommand = \"x\"\n", "# mine"),
        ] {
            let file = dir.path().join(client.word());
            fs::write(&file, before).unwrap();
            client.write(&file, &entry()).unwrap();
            client.write(&file, &entry()).unwrap();
            let text = fs::read_to_string(&file).unwrap();
            assert!(
                text.contains(kept)
                    && text.matches("authy-mcp\"").count() + text.matches("[mcp_servers.authy-mcp]").count()
                        >= 1,
                "{text}"
            );
            assert!(fs::read_to_string(dir.path().join(format!("{client}.bak"))).unwrap().contains(kept));
        }
    }

    #[test]
    fn what_cannot_be_parsed_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.json");
        fs::write(&file, "// comments\n{}").unwrap();
        assert!(matches!(Client::Zed.write(&file, &entry()), Err(WriteError::NotPlain { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "// comments\n{}");
        assert!(matches!(Client::Goose.write(&file, &entry()), Err(WriteError::ByHand)));
    }

    #[test]
    fn every_client_has_an_entry_with_absolute_paths() {
        for (client, word, _) in CLIENTS {
            let text = client.text(&entry());
            assert!(
                text.contains("/bin/authy-mcp") && text.contains("serve") && text.contains("/h"),
                "{word}: {text}"
            );
            assert_eq!(Client::parse(word), Some(*client));
        }
    }
}
