//! Automatic backups: dated directories, each of them whole, read back before it counts, and few enough to
//! keep. Files that did not change are links to those of the backup before.
//!
//! ```text
//! backups/20261125T174500Z/   as `admin backup` writes it
//! backups/.part-…             one that is being written; nobody's once its writer is gone
//! backups/keep.lock           one writer at a time
//! backups/newest              which one was found to be the newest that counts
//! ```
//! One counts if its manifest holds, is of this vault, and was made when its name says: what somebody else laid there,
//! or a clock that was ahead, displaces none.
//! `backups` may be a link to a directory on another disk. An identity that the operator keeps outside of the
//! home is not copied into it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    HomeInfo, UnlockMethodKind, VaultError, VaultKey,
    backup::{MANIFEST, MANIFEST_MOST, Manifest, RECORDS, manifest, write},
    home, index,
    newest::Noted,
    open::Vault,
    unlock,
};
use crate::files;

/// The newest backups, whenever they were made.
const NEWEST: usize = 3;
/// Beside these the newest of so many days.
const DAYS: usize = 7;
/// And of so many weeks.
const WEEKS: usize = 4;

const STAMP: &str = "%Y%m%dT%H%M%SZ";
const PART: &str = ".part-";

/// What there is of automatic backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Backups {
    /// How many are kept.
    pub kept: usize,
    /// When the newest was made.
    pub newest: Option<Timestamp>,
    /// What is wrong with them, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<String>,
}

/// A backup that is not written yet: taken while the vault is held, written when it isn't any more.
pub struct Snapshot {
    dir: PathBuf,
    key: VaultKey,
    info: HomeInfo,
    identity: Vec<(String, Vec<u8>)>,
    manifest: Manifest,
    fresh: Vec<(String, Vec<u8>)>,
    before: Option<PathBuf>,
}

/// What of an earlier backup is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// What did not change, by link.
    Unchanged,
    /// Nothing: the one before is damaged.
    Nothing,
}

/// Where a home's automatic backups lie.
fn place(home: &Path) -> PathBuf {
    home.join("backups")
}

/// The automatic backups of a home, as far as can be told without its key.
pub(crate) fn backups(home: &Path) -> Backups {
    let Ok(info) = home::home_info(home) else { return Backups::default() };
    let (dir, now) = (place(home), Timestamp::now());
    let seems = |stamp: &Timestamp| *stamp <= now && seems_whole(&dir.join(name_of(*stamp)), &info);
    let found: Vec<Timestamp> = stamps(&dir).into_iter().filter(seems).collect();
    Backups { kept: found.len(), newest: found.last().copied(), damage: Vec::new() }
}

fn seems_whole(dir: &Path, info: &HomeInfo) -> bool {
    let manifest =
        fs::symlink_metadata(dir.join(MANIFEST)).is_ok_and(|found| found.is_file() && found.len() > 0);
    manifest && home::home_info(dir).is_ok_and(|theirs| theirs.vault_id == info.vault_id)
}

/// When the newest automatic backup was made that is one of this vault; its files are not read. Nor is its manifest, which
/// has a line a record, where it is the very file that was found right before.
pub(crate) fn newest_backup(home: &Path, key: &VaultKey, now: Timestamp) -> Option<Timestamp> {
    let info = home::home_info(home).ok()?;
    let dir = place(home);
    let noted = Noted::read(&dir, &info, key);
    stamps(&dir).into_iter().rev().filter(|stamp| *stamp <= now).find(|stamp| {
        let name = name_of(*stamp);
        // As it looks before it is read: what is changed meanwhile looks another way behind that.
        let found = Noted::of(&dir.join(&name), &name, &info);
        if found.is_some() && found == noted {
            return true;
        }
        let counts = counts(&dir, *stamp, &info, key, now);
        if let Some(found) = found.filter(|_| counts) {
            found.write(&dir, key);
        }
        counts
    })
}

