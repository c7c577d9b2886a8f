//! What a session's rights rest on, as it is at this moment: its own token, every token under which that was
//! issued, and the process at the root where the first session had none.
//!
//! Nothing that was true when a token was issued is relied on. What one of the ancestors has lost since (it was
//! revoked, it ended, its session gave something up, its uses are spent, the scope's policy lets tokens live
//! shorter) its descendants have lost, too.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    credential::{Bearer, Bound, LocalSession},
    documents::{self, Narrowing, Parent, StoredToken},
    holder::{Holder, State},
    refusal::{Code, Refusal},
};
use crate::{
    names::{GrantId, SecretName, TokenId},
    policy::Policy,
    supervise::Process,
    token::{Class, LEEWAY, Revocations, TokenError},
    vault::Vault,
};

/// Tokens between a session and its root, both counted. Helpers of helpers are rare; a loop is damage.
pub(crate) const DEEPEST: usize = 8;

/// A session and what it rests on, its own link first.
pub(crate) struct Chain {
    links: Vec<Link>,
    root: Root,
}

/// Where a chain ends.
enum Root {
    /// With a token that an operator issued.
    Operator(TokenId),
    /// With a session without a token.
    Local { principal: String, process: Option<Holder>, bound: Bound },
}

/// One session of a chain.
struct Link {
    /// Its token; nothing for a session without one.
    token: Option<StoredToken>,
    /// The document with its narrowings, and all that is in it.
    grants: String,
    narrowings: Vec<Narrowing>,
    /// Whose narrowings count, beside those that hold for everybody.
    session: Option<GrantId>,
}

/// Who shows a token.
#[derive(Debug, Clone, Copy)]
enum Shown {
    /// A process, or somebody of whom nothing is known.
    By(Option<Process>),
    /// Nobody: an operator looks at its record.
    ByNobody,
}

impl Chain {
    /// The chain of a session without a token.
    pub(crate) fn of_local(vault: &Vault, local: &LocalSession) -> Result<Self, Refusal> {
        let principal = local.principal();
        let root = Root::Local {
            principal: principal.clone(),
            process: local.process.and_then(Holder::of),
            bound: local.bound,
        };
        Ok(Self { links: vec![Link::local(vault, principal)?], root })
    }

    /// The chain of a token whose signature holds.
    pub(crate) fn of_token(
        vault: &Vault,
        token: StoredToken,
        bearer: &Bearer,
        revoked: &Revocations,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        Self::climb(vault, (token, bearer.session.clone()), Shown::By(bearer.shown_by), revoked, now)
    }

    /// The chain of a token that nobody shows: how it stands, for the operator.
    pub(crate) fn of_record(
        vault: &Vault,
        token: StoredToken,
        revoked: &Revocations,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        Self::climb(vault, (token, None), Shown::ByNobody, revoked, now)
    }

    fn climb(
        vault: &Vault,
        own: (StoredToken, Option<GrantId>),
        shown: Shown,
        revoked: &Revocations,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let mut links = Vec::new();
        let mut next = own;
        let root = loop {
            let (token, session) = next;
            check_token(&token, revoked, now)?;
            let parent = token.parent.clone();
            let (class, id) = (token.class, token.info.id.clone());
            links.push(Link::of(vault, token, session)?);
            if links.len() > DEEPEST {
                return Err(invalid());
            }
            next = match (class, parent) {
                (Class::Session, None) => break Root::Operator(id),
                (Class::Delegated, Some(Parent::Token(id))) => (stored(vault, &id)?, None),
                (Class::Delegated, Some(Parent::SessionOf { token, session })) => {
                    (stored(vault, &token)?, Some(session))
                }
                (Class::Delegated, Some(Parent::Local { principal, process, bound })) => {
                    check_process(&process, bound, shown)?;
                    links.push(Link::local(vault, principal.clone())?);
                    break Root::Local { principal, process: Some(process), bound };
                }
                // One that was issued by a session without a token, before those were put on record.
                (Class::Delegated, None) | (Class::Session, Some(_)) => return Err(invalid()),
            };
        };
        Ok(Self { links, root })
    }

    /// The record of the session's own token.
    pub(crate) fn token(&self) -> Option<&StoredToken> {
        self.links.first()?.token.as_ref()
    }

