//! Sealed delivery, as a policy has it: where a value may go, how it gets into a request, and what a run
//! may reach beside. Read here from the document's keys, and merged into a run's terms.

use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    decision::Delivered,
    document::{Document, Rule, expand},
    read::raw::{At, RawInject, RawPlace, RawRule, RawSigV4},
};
use crate::names::{EnvName, HostPattern, SecretName};

/// How a rule's secrets may be used on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Where they may go.
    pub hosts: Vec<HostPattern>,
    /// What the proxy sets by itself.
    pub inject: Option<Inject>,
    /// Where a placeholder is replaced.
    pub substitute: BTreeSet<Place>,
    /// With which methods only; `None` for any.
    pub methods: Option<BTreeSet<String>>,
    /// To which paths only; `None` for any.
    pub paths: Option<Vec<PathPattern>>,
    /// Variables that stand for one of the hosts, for clients that know no proxy.
    pub base_urls: Vec<BaseUrl>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Header values.
    Header,
    /// The query.
    Query,
    /// The path.
    Path,
    /// JSON, form and text bodies.
    Body,
    /// Text messages to the server.
    Websocket,
}

impl Place {
    /// The word that a policy uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
            Self::Path => "path",
            Self::Body => "body",
            Self::Websocket => "websocket",
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
pub struct Reach {
    /// Hosts that pass as a plain tunnel.
    pub hosts: Vec<HostPattern>,
    /// Roots that the operator trusts beside the system's, as PEM.
    pub extra_ca: Option<String>,
}

/// `[sandbox] hosts` and `extra_ca`, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReachPart {
    /// Hosts that pass as a plain tunnel.
    pub hosts: Vec<HostPattern>,
    /// The file of roots, `~` not yet replaced.
    pub extra_ca: Option<String>,
    /// Line of the file's name.
    pub(super) line: usize,
}

impl Document {
    /// The file of `[sandbox] extra_ca`, and the line that names it.
    pub fn extra_ca(&self, home: &Path) -> Option<(PathBuf, usize)> {
        self.reach.extra_ca.as_ref().map(|path| (expand(path, home), self.reach.line))
    }

    /// Which of these secrets a rule seals without a word of guessing: rule, secret, line of the rule.
    pub fn sealed_unsaid<'a>(&'a self, secrets: &'a [SecretName]) -> Vec<(&'a Rule, &'a SecretName, usize)> {
        let unsaid = self.allow.iter().filter(|rule| rule.seal.is_some() && !rule.guessable);
        let covered = unsaid.flat_map(|rule| {
            let fits = |name: &&SecretName| rule.secrets.iter().any(|pattern| pattern.matches(name));
            let secret = |name: &&SecretName| !rule.seal.iter().any(|seal| seal.only_names(name));
            secrets.iter().filter(fits).filter(secret).map(move |name| (rule, name, rule.line))
        });
        let denied = |name: &SecretName| self.deny.iter().any(|pattern| pattern.matches(name));
        covered.filter(|(_, name, _)| !denied(name)).collect()
    }
}

/// The sealed ones among a run's secrets.
pub(super) fn of(secrets: &[Delivered]) -> impl Iterator<Item = (&SecretName, &Seal)> {
    secrets.iter().filter_map(|secret| Some((&secret.name, secret.how.seal()?)))
}

/// Whether the sealed secrets of a run can be used together.
pub(super) fn check_together(secrets: &[Delivered]) -> Result<(), Unfit> {
    let sealed: Vec<(&SecretName, &Seal)> = of(secrets).collect();
    if let Some((one, other)) = conflict(&sealed) {
        return Err(Unfit::Conflict(one.clone(), other.clone()));
    }
    for (name, seal) in &sealed {
        let Some(Inject::AwsSigV4(keys)) = &seal.inject else { continue };
        let missing = keys.secrets().find(|key| !sealed.iter().any(|(other, _)| other == key));
        if let Some(missing) = missing {
            return Err(Unfit::Incomplete((*name).clone(), missing.clone()));
        }
    }
    Ok(())
}

/// Why sealed secrets can't be used together.
pub(super) enum Unfit {
    /// Both would set the same header of the same host.
    Conflict(SecretName, SecretName),
    /// The first signs with the second, which the call leaves out.
    Incomplete(SecretName, SecretName),
}

