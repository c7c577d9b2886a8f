//! What one run may use of its machine: ended at its limits and named, as root and as another user, with and without a sandbox. Under
//! load: `tests/load/greedy.py`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::{Value, json};

use crate::stage::{Server, Stage, eventually, processes};

const LIMITS: &str = "processes = 40\nmemory = \"64MiB\"\ndisk = \"16MiB\"";
/// Of root's runs where nothing counts their processes: a policy that writes `processes` is refused there.
const UNCOUNTED: &str = "memory = \"64MiB\"\ndisk = \"16MiB\"";
const DISK: &str = "disk = \"16MiB\"";

/// What comes to which limit. A shell that can't fork tries again for a while.
const GREEDY: [(&str, &str); 5] = [
    ("while :; do sleep SECONDS & done", "processes"),
    ("head -c 300M /dev/zero | tail", "memory"),
    ("n=0; while :; do head -c 1M /dev/zero > $HOME/$n; n=$((n + 1)); done", "disk"),
    ("n=0; while :; do mkdir -p $TMPDIR/$n/a/b/c/d/e/f/g/h/i/j; n=$((n + 1)); done", "disk"),
    ("head -c 20M /dev/zero > $TMPDIR/one; sleep SECONDS", "disk"),
];

/// Takes all processes that it may have and is refused one more, once; then goes on without.
const REFUSED_ONCE: &str = "import os, time
children = []
try:
 while 1:
  child = os.fork()
  if not child: time.sleep(60)
  children.append(child)
except OSError: pass
for child in children: os.kill(child, 9); os.waitpid(child, 0)
os._exit(7)";

/// Takes exactly as many as it may have, and keeps them while several looks pass.
const ALL_OF_THEM: &str = "import os, time
children = []
for _ in range(39):
 child = os.fork()
 if not child: time.sleep(60)
 children.append(child)
time.sleep(1.5)
for child in children: os.kill(child, 9); os.waitpid(child, 0)
print(len(children))";

/// Holds removed files open where none of them is among the descriptors that are looked at: they come behind 6,000 others,
/// which each process but the first has of the one before it.
const BEHIND_MANY: &str = "import os, time
idle = [os.open('/dev/null', os.O_RDONLY) for _ in range(900)]
for _ in range(6):
 if os.fork(): time.sleep(60)
held = []
for _ in range(64):
 held.append(open(os.environ['TMPDIR'] + '/gone', 'wb')); os.remove(held[-1].name)
 held[-1].write(bytes(4 << 20)); held[-1].flush()
time.sleep(60)";

/// Memory that is in no process and in no file.
const SEGMENTS: &str = "import ctypes, time
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
at = ctypes.c_void_p(libc.shmat(libc.shmget(0, 128 << 20, 0o1600), None, 0))
ctypes.memset(at, 1, 128 << 20)
libc.shmdt(at)
time.sleep(60)";

fn policy(sandbox: &str, limits: &str) -> String {
    format!(
        "scope = \"s\"\n[limits]\nruns_per_minute = 600\n{limits}\n[sandbox]\n{sandbox}\n[[allow]]\nsecrets = [\"a/key\"]\n\
         deliver = \"env\"\ncommands = \"any\"\n"
    )
}

fn stage(sandbox: &str, limits: &str) -> Stage {
    let stage = Stage::new();
    stage.set("a/key", b"limits-value-7Kp3Wq8Z");
    stage.policy(&policy(sandbox, limits));
    stage
}

fn call(script: &str) -> Value {
    json!({"command": ["/bin/bash", "-c", script], "secrets": ["a/key"], "timeout_seconds": 60})
}

fn python(code: &str) -> Value {
    json!({"command": ["/usr/bin/python3", "-c", code], "secrets": ["a/key"], "timeout_seconds": 60})
}

fn said(ran: &Value) -> &str {
    ran["stdout"].as_str().unwrap_or_default().trim()
}

/// Whether this user's runs have control groups here: a run without a sandbox doesn't say so.
fn has_groups() -> bool {
    let ran = stage("", "").serve("s").run(call("true"));
    let has = ran["sandbox"].as_str().is_some_and(|sandbox| sandbox.contains("limits cgroup"));
    assert!(has || !can_make_groups(), "there are some, which are not used: {ran}");
    has
}

/// Whether this process can make groups of version 1 below its own.
fn can_make_groups() -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    ["pids", "memory"].iter().all(|controller| {
        let path = own.lines().find_map(|line| line.split_once(&format!(":{controller}:/")));
        path.is_some_and(|(_, path)| {
            let group = format!("/sys/fs/cgroup/{controller}/{path}/tried-{}", std::process::id());
            fs::create_dir(&group).and_then(|()| fs::remove_dir(&group)).is_ok()
        })
    })
}

