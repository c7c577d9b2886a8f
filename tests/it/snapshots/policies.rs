//! What is said of policies: `cases.toml` has them by name, `findings.txt` what each is told.

use std::{fmt::Write as _, fs};

use serde::Deserialize;

use super::{golden, steady::steady};
use crate::stage::Stage;

/// The cases: bad policies, weak ones, and a few that are good.
#[derive(Deserialize)]
struct Cases {
    /// What most cases begin with.
    rule: String,
    case: Vec<Case>,
}

/// A policy, by what is wrong with it.
#[derive(Deserialize)]
struct Case {
    name: String,
    policy: String,
}

#[test]
fn every_finding() {
    let cases = fs::read_to_string(golden::dir().join("policies/cases.toml")).unwrap();
    let cases: Cases = toml::from_str(&cases).unwrap();
    let stage = Stage::new();
    stage.set("app/key", b"kX9-first-value-4411aa22bb-0099");
    stage.ok(&["admin", "set", "app/pin", "--allow-weak", "--from-file", number(&stage)]);
    fs::write(stage.path("not.pem"), "no certificate\n").unwrap();
    let mut text = String::new();
    for Case { name, policy } in &cases.case {
        let policy =
            policy.replace("RULE\n", &cases.rule).replace("/stage", stage.dir.path().to_str().unwrap());
        fs::write(stage.path("case.toml"), policy).unwrap();
        let done = stage.run(&["admin", "policy", "check", "--file", "case.toml"]);
        let _ = writeln!(text, "# {name}");
        for stream in [&done.stdout, &done.stderr] {
            text += &steady(&stage, &String::from_utf8_lossy(stream));
        }
        text.push('\n');
    }
    golden::hold([("policies/findings.txt", text.as_str())]);
}

/// A file with a value that can be guessed.
fn number(stage: &Stage) -> &'static str {
    fs::write(stage.path("number"), "48291736").unwrap();
    "number"
}
