//! Secrets, as the operator sets, shows and removes them.

use secrecy::ExposeSecret;

use super::{
    Admin,
    failure::{Failure, FailureKind, no_secret},
};
use crate::{
    audit::{IntentFacts, OutcomeFacts},
    names::{RunId, SecretName},
    policy::{Decision, Policy, RevealRequest},
    redact::{self, Masked},
    value::SecretValue,
    vault::{SecretInfo, SecretMeta, VersionInfo},
};

/// Whether values that can't be kept out of output are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WeakValues {
    /// They are refused.
    Refuse,
    /// They are taken, as the operator insists.
    Allow,
}

impl Admin {
    /// Sets secrets, all or none.
    ///
    /// # Errors
    /// [`Failure`]; of kind denied for a value that can't be kept out of output, unless that is allowed.
    pub(crate) fn set(
        &self,
        changes: Vec<(SecretName, SecretValue, SecretMeta)>,
        weak: WeakValues,
    ) -> Result<Vec<SecretInfo>, Failure> {
        if weak == WeakValues::Refuse {
            for (name, value, _) in &changes {
                refuse_weak(name, value)?;
            }
        }
        let names: Vec<String> = changes.iter().map(|(name, _, _)| name.to_string()).collect();
        self.change("set", names.join(" "), None, |open| {
            open.vault.set_secrets(changes, self.keys.clock().now()).map_err(Failure::from)
        })
    }

    /// All secrets, values aside.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn list(&self) -> Result<Vec<SecretInfo>, Failure> {
        self.vault()?.list_secrets().map_err(Failure::from)
    }

    /// One secret, value aside.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn get(&self, name: &SecretName) -> Result<SecretInfo, Failure> {
        self.vault()?.secret(name)?.ok_or_else(|| no_secret(name))
    }

    /// Which parts of a secret's value are masked in output: where they stand and how long they are.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn masked(&self, name: &SecretName) -> Result<Masked, Failure> {
        self.vault()?.judge(name, redact::masked)?.ok_or_else(|| no_secret(name))
    }

    /// A value, for the operator's own eyes: decided, recorded, then revealed.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn reveal(&self, name: &SecretName, version: Option<u64>) -> Result<SecretValue, Failure> {
        let mut open = self.open()?;
        if open.vault.secret(name)?.is_none() {
            return Err(no_secret(name));
        }
        let request = RevealRequest { secret: name.clone(), version };
        let allowed = match Policy::operator().decide_reveal(&request) {
            Decision::Deny(denial) => {
                return Err(Failure::new(FailureKind::Denied, denial.message, denial.hint));
            }
            Decision::Allow(allowed) => allowed,
        };
        let facts = IntentFacts {
            by: None,
            principal: self.principal.clone(),
            token: None,
            program_sha256: None,
            argv_sha256: None,
            cwd: None,
            sandbox: Vec::new(),
            interpreters: Vec::new(),
        };
        let intent = open.record_intent(allowed, RunId::random(), facts)?;
        let value = open.vault.reveal(name, &intent).map_err(Failure::from);
        let outcome = if value.is_ok() { "revealed" } else { "failed" };
        let facts = OutcomeFacts {
            outcome: outcome.to_owned(),
            exit_code: None,
            limit: None,
            duration_ms: 0,
            file_hits: Vec::new(),
            written: std::collections::BTreeMap::new(),
            redactions: std::collections::BTreeMap::new(),
        };
        open.audit.record_outcome(intent, facts)?;
        open.anchor_in_vault()?;
        value
    }

    /// Removes a secret and its versions.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn remove(&self, name: &SecretName) -> Result<(), Failure> {
        self.get(name)?;
        self.change("rm", name.to_string(), None, |open| {
            open.vault.remove_secret(name).map_err(Failure::from)
        })
    }

    /// Its versions.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn history(&self, name: &SecretName) -> Result<Vec<VersionInfo>, Failure> {
        self.vault()?.history(name).map_err(Failure::from)
    }

    /// Makes an older version the newest.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn rollback(&self, name: &SecretName, version: u64) -> Result<SecretInfo, Failure> {
        let kept = self.history(name)?;
        if !kept.iter().any(|kept| kept.version == version) {
            return Err(Failure::new(
                FailureKind::NotFound,
                format!("{name} has no version {version} that is kept"),
                format!("authy-mcp admin history {name}"),
            ));
        }
        self.change("rollback", name.to_string(), Some(format!("version {version}")), |open| {
            open.vault.rollback(name, version, self.keys.clock().now()).map_err(Failure::from)
        })
    }
}

/// Which parts of a value will be masked in output, before it is set.
#[expect(clippy::disallowed_methods, reason = "a value is judged before it is taken")]
pub(crate) fn masked_parts(value: &SecretValue) -> Masked {
    redact::masked(value.expose_secret())
}

#[expect(clippy::disallowed_methods, reason = "a value is judged before it is taken")]
fn refuse_weak(name: &SecretName, value: &SecretValue) -> Result<(), Failure> {
    let Some(weakness) = redact::weakness(value.expose_secret()) else { return Ok(()) };
    Err(Failure::new(
        FailureKind::Denied,
        format!("the value of {name} {weakness}: it can't be kept out of output"),
        "set a longer one (authy-mcp admin set KEY --generate), or insist with --allow-weak",
    ))
}
