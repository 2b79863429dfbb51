//! The checkpoints before the current one, which are kept.
//!
//! ```text
//!   MANIFEST        the current checkpoint, say number 7
//!   MANIFEST.6      its predecessors, each under its own number
//!   MANIFEST.5
//! ```
//!
//! A kept manifest is a copy of what `MANIFEST` was, with all that it needs: the data files of its images,
//! and the log from its position on. It is made just before `MANIFEST` is replaced, and never changed. Its
//! name need not tell its number (older builds called the one before `MANIFEST.1`); what it says does.
//!
//! Invariants
//! - Nothing that a kept manifest needs is removed before the manifest is, durably.
//! - Positions in the log and numbers of segments never fall from one checkpoint to the next, whatever
//!   history it belongs to.
//!
//! If we crash while the current manifest is replaced: a copy of it becomes a kept one, by rename, then
//! the new one becomes `MANIFEST`, by rename. `MANIFEST` exists at every moment; at worst a kept one and
//! the current one are the same checkpoint.

use super::info::CheckpointInfo;
use super::list::rows_of;
use super::manifest::{MANIFEST, MANIFEST_BYTES_MAX, Manifest};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::{DatabaseId, NUMBERS_END, ROOT, install, read_file};
use crate::ids::Timestamp;

/// How many checkpoints before the current one are kept where nobody says otherwise.
pub const KEEP_DEFAULT: usize = 2;

/// The path under which the manifest of that number is kept.
pub fn path(number: u64) -> String {
    format!("{MANIFEST}.{number}")
}

/// The number in the name of a kept manifest; `None` where none is called so.
pub fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(MANIFEST)?.strip_prefix('.')?;
    let number = digits.parse().ok();
    let number = number.filter(|number: &u64| *number < NUMBERS_END)?;
    (number.to_string() == digits).then_some(number)
}

/// The paths of all kept manifests, the newest first as far as names tell.
///
/// # Errors
/// `Io`.
pub fn paths(disk: &dyn Disk) -> Result<Vec<String>> {
    let names = disk.list(ROOT)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers.into_iter().rev().map(path).collect())
}

/// Makes a manifest the current one; the current one is kept, and none of those that are kept goes.
///
/// # Errors
/// `Io`, `DiskFull`: which of the two is current then, the next reading tells.
pub fn install_manifest(disk: &dyn Disk, manifest: &Manifest, database: DatabaseId) -> Result<()> {
    if disk.exists(MANIFEST)? {
        let bytes = read_file(disk, MANIFEST, MANIFEST_BYTES_MAX)?;
        // One that cannot be read is kept all the same: somebody may make something of it.
        let number = match Manifest::decode(MANIFEST, &bytes) {
            Ok((current, _)) => current.number(),
            Err(_) => free_number(disk)?,
        };
        install(disk, &path(number), &bytes)?;
    }
    install(disk, MANIFEST, &manifest.encode(database))
}

/// A number that no checkpoint has.
///
/// # Errors
/// `Io`.
pub fn free_number(disk: &dyn Disk) -> Result<u64> {
    let mut highest = 0;
    for path in [vec![MANIFEST.to_owned()], paths(disk)?].concat() {
        let named = number_of(&path).unwrap_or(0);
        let said = Manifest::read(disk, &path).map_or(0, |(manifest, _)| manifest.number());
        highest = highest.max(named).max(said);
    }
    // Saturating: numbers come from files.
    Ok(u64::saturating_add(highest, 1))
}

/// A number for a checkpoint to come that is not the next after the current one. Where that cannot be read,
/// it is kept under the first free number, as what it may have been.
///
/// # Errors
/// `Io`.
pub fn next_number(disk: &dyn Disk) -> Result<u64> {
    let is_unreadable = disk.exists(MANIFEST)? && Manifest::read(disk, MANIFEST).is_err();
    Ok(free_number(disk)?.saturating_add(is_unreadable.into()))
}

/// Forgets all kept manifests but the `keep` newest; what only they need may be removed then.
///
/// # Errors
/// `Io`; some may be forgotten.
pub fn forget(disk: &dyn Disk, keep: usize) -> Result<()> {
    let mut kept = Vec::new();
    for path in paths(disk)? {
        let named = number_of(&path).expect("a kept manifest's path");
        let said = Manifest::read(disk, &path).map(|(manifest, _)| manifest.number());
        kept.push((said.unwrap_or(named), path));
    }
    kept.sort_unstable_by(|a, b| b.cmp(a));
    let unwanted = kept.get(keep..).unwrap_or_default();
    for (_, path) in unwanted {
        disk.remove(path)?;
    }
    match unwanted.is_empty() {
        true => Ok(()),
        // What they need goes next: a manifest must not come back without it.
        false => disk.sync_dir(ROOT),
    }
}

/// A checkpoint that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptCheckpoint {
    /// What it is called.
    pub number: u64,
    /// What is known of it; nothing where an older build wrote it, or where it is a new database.
    pub info: Option<CheckpointInfo>,
    /// Everything committed up to here is in it.
    pub timestamp: Timestamp,
    /// The history that it belongs to.
    pub timeline: u32,
    /// Tables in it.
    pub tables: u64,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of all that it consists of.
    pub bytes: u64,
    /// Whether it is what opening begins with.
    pub is_current: bool,
}

/// The checkpoints of a database, the newest first.
#[derive(Clone, Debug, Default)]
pub struct KeptCheckpoints {
    /// Those that can be read.
    pub checkpoints: Vec<KeptCheckpoint>,
    /// What is wrong with those that cannot.
    pub damaged: Vec<Error>,
}

