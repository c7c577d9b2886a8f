//! A throw-away home, the binary on it, and a client that keeps every byte that the server wrote.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before the test gives up on it: far beyond what it needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What unlocks a vault that a person unlocks.
pub(crate) const PASSPHRASE: &str = "four words in a row";

pub(crate) struct Stage {
    pub(crate) dir: TempDir,
}

impl Stage {
    /// A directory with nothing in it.
    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::Builder::new().prefix("authy-mcp-test-").tempdir().unwrap() }
    }

    /// A vault by identity file.
    pub(crate) fn new() -> Self {
        let stage = Self::empty();
        stage.ok(&["init", "--unlock", "identity-file"]);
        stage
    }

    /// A vault by passphrase, and the file that the passphrase is typed from.
    pub(crate) fn locked() -> (Self, String) {
        use std::os::unix::fs::PermissionsExt;
        let stage = Self::empty();
        let file = stage.path("passphrase");
        std::fs::write(&file, PASSPHRASE).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let file = file.to_str().unwrap().to_owned();
        stage.ok(&["--passphrase-file", &file, "init", "--unlock", "passphrase"]);
        (stage, file)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary, in an environment of its own.
    pub(crate) fn command(&self) -> Command {
        command(&self.home(), self.dir.path())
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command().args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Runs a command that must fail with a code; its standard error.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) -> String {
        let done = self.run(words);
        let err = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{words:?}: {err}");
        err
    }

    #[track_caller]
    pub(crate) fn set(&self, name: &str, value: &[u8]) {
        let done = self.set_with(name, value, &["--raw"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    pub(crate) fn set_with(&self, name: &str, value: &[u8], options: &[&str]) -> Output {
        let mut child = self
            .command()
            .args(["admin", "set", name])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(value).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Applies a policy document.
    #[track_caller]
    pub(crate) fn policy(&self, text: &str) {
        let file = self.path("policy.toml");
        std::fs::write(&file, text).unwrap();
        self.ok(&["admin", "policy", "apply", file.to_str().unwrap(), "--yes"]);
    }

    /// An executable script.
    pub(crate) fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A server over stdio for a scope.
    pub(crate) fn serve(&self, scope: &str) -> Server {
        Server::start(self.command().args(["serve", "--scope", scope]))
    }

    /// Takes the vault from everybody until what is returned is dropped: from the daemon, too, where there is one.
    pub(crate) fn hold(&self) -> (Option<UnixStream>, File) {
        let daemon = UnixStream::connect(self.home().join("run").join("daemon.sock")).ok().map(|mut stream| {
            let body = r#"{"errand":"leave","wait_ms":5000}"#;
            let head = "POST /v1/engine HTTP/1.1\r\nHost: x\r\nauthy-mcp-protocol: 1\r\nConnection: upgrade\r\nUpgrade: x";
            write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            let mut said = Vec::new();
            while !said.ends_with(b"\r\n\r\n\0\0\0\0") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                said.extend(byte);
            }
            stream
        });
        let lock =
            File::options().write(true).create(true).truncate(false).open(self.home().join("vault.lock"));
        let lock = lock.unwrap();
        lock.lock().unwrap();
        (daemon, lock)
    }

    pub(crate) fn audit(&self) -> Vec<Value> {
        self.ok(&["admin", "audit", "export"])
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Stage {
    /// The file that remembers the stage's vault.
    pub(crate) fn pin(&self) -> Option<PathBuf> {
        let id = vault_ids(&self.home(), 0).pop()?;
        Some(pins()?.join(id)).filter(|pin| pin.exists())
    }
}

/// What remembers the vaults of a stage lies in the user's real home, where no variable leads away from: it goes with
/// them.
impl Drop for Stage {
    fn drop(&mut self) {
        let Some(place) = pins() else { return };
        for id in vault_ids(self.dir.path(), 3) {
            for entry in std::fs::read_dir(&place).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(&id) {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }
}

/// Where this user's pins are kept.
pub(crate) fn pins() -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten()?;
    Some(user.dir.join(".local/state/authy-mcp"))
}

/// The ids of the vaults in a directory and so many below it.
fn vault_ids(dir: &Path, deep: usize) -> Vec<String> {
    // A test may have put a pipe or a device in its place.
    let described = dir.join("home.json");
    let is_file = std::fs::symlink_metadata(&described).is_ok_and(|found| found.is_file());
    let described = is_file.then(|| std::fs::read(described).ok()).flatten().unwrap_or_default();
    let id = serde_json::from_slice::<Value>(&described)
        .ok()
        .and_then(|info| Some(info["vault_id"].as_str()?.to_owned()));
    let mut ids: Vec<String> = id.into_iter().filter(|id| id.len() == 32).collect();
    if deep > 0 {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        ids.extend(below.flat_map(|entry| vault_ids(&entry.path(), deep - 1)));
    }
    ids
}

pub(crate) fn command(home: &Path, user: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authy-mcp"));
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", user)
        .env("AUTHY_MCP_HOME", home)
        .current_dir(user);
    if !crate::DAEMON {
        command.arg("--no-daemon");
    }
    command
}

/// A policy with one rule.
pub(crate) fn one_rule(scope: &str, secrets: &str, commands: &str, more: &str) -> String {
    format!(
        "scope = \"{scope}\"\n[sandbox]\nmode = \"off\"\n[[allow]]\nid = \"one\"\nsecrets = [\"{secrets}\"]\ndeliver = \"env\"\ncommands = {commands}\n{more}\n"
    )
}

/// A server and a client of the initialize era; everything that the server writes is kept.
pub(crate) struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<Value>,
    waiting: Vec<Value>,
    pub(crate) tap: Arc<Mutex<Vec<u8>>>,
    next: u64,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let tap = Arc::new(Mutex::new(Vec::new()));
        let (send, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        let kept = Arc::clone(&tap);
        thread::spawn(move || {
            for line in out.split(b'\n').map_while(Result::ok) {
                kept.lock().unwrap().extend_from_slice(&line);
                let message = serde_json::from_slice(&line).expect("nothing but protocol on standard output");
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut err = child.stderr.take().unwrap();
        let kept = Arc::clone(&tap);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = err.read(&mut chunk) {
                kept.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        let stdin = child.stdin.take();
        let mut server = Self { child, stdin, lines, waiting: Vec::new(), tap, next: 0 };
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let id = server.send("initialize", params);
        server.answer(id);
        server.notify("notifications/initialized", json!({}));
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request and returns its id.
    pub(crate) fn send(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}));
        self.next
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.write(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn write(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// Waits for the answer to a request.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        if let Some(at) = self.waiting.iter().position(|message| message["id"] == id) {
            return self.waiting.remove(at);
        }
        loop {
            let message = self.lines.recv_timeout(PATIENCE).expect("an answer in time");
            if message["id"] == id {
                return message;
            }
            self.waiting.push(message);
        }
    }

    /// Whether every answer that came was waited for.
    pub(crate) fn nothing_waits(&self) -> bool {
        self.waiting.iter().all(|message| message.get("id").is_none())
    }

    /// Notifications that came so far.
    pub(crate) fn notifications(&self, method: &str) -> Vec<Value> {
        self.waiting.iter().filter(|message| message["method"] == method).cloned().collect()
    }

    #[track_caller]
    pub(crate) fn tool(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.send("tools/call", json!({"name": tool, "arguments": arguments}));
        let answer = self.answer(id);
        assert!(answer.get("result").is_some(), "{answer}");
        answer["result"].clone()
    }

    /// Runs a command; the structure of its answer, be it a result or a refusal.
    #[track_caller]
    pub(crate) fn run(&mut self, arguments: Value) -> Value {
        self.tool("run_with_secrets", arguments)["structuredContent"].clone()
    }

    /// Closes standard input, as a client that goes away does, and waits for the end.
    pub(crate) fn hang_up(mut self) -> Vec<u8> {
        drop(self.stdin.take());
        self.child.wait().unwrap();
        thread::sleep(Duration::from_millis(50));
        let tap = self.tap.lock().unwrap();
        tap.clone()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Processes whose command line has a marker in it.
pub(crate) fn processes(marker: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ").contains(marker)
        })
        .collect()
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
