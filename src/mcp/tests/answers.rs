//! What goes out: a row a case, as text and as structure.

use serde::Serialize;
use serde_json::{Value, json};

use super::{MASK, SECRET, granted, listed, parts, secret, to_json};
use crate::{
    broker::{
        Answer,
        api::{
            Approval, Commands, Example, FileHitEntry, ListAllowed, NotLookedIntoEntry, Outcome, RuleEntry,
            RunResult, SecretEntry, TokenAnswer, TokenStatus, WrittenEntry,
        },
        refusal::{Code, Refusal},
    },
    mcp::{outbound, render},
    policy::{DeliveryMode, Limit, OutputMode, Promise, SandboxMode, Stdin},
    redact::NeedleSet,
    run::WrittenKind,
};

/// How a run is changed.
type Change = fn(&mut RunResult);

fn told<T: Serialize>(body: T, needles: NeedleSet, as_text: fn(&T) -> String) -> (String, Value) {
    let text = as_text(&body);
    let (text, structure, is_error) = parts(&outbound::answer(&Answer { body, needles }, &text));
    assert!(!is_error, "{text}");
    (text, structure)
}

/// The fields that every run has, and these.
fn run_json(more: Value) -> Value {
    let mut json = json!({
        "promise": "best_effort", "run_id": "r_1", "duration_ms": 1250, "timeout_seconds": 60, "sandbox": "off",
    });
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json
}

/// The structure is compared whole: a field that is empty, or false, or that nobody knows, is left out of it.
fn hold(rows: &[(&str, Change, &str, Value)]) {
    for (what, change, head, more) in rows {
        let mut result = RunResult::of_nothing();
        change(&mut result);
        let (text, structure) = told(result, secret(), render::run);
        assert_eq!(text, *head, "{what}");
        assert_eq!(structure, run_json(more.clone()), "{what}");
    }
}

fn ended(result: &mut RunResult, outcome: Outcome) {
    (result.outcome, result.exit_code) = (outcome, None);
}

#[test]
fn how_a_run_ended_is_the_first_word() {
    const REST: &str = "promise best_effort · sandbox off · run r_1";
    let rows: &[(&str, Change, &str, Value)] = &[
        ("well", |_| (), "exited 0", json!({"outcome": "exited", "exit_code": 0})),
        ("ill", |r| r.exit_code = Some(3), "exited 3", json!({"outcome": "exited", "exit_code": 3})),
        (
            "by a signal",
            |r| {
                ended(r, Outcome::Signaled);
                r.signal = Some("SIGKILL".to_owned());
            },
            "ended by SIGKILL",
            json!({"outcome": "signaled", "signal": "SIGKILL"}),
        ),
        (
            "by a signal without a name",
            |r| ended(r, Outcome::Signaled),
            "ended by a signal",
            json!({"outcome": "signaled"}),
        ),
        ("late", |r| ended(r, Outcome::TimedOut), "timed out after 60 s", json!({"outcome": "timed_out"})),
        ("not wanted", |r| ended(r, Outcome::Cancelled), "cancelled", json!({"outcome": "cancelled"})),
        (
            "not allowed any more",
            |r| ended(r, Outcome::Revoked),
            "ended: what allowed it was taken back",
            json!({"outcome": "revoked"}),
        ),
        (
            "too greedy",
            |r| {
                ended(r, Outcome::ResourceLimit);
                r.limit = Some(Limit::Processes);
            },
            "ended: it came to its limit of processes",
            json!({"outcome": "resource_limit", "limit": "processes"}),
        ),
        (
            "too greedy, and only that is told",
            |r| ended(r, Outcome::ResourceLimit),
            "ended: it came to one of its limits",
            json!({"outcome": "resource_limit"}),
        ),
        (
            "never begun",
            |r| ended(r, Outcome::FailedToStart),
            "failed to start",
            json!({"outcome": "failed_to_start"}),
        ),
    ];
    for (what, change, first, more) in rows {
        let head = format!("{first} · 1.2 s · {REST}");
        hold(&[(what, *change, &head, more.clone())]);
    }
}

