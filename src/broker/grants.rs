//! `request_token`: a session gives something up, or hands on less than it has. Nothing here widens.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Answer, Bound, Broker, Credential, Opened, Refused,
    api::{Purpose, TokenAnswer, TokenParams, TokenStatus},
    blocking,
    documents::TokenInfo,
    documents::{self, Issued, NarrowedUnder, Narrowing, Parent, StoredToken},
    entry::Slot,
    holder::Holder,
    lineage,
    refusal::{Code, Refusal},
    session::Session,
};
use crate::{
    audit::Note,
    names::{GrantId, SecretName},
    policy::Policy,
    redact::{LedgerPage, MaskLedger},
    token::{self, Class},
};

/// How long a delegated token lives where nobody says.
const DELEGATED_TTL: Duration = Duration::from_secs(60 * 60);
/// The longest reason that is kept, in bytes.
const REASON_BYTES: usize = 500;
/// Tokens that are good at once, of all that were issued below one of an operator's, or below one session without
/// a token, at whatever depth: each is a record of the vault.
const MOST_ISSUED: usize = 64;
/// Narrowings of one session, and of all sessions of one token.
const MOST_NARROWINGS: usize = 16;
const MOST_OF_A_TOKEN: usize = 256;
/// Secrets that are named in it.
const MOST_NAMED: usize = 16;
/// The longest pattern of the command that an operator is shown for `more`, in bytes.
const COMMAND_BYTES: usize = 2048;

impl Broker {
    /// Narrows the session, or issues a narrower credential under it.
    ///
    /// # Errors
    /// A refusal.
    pub(crate) async fn request_token(
        self: &Arc<Self>,
        credential: &Credential,
        params: TokenParams,
    ) -> Result<Answer<TokenAnswer>, Refused> {
        let entered = self.enter(credential).await.map_err(|refusal| self.refused(refusal))?;
        let broker = Arc::clone(self);
        let credential = credential.clone();
        let granted = blocking(move || broker.request_token_now(entered.turn, &credential, &params)).await;
        self.look_at_rights();
        self.anchor_soon();
        granted.map_err(|refusal| {
            entered.pass.was_refused();
            self.refused(refusal)
        })
    }

