//! Collects what a transaction did, in the form in which it is logged.
//!
//! ```text
//!   operations --> [ open frame ] --long--> compressed --> run: [part][part][part]
//!                        \--------------------- at the end ----------------------> its last frame
//! ```
//!
//! Most transactions are one frame. Of a large one, what is done is put aside as a part, compressed where that
//! pays, and its place used again: so it takes the memory of the compressed parts and of one that is not,
//! and no long piece of it at once. The parts go to the log together, as one run of frames.

use super::frame::{FRAME_HEADER_LEN, GOES_ON, PACKED, Stamp, seal};
use super::gate::Space;
use super::operation::{Kind, put_catalog, put_row, put_sequence, put_slots, put_target, put_time};
use super::packing::{PACKED_FROM, pack};
use crate::catalog::{CatalogChange, SequencePosition};
use crate::ids::{BlockNo, ColumnId, Lsn, RowId, SequenceId, TableId};
use crate::pool::{Ledger, Reservation};
use crate::succinct::SlotSet;
use crate::value::ValueRef;
use std::sync::Arc;

/// A frame that has come to this length is put aside as a part of a run, where segments are as long as ever.
const PART_BYTES_MAX: u64 = 256 << 10;
/// And this, where they are short.
const PART_BYTES_MIN: u64 = 4 << 10;
/// A part is such a share of a segment.
const PARTS_PER_SEGMENT: u64 = 256;

/// The length at which frames are put aside as parts of a run, with segments of that length.
pub(super) fn part_bytes(segment_bytes_max: u64) -> usize {
    (segment_bytes_max / PARTS_PER_SEGMENT).clamp(PART_BYTES_MIN, PART_BYTES_MAX) as usize
}

/// The operations of one transaction, encoded as they are given; the header's place is kept free
/// and filled when the frame is written.
#[derive(Debug)]
pub struct FrameBuilder {
    bytes: Vec<u8>,
    /// Their number, and the bits beside it.
    operations: u32,
    /// The frames before this one. In a box, because hardly any transaction has them.
    run: Option<Box<Run>>,
    /// Memory that was reserved for the frame while its operations were done.
    pub(super) memory: Option<Reservation>,
    /// The memory that the log reserved for the frame, given back when it is durable or dropped.
    pub(super) space: Option<Space>,
}

/// Frames that were put aside.
#[derive(Debug, Default)]
struct Run {
    parts: Vec<Part>,
    bytes: usize,
    longest: usize,
}

/// A frame of a run, but its last one.
#[derive(Debug)]
pub(super) struct Part {
    bytes: Vec<u8>,
    operations: u32,
}

impl Part {
    /// The finished frame.
    pub(super) fn seal(&mut self, lsn: Lsn, stamp: Stamp) -> &[u8] {
        seal(&mut self.bytes, lsn, stamp, self.operations);
        &self.bytes
    }
}

impl Default for FrameBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameBuilder {
    /// A frame without operations.
    pub fn new() -> Self {
        Self::with_memory(None, 0)
    }

    /// A frame whose operations will take at most `bytes`, for which `memory` was reserved.
    pub fn with_memory(memory: Option<Reservation>, bytes: usize) -> Self {
        let mut header = Vec::with_capacity(FRAME_HEADER_LEN + bytes);
        header.resize(FRAME_HEADER_LEN, 0);
        Self {
            bytes: header,
            operations: 0,
            run: None,
            memory,
            space: None,
        }
    }

    /// A row came.
    pub fn insert<'v>(
        &mut self,
        table: TableId,
        row: RowId,
        values: impl IntoIterator<Item = (ColumnId, ValueRef<'v>)>,
    ) {
        put_row(&mut self.bytes, Kind::Insert, table, row, values);
        self.operations += 1;
    }

    /// Columns of a row changed; only those that did are given.
    pub fn update<'v>(
        &mut self,
        table: TableId,
        row: RowId,
        values: impl IntoIterator<Item = (ColumnId, ValueRef<'v>)>,
    ) {
        put_row(&mut self.bytes, Kind::Update, table, row, values);
        self.operations += 1;
    }

    /// A row went.
    pub fn delete(&mut self, table: TableId, row: RowId) {
        put_target(&mut self.bytes, Kind::Delete, table, row);
        self.operations += 1;
    }

    /// Rows of one block went, one or more.
    pub fn delete_some(&mut self, table: TableId, block: BlockNo, slots: &SlotSet) {
        put_slots(&mut self.bytes, table, block, slots);
        self.operations += 1;
    }

    /// A step of DDL, in its place between the other operations.
    pub fn catalog(&mut self, change: &CatalogChange) {
        put_catalog(&mut self.bytes, change);
        self.operations += 1;
    }

    /// Where recovery is to go on with a sequence.
    pub fn sequence(&mut self, id: SequenceId, position: SequencePosition) {
        put_sequence(&mut self.bytes, id, position);
        self.operations += 1;
    }

    /// It was so late when it was done, in microseconds since 1970.
    pub fn time(&mut self, micros: i64) {
        put_time(&mut self.bytes, micros);
        self.operations += 1;
    }

    /// To be called between two operations: puts aside what has come to `part_bytes`.
    #[inline]
    pub fn cut_if_long(&mut self, part_bytes: usize, ledger: &Arc<Ledger>) {
        if self.bytes.len() >= part_bytes {
            self.cut(ledger);
        }
    }

    #[cold]
    fn cut(&mut self, ledger: &Arc<Ledger>) {
        let mut operations = std::mem::take(&mut self.operations) | GOES_ON;
        let bytes = match pack(&self.bytes, ledger) {
            Some(packed) => {
                operations |= PACKED;
                self.bytes.truncate(FRAME_HEADER_LEN);
                self.bytes.shrink_to(PART_BYTES_MAX as usize);
                packed
            }
            None => {
                let room = self.bytes.len().min(PART_BYTES_MAX as usize);
                let next = Vec::with_capacity(room);
                let mut bytes = std::mem::replace(&mut self.bytes, next);
                self.bytes.resize(FRAME_HEADER_LEN, 0);
                bytes.shrink_to_fit();
                bytes
            }
        };
        let run = self.run.get_or_insert_default();
        run.bytes += bytes.len();
        run.longest = run.longest.max(bytes.len());
        run.parts.push(Part { bytes, operations });
    }

    /// Makes a long frame shorter where that pays. No operation may come after.
    #[inline]
    pub(super) fn pack(&mut self, ledger: &Arc<Ledger>) {
        if self.bytes.len() >= PACKED_FROM
            && let Some(packed) = pack(&self.bytes, ledger)
        {
            self.bytes = packed;
            self.operations |= PACKED;
        }
        if self.run.is_some() {
            // While it waits for the log it holds what is reserved for it and no more.
            self.bytes.shrink_to_fit();
        }
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.operations == 0 && self.run.is_none()
    }

    /// The bytes that it takes in the log.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.run.as_ref().map_or(0, |run| run.bytes)
    }

    /// The length of the longest of its frames.
    pub(super) fn longest(&self) -> usize {
        let before = self.run.as_ref().map_or(0, |run| run.longest);
        before.max(self.bytes.len())
    }

    /// The frames that come before the last one. They stay: what finds no room is written again.
    pub(super) fn parts(&mut self) -> &mut [Part] {
        self.run.as_mut().map_or(&mut [], |run| &mut run.parts)
    }

    /// The finished frame: the only one, or the last one of a run.
    pub(crate) fn seal(&mut self, lsn: Lsn, stamp: Stamp) -> &[u8] {
        seal(&mut self.bytes, lsn, stamp, self.operations);
        &self.bytes
    }
}
