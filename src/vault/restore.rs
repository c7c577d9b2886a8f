//! Restore: a home is built whole beside the one that is there, and takes its place at once. It moves forward: its
//! epoch is above all that remembers the vault, so that nothing takes it for one that was put back.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    HomeInfo, UnlockMethodKind, VaultError, VaultKey,
    backup::{Backup, write},
    format_one::FormatOne,
    freshness::{self, files as beside},
    home,
    index::{Root, Standing},
    open::{self, Files, Turn, Vault},
};
use crate::{
    audit::{Announced, Head},
    files,
    store::{Engine, Hold, Order},
};

/// Nobody has the home while it is exchanged. How long the commands that run may take.
const ALONE: Turn = Turn { order: Order::Alone, wait: Duration::from_secs(5) };

/// What stands in the home before a restore.
pub(crate) struct Before {
    info: Option<HomeInfo>,
    vault: Option<Vault>,
    format_one: Option<FormatOne>,
    _hold: Option<Hold>,
    floor: Floor,
}

/// What a restored vault must be above.
#[derive(Debug, Clone, Copy, Default)]
struct Floor {
    epoch: u64,
    chain: u64,
    head: Option<Head>,
    time: Option<Timestamp>,
}

impl Before {
    /// Looks at the home that a backup is to replace, and keeps everybody else from it. A vault that can't be opened
    /// is none, but what remembers it counts.
    ///
    /// # Errors
    /// [`VaultError::Busy`].
    pub(crate) fn look(home: &Path, backup: &Backup, engine: &Engine) -> Result<Self, VaultError> {
        let info = home::home_info(home).ok();
        let same = info.clone().filter(|info| info.fingerprint == backup.info.fingerprint);
        let pinned = freshness::remembered(same.as_ref().unwrap_or(&backup.info), &backup.key);
        let mut floor =
            Floor { epoch: pinned.epoch, chain: pinned.chain, head: pinned.head, time: pinned.time };
        if !home.is_dir() {
            return Ok(Self { info, vault: None, format_one: None, _hold: None, floor });
        }
        let open =
            || Vault::open_with(home, &backup.key, ALONE, Files::Known, engine, &std::sync::Arc::default());
        let opened = same.map(|_| open());
        let vault = match opened {
            Some(Err(VaultError::Busy)) => return Err(VaultError::Busy),
            Some(Ok(vault)) => Some(vault),
            _ => None,
        };
        let hold = if vault.is_none() { Some(open::hold(home, &backup.key, ALONE, engine)?) } else { None };
        if let Some(vault) = &vault {
            floor.epoch = floor.epoch.max(vault.root.epoch);
            floor.chain = floor.chain.max(vault.root.chain);
            floor.time = floor.time.max(vault.root.standing.time);
            floor.head = vault.root.standing.anchor.into_iter().chain(floor.head).max_by_key(|head| head.seq);
        }
        Ok(Self { info, vault, format_one: None, _hold: hold, floor })
    }

    /// Looks at a home of format 1 that is to be upgraded, and keeps everybody else from it; nothing where it is of this
    /// version's.
    ///
    /// # Errors
    /// [`VaultError::Busy`], [`VaultError::Damaged`], [`VaultError::Unconfirmed`] unless a person accepts it.
    pub(crate) fn to_upgrade(
        home: &Path,
        key: &VaultKey,
        files: Files,
        engine: &Engine,
    ) -> Result<Option<Self>, VaultError> {
        if home::home_info(home)?.format == home::FORMAT {
            return Ok(None);
        }
        let hold = open::hold(home, key, ALONE, engine)?;
        // Somebody else may have done it while we waited.
        let info = home::checked(home, key)?;
        if info.format == home::FORMAT {
            return Ok(None);
        }
        let found = FormatOne::read(home, info.clone(), key, files)?;
        let (pinned, far) = (freshness::remembered(&info, key), found.far());
        let heads = far.head.into_iter().chain(pinned.head.filter(|_| pinned.chain == far.chain));
        let floor = Floor {
            epoch: far.epoch,
            chain: far.chain,
            head: heads.max_by_key(|head| head.seq),
            time: far.time.max(pinned.time),
        };
        Ok(Some(Self { info: Some(info), vault: None, format_one: Some(found), _hold: Some(hold), floor }))
    }

    /// What a home of format 1 holds, as a backup of it would have it, if it agrees with what its audit announced.
    ///
    /// # Errors
    /// [`VaultError::Damaged`].
    pub(crate) fn content(&mut self, announced: Option<Announced>) -> Result<Backup, VaultError> {
        let found = self.format_one.take().ok_or_else(|| VaultError::damaged("it was upgraded already"))?;
        found.stands(announced)?;
        found.into_backup()
    }

