//! Every part of a home, and what remembers it, put back in every combination: named, or without effect. A seeded sample
//! runs with the other tests; `write_the_table` fills docs/freshness.md with all of them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use authy_mcp::testing::vault::PARTS;
use serde_json::{Value, json};

use crate::stage::{Server, Stage};

const OLD: &str = "four words in a row";
const NEW: &str = "another four words";
const OLD_VALUE: &str = "an-old-value-7Hq2";
const NEW_VALUE: &str = "the-new-value-9Xb4";
/// The pin, as the last of the parts.
const PIN: usize = PARTS.len();

/// What the operator did, and an attacker would undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Revocation,
    Policy,
    Rotation,
    Passphrase,
}

/// When the copy was taken that is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Saved {
    BeforeUnlock,
    AfterUnlock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Daemon {
    Running,
    Killed,
    Restarted,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pin {
    Made,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    change: Change,
    saved: Saved,
    daemon: Daemon,
    pin: Pin,
}

/// What came of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It is said, and nothing is served.
    Named,
    /// What the operator did holds.
    WithoutEffect,
    /// What the operator did is undone, and nothing says so.
    Undone,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for change in [Change::Revocation, Change::Policy, Change::Rotation, Change::Passphrase] {
            for saved in [Saved::BeforeUnlock, Saved::AfterUnlock] {
                for daemon in [Daemon::Running, Daemon::Killed, Daemon::Restarted, Daemon::None] {
                    for pin in [Pin::Made, Pin::None] {
                        all.push(Self { change, saved, daemon, pin });
                    }
                }
            }
        }
        all
    }

    /// All subsets, as bits over [`PARTS`] and the pin; a home by passphrase has no identity file.
    fn subsets(self) -> Vec<u32> {
        let identity = PARTS.iter().position(|(name, _)| *name == "identity").unwrap();
        let bits = PIN + usize::from(self.pin == Pin::Made);
        (1..1 << bits).filter(|subset| subset & (1 << identity) == 0).collect()
    }

    /// Whether anything is promised of a cell (docs/freshness.md): without a daemon, nothing but the pin knows better
    /// than a home that agrees with itself.
    fn is_promised(self, subset: u32) -> bool {
        let pin_is_put_back = self.pin == Pin::None || subset & (1 << PIN) != 0;
        self.daemon == Daemon::Running || !pin_is_put_back
    }
}

/// A home that is put through the cells of one case.
struct Scene {
    stage: Stage,
    case: Case,
    saved: PathBuf,
    passphrase: PathBuf,
    token: PathBuf,
}

impl Scene {
    fn set(case: Case) -> Self {
        let stage = Stage::empty();
        let (saved, passphrase, token) =
            (stage.path("saved"), stage.path("passphrase"), stage.path("token.jwt"));
        let scene = Self { stage, case, saved, passphrase, token };
        scene.type_passphrase(OLD);
        let mut init = vec!["init", "--unlock", "passphrase"];
        init.extend((case.pin == Pin::None).then_some("--no-pin"));
        scene.ok(&init);
        scene.wrap_again(OLD, OLD);
        scene.set_value(OLD_VALUE);
        scene.apply(&["printenv"]);
        scene.ok(&["admin", "token", "issue", "--scope", "s", "--out", scene.token.to_str().unwrap()]);
        match case.saved {
            _ if case.daemon == Daemon::None => scene.save(),
            Saved::BeforeUnlock => {
                scene.save();
                scene.unlock();
            }
            Saved::AfterUnlock => {
                scene.unlock();
                scene.save();
            }
        }
        scene.change();
        if case.daemon == Daemon::Restarted {
            scene.ok(&["lock"]);
        }
        scene
    }

    fn change(&self) {
        match self.case.change {
            Change::Revocation => {
                let listed = self.run(&["--json", "admin", "token", "list"]);
                let tokens: Value = serde_json::from_slice(&listed.stdout).unwrap();
                self.ok(&["admin", "token", "revoke", tokens[0]["id"].as_str().unwrap()]);
            }
            Change::Policy => self.apply(&["true"]),
            Change::Rotation => self.set_value(NEW_VALUE),
            Change::Passphrase => self.wrap_again(OLD, NEW),
        }
    }

