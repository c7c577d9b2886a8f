//! The leak matrix: what a program that has a value can do to it before it prints it, done by real tools in
//! real runs, and what of it comes back. `docs/leak-matrix.md` is made of what this test measures, and the
//! test fails where it is not in step; `AUTHY_MCP_UPDATE=1 cargo test --test it leaks` writes it anew.
//!
//! Each row is measured by decoding what came back, with the masks taken out, and looking for the value. The
//! same decoder is first shown the output without redaction: a row whose decoder finds nothing there proves
//! nothing, and fails.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::stage::{Server, Stage};

mod kinds;
mod transforms;

use transforms::{CHANNELS, Transform, transforms};

/// The value: letters, digits and the punctuation that keys have.
const VALUE: &str = "tok_9fQ2xT7vLm4Z/kW8+hN3pR6sYb1";
const MASK: &str = "[redacted:a/key]";
/// So many runs go on at a time.
const AT_ONCE: usize = 6;
/// So many bytes of the value in a row, in whatever case, are a leak.
const LEAK: usize = 12;

/// What a cell says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// It came back masked.
    Caught,
    /// It could not come back.
    Contained,
    /// It came back.
    Open,
    /// The tool isn't there, so that what the file says stands.
    Unknown,
}

/// A column: how the value is delivered, to what kind of command, under which output mode.
struct Column {
    title: &'static str,
    scope: &'static str,
    /// Puts the value into `V`, as its delivery has it.
    prelude: &'static str,
}

/// A delivery or an output mode that comes later is one more line here, and one in `policies`.
const COLUMNS: &[Column] = &[
    Column { title: "env, any", scope: "env", prelude: "V=$A_KEY" },
    Column { title: "file, any", scope: "file", prelude: "V=$(cat \"$A_KEY\")" },
    Column { title: "env, any, withhold", scope: "withhold", prelude: "V=$A_KEY" },
    Column { title: "env, any, status", scope: "status", prelude: "V=$A_KEY" },
    Column { title: "env, reviewed", scope: "reviewed", prelude: "V=$A_KEY" },
    Column { title: "sealed, any", scope: "sealed", prelude: "V=$A_KEY" },
];

fn policies(stage: &Stage) {
    for (scope, deliver, more) in [
        ("env", "env", "commands = \"any\""),
        ("file", "file", "commands = \"any\""),
        ("withhold", "env", "commands = \"any\"\noutput = \"withhold\""),
        ("status", "env", "commands = \"any\"\noutput = \"status\""),
        ("reviewed", "env", "commands = [[\"printenv\", \"A_KEY\"]]\nreviewed = true"),
        ("sealed", "sealed", "hosts = [\"api.example.com\"]\ninject = \"bearer\"\ncommands = \"any\""),
    ] {
        stage.policy(&format!(
            "scope = \"{scope}\"\n[limits]\nruns_per_minute = 100000\n[sandbox]\n{}\n[[allow]]\n\
             id = \"one\"\nsecrets = [\"a/key\"]\ndeliver = \"{deliver}\"\n{more}\n",
            if deliver == "sealed" { "mode = \"required\"" } else { "mode = \"off\"" }
        ));
    }
}

#[test]
fn the_matrix() {
    let rows = transforms();
    let there: Vec<bool> = rows.iter().map(|row| row.tools.iter().all(|tool| tool_is_there(tool))).collect();
    let scripts: Vec<&Transform> =
        rows.iter().zip(&there).filter(|(_, there)| **there).map(|(row, _)| row).collect();
    assert!(tool_is_there("python3") && scripts.len() >= 60, "only {} of the tools are here", scripts.len());
    for (row, finds) in scripts.iter().zip(decoders_find(VALUE, "V=$SECRET", &scripts)) {
        assert!(finds, "{}: its decoder doesn't find the value in what its tool wrote", row.name);
    }
    let stage = Stage::new();
    stage.set("a/key", VALUE.as_bytes());
    policies(&stage);
    let mut cells: BTreeMap<&str, Vec<Cell>> =
        rows.iter().map(|row| (row.name.as_str(), Vec::new())).collect();
    for column in COLUMNS {
        let measured = measure(&stage, column, VALUE, &scripts);
        for row in &rows {
            let at = scripts.iter().position(|script| script.name == row.name);
            cells.get_mut(row.name.as_str()).unwrap().push(at.map_or(Cell::Unknown, |at| measured[at]));
        }
    }
    let caught = cells.values().filter(|row| row[0] == Cell::Caught).count();
    println!("{caught} of {} transforms are caught in redacted mode", scripts.len());
    assert!(caught >= 45, "the net catches {caught}");
    let text = document(&rows, &cells) + &kinds::table(&rows, &scripts) + &channels();
    claims_go_no_further(&text);
    held(&text);
}

