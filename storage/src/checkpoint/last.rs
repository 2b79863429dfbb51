//! What the last checkpoint has of each table, for the next one to refer to.

use super::list::{ImageRef, by_block};
use super::manifest::Manifest;
use crate::catalog::TableEntry;
use crate::ids::{BlockNo, TableId, Timestamp};
use crate::table::Table;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// What the last checkpoint has. By default it has nothing, so that the next one is a full one.
#[derive(Debug, Default)]
pub struct LastCheckpoint {
    tables: HashMap<TableId, LastTable>,
}

/// What it has of a table.
#[derive(Debug)]
pub struct LastTable {
    /// Whose rows they are: a table that was rewritten since has the same id and other rows. As long as
    /// this is kept no other table can be taken for it.
    rows: Weak<Table>,
    timestamp: Timestamp,
    images: Vec<ImageRef>,
}

impl LastCheckpoint {
    /// The images that the checkpoint of a manifest has of these tables.
    pub fn of<'t>(manifest: &Manifest, entries: impl Iterator<Item = &'t Arc<TableEntry>>) -> Self {
        let mut last = Self::default();
        last.extend(manifest, entries);
        last
    }

    /// And of these.
    pub fn extend<'t>(
        &mut self,
        manifest: &Manifest,
        entries: impl Iterator<Item = &'t Arc<TableEntry>>,
    ) {
        if !manifest.is_checkpoint() || manifest.image.is_some() {
            return;
        }
        for table in entries {
            let id = table.def.id;
            let start = manifest.images.partition_point(|image| image.table < id);
            let images = manifest.images[start..].iter();
            let last = LastTable {
                rows: Arc::downgrade(&table.rows),
                timestamp: manifest.timestamp,
                images: images
                    .take_while(|image| image.table == id)
                    .copied()
                    .collect(),
            };
            self.tables.insert(id, last);
        }
    }

    /// What it has of a table, if that still has the rows it had.
    pub fn table(&self, table: &TableEntry) -> Option<&LastTable> {
        let last = self.tables.get(&table.def.id)?;
        std::ptr::eq(last.rows.as_ptr(), Arc::as_ptr(&table.rows)).then_some(last)
    }
}

impl LastTable {
    /// The images of a block; none where it had no row.
    pub fn images(&self, block: BlockNo) -> &[ImageRef] {
        let start = self.images.partition_point(|image| image.block < block);
        let mut from = by_block(&self.images[start..]);
        from.next()
            .filter(|images| images[0].block == block)
            .unwrap_or(&[])
    }

    /// The images of a block if these are what it holds still.
    pub fn unchanged(&self, rows: &Table, block: BlockNo) -> Option<&[ImageRef]> {
        // `table::changed` says why.
        (rows.changed(block) <= self.timestamp).then(|| self.images(block))
    }
}

/// Of the images of a block those that were written at once, when the block was written as a whole.
pub(super) fn first_images(images: &[ImageRef]) -> &[ImageRef] {
    let mut sets = images.chunk_by(|one, next| one.timestamp == next.timestamp);
    sets.next().unwrap_or(&[])
}
