//! Loading the images of a checkpoint: by block, on all cores.
//!
//! Threads take one block after the other, read its images, find that they are what was written and fit
//! the table, and put the rows in their places. Blocks do not touch each other; of one block:
//!
//! - What begins with encoded columns gets these for its base, as they are. Rows that were changed since
//!   are chained over it, and deleted ones taken away, as if the log said so.
//! - Everything else is read from the last image to the first one, so that each slot is filled once, with
//!   the newest that there is of it, and a slot that is not live is not filled.

use super::Contents;
use super::fits;
use super::losses::Losses;
use super::progress::Progress;
use super::report::Lost;
use super::restore::Place;
use crate::catalog::{Catalog, TableEntry};
use crate::checkpoint::files::DataFiles;
use crate::checkpoint::image::{Image, ImageKind};
use crate::checkpoint::list::{ImageRef, by_block};
use crate::checkpoint::manifest::Manifest;
use crate::error::{Error, Result};
use crate::format::corrupt;
use crate::ids::{BLOCK_SLOTS, BlockNo, RowId, Slot, TableId, Timestamp};
use crate::mvcc::{Garbage, Registration};
use crate::parallel;
use crate::transaction::Core;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of images below which one thread is as fast as several.
const THREAD_BYTES: u64 = 4 << 20;

/// Loads all images that a manifest names of tables that are `unlogged` or of those that are not; returns how many rows they
/// have.
pub(super) fn load(
    from: &Contents<'_>,
    core: &Core,
    progress: &Progress<'_>,
    losses: Option<&Losses>,
    unlogged: bool,
) -> Result<u64> {
    let (disk, manifest, database) = (from.disk, from.manifest, from.database);
    let numbers = manifest.files();
    let files = match losses {
        Some(losses) => {
            DataFiles::open_readable(disk, &numbers, |error| losses.note(error, Lost::Nothing))?
        }
        None => DataFiles::open(disk, database, &numbers)?,
    };
    let catalog = core.catalog();
    let is_unlogged = |images: &&[ImageRef]| {
        let table = catalog.table_by_id(images[0].table);
        table.is_some_and(|table| table.def.unlogged)
    };
    let blocks = by_block(&manifest.images).filter(|images| is_unlogged(images) == unlogged);
    let blocks: Vec<&[ImageRef]> = blocks.collect();
    let loading = Loading {
        core,
        files,
        catalog,
        blocks,
        path: from.path,
        timestamp: manifest.timestamp,
        ends: ends(manifest),
        next: AtomicUsize::new(0),
        progress,
        losses,
    };
    let enough = (manifest.bytes() / THREAD_BYTES) as usize;
    let threads = parallel::threads()
        .min(enough)
        .min(loading.blocks.len())
        .max(1);
    let mut loaded = parallel::map(vec![(); threads], |()| loading.work());
    // Of several errors the first one in the order of blocks, so that it is always the same.
    let failed = loaded.iter_mut().filter_map(|loaded| loaded.failed.take());
    if let Some((_, error)) = failed.min_by_key(|(at, _)| *at) {
        return Err(error);
    }
    Ok(loaded.iter().map(|loaded| loaded.rows).sum())
}

/// Where the rows of each table end.
pub(super) fn ends(manifest: &Manifest) -> HashMap<TableId, RowId> {
    let tables = manifest.tables.iter();
    tables.map(|table| (table.def.id, table.next_row)).collect()
}

/// What all threads share.
struct Loading<'a> {
    core: &'a Core,
    files: DataFiles,
    catalog: Arc<Catalog>,
    blocks: Vec<&'a [ImageRef]>,
    /// That of the manifest.
    path: &'a str,
    /// That of the checkpoint.
    timestamp: Timestamp,
    ends: HashMap<TableId, RowId>,
    /// The block that is taken next.
    next: AtomicUsize,
    progress: &'a Progress<'a>,
    /// Where damage is noted instead of being an error.
    losses: Option<&'a Losses>,
}

/// What one thread has done.
#[derive(Default)]
struct Loaded {
    rows: u64,
    failed: Option<(usize, Error)>,
}

