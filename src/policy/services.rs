//! The services that ship with us: what a rule that names one stands for.
//!
//! A row is expanded when a policy is applied, and stored with it: a newer row changes nothing until the policy is applied
//! again, and `doctor` says that there is one. No row has a wildcard, so no stranger can have a host of it. A row leaves
//! out hosts and paths by which a service stores what it is sent where others read it, as far as its paths tell.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A service, as a policy that was applied has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Which row it was.
    pub entry: u32,
    /// Where its secret may go.
    pub hosts: Vec<String>,
    /// The header that takes it.
    pub inject: ServiceInject,
    /// The variable that its clients read.
    pub env: String,
    /// Variable → address, where its clients read one.
    pub base_urls: BTreeMap<String, String>,
    /// With which methods; none for any.
    pub methods: Vec<String>,
    /// At which paths; none for any.
    pub paths: Vec<String>,
    /// Headers, in lower case, that take a credential of it, beside those that every service may have.
    pub headers: Vec<String>,
    /// Names in a query, likewise.
    pub queries: Vec<String>,
}

/// What the proxy sets for a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceInject {
    /// `Authorization: Bearer`.
    Bearer,
    /// This header.
    Header(String),
}

/// A row of the table.
struct Row {
    name: &'static str,
    /// Counted up with each change.
    entry: u32,
    hosts: &'static [&'static str],
    inject: Inject,
    env: &'static str,
    base_urls: &'static [(&'static str, &'static str)],
    methods: &'static [&'static str],
    paths: &'static [&'static str],
    headers: &'static [&'static str],
    queries: &'static [&'static str],
}

enum Inject {
    Bearer,
    Header(&'static str),
}

const ROWS: &[Row] = &[
    // platform.openai.com/docs/api-reference (authentication, endpoints); github.com/openai/openai-python and openai-node read
    // OPENAI_API_KEY and OPENAI_BASE_URL. Files, uploads, vector stores, containers, batches and fine-tuning, which keep
    // what they are sent, are left out.
    Row {
        name: "openai",
        entry: 1,
        hosts: &["api.openai.com"],
        inject: Inject::Bearer,
        env: "OPENAI_API_KEY",
        base_urls: &[("OPENAI_BASE_URL", "https://api.openai.com/v1")],
        methods: &["GET", "POST"],
        paths: &[
            "/v1/models",
            "/v1/models/*",
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/responses",
            "/v1/embeddings",
            "/v1/moderations",
            "/v1/audio/*",
            "/v1/images/*",
        ],
        headers: &[],
        queries: &[],
    },
    // docs.anthropic.com/en/api (overview, messages, messages-count-tokens, models); the SDKs read ANTHROPIC_API_KEY and
    // ANTHROPIC_BASE_URL. A bearer is taken, too. Files, batches and skills, which keep what they are sent, are left out.
    Row {
        name: "anthropic",
        entry: 1,
        hosts: &["api.anthropic.com"],
        inject: Inject::Header("x-api-key"),
        env: "ANTHROPIC_API_KEY",
        base_urls: &[("ANTHROPIC_BASE_URL", "https://api.anthropic.com")],
        methods: &["GET", "POST"],
        paths: &["/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v1/models/*"],
        headers: &["authorization", "x-api-key"],
        queries: &[],
    },
    // docs.github.com/en/rest (authentication, endpoints); gh reads GH_TOKEN before GITHUB_TOKEN (cli.github.com/manual/gh_help_environment),
    // everything else reads GITHUB_TOKEN. Gists, which anybody reads, are left out; so is uploads.github.com. Issues and comments
    // of a public repository are read by anybody.
    Row {
        name: "github",
        entry: 1,
        hosts: &["api.github.com"],
        inject: Inject::Bearer,
        env: "GITHUB_TOKEN",
        base_urls: &[],
        methods: &[],
        paths: &[
            "/",
            "/graphql",
            "/meta",
            "/rate_limit",
            "/user",
            "/user/**",
            "/users/**",
            "/orgs/**",
            "/repos/**",
            "/repositories/**",
            "/search/**",
            "/issues",
            "/notifications/**",
            "/installation/**",
        ],
        headers: &[],
        queries: &["access_token", "client_id", "client_secret"],
    },
    // developers.cloudflare.com/fundamentals/api (tokens; the older X-Auth-Key and X-Auth-Email); wrangler reads
    // CLOUDFLARE_API_TOKEN and CLOUDFLARE_API_BASE_URL.
    Row {
        name: "cloudflare",
        entry: 1,
        hosts: &["api.cloudflare.com"],
        inject: Inject::Bearer,
        env: "CLOUDFLARE_API_TOKEN",
        base_urls: &[("CLOUDFLARE_API_BASE_URL", "https://api.cloudflare.com/client/v4")],
        methods: &[],
        paths: &["/client/v4/**"],
        headers: &["x-auth-key", "x-auth-email", "x-auth-user-service-key"],
        queries: &[],
    },
    // docs.stripe.com/api (authentication by bearer or basic, v1 and v2); the stripe CLI reads STRIPE_API_KEY. files.stripe.com, which
    // takes uploads, is left out.
    Row {
        name: "stripe",
        entry: 1,
        hosts: &["api.stripe.com"],
        inject: Inject::Bearer,
        env: "STRIPE_API_KEY",
        base_urls: &[],
        methods: &["GET", "POST", "DELETE"],
        paths: &["/v1/**", "/v2/**"],
        headers: &[],
        queries: &[],
    },
];

/// The services that a document may name.
pub(crate) type Services = BTreeMap<String, Service>;

/// Those that ship with this version.
pub(crate) fn shipped() -> Services {
    ROWS.iter().map(|row| (row.name.to_owned(), row.service())).collect()
}

impl Row {
    fn service(&self) -> Service {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Service {
            entry: self.entry,
            hosts: owned(self.hosts),
            inject: match self.inject {
                Inject::Bearer => ServiceInject::Bearer,
                Inject::Header(name) => ServiceInject::Header(name.to_owned()),
            },
            env: self.env.to_owned(),
            base_urls: self
                .base_urls
                .iter()
                .map(|(env, url)| ((*env).to_owned(), (*url).to_owned()))
                .collect(),
            methods: owned(self.methods),
            paths: owned(self.paths),
            headers: owned(self.headers),
            queries: owned(self.queries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{names::HostPattern, policy::Document};

    #[test]
    fn every_row_is_a_rule_that_holds() {
        for (name, service) in shipped() {
            let text = format!(
                "scope = \"s\"\n[[allow]]\nsecrets = [\"a/key\"]\ndeliver = \"sealed\"\nservice = \"{name}\"\ncommands = \"any\"\n"
            );
            let document = Document::parse(&text).unwrap_or_else(|error| panic!("{name}: {:?}", error.0));
            let seal = document.allow[0].seal.clone().unwrap();
            assert_eq!(seal.hosts.len(), service.hosts.len(), "{name}");
            assert!(seal.inject.is_some() && seal.substitute.is_empty(), "{name}");
            for host in &seal.hosts {
                assert!(!host.is_wildcard() && host.host().contains('.'), "{name}: {host}");
                assert_eq!(HostPattern::parse(host.as_str()).unwrap(), *host);
            }
            let lower = |words: &[String]| words.iter().all(|word| *word == word.to_ascii_lowercase());
            assert!(lower(&service.headers) && lower(&service.queries), "{name}");
        }
        let names: Vec<String> = shipped().into_keys().collect();
        assert_eq!(names, ["anthropic", "cloudflare", "github", "openai", "stripe"]);
    }
}