    /// What all that was issued at this chain's root is listed under.
    pub(crate) fn root(&self) -> &str {
        match &self.root {
            Root::Operator(id) => id.as_str(),
            Root::Local { principal, .. } => principal,
        }
    }

    /// The process that the chain ends with, where it does with one.
    pub(crate) fn process(&self) -> Option<&Holder> {
        match &self.root {
            Root::Operator(_) => None,
            Root::Local { process, .. } => process.as_ref(),
        }
    }

    /// Whether no more can be issued under it.
    pub(crate) fn is_deepest(&self) -> bool {
        self.links.iter().filter(|link| link.token.is_some()).count() >= DEEPEST
    }

    /// What a token that is issued by this session has as its parent.
    pub(crate) fn as_parent(&self) -> Result<Parent, Refusal> {
        let own = self.links.first().ok_or_else(invalid)?;
        match (&own.token, &own.session, &self.root) {
            (Some(token), Some(session), _) => {
                Ok(Parent::SessionOf { token: token.info.id.clone(), session: session.clone() })
            }
            (Some(token), None, _) => Ok(Parent::Token(token.info.id.clone())),
            (None, _, Root::Local { principal, process: Some(process), bound }) => {
                Ok(Parent::Local { principal: principal.clone(), process: process.clone(), bound: *bound })
            }
            (None, _, _) => Err(Refusal::new(
                Code::TokenInvalid,
                "what this session issued could not be ended with it: its process can't be told from others here",
                "start the server with --token-file FILE (authy-mcp config CLIENT --scope SCOPE --token writes one)",
            )),
        }
    }

    /// When it ends, in seconds: with the first of its tokens, of their longest lives by today's policy, and of
    /// what was given up.
    pub(crate) fn ends(&self, longest: Option<Duration>) -> Option<i64> {
        self.links.iter().flat_map(|link| link.ends(longest)).min()
    }

    /// How many more runs it is good for; nothing where any number.
    pub(crate) fn uses_left(&self) -> Option<u32> {
        self.links.iter().filter_map(Link::uses_left).min()
    }

    /// Takes one run off every budget of the chain: what is used below is used above.
    pub(crate) fn consume_use(&mut self, vault: &mut Vault, now: Timestamp) -> Result<(), Refusal> {
        if self.uses_left() == Some(0) {
            return Err(used_up());
        }
        for link in &mut self.links {
            link.consume_use(vault, now)?;
        }
        Ok(())
    }

    /// A policy with no more than what every session of the chain has.
    pub(crate) fn narrow(&self, mut policy: Policy) -> Result<Policy, Refusal> {
        let narrow = |policy: Policy, secrets: Option<&[SecretName]>, commands: Option<&[Vec<String>]>| {
            policy.narrowed(secrets, commands).map_err(|_| invalid())
        };
        for link in &self.links {
            if let Some(token) = &link.token {
                policy = narrow(policy, token.secrets.as_deref(), token.commands.as_deref())?;
            }
            for narrowing in link.own() {
                policy = narrow(policy, narrowing.secrets.as_deref(), narrowing.commands.as_deref())?;
            }
        }
        Ok(policy)
    }

    /// Whether one of its tokens has less by its claims, or any session that shows it gave something up.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.links.iter().any(|link| {
            let claims = |token: &StoredToken| token.secrets.is_some() || token.commands.is_some();
            link.token.as_ref().is_some_and(claims) || !link.narrowings.is_empty()
        })
    }

    /// The narrowings that the session itself has made, and where they are.
    pub(crate) fn own_narrowings(&self) -> (&str, &[Narrowing], Option<&GrantId>) {
        let own = &self.links[0];
        (&own.grants, &own.narrowings, own.session.as_ref())
    }
}

impl Link {
    fn of(vault: &Vault, token: StoredToken, session: Option<GrantId>) -> Result<Self, Refusal> {
        let grants = token.grants();
        let narrowings = documents::narrowings(vault, &grants)?;
        Ok(Self { token: Some(token), grants, narrowings, session })
    }

    fn local(vault: &Vault, principal: String) -> Result<Self, Refusal> {
        let narrowings = documents::narrowings(vault, &principal)?;
        Ok(Self { token: None, grants: principal, narrowings, session: None })
    }