    /// Puts a subset back, sees what comes of it, and lays the home out again as it was.
    fn cell(&self, subset: u32) -> Outcome {
        if self.case.daemon == Daemon::Killed {
            self.kill_daemon();
        }
        let before = self.stage.path("before");
        self.copy_out(&before);
        self.put_back(&self.saved, subset);
        let starts = matches!(self.case.daemon, Daemon::Killed | Daemon::Restarted);
        let unlocked = !starts || self.run(&["unlock", "--allow-user-namespace"]).status.success();
        let outcome = if unlocked { self.outcome() } else { Outcome::Named };
        if starts {
            self.kill_daemon();
        }
        self.put_back(&before, subset);
        fs::remove_dir_all(before).unwrap();
        outcome
    }

    /// The parts that are still as they were saved, byte for byte: to put one of them back changes nothing.
    fn unchanged(&self) -> u32 {
        let now = self.stage.path("now");
        self.copy_out(&now);
        let same = |part: &usize| {
            let (saved, now) = (self.saved.join(part.to_string()), now.join(part.to_string()));
            Command::new("diff").arg("-rq").args([saved, now]).output().unwrap().status.success()
        };
        let unchanged = (0..=PIN).filter(same).fold(0, |bits, part| bits | (1 << part));
        fs::remove_dir_all(now).unwrap();
        unchanged
    }

    fn outcome(&self) -> Outcome {
        if self.case.change == Change::Passphrase {
            self.type_passphrase(OLD);
            let old = self.run(&["admin", "list"]);
            self.type_passphrase(NEW);
            if old.status.success() {
                return Outcome::Undone;
            }
            let new = self.run(&["admin", "list"]);
            return if new.status.success() { Outcome::WithoutEffect } else { Outcome::Named };
        }
        let answer = self.call();
        let code = answer["code"].as_str().unwrap_or_default();
        match self.case.change {
            _ if matches!(code, "damaged" | "audit_unavailable" | "vault_locked") => Outcome::Named,
            Change::Revocation if code == "token_invalid" => Outcome::WithoutEffect,
            Change::Policy if code == "command_not_allowed" => Outcome::WithoutEffect,
            Change::Rotation if answer["exit_code"] == 0 => Outcome::WithoutEffect,
            _ if answer["outcome"] == "exited" => Outcome::Undone,
            _ => panic!("{:?}: {answer}", self.case),
        }
    }

    fn call(&self) -> Value {
        let mut command = self.command();
        command.args((self.case.daemon == Daemon::None).then_some("--no-daemon"));
        let mut server = Server::start(command.args(["serve", "--token-file"]).arg(&self.token));
        let answer = server.run(json!({"command": self.argv(), "secrets": ["p/key"]}));
        server.hang_up();
        answer
    }

    /// What an agent runs: it ends well where the value is the new one.
    fn argv(&self) -> Vec<String> {
        let test = format!("test \"$P_KEY\" = {NEW_VALUE}");
        ["sh", "-c", &test].map(str::to_owned).into()
    }

    fn apply(&self, which: &[&str]) {
        let command = if which == ["true"] { vec!["true".to_owned()] } else { self.argv() };
        let file = self.stage.path("policy.toml");
        let text = format!(
            "scope = \"s\"\n[[allow]]\nsecrets = [\"p/key\"]\ndeliver = \"env\"\ncommands = [{}]\n",
            serde_json::to_string(&command).unwrap()
        );
        fs::write(&file, text).unwrap();
        self.ok(&["admin", "policy", "apply", file.to_str().unwrap(), "--yes"]);
    }

    fn set_value(&self, value: &str) {
        let file = self.stage.path("value");
        fs::write(&file, value).unwrap();
        self.ok(&["admin", "set", "p/key", "--from-file", file.to_str().unwrap()]);
    }

    /// Changes the passphrase as it can be done without a command for it: by age, and accepted. The work factor is low:
    /// nothing here is kept.
    fn wrap_again(&self, old: &str, new: &str) {
        use age::secrecy::SecretString;
        let file = self.stage.home().join("unlock/passphrase.age");
        let mut identity = age::scrypt::Identity::new(SecretString::from(old));
        // What age takes at most otherwise is what a loaded machine does in a moment.
        identity.set_max_work_factor(22);
        let text = age::decrypt(&identity, &fs::read(&file).unwrap()).unwrap();
        let mut recipient = age::scrypt::Recipient::new(SecretString::from(new));
        recipient.set_work_factor(2);
        fs::write(&file, age::encrypt(&recipient, &text).unwrap()).unwrap();
        self.type_passphrase(new);
        let info: Value =
            serde_json::from_slice(&fs::read(self.stage.home().join("home.json")).unwrap()).unwrap();
        let mut words = vec!["admin", "verify", "--accept", info["fingerprint"].as_str().unwrap()];
        words.extend((self.case.pin == Pin::None).then_some("--no-pin"));
        self.ok(&words);
    }

