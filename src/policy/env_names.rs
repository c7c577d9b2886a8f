//! Which variables a call, or whoever starts the server, may set.
//!
//! Computed from what is known to be harmless, since what turns an approved command into another has no end: every
//! program, loader, interpreter, pager and build tool has variables of its own. A name is either one of a short list,
//! each with the texts that it may have and the reason beside it, or the policy says by a type which texts it may have.

/// Whether a text is one that a variable may have without a type.
type Fits = fn(&str) -> bool;

/// Variables that every call may set where the policy names them, and to which texts.
const HARMLESS: &[(&str, Fits)] = &[
    // How much is logged: no program's way to code.
    ("LOG_LEVEL", any),
    // Colours, or none.
    ("NO_COLOR", any),
    ("CLICOLOR", word),
    ("CLICOLOR_FORCE", word),
    ("FORCE_COLOR", word),
    ("COLORTERM", word),
    // The size of a terminal.
    ("COLUMNS", number),
    ("LINES", number),
    // Languages that the system has: the C library refuses a locale with a slash in its name, and so do we. LANGUAGE is
    // not here, since gettext makes a path of it.
    ("LANG", locale),
    ("LC_ALL", locale),
    ("LC_COLLATE", locale),
    ("LC_CTYPE", locale),
    ("LC_MESSAGES", locale),
    ("LC_MONETARY", locale),
    ("LC_NUMERIC", locale),
    ("LC_TIME", locale),
    // A time zone by its name; it could be a path to a file of one.
    ("TZ", zone),
    // A time that builds write into what they make.
    ("SOURCE_DATE_EPOCH", number),
    // Nobody is there to be asked.
    ("CI", word),
    // A part of a service's host name: with a dot or a slash it would be another host.
    ("AWS_REGION", label),
    ("AWS_DEFAULT_REGION", label),
];

fn any(text: &str) -> bool {
    !text.contains('\0')
}

fn word(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn number(text: &str) -> bool {
    text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn locale(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@-".contains(&b))
}

fn zone(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    text.len() <= 64 && text.split('/').all(part)
}

fn label(text: &str) -> bool {
    text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Variables that are ours to set: a policy says `[env] path` and `home` instead; and what the loader reads before
/// any program's first line.
const SET_BY_US: &[&str] = &["PATH", "HOME", "TMPDIR", "LD_*", "DYLD_*", "AUTHY_MCP_*"];

/// Variables that a call sets under no type either: a bounded text does not bound what these do, since what it names
/// (a module, a file, a program) is the caller's to write. They can be set by a rule.
const NEVER_A_CALLS: &[&str] = &[
    "BASH_ENV",
    "BASH_FUNC_*",
    "BASHOPTS",
    "CDPATH",
    "ENV",
    "FPATH",
    "GCONV_PATH",
    "GIT_*",
    "GLIBC_TUNABLES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "LANGUAGE",
    "LESSOPEN",
    "LOCPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL5*",
    "PROMPT_COMMAND",
    "PYTHON*",
    "RUBYLIB",
    "RUBYOPT",
    "SHELLOPTS",
    "SSL_CERT_*",
    "ZDOTDIR",
    "*_PROXY",
    "*_proxy",
];

/// Whether a variable may have a text without a type: `None` for one that needs a type.
pub(super) fn harmless(name: &str, text: &str) -> Option<bool> {
    HARMLESS.iter().find(|(known, _)| *known == name).map(|(_, fits)| fits(text))
}

/// Whether a name is on the list of those that need no type.
pub(super) fn is_harmless(name: &str) -> bool {
    HARMLESS.iter().any(|(known, _)| *known == name)
}

/// The names that need no type.
pub(super) fn harmless_names() -> String {
    HARMLESS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Whether a call, or whoever starts the server, sets a variable under no type at all.
pub(super) fn never_a_calls(name: &str) -> bool {
    set_by_us(name) || listed(NEVER_A_CALLS, name)
}

/// Whether a rule must not set a variable, nor put a secret into it.
pub(super) fn set_by_us(name: &str) -> bool {
    listed(SET_BY_US, name)
}

fn listed(names: &[&str], name: &str) -> bool {
    names.iter().any(|listed| crate::names::glob_matches(listed, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_harmless_name_has_its_texts() {
        for (name, fits) in HARMLESS {
            assert!(!never_a_calls(name) && !fits("a\0b"), "{name}");
        }
        for (name, text, fits) in [
            ("LOG_LEVEL", "info,mine=debug", true),
            ("LANG", "de_DE.UTF-8", true),
            ("LANG", "../../tmp/x", false),
            ("LC_ALL", "C", true),
            ("LC_ALL", "/tmp/x", false),
            ("TZ", "Europe/Vienna", true),
            ("TZ", "UTC", true),
            ("TZ", "Etc/GMT+1", true),
            ("TZ", ":/tmp/x", false),
            ("TZ", "/tmp/x", false),
            ("TZ", "../../../tmp/x", false),
            ("TZ", "Europe/../../x", false),
            ("AWS_REGION", "eu-central-1", true),
            ("AWS_REGION", "x.evil.test/#", false),
            ("COLUMNS", "80", true),
            ("COLUMNS", "80;id", false),
            ("CI", "true", true),
            ("CI", "$(id)", false),
        ] {
            assert_eq!(harmless(name, text), Some(fits), "{name}={text}");
        }
        assert_eq!(harmless("TAR_OPTIONS", "x"), None);
    }
}
