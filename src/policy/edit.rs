//! Changes to documents: what one would change, and a rule made of a command line.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value, value};

use super::{
    document::{Document, DocumentError, Rule},
    edition::Edition,
    limits::RunLimits,
    services,
    words::{DeliveryMode, ExitCodes, HomeMode, Network, OnFileHit, OutputMode, SandboxMode, Stdin},
};
use crate::names::ScopeName;

/// A change that a document makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// Whether it lets anybody do more.
    #[serde(rename = "widens")]
    pub effect: Effect,
    /// In words.
    pub text: String,
}

/// What a change does to what anybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Somebody may do more. Whatever isn't clearly less is this.
    Widens,
    /// Nobody may do more, and somebody less.
    Narrows,
}

/// In JSON it answers the question whether the change widens.
impl Serialize for Effect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self == Self::Widens)
    }
}

/// What the proxy sets in a request by itself, under a new rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SetByProxy {
    /// Nothing: a placeholder is replaced where the program sends it.
    #[default]
    Nothing,
    /// `Authorization: Bearer`.
    Bearer,
}

/// A rule from the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewRule {
    /// Its id.
    pub id: Option<String>,
    /// Patterns over secret names.
    pub secrets: Vec<String>,
    /// How values are delivered.
    pub deliver: DeliveryMode,
    /// One argv pattern; `None` for any command.
    pub command: Option<Vec<String>>,
    /// Hosts, for sealed delivery.
    pub hosts: Vec<String>,
    /// What the proxy sets by itself, for sealed delivery.
    pub inject: SetByProxy,
    /// Whether values that can be guessed are sealed, too.
    pub guessable: bool,
    /// What of the output is returned, where the rule says it.
    pub output: Option<OutputMode>,
    /// Directories where runs of the scope may start.
    pub cwd: Vec<String>,
    /// What runs of the scope may read.
    pub read: Vec<String>,
    /// What runs of the scope may write.
    pub write: Vec<String>,
    /// Which network runs of the scope have.
    pub network: Option<Network>,
    /// How much of the sandbox must stand.
    pub sandbox: Option<SandboxMode>,
}

/// What applying a document changes. Whatever isn't clearly less counts as more.
pub(crate) fn changes(old: Option<&Document>, new: &Document) -> Vec<Change> {
    let before = old.map(Facets::of).unwrap_or_default();
    let after = Facets::of(new);
    let mut changes = Vec::new();
    let mut note = |effect, text: String| changes.push(Change { effect, text });
    for grant in after.grants.difference(&before.grants) {
        note(Effect::Widens, format!("+ {grant}"));
    }
    for grant in before.grants.difference(&after.grants) {
        note(Effect::Narrows, format!("- {grant}"));
    }
    for barrier in after.barriers.difference(&before.barriers) {
        note(Effect::Narrows, format!("+ {barrier}"));
    }
    for barrier in before.barriers.difference(&after.barriers) {
        note(Effect::Widens, format!("- {barrier}"));
    }
    let kept = |order: &[Vec<String>], other: &[Vec<String>]| -> Vec<Vec<String>> {
        order.iter().filter(|rule| other.contains(rule)).cloned().collect()
    };
    if kept(&after.order, &before.order) != kept(&before.order, &after.order) {
        note(
            Effect::Widens,
            "~ the order of the rules: for each secret the first that fits decides".to_owned(),
        );
    }
    for (now, then) in after.limits.iter().zip(before.limits.iter().chain(std::iter::repeat(&("", 0)))) {
        if now.1 != then.1 && old.is_some() {
            let effect = if now.1 > then.1 { Effect::Widens } else { Effect::Narrows };
            note(effect, format!("{}: {} → {}", now.0, then.1, now.1));
        }
    }
    changes
}

