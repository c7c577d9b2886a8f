//! The machine's lists: what lies where on the systems that this runs on, each list once and with its reason.
//!
//! Constants only. What is done with them is the business of the rooms that read them: a name's meaning at `apply` and in
//! the child, what a run is shown of the system, what it never sees.

mod control;

use std::path::{Path, PathBuf};

pub(crate) use control::{
    CONFIGURATION, CONFIGURATION_LIKE, CONTROL_FILES, CONTROL_FILES_OF_A_HOME, GIT, GIT_HOOKS,
    GIT_INERT_HOOK, GIT_OWN, PACKAGES, PROGRAM_DIRS, RUN_BY_PYTHON, TAKEN_IN,
};

/// The directories that every PATH ends with. One list decides what a name means when a policy is applied, what promises
/// are computed on, and what the child finds.
pub(crate) const PATH: [&str; 5] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin"];

/// [`PATH`], as paths.
pub(crate) fn path() -> impl Iterator<Item = PathBuf> {
    PATH.iter().map(PathBuf::from)
}

/// Files and directories from which every program is loaded, and that decide what is loaded: who can write there is
/// every program (ld.so(8)).
pub(crate) const LOADED: [&str; 6] =
    ["/etc/ld.so.preload", "/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib/locale"];

/// What of a Linux system every contained run may read, where it is there; links among them stay links.
pub(crate) const READ: [&str; 13] = [
    // Programs, libraries and their data (hier(7)).
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    // Configuration that libraries read: users, names, locales, certificates. What only root reads of it is hidden.
    "/etc",
    // Systems that keep programs by their digest.
    "/nix/store",
    "/gnu/store",
    // Where openSUSE's certificates lie, to which links of /etc lead.
    "/var/lib/ca-certificates",
    // How many processors there are, which language runtimes size themselves by.
    "/sys/devices/system/cpu",
];

/// Whether a path is part of what is shown of the system.
pub(crate) fn is_read(path: &Path) -> bool {
    READ.iter().any(|dir| path.starts_with(dir))
}

/// What of macOS every contained run may read.
#[cfg(any(target_os = "macos", test))]
pub(crate) const READ_ON_MACOS: [&str; 10] = [
    "/usr",
    "/bin",
    "/sbin",
    "/opt",
    // Frameworks that every program is linked with, and the cache that they are loaded from (dyld(1)).
    "/System",
    "/Library/Apple",
    "/Library/Frameworks",
    "/private/var/db/dyld",
    "/private/etc",
    "/dev",
];

/// Where a resolver's configuration may lie that `/etc/resolv.conf` is a link to; for runs with an open network.
pub(crate) const RESOLVER: [&str; 3] =
    ["/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf"];

/// Where those who administer a machine put files of their own, keys and passwords among them. Of these root's runs are
/// shown what others may read. What distributions put into `/usr` is public.
pub(crate) const ADMINISTERED: [&str; 3] = ["/etc", "/opt", "/usr/local"];

/// Where names of hosts and users come from, which names are known without asking, and who is asked (hosts(5),
/// nsswitch.conf(5), resolv.conf(5)).
pub(crate) const HOSTS: &str = "/etc/hosts";
pub(crate) const NAME_SERVICES: &str = "/etc/nsswitch.conf";
pub(crate) const RESOLVER_FILE: &str = "/etc/resolv.conf";

/// Devices that hold nothing and lead nowhere, by their names in `/dev`.
pub(crate) const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// The terminal of the process that reads it, for runs that share a person's.
pub(crate) const TERMINAL: &str = "tty";

/// Links in `/dev` that programs expect (proc_pid_fd(5), pts(4)), and where they lead.
pub(crate) const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// What of `/proc` is the machine's, not the run's: root owns it, and a sandbox of root's could write it.
pub(crate) const PROC_READ: [&str; 5] = ["sys", "irq", "bus", "fs", "sysrq-trigger"];

/// What of `/proc` a sandbox of root's could read the kernel's memory, keys and timing from.
pub(crate) const PROC_HIDDEN: [&str; 10] = [
    "kcore",
    "slabinfo",
    "keys",
    "key-users",
    "timer_list",
    "kmsg",
    "kpagecount",
    "kpageflags",
    "kpagecgroup",
    "vmallocinfo",
];

/// A number that is another after each start of the machine (proc_sys_kernel(5)).
pub(crate) const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Which machine this is, how it was started and built: no run needs to know.
pub(crate) const THE_MACHINE: [&str; 4] = [BOOT_ID, "/etc/machine-id", "/proc/cmdline", "/proc/config.gz"];

