//! What others run, or run from, in places where a run may write: by name, each with why.

/// Control files: what other programs run or trust unasked, relative to a project, wherever below a written place that
/// lies. A directory stands for all that is in it. Git's own are [`GIT`] and what lies in it; those of a client that
/// `config` knows are in its row (`setup::clients`).
pub(crate) const CONTROL_FILES: &[&str] = &[
    // Agents and their clients: servers to start, hooks, commands, skills.
    ".roo",
    ".amazonq",
    ".kiro",
    ".kilocode",
    ".cline",
    ".continue",
    ".junie",
    ".augment",
    ".qwen",
    ".trae",
    ".factory",
    ".agents",
    ".crush.json",
    "crush.json",
    ".aider.conf.yml",
    // Editors: tasks, debuggers, and settings that name programs, read when a directory is opened.
    ".idea",
    ".fleet",
    ".vs",
    ".settings",
    ".helix",
    ".vim",
    ".vimrc",
    ".exrc",
    ".nvimrc",
    ".nvim.lua",
    ".lvimrc",
    ".dir-locals.el",
    // What a shell or a manager of tools does when a directory is entered.
    ".envrc",
    ".mise.toml",
    "mise.toml",
    ".mise.local.toml",
    "mise.local.toml",
    ".mise",
    ".rtx.toml",
    ".tool-versions",
    ".autoenv",
    ".autoenv.zsh",
    // What git's hooks are made of by those who install them.
    ".husky",
    ".githooks",
    ".pre-commit-config.yaml",
    ".overcommit.yml",
    "lefthook.yml",
    ".lefthook.yml",
    "lefthook-local.yml",
    ".lefthook-local.yml",
    ".simple-git-hooks.json",
    // Hooks and aliases of other version control (hgrc(5), jj's and Sapling's configuration, darcs' preferences).
    ".hg/hgrc",
    ".hg/sharedpath",
    ".jj/repo/config.toml",
    ".jj/workspace-config.toml",
    ".sl/config",
    "_darcs/prefs",
    // What a server runs once it is pushed, with that server's secrets.
    ".github",
    ".gitlab",
    ".gitlab-ci.yml",
    ".gitea",
    ".forgejo",
    ".circleci",
    ".buildkite",
    ".woodpecker",
    ".woodpecker.yml",
    ".travis.yml",
    ".drone.yml",
    ".cirrus.yml",
    "appveyor.yml",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "Jenkinsfile",
    // Configuration of package managers and builds that names programs to run instead of their own.
    ".npmrc",
    ".pnpmfile.cjs",
    ".yarnrc",
    ".yarnrc.yml",
    ".yarn/releases",
    ".yarn/plugins",
    ".bundle/config",
    ".cargo/config",
    ".cargo/config.toml",
    ".bazelrc",
    ".mvn",
    "pip.conf",
    // Containers that editors start by themselves.
    ".devcontainer",
    ".devcontainer.json",
    // What debuggers and interpreters run as they start, from where they start.
    ".gdbinit",
    ".lldbinit",
    ".Rprofile",
    ".irbrc",
    ".pryrc",
    ".pdbrc",
    // Which scope and which commands a project wants.
    "authy.toml",
];

/// Control files of a home, where that is written, or a directory that stands for one: at the top of a written place.
pub(crate) const CONTROL_FILES_OF_A_HOME: &[&str] = &[
    // What shells run as they start, as they end, and on keys.
    ".profile",
    ".bashrc",
    ".bashrc.d",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".kshrc",
    ".cshrc",
    ".tcshrc",
    ".inputrc",
    ".config/fish",
    ".pam_environment",
    ".config/environment.d",
    // What a session starts.
    ".xinitrc",
    ".xprofile",
    ".xsession",
    ".xsessionrc",
    ".config/autostart",
    ".config/systemd",
    "Library/LaunchAgents",
    // Configuration that names programs to run.
    ".gitconfig",
    ".config/git",
    ".ssh",
    ".gnupg",
    ".emacs",
    ".emacs.d",
    ".config/emacs",
    ".config/nvim",
    ".tmux.conf",
    ".config/tmux",
    ".screenrc",
    ".config/direnv",
    ".config/mise",
    ".curlrc",
    ".wgetrc",
];

/// What git finds a repository by, in the directory where somebody works in it: a directory, or a file that names one.
pub(crate) const GIT: &str = ".git";

/// What of a repository starts programs by being there.
pub(crate) const GIT_HOOKS: &str = "hooks";

/// Hooks that `git init` lays down, and that git never runs (githooks(5)).
pub(crate) const GIT_INERT_HOOK: &str = ".sample";

