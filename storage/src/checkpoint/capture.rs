//! The images of a checkpoint: what is written of each block, and what is referred to.
//!
//! ```text
//!   what a commit has written to      no: refer to all images that the block has
//!   since the last checkpoint?        a little: refer to the first ones, and write a delta over them
//!                                     else: write the whole block
//! ```
//!
//! A whole block is encoded, whatever it is in memory: it is a fraction of its rows then, and is attached as it
//! is when the database is opened. Over encoded columns a row can be changed, but none can come; so the rows of
//! a block into which one may come still are written one by one. So are those of a block that is too large to
//! be copied.
//!
//! A *delta* holds the rows that were changed after the first images were written, and which slots are
//! live. Each one is made anew over the first images, so that a block has one at most. A whole block is
//! written instead where the delta passes a quarter of the first images, and where the block was built
//! anew since: then it is not known any more when its rows were changed.
//!
//! Why a delta has all that was changed since the timestamp B of the first images: a row that is visible at
//! the checkpoint's timestamp C was made what it is by a commit, of which its state bears the timestamp, or a
//! later one; so a row that was not the same at B bears a later one than B. Who gives states other
//! timestamps: building a block anew, which is asked for, and folding, which takes the timestamp along. A
//! row that was visible at B and is not at C is among the slots that are not live.
//!
//! Data files of which less than half is needed by the new checkpoint are given up: what is still
//! needed of them is written anew, from memory. So is what cannot be found where it should be.

use super::image::path;
use super::last::{LastCheckpoint, first_images};
use super::list::ImageRef;
use super::writer::ImageWriter;
use super::{CheckpointReport, Moment};
use crate::block::Frozen;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::DatabaseId;
use crate::ids::{BlockNo, ColumnId, TableId};
use crate::succinct::BitVector;
use crate::transaction::{BlockCapture, Core};
use std::collections::{BTreeMap, BTreeSet};

/// A delta takes at most one in so many bytes of the first images.
const DELTA_SHARE: u64 = 4;
/// Rows of a delta become this much shorter at most, as is supposed when it is given up early.
const PACKED_TIMES: u64 = 4;

/// Bytes of rows that are copied at most, to encode them.
const GATHERED_BYTES_MAX: u64 = 64 << 20;

/// The images of a checkpoint.
pub(super) struct Written {
    /// Of all blocks, in order.
    pub(super) images: Vec<ImageRef>,
    pub(super) report: CheckpointReport,
}

/// Which slots of a block have a row.
#[derive(Debug)]
struct Live {
    words: Vec<u64>,
    slots: usize,
}

impl Live {
    fn none(slots: usize) -> Self {
        Self {
            words: vec![0; slots.div_ceil(64)],
            slots,
        }
    }

    fn set(&mut self, slot: usize) {
        self.words[slot / 64] |= 1 << (slot % 64);
    }

    fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    fn into_bits(self) -> BitVector {
        BitVector::from_words(self.words, self.slots).expect("a bit for each slot")
    }
}

/// Where images are written, and of what.
pub(super) struct Destination<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) core: &'a Core,
    pub(super) database: DatabaseId,
}

impl Destination<'_> {
    /// Writes the images of all blocks that are not what `last` has of them.
    pub(super) fn write_images(
        &self,
        moment: &Moment,
        number: u64,
        last: &LastCheckpoint,
    ) -> Result<Written> {
        let ledger = self.core.ledger();
        let timestamp = moment.timestamp;
        let mut writer = ImageWriter::new(self.disk, ledger, self.database, number, timestamp)?;
        let (mut images, mut report) = (Vec::new(), CheckpointReport::default());
        let sparse = self.sparse_files(moment, last);
        let is_sparse = |image: &ImageRef| sparse.contains(&image.file);
        // The list of images is in this order.
        let mut tables: Vec<_> = moment.tables().collect();
        tables.sort_unstable_by_key(|table| table.def.id);
        for table in tables {
            let before = last.table(table);
            for block in table.rows.blocks() {
                let kept = before.and_then(|before| before.unchanged(&table.rows, block));
                if let Some(kept) = kept.filter(|kept| !kept.iter().any(is_sparse)) {
                    images.extend_from_slice(kept);
                    report.blocks_kept += u64::from(!kept.is_empty());
                    continue;
                }
                // While nothing is held but the view: who captures a block holds up what frees memory.
                writer.breathe()?;
                let Some(capture) = moment.view.capture(&table.rows, block) else {
                    continue;
                };
                let first = before.map_or(&[][..], |before| first_images(before.images(block)));
                let first = if first.iter().any(is_sparse) {
                    &[]
                } else {
                    first
                };
                let written = writer.images().len();
                let columns = table.def.columns.iter().map(|column| column.id);
                let source = Source {
                    table: table.def.id,
                    columns: columns.collect(),
                    block,
                    capture,
                };
                match source.write_delta(&mut writer, first)? {
                    Delta::Nothing => {}
                    Delta::Over => images.extend_from_slice(first),
                    Delta::None => source.write(&mut writer)?,
                }
                images.extend_from_slice(&writer.images()[written..]);
                report.blocks_written += u64::from(writer.images().len() > written);
            }
        }
        report.timestamp = timestamp;
        report.bytes = writer.bytes();
        writer.breathe()?;
        writer.finish()?;
        Ok(Written { images, report })
    }

    /// The data files that are to be given up.
    fn sparse_files(&self, moment: &Moment, last: &LastCheckpoint) -> BTreeSet<u64> {
        // Bytes that are needed, and where the last of them end.
        let mut needed: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for table in moment.tables() {
            let Some(before) = last.table(table) else {
                continue;
            };
            for block in table.rows.blocks() {
                let unchanged = before.unchanged(&table.rows, block);
                let stays = unchanged.unwrap_or_else(|| first_images(before.images(block)));
                for image in stays {
                    let (bytes, end) = needed.entry(image.file).or_default();
                    *bytes += image.length;
                    *end = (*end).max(image.offset + image.length);
                }
            }
        }
        let length = |file: u64| self.disk.open(&path(file)).and_then(|file| file.len());
        let is_sparse = |(file, (bytes, end)): &(u64, (u64, u64))| match length(*file) {
            Ok(length) => 2 * bytes < length || length < *end,
            Err(_) => true,
        };
        let sparse = needed.into_iter().filter(is_sparse);
        sparse.map(|(file, _)| file).collect()
    }
}

