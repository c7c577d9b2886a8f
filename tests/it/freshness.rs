//! What is put back is noticed: the vault under a running daemon, the pin, what unlocks the vault, and a clock. What is
//! put back on purpose moves forward.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::stage::{PASSPHRASE, PATIENCE, Server, Stage, eventually, one_rule};

const RULE: &str = "[[\"printenv\", \"F_KEY\"]]";

/// A vault with a secret, a rule for it and a token; by passphrase, or by identity file.
struct Fresh {
    stage: Stage,
    passphrase: Option<String>,
    token: String,
}

impl Fresh {
    fn new() -> Self {
        let stage = Stage::new();
        Self::with(stage, None)
    }

    fn locked() -> Self {
        let (stage, file) = Stage::locked();
        Self::with(stage, Some(file))
    }

    fn with(stage: Stage, passphrase: Option<String>) -> Self {
        let token = stage.path("token.jwt").to_str().unwrap().to_owned();
        let made = Self { stage, passphrase, token: token.clone() };
        made.ok(&["admin", "set", "f/key", "--generate"]);
        let policy = made.stage.path("policy.toml");
        fs::write(&policy, one_rule("s", "f/key", RULE, "")).unwrap();
        made.ok(&["admin", "policy", "apply", policy.to_str().unwrap(), "--yes"]);
        made.ok(&["admin", "token", "issue", "--scope", "s", "--out", &token]);
        made
    }