    fn type_passphrase(&self, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        fs::write(&self.passphrase, text).unwrap();
        fs::set_permissions(&self.passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn unlock(&self) {
        self.ok(&["unlock", "--allow-user-namespace"]);
    }

    fn kill_daemon(&self) {
        let status = self.run(&["--json", "status"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        let Some(pid) = status["daemon"]["pid"].as_i64() else { return };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        crate::stage::eventually("it is gone", || !Path::new(&format!("/proc/{pid}/exe")).exists());
    }

    fn save(&self) {
        self.copy_out(&self.saved);
    }

    /// Copies each part of the home, and the pin, into a directory.
    fn copy_out(&self, to: &Path) {
        fs::create_dir(to).unwrap();
        for part in 0..PARTS.len() {
            let there = to.join(part.to_string());
            fs::create_dir(&there).unwrap();
            for file in files_of(&self.stage.home(), part) {
                copy(&file, &there.join(file.file_name().unwrap()));
            }
        }
        if let Some(pin) = self.stage.pin() {
            copy(&pin, &to.join(PIN.to_string()));
        }
    }

    fn put_back(&self, from: &Path, subset: u32) {
        for part in (0..PARTS.len()).filter(|part| subset & (1 << part) != 0) {
            let home = self.stage.home();
            let above =
                if PARTS[part].1[0].starts_with("store/") { home.join("store") } else { home.clone() };
            let kept = from.join(part.to_string());
            let saved: Vec<PathBuf> =
                fs::read_dir(kept).unwrap().flatten().map(|entry| entry.path()).collect();
            for file in files_of(&home, part) {
                // A daemon ends where its home is gone: a file is replaced, never missing.
                let stays = saved.iter().any(|saved| saved.file_name() == file.file_name());
                if file.is_dir() {
                    // A daemon may be writing in it.
                    crate::stage::eventually("it is gone", || {
                        fs::remove_dir_all(&file).is_ok() || !file.exists()
                    });
                } else if !stays {
                    fs::remove_file(&file).unwrap();
                }
            }
            for file in saved {
                let there = above.join(file.file_name().unwrap());
                if file.is_dir() {
                    copy(&file, &there);
                } else {
                    let part = above.join(".put-back");
                    copy(&file, &part);
                    fs::rename(part, there).unwrap();
                }
            }
        }
        if subset & (1 << PIN) != 0 {
            copy(&from.join(PIN.to_string()), &self.stage.pin().expect("a pin was made"));
        }
    }

    fn command(&self) -> Command {
        // The whole table takes so long that another build may be meant for it.
        let binary = std::env::var_os("FRESHNESS_BINARY");
        let mut command = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_authy-mcp").into()));
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.stage.dir.path())
            .env("AUTHY_MCP_HOME", self.stage.home())
            .current_dir(self.stage.dir.path())
            .arg("--passphrase-file")
            .arg(&self.passphrase);
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command().args(words).stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) {
        let done = self.run(words);
        assert!(
            done.status.success(),
            "{:?} {words:?}: {}",
            self.case,
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.run(&["lock"]);
    }
}

/// The files of a part that a home has.
fn files_of(home: &Path, part: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in PARTS[part].1 {
        let (above, begins) = pattern
            .rsplit_once('/')
            .map_or((home.to_owned(), *pattern), |(dir, name)| (home.join(dir), name));
        let entries = fs::read_dir(above).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name == begins || (begins.ends_with('-') && name.starts_with(begins))
        }));
    }
    found
}

/// What a daemon is writing may be gone before it is read: then once more, unless it stays so.
fn copy(from: &Path, to: &Path) {
    crate::stage::eventually("it is copied", || {
        Command::new("cp")
            .args(["-a", "-T"])
            .arg(from)
            .arg(to)
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    });
}

fn words(subset: u32) -> String {
    let names = PARTS.iter().map(|(name, _)| *name).chain(["pin"]);
    let chosen: Vec<&str> =
        names.enumerate().filter(|(bit, _)| subset & (1 << bit) != 0).map(|(_, name)| name).collect();
    chosen.join(" + ")
}

/// Numbers that a seed gives (splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }
}