impl Loading<'_> {
    /// Loads blocks until there are none left, or one fails.
    fn work(&self) -> Loaded {
        let mut loaded = Loaded::default();
        let mut garbage = Vec::new();
        while loaded.failed.is_none() {
            // Relaxed: what is loaded is handed over when the thread is joined.
            let at = self.next.fetch_add(1, Relaxed);
            let Some(images) = self.blocks.get(at) else {
                break;
            };
            let loaded_block = match self.losses {
                Some(losses) => self.salvage_block(images, &mut garbage, losses),
                None => self.load_block(images, &mut garbage),
            };
            match loaded_block {
                Ok(rows) => {
                    loaded.rows += u64::from(rows);
                    let bytes = images.iter().map(|image| image.length);
                    self.progress.add(bytes.sum());
                }
                Err(error) => {
                    // Whoever is at a block before this one goes on with it.
                    self.next.fetch_max(self.blocks.len(), Relaxed);
                    loaded.failed = Some((at, error));
                }
            }
        }
        self.core.retire_restored(garbage);
        loaded
    }

    fn load_block(&self, images: &[ImageRef], garbage: &mut Vec<Garbage>) -> Result<u32> {
        let (first, last) = (&images[0], &images[images.len() - 1]);
        let table = self.catalog.table_by_id(first.table).ok_or_else(|| {
            let found = format!("an image of table {}", first.table);
            corrupt(self.path, 0, "images of tables that there are", found)
        })?;
        self.check_block(first)?;
        let mut block = LoadedBlock::new(self.core, table, first.block, garbage)?;
        if let Some(later) = images.iter().find(|image| image.timestamp > self.timestamp) {
            let found = format!("an image of {}", later.timestamp);
            let expected = format!("images up to {}", self.timestamp);
            return Err(corrupt(self.path, 0, expected, found));
        }
        let read = |image: &ImageRef| self.files.read(self.core.ledger(), image, first.timestamp);
        if first.kind == ImageKind::Frozen {
            block.attach(&read(first)?, self.place(first))?;
            for image in &images[1..] {
                block.overlay(&read(image)?, &self.place(image))?;
            }
        } else {
            for image in images.iter().rev() {
                block.fill(&read(image)?, &self.place(image))?;
            }
        }
        if block.rows != last.rows {
            let (expected, found) = (last.rows, block.rows);
            let place = self.place(last);
            let (expected, found) = (format!("{expected} rows"), format!("{found} rows"));
            return Err(corrupt(place.path, place.offset, expected, found));
        }
        Ok(block.rows)
    }

    /// Loads what verifies of a block: all that can be applied of the images that are whole. Where rows are
    /// lost that were written later than others of the block, these others may be older than they should.
    fn salvage_block(
        &self,
        images: &[ImageRef],
        garbage: &mut Vec<Garbage>,
        losses: &Losses,
    ) -> Result<u32> {
        let (first, last) = (&images[0], &images[images.len() - 1]);
        let Some(table) = self.catalog.table_by_id(first.table) else {
            return Ok(0);
        };
        if let Err(error) = self.check_block(first) {
            let what = Lost::Rows {
                table: table.def.name.clone(),
                block: first.block,
                rows: last.rows.into(),
            };
            losses.note(error, what)?;
            return Ok(0);
        }
        let mut block = LoadedBlock::new(self.core, table, first.block, garbage)?;
        let (mut whole, mut damage) = (Vec::new(), Vec::new());
        for image in images {
            match self.files.read(self.core.ledger(), image, first.timestamp) {
                Ok(read) => whole.push((image, read)),
                Err(error) => damage.push(error),
            }
        }
        let mut applied = |image: &ImageRef, result: Result<()>| match result {
            Err(error @ Error::Corrupt { .. }) => {
                damage.push(error);
                Ok(image.length)
            }
            other => other.map(|()| image.length),
        };
        match whole.first() {
            Some((base, _)) if base.kind == ImageKind::Frozen => {
                for (at, (image, read)) in whole.iter().enumerate() {
                    let place = self.place(image);
                    applied(
                        image,
                        match at {
                            0 => block.attach(read, place),
                            _ => block.overlay(read, &place),
                        },
                    )?;
                }
            }
            _ => {
                for (image, read) in whole.iter().rev() {
                    applied(image, block.fill(read, &self.place(image)))?;
                }
            }
        }
        for error in damage {
            let what = Lost::Rows {
                table: table.def.name.clone(),
                block: first.block,
                rows: u64::from(last.rows.saturating_sub(block.rows)),
            };
            losses.note(error, what)?;
        }
        Ok(block.rows)
    }

    /// A number behind the table's end would take memory for all blocks up to it.
    fn check_block(&self, image: &ImageRef) -> Result<()> {
        let end = self.ends.get(&image.table).copied().unwrap_or_default();
        let misfit = |misfit| corrupt(self.path, 0, "images of blocks that there are", misfit);
        fits::block(end, image.block).map_err(misfit)
    }

    fn place(&self, image: &ImageRef) -> Place<'_> {
        Place {
            path: self.files.path(image),
            offset: image.offset,
        }
    }
}

