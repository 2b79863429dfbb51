//! What one statement sees.

use super::reads::{Columns, SharedReads};
use super::scan::{self, IndexScan, ScanBatch, TableScan, VectorScan};
use super::{Core, RowRef};
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::{BlockNo, ColumnId, RowId, Slot, Timestamp};
use crate::index::{Cursor, END_OF_TEXT_BYTES, Key, prefix_end};
use crate::maintenance::SnapshotUse;
use crate::mvcc::{Operation, Registration, Viewpoint};
use crate::table::{Found, TableStats};
use crate::value::{ColumnBounds, ValueRef};
use std::ops::{Bound, Range};
use std::sync::Arc;

/// Rows that a walk over a whole table looks at in one step.
const WALK_ROWS: usize = 1024;

/// What one statement sees.
#[derive(Clone, Debug)]
pub struct ReadView {
    registration: Registration,
    command: u64,
    /// Where what is read is recorded, if it is.
    pub(super) reads: Option<Arc<SharedReads>>,
    /// The queue of what may be freed must not go while the view can reach it. Declared after the
    /// registration, so that it is dropped after it.
    core: Arc<Core>,
}

impl ReadView {
    pub(super) fn new(
        core: Arc<Core>,
        registration: Registration,
        command: u64,
        reads: Option<Arc<SharedReads>>,
    ) -> Self {
        Self {
            registration,
            command,
            reads,
            core,
        }
    }

    /// The same, but what is read through it is not recorded: for whoever knows which of the rows count,
    /// and records those ([`Transaction::share`](super::Transaction::share),
    /// [`Transaction::lock`](super::Transaction::lock)).
    #[must_use]
    pub fn unrecorded(mut self) -> Self {
        self.reads = None;
        self
    }

    /// Whether what is read is recorded, so that it is of use to say what counts.
    pub fn is_recording(&self) -> bool {
        self.reads.is_some()
    }

    /// Whether something was read through it, or another view of its transaction, after that had committed a
    /// change: whether that was still so at the commit nobody has asked.
    pub fn has_read_late(&self) -> bool {
        self.reads.as_ref().is_some_and(|reads| reads.is_late())
    }

