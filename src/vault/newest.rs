//! Which automatic backup was found to be the newest that counts: whether one is due is asked with every change, and the
//! manifest that says whether it counts has a line a record.
//!
//! The note is signed, and of the very file that was read: where the manifest looks another way, or the directory has
//! another name, it says nothing, and the manifest is read again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{HomeInfo, VaultKey, backup::MANIFEST, index};
use crate::files::{self, FileStamp};

/// Beside the backups.
const FILE: &str = "newest";
/// Far more than one has.
const MOST: u64 = 4096;
const PURPOSE: &str = "newest backup";

/// A backup that counts.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    vault_id: String,
    name: String,
    manifest: FileStamp,
}

impl Noted {
    /// A backup as it looks now, in a directory that has its name or will have; nothing where it has no manifest.
    pub(super) fn of(dir: &Path, name: &str, info: &HomeInfo) -> Option<Self> {
        let manifest = FileStamp::of(&dir.join(MANIFEST))?;
        Some(Self { vault_id: info.vault_id.clone(), name: name.to_owned(), manifest })
    }

    /// What was noted in a directory of backups, of this vault.
    pub(super) fn read(backups: &Path, info: &HomeInfo, key: &VaultKey) -> Option<Self> {
        let bytes = files::read_regular(&backups.join(FILE), MOST).ok()?;
        index::open_signed(key, PURPOSE, &bytes).filter(|noted: &Self| noted.vault_id == info.vault_id)
    }

    /// Notes it. Where that can't be done, or is lost, the manifest is read again.
    pub(super) fn write(&self, backups: &Path, key: &VaultKey) {
        let written = files::replace_unsynced(&backups.join(FILE), &index::signed(key, PURPOSE, self));
        if let Err(error) = written {
            tracing::debug!(%error, "the newest backup is not noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        names::SecretName,
        value::SecretValue,
        vault::{
            Freshness, Order, Pin, Reuse, SecretMeta, Turn, UnlockMethod, UnlockMethodKind, home, init,
            newest_backup,
        },
    };

    /// A home with an automatic backup, its key, and where the backups are.
    fn backed_up() -> (tempfile::TempDir, VaultKey, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let (engine, opener) = (crate::store::Engine::default(), UnlockMethod::IdentityFile(None));
        let key = init(home.path(), UnlockMethodKind::IdentityFile, &opener, Pin::Unwanted, &engine).unwrap();
        let turn = Turn { order: Order::Behind, wait: std::time::Duration::ZERO };
        let mut vault = Freshness::default().open(home.path(), &key, turn).unwrap();
        let value = SecretValue::new(b"a value".to_vec());
        let secret = (SecretName::parse("a/b").unwrap(), value, SecretMeta::default());
        vault.set_secrets(vec![secret], Timestamp::now()).unwrap();
        let snapshot = vault.snapshot(Reuse::Unchanged).unwrap().unwrap();
        assert_eq!(snapshot.keep(Timestamp::now()).unwrap(), Some(1));
        // The clock of a file system goes on in steps.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let backups = home.path().join("backups");
        (home, key, backups)
    }

    fn newest(home: &tempfile::TempDir, key: &VaultKey) -> Option<Timestamp> {
        newest_backup(home.path(), key, Timestamp::now())
    }

    fn only(backups: &Path) -> std::path::PathBuf {
        let mut dirs =
            fs::read_dir(backups).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_dir());
        dirs.next().unwrap()
    }

    #[test]
    fn a_backup_that_was_made_is_noted_and_one_that_looks_another_way_is_read_again() {
        let (home, key, backups) = backed_up();
        let noted = fs::read(backups.join(FILE)).expect("what was just read back is not read again");
        let made = newest(&home, &key);
        assert!(made.is_some());
        fs::remove_file(backups.join(FILE)).unwrap();
        assert_eq!(newest(&home, &key), made);
        assert_eq!(fs::read(backups.join(FILE)).unwrap(), noted, "what was read is noted");
        let manifest = only(&backups).join(MANIFEST);
        let right = fs::read(&manifest).unwrap();
        let mut wrong = right.clone();
        *wrong.last_mut().unwrap() ^= 1;
        fs::write(&manifest, wrong).unwrap();
        assert_eq!(newest(&home, &key), None, "of the same length");
        fs::write(&manifest, right).unwrap();
        assert_eq!(newest(&home, &key), made);
        fs::rename(only(&backups), backups.join("20260101T000000Z")).unwrap();
        assert_eq!(newest(&home, &key).unwrap().to_string(), "2026-01-01T00:00:00Z");
        fs::rename(only(&backups), backups.join("29990101T000000Z")).unwrap();
        assert_eq!(newest(&home, &key), None, "a copy under a later date");
    }

    #[test]
    fn only_what_the_identity_noted_of_this_vault_stands_for_a_manifest() {
        let (home, key, backups) = backed_up();
        let (info, dir) = (home::home_info(home.path()).unwrap(), only(&backups));
        // No manifest at all by its content: what says that it counts is the note alone.
        fs::write(dir.join(MANIFEST), "x").unwrap();
        let noted = || Noted::of(&dir, dir.file_name().unwrap().to_str().unwrap(), &info).unwrap();
        let rows: [(&str, Noted, bool); 3] = [
            ("the very file", noted(), true),
            ("another vault's", Noted { vault_id: "other".to_owned(), ..noted() }, false),
            ("another's note", Noted { name: "20260101T000000Z".to_owned(), ..noted() }, false),
        ];
        for (what, noted, stands) in rows {
            noted.write(&backups, &key);
            assert_eq!(newest(&home, &key).is_some(), stands, "{what}");
        }
        noted().write(&backups, &VaultKey::new(age::x25519::Identity::generate()));
        assert_eq!(newest(&home, &key), None, "of another identity");
    }
}
