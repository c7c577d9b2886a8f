//! The journal of the store: of any file it gives what was written, up to where that stops, or says that it is damaged.

#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use authy_mcp::testing::store::{Deed, Holds, groups, make, read, read_to_write};
use libfuzzer_sys::fuzz_target;

/// What is written, a group each; every kind of frame is among them.
const DEEDS: [Deed; 4] = [
    Deed::Put(&[b"one", b"two, which is longer"]),
    Deed::Exchange("root", Some(b"what the root says")),
    Deed::Remove(b"one"),
    Deed::Exchange("root", None),
];
/// The byte of an input that stands for the first of these groups; those behind it, for the others.
const FIRST: u8 = 252;

/// A store as it was written.
struct Real {
    dir: PathBuf,
    journal: PathBuf,
    /// What its journal begins with.
    begins: Vec<u8>,
    /// And each group behind that.
    groups: Vec<Vec<u8>>,
}

static REAL: LazyLock<Real> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("authy-mcp-fuzz-journal-{}", std::process::id()));
    // One that a process of the same number left is no empty directory.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    let (journal, ends) = make(&dir, &DEEDS).expect("a store");
    let whole = fs::read(&journal).expect("a journal");
    let part = |from: u64, to: u64| whole[from as usize..to as usize].to_vec();
    let groups = ends.windows(2).map(|ends| part(ends[0], ends[1])).collect();
    Real { dir, journal, begins: part(0, ends[0]), groups }
});

/// What becomes of a store by a group, whatever was there before.
fn follow(holds: &mut Holds, deed: Deed) {
    match deed {
        Deed::Put(objects) => holds.objects.extend(objects.iter().map(|bytes| bytes.to_vec())),
        Deed::Remove(bytes) => {
            holds.objects.remove(bytes);
        }
        Deed::Exchange(key, Some(new)) => {
            holds.values.insert(key.to_owned(), new.to_vec());
        }
        Deed::Exchange(key, None) => {
            holds.values.remove(key);
        }
    }
}

// The first byte says how the rest is meant: as groups, or as what is behind the beginning of a file, in which bytes from
// `FIRST` on stand for what was written; then the first of them says how many bytes are cut off at the end.
fuzz_target!(|data: &[u8]| match data {
    [0, bytes @ ..] => groups(bytes),
    [_, cut, bytes @ ..] => file(usize::from(*cut), bytes),
    _ => {}
});

fn file(cut: usize, bytes: &[u8]) {
    let group_of = |byte: &u8| byte.checked_sub(FIRST).map(usize::from);
    let written: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| match group_of(byte) {
            Some(group) => REAL.groups[group].as_slice(),
            None => std::slice::from_ref(byte),
        })
        .copied()
        .collect();
    let kept = &written[..written.len().saturating_sub(cut)];
    fs::write(&REAL.journal, [REAL.begins.as_slice(), kept].concat()).expect("a file");
    let (mut expected, mut end) = (Holds::default(), 0);
    for group in bytes.iter().map_while(group_of) {
        if end + REAL.groups[group].len() > kept.len() {
            break;
        }
        end += REAL.groups[group].len();
        follow(&mut expected, DEEDS[group]);
    }
    let Ok(found) = read(&REAL.dir) else {
        assert!(!bytes.iter().all(|byte| group_of(byte).is_some()), "what was only cut is called damaged");
        assert!(read_to_write(&REAL.dir).is_err(), "what a reader calls damaged, a writer goes on with");
        return;
    };
    // No group is made up of other bytes: that takes a digest that holds.
    assert_eq!(found, expected);
    assert_eq!(read_to_write(&REAL.dir).expect("a reader could"), expected);
    let left = fs::metadata(&REAL.journal).expect("a file").len();
    assert_eq!(left, (REAL.begins.len() + end) as u64, "what was torn is taken away, and nothing else");
    assert_eq!(read(&REAL.dir).expect("it is whole"), expected);
}
