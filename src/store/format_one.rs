//! What a home of format 1 kept, for the upgrade: a base with everything, and every batch since.
//!
//! ```text
//! base-DIGEST   SHA-256 of the rest ‖ one batch with everything
//! journal       SHA-256 of its base ‖ { length ‖ SHA-256 ‖ batch }*
//! state         "clean BOOT LENGTH": written when the engine was closed
//! batch         { key length ‖ key ‖ 0, or 1 ‖ value length ‖ value }*      lengths in four bytes
//! ```
//! The sled database beside it said the same, and is not read.

use std::{collections::BTreeMap, fs, path::Path};

use sha2::{Digest, Sha256};

use super::StoreError;
use crate::files;

const DIGEST: usize = 32;
/// A longer state was not written by us.
const STATE_MOST: u64 = 4096;

/// Everything that was acknowledged, by key. What has no end at the end of the journal was not.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(crate) fn read(dir: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
    let bytes = file(dir, "journal")?;
    let (base, mut rest) = bytes.split_at_checked(DIGEST).ok_or_else(|| cut("journal"))?;
    let everything = file(dir, &format!("base-{}", hex::encode(base)))?;
    let (digest, everything) = everything.split_at_checked(DIGEST).ok_or_else(|| cut("its base"))?;
    if Sha256::digest(everything).as_slice() != digest || digest != base {
        return Err(StoreError::damaged("the base of its journal was changed"));
    }
    let mut pairs = BTreeMap::new();
    replay(&mut pairs, everything).ok_or_else(|| cut("its base"))?;
    let closed = was_closed(dir, bytes.len());
    while !rest.is_empty() {
        match record(rest) {
            Ok((batch, behind)) => {
                replay(&mut pairs, batch).ok_or_else(|| StoreError::damaged("journal was changed"))?;
                rest = behind;
            }
            Err(Torn::Cut) if !closed => break,
            Err(Torn::Cut) => return Err(cut("journal")),
            Err(Torn::Changed) => return Err(StoreError::damaged("journal was changed")),
        }
    }
    Ok(pairs)
}

/// Whether the engine was closed when the journal was so long: then nothing of it is on its way.
fn was_closed(dir: &Path, length: usize) -> bool {
    let state = files::read_regular(&dir.join("state"), STATE_MOST).unwrap_or_default();
    let boot = fs::read_to_string(crate::system::BOOT_ID).unwrap_or_default();
    state == format!("clean {} {length}\n", boot.trim()).as_bytes()
}

fn file(dir: &Path, name: &str) -> Result<Vec<u8>, StoreError> {
    files::read_regular(&dir.join(name), u64::MAX - 1).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => StoreError::damaged(format!("{name} is gone")),
        _ => StoreError::unreadable(name, error),
    })
}

fn cut(what: &str) -> StoreError {
    StoreError::damaged(format!("{what} is cut"))
}

enum Torn {
    Cut,
    Changed,
}

fn record(bytes: &[u8]) -> Result<(&[u8], &[u8]), Torn> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Torn::Cut)?;
    let (digest, rest) = rest.split_at_checked(DIGEST).ok_or(Torn::Cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Torn::Changed)?;
    let (payload, behind) = rest.split_at_checked(length).ok_or(Torn::Cut)?;
    if Sha256::digest(payload).as_slice() != digest {
        // The last one may have been on its way when the power went.
        return Err(if behind.is_empty() { Torn::Cut } else { Torn::Changed });
    }
    Ok((payload, behind))
}

fn replay(pairs: &mut BTreeMap<Vec<u8>, Vec<u8>>, mut batch: &[u8]) -> Option<()> {
    while !batch.is_empty() {
        let key = part(&mut batch)?.to_vec();
        match part(&mut batch)? {
            [0] => drop(pairs.remove(&key)),
            [1] => drop(pairs.insert(key, part(&mut batch)?.to_vec())),
            _ => return None,
        }
    }
    Some(())
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *bytes = rest;
    Some(part)
}