    /// The binary with what opens the vault, and with a daemon where there is one.
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_authy-mcp"));
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.stage.dir.path())
            .env("AUTHY_MCP_HOME", self.stage.home())
            .current_dir(self.stage.dir.path());
        if let Some(file) = &self.passphrase {
            command.args(["--passphrase-file", file]);
        }
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command().args(words).stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert!(done.status.success(), "{words:?}: {}", text(&done));
        text(&done)
    }

    #[track_caller]
    fn fails(&self, code: i32, words: &[&str]) -> String {
        let done = self.run(words);
        assert_eq!(done.status.code(), Some(code), "{words:?}: {}", text(&done));
        text(&done)
    }

    fn token_id(&self) -> String {
        let listed = self.run(&["--json", "admin", "token", "list"]);
        let tokens: Value = serde_json::from_slice(&listed.stdout).unwrap();
        tokens[0]["id"].as_str().unwrap().to_owned()
    }

    /// What a run by the token says: with the daemon, or in a process of its own.
    fn call(&self) -> Value {
        let mut server = Server::start(self.command().args(["serve", "--token-file", &self.token]));
        let answer = server.run(json!({"command": ["printenv", "F_KEY"], "secrets": ["f/key"]}));
        server.hang_up();
        answer
    }

    fn keep(&self, name: &str, files: &[&str]) -> PathBuf {
        let kept = self.stage.path(name);
        fs::create_dir(&kept).unwrap();
        for file in files {
            copy(&self.stage.home().join(file), &kept.join(file));
        }
        kept
    }

    fn put_back(&self, kept: &Path) {
        for entry in fs::read_dir(kept).unwrap().flatten() {
            let there = self.stage.home().join(entry.file_name());
            let _ = if there.is_dir() { fs::remove_dir_all(&there) } else { fs::remove_file(&there) };
            copy(&entry.path(), &there);
        }
    }

    fn pin(&self) -> PathBuf {
        self.stage.pin().expect("a pin was made")
    }

    fn fingerprint(&self) -> String {
        let info: Value =
            serde_json::from_slice(&fs::read(self.stage.home().join("home.json")).unwrap()).unwrap();
        info["fingerprint"].as_str().unwrap().to_owned()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = self.run(&["lock"]);
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

fn text(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

const VAULT: [&str; 2] = ["home.json", "store"];

#[test]
fn a_vault_put_back_under_a_running_daemon_is_damaged() {
    let fresh = Fresh::locked();
    fresh.ok(&["unlock", "--allow-user-namespace"]);
    assert_eq!(fresh.call()["exit_code"], 0);
    let kept = fresh.keep("kept", &VAULT);
    fresh.ok(&["admin", "token", "revoke", &fresh.token_id()]);
    assert_eq!(fresh.call()["code"], "token_invalid");
    fresh.put_back(&kept);
    assert_eq!(fresh.call()["code"], "damaged", "the revoked token came back");
    for words in [&["admin", "verify"][..], &["admin", "audit", "verify"], &["admin", "list"]] {
        let said = fresh.fails(7, words);
        assert!(said.contains("put back"), "{words:?}: {said}");
    }
    // What happened can be read while somebody still remembers it, and nothing else can be done.
    let refuses = "the daemon that remembers this vault refuses it";
    for (words, told) in [
        (&["admin", "audit", "show"][..], "action=token_revoke"),
        (&["admin", "audit", "export"], "\"token_revoke\""),
        (&["admin", "audit", "verify"], " events, "),
    ] {
        let said = fresh.fails(7, words);
        assert!(said.contains(refuses) && said.contains(told), "{words:?}: {said}");
    }
    assert!(fresh.ok(&["status"]).contains(refuses));
    for words in [
        &["admin", "list"][..],
        &["admin", "set", "f/x", "--generate"],
        &["admin", "audit", "restart", "--yes"],
    ] {
        let said = fresh.fails(7, words);
        assert!(said.contains(refuses) && said.contains("authy-mcp admin audit show"), "{words:?}: {said}");
    }
}

#[test]
fn a_daemon_remembers_what_the_command_line_changed() {
    let fresh = Fresh::locked();
    fresh.ok(&["unlock", "--allow-user-namespace"]);
    // Everything, and what remembers it, too: the daemon alone knows better, and nobody called it since.
    let kept = fresh.keep("kept", &["home.json", "store", "audit"]);
    let (pin, pinned) = (fresh.pin(), fs::read(fresh.pin()).unwrap());
    fresh.ok(&["admin", "token", "revoke", &fresh.token_id()]);
    fresh.put_back(&kept);
    fs::write(&pin, pinned).unwrap();
    let said = fresh.call();
    assert!(said["code"] == "damaged" || said["code"] == "audit_unavailable", "{said}");
}

#[test]
fn without_a_daemon_the_pin_knows_better() {
    let fresh = Fresh::new();
    let kept = fresh.keep("kept", &["home.json", "store", "audit"]);
    fresh.ok(&["--no-daemon", "admin", "token", "revoke", &fresh.token_id()]);
    fresh.put_back(&kept);
    let said = fresh.fails(7, &["--no-daemon", "admin", "list"]);
    assert!(said.contains("put back"), "{said}");
    let mut server =
        Server::start(fresh.command().args(["--no-daemon", "serve", "--token-file", &fresh.token]));
    let answer = server.run(json!({"command": ["printenv", "F_KEY"], "secrets": ["f/key"]}));
    assert_eq!(answer["code"], "damaged", "{answer}");
}

#[test]
fn a_log_put_back_alone_is_named() {
    let fresh = Fresh::new();
    let kept = fresh.keep("kept", &["audit"]);
    fresh.ok(&["--no-daemon", "admin", "set", "f/other", "--generate"]);
    fresh.put_back(&kept);
    let said = fresh.fails(7, &["--no-daemon", "admin", "list"]);
    assert!(said.contains("audit"), "{said}");
}

#[test]
fn the_head_of_the_log_is_remembered_with_each_run() {
    let fresh = Fresh::new();
    let kept = fresh.keep("kept", &["home.json", "store", "audit"]);
    let run = || {
        let mut server =
            Server::start(fresh.command().args(["--no-daemon", "serve", "--token-file", &fresh.token]));
        server.run(json!({"command": ["printenv", "F_KEY"], "secrets": ["f/key"]}))
    };
    assert_eq!(run()["exit_code"], 0);
    // A run changes nothing in the vault: only its audit tells of it.
    fresh.put_back(&kept);
    let said = fresh.fails(7, &["--no-daemon", "admin", "list"]);
    assert!(said.contains("audit log is damaged"), "{said}");
}

#[test]
fn a_missing_pin_is_damage_until_the_vault_is_accepted() {
    let fresh = Fresh::new();
    let pin = fresh.pin();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&pin), mode(pin.parent().unwrap())), (0o600, 0o700));
    let fingerprint = fresh.fingerprint();
    type Spoil = fn(&Path);
    let ways: &[(&str, Spoil)] = &[
        ("gone", |pin| fs::remove_file(pin).unwrap()),
        ("empty", |pin| fs::write(pin, "").unwrap()),
        ("of nonsense", |pin| fs::write(pin, "x".repeat(300)).unwrap()),
        ("a directory", |pin| {
            fs::remove_file(pin).unwrap();
            fs::create_dir(pin).unwrap();
        }),
        ("a link", |pin| {
            let other = pin.with_extension("elsewhere");
            fs::rename(pin, &other).unwrap();
            symlink(&other, pin).unwrap();
        }),
        ("a FIFO", |pin| {
            fs::remove_file(pin).unwrap();
            assert!(Command::new("mkfifo").arg(pin).status().unwrap().success());
        }),
    ];
    for (what, spoil) in ways {
        spoil(&pin);
        let said = fresh.fails(7, &["--no-daemon", "admin", "list"]);
        assert!(said.contains(&format!("admin verify --accept {fingerprint}")), "{what}: {said}");
        assert!(text(&fresh.run(&["doctor"])).contains("FAILED"), "{what}: doctor says so");
        let mut server =
            Server::start(fresh.command().args(["--no-daemon", "serve", "--token-file", &fresh.token]));
        let answer = server.run(json!({"command": ["printenv", "F_KEY"], "secrets": ["f/key"]}));
        assert_eq!(answer["code"], "damaged", "{what}: {answer}");
        drop(server);
        let said = fresh.fails(4, &["admin", "verify", "--accept", "aaaa-bbbb-cccc-dddd"]);
        assert!(said.contains("this is the vault"), "{what}: {said}");
        let _ = fs::remove_dir(&pin);
        fresh.ok(&["--no-daemon", "admin", "verify", "--accept", &fingerprint]);
        assert!(fresh.pin().is_file(), "{what}: it is remembered again");
        fresh.ok(&["--no-daemon", "admin", "list"]);
    }
}

