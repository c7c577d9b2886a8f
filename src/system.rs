//! The machine's lists: what lies where on the systems that this runs on, each list once and with its reason.
//!
//! Constants only. What is done with them is the business of the rooms that read them: a name's meaning at `apply` and in
//! the child, what a run is shown of the system, what it never sees.

use std::path::{Path, PathBuf};

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

/// What only root reads on a machine, and a sandbox of root's would show: digests of passwords, who may become whom,
/// private keys.
pub(crate) const ROOTS_OWN: [&str; 6] =
    ["/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/ssl/private"];

/// Where the machine's SSH keys lie, and how their names begin (sshd(8)); they are root's, too.
pub(crate) const HOST_KEYS: (&str, &str) = ("/etc/ssh", "ssh_host_");

/// Devices that hold nothing and lead nowhere, by their names in `/dev`.
pub(crate) const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// The terminal of whoever reads it, for runs that share a person's.
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
pub(crate) const PROC_HIDDEN: [&str; 9] = [
    "kcore",
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
    // Databases' logins.
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
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
    // Sessions of browsers, mail and chat.
    ".mozilla",
    ".thunderbird",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".config/microsoft-edge",
    ".config/Slack",
    ".config/discord",
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

/// Control files in a project, below its directory: they tell clients which programs to start. Those of a client that
/// `config` knows are in its row (`setup::clients`), with what it keeps below the home.
pub(crate) const CONTROL_FILES: &[&str] = &[".roo/mcp.json", ".amazonq/mcp.json"];

/// Sockets and state outside of a home that are as good as being the user.
pub(crate) const SOCKETS: &[&str] =
    &["/run/docker.sock", "/var/run/docker.sock", "/run/podman", "/run/dbus", "/run/user"];
