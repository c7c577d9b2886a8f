//! The clients' configurations: what an entry looks like in each, and where it belongs. A client is a file and a row of
//! [`Clients::all`]; what `config` says of it, its example, its mention by `doctor` and what runs don't see of it
//! follow from that.

mod claude_code;
mod claude_desktop;
mod codex;
mod cursor;
mod gemini;
mod goose;
mod json;
mod opencode;
mod spec;
#[cfg(test)]
mod tests;
mod vscode;
mod windsurf;
mod write;
mod zed;

use std::path::{Path, PathBuf};

pub use spec::{ClientSpec, Entry};
pub use write::WriteError;

use spec::Spot;

/// The clients that there are.
#[derive(Clone, Copy)]
pub struct Clients(&'static [&'static ClientSpec]);

impl Clients {
    /// A row each, in the order in which they are named; what fits any other client is the last.
    pub fn all() -> Self {
        Self(&[
            &claude_code::CLIENT,
            &claude_desktop::CLIENT,
            &cursor::CLIENT,
            &vscode::CLIENT,
            &codex::CLIENT,
            &gemini::CLIENT,
            &windsurf::CLIENT,
            &zed::CLIENT,
            &opencode::CLIENT,
            &goose::CLIENT,
            &json::CLIENT,
        ])
    }

    /// Each.
    pub fn rows(self) -> impl Iterator<Item = &'static ClientSpec> {
        self.0.iter().copied()
    }

    /// The client of a word.
    pub fn find(self, word: &str) -> Option<&'static ClientSpec> {
        self.rows().find(|client| client.word == word)
    }

    /// Their words, as a sentence has them.
    pub fn words(self) -> String {
        self.rows().map(|client| client.word).collect::<Vec<_>>().join(", ")
    }

    /// What no run sees of them below the user's home, which may be a project itself.
    pub(super) fn hidden_in_home(self, home: &Path) -> Vec<PathBuf> {
        self.rows().flat_map(ClientSpec::hidden).map(|spot| spot.at(home, home)).collect()
    }

    /// What no run sees of them in a project, relative to it.
    pub(super) fn hidden_in_projects(self) -> Vec<PathBuf> {
        let hidden = self.rows().flat_map(ClientSpec::hidden);
        let in_project = hidden.filter_map(|spot| match spot {
            Spot::Project(path) => Some(path.into()),
            Spot::Home(_) => None,
        });
        in_project.collect()
    }

    /// What they start or trust unasked in a project, relative to it.
    pub(super) fn control_files(self) -> Vec<PathBuf> {
        self.rows().flat_map(|client| client.control).map(PathBuf::from).collect()
    }

    /// What `mcp-config-examples/` holds: file name → text, made for placeholder paths.
    pub fn examples(self) -> Vec<(String, String)> {
        let examples = self.rows().map(|client| {
            let token = format!("/home/me/.local/share/authy-mcp/tokens/dev-{}.jwt", client.word);
            let entry = Entry {
                command: "/usr/local/bin/authy-mcp".into(),
                args: ["serve", "--token-file", &token].map(str::to_owned).to_vec(),
                home: None,
            };
            (client.example(), client.text(&entry))
        });
        examples.chain([("AGENTS.md".to_owned(), agents_paragraph("dev"))]).collect()
    }
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
