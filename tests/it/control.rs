//! What a run may leave behind where it may write, and what of it others would run later: closed to it, moved out of the
//! way, taken back, or told of. With namespaces, and with filters alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::stage::{Server, Stage, eventually};

const VALUE: &str = "sk-control-7Qm2vXz9LrT4";

/// What contains a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Namespaces,
    Filters,
}

const BOTH: [By; 2] = [By::Namespaces, By::Filters];

/// A vault, a project that is a repository of git, and a policy that lets runs write in it.
struct Scene {
    stage: Stage,
    project: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let stage = Stage::new();
        stage.set("a/key", VALUE.as_bytes());
        let project = stage.path("project");
        let scene = Self { stage, project };
        scene.lay();
        scene.apply("", "");
        scene
    }

    /// Lays the project out anew.
    fn lay(&self) {
        let _ = fs::remove_dir_all(&self.project);
        for dir in ["sub/deep", ".vscode", "packages/one/.cargo", "inner"] {
            fs::create_dir_all(self.project.join(dir)).unwrap();
        }
        for (path, text) in [
            (".vscode/tasks.json", "{}\n"),
            (".envrc", "export A=1\n"),
            ("packages/one/.cargo/config.toml", "[build]\n"),
            ("sub/notes", "x\n"),
        ] {
            fs::write(self.project.join(path), text).unwrap();
        }
        for dir in ["", "inner"] {
            self.git(dir, &["init", "-q"]);
            self.git(dir, &["config", "user.name", "n"]);
            self.git(dir, &["config", "user.email", "n@example.com"]);
            self.git(dir, &["commit", "-q", "--allow-empty", "-m", "one"]);
        }
        // The clock that stamps files is a coarse one: what was there is older than a run by more than its tick.
        std::thread::sleep(std::time::Duration::from_millis(30));
    }

    fn apply(&self, sandbox: &str, rule: &str) {
        self.stage.policy(&format!(
            "scope = \"s\"\n[limits]\nruns_per_minute = 600\n[sandbox]\nnetwork = \"none\"\nwrite = [\"{{cwd}}\"]\n{sandbox}\ncwd = [\"{}\"]\n[[allow]]\n\
             id = \"one\"\nsecrets = [\"a/key\"]\ndeliver = \"env\"\nenv = {{ \"a/key\" = \"KEY\" }}\ncommands = \"any\"\n{rule}\n",
            self.project.display()
        ));
    }

    fn git(&self, dir: &str, words: &[&str]) -> String {
        git(&self.project.join(dir), words)
    }

    /// A server whose runs are contained so.
    fn server(&self, by: By) -> Server {
        if by == By::Namespaces {
            return self.stage.serve("s");
        }
        let mut command = Command::new("unshare");
        let close = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"";
        command.args(["-Ur", "sh", "-c", close, "sh", "setpriv", "--bounding-set=-all", "--inh-caps=-all"]);
        command.args([env!("CARGO_BIN_EXE_authy-mcp"), "--no-daemon"]);
        command.args(["serve", "--scope", "s"]).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", self.stage.dir.path()).env("AUTHY_MCP_HOME", self.stage.home());
        Server::start(command.current_dir(self.stage.dir.path()))
    }

    /// Runs a script in the project.
    #[track_caller]
    fn run(&self, by: By, script: &str) -> Value {
        let result = sh(&mut self.server(by), &self.project, script);
        let layers = result["sandbox"].as_str().unwrap_or_else(|| panic!("{result}"));
        assert_eq!(layers.contains("namespaces"), by == By::Namespaces, "{result}");
        result
    }

    /// What lies at a path: its content, or where it leads.
    fn at(&self, path: &str) -> Option<String> {
        let path = self.project.join(path);
        let found = fs::symlink_metadata(&path).ok()?;
        if found.is_symlink() {
            return Some(format!("-> {}", fs::read_link(path).unwrap().display()));
        }
        Some(if found.is_dir() {
            "a directory".to_owned()
        } else {
            String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
        })
    }

    /// Everything of which the name says that it was moved, by where it is, and what it says.
    fn moved(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut waiting = vec![self.project.clone()];
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(dir).unwrap().flatten() {
                let path = entry.path();
                let name = path.strip_prefix(&self.project).unwrap().display().to_string();
                if name.contains("authy-mcp-moved") {
                    let text = fs::read_to_string(&path).unwrap_or_default();
                    found.push((name.split(".authy-mcp-moved").next().unwrap().to_owned(), text));
                } else if entry.file_type().unwrap().is_dir() {
                    waiting.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

fn git(dir: &Path, words: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .args(words)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    let done = command.output().unwrap();
    assert!(done.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

fn sh(server: &mut Server, project: &Path, script: &str) -> Value {
    server.run(json!({"command": ["/bin/sh", "-c", script], "secrets": ["a/key"], "cwd": project}))
}

/// What the result says was written, by path below the project: its kind.
fn written(result: &Value, project: &Path) -> BTreeMap<String, String> {
    let all = result["written"].as_array().cloned().unwrap_or_default();
    let entry = |entry: &Value| {
        let path =
            Path::new(entry["path"].as_str().unwrap()).strip_prefix(project).unwrap().display().to_string();
        (path, entry["kind"].as_str().unwrap().to_owned())
    };
    all.iter().map(entry).collect()
}

/// What has to be true afterwards of a way to be run after the session.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// What would be run is not there, or is what it was.
    Gone,
    /// It is there, and the result names it as this.
    Told(&'static str),
}

use Then::{Gone, Told};

/// Ways to be run after the session: what a run does, and the path that somebody else would run or run from.
const WAYS: &[(&str, &str, &str, Then)] = &[
    (
        "a git hook",
        "echo evil > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit",
        ".git/hooks/pre-commit",
        Gone,
    ),
    (
        "a git hook, over a sample",
        "echo evil > x; chmod +x x; mv x .git/hooks/pre-push.sample; mv .git/hooks/pre-push.sample .git/hooks/pre-push",
        ".git/hooks/pre-push",
        Gone,
    ),
    (
        "a git hook in a repository that takes its place",
        "mv .git .g && mkdir .git && cp -r .g/. .git && echo evil > .git/hooks/pre-commit",
        ".git/hooks/pre-commit",
        Gone,
    ),
    (
        "a git hook, in a repository further down",
        "echo evil > inner/.git/hooks/post-checkout",
        "inner/.git/hooks/post-checkout",
        Gone,
    ),
    (
        "the same, its directory being moved away",
        "mv inner x && cp -r x inner && echo evil > inner/.git/hooks/post-checkout",
        "inner/.git/hooks/post-checkout",
        Gone,
    ),
    ("git's fsmonitor", r"printf '[core]\n\tfsmonitor = ./evil\n' >> .git/config", ".git/config", Gone),
    ("git's hooksPath", r"printf '[core]\n\thooksPath = sub\n' >> .git/config", ".git/config", Gone),
    ("an alias of git's", "printf '[alias]\\n st = !./evil\\n' >> .git/config", ".git/config", Gone),
    (
        "a file that git includes",
        r"printf '[include]\n\tpath = ../sub/more\n' >> .git/config",
        ".git/config",
        Gone,
    ),
    (
        "a filter of git's",
        r#"cp .git/config x; printf '[filter "f"]\n\tclean = ./evil\n' >> x; mv x .git/config"#,
        ".git/config",
        Gone,
    ),
    (
        "a repository that shares another's",
        "mkdir -p x/hooks; cp -r .git/. x; printf '[core]\\n\\tfsmonitor = ./evil\\n' >> x/config; echo ../x > .git/commondir",
        ".git/commondir",
        Gone,
    ),
    (
        "a working tree that shares another's",
        "mkdir -p .git/worktrees/w; echo ../../../x > .git/worktrees/w/commondir; echo 'ref: refs/heads/x' > .git/worktrees/w/HEAD",
        ".git/worktrees/w/commondir",
        Gone,
    ),
    (
        "a file in the place of .git",
        "mkdir evil; cp -r .git/. evil; printf '[alias]\\n\\tx = !evil fsmonitor\\n' >> evil/config; echo 'gitdir: ../evil' > sub/.git",
        "sub/.git",
        Told("control"),
    ),
    (
        "the repository that it names",
        "mkdir evil; cp -r .git/. evil; printf '[core]\\n\\tfsmonitor = x\\n' >> evil/config; echo 'gitdir: evil' > sub/.git; grep -c fsmonitor evil/config",
        "evil/config",
        Told("control"),
    ),
    (
        "a hook of a repository of its own",
        "mkdir own; cp -r .git own; echo evil > own/.git/hooks/pre-commit",
        "own/.git/hooks/pre-commit",
        Told("control"),
    ),
    (
        "steps of a rebase",
        "mkdir .git/rebase-merge; echo 'exec ./evil' > .git/rebase-merge/git-rebase-todo",
        ".git/rebase-merge",
        Told("control"),
    ),
    ("servers of a client's", "echo evil > .mcp.json", ".mcp.json", Gone),
    ("servers of a client's, moved there", "echo evil > x; mv x .mcp.json", ".mcp.json", Gone),
    ("servers of a client's, by a link", "echo evil > x; ln -s x .mcp.json", ".mcp.json", Gone),
    ("servers of a client's, further down", "echo evil > sub/deep/.mcp.json", "sub/deep/.mcp.json", Gone),
    (
        "servers of a client's, in a directory that is new",
        "mkdir new; echo evil > new/.mcp.json",
        "new/.mcp.json",
        Gone,
    ),
    ("another client's", "mkdir -p .cursor; echo evil > .cursor/mcp.json", ".cursor/mcp.json", Gone),
    (
        "a third client's",
        "mkdir -p .gemini; echo evil > .gemini/settings.json",
        ".gemini/settings.json",
        Gone,
    ),
    (
        "hooks of a client's",
        "mkdir -p .claude; echo evil > .claude/settings.json; echo evil > .claude/settings.local.json",
        ".claude/settings.json",
        Gone,
    ),
    (
        "commands of a client's, its directory coming from elsewhere",
        "mkdir sub/x; echo evil > sub/x/go.md; mkdir sub/y; mv sub/x sub/y/commands; mv sub/y .claude",
        ".claude/commands/go.md",
        Gone,
    ),
    ("an editor's tasks", "echo evil > .vscode/tasks.json", ".vscode/tasks.json", Gone),
    (
        "an editor's tasks, its directory being replaced",
        "rm -rf .vscode; mkdir .vscode; echo evil > .vscode/tasks.json",
        ".vscode/tasks.json",
        Gone,
    ),
    (
        "an editor's tasks, in capitals",
        "mkdir -p .VSCode; echo evil > .VSCode/tasks.json",
        ".VSCode/tasks.json",
        Gone,
    ),
    ("what a shell does in a directory", "echo evil > .envrc", ".envrc", Gone),
    ("the same, being replaced", "echo evil > x; mv x .envrc", ".envrc", Gone),
    ("a manager of tools", "echo evil > mise.toml", "mise.toml", Gone),
    (
        "a workflow",
        "mkdir -p .github/workflows; echo evil > .github/workflows/x.yml",
        ".github/workflows/x.yml",
        Gone,
    ),
    ("hooks of a manager's", "mkdir .husky; echo evil > .husky/pre-commit", ".husky/pre-commit", Gone),
    ("a start file of a shell's", "echo evil > .bashrc; echo evil > .profile", ".bashrc", Gone),
    (
        "configuration of cargo's",
        "echo evil > packages/one/.cargo/config.toml",
        "packages/one/.cargo/config.toml",
        Gone,
    ),
    ("a container that an editor starts", "echo evil > .devcontainer.json", ".devcontainer.json", Gone),
    (
        "in a directory that is closed afterwards",
        "mkdir sub/shut; echo evil > sub/shut/.mcp.json; chmod 500 sub/shut",
        "sub/shut/.mcp.json",
        Gone,
    ),
    (
        "a program of a virtual environment",
        "mkdir -p .venv/bin; ln -s /bin/sh .venv/bin/python",
        ".venv/bin/python",
        Told("program"),
    ),
    (
        "a program of a package",
        "mkdir -p node_modules/.bin; echo evil > node_modules/.bin/tsc",
        "node_modules/.bin/tsc",
        Told("program"),
    ),
    ("a script", "printf '#!/bin/sh\\nevil\\n' > tool", "tool", Told("program")),
    ("a program", "cp /bin/true tool; chmod +x tool", "tool", Told("program")),
    ("a package's scripts", "echo '{}' > package.json", "package.json", Told("config")),
    ("a lock file", "echo x > package-lock.json", "package-lock.json", Told("config")),
    ("a Makefile", "echo x > Makefile", "Makefile", Told("config")),
    ("what agents are told", "echo x > CLAUDE.md", "CLAUDE.md", Told("config")),
    (
        "what Python runs as it starts",
        "mkdir -p .venv/lib/site-packages; echo evil > .venv/lib/site-packages/x.pth",
        ".venv/lib/site-packages/x.pth",
        Told("config"),
    ),
    (
        "what Python imports as it starts",
        "mkdir -p .venv/lib/site-packages; echo evil > .venv/lib/site-packages/sitecustomize.py",
        ".venv/lib/site-packages/sitecustomize.py",
        Told("config"),
    ),
    (
        "a script, beside packages",
        "mkdir vendor; printf '#!/bin/sh' > vendor/run",
        "vendor/run",
        Told("program"),
    ),
    (
        "a script, in a directory that is called as Cargo's is",
        "mkdir registry; printf '#!/bin/sh' > registry/run",
        "registry/run",
        Told("program"),
    ),
    (
        "servers of a client's, beside packages",
        "mkdir vendor; echo evil > vendor/.mcp.json",
        "vendor/.mcp.json",
        Gone,
    ),
    (
        "a client's, in a package",
        "mkdir -p node_modules/x; echo x > node_modules/x/.mcp.json",
        "node_modules/x/.mcp.json",
        Told("control"),
    ),
];

#[test]
fn no_way_to_be_run_after_the_session_is_left_untold() {
    for by in BOTH {
        let scene = Scene::new();
        let mut server = scene.server(by);
        for (name, script, path, then) in WAYS {
            scene.lay();
            let before = scene.at(path);
            let result = sh(&mut server, &scene.project, script);
            assert_eq!(
                result["sandbox"].to_string().contains("namespaces"),
                by == By::Namespaces,
                "{result}"
            );
            let told = written(&result, &scene.project);
            match then {
                Gone => assert_eq!(scene.at(path), before, "{by:?}: {name}: {result}"),
                Told(kind) => {
                    assert!(scene.at(path).is_some(), "{by:?}: {name}: the way is none: {result}");
                    assert_eq!(told.get(*path).map(String::as_str), Some(*kind), "{by:?}: {name}: {result}");
                }
            }
            // What is gone was not lost, unless it never came to be.
            if matches!(then, Gone) && by == By::Filters {
                assert!(!scene.moved().is_empty(), "{name}: {result}");
                assert!(
                    result["notes"].as_array().is_some_and(|notes| !notes.is_empty()),
                    "{name}: {result}"
                );
                assert!(told.values().any(|kind| kind == "control"), "{name}: {result}");
            }
            let config = scene.project.join("evil/config");
            let evil = fs::read_to_string(config).unwrap_or_default();
            assert!(!evil.contains("fsmonitor"), "{by:?}: {name}: {evil}");
        }
    }
}

#[test]
fn what_is_no_repository_when_a_run_ends_keeps_nothing_for_the_next() {
    for by in BOTH {
        let scene = Scene::new();
        scene.git("", &["init", "-q", "--bare", "far.git"]);
        std::thread::sleep(std::time::Duration::from_millis(30));
        for git in [".git", "far.git", "inner/.git"] {
            let evil = format!("printf '[core]\\n\\tfsmonitor = evil\\n' >> {git}/config");
            let result = scene.run(by, &format!("mv {git}/HEAD {git}/HEADx; {evil}"));
            let path = format!("{git}/config");
            assert_eq!(written(&result, &scene.project)[&path], "control", "{by:?}: {git}: {result}");
            scene.run(by, &format!("mv {git}/HEADx {git}/HEAD"));
            assert!(!scene.at(&path).unwrap().contains("evil"), "{by:?}: {git}");
        }
        let result =
            scene.run(by, "mkdir -p new/.git; printf '[core]\\n\\tfsmonitor = evil\\n' > new/.git/config");
        assert!(!scene.at("new/.git/config").unwrap().contains("evil"), "{by:?}: {result}");
    }
}

#[test]
fn what_one_run_made_is_not_what_another_puts_back() {
    for by in BOTH {
        for last in ["one", "two"] {
            let scene = Scene::new();
            let mut server = scene.server(by);
            let change = "printf '[core]\\n\\tfsmonitor = evil\\n' >> .git/config; echo evil > mise.toml; \
                          mkdir .cargo; echo evil > .cargo/config.toml; echo evil > .envrc; rm -rf .vscode";
            let mut start = |name: &str, script: &str| {
                let script =
                    format!("{script}; echo > sub/{name}; while ! [ -e sub/go-{name} ]; do sleep 0.02; done");
                let run =
                    json!({"command": ["sh", "-c", script], "secrets": ["a/key"], "cwd": scene.project});
                let id = server.send("tools/call", json!({"name": "run_with_secrets", "arguments": run}));
                eventually("the run starts", || scene.project.join("sub").join(name).exists());
                id
            };
            let ids = [("one", start("one", change)), ("two", start("two", "true"))];
            let (late, early) = ids.into_iter().partition::<Vec<_>, _>(|(name, _)| *name == last);
            for (name, id) in early.into_iter().chain(late) {
                fs::write(scene.project.join(format!("sub/go-{name}")), "").unwrap();
                server.answer(id);
            }
            for (path, expected) in [
                ("mise.toml", None),
                (".cargo/config.toml", None),
                (".envrc", Some("export A=1\n")),
                (".vscode/tasks.json", Some("{}\n")),
            ] {
                assert_eq!(scene.at(path).as_deref(), expected, "{by:?}, {last} last: {path}");
            }
            assert!(!scene.at(".git/config").unwrap().contains("evil"), "{by:?}, {last} last");
        }
    }
}

#[test]
fn a_directory_over_a_name_that_was_known_is_gone_into() {
    for by in BOTH {
        let scene = Scene::new();
        for dir in ["src", "node_modules/evil"] {
            fs::create_dir_all(scene.project.join(dir)).unwrap();
        }
        fs::write(scene.project.join("node_modules/evil/.mcp.json"), "evil").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        let result = scene.run(by, "mv src src_old; mv node_modules/evil src");
        assert_eq!(scene.at("src/.mcp.json"), None, "{by:?}: {result}");
        assert_eq!(scene.moved(), [("src/.mcp.json".to_owned(), "evil".to_owned())], "{by:?}");
    }
}

#[test]
fn many_files_hide_no_control_file() {
    let scene = Scene::new();
    let script = "for dir in a own zevil; do mkdir $dir; cp -r .git $dir; rm -rf $dir/.git/hooks; mkdir $dir/.git/hooks; done; \
        (cd a/.git/hooks; seq 80 | xargs touch); echo evil > zevil/.git/hooks/post-checkout; \
        mkdir own/.vscode; cd own/.vscode; seq 4200 | xargs touch; echo evil > tasks.json";
    let result = scene.run(By::Namespaces, script);
    let told = written(&result, &scene.project);
    for path in ["a/.git/hooks", "zevil/.git/hooks/post-checkout", "own/.vscode"] {
        assert_eq!(told.get(path).map(String::as_str), Some("control"), "{path}: {result}");
    }
}

#[test]
fn in_a_repository_beyond_what_is_searched_steps_of_a_rebase_are_told_of() {
    let scene = Scene::new();
    for number in 0..600 {
        fs::create_dir(scene.project.join(format!("d{number}"))).unwrap();
    }
    fs::create_dir_all(scene.project.join("far/off")).unwrap();
    scene.git("far/off", &["init", "-q"]);
    std::thread::sleep(std::time::Duration::from_millis(30));
    let result = scene.run(By::Namespaces, "mkdir far/off/.git/rebase-merge");
    let told = written(&result, &scene.project);
    assert_eq!(told.get("far/off/.git/rebase-merge").map(String::as_str), Some("control"), "{result}");
}

#[test]
fn what_could_not_be_kept_and_what_was_not_gone_into_is_told_of_and_stays() {
    let scene = Scene::new();
    let deep = "1/2/3/4/5/6/7/8/9";
    scene.git("", &["init", "-q", "--bare", deep]);
    scene.git(deep, &["config", "core.hooksPath", "mine"]);
    let exclude = scene.project.join(".git/info/exclude");
    fs::File::create(&exclude).unwrap().set_len(5 * 1024 * 1024).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    let result = scene.run(By::Namespaces, "echo > sub/new");
    assert_eq!(scene.git(deep, &["config", "core.hooksPath"]), "mine", "{result}");
    let result = scene.run(By::Filters, "echo x >> .git/info/exclude");
    let told = written(&result, &scene.project);
    assert_eq!(told.get(".git/info/exclude").map(String::as_str), Some("control"), "{result}");
}

#[test]
fn ordinary_work_with_git_goes_through() {
    let alone = "set -e; export GIT_CONFIG_GLOBAL=/dev/null; \
        echo x > file; git add file; git commit -qm two; git branch topic; git tag v1; git push -q far topic; \
        git fetch -q far; git log -1 --format=%s far/topic; git stash list; git mv file other; git commit -qm three";
    let script = "set -e; export GIT_CONFIG_GLOBAL=/dev/null; \
        echo x > file; git add file; git commit -qm two; git checkout -qb topic; \
        git init -q --bare far.git; git remote add origin ./far.git; git push -qu origin topic; \
        git fetch -q origin; git checkout -qb other --track origin/topic; git branch -qm other renamed; \
        git clone -q far.git near -b topic; git -C near -c user.name=n -c user.email=e@x commit -q --allow-empty -m three; \
        git -C near push -q; git pull -q origin topic; git init -q new; git tag v1; git stash list; git gc -q; \
        git worktree add -q tree topic; git -C tree status -s; git worktree remove tree; \
        git -c protocol.file.allow=always submodule add -q -b topic $PWD/far.git part; git commit -qm four; \
        git -C near rev-parse --abbrev-ref @{u}; git rev-parse --abbrev-ref topic@{u}; echo done";
    // Filters alone refuse to set a mode, by which git writes its configuration: what it needs none for goes on.
    let scene = Scene::new();
    scene.git("", &["init", "-q", "--bare", "far.git"]);
    scene.git("", &["remote", "add", "far", "./far.git"]);
    let result = scene.run(By::Filters, alone);
    assert_eq!((&result["stdout"], result.get("notes")), (&json!("two\n"), None), "{result}");
    let scene = Scene::new();
    let result = scene.run(By::Namespaces, script);
    let said = result["stdout"].as_str().unwrap_or_default();
    assert_eq!(said, "origin/topic\norigin/topic\ndone\n", "{result}");
    assert_eq!(result.get("notes"), None, "{result}");
    assert_eq!(scene.moved(), []);
    assert_eq!(scene.git("", &["rev-parse", "--abbrev-ref", "topic@{u}"]), "origin/topic");
    assert_eq!(scene.git("", &["config", "remote.origin.url"]), "./far.git");
    assert_eq!(scene.git("near", &["log", "--format=%s", "-1"]), "three");
    assert_eq!(scene.git("part", &["rev-parse", "--is-inside-work-tree"]), "true");
    let control: Vec<String> = written(&result, &scene.project)
        .into_iter()
        .filter_map(|(path, kind)| (kind == "control").then_some(path))
        .collect();
    assert_eq!(control, ["part/.git"], "a file that names a repository is told of");
}

#[test]
fn of_a_configuration_only_what_starts_programs_is_taken_back() {
    for by in BOTH {
        let scene = Scene::new();
        scene.git("", &["config", "core.sshCommand", "ssh -4"]);
        scene.git("", &["config", "alias.lg", "log --graph"]);
        std::thread::sleep(std::time::Duration::from_millis(30));
        // What git itself does it does by a mode that it sets, which filters alone refuse.
        let ordinary = match by {
            By::Namespaces => "git remote add up https://example.com/up.git; git config branch.x.remote up",
            By::Filters => {
                r#"printf '[remote "up"]\n\turl = https://example.com/up.git\n[branch "x"]\n\tremote = up\n' >> .git/config"#
            }
        };
        let script = format!(
            "{ordinary}; sed -i -e 's/ssh -4/.\\/evil/' -e '/lg = log/d' .git/config; \
             printf '[core]\\n\\tpager = ./evil\\n[remote \"up\"]\\n\\tuploadpack = ./evil\\n' >> .git/config"
        );
        let result = scene.run(by, &script);
        let config = scene.git("", &["config", "--list", "--local"]);
        for line in [
            "core.sshcommand=ssh -4",
            "alias.lg=log --graph",
            "remote.up.url=https://example.com/up.git",
            "branch.x.remote=up",
        ] {
            assert!(config.lines().any(|found| found == line), "{by:?}: {line}: {config}");
        }
        assert!(!config.contains("evil") && !config.contains("pager"), "{by:?}: {config}");
        let notes = result["notes"].to_string();
        assert!(
            notes.contains("(alias.lg, core.pager, core.sshcommand, remote.up.uploadpack)"),
            "{by:?}: {notes}"
        );
        let moved = scene.moved();
        assert!(moved.len() == 1 && moved[0].1.contains("./evil"), "{by:?}: {moved:?}");
    }
}

#[test]
fn what_was_there_stays_as_it_was_and_not_a_byte_is_lost() {
    for by in BOTH {
        let scene = Scene::new();
        symlink("packages", scene.project.join(".idea")).unwrap();
        let script = "echo a > .envrc; rm -f .envrc; rm -rf .vscode; mkdir .vscode; echo b > .vscode/launch.json; \
                      rm .idea; mkdir .idea; echo c > .idea/run.xml; mv .git .g; mkdir .git; cp -r .g/. .git; \
                      echo d > .git/hooks/pre-push";
        let result = scene.run(by, script);
        for (path, expected) in [
            (".envrc", Some("export A=1\n")),
            (".vscode/tasks.json", Some("{}\n")),
            (".vscode/launch.json", None),
            (".idea", Some("-> packages")),
            (".git/hooks/pre-push", None),
        ] {
            assert_eq!(scene.at(path).as_deref(), expected, "{by:?}: {path}: {result}");
        }
        let kept = scene.project.join(".envrc");
        assert_eq!(fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o644, "{by:?}");
        let moved: Vec<String> = scene.moved().into_iter().map(|(name, _)| name).collect();
        let expected: &[&str] = match by {
            By::Namespaces => &[".idea"],
            By::Filters => &[".git/hooks", ".idea", ".vscode"],
        };
        assert_eq!(moved, expected, "{by:?}: {result}");
    }
}

#[test]
fn what_a_run_fetched_is_told_of_and_not_taken_apart() {
    for by in BOTH {
        let scene = Scene::new();
        let far = scene.stage.path("project/far");
        fs::create_dir_all(far.join(".github/workflows")).unwrap();
        fs::write(far.join(".github/workflows/ci.yml"), "x\n").unwrap();
        git(&far, &["init", "-q"]);
        git(&far, &["add", "-A"]);
        git(&far, &["-c", "user.name=n", "-c", "user.email=n@x", "commit", "-qm", "one"]);
        std::thread::sleep(std::time::Duration::from_millis(30));
        let result = scene
            .run(by, "git clone -q ./far near || cp -r far near; cd near; printf '[core]\\n\\tfsmonitor = x\\n' >> .git/config");
        assert_eq!(scene.git("near", &["status", "-s"]), "", "{by:?}: {result}");
        let told = written(&result, &scene.project);
        assert_eq!(
            told.get("near/.github/workflows/ci.yml").map(String::as_str),
            Some("control"),
            "{by:?}: {result}"
        );
        assert!(
            !scene.git("near", &["config", "--list", "--local"]).contains("fsmonitor"),
            "{by:?}: {result}"
        );
        // A directory that was there does not become somebody else's work by being made a repository.
        scene.run(by, "cd sub; cp -r ../.git .; echo evil > .mcp.json");
        assert_eq!(scene.at("sub/.mcp.json"), None, "{by:?}");
    }
}

#[test]
fn a_policy_opens_control_files_by_name() {
    for by in BOTH {
        let scene = Scene::new();
        scene.apply(
            "write_control = [\".git/hooks\", \".vscode/tasks.json\", \"mise.toml\", \".git/config\"]",
            "",
        );
        let script = "echo a > .git/hooks/pre-commit; echo b > .vscode/tasks.json; echo c > mise.toml; \
                      printf '[core]\\n\\tpager = less\\n' >> .git/config; echo d > .vscode/launch.json; echo e > .envrc";
        let result = scene.run(by, script);
        for (path, expected) in [
            (".git/hooks/pre-commit", Some("a\n")),
            (".vscode/tasks.json", Some("b\n")),
            ("mise.toml", Some("c\n")),
            (".vscode/launch.json", None),
            (".envrc", Some("export A=1\n")),
        ] {
            assert_eq!(scene.at(path).as_deref(), expected, "{by:?}: {path}: {result}");
        }
        assert_eq!(scene.git("", &["config", "core.pager"]), "less", "{by:?}");
        let told = written(&result, &scene.project);
        assert_eq!(told.get("mise.toml").map(String::as_str), Some("control"), "{by:?}: {result}");
    }
}

#[test]
fn no_caller_makes_a_control_file_a_written_place() {
    for by in BOTH {
        let scene = Scene::new();
        fs::create_dir_all(scene.project.join(".github/workflows")).unwrap();
        scene.git("", &["clone", "-q", "--bare", ".", "far"]);
        let mut server = scene.server(by);
        for (dir, named) in [
            (".git/hooks", "write in .git,"),
            (".git", "write in .git,"),
            (".vscode", "write in .vscode,"),
            (".github/workflows", "write in .github,"),
            ("packages/one/.cargo", "write in .cargo/config,"),
            ("far/hooks", "write in far,"),
        ] {
            let refused = sh(&mut server, &scene.project.join(dir), "echo evil > pre-commit");
            assert_eq!(refused["code"], "cwd_not_allowed", "{by:?}: {dir}: {refused}");
            assert!(refused["message"].as_str().unwrap().contains(named), "{by:?}: {dir}: {refused}");
            assert!(refused["hint"].as_str().unwrap().contains("start beside it"), "{refused}");
            assert_eq!(scene.at(&format!("{dir}/pre-commit")), None, "{by:?}: {dir}");
        }
        let link = scene.project.join("link");
        symlink(".git/hooks", &link).unwrap();
        assert_eq!(sh(&mut server, &link, "true")["code"], "cwd_not_allowed", "{by:?}");
        assert_eq!(sh(&mut server, &scene.project.join("sub"), "echo x > y")["exit_code"], 0, "{by:?}");
        scene.apply("write_control = [\".git/hooks\"]", "");
        let opened = sh(&mut server, &scene.project.join(".git/hooks"), "echo x > pre-commit");
        assert_eq!(scene.at(".git/hooks/pre-commit").as_deref(), Some("x\n"), "{by:?}: {opened}");
    }
}

#[test]
fn nothing_stands_in_for_what_is_missing_while_a_run_lasts() {
    let scene = Scene::new();
    // Where a template lays down no hooks there is nothing to mount on.
    let hooks = scene.project.join("inner/.git/hooks");
    let _ = fs::remove_dir_all(&hooks);
    let names = || below(&scene.project);
    let mut before = names();
    let mut server = scene.stage.serve("s");
    let script = "while ! [ -e sub/go ]; do sleep 0.02; done";
    let id = server.send(
        "tools/call",
        json!({"name": "run_with_secrets", "arguments": {"command": ["sh", "-c", script], "secrets": ["a/key"], "cwd": scene.project}}),
    );
    eventually("the run starts", || hooks.exists());
    before.insert(hooks.clone());
    // Whatever else would come comes before the program runs.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(names(), before);
    fs::write(scene.project.join("sub/go"), "").unwrap();
    before.insert(scene.project.join("sub/go"));
    server.answer(id);
    assert_eq!(names(), before);
    assert_eq!(fs::read_dir(&hooks).unwrap().count(), 0);
}

/// Everything below a directory.
fn below(dir: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            all.extend(below(&entry.path()));
        }
        all.insert(entry.path());
    }
    all
}

#[test]
fn names_are_not_told_where_only_success_is() {
    let scene = Scene::new();
    for output in ["status", "withhold"] {
        scene.apply("", &format!("output = \"{output}\""));
        let result = scene.run(By::Namespaces, "echo $KEY; echo x > .mcp.json; printf '#!/bin/sh' > tool");
        assert_eq!(result.get("written"), None, "{result}");
        assert!(!result.to_string().contains(".mcp.json") && result["notes"][0].is_string(), "{result}");
        assert_eq!(scene.at(".mcp.json"), None);
        let left = scene.run(
            By::Namespaces,
            "echo $KEY; mkdir -p node_modules/x/.vscode; echo {} > node_modules/x/.vscode/tasks.json",
        );
        assert!(left["notes"][0].as_str().is_some_and(|note| note.contains("still there")), "{left}");
        assert!(!left.to_string().contains("tasks.json"), "{left}");
        fs::remove_dir_all(scene.project.join("node_modules")).unwrap();
    }
}

#[test]
fn a_person_is_told_and_so_is_the_audit_and_list_allowed() {
    let scene = Scene::new();
    let done = scene
        .stage
        .command()
        .args([
            "run",
            "--scope",
            "s",
            "--secret",
            "a/key",
            "--",
            "sh",
            "-c",
            "echo evil > .mcp.json; echo x > Makefile; mkdir -p node_modules/x/.vscode; echo x > node_modules/x/.vscode/tasks.json",
        ])
        .current_dir(&scene.project)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains(".mcp.json is run or trusted by other programs; it was moved to"), "{said}");
    assert!(done.stdout.is_empty() && !said.contains("Makefile"), "{said}");
    assert!(
        said.contains(".vscode/tasks.json is run or trusted by other programs; it is still there"),
        "{said}"
    );
    let quiet = scene
        .stage
        .command()
        .args(["run", "--scope", "s", "--", "sh", "-c", "echo x > Makefile"])
        .current_dir(&scene.project)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&quiet.stderr), "");
    for (by, words) in [
        (By::Namespaces, "closed where they are, else checked after the run"),
        (By::Filters, "(control files checked after the run)"),
    ] {
        let listed = scene.server(by).tool("list_allowed", json!({}))["structuredContent"].clone();
        assert!(listed["sandbox"].as_str().unwrap().contains(words), "{listed}");
    }
    let outcome = scene.stage.audit().into_iter().find(|event| event.get("written").is_some()).unwrap();
    assert_eq!(outcome["written"], json!({"config": 1, "control": 2, "moved": 1}), "{outcome}");
}

