//! The sealed part of a rule, from the document's keys.

use std::{collections::BTreeSet, ops::Range};

use super::raw::{At, RawInject, RawPlace, RawRule, RawSigV4};
use crate::{
    names::{EnvName, HostPattern, SecretName},
    policy::{
        edition::Edition,
        env_names, other_request,
        sealed::{BaseUrl, Inject, OfService, PathPattern, Seal, SigV4, SubstitutionSite, Tls},
        services::{Service, ServiceInject, Services},
    },
};

/// Something wrong with a rule's sealed part: where, what, and the way out.
pub(super) type Wrong = (Range<usize>, String, &'static str);

/// Headers that belong to a connection or a message's shape: no value goes there, in whichever edition.
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

/// More of them: they ask for what can't be read, lead past the sealed proxy, or are what only it says.
const NOT_INJECTED_NOW: &[&str] = &[
    "if-range",
    "x-ms-range",
    "grpc-accept-encoding",
    "sec-websocket-extensions",
    "http2-settings",
    "alt-svc",
    "alt-used",
    "x-authy-mcp-refused",
    "x-authy-mcp-scrubbed",
];

/// Whether no value goes into a header of this name, in lower case: it would be left out, or make each request one that is
/// refused. A rule that was applied before all of these were looked at goes on, so that a newer version locks no scope.
fn takes_no_value(name: &str, edition: Edition) -> bool {
    let now = || {
        NOT_INJECTED_NOW.contains(&name)
            || name.starts_with("proxy-")
            || other_request::speaks_for_a_proxy(name)
            || other_request::is_meant_by(name)
    };
    NOT_INJECTED.contains(&name) || (edition >= Edition::NamedHeaders && now())
}

/// Reads the sealed part of a rule.
pub(super) fn seal(
    raw: &RawRule,
    at: Range<usize>,
    edition: Edition,
    services: &Services,
    wrong: &mut Vec<Wrong>,
) -> Option<Seal> {
    let before = wrong.len();
    let mut seal = match &raw.service {
        None => Seal { hosts: hosts(raw.hosts.as_ref(), &at, wrong), ..Seal::default() },
        Some(name) => of_service(raw, name, services, wrong)?,
    };
    if let Some(inject) = &raw.inject {
        seal.inject = parse_inject(inject, edition, wrong);
    }
    seal.substitute = match &raw.substitute {
        Some(places) => places.get().iter().filter_map(|place| site(place, places, edition, wrong)).collect(),
        None if edition < Edition::NamedHeaders => BTreeSet::from([SubstitutionSite::AnyHeader]),
        None if raw.inject.is_some() || seal.service.is_some() => BTreeSet::new(),
        None => BTreeSet::from([SubstitutionSite::Header]),
    };
    if let Some(raw_methods) = &raw.methods {
        let methods = parse_methods(raw_methods, wrong);
        seal.methods = Some(match seal.methods {
            None => methods,
            Some(own) => both(&own, methods, raw_methods, wrong),
        });
    }
    if let Some(paths) = &raw.paths {
        seal.paths = Some(parse_paths(paths, wrong));
    }
    let base_urls = raw.base_url.iter().filter_map(|(env, url)| base_url(env, url, &seal.hosts, wrong));
    let base_urls: Vec<BaseUrl> = base_urls.collect();
    seal.base_urls.extend(base_urls);
    let nowhere = raw.substitute.as_ref().is_some_and(|places| places.get().is_empty());
    if raw.inject.is_none() && seal.service.is_none() && nowhere {
        wrong.push((
            at,
            "nothing puts the value in: inject is not given, and substitute is empty".to_owned(),
            "write inject = \"bearer\", or leave substitute out",
        ));
    }
    (wrong.len() == before).then_some(seal)
}

/// What a service of the catalogue stands for. Beside it nothing says otherwise.
fn of_service(raw: &RawRule, name: &At<String>, services: &Services, wrong: &mut Vec<Wrong>) -> Option<Seal> {
    let beside = [
        (raw.hosts.as_ref().map(At::span), "hosts"),
        (raw.inject.as_ref().map(At::span), "inject"),
        (raw.env.keys().next().map(At::span), "env"),
        (raw.base_url.keys().next().map(At::span), "base_url"),
    ];
    for (span, key) in beside.into_iter().filter_map(|(span, key)| Some((span?, key))) {
        wrong.push((
            span,
            format!("service stands for hosts, inject, env and base_url, and {key} is given, too"),
            "write service, or the keys that it stands for",
        ));
    }
    let Some(service) = services.get(name.get()) else {
        let known: Vec<&str> = services.keys().map(String::as_str).collect();
        let message = format!("there is no service {:?}: there are {}", name.get(), known.join(", "));
        wrong.push((name.span(), message, "write one of them, or hosts and inject"));
        return None;
    };
    if let Some(paths) = raw.paths.as_ref().filter(|_| !service.paths.is_empty()) {
        wrong.push((
            paths.span(),
            format!("the service {} has its own paths: {}", name.get(), service.paths.join(" ")),
            "leave paths out, or write hosts and inject instead of service",
        ));
    }
    let seal = expanded(name.get(), service);
    if seal.is_none() {
        let message = format!("the service {:?} can't be read by this version", name.get());
        wrong.push((name.span(), message, "apply the policy again"));
    }
    seal
}

/// A row as the keys that it stands for.
fn expanded(name: &str, service: &Service) -> Option<Seal> {
    let hosts: Vec<HostPattern> =
        service.hosts.iter().map(|host| HostPattern::parse(host).ok()).collect::<Option<_>>()?;
    let paths: Vec<PathPattern> =
        service.paths.iter().map(|path| PathPattern::parse(path)).collect::<Option<_>>()?;
    let base = |(env, url): (&String, &String)| {
        let (tls, host, port, path) = parse_url(url)?;
        Some(BaseUrl { env: EnvName::parse(env).ok()?, host, port, path, tls })
    };
    Some(Seal {
        hosts,
        inject: Some(match &service.inject {
            ServiceInject::Bearer => Inject::Bearer,
            ServiceInject::Header(name) => Inject::Header { name: name.clone() },
        }),
        substitute: BTreeSet::new(),
        methods: (!service.methods.is_empty()).then(|| service.methods.iter().cloned().collect()),
        paths: (!paths.is_empty()).then_some(paths),
        base_urls: service.base_urls.iter().map(base).collect::<Option<_>>()?,
        service: Some(Box::new(OfService {
            name: name.to_owned(),
            env: EnvName::parse(&service.env).ok()?,
            entry: service.clone(),
        })),
    })
}

/// A place where a placeholder is replaced.
fn site(
    place: &RawPlace,
    places: &At<Vec<RawPlace>>,
    edition: Edition,
    wrong: &mut Vec<Wrong>,
) -> Option<SubstitutionSite> {
    Some(match place.0.as_str() {
        "header" if edition < Edition::NamedHeaders => SubstitutionSite::AnyHeader,
        "header" => SubstitutionSite::Header,
        "query" => SubstitutionSite::Query,
        "path" => SubstitutionSite::Path,
        "body" => SubstitutionSite::Body,
        "websocket" => SubstitutionSite::Websocket,
        named => {
            let name = named.strip_prefix("header:").unwrap_or_default().to_ascii_lowercase();
            let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !plain || takes_no_value(&name, edition) {
                let message = format!("no placeholder is replaced in {named:?}");
                wrong.push((
                    places.span(),
                    message,
                    "write header, header:NAME, query, path, body or websocket",
                ));
                return None;
            }
            SubstitutionSite::Named(name)
        }
    })
}

/// What belongs to sealed delivery and stands in a rule without it.
pub(super) fn stray(raw: &RawRule) -> Vec<Wrong> {
    const HINT: &str = "write deliver = \"sealed\", or leave it out";
    let spans = [
        (raw.service.as_ref().map(At::span), "service"),
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

fn parse_inject(raw: &At<RawInject>, edition: Edition, wrong: &mut Vec<Wrong>) -> Option<Inject> {
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
        RawInject::Header(name) => header(raw, name, edition, wrong),
        RawInject::AwsSigv4(sigv4) => parse_sigv4(raw, sigv4, wrong),
    }
}

fn header(raw: &At<RawInject>, name: &str, edition: Edition, wrong: &mut Vec<Wrong>) -> Option<Inject> {
    let name = name.to_ascii_lowercase();
    let token = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if token && !takes_no_value(&name, edition) {
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

/// The methods of a service that a rule allows.
fn both(
    own: &BTreeSet<String>,
    methods: BTreeSet<String>,
    at: &At<Vec<String>>,
    wrong: &mut Vec<Wrong>,
) -> BTreeSet<String> {
    let both: BTreeSet<String> = methods.into_iter().filter(|method| own.contains(method)).collect();
    if both.is_empty() {
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let message = format!("no method is left: the service has {}", own.join(", "));
        wrong.push((at.span(), message, "write methods that the service has, or leave methods out"));
    }
    both
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
    if env_names::set_by_us(env.get()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Document;

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
            (
                format!("{GOOD}inject = {{ header = \"X-Forwarded-User\" }}"),
                7,
                "no value goes into that header",
            ),
            (
                format!("{GOOD}inject = {{ header = \"X-Original-URL\" }}"),
                7,
                "no value goes into that header",
            ),
            (format!("{GOOD}inject = {{ header = \"a b\" }}"), 7, "no value goes into that header"),
            (format!("{GOOD}inject = {{ header = \"Proxy-X\" }}"), 7, "no value goes into that header"),
            (format!("{GOOD}inject = {{ header = \"X-Ms-Range\" }}"), 7, "no value goes into that header"),
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
        assert_eq!(seal.substitute, BTreeSet::new());
    }

    #[test]
    fn a_placeholder_is_replaced_in_named_headers_and_those_of_credentials() {
        const HOST: &str = "deliver = \"sealed\"\nhosts = [\"api.example.com\"]\n";
        let headers = ["authorization", "x-api-key", "x-foo", "cookie", "user-agent"];
        let open = |rule: &str, edition| {
            let text =
                format!("scope = \"s\"\n[[allow]]\nsecrets = [\"a/*\"]\ncommands = \"any\"\n{HOST}{rule}\n");
            let document = Document::parse_as(&text, edition, &Services::new()).unwrap();
            let seal = document.allow[0].seal.clone().unwrap();
            let open = headers.iter().filter(|name| seal.substitute.iter().any(|site| site.is_header(name)));
            open.copied().collect::<Vec<&str>>()
        };
        for (rule, now, before) in [
            ("", &headers[..2], &headers[..]),
            ("inject = \"bearer\"", &[], &headers),
            ("substitute = [\"header\"]", &headers[..2], &headers),
            ("inject = \"bearer\"\nsubstitute = [\"header\"]", &headers[..2], &headers),
            ("substitute = [\"query\"]", &[], &[]),
            ("substitute = [\"header:X-Foo\", \"header:Cookie\"]", &headers[2..4], &headers[2..4]),
        ] {
            assert_eq!(open(rule, Edition::NamedHeaders), now, "{rule}");
            assert_eq!(open(rule, Edition::Typed), before, "{rule}");
        }
        for bad in [
            "header:Host",
            "header:Proxy-Authorization",
            "header:",
            "header:a b",
            "header:a_b",
            "header:X-Forwarded-User",
            "header:Via",
            "header:X-Original-Url",
            "header:X-Host",
            "header:If-Range",
            "header:X-Ms-Range",
        ] {
            let errors = document(&format!("{HOST}substitute = [\"{bad}\"]")).expect_err(bad);
            assert!(errors[0].1.contains("no placeholder is replaced in"), "{errors:?}");
        }
    }

    #[test]
    fn a_policy_that_was_applied_before_headers_were_looked_at_is_still_read() {
        let text = "scope = \"s\"\n[[allow]]\nsecrets = [\"a/*\"]\ncommands = \"any\"\ndeliver = \"sealed\"\n\
                    hosts = [\"api.example.com\"]\ninject = { header = \"NAME\" }\n";
        let is_read = |name: &str, edition| {
            Document::parse_as(&text.replace("NAME", name), edition, &Services::new()).is_ok()
        };
        for name in ["X-Forwarded-User", "X-Original-URL", "X-Ms-Range", "Proxy-X"] {
            for edition in [Edition::BeforeTypes, Edition::Typed] {
                assert!(is_read(name, edition), "{name} {edition:?}");
            }
            assert!(!is_read(name, Edition::NamedHeaders), "{name}");
        }
        assert!(!is_read("Host", Edition::BeforeTypes));
    }

    #[test]
    fn a_service_stands_for_hosts_inject_and_env_and_nothing_beside_says_otherwise() {
        let rule = |more: &str| format!("deliver = \"sealed\"\nservice = \"anthropic\"\n{more}");
        for (rule, line, says) in [
            (rule("hosts = [\"a.example.com\"]"), 7, "hosts is given, too"),
            (rule("inject = \"bearer\""), 7, "inject is given, too"),
            (rule("env = { \"a/b\" = \"KEY\" }"), 7, "env is given, too"),
            (rule("base_url = { X_URL = \"https://api.anthropic.com\" }"), 7, "base_url is given, too"),
            (rule("paths = [\"/v1/**\"]"), 7, "has its own paths: /v1/messages"),
            (rule("methods = [\"DELETE\"]"), 7, "no method is left: the service has GET, POST"),
            (
                "deliver = \"sealed\"\nservice = \"acme\"".to_owned(),
                6,
                "there is no service \"acme\": there are anthropic, cloudflare, github, openai, stripe",
            ),
            ("deliver = \"env\"\nservice = \"openai\"".to_owned(), 6, "service belongs to sealed delivery"),
        ] {
            let errors = document(&rule).expect_err(&rule);
            assert_eq!(errors[0].0, line, "{rule}: {errors:?}");
            assert!(errors[0].1.contains(says), "{rule}: {errors:?}");
        }
        let seal =
            document(&rule("methods = [\"POST\", \"DELETE\"]")).unwrap().allow[0].seal.clone().unwrap();
        assert_eq!(seal.header(), Some("x-api-key"));
        assert_eq!(seal.methods, Some(BTreeSet::from(["POST".to_owned()])));
        assert!(seal.paths.unwrap().iter().all(|path| !path.covers("/v1/files")));
        assert_eq!(seal.base_urls[0].env.as_str(), "ANTHROPIC_BASE_URL");
    }

    #[test]
    fn a_service_stays_what_it_was_when_the_policy_was_applied() {
        let text = "scope = \"s\"\n[[allow]]\nsecrets = [\"a/b\"]\ndeliver = \"sealed\"\nservice = \"openai\"\ncommands = \"any\"\n";
        let mut services = Document::parse(text).unwrap().services();
        services.get_mut("openai").unwrap().hosts = vec!["api.old.example".to_owned()];
        let document = Document::parse_as(text, Edition::NamedHeaders, &services).unwrap();
        let seal = document.allow[0].seal.clone().unwrap();
        assert_eq!(seal.hosts[0].as_str(), "api.old.example");
        assert!(Document::parse_as(text, Edition::NamedHeaders, &Services::new()).is_err());
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
