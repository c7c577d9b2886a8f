//! `request_token`: a session gives something up, or hands on less than it has. Nothing here widens.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Answer, Broker, Credential, Opened, Refused,
    admin::TokenInfo,
    api::{Purpose, TokenAnswer, TokenParams, TokenStatus},
    blocking,
    records::{self, Narrowing, StoredToken},
    refusal::{Code, Refusal},
    refuse,
    session::Session,
};
use crate::{
    audit::Note,
    name::{GrantId, SecretName},
    policy::Policy,
    token::{self, Class},
};

/// How long a delegated token lives where nobody says.
const DELEGATED_TTL: Duration = Duration::from_secs(60 * 60);
/// The longest reason that is kept, in bytes.
const REASON_BYTES: usize = 500;

impl Broker {
    /// Narrows the session, or issues a narrower credential under it.
    ///
    /// # Errors
    /// A refusal.
    pub async fn request_token(
        self: &Arc<Self>,
        credential: &Credential,
        params: TokenParams,
    ) -> Result<Answer<TokenAnswer>, Refused> {
        let broker = Arc::clone(self);
        let credential = credential.clone();
        let granted = blocking(move || broker.request_token_now(&credential, &params)).await;
        self.anchor_soon();
        granted.map_err(|refusal| self.refused(refusal))
    }

    fn request_token_now(
        &self,
        credential: &Credential,
        params: &TokenParams,
    ) -> Result<Answer<TokenAnswer>, Refusal> {
        let mut open = self.open()?;
        let now = Timestamp::now();
        let mut session = Session::authenticate(&open.vault, &open.keys, credential, now)?;
        let wish = Wish::parse(params, &session)?;
        let body = match params.purpose {
            Purpose::NarrowMe => narrow_me(&mut open, session, wish, now)?,
            Purpose::Subagent => subagent(&mut open, &mut session, wish, &self.settings.home, now)?,
            Purpose::More => more(&mut open, &session, wish, self.needles.all().text(&params.reason).get())?,
        };
        Ok(Answer { body, needles: self.needles.all() })
    }
}

/// A wish whose names are parsed and whose numbers are cut to what the caller has.
struct Wish {
    id: GrantId,
    secrets: Option<Vec<SecretName>>,
    commands: Option<Vec<Vec<String>>>,
    ttl: Option<Duration>,
    max_uses: Option<u32>,
}

impl Wish {
    fn parse(params: &TokenParams, session: &Session) -> Result<Self, Refusal> {
        let secrets = params.secrets.as_ref().map(|names| super::pipeline::parse_names(names)).transpose()?;
        if params.ttl_seconds == Some(0) || params.max_uses == Some(0) {
            return Err(bad(
                "ttl_seconds and max_uses are at least 1",
                "leave them out for no further limit",
            ));
        }
        if params.purpose != Purpose::More {
            session.policy.clone().narrowed(secrets.as_deref(), params.commands.as_deref()).map_err(
                |error| {
                    bad(&error.to_string(), "write each command as a list of arguments, as list_allowed does")
                },
            )?;
        }
        Ok(Self {
            id: GrantId::random(),
            secrets,
            commands: params.commands.clone(),
            ttl: params.ttl_seconds.map(Duration::from_secs),
            max_uses: params.max_uses,
        })
    }

    /// When something with this wish's lifetime ends: never after the session itself.
    fn ends(&self, session: &Session, default: Option<Duration>, now: Timestamp) -> Option<i64> {
        let wished = self.ttl.or(default).map(|ttl| now.as_second().saturating_add_unsigned(ttl.as_secs()));
        wished.into_iter().chain(session.ends).min()
    }
}

/// From now on the principal has less; at the end of a `ttl` it has nothing, never more again.
fn narrow_me(
    open: &mut Opened,
    mut session: Session,
    wish: Wish,
    now: Timestamp,
) -> Result<TokenAnswer, Refusal> {
    let narrowing = Narrowing {
        ends: wish.ends(&session, None, now),
        id: wish.id.clone(),
        secrets: wish.secrets.clone(),
        commands: wish.commands.clone(),
        uses_left: wish.max_uses,
    };
    record(open, &session, "narrow", &wish.id, "")?;
    let ends = narrowing.ends;
    session.narrowings.push(narrowing);
    records::put_narrowings(&mut open.vault, &session.principal, &session.narrowings, now)
        .map_err(refuse::from_record)?;
    let narrowed = narrowed(&session.policy, &wish)?;
    Ok(TokenAnswer {
        expires_at: ends.and_then(text_of),
        max_uses: wish.max_uses,
        next: "this session has what is listed here and no more; call list_allowed to see its rules"
            .to_owned(),
        ..answer(open, TokenStatus::Granted, &wish.id, &narrowed)?
    })
}

