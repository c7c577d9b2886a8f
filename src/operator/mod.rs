//! The operator's path: the same pipeline, with what only the person who can unlock may do.

mod accept;
mod log;
pub mod restore;
mod tokens;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::broker::{
    Opened,
    entry::Held,
    ground,
    guessable::{self, Unsaid},
    keys::Keys,
    pinned::{self, Applied, Word},
    records::{self, RecordError, StoredPolicy},
    refusal::{Code, Refusal},
    refuse, resolve,
};
use crate::{
    audit::{AuditError, IntentFacts, Note, OutcomeFacts, Room},
    names::{RunId, ScopeName, SecretName},
    policy::{
        self, Change, Decision, Document, Edition, Explanation, Finding, NewRule, Policy, Promised, Request,
        Resolved, RevealRequest,
    },
    redact,
    value::SecretValue,
    vault::{
        self, DocumentKind, Opener, Pin, SecretInfo, SecretMeta, UnlockKind, Vault, VaultError, VaultKey,
        VerifyReport, VersionInfo,
    },
};

/// What went wrong, for an exit code and the next thing to type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Exit code 1.
    Failed,
    /// Exit code 2: the request itself is wrong.
    Usage,
    /// Exit code 3.
    Locked,
    /// Exit code 4.
    Denied,
    /// Exit code 5.
    NotFound,
    /// Exit code 6.
    Busy,
    /// Exit code 7.
    Damaged,
}

/// A failed operation: what happened, and what to do next.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// What happened; never a value.
    pub message: String,
    /// What to do next, in the order in which to try it; a line each.
    pub hints: Vec<String>,
    /// Places in a document that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Whether values that can't be kept out of output are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakValues {
    /// They are refused.
    Refuse,
    /// They are taken, as the operator insists.
    Allow,
}

/// Operations of the person who can unlock the vault. Each opens the vault, acts, records, closes.
pub struct Admin {
    pub(super) home: PathBuf,
    pub(super) keys: Arc<Keys>,
    pub(super) principal: String,
    told: Option<Box<dyn Fn() + Send + Sync>>,
    /// Why a daemon that remembers the vault refuses it.
    refused: Option<Failure>,
}

/// A policy that was read, resolved and compared, and not yet applied.
pub struct PolicyPlan {
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
pub struct RulePromise {
    /// The rule's id, or its number.
    pub rule: String,
    /// What, and why.
    #[serde(flatten)]
    pub promised: Promised,
}

/// A policy that was applied by an earlier version, and what it does less than it says until it is applied again.
#[derive(Debug, Clone, Serialize)]
pub struct OutOfDate {
    /// Its scope.
    pub scope: ScopeName,
    /// What is less, or less promised, than it says; a line each.
    pub notes: Vec<String>,
}

impl OutOfDate {
    /// What to type to apply it again.
    pub fn remedy(&self) -> String {
        let scope = &self.scope;
        format!(
            "authy-mcp admin policy show {scope} >{scope}.toml, then authy-mcp admin policy apply {scope}.toml"
        )
    }
}

/// What a token is to be.
#[derive(Debug, Clone)]
pub struct TokenOrder {
    /// Bound to this scope, which must have a policy.
    pub scope: ScopeName,
    /// How long; the scope's limit where absent.
    pub ttl: Option<Duration>,
    /// How many runs.
    pub max_uses: Option<u32>,
    /// The principal; made up where absent.
    pub subject: Option<String>,
    /// The file in the home's `tokens/` that it is for, where it is renewed at each unlock.
    pub file: Option<String>,
}

pub use log::Close;
pub use tokens::{NarrowingEntry, TokenDetail, TokenEntry, TokenState};

pub use crate::audit::{Filter as AuditFilter, Found as AuditFound, LastDenial, Report as AuditReport};
pub use crate::broker::{ResolveContext, TokenInfo};

impl Failure {
    /// A failure of a kind, with what to do next.
    pub fn new(kind: FailureKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        let hints = if hint.is_empty() { Vec::new() } else { vec![hint] };
        Self { kind, message: message.into(), hints, findings: Vec::new() }
    }