/// Each of them is ended by its limit, and says which. `seconds` no other test sleeps.
fn all_are_ended(server: &mut Server, greedy: &[(&str, &str)], seconds: &str) {
    for (script, limit) in greedy {
        let ran = server.run(call(&script.replace("SECONDS", seconds)));
        assert_eq!(
            (&ran["outcome"], &ran["limit"]),
            (&json!("resource_limit"), &json!(limit)),
            "{script}: {ran}"
        );
        assert!(ran.get("exit_code").is_none() && ran.get("signal").is_none(), "{ran}");
        assert_eq!(processes(&format!("sleep {seconds}")), [0; 0], "{script}");
    }
}

/// A file that can't grow so far is refused as a whole, and the program goes on.
fn a_large_file_is_refused(server: &mut Server) {
    let ran = server.run(call("trap '' XFSZ; fallocate -l 20G $TMPDIR/big 2>&1; echo went on"));
    assert!(said(&ran).contains("File too large") && said(&ran).ends_with("went on"), "{ran}");
}

/// Whether the result of a run says that it was refused a process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusals {
    Noted,
    /// Its processes are watched.
    Unseen,
}

/// A program that is at its limit, or was refused a process once, ends as it wants to.
fn those_at_their_limit_go_on(server: &mut Server, refusals: Refusals) {
    let ran = server.run(python(REFUSED_ONCE));
    assert_eq!(
        (&ran["outcome"], &ran["exit_code"]),
        (&json!("exited"), &json!(1)),
        "as its rule has it: {ran}"
    );
    let note = ran["notes"][0].as_str();
    let noted = note.is_some_and(|note| note.ends_with("(limits.processes)"));
    assert_eq!(noted, refusals == Refusals::Noted, "{ran}");
    let ran = server.run(python(ALL_OF_THEM));
    assert_eq!((&ran["outcome"], &ran["exit_code"]), (&json!("exited"), &json!(0)), "{ran}");
    assert_eq!((said(&ran), ran.get("notes")), ("39", None), "{ran}");
}

#[test]
fn a_run_that_wants_more_than_it_may_is_ended_and_named() {
    let groups = has_groups();
    let counted = groups || !geteuid().is_root();
    let (limits, processes) = if counted { (LIMITS, 40) } else { (UNCOUNTED, 512) };
    let greedy: Vec<_> = GREEDY.into_iter().filter(|(_, limit)| counted || *limit != "processes").collect();
    if !counted {
        eprintln!("skipped: limits of processes: nothing counts those of root here");
    }
    for (sandbox, seconds) in [("network = \"none\"", "7103.1"), ("mode = \"off\"", "7103.2")] {
        let stage = stage(sandbox, limits);
        let mut server = stage.serve("s");
        all_are_ended(&mut server, &greedy, seconds);
        if sandbox.contains("off") && !groups {
            eprintln!("skipped: {sandbox}: nothing but a control group refuses a process there");
        } else if counted {
            let refusals = if groups { Refusals::Noted } else { Refusals::Unseen };
            those_at_their_limit_go_on(&mut server, refusals);
        }
        let listed = server.tool("list_allowed", json!({}))["structuredContent"]["limits"].clone();
        assert_eq!(
            (&listed["processes"], &listed["memory_bytes"], &listed["disk_bytes"]),
            (&json!(processes), &json!(64 << 20), &json!(16 << 20))
        );
        let ended: Vec<Value> =
            stage.audit().into_iter().filter(|event| event["event"] == "outcome").collect();
        let limits: Vec<&str> = ended.iter().filter_map(|event| event["limit"].as_str()).collect();
        let expected: Vec<&str> = greedy.iter().map(|(_, limit)| *limit).collect();
        assert_eq!(limits, expected, "{ended:?}");
    }
}

#[test]
fn a_large_file_is_refused_but_where_a_run_makes_something_for_others() {
    let stage = stage("", DISK);
    let mut server = stage.serve("s");
    a_large_file_is_refused(&mut server);
    let place = stage.dir.path().join("made");
    fs::create_dir(&place).unwrap();
    stage.policy(&policy(&format!("write = [{:?}]", place.display().to_string()), DISK));
    let mut server = stage.serve("s");
    let large = format!(
        "cd {}; truncate -s 100G sparse && head -c 20M /dev/zero > real; stat -c %s *",
        place.display()
    );
    let ran = server.run(call(&large));
    assert_eq!(said(&ran), format!("{}\n{}", 20 << 20, 100_u64 << 30), "{ran}");
    let ran = server.run(call(&GREEDY[4].0.replace("SECONDS", "7103.4")));
    assert_eq!(ran["limit"], "disk", "its private directories are looked at: {ran}");
}

