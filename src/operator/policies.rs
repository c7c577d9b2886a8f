//! Policies, as the operator plans, applies and asks about them.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    Admin,
    failure::{Failure, FailureKind, no_policy, with_findings},
};
use crate::{
    broker::{
        ResolveContext,
        documents::{self, StoredPolicy},
        ground,
        guessable::{self, Unsaid},
        pinned::{self, Applied, Word},
        resolve,
    },
    names::{ScopeName, SecretName},
    policy::{self, Change, Document, Explanation, Finding, NewRule, Policy, Promised, Request, Resolved},
    vault::DocumentKind,
};

/// A policy that was read, resolved and compared, and not yet applied.
pub(crate) struct PolicyPlan {
    /// The document.
    pub document: Document,
    /// Its text.
    pub text: String,
    /// What it changes; empty where it changes nothing.
    pub changes: Vec<Change>,
    /// What is weak in it.
    pub warnings: Vec<Finding>,
    /// What may be promised of each of its rules, and why no more.
    pub promises: Vec<RulePromise>,
    /// What its pinned rules hold, beside their programs.
    pub pins: Vec<String>,
    resolved: Resolved,
    before: Option<String>,
}

/// What may be promised of a rule.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RulePromise {
    /// The rule's id, or its number.
    pub rule: String,
    /// What, and why.
    #[serde(flatten)]
    pub promised: Promised,
}

/// A policy that was applied by an earlier version, and what it does less than it says until it is applied again.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OutOfDate {
    /// Its scope.
    pub scope: ScopeName,
    /// What is less, or less promised, than it says; a line each.
    pub notes: Vec<String>,
}

impl OutOfDate {
    /// What to type to apply it again.
    pub(crate) fn remedy(&self) -> String {
        let scope = &self.scope;
        format!(
            "authy-mcp admin policy show {scope} >{scope}.toml, then authy-mcp admin policy apply {scope}.toml"
        )
    }
}