    /// What happened and what to do, where there is one line for both.
    pub fn in_a_line(&self) -> String {
        std::iter::once(&self.message).chain(&self.hints).map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    /// The same with more to do.
    #[must_use]
    pub fn or(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl Admin {
    /// Makes a home with an empty vault, and records that.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn init(home: &Path, kind: UnlockKind, opener: &Opener, pin: Pin) -> Result<Self, Failure> {
        let key = vault::init(home, kind, opener, pin).map_err(vault_failure)?;
        let admin = Self::with_key(home, key);
        let note = admin.note("init", home.display().to_string(), None);
        admin.open()?.record_present(note).map_err(refused)?;
        Ok(admin)
    }

    /// Unlocks the vault of a home.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn unlock(home: &Path, opener: &Opener) -> Result<Self, Failure> {
        let key = vault::unlock(home, opener).map_err(vault_failure)?;
        Ok(Self::with_key(home, key))
    }

    pub(super) fn with_key(home: &Path, key: VaultKey) -> Self {
        let principal = format!("operator:{}", rustix::process::getuid().as_raw());
        Self { home: home.to_owned(), keys: Arc::new(Keys::new(key)), principal, told: None, refused: None }
    }

    /// Has a daemon be told of each change before that is acknowledged: what it has seen can't be put back.
    pub fn tell(&mut self, told: impl Fn() + Send + Sync + 'static) {
        self.told = Some(Box::new(told));
    }

    /// Has nothing be done but say what is there and what is wrong: a daemon refuses the vault.
    pub fn refuse(&mut self, why: Failure) {
        self.refused = Some(why);
    }

    /// What of this vault is not remembered outside of its home as it should be, and whether the clock is right.
    pub fn warnings(&self) -> Vec<String> {
        crate::broker::upkeep::warnings(&self.keys.freshness)
    }

    /// The identity, for the daemon that is to have it.
    pub fn identity(&self) -> SecretString {
        SecretString::from(self.keys.vault.identity_text().as_str())
    }

    /// A key by which a daemon and its operator show each other that both know the identity.
    pub fn local_key(&self) -> zeroize::Zeroizing<[u8; 32]> {
        self.keys.vault.derive(crate::broker::LOCAL_API)
    }

    /// How often the vault was changed, and when anything last happened in it.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn last_use(&self) -> Result<(u64, Option<String>), Failure> {
        let epoch = self.vault()?.epoch();
        Ok((epoch, self.last_event()?))
    }

    /// Puts on record that the vault was unlocked into a daemon.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn note_unlock(&self) -> Result<(), Failure> {
        self.act("unlock", self.home.display().to_string(), || Ok(()))
    }

