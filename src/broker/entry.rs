//! The way in, before anything that is shared is opened or locked: who calls, by the signature alone; then the
//! caller's gate; then its turn at the vault.
//!
//! The order is the point. A text that is no token of this vault costs one check of a signature, and neither a
//! file nor a lock; a caller with too many calls is told so while the vault is somebody else's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    Bearer, Broker, Credential, Opened, Refused, WAIT, blocking,
    gate::{NO_TAKES, Pass},
    keys::VaultKeys,
    opened::HeldVault,
    refusal::{self, Refusal},
    session,
    standing::Verdict,
    turns::Turn,
};
use crate::{
    token::{Claims, PublicKeys},
    vault::{self, Order, Stamp, VaultError},
};

/// What is left for another process to give the vault back, however long a call has waited for its turn.
const AT_LEAST: Duration = Duration::from_secs(2);
/// Whose turn the work of the broker itself is: anchors, backups, what follows a run.
const OWN: &str = "";

/// Who calls, as far as the credential says by itself.
pub(crate) struct Known {
    /// Whose gate and turn it is: a credential that was handed on counts with the one that it came from.
    pub caller: String,
    /// What the token says; its signature is right, and its time is not over.
    pub token: Option<Claims>,
}

/// A call that may open the vault.
pub(crate) struct Entered {
    pub pass: Pass,
    pub turn: Slot,
    /// Whose gate and turn it is.
    pub caller: String,
}

/// A turn, and until when its holder may wait for the vault.
pub(crate) struct Slot {
    turn: Turn,
    until: Instant,
}

impl Broker {
    /// Lets a call in, up to the vault.
    pub(crate) async fn enter(self: &Arc<Self>, credential: &Credential) -> Result<Entered, Refusal> {
        let until = Instant::now() + WAIT;
        let known = self.know(credential).await?;
        let pass = match self.gates.enter_at(&known.caller, self.around.clock.instant()) {
            Ok(pass) => pass,
            Err(refusal) => {
                tokio::time::sleep(NO_TAKES).await;
                return Err(refusal);
            }
        };
        let turn = self.turns.take(&known.caller, until).await?;
        Ok(Entered { pass, turn: Slot { turn, until }, caller: known.caller })
    }

    /// Another turn for a call that was let in, once it has waited for somebody.
    pub(crate) async fn turn_again(&self, caller: &str) -> Result<Slot, Refusal> {
        let until = Instant::now() + WAIT;
        Ok(Slot { turn: self.turns.take(caller, until).await?, until })
    }

    /// A name for whoever calls, by the signature alone.
    ///
    /// # Errors
    /// A refusal.
    pub(crate) async fn known_caller(self: &Arc<Self>, credential: &Credential) -> Result<String, Refused> {
        let known = self.know(credential).await.map_err(|refusal| self.refused(refusal))?;
        Ok(known.caller)
    }

    /// Who a credential says it is. Reads nothing but the token's public key, which is in memory.
    pub(super) async fn know(self: &Arc<Self>, credential: &Credential) -> Result<Known, Refusal> {
        match credential {
            Credential::Missing { why, hint } => Err(session::missing(why, hint)),
            // A run that has ended took its session along: then what is missing is a vault that is unlocked.
            Credential::Tree(_) => self.keys().await.and_then(|_| Err(session::not_vouched_for())),
            Credential::LocalScope(local) => Ok(Known { caller: root_of(&local.principal()), token: None }),
            Credential::Token(bearer) => {
                let claims =
                    signed(self.keys().await?.token.public(), &bearer.text, self.around.clock.now())?;
                Ok(Known { caller: root_of(&claims.sub), token: Some(claims) })
            }
        }
    }

    /// The keys that are in memory, and else whatever opens the vault without a person.
    async fn keys(self: &Arc<Self>) -> Result<Arc<VaultKeys>, Refusal> {
        if let Some(keys) = self.keyring.held() {
            return Ok(keys);
        }
        let broker = Arc::clone(self);
        blocking(move || broker.keyring.keys()?.ok_or_else(refusal::locked)).await
    }

    /// The public half of the token keys, where they are in memory.
    pub(crate) fn token_keys(&self) -> Option<PublicKeys> {
        self.keyring.held().map(|keys| keys.token.public().clone())
    }

