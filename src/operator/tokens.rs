//! The operator's tokens: issued, listed with all that they rest on, revoked, renewed; and what their sessions
//! gave up, listed and lifted.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{
    Admin, TokenInfo,
    failure::{Failure, FailureKind, no_policy},
};
use crate::{
    broker::{
        Opened,
        chain::Chain,
        documents::{self, NarrowedUnder, Narrowing, Parent, StoredToken},
        holder::State,
        lineage,
        refusal::Code,
    },
    files,
    names::{GrantId, ScopeName, TokenId},
    token::{self, Class, Revocations},
    vault::{DocumentKind, Vault},
};

/// What a token is to be.
#[derive(Debug, Clone)]
pub(crate) struct TokenOrder {
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

/// A token, and how it stands at this moment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TokenEntry {
    /// What was issued.
    #[serde(flatten)]
    pub info: TokenInfo,
    /// The client that `config` issued it for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Under what it was issued, where not by an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// When it ends (RFC 3339): with what it was issued under, and no later than today's policy lets it.
    pub ends_at: String,
    /// The same in seconds.
    #[serde(skip)]
    pub ends: i64,
    /// Whether it was issued by a session and not by an operator.
    pub delegated: bool,
    /// Whether it, or what it was issued under, has less than its scope.
    pub narrowed: bool,
    /// How it stands.
    pub state: TokenState,
}

/// How a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenState {
    /// It is good.
    Good,
    /// It was revoked, or what it was issued under was.
    Revoked,
    /// It has ended, or what it was issued under has.
    Ended,
    /// Its runs are used up.
    Spent,
}

/// A token with what its sessions gave up.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TokenDetail {
    /// The token.
    #[serde(flatten)]
    pub entry: TokenEntry,
    /// What was given up.
    pub narrowings: Vec<NarrowingEntry>,
}

/// Something that was given up with `request_token`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NarrowingEntry {
    /// Its identity.
    pub id: GrantId,
    /// The one session that it holds for; everybody who shows the token where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<GrantId>,
    /// Whether that session's process has ended.
    pub session_ended: bool,
    /// When it was made (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_at: Option<String>,
    /// The secrets that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// The commands that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<Vec<String>>>,
    /// When it ends the session (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// The runs that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
}

