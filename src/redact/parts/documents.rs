//! JSON (also several documents, one a line), YAML and TOML.
//!
//! YAML is read by its events: an alias stands for itself, so that no document grows by being read.

use saphyr_parser::{Event, Parser};
use serde_json::Value;

use super::{
    leaf::{Read, Sense},
    tree::{DEEPEST, MOST_LEAVES, Node, leaves},
};

/// RFC 8259, and JSON lines.
pub(super) fn json(text: &str, sense: Sense) -> Option<Read> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let mut nodes: Vec<Node> = documents.ok()?.into_iter().map(of_json).collect();
    let root = if nodes.len() == 1 { nodes.pop()? } else { Node::List(nodes) };
    Some(Read::Leaves(leaves(&root, sense)))
}

fn of_json(value: Value) -> Node {
    match value {
        Value::Null => Node::text(""),
        Value::Bool(_) => Node::text("true"),
        Value::Number(number) => Node::text(number.to_string()),
        Value::String(text) => Node::text(text),
        Value::Array(items) => Node::List(items.into_iter().map(of_json).collect()),
        Value::Object(fields) => {
            Node::Map(fields.into_iter().map(|(key, field)| (key, of_json(field))).collect())
        }
    }
}

pub(super) fn toml(text: &str, sense: Sense) -> Option<Read> {
    let line = |line: &str| !line.starts_with('#') && line.contains('=');
    if !text.lines().any(line) {
        return None;
    }
    let table: toml::Table = toml::from_str(text).ok()?;
    Some(Read::Leaves(leaves(&of_toml(toml::Value::Table(table)), sense)))
}

fn of_toml(value: toml::Value) -> Node {
    match value {
        toml::Value::Table(fields) => {
            Node::Map(fields.into_iter().map(|(key, field)| (key, of_toml(field))).collect())
        }
        toml::Value::Array(items) => Node::List(items.into_iter().map(of_toml).collect()),
        toml::Value::String(text) => Node::text(text),
        toml::Value::Integer(number) => Node::text(number.to_string()),
        // A number with a point, a day or a switch is no secret.
        _ => Node::text(""),
    }
}

/// YAML 1.2, one document or several; only what is a mapping or a list of more than words.
pub(super) fn yaml(text: &str, sense: Sense) -> Option<Read> {
    let structured = |line: &str| {
        let line = line.trim_start();
        line.contains(": ") || line.trim_end().ends_with(':') || line.starts_with("- ")
    };
    if !text.starts_with(['{', '[']) && !text.lines().any(structured) {
        return None;
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        builder.take(event.ok()?.0)?;
    }
    let mut roots = (!builder.sentence).then_some(builder.roots)?;
    let is_tree = |node: &Node| matches!(node, Node::Map(_) | Node::List(_));
    if !roots.iter().any(is_tree) {
        return None;
    }
    let root = if roots.len() == 1 { roots.pop()? } else { Node::List(roots) };
    Some(Read::Leaves(leaves(&root, sense)))
}

/// A tree made of events, without recursion.
#[derive(Default)]
struct Builder {
    roots: Vec<Node>,
    open: Vec<Open>,
    nodes: usize,
    /// Whether a key is none: a command with a colon in it.
    sentence: bool,
}

enum Open {
    /// The fields, and the key that waits for its value.
    Map(Vec<(String, Node)>, Option<String>),
    List(Vec<Node>),
}

impl Builder {
    /// Nothing if the document is deeper or larger than what is read.
    fn take(&mut self, event: Event<'_>) -> Option<()> {
        self.nodes += 1;
        if self.open.len() > DEEPEST || self.nodes > 8 * MOST_LEAVES || self.sentence {
            return None;
        }
        match event {
            Event::Scalar(text, ..) => self.put(Node::text(text)),
            Event::Alias(_) => self.put(Node::text("")),
            Event::MappingStart(..) => self.open.push(Open::Map(Vec::new(), None)),
            Event::SequenceStart(..) => self.open.push(Open::List(Vec::new())),
            Event::MappingEnd | Event::SequenceEnd => {
                let node = match self.open.pop()? {
                    Open::Map(fields, _) => Node::Map(fields),
                    Open::List(items) => Node::List(items),
                };
                self.put(node);
            }
            _ => {}
        }
        Some(())
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.roots.push(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map(fields, key)) => match (key.take(), node) {
                (Some(key), node) => fields.push((key, node)),
                (None, Node::Text(text)) => {
                    self.sentence |= text.contains(" -") || text.contains('"');
                    *key = Some(text.to_string());
                }
                // A key that is a tree itself: what is in it is read as a value.
                (None, node) => fields.push((String::new(), node)),
            },
        }
    }
}
