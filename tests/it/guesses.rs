//! A mask answers no guess: what an agent learns of a value that can be guessed and that its runs were not given, by
//! mask, count, `withheld`, size, file hits, refusal or hint. Each is asked with the right guess and with a wrong
//! one, and must say the same. And the other side: what nobody guesses, and what a run can read, is still masked.

use serde_json::{Value, json};

use crate::stage::{Server, Stage};

const PIN: &str = "48291736";
const WRONG: &str = "48291737";
/// 10^6 candidates, the right one among them; and as many without it.
const AROUND: [&str; 2] = ["48000000", "48999999"];
const BESIDE: [&str; 2] = ["47000000", "47999999"];
const STRONG: &str = "tok_9fQ2xT7vLm4Z/kW8+hN3pR6sYb1";

/// Two secrets: a PIN, sealed for a host or given to `true` alone, and commands that are given nothing.
fn stage(pin: &str, sandbox: &str) -> Stage {
    let stage = Stage::new();
    assert!(stage.set_with("db/pin", PIN.as_bytes(), &["--raw", "--allow-weak"]).status.success());
    stage.set("a/key", STRONG.as_bytes());
    stage.policy(&format!(
        "scope = \"s\"\n[limits]\nruns_per_minute = 6000\n[sandbox]\n{sandbox}\n\
         [[allow]]\nid = \"pin\"\nsecrets = [\"db/pin\"]\n{pin}\n\
         [[allow]]\nid = \"held\"\nsecrets = []\ndeliver = \"env\"\ncommands = [[\"printf\", \"**\"]]\noutput = \"withhold\"\n\
         [[allow]]\nid = \"key\"\nsecrets = [\"a/key\"]\ndeliver = \"env\"\ncommands = [[\"sh\", \"**\"]]\n\
         [[allow]]\nid = \"free\"\nsecrets = []\ndeliver = \"env\"\ncommands = [[\"seq\", \"**\"], [\"echo\", \"**\"], [\"cat\", \"**\"], [\"sh\", \"**\"]]\n"
    ));
    stage
}

const SEALED: &str = "deliver = \"sealed\"\nhosts = [\"api.example.com\"]\ninject = \"bearer\"\nguessable = true\n\
                      commands = [[\"seq\", \"**\"], [\"echo\", \"**\"], [\"sh\", \"**\"], [\"true\"]]";
const ENV: &str = "deliver = \"env\"\ncommands = [[\"true\"]]\noutput = \"status\"";

/// An answer without what differs from run to run, with every guess as `GUESS`.
fn told(answer: &Value, guess: &str) -> String {
    let mut answer = answer.clone();
    if let Some(structure) = answer["structuredContent"].as_object_mut() {
        structure.remove("duration_ms");
        structure.remove("run_id");
        structure.remove("grant_id");
    }
    // The text has the same once more, with a time and an id in its first line.
    answer.as_object_mut().unwrap().remove("content");
    answer.to_string().replace(guess, "GUESS")
}

/// Asks the same with the right guess and with a wrong one.
#[track_caller]
fn asked(server: &mut Server, tool: &str, arguments: impl Fn(&str) -> Value) {
    let mut ask = |guess: &str| {
        let answer = server.tool(tool, arguments(guess));
        let text = answer["content"][0]["text"].as_str().unwrap().to_owned();
        assert!(!text.contains("redacted") && !text.contains("withheld"), "{text}");
        told(&answer, guess)
    };
    assert_eq!(ask(PIN), ask(WRONG));
}

/// A million guesses in one run: nothing is counted, and nothing is another length.
fn million(server: &mut Server, secrets: &Value) {
    let run = |server: &mut Server, [from, to]: [&str; 2]| {
        let mut ran = server.run(json!({"command": ["seq", from, to], "secrets": secrets}));
        let out = ran["stdout"].as_str().unwrap().to_owned();
        assert!(out.starts_with(from) && out.trim_end().ends_with(to), "{ran}");
        for field in ["stdout", "duration_ms", "run_id"] {
            ran.as_object_mut().unwrap().remove(field);
        }
        (ran, out.len())
    };
    assert_eq!(run(server, AROUND), run(server, BESIDE));
}

