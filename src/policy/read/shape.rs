//! What shape each key of a document has, and words for what has another.
//!
//! Whether a document is read is decided by its types ([`super::raw`]). Where they refuse it, this says why: every
//! key that is unknown, missing or of another shape, each at its place and with the form that is right. What is wrong
//! is taken out meanwhile, so that the rest of the document is judged as well.

use std::{borrow::Cow, ops::Range};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

/// A table of a document.
struct Section {
    /// In front of a key's name, where one name stands in several tables.
    prefix: &'static str,
    /// In messages.
    called: &'static str,
    keys: &'static [Key],
}

/// A key of a table.
struct Key {
    name: &'static str,
    need: Need,
    shape: Shape,
    /// How it is written, after the sign of equality.
    form: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Optional,
    /// It can be left out, and where it is wrong nothing true can be said of the rest of its table.
    Relied,
    Required,
}

/// What stands behind a key.
enum Shape {
    Text,
    Flag,
    /// A whole number from 0.
    Count,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of strings.
    Texts,
    /// A list of places where a placeholder is replaced.
    Places,
    /// A list of names, or a table of names with the types of their texts.
    Variables,
    /// A table of strings.
    TextTable,
    /// `"any"`, or a list of lists of strings.
    Commands,
    /// What the proxy sets.
    Inject,
    /// `[name]`.
    Table(&'static Section),
    /// `[[name]]`.
    Tables(&'static Section),
}

const fn key(name: &'static str, shape: Shape, form: &'static str) -> Key {
    Key { name, need: Need::Optional, shape, form }
}

const fn relied(name: &'static str, shape: Shape, form: &'static str) -> Key {
    Key { name, need: Need::Relied, shape, form }
}

const fn required(name: &'static str, shape: Shape, form: &'static str) -> Key {
    Key { name, need: Need::Required, shape, form }
}

const DOCUMENT: Section = Section {
    prefix: "",
    called: "a policy",
    keys: &[
        required("scope", Shape::Text, "\"dev\""),
        key("description", Shape::Text, "\"to build and test\""),
        key("delegate", Shape::Flag, "true"),
        key("limits", Shape::Table(&LIMITS), "[limits] on a line of its own, with its keys below"),
        key("env", Shape::Table(&ENV), "[env] on a line of its own, with its keys below"),
        key("sandbox", Shape::Table(&SANDBOX), "[sandbox] on a line of its own, with its keys below"),
        key("allow", Shape::Tables(&RULE), "[[allow]] on a line of its own, with its keys below"),
        key("deny", Shape::Tables(&DENY), "[[deny]] on a line of its own, with its keys below"),
    ],
};

const LIMITS: Section = Section {
    prefix: "[limits] ",
    called: "[limits]",
    keys: &[
        key("timeout", Shape::Text, "\"2m\""),
        key("output", Shape::Text, "\"64KiB\""),
        key("runs_per_minute", Shape::Count, "60"),
        key("concurrent_runs", Shape::Count, "8"),
        key("token_ttl", Shape::Text, "\"90d\""),
        key("processes", Shape::Count, "512"),
        key("memory", Shape::Text, "\"4GiB\""),
        key("disk", Shape::Text, "\"10GiB\""),
    ],
};

const VARIABLES: &str = "[\"CI\"], or { STAGE = \"{enum:test|live}\" } for a variable with a type";

const ENV: Section = Section {
    prefix: "[env] ",
    called: "[env]",
    keys: &[
        key("path", Shape::Texts, "[\"~/.local/bin\"]"),
        key("pass", Shape::Variables, VARIABLES),
        key("agent", Shape::Variables, VARIABLES),
        key("home", Shape::Word(&["private", "user"]), "\"private\""),
    ],
};

const MODES: &[&str] = &["required", "best-effort", "off"];

const SANDBOX: Section = Section {
    prefix: "[sandbox] ",
    called: "[sandbox]",
    keys: &[
        key("mode", Shape::Word(MODES), "\"required\""),
        key("network", Shape::Word(&["none", "proxy", "open"]), "\"none\""),
        key("read", Shape::Texts, "[\"~/src/data\"]"),
        key("write", Shape::Texts, "[\"{cwd}/dist\"]"),
        key("on_file_hit", Shape::Word(&["remove", "report"]), "\"remove\""),
        key("write_control", Shape::Texts, "[\".git/hooks\"]"),
        key("cwd", Shape::Texts, "[\"~/src/site\"]"),
        key("hosts", Shape::Texts, "[\"pypi.org\"]"),
        key("extra_ca", Shape::Text, "\"~/certificates/company.pem\""),
        key("upstream_proxy", Shape::Text, "\"http://proxy.example.com:3128\""),
    ],
};

const RULE: Section = Section {
    prefix: "",
    called: "[[allow]]",
    keys: &[
        key("id", Shape::Text, "\"deploy\""),
        relied("secrets", Shape::Texts, "[\"app/*\"]"),
        required("deliver", Shape::Word(&["env", "file", "sealed"]), "\"env\""),
        relied("service", Shape::Text, "\"openai\""),
        relied("hosts", Shape::Texts, "[\"api.example.com\"]"),
        relied("inject", Shape::Inject, INJECT_FORM),
        relied("substitute", Shape::Places, "[\"header\"]"),
        key("methods", Shape::Texts, "[\"GET\", \"POST\"]"),
        key("paths", Shape::Texts, "[\"/v1/chat/*\"]"),
        key("guessable", Shape::Flag, "true"),
        key("base_url", Shape::TextTable, "{ OPENAI_BASE_URL = \"https://api.openai.com/v1\" }"),
        required("commands", Shape::Commands, COMMANDS_FORM),
        key("approval", Shape::Word(&["never", "once", "always"]), "\"never\""),
        key("env", Shape::TextTable, "{ \"app/key\" = \"API_KEY\" }"),
        key("set_env", Shape::TextTable, "{ NODE_ENV = \"test\" }"),
        key("pin", Shape::Flag, "true"),
        key("stdin", Shape::Word(&["none", "text"]), "\"none\""),
        key("reviewed", Shape::Flag, "true"),
        key("output", Shape::Word(&["redacted", "withhold", "status"]), "\"redacted\""),
        key("sandbox", Shape::Word(MODES), "\"off\""),
        key("exit_code", Shape::Word(&["exact", "reduced"]), "\"exact\""),
        key("timeout", Shape::Text, "\"30s\""),
    ],
};

const DENY: Section =
    Section { prefix: "", called: "[[deny]]", keys: &[required("secrets", Shape::Texts, "[\"prod/**\"]")] };

/// How commands are written.
pub(super) const COMMANDS_FORM: &str =
    "[[\"npm\", \"test\"]], a list for each command with one element an argument; or commands = \"any\"";

const INJECT_FORM: &str = "\"bearer\", { basic = \"USER\" }, { header = \"X-Api-Key\" } or { aws_sigv4 = { access_key = \"aws/id\", secret_key = \"aws/key\" } }";

const SIGV4: Section = Section {
    prefix: "aws_sigv4 ",
    called: "aws_sigv4",
    keys: &[
        required("access_key", Shape::Text, "\"aws/id\""),
        required("secret_key", Shape::Text, "\"aws/key\""),
        key("session_token", Shape::Text, "\"aws/session\""),
        key("region", Shape::Text, "\"eu-central-1\""),
        key("service", Shape::Text, "\"s3\""),
    ],
};

/// What is wrong: where, what, and the form that is right.
pub(super) struct Misshapen {
    pub span: Range<usize>,
    pub message: String,
    pub hint: String,
}

/// Finds what has another shape than a policy's, and takes it out of the table. A rule without what it needs goes
/// altogether: what else could be said of it would not be true.
pub(super) fn judge(document: &mut DeTable<'_>) -> Vec<Misshapen> {
    let mut judge = Judge { wrong: Vec::new() };
    if judge.table(document, &DOCUMENT, 0) == Complete::No {
        let name = Spanned::new(0..0, Cow::Borrowed("scope"));
        document.insert(name, Spanned::new(0..0, DeValue::String(Cow::Borrowed("scope"))));
    }
    judge.wrong
}

/// Whether a table has what it needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Complete {
    Yes,
    No,
}

/// Whether a value has its key's shape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fits {
    Yes,
    No,
}

