//! Sealed delivery, as a policy has it: where a value may go, how it gets into a request, and what a run
//! may reach beside.

use std::{collections::BTreeSet, fmt};

use super::{credentials, services::Service};
use crate::names::{EnvName, HostPattern, SecretName};

/// How a rule's secrets may be used on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seal {
    /// Where they may go.
    pub hosts: Vec<HostPattern>,
    /// What the proxy sets by itself.
    pub inject: Option<Inject>,
    /// Where a placeholder is replaced.
    pub substitute: BTreeSet<SubstitutionSite>,
    /// With which methods only; `None` for any.
    pub methods: Option<BTreeSet<String>>,
    /// To which paths only; `None` for any.
    pub paths: Option<Vec<PathPattern>>,
    /// Variables that stand for one of the hosts, for clients that know no proxy.
    pub base_urls: Vec<BaseUrl>,
    /// The service that it was made of.
    pub service: Option<Box<OfService>>,
}

/// A service of the catalogue, as it was when the policy was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfService {
    /// Its name.
    pub name: String,
    /// The variable that its clients read.
    pub env: EnvName,
    /// What it is.
    pub entry: Service,
}

/// What the proxy sets by itself, whatever the program sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inject {
    /// `Authorization: Bearer VALUE` (RFC 6750).
    Bearer,
    /// `Authorization: Basic` of this user and the value (RFC 7617).
    Basic {
        /// The user.
        user: String,
    },
    /// The value alone in a header, lower-case.
    Header {
        /// The header.
        name: String,
    },
    /// An AWS signature (version 4), made anew with the sealed key pair.
    AwsSigV4(SigV4),
}

/// Which secrets sign, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigV4 {
    /// The secret that is the access key's id.
    pub access_key: SecretName,
    /// The secret that is the key.
    pub secret_key: SecretName,
    /// The secret that is the session token of temporary credentials.
    pub session_token: Option<SecretName>,
    /// The region; `None` for the one that the program signed for.
    pub region: Option<String>,
    /// The service; `None` for the one that the program signed for.
    pub service: Option<String>,
}

impl SigV4 {
    /// All secrets that it needs.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        [&self.access_key, &self.secret_key].into_iter().chain(&self.session_token)
    }
}

/// Where a placeholder is replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubstitutionSite {
    /// Any header: of policies that were applied before headers had to be named.
    AnyHeader,
    /// Headers that carry credentials.
    Header,
    /// The header of this name, in lower case.
    Named(String),
    /// The query.
    Query,
    /// The path.
    Path,
    /// JSON, form and text bodies.
    Body,
    /// Text messages to the server.
    Websocket,
}

impl SubstitutionSite {
    /// Whether it is a header of this name, in lower case.
    pub fn is_header(&self, name: &str) -> bool {
        match self {
            Self::AnyHeader => true,
            Self::Header => credentials::is_header(name),
            Self::Named(named) => named == name,
            Self::Query | Self::Path | Self::Body | Self::Websocket => false,
        }
    }
}

/// As a policy writes it.
impl fmt::Display for SubstitutionSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyHeader => f.write_str("any header"),
            Self::Header => f.write_str("header"),
            Self::Named(name) => write!(f, "header:{name}"),
            Self::Query => f.write_str("query"),
            Self::Path => f.write_str("path"),
            Self::Body => f.write_str("body"),
            Self::Websocket => f.write_str("websocket"),
        }
    }
}

/// A glob over paths: `*` within a segment, `**` (a whole segment) across segments, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(String);

impl PathPattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.starts_with('/')
            && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'%' | b'?' | b'#' | b'\\'))
            && text.split('/').all(|s| s == "**" || (!s.contains("**") && s != "." && s != ".."));
        plain.then(|| Self(text.to_owned()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it covers a path. A path that a server could read in two ways (dot segments, empty segments,
    /// anything percent-encoded, backslashes, parameters) is covered by none.
    pub fn covers(&self, path: &str) -> bool {
        let plain = path.starts_with('/')
            && path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'%' | b'\\' | b';'))
            && path.split('/').all(|segment| segment != "." && segment != "..")
            && !path.contains("//");
        let (pattern, path): (Vec<&str>, Vec<&str>) =
            (self.0.split('/').collect(), path.split('/').collect());
        plain && crate::names::segments_match(&pattern, &path)
    }
}

/// A variable that gets an address inside the sandbox, which stands for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// The variable, as `OPENAI_BASE_URL`.
    pub env: EnvName,
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path behind it, without a final slash.
    pub path: String,
    /// Whether it speaks TLS; without it only a loopback host is reached.
    pub tls: Tls,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tls {
    /// `https`.
    Yes,
    /// `http`.
    No,
}

/// What a run may reach beside the hosts of its sealed secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressAllowlist {
    /// Hosts that pass as a plain tunnel.
    pub hosts: Vec<HostPattern>,
    /// Roots that the operator trusts beside the system's, as PEM.
    pub extra_ca: Option<String>,
    /// By what every host is reached that is not this machine.
    pub upstream: Option<UpstreamProxy>,
}

/// A proxy of the operator's network, which is asked for connections (CONNECT, RFC 9110, section 9.3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamProxy {
    /// Its name or IPv4 address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl UpstreamProxy {
    /// Parses `http://host:port`. A user and a password have no place in a policy, which agents are shown parts of.
    pub fn parse(text: &str) -> Option<Self> {
        let authority = text.strip_prefix("http://")?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let host = HostPattern::parse(authority).ok().filter(|host| !host.is_wildcard())?;
        Some(Self { host: host.host(), port: host.port()? })
    }
}

impl fmt::Display for UpstreamProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

