//! A machine that is not as it should be: what is wrong is said by its name, with what to do, and nothing else is.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::stage::{PASSPHRASE, Server, Stage, one_rule};

const VALUE: &[u8] = b"surrounded-value-3Rk8Vd6M";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.set("a/key", VALUE);
    stage.policy(&one_rule("s", "a/key", "[[\"sh\", \"-c\", \"**\"]]", ""));
    stage
}

/// The binary behind a shell that changes something first, in mounts of its own.
fn after(stage: &Stage, change: &str, words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    let shell = format!("{change}; exec \"$@\"");
    command.args(["--map-root-user", "--mount", "sh", "-c", &shell, "sh", env!("CARGO_BIN_EXE_authy-mcp")]);
    command.args(["--no-daemon"]).args(words).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", stage.dir.path());
    command.env("AUTHY_MCP_HOME", stage.home()).current_dir(stage.dir.path());
    command
}

fn run(server: &mut Server) -> Value {
    server.run(json!({"command": ["sh", "-c", "echo ran"], "secrets": ["a/key"]}))
}

/// A server that always starts and lists its tools, and what it says of a run.
#[track_caller]
fn refused(command: &mut Command) -> Value {
    let mut server = Server::start(command);
    let id = server.send("tools/list", json!({}));
    assert_eq!(server.answer(id)["result"]["tools"].as_array().unwrap().len(), 3);
    run(&mut server)
}

#[test]
fn without_proc_tools_are_listed_and_runs_refused() {
    let stage = stage();
    let said = refused(&mut after(&stage, "mount -t tmpfs none /proc", &["serve", "--scope", "s"]));
    assert_eq!(said["code"], "sandbox_unavailable", "{said}");
    assert!(said["message"].as_str().unwrap().contains("/proc"), "{said}");
    assert!(said["hint"].as_str().unwrap().contains("mount -t proc"), "{said}");
    assert!(stage.audit().iter().all(|event| event["event"] != "intent"), "nothing was started");
}

#[test]
fn a_home_that_is_read_only_is_named_as_one() {
    let stage = stage();
    let home = stage.home();
    let change = format!("mount --bind {0} {0} && mount -o remount,bind,ro {0}", home.display());
    let said = refused(&mut after(&stage, &change, &["serve", "--scope", "s"]));
    assert_eq!(said["code"], "audit_unavailable", "{said}");
    assert!(said["hint"].as_str().unwrap().contains("writable"), "{said}");
    let listed = after(&stage, &change, &["admin", "list"]).output().unwrap();
    let err = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert_eq!(listed.status.code(), Some(1), "{err}");
    assert!(err.contains("hint: make the home writable"), "{err}");
}

#[test]
fn a_place_for_temporary_files_that_can_t_be_used_is_no_missing_program() {
    let stage = stage();
    let dir = stage.path("temporary");
    fs::create_dir(&dir).unwrap();
    for (mount, hint) in [("-o ro", "writable"), ("-o size=4k,nr_inodes=1", "free space")] {
        let change = format!("mount -t tmpfs {mount} none {0}; export TMPDIR={0}", dir.display());
        let said = refused(&mut after(&stage, &change, &["serve", "--scope", "s"]));
        assert_eq!(said["code"], "sandbox_unavailable", "{said}");
        assert!(said["message"].as_str().unwrap().contains("make its private directory"), "{said}");
        assert!(said["hint"].as_str().unwrap().contains(hint), "{said}");
    }
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_no_end() {
    let stage = stage();
    let said = refused(&mut after(&stage, "ulimit -f 0", &["serve", "--scope", "s"]));
    assert_eq!(said["code"], "audit_unavailable", "{said}");
    assert!(said["hint"].as_str().unwrap().contains("ulimit -f"), "{said}");
    let failed = after(&stage, "ulimit -f 0", &["admin", "set", "a/other", "--generate"]).output().unwrap();
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stderr));
    // What is run meets the limit as it always does.
    let mut server = Server::start(&mut after(&stage, "ulimit -f 20000", &["serve", "--scope", "s"]));
    let script = "ulimit -f 1; head -c 100000 /dev/zero > large";
    let ran = server.run(json!({"command": ["sh", "-c", script], "secrets": ["a/key"]}));
    assert_eq!(ran["exit_code"], 128 + 25, "{ran}");
    drop(server);
    stage.ok(&["admin", "verify"]);
    stage.ok(&["admin", "audit", "verify"]);
}