    /// The vault that is there, if it can be opened.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
    }

    /// What the home says of itself.
    pub(crate) fn info(&self) -> Option<&HomeInfo> {
        self.info.as_ref()
    }

    /// Whether it is a home of this vault.
    pub(crate) fn is_of(&self, fingerprint: &str) -> bool {
        self.info.as_ref().is_none_or(|info| info.fingerprint == fingerprint)
    }

    /// The furthest head of the audit that is remembered.
    pub(crate) fn head(&self) -> Option<Head> {
        self.floor.head
    }

    /// The time, no earlier than what is remembered.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now().max(self.floor.time.unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

/// A home that is being rebuilt, and not in place yet.
pub(crate) struct Restoring {
    home: PathBuf,
    fresh: PathBuf,
    within: bool,
    stamp: String,
    vault: Option<Vault>,
    before: Before,
}

/// A home that was restored.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Where what was there is kept; nothing where nothing was.
    pub kept: Option<PathBuf>,
}

impl Restoring {
    /// Builds the new home from a backup, out of everybody's sight: its changes are gathered, to be announced. The
    /// audit of the home before goes on in it, or begins anew.
    ///
    /// # Errors
    /// [`VaultError`]: nothing is left of it.
    pub(crate) fn build(
        home: &Path,
        backup: Backup,
        before: Before,
        announced: Option<Announced>,
        audit: Audit,
    ) -> Result<Self, VaultError> {
        // A link stays one: what it leads to is exchanged.
        let home = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
        let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S%3f").to_string();
        let within = home.is_dir() && !can_be_renamed(&home);
        let fresh = if within {
            home.join(format!(".restoring-{stamp}"))
        } else {
            sibling(&home, &format!("restoring-{stamp}"))
        };
        files::create_private_dir(&fresh)
            .map_err(|error| VaultError::io(format!("make {}", fresh.display()), error))?;
        let mut restoring = Self { home, fresh, within, stamp, vault: None, before };
        restoring.fill(backup, announced, audit)?;
        Ok(restoring)
    }

    fn fill(&mut self, backup: Backup, announced: Option<Announced>, audit: Audit) -> Result<(), VaultError> {
        let Backup { mut info, key, epoch, records, identity } = backup;
        let same = self.before.info.as_ref().filter(|before| before.fingerprint == info.fingerprint);
        let real = |path: &PathBuf| fs::canonicalize(path).ok();
        let outside = info.identity_file.as_ref().and_then(real).filter(|path| !path.starts_with(&self.home));
        if outside.is_none() {
            for (name, bytes) in identity {
                write(&self.fresh, &name, &bytes)?;
            }
            if info.unlock == UnlockMethodKind::IdentityFile {
                info.identity_file = Some(self.home.join("identity.txt"));
            }
        }
        info.pin = Some(freshness::pin_restored(same, &info, &self.home, &key));
        home::write(&self.fresh, &info, &key)?;
        let floor = self.before.floor;
        let root = Root {
            epoch: floor.epoch.max(epoch).max(announced.map_or(0, |announced| announced.change.epoch)),
            files: beside::present(&self.fresh, None)?,
            chain: floor.chain + u64::from(audit == Audit::Anew),
            standing: Standing {
                writes: 1,
                // What is remembered outside moves on once the new home is in place.
                unpinned: Some(0),
                time: floor.time,
                anchor: floor.head.filter(|_| audit == Audit::Continued),
            },
            ..Vault::empty_root(&info, &key)
        };
        let mut vault = Vault::create_at(&self.fresh, &info, &key, &root, &Engine::default())?;
        vault.hold();
        vault.fill(records)?;
        self.vault = Some(vault);
        // What another vault leaves says nothing of this one.
        if !self.before.is_of(&info.fingerprint) {
            return Ok(());
        }
        let keep = |name: &str, error| VaultError::io(format!("keep {name}/"), error);
        for name in ["audit", "tokens"] {
            let from = self.home.join(name);
            if from.is_dir() {
                files::copy_dir(&from, &self.fresh.join(name)).map_err(|error| keep(name, error))?;
            }
        }
        files::carry_dir(&self.home.join("backups"), &self.fresh.join("backups"))
            .map_err(|error| keep("backups", error))
    }

    /// The vault of the home before, if it can be opened, and the new one, whose changes are gathered.
    ///
    /// # Panics
    /// Never: it is there until [`Restoring::put_in_place`].
    pub(crate) fn vaults(&mut self) -> (Option<&Vault>, &mut Vault) {
        (self.before.vault.as_ref(), self.vault.as_mut().expect("taken by put_in_place only"))
    }