/// What git and its companions write into a repository in the course of their work, by how its name begins; anything
/// else there is told of (gitrepository-layout(5)).
pub(crate) const GIT_OWN: &[&str] = &[
    "HEAD",
    "FETCH_HEAD",
    "ORIG_HEAD",
    "MERGE_",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "AUTO_MERGE",
    "BISECT_",
    "NOTES_",
    "SQUASH_MSG",
    "COMMIT_EDITMSG",
    "TAG_EDITMSG",
    "index",
    "sharedindex.",
    "config",
    "description",
    "objects",
    "refs",
    "reftable",
    "logs",
    "packed-refs",
    "shallow",
    "branches",
    "modules",
    "worktrees",
    "hooks",
    "info",
    "lost-found",
    "rr-cache",
    "gc.",
    "lfs",
    "fsmonitor--daemon",
    "filter-repo",
    "gitk.cache",
    "common",
    "gitdir",
    "locked",
    "rebased-patches",
];

/// Directories of what others wrote and a package manager unpacked: nobody works in them, and what lies there is checked
/// or unpacked anew.
pub(crate) const PACKAGES: [&str; 4] = ["node_modules", "site-packages", ".cargo/registry", ".git"];

/// Where a project has packages that it took in, as Go, Cargo and Composer do: each in a directory of its own, and part of
/// the project.
pub(crate) const TAKEN_IN: &str = "vendor";

/// What Python imports as it starts, from wherever it finds packages.
pub(crate) const RUN_BY_PYTHON: [&str; 2] = ["sitecustomize", "usercustomize"];

/// Directories whose files are programs by their place: virtual environments, packages' and users' own.
pub(crate) const PROGRAM_DIRS: [&str; 4] = ["bin", ".bin", "sbin", "Scripts"];

/// Configuration that tools which a person starts read, and run from: a project's own, not to be closed to a build.
pub(crate) const CONFIGURATION: &[&str] = &[
    // What agents are told.
    "CLAUDE.md",
    "CLAUDE.local.md",
    "AGENTS.md",
    "GEMINI.md",
    ".cursorrules",
    ".windsurfrules",
    ".clinerules",
    ".goosehints",
    // JavaScript.
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "bun.lock",
    "bun.lockb",
    "deno.json",
    "deno.lock",
    "tsconfig.json",
    "turbo.json",
    "nx.json",
    // Python.
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "Pipfile",
    "Pipfile.lock",
    "poetry.lock",
    "uv.lock",
    "tox.ini",
    "noxfile.py",
    "conftest.py",
    "pytest.ini",
    "pyvenv.cfg",
    // Rust and Go.
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    "rust-toolchain",
    "rust-toolchain.toml",
    "go.mod",
    "go.sum",
    "go.work",
    // Ruby, PHP, Java, and what builds anything.
    "Gemfile",
    "Gemfile.lock",
    "Rakefile",
    "composer.json",
    "composer.lock",
    "pom.xml",
    "build.xml",
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
    "gradle.properties",
    "gradle-wrapper.properties",
    "Makefile",
    "makefile",
    "GNUmakefile",
    "CMakeLists.txt",
    "meson.build",
    "BUILD",
    "BUILD.bazel",
    "WORKSPACE",
    "MODULE.bazel",
    "justfile",
    "Justfile",
    ".justfile",
    "Taskfile.yml",
    "Procfile",
    "Vagrantfile",
    "flake.nix",
    "flake.lock",
    "default.nix",
    "shell.nix",
    "devbox.json",
    // Containers.
    "Dockerfile",
    "Containerfile",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    // Git's that is checked out, which starts nothing without configuration of one's own.
    ".gitattributes",
    ".gitmodules",
    ".lfsconfig",
    // Variables that programs take on as they start.
    ".env",
    ".flaskenv",
    ".babelrc",
    ".eslintrc",
    ".prettierrc",
    ".mocharc",
];

/// The same by how a name begins and ends.
pub(crate) const CONFIGURATION_LIKE: [(&str, &str); 18] = [
    ("", ".code-workspace"),
    ("", ".sublime-project"),
    ("", ".csproj"),
    ("", ".vcxproj"),
    (".env.", ""),
    ("", ".config.js"),
    ("", ".config.cjs"),
    ("", ".config.mjs"),
    ("", ".config.ts"),
    ("", ".mk"),
    ("", ".gemspec"),
    ("requirements", ".txt"),
    ("Dockerfile.", ""),
    (".eslintrc.", ""),
    (".prettierrc.", ""),
    (".mocharc.", ""),
    (".babelrc.", ""),
    ("tsconfig.", ".json"),
];