    /// The home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Sets secrets, all or none.
    ///
    /// # Errors
    /// [`Failure`]; of kind denied for a value that can't be kept out of output, unless that is allowed.
    pub fn set(
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
            open.vault.set_secrets(changes, Timestamp::now()).map_err(vault_failure)
        })
    }

    /// All secrets, values aside.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn list(&self) -> Result<Vec<SecretInfo>, Failure> {
        self.vault()?.list_secrets().map_err(vault_failure)
    }

    /// One secret, value aside.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn get(&self, name: &SecretName) -> Result<SecretInfo, Failure> {
        self.vault()?.secret(name).map_err(vault_failure)?.ok_or_else(|| no_secret(name))
    }

    /// A value, for the operator's own eyes: decided, recorded, then revealed.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn reveal(&self, name: &SecretName, version: Option<u64>) -> Result<SecretValue, Failure> {
        let mut open = self.open()?;
        if open.vault.secret(name).map_err(vault_failure)?.is_none() {
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
        let intent = open.record_intent(allowed, RunId::random(), facts).map_err(refused)?;
        let value = open.vault.reveal(name, &intent).map_err(vault_failure);
        let outcome = if value.is_ok() { "revealed" } else { "failed" };
        let facts = OutcomeFacts {
            outcome: outcome.to_owned(),
            exit_code: None,
            duration_ms: 0,
            file_hits: Vec::new(),
            redactions: std::collections::BTreeMap::new(),
        };
        open.audit.record_outcome(intent, facts).map_err(audit_failure)?;
        open.anchor_in_vault().map_err(refused)?;
        value
    }

    /// Removes a secret and its versions.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn remove(&self, name: &SecretName) -> Result<(), Failure> {
        self.get(name)?;
        self.change("rm", name.to_string(), None, |open| {
            open.vault.remove_secret(name).map_err(vault_failure)
        })
    }

    /// Its versions.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn history(&self, name: &SecretName) -> Result<Vec<VersionInfo>, Failure> {
        self.vault()?.history(name).map_err(vault_failure)
    }

    /// Makes an older version the newest.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn rollback(&self, name: &SecretName, version: u64) -> Result<SecretInfo, Failure> {
        let kept = self.history(name)?;
        if !kept.iter().any(|kept| kept.version == version) {
            return Err(Failure::new(
                FailureKind::NotFound,
                format!("{name} has no version {version} that is kept"),
                format!("authy-mcp admin history {name}"),
            ));
        }
        self.change("rollback", name.to_string(), Some(format!("version {version}")), |open| {
            open.vault.rollback(name, version, Timestamp::now()).map_err(vault_failure)
        })
    }

    /// Scopes that have a policy.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn scopes(&self) -> Result<Vec<ScopeName>, Failure> {
        let names = self.vault()?.documents(DocumentKind::Policy).map_err(vault_failure)?;
        Ok(names.iter().filter_map(|name| ScopeName::parse(name).ok()).collect())
    }

    /// A scope's policy as it was applied.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn policy_text(&self, scope: &ScopeName) -> Result<String, Failure> {
        Ok(self.stored_policy(scope)?.ok_or_else(|| no_policy(scope))?.text)
    }

    fn stored_policy(&self, scope: &ScopeName) -> Result<Option<StoredPolicy>, Failure> {
        records::policy(&*self.vault()?, scope).map_err(record_failure)
    }

    /// Reads a document, resolves its programs on this machine, and compares it with what is applied.
    /// Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] with findings.
    pub fn plan_policy(&self, text: &str, machine: &ResolveContext) -> Result<PolicyPlan, Failure> {
        self.plan(text, machine, Word::Given)
    }

    fn plan(&self, text: &str, machine: &ResolveContext, word: Word) -> Result<PolicyPlan, Failure> {
        let document = Document::parse(text).map_err(|error| with_findings(error.0))?;
        let refused = document.unenforceable();
        if !refused.is_empty() {
            return Err(with_findings(refused));
        }
        let unsaid = guessable::unsaid(&*self.vault()?, &document).map_err(vault_failure)?;
        if !unsaid.is_empty() {
            return Err(with_findings(unsaid.into_iter().map(Unsaid::finding).collect()));
        }
        let before = self.stored_policy(&document.scope)?;
        let resolved = resolve::resolve(&document, machine).map_err(with_findings)?;
        let mut resolved = Resolved { values_judged: true, ..resolved };
        pinned::hold(&document, &mut resolved, machine);
        let applied = Applied { by: &self.principal, at: Timestamp::now().to_string(), word };
        let stood = before.as_ref().map(|stored| &stored.resolved);
        let findings = pinned::review(&document, &mut resolved, stood, &applied);
        if !findings.is_empty() {
            return Err(with_findings(findings));
        }
        let old = before.as_ref().map(StoredPolicy::document).transpose().map_err(record_failure)?;
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
    pub fn out_of_date(&self) -> Result<Vec<OutOfDate>, Failure> {
        let mut found = Vec::new();
        for scope in self.scopes()? {
            let Some(stored) = self.stored_policy(&scope)? else { continue };
            if stored.edition() < Edition::Typed {
                let notes = stored.compile().map_err(record_failure)?.notes_of_an_earlier_edition();
                found.extend((!notes.is_empty()).then_some(OutOfDate { scope, notes }));
            }
        }
        Ok(found)
    }

    /// The document that a new rule makes of a scope's policy.
    ///
    /// # Errors
    /// [`Failure`] with findings.
    pub fn plan_rule(
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
    pub fn apply_policy(&self, plan: PolicyPlan) -> Result<(), Failure> {
        let scope = plan.document.scope.clone();
        let digest = hex::encode(Sha256::digest(&plan.text));
        self.change("policy_apply", scope.to_string(), Some(format!("sha256 {digest}")), move |open| {
            let now = records::policy(&open.vault, &scope).map_err(record_failure)?;
            if now.map(|stored| stored.text) != plan.before {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!("the policy of {scope} was changed by somebody else in between"),
                    "look at it again: authy-mcp admin policy apply FILE",
                ));
            }
            let stored =
                StoredPolicy { text: plan.text, resolved: plan.resolved, edition: StoredPolicy::EDITION };
            records::put_policy(&mut open.vault, &scope, &stored, Timestamp::now()).map_err(record_failure)
        })
    }

    /// Rules that seal what can be guessed without saying so: scope, rule, secret. A policy that was applied
    /// before its values were judged goes on with them, and promises nothing but best effort there.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn guessable_seals(&self) -> Result<Vec<(ScopeName, String, SecretName)>, Failure> {
        let mut found = Vec::new();
        for scope in self.scopes()? {
            let Some(stored) = self.stored_policy(&scope)? else { continue };
            let document = stored.document().map_err(record_failure)?;
            let unsaid = guessable::unsaid(&*self.vault()?, &document).map_err(vault_failure)?;
            found.extend(unsaid.into_iter().map(|one| (scope.clone(), one.rule, one.secret)));
        }
        Ok(found)
    }

    /// Removes a scope's policy.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn remove_policy(&self, scope: &ScopeName) -> Result<(), Failure> {
        self.policy_text(scope)?;
        self.change("policy_rm", scope.to_string(), None, |open| {
            open.vault.remove_document(DocumentKind::Policy, scope.as_str()).map_err(vault_failure)
        })
    }

    /// Would this scope let one run this?
    ///
    /// # Errors
    /// [`Failure`].
    pub fn explain(&self, scope: &ScopeName, request: &Request) -> Result<Explanation, Failure> {
        let policy =
            self.stored_policy(scope)?.ok_or_else(|| no_policy(scope))?.compile().map_err(record_failure)?;
        let mut request = request.clone();
        request.resolved_program = resolve::program_of(&policy, &request);
        let facts = self.vault()?.facts(&policy.names_in_question(&request)).map_err(vault_failure)?;
        Ok(policy.explain(&request, &facts))
    }

    /// Writes a backup that stock age opens.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn backup(&self, dir: &Path) -> Result<u64, Failure> {
        self.act("backup", dir.display().to_string(), || self.vault()?.backup(dir).map_err(vault_failure))
    }

    /// Reads and compares everything in the vault.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn verify(&self) -> Result<VerifyReport, Failure> {
        let vault = self.vault_alone().map_err(|failure| self.refused.clone().unwrap_or(failure))?;
        let mut report = vault.verify().map_err(vault_failure)?;
        drop(vault);
        report.damage.extend(self.put_back());
        report.backups = vault::verify_backups(&self.home, &self.keys.vault);
        report.damage.extend(report.backups.damage.clone());
        Ok(report)
    }

    /// Makes an automatic backup where one is due. The change that it follows is made, whatever becomes of it.
    fn keep_backup(&self) {
        let open = || self.keys.open_vault(&self.home).map(Held::alone);
        if let Err(error) = crate::broker::upkeep::back_up(&self.home, &self.keys.vault, open) {
            tracing::warn!(%error, "the change is made, but no automatic backup could be; those before are kept");
        }
    }

    fn vault(&self) -> Result<Held, Failure> {
        Ok(self.open()?.vault)
    }

    /// The vault without its audit, or what it is damaged by.
    fn vault_or_damage(&self) -> Result<(Option<Vault>, Option<String>), Failure> {
        match self.vault_alone() {
            Ok(vault) => Ok((Some(vault), None)),
            Err(failure) if failure.kind == FailureKind::Damaged => Ok((None, Some(failure.in_a_line()))),
            Err(failure) => Err(failure),
        }
    }

    /// The vault without its audit, which may be what is to be mended.
    fn vault_alone(&self) -> Result<Vault, Failure> {
        let _first = vault::stand_first(&self.home, crate::broker::WAIT).map_err(vault_failure)?;
        self.keys.open_vault(&self.home).map_err(vault_failure)
    }

    /// Opens the vault before every agent's call that waits for it.
    pub(super) fn open(&self) -> Result<Opened, Failure> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let _first = vault::stand_first(&self.home, crate::broker::WAIT).map_err(vault_failure)?;
        Opened::new(&self.home, Arc::clone(&self.keys)).map_err(refused)
    }

    pub(super) fn audit_dir(&self) -> PathBuf {
        self.home.join("audit")
    }

    pub(super) fn note(&self, action: &str, target: String, detail: Option<String>) -> Note {
        Note::Admin { principal: self.principal.clone(), action: action.to_owned(), target, detail }
    }

    /// Works a change out, puts it on record, and makes it: what can't be recorded isn't done.
    fn change<T>(
        &self,
        action: &str,
        target: String,
        detail: Option<String>,
        make: impl FnOnce(&mut Opened) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // Before the vault is opened, which writes by itself.
        let room = Room::make(&self.audit_dir());
        let mut open = self.open()?;
        match make(&mut open) {
            Ok(made) => {
                open.record(self.note(action, target, detail)).map_err(refused)?;
                // A backup is none of what the reserve is for.
                drop(room);
                self.done(open);
                self.keep_backup();
                Ok(made)
            }
            Err(failure) => {
                open.vault.discard();
                self.failed(&mut open, action, target, &failure)?;
                Err(failure)
            }
        }
    }

    /// Puts on record what changes nothing in the vault, and does it.
    fn act<T>(
        &self,
        action: &str,
        target: String,
        make: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut open = self.open()?;
        open.record(self.note(action, target.clone(), None)).map_err(refused)?;
        open.anchor_in_vault().map_err(refused)?;
        drop(open);
        let made = make();
        if let Err(failure) = &made {
            self.failed(&mut self.open()?, action, target, failure)?;
        }
        made
    }

    fn failed(&self, open: &mut Opened, action: &str, target: String, why: &Failure) -> Result<(), Failure> {
        open.record(self.note(&format!("{action}_failed"), target, Some(why.message.clone())))
            .map_err(refused)?;
        open.anchor_in_vault().map_err(refused)
    }

    /// A change is made and remembered; a daemon has seen it before anybody is told.
    pub(super) fn done(&self, open: Opened) {
        drop(open);
        if let Some(told) = &self.told {
            told();
        }
    }
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