/// Those of a directory that count, oldest first.
fn counting(dir: &Path, info: &HomeInfo, key: &VaultKey, now: Timestamp) -> Vec<Timestamp> {
    stamps(dir).into_iter().filter(|stamp| counts(dir, *stamp, info, key, now)).collect()
}

fn counts(dir: &Path, stamp: Timestamp, info: &HomeInfo, key: &VaultKey, now: Timestamp) -> bool {
    stamp <= now
        && Said::of(&dir.join(name_of(stamp)), info, key)
            .is_ok_and(|said| said.made.is_none_or(|made| stamp <= made))
}

/// What a manifest says, less its records.
#[derive(serde::Deserialize)]
struct Said {
    vault_id: String,
    made: Option<Timestamp>,
}

impl Said {
    fn of(dir: &Path, info: &HomeInfo, key: &VaultKey) -> Result<Self, VaultError> {
        let bytes = files::read_regular(&dir.join(MANIFEST), MANIFEST_MOST)
            .map_err(|error| VaultError::unreadable("its manifest", error))?;
        index::open_signed(key, "manifest", &bytes)
            .filter(|said: &Self| said.vault_id == info.vault_id)
            .ok_or_else(|| VaultError::damaged("its manifest is cut or changed, or of another vault"))
    }
}

/// The automatic backups of a home, read and compared.
pub(crate) fn verify_backups(home: &Path, key: &VaultKey) -> Backups {
    let mut read = HashMap::new();
    let Ok(info) = home::home_info(home) else { return Backups::default() };
    let (dir, now) = (place(home), Timestamp::now());
    let mut found = Backups::default();
    for stamp in stamps(&dir) {
        let name = name_of(stamp);
        match compare(&dir.join(&name), &info, key, &mut read) {
            Err(error) => found.damage.push(format!("backups/{name}: {error}")),
            Ok(()) if counts(&dir, stamp, &info, key, now) => {
                found.kept += 1;
                found.newest = Some(stamp);
            }
            Ok(()) => {}
        }
    }
    found
}

impl Vault {
    /// Takes what an automatic backup must hold; `None` where the newest holds it already, or there is nothing.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn snapshot(&self, reuse: Reuse) -> Result<Option<Snapshot>, VaultError> {
        let key = &self.key.vault;
        let dir = place(&self.home);
        let newest = newest_backup(&self.home, key, Timestamp::now()).filter(|_| reuse == Reuse::Unchanged);
        let before = newest.map(|stamp| dir.join(name_of(stamp)));
        let known = before.as_ref().and_then(|dir| manifest(dir, &self.info, key).ok());
        let mut longest = known.as_ref().map_or(0, |manifest| manifest.longest);
        let known = known.map(|manifest| manifest.records);
        let known = known.unwrap_or_default();
        let mut records = BTreeMap::new();
        let mut fresh = Vec::new();
        for entry in self.all_entries()? {
            let id = index::record_id(&self.key.names, &entry.kind, &entry.name);
            for version in &entry.versions {
                let name = format!("{}-{}.age", hex::encode(id), version.version);
                if known.get(&name) != Some(&version.digest) {
                    let cipher = self.record(&entry, Some(version.version))?.0;
                    longest = longest.max(cipher.len() as u64);
                    fresh.push((name.clone(), cipher));
                }
                records.insert(name, version.digest.clone());
            }
        }
        if records.is_empty() || (records == known && before.is_some()) {
            return Ok(None);
        }
        let manifest = Manifest {
            vault_id: self.info.vault_id.clone(),
            epoch: self.root.epoch,
            records,
            longest,
            made: None,
        };
        let identity = match (self.info.unlock, &self.info.identity_file) {
            (UnlockMethodKind::IdentityFile, Some(file)) if !file.starts_with(&self.home) => Vec::new(),
            _ => unlock::identity_files(&self.home, &self.info, key)?,
        };
        let key = key.duplicate();
        Ok(Some(Snapshot { dir, key, info: self.info.clone(), identity, manifest, fresh, before }))
    }
}