/// A block while its images are applied.
struct LoadedBlock<'a> {
    core: &'a Core,
    table: &'a TableEntry,
    number: BlockNo,
    registration: Registration,
    /// A bit for each slot: that it has a row, where the block begins with encoded columns; else that
    /// nothing more is to be put there.
    done: Vec<u64>,
    rows: u32,
    garbage: &'a mut Vec<Garbage>,
}

impl<'a> LoadedBlock<'a> {
    fn new(
        core: &'a Core,
        table: &'a TableEntry,
        number: BlockNo,
        garbage: &'a mut Vec<Garbage>,
    ) -> Result<Self> {
        Ok(Self {
            core,
            table,
            number,
            registration: core.restoring()?,
            done: vec![0; BLOCK_SLOTS / 64],
            rows: 0,
            garbage,
        })
    }

    /// Gives the block encoded columns for its base.
    fn attach(&mut self, image: &Image, place: Place<'_>) -> Result<()> {
        let frozen = image.frozen(self.core.pool())?;
        for (id, data_type) in frozen.columns() {
            let fits = fits::column(&self.table.def, id, data_type);
            fits.map_err(|misfit| place.error(misfit))?;
        }
        self.rows = frozen.rows() as u32;
        self.done[..frozen.live().words().len()].copy_from_slice(frozen.live().words());
        let (rows, proof) = (&self.table.rows, self.registration.enter());
        // What is chained over the columns has the image's timestamp, and must be later than they are: a
        // block is not thought to lack what was committed at or below the horizon it was built as of. Where
        // something was changed since, that horizon was an earlier one; nobody looks at what was before.
        let at = Timestamp(image.header.timestamp.0.saturating_sub(1));
        let restored = rows.restore_frozen(self.number, frozen, at, &proof);
        restored.map_err(|error| place.refused(error))
    }

    /// Changes rows over encoded columns.
    fn overlay(&mut self, image: &Image, place: &Place<'_>) -> Result<()> {
        if image.header.kind == ImageKind::Frozen {
            return Err(place.error("encoded columns over others".to_owned()));
        }
        let proof = self.registration.enter();
        let (rows, begin) = (&self.table.rows, image.header.timestamp);
        let mut reader = image.rows()?;
        let types = fits::column_types(&self.table.def, reader.columns());
        let types = types.map_err(|misfit| place.error(misfit))?;
        while let Some((slot, values)) = reader.next_row()? {
            fits::types(values, &types).map_err(|misfit| place.error(misfit))?;
            let row = RowId::new(self.number, slot);
            let retire = |garbage| self.garbage.push(garbage);
            let found = rows.restore_update(row, values, begin, &proof, retire);
            if !found.map_err(|error| place.refused(error))? {
                return Err(place.error(format!("a change of row {row}, which does not exist")));
            }
        }
        let Some(live) = reader.finish()? else {
            return Ok(());
        };
        for (at, word) in self.done.iter_mut().enumerate() {
            let live = live.words().get(at).copied().unwrap_or(0);
            let mut dead = *word & !live;
            self.rows -= dead.count_ones();
            *word &= live;
            while dead != 0 {
                let slot = Slot((at * 64) as u16 + dead.trailing_zeros() as u16);
                dead &= dead - 1;
                let retire = |garbage| self.garbage.push(garbage);
                let row = RowId::new(self.number, slot);
                let deleted = rows.restore_delete(row, begin, &proof, retire);
                deleted.map_err(|error| place.refused(error))?;
            }
        }
        Ok(())
    }

    /// Fills slots that no later image has filled or emptied.
    fn fill(&mut self, image: &Image, place: &Place<'_>) -> Result<()> {
        if image.header.kind == ImageKind::Frozen {
            return Err(place.error("encoded columns behind rows".to_owned()));
        }
        let proof = self.registration.enter();
        let (rows, begin) = (&self.table.rows, image.header.timestamp);
        let mut reader = image.rows()?;
        let types = fits::column_types(&self.table.def, reader.columns());
        let types = types.map_err(|misfit| place.error(misfit))?;
        while let Some((slot, values)) = reader.next_row()? {
            let (at, bit) = (usize::from(slot.0) / 64, 1 << (slot.0 % 64));
            if self.done[at] & bit != 0 {
                continue;
            }
            self.done[at] |= bit;
            self.rows += 1;
            fits::types(values, &types).map_err(|misfit| place.error(misfit))?;
            let row = RowId::new(self.number, slot);
            let restored = rows.restore_insert(row, values.iter().copied(), begin, &proof);
            restored.map_err(|error| place.refused(error))?;
        }
        if let Some(live) = reader.finish()? {
            for (at, word) in self.done.iter_mut().enumerate() {
                *word |= !live.words().get(at).copied().unwrap_or(0);
            }
        }
        Ok(())
    }
}
