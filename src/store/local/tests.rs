//! What files of its own must stand: cuts at any byte, flipped bits, a writer that was killed at any step of making a
//! run, readers beside the writer.

use std::{
    collections::HashSet,
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::files;

struct Scene {
    _dir: tempfile::TempDir,
    at: PathBuf,
}

fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("store");
    files::create_private_dir(&at).unwrap();
    drop(LocalStore::write(&at).unwrap());
    Scene { _dir: dir, at }
}

fn object(number: u32, length: usize) -> Object {
    Object::new([number.to_be_bytes().as_slice(), &vec![7; length]].concat())
}

/// Object `number`, and a root that says so.
fn change(store: &LocalStore, number: u32, length: usize) {
    let before = number.checked_sub(1).map(u32::to_be_bytes);
    store.put(&[object(number, length)]).unwrap();
    store.exchange("root", before.as_ref().map(<[u8; 4]>::as_slice), Some(&number.to_be_bytes())).unwrap();
}

/// The number that the root says; the object that goes with it is there.
fn said(store: &LocalStore, length: usize) -> Option<u32> {
    let number = store.value("root").unwrap().map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
    if let Some(number) = number {
        let id = object(number, length).id();
        assert_eq!(store.get(&id).unwrap().as_deref(), Some(object(number, length).bytes()), "{number}");
    }
    number
}

#[test]
fn wherever_the_journal_is_cut_what_was_whole_before_is_there() {
    let scene = scene();
    let store = LocalStore::write(&scene.at).unwrap();
    let mut ends = Vec::new();
    for number in 0..6 {
        change(&store, number, 30);
        ends.push(store.state.lock().journal.end);
    }
    drop(store);
    let file = current::journal(&scene.at, 1);
    let whole = fs::read(&file).unwrap();
    for cut in 28..whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        let right = ends.iter().filter(|end| **end <= cut as u64).count().checked_sub(1);
        let right = right.map(|last| u32::try_from(last).unwrap());
        assert_eq!(said(&LocalStore::read(&scene.at).unwrap(), 30), right, "read, cut at {cut}");
        let store = LocalStore::write(&scene.at).unwrap();
        assert_eq!(said(&store, 30), right, "cut at {cut}");
        change(&store, right.map_or(0, |last| last + 1), 30);
        drop(store);
        assert_eq!(said(&LocalStore::read(&scene.at).unwrap(), 30), Some(right.map_or(0, |last| last + 1)));
    }
    // Where it ends before its head it is no journal.
    fs::write(&file, &whole[..20]).unwrap();
    assert!(matches!(LocalStore::read(&scene.at), Err(StoreError::Damaged { .. })));
}

#[test]
fn what_never_reached_the_disk_may_come_back_as_zeros() {
    let scene = scene();
    let store = LocalStore::write(&scene.at).unwrap();
    change(&store, 0, 30);
    let end = store.state.lock().journal.end;
    change(&store, 1, 30);
    drop(store);
    let file = current::journal(&scene.at, 1);
    let mut bytes = fs::read(&file).unwrap();
    bytes[usize::try_from(end).unwrap()..].fill(0);
    fs::write(&file, bytes).unwrap();
    let store = LocalStore::write(&scene.at).unwrap();
    assert_eq!(said(&store, 30), Some(0));
    change(&store, 1, 30);
    store.check().unwrap();
}

#[test]
fn no_flipped_bit_is_taken_for_what_was_written() {
    let scene = scene();
    let store = LocalStore::write(&scene.at).unwrap();
    for number in 0..3 {
        change(&store, number, 12);
    }
    drop(store);
    let file = current::journal(&scene.at, 1);
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        let Ok(store) = LocalStore::read(&scene.at) else { continue };
        let root = store.value("root").unwrap().map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
        // A length that is changed makes a tail of what follows: then the root is an earlier one, which whoever
        // remembers the vault notices. No root is one that was never written, and no object passes for another.
        assert!(root.is_none_or(|number| number < 3), "byte {at}");
        let seen_whole = root == Some(2) && (0..3).all(|n| said_object(&store, n));
        assert!(!seen_whole || store.check().is_err(), "byte {at} is part of nothing");
    }
}

fn said_object(store: &LocalStore, number: u32) -> bool {
    store.get(&object(number, 12).id()).unwrap().is_some_and(|bytes| bytes == object(number, 12).bytes())
}