#[test]
fn streams_and_what_was_masked_in_them() {
    const HEAD: &str = "promise best_effort · sandbox off · run r_1";
    let exited = |more: Value| {
        let mut all = json!({"outcome": "exited", "exit_code": 0});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let withheld = "output withheld: it had a secret in it, or could have one";
    let rows: Vec<(&str, Change, String, Value)> = vec![
        (
            "output alone needs no name",
            |r| r.stdout = "out".to_owned(),
            format!("{HEAD}\n\nout"),
            json!({"stdout": "out"}),
        ),
        (
            "errors alone do",
            |r| r.stderr = "err".to_owned(),
            format!("{HEAD}\n\nstderr:\nerr"),
            json!({"stderr": "err"}),
        ),
        (
            "both",
            |r| (r.stdout, r.stderr) = ("out\n".to_owned(), "err\n".to_owned()),
            format!("{HEAD}\n\nstdout:\nout\n\n\nstderr:\nerr\n"),
            json!({"stdout": "out\n", "stderr": "err\n"}),
        ),
        (
            "long output",
            |r| (r.stdout, r.stdout_truncated) = ("out".to_owned(), true),
            format!("{HEAD}\n\nstdout (the middle is left out):\nout"),
            json!({"stdout": "out", "stdout_truncated": true}),
        ),
        (
            "long errors beside short output",
            |r| (r.stdout, r.stderr, r.stderr_truncated) = ("out".to_owned(), "err".to_owned(), true),
            format!("{HEAD}\n\nstdout:\nout\n\nstderr (the middle is left out):\nerr"),
            json!({"stdout": "out", "stderr": "err", "stderr_truncated": true}),
        ),
        (
            "masked by whoever ran it",
            |r| (r.stdout, r.redactions) = (MASK.to_owned(), Some(2)),
            format!("2 redacted · {HEAD}\n\n{MASK}"),
            json!({"stdout": MASK, "redactions": 2}),
        ),
        (
            "looked for, and not there",
            |r| r.redactions = Some(0),
            format!("0 redacted · {HEAD}"),
            json!({"redactions": 0}),
        ),
        (
            "masked by nobody yet",
            |r| {
                (r.stdout, r.stderr) = (format!("<{}>", SECRET.1), SECRET.1.to_owned());
                r.promise_why = Some(SECRET.1.to_owned());
                r.sandbox = SECRET.1.to_owned();
            },
            format!(
                "promise best_effort ({MASK}) · sandbox {MASK} · run r_1\n\nstdout:\n<{MASK}>\n\nstderr:\n{MASK}"
            ),
            json!({"stdout": format!("<{MASK}>"), "stderr": MASK, "promise_why": MASK, "sandbox": MASK}),
        ),
        (
            "withheld",
            |r| (r.withheld, r.redactions) = (true, Some(1)),
            format!("1 redacted · {withheld} · {HEAD}"),
            json!({"withheld": true, "redactions": 1}),
        ),
        (
            "withheld, and how often is not told",
            |r| r.withheld = true,
            format!("{withheld} · {HEAD}"),
            json!({"withheld": true}),
        ),
    ];
    for (what, change, rest, more) in rows {
        hold(&[(what, change, &format!("exited 0 · 1.2 s · {rest}"), exited(more))]);
    }
}

/// Every word and every number of a structure that its text doesn't have; `but` are the fields that it says otherwise.
fn unsaid(structure: &Value, text: &str, but: &[&str]) -> Vec<String> {
    match structure {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !but.contains(&name.as_str()))
            .flat_map(|(_, value)| unsaid(value, text, but))
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| unsaid(item, text, but)).collect(),
        Value::String(word) if text.contains(word.as_str()) => Vec::new(),
        Value::Number(number) if text.contains(&number.to_string()) => Vec::new(),
        other => vec![other.to_string()],
    }
}

