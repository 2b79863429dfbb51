//! Brings a checkpoint into the core: what its manifest says, and its images.

use super::Contents;
use super::fits::{self, Misfit};
use super::images;
use super::losses::Losses;
use super::progress::Progress;
use super::replay::Replay;
use super::report::Lost;
use crate::catalog::CatalogChange;
use crate::checkpoint::manifest::{ImageFile, Manifest};
use crate::checkpoint::{image, rows_file};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::{DatabaseId, corrupt};
use crate::ids::{BlockNo, Timestamp};
use crate::transaction::Core;
use crate::wal::Operation;
use crate::wal::closing::ClosingMark;

/// Restores the tables and rows of a checkpoint, but for rows of unlogged tables; returns how many rows.
pub(super) fn manifest(
    from: &Contents<'_>,
    core: &Core,
    progress: &Progress<'_>,
    losses: Option<&Losses>,
) -> Result<u64> {
    let (manifest, begin) = (from.manifest, from.manifest.timestamp);
    core.time().raise(latest_time(from));
    definitions(core, manifest, from.path)?;
    let rows = match &manifest.image {
        Some(file) => old_rows(from.disk, core, file, from.database, begin, losses)?,
        None => images::load(from, core, progress, losses, false)?,
    };
    let place = Place {
        path: from.path,
        offset: 0,
    };
    for table in &manifest.tables {
        let restored = core.restore_next_row(table.def.id, table.next_row);
        restored.map_err(|error| place.refused(error))?;
    }
    Ok(rows)
}

/// The latest time that the manifest and the closing mark say. A mark of before the checkpoint says nothing: the wall clock
/// may have been accepted since.
fn latest_time(from: &Contents<'_>) -> i64 {
    let info = from.manifest.info.as_ref();
    let written = info.map_or(0, |info| info.micros);
    // Other steps tell what is wrong with a mark.
    match ClosingMark::read(from.disk) {
        Ok(Some(mark)) if mark.lsn >= from.manifest.lsn => mark.micros.max(written),
        _ => written,
    }
}

/// Restores what a manifest says of tables, indexes, views, functions and sequences, if it fits.
pub(super) fn definitions(core: &Core, manifest: &Manifest, path: &str) -> Result<()> {
    let place = Place { path, offset: 0 };
    let begin = manifest.timestamp;
    if begin >= Timestamp::END {
        return Err(place.error(format!("a checkpoint of {begin}")));
    }
    for schema in &manifest.schemas {
        let change = CatalogChange::SetSchema(schema.clone());
        apply(core, &Operation::Catalog(change), begin, &place)?;
    }
    for def in &manifest.types {
        let change = CatalogChange::SetType(def.clone());
        apply(core, &Operation::Catalog(change), begin, &place)?;
    }
    for table in &manifest.tables {
        let change = CatalogChange::CreateTable(table.def.clone());
        apply(core, &Operation::Catalog(change), begin, &place)?;
    }
    for index in &manifest.indexes {
        let change = CatalogChange::CreateIndex(index.clone());
        apply(core, &Operation::Catalog(change), begin, &place)?;
    }
    check_foreign_keys(core, &place)?;
    for sequence in &manifest.sequences {
        let (id, position) = (sequence.def.id, sequence.position);
        let change = CatalogChange::CreateSequence(sequence.def.clone());
        fits::owner(&core.catalog(), &sequence.def).map_err(|misfit| place.error(misfit))?;
        apply(core, &Operation::Catalog(change), begin, &place)?;
        apply(core, &Operation::Sequence(id, position), begin, &place)?;
    }
    for view in &manifest.views {
        let change = CatalogChange::SetView(view.clone());
        apply(core, &Operation::Catalog(change), begin, &place)?;
    }
    for function in &manifest.functions {
        let change = CatalogChange::SetFunction(function.clone());
        apply(core, &Operation::Catalog(change), begin, &place)?;
    }
    for comment in &manifest.comments {
        let change = CatalogChange::SetComment(comment.on, Some(comment.text.clone()));
        apply(core, &Operation::Catalog(change), begin, &place)?;
    }
    core.restore_next_ids(manifest.next_table, manifest.next_index);
    if let Some(next) = manifest.next_sequence {
        core.restore_next_sequence(next);
    }
    for table in &manifest.tables {
        fits::table(&core.catalog(), table.def.id, table.next_row)
            .map_err(|misfit| place.error(misfit))?;
    }
    Ok(())
}

/// Loads the rows that a build before images by block wrote.
fn old_rows(
    disk: &dyn Disk,
    core: &Core,
    file: &ImageFile,
    database: DatabaseId,
    begin: Timestamp,
    losses: Option<&Losses>,
) -> Result<u64> {
    let path = image::path(file.number);
    let mut rows = 0;
    let read = rows_file::read(disk, database, file, |table, row, values, offset| {
        rows += 1;
        let place = Place {
            path: &path,
            offset,
        };
        let catalog = core.catalog();
        let def = fits::table(&catalog, table, row).map_err(|misfit| place.error(misfit))?;
        fits::values(def, values).map_err(|misfit| place.error(misfit))?;
        let restored = core.restore_insert(table, row, values, begin);
        restored.map_err(|error| place.refused(error))
    });
    match (read, losses) {
        // Where the next image begins is not known then.
        (Err(error), Some(losses)) => {
            let what = Lost::Rows {
                table: "any table".to_owned(),
                block: BlockNo(0),
                rows: file.rows.saturating_sub(rows),
            };
            losses.note(error, what)?;
            return Ok(rows);
        }
        (read, _) => read?,
    }
    if rows != file.rows {
        let expected = format!("{} rows", file.rows);
        return Err(corrupt(&path, 0, expected, format!("{rows} rows")));
    }
    Ok(rows)
}

/// Tables may come with foreign keys before what these refer to has come.
pub(super) fn check_foreign_keys(core: &Core, place: &Place<'_>) -> Result<()> {
    match core.catalog().unfit_foreign_key() {
        Some(misfit) => Err(place.error(misfit)),
        None => Ok(()),
    }
}

/// Where what is applied was read.
pub(super) struct Place<'p> {
    pub(super) path: &'p str,
    pub(super) offset: u64,
}

impl Place<'_> {
    pub(super) fn error(&self, misfit: Misfit) -> Error {
        corrupt(self.path, self.offset, "what fits the state before", misfit)
    }

    /// What the core refuses did fit when it was written; memory may be less than then.
    pub(super) fn refused(&self, error: Error) -> Error {
        match error {
            Error::OutOfMemory { .. } => error,
            other => self.error(other.to_string()),
        }
    }
}

/// Applies one operation of a checkpoint.
fn apply(
    core: &Core,
    operation: &Operation<'_>,
    begin: Timestamp,
    place: &Place<'_>,
) -> Result<()> {
    Replay::new(core)?.apply(operation, begin, place)
}
