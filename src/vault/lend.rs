//! The vault's database, lent to another process that holds the identity, too: over a daemon's socket.
//!
//! Objects are nobody's until a root names them. So what matters is which values are exchanged: a root or a standing
//! that this vault's identity has made, of the change after the present one.

use std::{cell::Cell, io, path::Path, sync::Arc, time::Duration};

use super::{
    Freshness, VaultError, VaultKey, home,
    index::{self, Root},
    open::Turn,
};
use crate::store::{self, Lent, Order, StoreError};

/// A vault's database for somebody else's turn.
pub(crate) struct Loan {
    store: Lent,
    key: VaultKey,
    freshness: Arc<Freshness>,
    vault_id: String,
}

impl Loan {
    /// Opens the database of a home for another process.
    ///
    /// # Errors
    /// [`VaultError::Busy`], [`VaultError::Damaged`].
    pub(crate) fn open(
        home: &Path,
        key: &VaultKey,
        freshness: &Arc<Freshness>,
        wait: Duration,
    ) -> Result<Self, VaultError> {
        let (turn, proof) = (Turn { order: Order::Behind, wait }, || key.of_the_local_api());
        let entry = freshness.engine().enter(home::place(home), &turn.asks(&proof))?;
        let info = home::of_this_format(home::checked(home, key)?)?;
        let (store, freshness) = (entry.open()?, Arc::clone(freshness));
        Ok(Self { store, key: key.duplicate(), freshness, vault_id: info.vault_id })
    }

    /// Answers a request. What was exchanged is remembered here before whoever asked is told.
    pub(crate) fn answer(&self, request: &[u8]) -> Vec<u8> {
        let exchanges = Cell::new(false);
        let reply = self.reply(request, &exchanges);
        if exchanges.get()
            && let Ok(root) = self.present()
        {
            self.freshness.saw(&root);
        }
        reply
    }

    fn reply(&self, request: &[u8], exchanges: &Cell<bool>) -> Vec<u8> {
        store::answer(&*self.store, request, |name, new| {
            let present = self.present().map_err(of_the_present)?;
            // It may be read, for a person to see what happened: but one that was put back is none to go on from.
            self.freshness.knows_no_later(&present).map_err(of_the_present)?;
            let known = self.freshness.known_root();
            index::admits(&self.key, known, &self.vault_id, &present, name, new).map_err(refused)?;
            exchanges.set(true);
            Ok(())
        })
    }

    fn present(&self) -> Result<Root, VaultError> {
        Ok(index::read_root(&*self.store, &self.key, self.freshness.known_root())?.0)
    }
}

fn refused(why: &str) -> StoreError {
    StoreError::Io {
        what: "change the vault through its daemon".to_owned(),
        source: io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the daemon does not take this change: {why}"),
        ),
    }
}

