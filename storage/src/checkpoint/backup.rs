//! A copy of a database as it is at one moment, which is a database of its own.
//!
//! ```text
//!   COPYING.remora  ->  data/0000000001.img  ->  wal/0000000001.log, CLOSED  ->  MANIFEST  ->  COPYING.remora goes
//! ```
//!
//! 1. In one commit section, take timestamp C and a view of it: of the latest commit, or of the last durable one
//!    where the log takes no frames. Readers and writers go on meanwhile.
//! 2. Write all rows that the view shows, as a checkpoint does that finds nothing to refer to.
//! 3. Wait until everything up to C is durable where it comes from: a copy must not hold what a crash
//!    could take back there.
//! 4. Make an empty log and a closing mark, and install the manifest.
//!
//! The copy has a name of its own, so that no file of one passes for one of the other; it begins at
//! timestamp C with timeline 1.
//!
//! Invariants
//! - The manifest comes last; before it, `COPYING.remora` says that what is there is no database.
//!
//! If we crash: before the manifest is installed opening refuses the directory, and copying into it begins
//! anew; after that the next opening removes `COPYING.remora`.

use super::capture::Destination;
use super::last::LastCheckpoint;
use super::{CheckpointInfo, CheckpointReason, Moment, image, kept};
use crate::disk::Disk;
use crate::error::Result;
use crate::format::{DatabaseId, ROOT, install};
use crate::ids::Timestamp;
use crate::transaction::Core;
use crate::wal::closing::ClosingMark;
use crate::wal::create_segment;
use crate::wal::segment::{self, SegmentHeader};
use std::sync::Arc;

/// The path of the file that says that a directory is being made a copy. Nobody else calls a file so: it says
/// that what is there may be written over.
pub const COPYING: &str = "COPYING.remora";
/// The history that a new database begins with.
pub const FIRST_TIMELINE: u32 = 1;

/// What a backup is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackupReport {
    /// Everything committed up to here is in it.
    pub timestamp: Timestamp,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of its images.
    pub bytes: u64,
}

/// Writes a copy into a directory that holds nothing but what an earlier attempt has left. `wait_durable`
/// returns when everything up to a timestamp is durable.
///
/// # Errors
/// `Io`, `DiskFull`, `OutOfMemory`, and those of `wait_durable`: there is no copy then.
pub fn write(
    core: &Arc<Core>,
    disk: &dyn Disk,
    wait_durable: impl FnOnce(Timestamp) -> Result<()>,
) -> Result<BackupReport> {
    install(disk, COPYING, b"")?;
    for (folder, is_ours) in [
        (
            segment::FOLDER,
            segment::number_of as fn(&str) -> Option<u64>,
        ),
        (image::FOLDER, image::number_of),
    ] {
        disk.create_folder(folder)?;
        for name in disk.list(folder)? {
            if is_ours(&name).is_some() {
                disk.remove(&format!("{folder}/{name}"))?;
            }
        }
    }
    let database = DatabaseId::random();
    let moment = Moment::shown(core)?;
    let destination = Destination {
        disk,
        core,
        database,
    };
    let written = destination.write_images(&moment, 1, &LastCheckpoint::default())?;
    wait_durable(moment.timestamp)?;

    let mut manifest = moment.manifest(FIRST_TIMELINE, 1, written.images);
    let report = BackupReport {
        timestamp: moment.timestamp,
        rows: manifest.rows(),
        bytes: manifest.bytes(),
    };
    manifest.info = Some(CheckpointInfo {
        number: 1,
        micros: core.time().kept(),
        reason: CheckpointReason::Backup,
        rows: report.rows,
        bytes: report.bytes,
        restored_from: None,
    });
    let header = SegmentHeader {
        database,
        number: manifest.segment,
        first: manifest.lsn,
        timeline: manifest.timeline,
    };
    create_segment(disk, &header)?;
    let mark = ClosingMark {
        database,
        timeline: manifest.timeline,
        lsn: manifest.lsn,
        micros: core.time().kept(),
    };
    mark.write(disk)?;
    kept::install_manifest(disk, &manifest, database)?;
    disk.remove(COPYING)?;
    disk.sync_dir(ROOT)?;
    Ok(report)
}