#[test]
fn an_older_pin_is_said_and_a_newer_one_is_damage() {
    let fresh = Fresh::new();
    let (pin, old) = (fresh.pin(), fs::read(fresh.pin()).unwrap());
    let kept = fresh.keep("kept", &["home.json", "store", "audit"]);
    fresh.ok(&["--no-daemon", "admin", "set", "f/a", "--generate"]);
    fs::write(&pin, &old).unwrap();
    let said = fresh.fails(7, &["--no-daemon", "admin", "list"]);
    assert!(said.contains("older"), "{said}");
    fresh.ok(&["--no-daemon", "admin", "verify", "--accept", &fresh.fingerprint()]);
    fresh.put_back(&kept);
    let said = fresh.fails(7, &["--no-daemon", "admin", "verify", "--accept", &fresh.fingerprint()]);
    assert!(said.contains("put back"), "no fingerprint accepts an older vault: {said}");
}

#[test]
fn a_vault_without_a_pin_works_and_says_so() {
    let stage = Stage::empty();
    let said = stage.ok(&["init", "--unlock", "identity-file", "--no-pin"]);
    assert!(said.contains("nothing outside of the home remembers"), "{said}");
    stage.set("a/key", b"a-value-of-some-length");
    assert!(stage.pin().is_none());
    assert!(text(&stage.run(&["doctor"])).contains("nothing outside of the home remembers"));
    assert!(stage.ok(&["status"]).contains("nothing outside of the home remembers"));
    let info: Value = serde_json::from_slice(&fs::read(stage.home().join("home.json")).unwrap()).unwrap();
    stage.ok(&["admin", "verify", "--accept", info["fingerprint"].as_str().unwrap()]);
    assert!(stage.pin().is_some(), "accepted, it is remembered from then on");
    stage.ok(&["admin", "list"]);
}