/// Lists the checkpoints of a database. Nothing is written, and nothing but manifests is read.
///
/// # Errors
/// `NotADatabase` where there is no manifest; `Io`.
pub fn list(disk: &dyn Disk) -> Result<KeptCheckpoints> {
    let mut list = KeptCheckpoints::default();
    let kept = paths(disk)?;
    if kept.is_empty() && !disk.exists(MANIFEST)? {
        return Err(Error::NotADatabase {
            path: ROOT.into(),
            reason: format!("it has no {MANIFEST}"),
        });
    }
    for path in [vec![MANIFEST.to_owned()], kept].concat() {
        match Manifest::read(disk, &path) {
            Ok((manifest, _)) => {
                let found = manifest.kept(path == MANIFEST);
                let is_known = |one: &KeptCheckpoint| one.number == found.number;
                // The current one is kept, too, if what replaces it was never installed.
                if !list.checkpoints.iter().any(is_known) {
                    list.checkpoints.push(found);
                }
            }
            // Whoever has the database open has forgotten it meanwhile.
            Err(Error::Io { .. }) if path != MANIFEST && !disk.exists(&path)? => {}
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(error) => list.damaged.push(error),
        }
    }
    list.checkpoints
        .sort_by_key(|one| std::cmp::Reverse(one.number));
    Ok(list)
}

/// The manifest of that number, the current one or a kept one, and its path.
///
/// # Errors
/// `UndefinedCheckpoint` where there is none, or where it cannot be read.
pub fn find(disk: &dyn Disk, number: u64) -> Result<(String, Manifest, DatabaseId)> {
    for path in [vec![MANIFEST.to_owned()], paths(disk)?].concat() {
        match Manifest::read(disk, &path) {
            Ok((manifest, database)) if manifest.number() == number => {
                return Ok((path, manifest, database));
            }
            // It would have been that one.
            Err(error) if number_of(&path) == Some(number) => return Err(error),
            _ => {}
        }
    }
    Err(Error::UndefinedCheckpoint { number })
}

impl Manifest {
    /// What the checkpoint is called.
    pub fn number(&self) -> u64 {
        // Where there is nothing else to go by: each checkpoint had an image, and these were numbered.
        let image = self.image.map_or(0, |image| image.number);
        self.info.as_ref().map_or(image, |info| info.number)
    }

    /// Bytes of all that it consists of.
    pub fn bytes(&self) -> u64 {
        let old = self.image.map_or(0, |image| image.bytes);
        let lengths = self.images.iter().map(|image| image.length);
        // Saturating: nobody has compared them with files yet.
        lengths.fold(old, u64::saturating_add)
    }

    /// Rows in it.
    pub fn rows(&self) -> u64 {
        let old = self.image.map_or(0, |image| image.rows);
        old.saturating_add(rows_of(&self.images))
    }

    fn kept(&self, is_current: bool) -> KeptCheckpoint {
        KeptCheckpoint {
            number: self.number(),
            info: self.info.clone(),
            timestamp: self.timestamp,
            timeline: self.timeline,
            tables: self.tables.len() as u64,
            rows: self.rows(),
            bytes: self.bytes(),
            is_current,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimDisk;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(path(12), "MANIFEST.12");
        assert_eq!(number_of("MANIFEST.12"), Some(12));
        for foreign in [
            "MANIFEST",
            "MANIFEST.",
            "MANIFEST.tmp",
            "MANIFEST.012",
            "MANIFEST.+1",
        ] {
            assert_eq!(number_of(foreign), None, "{foreign}");
        }
    }

    /// Manifests with nothing in them but their numbers.
    fn numbered(number: u64) -> Manifest {
        Manifest {
            info: Some(CheckpointInfo {
                number,
                micros: 0,
                reason: super::super::CheckpointReason::Command,
                rows: 0,
                bytes: 0,
                restored_from: None,
            }),
            ..Manifest::new_database(1)
        }
    }

    fn numbers(disk: &SimDisk) -> Vec<u64> {
        let list = list(disk).expect("a list");
        list.checkpoints.iter().map(|one| one.number).collect()
    }

    #[test]
    fn the_oldest_are_forgotten_whatever_their_names_say() {
        let (disk, database) = (SimDisk::new(), DatabaseId([1; 16]));
        // As an older build would have called the one before.
        install(&disk, "MANIFEST.1", &numbered(9).encode(database)).expect("installed");
        for number in 10..15 {
            install_manifest(&disk, &numbered(number), database).expect("installed");
        }
        assert_eq!(numbers(&disk), [14, 13, 12, 11, 10, 9]);
        forget(&disk, 5).expect("forgotten");
        assert_eq!(numbers(&disk), [14, 13, 12, 11, 10, 9]);
        forget(&disk, 2).expect("forgotten");
        assert_eq!(numbers(&disk), [14, 13, 12]);
        let (path, manifest, _) = find(&disk, 12).expect("kept");
        assert_eq!((path.as_str(), manifest.number()), ("MANIFEST.12", 12));
        assert!(matches!(
            find(&disk, 9),
            Err(Error::UndefinedCheckpoint { number: 9 })
        ));
        forget(&disk, 0).expect("forgotten");
        assert_eq!(numbers(&disk), [14]);
    }

    #[test]
    fn what_cannot_be_read_is_kept_and_named() {
        let (disk, database) = (SimDisk::new(), DatabaseId([1; 16]));
        install_manifest(&disk, &numbered(1), database).expect("installed");
        install(&disk, MANIFEST, b"no manifest").expect("damage");
        install_manifest(&disk, &numbered(7), database).expect("installed");
        let list = list(&disk).expect("a list");
        assert_eq!(list.checkpoints.len(), 1);
        assert_eq!(list.damaged.len(), 1, "{list:?}");
        assert_eq!(free_number(&disk).expect("a number"), 8);
    }
}