impl Snapshot {
    /// Writes it, reads it back, and lets go of backups that are not to be kept any longer. Says how many
    /// records it has; `None` where another process is writing one.
    ///
    /// # Errors
    /// [`VaultError`]: nothing of it is left, and the backups before are as they were.
    pub fn keep(mut self, now: Timestamp) -> Result<Option<u64>, VaultError> {
        let failed = |error| VaultError::io("write an automatic backup", error);
        if !self.dir.is_dir() {
            files::create_private_dir(&self.dir).map_err(failed)?;
        }
        let _lock = match files::lock(&self.dir.join("keep.lock"), Duration::ZERO) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            locked => locked.map_err(failed)?,
        };
        remove_parts(&self.dir);
        let name = name_of(now);
        if fs::symlink_metadata(self.dir.join(&name)).is_ok() {
            // In the same second, or with a clock that was put back: the next change makes one.
            return Ok(None);
        }
        self.manifest.made = Some(now);
        let part = self.dir.join(format!("{PART}{name}"));
        let written = self.write(&part).and_then(|()| {
            let noted = Noted::of(&part, &name, &self.info);
            compare(&part, &self.info, &self.key, &mut HashMap::new())?;
            durable(&part, &self.dir.join(&name)).map_err(failed)?;
            Ok(noted)
        });
        if written.is_err() {
            remove_parts(&self.dir);
        }
        if let Some(noted) = written? {
            noted.write(&self.dir, &self.key);
        }
        // The one just made is whole and among the kept: pruning never takes the last whole one.
        prune(&self.dir, &counting(&self.dir, &self.info, &self.key, now));
        Ok(Some(self.manifest.records.len() as u64))
    }

    fn write(&self, part: &Path) -> Result<(), VaultError> {
        let failed = |error| VaultError::io("write an automatic backup", error);
        files::create_private_dir(&part.join(RECORDS)).map_err(failed)?;
        home::write(part, &self.info, &self.key)?;
        for (name, bytes) in &self.identity {
            write(part, name, bytes)?;
        }
        let fresh: BTreeSet<&str> = self.fresh.iter().map(|(name, _)| name.as_str()).collect();
        for (name, bytes) in &self.fresh {
            files::create_unsynced(&part.join(RECORDS).join(name), bytes).map_err(failed)?;
        }
        let linked = self.manifest.records.keys().filter(|name| !fresh.contains(name.as_str()));
        for (name, before) in linked.zip(std::iter::repeat(self.before.as_ref())) {
            let old = before.map(|dir| dir.join(RECORDS).join(name)).unwrap_or_default();
            fs::hard_link(old, part.join(RECORDS).join(name))
                .map_err(|_| VaultError::damaged(format!("the backup before has lost {RECORDS}/{name}")))?;
        }
        write(part, MANIFEST, &index::signed(&self.key, "manifest", &self.manifest))
    }
}

/// Reads a backup and compares all of it with its manifest; each file once, however many backups have it.
fn compare(
    dir: &Path,
    info: &HomeInfo,
    key: &VaultKey,
    read: &mut HashMap<(u64, u64), String>,
) -> Result<(), VaultError> {
    Said::of(dir, info, key)?;
    home::checked(dir, key)?;
    let manifest = manifest(dir, info, key)?;
    for (name, digest) in &manifest.records {
        let path = dir.join(RECORDS).join(name);
        let found = files::open_regular(&path).and_then(|file| {
            let found = file.metadata()?;
            let inode = (found.dev(), found.ino());
            let known = match read.entry(inode) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(index::digest(&files::read_at_most(&file, manifest.longest)?))
                }
            };
            Ok(known == digest)
        });
        if !found.unwrap_or(false) {
            return Err(VaultError::damaged(format!("{RECORDS}/{name} is missing, cut or changed")));
        }
    }
    Ok(())
}

