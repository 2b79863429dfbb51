//! Brings what was read into the core: first the manifest, then frame by frame.

use super::scan::Found;
use crate::catalog::CatalogChange;
use crate::checkpoint::image;
use crate::checkpoint::manifest::{MANIFEST, Manifest};
use crate::codec::Decoder;
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
    let fits = |result: Result<()>| result.map_err(|error| misfit(MANIFEST, 0, error));
    for table in &manifest.tables {
        fits(core.restore_catalog(&CatalogChange::CreateTable(table.def.clone())))?;
    }
    for index in &manifest.indexes {
        fits(core.restore_catalog(&CatalogChange::CreateIndex(index.clone())))?;
    }
    core.restore_next_ids(manifest.next_table, manifest.next_index);
    let mut rows = 0;
    if let Some(image) = &manifest.image {
        let path = image::path(image.number);
        image::read(disk, database, image, |table, row, values| {
            rows += 1;
            let restored = core.restore_insert(table, row, values, manifest.timestamp);
            restored.map_err(|error| misfit(&path, 0, error))
        })?;
        if rows != image.rows {
            let expected = format!("{} rows", image.rows);
            return Err(corrupt(&path, 0, expected, format!("{rows} rows")));
        }
    }
    for table in &manifest.tables {
        fits(core.restore_next_row(table.def.id, table.next_row))?;
    }
    Ok(rows)
}

/// Applies the operations of one commit.
pub(super) fn frame(core: &Core, found: &Found<'_>) -> Result<()> {
    let begin = found.header.timestamp;
    let damaged =
        |error: crate::codec::DecodeError| error.in_file(Path::new(found.path), found.body_offset);
    let mut decoder = Decoder::new(found.body);
    for _ in 0..found.header.operations {
        let offset = found.body_offset + decoder.offset() as u64;
        let operation = Operation::decode(&mut decoder).map_err(damaged)?;
        apply(core, &operation, begin).map_err(|error| misfit(found.path, offset, error))?;
    }
    decoder.finish().map_err(damaged)
}

fn apply(core: &Core, operation: &Operation, begin: Timestamp) -> Result<()> {
    match operation {
        Operation::Insert(table, row, values) => core.restore_insert(*table, *row, values, begin),
        Operation::Update(table, row, values) => {
            core.restore_update(*table, *row, values, begin).map(drop)
        }
        Operation::Delete(table, row) => core.restore_delete(*table, *row, begin).map(drop),
        Operation::Catalog(change) => core.restore_catalog(change),
    }
}

/// What does not fit the state before it is damage, for it did when it was written; a lack of
/// memory is not.
fn misfit(path: &str, offset: u64, error: Error) -> Error {
    match error {
        Error::OutOfMemory { .. } | Error::Io { .. } | Error::Corrupt { .. } => error,
        other => corrupt(
            path,
            offset,
            "what fits the state before",
            other.to_string(),
        ),
    }
}
