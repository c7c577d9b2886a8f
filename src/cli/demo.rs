//! `authy-mcp demo`: the whole road, in a home that is thrown away. Every step is the real binary: the
//! commands are those that a person types, and the client sees what a model would see.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::{Map, Value, json};

use super::output::Output;
use crate::{
    mcp::client::{Client, ToolAnswer},
    operator::{Failure, FailureKind},
    policy::SandboxTerms,
    sandbox::SandboxPlan,
    supervise,
};

/// What the demo's project keeps in its `.env`: two made-up secrets, and two settings that are none.
const ENV_FILE: &str = "\
# made up for this demo
DEMO_API_KEY=sk-demo-9fQ2xT7vLr4ZkW8pYb3N
DATABASE_PASSWORD='correct horse battery $staple'
NODE_ENV=development
PORT=3000
";
const SCOPE: &str = "demo";
const SECRET: &str = "demo/DEMO_API_KEY";

/// The stage: a throw-away home, a project, and this binary.
struct Stage<'a> {
    out: &'a Output,
    binary: PathBuf,
    home: PathBuf,
    project: PathBuf,
}

/// Plays the demo.
///
/// # Errors
/// [`Failure`] where a step doesn't end as it should: the demo is a check, too.
pub(super) async fn play(out: &Output, binary: PathBuf) -> Result<ExitCode, Failure> {
    let scene = tempfile::Builder::new().prefix("authy-mcp-demo-").tempdir().map_err(io)?;
    let stage = Stage { out, binary, home: scene.path().join("home"), project: scene.path().join("project") };
    std::fs::create_dir(&stage.project).map_err(io)?;
    std::fs::write(stage.project.join(".env"), ENV_FILE).map_err(io)?;
    out.line("authy-mcp demo: an agent uses a key and never sees it.");
    out.line("Everything here is real (age, sled, child processes, MCP over stdio) and lives in a directory");
    out.line("that is gone when this ends.");
    stage.operator_sets_up()?;
    let hidden = stage.agent_calls().await?;
    stage.operator_looks()?;
    stage.what_next(hidden);
    Ok(ExitCode::SUCCESS)
}