fn with_findings(findings: Vec<Finding>) -> Failure {
    let count = findings.len();
    Failure {
        findings,
        ..Failure::new(
            FailureKind::Usage,
            format!("the policy has {count} error{}", if count == 1 { "" } else { "s" }),
            "fix the errors above and apply again; nothing was changed",
        )
    }
}

fn no_secret(name: &SecretName) -> Failure {
    Failure::new(FailureKind::NotFound, format!("there is no secret called {name}"), "authy-mcp admin list")
}

fn no_policy(scope: &ScopeName) -> Failure {
    Failure::new(
        FailureKind::NotFound,
        format!("the scope {scope} has no policy"),
        format!("authy-mcp admin allow {scope} --secret NAME -- PROGRAM ARGUMENT"),
    )
}

pub(super) fn vault_failure(error: VaultError) -> Failure {
    if let VaultError::Unconfirmed { fingerprint, .. } = &error {
        let hint = accept_hint(fingerprint);
        return Failure::new(FailureKind::Damaged, error.to_string(), hint);
    }
    let message = error.to_string();
    if let VaultError::Io { source, .. } = &error {
        return Failure::new(FailureKind::Failed, message, refuse::remedy(source, "the home"));
    }
    let (kind, hint) = match error {
        VaultError::NoVault(_) => (FailureKind::NotFound, "authy-mcp init"),
        VaultError::AlreadyThere(_) => {
            (FailureKind::Denied, "use it, or set AUTHY_MCP_HOME to another directory")
        }
        VaultError::WrongKey(_) => (FailureKind::Locked, "authy-mcp doctor shows how this vault is unlocked"),
        VaultError::NoKeyring(_) => (
            FailureKind::Locked,
            "unlock the desktop's keyring, or choose another way: authy-mcp init --unlock identity-file",
        ),
        VaultError::Busy => (FailureKind::Busy, "wait for the other command to end, and type it again"),
        VaultError::Damaged { .. } => (
            FailureKind::Damaged,
            "authy-mcp admin verify names all of it; authy-mcp admin restore DIR brings a backup back",
        ),
        VaultError::NotFound { .. } => (FailureKind::NotFound, "authy-mcp admin list"),
        VaultError::TooLarge => {
            (FailureKind::Usage, "keep large files encrypted elsewhere, and their key here")
        }
        _ => (FailureKind::Failed, "authy-mcp doctor"),
    };
    Failure::new(kind, message, hint)
}

