//! `home.json`: what may be known of a home before anything is unlocked.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use zeroize::Zeroizing;

use super::{HomeInfo, VaultError, VaultKey};
use crate::{files, store::Place};

pub(super) const FILE: &str = "home.json";
/// More than this was not written by us.
const MOST: u64 = 64 << 10;
/// What a home is made of, each part by the files that it has: what can be put back by itself.
#[doc(hidden)]
pub const PARTS: [(&str, &[&str]); 8] = [
    ("home.json", &[FILE]),
    ("identity", &["identity.txt"]),
    ("unlock", &["unlock"]),
    ("index", &["store/index"]),
    ("store", &["store/current", "store/journal-", "store/run-"]),
    ("audit", &["audit"]),
    ("tokens", &["tokens"]),
    ("backups", &["backups"]),
];

/// The format of homes that this version makes and reads. It upgrades homes of format 1.
pub(crate) const FORMAT: u32 = super::index::FORMAT;

const FORMAT_ONE: u32 = 1;

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
pub(crate) fn home_info(home: &Path) -> Result<HomeInfo, VaultError> {
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
    files::write_private(&home.join(FILE), &encode(info, key))
        .map_err(|error| VaultError::io(format!("write {FILE}"), error))
}

/// The file's bytes.
pub(super) fn encode(info: &HomeInfo, key: &VaultKey) -> Vec<u8> {
    let signed = Signed { info: info.clone(), mac: hex::encode(mac(info, key)) };
    serde_json::to_vec_pretty(&signed).expect("a description has string keys only")
}

fn read(home: &Path) -> Result<Signed, VaultError> {
    let bytes = match files::read_regular(&home.join(FILE), MOST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(home)),
        Err(error) => return Err(VaultError::unreadable(FILE, error)),
    };
    let signed: Signed =
        serde_json::from_slice(&bytes).map_err(|_| VaultError::damaged(format!("{FILE} can't be read")))?;
    match signed.info.format {
        FORMAT | FORMAT_ONE => Ok(signed),
        newer => Err(VaultError::NewerFormat { format: newer }),
    }
}

/// A home that has a database and no description was damaged, not never made.
fn missing(home: &Path) -> VaultError {
    if database(home).exists() || database_one(home).exists() {
        return VaultError::damaged(format!("{FILE} is gone, and the database is there"));
    }
    VaultError::NoVault(home.to_owned())
}

fn mac(info: &HomeInfo, key: &VaultKey) -> [u8; 32] {
    let text = serde_json::to_vec(info).expect("a description has string keys only");
    key.mac("home", &[&text])
}

/// Refuses a home that has to be upgraded first.
pub(super) fn of_this_format(info: HomeInfo) -> Result<HomeInfo, VaultError> {
    if info.format == FORMAT { Ok(info) } else { Err(VaultError::OlderFormat { format: info.format }) }
}

pub(super) fn database(home: &Path) -> PathBuf {
    home.join("store")
}

/// The directory of the database of a home of format 1.
pub(super) fn database_one(home: &Path) -> PathBuf {
    home.join("vault")
}

/// Where the database of a home is, and its lock.
pub(super) fn place(home: &Path) -> Place {
    Place { dir: database(home), lock: home.join("vault.lock") }
}

pub(super) fn random_hex(bytes: usize) -> String {
    let mut random = Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut random).expect("the operating system gives randomness");
    hex::encode(&*random)
}
