//! What the kept manifests need, and the removal of what they do not.

use super::backup::COPYING;
use super::manifest::{MANIFEST, Manifest};
use super::{image, kept};
use crate::disk::Disk;
use crate::error::Result;
use crate::format::{ROOT, TEMPORARY_SUFFIX};
use crate::ids::Lsn;
use std::collections::BTreeSet;

/// What the kept manifests need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptFiles {
    /// The log from here on.
    pub lsn: Lsn,
    /// Which is in this segment and those after it.
    pub segment: u64,
    /// The data files with these numbers.
    pub images: BTreeSet<u64>,
}

impl KeptFiles {
    /// Reads all manifests.
    ///
    /// # Errors
    /// Where one cannot be read: then nothing may be removed.
    pub fn read(disk: &dyn Disk) -> Result<Self> {
        let (current, _) = Manifest::read(disk, MANIFEST)?;
        let mut manifests = vec![current];
        for path in kept::paths(disk)? {
            manifests.push(Manifest::read(disk, &path)?.0);
        }
        let oldest = manifests.iter().min_by_key(|manifest| manifest.lsn);
        let oldest = oldest.expect("the current manifest is among them");
        Ok(Self {
            lsn: oldest.lsn,
            segment: oldest.segment,
            images: manifests.iter().flat_map(Manifest::files).collect(),
        })
    }
}

/// Removes data files that no kept manifest names, and files that were never completed. Returns what
/// is kept; segments are for the caller, who may be writing one.
///
/// # Errors
/// `Io`, and where a manifest cannot be read; nothing is removed then.
pub fn sweep(disk: &dyn Disk) -> Result<KeptFiles> {
    let kept = KeptFiles::read(disk)?;
    for name in disk.list(image::FOLDER)? {
        if image::number_of(&name).is_some_and(|number| !kept.images.contains(&number)) {
            disk.remove(&format!("{}/{name}", image::FOLDER))?;
        }
    }
    for name in disk.list(ROOT)? {
        // Of a copy that had its manifest already when its making was cut short.
        if name == COPYING || name.strip_suffix(TEMPORARY_SUFFIX).is_some_and(is_replaced) {
            disk.remove(&name)?;
        }
    }
    Ok(kept)
}

/// Whether a file of that name, in the directory itself, is ever replaced by a new one.
pub fn is_replaced(name: &str) -> bool {
    [MANIFEST, crate::wal::closing::CLOSING_MARK, COPYING].contains(&name)
        || kept::number_of(name).is_some()
}

/// A number that no data file has, nor one that is kept and was lost: who names that one would take the new
/// one for it.
pub(super) fn next_image_number(disk: &dyn Disk, kept: Option<&KeptFiles>) -> Result<u64> {
    let names = disk.list(image::FOLDER)?;
    let there = names.iter().filter_map(|name| image::number_of(name));
    let named = kept
        .into_iter()
        .flat_map(|kept| kept.images.iter().copied());
    Ok(there.chain(named).max().unwrap_or(0).saturating_add(1))
}
