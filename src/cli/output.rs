//! Printing: the one place where something is written to the terminal. Control characters from outside
//! are shown, not sent: they could rewrite what a person has read.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Mutex,
};

use serde::Serialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    filter::Targets,
    fmt::{self, format::FmtSpan, writer::BoxMakeWriter},
    prelude::*,
};

use crate::names::{ScopeName, SecretName};
use crate::operator::{Failure, FailureKind};
use crate::policy::{Finding, Severity};
use crate::shown::{quiet, shown_json, shown_line};
use crate::terminal::shown_once;

/// How answers are written.
pub(super) struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json, colour: io::stdout().is_terminal() && !crate::setup::no_color() }
    }

    /// A line for people; left out with `--json`.
    pub(super) fn line(&self, text: &str) {
        if !self.json {
            write_out(format!("{}\n", quiet(text)).as_bytes());
        }
    }

    /// A line that stands out.
    pub(super) fn heading(&self, text: &str) {
        if self.colour && !self.json {
            write_out(format!("\u{1b}[1m{}\u{1b}[0m\n", quiet(text)).as_bytes());
        } else {
            self.line(text);
        }
    }

    /// An answer: as JSON for programs, as these lines for people.
    pub(super) fn answer<T: Serialize>(&self, answer: &T, lines: impl FnOnce(&T) -> Vec<String>) {
        write_out(self.answer_text(answer, lines).as_bytes());
    }

    fn answer_text<T: Serialize>(&self, answer: &T, lines: impl FnOnce(&T) -> Vec<String>) -> String {
        if self.json {
            let text = serde_json::to_string_pretty(answer).expect("answers have string keys only");
            return format!("{}\n", shown_json(&text));
        }
        lines(answer).iter().map(|line| format!("{}\n", quiet(line))).collect()
    }

    /// A line of JSON, with `--json` or without.
    pub(super) fn json_line<T: Serialize>(&self, answer: &T) {
        let text = serde_json::to_string(answer).expect("answers have string keys only");
        write_out(format!("{}\n", shown_json(&text)).as_bytes());
    }

    /// An answer of any number of items, written as they come.
    pub(super) fn json_array(&self) -> JsonArray {
        JsonArray { begun: false }
    }

    /// Bytes as they are; on a terminal, what of them does nothing else than being shown.
    pub(super) fn raw(&self, bytes: &[u8]) {
        if io::stdout().is_terminal() { write_out(&shown_once(bytes)) } else { write_out(bytes) }
    }

    /// The same beside the answer.
    pub(super) fn raw_note(&self, bytes: &[u8]) {
        let mut stderr = io::stderr().lock();
        let _ =
            if stderr.is_terminal() { stderr.write_all(&shown_once(bytes)) } else { stderr.write_all(bytes) };
    }

    /// A note beside the answer.
    pub(super) fn note(&self, text: &str) {
        write_err(&format!("{}\n", quiet(text)));
    }

    /// What went wrong and what to do next.
    pub(super) fn failure(&self, failure: &Failure) {
        write_err(&self.failure_text(failure));
    }

    fn failure_text(&self, failure: &Failure) -> String {
        if self.json {
            let text = serde_json::json!({ "error": failure }).to_string();
            return format!("{}\n", shown_json(&text));
        }
        let findings = failure.findings.iter().map(finding_line);
        // Messages repeat what was asked for: names, paths, arguments.
        let error = std::iter::once(format!("error: {}", shown_line(&failure.message)));
        let hints = failure.hints.iter().enumerate().map(|(number, hint)| {
            let before = if number == 0 { "hint: " } else { "      " };
            format!("{before}{}", shown_line(hint))
        });
        findings.chain(error).chain(hints).map(|line| format!("{}\n", quiet(&line))).collect()
    }
}

/// A word of a fixed vocabulary, as it is in JSON.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// An array that is written as it comes.
pub(super) struct JsonArray {
    begun: bool,
}

impl JsonArray {
    pub(super) fn item<T: Serialize>(&mut self, item: &T) {
        let text = serde_json::to_string_pretty(item).expect("answers have string keys only");
        let before = if std::mem::replace(&mut self.begun, true) { ",\n" } else { "[\n" };
        write_out(format!("{before}{}", shown_json(&text)).as_bytes());
    }

    pub(super) fn end(self) {
        write_out(if self.begun { b"\n]\n" } else { b"[]\n" });
    }
}

/// One finding, as a compiler writes it.
pub(super) fn finding_line(finding: &Finding) -> String {
    let kind = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let (message, hint) = (shown_line(&finding.message), shown_line(&finding.hint));
    format!("line {}, column {}: {kind}: {message} ({hint})", finding.line, finding.column)
}

