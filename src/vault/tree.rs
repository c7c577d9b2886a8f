//! The index of a vault: a tree of encrypted nodes, from "kind name" to what is known of it.
//!
//! Nodes are objects, and so never change: a change of some entries makes the nodes on the way to them anew, up to the
//! top, whose id the root has. What the tree held before stays readable until it is let go. All leaves are equally
//! deep; no node is larger than [`LARGEST`], and few are small.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{VaultError, index::Entry};
use crate::store::{Object, ObjectId};

/// The most that a node's text may be, in bytes; encrypted it stays under 32 KiB.
const LARGEST: usize = 16 << 10;
/// What is smaller is joined with its neighbour.
const SMALL: usize = 4 << 10;

/// What a node is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Node {
    Leaf(BTreeMap<String, Entry>),
    Inner(Vec<Child>),
}

/// A node below another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Child {
    /// Its first key.
    first: String,
    pub id: ObjectId,
    /// How long its text is.
    size: usize,
}

/// Where nodes are read, and how they become objects.
pub(super) trait Nodes {
    fn read(&self, id: &ObjectId) -> Result<Arc<Node>, VaultError>;
    /// Takes the node itself, too, which is mostly read again behind the change.
    fn seal(&self, node: Node, text: &[u8]) -> Result<Object, VaultError>;
}

/// Entries to be set, or taken away.
pub(super) type Changes = BTreeMap<String, Option<Entry>>;

/// What a change has made of a tree.
#[derive(Debug, Default)]
pub(super) struct Edited {
    pub top: Option<ObjectId>,
    pub made: Vec<Object>,
    pub dropped: Vec<ObjectId>,
}

/// One entry.
pub(super) fn find(
    nodes: &impl Nodes,
    top: Option<ObjectId>,
    key: &str,
) -> Result<Option<Entry>, VaultError> {
    let Some(mut id) = top else { return Ok(None) };
    loop {
        match &*nodes.read(&id)? {
            Node::Leaf(entries) => return Ok(entries.get(key).cloned()),
            Node::Inner(children) => {
                let after = children.partition_point(|child| child.first.as_str() <= key);
                let Some(child) = after.checked_sub(1).and_then(|at| children.get(at)) else {
                    return Ok(None);
                };
                id = child.id;
            }
        }
    }
}

/// Every entry whose key begins so, in the order of the keys.
pub(super) fn scan(
    nodes: &impl Nodes,
    top: Option<ObjectId>,
    prefix: &str,
    visit: &mut dyn FnMut(Entry),
) -> Result<(), VaultError> {
    let Some(top) = top else { return Ok(()) };
    match &*nodes.read(&top)? {
        Node::Leaf(entries) => {
            let found = entries.iter().filter(|(key, _)| key.starts_with(prefix));
            found.for_each(|(_, entry)| visit(entry.clone()));
        }
        Node::Inner(children) => {
            for (at, child) in children.iter().enumerate() {
                let before = child.first.as_str() > prefix && !child.first.starts_with(prefix);
                let behind = children.get(at + 1).is_some_and(|next| next.first.as_str() <= prefix);
                if !before && !behind {
                    scan(nodes, Some(child.id), prefix, visit)?;
                }
            }
        }
    }
    Ok(())
}

/// Every node that can be reached, and every one that can't be read.
pub(super) fn walk(
    nodes: &impl Nodes,
    top: Option<ObjectId>,
    visit: &mut dyn FnMut(ObjectId, Result<Arc<Node>, VaultError>),
) {
    let mut rest: Vec<ObjectId> = top.into_iter().collect();
    while let Some(id) = rest.pop() {
        let node = nodes.read(&id);
        if let Ok(Node::Inner(children)) = node.as_deref() {
            rest.extend(children.iter().map(|child| child.id));
        }
        visit(id, node);
    }
}

