//! A run that goes on, decided again: whether it is still given all that it was given.
//!
//! The policy of today may be another than the one under which the run began. What is new in it and gives more
//! doesn't concern the run; what gives less ends it. Everything that isn't known to give as much counts as less.

use std::collections::BTreeSet;

use super::{
    decision::{CwdTerm, How, RunTerms, SandboxTerms},
    sealed::{PathPattern, Seal},
    words::{ExitCodes, HomeMode, Network, SandboxMode},
};

/// What holds a run to its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timed {
    /// Its policy's limit.
    Yes,
    /// Nothing: a person or another server has its streams.
    No,
}

impl RunTerms {
    /// Whether these terms give at least all that others did, for the same request.
    pub fn give_all_of(&self, before: &Self, timed: Timed) -> bool {
        self.give_the_secrets_of(before)
            && self.program == before.program
            && self.args == before.args
            && before.set_env.iter().all(|(name, text)| self.set_env.get(name) == Some(text))
            && before.pass_env.words().all(|one| self.pass_env.words().any(|now| now == one))
            && self.agent_env == before.agent_env
            && self.path == before.path
            && (self.home == before.home || before.home == HomeMode::Private)
            && same_place(&self.cwd, &before.cwd)
            && (timed == Timed::No || self.timeout >= before.timeout)
            && self.output_limit >= before.output_limit
            && self.output <= before.output
            && (self.exit_code == before.exit_code || self.exit_code == ExitCodes::Exact)
            && (self.pin.is_none() || self.pin == before.pin)
            && (self.pin.is_none() || self.pinned == before.pinned)
            && self.sandbox.reach_all_of(&before.sandbox)
            && subset(&before.reach.hosts, &self.reach.hosts)
            && self.reach.extra_ca == before.reach.extra_ca
            && self.reach.upstream == before.reach.upstream
    }

    fn give_the_secrets_of(&self, before: &Self) -> bool {
        before.secrets.iter().all(|secret| {
            let now = self.secrets.iter().find(|now| now.name == secret.name && now.env == secret.env);
            now.is_some_and(|now| now.how.gives_all_of(&secret.how))
        })
    }
}

impl How {
    fn gives_all_of(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Env, Self::File) | (Self::File, Self::Env) | (Self::Sealed(_), Self::Env | Self::File) => {
                false
            }
            (Self::Sealed(now), Self::Sealed(before)) => now.reaches_all_of(before),
            // Given to the program itself, which is more than a placeholder.
            (Self::Env | Self::File, Self::Sealed(_)) => true,
            (Self::Env, Self::Env) | (Self::File, Self::File) => true,
        }
    }
}

impl Seal {
    fn reaches_all_of(&self, before: &Self) -> bool {
        let methods = |now: &BTreeSet<String>| before.methods.as_ref().is_some_and(|b| b.is_subset(now));
        let paths = |now: &Vec<PathPattern>| before.paths.as_ref().is_some_and(|b| subset(b, now));
        subset(&before.hosts, &self.hosts)
            && self.inject == before.inject
            && before.substitute.is_subset(&self.substitute)
            && self.methods.as_ref().is_none_or(methods)
            && self.paths.as_ref().is_none_or(paths)
            && subset(&before.base_urls, &self.base_urls)
    }
}

impl SandboxTerms {
    fn reach_all_of(&self, before: &Self) -> bool {
        let strictness = |mode| match mode {
            SandboxMode::Off => 0,
            SandboxMode::BestEffort => 1,
            SandboxMode::Required => 2,
        };
        // A network of the host's own has all that the proxy has, but what the run was told of.
        let network = self.network == before.network || before.network == Network::None;
        strictness(self.mode) <= strictness(before.mode)
            && network
            && subset(&before.read, &self.read)
            && subset(&before.write, &self.write)
            && self.on_file_hit == before.on_file_hit
            && subset(&before.write_control, &self.write_control)
            && self.limits.leave_all_of(&before.limits)
    }
}

