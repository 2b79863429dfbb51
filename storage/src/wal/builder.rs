//! Collects what a transaction did, in the form in which it is logged.

use super::frame::{FRAME_HEADER_LEN, seal};
use super::log::Space;
use super::operation::{Kind, put_catalog, put_row, put_sequence, put_target};
use crate::catalog::{CatalogChange, SequencePosition};
use crate::ids::{ColumnId, Lsn, RowId, SequenceId, TableId, Timestamp};
use crate::pool::Reservation;
use crate::value::ValueRef;

/// The operations of one transaction, encoded as they are given; the header's place is kept free
/// and filled when the frame is written.
#[derive(Debug)]
pub struct FrameBuilder {
    bytes: Vec<u8>,
    operations: u32,
    /// Memory that was reserved for the frame while its operations were done.
    pub(super) memory: Option<Reservation>,
    /// The memory that the log reserved for the frame, given back when it is written or dropped.
    pub(super) space: Option<Space>,
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

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.operations == 0
    }

    /// The bytes that the frame takes in the log.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The finished frame.
    pub(crate) fn seal(
        &mut self,
        lsn: Lsn,
        durable: Lsn,
        timestamp: Timestamp,
        timeline: u32,
    ) -> &[u8] {
        let Self {
            bytes, operations, ..
        } = self;
        seal(bytes, lsn, durable, timestamp, timeline, *operations);
        bytes
    }
}
