//! The pin: how far a vault has come, kept outside of its home.
//!
//! ```text
//! ~/.local/state/authy-mcp/VAULT-ID   two slots of 8 KiB, each: MAC ‖ { seq, vault_id, epoch, root, … } ‖ spaces
//! ```
//! The newer one counts that holds; a write goes into the other, and costs one sync. A write that is cut off leaves the
//! one before. What is longer than a slot, and pins of before there were slots, are one record, replaced whole.
//! Below the home that the system's user list names, and no variable leads elsewhere: whoever starts us
//! chooses our environment. Any process of the user can delete it; none can make one that says less.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use jiff::Timestamp;
use rustix::{
    fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::super::{VaultKey, index};
use crate::{audit::Head, files};

/// More than this was not written by us.
const MOST: u64 = 64 << 10;
/// What a pin's MAC is derived for.
const PURPOSE: &str = "pin";
const BELOW: &str = ".local/state/authy-mcp";

/// The length of a slot.
const SLOT: usize = 8 << 10;

/// What is remembered of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pin {
    /// Grows with every write.
    #[serde(default)]
    pub seq: u64,
    pub vault_id: String,
    /// The last change.
    pub epoch: u64,
    /// The digest of the root that it made.
    #[serde(with = "hex::serde")]
    pub root: [u8; 32],
    /// Which of the audit's chains the head is of.
    pub chain: u64,
    pub head: Head,
    pub time: Timestamp,
    /// Which home of this vault.
    pub instance: String,
    /// Where that was.
    pub home: PathBuf,
}

/// What is in a pin's place.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Pin(Pin),
    Missing,
    /// Something that is no pin of this vault, or can't be read.
    Bad(String),
}

/// Where pins are kept, if this user has such a place.
pub(super) fn place() -> Option<&'static Path> {
    static PLACE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let look = || {
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten()?;
        Some(user.dir.join(BELOW)).filter(|place| place.is_absolute())
    };
    PLACE.get_or_init(look).as_deref()
}

/// A name of ours: `home.json`, which is read before its MAC can be held against anything, says it.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 80
        && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.')
        && !name.starts_with('.')
}

/// Reads a pin and holds it against its MAC.
pub(super) fn read(name: &str, vault_id: &str, key: &VaultKey) -> Found {
    look(name, vault_id, |bytes| index::open_signed(key, PURPOSE, bytes))
}

/// Reads what a pin says of itself, where no key is known yet.
pub(super) fn said(name: &str, vault_id: &str) -> Found {
    look(name, vault_id, |bytes| {
        let (_, json) = bytes.split_at_checked(65)?;
        serde_json::from_slice(json).ok()
    })
}

fn look(name: &str, vault_id: &str, parse: impl Fn(&[u8]) -> Option<Pin>) -> Found {
    let Some(place) = place() else { return Found::Missing };
    if !is_name(name) {
        return Found::Bad("home.json names no file for it".to_owned());
    }
    let path = place.join(name);
    let shown = path.display();
    let bytes = match files::open_regular(&path).and_then(|file| ours(&file).map(|()| file)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Found::Missing;
        }
        opened => opened.and_then(|file| files::read_at_most(&file, MOST)),
    };
    match bytes.map(|bytes| newest(&bytes, parse)) {
        Ok(Some(pin)) if pin.vault_id == vault_id => Found::Pin(pin),
        Ok(Some(_)) => Found::Bad(format!("{shown} is of another vault")),
        Ok(None) => Found::Bad(format!("{shown} is cut, changed, or of another vault")),
        Err(error) => Found::Bad(format!("{shown} can't be read: {error}")),
    }
}

/// The newest of what holds, with its slot.
fn newest(bytes: &[u8], parse: impl Fn(&[u8]) -> Option<Pin>) -> Option<Pin> {
    slots(bytes).filter_map(|slot| parse(record(slot))).max_by_key(|pin| pin.seq)
}

/// A slot without the spaces behind its record.
fn record(slot: &[u8]) -> &[u8] {
    const SPACES: &[u8; SLOT] = &[b' '; SLOT];
    let (record, rest) = slot.split_at(memchr::memrchr(b'}', slot).map_or(0, |last| last + 1));
    // In one comparison: every opening reads two slots that are spaces for the most part.
    if SPACES.starts_with(rest) { record } else { slot }
}

/// The slots of a pin's file; the whole of one that has none.
fn slots(bytes: &[u8]) -> std::slice::Chunks<'_, u8> {
    let length = if bytes.len() == 2 * SLOT { SLOT } else { bytes.len().max(1) };
    bytes.chunks(length)
}

fn ours(file: &File) -> io::Result<()> {
    if file.metadata()?.uid() == rustix::process::getuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is another user's"))
}

/// Whether a pin could be written here.
pub(super) fn usable() -> Result<(), String> {
    let Some(place) = place() else {
        return Err("this user has no home in the system's user list".to_owned());
    };
    open_place(place).map(drop).map_err(|error| format!("{} can't be used: {error}", place.display()))
}