impl Admin {
    /// Issues a token.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn issue_token(&self, order: &TokenOrder) -> Result<(SecretString, TokenInfo), Failure> {
        let ttl = self.time_to_live(order)?;
        let subject =
            order.subject.clone().unwrap_or_else(|| GrantId::random().as_str().replace("g_", "agent-"));
        let now = self.keys.freshness.now();
        let wanted = token::Order {
            class: Class::Session,
            sub: subject,
            scope: order.scope.clone(),
            secrets: None,
            commands: None,
            ttl,
        };
        // One that is issued in the second in which its subject was revoked begins behind it.
        let revoked = documents::revocations(&*self.vault()?)?;
        let first = revoked.not_before.get(&wanted.sub).and_then(|first| Timestamp::from_second(*first).ok());
        let begins = first.map_or(now, |first| first.max(now));
        let (token, claims) = self.keys.token.issue(wanted, begins);
        let info = TokenInfo::new(&claims, order.max_uses);
        let stored = StoredToken {
            class: Class::Session,
            parent: None,
            info: info.clone(),
            file: order.file.clone(),
            secrets: None,
            commands: None,
            narrowed_under: NarrowedUnder::Id,
        };
        let target = format!("{} {}", order.scope, info.id);
        self.change("token_issue", target, Some(format!("for {} s", ttl.as_secs())), |open| {
            if let Some(file) = &order.file {
                forget_file(&mut open.vault, file, now)?;
            }
            documents::put_token(&mut open.vault, &stored, now)?;
            self.sweep(open, now)
        })?;
        Ok((token, info))
    }

    /// How long a token is good for: what is asked for, if the scope's policy lets a token live as long.
    fn time_to_live(&self, order: &TokenOrder) -> Result<Duration, Failure> {
        let policy = self.stored_policy(&order.scope)?.ok_or_else(|| no_policy(&order.scope))?;
        let longest = policy.compile()?.document().limits.token_ttl;
        let ttl = order.ttl.unwrap_or(longest);
        if ttl > longest || ttl.is_zero() {
            return Err(Failure::new(
                FailureKind::Usage,
                format!("a token of {} lives between 1 s and {} s", order.scope, longest.as_secs()),
                "ask for less, or raise [limits] token_ttl in its policy",
            ));
        }
        Ok(ttl)
    }

    /// Issues a token into a file of the home's `tokens/`, where `unlock` renews it.
    ///
    /// # Errors
    /// [`Failure`].
    #[expect(clippy::disallowed_methods, reason = "a token goes into its file")]
    pub(crate) fn issue_token_file(&self, order: &TokenOrder) -> Result<PathBuf, Failure> {
        let name = order.file.as_deref().unwrap_or("session.jwt");
        let file = self.home.join("tokens").join(name);
        let (token, _) = self.issue_token(order)?;
        files::write_private(&file, token.expose_secret().as_bytes()).map_err(|error| {
            Failure::new(
                FailureKind::Failed,
                format!("{} can't be written: {error}", file.display()),
                "authy-mcp doctor",
            )
        })?;
        Ok(file)
    }

    /// Issues anew what `config` once wrote into `tokens/` and what has lived for more than half its
    /// time. What is in those files is not looked at: the vault knows what belongs there. What sessions of the old
    /// one gave up does not hold for the new one.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn renew_tokens(&self) -> Result<Vec<String>, Failure> {
        let vault = self.vault()?;
        let revoked = documents::revocations(&vault)?;
        let kept = all_tokens(&vault)?;
        drop(vault);
        let now = self.keys.freshness.now().as_second();
        let mut renewed = Vec::new();
        for token in kept {
            let StoredToken { info, file: Some(file), .. } = &token else { continue };
            if revoked.names(&info.id, &info.subject, info.issued_at) {
                continue;
            }
            let Some(policy) = self.stored_policy(&info.scope)? else { continue };
            let longest = policy.compile()?.document().limits.token_ttl;
            let ends = token.ends(Some(longest));
            if ends - now > (ends - info.issued_at) / 2 {
                continue;
            }
            let before = Duration::from_secs(u64::try_from(info.expires_at - info.issued_at).unwrap_or(0));
            let order = TokenOrder {
                scope: info.scope.clone(),
                ttl: Some(before.min(longest)),
                max_uses: info.max_uses,
                subject: Some(info.subject.clone()),
                file: Some(file.clone()),
            };
            renewed.push(self.issue_token_file(&order)?.display().to_string());
        }
        Ok(renewed)
    }

    /// Every token whose signed end has not come.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn tokens(&self) -> Result<Vec<TokenEntry>, Failure> {
        let vault = self.vault()?;
        let revoked = documents::revocations(&vault)?;
        let now = self.keys.freshness.now();
        let mut tokens = Vec::new();
        for token in all_tokens(&vault)? {
            if token.info.expires_at > now.as_second() {
                tokens.push(self.entry(&vault, token, &revoked, now)?);
            }
        }
        tokens.sort_by_key(|token| token.info.issued_at);
        Ok(tokens)
    }

    /// One token, and what its sessions gave up.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn token(&self, id: &TokenId) -> Result<TokenDetail, Failure> {
        let vault = self.vault()?;
        let token = documents::token(&vault, id)?.ok_or_else(|| no_token(id))?;
        let revoked = documents::revocations(&vault)?;
        let narrowings = documents::narrowings(&vault, &token.grants())?;
        let entry = self.entry(&vault, token, &revoked, self.keys.freshness.now())?;
        Ok(TokenDetail { entry, narrowings: narrowings.into_iter().map(narrowing_entry).collect() })
    }

    /// Takes back what sessions of a token gave up: it has again what its scope allows. Returns how many there were.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn lift_narrowings(&self, id: &TokenId) -> Result<usize, Failure> {
        let held = self.token(id)?.narrowings.len();
        if held == 0 {
            return Ok(0);
        }
        self.change("token_lift", id.to_string(), Some(format!("{held} narrowings")), |open| {
            let token = documents::token(&open.vault, id)?.ok_or_else(|| no_token(id))?;
            let lifted = documents::narrowings(&open.vault, &token.grants())?.len();
            documents::remove_narrowings(&mut open.vault, &token.grants())?;
            Ok(lifted)
        })
    }

    /// Revokes a token, and with it all that were issued under it.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn revoke_token(&self, id: &TokenId) -> Result<(), Failure> {
        self.change("token_revoke", id.to_string(), None, |open| {
            if documents::token(&open.vault, id)?.is_none() {
                return Err(no_token(id));
            }
            let now = self.keys.freshness.now();
            let mut revoked = documents::revocations(&open.vault)?;
            revoked.tokens.insert(id.clone(), now);
            documents::put_revocations(&mut open.vault, &revoked, now)?;
            self.sweep(open, now)
        })
    }

    /// Revokes every token of a subject that was issued before this moment.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn revoke_subject(&self, subject: &str) -> Result<(), Failure> {
        self.change("subject_revoke", subject.to_owned(), None, |open| {
            let now = self.keys.freshness.now();
            let mut revoked = documents::revocations(&open.vault)?;
            revoked.not_before.insert(subject.to_owned(), now.as_second().saturating_add(1));
            documents::put_revocations(&mut open.vault, &revoked, now)?;
            self.sweep(open, now)
        })
    }

    fn sweep(&self, open: &mut Opened, now: Timestamp) -> Result<(), Failure> {
        lineage::sweep(&mut open.vault, &self.home, now).map(drop).map_err(Failure::from)
    }

    fn entry(
        &self,
        vault: &Vault,
        token: StoredToken,
        revoked: &Revocations,
        now: Timestamp,
    ) -> Result<TokenEntry, Failure> {
        let longest = match documents::policy(vault, &token.info.scope)? {
            Some(stored) => Some(stored.compile()?.document().limits.token_ttl),
            None => None,
        };
        let (client, parent) = (client_of(&token), token.parent.as_ref().map(parent_text));
        let (info, delegated) = (token.info.clone(), token.is_delegated());
        let own_end = token.ends(longest);
        let (state, ends, narrowed) = match Chain::of_record(vault, token, revoked, now) {
            Ok(chain) => {
                let ends = chain.ends(longest).unwrap_or(own_end);
                let state = match chain.uses_left() {
                    _ if ends <= now.as_second() => TokenState::Ended,
                    Some(0) => TokenState::Spent,
                    _ => TokenState::Good,
                };
                (state, ends, chain.is_narrowed())
            }
            Err(refusal) if refusal.code == Code::TokenExpired => (TokenState::Ended, own_end, false),
            Err(refusal) if refusal.code == Code::TokenInvalid => (TokenState::Revoked, own_end, false),
            Err(refusal) => return Err(Failure::from(refusal)),
        };
        Ok(TokenEntry {
            info: TokenInfo { revoked: state == TokenState::Revoked, ..info },
            client,
            parent,
            ends_at: time_text(ends),
            ends,
            delegated,
            narrowed,
            state,
        })
    }
}

