//! Reads and compares all that a vault holds.

use std::{collections::HashSet, sync::Arc};

use serde::Serialize;

use super::Vault;
use crate::{
    store::{Object, ObjectId},
    vault::{
        Backups, VaultError,
        index::{self, Entry},
        object,
        tree::{self, Node, Nodes},
    },
};

/// What `verify` found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
    /// Records that were read and compared.
    pub records: u64,
    /// The vault's epoch: it grows with every change.
    pub epoch: u64,
    /// Everything that is wrong, each with its place.
    pub damage: Vec<String>,
    /// The automatic backups.
    pub backups: Backups,
}

impl Vault {
    /// Reads and compares everything.
    ///
    /// # Errors
    /// [`VaultError`] where it can't even be started.
    pub fn verify(&self) -> Result<VerifyReport, VaultError> {
        let mut report = VerifyReport { epoch: self.root.epoch, ..VerifyReport::default() };
        if let Err(error) = self.store.check() {
            report.damage.push(VaultError::from(error).to_string());
        }
        let mut named = HashSet::new();
        // What is kept in memory says nothing of the disk.
        tree::walk(&Uncached(self), self.root.top, &mut |id, node| match node {
            Err(error) => report.damage.push(error.to_string()),
            Ok(node) => {
                named.insert(id);
                self.verify_author(id, "an index node", &mut report);
                if let Node::Leaf(entries) = &*node {
                    named
                        .extend(entries.values().flat_map(|entry| &entry.versions).map(|version| version.id));
                    entries.values().for_each(|entry| self.verify_entry(entry, &mut report));
                }
            }
        });
        for key in self.store.values("")?.into_keys().filter(|key| !index::is_known(key)) {
            report.damage.push(format!("store/: {key} is a value of nothing that this version knows"));
        }
        if report.damage.is_empty() {
            self.collect(&named)?;
        }
        Ok(report)
    }

    /// Lets go of objects that nothing names: a change that was cut short left them.
    fn collect(&self, named: &HashSet<ObjectId>) -> Result<(), VaultError> {
        let left: Vec<ObjectId> = self.store.list()?.into_iter().filter(|id| !named.contains(id)).collect();
        tracing::debug!(objects = left.len(), "nothing names them");
        Ok(self.store.remove(&left)?)
    }

    fn verify_entry(&self, entry: &Entry, report: &mut VerifyReport) {
        for version in &entry.versions {
            match self.record(entry, Some(version.version)) {
                Ok(_) => report.records += 1,
                Err(error) => report.damage.push(error.to_string()),
            }
            self.verify_author(version.id, &format!("the {} {}", entry.kind, entry.name), report);
        }
    }

    /// Whoever can encrypt to the vault has not for that reason made what is in it.
    fn verify_author(&self, id: ObjectId, what: &str, report: &mut VerifyReport) {
        let Ok(Some(bytes)) = self.store.get(&id) else { return };
        let authors = self.root.authors.values();
        if object::open(&bytes).is_some_and(|opened| !opened.is_by(authors, &self.root.vault_id)) {
            report.damage.push(format!("store/: {what} was made by nobody that the root names"));
        }
    }
}

/// The nodes of a vault as they are in the store.
struct Uncached<'a>(&'a Vault);

impl Nodes for Uncached<'_> {
    fn read(&self, id: &ObjectId) -> Result<Arc<Node>, VaultError> {
        self.0.decrypt_node(id).map(Arc::new)
    }

    fn seal(&self, node: Node, text: &[u8]) -> Result<Object, VaultError> {
        self.0.seal(node, text)
    }
}