/// Replaces a pin, durably: whoever reads it finds the old one or the new.
pub(super) fn write(name: &str, pin: &Pin, key: &VaultKey) -> io::Result<()> {
    let place = place().ok_or(io::ErrorKind::NotFound)?;
    if !is_name(name) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let dir = open_place(place)?;
    if write_slot(&dir, name, pin, key)? {
        return Ok(());
    }
    // Writers hold the vault's lock; what one that was killed left is replaced.
    let part = format!(".new-{name}");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = || openat(&dir, &part, flags, Mode::RUSR | Mode::WUSR);
    let file = match create() {
        Err(Errno::EXIST) => {
            unlinkat(&dir, &part, AtFlags::empty())?;
            create()?
        }
        created => created?,
    };
    let mut file = File::from(file);
    let mut record = index::signed(key, PURPOSE, pin);
    if record.len() <= SLOT {
        record.resize(2 * SLOT, b' ');
    }
    file.write_all(&record)?;
    file.sync_all()?;
    renameat(&dir, &part, &dir, name)?;
    dir.sync_all()
}

/// Writes into the slot that does not count, durably; nothing is done where the file has no slots.
fn write_slot(dir: &File, name: &str, pin: &Pin, key: &VaultKey) -> io::Result<bool> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(dir, name, flags, Mode::empty()) else { return Ok(false) };
    // What is something else is replaced.
    let Ok(file) = files::regular(Ok(File::from(file))) else { return Ok(false) };
    ours(&file)?;
    if file.metadata()?.len() != 2 * SLOT as u64 {
        return Ok(false);
    }
    let mut bytes = vec![0; 2 * SLOT];
    file.read_exact_at(&mut bytes, 0)?;
    let seq = |slot: &[u8]| {
        let pin: Option<Pin> = index::open_signed(key, PURPOSE, record(slot));
        pin.map(|pin| pin.seq)
    };
    let [first, second] = [seq(&bytes[..SLOT]), seq(&bytes[SLOT..])];
    let at = if first > second { SLOT as u64 } else { 0 };
    let next = Pin { seq: first.max(second).map_or(0, |seq| seq + 1), ..pin.clone() };
    let mut record = index::signed(key, PURPOSE, &next);
    if record.len() > SLOT {
        return Ok(false);
    }
    record.resize(SLOT, b' ');
    file.write_all_at(&record, at)?;
    file.sync_data()?;
    Ok(true)
}

/// The place itself is no link, is ours, and is closed to others.
fn open_place(place: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(rustix::fs::CWD, place, flags, Mode::empty());
    let dir = match open() {
        Err(Errno::NOENT) => {
            let home = place.ancestors().nth(3).unwrap_or(place);
            if !home.is_dir() {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("{} is not there", home.display()),
                ));
            }
            files::create_private_dir(place)?;
            open()?
        }
        opened => opened?,
    };
    let dir = File::from(dir);
    ours(&dir)?;
    let meta = dir.metadata()?;
    if meta.permissions().mode() & 0o077 != 0 {
        dir.set_permissions(std::fs::Permissions::from_mode(0o700))?;
    }
    if rustix::fs::accessat(
        &dir,
        ".",
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
        AtFlags::empty(),
    )
    .is_err()
    {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(epoch: u64) -> Pin {
        Pin {
            seq: 0,
            vault_id: "ab12".to_owned(),
            epoch,
            root: [7; 32],
            chain: 0,
            head: Head::default(),
            time: Timestamp::UNIX_EPOCH,
            instance: "x".to_owned(),
            home: "/somewhere".into(),
        }
    }

    #[test]
    fn a_write_goes_into_the_slot_that_does_not_count_and_may_be_cut_off() {
        let place = tempfile::tempdir().unwrap();
        let (dir, file) = (File::open(place.path()).unwrap(), place.path().join("ab12"));
        let key = VaultKey::new(age::x25519::Identity::generate());
        let said = |bytes: &[u8]| {
            newest(bytes, |slot| index::open_signed(&key, PURPOSE, slot)).map(|pin: Pin| pin.epoch)
        };
        assert!(!write_slot(&dir, "ab12", &pin(1), &key).unwrap(), "there is no file yet");
        // One of before there were slots.
        std::fs::write(&file, index::signed(&key, PURPOSE, &pin(1))).unwrap();
        assert_eq!(said(&std::fs::read(&file).unwrap()), Some(1));
        assert!(!write_slot(&dir, "ab12", &pin(2), &key).unwrap());
        std::fs::write(&file, vec![b' '; 2 * SLOT]).unwrap();
        for epoch in 2..9 {
            let before = std::fs::read(&file).unwrap();
            assert!(write_slot(&dir, "ab12", &pin(epoch), &key).unwrap());
            let after = std::fs::read(&file).unwrap();
            assert_eq!(said(&after), Some(epoch));
            let changed = (0..after.len()).find(|at| after[*at] != before[*at]).unwrap() / SLOT;
            for cut in (0..SLOT).step_by(37) {
                let mut torn = before.clone();
                let at = changed * SLOT;
                torn[at..at + cut].copy_from_slice(&after[at..at + cut]);
                let right = [Some(epoch), Some(epoch - 1).filter(|before| *before > 1)];
                assert!(right.contains(&said(&torn)), "cut at {cut}");
            }
        }
    }
}