impl Admin {
    /// Scopes that have a policy.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn scopes(&self) -> Result<Vec<ScopeName>, Failure> {
        let names = self.vault()?.documents(DocumentKind::Policy)?;
        Ok(names.iter().filter_map(|name| ScopeName::parse(name).ok()).collect())
    }

    /// A scope's policy as it was applied.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn policy_text(&self, scope: &ScopeName) -> Result<String, Failure> {
        Ok(self.stored_policy(scope)?.ok_or_else(|| no_policy(scope))?.text)
    }

    pub(super) fn stored_policy(&self, scope: &ScopeName) -> Result<Option<StoredPolicy>, Failure> {
        documents::policy(&*self.vault()?, scope).map_err(Failure::from)
    }

    /// Reads a document, resolves its programs on this machine, and compares it with what is applied.
    /// Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] with findings.
    pub(crate) fn plan_policy(&self, text: &str, machine: &ResolveContext) -> Result<PolicyPlan, Failure> {
        self.plan(text, machine, Word::Given)
    }

    fn plan(&self, text: &str, machine: &ResolveContext, word: Word) -> Result<PolicyPlan, Failure> {
        let document = Document::parse(text).map_err(|error| with_findings(error.0))?;
        let refused = document.unenforceable();
        if !refused.is_empty() {
            return Err(with_findings(refused));
        }
        let unsaid = guessable::unsaid(&*self.vault()?, &document)?;
        if !unsaid.is_empty() {
            return Err(with_findings(unsaid.into_iter().map(Unsaid::finding).collect()));
        }
        let before = self.stored_policy(&document.scope)?;
        let resolved = resolve::resolve(&document, machine).map_err(with_findings)?;
        let mut resolved = Resolved { values_judged: true, ..resolved };
        pinned::hold(&document, &mut resolved, machine);
        let applied = Applied { by: &self.principal, at: self.keys.clock().now().to_string(), word };
        let stood = before.as_ref().map(|stored| &stored.resolved);
        let findings = pinned::review(&document, &mut resolved, stood, &applied);
        if !findings.is_empty() {
            return Err(with_findings(findings));
        }
        let old = before.as_ref().map(StoredPolicy::document).transpose()?;
        let policy = ground::look(Policy::new(document.clone(), resolved.clone()));
        let promises = policy.promises().into_iter().map(|(rule, promised)| RulePromise { rule, promised });
        Ok(PolicyPlan {
            changes: policy::changes(old.as_ref(), &document),
            warnings: document.warnings(),
            promises: promises.collect(),
            pins: pinned::lines(&resolved),
            document,
            text: text.to_owned(),
            resolved,
            before: before.map(|stored| stored.text),
        })
    }

    /// The policies that an earlier version applied, with what each does less than it says. Applying one again, as it
    /// is or mended, ends that.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn out_of_date(&self) -> Result<Vec<OutOfDate>, Failure> {
        let mut found = Vec::new();
        for scope in self.scopes()? {
            let Some(stored) = self.stored_policy(&scope)? else { continue };
            let edition = stored.edition();
            let notes = stored.compile()?.notes_of_an_earlier_version(edition);
            found.extend((!notes.is_empty()).then_some(OutOfDate { scope, notes }));
        }
        Ok(found)
    }

    /// The document that a new rule makes of a scope's policy.
    ///
    /// # Errors
    /// [`Failure`] with findings.
    pub(crate) fn plan_rule(
        &self,
        scope: &ScopeName,
        rule: &NewRule,
        machine: &ResolveContext,
    ) -> Result<PolicyPlan, Failure> {
        let before = self.stored_policy(scope)?.map(|stored| stored.text);
        let text =
            policy::add_rule(before.as_deref(), scope, rule).map_err(|error| with_findings(error.0))?;
        self.plan(&text, machine, Word::Kept)
    }

    /// Applies what was planned; fails if another policy was applied in between.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn apply_policy(&self, plan: PolicyPlan) -> Result<(), Failure> {
        let scope = plan.document.scope.clone();
        let digest = hex::encode(Sha256::digest(&plan.text));
        self.change("policy_apply", scope.to_string(), Some(format!("sha256 {digest}")), move |open| {
            let now = documents::policy(&open.vault, &scope)?;
            if now.map(|stored| stored.text) != plan.before {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!("the policy of {scope} was changed by somebody else in between"),
                    "look at it again: authy-mcp admin policy apply FILE",
                ));
            }
            let stored =
                StoredPolicy { text: plan.text, resolved: plan.resolved, edition: StoredPolicy::EDITION };
            documents::put_policy(&mut open.vault, &scope, &stored, self.keys.clock().now())
                .map_err(Failure::from)
        })
    }

    /// Rules that seal what can be guessed without saying so: scope, rule, secret. A policy that was applied
    /// before its values were judged goes on with them, and promises nothing but best effort there.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn guessable_seals(&self) -> Result<Vec<(ScopeName, String, SecretName)>, Failure> {
        let mut found = Vec::new();
        for scope in self.scopes()? {
            let Some(stored) = self.stored_policy(&scope)? else { continue };
            let document = stored.document()?;
            let unsaid = guessable::unsaid(&*self.vault()?, &document)?;
            found.extend(unsaid.into_iter().map(|one| (scope.clone(), one.rule, one.secret)));
        }
        Ok(found)
    }

    /// Removes a scope's policy.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn remove_policy(&self, scope: &ScopeName) -> Result<(), Failure> {
        self.policy_text(scope)?;
        self.change("policy_rm", scope.to_string(), None, |open| {
            open.vault.remove_document(DocumentKind::Policy, scope.as_str()).map_err(Failure::from)
        })
    }

    /// Would this scope let one run this?
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn explain(&self, scope: &ScopeName, request: &Request) -> Result<Explanation, Failure> {
        let policy = self.stored_policy(scope)?.ok_or_else(|| no_policy(scope))?.compile()?;
        let mut request = request.clone();
        request.resolved_program = resolve::program_of(&policy, &request);
        let facts = self.vault()?.facts(&policy.names_in_question(&request))?;
        Ok(policy.explain(&request, &facts))
    }
}