struct Judge {
    wrong: Vec<Misshapen>,
}

impl Judge {
    fn table(&mut self, found: &mut DeTable<'_>, section: &'static Section, at: usize) -> Complete {
        let mut complete = Complete::Yes;
        let names: Vec<Spanned<Cow<'_, str>>> = found.keys().cloned().collect();
        for name in &names {
            let text = name.get_ref().as_ref();
            let key = section.keys.iter().find(|key| key.name == text);
            let fits = match key {
                Some(key) => found.get_mut(text).map_or(Fits::Yes, |value| self.value(value, key, section)),
                None => self.unknown(name, section),
            };
            if fits == Fits::No {
                found.remove(text);
                if key.is_some_and(|key| key.need != Need::Optional) {
                    complete = Complete::No;
                }
            }
        }
        for key in section.keys.iter().filter(|key| key.need == Need::Required) {
            if names.iter().any(|name| name.get_ref() == key.name) {
                continue;
            }
            complete = Complete::No;
            // One that is written a little wrong has been told as that.
            if !names.iter().any(|name| is_near(key.name, name.get_ref())) {
                let message = format!("{} has no {}", section.called, key.name);
                self.wrong.push(Misshapen { span: at..at, message, hint: written(key) });
            }
        }
        complete
    }

    fn unknown(&mut self, name: &Spanned<Cow<'_, str>>, section: &Section) -> Fits {
        let known: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
        let text = name.get_ref();
        let message = format!("{} has no key called {text:?}", section.called);
        let hint = match known.iter().find(|known| is_near(known, text)) {
            Some(near) => format!("write {near}; the keys are {}", known.join(", ")),
            None => format!("the keys are {}", known.join(", ")),
        };
        self.wrong.push(Misshapen { span: name.span(), message, hint });
        Fits::No
    }

    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, key: &Key, section: &'static Section) -> Fits {
        let span = value.span();
        match (&key.shape, value.get_mut()) {
            (Shape::Table(below), DeValue::Table(table)) => {
                // What it needs is said; nothing that it has depends on it.
                self.table(table, below, span.start);
                Fits::Yes
            }
            (Shape::Tables(below), DeValue::Array(tables)) => self.tables(tables, key, below),
            (_, found) => {
                let wrong = misfit(&key.shape, found, span);
                let fits = if wrong.is_empty() { Fits::Yes } else { Fits::No };
                self.wrong.extend(wrong.into_iter().map(|(span, what)| Misshapen {
                    span,
                    message: format!("{}{} {what}", section.prefix, key.name),
                    hint: written(key),
                }));
                fits
            }
        }
    }

    fn tables(&mut self, tables: &mut DeArray<'_>, key: &Key, section: &'static Section) -> Fits {
        let mut whole = DeArray::new();
        for mut one in std::mem::replace(tables, DeArray::new()) {
            let span = one.span();
            match one.get_mut() {
                DeValue::Table(table) => {
                    if self.table(table, section, span.start) == Complete::Yes {
                        whole.push(one);
                    }
                }
                other => self.wrong.push(Misshapen {
                    span,
                    message: format!("{} must be a table, not {}", key.name, kind(other)),
                    hint: written(key),
                }),
            }
        }
        *tables = whole;
        Fits::Yes
    }
}