/// Something wrong with a rule's sealed part: where, what, and the way out.
pub(super) type Wrong = (Range<usize>, String, &'static str);

/// Headers that belong to a connection or a message's shape: no value goes there.
const NOT_INJECTED: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-authorization",
    "proxy-connection",
    "keep-alive",
    "accept-encoding",
    "content-encoding",
    "range",
];

/// Reads the sealed part of a rule.
pub(super) fn seal(raw: &RawRule, at: Range<usize>, wrong: &mut Vec<Wrong>) -> Option<Seal> {
    let before = wrong.len();
    let hosts = hosts(raw.hosts.as_ref(), &at, wrong);
    let inject = raw.inject.as_ref().and_then(|inject| parse_inject(inject, wrong));
    let substitute = match &raw.substitute {
        None => BTreeSet::from([Place::Header]),
        Some(places) => places.get().iter().map(|place| place.place()).collect(),
    };
    let methods = raw.methods.as_ref().map(|methods| parse_methods(methods, wrong));
    let paths = raw.paths.as_ref().map(|paths| parse_paths(paths, wrong));
    let base_urls = raw.base_url.iter().filter_map(|(env, url)| base_url(env, url, &hosts, wrong)).collect();
    if inject.is_none() && substitute.is_empty() {
        wrong.push((
            at,
            "nothing puts the value in: inject is not given, and substitute is empty".to_owned(),
            "write inject = \"bearer\", or leave substitute out",
        ));
    }
    (wrong.len() == before).then_some(Seal { hosts, inject, substitute, methods, paths, base_urls })
}

/// What belongs to sealed delivery and stands in a rule without it.
pub(super) fn stray(raw: &RawRule) -> Vec<Wrong> {
    const HINT: &str = "write deliver = \"sealed\", or leave it out";
    let spans = [
        (raw.hosts.as_ref().map(At::span), "hosts"),
        (raw.inject.as_ref().map(At::span), "inject"),
        (raw.substitute.as_ref().map(At::span), "substitute"),
        (raw.methods.as_ref().map(At::span), "methods"),
        (raw.paths.as_ref().map(At::span), "paths"),
        (raw.guessable.as_ref().map(At::span), "guessable"),
        (raw.base_url.keys().next().map(At::span), "base_url"),
    ];
    let found = spans.into_iter().filter_map(|(span, key)| span.map(|span| (span, key)));
    found.map(|(span, key)| (span, format!("{key} belongs to sealed delivery"), HINT)).collect()
}

fn hosts(raw: Option<&At<Vec<String>>>, at: &Range<usize>, wrong: &mut Vec<Wrong>) -> Vec<HostPattern> {
    const HINT: &str = "name them: hosts = [\"api.example.com\"], with a port unless it is 443";
    let Some(raw) = raw.filter(|raw| !raw.get().is_empty()) else {
        let span = raw.map_or(at.clone(), At::span);
        wrong.push((span, "a sealed secret needs the hosts that it may go to".to_owned(), HINT));
        return Vec::new();
    };
    host_patterns(raw, wrong)
}

/// Reads a list of hosts.
pub(super) fn host_patterns(raw: &At<Vec<String>>, wrong: &mut Vec<Wrong>) -> Vec<HostPattern> {
    let mut hosts = Vec::new();
    for text in raw.get() {
        match HostPattern::parse(text) {
            Ok(host) if host.is_wildcard() && !host.host().contains('.') => wrong.push((
                raw.span(),
                format!("{text} covers a whole top-level domain"),
                "name the domain: *.example.com",
            )),
            Ok(host) => hosts.push(host),
            Err(error) => {
                wrong.push((raw.span(), error.to_string(), "write api.example.com or localhost:8080"))
            }
        }
    }
    hosts
}

fn parse_inject(raw: &At<RawInject>, wrong: &mut Vec<Wrong>) -> Option<Inject> {
    match raw.get() {
        RawInject::Bearer => Some(Inject::Bearer),
        RawInject::Basic(user) if user.contains(':') || user.chars().any(char::is_control) => {
            wrong.push((
                raw.span(),
                "a user has no colon and no control characters".to_owned(),
                "fix the user",
            ));
            None
        }
        RawInject::Basic(user) => Some(Inject::Basic { user: user.clone() }),
        RawInject::Header(name) => header(raw, name, wrong),
        RawInject::AwsSigv4(sigv4) => parse_sigv4(raw, sigv4, wrong),
    }
}

