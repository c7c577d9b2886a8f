//! What is kept of what the vault and the audit said, for as long as they say the same.
//!
//! Nothing of it is believed: the vault is asked at every request, and what is kept is found by the digest of what it
//! answers. A policy that was applied anew, or put back, is another digest, and is compiled anew. Who can change the
//! paths that a policy's promises rest on is looked at every time.

use std::{collections::HashMap, path::Path, sync::Arc};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{
    documents::{self, RecordError},
    ground,
};
use crate::{
    audit::{AuditError, AuditKeys, AuditLog, Head},
    names::ScopeName,
    policy::Policy,
    token::Revocations,
    vault::Vault,
};

/// Policies that are kept; past it all are compiled anew.
const POLICIES: usize = 256;

/// What is kept beside the keys of a vault, no longer than they are.
#[derive(Default)]
pub(crate) struct Kept {
    policies: Mutex<HashMap<[u8; 32], Policy>>,
    revocations: Mutex<Option<([u8; 32], Arc<Revocations>)>>,
    /// With the number of its chain.
    log: Mutex<Option<(u64, Arc<AuditLog>)>>,
}

impl Kept {
    /// A scope's policy, on this machine as it is now.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) fn policy(&self, vault: &Vault, scope: &ScopeName) -> Result<Option<Policy>, RecordError> {
        let Some(record) = documents::policy_record(vault, scope)? else { return Ok(None) };
        let digest = digest(&record);
        let known = self.policies.lock().get(&digest).cloned();
        let policy = match known {
            Some(policy) => policy,
            None => self.keep(digest, documents::policy_of(&record, scope)?.assemble()?),
        };
        Ok(Some(ground::look(policy)))
    }

    fn keep(&self, digest: [u8; 32], policy: Policy) -> Policy {
        let mut policies = self.policies.lock();
        if policies.len() >= POLICIES {
            policies.clear();
        }
        policies.insert(digest, policy.clone());
        policy
    }

    /// What was revoked.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) fn revocations(&self, vault: &Vault) -> Result<Arc<Revocations>, RecordError> {
        let Some(record) = documents::revocations_record(vault)? else { return Ok(Arc::default()) };
        let digest = digest(&record);
        let mut kept = self.revocations.lock();
        if let Some((known, revoked)) = &*kept
            && *known == digest
        {
            return Ok(Arc::clone(revoked));
        }
        let revoked = Arc::new(documents::revocations_of(&record)?);
        *kept = Some((digest, Arc::clone(&revoked)));
        Ok(revoked)
    }

    /// The audit log of a directory, read up to its end and held against the head that is remembered. Where what was
    /// known of it does not lead there, it is opened as by a process that knows no more of it than how far it was.
    ///
    /// # Errors
    /// [`AuditError`].
    pub(crate) fn log(
        &self,
        dir: &Path,
        keys: impl FnOnce() -> AuditKeys,
        anchor: Option<Head>,
        chain: u64,
    ) -> Result<Arc<AuditLog>, AuditError> {
        let mut kept = self.log.lock();
        let known = kept.as_ref().filter(|(known, log)| *known == chain && log.is_in(dir));
        if let Some((_, log)) = known
            && log.read_on(anchor).is_ok()
        {
            return Ok(Arc::clone(log));
        }
        let durable = known.and_then(|(_, log)| log.durable_head());
        let furthest = anchor.into_iter().chain(durable).max_by_key(|head| head.seq);
        let log = Arc::new(AuditLog::open(dir, keys(), furthest)?);
        *kept = Some((chain, Arc::clone(&log)));
        Ok(log)
    }
}

fn digest(record: &[u8]) -> [u8; 32] {
    Sha256::digest(record).into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use crate::names::ScopeName;

    const POLICY: &str = "scope = \"dev\"\nsandbox.mode = \"off\"\n[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"true\"]]\n";

    #[test]
    fn what_is_kept_is_of_this_version_and_no_other() {
        let bench = Bench::new(&[]);
        let scope = ScopeName::parse("dev").unwrap();
        let programs = |more: &str| {
            bench.policy(&POLICY.replace("[\"true\"]", more));
            let open = bench.open();
            let policy = open.keys.kept.policy(&open.vault, &scope).unwrap().unwrap();
            let rules = policy.document().allow.iter().flat_map(|rule| rule.commands.iter().flatten());
            rules.map(|pattern| pattern.program.clone()).collect::<Vec<_>>()
        };
        let before = programs("[\"true\"]");
        assert_eq!(programs("[\"true\"], [\"false\"]"), ["true", "false"]);
        assert_eq!(programs("[\"true\"]"), before, "put back");
    }
}
