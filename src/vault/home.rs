//! `home.json`: what may be known of a home before anything is unlocked.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{HomeInfo, VaultError, VaultKey};
use crate::store::files;

const FILE: &str = "home.json";
/// The only format there is.
pub(super) const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Signed {
    #[serde(flatten)]
    info: HomeInfo,
    /// HMAC-SHA-256 of the rest, in hex: shows an edit once the vault is unlocked.
    mac: String,
}

/// Reads the description of a home.
///
/// # Errors
/// [`VaultError::NoVault`] where there is none, [`VaultError::Damaged`].
pub fn home_info(home: &Path) -> Result<HomeInfo, VaultError> {
    Ok(read(home)?.info)
}

/// Reads the description and holds it against its MAC.
pub(super) fn checked(home: &Path, key: &VaultKey) -> Result<HomeInfo, VaultError> {
    let signed = read(home)?;
    let right = hex::encode(mac(&signed.info, key));
    if bool::from(signed.mac.as_bytes().ct_eq(right.as_bytes())) {
        return Ok(signed.info);
    }
    Err(VaultError::damaged(format!("{FILE} was changed by something else than authy-mcp")))
}

pub(super) fn write(home: &Path, info: &HomeInfo, key: &VaultKey) -> Result<(), VaultError> {
    let signed = Signed { info: info.clone(), mac: hex::encode(mac(info, key)) };
    let text = serde_json::to_vec_pretty(&signed).expect("a description has string keys only");
    files::write_private(&home.join(FILE), &text)
        .map_err(|error| VaultError::io(format!("write {FILE}"), error))
}

fn read(home: &Path) -> Result<Signed, VaultError> {
    let bytes = match fs::read(home.join(FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(home)),
        Err(error) => return Err(VaultError::io(format!("read {FILE}"), error)),
    };
    let signed: Signed =
        serde_json::from_slice(&bytes).map_err(|_| VaultError::damaged(format!("{FILE} can't be read")))?;
    if signed.info.format != FORMAT {
        return Err(VaultError::damaged(format!(
            "{FILE} says format {}; this version reads {FORMAT}",
            signed.info.format
        )));
    }
    Ok(signed)
}

/// A home that has a database and no description was damaged, not never made.
fn missing(home: &Path) -> VaultError {
    if database(home).exists() {
        return VaultError::damaged(format!("{FILE} is gone, and the database is there"));
    }
    VaultError::NoVault(home.to_owned())
}

fn mac(info: &HomeInfo, key: &VaultKey) -> [u8; 32] {
    let text = serde_json::to_vec(info).expect("a description has string keys only");
    key.mac("home", &[&text])
}

pub(super) fn database(home: &Path) -> PathBuf {
    home.join("vault")
}

pub(super) fn lock_file(home: &Path) -> PathBuf {
    home.join("vault.lock")
}
