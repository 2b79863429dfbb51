//! The core: everything that transactions share. (Signatures first; the bodies follow.)

use crate::catalog::{Catalog, CatalogChange};
use crate::error::Result;
use crate::ids::{ColumnId, IndexId, RowId, TableId, Timestamp};
use crate::pool::Ledger;
use crate::transaction::{ReadView, Transaction};
use crate::value::Value;
use std::sync::Arc;

/// What transactions share: clock, snapshots, catalog, memory, log.
#[derive(Debug)]
pub struct Core {}

impl Core {
    /// An empty database. Without `manual_maintenance` a background thread collects garbage until
    /// the last handle goes.
    pub fn new(_ledger: Arc<Ledger>, _manual_maintenance: bool) -> Result<Arc<Self>> {
        todo!()
    }

    // `attach_log(&self, log: Arc<wal::Log>, wait_durable: bool)` follows when the log has landed.

    /// Starts a transaction on the latest committed state.
    pub fn begin(self: &Arc<Self>) -> Result<Transaction> {
        todo!()
    }

    /// A view of the latest committed state, outside any transaction.
    pub fn view_latest(self: &Arc<Self>) -> Result<ReadView> {
        todo!()
    }

    /// The latest committed catalog.
    pub fn catalog(&self) -> Arc<Catalog> {
        todo!()
    }

    /// The latest committed timestamp.
    pub fn latest(&self) -> Timestamp {
        todo!()
    }

    /// Runs `f` with the latest committed timestamp while no commit can happen.
    pub fn commit_section<T>(&self, _f: impl FnOnce(Timestamp) -> T) -> T {
        todo!()
    }

    /// Does what garbage collection can do now; returns how many write sets remain.
    pub fn collect_garbage(&self) -> usize {
        todo!()
    }

    // --- recovery: single-threaded, before the first transaction ------------------------------

    /// Applies one step of DDL; ids in definitions are taken as they are. New indexes stay empty
    /// until [`Self::finish_recovery`].
    pub fn restore_catalog(&self, _change: &CatalogChange) -> Result<()> {
        todo!()
    }

    /// Puts a row in its place.
    pub fn restore_insert(
        &self,
        _table: TableId,
        _row: RowId,
        _values: &[(ColumnId, Value)],
        _begin: Timestamp,
    ) -> Result<()> {
        todo!()
    }

    /// Changes columns of a restored row.
    pub fn restore_update(
        &self,
        _table: TableId,
        _row: RowId,
        _changes: &[(ColumnId, Value)],
        _begin: Timestamp,
    ) -> Result<()> {
        todo!()
    }

    /// Removes a restored row.
    pub fn restore_delete(&self, _table: TableId, _row: RowId, _begin: Timestamp) -> Result<()> {
        todo!()
    }

    /// No row of the table is given an id below `next` any more (see
    /// [`crate::table::Table::next_row`]).
    pub fn restore_next_row(&self, _table: TableId, _next: RowId) -> Result<()> {
        todo!()
    }

    /// Ends recovery: fills the indexes from the rows and sets the clock.
    pub fn finish_recovery(&self, _clock: Timestamp) -> Result<()> {
        todo!()
    }

    /// The ids that the next table and the next index are given.
    pub fn next_ids(&self) -> (TableId, IndexId) {
        todo!()
    }

    /// No table or index is given an id below these any more.
    pub fn restore_next_ids(&self, _table: TableId, _index: IndexId) {
        todo!()
    }
}