#[test]
fn a_program_where_runs_write_promises_nothing() {
    let scene = Scene::new();
    for (pin, why) in [("", "is not one of the programs"), ("pin = true", "is not one of the programs")] {
        let tool = scene.project.join("bin/true");
        fs::create_dir_all(tool.parent().unwrap()).unwrap();
        fs::copy("/usr/bin/true", &tool).unwrap();
        scene.stage.policy(&format!(
            "scope = \"s\"\n[sandbox]\nnetwork = \"none\"\nwrite = [\"{0}\"]\n[[allow]]\nsecrets = [\"a/key\"]\n\
             deliver = \"env\"\ncommands = [[\"{0}/bin/true\"]]\n{pin}\n",
            scene.project.display()
        ));
        let listed =
            scene.server(By::Namespaces).tool("list_allowed", json!({}))["structuredContent"].clone();
        let rule = &listed["rules"][0];
        assert_eq!(rule["promise"], "best_effort", "{listed}");
        assert!(rule["promise_why"].as_str().unwrap().contains(why), "{listed}");
    }
}

#[test]
fn a_path_with_a_secret_in_it_is_masked() {
    let scene = Scene::new();
    let result = scene.run(By::Namespaces, "mkdir x; printf '#!/bin/sh' > x/$KEY; mkdir x/.cursor; mv x/.cursor x/.cursor; echo a > x/.cursor/$KEY");
    let said = result.to_string();
    assert!(!said.contains(VALUE) && said.contains("[redacted:a/key]"), "{result}");
}