/// What became of a delta.
#[derive(PartialEq, Eq)]
enum Delta {
    /// The block has no row any more.
    Nothing,
    /// The block is what its first images say and what was written, if anything.
    Over,
    /// There is none: the whole block is to be written.
    None,
}

/// Why a delta is not gone on with.
enum Stop {
    TooLong,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A block to be written.
struct Source<'v> {
    table: TableId,
    columns: Vec<ColumnId>,
    block: BlockNo,
    capture: BlockCapture<'v>,
}

impl Source<'_> {
    /// Writes what was changed since the first images were written.
    fn write_delta(&self, writer: &mut ImageWriter<'_>, first: &[ImageRef]) -> Result<Delta> {
        let (Some(base), Some(last)) = (first.first(), first.last()) else {
            return Ok(Delta::None);
        };
        let built_at = self.capture.built_at();
        if built_at.is_some_and(|built| built > base.timestamp) {
            return Ok(Delta::None);
        }
        let most = first.iter().map(|image| image.length).sum::<u64>() / DELTA_SHARE;
        let mark = writer.mark();
        writer.begin(self.table, self.block, Some(base.timestamp));
        let (mut live, mut rows) = (Live::none(self.capture.slots()), 0);
        let walked = self.capture.for_each(|seen| {
            live.set(usize::from(seen.slot.0));
            if seen.since.is_some_and(|since| since <= base.timestamp) {
                return Ok(());
            }
            rows += 1;
            let values = self.columns.iter().map(|column| seen.row.get(*column));
            writer.row(&self.columns, seen.slot, values)?;
            match writer.bytes_since(mark) > PACKED_TIMES * most {
                true => Err(Stop::TooLong),
                false => Ok(()),
            }
        });
        match walked {
            Ok(()) => {}
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::TooLong) => {
                writer.rewind(mark);
                return Ok(Delta::None);
            }
        }
        if live.count() == 0 {
            return Ok(Delta::Nothing);
        }
        if rows == 0 && live.count() == last.rows {
            // No row came, so as many as there were are the same ones.
            return Ok(Delta::Over);
        }
        writer.end_delta(&self.columns, &live.into_bits())?;
        if writer.bytes_since(mark) > most {
            writer.rewind(mark);
            return Ok(Delta::None);
        }
        Ok(Delta::Over)
    }

    /// Writes all that the block holds: as encoded columns, if that can be.
    fn write(&self, writer: &mut ImageWriter<'_>) -> Result<()> {
        writer.begin(self.table, self.block, None);
        let frozen = self.capture.frozen();
        if let Some(frozen) = frozen.filter(|_| self.capture.is_as_frozen()) {
            return writer.encoded(frozen.encoded(), frozen.rows());
        }
        match self.capture.encode(&self.columns, GATHERED_BYTES_MAX) {
            Ok(Some(encoded)) => return writer.encoded(encoded.bytes(), encoded.rows()),
            // A full database must be able to write a checkpoint.
            Ok(None) | Err(Error::OutOfMemory { .. }) => {}
            Err(error) => return Err(error),
        }
        match frozen {
            Some(frozen) => self.write_changed(writer, frozen),
            None => self.write_rows(writer),
        }
    }

    /// The encoded columns as they are, and behind them what is no longer so.
    fn write_changed(&self, writer: &mut ImageWriter<'_>, frozen: &Frozen) -> Result<()> {
        writer.encoded(frozen.encoded(), frozen.rows())?;
        let mut live = Live::none(self.capture.slots());
        self.capture.for_each(|seen| {
            live.set(usize::from(seen.slot.0));
            if seen.is_base {
                return Ok(());
            }
            let values = self.columns.iter().map(|column| seen.row.get(*column));
            writer.row(&self.columns, seen.slot, values)
        })?;
        writer.end_delta(&self.columns, &live.into_bits())
    }

    /// Row by row: columns of a batch of wide rows would be copies that nobody reserved.
    fn write_rows(&self, writer: &mut ImageWriter<'_>) -> Result<()> {
        let mut rows = 0;
        self.capture.for_each(|seen| {
            rows += 1;
            let values = self.columns.iter().map(|column| seen.row.get(*column));
            writer.row(&self.columns, seen.slot, values)
        })?;
        writer.end_rows(rows)
    }
}
