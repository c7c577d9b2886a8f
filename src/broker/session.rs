//! Sessions: who calls, under which policy, until when. Rebuilt from the credential at every request.

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    Bearer, Credential,
    chain::{self, Chain},
    documents::{self, StoredToken},
    keys::VaultKeys,
    refusal::{Code, Refusal},
};
use crate::{
    names::{ScopeName, TokenId},
    policy::Policy,
    token::{Class, Revocations, TokenError},
    vault::Vault,
};

/// A caller, as far as this one request goes.
pub(crate) struct Session {
    /// `token:SUBJECT` or `local:UID#INSTANCE`.
    pub principal: String,
    /// What the session is bound to.
    pub scope: ScopeName,
    /// The scope's policy, narrowed by everything that the session rests on.
    pub policy: Policy,
    /// When the session ends, in seconds, whatever the credential says.
    pub ends: Option<i64>,
    /// What it rests on.
    pub chain: Chain,
}

/// Whether a session without a run left is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spent {
    Refuse,
    /// For a run that goes on: it has taken its use already.
    Overlook,
}

/// A credential that is good, before its policy is asked for anything.
struct Identity {
    principal: String,
    scope: ScopeName,
    chain: Chain,
    policy: Option<Policy>,
    ends: Option<i64>,
}

impl Session {
    /// Rebuilds the session of a credential: signature, and for all that it rests on revocation, expiry and
    /// budget; then policy and narrowings, all as they are in the vault at this moment.
    pub(crate) fn authenticate(
        vault: &Vault,
        keys: &VaultKeys,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        Self::of(present(vault, keys, credential, now, Spent::Refuse)?)
    }

    /// The same for a run that goes on.
    pub(crate) fn again(
        vault: &Vault,
        keys: &VaultKeys,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        Self::of(present(vault, keys, credential, now, Spent::Overlook)?)
    }

    fn of(caller: Identity) -> Result<Self, Refusal> {
        let Identity { principal, scope, chain, policy, ends } = caller;
        let policy = chain.narrow(policy.ok_or_else(|| no_policy(&scope))?)?;
        Ok(Self { principal, scope, policy, ends, chain })
    }

    /// The token's identity, where there is one.
    pub(crate) fn token_id(&self) -> Option<&TokenId> {
        self.chain.token().map(|token| &token.info.id)
    }

    /// Takes one run off every budget of the session, in the vault, before anything runs.
    pub(crate) fn consume_use(&mut self, vault: &mut Vault, now: Timestamp) -> Result<(), Refusal> {
        self.chain.consume_use(vault, now)
    }
}

fn present(
    vault: &Vault,
    keys: &VaultKeys,
    credential: &Credential,
    now: Timestamp,
    spent: Spent,
) -> Result<Identity, Refusal> {
    let (principal, scope, chain) = identify(vault, keys, credential, now)?;
    let policy = keys.kept.policy(vault, &scope)?;
    let ends = chain.ends(policy.as_ref().map(|policy| policy.document().limits.token_ttl));
    if ends.is_some_and(|end| end <= now.as_second()) {
        return Err(Refusal::from(TokenError::Expired));
    }
    if spent == Spent::Refuse && chain.uses_left() == Some(0) {
        return Err(chain::used_up());
    }
    Ok(Identity { principal, scope, chain, policy, ends })
}

fn identify(
    vault: &Vault,
    keys: &VaultKeys,
    credential: &Credential,
    now: Timestamp,
) -> Result<(String, ScopeName, Chain), Refusal> {
    match credential {
        Credential::Missing { why, hint } => Err(missing(why, hint)),
        Credential::Tree(_) => Err(not_vouched_for()),
        Credential::LocalScope(local) => {
            Ok((local.principal(), local.scope.clone(), Chain::of_local(vault, local)?))
        }
        Credential::Token(bearer) => {
            let revoked = keys.kept.revocations(vault)?;
            let token = verify_token(vault, keys, bearer, &revoked, now)?;
            let (principal, scope) = (format!("token:{}", token.info.subject), token.info.scope.clone());
            Ok((principal, scope, Chain::of_token(vault, token, bearer, &revoked, now)?))
        }
    }
}

/// The record of a token whose signature and claims hold.
#[expect(clippy::disallowed_methods, reason = "a bearer token is checked here, and only here")]
fn verify_token(
    vault: &Vault,
    keys: &VaultKeys,
    bearer: &Bearer,
    revoked: &Revocations,
    now: Timestamp,
) -> Result<StoredToken, Refusal> {
    let (class, claims) = keys.token.verify(bearer.text.expose_secret(), revoked, now)?;
    let record = documents::token(vault, &claims.jti)?.filter(|record| {
        let info = &record.info;
        record.class == class
            && info.scope == claims.scope
            && info.subject == claims.sub
            && (info.issued_at, info.expires_at) == (claims.iat, claims.exp)
    });
    // One of ours that a session issued, and of which there is no record any more, has ended with that.
    let gone = if class == Class::Delegated { TokenError::Expired } else { TokenError::Invalid };
    let record = record.ok_or_else(|| Refusal::from(gone))?;
    // Version 0.1 had them in the claims only.
    Ok(StoredToken { secrets: claims.secrets, commands: claims.commands, ..record })
}

fn no_policy(scope: &ScopeName) -> Refusal {
    Refusal {
        operator_command: Some(format!("authy-mcp admin allow {scope} --secret NAME -- PROGRAM ARGUMENT")),
        ..Refusal::new(
            Code::CommandNotAllowed,
            format!("the scope {scope} has no policy, so nothing is allowed"),
            "ask the operator to allow a command; authy-mcp admin policy list shows which scopes have a policy",
        )
    }
}

/// That a credential is good, whatever its policy says.
pub(crate) struct Good {
    /// Until when, in seconds.
    pub ends: Option<i64>,
    /// Whether the vault says all of it: what rests on a process may end before.
    pub by_the_vault: bool,
}

/// Whether a credential is good at this moment.
pub(crate) fn check(
    vault: &Vault,
    keys: &VaultKeys,
    credential: &Credential,
    now: Timestamp,
) -> Result<Good, Refusal> {
    let caller = present(vault, keys, credential, now, Spent::Refuse)?;
    Ok(Good { ends: caller.ends, by_the_vault: caller.chain.process().is_none() })
}

/// A call without a credential, and why it has none.
pub(crate) fn missing(why: &str, hint: &str) -> Refusal {
    Refusal::new(Code::TokenInvalid, why, hint)
}

/// Whoever vouches for a tree has made a scope of it already.
pub(crate) fn not_vouched_for() -> Refusal {
    Refusal::from(TokenError::Invalid)
}
