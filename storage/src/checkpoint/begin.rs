//! A checkpoint with which a history begins: it refers to nothing that was there before.
//!
//! What was there stays where it is, the manifests among it, and none of it need be whole. Nothing goes on
//! meanwhile, and the log of the new history is empty yet.
//!
//! If we crash: before the manifest is installed there is a data file that nobody names, and whatever was current
//! is current still; see `kept` for the installing.

use super::capture::Destination;
use super::last::LastCheckpoint;
use super::manifest::{MANIFEST, Manifest};
use super::{CheckpointInfo, CheckpointReason, Moment, image, kept};
use crate::disk::Disk;
use crate::error::Result;
use crate::transaction::Core;
use crate::wal::segment::SegmentHeader;
use std::sync::Arc;

/// Writes all that is in the core, and installs a manifest that names it and the segment with that header, which
/// is there already.
///
/// # Errors
/// `Io`, `DiskFull`, `OutOfMemory`: what was current is current still, unless the very last step failed.
pub(crate) fn begin_history(
    disk: &dyn Disk,
    core: &Arc<Core>,
    header: &SegmentHeader,
    reason: CheckpointReason,
) -> Result<Manifest> {
    let database = header.database;
    let destination = Destination {
        disk,
        core,
        database,
    };
    let moment = Moment::latest(core, || header.first)?;
    let file = free_image_number(disk)?;
    let written = destination.write_images(&moment, file, &LastCheckpoint::default());
    let written = written.inspect_err(|_| {
        // The error matters more than the leftover, which nobody names.
        let _ = disk.remove(&image::path(file));
    })?;
    let mut manifest = moment.manifest(header.timeline, header.number, written.images);
    manifest.info = Some(CheckpointInfo {
        number: kept::next_number(disk)?,
        micros: core.time().kept(),
        reason,
        rows: manifest.rows(),
        bytes: manifest.bytes(),
        restored_from: None,
    });
    kept::install_manifest(disk, &manifest, database)?;
    Ok(manifest)
}

/// A number that no data file has, and that no manifest names which can be read.
fn free_image_number(disk: &dyn Disk) -> Result<u64> {
    let names = disk.list(image::FOLDER)?;
    let there = names.iter().filter_map(|name| image::number_of(name)).max();
    let mut highest = there.unwrap_or(0);
    for path in [vec![MANIFEST.to_owned()], kept::paths(disk)?].concat() {
        let named = Manifest::read(disk, &path).map(|(manifest, _)| manifest.files());
        highest = highest.max(
            named
                .ok()
                .and_then(|files| files.last().copied())
                .unwrap_or(0),
        );
    }
    Ok(highest.saturating_add(1))
}
