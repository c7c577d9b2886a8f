//! What was issued with `request_token`: kept for as long as it can be worth something, and no longer, so that an
//! agent's calls don't fill the vault.
//!
//! A record may go only where the token would not verify without it: one without a record never does. A revocation
//! stays for as long as its token could be shown, and for a day beyond its signed end: until then a clock that
//! was put back would make it good again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    documents::{self, Issued, NarrowedUnder, Narrowing, Parent, RecordError, StoredToken},
    holder::State,
    refusal::Refusal,
};
use crate::{
    names::{GrantId, TokenId},
    token::{LEEWAY, Revocations},
    vault::{DocumentKind, Vault},
};

/// How long what has ended is kept, in seconds: `admin token show` can still say what it was.
const KEPT: i64 = 24 * 3600;

/// Where a delegated token's text lies.
pub(crate) fn file_of(home: &Path, id: &TokenId) -> PathBuf {
    home.join("tokens").join(format!("{id}.jwt"))
}

/// What was issued under a root and has not ended. What has is forgotten on the way; one that was revoked waits for
/// [`sweep`].
pub(crate) fn pruned(vault: &mut Vault, home: &Path, root: &str, now: Timestamp) -> Result<Issued, Refusal> {
    let mut issued = documents::issued(vault, root)?;
    let revoked = documents::revocations(vault)?;
    let ended = |end: i64| end.saturating_add(LEEWAY) <= now.as_second();
    let over: Vec<TokenId> =
        issued.0.iter().filter(|(_, end)| ended(**end)).map(|(id, _)| id.clone()).collect();
    for id in over {
        if !revoked.tokens.contains_key(&id) {
            forget(vault, home, &id)?;
        }
        issued.0.remove(&id);
    }
    Ok(issued)
}

/// The narrowings less those of other sessions that have ended, unless something that they handed on goes by them.
pub(crate) fn held(
    vault: &Vault,
    root: &str,
    narrowings: &[Narrowing],
    own: Option<&GrantId>,
) -> Result<Vec<Narrowing>, Refusal> {
    let of_another = |n: &Narrowing| n.session.is_some() && n.session.as_ref() != own && n.has_ended();
    if !narrowings.iter().any(of_another) {
        return Ok(narrowings.to_vec());
    }
    let mut in_use = BTreeSet::new();
    for id in documents::issued(vault, root)?.0.into_keys() {
        let token = documents::token(vault, &id)?;
        if let Some(StoredToken { parent: Some(Parent::SessionOf { session, .. }), .. }) = token {
            in_use.insert(session);
        }
    }
    let keep = |n: &&Narrowing| !of_another(n) || n.session.as_ref().is_some_and(|s| in_use.contains(s));
    Ok(narrowings.iter().filter(keep).cloned().collect())
}

impl Narrowing {
    /// Whether the one session that it holds for has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.process.as_ref().is_some_and(|holder| holder.state() == State::Ended)
    }
}

/// Removes a token, what its sessions gave up, and its text where that is a file of ours.
fn forget(vault: &mut Vault, home: &Path, id: &TokenId) -> Result<(), RecordError> {
    documents::remove_token(vault, id)?;
    documents::remove_narrowings(vault, id.as_str())?;
    // One that can't be removed is worth nothing.
    let _ = std::fs::remove_file(file_of(home, id));
    Ok(())
}

/// Removes what has ended: tokens, what was given up by sessions that are gone, and revocations of tokens that could
/// not be shown any more. Returns how many tokens.
pub(crate) fn sweep(vault: &mut Vault, home: &Path, now: Timestamp) -> Result<usize, RecordError> {
    let mut tokens = all_tokens(vault)?;
    let mut revoked = documents::revocations(vault)?;
    let before = revoked.clone();
    let over = |tokens: &BTreeMap<TokenId, StoredToken>, token: &StoredToken, revoked: &Revocations| {
        let end = token.info.expires_at;
        if revoked.tokens.contains_key(&token.info.id) {
            return end.saturating_add(KEPT) <= now.as_second();
        }
        let wait = if token.is_delegated() { LEEWAY } else { KEPT };
        end.saturating_add(wait) <= now.as_second() || lost_its_parent(tokens, token)
    };
    let mut swept = 0;
    loop {
        let gone: Vec<TokenId> = tokens
            .iter()
            .filter(|(_, token)| over(&tokens, token, &revoked))
            .map(|(id, _)| id.clone())
            .collect();
        if gone.is_empty() {
            break;
        }
        for id in gone {
            forget(vault, home, &id)?;
            tokens.remove(&id);
            revoked.tokens.remove(&id);
            swept += 1;
        }
    }
    forget_subjects(&mut revoked, &tokens, now);
    if revoked != before {
        documents::put_revocations(vault, &revoked, now)?;
    }
    sweep_lists(vault, &tokens, now)?;
    sweep_narrowings(vault, &tokens, now)?;
    Ok(swept)
}

