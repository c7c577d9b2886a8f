//! What a placeholder is worth once its run has lost its right: nothing, from the next request on, while the
//! program may still be there.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    host::Host,
    program::{KEY, assert_clean},
};
use crate::stage::{Server, Stage, eventually};

/// Asks again and again, and does not end when it is told to.
const ASKS: &str =
    "trap '' TERM; i=0; while [ $i -lt 400 ]; do curl -sS --max-time 2 URL; sleep 0.1; i=$((i+1)); done";

/// The binary with this stage's home, and a daemon where the vault's way of unlocking has one.
fn command(stage: &Stage, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authy-mcp"));
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", stage.dir.path());
    command.env("AUTHY_MCP_HOME", stage.home()).current_dir(stage.dir.path()).args(words);
    command
}

#[track_caller]
fn ok(stage: &Stage, words: &[&str]) -> String {
    let done = command(stage, words).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A vault by passphrase with a sealed secret, and the word by which a person opens it.
fn stage(host: &Host) -> (Stage, String) {
    let stage = Stage::empty();
    let file = stage.path("passphrase");
    std::fs::write(&file, "four words in a row").unwrap();
    Command::new("chmod").arg("600").arg(&file).status().unwrap();
    let file = file.to_str().unwrap().to_owned();
    let typed = |words: &[&str]| ok(&stage, &[&["--passphrase-file", &file], words].concat());
    typed(&["init", "--unlock", "passphrase"]);
    std::fs::write(stage.path("value"), KEY).unwrap();
    typed(&["admin", "set", "openai/key", "--from-file", stage.path("value").to_str().unwrap()]);
    std::fs::write(stage.path("ca.pem"), &host.ca).unwrap();
    apply(&stage, &file, host, "");
    typed(&["unlock", "--allow-user-namespace"]);
    (stage, file)
}

fn apply(stage: &Stage, file: &str, host: &Host, more: &str) {
    let text = format!(
        "scope = \"s\"\n[sandbox]\nextra_ca = \"{ca}\"\n[[allow]]\nsecrets = [\"openai/key\"]\ndeliver = \"sealed\"\n\
         hosts = [\"{host}\"]\ninject = \"bearer\"\ncommands = \"any\"\n{more}\n",
        ca = stage.path("ca.pem").display(),
        host = host.name()
    );
    std::fs::write(stage.path("p.toml"), text).unwrap();
    let policy = stage.path("p.toml");
    ok(stage, &["--passphrase-file", file, "admin", "policy", "apply", "--yes", policy.to_str().unwrap()]);
}

async fn sent(host: &Host) -> usize {
    host.seen().await.iter().filter(|seen| seen.header("authorization").contains(KEY)).count()
}

/// Has a run ask all the time, takes its right, and looks whether a value went out afterwards.
async fn nothing_goes_out_after(take: impl FnOnce(&Stage, &str, &Host)) -> Value {
    let host = Host::start().await;
    let (stage, file) = stage(&host);
    let token = stage.path("t.jwt");
    let token = token.to_str().unwrap();
    ok(&stage, &["--passphrase-file", &file, "admin", "token", "issue", "--scope", "s", "--out", token]);
    let mut server = Server::start(&mut command(&stage, &["serve", "--token-file", token]));
    let asks = ASKS.replace("URL", &format!("https://{}/x", host.name()));
    let arguments = json!({"command": ["sh", "-c", asks], "secrets": ["openai/key"]});
    let id = server.send("tools/call", json!({"name": "run_with_secrets", "arguments": arguments}));
    while sent(&host).await < 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    take(&stage, &file, &host);
    // What was under way has arrived by then.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = sent(&host).await;
    let ended = tokio::task::spawn_blocking(move || {
        let ended = server.answer(id)["result"]["structuredContent"].clone();
        assert_clean(&server.hang_up());
        ended
    });
    let ended = ended.await.unwrap();
    assert_eq!(sent(&host).await, before, "a value went out after the right was gone: {ended}");
    let events = ok(&stage, &["--passphrase-file", &file, "admin", "audit", "export"]);
    assert!(events.contains("\"outcome\":\"revoked\""), "{events}");
    ok(&stage, &["lock"]);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_s_placeholder_is_worth_nothing_at_once() {
    let ended = nothing_goes_out_after(|stage, file, _| {
        let tokens: Value = serde_json::from_str(&ok(
            stage,
            &["--json", "--passphrase-file", file, "admin", "token", "list"],
        ))
        .unwrap();
        let id = tokens[0]["id"].as_str().unwrap().to_owned();
        ok(stage, &["--passphrase-file", file, "admin", "token", "revoke", &id]);
    });
    let ended = ended.await;
    assert_eq!(ended["outcome"], "revoked", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_names_other_hosts_or_methods_ends_its_placeholder() {
    let ended =
        nothing_goes_out_after(|stage, file, host| apply(stage, file, host, "methods = [\"POST\"]")).await;
    assert_eq!(ended["outcome"], "revoked", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn locking_ends_a_sealed_run_and_its_placeholder() {
    let ended = nothing_goes_out_after(|stage, _, _| {
        // It waits for the program, which stays as long as it may.
        let mut lock = command(stage, &["lock"]);
        let lock = lock.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        eventually("nothing listens any more", || !stage.home().join("run/daemon.sock").exists());
        thread::spawn(move || lock.wait_with_output());
    });
    assert_eq!(ended.await["outcome"], "revoked");
}