impl Stage<'_> {
    fn operator_sets_up(&self) -> Result<(), Failure> {
        self.heading("1", "You make a vault and import a project's .env");
        // Nothing of it is to stay: not even what would remember the vault outside of its home.
        self.type_command(&["init", "--unlock", "identity-file", "--no-pin"])?;
        self.type_command(&["admin", "import", ".env", "--prefix", "demo/"])?;
        self.heading("2", "You allow one command to one scope, with one of the keys");
        let mut words = vec!["admin", "allow", SCOPE, "--yes", "--id", "show-key", "--secret", SECRET];
        if let Err(lack) = SandboxPlan::make(&SandboxTerms::default(), &supervise::machine(&self.binary)) {
            self.out.line(&format!(
                "  {lack}; authy-mcp doctor says what to do. The demo goes on without a sandbox."
            ));
            words.extend(["--sandbox", "off"]);
        }
        words.extend(["--", "printenv", "DEMO_API_KEY"]);
        self.type_command(&words)
    }

    async fn agent_calls(&self) -> Result<Hidden, Failure> {
        self.heading("3", "Your agent starts the server, over stdio, and looks at what it has");
        let client = Client::start(&self.binary, &self.home, SCOPE).await?;
        let tools = client.tools().await?;
        self.out.line(&format!("  tools: {}", tools.join(", ")));
        let listed = self.call(&client, "list_allowed", json!({})).await?;
        let example = listed.structured.pointer("/rules/0/example").cloned().unwrap_or_default();

        self.heading(
            "4",
            "It copies the example, which prints the key; the answer has a mask where the key was",
        );
        let ran = self.call(&client, "run_with_secrets", example).await?;
        let hidden = Hidden::check(&ran)?;

        self.heading("5", "It tries something that you did not allow");
        let refused =
            self.call(&client, "run_with_secrets", json!({"command": ["env"], "secrets": [SECRET]})).await?;
        if !refused.refused {
            return Err(wrong("a command that was not allowed ran"));
        }
        self.heading("6", "It gives up what it does not need");
        self.call(
            &client,
            "request_token",
            json!({"purpose": "narrow_me", "secrets": [SECRET], "max_uses": 1, "reason": "one look is enough"}),
        )
        .await?;
        client.stop().await?;
        Ok(hidden)
    }

    fn operator_looks(&self) -> Result<(), Failure> {
        self.heading("7", "You read what happened, and check that nobody changed the record");
        self.type_command(&["admin", "audit", "show", "--last", "6"])?;
        self.type_command(&["admin", "audit", "verify"])
    }

    fn what_next(&self, _checked: Hidden) {
        self.heading("→", "For real, in your project");
        for line in [
            "  authy-mcp init                               # makes your vault",
            "  authy-mcp admin import .env --prefix myapp/  # takes the secrets over, keeps the file",
            "  authy-mcp admin allow dev --secret 'myapp/*' --cwd . -- npm test",
            "  authy-mcp config claude-code --scope dev --write",
            "",
            "Then ask your agent to run the tests. What it did: authy-mcp admin audit show",
        ] {
            self.out.line(line);
        }
    }

    fn heading(&self, number: &str, text: &str) {
        self.out.line("");
        self.out.heading(&format!("{number}  {text}"));
    }

    /// Shows a command as a person would type it, runs it, and shows what it prints.
    fn type_command(&self, words: &[&str]) -> Result<(), Failure> {
        let typed = shlex::try_join(words.iter().copied()).unwrap_or_else(|_| words.join(" "));
        self.out.line(&format!("  $ authy-mcp {typed}"));
        #[expect(clippy::disallowed_methods, reason = "the demo runs this very binary as a person would")]
        let done = std::process::Command::new(&self.binary)
            .args(words)
            .current_dir(&self.project)
            .env("AUTHY_MCP_HOME", &self.home)
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(io)?;
        for text in [&done.stdout, &done.stderr] {
            self.show(&String::from_utf8_lossy(text));
        }
        if done.status.success() { Ok(()) } else { Err(wrong(&format!("authy-mcp {typed} failed"))) }
    }

    async fn call(
        &self,
        client: &Client,
        tool: &'static str,
        arguments: Value,
    ) -> Result<ToolAnswer, Failure> {
        let arguments: Map<String, Value> = arguments.as_object().cloned().unwrap_or_default();
        self.out.line(&format!("  → {tool} {}", Value::Object(arguments.clone())));
        let answer = client.call(tool, arguments).await?;
        self.show(&answer.text);
        Ok(answer)
    }

    fn show(&self, text: &str) {
        let short = text
            .replace(&path_text(&self.home), "$AUTHY_MCP_HOME")
            .replace(&path_text(&self.project), "~/project");
        for line in short.lines() {
            self.out.line(&format!("  │ {line}"));
        }
    }
}

/// Proof that the run printed the key and that the answer hides it.
struct Hidden;

impl Hidden {
    fn check(answer: &ToolAnswer) -> Result<Self, Failure> {
        let mask = format!("[redacted:{SECRET}]");
        let stdout = answer.structured.get("stdout").and_then(Value::as_str).unwrap_or_default();
        let everything = format!("{}{}", answer.text, answer.structured);
        let value = ENV_FILE.lines().find_map(|line| line.strip_prefix("DEMO_API_KEY=")).unwrap_or_default();
        if !stdout.contains(&mask) {
            return Err(wrong("the run did not print the key"));
        }
        if value.is_empty() || everything.contains(value) {
            return Err(wrong("the answer has the key in it"));
        }
        Ok(Self)
    }
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

fn wrong(what: &str) -> Failure {
    Failure::new(
        FailureKind::Failed,
        format!("the demo went wrong: {what}"),
        "please report this, with what was printed above",
    )
}

fn io(error: std::io::Error) -> Failure {
    Failure::new(
        FailureKind::Failed,
        format!("the demo can't be set up: {error}"),
        "it needs a temporary directory that it may write to",
    )
}