/// A document taken apart: what it gives, what it holds back, and its numbers.
#[derive(Default)]
struct Facets {
    grants: BTreeSet<String>,
    barriers: BTreeSet<String>,
    /// What each rule gives, in file order.
    order: Vec<Vec<String>>,
    limits: Vec<(&'static str, u64)>,
}

impl Facets {
    fn of(document: &Document) -> Self {
        let mut grants = BTreeSet::new();
        let order: Vec<Vec<String>> = document.allow.iter().map(rule_grants).collect();
        grants.extend(order.iter().flatten().cloned());
        grants.extend(document.env.path.iter().map(|dir| format!("programs from {dir}")));
        grants.extend(document.env.pass.words().map(|name| format!("{name} from the server's environment")));
        grants.extend(document.env.agent.words().map(|name| format!("a call may set {name}")));
        grants.extend(document.reach.hosts.iter().map(|host| format!("runs reach {host} by a plain tunnel")));
        grants.extend(
            document.reach.extra_ca.iter().map(|path| format!("the proxy trusts the roots in {path}")),
        );
        grants.extend(document.reach.upstream.iter().map(|proxy| format!("hosts are reached by {proxy}")));
        grants.extend(document.cwd.iter().map(|dir| format!("runs may start in {dir}")));
        grants.extend(sandbox_grants(document));
        if document.env.home == HomeMode::User {
            grants.insert("the user's HOME".to_owned());
        }
        if document.delegate {
            grants.insert("an agent may be handed bearer tokens".to_owned());
        }
        let limits = &document.limits;
        let used = limits.run.of_calls();
        let denied = document.deny.iter().map(|pattern| format!("deny {pattern}"));
        Self {
            grants,
            order,
            barriers: denied.chain(written_limits(&limits.run)).collect(),
            limits: vec![
                ("timeout (s)", limits.timeout.as_secs()),
                ("output (bytes)", limits.output as u64),
                ("runs a minute", u64::from(limits.runs_per_minute)),
                ("runs at once", u64::from(limits.concurrent_runs)),
                ("token lifetime (s)", limits.token_ttl.as_secs()),
                ("processes of a run", used.processes.map_or(u64::MAX, u64::from)),
                ("memory of a run (bytes)", used.memory.unwrap_or(u64::MAX)),
                ("disk of a run (bytes)", used.disk.unwrap_or(u64::MAX)),
            ],
        }
    }
}

/// Limits that hold for a person's run, too: without them it has none, whatever a call has by default.
fn written_limits(limits: &RunLimits) -> impl Iterator<Item = String> {
    let processes = limits.processes.map(|_| "processes (root's runs are refused where nothing counts them)");
    let written = [processes, limits.memory.map(|_| "memory"), limits.disk.map(|_| "disk")];
    written.into_iter().flatten().map(|what| format!("`authy-mcp run` is limited, too: {what}"))
}

fn sandbox_grants(document: &Document) -> Vec<String> {
    let part = &document.sandbox;
    let mut grants: Vec<String> = part.read.iter().map(|path| format!("runs may read {path}")).collect();
    grants.extend(part.write.iter().map(|path| format!("runs may write {path}")));
    grants.extend(
        part.write_control
            .iter()
            .map(|path| format!("runs may write control files, which other programs run unasked: {path}")),
    );
    match part.mode {
        SandboxMode::Required => {}
        SandboxMode::BestEffort => grants.push("runs go on where the sandbox can't stand".to_owned()),
        SandboxMode::Off => grants.push("runs have no sandbox".to_owned()),
    }
    match part.network {
        Network::None => {}
        Network::Proxy => grants.push("runs reach the hosts that sealed secrets may go to".to_owned()),
        Network::Open => grants.push("runs reach the whole network".to_owned()),
    }
    if part.on_file_hit == OnFileHit::Report {
        grants.push("files that hold a secret are left where a run wrote them".to_owned());
    }
    grants
}

pub(super) fn rule_grants(rule: &Rule) -> Vec<String> {
    let commands: Vec<String> = match &rule.commands {
        None => vec!["any command".to_owned()],
        Some(patterns) => patterns
            .iter()
            .map(|p| shlex::try_join(p.elements().iter().map(String::as_str)).unwrap_or_default())
            .collect(),
    };
    let mut terms = vec![rule.deliver.as_str().to_owned()];
    let output = match rule.output {
        OutputMode::Redacted => "output redacted",
        OutputMode::Withhold => "output withheld",
        OutputMode::Status => "status only",
    };
    terms.push(output.to_owned());
    terms.extend(rule.seal.iter().flat_map(super::Seal::words));
    if rule.guessable {
        terms.push("values that can be guessed, too".to_owned());
    }
    if rule.pin {
        terms.push("pinned".to_owned());
    }
    if rule.stdin == Stdin::Text && !rule.secrets.is_empty() {
        terms.push("text for its standard input".to_owned());
    }
    if rule.reviewed {
        terms.push("reviewed by you".to_owned());
    }
    match rule.sandbox {
        Some(SandboxMode::Off) => terms.push("no sandbox".to_owned()),
        Some(SandboxMode::BestEffort) => terms.push("sandbox where it can stand".to_owned()),
        Some(SandboxMode::Required) | None => {}
    }
    if rule.commands.is_none() && rule.exit_code == ExitCodes::Exact {
        terms.push("exact exit codes".to_owned());
    }
    terms.extend(rule.timeout.map(|timeout| format!("at most {} s", timeout.as_secs())));
    terms.extend(rule.env.iter().map(|(secret, name)| format!("{secret} as {name}")));
    terms.extend(rule.set_env.iter().map(|(name, text)| format!("{name}={text:?}")));
    let secrets: Vec<&str> = rule.secrets.iter().map(crate::names::SecretPattern::as_str).collect();
    let secrets = if secrets.is_empty() { "no secrets".to_owned() } else { secrets.join(", ") };
    commands.iter().map(|command| format!("{command} may have {secrets} ({})", terms.join(", "))).collect()
}

/// The document that a new rule makes of a scope's: comments and order are kept. A new document says
/// which network its runs have, and that they may read where they start.
///
/// # Errors
/// [`DocumentError`], should the text that is there not parse.
pub(crate) fn add_rule(
    text: Option<&str>,
    scope: &ScopeName,
    rule: &NewRule,
) -> Result<String, DocumentError> {
    let mut document = match text {
        Some(text) => {
            Document::parse_as(text, Edition::BeforeTypes, &services::shipped())?;
            text.parse::<DocumentMut>().expect("what parses as a policy is TOML")
        }
        None => fresh(scope),
    };
    add_paths(&mut document, "cwd", &rule.cwd);
    add_paths(&mut document, "read", &rule.read);
    add_paths(&mut document, "write", &rule.write);
    let network = rule.network.or_else(|| needed_network(&document, rule));
    set_word(
        &mut document,
        "mode",
        rule.sandbox.filter(|_| !rule.secrets.is_empty()).map(SandboxMode::as_str),
    );
    set_word(&mut document, "network", network.map(Network::as_str));
    if !(rule.cwd.is_empty() && rule.read.is_empty() && rule.write.is_empty())
        || network.is_some()
        || rule.sandbox.is_some()
    {
        take_words_back(&mut document);
    }
    let table = rule_table(rule);
    let allow = document.entry("allow").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    match allow {
        Item::ArrayOfTables(tables) => tables.push(table),
        other => {
            let mut inline = table.into_inline_table();
            inline.fmt();
            if let Some(array) = other.as_array_mut() {
                array.push(Value::InlineTable(inline));
            }
        }
    }
    Ok(document.to_string())
}

fn fresh(scope: &ScopeName) -> DocumentMut {
    let mut document = DocumentMut::new();
    document["scope"] = value(scope.as_str());
    document
}

fn sandbox_table(document: &mut DocumentMut) -> Option<&mut dyn TableLike> {
    document.entry("sandbox").or_insert(Item::Table(Table::new())).as_table_like_mut()
}

fn add_paths(document: &mut DocumentMut, key: &str, paths: &[String]) {
    if paths.is_empty() {
        return;
    }
    let Some(sandbox) = sandbox_table(document) else { return };
    let list = sandbox.entry(key).or_insert(value(Array::new()));
    if let Some(list) = list.as_array_mut() {
        for path in paths {
            if !list.iter().any(|known| known.as_str() == Some(path)) {
                list.push(path.as_str());
            }
        }
    }
}

/// What runs reach is another than it was when the operator reviewed rules: their word was not about that.
fn take_words_back(document: &mut DocumentMut) {
    match document.get_mut("allow") {
        Some(Item::ArrayOfTables(rules)) => rules.iter_mut().for_each(|rule| drop(rule.remove("reviewed"))),
        Some(Item::Value(Value::Array(rules))) => {
            for rule in rules.iter_mut().filter_map(Value::as_inline_table_mut) {
                rule.remove("reviewed");
            }
        }
        _ => {}
    }
}

/// A sealed rule needs the proxy, where the document says that runs have no network at all.
fn needed_network(document: &DocumentMut, rule: &NewRule) -> Option<Network> {
    let word = document.get("sandbox")?.get("network")?.as_str()?;
    (rule.deliver == DeliveryMode::Sealed && word == Network::None.as_str()).then_some(Network::Proxy)
}

fn set_word(document: &mut DocumentMut, key: &str, word: Option<&str>) {
    let Some(word) = word else { return };
    if let Some(sandbox) = sandbox_table(document) {
        sandbox.insert(key, value(word));
    }
}

fn rule_table(rule: &NewRule) -> Table {
    let mut table = Table::new();
    if let Some(id) = &rule.id {
        table["id"] = value(id.as_str());
    }
    table["secrets"] = value(rule.secrets.iter().collect::<Array>());
    table["deliver"] = value(rule.deliver.as_str());
    if !rule.hosts.is_empty() {
        table["hosts"] = value(rule.hosts.iter().collect::<Array>());
    }
    match rule.inject {
        SetByProxy::Nothing => {}
        SetByProxy::Bearer => table["inject"] = value("bearer"),
    }
    if rule.guessable {
        table["guessable"] = value(true);
    }
    table["commands"] = match &rule.command {
        None => value("any"),
        Some(argv) => {
            let mut patterns = Array::new();
            patterns.push(argv.iter().collect::<Array>());
            value(patterns)
        }
    };
    if let Some(mode) = rule.sandbox.filter(|_| rule.secrets.is_empty()) {
        table["sandbox"] = value(mode.as_str());
    }
    if let Some(output) = rule.output {
        table["output"] = value(output.as_str());
    }
    table
}