#[test]
fn every_part_of_a_home_is_in_the_list() {
    let stage = Stage::new();
    stage.set("a/key", b"a-value-of-some-length");
    stage.policy(&crate::stage::one_rule("s", "a/key", "[[\"true\"]]", ""));
    stage.ok(&["config", "claude-code", "--scope", "s", "--write"]);
    let known = |name: &str| {
        let locks =
            name.ends_with(".lock") || name.ends_with(".turn") || name.ends_with(".first") || name == "run";
        locks || PARTS.iter().flat_map(|(_, files)| *files).any(|file| file.split('/').next() == Some(name))
    };
    for entry in fs::read_dir(stage.home()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(known(&name), "{name} is in no part");
    }
}

#[test]
fn a_sample_of_what_is_put_back_is_named_or_without_effect() {
    // Another sample by hand: FRESHNESS_SEED=N cargo test --test it put_back::a_sample -- --nocapture
    let seed = std::env::var("FRESHNESS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_126);
    eprintln!("seed {seed}");
    let mut seeded = Seeded(seed);
    let (cases, mut wrong) = (Case::all(), Vec::new());
    for _ in 0..6 {
        let case = cases[seeded.below(cases.len())];
        let (scene, subsets) = (Scene::set(case), case.subsets());
        for _ in 0..10 {
            let subset = subsets[seeded.below(subsets.len())];
            if scene.cell(subset) == Outcome::Undone && case.is_promised(subset) {
                wrong.push(format!("{case:?}: {}", words(subset)));
            }
        }
    }
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
}

/// Cells by what they have in common: case → outcome → subsets.
type Table = BTreeMap<Case, BTreeMap<Outcome, Vec<u32>>>;

#[test]
#[ignore = "takes half an hour: the table of docs/freshness.md, of FRESHNESS_CASES (0..64) and of FRESHNESS_SUBSETS of each (all)"]
fn write_the_table() {
    let most =
        std::env::var("FRESHNESS_SUBSETS").ok().and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);
    let mut seeded = Seeded(9);
    let chosen = std::env::var("FRESHNESS_CASES").unwrap_or_else(|_| "0..64".to_owned());
    let (from, until) = chosen.split_once("..").unwrap();
    let (from, until): (usize, usize) = (from.parse().unwrap(), until.parse().unwrap());
    let begun = std::time::Instant::now();
    let (mut table, mut homes) = (Table::new(), 0);
    for case in Case::all().into_iter().skip(from).take(until - from) {
        let scene = Scene::set(case);
        let mut subsets = case.subsets();
        while subsets.len() > most {
            // Those with most of the parts, at the end, are the ones that agree with themselves.
            subsets.remove(seeded.below(subsets.len() - 1));
        }
        // Two subsets that differ in unchanged parts alone make the same home: one walk answers for both.
        let (unchanged, mut walked) = (scene.unchanged(), BTreeMap::new());
        for subset in subsets {
            let outcome = *walked.entry(subset & !unchanged).or_insert_with_key(|subset| scene.cell(*subset));
            table.entry(case).or_default().entry(outcome).or_default().push(subset);
            assert!(outcome != Outcome::Undone || !case.is_promised(subset), "{case:?}: {}", words(subset));
        }
        assert_eq!(scene.unchanged() & unchanged, unchanged, "{case:?}: a part changed on the way");
        homes += walked.len();
        eprintln!("{} {} homes", row(case, &table[&case]), walked.len());
    }
    let mut text = String::new();
    for (case, outcomes) in &table {
        writeln!(text, "{}", row(*case, outcomes)).unwrap();
    }
    let cells: usize = table.values().flat_map(BTreeMap::values).map(Vec::len).sum();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("freshness-{chosen}.md"));
    fs::write(&path, &text).unwrap();
    eprintln!(
        "{cells} cells, {homes} homes that differ, in {} s: {}",
        begun.elapsed().as_secs(),
        path.display()
    );
}

fn row(case: Case, outcomes: &BTreeMap<Outcome, Vec<u32>>) -> String {
    let count = |outcome| outcomes.get(&outcome).map_or(0, Vec::len);
    let undone = outcomes.get(&Outcome::Undone).map_or_else(String::new, |subsets| {
        let all = subsets.iter().fold(u32::MAX, |all, subset| all & subset);
        format!("each has {}", words(all & ((1 << (PIN + 1)) - 1)))
    });
    format!(
        "| {:?} | {:?} | {:?} | {:?} | {} | {} | {} | {undone} |",
        case.change,
        case.saved,
        case.daemon,
        case.pin,
        count(Outcome::Named),
        count(Outcome::WithoutEffect),
        count(Outcome::Undone),
    )
}
