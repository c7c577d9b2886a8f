//! Names, parsed once at the edge.
//!
//! Whatever crosses into the broker as one of these types is well formed: no control characters,
//! no path tricks, nothing that a shell or a terminal would read. Nobody is known here.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest secret name, in bytes.
pub const MAX_SECRET_NAME: usize = 255;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a {what} can't be empty")]
    Empty {
        /// What was parsed.
        what: &'static str,
    },
    /// Longer than allowed.
    #[error("a {what} has at most {limit} bytes")]
    TooLong {
        /// What was parsed.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A character, or a segment, that names don't have.
    #[error("a {what} is made of {allowed}")]
    Malformed {
        /// What was parsed.
        what: &'static str,
        /// What it may be made of.
        allowed: &'static str,
    },
}

/// Gives a validated text newtype its conversions: they all pass through `check`.
macro_rules! text_newtype {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// [`NameError`] says what a name of this kind looks like.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

text_newtype!(
    /// A secret's name: segments of `[A-Za-z0-9_.-]` joined by `/`, case kept, at most 255 bytes,
    /// no segment `.` or `..`.
    SecretName,
    check_secret_name
);
text_newtype!(
    /// A scope's name: `[A-Za-z0-9_.-]`, at most 64 bytes, beginning with a letter or a digit.
    ScopeName,
    check_scope_name
);
text_newtype!(
    /// An environment variable's name (POSIX: `[A-Za-z_][A-Za-z0-9_]*`), at most 255 bytes.
    EnvName,
    check_env_name
);
text_newtype!(
    /// A glob over secret names: `*` within a segment, `**` across segments.
    SecretPattern,
    check_secret_pattern
);
text_newtype!(
    /// A host that a sealed secret may go to: `host` or `host:port`, `*.` in front for its subdomains.
    HostPattern,
    check_host_pattern
);
text_newtype!(
    /// A run's identity: `r_` and lower-case letters and digits.
    RunId,
    check_run_id
);
text_newtype!(
    /// A token's identity (`jti`): `t_` and lower-case letters and digits.
    TokenId,
    check_token_id
);
text_newtype!(
    /// A grant's identity: `g_` and lower-case letters and digits.
    GrantId,
    check_grant_id
);

impl SecretName {
    /// The variable that carries the secret where nothing else was said: the whole name upper-cased,
    /// non-alphanumerics as `_` (`openai/api-key` becomes `OPENAI_API_KEY`).
    pub fn default_env(&self) -> EnvName {
        let mut text: String = self
            .as_str()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            text.insert(0, '_');
        }
        EnvName(text.into())
    }
}

impl SecretPattern {
    /// Whether the pattern has no glob: it stands for one name.
    pub fn literal(&self) -> Option<SecretName> {
        SecretName::parse(self.as_str()).ok()
    }

    /// Whether the pattern covers a name.
    pub fn matches(&self, name: &SecretName) -> bool {
        let mut pattern: Vec<&str> = self.as_str().split('/').collect();
        let segments: Vec<&str> = name.as_str().split('/').collect();
        // At the end `**` stands for one segment or more.
        if pattern.last() == Some(&"**") {
            pattern.insert(pattern.len() - 1, "*");
        }
        segments_match(&pattern, &segments)
    }
}

impl HostPattern {
    /// The host without `*.` in front and without a port, lower-case.
    pub fn host(&self) -> String {
        let (host, _) = split_port(self.as_str());
        host.strip_prefix("*.").unwrap_or(host).to_ascii_lowercase()
    }

    /// The port, where one is written; otherwise the pattern stands for 443.
    pub fn port(&self) -> Option<u16> {
        split_port(self.as_str()).1.and_then(|port| port.parse().ok())
    }

    /// Whether it stands for all the subdomains of a host.
    pub fn is_wildcard(&self) -> bool {
        self.as_str().starts_with("*.")
    }