/// Where distributions keep their bundle, in the order in which it is looked for.
pub(crate) const CERTIFICATES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where distributions keep the same for Java.
pub(crate) const KEYSTORES: [&str; 4] = [
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
    "/etc/pki/java/cacerts",
    "/var/lib/ca-certificates/java-cacerts",
];

/// Where a Java that is installed by itself keeps it, below its own directory: also those before version 9.
pub(crate) const KEYSTORES_OF_JAVA: [&str; 2] = ["lib/security/cacerts", "jre/lib/security/cacerts"];

/// Where Python's packages bring a bundle with them, below `site-packages`: for requests and others, and for pip.
pub(crate) const PYTHON_ROOTS: [&str; 2] = ["certifi/cacert.pem", "pip/_vendor/certifi/cacert.pem"];

/// What of a user's home a run may be shown without being asked for. Everything else of a home that begins with a dot isn't
/// shown unless the policy names it.
pub(crate) fn of_home() -> impl Iterator<Item = &'static str> {
    HOME.iter().chain(&SETTINGS).copied()
}

/// Programs, what they are built with, and settings that hold no credentials.
const HOME: &[&str] = &[
    // Programs that a user installed, and what they load.
    ".local/bin",
    ".local/lib",
    "bin",
    // Rust: toolchains, programs, sources of crates. Tokens are in credentials.toml.
    ".cargo/bin",
    ".cargo/registry",
    ".cargo/git",
    ".cargo/env",
    ".rustup",
    // Node: version managers, what they installed, what packages were fetched.
    ".nvm",
    ".fnm",
    ".local/share/fnm",
    ".volta",
    ".nodenv",
    ".npm/_cacache",
    ".npm-global",
    ".local/share/pnpm",
    ".bun/bin",
    ".bun/install",
    ".deno/bin",
    ".cache/deno",
    ".cache/node",
    ".cache/node-gyp",
    ".cache/ms-playwright",
    ".cache/puppeteer",
    // Python.
    ".pyenv",
    ".virtualenvs",
    ".local/share/virtualenvs",
    ".local/share/uv",
    ".local/pipx",
    ".local/share/pipx",
    ".cache/pip",
    ".cache/uv",
    ".cache/pypoetry/virtualenvs",
    "miniconda3",
    "miniforge3",
    "anaconda3",
    // Go.
    "go/bin",
    "go/pkg",
    "sdk",
    ".cache/go-build",
    ".goenv",
    // Java and its relatives: programs, archives that were fetched. Settings of Maven and Gradle have passwords.
    ".sdkman/bin",
    ".sdkman/candidates",
    ".jenv",
    ".m2/repository",
    ".m2/wrapper",
    ".gradle/wrapper",
    ".gradle/caches/modules-2",
    ".ivy2/cache",
    ".cache/coursier",
    // Ruby, PHP, .NET, Haskell, Dart, others.
    ".rbenv",
    ".rvm",
    ".gem/ruby",
    ".local/share/gem",
    ".composer/vendor",
    ".config/composer/vendor",
    ".dotnet/tools",
    ".dotnet/sdk",
    ".dotnet/shared",
    ".dotnet/host",
    ".dotnet/dotnet",
    ".nuget/packages",
    ".ghcup/bin",
    ".ghcup/ghc",
    ".cabal/bin",
    ".pub-cache/bin",
    ".pub-cache/hosted",
    ".elan",
    ".krew/bin",
    // Managers of several.
    ".asdf",
    ".local/share/mise",
    ".proto/bin",
    ".proto/tools",
    ".proto/shims",
    ".nix-profile",
    // Which versions are meant, how text is laid out, what git leaves out.
    ".tool-versions",
    ".node-version",
    ".nvmrc",
    ".python-version",
    ".ruby-version",
    ".editorconfig",
    ".inputrc",
    ".gitignore",
    ".gitignore_global",
    ".config/git/ignore",
    ".config/git/attributes",
];

/// Settings that people put a token or a password into: one that holds something like it isn't shown.
pub(crate) const SETTINGS: [&str; 8] = [
    ".gitconfig",
    ".config/git/config",
    ".cargo/config.toml",
    ".cargo/config",
    ".config/pip/pip.conf",
    ".pip/pip.conf",
    ".condarc",
    ".config/mise/config.toml",
];