fn of_the_present(error: VaultError) -> StoreError {
    match error {
        VaultError::Damaged { what } => StoreError::Damaged { what },
        error => refused(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::testing::{MemoryStore, Store},
        vault::{
            Pin, UnlockMethod, UnlockMethodKind,
            index::{ROOT, STANDING, Standing},
            init,
        },
    };

    /// What a root is refused for.
    type Wrong = fn(&mut Root);

    fn key() -> (tempfile::TempDir, VaultKey) {
        let dir = tempfile::tempdir().unwrap();
        let opener = UnlockMethod::IdentityFile(None);
        let engine = MemoryStore::engine();
        let key = init(dir.path(), UnlockMethodKind::IdentityFile, &opener, Pin::Unwanted, &engine).unwrap();
        (dir, key)
    }

    fn present(key: &VaultKey) -> Root {
        let info = crate::vault::HomeInfo {
            format: index::FORMAT,
            vault_id: "ours".to_owned(),
            fingerprint: key.fingerprint().to_owned(),
            unlock: UnlockMethodKind::IdentityFile,
            identity_file: None,
            pin: None,
        };
        Root { epoch: 7, ..crate::vault::Vault::empty_root(&info, key) }
    }

    fn next(root: &Root) -> Root {
        let standing = Standing { writes: root.standing.writes + 1, ..root.standing.clone() };
        Root { epoch: root.epoch + 1, standing, ..root.clone() }
    }

    #[test]
    fn only_the_very_next_root_of_this_vault_is_taken() {
        let ((_dir, key), (_other_dir, other)) = (key(), key());
        let root = present(&key);
        let known = index::KnownRoot::default();
        let admits = |name: &str, new: Option<&[u8]>| index::admits(&key, &known, "ours", &root, name, new);
        admits(ROOT, Some(&index::sign_root(&key, &next(&root)))).unwrap();
        let wrong: [(&str, Wrong); 6] = [
            ("the present one", |root| root.epoch -= 1),
            ("one that leaves one out", |root| root.epoch += 1),
            ("an earlier one", |root| root.epoch -= 2),
            ("a replayed standing", |root| root.standing.writes -= 1),
            ("another vault's", |root| root.vault_id = "theirs".to_owned()),
            ("another format", |root| root.format += 1),
        ];
        for (what, change) in wrong {
            let mut changed = next(&root);
            change(&mut changed);
            assert!(admits(ROOT, Some(&index::sign_root(&key, &changed))).is_err(), "{what}");
        }
        let mut forged = index::sign_root(&key, &next(&root));
        forged[3] ^= 1;
        for (what, bytes) in [
            ("of another identity", index::sign_root(&other, &next(&root))),
            ("forged", forged),
            ("empty", vec![]),
        ] {
            assert!(admits(ROOT, Some(&bytes)).is_err(), "{what}");
        }
        assert!(admits(ROOT, None).is_err(), "none at all");
        assert!(admits("ledger/other", Some(&index::sign_root(&key, &next(&root)))).is_err());
    }

    #[test]
    fn a_standing_goes_on_by_one() {
        let ((_dir, key), (_other_dir, other)) = (key(), key());
        let root = present(&key);
        let known = index::KnownRoot::default();
        let admits = |new: Option<&[u8]>| index::admits(&key, &known, "ours", &root, STANDING, new);
        let sign =
            |key: &VaultKey, writes| index::sign_standing(key, &Standing { writes, ..root.standing.clone() });
        let present = root.standing.writes;
        admits(Some(&sign(&key, present + 1))).unwrap();
        for (what, bytes) in [
            ("the present one", sign(&key, present)),
            ("one that leaves one out", sign(&key, present + 2)),
            ("of another identity", sign(&other, present + 1)),
            ("a root", index::sign_root(&key, &next(&root))),
        ] {
            assert!(admits(Some(&bytes)).is_err(), "{what}");
        }
        assert!(admits(None).is_err());
    }

    #[test]
    fn a_vault_that_was_put_back_is_none_to_go_on_from() {
        let dir = tempfile::tempdir().unwrap();
        let (store, opener) = (MemoryStore::default(), UnlockMethod::IdentityFile(None));
        let engine = {
            let store = store.clone();
            store::Engine::new(move |_| Ok(Arc::new(store.clone())))
        };
        let key = init(dir.path(), UnlockMethodKind::IdentityFile, &opener, Pin::Unwanted, &engine).unwrap();
        let freshness = Arc::new(Freshness::new(engine, Arc::new(crate::clock::SystemClock)));
        let open = || Loan::open(dir.path(), &key, &freshness, Duration::ZERO);
        let before = store.value(ROOT).unwrap().unwrap();
        let present = index::read_root(&store, &key, &index::KnownRoot::default()).unwrap().0;
        let loan = open().unwrap();
        let reply = exchange(&loan, &before, &index::sign_root(&key, &next(&present)));
        assert_eq!(reply, "\"done\"");
        // Taken once more, it is not the next.
        let reply = exchange(&loan, &before, &index::sign_root(&key, &next(&present)));
        assert!(reply.contains("failed"), "{reply}");
        drop(loan);
        store.set(ROOT, Some(&before));
        let other = Root { chain: present.chain + 1, ..next(&present) };
        let reply = exchange(&open().unwrap(), &before, &index::sign_root(&key, &other));
        assert!(reply.contains("damaged"), "this process has seen a later one: {reply}");
        store.set(ROOT, Some(b"damaged"));
        let reply = exchange(&open().unwrap(), b"damaged", &index::sign_root(&key, &next(&present)));
        assert!(reply.contains("cut, forged"), "nothing comes after what is damaged: {reply}");
    }

    fn exchange(loan: &Loan, expected: &[u8], new: &[u8]) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let [expected, new] = [expected, new].map(|bytes| STANDARD.encode(bytes));
        let request = serde_json::json!({"exchange": {"key": ROOT, "expected": expected, "new": new}});
        String::from_utf8(loan.answer(&serde_json::to_vec(&request).unwrap())).unwrap()
    }
}