    fn request_token_now(
        &self,
        turn: Slot,
        credential: &Credential,
        params: &TokenParams,
    ) -> Result<Answer<TokenAnswer>, Refusal> {
        let mut open = self.open_in(turn)?;
        let now = open.now();
        let session = Session::authenticate(&open.vault, &open.keys, credential, now)?;
        let wish = Wish::parse(params, &session)?;
        let body = match params.purpose {
            Purpose::NarrowMe => narrow_session(&mut open, &session, &wish, credential, now)?,
            Purpose::Subagent => subagent(&mut open, &session, &wish, &self.settings.home, now)?,
            Purpose::More => {
                let everything = self.needles.everything();
                let reason = everything.mask(&params.reason, LedgerPage::Rest, &mut MaskLedger::of_no_run());
                more(&mut open, &session, &wish, reason.get())?
            }
        };
        Ok(Answer { body, needles: self.needles.anyone() })
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
        let secrets = params.secrets.as_ref().map(|names| super::admit::parse_names(names)).transpose()?;
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

    /// When something with this wish's lifetime ends: never after the session itself, nor later than the scope
    /// lets a token live from now.
    fn ends(&self, session: &Session, default: Option<Duration>, now: Timestamp) -> Option<i64> {
        let wished = self.ttl.or(default)?.min(session.policy.document().limits.token_ttl);
        let wished = now.as_second().saturating_add_unsigned(wished.as_secs());
        session.ends.into_iter().chain([wished]).min()
    }

    /// How many runs: never more than the session has left.
    fn uses(&self, session: &Session) -> Option<u32> {
        self.max_uses.into_iter().chain(session.chain.uses_left()).min()
    }
}

/// From now on the session has less; at the end of a `ttl` it has nothing, never more again by itself.
fn narrow_session(
    open: &mut Opened,
    session: &Session,
    wish: &Wish,
    credential: &Credential,
    now: Timestamp,
) -> Result<TokenAnswer, Refusal> {
    let (name, narrowings, own) = session.chain.own_narrowings();
    let mut narrowings = lineage::held(&open.vault, session.chain.root(), narrowings, own)?;
    let ends = wish.ends(session, None, now).or(session.ends);
    let process = match credential {
        Credential::Token(bearer) => bearer.shown_by,
        Credential::LocalScope(local) => local.process,
        Credential::Tree(_) | Credential::Missing { .. } => None,
    };
    narrowings.push(Narrowing {
        id: wish.id.clone(),
        secrets: wish.secrets.clone(),
        commands: wish.commands.clone(),
        ends: wish.ends(session, None, now),
        uses_left: wish.max_uses,
        session: own.cloned(),
        process: process.and_then(Holder::of),
        made_at: Some(now.as_second()),
    });
    check_number(&narrowings, own)?;
    documents::put_narrowings(&mut open.vault, name, &narrowings, now)?;
    record(open, session, "narrow", &wish.id, "")?;
    let narrowed = narrowed(&session.policy, wish)?;
    let whose = match (credential, own) {
        (Credential::Token(_), None) => "everybody who shows this token has what is listed here and no more",
        _ => "this session has what is listed here and no more, until its server process ends",
    };
    Ok(TokenAnswer {
        expires_at: ends.and_then(text_of),
        max_uses: wish.uses(session),
        next: format!("{whose}; call list_allowed to see its rules"),
        ..answer(open, TokenStatus::Granted, &wish.id, &narrowed)?
    })
}

fn check_number(narrowings: &[Narrowing], own: Option<&GrantId>) -> Result<(), Refusal> {
    let of_session = narrowings.iter().filter(|narrowing| narrowing.session.as_ref() == own).count();
    if of_session <= MOST_NARROWINGS && narrowings.len() <= MOST_OF_A_TOKEN {
        return Ok(());
    }
    Err(Refusal::new(
        Code::RateLimited,
        format!("this session was narrowed {} times, which is the most", of_session.saturating_sub(1)),
        "start a new session for what needs less, or ask the operator to look at it: authy-mcp admin token show ID, authy-mcp admin token lift ID",
    ))
}

/// A token of its own for a helper, in a file; in the answer too only where the policy says so.
#[expect(clippy::disallowed_methods, reason = "a policy with delegate = true hands the bearer to the caller")]
fn subagent(
    open: &mut Opened,
    session: &Session,
    wish: &Wish,
    home: &Path,
    now: Timestamp,
) -> Result<TokenAnswer, Refusal> {
    let narrowed = narrowed(&session.policy, wish)?;
    let parent = session.chain.as_parent()?;
    if session.chain.is_deepest() {
        return Err(Refusal::new(
            Code::RateLimited,
            "this token was issued under as many others as may be",
            "have the helper's caller ask for it",
        ));
    }
    let mut issued = lineage::pruned(&mut open.vault, home, session.chain.root(), now)?;
    if issued.0.len() >= MOST_ISSUED {
        return Err(too_many(&issued, now));
    }
    let ends = wish.ends(session, Some(DELEGATED_TTL), now).unwrap_or_else(|| now.as_second());
    let order = token::Order {
        class: Class::Delegated,
        sub: format!("{}/{}", subject_of(session), wish.id),
        scope: session.scope.clone(),
        secrets: wish.secrets.clone(),
        commands: wish.commands.clone(),
        ttl: Duration::from_secs(u64::try_from(ends - now.as_second()).unwrap_or(0)),
    };
    let (token, claims) = open.keys.token.issue(order, now);
    let stored = StoredToken {
        class: Class::Delegated,
        parent: Some(parent),
        info: TokenInfo::new(&claims, wish.uses(session)),
        file: None,
        secrets: claims.secrets.clone(),
        commands: claims.commands.clone(),
        narrowed_under: NarrowedUnder::Id,
    };
    issued.0.insert(claims.jti.clone(), claims.exp);
    documents::put_issued(&mut open.vault, session.chain.root(), &issued, now)?;
    documents::put_token(&mut open.vault, &stored, now)?;
    record(open, session, "delegate", &wish.id, claims.jti.as_str())?;
    let file = lineage::file_of(home, &claims.jti);
    crate::files::write_private(&file, token.expose_secret().as_bytes()).map_err(|_| {
        Refusal::new(
            Code::Busy,
            "the token's file can't be written",
            "ask the operator to run: authy-mcp doctor",
        )
    })?;
    let token: Option<SecretString> = Some(token).filter(|_| session.policy.document().delegate);
    Ok(TokenAnswer {
        expires_at: text_of(claims.exp),
        max_uses: wish.uses(session),
        token_file: Some(file.display().to_string()),
        token: token.map(|token| token.expose_secret().to_owned()),
        next: next_of(&stored),
        ..answer(open, TokenStatus::Granted, &wish.id, &narrowed)?
    })
}

fn next_of(stored: &StoredToken) -> String {
    let ends = match &stored.parent {
        Some(Parent::Local { bound: Bound::Tree, .. }) => {
            "is good only inside the process tree of this run, and ends with it"
        }
        Some(Parent::Local { bound: Bound::Process, .. }) => "ends with the server process of this session",
        _ => "ends with yours",
    };
    format!(
        "start the helper's server with --token-file and this file; the token is never worth more than yours is at that moment, its runs come out of yours, and it {ends}"
    )
}

fn too_many(issued: &Issued, now: Timestamp) -> Refusal {
    let first = issued.0.values().min().map_or(0, |end| end.saturating_sub(now.as_second()).max(1));
    Refusal::new(
        Code::RateLimited,
        format!("{} tokens that were issued under this session are good, which is the most", issued.0.len()),
        format!("use one of them, or ask again in {first} s, when the first of them ends"),
    )
}

/// Asking for more is for a person to decide, and nobody can be asked from here: it is put on record, and the
/// answer is no, with what the operator can type.
fn more(open: &mut Opened, session: &Session, wish: &Wish, reason: &str) -> Result<TokenAnswer, Refusal> {
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_BYTES).collect();
    record(open, session, "asked_for_more", &wish.id, &reason)?;
    Ok(TokenAnswer {
        next: format!(
            "this is put on record, and nobody is asked by it; tell the user what you need and why, and that they can allow it with: {}",
            allow_command(session, wish)
        ),
        ..answer(open, TokenStatus::Denied, &wish.id, &session.policy)?
    })
}

