//! The files beside the vault that its root knows: its description, and what unlocks it.
//!
//! A passphrase file that was put back opens the identity, whose holder can open the vault; so it is named,
//! and nothing is done with what it opened.

use std::{collections::BTreeMap, fs, io, path::Path};

use super::super::{HomeInfo, VaultError, home, index};
use crate::files;

/// More than this was not written by us.
const MOST: u64 = 64 << 10;
const UNLOCK: &str = "unlock";

/// The files that a root knows → their digests.
pub(in crate::vault) type Known = BTreeMap<String, Vec<String>>;

/// The files that are there. `description` is the home's, where that is not written yet.
pub(in crate::vault) fn present(home: &Path, description: Option<&[u8]>) -> Result<Known, VaultError> {
    let described = match description {
        Some(bytes) => index::digest(bytes),
        None => digest_of(home, home::FILE)?,
    };
    let mut known = Known::from([(home::FILE.to_owned(), vec![described])]);
    for name in unlockers(home)? {
        let digest = digest_of(home, &name)?;
        known.insert(name, vec![digest]);
    }
    Ok(known)
}

/// Holds the files that are there against those that the root knows.
pub(in crate::vault) fn check(home: &Path, known: &Known, info: &HomeInfo) -> Result<(), VaultError> {
    if known.is_empty() {
        return Ok(());
    }
    let unconfirmed = |what: String| VaultError::Unconfirmed { what, fingerprint: info.fingerprint.clone() };
    for (name, digests) in known {
        match digest_of(home, name) {
            Ok(found) if digests.contains(&found) => {}
            Ok(_) => {
                return Err(unconfirmed(format!(
                    "{name} is not the one that the vault knows: it was put back or replaced"
                )));
            }
            Err(VaultError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(unconfirmed(format!("{name} is gone")));
            }
            Err(error) => return Err(error),
        }
    }
    match unlockers(home)?.into_iter().find(|name| !known.contains_key(name)) {
        Some(name) => {
            Err(unconfirmed(format!("{name} is not of this vault: it was added by something else")))
        }
        None => Ok(()),
    }
}

/// Of files that were being replaced, those that are there now.
pub(in crate::vault) fn settle(home: &Path, known: &mut Known) -> Result<(), VaultError> {
    for (name, digests) in known.iter_mut().filter(|(_, digests)| digests.len() > 1) {
        let found = digest_of(home, name)?;
        digests.retain(|digest| *digest == found);
    }
    Ok(())
}

fn digest_of(home: &Path, name: &str) -> Result<String, VaultError> {
    files::read_regular(&home.join(name), MOST)
        .map(|bytes| index::digest(&bytes))
        .map_err(|error| VaultError::unreadable(name, error))
}

fn unlockers(home: &Path) -> Result<Vec<String>, VaultError> {
    let entries = match fs::read_dir(home.join(UNLOCK)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(VaultError::io("read unlock/", error)),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| name.ends_with(".age")).map(|name| format!("{UNLOCK}/{name}")).collect())
}