    /// Whether it covers a host (lower-case, without a final dot) at a port. A wildcard covers every depth
    /// of subdomains, not the host itself, and no address.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        if self.port().unwrap_or(443) != port {
            return false;
        }
        let own = self.host();
        if !self.is_wildcard() {
            return own == host;
        }
        let address = host.parse::<std::net::IpAddr>().is_ok();
        !address && host.strip_suffix(&own).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
    }

    /// Whether a host and port exist that both cover.
    pub fn overlaps(&self, other: &Self) -> bool {
        let inside = |wide: &Self, narrow: &Self| {
            let (wide_host, narrow_host) = (wide.host(), narrow.host());
            wide.is_wildcard() && narrow_host.ends_with(&format!(".{wide_host}"))
        };
        self.port().unwrap_or(443) == other.port().unwrap_or(443)
            && ((self.host() == other.host() && self.is_wildcard() == other.is_wildcard())
                || inside(self, other)
                || inside(other, self))
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

/// Whether a pattern of globs covers all of these segments; `**` stands for any number of them, also none.
///
/// Only the last `**` that was met is tried again: whatever one before it could take, it can take, too. So whoever
/// chooses the segments can't make this cost more than their number times the pattern's.
pub fn segments_match(pattern: &[&str], segments: &[&str]) -> bool {
    let (mut glob, mut segment) = (0, 0);
    let mut again = None;
    while segment < segments.len() {
        match pattern.get(glob) {
            Some(&"**") => {
                glob += 1;
                again = Some((glob, segment));
            }
            Some(one) if glob_matches(one, segments[segment]) => {
                glob += 1;
                segment += 1;
            }
            _ => {
                let Some((behind, from)) = again else { return false };
                (glob, segment) = (behind, from + 1);
                again = Some((glob, segment));
            }
        }
    }
    pattern[glob..].iter().all(|rest| *rest == "**")
}

/// Whether a glob in which `*` stands for any run of characters, also none, covers a whole text.
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

macro_rules! random_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// A new identity of 80 random bits.
            ///
            /// # Panics
            /// Where the operating system has no randomness to give: nothing is safe then.
            pub fn random() -> Self {
                Self(format!(concat!($prefix, "{}"), random_text()).into())
            }
        }
    };
}

random_id!(RunId, "r_");
random_id!(TokenId, "t_");
random_id!(GrantId, "g_");

fn random_text() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect()
}

fn check_len(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > limit {
        return Err(NameError::TooLong { what, limit });
    }
    Ok(())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

fn check_secret_name(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "secret name";
    check_len(WHAT, text, MAX_SECRET_NAME)?;
    let well_formed = text.split('/').all(|segment| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(is_word)
    });
    if well_formed {
        return Ok(());
    }
    Err(NameError::Malformed {
        what: WHAT,
        allowed: "segments of A-Z a-z 0-9 _ . - joined by /, none of them . or ..",
    })
}

fn check_secret_pattern(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "secret pattern";
    check_len(WHAT, text, MAX_SECRET_NAME)?;
    let well_formed = text.split('/').all(|segment| {
        segment == "**"
            || (!segment.is_empty()
                && segment != "."
                && segment != ".."
                && !segment.contains("**")
                && segment.chars().all(|c| is_word(c) || c == '*'))
    });
    if well_formed {
        return Ok(());
    }
    Err(NameError::Malformed {
        what: WHAT,
        allowed: "segments of A-Z a-z 0-9 _ . - joined by /, with * inside a segment and ** as a whole one",
    })
}

fn check_scope_name(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "scope name";
    check_len(WHAT, text, 64)?;
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_word) {
        return Ok(());
    }
    Err(NameError::Malformed { what: WHAT, allowed: "A-Z a-z 0-9 _ . -, beginning with a letter or a digit" })
}

fn check_env_name(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "variable name";
    check_len(WHAT, text, 255)?;
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(NameError::Malformed { what: WHAT, allowed: "A-Z a-z 0-9 _, not beginning with a digit" })
}

fn check_host_pattern(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "host";
    check_len(WHAT, text, 260)?;
    let (host, port) = split_port(text);
    let host = host.strip_prefix("*.").unwrap_or(host);
    let labels = host.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    });
    let digits = |port: &str| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    let port_fits = port.is_none_or(|port| digits(port) && port.parse::<u16>().is_ok_and(|n| n != 0));
    if labels && host.len() <= 253 && port_fits {
        return Ok(());
    }
    Err(NameError::Malformed {
        what: WHAT,
        allowed: "a host name, *. in front for its subdomains, and a :port if need be",
    })
}

fn check_id(what: &'static str, prefix: &str, text: &str) -> Result<(), NameError> {
    check_len(what, text, 64)?;
    let body = text.strip_prefix(prefix).unwrap_or_default();
    if !body.is_empty() && body.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Ok(());
    }
    Err(NameError::Malformed {
        what,
        allowed: "its letter, an underscore, and lower-case letters and digits",
    })
}

