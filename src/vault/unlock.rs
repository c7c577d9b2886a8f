//! The ways to the identity: a file, a passphrase, the keyring.

use std::{
    fs, io, iter,
    path::{Path, PathBuf},
};

use age::{Decryptor, Encryptor, scrypt, x25519::Identity};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{
    HomeInfo, Pinned, UnlockMethod, UnlockMethodKind, VaultError, VaultKey, freshness, home, keyring,
    open::Vault,
};
use crate::{files, store::Engine};

/// scrypt's work factor for a passphrase (log2 N, age's own scale): about a second, paid once an unlock.
const PASSPHRASE_WORK: u8 = if cfg!(test) { 10 } else { 17 };
/// For a passphrase of 256 random bits nothing has to be stretched.
const KEYRING_WORK: u8 = 2;
/// A file that asks for more was not written by us.
const MOST_WORK: u8 = 22;

/// More than this was not written by us, nor by age.
const MOST: u64 = 64 << 10;

const IDENTITY_FILE: &str = "identity.txt";

/// Whether a new vault's last change is to be remembered outside of its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pin {
    /// Where this user has a place for it.
    Wanted,
    /// Not at all.
    Unwanted,
}

/// Makes a home and an empty vault in it. Refuses a home that has one.
///
/// # Errors
/// [`VaultError`]: nothing is left behind that a second try would stumble over.
pub(crate) fn init(
    home: &Path,
    kind: UnlockMethodKind,
    opener: &UnlockMethod,
    pin: Pin,
    engine: &Engine,
) -> Result<VaultKey, VaultError> {
    match home::home_info(home) {
        Err(VaultError::NoVault(_)) => {}
        Err(error) => return Err(error),
        Ok(_) => return Err(VaultError::AlreadyThere(home.to_owned())),
    }
    files::create_private_dir(home)
        .map_err(|error| VaultError::io(format!("make {}", home.display()), error))?;
    let key = VaultKey::new(Identity::generate());
    let vault_id = home::random_hex(16);
    let pin = match pin {
        Pin::Wanted => freshness::pin_for(&vault_id).unwrap_or(Pinned::None),
        Pin::Unwanted => Pinned::None,
    };
    let mut info = HomeInfo {
        format: home::FORMAT,
        vault_id,
        fingerprint: key.fingerprint().to_owned(),
        unlock: kind,
        identity_file: None,
        pin: Some(pin),
    };
    keep_identity(home, &mut info, &key, opener)?;
    Vault::create(home, &info, &key, engine)?;
    home::write(home, &info, &key)?;
    freshness::begin(home, &info, &key, engine)?;
    Ok(key)
}

/// Opens the identity of a home.
///
/// # Errors
/// [`VaultError::WrongKey`], [`VaultError::NoKeyring`], [`VaultError::Damaged`] naming the file.
pub fn unlock(home: &Path, opener: &UnlockMethod) -> Result<VaultKey, VaultError> {
    let info = home::home_info(home)?;
    let key = open_identity(home, &info, opener)?;
    home::checked(home, &key)?;
    Ok(key)
}

/// Puts the identity where the way of unlocking has it.
fn keep_identity(
    home: &Path,
    info: &mut HomeInfo,
    key: &VaultKey,
    opener: &UnlockMethod,
) -> Result<(), VaultError> {
    match (info.unlock, opener) {
        (UnlockMethodKind::IdentityFile, UnlockMethod::IdentityFile(path)) => {
            let path = path.clone().unwrap_or_else(|| home.join(IDENTITY_FILE));
            let path = std::path::absolute(&path)
                .map_err(|error| VaultError::io("find the identity file", error))?;
            match files::create_private(&path, key.identity_text().as_bytes()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(VaultError::AlreadyThere(path));
                }
                Err(error) => return Err(VaultError::io(format!("write {}", path.display()), error)),
            }
            info.identity_file = Some(path);
            Ok(())
        }
        (UnlockMethodKind::Passphrase, UnlockMethod::Passphrase(passphrase)) => {
            wrap(home, info.unlock, key, passphrase)
        }
        (UnlockMethodKind::Keyring, UnlockMethod::Keyring) => {
            let passphrase = SecretString::from(home::random_hex(32));
            keyring::keep(&info.vault_id, &passphrase)?;
            wrap(home, info.unlock, key, &passphrase)
        }
        _ => Err(VaultError::WrongKey("it is not of the kind that was chosen".to_owned())),
    }
}

