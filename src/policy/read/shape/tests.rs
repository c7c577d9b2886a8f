//! Every key with every shape that is not its own.

use serde_json::Value;

use super::*;
use crate::policy::{Document, policy_schema};

/// Words of the deserializer: no person knows them.
const NOT_OURS: [&str; 7] =
    ["untagged", "invalid type", "invalid value", "expected", "did not match", "variant", "wanted"];

/// One value of each kind.
const VALUES: [&str; 12] = [
    "\"word\"",
    "7",
    "-1",
    "0.5",
    "true",
    "2026-01-01",
    "[]",
    "[1]",
    "[\"word\"]",
    "[[\"word\"]]",
    "[[1]]",
    "{ word = 1 }",
];

const SECTIONS: [(&Section, &str); 5] = [
    (&DOCUMENT, ""),
    (&LIMITS, "[limits]\n"),
    (&ENV, "[env]\n"),
    (&SANDBOX, "[sandbox]\n"),
    (&DENY, "[[deny]]\n"),
];

fn findings(text: &str) -> Vec<(usize, String, String)> {
    let found = Document::parse(text).err().map(|error| error.0).unwrap_or_default();
    found.into_iter().map(|one| (one.line, one.message, one.hint)).collect()
}

/// Whether a value of this kind has the shape; its text may still be wrong.
fn has_shape(shape: &Shape, value: &str) -> bool {
    let (document, _) = DeTable::parse_recoverable(&*format!("x = {value}").leak());
    let value = document.get_ref().get("x").unwrap();
    match (shape, value.get_ref()) {
        (Shape::Table(_), DeValue::Table(_)) => false,
        (Shape::Tables(_), DeValue::Array(items)) => items.is_empty(),
        (shape, found) => misfit(shape, found, 0..0).is_empty(),
    }
}

#[track_caller]
fn told(text: &str, line: usize, key: &Key) {
    let found = findings(text);
    let (_, message, hint) = found
        .iter()
        .find(|(at, message, _)| *at == line && message.contains(key.name))
        .unwrap_or_else(|| panic!("{text}: {found:?}"));
    let table = matches!(key.shape, Shape::Table(_) | Shape::Tables(_));
    assert!(table || hint.contains(key.form), "{text}: {hint}");
    for word in NOT_OURS {
        assert!(!message.contains(word), "{text}: {message}");
    }
}

#[test]
fn a_value_of_another_shape_is_told_with_its_key_its_line_and_the_form_that_is_right() {
    let mut tried = 0;
    for (section, header) in SECTIONS {
        for key in section.keys {
            for value in VALUES.iter().filter(|value| !has_shape(&key.shape, value)) {
                let scope = if key.name == "scope" { "" } else { "scope = \"s\"\n" };
                let text = format!("{scope}{header}{} = {value}\n", key.name);
                told(&text, scope.lines().count() + header.lines().count() + 1, key);
                tried += 1;
            }
        }
    }
    for key in RULE.keys {
        for value in VALUES.iter().filter(|value| !has_shape(&key.shape, value)) {
            let deliver = if key.name == "deliver" { "" } else { "deliver = \"env\"\n" };
            let commands = if key.name == "commands" { "" } else { "commands = \"any\"\n" };
            let text = format!("scope = \"s\"\n[[allow]]\n{deliver}{commands}{} = {value}\n", key.name);
            told(&text, 2 + deliver.lines().count() + commands.lines().count() + 1, key);
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn a_form_that_is_shown_has_the_shape() {
    for section in [&DOCUMENT, &LIMITS, &ENV, &SANDBOX, &RULE, &DENY, &SIGV4] {
        for key in section.keys.iter().filter(|key| !matches!(key.shape, Shape::Table(_) | Shape::Tables(_)))
        {
            let form = key.form.split(", or {").next().unwrap().split(", a list for").next().unwrap();
            let form = form.split(", { basic").next().unwrap();
            assert!(has_shape(&key.shape, form), "{}: {form}", key.name);
        }
    }
}

/// The table here and the types that are read are of the same keys.
#[test]
fn the_shapes_are_those_of_the_schema() {
    let schema = policy_schema();
    let of = |keys: &Section| {
        let mut names: Vec<String> = keys.keys.iter().map(|key| key.name.to_owned()).collect();
        names.sort_unstable();
        names
    };
    let described = |table: &Value| {
        let mut names: Vec<String> = table["properties"].as_object().unwrap().keys().cloned().collect();
        names.sort_unstable();
        names
    };
    let definition = |name: &str| &schema["$defs"][name];
    assert_eq!(of(&DOCUMENT), described(&schema));
    for (section, name) in [
        (&LIMITS, "RawLimits"),
        (&ENV, "RawEnv"),
        (&SANDBOX, "RawSandbox"),
        (&RULE, "Rule"),
        (&DENY, "Deny"),
        (&SIGV4, "AwsSigV4"),
    ] {
        assert_eq!(of(section), described(definition(name)), "{name}");
    }
}

#[test]
fn everything_is_told_at_once() {
    let text = "scpoe = \"s\"\n[limits]\ntimeout = \"2 minutes\"\nruns_per_minute = \"60\"\n[[allow]]\nsecrets = \"app/*\"\ndeliver = \"env\"\ncommands = [\"npm\", \"test\"]\n[[deny]]\n[sandbox]\nread = [\"data\"]\n";
    let lines: Vec<usize> = findings(text).iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, [1, 3, 4, 6, 8, 9, 11], "{:?}", findings(text));
    let inject = |value: &str| {
        let text = format!(
            "scope = \"s\"\n[[allow]]\ndeliver = \"sealed\"\nhosts = [\"a.example.com\"]\ncommands = \"any\"\ninject = {value}\n"
        );
        findings(&text).into_iter().map(|(_, message, _)| message).collect::<Vec<_>>().join("; ")
    };
    for (value, says) in [
        ("\"cookie\"", "not \"cookie\""),
        ("\"basic\"", "not \"basic\""),
        ("{ bearer = true }", "\"bearer\" is none of them"),
        ("{ basic = 1 }", "basic must be a string"),
        ("{ basic = \"u\", header = \"X\" }", "has 2 keys"),
        ("{ aws_sigv4 = 1 }", "aws_sigv4 must be a table"),
        ("{ aws_sigv4 = { access_key = \"a/b\" } }", "aws_sigv4 has no secret_key"),
        ("{ aws_sigv4 = { access_key = 1, secret_key = \"a/b\" } }", "access_key must be a string"),
    ] {
        assert!(inject(value).contains(says), "{value}: {}", inject(value));
    }
}

#[test]
fn a_key_that_is_written_a_little_wrong_is_known() {
    for (known, written, near) in [
        ("commands", "comands", true),
        ("commands", "commandss", true),
        ("commands", "commadns", true),
        ("commands", "Commands", true),
        ("secrets", "secret", true),
        ("pin", "pip", true),
        ("commands", "cmds", false),
        ("allow", "deny", false),
    ] {
        assert_eq!(is_near(known, written), near, "{known} {written}");
    }
}
