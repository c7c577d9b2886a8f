//! Attacks on the records themselves, and the operations as tables.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{
    Audit, Backup, Before, DocumentKind, Freshness, Pin, Restoring, SecretMeta, UnlockMethod,
    UnlockMethodKind, Vault, VaultError, VaultKey, home_info, index, init, open::DerivedKeys, unlock,
};
use crate::{
    audit::{AuditKeys, AuditLog, Head, IntentFacts},
    names::{RunId, SecretName},
    policy::testing::allowed,
    store::{Batch, Engine, MemoryStore, Store},
    value::SecretValue,
};

fn home() -> (TempDir, VaultKey) {
    let dir = tempfile::tempdir().unwrap();
    let key = init(
        dir.path(),
        UnlockMethodKind::IdentityFile,
        &UnlockMethod::IdentityFile(None),
        Pin::Unwanted,
        &Engine::default(),
    )
    .unwrap();
    (dir, key)
}

fn open(dir: &Path, key: &VaultKey) -> Result<Vault, VaultError> {
    Vault::open(dir, key, Duration::from_secs(5))
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn set(vault: &mut Vault, secret: &str, value: &[u8]) {
    vault
        .set_secrets(
            vec![(name(secret), SecretValue::new(value.to_vec()), SecretMeta::default())],
            Timestamp::now(),
        )
        .unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what was revealed")]
fn reveal(dir: &Path, vault: &Vault, secret: &str) -> Result<Vec<u8>, VaultError> {
    let keys = AuditKeys { mac: Zeroizing::new([1; 32]), sign: Zeroizing::new([2; 32]) };
    let facts = IntentFacts {
        by: None,
        principal: "test".into(),
        token: None,
        program_sha256: None,
        argv_sha256: None,
        cwd: None,
        sandbox: vec![],
        interpreters: vec![],
    };
    let log = AuditLog::open(&dir.join("audit"), keys, None).unwrap();
    let intent = log.record_intent(allowed(secret), RunId::random(), facts, None).unwrap();
    assert!(matches!(vault.reveal(&name("not/covered"), &intent), Err(VaultError::NotCovered(_))));
    vault.reveal(&name(secret), &intent).map(|value| value.expose_secret().to_vec())
}

#[test]
fn what_is_set_is_there_after_a_new_start() {
    let (dir, key) = home();
    {
        let mut vault = open(dir.path(), &key).unwrap();
        set(&mut vault, "a/b", b"one\x00\xff");
        set(&mut vault, "a/b", b"two");
        vault.put_document(DocumentKind::Policy, "s", b"text", Timestamp::now()).unwrap();
    }
    let key = unlock(dir.path(), &UnlockMethod::IdentityFile(None)).unwrap();
    let vault = open(dir.path(), &key).unwrap();
    assert_eq!(reveal(dir.path(), &vault, "a/b").unwrap(), b"two");
    assert_eq!(vault.secret(&name("a/b")).unwrap().unwrap().version, 2);
    assert_eq!(vault.document(DocumentKind::Policy, "s").unwrap().unwrap().as_slice(), b"text");
    assert_eq!(vault.documents(DocumentKind::Policy).unwrap(), ["s"]);
    assert!(vault.document(DocumentKind::Token, "s").unwrap().is_none(), "kinds are apart");
    assert!(vault.verify().unwrap().damage.is_empty());
}

#[test]
fn ten_versions_are_kept() {
    let (dir, key) = home();
    let mut vault = open(dir.path(), &key).unwrap();
    for n in 1..=13 {
        set(&mut vault, "a", format!("value {n}").as_bytes());
    }
    let history = vault.history(&name("a")).unwrap();
    assert_eq!(history.iter().map(|v| v.version).collect::<Vec<_>>(), (4..=13).collect::<Vec<_>>());
    assert!(history.last().unwrap().current);
    assert_eq!(vault.rollback(&name("a"), 5, Timestamp::now()).unwrap().version, 14);
    assert_eq!(reveal(dir.path(), &vault, "a").unwrap(), b"value 5");
    assert!(matches!(vault.rollback(&name("a"), 1, Timestamp::now()), Err(VaultError::NotFound { .. })));
    let report = vault.verify().unwrap();
    assert_eq!(
        (report.records, report.damage.len()),
        (10, 0),
        "old versions are gone from the store: {report:?}"
    );
    vault.remove_secret(&name("a")).unwrap();
    assert!(vault.list_secrets().unwrap().is_empty());
    assert!(matches!(vault.remove_secret(&name("a")), Err(VaultError::NotFound { .. })));
    assert_eq!(vault.verify().unwrap().records, 0);
}

#[test]
fn names_are_not_readable_at_rest() {
    let (dir, key) = home();
    let mut vault = open(dir.path(), &key).unwrap();
    set(&mut vault, "visible-name/of-a-secret", b"visible-value-of-it");
    drop(vault);
    for file in crate::files::files_below(dir.path()).unwrap() {
        let bytes = std::fs::read(&file).unwrap();
        for text in ["visible-name", "of-a-secret", "visible-value"] {
            assert!(!bytes.windows(text.len()).any(|w| w == text.as_bytes()), "{text} in {}", file.display());
        }
    }
}

/// A vault over a copy of its records, which the test then changes as whoever can write the disk could.
fn tampered(change: impl Fn(&MemoryStore, &DerivedKeys)) -> Vec<String> {
    let (dir, key) = home();
    let mut vault = open(dir.path(), &key).unwrap();
    for secret in ["a/one", "a/two", "b/three"] {
        set(&mut vault, secret, format!("old value of {secret}").as_bytes());
    }
    let old: Vec<(Vec<u8>, Vec<u8>)> = vault.store.scan(b"").unwrap();
    set(&mut vault, "a/one", b"new value of a/one");
    let memory = MemoryStore::default();
    let all = vault.store.scan(b"").unwrap();
    memory.apply(Batch(all.into_iter().map(|(k, v)| (k, Some(v))).collect())).unwrap();
    // The old state, beside, under a prefix that the vault does not look at.
    let old = old.into_iter().map(|(k, v)| ([b"~".as_slice(), &k].concat(), Some(v))).collect();
    memory.apply(Batch(old)).unwrap();
    change(&memory, &DerivedKeys::of(&key));
    let opened = Vault::over(Box::new(memory), dir.path(), home_info(dir.path()).unwrap(), &key, None);
    match opened {
        Err(error) => vec![error.to_string()],
        Ok(vault) => {
            let mut said = vault.verify().unwrap().damage;
            for secret in ["a/one", "a/two", "b/three"] {
                match reveal(dir.path(), &vault, secret) {
                    Err(error) => said.push(error.to_string()),
                    Ok(value) if secret == "a/one" => {
                        assert_eq!(value, b"new value of a/one", "served around the damage")
                    }
                    Ok(value) => assert_eq!(
                        value,
                        format!("old value of {secret}").as_bytes(),
                        "served around the damage"
                    ),
                }
            }
            said
        }
    }
}

fn record(keys: &DerivedKeys, secret: &str, version: u64) -> Vec<u8> {
    index::record_key(&index::record_id(&keys.names, "secret", secret), version)
}

fn page(keys: &DerivedKeys, secret: &str) -> Vec<u8> {
    index::page_key(index::record_id(&keys.names, "secret", secret)[0])
}

fn put(store: &MemoryStore, key: &[u8], value: Option<Vec<u8>>) {
    store.apply(Batch(vec![(key.to_vec(), value)])).unwrap();
}

fn get(store: &MemoryStore, key: &[u8]) -> Vec<u8> {
    store.get(key).unwrap().expect("it is there")
}

fn old(store: &MemoryStore, key: &[u8]) -> Vec<u8> {
    get(store, &[b"~", key].concat())
}

#[test]
fn swapped_replayed_and_missing_records_are_named() {
    assert!(tampered(|_, _| ()).is_empty(), "nothing was done");
    type Attack = fn(&MemoryStore, &DerivedKeys);
    let attacks: &[(&str, &str, Attack)] = &[
        ("two records swapped", "a/two was swapped", |s, k| {
            let (one, two) = (get(s, &record(k, "a/two", 1)), get(s, &record(k, "b/three", 1)));
            put(s, &record(k, "a/two", 1), Some(two));
            put(s, &record(k, "b/three", 1), Some(one));
        }),
        ("an older version in place of the newer", "a/one was swapped", |s, k| {
            let older = get(s, &record(k, "a/one", 1));
            put(s, &record(k, "a/one", 2), Some(older));
        }),
        ("a record removed", "a/two is missing", |s, k| put(s, &record(k, "a/two", 1), None)),
        ("a record cut", "a/two was swapped", |s, k| {
            let mut cut = get(s, &record(k, "a/two", 1));
            cut.truncate(cut.len() / 2);
            put(s, &record(k, "a/two", 1), Some(cut));
        }),
        ("a record forged with the recipient's public key", "a/two was swapped", |s, k| {
            put(s, &record(k, "a/two", 1), Some(k.vault.encrypt(b"{\"name\":\"a/two\"}").unwrap()));
        }),
        ("an older page", "index page", |s, k| {
            let older = old(s, &page(k, "a/one"));
            put(s, &page(k, "a/one"), Some(older));
        }),
        ("a page removed", "index page", |s, k| put(s, &page(k, "a/one"), None)),
        ("an older root", "cut or put back", |s, _| {
            let older = old(s, index::ROOT);
            put(s, index::ROOT, Some(older));
        }),
        ("everything older", "cut or put back", |s, _| {
            for (key, _) in s.scan(b"").unwrap() {
                if let Some(key) = key.strip_prefix(b"~") {
                    put(s, key, Some(old(s, key)));
                }
            }
        }),
        ("a root removed", "the root is missing", |s, _| put(s, index::ROOT, None)),
        ("a root of one's own", "the root is cut, forged", |s, _| put(s, index::ROOT, Some(vec![b'x'; 200]))),
        ("a record that no page names", "no index page names", |s, _| {
            put(s, b"r0123456789abcdef\0\0\0\0\0\0\0\x01", Some(vec![1]))
        }),
    ];
    for (what, words, attack) in attacks {
        let said = tampered(attack);
        assert!(said.iter().any(|line| line.contains(words)), "{what}: {said:?}");
    }
}

#[test]
fn unlocking_in_each_way() {
    let dir = tempfile::tempdir().unwrap();
    let right = || UnlockMethod::Passphrase(SecretString::from("four words in a row"));
    let key =
        init(dir.path(), UnlockMethodKind::Passphrase, &right(), Pin::Unwanted, &Engine::default()).unwrap();
    assert_eq!(unlock(dir.path(), &right()).unwrap().fingerprint(), key.fingerprint());
    let wrong = UnlockMethod::Passphrase(SecretString::from("four other words"));
    assert!(matches!(unlock(dir.path(), &wrong), Err(VaultError::WrongKey(_))));
    assert!(matches!(unlock(dir.path(), &UnlockMethod::IdentityFile(None)), Err(VaultError::WrongKey(_))));
    assert!(matches!(
        init(dir.path(), UnlockMethodKind::Passphrase, &right(), Pin::Unwanted, &Engine::default()),
        Err(VaultError::AlreadyThere(_))
    ));
    let (other, _) = home();
    let foreign = UnlockMethod::IdentityFile(Some(other.path().join("identity.txt")));
    assert!(matches!(unlock(dir.path(), &foreign), Err(VaultError::WrongKey(_))), "another vault's identity");
}

fn restore(home: &Path, backup: &Path) -> u64 {
    let backup = Backup::read(backup, &UnlockMethod::IdentityFile(None)).unwrap();
    let records = backup.records();
    let before = Before::look(home, &backup).unwrap();
    let mut restoring = Restoring::build(home, backup, before, None, Audit::Anew).unwrap();
    restoring.vaults().1.make(Head::default(), Timestamp::now()).unwrap();
    restoring.put_in_place().unwrap();
    records
}

#[test]
fn a_backup_is_whole_and_comes_back() {
    let (dir, key) = home();
    let mut vault = open(dir.path(), &key).unwrap();
    for n in 0..3 {
        set(&mut vault, "a", format!("value {n}").as_bytes());
    }
    let backup = tempfile::tempdir().unwrap();
    assert_eq!(vault.backup(backup.path()).unwrap(), 3);
    vault.remove_secret(&name("a")).unwrap();
    let epoch = vault.epoch();
    drop(vault);
    assert_eq!(restore(dir.path(), backup.path()), 3);
    let key = unlock(dir.path(), &UnlockMethod::IdentityFile(None)).unwrap();
    let vault = open(dir.path(), &key).unwrap();
    assert_eq!(vault.history(&name("a")).unwrap().len(), 3);
    assert_eq!(reveal(dir.path(), &vault, "a").unwrap(), b"value 2");
    assert!(vault.epoch() > epoch, "a restored vault is newer than what it replaces");
    assert!(vault.verify().unwrap().damage.is_empty());
}

#[test]
fn time_does_not_run_backwards() {
    let (dir, key) = home();
    let ahead = Timestamp::now() + jiff::SignedDuration::from_hours(2);
    {
        let mut vault = open(dir.path(), &key).unwrap();
        vault.hold();
        vault.put_document(DocumentKind::Policy, "s", b"text", ahead).unwrap();
        vault.make(Head::default(), ahead).unwrap();
    }
    let fresh = Freshness::default();
    assert!(fresh.now() < ahead && fresh.clock_is_behind().is_none(), "nothing was seen yet");
    drop(fresh.open(dir.path(), &key, Duration::from_secs(5)).unwrap());
    let first = fresh.now();
    assert!(first >= ahead, "what ended two hours from now stays ended: {first}");
    assert!(fresh.clock_is_behind().is_some(), "and it is said");
    std::thread::sleep(Duration::from_millis(5));
    assert!(fresh.now() > first, "time goes on meanwhile: what is issued now ends, too");
}

#[test]
fn a_process_that_saw_a_vault_takes_no_older_one() {
    let (dir, key) = home();
    let kept = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| crate::files::copy_dir(from, to).unwrap();
    copy(&dir.path().join("vault"), &kept.path().join("vault"));
    let epoch = std::fs::read(dir.path().join("vault.epoch")).unwrap();
    let fresh = Freshness::default();
    set(&mut open(dir.path(), &key).unwrap(), "a", b"a value");
    drop(fresh.open(dir.path(), &key, Duration::from_secs(5)).unwrap());
    std::fs::remove_dir_all(dir.path().join("vault")).unwrap();
    copy(&kept.path().join("vault"), &dir.path().join("vault"));
    std::fs::write(dir.path().join("vault.epoch"), epoch).unwrap();
    assert!(open(dir.path(), &key).is_ok(), "the files agree with each other");
    let refused = fresh.open(dir.path(), &key, Duration::from_secs(5));
    assert!(matches!(refused, Err(VaultError::Damaged { .. })), "{:?}", refused.err());
}

#[test]
fn a_value_that_is_too_large_changes_nothing() {
    let (dir, key) = home();
    let mut vault = open(dir.path(), &key).unwrap();
    let epoch = vault.epoch();
    let large = SecretValue::new(vec![1; crate::value::MAX_VALUE_BYTES + 1]);
    let changes = vec![
        (name("b"), SecretValue::new(vec![2; 10]), SecretMeta::default()),
        (name("a"), large, SecretMeta::default()),
    ];
    assert!(matches!(vault.set_secrets(changes, Timestamp::now()), Err(VaultError::TooLarge)));
    assert_eq!((vault.epoch(), vault.list_secrets().unwrap().len()), (epoch, 0));
}

#[test]
fn an_engine_that_panics_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = Engine::default().open(dir.path()).unwrap();
        for n in 0..200u32 {
            store.apply(Batch(vec![(n.to_be_bytes().to_vec(), Some(vec![7; 300]))])).unwrap();
        }
    }
    let path = dir.path().join("db").join("db");
    let whole = std::fs::read(&path).unwrap();
    let good = Engine::default().open(dir.path()).and_then(|store| store.scan(b"")).unwrap();
    std::fs::write(&path, &whole).unwrap();
    let mut seen = 0;
    for at in (0..whole.len()).step_by((whole.len() / 60).max(1)) {
        let mut bad = whole.clone();
        bad[at..(at + 7).min(whole.len())].iter_mut().for_each(|byte| *byte ^= 0x55);
        std::fs::write(&path, &bad).unwrap();
        // The engine may also open what is left; that it lacks something is for the index to say.
        let read = Engine::default().open(dir.path()).and_then(|store| store.scan(b""));
        seen += usize::from(read.is_err() || read.is_ok_and(|pairs| pairs != good));
        std::fs::write(&path, &whole).unwrap();
    }
    // That nothing escaped is what is shown; that the flips were in something, is this.
    assert!(seen > 0, "no flip did anything");
}