fn tool_is_there(tool: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(tool).exists())
}

/// Whether each decoder finds the value in what its tool wrote, without any redaction.
fn decoders_find(value: &str, prelude: &str, scripts: &[&Transform]) -> Vec<bool> {
    let outputs = scripts.iter().map(|row| {
        let done = Command::new("sh")
            .args(["-c", &format!("{prelude}; export V; unset SECRET\n{}", row.script)])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("SECRET", value)
            .output()
            .unwrap();
        (row.decoder.as_str(), String::from_utf8_lossy(&done.stdout).into_owned())
    });
    decode(outputs.collect()).iter().map(|decoded| leaks(value, decoded)).collect()
}

/// What is said once the caller may call again: a refused call counts as 25, and so many are more than a second takes.
fn once_it_may(server: &mut Server, column: &Column, row: &Transform, mut told: Value) -> Value {
    while told["code"] == "rate_limited" {
        std::thread::sleep(Duration::from_secs(1));
        let id = ask(server, column, row);
        told = server.answer(id)["result"]["structuredContent"].clone();
    }
    told
}

/// Runs every script under a column's rule, and says what came back of the value.
fn measure(stage: &Stage, column: &Column, value: &str, scripts: &[&Transform]) -> Vec<Cell> {
    let mut server = stage.serve(column.scope);
    let mut answers: Vec<Value> = Vec::new();
    for some in scripts.chunks(AT_ONCE) {
        let ids: Vec<u64> = some.iter().map(|row| ask(&mut server, column, row)).collect();
        let told = ids.into_iter().map(|id| server.answer(id)["result"]["structuredContent"].clone());
        let told: Vec<Value> = told.collect();
        answers.extend(some.iter().zip(told).map(|(row, told)| once_it_may(&mut server, column, row, told)));
    }
    let text = |answer: &Value| answer["stdout"].as_str().unwrap_or_default().replace(MASK, "");
    let decoded = decode(
        scripts.iter().zip(&answers).map(|(row, answer)| (row.decoder.as_str(), text(answer))).collect(),
    );
    let judged = scripts.iter().zip(&answers).zip(decoded).map(|((row, answer), decoded)| {
        let came_back = leaks(value, &decoded) || leaks(value, text(answer).as_bytes());
        match answer["code"].as_str() {
            Some("command_not_allowed") => return Cell::Contained,
            Some(code) => panic!("{}: {code}", row.name),
            None => assert!(matches!(answer["outcome"].as_str(), Some("exited" | "failed")), "{answer}"),
        }
        match (came_back, answer["redactions"].as_u64()) {
            (true, _) => Cell::Open,
            // There was no value; whether its placeholder was masked is chance and of no consequence.
            (false, _) if column.scope == "sealed" => Cell::Contained,
            (false, Some(1..)) => Cell::Caught,
            (false, _) => Cell::Contained,
        }
    });
    judged.collect()
}

fn ask(server: &mut Server, column: &Column, row: &Transform) -> u64 {
    let script = format!("{}; export V\n{}", column.prelude, row.script);
    let arguments = json!({"command": ["sh", "-c", script], "secrets": ["a/key"]});
    server.send("tools/call", json!({"name": "run_with_secrets", "arguments": arguments}))
}

/// Whether a text has a piece of the value that is a leak: of a PEM, of a line of its body.
fn leaks(value: &str, text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    let lines = value.lines().filter(|line| !line.starts_with("-----"));
    lines
        .map(|line| line.to_ascii_lowercase().into_bytes())
        .any(|line| line.windows(LEAK).any(|piece| text.windows(LEAK).any(|there| there == piece)))
}

/// What the decoders make of texts: some read characters, some bytes, as the characters of the same numbers. All write
/// bytes so.
fn decode(cases: Vec<(&str, String)>) -> Vec<Vec<u8>> {
    let as_bytes = |text: &str| text.bytes().map(char::from).collect::<String>();
    let cases: Vec<(&str, String)> =
        cases.into_iter().flat_map(|(decoder, text)| [(decoder, as_bytes(&text)), (decoder, text)]).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/leaks/decode.py");
    let mut child = Command::new("/usr/bin/env")
        .args(["PATH=/usr/local/bin:/usr/bin:/bin", "python3"])
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json!(cases).to_string().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "the decoders ran");
    let decoded: Vec<String> = serde_json::from_slice(&done.stdout).unwrap();
    let bytes = |text: &String| text.chars().map(|byte| u8::try_from(byte).unwrap()).collect::<Vec<u8>>();
    decoded.chunks(2).map(|both| [bytes(&both[0]), bytes(&both[1])].join(&b'\n')).collect()
}