/// How a person says that a vault is right as it is.
fn accept_hint(fingerprint: &str) -> String {
    format!(
        "if this is the vault as you left it: authy-mcp admin verify --accept {fingerprint}; if not: authy-mcp admin restore DIR"
    )
}

pub(super) fn record_failure(error: RecordError) -> Failure {
    match error {
        RecordError::Vault(error) => vault_failure(error),
        unreadable @ RecordError::Unreadable { .. } => Failure::new(
            FailureKind::Damaged,
            unreadable.to_string(),
            "authy-mcp admin policy apply FILE writes it anew",
        ),
    }
}

pub(super) fn audit_failure(error: AuditError) -> Failure {
    let message = error.to_string();
    match error {
        AuditError::Busy => Failure::new(FailureKind::Busy, message, "type it again in a moment"),
        AuditError::Io { .. } => Failure::new(
            FailureKind::Failed,
            message,
            "free space, or fix the permissions of the home's audit directory; nothing was changed",
        ),
        AuditError::Damaged { .. } => Failure::new(
            FailureKind::Damaged,
            message,
            "authy-mcp admin audit verify names all of it; authy-mcp admin audit restart keeps it aside and begins anew",
        ),
    }
}

/// What a refusal means to an operator.
pub(super) fn refused(refusal: Refusal) -> Failure {
    let kind = match refusal.code {
        Code::VaultLocked => FailureKind::Locked,
        Code::Busy => FailureKind::Busy,
        Code::Damaged => FailureKind::Damaged,
        Code::AuditUnavailable if refusal.hint == refuse::DAMAGED_AUDIT => FailureKind::Damaged,
        _ => FailureKind::Failed,
    };
    // Whoever reads this is the operator.
    let hint = refusal.hint.replace("ask the operator to run: ", "").replace("ask the operator to ", "");
    let hint = refusal.operator_command.map_or(hint, |command| {
        format!("if the vault is as you left it: {command}; if not: authy-mcp admin restore DIR")
    });
    Failure::new(kind, refusal.message, hint)
}

#[cfg(test)]
mod editions;