fn check_run_id(text: &str) -> Result<(), NameError> {
    check_id("run id", "r_", text)
}

fn check_token_id(text: &str) -> Result<(), NameError> {
    check_id("token id", "t_", text)
}

fn check_grant_id(text: &str) -> Result<(), NameError> {
    check_id("grant id", "g_", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names() {
        for good in ["a", "db/readonly-password", "A/b/C.d_e-f", "..a", "a..b/c"] {
            assert!(SecretName::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a b", "a\n", "ä", "a*", &long] {
            assert!(SecretName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn default_variables() {
        for (name, env) in
            [("openai/api-key", "OPENAI_API_KEY"), ("PGPASSWORD", "PGPASSWORD"), ("1p/x", "_1P_X")]
        {
            assert_eq!(SecretName::parse(name).unwrap().default_env().as_str(), env);
        }
    }

    #[test]
    fn patterns_cover_names() {
        for (pattern, name, covers) in [
            ("a/b", "a/b", true),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/*", "a", false),
            ("*", "a", true),
            ("*", "a/b", false),
            ("**", "a", true),
            ("**", "a/b/c", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("**/root-*", "root-x", true),
            ("**/root-*", "a/b/root-x", true),
            ("**/root-*", "a/root", false),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a-*-c", "a-b-c", true),
            ("a-*-c", "a-c", false),
            ("a/B", "a/b", false),
            ("**/a/**/b", "x/a/a/y/b/b", true),
            ("**/a/**/b", "x/b/a/a", false),
            ("**/**", "a", true),
        ] {
            let pattern = SecretPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(&SecretName::parse(name).unwrap()), covers, "{pattern} {name}");
        }
        for bad in ["a/**b", "***", "a//b", "a/../b", "a b", ""] {
            assert!(SecretPattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_costs_no_more_than_its_length_times_the_name_s() {
        let pattern = SecretPattern::parse(&format!("{}z", "**/a/".repeat(40))).unwrap();
        let name = SecretName::parse(&format!("{}y", "a/".repeat(127))).unwrap();
        let begun = std::time::Instant::now();
        assert!(!pattern.matches(&name));
        assert!(begun.elapsed().as_secs() < 5);
    }

    #[test]
    fn globs_cover_texts() {
        for (glob, text, covers) in [
            ("*", "", true),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab", "abc", false),
            ("**", "anything", true),
        ] {
            assert_eq!(glob_matches(glob, text), covers, "{glob} {text}");
        }
    }

    #[test]
    fn hosts_ids_and_variables() {
        for good in ["api.example.com", "localhost:8080", "*.example.com", "127.0.0.1:1"] {
            assert!(HostPattern::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "http://a", "a:0", "a:b", "a..b", "*", "a:+443", "a:000443"] {
            assert!(HostPattern::parse(bad).is_err(), "{bad}");
        }
        for (pattern, host, port, covers) in [
            ("api.example.com", "api.example.com", 443, true),
            ("API.example.com", "api.example.com", 443, true),
            ("api.example.com", "api.example.com", 8443, false),
            ("api.example.com:8443", "api.example.com", 8443, true),
            ("api.example.com:8443", "api.example.com", 443, false),
            ("*.example.com", "a.b.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("*.example.com", "evilexample.com", 443, false),
            ("*.example.com", ".example.com", 443, false),
            ("*.0.0.1", "127.0.0.1", 443, false),
        ] {
            assert_eq!(
                HostPattern::parse(pattern).unwrap().covers(host, port),
                covers,
                "{pattern} {host}:{port}"
            );
        }
        for (one, other, overlap) in [
            ("a.example.com", "a.example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "*.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("a.example.com", "a.example.com:1", false),
        ] {
            let [one, other] = [one, other].map(|text| HostPattern::parse(text).unwrap());
            assert_eq!(one.overlaps(&other), overlap, "{one} {other}");
            assert_eq!(other.overlaps(&one), overlap, "{other} {one}");
        }
        assert!(RunId::parse(RunId::random().as_str()).is_ok());
        assert!(RunId::parse("r_").is_err() && TokenId::parse("r_abc").is_err());
        assert!(
            EnvName::parse("A_1").is_ok() && EnvName::parse("1A").is_err() && EnvName::parse("A=B").is_err()
        );
        assert!(
            ScopeName::parse("deploy").is_ok()
                && ScopeName::parse("-x").is_err()
                && ScopeName::parse("a/b").is_err()
        );
    }
}
