//! Whether a settings file of the user's holds something like a login: then no run is shown it unasked.

use std::{fs, io, path::Path};

use crate::{files, redact::bits};

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
    let words = behind.split(|c: char| c.is_whitespace() || "=:\"',;()[]{}".contains(c));
    words.into_iter().any(looks_secret) || line.split("://").skip(1).any(has_login)
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
    let end = behind.find(|c: char| c.is_whitespace() || "/\"'?#".contains(c)).unwrap_or(behind.len());
    let Some((login, _)) = behind[..end].rsplit_once('@') else { return false };
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
        ] {
            assert!(of_a_login(login), "{login}");
        }
        for setting in [
            "\tname = Ann Example",
            "\temail = ann1984@example.com",
            "\tsigningkey = 3AA5C34371567BD2",
            "[credential \"https://github.com\"]",
            "\thelper = !/usr/bin/gh auth git-credential",
            "\thelper = /usr/lib/git-core/git-credential-libsecret",
            "\thelper = cache --timeout=3600",
            "[url \"git@github.com:\"]",
            "\tinsteadOf = https://github.com/",
            "proxy = http://proxy.example.com:3128",
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
