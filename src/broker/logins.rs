//! Whether a settings file of the user's holds something like a login: then no run is shown it unasked.

use std::{fs, io, net::Ipv4Addr, path::Path};

use crate::{files, names::names_a_secret, redact::bits};

/// What is looked into of a file. Settings of people are a few kilobytes; a longer file is none that is known to hold
/// nothing.
const MOST: u64 = 64 << 10;
/// From here on a word behind a name of [`NAMES`] is no word of a language.
const LOOKS_SECRET: u32 = 40;
/// The shortest that is looked at: what is shorter is a word, a number or an option.
const SHORTEST: usize = 8;
/// What names what follows a login, in whatever case and form it is written.
const NAMES: [&str; 9] =
    ["token", "passw", "pwd", "secret", "credential", "authorization", "apikey", "api-key", "api_key"];

/// Whether a file does, as far as it can be told. One that can't be read as text of that length is taken to.
pub(super) fn holds_a_login(path: &Path) -> bool {
    let read = fs::canonicalize(path).and_then(|real| files::read_regular(&real, MOST));
    match read.map(String::from_utf8) {
        Ok(Ok(text)) => text.lines().any(of_a_login),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        _ => true,
    }
}

fn of_a_login(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let named = NAMES.iter().filter_map(|name| lower.find(name)).min();
    let behind = named.and_then(|at| line.get(at..)).unwrap_or_default();
    has_a_secret(behind)
        || behind_a_name(line).any(has_a_secret)
        || line.split("://").skip(1).any(has_login)
        || line.match_indices('@').any(|(at, _)| is_login(&line[..at], &line[at + 1..]))
        // Where Anaconda's hosts take a token.
        || line.split("/t/").skip(1).any(|token| looks_secret(until(token, "/\"'?#")))
}

fn has_a_secret(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || "=:\"',;()[]{}".contains(c)).any(looks_secret)
}

/// What is behind a name that makes a secret of its value: `STRIPE_KEY = …`, `"gh-pat": …`. Behind two colons is what the
/// first word says the kind of (`key::ssh-ed25519 …` is git's).
fn behind_a_name(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices(['=', ':']).filter_map(|(at, _)| {
        let (before, behind) = (&line[..at], &line[at + 1..]);
        let name = before.trim_end_matches(|c: char| c.is_whitespace() || "\"']".contains(c));
        let name = name.rsplit(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c))).next()?;
        (names_a_secret(name) && !behind.starts_with(':')).then_some(behind)
    })
}

/// Whether an `@` between these has a name and a password before it and a host behind it, without `scheme://`: so do
/// programs take a proxy. A version (`npm:prettier@3.1.0`) is no host, and no password has a slash.
fn is_login(before: &str, behind: &str) -> bool {
    let login = before.rsplit(|c: char| c.is_whitespace() || "\"'".contains(c)).next().unwrap_or_default();
    let login = login.rsplit("://").next().unwrap_or_default();
    let named = login
        .split_once(':')
        .is_some_and(|(user, password)| !user.is_empty() && !password.is_empty() && !password.contains('/'));
    let end = behind.find(|c: char| !(c.is_alphanumeric() || "-._".contains(c))).unwrap_or(behind.len());
    let (host, port) = behind.split_at(end);
    let is_host =
        host.starts_with(char::is_alphabetic) || host.parse::<Ipv4Addr>().is_ok() || port.starts_with('[');
    // Behind the colon of a digest (`@sha256:…`) is no port.
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    named && is_host && port.strip_prefix(':').is_none_or(|port| is_port(until(port, "/\"'?#,;)]}")))
}

fn until<'a>(text: &'a str, ends: &str) -> &'a str {
    text.split(|c: char| c.is_whitespace() || ends.contains(c)).next().unwrap_or_default()
}

/// A path, or a word without a digit, is none.
fn looks_secret(word: &str) -> bool {
    let is_path = word.starts_with(['/', '~', '!', '.']);
    word.len() >= SHORTEST
        && !is_path
        && word.contains(|c: char| c.is_ascii_digit())
        && bits(word.as_bytes()) >= LOOKS_SECRET
}

