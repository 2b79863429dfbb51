//! The images of a checkpoint: what is written of each block, and what is referred to.

use super::last::LastCheckpoint;
use super::list::ImageRef;
use super::writer::ImageWriter;
use super::{CheckpointReport, Checkpointer, Moment};
use crate::block::Frozen;
use crate::catalog::TableEntry;
use crate::error::Result;
use crate::ids::{BlockNo, ColumnId};
use crate::succinct::BitVector;
use crate::transaction::BlockCapture;

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

    fn into_bits(self) -> BitVector {
        BitVector::from_words(self.words, self.slots).expect("a bit for each slot")
    }
}

impl Checkpointer {
    /// Writes the images of all blocks that are not what `last` has of them.
    pub(super) fn write_images(
        &self,
        moment: &Moment,
        number: u64,
        last: &LastCheckpoint,
    ) -> Result<Written> {
        let ledger = self.core.ledger();
        let timestamp = moment.timestamp;
        let mut writer = ImageWriter::new(&*self.disk, ledger, self.database, number, timestamp)?;
        let (mut images, mut report) = (Vec::new(), CheckpointReport::default());
        // The list of images is in this order.
        let mut tables: Vec<_> = moment.catalog.tables().collect();
        tables.sort_unstable_by_key(|table| table.def.id);
        for table in tables {
            let before = last.table(table);
            for block in table.rows.blocks() {
                let kept = before.and_then(|before| before.unchanged(&table.rows, block));
                if let Some(kept) = kept {
                    images.extend_from_slice(kept);
                    report.blocks_kept += u64::from(!kept.is_empty());
                    continue;
                }
                let written = writer.images().len();
                if let Some(capture) = moment.view.capture(&table.rows, block) {
                    write_block(&mut writer, table, block, &capture)?;
                }
                images.extend_from_slice(&writer.images()[written..]);
                report.blocks_written += u64::from(writer.images().len() > written);
            }
        }
        report.timestamp = timestamp;
        report.bytes = writer.bytes();
        writer.finish()?;
        Ok(Written { images, report })
    }
}

/// Writes all that a block holds.
fn write_block(
    writer: &mut ImageWriter<'_>,
    table: &TableEntry,
    block: BlockNo,
    capture: &BlockCapture<'_>,
) -> Result<()> {
    let columns: Vec<ColumnId> = table.def.columns.iter().map(|column| column.id).collect();
    writer.begin(table.def.id, block, None);
    match capture.frozen() {
        Some(frozen) => write_frozen(writer, &columns, frozen, capture),
        None => write_rows(writer, &columns, capture),
    }
}

/// The encoded columns as they are, and behind them what is no longer so.
fn write_frozen(
    writer: &mut ImageWriter<'_>,
    columns: &[ColumnId],
    frozen: &Frozen,
    capture: &BlockCapture<'_>,
) -> Result<()> {
    if capture.is_as_frozen() {
        return writer.frozen(frozen);
    }
    writer.frozen(frozen)?;
    let mut live = Live::none(capture.slots());
    capture.for_each(|seen| {
        live.set(usize::from(seen.slot.0));
        if seen.is_base {
            return Ok(());
        }
        let values = columns.iter().map(|column| seen.row.get(*column));
        writer.row(columns, seen.slot, values)
    })?;
    writer.end_delta(columns, &live.into_bits())
}

/// Row by row: columns of a batch of wide rows would be copies that nobody reserved.
fn write_rows(
    writer: &mut ImageWriter<'_>,
    columns: &[ColumnId],
    capture: &BlockCapture<'_>,
) -> Result<()> {
    let mut rows = 0;
    capture.for_each(|seen| {
        rows += 1;
        let values = columns.iter().map(|column| seen.row.get(*column));
        writer.row(columns, seen.slot, values)
    })?;
    writer.end_rows(rows)
}