/// Makes changes.
pub(super) fn edit(
    nodes: &impl Nodes,
    top: Option<ObjectId>,
    changes: Changes,
) -> Result<Edited, VaultError> {
    let mut editor = Editor { nodes, made: Vec::new(), dropped: Vec::new(), singles: HashMap::new() };
    let mut parts = match top {
        Some(top) => editor.edit(top, changes)?,
        None => packed(leaf_of(BTreeMap::new(), changes)),
    };
    // The parts are of one level: one more above them, until there is one that is the top.
    while parts.len() > 1 {
        let children = editor.sealed(parts)?;
        parts = packed(Node::Inner(children));
    }
    let top = match parts.pop() {
        None => None,
        Some(part) => {
            let top = editor.seal(part)?;
            Some(editor.without_singles(top.id))
        }
    };
    let Editor { made, mut dropped, .. } = editor;
    // What came out as it was is not let go.
    dropped.retain(|id| made.iter().all(|object| object.id() != *id));
    Ok(Edited { top, made, dropped })
}

/// A node among its like: one that is as it was, or one that is new, with its text.
enum Part {
    Same(Child),
    New(Node, Vec<u8>),
}

impl Part {
    fn new(node: Node) -> Self {
        let text = serde_json::to_vec(&node).expect("a node has string keys only");
        Self::New(node, text)
    }

    /// Whether it is new, and joined with its neighbour.
    fn is_small(&self) -> bool {
        matches!(self, Self::New(_, text) if text.len() < SMALL)
    }
}

struct Editor<'a, N> {
    nodes: &'a N,
    made: Vec<Object>,
    dropped: Vec<ObjectId>,
    /// New nodes that have one below them, and that one.
    singles: HashMap<ObjectId, ObjectId>,
}

impl<N: Nodes> Editor<'_, N> {
    /// What becomes of a node: any number of its level.
    fn edit(&mut self, id: ObjectId, changes: Changes) -> Result<Vec<Part>, VaultError> {
        self.dropped.push(id);
        match Arc::unwrap_or_clone(self.nodes.read(&id)?) {
            Node::Leaf(entries) => Ok(packed(leaf_of(entries, changes))),
            Node::Inner(children) => {
                let mut parts = Vec::new();
                let mut rest = changes;
                for (at, child) in children.iter().enumerate() {
                    let behind = match children.get(at + 1) {
                        Some(next) => rest.split_off(&next.first),
                        None => Changes::new(),
                    };
                    let here = std::mem::replace(&mut rest, behind);
                    if here.is_empty() {
                        parts.push(Part::Same(child.clone()));
                    } else {
                        parts.extend(self.edit(child.id, here)?);
                    }
                }
                let joined = self.joined(parts)?;
                let children = self.sealed(joined)?;
                Ok(packed(Node::Inner(children)))
            }
        }
    }

    /// Small new nodes are joined with the one before them, or behind.
    fn joined(&mut self, parts: Vec<Part>) -> Result<Vec<Part>, VaultError> {
        let mut done: Vec<Part> = Vec::new();
        for part in parts {
            let join = done.last().is_some_and(|last| last.is_small() || part.is_small());
            match done.pop() {
                Some(last) if join => {
                    let both = both(self.node(last)?, self.node(part)?);
                    done.extend(packed(both));
                }
                last => done.extend(last.into_iter().chain([part])),
            }
        }
        Ok(done)
    }

    fn node(&mut self, part: Part) -> Result<Node, VaultError> {
        match part {
            Part::New(node, _) => Ok(node),
            Part::Same(child) => {
                self.dropped.push(child.id);
                self.nodes.read(&child.id).map(Arc::unwrap_or_clone)
            }
        }
    }

    fn sealed(&mut self, parts: Vec<Part>) -> Result<Vec<Child>, VaultError> {
        parts.into_iter().map(|part| self.seal(part)).collect()
    }

    fn seal(&mut self, part: Part) -> Result<Child, VaultError> {
        let (node, text) = match part {
            Part::Same(child) => return Ok(child),
            Part::New(node, text) => (node, text),
        };
        let first = first_of(&node).to_owned();
        let only = match &node {
            Node::Inner(children) if children.len() == 1 => Some(children[0].id),
            _ => None,
        };
        let object = self.nodes.seal(node, &text)?;
        let child = Child { first, id: object.id(), size: text.len() };
        self.singles.extend(only.map(|only| (object.id(), only)));
        self.made.push(object);
        Ok(child)
    }

    /// A top that has a single node below it is nothing of its own.
    fn without_singles(&mut self, mut top: ObjectId) -> ObjectId {
        while let Some(only) = self.singles.get(&top).copied() {
            self.made.retain(|object| object.id() != top);
            top = only;
        }
        top
    }
}