#[test]
fn removed_files_are_counted_behind_any_number_of_descriptors() {
    let stage = stage("", DISK);
    let ran = stage.serve("s").run(python(BEHIND_MANY));
    assert_eq!((&ran["outcome"], &ran["limit"]), (&json!("resource_limit"), &json!("disk")), "{ran}");
}

#[test]
fn a_person_has_the_limit_that_is_written_and_no_other() {
    let stage = stage("", "memory = \"256MiB\"");
    let counts = "ulimit -n; cat /proc/sys/user/max_inotify_instances /proc/sys/user/max_user_namespaces";
    let here = Command::new("/bin/bash").args(["-c", "ulimit -n"]).output().unwrap();
    let words = ["run", "--scope", "s", "--secret", "a/key", "--", "/bin/bash", "-c", counts];
    let said = String::from_utf8_lossy(&stage.run(&words).stdout).into_owned();
    let numbers: Vec<&str> = said.lines().collect();
    assert_eq!(numbers[0], String::from_utf8_lossy(&here.stdout).trim());
    let of_user = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").unwrap();
    let all: u64 = of_user.trim().parse().unwrap();
    assert!(numbers[1].parse::<u64>().unwrap() >= all && numbers[2] != "0", "{said}");
    let ran = stage.serve("s").run(call(counts));
    assert!(self::said(&ran).ends_with(&format!("{}\n0", all / 10)), "a call leaves some: {ran}");
}

/// A person on a terminal has only the limits that the policy writes.
#[test]
fn a_call_has_limits_by_default_and_a_person_those_that_are_written() {
    let size = |text: &str| -> String {
        let line = text.lines().find(|line| line.starts_with("Max file size")).unwrap();
        line.split_whitespace().nth(3).unwrap().to_owned()
    };
    let here = stage("", "");
    let ran =
        here.serve("s").run(json!({"command": ["/bin/cat", "/proc/self/limits"], "secrets": ["a/key"]}));
    assert_eq!(size(said(&ran)), (10_u64 << 30).to_string(), "{ran}");
    assert!(ran["sandbox"].as_str().unwrap().contains("limits "), "{ran}");
    let run = |stage: &Stage| {
        let words = ["run", "--scope", "s", "--secret", "a/key", "--", "/bin/cat", "/proc/self/limits"];
        size(&String::from_utf8_lossy(&stage.run(&words).stdout))
    };
    assert_eq!(run(&here), "unlimited");
    here.policy(&policy("", "disk = \"16MiB\""));
    assert_eq!(run(&here), (16 << 20).to_string());
    let words = ["run", "--scope", "s", "--secret", "a/key", "--", "/bin/bash", "-c", GREEDY[2].0];
    let failed = here.fails(125, &words);
    assert!(failed.contains("it came to its limit of disk"), "{failed}");
}

#[test]
fn a_run_takes_a_part_of_what_its_user_has_of_watchers() {
    let stage = stage("", "");
    let mut server = stage.serve("s");
    let ran = server.run(call(
        "cd /proc/sys/user; cat max_inotify_instances max_user_namespaces; cat /proc/self/oom_score_adj",
    ));
    let all: u64 =
        fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").unwrap().trim().parse().unwrap();
    let numbers: Vec<u64> = said(&ran).lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers, [all / 10, 0, 800], "{ran}");
}

/// Another user of this machine, whose vault lies below a directory of its own.
struct User {
    dir: tempfile::TempDir,
    binary: PathBuf,
}

impl User {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("authy-mcp-user-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(dir.path(), Some(1500), Some(1500)).unwrap();
        let binary = dir.path().join("authy-mcp");
        fs::copy(env!("CARGO_BIN_EXE_authy-mcp"), &binary).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir, binary }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=1500", "--regid=1500", "--clear-groups"]).arg(&self.binary).arg("--no-daemon");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.dir.path());
        command.env("AUTHY_MCP_HOME", self.dir.path().join("vault")).current_dir(self.dir.path());
        command.args(words);
        command
    }

    fn ok(&self, words: &[&str]) {
        let done = self.command(words).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn an_ordinary_user_has_them_too() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root becomes another user, and every other test has this one");
    }
    let user = User::new();
    user.ok(&["init", "--no-pin", "--unlock", "identity-file"]);
    user.ok(&["admin", "set", "a/key", "--generate"]);
    let document = user.dir.path().join("p.toml");
    fs::write(&document, policy("", LIMITS)).unwrap();
    user.ok(&["admin", "policy", "apply", "--yes", document.to_str().unwrap()]);
    let mut server = Server::start(&mut user.command(&["serve", "--scope", "s"]));
    all_are_ended(&mut server, &GREEDY, "7103.3");
    a_large_file_is_refused(&mut server);
    those_at_their_limit_go_on(&mut server, Refusals::Unseen);
    assert_eq!(server.run(python(SEGMENTS))["limit"], "memory");
    let ran = server.run(call("echo hi"));
    assert!(ran["sandbox"].as_str().unwrap().contains("limits watched"), "{ran}");
}

