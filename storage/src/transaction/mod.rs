//! Transactions: the one way to read and change tables. (Stub: signatures only.)
//!
//! A [`Transaction`] is owned by one connection. [`ReadView`] is what a statement reads through:
//! it is cheap to clone, keeps its snapshot registered while it lives, and sees the transaction's
//! own changes of *earlier* commands only.

mod core;

pub use self::core::Core;

use crate::catalog::{Catalog, IndexDef, IndexEntry, TableDef, TableEntry};
use crate::error::Result;
use crate::ids::{ColumnId, IndexId, Lsn, RowId, TableId, Timestamp, TransactionId};
use crate::value::ValueRef;
use arrow_array::ArrayRef;
use std::ops::Bound;
use std::sync::Arc;

/// A running transaction; dropped without commit, it is rolled back.
#[derive(Debug)]
pub struct Transaction {}

/// A moment within a transaction, to which it can be rolled back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark(pub u64);

/// What a commit came to.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// Its place in commit order; `None` where it had changed nothing.
    pub timestamp: Option<Timestamp>,
    /// Where its frame ends in the log; `None` where nothing was logged.
    pub lsn: Option<Lsn>,
}

impl Transaction {
    /// Its id, as named in conflicts.
    pub fn id(&self) -> TransactionId {
        todo!()
    }

    /// Whether it has changed anything.
    pub fn has_writes(&self) -> bool {
        todo!()
    }

    /// The catalog it sees: the one of its snapshot plus its own DDL.
    pub fn catalog(&self) -> &Arc<Catalog> {
        todo!()
    }

    /// Starts the next command and returns the moment before it. What was written before becomes
    /// visible to views made from now on. Call once a statement, before [`Self::view`].
    pub fn begin_command(&mut self) -> Mark {
        todo!()
    }

    /// Undoes everything since `mark`: rows, index entries, DDL. Later marks become invalid.
    pub fn rollback_to(&mut self, _mark: Mark) {
        todo!()
    }

    /// The view of the current command.
    pub fn view(&self) -> ReadView {
        todo!()
    }

    /// Adds a row; `values` are of the columns' types, in the order of `table.def.columns`.
    pub fn insert(&mut self, _table: &Arc<TableEntry>, _values: &[ValueRef<'_>]) -> Result<RowId> {
        todo!()
    }

    /// Changes columns of a row that the view shows. A row changed by another transaction since
    /// the snapshot is a conflict; one that this *command* has already changed or deleted gives
    /// `Ok(false)` and nothing happens.
    pub fn update(
        &mut self,
        _table: &Arc<TableEntry>,
        _row: RowId,
        _changes: &[(ColumnId, ValueRef<'_>)],
    ) -> Result<bool> {
        todo!()
    }

    /// Removes a row that the view shows; errors and `Ok(false)` as for [`Self::update`].
    pub fn delete(&mut self, _table: &Arc<TableEntry>, _row: RowId) -> Result<bool> {
        todo!()
    }

    /// Creates a table; `def.id` is ignored and given anew, column ids are taken as they are.
    pub fn create_table(&mut self, _def: TableDef) -> Result<TableId> {
        todo!()
    }

    /// Drops a table with its indexes.
    pub fn drop_table(&mut self, _id: TableId) -> Result<()> {
        todo!()
    }

    /// Creates an index and fills it; `def.id` is ignored and given anew.
    pub fn create_index(&mut self, _def: IndexDef) -> Result<IndexId> {
        todo!()
    }

    /// Drops an index.
    pub fn drop_index(&mut self, _id: IndexId) -> Result<()> {
        todo!()
    }

    /// Makes all changes visible to later snapshots, at once, and waits until they are as durable
    /// as the store's level asks. On error nothing has happened, except for `OutcomeUnknown`.
    pub fn commit(self) -> Result<Committed> {
        todo!()
    }

    /// Undoes everything. Dropping the transaction does the same.
    pub fn rollback(self) {
        todo!()
    }
}

/// What one statement sees.
#[derive(Clone, Debug)]
pub struct ReadView {}

impl ReadView {
    /// All visible rows of a table, in RowId order, as batches of at most `batch_rows` rows.
    pub fn scan(
        &self,
        _table: &Arc<TableEntry>,
        _columns: &[ColumnId],
        _batch_rows: usize,
    ) -> TableScan {
        todo!()
    }

    /// The timestamp of its snapshot.
    pub fn snapshot(&self) -> Timestamp {
        todo!()
    }

    /// Calls `visit` with every visible row of a table, in RowId order, until it fails.
    pub fn for_each_row<E>(
        &self,
        _table: &Arc<TableEntry>,
        _visit: impl FnMut(RowId, &RowRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        todo!()
    }

    /// The rows named, those that are visible, in the order given, as one batch.
    pub fn fetch(
        &self,
        _table: &Arc<TableEntry>,
        _columns: &[ColumnId],
        _rows: &[RowId],
    ) -> Result<ScanBatch> {
        todo!()
    }

    /// Calls `read` with the row if it is visible.
    pub fn row<T>(
        &self,
        _table: &Arc<TableEntry>,
        _row: RowId,
        _read: impl FnOnce(&RowRef<'_>) -> T,
    ) -> Option<T> {
        todo!()
    }

    /// Visible rows whose key in `index` is exactly `key` (one value a key column; a NULL in it
    /// finds nothing). Each row once.
    pub fn lookup(
        &self,
        _table: &Arc<TableEntry>,
        _index: &IndexEntry,
        _key: &[ValueRef<'_>],
    ) -> Result<Vec<RowId>> {
        todo!()
    }

    /// Visible rows whose key lies between the bounds, in index order. A bound gives values for a
    /// prefix of the key columns. Only for ordered indexes. Rows whose first constrained column is
    /// NULL are found only by an unbounded side.
    pub fn range(
        &self,
        _table: &Arc<TableEntry>,
        _index: &Arc<IndexEntry>,
        _low: Bound<&[ValueRef<'_>]>,
        _high: Bound<&[ValueRef<'_>]>,
        _reverse: bool,
    ) -> Result<IndexScan> {
        todo!()
    }
}

/// A row, borrowed for the length of one call.
#[derive(Debug)]
pub struct RowRef<'a>(std::marker::PhantomData<&'a ()>);

impl RowRef<'_> {
    /// The value of a column.
    pub fn get(&self, _column: ColumnId) -> ValueRef<'_> {
        todo!()
    }
}

/// Rows as columns.
#[derive(Clone, Debug)]
pub struct ScanBatch {
    /// One array a column asked for, each of the column's Arrow type.
    pub columns: Vec<ArrayRef>,
    /// The rows' ids.
    pub rows: Vec<RowId>,
}

/// A scan in progress; owns what it needs.
#[derive(Debug)]
pub struct TableScan {}

impl TableScan {
    /// The next batch, never empty; `None` at the end.
    #[allow(
        clippy::should_implement_trait,
        reason = "fallible, and named as in rusqlite"
    )]
    pub fn next(&mut self) -> Result<Option<ScanBatch>> {
        todo!()
    }
}

/// An index range in progress; owns what it needs.
#[derive(Debug)]
pub struct IndexScan {}

impl IndexScan {
    /// Up to `limit` further rows in order; empty at the end.
    pub fn next(&mut self, _limit: usize) -> Result<Vec<RowId>> {
        todo!()
    }
}
