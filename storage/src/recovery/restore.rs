//! Brings what was read into the core: first the manifest, then frame by frame.

use super::fits::{self, Misfit};
use super::scan::Found;
use crate::catalog::CatalogChange;
use crate::checkpoint::image;
use crate::checkpoint::manifest::{MANIFEST, Manifest};
use crate::codec::{DecodeError, Decoder};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::{DatabaseId, corrupt};
use crate::ids::Timestamp;
use crate::transaction::Core;
use crate::wal::Operation;
use std::path::Path;

/// Restores the tables and rows of a checkpoint; returns how many rows.
pub(super) fn manifest(
    disk: &dyn Disk,
    core: &Core,
    manifest: &Manifest,
    database: DatabaseId,
) -> Result<u64> {
    let place = Place {
        path: MANIFEST,
        offset: 0,
    };
    let begin = manifest.timestamp;
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
    core.restore_next_ids(manifest.next_table, manifest.next_index);
    if let Some(next) = manifest.next_sequence {
        core.restore_next_sequence(next);
    }
    let mut rows = 0;
    if let Some(file) = &manifest.image {
        let path = image::path(file.number);
        image::read(disk, database, file, |table, row, values, offset| {
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
        })?;
        if rows != file.rows {
            let expected = format!("{} rows", file.rows);
            return Err(corrupt(&path, 0, expected, format!("{rows} rows")));
        }
    }
    for table in &manifest.tables {
        fits::table(&core.catalog(), table.def.id, table.next_row)
            .map_err(|misfit| place.error(misfit))?;
        let restored = core.restore_next_row(table.def.id, table.next_row);
        restored.map_err(|error| place.refused(error))?;
    }
    Ok(rows)
}

/// Applies the operations of one commit.
pub(super) fn frame(core: &Core, found: &Found<'_>) -> Result<()> {
    let damaged = |error: DecodeError| error.in_file(Path::new(found.path), found.body_offset);
    let mut decoder = Decoder::new(found.body);
    let mut is_catalog_changed = false;
    for _ in 0..found.header.operations {
        let place = Place {
            path: found.path,
            offset: found.body_offset + decoder.offset() as u64,
        };
        let operation = Operation::decode(&mut decoder).map_err(damaged)?;
        apply(core, &operation, found.header.timestamp, &place)?;
        is_catalog_changed |= matches!(operation, Operation::Catalog(_));
    }
    if is_catalog_changed {
        let place = Place {
            path: found.path,
            offset: found.body_offset,
        };
        check_foreign_keys(core, &place)?;
    }
    decoder.finish().map_err(damaged)
}

/// Tables may come with foreign keys before what these refer to has come.
fn check_foreign_keys(core: &Core, place: &Place<'_>) -> Result<()> {
    match core.catalog().unfit_foreign_key() {
        Some(misfit) => Err(place.error(misfit)),
        None => Ok(()),
    }
}

/// Where what is applied was read.
struct Place<'p> {
    path: &'p str,
    offset: u64,
}

impl Place<'_> {
    fn error(&self, misfit: Misfit) -> Error {
        corrupt(self.path, self.offset, "what fits the state before", misfit)
    }

    /// What the core refuses did fit when it was written; memory may be less than then.
    fn refused(&self, error: Error) -> Error {
        match error {
            Error::OutOfMemory { .. } => error,
            other => self.error(other.to_string()),
        }
    }
}

fn apply(core: &Core, operation: &Operation, begin: Timestamp, place: &Place<'_>) -> Result<()> {
    check(core, operation).map_err(|misfit| place.error(misfit))?;
    let applied = match operation {
        Operation::Insert(table, row, values) => core.restore_insert(*table, *row, values, begin),
        Operation::Update(table, row, values) => core.restore_update(*table, *row, values, begin),
        Operation::Delete(table, row) => core.restore_delete(*table, *row, begin),
        Operation::Catalog(change) => core.restore_catalog(change),
        Operation::Sequence(id, position) => core.restore_sequence(*id, *position),
    };
    applied.map_err(|error| place.refused(error))
}

fn check(core: &Core, operation: &Operation) -> Result<(), Misfit> {
    let catalog = core.catalog();
    match operation {
        Operation::Insert(table, row, values) | Operation::Update(table, row, values) => {
            fits::values(fits::table(&catalog, *table, *row)?, values)
        }
        Operation::Delete(table, row) => fits::table(&catalog, *table, *row).map(drop),
        Operation::Catalog(change) => fits::change(&catalog, change),
        Operation::Sequence(id, position) => fits::position(&catalog, *id, *position),
    }
}