#[test]
fn a_user_without_a_home_is_served_without_a_pin() {
    if !rustix::process::getuid().is_root() {
        return eprintln!("skipped: only root becomes another user");
    }
    let stage = Stage::empty();
    let home = stage.path("of-nobody");
    fs::set_permissions(stage.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    let as_nobody = |words: &[&str]| {
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_authy-mcp")])
            .arg("--no-daemon")
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &home)
            .env("AUTHY_MCP_HOME", home.join("vault"))
            .current_dir(&home)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let made = as_nobody(&["init", "--unlock", "identity-file"]);
    if !made.status.success() && text(&made).is_empty() {
        return eprintln!("skipped: the binary can't be reached by another user");
    }
    assert!(text(&made).contains("nothing outside of the home remembers"), "{}", text(&made));
    let set = as_nobody(&["admin", "set", "a/key", "--generate"]);
    assert!(set.status.success(), "{}", text(&set));
    assert!(as_nobody(&["admin", "verify"]).status.success());
}

/// The record that counts, as it was written before there were slots.
fn newest_slot(pin: &[u8]) -> Vec<u8> {
    let seq = |slot: &&[u8]| serde_json::from_slice::<Value>(&slot[65..]).unwrap()["seq"].as_u64();
    let slots = pin.chunks(pin.len() / 2).map(<[u8]>::trim_ascii_end).filter(|slot| !slot.is_empty());
    slots.max_by_key(seq).unwrap().to_vec()
}

#[test]
fn a_pin_that_cant_be_written_any_more_stops_nothing_and_is_said() {
    let fresh = Fresh::new();
    let (pin, place) = (fresh.pin(), fresh.pin().parent().unwrap().to_owned());
    // One of before there were slots is replaced, which can't be done where a directory with something in it stands: nor
    // can root do that.
    let kept = newest_slot(&fs::read(&pin).unwrap());
    fs::write(&pin, &kept).unwrap();
    let part = place.join(format!(".new-{}", pin.file_name().unwrap().to_string_lossy()));
    fs::create_dir(&part).unwrap();
    fs::write(part.join("x"), "").unwrap();
    let said = fresh.ok(&["--no-daemon", "admin", "set", "f/a", "--generate"]);
    assert!(said.contains("can't be written"), "{said}");
    fresh.ok(&["--no-daemon", "admin", "set", "f/b", "--generate"]);
    fresh.ok(&["--no-daemon", "admin", "list"]);
    assert_eq!(fs::read(&pin).unwrap(), kept);
    fs::remove_dir_all(&part).unwrap();
    fresh.ok(&["--no-daemon", "admin", "set", "f/c", "--generate"]);
    assert_ne!(fs::read(&pin).unwrap(), kept, "it is remembered again");
    fs::write(&pin, kept).unwrap();
    fresh.fails(7, &["--no-daemon", "admin", "list"]);
}

#[test]
fn two_homes_of_one_vault_are_told_apart() {
    let fresh = Fresh::new();
    let other = fresh.stage.path("other");
    copy(&fresh.stage.home(), &other);
    let there = |words: &[&str]| {
        fresh.command().env("AUTHY_MCP_HOME", &other).arg("--no-daemon").args(words).output().unwrap()
    };
    let said = there(&["admin", "list"]);
    assert!(said.status.code() == Some(7) && text(&said).contains("copy of the home"), "{}", text(&said));
    let accepted = there(&["admin", "verify", "--accept", &fresh.fingerprint()]);
    assert!(accepted.status.success(), "{}", text(&accepted));
    for n in 0..2 {
        assert!(there(&["admin", "set", &format!("f/there-{n}"), "--generate"]).status.success());
        fresh.ok(&["--no-daemon", "admin", "set", &format!("f/here-{n}"), "--generate"]);
    }
    assert!(there(&["admin", "verify"]).status.success());
    fresh.ok(&["--no-daemon", "admin", "verify"]);
    // Moved, it is the same home.
    fs::remove_dir_all(&other).unwrap();
    let moved = fresh.stage.path("moved");
    fs::rename(fresh.stage.home(), &moved).unwrap();
    let done = fresh
        .command()
        .env("AUTHY_MCP_HOME", &moved)
        .args(["--no-daemon", "admin", "list"])
        .output()
        .unwrap();
    assert!(!text(&done).contains("copy of the home"), "{}", text(&done));
    fs::rename(&moved, fresh.stage.home()).unwrap();
}

/// Wraps the identity with another passphrase, as `age` does it.
fn wrap_again(file: &Path, old: &str, new: &str) {
    use age::secrecy::SecretString;
    let bytes = fs::read(file).unwrap();
    let mut identity = age::scrypt::Identity::new(SecretString::from(old));
    // What age takes at most otherwise is what a loaded machine does in a moment.
    identity.set_max_work_factor(22);
    let text = age::decrypt(&identity, &bytes).unwrap();
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(new));
    recipient.set_work_factor(4);
    fs::write(file, age::encrypt(&recipient, &text).unwrap()).unwrap();
}

