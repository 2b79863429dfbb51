//! What the kept manifests need, and the removal of what they do not.

use super::image;
use super::manifest::{MANIFEST, MANIFEST_BEFORE, Manifest};
use crate::disk::Disk;
use crate::error::Result;
use crate::format::TEMPORARY_SUFFIX;
use crate::ids::Lsn;

/// What the kept manifests need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptFiles {
    /// The log from here on.
    pub lsn: Lsn,
    /// Which is in this segment and those after it.
    pub segment: u64,
    /// The images with these numbers.
    pub images: Vec<u64>,
}

impl KeptFiles {
    /// Reads both manifests.
    ///
    /// # Errors
    /// Where either cannot be read: then nothing may be removed.
    pub fn read(disk: &dyn Disk) -> Result<Self> {
        let (current, _) = Manifest::read(disk, MANIFEST)?;
        let mut manifests = vec![current];
        if disk.exists(MANIFEST_BEFORE)? {
            manifests.push(Manifest::read(disk, MANIFEST_BEFORE)?.0);
        }
        let oldest = manifests.iter().min_by_key(|manifest| manifest.lsn);
        let oldest = oldest.expect("the current manifest is among them");
        Ok(Self {
            lsn: oldest.lsn,
            segment: oldest.segment,
            images: manifests
                .iter()
                .filter_map(|m| Some(m.image?.number))
                .collect(),
        })
    }
}

/// Removes images that no kept manifest names, and files that were never completed. Returns what
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
    for path in [MANIFEST, MANIFEST_BEFORE, crate::wal::closing::CLOSING_MARK] {
        let temporary = format!("{path}{TEMPORARY_SUFFIX}");
        if disk.exists(&temporary)? {
            disk.remove(&temporary)?;
        }
    }
    Ok(kept)
}

/// A number that no image file has.
pub(super) fn next_image_number(disk: &dyn Disk) -> Result<u64> {
    let names = disk.list(image::FOLDER)?;
    let highest = names.iter().filter_map(|name| image::number_of(name)).max();
    Ok(highest.unwrap_or(0) + 1)
}
