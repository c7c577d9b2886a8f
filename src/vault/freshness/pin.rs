//! The pin: how far a vault has come, kept outside of its home.
//!
//! ```text
//! ~/.local/state/authy-mcp/VAULT-ID   MAC ‖ { vault_id, epoch, root, chain, head, time, instance, home }
//! ```
//! Below the home that the system's user list names, and no variable leads elsewhere: whoever starts us
//! chooses our environment. Any process of the user can delete it; none can make one that says less.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
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

/// What is remembered of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pin {
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
    match bytes.map(|bytes| parse(&bytes)) {
        Ok(Some(pin)) if pin.vault_id == vault_id => Found::Pin(pin),
        Ok(Some(_)) => Found::Bad(format!("{shown} is of another vault")),
        Ok(None) => Found::Bad(format!("{shown} is cut, changed, or of another vault")),
        Err(error) => Found::Bad(format!("{shown} can't be read: {error}")),
    }
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
    file.write_all(&index::signed(key, PURPOSE, pin))?;
    file.sync_all()?;
    renameat(&dir, &part, &dir, name)?;
    dir.sync_all()
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