fn document(rows: &[Transform], cells: &BTreeMap<&str, Vec<Cell>>) -> String {
    let kept = fs::read_to_string(path()).unwrap_or_default();
    let mut table = String::new();
    for row in rows {
        let words: Vec<&str> = cells[row.name.as_str()].iter().map(|cell| cell.word()).collect();
        // What can't be measured here stays as it was measured elsewhere.
        let begins = format!("| {} |", row.name);
        let old = kept.lines().find(|line| line.starts_with(&begins) && words.contains(&""));
        let advice = if words[0] == "open" { "use sealed or a reviewed command" } else { "" };
        let new = format!("{begins} {} | {advice} |", words.join(" | "));
        table += old.unwrap_or(&new);
        table.push('\n');
    }
    let open = table.lines().filter(|line| line.contains("use sealed")).count();
    let titles: Vec<&str> = COLUMNS.iter().map(|column| column.title).collect();
    format!(
        "{INTRODUCTION}\nOf {} transforms, {} are caught in `redacted` mode and {open} are open.\n\n\
         | transform | {} | |\n|{}\n{table}",
        rows.len(),
        rows.len() - open,
        titles.join(" | "),
        "---|".repeat(titles.len() + 2),
    )
}

/// Ways out that are no transform, each with the test that measures it.
fn channels() -> String {
    if CHANNELS.is_empty() {
        return String::new();
    }
    let mut text =
        "\n## Channels\n\n| channel | any command | reviewed command | test |\n|---|---|---|---|\n"
            .to_owned();
    for channel in CHANNELS {
        text +=
            &format!("| {} | {} | {} | `{}` |\n", channel.name, channel.any, channel.reviewed, channel.test);
    }
    text
}

const INTRODUCTION: &str = "# Leak matrix

What a program that was given a value can do to it before it prints it, and what of it comes back to the model.
Made by `tests/it/leaks.rs`, which does each transform with real tools in a real run over MCP, takes the masks out
of what came back, decodes the rest, and looks for the value; it fails where this file is not in step.

- **caught**: fewer than twelve bytes in a row of the value came back; something was masked.
- **contained**: it could not come back: the command was refused, or nothing of its output is returned.
- **open**: it came back. Redaction is a net, never a boundary: *use sealed or a reviewed command* for a secret that
  matters.

The value has 31 bytes: letters, digits and punctuation, as keys have. Under `withhold` a row that the net does not
know is open as it is elsewhere: nothing was masked, so nothing is withheld. A reviewed command is one that the
operator wrote out, and vouches for (`reviewed = true`): none of these is it. With `sealed` delivery the program has a placeholder, and does all of this to
that: whatever of it comes out reveals nothing.
";

impl Cell {
    fn word(self) -> &'static str {
        match self {
            Self::Caught => "caught",
            Self::Contained => "contained",
            Self::Open => "open",
            Self::Unknown => "",
        }
    }
}

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/leak-matrix.md")
}

#[track_caller]
fn held(text: &str) {
    if std::env::var_os("AUTHY_MCP_UPDATE").is_some() {
        fs::create_dir_all(path().parent().unwrap()).unwrap();
        fs::write(path(), text).unwrap();
    }
    let kept = fs::read_to_string(path()).unwrap_or_default();
    assert_eq!(kept, text, "docs/leak-matrix.md is not what was measured");
}

/// README.md and SECURITY.md say the figures of the matrix, and no other.
#[track_caller]
fn claims_go_no_further(matrix: &str) {
    let sentence = matrix.lines().find_map(|line| line.strip_prefix("Of ")).unwrap();
    let mut words = sentence.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let (all, caught) = (words.next().unwrap(), words.next().unwrap());
    for name in ["README.md", "SECURITY.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        assert!(text.contains(&format!("{caught} of {all} transforms")), "{name} claims other figures");
    }
}

/// Every channel of the matrix names a test that is there.
#[test]
fn channels_name_their_tests() {
    for channel in CHANNELS {
        assert!(["caught", "contained", "open"].contains(&channel.any), "{}", channel.name);
        let (file, name) = channel.test.split_once("::").unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/{file}.rs"));
        let text = fs::read_to_string(source).unwrap_or_default();
        assert!(text.contains(&format!("fn {name}(")), "{}", channel.test);
    }
}
