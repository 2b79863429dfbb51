//! What a directory is, and the making of a new database in it.
//!
//! A directory is looked at before anything is written to it, even a lock: one that holds what is
//! not ours, and no manifest, is never touched.
//!
//! If we crash while a database is made: the manifest comes last, so the directory then holds at
//! most a lock, empty folders, and a first segment without frames. Such a directory is as good as
//! empty, and the making begins anew.

use super::quarantine::QUARANTINE;
use crate::checkpoint::backup::{COPYING, FIRST_TIMELINE};
use crate::checkpoint::manifest::{MANIFEST, Manifest};
use crate::checkpoint::{image, is_replaced, kept};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::{DatabaseId, FileKind, ROOT, TEMPORARY_SUFFIX, corrupt, read_file};
use crate::ids::Lsn;
use crate::wal::closing::CLOSING_MARK;
use crate::wal::create_segment;
use crate::wal::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};

/// The path of the lock.
pub(super) const LOCK: &str = "LOCK";

/// What a directory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Directory {
    /// Empty, missing, or a database whose making was cut short.
    New,
    /// A database.
    Database,
}

/// Looks at a directory without writing.
pub(super) fn inspect(disk: &dyn Disk) -> Result<Directory> {
    if disk.exists(MANIFEST)? {
        return inspect_manifest(disk);
    }
    if disk.exists(COPYING)? {
        let reason = "a copying into it was cut short; copy again".to_owned();
        return Err(not_a_database(reason));
    }
    if let Some(name) = disk.list(ROOT)?.into_iter().find(|name| !is_ours(name)) {
        return Err(not_a_database(format!(
            "it holds \"{name}\" and no {MANIFEST}"
        )));
    }
    for (folder, is_ours) in [
        (
            segment::FOLDER,
            (|name| segment::number_of(name).is_some()) as fn(&str) -> bool,
        ),
        (image::FOLDER, |name| image::number_of(name).is_some()),
    ] {
        if let Some(name) = disk.list(folder)?.into_iter().find(|name| !is_ours(name)) {
            let reason = format!("it holds \"{folder}/{name}\" and no {MANIFEST}");
            return Err(not_a_database(reason));
        }
    }
    if has_data(disk)? {
        return Err(corrupt(MANIFEST, 0, "a manifest", "no file"));
    }
    Ok(Directory::New)
}

/// Finds that a directory has nothing in it but what an unfinished copying has left.
pub(super) fn check_free(disk: &dyn Disk) -> Result<()> {
    if disk.exists(COPYING)? && !disk.exists(MANIFEST)? {
        return match disk.list(ROOT)?.iter().all(|name| is_ours(name)) {
            true => Ok(()),
            false => Err(Error::NotEmpty { path: ROOT.into() }),
        };
    }
    match inspect(disk) {
        Ok(Directory::New) => Ok(()),
        Err(error @ Error::Io { .. }) => Err(error),
        _ => Err(Error::NotEmpty { path: ROOT.into() }),
    }
}

/// Whether there is anything that only a finished database has.
fn has_data(disk: &dyn Disk) -> Result<bool> {
    let is_salvaged = disk.list(ROOT)?.iter().any(|name| name == QUARANTINE);
    if is_salvaged || !kept::paths(disk)?.is_empty() || disk.exists(CLOSING_MARK)? {
        return Ok(true);
    }
    let segments = disk.list(segment::FOLDER)?;
    for name in &segments {
        let file = disk.open(&format!("{}/{name}", segment::FOLDER))?;
        if file.len()? > SEGMENT_HEADER_LEN as u64 {
            return Ok(true);
        }
    }
    Ok(segments.len() > 1 || !disk.list(image::FOLDER)?.is_empty())
}

/// Makes a new database; it exists once the manifest does.
pub(super) fn create(disk: &dyn Disk, name: Option<[u8; 16]>) -> Result<(Manifest, DatabaseId)> {
    let database = name.map_or_else(DatabaseId::random, DatabaseId);
    let manifest = Manifest::new_database(FIRST_TIMELINE);
    disk.create_folder(segment::FOLDER)?;
    disk.create_folder(image::FOLDER)?;
    let header = SegmentHeader {
        database,
        number: manifest.segment,
        first: Lsn(0),
        timeline: manifest.timeline,
    };
    create_segment(disk, &header)?;
    kept::install_manifest(disk, &manifest, database)?;
    Ok((manifest, database))
}

/// A file that is called like our manifest, without a log and without our magic, is someone else's.
fn inspect_manifest(disk: &dyn Disk) -> Result<Directory> {
    let magic = FileKind::Manifest.magic();
    let begins = read_file(disk, MANIFEST, magic.len() as u64)?;
    if !begins.starts_with(&magic) && disk.list(segment::FOLDER)?.is_empty() {
        let found = begins.escape_ascii();
        let reason = format!("its {MANIFEST} begins with \"{found}\" and there is no log");
        return Err(not_a_database(reason));
    }
    Ok(Directory::Database)
}

fn is_ours(name: &str) -> bool {
    let complete = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(name);
    let folders = [segment::FOLDER, image::FOLDER, QUARANTINE];
    name == LOCK || folders.contains(&name) || is_replaced(complete)
}

/// The path is filled in by who knows where the disk is.
fn not_a_database(reason: String) -> Error {
    Error::NotADatabase {
        path: ROOT.into(),
        reason,
    }
}