#[test]
fn a_run_that_was_changed_is_named_and_never_believed() {
    let scene = scene();
    let store = LocalStore::write(&scene.at).unwrap();
    for number in 0..30 {
        change(&store, number, 60_000);
    }
    drop(store);
    let current = Current::read(&scene.at).unwrap().unwrap();
    let file = current::run(&scene.at, current.runs[0]);
    let whole = fs::read(&file).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 97).chain(whole.len() - 60..whole.len()) {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        let checked = LocalStore::read(&scene.at).and_then(|store| store.check());
        // The first bytes say what the file is, and are part of nothing.
        assert!(at < 16 || matches!(checked, Err(StoreError::Damaged { .. })), "byte {at}");
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(LocalStore::read(&scene.at), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_long_journal_becomes_a_run_and_few_runs_are_kept() {
    let scene = scene();
    for round in 0..20 {
        let store = LocalStore::write(&scene.at).unwrap();
        for number in round * 20..(round + 1) * 20 {
            change(&store, number, 60_000);
            if number >= 5 && number % 3 == 0 {
                store.remove(&[object(number - 5, 60_000).id()]).unwrap();
            }
        }
        assert!(matches!(store.state.lock().index, Indexed::NotYet), "small changes need none");
        store.rest(Rest::Kept);
        let state = store.state.lock();
        assert!(matches!(state.index, Indexed::Open(_)), "who makes a run has the index");
        for (id, Place { run, at, length }) in state.run_places().unwrap() {
            assert_eq!(state.find(&id).unwrap(), Some((run, at, length)), "as the runs have it");
        }
    }
    let store = LocalStore::write(&scene.at).unwrap();
    store.check().unwrap();
    assert_eq!(said(&store, 60_000), Some(399));
    let runs = Current::read(&scene.at).unwrap().unwrap().runs;
    assert!((1..=8).contains(&runs.len()), "{runs:?}");
    let gone: Vec<u32> = (0..400).filter(|n| (n + 5) % 3 == 0 && n + 5 < 400).collect();
    let listed: HashSet<ObjectId> = store.list().unwrap().into_iter().collect();
    assert_eq!(listed.len(), 400 - gone.len());
    assert!(gone.iter().all(|number| !listed.contains(&object(*number, 60_000).id())));
}

#[test]
fn a_writer_killed_while_it_makes_a_run_leaves_the_store_as_it_was() {
    let scene = scene();
    let store = LocalStore::write(&scene.at).unwrap();
    for number in 0..4 {
        change(&store, number, 100);
    }
    drop(store);
    // Whatever it had made of the next files, `current` does not name them.
    for left in ["run-2", "journal-2", "run-9", "index.state"] {
        fs::write(scene.at.join(left), b"half of it").unwrap();
    }
    let store = LocalStore::write(&scene.at).unwrap();
    assert_eq!(said(&store, 100), Some(3));
    assert!(!scene.at.join("run-2").exists() && !scene.at.join("run-9").exists());
    store.check().unwrap();
}

#[test]
fn an_index_that_is_damaged_or_of_another_state_is_made_anew() {
    let scene = scene();
    let store = LocalStore::write(&scene.at).unwrap();
    for number in 0..30 {
        change(&store, number, 60_000);
    }
    drop(store);
    let index = scene.at.join("index");
    for spoil in [
        |index: &Path| fs::remove_dir_all(index).unwrap(),
        |index: &Path| fs::write(index.with_extension("state"), b"clean never 1\n").unwrap(),
        |index: &Path| {
            let file = index.join("db");
            let mut bytes = fs::read(&file).unwrap();
            bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55);
            fs::write(&file, bytes).unwrap();
        },
    ] {
        spoil(&index);
        let store = LocalStore::write(&scene.at).unwrap();
        let last = said(&store, 60_000).unwrap();
        (last + 1..last + 20).for_each(|number| change(&store, number, 60_000));
        store.rest(Rest::Kept);
        assert!(matches!(store.state.lock().index, Indexed::Open(_)));
        assert_eq!(said(&store, 60_000), Some(last + 19));
        store.check().unwrap();
    }
}

#[test]
fn whoever_reads_beside_the_writer_sees_every_state_whole() {
    let scene = scene();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                threads.spawn(|| {
                    let store = LocalStore::read(&scene.at).unwrap();
                    let (mut last, mut states) = (None, 0);
                    while !done.load(Ordering::Acquire) {
                        let now = said(&store, 30_000);
                        assert!(now >= last, "{now:?} after {last:?}");
                        states += u32::from(now != last);
                        last = now;
                        assert!(said(&LocalStore::read(&scene.at).unwrap(), 30_000) >= now);
                    }
                    states
                })
            })
            .collect();
        for round in 0..6 {
            let store = LocalStore::write(&scene.at).unwrap();
            for number in round * 25..(round + 1) * 25 {
                change(&store, number, 30_000);
            }
        }
        done.store(true, Ordering::Release);
        let states: u32 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(states > 10, "{states} states were seen");
    });
}