/// Whether what is behind `://` begins with a password, or with a name that is as good as one.
fn has_login(behind: &str) -> bool {
    let Some((login, _)) = until(behind, "/\"'?#").rsplit_once('@') else { return false };
    match login.split_once(':') {
        Some((_, password)) => !password.is_empty(),
        None => looks_secret(login),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_told_from_settings() {
        for login in [
            "\turl = https://ann:hunter2@git.example.com/",
            "[url \"https://ghp_16C7e42F292c6912E7710c838347Ae178B4a@github.com/\"]",
            "token = \"cioYxJ4vK0eQz7LmN3pR8sT2uW\"",
            "\textraheader = Authorization: Basic YW5uOmh1bnRlcjI6c2VjcmV0",
            "index-url = https://__token__:pypi-AgEIcHlwaS5vcmc@pypi.example.com/simple",
            "helper = \"!f() { echo password=Xy7kQ2mZp4wRt9; }; f\"",
            "REGISTRY_PASSWORD=Xy7kQ2mZp4wRt9",
            "  - https://conda.anaconda.org/t/ab-12345678-1a2b-4c3d-9e8f-0123456789ab/acme",
            "proxy = ann:hunter2@proxy.example.com:3128",
            "\tproxy = \"ann:hunter2@10.0.0.7:3128\"",
            "  http: ann:hunter2@proxy",
            "STRIPE_KEY = \"sk_live_4eC39HqLyjWDarjtT1zdp7dc\"",
            "AWS_ACCESS_KEY_ID = \"AKIAIOSFODNN7EXAMPLE\"",
            "GH_PAT = \"ghp_16C7e42F292c6912E7710c838347Ae178B4a\"",
            "\"GH_PAT\" = { value = \"ghp_16C7e42F292c6912E7710c838347Ae178B4a\", force = true }",
            "sentry-dsn: 9f86d081884c7d659a2feaa0c55ad015",
        ] {
            assert!(of_a_login(login), "{login}");
        }
        for setting in [
            "\tname = Ann Example",
            "\temail = ann1984@example.com",
            "\temail = a@b.c",
            "\teditor = vim",
            "\tsigningkey = ABC",
            "\tsigningkey = 3AA5C34371567BD2",
            "\tsigningkey = key::ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPx9k2Qw7Rt5Lm8Zs1Yb4Vc6Nd3Hf0Jg",
            "\tsslKey = /etc/ssl/private/ann-2026-01.pem",
            "[credential \"https://github.com\"]",
            "\thelper = !/usr/bin/gh auth git-credential",
            "\thelper = /usr/lib/git-core/git-credential-libsecret",
            "\thelper = cache --timeout=3600",
            "[url \"git@github.com:\"]",
            "\tinsteadOf = https://github.com/",
            "proxy = http://proxy.example.com:3128",
            "proxy = proxy.example.com:3128",
            "\turl = git@github.com:acme/app2026-release.git",
            "\turl = ssh://git@git.example.com:2222/acme/app.git",
            "channels: [https://conda.anaconda.org/t/<TOKEN>/acme, https://conda.anaconda.org/acme-2024]",
            "run = \"npx npm:prettier@3.1.0 --check .\"",
            "image = \"app:1.2@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b\"",
            "java = \"temurin-21.0.2+13.0.LTS\"",
            "NODE_ENV = \"production-2026-eu-west-1\"",
            "linker = \"/usr/bin/x86_64-linux-gnu-gcc-12\"",
            "git-fetch-with-cli = true",
        ] {
            assert!(!of_a_login(setting), "{setting}");
        }
    }

    #[test]
    fn what_cannot_be_read_whole_is_taken_to_hold_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        assert!(!holds_a_login(&path), "what isn't there holds nothing");
        fs::write(&path, "[user]\n\tname = Ann\n").unwrap();
        assert!(!holds_a_login(&path));
        fs::write(&path, "x".repeat(70_000)).unwrap();
        assert!(holds_a_login(&path));
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(holds_a_login(&path));
    }
}