/// The same server where no group can be made, as in most containers.
fn without_groups(stage: &Stage) -> Server {
    let usual = stage.command();
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--",
        "/bin/sh",
        "-c",
        "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"",
        "sh",
    ]);
    command.arg(usual.get_program()).args(usual.get_args()).args(["serve", "--scope", "s"]);
    command.env_clear().current_dir(stage.dir.path());
    for (name, value) in usual.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Server::start(&mut command)
}

#[test]
fn root_without_a_control_group_is_refused_or_told() {
    if !geteuid().is_root() {
        return eprintln!("skipped: the kernel counts the processes of everybody but root");
    }
    let stage = stage("", LIMITS);
    let refused = without_groups(&stage).tool("run_with_secrets", call("echo hi"));
    let refused = &refused["structuredContent"];
    assert_eq!(refused["code"], "sandbox_unavailable", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("within its limits"), "{refused}");
    // A default is no reason to refuse a run; and one may be contained as well as can be.
    for (sandbox, limits) in [("", "memory = \"64MiB\""), ("mode = \"best-effort\"", LIMITS)] {
        stage.policy(&policy(sandbox, limits));
        let mut server = without_groups(&stage);
        let ran = server.run(call("echo hi"));
        assert_eq!(said(&ran), "hi");
        assert!(ran["sandbox"].as_str().unwrap().contains("limits watched"), "{ran}");
        let ran = server.run(call(GREEDY[1].0));
        assert_eq!(ran["limit"], "memory", "{ran}");
        assert_eq!(server.run(python(SEGMENTS))["limit"], "memory");
    }
}

/// Where the group is that a run said to be in: below its server's own, wherever that is.
fn group(ran: &Value) -> Option<PathBuf> {
    let (_, path) = said(ran).lines().find_map(|line| line.split_once(":pids:/"))?;
    let group = Path::new("/sys/fs/cgroup/pids").join(path);
    let is_of_run = group.file_name()?.to_str()?.starts_with("authy-mcp-");
    (is_of_run && group.parent()?.exists()).then_some(group)
}

#[test]
fn a_supervisor_that_comes_to_nothing_leaves_no_group() {
    let ran = stage("", "").serve("s").run(call("cat /proc/self/cgroup"));
    let Some(of_run) = group(&ran) else {
        return eprintln!("skipped: no control groups of version 1 here");
    };
    // No user is called so; and nobody is there who could be told what was found.
    for words in [["plain", "nobody", "nobody"].as_slice(), &["trial"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_authy-mcp"));
        command.arg("__supervise").args(words).stdin(Stdio::null());
        let mut supervisor = command.spawn().unwrap();
        let its_groups = format!("authy-mcp-{}@", supervisor.id());
        assert!(!supervisor.wait().unwrap().success(), "{words:?}");
        assert_eq!(beside(&of_run, &its_groups), 0, "{words:?}");
    }
}

/// How many groups with names that begin so are beside it.
fn beside(group: &Path, prefix: &str) -> usize {
    let all = fs::read_dir(group.parent().unwrap()).unwrap().flatten();
    all.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).count()
}

#[test]
fn a_group_is_gone_with_its_server_and_that_of_a_killed_one_with_the_next() {
    let stage = stage("", "");
    for killed in [false, true] {
        let mut server = stage.serve("s");
        let ran = server.run(call("cat /proc/self/cgroup; echo $PPID"));
        let Some(of_run) = group(&ran) else {
            return eprintln!("skipped: no control groups of version 1 here");
        };
        eventually("the run's own is gone", || !of_run.exists());
        let name = of_run.file_name().unwrap().to_str().unwrap().to_owned();
        let of_server = || beside(&of_run, &format!("{}-", name.rsplit_once('-').unwrap().0));
        eventually("the next one waits", || of_server() > 0);
        if !killed {
            drop(server.hang_up());
            eventually("all are gone", || of_server() == 0);
            continue;
        }
        let nursery: i32 = name["authy-mcp-".len()..].split('@').next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(nursery).unwrap(), Signal::KILL).unwrap();
        // What waits was forked before; and then those who were not forked by it remove their own.
        let mut of_itself = 0;
        for _ in 0..6 {
            let next = group(&server.run(call("cat /proc/self/cgroup"))).unwrap();
            if next.to_string_lossy().ends_with("-0") {
                of_itself += 1;
                eventually("its own is gone", || !next.exists());
            }
        }
        assert!(of_itself > 0, "none was started without a nursery");
        server.kill();
        let next = stage.serve("s");
        eventually("the next server has removed it", || of_server() == 0);
        drop(next);
    }
}