fn every_way_to_ask(server: &mut Server, secrets: Value) {
    million(server, &secrets);
    asked(server, "run_with_secrets", |guess| json!({"command": ["echo", guess], "secrets": secrets}));
    asked(server, "run_with_secrets", |guess| json!({"command": ["printf", guess], "secrets": []}));
    // In another form it is another text, and no mask either.
    for guess in [PIN, WRONG] {
        let script = format!("echo {guess} | base64; echo {guess} | gzip | base64 -w0; echo {guess} | rev");
        let ran = server.run(json!({"command": ["sh", "-c", script], "secrets": secrets}));
        let out = ran["stdout"].as_str().unwrap();
        assert!(!out.contains("redacted") && ran.get("redactions").is_none(), "{ran}");
    }
    // Refusals: a command, a directory, a name, a variable, an argument that is none.
    asked(server, "run_with_secrets", |guess| json!({"command": ["nothing-of-the-kind", guess]}));
    asked(server, "run_with_secrets", |guess| json!({"command": ["echo", "x"], "cwd": format!("/{guess}")}));
    asked(server, "run_with_secrets", |guess| json!({"command": ["echo", "x"], "secrets": [guess]}));
    asked(server, "run_with_secrets", |guess| json!({"command": ["echo", "x"], "env": {"X": guess}}));
    asked(server, "run_with_secrets", |guess| json!({"command": ["echo", "x"], guess: 1}));
    asked(server, "request_token", |guess| json!({"purpose": "more", "reason": guess, "secrets": [guess]}));
}

#[test]
fn a_sealed_pin_answers_no_guess() {
    let stage = stage(SEALED, "");
    let mut server = stage.serve("s");
    every_way_to_ask(&mut server, json!(["db/pin"]));
    every_way_to_ask(&mut server, json!([]));
    // What stands for it has no shape, and is shown as it is.
    let ran = server.run(json!({"command": ["sh", "-c", "echo $DB_PIN"], "secrets": ["db/pin"]}));
    assert!(ran["stdout"].as_str().unwrap().starts_with("placeholder_"), "{ran}");
}

#[test]
fn a_pin_that_a_run_was_not_given_answers_no_guess() {
    let stage = stage(ENV, "");
    let mut server = stage.serve("s");
    let ran = server.run(json!({"command": ["true"], "secrets": ["db/pin"]}));
    assert_eq!(ran["exit_code"], 0, "{ran}");
    every_way_to_ask(&mut server, json!([]));
    million(&mut server, &json!([]));
    // What nobody guesses is masked wherever it is, given or not.
    let ran = server.run(json!({"command": ["sh", "-c", "true"], "secrets": ["a/key"]}));
    assert_eq!(ran["exit_code"], 0, "{ran}");
    let ran = server.run(json!({"command": ["echo", STRONG], "secrets": []}));
    assert_eq!((&ran["stdout"], &ran["redactions"]), (&json!("[redacted:a/key]\n"), &json!(1)), "{ran}");
    let ran = server.run(json!({"command": ["printf", STRONG], "secrets": []}));
    assert_eq!(ran["withheld"], true, "{ran}");
    let refused = server.run(json!({"command": ["echo", "x"], "secrets": [STRONG]}));
    assert!(!refused.to_string().contains(STRONG), "{refused}");
}

/// Files that are written tell nothing either, where no run that was given the value can have written there.
#[test]
fn a_file_with_a_guess_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let place = std::fs::canonicalize(dir.path()).unwrap();
    let stage = stage(SEALED, &format!("write = [\"{}\"]", place.display()));
    let mut server = stage.serve("s");
    asked(
        &mut server,
        "run_with_secrets",
        |guess| json!({"command": ["sh", "-c", format!("echo {guess} >{}/x", place.display())], "secrets": ["db/pin"]}),
    );
    assert_eq!(std::fs::read_to_string(place.join("x")).unwrap(), format!("{WRONG}\n"));
}