/// On the disk, and only then in its place.
fn durable(part: &Path, place: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(File::open(part)?)?;
    #[cfg(not(target_os = "linux"))]
    rustix::fs::sync();
    fs::rename(part, place)?;
    File::open(place.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn name_of(stamp: Timestamp) -> String {
    stamp.strftime(STAMP).to_string()
}

/// When the backups in a directory were made, oldest first.
fn stamps(dir: &Path) -> Vec<Timestamp> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<Timestamp> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let parsed = jiff::civil::DateTime::strptime(STAMP, name.to_str()?).ok()?;
            Some(parsed.to_zoned(TimeZone::UTC).ok()?.timestamp())
        })
        .collect();
    found.sort();
    found
}

fn remove_parts(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PART) {
            // What stays is tried again the next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Lets go of what is not to be kept: first out of sight, so that none is ever half there.
fn prune(dir: &Path, counting: &[Timestamp]) {
    let kept = retained(counting);
    for stamp in counting.iter().copied().filter(|stamp| !kept.contains(stamp)) {
        let _ = fs::rename(dir.join(name_of(stamp)), dir.join(format!("{PART}{}", name_of(stamp))));
    }
    remove_parts(dir);
}

/// Which of these are kept: the newest, the newest of each of the last days that have one, and of each of the
/// last weeks (Monday to Sunday, UTC).
fn retained(oldest_first: &[Timestamp]) -> BTreeSet<Timestamp> {
    let newest_first = || oldest_first.iter().rev().copied();
    let mut kept: BTreeSet<Timestamp> = newest_first().take(NEWEST).collect();
    kept.extend(newest_of_each(newest_first(), DAYS, date));
    kept.extend(newest_of_each(newest_first(), WEEKS, |stamp| {
        let week = date(stamp).iso_week_date();
        (week.year(), week.week())
    }));
    kept
}

fn date(stamp: Timestamp) -> Date {
    stamp.to_zoned(TimeZone::UTC).date()
}

fn newest_of_each<K: PartialEq>(
    newest_first: impl Iterator<Item = Timestamp>,
    most: usize,
    period: impl Fn(Timestamp) -> K,
) -> Vec<Timestamp> {
    let mut found: Vec<(K, Timestamp)> = Vec::new();
    for stamp in newest_first {
        let period = period(stamp);
        if found.len() < most && found.last().is_none_or(|(last, _)| *last != period) {
            found.push((period, stamp));
        }
    }
    found.into_iter().map(|(_, stamp)| stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_of_each_day_and_week_are_kept() {
        // One every six hours for sixty days: 2026-11-25 is a Wednesday.
        let end = at("2026-11-25T18:00:00Z").as_second();
        let all: Vec<Timestamp> =
            (0..240).rev().map(|n| Timestamp::from_second(end - n * 6 * 3600).unwrap()).collect();
        let kept: Vec<String> = retained(&all).into_iter().map(name_of).collect();
        let right = [
            "20261108T180000Z", // the week before the two below
            "20261115T180000Z",
            "20261119T180000Z",
            "20261120T180000Z",
            "20261121T180000Z",
            "20261122T180000Z", // also its week's
            "20261123T180000Z",
            "20261124T180000Z",
            "20261125T060000Z",
            "20261125T120000Z",
            "20261125T180000Z",
        ];
        assert_eq!(kept, right);
    }

    #[test]
    fn few_are_all_kept_and_many_are_bounded() {
        assert!(retained(&[]).is_empty());
        let few = [at("2020-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")];
        assert_eq!(retained(&few).len(), 2, "however old");
        let busy: Vec<Timestamp> =
            (0..5000).map(|n| Timestamp::from_second(1_790_000_000 + n * 700).unwrap()).collect();
        let kept = retained(&busy);
        assert!(kept.len() <= NEWEST + DAYS + WEEKS, "{}", kept.len());
        assert!(kept.contains(busy.last().unwrap()));
    }
}