fn leaf_of(mut entries: BTreeMap<String, Entry>, changes: Changes) -> Node {
    for (key, change) in changes {
        match change {
            Some(entry) => drop(entries.insert(key, entry)),
            None => drop(entries.remove(&key)),
        }
    }
    Node::Leaf(entries)
}

/// Nodes of one level, as one.
fn both(left: Node, right: Node) -> Node {
    match (left, right) {
        (Node::Leaf(mut left), Node::Leaf(right)) => {
            left.extend(right);
            Node::Leaf(left)
        }
        (Node::Inner(mut left), Node::Inner(right)) => {
            left.extend(right);
            Node::Inner(left)
        }
        // All leaves are equally deep; where somebody made it otherwise, the left one is kept as it is.
        (left, _) => left,
    }
}

/// A node, in as many as it takes, about equally large; none where there is nothing in it.
fn packed(node: Node) -> Vec<Part> {
    match node {
        Node::Leaf(entries) => {
            let size = |(key, entry): &(String, Entry)| text_size(&(key, entry));
            let pieces = pieces(entries.into_iter().collect(), size);
            pieces.into_iter().map(|piece| Part::new(Node::Leaf(piece.into_iter().collect()))).collect()
        }
        Node::Inner(children) => {
            pieces(children, text_size).into_iter().map(|piece| Part::new(Node::Inner(piece))).collect()
        }
    }
}

fn pieces<T>(items: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let sizes: Vec<usize> = items.iter().map(size).collect();
    let total: usize = sizes.iter().sum();
    let target = total.div_ceil(total.div_ceil(LARGEST).max(1));
    let mut done: Vec<Vec<T>> = Vec::new();
    let mut filled = usize::MAX;
    for (item, size) in items.into_iter().zip(sizes) {
        if filled.saturating_add(size) > target.max(size) && filled > 0 {
            done.push(Vec::new());
            filled = 0;
        }
        done.last_mut().expect("the first begins one").push(item);
        filled += size;
    }
    done
}