#[expect(clippy::disallowed_methods, reason = "an identity that was handed over is read")]
fn open_identity(home: &Path, info: &HomeInfo, opener: &UnlockMethod) -> Result<VaultKey, VaultError> {
    let key = match opener {
        UnlockMethod::IdentityFile(path) => {
            let beside = home.join(IDENTITY_FILE);
            let known = info.identity_file.clone().unwrap_or_else(|| beside.clone());
            let known = if known.exists() { known } else { beside };
            read_identity(&path.clone().unwrap_or(known))?
        }
        UnlockMethod::Passphrase(passphrase) => unwrap(home, UnlockMethodKind::Passphrase, passphrase)?,
        UnlockMethod::Keyring => unwrap(home, UnlockMethodKind::Keyring, &keyring::fetch(&info.vault_id)?)?,
        UnlockMethod::Identity(text) => parse_identity(text.expose_secret())
            .ok_or_else(|| VaultError::WrongKey("it is not an age identity".to_owned()))?,
    };
    if key.fingerprint() == info.fingerprint {
        return Ok(key);
    }
    Err(VaultError::WrongKey(format!(
        "it belongs to the vault {}, and this is {}",
        key.fingerprint(),
        info.fingerprint
    )))
}

fn read_identity(path: &Path) -> Result<VaultKey, VaultError> {
    let shown = path.display();
    match files::is_open_to_others(path) {
        Ok(true) => {
            return Err(VaultError::WrongKey(format!("{shown} can be read by others; chmod 600 it first")));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(VaultError::WrongKey(format!("{shown} isn't there")));
        }
        _ => {}
    }
    // The operator may keep it behind a link of their own.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let bytes = files::read_regular(&path, MOST)
        .map(Zeroizing::new)
        .map_err(|error| VaultError::unreadable(&shown.to_string(), error))?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    parse_identity(text).ok_or_else(|| VaultError::damaged(format!("{shown} has no age identity in it")))
}

fn parse_identity(text: &str) -> Option<VaultKey> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    line.parse::<Identity>().ok().map(VaultKey::new)
}

fn wrapped_path(home: &Path, kind: UnlockMethodKind) -> PathBuf {
    home.join("unlock").join(match kind {
        UnlockMethodKind::Keyring => "keyring.age",
        UnlockMethodKind::Passphrase | UnlockMethodKind::IdentityFile => "passphrase.age",
    })
}

#[expect(clippy::disallowed_methods, reason = "a passphrase is handed to age")]
fn wrap(
    home: &Path,
    kind: UnlockMethodKind,
    key: &VaultKey,
    passphrase: &SecretString,
) -> Result<(), VaultError> {
    let work = if kind == UnlockMethodKind::Keyring { KEYRING_WORK } else { PASSPHRASE_WORK };
    let mut recipient = scrypt::Recipient::new(age::secrecy::SecretString::from(passphrase.expose_secret()));
    recipient.set_work_factor(work);
    let path = wrapped_path(home, kind);
    let failed = |error: io::Error| VaultError::io(format!("write {}", path.display()), error);
    let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient))
        .map_err(|error| failed(io::Error::other(error)))?;
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).map_err(failed)?;
    io::Write::write_all(&mut writer, key.identity_text().as_bytes()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    files::write_private(&path, &file).map_err(failed)
}

#[expect(clippy::disallowed_methods, reason = "a passphrase is handed to age")]
fn unwrap(home: &Path, kind: UnlockMethodKind, passphrase: &SecretString) -> Result<VaultKey, VaultError> {
    let path = wrapped_path(home, kind);
    let name = path.strip_prefix(home).unwrap_or(&path).display().to_string();
    let file = match files::read_regular(&path, MOST) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(VaultError::WrongKey(format!("this vault has no {name}")));
        }
        Err(error) => return Err(VaultError::unreadable(&name, error)),
    };
    let damaged = |_| VaultError::damaged(format!("{name} is cut or changed"));
    let decryptor = Decryptor::new(&file[..]).map_err(damaged)?;
    let mut identity = scrypt::Identity::new(age::secrecy::SecretString::from(passphrase.expose_secret()));
    identity.set_max_work_factor(MOST_WORK);
    let mut reader = match decryptor.decrypt(iter::once(&identity as &dyn age::Identity)) {
        Ok(reader) => reader,
        Err(
            age::DecryptError::DecryptionFailed
            | age::DecryptError::KeyDecryptionFailed
            | age::DecryptError::NoMatchingKeys,
        ) => {
            return Err(VaultError::WrongKey(format!(
                "the passphrase does not open {name}, or {name} was changed"
            )));
        }
        Err(error) => return Err(damaged(error)),
    };
    let mut text = Zeroizing::new(String::new());
    io::Read::read_to_string(&mut reader, &mut text)
        .map_err(|_| VaultError::damaged(format!("{name} is cut or changed")))?;
    parse_identity(&text).ok_or_else(|| VaultError::damaged(format!("{name} has no age identity in it")))
}

/// Files that hold the identity, for a backup: name in the home → bytes.
pub(super) fn identity_files(
    home: &Path,
    info: &HomeInfo,
    key: &VaultKey,
) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
    if info.unlock == UnlockMethodKind::IdentityFile {
        return Ok(vec![(IDENTITY_FILE.to_owned(), key.identity_text().as_bytes().to_vec())]);
    }
    let path = wrapped_path(home, info.unlock);
    let bytes = files::read_regular(&path, MOST)
        .map_err(|error| VaultError::unreadable(&path.display().to_string(), error))?;
    let name = path.strip_prefix(home).unwrap_or(&path).display().to_string();
    Ok(vec![(name, bytes)])
}
