//! Sessions: who calls, under which policy, until when. Rebuilt from the credential at every request.

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    Credential,
    keys::Keys,
    records::{self, Narrowing, StoredToken},
    refusal::{Code, Refusal},
    refuse::{from_record, from_token},
};
use crate::{
    name::{GrantId, ScopeName, TokenId},
    policy::Policy,
    token::{Claims, Class, Revocations, TokenError},
    vault::Vault,
};

/// A caller, as far as this one request goes.
pub(super) struct Session {
    /// `token:SUBJECT` or `local:UID#INSTANCE`.
    pub principal: String,
    /// What the session is bound to.
    pub scope: ScopeName,
    /// The scope's policy, narrowed by the credential and by every grant of the principal.
    pub policy: Policy,
    /// The token's claims and record, where there is one.
    pub token: Option<(Claims, StoredToken)>,
    /// What the principal gave up.
    pub narrowings: Vec<Narrowing>,
    /// When the session ends, in seconds, whatever the credential says.
    pub ends: Option<i64>,
}

/// Who a credential says it is, before any policy is looked at.
struct Caller {
    principal: String,
    scope: ScopeName,
    token: Option<(Claims, StoredToken)>,
}

impl Session {
    /// Rebuilds the session of a credential: signature, expiry, revocation, budget, then policy and
    /// narrowings, all as they are in the vault at this moment.
    pub(super) fn authenticate(
        vault: &Vault,
        keys: &Keys,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let (caller, narrowings, ends) = present(vault, keys, credential, now)?;
        let policy = session_policy(vault, &caller, &narrowings)?;
        Ok(Self {
            principal: caller.principal,
            scope: caller.scope,
            policy,
            token: caller.token,
            narrowings,
            ends,
        })
    }

    /// The token's identity, where there is one.
    pub(super) fn token_id(&self) -> Option<&TokenId> {
        self.token.as_ref().map(|(claims, _)| &claims.jti)
    }

    /// Takes one run off every budget of the session, in the vault, before anything runs.
    pub(super) fn spend(&mut self, vault: &mut Vault, now: Timestamp) -> Result<(), Refusal> {
        if let Some((_, record)) = &mut self.token {
            record.spend().map_err(|()| used_up())?;
            if record.info.max_uses.is_some() {
                records::put_token(vault, record, now).map_err(from_record)?;
            }
        }
        for narrowing in &mut self.narrowings {
            narrowing.spend().map_err(|()| used_up())?;
        }
        if self.narrowings.iter().any(|n| n.uses_left.is_some()) {
            records::put_narrowings(vault, &self.principal, &self.narrowings, now).map_err(from_record)?;
        }
        Ok(())
    }
}

/// The caller, what it gave up, and when its session ends, if that isn't past.
fn present(
    vault: &Vault,
    keys: &Keys,
    credential: &Credential,
    now: Timestamp,
) -> Result<(Caller, Vec<Narrowing>, Option<i64>), Refusal> {
    let caller = identify(vault, keys, credential, now)?;
    let narrowings = records::narrowings(vault, &caller.principal).map_err(from_record)?;
    let ends = earliest_end(&caller, &narrowings);
    if ends.is_some_and(|end| end <= now.as_second()) {
        return Err(expired());
    }
    if narrowings.iter().any(|narrowing| narrowing.uses_left == Some(0)) {
        return Err(used_up());
    }
    Ok((caller, narrowings, ends))
}

impl Session {
    /// Gives some of the session's own uses to a credential that is issued under it: together they are
    /// never worth more than before.
    pub(super) fn hand_over(
        &mut self,
        vault: &mut Vault,
        uses: Option<u32>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let left = self.uses_left();
        match (left, uses) {
            (None, _) => Ok(()),
            (Some(left), Some(uses)) if uses <= left => (0..uses).try_for_each(|_| self.spend(vault, now)),
            (Some(left), _) => Err(Refusal::new(
                Code::BadArgument,
                format!("{left} uses of this session are left, and what is handed on comes out of them"),
                "ask with max_uses, at most that many",
            )),
        }
    }

    fn uses_left(&self) -> Option<u32> {
        let token = self
            .token
            .as_ref()
            .and_then(|(_, record)| record.info.max_uses.map(|max| max - record.info.uses.min(max)));
        self.narrowings.iter().filter_map(|narrowing| narrowing.uses_left).chain(token).min()
    }

    /// What holds for a credential that is issued under this session: everything that was given up, by
    /// grants and by the token's own claims. Uses are counted with the new credential.
    pub(super) fn handed_on(&self) -> Vec<Narrowing> {
        let own = self.token.iter().map(|(claims, _)| Narrowing {
            id: GrantId::random(),
            secrets: claims.secrets.clone(),
            commands: claims.commands.clone(),
            ends: Some(claims.exp),
            uses_left: None,
        });
        let given_up =
            self.narrowings.iter().cloned().map(|narrowing| Narrowing { uses_left: None, ..narrowing });
        own.chain(given_up).collect()
    }
}