/// How a key is written, as a hint.
fn written(key: &Key) -> String {
    match key.shape {
        Shape::Table(_) | Shape::Tables(_) => format!("write {}", key.form),
        _ => format!("write {} = {}", key.name, key.form),
    }
}

/// What does not fit a shape, each with its place; completes "the key …".
fn misfit(shape: &Shape, found: &DeValue<'_>, span: Range<usize>) -> Vec<(Range<usize>, String)> {
    let one = |what: &str| vec![(span.clone(), format!("must be {what}, not {}", kind(found)))];
    match (shape, found) {
        (Shape::Text, DeValue::String(_)) | (Shape::Flag, DeValue::Boolean(_)) => Vec::new(),
        (Shape::Text, _) => one("a string"),
        (Shape::Flag, _) => one("true or false"),
        (Shape::Count, DeValue::Integer(number)) => {
            match u32::from_str_radix(number.as_str(), number.radix()) {
                Ok(_) => Vec::new(),
                Err(_) => {
                    vec![(span, format!("must be a whole number from 0 to {}, not {number}", u32::MAX))]
                }
            }
        }
        (Shape::Count, _) => one("a whole number"),
        (Shape::Word(words), found) => word(words, found, span),
        (Shape::Texts, DeValue::Array(items)) => items_that(items, |item| matches!(item, DeValue::String(_))),
        (Shape::Texts, _) => one("a list of strings"),
        (Shape::Places, DeValue::Array(items)) => items.iter().flat_map(place).collect(),
        (Shape::Places, _) => one(&format!("a list of {}", alternatives(PLACES))),
        (Shape::Variables, DeValue::Array(items)) => {
            items_that(items, |item| matches!(item, DeValue::String(_)))
        }
        (Shape::Variables | Shape::TextTable, DeValue::Table(table)) => strings_of(table),
        (Shape::Variables, _) => one("a list of names, or a table of names and types"),
        (Shape::TextTable, _) => one("a table of strings"),
        (Shape::Commands, found) => commands(found, span),
        (Shape::Inject, found) => inject(found, span),
        (Shape::Table(_), _) => one("a table"),
        (Shape::Tables(_), _) => one("a list of tables"),
    }
}

fn word(words: &[&str], found: &DeValue<'_>, span: Range<usize>) -> Vec<(Range<usize>, String)> {
    match found {
        DeValue::String(text) if words.contains(&text.as_ref()) => Vec::new(),
        DeValue::String(text) => vec![(span, format!("must be {}, not {text:?}", alternatives(words)))],
        other => vec![(span, format!("must be {}, not {}", alternatives(words), kind(other)))],
    }
}

/// Where a placeholder is replaced.
const PLACES: &[&str] = &["header", "header:NAME", "query", "path", "body", "websocket"];