#[test]
fn whoever_reads_cannot_write() {
    let scene = scene();
    let store = LocalStore::read(&scene.at).unwrap();
    assert!(matches!(store.put(&[object(0, 1)]), Err(StoreError::Io { .. })));
    assert!(matches!(store.exchange("root", None, Some(b"x")), Err(StoreError::Io { .. })));
    assert!(matches!(store.remove(&[]), Err(StoreError::Io { .. })));
}

#[test]
fn what_is_kept_between_two_openings_is_what_the_files_say() {
    let scene = scene();
    let kept = LocalStore::write(&scene.at).unwrap();
    change(&kept, 0, 30);
    kept.rest(Rest::LetGo);
    let copy = scene.at.with_extension("copy");
    files::copy_dir(&scene.at, &copy).unwrap();
    let number = |store: &LocalStore| store.state.lock().current.journal;
    kept.renew().unwrap();
    assert_eq!((said(&kept, 30), number(&kept)), (Some(0), 1));
    // Another process writes on, and makes a run of it.
    {
        let other = LocalStore::write(&scene.at).unwrap();
        change(&other, 1, 30);
        other.rest(Rest::LetGo);
        kept.renew().unwrap();
        assert_eq!(said(&kept, 30), Some(1), "it reads on");
        other.renew().unwrap();
        for number in 2..30 {
            change(&other, number, 30);
            other.put(&[object(1000 + number, 60_000)]).unwrap();
        }
    }
    kept.renew().unwrap();
    assert_eq!((said(&kept, 30), number(&kept)), (Some(29), 2));
    kept.rest(Rest::LetGo);
    // Put back: other files, and the same file with other bytes.
    for name in ["current", "journal-1"] {
        fs::copy(copy.join(name), scene.at.join(name)).unwrap();
    }
    kept.renew().unwrap();
    assert_eq!(said(&kept, 30), Some(0), "what was put back is seen, for whoever remembers more to name");
    fs::remove_file(scene.at.join("journal-1")).unwrap();
    assert!(matches!(kept.renew(), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_store_that_nobody_has_open_any_more_writes_nothing() {
    let scene = scene();
    let kept = LocalStore::write(&scene.at).unwrap();
    for number in 0..30 {
        change(&kept, number, 60_000);
    }
    kept.rest(Rest::LetGo);
    assert!(matches!(kept.put(&[object(90, 1)]), Err(StoreError::Io { .. })));
    // Another process goes on; what ends meanwhile overwrites none of it.
    let other = LocalStore::write(&scene.at).unwrap();
    for number in 30..60 {
        change(&other, number, 60_000);
    }
    other.rest(Rest::LetGo);
    let files = || {
        let mut names: Vec<_> = fs::read_dir(&scene.at).unwrap().flatten().map(|e| e.file_name()).collect();
        names.sort();
        (names, fs::read(scene.at.join("current")).unwrap())
    };
    let before = files();
    drop(kept);
    assert_eq!(files(), before);
    drop(other);
    assert_eq!(files(), before);
    let store = LocalStore::write(&scene.at).unwrap();
    assert_eq!(said(&store, 60_000), Some(59));
    store.check().unwrap();
}

#[test]
fn a_run_that_can_not_be_made_loses_nothing_that_was_acknowledged() {
    let scene = scene();
    let engine = super::super::Engine::default();
    let store = engine.lent(&scene.at);
    for number in 0..30 {
        store.put(&[object(number, 60_000)]).unwrap();
    }
    store.exchange("root", None, Some(&29u32.to_be_bytes())).unwrap();
    // Where the next run would be written.
    fs::create_dir(scene.at.join("run-2")).unwrap();
    drop(store);
    let store = engine.lent(&scene.at);
    store.put(&[object(30, 60_000)]).unwrap();
    store.exchange("root", Some(&29u32.to_be_bytes()), Some(&30u32.to_be_bytes())).unwrap();
    fs::remove_dir(scene.at.join("run-2")).unwrap();
    drop(store);
    assert_eq!(said(&LocalStore::read(&scene.at).unwrap(), 60_000), Some(30));
}