    /// The directory in which the new home is built.
    pub(crate) fn dir(&self) -> &Path {
        &self.fresh
    }

    /// Puts the new home in the place of the old one, which is kept.
    ///
    /// # Errors
    /// [`VaultError`]: the home is as it was.
    pub(crate) fn put_in_place(mut self) -> Result<Restored, VaultError> {
        // Closed where they are: what an engine writes as it ends would go into the other's place.
        drop(self.vault.take());
        let _held = self.before.vault.take().map(Vault::into_hold);
        let exchanged = if self.within { self.exchange_within() } else { self.exchange_beside() };
        let kept = exchanged.map_err(|error| VaultError::io("put the new home in place", error))?;
        Ok(Restored { kept })
    }

    fn exchange_beside(&self) -> io::Result<Option<PathBuf>> {
        let kept = sibling(&self.home, &format!("replaced-{}", self.stamp));
        let had = self.home.exists();
        match exchange(&self.fresh, &self.home, had) {
            Ok(()) if had => fs::rename(&self.fresh, &kept)?,
            Ok(()) => {}
            // Where the file system knows no exchange there is a moment without a home.
            Err(_) => {
                if had {
                    fs::rename(&self.home, &kept)?;
                }
                if let Err(error) = fs::rename(&self.fresh, &self.home) {
                    if had {
                        fs::rename(&kept, &self.home)?;
                    }
                    return Err(error);
                }
            }
        }
        let above = self.home.parent().unwrap_or(Path::new("/"));
        File::open(above)?.sync_all()?;
        Ok(had.then_some(kept))
    }

    /// A mount point stays where it is: what is in it is exchanged, the description last.
    fn exchange_within(&self) -> io::Result<Option<PathBuf>> {
        let kept = self.home.join(format!("replaced-{}", self.stamp));
        files::create_private_dir(&kept)?;
        let mut moved = Vec::new();
        let exchanged = move_all(&self.home, &kept, &mut moved)
            .and_then(|()| move_all(&self.fresh, &self.home, &mut moved));
        if let Err(error) = exchanged {
            for (from, to) in moved.iter().rev() {
                fs::rename(to, from)?;
            }
            fs::remove_dir(&kept)?;
            return Err(error);
        }
        File::open(&self.home)?.sync_all()?;
        Ok(Some(kept))
    }
}

/// One for the other at once (renameat2(2)), or simply in its place where there is none.
#[cfg(target_os = "linux")]
fn exchange(fresh: &Path, home: &Path, had: bool) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let flags = if had { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    Ok(renameat_with(CWD, fresh, CWD, home, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_fresh: &Path, _home: &Path, _had: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Drop for Restoring {
    fn drop(&mut self) {
        drop(self.vault.take());
        // Half built it is nobody's, and in place it isn't here any more.
        let _ = fs::remove_dir_all(&self.fresh);
    }
}

/// What becomes of the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audit {
    /// It goes on.
    Continued,
    /// It can't be gone on with: a new chain begins.
    Anew,
}

fn move_all(from: &Path, to: &Path, moved: &mut Vec<(PathBuf, PathBuf)>) -> io::Result<()> {
    let mut names: Vec<_> =
        fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()?.iter().map(fs::DirEntry::file_name).collect();
    names.sort_by_key(|name| name == home::FILE);
    for name in names {
        let text = name.to_string_lossy();
        if text.starts_with("replaced-") || text.starts_with(".restoring-") || text == "lost+found" {
            continue;
        }
        let step = (from.join(&name), to.join(&name));
        fs::rename(&step.0, &step.1)?;
        moved.push(step);
    }
    Ok(())
}

/// Whether a directory can make way for another: no mount point does, nor one in a directory that is not ours.
fn can_be_renamed(home: &Path) -> bool {
    let Some(above) = home.parent() else { return false };
    let writable = rustix::fs::access(above, rustix::fs::Access::WRITE_OK).is_ok();
    writable && !is_mount_point(home, above)
}

#[cfg(target_os = "linux")]
fn is_mount_point(home: &Path, above: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    match statx(CWD, home, AtFlags::empty(), StatxFlags::BASIC_STATS) {
        Ok(found) if found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
            found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        }
        _ => on_another_disk(home, above),
    }
}

#[cfg(not(target_os = "linux"))]
fn is_mount_point(home: &Path, above: &Path) -> bool {
    on_another_disk(home, above)
}

fn on_another_disk(home: &Path, above: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let disk = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    disk(home) != disk(above)
}

fn sibling(home: &Path, suffix: &str) -> PathBuf {
    let mut name = home.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}"));
    home.with_file_name(name)
}