fn all_tokens(vault: &Vault) -> Result<BTreeMap<TokenId, StoredToken>, RecordError> {
    let mut tokens = BTreeMap::new();
    for name in vault.documents(DocumentKind::Token)? {
        let Ok(id) = TokenId::parse(&name) else { continue };
        if let Some(token) = documents::token(vault, &id)? {
            tokens.insert(id, token);
        }
    }
    Ok(tokens)
}

/// Whether that under which a token was issued will never be good again.
fn lost_its_parent(tokens: &BTreeMap<TokenId, StoredToken>, token: &StoredToken) -> bool {
    match &token.parent {
        None => token.is_delegated(),
        Some(Parent::Token(id) | Parent::SessionOf { token: id, .. }) => !tokens.contains_key(id),
        Some(Parent::Local { process, .. }) => process.state() == State::Ended,
    }
}

/// A subject's revocation is forgotten a day after it was made, if nothing is left that it concerns: tokens without
/// a record don't verify.
fn forget_subjects(revoked: &mut Revocations, tokens: &BTreeMap<TokenId, StoredToken>, now: Timestamp) {
    revoked.not_before.retain(|subject, first| {
        let concerns = |token: &StoredToken| token.info.subject == *subject && token.info.issued_at < *first;
        tokens.values().any(concerns) || first.saturating_add(KEPT) > now.as_second()
    });
}

fn sweep_lists(
    vault: &mut Vault,
    tokens: &BTreeMap<TokenId, StoredToken>,
    now: Timestamp,
) -> Result<(), RecordError> {
    for name in vault.documents(DocumentKind::Issued)? {
        let issued = documents::issued(vault, &name)?;
        let kept: BTreeMap<TokenId, i64> = issued
            .0
            .iter()
            .filter(|(id, _)| tokens.contains_key(*id))
            .map(|(id, end)| (id.clone(), *end))
            .collect();
        if kept.len() != issued.0.len() {
            documents::put_issued(vault, &name, &Issued(kept), now)?;
        }
    }
    Ok(())
}

fn sweep_narrowings(
    vault: &mut Vault,
    tokens: &BTreeMap<TokenId, StoredToken>,
    now: Timestamp,
) -> Result<(), RecordError> {
    for name in vault.documents(DocumentKind::Grant)? {
        let narrowings = documents::narrowings(vault, &name)?;
        let kept: Vec<Narrowing> = narrowings
            .iter()
            .filter(|narrowing| concerns_somebody(&name, narrowing, tokens))
            .cloned()
            .collect();
        if kept.len() != narrowings.len() {
            documents::put_narrowings(vault, &name, &kept, now)?;
        }
    }
    Ok(())
}

/// Whether a narrowing can still hold for a session, or for what one handed on.
fn concerns_somebody(name: &str, narrowing: &Narrowing, tokens: &BTreeMap<TokenId, StoredToken>) -> bool {
    let handed_on = || {
        tokens.values().any(|token| match &token.parent {
            Some(Parent::SessionOf { session, .. }) => narrowing.session.as_ref() == Some(session),
            Some(Parent::Local { principal, .. }) => principal == name,
            Some(Parent::Token(_)) | None => false,
        })
    };
    let somebody = if let Ok(id) = TokenId::parse(name) {
        tokens.contains_key(&id)
    } else if let Some(subject) = name.strip_prefix("token:") {
        let by_subject = |token: &StoredToken| token.narrowed_under == NarrowedUnder::Subject;
        tokens.values().any(|token| by_subject(token) && token.info.subject == subject)
    } else {
        true
    };
    somebody && (!narrowing.has_ended() || handed_on())
}