/// `[sandbox] hosts` and `extra_ca`, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReachPart {
    /// Hosts that pass as a plain tunnel.
    pub hosts: Vec<HostPattern>,
    /// The file of roots, `~` not yet replaced.
    pub extra_ca: Option<String>,
    /// By what every host is reached that is not this machine.
    pub upstream: Option<UpstreamProxy>,
    /// Line of the file's name.
    pub(super) line: usize,
}

impl Seal {
    /// The header that it sets, lower-case.
    pub fn header(&self) -> Option<&str> {
        Some(match self.inject.as_ref()? {
            Inject::Bearer | Inject::Basic { .. } | Inject::AwsSigV4(_) => "authorization",
            Inject::Header { name } => name,
        })
    }

    /// Whether a header of this name, in lower case, is its own: the one that it sets, or another in which its service takes
    /// a credential.
    pub fn sets(&self, name: &str) -> bool {
        let mut others = self.service.iter().flat_map(|service| &service.entry.headers);
        self.header() == Some(name) || others.any(|header| header == name)
    }

    /// The keys of one signature set one header between them.
    pub(super) fn is_one_signature(&self, other: &Self) -> bool {
        matches!((&self.inject, &other.inject), (Some(Inject::AwsSigV4(a)), Some(Inject::AwsSigV4(b))) if a == b)
    }

    /// Whether its placeholder is replaced in any header, as it was before headers had to be named.
    pub(super) fn replaces_in_any_header(&self) -> bool {
        self.substitute.contains(&SubstitutionSite::AnyHeader)
    }

    /// What is weak in it, and applied all the same: message and way out.
    pub(super) fn warnings(&self) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        let weak = |place: &&SubstitutionSite| match place {
            SubstitutionSite::Header => false,
            SubstitutionSite::Named(name) => !credentials::is_header(name),
            _ => true,
        };
        for place in self.substitute.iter().filter(weak) {
            found.push((
                format!(
                    "puts a value where its placeholder stands in {place}: a call can post it to a place of the host that others read"
                ),
                "use inject, or headers that carry credentials, wherever the host takes it there",
            ));
        }
        for host in self.hosts.iter().filter(|host| host.is_wildcard()) {
            found.push((format!("{host} covers subdomains that anybody may own"), "name the hosts"));
        }
        for host in self.hosts.iter().filter(|host| host.port().is_some() && is_here(&host.host())) {
            found.push((
                format!("{host} is this machine: any program that listens there gets the value"),
                "name it only to test",
            ));
        }
        found
    }

    /// Whether a secret only says who signs: an access key's id stands in every request, and opens nothing.
    pub fn only_names(&self, secret: &SecretName) -> bool {
        matches!(&self.inject, Some(Inject::AwsSigV4(keys)) if keys.access_key == *secret)
    }

    /// Where its secrets may go.
    pub(super) fn hosts_in_words(&self) -> String {
        self.hosts.iter().map(HostPattern::as_str).collect::<Vec<_>>().join(" ")
    }

    /// In words, for what a document changes.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec![format!("to {}", self.hosts_in_words())];
        words.extend(
            self.service
                .as_ref()
                .map(|service| format!("service {} (entry {})", service.name, service.entry.entry)),
        );
        words.extend(self.inject.as_ref().map(|inject| match inject {
            Inject::Bearer => "as bearer".to_owned(),
            Inject::Basic { user } => format!("as basic of {user:?}"),
            Inject::Header { name } => format!("as {name}"),
            Inject::AwsSigV4(sigv4) => format!(
                "as AWS signature for {} {}",
                sigv4.region.as_deref().unwrap_or("any region"),
                sigv4.service.as_deref().unwrap_or("any service")
            ),
        }));
        let places: Vec<String> = self.substitute.iter().map(ToString::to_string).collect();
        if !places.is_empty() {
            words.push(format!("placeholder in {}", places.join(" ")));
        }
        words.extend(self.methods.as_ref().map(|m| m.iter().cloned().collect::<Vec<_>>().join(" ")));
        words.extend(self.paths.as_ref().map(|paths| {
            let paths: Vec<&str> = paths.iter().map(PathPattern::as_str).collect();
            format!("at {}", paths.join(" "))
        }));
        words.extend(
            self.base_urls
                .iter()
                .map(|base| format!("{} for {}:{}{}", base.env, base.host, base.port, base.path)),
        );
        words
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_covered_by_none() {
        let pattern = PathPattern::parse("/v1/chat/**").unwrap();
        for (path, covers) in [
            ("/v1/chat/completions", true),
            ("/v1/chat/a/b", true),
            ("/v1/chat", true),
            ("/v1/admin", false),
            ("/v1/chat/../admin", false),
            ("/v1/chat/%2e%2e/admin", false),
            ("/v1/chat/..%2fadmin", false),
            ("/v1/chat//admin", false),
            ("/v1/chat/..;/admin", false),
            ("/v1/chat\\..\\admin", false),
            ("//v1/chat/x", false),
            ("*", false),
        ] {
            assert_eq!(pattern.covers(path), covers, "{path}");
        }
        let one = PathPattern::parse("/v1/*/x").unwrap();
        assert!(one.covers("/v1/a/x") && !one.covers("/v1/a/b/x") && !one.covers("/v1/a/x/"));
        for bad in ["", "v1", "/a%20b", "/a?b", "/../a", "/a**"] {
            assert!(PathPattern::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_path_that_a_program_chose_costs_no_more_than_its_length_times_the_pattern_s() {
        let pattern = PathPattern::parse("/**/a/**/a/**/a/**/a/**/b").unwrap();
        let begun = std::time::Instant::now();
        assert!(!pattern.covers(&"/a".repeat(2_000)));
        assert!(begun.elapsed().as_secs() < 5);
        assert!(pattern.covers("/a/x/a/a/y/a/b/b"));
    }
}