/// A token of its own for a helper, in a file; in the answer too only where the policy says so.
#[expect(clippy::disallowed_methods, reason = "a policy with delegate = true hands the bearer to the caller")]
fn subagent(
    open: &mut Opened,
    session: &mut Session,
    wish: Wish,
    home: &Path,
    now: Timestamp,
) -> Result<TokenAnswer, Refusal> {
    let narrowed = narrowed(&session.policy, &wish)?;
    let ends = wish.ends(session, Some(DELEGATED_TTL), now).unwrap_or_else(|| now.as_second());
    let ttl = Duration::from_secs(u64::try_from(ends - now.as_second()).unwrap_or(0));
    let order = token::Order {
        class: Class::Delegated,
        sub: format!("{}/{}", subject_of(session), wish.id),
        scope: session.scope.clone(),
        secrets: wish.secrets.clone(),
        commands: wish.commands.clone(),
        ttl,
    };
    let (token, claims) = open.keys.token.issue(order, now);
    let stored = StoredToken {
        class: Class::Delegated,
        parent: session.token_id().cloned(),
        info: TokenInfo::new(&claims, wish.max_uses),
        file: None,
    };
    let principal = format!("token:{}", claims.sub);
    record(open, session, "delegate", &wish.id, claims.jti.as_str())?;
    session.hand_over(&mut open.vault, wish.max_uses, now)?;
    records::put_narrowings(&mut open.vault, &principal, &session.handed_on(), now)
        .map_err(refuse::from_record)?;
    records::put_token(&mut open.vault, &stored, now).map_err(refuse::from_record)?;
    let file = home.join("tokens").join(format!("{}.jwt", claims.jti));
    crate::store::files::write_private(&file, token.expose_secret().as_bytes()).map_err(|_| {
        Refusal::new(
            Code::Busy,
            "the token's file can't be written",
            "ask the operator to run: authy-mcp doctor",
        )
    })?;
    let token: Option<SecretString> = Some(token).filter(|_| session.policy.document().delegate);
    Ok(TokenAnswer {
        expires_at: text_of(claims.exp),
        max_uses: wish.max_uses,
        token_file: Some(file.display().to_string()),
        token: token.map(|token| token.expose_secret().to_owned()),
        next: "start the helper's server with --token-file and this file; the token is worth less than yours and ends with it".to_owned(),
        ..answer(open, TokenStatus::Granted, &wish.id, &narrowed)?
    })
}

/// Asking for more is for a person to decide; until approvals stand, the answer is how to ask one.
fn more(open: &mut Opened, session: &Session, wish: Wish, reason: &str) -> Result<TokenAnswer, Refusal> {
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_BYTES).collect();
    record(open, session, "asked_for_more", &wish.id, &reason)?;
    Ok(TokenAnswer {
        next: format!(
            "this version can't ask a person; tell the user what you need and why, and that they can allow it with: authy-mcp admin allow {} --secret NAME -- PROGRAM ARGUMENT",
            session.scope
        ),
        ..answer(open, TokenStatus::Denied, &wish.id, &session.policy)?
    })
}

fn narrowed(policy: &Policy, wish: &Wish) -> Result<Policy, Refusal> {
    policy
        .clone()
        .narrowed(wish.secrets.as_deref(), wish.commands.as_deref())
        .map_err(|error| bad(&error.to_string(), "write each command as a list of arguments"))
}

fn answer(open: &Opened, status: TokenStatus, id: &GrantId, policy: &Policy) -> Result<TokenAnswer, Refusal> {
    let all = open.vault.list_secrets().map_err(refuse::from_vault)?;
    let facts: Vec<_> = all.into_iter().map(super::listing::facts_of).collect();
    let mut secrets: Vec<String> = policy
        .listing(&facts)
        .into_iter()
        .flat_map(|rule| rule.secrets)
        .map(|secret| secret.name.to_string())
        .collect();
    secrets.sort_unstable();
    secrets.dedup();
    Ok(TokenAnswer {
        status,
        grant_id: id.to_string(),
        secrets,
        expires_at: None,
        max_uses: None,
        token_file: None,
        token: None,
        next: String::new(),
    })
}

fn record(
    open: &mut Opened,
    session: &Session,
    action: &str,
    id: &GrantId,
    detail: &str,
) -> Result<(), Refusal> {
    let note = Note::Admin {
        principal: session.principal.clone(),
        action: action.to_owned(),
        target: format!("{} {id}", session.scope),
        detail: Some(detail.to_owned()).filter(|detail| !detail.is_empty()),
    };
    open.audit.record(note, None).map_err(refuse::from_audit)
}

fn subject_of(session: &Session) -> String {
    session
        .principal
        .split_once(':')
        .map_or_else(|| session.principal.clone(), |(_, subject)| subject.to_owned())
}

fn text_of(second: i64) -> Option<String> {
    Timestamp::from_second(second).ok().map(|time| time.to_string())
}

fn bad(message: &str, hint: &str) -> Refusal {
    Refusal::new(Code::BadArgument, message, hint)
}