fn text_size(what: &impl Serialize) -> usize {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, what).expect("string keys only");
    length.0
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn first_of(node: &Node) -> &str {
    match node {
        Node::Leaf(entries) => entries.keys().next().map_or("", String::as_str),
        Node::Inner(children) => children.first().map_or("", |child| child.first.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::vault::SecretMeta;

    /// Nodes in the clear.
    #[derive(Default)]
    struct Plain(RefCell<BTreeMap<ObjectId, Vec<u8>>>);

    impl Nodes for Plain {
        fn read(&self, id: &ObjectId) -> Result<Arc<Node>, VaultError> {
            let held = self.0.borrow();
            let text = held.get(id).ok_or_else(|| VaultError::damaged(format!("no node {id:?}")))?;
            Ok(Arc::new(serde_json::from_slice(text).unwrap()))
        }

        fn seal(&self, _: Node, text: &[u8]) -> Result<Object, VaultError> {
            Ok(Object::new(text.to_vec()))
        }
    }

    impl Plain {
        fn take(&self, edited: &Edited) {
            let mut held = self.0.borrow_mut();
            held.extend(edited.made.iter().map(|object| (object.id(), object.bytes().to_vec())));
            for id in &edited.dropped {
                assert!(held.remove(id).is_some(), "only what is there is let go");
            }
        }
    }

    fn entry(name: &str, weight: usize) -> Entry {
        Entry {
            kind: "secret".into(),
            name: name.into(),
            meta: SecretMeta { description: Some("x".repeat(weight)), env: None },
            since: Timestamp::UNIX_EPOCH,
            versions: Vec::new(),
        }
    }

    /// Leaves are equally deep, nodes within bounds, keys in order; nothing else is kept.
    fn sound(nodes: &Plain, top: Option<ObjectId>) -> usize {
        fn depth(nodes: &Plain, id: ObjectId, seen: &mut usize) -> usize {
            *seen += 1;
            let node = Arc::unwrap_or_clone(nodes.read(&id).unwrap());
            let heavy = matches!(&node, Node::Leaf(entries) if entries.len() == 1);
            assert!(heavy || text_size(&node) <= LARGEST + 2000, "{}", text_size(&node));
            match node {
                Node::Leaf(entries) => {
                    assert!(!entries.is_empty());
                    0
                }
                Node::Inner(children) => {
                    assert!(children.is_sorted_by(|a, b| a.first < b.first) && !children.is_empty());
                    let depths: Vec<usize> =
                        children.iter().map(|child| depth(nodes, child.id, seen)).collect();
                    assert!(depths.iter().all(|found| *found == depths[0]));
                    depths[0] + 1
                }
            }
        }
        let mut seen = 0;
        let found = top.map_or(0, |top| depth(nodes, top, &mut seen));
        assert_eq!(nodes.0.borrow().len(), seen, "nothing is left over");
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_tree_holds_what_a_map_holds(
            rounds in prop::collection::vec(
                prop::collection::vec((0..400u32, prop::option::weighted(0.6, 0..3000usize)), 1..120), 1..8),
        ) {
            let (nodes, mut top, mut map) = (Plain::default(), None, BTreeMap::new());
            for round in rounds {
                let mut changes = Changes::new();
                for (number, weight) in round {
                    let (key, name) = (format!("secret s/{number:04}"), format!("s/{number:04}"));
                    match weight {
                        Some(weight) => drop(map.insert(key.clone(), weight)),
                        None => drop(map.remove(&key)),
                    }
                    changes.insert(key, weight.map(|weight| entry(&name, weight)));
                }
                let edited = edit(&nodes, top, changes).unwrap();
                nodes.take(&edited);
                top = edited.top;
                sound(&nodes, top);
                for key in (0..400).map(|number| format!("secret s/{number:04}")) {
                    let found = find(&nodes, top, &key).unwrap();
                    let weight = found.map(|entry| entry.meta.description.unwrap().len());
                    prop_assert_eq!(weight, map.get(&key).copied());
                }
                let prefix = "secret s/01";
                let mut found = Vec::new();
                scan(&nodes, top, prefix, &mut |entry| found.push(format!("secret {}", entry.name))).unwrap();
                let right: Vec<_> = map.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
                prop_assert_eq!(found, right);
            }
        }
    }

    #[test]
    fn a_large_tree_is_flat_and_empties_again() {
        let nodes = Plain::default();
        let all: Changes = (0..20_000)
            .map(|n| (format!("secret k/{n:05}"), Some(entry(&format!("k/{n:05}"), 60))))
            .collect();
        let keys: Vec<String> = all.keys().cloned().collect();
        let mut edited = edit(&nodes, None, all).unwrap();
        nodes.take(&edited);
        assert!(sound(&nodes, edited.top) <= 2);
        let one = Changes::from([(keys[777].clone(), Some(entry("k/00777", 61)))]);
        edited = edit(&nodes, edited.top, one).unwrap();
        assert!(edited.made.len() <= 3, "a change costs the way to it");
        nodes.take(&edited);
        for part in keys.chunks(3001) {
            edited = edit(&nodes, edited.top, part.iter().map(|key| (key.clone(), None)).collect()).unwrap();
            nodes.take(&edited);
            sound(&nodes, edited.top);
        }
        assert_eq!(edited.top, None);
    }
}