#[test]
fn what_unlocks_the_vault_is_the_one_that_it_knows() {
    let fresh = Fresh::locked();
    let file = fresh.stage.home().join("unlock/passphrase.age");
    let old = fs::read(&file).unwrap();
    wrap_again(&file, PASSPHRASE, "another four words");
    let passphrase = fresh.passphrase.clone().unwrap();
    let with = |text: &str| fs::write(&passphrase, text).unwrap();
    with("another four words");
    let said = fresh.fails(7, &["--no-daemon", "admin", "list"]);
    assert!(said.contains("unlock/passphrase.age") && said.contains("--accept"), "{said}");
    fresh.ok(&["--no-daemon", "admin", "verify", "--accept", &fresh.fingerprint()]);
    fresh.ok(&["--no-daemon", "admin", "list"]);
    fs::write(&file, old).unwrap();
    with(PASSPHRASE);
    for words in
        [&["admin", "list"][..], &["unlock", "--allow-user-namespace"], &["admin", "audit", "verify"]]
    {
        let said = fresh.fails(7, words);
        assert!(said.contains("unlock/passphrase.age"), "{said}");
    }
    let added = fresh.stage.home().join("unlock/keyring.age");
    wrap_again(&file, PASSPHRASE, "another four words");
    with("another four words");
    copy(&file, &added);
    fresh.fails(7, &["--no-daemon", "admin", "list"]);
}

/// Puts the vault and the pin back to before the last change, and cuts the log behind its announcement: what a kill
/// between the two leaves.
fn cut_off(fresh: &Fresh, change: &[&str]) {
    let kept = fresh.keep("kept", &["store"]);
    let (pin, pinned) = (fresh.pin(), fs::read(fresh.pin()).unwrap());
    fresh.ok(&[&["--no-daemon"], change].concat());
    fresh.put_back(&kept);
    fs::write(pin, pinned).unwrap();
    let log = fresh.stage.home().join("audit/log.jsonl");
    let lines = fs::read_to_string(&log).unwrap();
    let announced =
        lines.lines().position(|line| line.contains("\"changed\"") && line.contains(&last_epoch(&lines)));
    let until: usize =
        lines.lines().take(announced.expect("the change is completed")).map(|line| line.len() + 1).sum();
    fs::write(&log, &lines[..until]).unwrap();
    fs::remove_dir_all(fresh.stage.path("kept")).unwrap();
}

fn last_epoch(lines: &str) -> String {
    let epoch = |line: &str| serde_json::from_str::<Value>(line).ok()?.pointer("/change/epoch")?.as_u64();
    format!("\"epoch\":{}", lines.lines().filter_map(epoch).max().unwrap())
}

#[test]
fn a_revocation_that_was_cut_off_is_made_and_any_other_change_is_named() {
    let fresh = Fresh::new();
    let id = fresh.token_id();
    cut_off(&fresh, &["admin", "token", "revoke", &id]);
    let mut server =
        Server::start(fresh.command().args(["--no-daemon", "serve", "--token-file", &fresh.token]));
    let answer = server.run(json!({"command": ["printenv", "F_KEY"], "secrets": ["f/key"]}));
    assert_eq!(answer["code"], "token_invalid", "a revocation is never lost: {answer}");
    drop(server);
    cut_off(&fresh, &["admin", "set", "f/cut-off", "--generate"]);
    let listed = fresh.run(&["--no-daemon", "admin", "list"]);
    assert!(listed.status.success() && !String::from_utf8_lossy(&listed.stdout).contains("f/cut-off"));
    let events = fresh.ok(&["--no-daemon", "admin", "audit", "export"]);
    assert!(events.contains("\"change_lost\"") && events.contains("set f/cut-off"), "{events}");
    fresh.ok(&["--no-daemon", "admin", "set", "f/after", "--generate"]);
    fresh.ok(&["--no-daemon", "admin", "verify"]);
    fresh.ok(&["--no-daemon", "admin", "audit", "verify"]);
}