fn header(raw: &At<RawInject>, name: &str, wrong: &mut Vec<Wrong>) -> Option<Inject> {
    let name = name.to_ascii_lowercase();
    let token = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if token && !NOT_INJECTED.contains(&name.as_str()) {
        return Some(Inject::Header { name });
    }
    wrong.push((raw.span(), "no value goes into that header".to_owned(), "name a header as X-Api-Key"));
    None
}

fn parse_sigv4(raw: &At<RawInject>, sigv4: &RawSigV4, wrong: &mut Vec<Wrong>) -> Option<Inject> {
    let mut secret = |name: &str| {
        let parsed = SecretName::parse(name);
        parsed.map_err(|error| wrong.push((raw.span(), error.to_string(), "fix the name"))).ok()
    };
    let (access_key, secret_key) = (secret(&sigv4.access_key), secret(&sigv4.secret_key));
    let session_token = sigv4.session_token.as_ref().map(|name| secret(name));
    if session_token == Some(None) {
        return None;
    }
    Some(Inject::AwsSigV4(SigV4 {
        access_key: access_key?,
        secret_key: secret_key?,
        session_token: session_token.flatten(),
        region: sigv4.region.clone(),
        service: sigv4.service.clone(),
    }))
}

fn parse_methods(raw: &At<Vec<String>>, wrong: &mut Vec<Wrong>) -> BTreeSet<String> {
    let fits = |method: &String| {
        !method.is_empty()
            && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
            && method != "CONNECT"
    };
    if raw.get().is_empty() || !raw.get().iter().all(fits) {
        wrong.push((
            raw.span(),
            "methods are words of upper-case letters, and not CONNECT".to_owned(),
            "write methods = [\"GET\", \"POST\"]",
        ));
    }
    raw.get().iter().cloned().collect()
}

fn parse_paths(raw: &At<Vec<String>>, wrong: &mut Vec<Wrong>) -> Vec<PathPattern> {
    let parsed: Vec<PathPattern> = raw.get().iter().filter_map(|text| PathPattern::parse(text)).collect();
    if raw.get().is_empty() || parsed.len() != raw.get().len() {
        wrong.push((
            raw.span(),
            "a path begins with /, with * inside a segment and ** as a whole one, nothing percent-encoded"
                .to_owned(),
            "write paths = [\"/v1/chat/*\"]",
        ));
    }
    parsed
}

fn base_url(
    env: &At<String>,
    url: &At<String>,
    hosts: &[HostPattern],
    wrong: &mut Vec<Wrong>,
) -> Option<BaseUrl> {
    let parsed = EnvName::parse(env.get()).ok().zip(parse_url(url.get()));
    let Some((name, (tls, host, port, path))) = parsed else {
        wrong.push((
            url.span(),
            "a base URL is a variable's name and an https address".to_owned(),
            "write base_url = { OPENAI_BASE_URL = \"https://api.openai.com/v1\" }",
        ));
        return None;
    };
    if super::env_names::set_by_us(env.get()) {
        wrong.push((env.span(), format!("{name} is set by authy-mcp"), "name another variable"));
    }
    if !hosts.is_empty() && !hosts.iter().any(|pattern| pattern.covers(&host, port)) {
        wrong.push((url.span(), format!("{host} is not among the rule's hosts"), "add it to hosts"));
    }
    Some(BaseUrl { env: name, host, port, path, tls })
}

/// `https://host[:port][/path]`; `http` with a port only.
fn parse_url(text: &str) -> Option<(Tls, String, u16, String)> {
    let (tls, rest) = match text.split_once("://")? {
        ("https", rest) => (Tls::Yes, rest),
        ("http", rest) => (Tls::No, rest),
        _ => return None,
    };
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    let pattern = HostPattern::parse(authority).ok().filter(|pattern| !pattern.is_wildcard())?;
    let port = match (tls, pattern.port()) {
        (_, Some(port)) => port,
        (Tls::Yes, None) => 443,
        (Tls::No, None) => return None,
    };
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'%' | b'\\'));
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() { String::new() } else { format!("/{path}") };
    plain.then(|| (tls, pattern.host(), port, path))
}