/// A run of which there is everything to say.
fn full_run() -> RunResult {
    RunResult {
        outcome: Outcome::Exited,
        exit_code: Some(17),
        stdout: "what it wrote".to_owned(),
        stderr: "what went wrong".to_owned(),
        redactions: Some(23),
        not_looked_into: vec![NotLookedIntoEntry {
            stream: "stdout".to_owned(),
            kind: "gzip".to_owned(),
            bytes: 29,
        }],
        file_hits: vec![
            FileHitEntry { path: "/w/kept".to_owned(), removed: false },
            FileHitEntry { path: "/w/gone".to_owned(), removed: true },
        ],
        written: [WrittenKind::Control, WrittenKind::Program, WrittenKind::Config]
            .map(|kind| WrittenEntry { path: format!("/w/{}", kind.as_str()), kind })
            .into(),
        notes: vec!["one was moved".to_owned(), "and so was another".to_owned()],
        promise: Promise::Reviewed,
        promise_why: Some("for a reason".to_owned()),
        sandbox: "mounts, network".to_owned(),
        ..RunResult::of_nothing()
    }
}

fn rule() -> RuleEntry {
    let entry = |name: &str, description: Option<&str>| SecretEntry {
        name: name.to_owned(),
        description: description.map(str::to_owned),
        env: name.to_uppercase(),
    };
    RuleEntry {
        id: "deploy".to_owned(),
        secrets: vec![entry("one", Some("of the first kind")), entry("two", None)],
        commands: Commands::Patterns(vec![vec!["npm".to_owned(), "run *".to_owned()]]),
        hosts: vec!["api.example.com".to_owned()],
        deliver: DeliveryMode::Sealed,
        promise: Promise::ReviewedByOperator,
        promise_why: Some("by ann".to_owned()),
        stdin: Some(Stdin::Text),
        sandbox: Some(SandboxMode::BestEffort),
        output: OutputMode::Withhold,
        approval: Approval::Never,
        example: Some(Example { command: vec!["npm".to_owned()], secrets: vec!["one".to_owned()] }),
    }
}

fn full_list() -> ListAllowed {
    ListAllowed {
        expires_at: Some("2030-01-02T03:04:05Z".to_owned()),
        default_cwd: Some("/w/start".to_owned()),
        rules: vec![rule()],
        ..listed()
    }
}

fn full_token() -> TokenAnswer {
    TokenAnswer {
        status: TokenStatus::Denied,
        expires_at: Some("2030-01-02T03:04:05Z".to_owned()),
        max_uses: Some(31),
        token_file: Some("/h/sub.jwt".to_owned()),
        token: Some("e.y.j".to_owned()),
        ..granted()
    }
}

fn full_refusal() -> Refusal {
    Refusal {
        rule: Some("deploy".to_owned()),
        allowed: vec![vec!["npm".to_owned(), "test".to_owned()]],
        operator_command: Some("authy-mcp admin allow".to_owned()),
        ..Refusal::new(Code::CommandNotAllowed, "what happened", "what to do")
    }
}

#[test]
fn the_text_leaves_nothing_out_that_the_structure_says() {
    let (text, structure) = told(full_run(), secret(), render::run);
    // Rounded; said where it was reached; said as a word.
    let otherwise = ["duration_ms", "timeout_seconds", "removed"];
    assert_eq!(unsaid(&structure, &text, &otherwise), [""; 0], "{text}");
    assert!(text.contains("/w/gone, which was removed"), "{text}");
    assert!(!text.contains("/w/kept, which was removed"), "{text}");
    let (text, structure) = told(full_list(), secret(), render::allowed);
    assert_eq!(unsaid(&structure, &text, &[]), [""; 0], "{text}");
    let (text, structure) = told(full_token(), secret(), render::token);
    assert_eq!(unsaid(&structure, &text, &[]), [""; 0], "{text}");
    let refused = outbound::refusal(&Answer { body: full_refusal(), needles: secret() });
    let (text, structure, is_error) = parts(&refused);
    assert_eq!((unsaid(&structure, &text, &[]).as_slice(), is_error), ([].as_slice(), true), "{text}");
}