/// What one run wrote to a place that others read is masked there: the value that nobody guesses, and the PIN.
#[test]
fn what_a_run_can_read_of_another_is_masked() {
    let dir = tempfile::tempdir().unwrap();
    let place = std::fs::canonicalize(dir.path()).unwrap().display().to_string();
    let env = "deliver = \"env\"\ncommands = [[\"sh\", \"**\"]]";
    let stage = stage(env, &format!("write = [\"{place}\"]\non_file_hit = \"report\""));
    let mut server = stage.serve("s");
    let write = format!("echo $DB_PIN >{place}/pin; echo $A_KEY >{place}/key");
    let ran = server.run(json!({"command": ["sh", "-c", write], "secrets": ["db/pin", "a/key"]}));
    assert_eq!((&ran["exit_code"], ran["file_hits"].as_array().map(Vec::len)), (&json!(0), Some(2)), "{ran}");
    let cat = json!({"command": ["cat", format!("{place}/pin"), format!("{place}/key")], "secrets": []});
    let ran = server.run(cat);
    assert_eq!(ran["stdout"], "[redacted:db/pin]\n[redacted:a/key]\n", "{ran}");
    assert_eq!(ran["redactions"], 2, "{ran}");
}

/// A PIN that is given to a run is masked in it, and withheld.
#[test]
fn a_run_that_is_given_a_pin_shows_none() {
    let env = "deliver = \"env\"\ncommands = [[\"sh\", \"**\"]]\noutput = \"withhold\"";
    let stage = stage(env, "");
    let mut server = stage.serve("s");
    let run = |script: &str| json!({"command": ["sh", "-c", script], "secrets": ["db/pin"]});
    assert_eq!(server.run(run("echo $DB_PIN"))["withheld"], true);
    assert_eq!(server.run(run("echo hello"))["stdout"], "hello\n");
}

#[test]
fn sealing_what_can_be_guessed_needs_a_word() {
    let stage = Stage::new();
    let rule = |more: &str| {
        format!(
            "scope = \"s\"\n[[allow]]\nid = \"api\"\nsecrets = [\"db/*\"]\ndeliver = \"sealed\"\n\
             hosts = [\"api.example.com\"]\ninject = \"bearer\"\ncommands = [[\"true\"]]\n{more}\n"
        )
    };
    let apply = |text: &str| {
        std::fs::write(stage.path("p.toml"), text).unwrap();
        stage.run(&["admin", "policy", "apply", stage.path("p.toml").to_str().unwrap(), "--yes"])
    };
    // Nothing is there yet that could be guessed: the run is refused once it is.
    assert!(apply(&rule("")).status.success());
    assert!(stage.set_with("db/pw", b"Falcon27!granite", &["--raw"]).status.success());
    let mut server = stage.serve("s");
    let run = json!({"command": ["true"], "secrets": ["db/pw"]});
    let refused = server.run(run.clone());
    assert_eq!(
        (&refused["code"], &refused["rule"]),
        (&json!("command_not_allowed"), &json!("api")),
        "{refused}"
    );
    assert!(refused["hint"].as_str().unwrap().contains("guessable = true"), "{refused}");
    // Known to be guessable, it is refused when the policy is applied, with the line and the flag.
    let done = apply(&rule("description = 1").replace("description = 1", "timeout = \"1m\""));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("line 2") && said.contains("db/pw") && said.contains("guessable = true"), "{said}");
    let allow =
        ["admin", "allow", "t", "--secret", "db/pw", "--host", "api.example.com", "--bearer", "--yes"];
    let said = stage.fails(2, &[allow.as_slice(), &["--", "true"]].concat());
    assert!(said.contains("--guessable"), "{said}");
    stage.ok(&[allow.as_slice(), &["--guessable", "--", "true"]].concat());
    assert!(stage.ok(&["admin", "policy", "show", "t"]).contains("guessable = true"));
    // Said, or with a value that nobody guesses, it is sealed.
    assert!(apply(&rule("guessable = true")).status.success());
    assert_eq!(server.run(run.clone())["exit_code"], 0);
    assert!(apply(&rule("guessable = false").replace("db/*", "db/strong")).status.success());
    stage.set("db/strong", STRONG.as_bytes());
    let ran = server.run(json!({"command": ["true"], "secrets": ["db/strong"]}));
    assert_eq!((&ran["exit_code"], &ran["promise"]), (&json!(0), &json!("sealed")), "{ran}");
    // It belongs to sealed delivery alone.
    let env = "scope = \"u\"\n[[allow]]\nsecrets = [\"db/pw\"]\ndeliver = \"env\"\nguessable = true\ncommands = [[\"true\"]]\n";
    assert_eq!(apply(env).status.code(), Some(2));
}
