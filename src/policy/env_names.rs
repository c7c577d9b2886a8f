//! Variables that turn an approved command into another: loaders, interpreters' start-up files, search
//! paths, configuration files, proxies and roots of trust. No call may set one, even where a policy
//! names it.

/// Names that end here are single variables; those with `*` stand for all that begin so.
const HIJACKING: &[&str] = &[
    // The dynamic loader and the C library.
    "LD_*",
    "DYLD_*",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "LOCPATH",
    "MALLOC_*",
    "NIS_PATH",
    "NLSPATH",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "TERMINFO*",
    "TERMPATH",
    "TMPDIR",
    // Shells.
    "BASH_ENV",
    "BASH_FUNC_*",
    "BASHOPTS",
    "CDPATH",
    "ENV",
    "FPATH",
    "GLOBIGNORE",
    "HOME",
    "IFS",
    "PATH",
    "PROMPT_COMMAND",
    "PS4",
    "SHELL",
    "SHELLOPTS",
    "ZDOTDIR",
    // Interpreters and virtual machines.
    "CLASSPATH",
    "DENO_*",
    "JAVA_*",
    "JDK_*",
    "_JAVA_OPTIONS",
    "LUA_*",
    "NODE_*",
    "PERL*",
    "PHPRC",
    "PHP_INI_*",
    "PYTHON*",
    "RUBY*",
    "GEM_*",
    "BUNDLE_*",
    "R_PROFILE*",
    "TCLLIBPATH",
    // Package managers and build tools.
    "CARGO_*",
    "RUSTC*",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CC",
    "CXX",
    "GOFLAGS",
    "GOENV",
    "MAKEFLAGS",
    "MAVEN_*",
    "NPM_CONFIG_*",
    "npm_config_*",
    "PIP_*",
    "UV_*",
    "YARN_*",
    // Version control, remote shells and what asks for passwords.
    "GIT_*",
    "HG*",
    "SSH_*",
    "SUDO_*",
    "SVN_*",
    "RSYNC_*",
    // Editors and pagers that a program starts.
    "BROWSER",
    "EDITOR",
    "LESS*",
    "MANPAGER",
    "PAGER",
    "VISUAL",
    // Clients' configuration: where they connect, what they trust, what they read.
    "AWS_CONFIG_FILE",
    "AWS_CA_BUNDLE",
    "AWS_ENDPOINT_*",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AZURE_*",
    "CLOUDSDK_*",
    "CURL_*",
    "DOCKER_*",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "MYSQL_*",
    "NETRC",
    "OPENSSL_*",
    "PGHOST*",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPORT",
    "PGSERVICE*",
    "PGSSL*",
    "PGSYSCONFDIR",
    "PSQLRC",
    "PSQL_*",
    "REQUESTS_CA_BUNDLE",
    "SSLKEYLOGFILE",
    "SSL_CERT_*",
    "TF_*",
    "WGETRC",
    "XDG_*",
    "*_PROXY",
    "*_proxy",
    // Ours.
    "AUTHY_MCP_*",
];

/// Variables that are never taken from the server's environment: they are of the server's own process,
/// or credentials of ours.
const NEVER_PASSED: &[&str] =
    &["LD_*", "DYLD_*", "BASH_ENV", "BASH_FUNC_*", "ENV", "GLIBC_TUNABLES", "AUTHY_MCP_*"];

/// Variables that are ours to set: a policy says `[env] path` and `home` instead.
const SET_BY_US: &[&str] = &["PATH", "HOME", "TMPDIR", "LD_*", "DYLD_*", "AUTHY_MCP_*"];

/// Whether a call must never set a variable.
pub(super) fn hijacks(name: &str) -> bool {
    listed(HIJACKING, name)
}

/// Whether a variable is never taken over from the server.
pub(super) fn never_passed(name: &str) -> bool {
    listed(NEVER_PASSED, name)
}

/// Whether a rule must not set a variable, nor put a secret into it.
pub(super) fn set_by_us(name: &str) -> bool {
    listed(SET_BY_US, name)
}

fn listed(names: &[&str], name: &str) -> bool {
    names.iter().any(|listed| crate::name::glob_matches(listed, name))
}