/// A field that a type gets later is in no row above: this one asks for it.
#[test]
fn the_full_answers_are_full() {
    let schemas = crate::mcp::schemas();
    let named = |file: &str| &schemas.iter().find(|(name, _)| name == file).unwrap().1;
    let mut signalled = full_run();
    (signalled.signal, signalled.withheld) = (Some("SIGHUP".to_owned()), true);
    signalled.limit = Some(Limit::Memory);
    (signalled.stdout_truncated, signalled.stderr_truncated) = (true, true);
    for (file, full) in [
        ("run_with_secrets.output.schema.json", to_json(&signalled)),
        ("list_allowed.output.schema.json", to_json(&full_list())),
        ("request_token.output.schema.json", to_json(&full_token())),
    ] {
        let fields = named(file)["anyOf"][0]["properties"].as_object().unwrap();
        let missing: Vec<_> = fields.keys().filter(|field| full.get(*field).is_none()).collect();
        assert_eq!(missing, [""; 0], "{file}");
    }
    let fields = named("refusal.schema.json")["properties"].as_object().unwrap();
    assert!(fields.keys().all(|field| to_json(&full_refusal()).get(field).is_some()), "{fields:?}");
}

#[test]
fn a_rule_is_shown_as_it_can_be_used() {
    let (text, _) = told(full_list(), secret(), render::allowed);
    assert_eq!(
        text,
        "scope dev · until 2030-01-02T03:04:05Z · sandbox required · runs start in /w/start · at most 60 s, 4096 bytes \
         a stream, 30 runs a minute, 4 at once · a run has 512 processes, 4294967296 bytes of memory\n\n\
         rule deploy · deliver sealed · promise reviewed_by_operator (by ann) · output withhold · approval never · \
         sandbox best-effort · stdin text\n  \
         secret one in $ONE (of the first kind)\n  secret two in $TWO\n  hosts: api.example.com\n  \
         command: [\"npm\",\"run *\"]\n  example: run_with_secrets {\"command\":[\"npm\"],\"secrets\":[\"one\"]}"
    );
    let (text, structure) = told(listed(), secret(), render::allowed);
    assert!(text.ends_with("Nothing is allowed. The operator can change that."), "{text}");
    assert!(text.contains("runs start in a private empty directory"), "{text}");
    let fields: Vec<_> = structure.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["scope", "rules", "limits", "sandbox"]);
}

#[test]
fn every_word_of_every_answer_is_masked() {
    let value = || SECRET.1.to_owned();
    let mut list = full_list();
    list.rules[0].secrets[0].description = Some(value());
    list.rules[0].example = Some(Example { command: vec![value()], secrets: vec![] });
    list.rules[0].commands = Commands::Patterns(vec![vec![value()]]);
    list.default_cwd = Some(value());
    let mut hits = full_run();
    hits.file_hits[0].path = format!("/w/{}", SECRET.1);
    hits.written[0].path = format!("/w/{}", SECRET.1);
    hits.notes[0] = value();
    let refused = Refusal { allowed: vec![vec![value()]], ..Refusal::new(Code::Busy, value(), value()) };
    let token = TokenAnswer { next: value(), token_file: Some(value()), ..granted() };
    for (what, (text, structure), masks) in [
        ("list", told(list, secret(), render::allowed), 4),
        ("run", told(hits, secret(), render::run), 3),
        ("token", told(token, secret(), render::token), 2),
        (
            "refusal",
            {
                let (text, structure, _) =
                    parts(&outbound::refusal(&Answer { body: refused, needles: secret() }));
                (text, structure)
            },
            3,
        ),
    ] {
        let structure = structure.to_string();
        assert!(!text.contains(SECRET.1) && !structure.contains(SECRET.1), "{what}: {text} {structure}");
        assert_eq!(text.matches(MASK).count(), masks, "{what}: {text}");
        assert_eq!(structure.matches(MASK).count(), masks, "{what}: {structure}");
    }
}
