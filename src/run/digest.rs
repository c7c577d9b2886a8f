//! What a program is: the digest of its file.

use std::{fs::File, io, path::Path};

use sha2::{Digest, Sha256};

/// SHA-256 of a program's file. Between this and the start the file could be exchanged by whoever may
/// write it; modules that it loads are not covered.
///
/// # Errors
/// Of the operating system.
pub fn digest_program(path: &Path) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hash.finalize().into())
}
