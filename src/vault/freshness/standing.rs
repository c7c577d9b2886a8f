//! A vault and what the audit has announced of it: which of the two is behind, and whether that can be.

use super::super::{VaultError, index::Root};
use crate::audit::{Announced, Change};

/// How a vault stands to the changes that its audit has announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is what was announced last, and the audit says that this was made.
    Well,
    /// It is what was announced last; whoever made it was cut off before it could say so.
    Unsaid(u64),
    /// What was announced last was never made: whoever announced it was cut off.
    Interrupted(Change),
    /// Nothing was announced yet.
    Unannounced,
}

/// Whether the last change is known to have been made whole, its pin included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Completed,
    PerhapsCompleted,
}

/// Only the last announced root is right, or the one before it while nothing says that the last was made: a crash
/// leaves no more than that.
pub(super) fn of(root: &Root, announced: Option<Announced>) -> Result<Standing, VaultError> {
    let change = root.change();
    let Some(announced) = announced else {
        // A vault that is just being made has announced nothing yet.
        if root.epoch == 1 && root.standing.anchor.is_none() {
            return Ok(Standing::Unannounced);
        }
        return Err(VaultError::damaged(
            "the audit log knows of no change of the vault: it was cut, or put back",
        ));
    };
    let last = announced.change;
    if last == change {
        return Ok(if announced.completed { Standing::Well } else { Standing::Unsaid(change.epoch) });
    }
    let before = announced.before == Some(change);
    if before && !announced.completed {
        return Ok(Standing::Interrupted(last));
    }
    Err(VaultError::damaged(if change.epoch < last.epoch {
        format!(
            "store/: the vault was put back: the audit log knows of change {}, and it is at change {}",
            last.epoch, change.epoch
        )
    } else if change.epoch > last.epoch {
        format!(
            "the audit log was cut or put back: the vault is at change {}, and the log knows of change {}",
            change.epoch, last.epoch
        )
    } else {
        format!("store/: its change {} is not the one that the audit log announced", change.epoch)
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::super::index, *};

    fn root(epoch: u64) -> Root {
        Root {
            format: 2,
            vault_id: "v".into(),
            epoch,
            top: None,
            files: BTreeMap::new(),
            chain: 0,
            key: "k".into(),
            author: "a".into(),
            authors: BTreeMap::new(),
            standing: index::Standing { anchor: Some(crate::audit::Head::default()), ..Default::default() },
        }
    }

    fn announced(last: u64, before: Option<u64>, completed: bool) -> Option<Announced> {
        let change = |epoch| root(epoch).change();
        Some(Announced { change: change(last), before: before.map(change), completed })
    }

    #[test]
    fn only_what_was_announced_last_is_right_or_the_one_before_an_unfinished_one() {
        let rows: &[(&str, Root, Option<Announced>, Option<Standing>)] = &[
            ("as announced", root(7), announced(7, Some(6), true), Some(Standing::Well)),
            ("cut off before it said so", root(7), announced(7, Some(6), false), Some(Standing::Unsaid(7))),
            (
                "cut off before it was made",
                root(6),
                announced(7, Some(6), false),
                Some(Standing::Interrupted(root(7).change())),
            ),
            ("put back by one", root(6), announced(7, Some(6), true), None),
            ("put back by two", root(5), announced(7, Some(6), false), None),
            ("the log was put back", root(8), announced(7, Some(6), true), None),
            ("the log has nothing any more", root(8), None, None),
        ];
        for (what, root, announced, right) in rows {
            assert_eq!(of(root, *announced).ok(), *right, "{what}");
        }
        let mut other = root(7);
        other.chain = 1;
        assert!(of(&other, announced(7, Some(6), true)).is_err(), "the same epoch with another content");
        assert_eq!(
            of(&Root { standing: index::Standing::default(), ..root(1) }, None).ok(),
            Some(Standing::Unannounced),
            "just made"
        );
    }
}