fn all_tokens(vault: &Vault) -> Result<Vec<StoredToken>, Failure> {
    let mut tokens = Vec::new();
    for name in vault.documents(DocumentKind::Token)? {
        let Ok(id) = TokenId::parse(&name) else { continue };
        tokens.extend(documents::token(vault, &id)?);
    }
    Ok(tokens)
}

/// A file is one token's: the one that it held before is not renewed any more.
fn forget_file(vault: &mut Vault, file: &str, now: Timestamp) -> Result<(), Failure> {
    for mut stored in all_tokens(vault)? {
        if stored.file.as_deref() == Some(file) {
            stored.file = None;
            documents::put_token(vault, &stored, now)?;
        }
    }
    Ok(())
}

/// `config` calls its files `SCOPE-CLIENT.jwt`.
fn client_of(token: &StoredToken) -> Option<String> {
    let file = token.file.as_deref()?;
    let name = file.strip_suffix(".jwt").unwrap_or(file);
    let scope = format!("{}-", token.info.scope);
    Some(name.strip_prefix(&scope).unwrap_or(name).to_owned())
}

fn parent_text(parent: &Parent) -> String {
    match parent {
        Parent::Token(id) | Parent::SessionOf { token: id, .. } => id.to_string(),
        Parent::Local { principal, .. } => principal.clone(),
    }
}

fn narrowing_entry(narrowing: Narrowing) -> NarrowingEntry {
    NarrowingEntry {
        session_ended: narrowing.process.as_ref().is_some_and(|holder| holder.state() == State::Ended),
        id: narrowing.id,
        session: narrowing.session,
        made_at: narrowing.made_at.map(time_text),
        secrets: narrowing.secrets.map(|names| names.iter().map(ToString::to_string).collect()),
        commands: narrowing.commands,
        ends_at: narrowing.ends.map(time_text),
        uses_left: narrowing.uses_left,
    }
}

fn time_text(second: i64) -> String {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX).to_string()
}

fn no_token(id: &TokenId) -> Failure {
    Failure::new(FailureKind::NotFound, format!("no token {id} was issued"), "authy-mcp admin token list")
}