impl Seal {
    /// The header that it sets, lower-case.
    pub fn header(&self) -> Option<&str> {
        Some(match self.inject.as_ref()? {
            Inject::Bearer | Inject::Basic { .. } | Inject::AwsSigV4(_) => "authorization",
            Inject::Header { name } => name,
        })
    }

    /// The keys of one signature set one header between them.
    fn is_one_signature(&self, other: &Self) -> bool {
        matches!((&self.inject, &other.inject), (Some(Inject::AwsSigV4(a)), Some(Inject::AwsSigV4(b))) if a == b)
    }

    /// What is weak in it, and applied all the same: message and way out.
    pub(super) fn warnings(&self) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        for place in self.substitute.iter().filter(|place| **place != Place::Header) {
            found.push((
                format!(
                    "puts a value where its placeholder stands in {}: a call can post it to a place of the host that others read",
                    place.word()
                ),
                "use inject, or headers only, wherever the host takes it there",
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

    /// In words, for what a document changes.
    pub(super) fn words(&self) -> Vec<String> {
        let hosts: Vec<&str> = self.hosts.iter().map(HostPattern::as_str).collect();
        let mut words = vec![format!("to {}", hosts.join(" "))];
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
        let places: Vec<&str> = self.substitute.iter().map(|place| place.word()).collect();
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

/// Two secrets of one run that would set the same header of the same host; `None` where all is well.
fn conflict<'a>(sealed: &[(&'a SecretName, &Seal)]) -> Option<(&'a SecretName, &'a SecretName)> {
    sealed.iter().enumerate().find_map(|(index, (one, seal))| {
        let header = seal.header()?;
        let same = |(_, other): &&(&SecretName, &Seal)| {
            if seal.is_one_signature(other) {
                return false;
            }
            let meet = |host: &HostPattern| other.hosts.iter().any(|theirs| theirs.overlaps(host));
            other.header() == Some(header) && seal.hosts.iter().any(meet)
        };
        sealed[index + 1..].iter().find(same).map(|(other, _)| (*one, *other))
    })
}

impl RawPlace {
    fn place(self) -> Place {
        match self {
            Self::Header => Place::Header,
            Self::Query => Place::Query,
            Self::Path => Place::Path,
            Self::Body => Place::Body,
            Self::Websocket => Place::Websocket,
        }
    }
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

    fn document(rule: &str) -> Result<Document, Vec<(usize, String)>> {
        let text = format!("scope = \"s\"\n[[allow]]\nsecrets = [\"a/*\"]\ncommands = \"any\"\n{rule}\n");
        Document::parse(&text).map_err(|error| error.0.into_iter().map(|f| (f.line, f.message)).collect())
    }

    #[test]
    fn what_a_sealed_rule_lacks_or_has_too_much_is_an_error_with_its_line() {
        const GOOD: &str = "deliver = \"sealed\"\nhosts = [\"api.example.com\"]\n";
        for (rule, line, says) in [
            ("deliver = \"sealed\"".to_owned(), 2, "needs the hosts"),
            ("deliver = \"sealed\"\nhosts = []".to_owned(), 6, "needs the hosts"),
            ("deliver = \"sealed\"\nhosts = [\"a b\"]".to_owned(), 6, "a host is made of"),
            ("deliver = \"sealed\"\nhosts = [\"*.com\"]".to_owned(), 6, "top-level"),
            ("deliver = \"env\"\nhosts = [\"api.example.com\"]".to_owned(), 6, "hosts belongs to sealed"),
            ("deliver = \"env\"\ninject = \"bearer\"".to_owned(), 6, "inject belongs to sealed"),
            ("deliver = \"file\"\nmethods = [\"GET\"]".to_owned(), 6, "methods belongs to sealed"),
            (format!("{GOOD}inject = {{ header = \"Host\" }}"), 7, "no value goes into that header"),
            (format!("{GOOD}inject = {{ header = \"a b\" }}"), 7, "no value goes into that header"),
            (format!("{GOOD}inject = {{ basic = \"a:b\" }}"), 7, "no colon"),
            (format!("{GOOD}substitute = []"), 2, "nothing puts the value in"),
            (format!("{GOOD}methods = [\"get\"]"), 7, "upper-case"),
            (format!("{GOOD}methods = [\"CONNECT\"]"), 7, "upper-case"),
            (format!("{GOOD}paths = [\"/a/../b\"]"), 7, "a path begins"),
            (
                format!("{GOOD}base_url = {{ X_URL = \"https://other.example.com\" }}"),
                7,
                "not among the rule's hosts",
            ),
            (format!("{GOOD}base_url = {{ X_URL = \"http://api.example.com\" }}"), 7, "an https address"),
            (format!("{GOOD}base_url = {{ PATH = \"https://api.example.com\" }}"), 7, "set by authy-mcp"),
            (
                format!("{GOOD}inject = {{ aws_sigv4 = {{ access_key = \"a b\", secret_key = \"a/s\" }} }}"),
                7,
                "a secret name",
            ),
        ] {
            let errors = document(&rule).expect_err(&rule);
            assert_eq!(errors[0].0, line, "{rule}: {errors:?}");
            assert!(errors[0].1.contains(says), "{rule}: {errors:?}");
        }
        let seal =
            document(&format!("{GOOD}inject = {{ header = \"X-Api-Key\" }}\nmethods = [\"GET\"]")).unwrap();
        let seal = seal.allow[0].seal.clone().unwrap();
        assert_eq!(seal.header(), Some("x-api-key"));
        assert_eq!(seal.substitute, BTreeSet::from([Place::Header]));
    }

    #[test]
    fn what_is_weak_in_a_sealed_rule_is_said() {
        let rule = "deliver = \"sealed\"\nhosts = [\"*.example.com\", \"localhost:80\"]\n\
                    substitute = [\"header\", \"query\", \"path\", \"body\", \"websocket\"]";
        let warnings: Vec<String> =
            document(rule).unwrap().warnings().into_iter().map(|w| w.message).collect();
        for says in ["in query", "in path", "in body", "in websocket", "subdomains", "this machine"] {
            assert!(warnings.iter().any(|warning| warning.contains(says)), "{says}: {warnings:?}");
        }
        assert!(!warnings.iter().any(|warning| warning.contains("in header")), "{warnings:?}");
    }

    fn seal_of(host: &str, inject: Inject) -> Seal {
        Seal {
            hosts: vec![HostPattern::parse(host).unwrap()],
            inject: Some(inject),
            substitute: BTreeSet::new(),
            methods: None,
            paths: None,
            base_urls: Vec::new(),
        }
    }

    #[test]
    fn two_secrets_never_set_one_header_of_one_host() {
        let header = |name: &str| Inject::Header { name: name.to_owned() };
        for (one, other, meet) in [
            (("a.example.com", Inject::Bearer), ("a.example.com", Inject::Bearer), true),
            (("*.example.com", Inject::Bearer), ("a.example.com", header("authorization")), true),
            (("a.example.com", Inject::Bearer), ("a.example.com", header("x-api-key")), false),
            (("a.example.com", Inject::Bearer), ("b.example.com", Inject::Bearer), false),
        ] {
            let names = ["one", "other"].map(|name| SecretName::parse(name).unwrap());
            let seals = [seal_of(one.0, one.1), seal_of(other.0, other.1)];
            let sealed = [(&names[0], &seals[0]), (&names[1], &seals[1])];
            assert_eq!(conflict(&sealed).is_some(), meet, "{sealed:?}");
        }
    }

    #[test]
    fn base_urls() {
        assert_eq!(
            parse_url("https://api.openai.com/v1/"),
            Some((Tls::Yes, "api.openai.com".to_owned(), 443, "/v1".to_owned()))
        );
        assert_eq!(
            parse_url("http://localhost:8080"),
            Some((Tls::No, "localhost".to_owned(), 8080, String::new()))
        );
        for bad in
            ["http://localhost", "ftp://a", "https://", "https://u@h/", "https://*.a.com", "https://a/?x"]
        {
            assert_eq!(parse_url(bad), None, "{bad}");
        }
    }
}