/// Whether a run starts in the same place: that it may start there was decided anew.
fn same_place(now: &CwdTerm, before: &CwdTerm) -> bool {
    match (now, before) {
        (CwdTerm::Private, CwdTerm::Private) => true,
        (CwdTerm::Within { dir: now, .. }, CwdTerm::Within { dir: before, .. }) => now == before,
        (CwdTerm::Private, CwdTerm::Within { .. }) | (CwdTerm::Within { .. }, CwdTerm::Private) => false,
    }
}

fn subset<T: PartialEq>(some: &[T], of: &[T]) -> bool {
    some.iter().all(|one| of.contains(one))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{
        names::SecretName,
        policy::{Document, Policy, Request, Resolved, SecretFacts},
    };

    /// Two secrets, one sealed and one given to the program.
    const BEFORE: &str = r#"
scope = "s"
[limits]
timeout = "2m"
output = "16KiB"
processes = 100
memory = "1GiB"
[env]
pass = ["CI"]
path = ["/opt/bin"]
home = "private"
[sandbox]
network = "proxy"
read = ["/srv/data"]
write = ["/srv/out"]
cwd = ["/srv/work"]
hosts = ["cdn.example.com"]
[[allow]]
secrets = ["api/key"]
deliver = "sealed"
hosts = ["api.example.com", "b.example.com"]
substitute = ["header"]
methods = ["GET", "POST"]
paths = ["/v1/**"]
commands = [["tool", "**"]]
exit_code = "exact"
[[allow]]
secrets = ["db/key"]
deliver = "file"
set_env = { MODE = "ro" }
commands = [["tool", "**"]]
exit_code = "exact"
"#;

    fn terms(text: &str) -> Option<RunTerms> {
        let document = Document::parse(text).unwrap_or_else(|error| panic!("{text}: {:?}", error.0));
        let mut resolved =
            Resolved { home: "/home/u".into(), search: vec!["/usr/bin".into()], ..Resolved::default() };
        for program in document.programs() {
            let path = PathBuf::from("/usr/bin").join(&program.name);
            resolved.digests.insert(path.clone(), "11".repeat(32));
            resolved.programs.insert(program.name, path);
        }
        let names = ["api/key", "db/key"].map(|name| SecretName::parse(name).unwrap());
        let facts: Vec<SecretFacts> = names
            .iter()
            .map(|name| SecretFacts { name: name.clone(), env: None, description: None })
            .collect();
        let request = Request {
            command: vec!["tool".to_owned(), "x".to_owned()],
            secrets: Some(names.to_vec()),
            ..Request::default()
        };
        match Policy::new(document, resolved).decide(&request, &facts) {
            crate::policy::Decision::Deny(_) => None,
            crate::policy::Decision::Allow(allowed) => Some(allowed.terms().clone()),
        }
    }

    /// Whether a run that began under one document goes on under another.
    fn goes_on(before: &str, now: &str, timed: Timed) -> bool {
        let before = terms(before).expect("it was allowed");
        terms(now).is_some_and(|now| now.give_all_of(&before, timed))
    }

    #[test]
    fn what_gives_less_ends_a_run_and_what_gives_more_does_not() {
        let more = [
            ("", ""),
            ("timeout = \"2m\"", "timeout = \"3m\""),
            ("output = \"16KiB\"", "output = \"32KiB\""),
            ("processes = 100", "processes = 101"),
            ("memory = \"1GiB\"", "memory = \"5GiB\"\ndisk = \"20GiB\""),
            ("[limits]", "[limits]\nruns_per_minute = 1\nconcurrent_runs = 1"),
            ("pass = [\"CI\"]", "pass = [\"CI\", \"LANG\"]"),
            ("home = \"private\"", "home = \"user\""),
            ("read = [\"/srv/data\"]", "read = [\"/srv/data\", \"/srv/more\"]"),
            ("write = [\"/srv/out\"]", "write = [\"/srv/new\", \"/srv/out\"]"),
            ("cwd = [\"/srv/work\"]", "cwd = [\"/srv/work\", \"/srv/other\"]"),
            ("hosts = [\"cdn.example.com\"]", "hosts = [\"cdn.example.com\", \"d.example.com\"]"),
            ("\"b.example.com\"]", "\"b.example.com\", \"c.example.com\"]"),
            ("methods = [\"GET\", \"POST\"]\n", ""),
            ("methods = [\"GET\", \"POST\"]", "methods = [\"GET\", \"POST\", \"PUT\"]"),
            ("paths = [\"/v1/**\"]\n", ""),
            ("paths = [\"/v1/**\"]", "paths = [\"/v1/**\", \"/v2/**\"]"),
            ("substitute = [\"header\"]", "substitute = [\"header\", \"query\"]"),
            ("set_env = { MODE = \"ro\" }", "set_env = { MODE = \"ro\", MORE = \"x\" }"),
        ];
        for (from, to) in more {
            assert!(goes_on(BEFORE, &BEFORE.replacen(from, to, 1), Timed::Yes), "{from} → {to}");
        }
        let less = [
            ("timeout = \"2m\"", "timeout = \"1m\""),
            ("output = \"16KiB\"", "output = \"8KiB\""),
            ("processes = 100", "processes = 99"),
            ("memory = \"1GiB\"", "memory = \"1023MiB\""),
            ("memory = \"1GiB\"", "memory = \"1GiB\"\ndisk = \"9GiB\""),
            ("pass = [\"CI\"]", "pass = []"),
            ("path = [\"/opt/bin\"]", "path = [\"/opt/bin2\"]"),
            ("read = [\"/srv/data\"]", "read = []"),
            ("write = [\"/srv/out\"]", "write = [\"/srv/new\"]"),
            ("cwd = [\"/srv/work\"]", "cwd = [\"/srv/other\"]"),
            ("cwd = [\"/srv/work\"]\n", ""),
            ("hosts = [\"cdn.example.com\"]", "hosts = []"),
            ("\"api.example.com\", ", ""),
            ("methods = [\"GET\", \"POST\"]", "methods = [\"GET\"]"),
            ("paths = [\"/v1/**\"]", "paths = [\"/v1/*\"]"),
            ("substitute = [\"header\"]", "substitute = [\"query\"]"),
            ("substitute = [\"header\"]", "inject = \"bearer\""),
            ("set_env = { MODE = \"ro\" }", "set_env = { MODE = \"rw\" }"),
            ("exit_code = \"exact\"", "exit_code = \"exact\"\noutput = \"status\""),
            ("[[\"tool\", \"**\"]]", "[[\"tool\", \"y\"]]"),
            ("secrets = [\"db/key\"]", "secrets = [\"db/other\"]"),
            ("commands", "pin = true\ncommands"),
        ];
        for (from, to) in less {
            let now = BEFORE.replacen(from, to, 1);
            assert_ne!(now, BEFORE, "{from} stands in it");
            assert!(!goes_on(BEFORE, &now, Timed::Yes), "{from} → {to}");
        }
    }

    #[test]
    fn a_value_that_becomes_sealed_ends_a_run_and_a_sealed_one_that_is_given_does_not() {
        let sealed = "deliver = \"sealed\"\nhosts = [\"db.example.com\"]\nsubstitute = [\"header\"]";
        let given = BEFORE.replace("deliver = \"file\"", "deliver = \"env\"");
        let now = given.replace("deliver = \"env\"", sealed);
        assert!(!goes_on(&given, &now, Timed::Yes));
        assert!(goes_on(&now, &given, Timed::Yes));
        assert!(!goes_on(&given, BEFORE, Timed::Yes), "a file where it has a variable");
    }

    #[test]
    fn a_run_without_a_timeout_has_none_to_lose() {
        let shorter = BEFORE.replace("timeout = \"2m\"", "timeout = \"1m\"");
        assert!(goes_on(BEFORE, &shorter, Timed::No));
    }
}
