//! The journal: of any file it gives what was written, up to where that stops, or says that it is damaged.

#![no_main]

use std::{collections::BTreeMap, fs, path::PathBuf, sync::LazyLock};

use authy_mcp::testing::store::{Batch, batch_again, read_journal, write_journal};
use libfuzzer_sys::fuzz_target;

/// A journal as it was written.
struct Real {
    dir: PathBuf,
    /// What it begins with, and each record.
    parts: Vec<Vec<u8>>,
}

/// The changes of each record, one of them with more than one.
fn changes(record: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    match record {
        0 => vec![(b"a".to_vec(), Some(b"one".to_vec())), (b"b".to_vec(), Some(vec![0; 40]))],
        1 => vec![(b"a".to_vec(), Some(b"two".to_vec()))],
        2 => vec![(b"b".to_vec(), None)],
        _ => vec![(b"c".to_vec(), Some(Vec::new())), (b"a".to_vec(), None)],
    }
}

fn replay(pairs: &mut BTreeMap<Vec<u8>, Vec<u8>>, changes: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(pairs.insert(key, value)),
            None => drop(pairs.remove(&key)),
        }
    }
}

static REAL: LazyLock<Real> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("authy-mcp-fuzz-journal-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let ends = write_journal(&dir, (0..4).map(|record| Batch(changes(record))).collect()).expect("a journal");
    let whole = fs::read(dir.join("journal")).expect("a journal");
    let begins = std::iter::once(0).chain(ends.clone());
    let part = |(from, to): (u64, u64)| whole[from as usize..to as usize].to_vec();
    Real { dir, parts: begins.zip(ends).map(part).collect() }
});

// The first byte says how the rest is meant: as a record's payload, or as a file, in which bytes from 251 on stand for
// what was written; its second bit, whether the engine was closed.
fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        let again = batch_again(rest);
        return assert!(again.is_none_or(|again| again == rest), "a payload has two meanings");
    }
    let part = |byte: &u8| REAL.parts.get(usize::from(byte.checked_sub(251)?));
    let file: Vec<u8> = rest
        .iter()
        .flat_map(|byte| part(byte).map_or(std::slice::from_ref(byte), Vec::as_slice))
        .copied()
        .collect();
    fs::write(REAL.dir.join("journal"), &file).expect("a file");
    let _ = fs::remove_file(REAL.dir.join("state"));
    let Ok(Some((pairs, was_open))) = read_journal(&REAL.dir) else { return };
    assert!(was_open && rest.first() == Some(&251), "it begins with its base");
    let mut expected = BTreeMap::new();
    let mut rest = &rest[1..];
    loop {
        rest = match rest {
            // No length, and the digest of nothing, which is that of this journal's base: a batch of no changes.
            [0, 0, 0, 0, 251, behind @ ..] => behind,
            [record @ 252..=u8::MAX, behind @ ..] => {
                replay(&mut expected, changes(usize::from(record - 252)));
                behind
            }
            _ => break,
        };
    }
    assert_eq!(pairs, expected);
    // Whatever was torn is gone: now it was closed, and is whole.
    assert_eq!(read_journal(&REAL.dir).expect("it is whole"), Some((expected, false)));
});
