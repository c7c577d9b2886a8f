//! What the vault last said of each token: good or not, kept in memory beside the state of the vault for which it
//! said so. The doors ask here, so that a revoked token in a loop opens no vault, and a vault that another process
//! has for a while shuts nobody out.
//!
//! Nothing rests on it: a call is authenticated against the vault itself, whatever was said at the door.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use jiff::Timestamp;

use super::{
    refusal::{Code, Refusal},
    session::Good,
};
use crate::{
    names::TokenId,
    vault::{Stamp, Vault},
};

/// Tokens of which it is known; past it all are asked anew.
const KNOWN: usize = 4096;

/// What is known of tokens.
#[derive(Clone, Default)]
pub(crate) struct Standing(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// How the vault's files looked when `content` was last read.
    stamp: Option<Stamp>,
    /// The digest of all that the vault holds, its audit anchor aside: that moves with every run.
    content: [u8; 32],
    verdicts: HashMap<TokenId, Verdict>,
}

/// What the vault said of a token.
#[derive(Clone)]
pub(crate) enum Verdict {
    /// It is good until then (seconds).
    Good(Option<i64>),
    /// It is not.
    Bad(Refusal),
}

impl Standing {
    /// What is known of a token, if the vault is now as it was then.
    pub(crate) fn of(&self, token: &TokenId, stamp: Option<Stamp>, now: Timestamp) -> Option<Verdict> {
        let known = self.0.lock();
        if stamp.is_none() || known.stamp != stamp {
            return None;
        }
        let verdict = known.verdicts.get(token)?;
        let over = matches!(verdict, Verdict::Good(Some(ends)) if *ends <= now.as_second());
        (!over).then(|| verdict.clone())
    }

    /// Looks at an open vault: where something has changed in it, nothing is known any more.
    pub(crate) fn look(&self, vault: &Vault) {
        let (stamp, content) = (vault.stamp(), vault.content());
        let mut known = self.0.lock();
        if known.content != content {
            known.content = content;
            known.verdicts.clear();
        }
        known.stamp = stamp;
    }

    /// Keeps what an open vault says of a token. An error that says nothing of the token is not kept.
    pub(crate) fn keep(&self, vault: &Vault, token: &TokenId, said: &Result<Good, Refusal>) {
        let verdict = match said {
            Ok(good) if good.by_the_vault => Verdict::Good(good.ends),
            Err(refusal) if matches!(refusal.code, Code::TokenInvalid | Code::TokenExpired) => {
                Verdict::Bad(refusal.clone())
            }
            Ok(_) | Err(_) => return,
        };
        self.look(vault);
        let mut known = self.0.lock();
        if known.verdicts.len() >= KNOWN {
            known.verdicts.clear();
        }
        known.verdicts.insert(token.clone(), verdict);
    }
}
