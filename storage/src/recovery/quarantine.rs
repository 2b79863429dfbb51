//! Quarantine: what was there before a salvage, moved out of the way.
//!
//! The manifest that a salvage has installed needs one segment and perhaps data files, all of them new. All other
//! segments, data files, kept manifests, and a closing mark of another history are moved into a folder of their own,
//! `quarantine/` and the number of the history that began.
//!
//! Invariants
//! - No byte of it is changed or removed.
//! - As long as the salvage is the current checkpoint nothing else can be current, so what is to be moved is
//!   known from the manifest alone.
//!
//! If we crash: the next opening goes on with it before it removes anything. A name is durable in the folder
//! before it goes from where it was.

use crate::checkpoint::manifest::Manifest;
use crate::checkpoint::{CheckpointReason, image, kept};
use crate::disk::Disk;
use crate::error::Result;
use crate::format::{DatabaseId, ROOT, TEMPORARY_SUFFIX};
use crate::wal::closing::{self, CLOSING_MARK};
use crate::wal::segment;

/// The folder of all of it.
pub(super) const QUARANTINE: &str = "quarantine";

/// Whether a manifest is that of a salvage, so that there may be something to be moved.
pub(super) fn is_due(manifest: &Manifest) -> bool {
    let info = manifest.info.as_ref();
    info.is_some_and(|info| info.reason == CheckpointReason::Salvage)
}

/// Moves everything away that a salvage does not need; returns where it is.
pub(super) fn move_away(
    disk: &dyn Disk,
    manifest: &Manifest,
    database: DatabaseId,
) -> Result<String> {
    let to = format!("{QUARANTINE}/{}", manifest.timeline);
    let needed = manifest.files();
    move_from(disk, segment::FOLDER, &to, |name| {
        segment::number_of(name).is_none_or(|number| number < manifest.segment)
    })?;
    move_from(disk, image::FOLDER, &to, |name| {
        image::number_of(name).is_none_or(|number| !needed.contains(&number))
    })?;
    let is_closed = matches!(
        closing::closed_at(disk, database, manifest.timeline),
        Ok(Some(_))
    );
    move_from(disk, ROOT, &to, |name| {
        let whole = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(name);
        kept::number_of(whole).is_some() || (whole == CLOSING_MARK && !is_closed)
    })?;
    Ok(to)
}

/// Moves files of a folder.
fn move_from(
    disk: &dyn Disk,
    folder: &str,
    quarantine: &str,
    is_old: impl Fn(&str) -> bool,
) -> Result<()> {
    let mut names = disk.list(folder)?;
    names.retain(|name| is_old(name));
    if names.is_empty() {
        return Ok(());
    }
    let target = match folder {
        ROOT => quarantine.to_owned(),
        folder => format!("{quarantine}/{folder}"),
    };
    disk.create_folder(&target)?;
    for name in names {
        let from = match folder {
            ROOT => name.clone(),
            folder => format!("{folder}/{name}"),
        };
        let to = format!("{target}/{name}");
        // What has its name there was moved before; this is of later, and nobody needs it.
        if !disk.exists(&to)? {
            disk.rename(&from, &to)?;
        }
    }
    disk.sync_dir(&target)?;
    disk.sync_dir(folder)
}