    /// Whether a credential is good at this moment, by what is known of it, and where that is nothing, by the
    /// vault.
    pub(crate) async fn stands(self: &Arc<Self>, credential: &Credential) -> Result<(), Refusal> {
        let known = self.know(credential).await?;
        // What is said to one process of a token is not what is said to another.
        let from_anybody = |bearer: &Bearer| bearer.session.is_none() && bearer.shown_by.is_none();
        let token = match credential {
            Credential::Token(bearer) if from_anybody(bearer) => known.token.map(|claims| claims.jti),
            _ => None,
        };
        let verdict = token
            .as_ref()
            .and_then(|id| self.standing.of(id, Stamp::of(&self.settings.home), self.around.clock.now()));
        match verdict {
            Some(Verdict::Good(_)) => return Ok(()),
            Some(Verdict::Bad(refusal)) => return Err(refusal),
            None => {}
        }
        let Entered { pass, turn, .. } = self.enter(credential).await?;
        let (broker, credential) = (Arc::clone(self), credential.clone());
        let said = blocking(move || {
            let open = broker.open_in(turn)?;
            let said = session::check(&open.vault, &open.keys, &credential, open.now());
            if let Some(token) = &token {
                broker.standing.keep(&open.vault, token, &said);
            }
            said
        });
        said.await.map(drop).inspect_err(|_| pass.was_refused())
    }

    /// Opens the vault in a turn that was waited for.
    pub(crate) fn open_in(&self, slot: Slot) -> Result<Opened, Refusal> {
        let Slot { turn, until } = slot;
        let keys = self.keyring.keys()?.ok_or_else(refusal::locked)?;
        let wait = until.saturating_duration_since(Instant::now()).max(AT_LEAST);
        let held = self.hold(&keys, turn, wait)?;
        self.standing.look(&held);
        Opened::with(&self.settings.home, keys, held)
    }

    /// A turn for the broker's own work, from a thread that may wait.
    pub(crate) fn own_turn(&self) -> Result<Slot, Refusal> {
        let until = Instant::now() + WAIT;
        let turn = tokio::runtime::Handle::current().block_on(self.turns.take(OWN, until))?;
        Ok(Slot { turn, until })
    }

    /// The same, for what opens the vault by itself.
    pub(crate) fn own_vault(&self, keys: &VaultKeys) -> Result<HeldVault, VaultError> {
        let slot = self.own_turn().map_err(|_| VaultError::Busy)?;
        self.hold(keys, slot.turn, WAIT)
    }

    /// Opens the vault behind an operator who stands first.
    fn hold(&self, keys: &VaultKeys, turn: Turn, wait: Duration) -> Result<HeldVault, VaultError> {
        let home = &self.settings.home;
        let vault = turn.opening(|| keys.open_vault(home, vault::Turn { order: Order::Behind, wait }))?;
        Ok(HeldVault::in_turn(vault, self.standing.clone(), turn))
    }
}

/// A name for whoever shows a token, by its signature alone.
///
/// # Errors
/// A refusal.
pub(crate) fn caller_by_signature(
    keys: &PublicKeys,
    text: &secrecy::SecretString,
) -> Result<String, Refusal> {
    signed(keys, text, Timestamp::now()).map(|claims| root_of(&claims.sub))
}

/// What a token says, if it is one of this vault's, and of this time.
#[expect(clippy::disallowed_methods, reason = "a bearer token's signature is checked here")]
fn signed(keys: &PublicKeys, text: &secrecy::SecretString, now: Timestamp) -> Result<Claims, Refusal> {
    let (_, claims) = keys.verify(text.expose_secret(), now)?;
    Ok(claims)
}

/// `local:1000#a8f2/g_x` and `1000#a8f2` are one caller: what is handed on makes no second one, of which there
/// could be any number.
fn root_of(subject: &str) -> String {
    let subject = subject.strip_prefix("local:").unwrap_or(subject);
    subject.split('/').next().unwrap_or(subject).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_on_counts_with_whom_it_came_from() {
        for (subject, root) in [
            ("claude", "claude"),
            ("claude/g_1/g_2", "claude"),
            ("local:1000#ab", "1000#ab"),
            ("1000#ab/g_1", "1000#ab"),
        ] {
            assert_eq!(root_of(subject), root);
        }
    }
}