/// Credentials below a user's home, and what is as good: not seen by a run unless the policy names it.
pub(crate) const CREDENTIALS: &[&str] = &[
    // Keys for other machines, for signing and for encryption.
    ".ssh",
    ".gnupg",
    ".config/sops",
    ".config/age",
    ".password-store",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".config/keepassxc",
    ".config/op",
    ".vault-token",
    "Library/Keychains",
    // Clouds, hosting and their services.
    ".aws",
    ".azure",
    ".config/gcloud",
    ".oci",
    ".boto",
    ".s3cfg",
    ".config/rclone",
    ".config/doctl",
    ".config/hcloud",
    ".config/heroku",
    ".config/stripe",
    ".config/netlify",
    ".local/share/com.vercel.cli",
    ".wrangler",
    ".config/.wrangler",
    ".fly",
    ".config/ngrok",
    ".config/argocd",
    ".config/helm",
    ".config/flyctl",
    ".config/doppler",
    ".doppler",
    ".infisical",
    ".railway",
    ".supabase",
    ".config/turso",
    ".config/planetscale",
    ".config/rbw",
    ".vault_pass",
    ".ansible",
    ".cloudflared",
    ".databrickscfg",
    ".sentryclirc",
    ".huggingface",
    ".cache/huggingface/token",
    ".terraform.d",
    ".terraformrc",
    ".kube",
    ".minikube",
    // Code hosts, and logins that many programs share.
    ".netrc",
    ".git-credentials",
    ".config/git/credentials",
    ".config/gh",
    ".config/glab-cli",
    ".config/hub",
    ".subversion/auth",
    // Registries of packages: tokens to publish with.
    ".npmrc",
    ".yarnrc.yml",
    ".config/configstore",
    ".pypirc",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".bundle/config",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".composer/auth.json",
    ".config/composer/auth.json",
    ".config/pypoetry",
    ".nuget/NuGet",
    ".config/NuGet",
    ".jfrog",
    ".kaggle",
    ".circleci",
    ".travis",
    ".config/tea",
    // Databases' logins.
    ".pg_service.conf",
    ".snowsql",
    ".snowflake",
    ".dbt",
    ".config/dbeaver-data-sources.xml",
    ".local/share/DBeaverData",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    // What a shell runs as it starts: exports.
    ".bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".config/fish",
    ".env",
    ".envrc",
    // What was typed, passwords among it.
    ".bash_history",
    ".zsh_history",
    ".local/share/fish/fish_history",
    ".python_history",
    ".node_repl_history",
    ".psql_history",
    ".mysql_history",
    ".sqlite_history",
    ".rediscli_history",
    ".viminfo",
    // Sessions of browsers, editors, assistants, mail and chat.
    ".config/Code",
    ".vscode-server",
    ".config/JetBrains",
    ".config/github-copilot",
    ".codeium",
    ".continue",
    ".config/Postman",
    ".msmtprc",
    ".fetchmailrc",
    ".muttrc",
    ".mutt",
    ".weechat",
    ".irssi",
    ".purple",
    ".config/Signal",
    ".local/share/TelegramDesktop",
    ".mozilla",
    ".thunderbird",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".config/microsoft-edge",
    ".config/Slack",
    ".config/discord",
    // Logins to other machines' desktops and files; wallets.
    ".config/filezilla",
    ".config/remmina",
    ".local/share/remmina",
    ".bitcoin",
    ".ethereum",
    ".electrum",
    ".config/solana",
    // What the desktop starts, and the way to its screen.
    ".config/autostart",
    ".config/systemd",
    ".Xauthority",
    ".ICEauthority",
    // Where container engines, virtual machines and key agents keep logins and sockets.
    ".docker",
    ".config/containers",
    ".local/share/containers",
    ".local/share/docker",
    ".colima",
    ".lima",
    ".orbstack",
    ".rd",
    ".1password",
    ".bitwarden-ssh-agent.sock",
];

/// Configurations in a project that hold tokens of clients which `config` does not know; those of one that it knows are
/// in its row (`setup::clients`), with what it keeps below the home.
pub(crate) const TOKENS_IN_PROJECTS: &[&str] = &[".roo/mcp.json", ".amazonq/mcp.json"];

/// Sockets and state outside of a home that are as good as being the user.
pub(crate) const SOCKETS: &[&str] =
    &["/run/docker.sock", "/var/run/docker.sock", "/run/podman", "/run/dbus", "/run/user"];