fn place(item: &Spanned<DeValue<'_>>) -> Vec<(Range<usize>, String)> {
    match item.get_ref() {
        // Which headers can be named is judged with the rest of the rule.
        DeValue::String(text) if text.starts_with("header:") => Vec::new(),
        found => word(PLACES, found, item.span()),
    }
}

/// The items of a list that are no strings.
fn items_that(items: &DeArray<'_>, fits: fn(&DeValue<'_>) -> bool) -> Vec<(Range<usize>, String)> {
    let wrong = items.iter().filter(|item| !fits(item.get_ref()));
    wrong
        .map(|item| {
            (item.span(), format!("must be a list of strings, and {} is in it", kind(item.get_ref())))
        })
        .collect()
}

/// The values of a table that are no strings.
fn strings_of(table: &DeTable<'_>) -> Vec<(Range<usize>, String)> {
    let wrong = table.iter().filter(|(_, value)| !matches!(value.get_ref(), DeValue::String(_)));
    wrong
        .map(|(name, value)| {
            let what = kind(value.get_ref());
            (value.span(), format!("must be a table of strings, and {:?} is {what} in it", name.get_ref()))
        })
        .collect()
}

fn commands(found: &DeValue<'_>, span: Range<usize>) -> Vec<(Range<usize>, String)> {
    const WHAT: &str = "must be a list of commands, each a list of strings, or \"any\"";
    match found {
        DeValue::String(_) => Vec::new(),
        DeValue::Array(patterns) => {
            patterns.iter().flat_map(|pattern| command(pattern, WHAT)).take(1).collect()
        }
        other => vec![(span, format!("{WHAT}, not {}", kind(other)))],
    }
}

fn command(pattern: &Spanned<DeValue<'_>>, what: &str) -> Vec<(Range<usize>, String)> {
    match pattern.get_ref() {
        DeValue::Array(elements) => {
            let wrong = elements.iter().filter(|element| !matches!(element.get_ref(), DeValue::String(_)));
            let said = |element: &Spanned<DeValue<'_>>| {
                format!("{what}; a command has {} in it", kind(element.get_ref()))
            };
            wrong.map(|element| (element.span(), said(element))).collect()
        }
        other => vec![(pattern.span(), format!("{what}; {} is in it", kind(other)))],
    }
}

fn inject(found: &DeValue<'_>, span: Range<usize>) -> Vec<(Range<usize>, String)> {
    const WHAT: &str = "must be \"bearer\", or a table with one of basic, header and aws_sigv4";
    let one = |what: String| vec![(span.clone(), format!("{WHAT}{what}"))];
    match found {
        DeValue::String(text) if text == "bearer" => Vec::new(),
        DeValue::String(text) => one(format!(", not {text:?}")),
        DeValue::Table(table) if table.len() != 1 => {
            one(format!(", and this table has {} keys", table.len()))
        }
        DeValue::Table(table) => {
            table.iter().flat_map(|(name, value)| injected(name.get_ref(), value, WHAT)).collect()
        }
        other => one(format!(", not {}", kind(other))),
    }
}

fn injected(name: &str, value: &Spanned<DeValue<'_>>, what: &str) -> Vec<(Range<usize>, String)> {
    let one = |more: String| vec![(value.span(), format!("{what}; {more}"))];
    match (name, value.get_ref()) {
        ("basic" | "header", DeValue::String(_)) => Vec::new(),
        ("basic" | "header", other) => one(format!("{name} must be a string, not {}", kind(other))),
        ("aws_sigv4", DeValue::Table(table)) => {
            let mut judge = Judge { wrong: Vec::new() };
            judge.table(&mut table.clone(), &SIGV4, value.span().start);
            judge.wrong.into_iter().map(|wrong| (wrong.span, format!("{what}; {}", wrong.message))).collect()
        }
        ("aws_sigv4", other) => one(format!("aws_sigv4 must be a table, not {}", kind(other))),
        _ => one(format!("{name:?} is none of them")),
    }
}

/// `"a", "b" or "c"`.
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => quoted.join(""),
    }
}

/// What a value is, in the words of TOML.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Whether a name is another with one letter more, less, changed, or two exchanged.
fn is_near(known: &str, written: &str) -> bool {
    let (long, short) = if known.len() >= written.len() { (known, written) } else { (written, known) };
    let same = long.bytes().zip(short.bytes()).take_while(|(a, b)| a == b).count();
    let (long, short) = (&long.as_bytes()[same..], &short.as_bytes()[same..]);
    match long.len() - short.len() {
        1 => long[1..] == *short,
        0 if long.is_empty() => true,
        0 if long[1..] == short[1..] => true,
        0 => {
            matches!((long, short), ([a, b, rest @ ..], [c, d, same @ ..]) if a == d && b == c && rest == same)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