    /// An operation on rows, for this view.
    pub(super) fn enter(&self) -> Operation<'_> {
        self.registration.enter()
    }

    /// What the view sees in an operation.
    pub(super) fn viewpoint<'a>(&self, operation: &'a Operation<'a>) -> Viewpoint<'a> {
        operation.viewpoint(self.command)
    }

    /// The timestamp of its snapshot.
    pub fn snapshot(&self) -> Timestamp {
        self.registration.snapshot()
    }

    /// All visible rows of a table that lie within all `bounds`, in RowId order, as batches of at
    /// most `batch_rows` rows.
    ///
    /// # Panics
    /// When a bound is not of its column's type.
    pub fn scan(
        &self,
        table: &Arc<TableEntry>,
        columns: &[ColumnId],
        bounds: &[ColumnBounds],
        batch_rows: usize,
    ) -> TableScan {
        TableScan::new(self.clone(), table, columns, bounds, batch_rows)
    }

    /// The same rows, shown a vector at a time where they are: for who folds them into a few values, made
    /// of these columns.
    ///
    /// # Panics
    /// When a bound is not of its column's type.
    pub fn vectors(
        &self,
        table: &Arc<TableEntry>,
        columns: Columns,
        bounds: &[ColumnBounds],
    ) -> VectorScan {
        self.note_scan(table, columns, bounds);
        VectorScan::new(self.clone(), table, bounds)
    }

    /// Calls `visit` with every visible row of a table, in RowId order, until it fails.
    pub fn for_each_row<E>(
        &self,
        table: &Arc<TableEntry>,
        visit: impl FnMut(RowId, &RowRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.note_scan(table, Columns::ALL, &[]);
        let first = RowId::new(BlockNo(0), Slot(0));
        self.each_of(table, first..table.rows.next_row(), visit)
    }

    /// Calls `visit` with every visible row of a block, until it fails. Nothing is recorded.
    pub fn for_each_row_of<E>(
        &self,
        table: &Arc<TableEntry>,
        block: BlockNo,
        visit: impl FnMut(RowId, &RowRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = RowId::new(BlockNo(block.0 + 1), Slot(0));
        let end = end.min(table.rows.next_row());
        self.each_of(table, RowId::new(block, Slot(0))..end, visit)
    }

    fn each_of<E>(
        &self,
        table: &Arc<TableEntry>,
        rows: Range<RowId>,
        mut visit: impl FnMut(RowId, &RowRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Range { start: mut at, end } = rows;
        while at < end {
            let operation = self.enter();
            let viewpoint = self.viewpoint(&operation);
            let mut found = Found::default();
            at = table
                .rows
                .collect(&viewpoint, at, end, WALK_ROWS, &mut found);
            for (id, row) in found.ids.iter().zip(&found.rows) {
                visit(*id, row)?;
            }
        }
        Ok(())
    }

    /// The rows named, those that are visible, in the order given, as one batch.
    pub fn fetch(
        &self,
        table: &Arc<TableEntry>,
        columns: &[ColumnId],
        rows: &[RowId],
    ) -> Result<ScanBatch> {
        Ok(scan::fetch(self, table, columns, rows))
    }

    /// What all transactions share.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// What a table consists of now, whatever the view sees of it.
    pub fn table_stats(&self, table: &TableEntry) -> TableStats {
        table.rows.stats(&self.enter())
    }

    /// The snapshots that are registered now, with what they keep from being freed. Looks at every
    /// row that is not settled.
    pub fn snapshots(&self) -> Vec<SnapshotUse> {
        self.core.snapshots(&self.registration)
    }

    /// Calls `read` with the row if it is visible.
    pub fn row<T>(
        &self,
        table: &Arc<TableEntry>,
        row: RowId,
        read: impl FnOnce(&RowRef<'_>) -> T,
    ) -> Option<T> {
        self.note_row(table, row, Columns::ALL);
        let operation = self.enter();
        let row = table.rows.visible(row, &self.viewpoint(&operation))?;
        Some(read(&row))
    }

    /// Visible rows whose key lies between the bounds, in index order, with these columns. A bound
    /// gives values for a prefix of the key columns; NULL among them stands for the column's NULLs. Only for ordered
    /// indexes. Rows whose first constrained column is NULL are found only by an unbounded side.
    pub fn range(
        &self,
        table: &Arc<TableEntry>,
        index: &Arc<IndexEntry>,
        columns: &[ColumnId],
        low: Bound<&[ValueRef<'_>]>,
        high: Bound<&[ValueRef<'_>]>,
        reverse: bool,
    ) -> Result<IndexScan> {
        let (low, high) = ends(index, low, high);
        self.walk((table, index), columns, (&low, &high), reverse)
    }

    /// Visible rows whose key begins with these values, in index order, with these columns. The last value, a text or
    /// bytes and not NULL, may itself be only the beginning of the key's. Only for ordered indexes.
    pub fn range_of_prefix(
        &self,
        table: &Arc<TableEntry>,
        index: &Arc<IndexEntry>,
        columns: &[ColumnId],
        values: &[ValueRef<'_>],
        reverse: bool,
    ) -> Result<IndexScan> {
        let (low, high) = ends_of_prefix(index, values);
        self.walk((table, index), columns, (&low, &high), reverse)
    }

    fn walk(
        &self,
        (table, index): (&Arc<TableEntry>, &Arc<IndexEntry>),
        columns: &[ColumnId],
        (low, high): (&Bound<Key>, &Bound<Key>),
        reverse: bool,
    ) -> Result<IndexScan> {
        let low = low.as_ref().map(|key| &**key);
        let high = high.as_ref().map(|key| &**key);
        let recorded = self.note_range(table, index, columns, low, high);
        let cursor = Cursor::new(low, high, reverse);
        let scan = IndexScan::new(self.clone(), table, index, columns, cursor);
        Ok(scan.recorded_as(recorded))
    }
}

/// Keys between which those lie that [`ReadView::range`] finds.
pub(super) fn ends(
    index: &IndexEntry,
    low: Bound<&[ValueRef<'_>]>,
    high: Bound<&[ValueRef<'_>]>,
) -> (Bound<Key>, Bound<Key>) {
    // All keys that begin with a prefix lie between it and its end, which is no key itself.
    let after = |values: &[ValueRef<'_>]| prefix_end(&beginning(index, values));
    let low = match low {
        Bound::Included(values) => Bound::Included(beginning(index, values)),
        Bound::Excluded(values) => after(values).map_or(Bound::Unbounded, Bound::Included),
        Bound::Unbounded => Bound::Unbounded,
    };
    let high = match high {
        Bound::Included(values) => after(values).map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Excluded(values) => Bound::Excluded(beginning(index, values)),
        Bound::Unbounded => Bound::Unbounded,
    };
    (low, high)
}

/// Keys between which those lie that [`ReadView::range_of_prefix`] finds.
pub(super) fn ends_of_prefix(
    index: &IndexEntry,
    values: &[ValueRef<'_>],
) -> (Bound<Key>, Bound<Key>) {
    let mut low = beginning(index, values);
    low.truncate(low.len() - END_OF_TEXT_BYTES);
    let high = prefix_end(&low).map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(low), high)
}

/// What the keys begin with that begin with these values.
fn beginning(index: &IndexEntry, values: &[ValueRef<'_>]) -> Key {
    let mut bytes = Key::new();
    index.encode(&mut bytes, values);
    bytes
}