    /// The narrowings that hold for this session.
    fn own(&self) -> impl Iterator<Item = &Narrowing> {
        self.narrowings.iter().filter(|narrowing| narrowing.holds_for(self.session.as_ref()))
    }

    fn ends(&self, longest: Option<Duration>) -> impl Iterator<Item = i64> {
        let token = self.token.as_ref().map(|token| token.ends(longest));
        token.into_iter().chain(self.own().filter_map(|narrowing| narrowing.ends))
    }

    fn uses_left(&self) -> Option<u32> {
        let token = self.token.as_ref().and_then(StoredToken::uses_left);
        token.into_iter().chain(self.own().filter_map(|narrowing| narrowing.uses_left)).min()
    }

    fn consume_use(&mut self, vault: &mut Vault, now: Timestamp) -> Result<(), Refusal> {
        if let Some(token) = self.token.as_mut().filter(|token| token.info.max_uses.is_some()) {
            token.info.uses = token.info.uses.saturating_add(1);
            documents::put_token(vault, token, now)?;
        }
        let mut spent = false;
        for narrowing in &mut self.narrowings {
            if narrowing.holds_for(self.session.as_ref())
                && let Some(left) = &mut narrowing.uses_left
            {
                *left = left.saturating_sub(1);
                spent = true;
            }
        }
        if spent {
            documents::put_narrowings(vault, &self.grants, &self.narrowings, now)?;
        }
        Ok(())
    }
}

impl StoredToken {
    /// When it ends: as it was signed, and no later than the policy of today lets one live.
    pub(crate) fn ends(&self, longest: Option<Duration>) -> i64 {
        let today = longest.map(|longest| self.info.issued_at.saturating_add_unsigned(longest.as_secs()));
        today.into_iter().chain([self.info.expires_at]).min().unwrap_or(self.info.expires_at)
    }

    fn uses_left(&self) -> Option<u32> {
        self.info.max_uses.map(|most| most.saturating_sub(self.info.uses))
    }
}

impl Narrowing {
    fn holds_for(&self, session: Option<&GrantId>) -> bool {
        self.session.is_none() || self.session.as_ref() == session
    }
}

/// What of a token doesn't depend on who shows it.
fn check_token(token: &StoredToken, revoked: &Revocations, now: Timestamp) -> Result<(), Refusal> {
    let info = &token.info;
    if revoked.names(&info.id, &info.subject, info.issued_at) {
        return Err(Refusal::from(TokenError::Revoked));
    }
    let second = now.as_second();
    if info.expires_at <= second {
        return Err(Refusal::from(TokenError::Expired));
    }
    if info.issued_at > second.saturating_add(LEEWAY) { Err(invalid()) } else { Ok(()) }
}

/// What was issued by a session without a token ends with it; that of a run's tree is good in that tree only.
fn check_process(root: &Holder, bound: Bound, shown: Shown) -> Result<(), Refusal> {
    // One that can't be looked at may have ended.
    if root.state() != State::Runs {
        return Err(Refusal::new(
            Code::TokenExpired,
            "the session under which this token was issued has ended",
            "ask for a new one: request_token with purpose subagent, in a session that goes on",
        ));
    }
    match (bound, shown) {
        (Bound::Process, _) | (Bound::Tree, Shown::ByNobody) => Ok(()),
        (Bound::Tree, Shown::By(Some(process))) if root.process().has_in_its_tree(process) => Ok(()),
        (Bound::Tree, Shown::By(_)) => Err(Refusal::new(
            Code::TokenInvalid,
            "this token is good only in the process tree of the run under which it was issued",
            "use it inside that run, or ask the operator for one: authy-mcp admin token issue --scope SCOPE",
        )),
    }
}

fn stored(vault: &Vault, id: &TokenId) -> Result<StoredToken, Refusal> {
    documents::token(vault, id)?.ok_or_else(invalid)
}

fn invalid() -> Refusal {
    Refusal::from(TokenError::Invalid)
}

pub(crate) fn used_up() -> Refusal {
    Refusal::new(
        Code::TokenExpired,
        "the credential has been used as often as it may be",
        "ask the operator for a new one: authy-mcp admin token issue --scope SCOPE",
    )
}