#[test]
fn something_else_in_a_files_place_hangs_nothing() {
    let names = [
        "home.json",
        "identity.txt",
        "vault.lock",
        "vault.turn",
        "store/current",
        "store/journal-1",
        "audit/head.json",
        "audit/log.jsonl",
        "audit/lock",
    ];
    for name in names {
        let fresh = Fresh::new();
        let path = fresh.stage.home().join(name);
        for fill in ["mkfifo", "/dev/zero"] {
            let _ = fs::remove_file(&path);
            if fill == "mkfifo" {
                assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            } else {
                symlink(fill, &path).unwrap();
            }
            let mut child = fresh
                .command()
                .args(["--no-daemon", "admin", "list"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let until = Instant::now() + PATIENCE;
            while child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < until, "{fill} as {name} hangs");
                std::thread::sleep(Duration::from_millis(20));
            }
            let said = text(&child.wait_with_output().unwrap());
            assert!(said.contains("error"), "{fill} as {name} is named: {said}");
        }
    }
}

#[test]
fn a_daemon_goes_on_once_a_fifo_is_gone() {
    let fresh = Fresh::new();
    let mut server = Server::start(fresh.command().args(["serve", "--token-file", &fresh.token]));
    let mut call = || server.run(json!({"command": ["printenv", "F_KEY"], "secrets": ["f/key"]}));
    assert_eq!(call()["exit_code"], 0);
    let journal = fresh.stage.home().join("store/journal-1");
    let kept = fresh.stage.path("journal");
    eventually("the head is anchored", || {
        let before = fs::read(&journal).unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        before == fs::read(&journal).unwrap()
    });
    fs::rename(&journal, &kept).unwrap();
    assert!(Command::new("mkfifo").arg(&journal).status().unwrap().success());
    assert_eq!(call()["code"], "damaged");
    fs::rename(&kept, &journal).unwrap();
    assert_eq!(call()["exit_code"], 0);
}

fn backup_of(fresh: &Fresh) -> String {
    let dir = fresh.stage.path("backup").to_str().unwrap().to_owned();
    fresh.ok(&["--no-daemon", "admin", "backup", &dir]);
    dir
}

#[test]
fn restore_brings_nothing_back_that_was_taken_away() {
    let fresh = Fresh::new();
    let used = fresh.stage.path("used.jwt").to_str().unwrap().to_owned();
    fresh.ok(&["--no-daemon", "admin", "token", "issue", "--scope", "s", "--max-uses", "2", "--out", &used]);
    let backup = backup_of(&fresh);
    let call = |token: &str| {
        let mut server = Server::start(fresh.command().args(["--no-daemon", "serve", "--token-file", token]));
        server.run(json!({"command": ["printenv", "F_KEY"], "secrets": ["f/key"]}))
    };
    for _ in 0..2 {
        assert_eq!(call(&used)["exit_code"], 0);
    }
    let since = fresh.stage.path("since.jwt").to_str().unwrap().to_owned();
    fresh.ok(&["--no-daemon", "admin", "token", "issue", "--scope", "s", "--out", &since]);
    let narrow = one_rule("s", "f/key", "[[\"true\"]]", "");
    fs::write(fresh.stage.path("policy.toml"), narrow).unwrap();
    let policy = fresh.stage.path("policy.toml");
    fresh.ok(&["--no-daemon", "admin", "policy", "apply", policy.to_str().unwrap(), "--yes"]);
    let listed = fresh.run(&["--json", "admin", "token", "list"]);
    let tokens: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let first = tokens.as_array().unwrap().iter().min_by_key(|t| t["issued_at"].as_i64()).unwrap();
    let own = fs::read_to_string(&fresh.token).unwrap();
    let id = id_of(&own);
    assert!(first["id"].is_string());
    fresh.ok(&["--no-daemon", "admin", "token", "revoke", &id]);
    let said = fresh.ok(&["--no-daemon", "admin", "restore", &backup, "--yes"]);
    assert!(said.contains("WIDENS") && said.contains("home.replaced-"), "{said}");
    assert_eq!(call(&fresh.token)["code"], "token_invalid", "revoked since");
    assert_eq!(call(&since)["code"], "token_invalid", "issued since");
    assert_eq!(call(&used)["code"], "token_expired", "used up since");
    fresh.ok(&["--no-daemon", "admin", "verify"]);
    fresh.ok(&["--no-daemon", "admin", "audit", "verify"]);
}