#[test]
fn a_home_that_others_can_exchange_is_refused_and_named() {
    let stage = Stage::empty();
    let open = stage.path("open");
    fs::create_dir(&open).unwrap();
    let at = |home: &Path, words: &[&str]| -> Output {
        let mut command = stage.command();
        command.env("AUTHY_MCP_HOME", home).args(words).stdin(Stdio::null());
        command.output().unwrap()
    };
    let mode = |mode| fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
    let home = open.join("between/home");
    for bits in [0o777, 0o757, 0o702] {
        mode(bits);
        let done = at(&home, &["init", "--unlock", "identity-file"]);
        let err = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(4), "{bits:o}: {err}");
        assert!(err.contains(&format!("chmod go-w {}", open.display())), "{err}");
        assert!(!home.exists());
    }
    // Where nobody moves what is another's, it is as safe as /tmp is.
    mode(0o1777);
    assert!(at(&home, &["init", "--unlock", "identity-file"]).status.success());
    let doctor = |home: &Path| String::from_utf8(at(home, &["doctor"]).stdout).unwrap();
    assert!(!doctor(&home).contains("chmod go-w"));
    mode(0o777);
    let said = doctor(&home);
    assert!(said.contains(&format!("FAILED   others may write to {}", open.display())), "{said}");
    assert!(said.contains(&format!("chmod go-w {}", open.display())), "{said}");
    assert!(!said.contains("nobody else can read the home"), "{said}");
}

#[test]
fn what_is_named_as_a_file_has_an_end() {
    let (stage, passphrase) = Stage::locked();
    let list = |file: &str| stage.run(&["--passphrase-file", file, "admin", "list"]);
    let import =
        |file: &str| stage.run(&["--passphrase-file", &passphrase, "admin", "import", file, "--all"]);
    let said = |done: Output| (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned());
    let large = stage.path("large");
    let of_size = |size: u64| {
        fs::File::create(&large).unwrap().set_len(size).unwrap();
        fs::set_permissions(&large, fs::Permissions::from_mode(0o600)).unwrap();
        large.to_str().unwrap().to_owned()
    };
    let (code, err) = said(list(&of_size((64 << 10) + 1)));
    assert!(code == Some(2) && err.contains("is larger than 64 KiB, which is the limit"), "{err}");
    let (code, err) = said(import(&of_size((16 << 20) + 1)));
    assert!(code == Some(2) && err.contains("is larger than 16384 KiB, which is the limit"), "{err}");
    let device = stage.path("device");
    symlink("/dev/null", &device).unwrap();
    let (code, err) = said(import(device.to_str().unwrap()));
    assert!(code == Some(1) && err.contains("neither a regular file nor a pipe"), "{err}");
    // A pipe is what a shell makes of <(…).
    let pipe = stage.path("pipe");
    let path = pipe.to_str().unwrap();
    assert!(Command::new("mkfifo").args(["-m", "600", path]).status().unwrap().success());
    for (asked, text) in
        [(&list as &dyn Fn(&str) -> Output, PASSPHRASE), (&import, "A_TOKEN=Zk3v9QmT7xLpW2rB\n")]
    {
        let written = pipe.clone();
        let writer = std::thread::spawn(move || fs::write(written, text).unwrap());
        let (code, err) = said(asked(path));
        assert_eq!(code, Some(0), "{err}");
        writer.join().unwrap();
    }
}

#[test]
fn an_import_takes_all_of_a_file_or_nothing() {
    let stage = Stage::new();
    let file = stage.path("env");
    let path = file.to_str().unwrap();
    for (text, said) in [
        (
            "A_TOKEN=first-9876543\nB_TOKEN=other-9876543\nA_TOKEN=second-9876543\n",
            "line 3: A_TOKEN has another value on line 1",
        ),
        ("B_TOKEN=other-9876543\nA_TOKEN='nul-\0-9876543'\n", "line 2: the value of A_TOKEN has a NUL byte"),
    ] {
        fs::write(&file, text).unwrap();
        let err = stage.fails(2, &["admin", "import", path]);
        assert!(err.contains(said) && !err.contains("9876543"), "{err}");
        assert_eq!(stage.ok(&["admin", "list", "--json"]).trim(), "[]");
    }
    // The same again says nothing else; and many are a batch.
    let mut text = "A_TOKEN=Zk3v9QmT7xLpW2rB\nA_TOKEN=\"Zk3v9QmT7xLpW2rB\"\n".to_owned();
    for number in 0..300_u64 {
        let value = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        text.push_str(&format!(
            "N{number}_TOKEN=v{value:016x}Qx
"
        ));
    }
    fs::write(&file, text).unwrap();
    let said = stage.ok(&["admin", "import", path]);
    assert!(said.contains("301 taken over, 0 left out"), "{said}");
    assert!(said.contains("took N299_TOKEN (version 1)"), "{said}");
    // One change, which is announced and then put on record.
    assert!(stage.audit().iter().filter(|event| event["action"] == "set").count() <= 2);
}
