//! An entry in a client's configuration, beside whatever is there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::spec::{ClientSpec, Entry, Form};
use crate::setup::HOME;

/// The name of our entry.
const NAME: &str = "authy-mcp";

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

impl ClientSpec {
    /// The entry as it stands alone in this client's configuration.
    pub fn text(&self, entry: &Entry) -> String {
        match self.form {
            Form::Json { key, shape } => json_with(Map::new(), key, shape(entry)),
            Form::Toml { key } => toml_with(None, key, entry).unwrap_or_default(),
            Form::Yaml(text) => text(entry),
        }
    }

    /// Puts the entry into the client's file, beside whatever is there; what was there is kept as `.bak`.
    ///
    /// # Errors
    /// [`WriteError`]: the file is as it was.
    pub fn write(&self, file: &Path, entry: &Entry) -> Result<(), WriteError> {
        let failed = |source| WriteError::Io { path: file.to_owned(), source };
        let before = match fs::read_to_string(file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let text = self.beside(before.as_deref(), file, entry)?;
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

    /// The file's text with the entry in it.
    fn beside(&self, before: Option<&str>, file: &Path, entry: &Entry) -> Result<String, WriteError> {
        let not_plain = |form| WriteError::NotPlain { path: file.to_owned(), form };
        match self.form {
            Form::Yaml(_) => Err(WriteError::ByHand),
            Form::Toml { key } => toml_with(before, key, entry).ok_or_else(|| not_plain("TOML")),
            Form::Json { key, shape } => {
                let known = match before.map(str::trim) {
                    None | Some("") => Map::new(),
                    Some(text) => serde_json::from_str(text).map_err(|_| not_plain("JSON"))?,
                };
                Ok(json_with(known, key, shape(entry)))
            }
        }
    }
}

/// The common shape of a JSON entry; a client that has another changes it.
pub(super) fn plain(entry: &Entry) -> Value {
    with_home(json!({"command": entry.command.display().to_string(), "args": entry.args}), "env", entry)
}

/// The home, under a client's key for variables, where it is not the default.
pub(super) fn with_home(mut shape: Value, key: &str, entry: &Entry) -> Value {
    if let Some(home) = &entry.home {
        shape[key] = json!({HOME: home});
    }
    shape
}

fn json_with(mut known: Map<String, Value>, key: &str, shape: Value) -> String {
    let servers = known.entry(key).or_insert_with(|| json!({}));
    if !servers.is_object() {
        *servers = json!({});
    }
    servers[NAME] = shape;
    let mut text = serde_json::to_string_pretty(&known).unwrap_or_default();
    text.push('\n');
    text
}

fn toml_with(before: Option<&str>, key: &str, entry: &Entry) -> Option<String> {
    let mut document: toml_edit::DocumentMut = before.unwrap_or_default().parse().ok()?;
    let servers = document.entry(key).or_insert_with(|| {
        let mut table = toml_edit::Table::new();
        table.set_implicit(true);
        toml_edit::Item::Table(table)
    });
    let mut table = toml_edit::Table::new();
    table["command"] = toml_edit::value(entry.command.display().to_string());
    table["args"] = toml_edit::value(entry.args.iter().collect::<toml_edit::Array>());
    if let Some(home) = &entry.home {
        let mut env = toml_edit::InlineTable::new();
        env.insert(HOME, home.display().to_string().into());
        table["env"] = toml_edit::value(env);
    }
    servers.as_table_like_mut()?.insert(NAME, toml_edit::Item::Table(table));
    Some(document.to_string())
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