/// The operator's command: of parsed names and quoted words only, with placeholders for what was not named.
fn allow_command(session: &Session, wish: &Wish) -> String {
    let mut words: Vec<String> =
        ["authy-mcp", "admin", "allow", session.scope.as_str()].map(str::to_owned).to_vec();
    let secrets = wish.secrets.iter().flatten().map(ToString::to_string);
    let secrets: Vec<String> = secrets.take(MOST_NAMED).collect();
    for name in if secrets.is_empty() { vec!["NAME".to_owned()] } else { secrets } {
        words.extend(["--secret".to_owned(), name]);
    }
    words.push("--".to_owned());
    let command = wish.commands.iter().flatten().next().filter(|command| {
        let plain = |c: char| c == ' ' || c.is_ascii_graphic();
        !command.is_empty()
            && command.iter().map(String::len).sum::<usize>() <= COMMAND_BYTES
            && command.iter().all(|word| word.chars().all(plain))
    });
    match command {
        Some(command) => words.extend(command.iter().cloned()),
        None => words.extend(["PROGRAM", "ARGUMENT"].map(str::to_owned)),
    }
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default()
}

fn narrowed(policy: &Policy, wish: &Wish) -> Result<Policy, Refusal> {
    policy
        .clone()
        .narrowed(wish.secrets.as_deref(), wish.commands.as_deref())
        .map_err(|error| bad(&error.to_string(), "write each command as a list of arguments"))
}

fn answer(open: &Opened, status: TokenStatus, id: &GrantId, policy: &Policy) -> Result<TokenAnswer, Refusal> {
    let all = open.vault.list_secrets()?;
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
    open.record(note)
}

fn subject_of(session: &Session) -> String {
    session
        .principal
        .split_once(':')
        .map_or_else(|| session.principal.clone(), |(_, subject)| subject.to_owned())
}

/// A moment in words; the last that has any for one that lies beyond.
fn text_of(second: i64) -> Option<String> {
    Some(Timestamp::from_second(second).unwrap_or(Timestamp::MAX).to_string())
}

fn bad(message: &str, hint: &str) -> Refusal {
    Refusal::new(Code::BadArgument, message, hint)
}