/// The identity of a token, as it says itself.
fn id_of(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = token.trim().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

#[test]
fn where_the_present_vault_cant_be_opened_no_token_is_good_any_more() {
    let fresh = Fresh::new();
    let backup = backup_of(&fresh);
    fs::write(fresh.stage.home().join("store/current"), "x").unwrap();
    let said = fresh.ok(&["--no-daemon", "admin", "restore", &backup, "--yes"]);
    assert!(said.contains("1 token(s) are void"), "{said}");
    assert_eq!(fresh.call()["code"], "token_invalid");
    fresh.ok(&["--no-daemon", "admin", "verify"]);
}

#[test]
fn a_backup_of_another_vault_or_a_weaker_unlock_is_refused_in_words() {
    let fresh = Fresh::locked();
    let other = Stage::new();
    other.set("o/key", b"a-value-of-some-length");
    let dir = other.path("backup");
    other.ok(&["admin", "backup", dir.to_str().unwrap()]);
    let before = fresh.ok(&["--no-daemon", "admin", "list"]);
    let said = fresh.fails(4, &["--no-daemon", "admin", "restore", dir.to_str().unwrap(), "--yes"]);
    assert!(said.contains("another vault") && said.contains("--another-vault"), "{said}");
    assert_eq!(fresh.ok(&["--no-daemon", "admin", "list"]), before, "the home is as it was");
    fresh.ok(&["--no-daemon", "admin", "restore", dir.to_str().unwrap(), "--yes", "--another-vault"]);
    let listed = fresh.ok(&["--no-daemon", "admin", "list"]);
    assert!(listed.contains("o/key") && !listed.contains("f/key"), "{listed}");
    fresh.ok(&["--no-daemon", "admin", "verify"]);
}

#[test]
fn a_damaged_audit_is_said_before_anything_is_exchanged() {
    let fresh = Fresh::new();
    let backup = backup_of(&fresh);
    let log = fresh.stage.home().join("audit/log.jsonl");
    let mut bytes = fs::read(&log).unwrap();
    let end = bytes.len() - 20;
    bytes[end] ^= 1;
    fs::write(&log, bytes).unwrap();
    let listing = || {
        let mut names: Vec<_> =
            fs::read_dir(fresh.stage.dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
        names.sort();
        names
    };
    let before = listing();
    let said = fresh.fails(7, &["--no-daemon", "admin", "restore", &backup, "--yes"]);
    assert!(said.contains("audit log is damaged"), "{said}");
    assert_eq!(listing(), before, "nothing was exchanged");
    fresh.ok(&["--no-daemon", "admin", "audit", "restart", "--yes"]);
    fresh.ok(&["--no-daemon", "admin", "restore", &backup, "--yes"]);
}

#[test]
fn records_that_are_no_files_of_a_backup_are_named() {
    for what in ["mkfifo", "/dev/zero"] {
        let fresh = Fresh::new();
        let backup = backup_of(&fresh);
        let record =
            fs::read_dir(Path::new(&backup).join("records")).unwrap().flatten().next().unwrap().path();
        fs::remove_file(&record).unwrap();
        if what == "mkfifo" {
            assert!(Command::new("mkfifo").arg(&record).status().unwrap().success());
        } else {
            symlink(what, &record).unwrap();
        }
        let said = fresh.fails(7, &["--no-daemon", "admin", "restore", &backup, "--yes"]);
        assert!(said.contains("records/"), "{what}: {said}");
        fresh.ok(&["--no-daemon", "admin", "verify"]);
    }
}

#[test]
fn a_home_that_is_a_link_stays_one() {
    let fresh = Fresh::new();
    let backup = backup_of(&fresh);
    let real = fresh.stage.path("real");
    fs::rename(fresh.stage.home(), &real).unwrap();
    symlink(&real, fresh.stage.home()).unwrap();
    let said = fresh.ok(&["--no-daemon", "admin", "restore", &backup, "--yes"]);
    assert!(said.contains("real.replaced-"), "{said}");
    assert_eq!(fs::read_link(fresh.stage.home()).unwrap(), real);
    fresh.ok(&["--no-daemon", "admin", "verify"]);
}

#[test]
fn a_home_that_is_a_mount_point_is_exchanged_in_place() {
    let fresh = Fresh::new();
    let backup = backup_of(&fresh);
    let home = fresh.stage.home();
    let volume = fresh.stage.path("volume");
    copy(&home, &volume);
    let binary = env!("CARGO_BIN_EXE_authy-mcp");
    let script = format!(
        "mount --bind {volume} {home} && export AUTHY_MCP_HOME={home} && {binary} --no-daemon admin restore {backup} --yes && {binary} --no-daemon admin verify && mountpoint -q {home}",
        volume = volume.display(),
        home = home.display(),
    );
    let done =
        Command::new("unshare").args(["-m", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    let said = text(&done);
    if said.contains("unshare failed") || said.contains("permission denied") {
        return eprintln!("skipped: no mount namespace can be had: {said}");
    }
    assert!(done.status.success() && said.contains("/replaced-"), "{said}");
    assert!(
        fs::read_dir(&volume)
            .unwrap()
            .flatten()
            .any(|e| e.file_name().to_string_lossy().starts_with("replaced-"))
    );
}

#[test]
fn backups_with_a_date_ahead_or_of_nobody_displace_none() {
    let fresh = Fresh::new();
    let backups = fresh.stage.home().join("backups");
    let dated = || {
        let entries = fs::read_dir(&backups).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter(|e| e.path().is_dir())
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let real = dated();
    assert_eq!(real.len(), 1);
    for day in ["03", "06", "09", "12", "15", "18", "21", "24"] {
        fs::create_dir(backups.join(format!("203001{day}T000000Z"))).unwrap();
    }
    for n in 0..3 {
        fresh.ok(&["--no-daemon", "admin", "set", &format!("f/{n}"), "--generate"]);
    }
    assert!(dated().contains(&real[0]), "the real one is kept: {:?}", dated());
    let status = fresh.run(&["--json", "status"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["backups"]["kept"], 1, "{status}");
    for name in dated().iter().filter(|name| name.starts_with("2030")) {
        fs::remove_dir(backups.join(name)).unwrap();
    }
    // A whole one from a clock that was ahead, and a copy of a real one under a later date.
    copy(&backups.join(&real[0]), &backups.join("20300101T000000Z"));
    let made: jiff::civil::DateTime = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &real[0]).unwrap();
    let later =
        made.checked_add(jiff::Span::new().seconds(1)).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string();
    copy(&backups.join(&real[0]), &backups.join(&later));
    eventually("that date has come", || {
        jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string() > later
    });
    let old = backups.join("20260101T000000Z");
    fs::rename(backups.join(&real[0]), &old).unwrap();
    fresh.ok(&["--no-daemon", "admin", "set", "f/last", "--generate"]);
    let kept = dated();
    assert_eq!(kept.len(), 4, "one is due, whatever lies there: {kept:?}");
    fresh.ok(&["--no-daemon", "admin", "verify"]);
}

#[test]
fn no_daemon_is_left_behind() {
    let fresh = Fresh::new();
    assert_eq!(fresh.call()["exit_code"], 0);
    let status: Value = serde_json::from_slice(&fresh.run(&["--json", "status"]).stdout).unwrap();
    let daemon = status["daemon"]["pid"].as_u64().expect("a daemon runs");
    let threads = fs::read_dir(format!("/proc/{daemon}/task")).unwrap().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<String> =
        children.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    let all: Vec<String> = children.into_iter().chain([daemon.to_string()]).collect();
    // One that has ended and that nobody waited for has no command line.
    let there = |pid: &String| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    assert!(all.iter().all(there), "{all:?}");
    fresh.ok(&["lock"]);
    eventually("it is gone, with what it started", || !all.iter().any(there));
}
