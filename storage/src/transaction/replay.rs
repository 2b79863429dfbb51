//! Rows on their way back, change by change, as recovery reads them.
//!
//! A [`RowReplay`] is what many changes have in common: the place that it has registered in, and the table of
//! the last one. Nobody else looks at the rows yet, so most changes are made where the row stands, and
//! what has to be chained over it is folded at once.

use super::Core;
use crate::catalog::TableEntry;
use crate::error::{Error, Result};
use crate::ids::{RowId, TableId, Timestamp};
use crate::mvcc::{Garbage, Registration};
use crate::wal::RowValues;
use std::sync::Arc;

/// Changes rows in recovery.
#[derive(Debug)]
pub struct RowReplay<'c> {
    core: &'c Core,
    registration: Registration,
    /// The table of the last row.
    table: Option<Arc<TableEntry>>,
    garbage: Vec<Garbage>,
}

impl Core {
    /// Begins to change rows.
    ///
    /// # Errors
    /// `TooManyTransactions`.
    pub fn replay_rows(&self) -> Result<RowReplay<'_>> {
        Ok(RowReplay {
            core: self,
            registration: self.restoring()?,
            table: None,
            garbage: Vec::new(),
        })
    }
}

impl RowReplay<'_> {
    /// The table with that id, as the catalog has it now.
    pub fn table(&mut self, id: TableId) -> Option<&Arc<TableEntry>> {
        if self.table.as_ref().is_none_or(|table| table.def.id != id) {
            self.table = self.core.catalog.load().table_by_id(id).cloned();
        }
        self.table.as_ref()
    }

    /// To be called when the catalog has changed.
    pub fn forget_table(&mut self) {
        self.table = None;
    }

    /// Puts a row in its place.
    ///
    /// # Errors
    /// `UndefinedRelation` if there is no such table, `DuplicateRelation` if the row is there, `LimitExceeded`
    /// if no block has such a place, `OutOfMemory`.
    pub fn insert(
        &mut self,
        table: TableId,
        row: RowId,
        values: &RowValues<'_>,
        begin: Timestamp,
    ) -> Result<()> {
        let rows = Arc::clone(&self.known(table)?.rows);
        let proof = self.registration.enter();
        let values = values.iter().map(|(column, value)| (*column, value));
        rows.restore_insert(row, values, begin, &proof)
    }

    /// Changes columns of a row.
    ///
    /// # Errors
    /// `UndefinedRelation` if there is no such row, `OutOfMemory`.
    pub fn update(
        &mut self,
        table: TableId,
        row: RowId,
        changes: &RowValues<'_>,
        begin: Timestamp,
    ) -> Result<()> {
        let rows = Arc::clone(&self.known(table)?.rows);
        let proof = self.registration.enter();
        let retire = |garbage| self.garbage.push(garbage);
        let found = rows.restore_update(row, changes, begin, &proof, retire)?;
        drop(proof);
        self.existed(found, row)
    }

    /// Removes a row.
    ///
    /// # Errors
    /// As for [`Self::update`].
    pub fn delete(&mut self, table: TableId, row: RowId, begin: Timestamp) -> Result<()> {
        let rows = Arc::clone(&self.known(table)?.rows);
        let proof = self.registration.enter();
        let retire = |garbage| self.garbage.push(garbage);
        let found = rows.restore_delete(row, begin, &proof, retire)?;
        drop(proof);
        self.existed(found, row)
    }

    fn known(&mut self, id: TableId) -> Result<&Arc<TableEntry>> {
        let table = self.table(id);
        table.ok_or_else(|| Error::UndefinedRelation(id.to_string()))
    }

    /// What was changed must have been there. What was unlinked on the way is given to the collector.
    fn existed(&mut self, found: bool, row: RowId) -> Result<()> {
        if !self.garbage.is_empty() {
            let mut collector = self.core.collector();
            self.garbage.drain(..).for_each(|one| collector.retire(one));
            collector.free();
        }
        let name = || self.table.as_ref().map_or("", |table| &table.def.name);
        found
            .then_some(())
            .ok_or_else(|| Error::UndefinedRelation(format!("row {row} of {}", name())))
    }
}