/// A rule that seals what can be guessed without saying so: what it is, and the way out.
pub(super) fn guessable_seal(scope: &ScopeName, rule: &str, secret: &SecretName) -> (String, String) {
    (
        format!(
            "rule {rule} of {scope} seals {secret}, whose value could be guessed by what its host says again; it is best effort until the policy is applied again"
        ),
        format!(
            "set a longer value (authy-mcp admin set {secret} --generate), or write guessable = true in the rule and apply it"
        ),
    )
}

/// Columns of text, each as wide as its widest cell.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Writes the log where it belongs: never to standard output, which may be the protocol's.
pub(super) fn log_to(verbose: u8, file: Option<&Path>) -> Result<(), Failure> {
    // Libraries log what they are sent; an agent may have sent a value.
    let levels = [LevelFilter::WARN, LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE];
    let ours = levels[usize::from(verbose.min(3))];
    let filter = Targets::new().with_default(LevelFilter::ERROR).with_target("authy_mcp", ours);
    let writer = match file {
        None => BoxMakeWriter::new(io::stderr),
        Some(path) => {
            let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            let file = opened.map_err(|error| {
                let message = format!("the log file {} can't be opened: {error}", path.display());
                Failure::new(FailureKind::Usage, message, "name a file in a directory that you may write to")
            })?;
            BoxMakeWriter::new(Mutex::new(file))
        }
    };
    let lines = fmt::layer()
        .with_ansi(false)
        // A run is one line, when it has ended: its span says all that there is to say.
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(writer);
    // One process logs once; a second call changes nothing.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(())
}

/// A reader that is gone wants no more.
fn write_out(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

fn write_err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Output = Output { json: false, colour: false };
    const JSON: Output = Output { json: true, colour: false };

    #[test]
    fn an_answer_is_lines_for_people_and_json_for_programs() {
        let rows = [("app/key", "3"), ("app/other-key", "12")];
        let lines = |rows: &[(&str, &str); 2]| {
            table(&rows.map(|(name, version)| vec![name.to_owned(), version.to_owned()]))
        };
        assert_eq!(PLAIN.answer_text(&rows, lines), "app/key        3\napp/other-key  12\n");
        let text = JSON.answer_text(&rows, |_| unreachable!("lines are for people"));
        assert!(text.ends_with("]\n"), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, json!([["app/key", "3"], ["app/other-key", "12"]]));
        // What is not there is nothing for people, and empty for programs.
        let none: [&str; 0] = [];
        assert_eq!(PLAIN.answer_text(&none, |_| Vec::new()), "");
        assert_eq!(JSON.answer_text(&none, |_| Vec::new()), "[]\n");
    }

    /// A description that an agent or a document wrote must not move the cursor of whoever reads it.
    #[test]
    fn what_others_wrote_moves_no_cursor() {
        let evil = "a\u{1b}[2J\u{202e}\u{7f}b";
        let seen = |text: String| !text.trim_end().chars().any(|c| c.is_control() || c == '\u{202e}');
        assert!(seen(PLAIN.answer_text(&evil, |text| vec![(*text).to_owned()])));
        let json = JSON.answer_text(&evil, |_| Vec::new());
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), evil, "the same to a program");
        assert!(seen(json));
        let failure = Failure::new(FailureKind::Usage, evil, evil);
        assert!(PLAIN.failure_text(&failure).lines().all(|line| seen(line.to_owned())));
    }

    #[test]
    fn a_failure_says_where_what_and_what_to_do() {
        let finding = Finding {
            severity: Severity::Error,
            line: 4,
            column: 2,
            message: "no such key".to_owned(),
            hint: "write deliver".to_owned(),
        };
        let failure = Failure {
            findings: vec![finding],
            ..Failure::new(FailureKind::Usage, "the policy has 1 error", "fix it").or("then apply it")
        };
        assert_eq!(
            PLAIN.failure_text(&failure),
            "line 4, column 2: error: no such key (write deliver)\nerror: the policy has 1 error\nhint: fix it\n      then apply it\n"
        );
        let text = JSON.failure_text(&failure);
        assert_eq!(text.lines().count(), 1, "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["error"]["kind"], "usage");
        assert_eq!(read["error"]["message"], "the policy has 1 error");
        assert_eq!(read["error"]["hints"], json!(["fix it", "then apply it"]));
        assert_eq!(read["error"]["findings"][0]["line"], 4);
        let bare = Failure::new(FailureKind::Busy, "in use", "");
        assert_eq!(PLAIN.failure_text(&bare), "error: in use\n");
    }

    #[test]
    fn a_short_row_and_wide_characters_line_up() {
        let rows = [vec!["é".to_owned(), "x".to_owned()], vec!["abc".to_owned()], Vec::new()];
        assert_eq!(table(&rows), ["é    x", "abc", ""]);
        assert_eq!(table(&[]), [""; 0]);
    }

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(quiet("a\u{1b}[2Jb\rc"), "a\\u{1b}[2Jb\\u{d}c");
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["ccc".to_owned(), "d".to_owned()]];
        assert_eq!(table(&rows), ["a    b", "ccc  d"]);
    }
}