fn identify(vault: &Vault, keys: &Keys, credential: &Credential, now: Timestamp) -> Result<Caller, Refusal> {
    match credential {
        Credential::Missing(why) => Err(Refusal::new(
            Code::TokenInvalid,
            why.clone(),
            "start the server with --token-file FILE (authy-mcp config CLIENT --scope SCOPE writes one), or with --scope SCOPE",
        )),
        // Whoever vouches for a tree has made a scope of it already.
        Credential::Tree(_) => Err(from_token(TokenError::Invalid)),
        Credential::LocalScope(local) => {
            Ok(Caller { principal: local.principal(), scope: local.scope.clone(), token: None })
        }
        Credential::Token(text) => {
            let revoked = records::revocations(vault).map_err(from_record)?;
            let (claims, record) = verify_token(vault, keys, text, &revoked, now)?;
            Ok(Caller {
                principal: format!("token:{}", claims.sub),
                scope: claims.scope.clone(),
                token: Some((claims, record)),
            })
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a bearer token is checked here, and only here")]
fn verify_token(
    vault: &Vault,
    keys: &Keys,
    text: &secrecy::SecretString,
    revoked: &Revocations,
    now: Timestamp,
) -> Result<(Claims, StoredToken), Refusal> {
    let (class, claims) = keys.token.verify(text.expose_secret(), revoked, now).map_err(from_token)?;
    let record = records::token(vault, &claims.jti)
        .map_err(from_record)?
        .filter(|record| record.class == class && record.info.scope == claims.scope)
        .ok_or_else(|| from_token(TokenError::Invalid))?;
    if class == Class::Delegated {
        check_parent(vault, &record, revoked, now)?;
    }
    if record.is_spent() {
        return Err(used_up());
    }
    Ok((claims, record))
}

/// A delegated token is worth no more than the one under which it was issued is worth now.
fn check_parent(
    vault: &Vault,
    record: &StoredToken,
    revoked: &Revocations,
    now: Timestamp,
) -> Result<(), Refusal> {
    let mut parent = record.parent.clone();
    while let Some(id) = parent {
        let record = records::token(vault, &id)
            .map_err(from_record)?
            .ok_or_else(|| from_token(TokenError::Invalid))?;
        let superseded =
            revoked.not_before.get(&record.info.subject).is_some_and(|nbf| record.info.issued_at < *nbf);
        if superseded || revoked.tokens.contains_key(&id) {
            return Err(from_token(TokenError::Revoked));
        }
        if record.info.expires_at <= now.as_second() {
            return Err(expired());
        }
        parent = record.parent;
    }
    Ok(())
}

fn session_policy(vault: &Vault, caller: &Caller, narrowings: &[Narrowing]) -> Result<Policy, Refusal> {
    let stored = records::policy(vault, &caller.scope)
        .map_err(from_record)?
        .ok_or_else(|| no_policy(&caller.scope))?;
    let mut policy = stored.compile().map_err(from_record)?;
    if let Some((claims, _)) = &caller.token {
        policy = narrow(policy, claims.secrets.as_deref(), claims.commands.as_deref())?;
    }
    for narrowing in narrowings {
        policy = narrow(policy, narrowing.secrets.as_deref(), narrowing.commands.as_deref())?;
    }
    Ok(policy)
}

fn narrow(
    policy: Policy,
    secrets: Option<&[crate::name::SecretName]>,
    commands: Option<&[Vec<String>]>,
) -> Result<Policy, Refusal> {
    policy.narrowed(secrets, commands).map_err(|_| from_token(TokenError::Invalid))
}

fn earliest_end(caller: &Caller, narrowings: &[Narrowing]) -> Option<i64> {
    let token = caller.token.as_ref().map(|(claims, _)| claims.exp);
    narrowings.iter().filter_map(|n| n.ends).chain(token).min()
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

fn expired() -> Refusal {
    from_token(TokenError::Expired)
}

fn used_up() -> Refusal {
    Refusal::new(
        Code::TokenExpired,
        "the credential has been used as often as it may be",
        "ask the operator for a new one: authy-mcp admin token issue --scope SCOPE",
    )
}

/// Whether a credential is good, whatever its policy says.
pub(super) fn check(
    vault: &Vault,
    keys: &Keys,
    credential: &Credential,
    now: Timestamp,
) -> Result<(), Refusal> {
    present(vault, keys, credential, now).map(drop)
}
