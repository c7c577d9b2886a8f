//! Attacks on the records themselves, and the operations as tables.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{
    Audit, Backup, Before, DocumentKind, Files, Freshness, Order, Pin, Restoring, SecretMeta, Turn,
    UnlockMethod, UnlockMethodKind, Vault, VaultError, VaultKey, home_info, index, init, object::Author,
    unlock,
};
use crate::{
    audit::{AuditKeys, AuditLog, Head, IntentFacts},
    names::{RunId, SecretName},
    policy::testing::allowed,
    store::{Engine, MemoryStore, ObjectId, Store},
    value::SecretValue,
};

const FIRST: Turn = Turn { order: Order::First, wait: Duration::from_secs(5) };

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
    Vault::open_with(dir, key, FIRST, Files::Known, &Engine::default(), &Arc::default())
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
fn what_a_change_encrypted_is_not_read_from_the_store_again() {
    let (dir, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let engine = {
        let store = store.clone();
        Engine::new(move |_| Ok(Arc::new(store.clone())))
    };
    let opener = UnlockMethod::IdentityFile(None);
    let key = init(dir.path(), UnlockMethodKind::IdentityFile, &opener, Pin::Unwanted, &engine).unwrap();
    let open =
        |kept: &Arc<_>| Vault::open_with(dir.path(), &key, FIRST, Files::Known, &engine, kept).unwrap();
    let kept = Arc::default();
    let mut vault = open(&kept);
    (0..100).for_each(|number| set(&mut vault, &format!("a/{number}"), b"one"));
    drop(vault);
    let read = open(&Arc::default()).list_secrets().unwrap();
    store.list().unwrap().iter().for_each(|id| store.replace(id, None));
    assert_eq!(open(&kept).list_secrets().unwrap(), read);
    assert!(open(&Arc::default()).list_secrets().is_err(), "another has to read it");
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

/// A vault in memory, before and after a change, which a test changes as whoever can write the disk could.
struct Disk {
    store: MemoryStore,
    /// The present object of each secret.
    records: BTreeMap<&'static str, ObjectId>,
    older_record: ObjectId,
    top: ObjectId,
    older_top: ObjectId,
    older_root: Vec<u8>,
    objects: BTreeMap<ObjectId, Vec<u8>>,
    key: VaultKey,
}

impl Disk {
    fn with(vault: &mut Vault, memory: &MemoryStore, key: &VaultKey) -> Self {
        let mut objects = BTreeMap::new();
        let mut keep = || {
            for id in memory.list().unwrap() {
                objects.insert(id, memory.get(&id).unwrap().unwrap());
            }
        };
        keep();
        let (older_top, older_root) = (vault.root.top.unwrap(), memory.value(index::ROOT).unwrap().unwrap());
        set(vault, "a/one", b"new value of a/one");
        keep();
        let entries = vault.entries("secret").unwrap();
        let record = |name: &'static str| {
            (name, entries.iter().find(|entry| entry.name == name).unwrap().current().unwrap().id)
        };
        Self {
            store: memory.clone(),
            records: SECRETS.map(record).into(),
            older_record: entries[0].versions[0].id,
            top: vault.root.top.unwrap(),
            older_top,
            older_root,
            objects,
            key: key.duplicate(),
        }
    }

    fn object(&self, id: &ObjectId) -> Vec<u8> {
        self.objects[id].clone()
    }
}

const SECRETS: [&str; 3] = ["a/one", "a/two", "b/three"];

/// What is said of a vault that was tampered with; a value that is served is the right one.
fn tampered(change: impl Fn(&Disk)) -> Vec<String> {
    let (dir, key) = home();
    let memory = MemoryStore::default();
    let (info, root) = (home_info(dir.path()).unwrap(), open(dir.path(), &key).unwrap().root.clone());
    index::write_root(&memory, &key, &root, &mut index::Stored::default()).unwrap();
    let shared = memory.clone();
    let engine = Engine::new(move |_| Ok(Arc::new(shared.clone())));
    let over = || Vault::over(engine.lent(dir.path()), dir.path(), info.clone(), &key, &Arc::default());
    let mut vault = over().unwrap();
    for secret in SECRETS {
        set(&mut vault, secret, format!("old value of {secret}").as_bytes());
    }
    let disk = Disk::with(&mut vault, &memory, &key);
    vault.anchor_audit(Head { seq: 7, ..Head::default() }, Timestamp::now()).unwrap();
    drop(vault);
    change(&disk);
    let vault = match over() {
        Err(error) => return vec![error.to_string()],
        Ok(vault) => vault,
    };
    let mut said = vault.verify().unwrap().damage;
    for secret in SECRETS {
        let right = if secret == "a/one" { "new value of a/one" } else { &format!("old value of {secret}") };
        match reveal(dir.path(), &vault, secret) {
            Err(error) => said.push(error.to_string()),
            Ok(value) => assert_eq!(value, right.as_bytes(), "served around the damage"),
        }
    }
    said
}

#[test]
fn swapped_replayed_and_missing_records_are_named() {
    assert!(tampered(|_| ()).is_empty(), "nothing was done");
    type Attack = fn(&Disk);
    let attacks: &[(&str, &str, Attack)] = &[
        ("two records swapped", "a/two was swapped", |d| {
            d.store.replace(&d.records["a/two"], Some(d.object(&d.records["b/three"])));
            d.store.replace(&d.records["b/three"], Some(d.object(&d.records["a/two"])));
        }),
        ("an older version in place of the newer", "a/one was swapped", |d| {
            d.store.replace(&d.records["a/one"], Some(d.object(&d.older_record)));
        }),
        ("a record removed", "a/two is missing", |d| d.store.replace(&d.records["a/two"], None)),
        ("a record cut", "a/two was swapped", |d| {
            let whole = d.object(&d.records["a/two"]);
            d.store.replace(&d.records["a/two"], Some(whole[..whole.len() / 2].to_vec()));
        }),
        ("a record forged with the recipient's public key", "a/two was swapped", |d| {
            let forged = d.key.encrypt(b"{\"name\":\"a/two\"}").unwrap();
            d.store.replace(&d.records["a/two"], Some(forged));
        }),
        ("an older node", "index node", |d| d.store.replace(&d.top, Some(d.object(&d.older_top)))),
        ("a node removed", "index node", |d| d.store.replace(&d.top, None)),
        ("an older root, whose nodes were let go", "index node", |d| {
            d.store.set(index::ROOT, Some(&d.older_root))
        }),
        ("a root removed", "the root is missing", |d| d.store.set(index::ROOT, None)),
        ("a root of one's own", "the root is cut, forged", |d| d.store.set(index::ROOT, Some(&[b'x'; 300]))),
        ("a root by another author", "the root is cut, forged", |d| {
            let (mut root, _) = index::read_root(&d.store, &d.key, &index::KnownRoot::default()).unwrap();
            root.authors.insert(root.author.clone(), "ab".repeat(32));
            index::write_root(&d.store, &d.key, &root, &mut present(&d.store)).unwrap();
        }),
        ("a standing of one's own", "standing is cut, forged", |d| {
            d.store.set("ledger/standing", Some(b"x"))
        }),
        ("the root's text as a standing", "standing is cut, forged", |d| {
            d.store.set("ledger/standing", Some(&d.older_root));
        }),
    ];
    for (what, words, attack) in attacks {
        let said = tampered(attack);
        assert!(said.iter().any(|line| line.contains(words)), "{what}: {said:?}");
    }
}

fn present(store: &MemoryStore) -> index::Stored {
    index::Stored { root: store.value(index::ROOT).unwrap(), standing: None }
}

#[test]
fn what_others_made_is_named_by_verify() {
    let (dir, key) = home();
    let mut vault = open(dir.path(), &key).unwrap();
    vault.key.author = Arc::new(Author::of(&VaultKey::new(age::x25519::Identity::generate())));
    set(&mut vault, "a", b"by somebody who can encrypt, and that is all");
    let damage = vault.verify().unwrap().damage;
    assert!(damage.iter().any(|line| line.contains("the secret a was made by nobody")), "{damage:?}");
}

#[test]
fn what_an_anchor_says_is_no_change_and_is_there_again() {
    let (dir, key) = home();
    let head = Head { seq: 41, ..Head::default() };
    let mut vault = open(dir.path(), &key).unwrap();
    let (change, epoch) = (vault.present(), vault.epoch());
    vault.anchor_audit(head, Timestamp::now()).unwrap();
    drop(vault);
    let mut vault = open(dir.path(), &key).unwrap();
    assert_eq!((vault.audit_anchor().unwrap(), vault.present(), vault.epoch()), (Some(head), change, epoch));
    set(&mut vault, "a", b"a value");
    drop(vault);
    assert_eq!(
        open(dir.path(), &key).unwrap().audit_anchor().unwrap(),
        Some(head),
        "taken over by the next root"
    );
}

#[test]
fn a_vault_of_many_secrets_is_a_flat_tree() {
    let (dir, key) = home();
    let mut vault = open(dir.path(), &key).unwrap();
    let many = |from: usize| {
        let change =
            |n| (name(&format!("many/{n:04}")), SecretValue::new(vec![7; 40]), SecretMeta::default());
        (from..from + 500).map(change).collect::<Vec<_>>()
    };
    for from in [0, 500, 250] {
        vault.set_secrets(many(from), Timestamp::now()).unwrap();
    }
    drop(vault);
    let mut vault = open(dir.path(), &key).unwrap();
    assert_eq!(vault.list_secrets().unwrap().len(), 1000);
    assert_eq!(vault.secret(&name("many/0300")).unwrap().unwrap().version, 2);
    for n in 0..990 {
        if n % 7 != 0 {
            vault.hold();
            vault.remove_secret(&name(&format!("many/{n:04}"))).unwrap();
        }
    }
    vault.make(Head::default(), Timestamp::now()).unwrap();
    let report = vault.verify().unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
    assert_eq!(vault.list_secrets().unwrap().len(), 152);
    vault.store.put(&[crate::store::Object::new(b"of a change that was cut short".to_vec())]).unwrap();
    vault.verify().unwrap();
    let listed = vault.store.list().unwrap().len() as u64;
    let nodes = listed - report.records;
    assert!(nodes < 20, "what was replaced was let go: {nodes} objects are no records");
    let left = ObjectId::of(b"of a change that was cut short");
    assert!(vault.store.get(&left).unwrap().is_none(), "verify lets go of what nothing names");
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
    let before = Before::look(home, &backup, &Engine::default()).unwrap();
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
    drop(fresh.open(dir.path(), &key, FIRST).unwrap());
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
    copy(&dir.path().join("store"), &kept.path().join("store"));
    let fresh = Freshness::default();
    set(&mut open(dir.path(), &key).unwrap(), "a", b"a value");
    drop(fresh.open(dir.path(), &key, FIRST).unwrap());
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    copy(&kept.path().join("store"), &dir.path().join("store"));
    assert!(open(dir.path(), &key).is_ok(), "the files agree with each other");
    let refused = fresh.open(dir.path(), &key, FIRST);
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
