//! Documents that are trees: what their readers have in common.

use zeroize::Zeroizing;

use super::{
    body::{self, Writing},
    keys::{self, shown_key},
    leaf::{Leaf, Sense, inside},
    private::{self, Container},
};

/// The most leaves of one document: what has more is no secret but a data set, of which the first count.
pub(super) const MOST_LEAVES: usize = 4096;
/// How deep a document is read: people nest a dozen levels, and a walk must not exhaust the stack.
pub(super) const DEEPEST: usize = 48;

/// A part of a document.
pub(super) enum Node {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Text(Zeroizing<String>),
}

impl Node {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Zeroizing::new(text.into()))
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Whether a list has the lines of a key.
fn is_armour(items: &[Node]) -> bool {
    let begins = |item: &Node| {
        item.as_text().is_some_and(|line| line.starts_with("-----BEGIN ") && !line.contains("-----END "))
    };
    items.first().is_some_and(begins)
}

/// The leaves of a document, each with the sense of the key that it stands under. What has no key, in a list, is as
/// secret as the document; a document is no reason for its fields.
pub(super) fn leaves(root: &Node, sense: Sense) -> Vec<Leaf> {
    let list = matches!(root, Node::List(items) if items.iter().all(|item| matches!(item, Node::Text(_))));
    let sense = if list && sense >= Sense::Likely { Sense::Likely } else { Sense::Open };
    let mut leaves = Vec::new();
    walk(&mut leaves, root, "", sense, 0);
    leaves
}

fn walk(leaves: &mut Vec<Leaf>, node: &Node, place: &str, sense: Sense, depth: usize) {
    if leaves.len() >= MOST_LEAVES || depth > DEEPEST {
        return;
    }
    match node {
        Node::Text(text) => leaves.push(Leaf::new(place, sense, text)),
        Node::List(items) if is_armour(items) => {
            let lines: Vec<&str> = items.iter().filter_map(Node::as_text).collect();
            leaves.push(Leaf::new(place, Sense::Secret, &lines.join("\n")));
        }
        Node::List(items) => {
            if let Some(bytes) = list_of_bytes(items) {
                of_bytes(leaves, &inside(place, "its bytes"), bytes, sense);
            }
            for (at, item) in items.iter().enumerate() {
                walk(leaves, item, &format!("{place}[{at}]"), sense, depth + 1);
            }
        }
        Node::Map(fields) => {
            let named = named(fields);
            let web_key = fields.iter().any(|(key, _)| key == "kty");
            for (key, field) in fields {
                // A key may be the secret itself: `{"TOKEN": "user"}`.
                let shown = shown_key(key);
                leaves.push(Leaf::new(format!("a key of {}", or_document(place)), Sense::Open, key));
                let sense = match named {
                    _ if web_key => of_web_key(key),
                    Some(says) if is_value(key) => says.max(under(key, sense)),
                    Some(_) if is_name(key) => Sense::Plain,
                    _ => under(key, sense),
                };
                let place = joined(place, &shown);
                walk(leaves, field, &place, sense, depth + 1);
                if web_key && sense == Sense::Secret {
                    leaves.extend(number(&place, field));
                }
            }
        }
    }
}

/// A member of a JSON Web Key (RFC 7518, section 6): the public half, and the private one.
fn of_web_key(member: &str) -> Sense {
    match member {
        "d" | "p" | "q" | "dp" | "dq" | "qi" | "k" => Sense::Secret,
        _ => Sense::Plain,
    }
}

/// A private member stands for a number (RFC 7518, section 6).
fn number(place: &str, field: &Node) -> Option<Leaf> {
    let bytes = Writing::Base64.decode(field.as_text()?)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(Leaf::number(inside(place, "base64"), Zeroizing::new(bytes[zeros..].to_vec())))
}

/// A key as some wallets and languages write it: `[12, 255, …]`.
fn list_of_bytes(items: &[Node]) -> Option<Zeroizing<Vec<u8>>> {
    let byte = |item: &Node| item.as_text()?.parse().ok();
    Some(Zeroizing::new(items.iter().map(byte).collect::<Option<Vec<u8>>>()?))
}

/// Bytes by themselves: a key of a known form, or one if their place says so.
fn of_bytes(leaves: &mut Vec<Leaf>, place: &str, bytes: Zeroizing<Vec<u8>>, sense: Sense) {
    match private::read(&bytes) {
        Some(Container::Private(numbers)) => {
            leaves.extend(numbers.into_iter().map(|number| body::of(place, number)));
        }
        None if sense >= Sense::Likely => leaves.push(Leaf::number(place, bytes)),
        _ => {}
    }
}

fn or_document(place: &str) -> &str {
    if place.is_empty() { "the document" } else { place }
}

fn joined(place: &str, key: &str) -> String {
    if place.is_empty() || key.starts_with('[') { format!("{place}{key}") } else { format!("{place}.{key}") }
}

/// What a key says, where it says nothing what stands above it: `secrets: {foo: …}`.
fn under(key: &str, above: Sense) -> Sense {
    match keys::says(key) {
        Sense::Open if above >= Sense::Likely => Sense::Likely,
        Sense::Open => Sense::Open,
        said => said,
    }
}

/// Keys of pairs like `{"name": "DB_PASSWORD", "value": "…"}`, as lists of settings have them.
pub(super) fn is_name(key: &str) -> bool {
    ["name", "key", "id", "field", "label", "variable", "parametername", "parameterkey", "property"]
        .contains(&key.to_ascii_lowercase().as_str())
}

pub(super) fn is_value(key: &str) -> bool {
    ["value", "val", "content", "text", "parametervalue"].contains(&key.to_ascii_lowercase().as_str())
}

/// What the name of such a pair says of its value.
fn named(fields: &[(String, Node)]) -> Option<Sense> {
    let value = fields.iter().any(|(key, field)| is_value(key) && !matches!(field, Node::Map(_)));
    let names = fields.iter().filter(|(key, _)| is_name(key));
    let says = names.filter_map(|(_, name)| match name {
        Node::Text(name) => Some(keys::says(name)),
        _ => None,
    });
    says.max().filter(|_| value)
}
