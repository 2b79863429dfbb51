//! Reviving: a transaction writes a row again that the system has deleted since its snapshot.
//!
//! ```text
//!   transaction   sees row 3:7 ................ UPDATE of it: row 9:1 is inserted, with all columns
//!   eviction                  deletes row 3:7   it sees that from now on (mvcc, late commits)
//! ```
//!
//! To its own statements the row has moved. Others had lost it, and find it again when the transaction commits. The row that
//! it refers to by a foreign key may be gone as well, since nothing referred to it any more. So the transaction relies on that
//! row, as for a row that it inserts; where that cannot be told here, it is a conflict.

use crate::catalog::{Deferral, ForeignKeyDef, TableEntry};
use crate::error::Result;
use crate::ids::{ColumnId, RowId, Timestamp, TransactionId};
use crate::mvcc::{Operation, Resolved};
use crate::transaction::Transaction;
use crate::value::{Value, ValueRef};
use std::sync::Arc;

impl Transaction {
    /// When the system has deleted a row, if that is the last that happened to it and this transaction does not see it.
    pub(in crate::transaction) fn departure(
        &self,
        table: &TableEntry,
        row: RowId,
        operation: &Operation<'_>,
    ) -> Option<Timestamp> {
        let (block, slot) = table.rows.place(row, operation)?;
        let newest = block.newest(slot, operation);
        if newest.image().is_some() {
            return None;
        }
        let viewpoint = operation.viewpoint(self.command);
        let resolved = viewpoint.resolve(|| newest.stamp());
        match resolved {
            Resolved::Committed(at)
                if !viewpoint.sees_resolved(resolved) && table.rows.has_departed_at(at) =>
            {
                Some(at)
            }
            _ => None,
        }
    }

    /// Sees from now on which rows were evicted for its own writes.
    #[cold]
    pub(in crate::transaction) fn see_departures(&mut self) {
        let departures = self.departures.take();
        for commit in departures.iter().flat_map(|commits| commits.iter()) {
            self.registration.see_late(*commit);
        }
    }

    /// Updates a row that another transaction was first to write: it is revived if that was the system.
    ///
    /// # Errors
    /// `Conflict` where it was not; those of an insertion.
    #[cold]
    pub(in crate::transaction) fn update_departed(
        &mut self,
        table: &Arc<TableEntry>,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
        (rival, has_committed): (TransactionId, bool),
    ) -> Result<bool> {
        if has_committed && self.revive(table, row, changes)? {
            return Ok(true);
        }
        match !has_committed && table.rows.wait_departures(rival) {
            true => self.update(table, row, changes),
            false => Err(self.conflict(table, row, (rival, has_committed))),
        }
    }

    /// Deletes a row that another transaction was first to write; if that was the system, it has done the same.
    ///
    /// # Errors
    /// `Conflict` where it was not.
    #[cold]
    pub(in crate::transaction) fn delete_departed(
        &mut self,
        table: &Arc<TableEntry>,
        row: RowId,
        (rival, has_committed): (TransactionId, bool),
    ) -> Result<bool> {
        if has_committed && self.see_departure(table, row).is_some() {
            return Ok(true);
        }
        match !has_committed && table.rows.wait_departures(rival) {
            true => self.delete(table, row),
            false => Err(self.conflict(table, row, (rival, has_committed))),
        }
    }

    /// Inserts a row with some columns changed that the system has deleted since the snapshot; returns whether it has.
    ///
    /// # Errors
    /// The errors of an insertion.
    pub(in crate::transaction) fn revive(
        &mut self,
        table: &Arc<TableEntry>,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
    ) -> Result<bool> {
        // Keys that are tested later are tested for the row that was there.
        let mut indexes = table.indexes.iter();
        if indexes.any(|index| index.def.deferral != Deferral::Never) {
            return Ok(false);
        }
        let Some(old) = self.see_departure(table, row) else {
            return Ok(false);
        };
        let changed = |column: ColumnId| changes.iter().find(|(id, _)| *id == column);
        let is_kept = |key: &&ForeignKeyDef| !key.columns.iter().any(|id| changed(*id).is_some());
        let mut keys = table.def.foreign_keys.iter().filter(is_kept);
        if !keys.all(|key| self.shares_parent(table, key, &old)) {
            return Ok(false);
        }
        let columns = table.def.columns.iter().zip(&old);
        let new = columns.map(|(column, old)| match changed(column.id) {
            Some((_, value)) => *value,
            None => old.as_ref(),
        });
        let new: Vec<ValueRef<'_>> = new.collect();
        self.insert(table, &new).map(|_| true)
    }

    /// Relies on the row that a row refers to; `false` where it is not seen, or is not found by equal values, or may have expired.
    fn shares_parent(&self, table: &TableEntry, key: &ForeignKeyDef, row: &[Value]) -> bool {
        let value = |id: &ColumnId| table.def.position(*id).map(|at| row[at].as_ref());
        if key
            .columns
            .iter()
            .any(|id| value(id).is_none_or(|value| value.is_null()))
        {
            return true;
        }
        let Some(parent) = self.catalog().table_by_id(key.parent) else {
            return false;
        };
        let mut indexes = parent.indexes.iter();
        let Some(index) = indexes.find(|index| index.def.id == key.index) else {
            return false;
        };
        let type_of = |table: &TableEntry, id| {
            let position = table.def.position(id);
            position.map(|at| table.def.columns[at].data_type)
        };
        let values = index.def.columns.iter().map(|part| {
            let place = key.referenced.iter().position(|id| *id == part.column)?;
            let id = key.columns[place];
            let is_same = type_of(table, id) == type_of(parent, part.column);
            value(&id).filter(|_| is_same)
        });
        let values: Option<Vec<ValueRef<'_>>> = values.collect();
        let found = values.and_then(|values| self.share_found(parent, index, &values));
        found.is_some() && parent.def.expiry.is_none()
    }

    /// Sees from now on that the system has deleted a row, if it has since the snapshot and nobody has changed the row before;
    /// returns the row's values, in the order of the columns.
    pub(in crate::transaction) fn see_departure(
        &self,
        table: &TableEntry,
        row: RowId,
    ) -> Option<Vec<Value>> {
        let operation = self.registration.enter();
        let at = self.departure(table, row, &operation)?;
        let (block, slot) = table.rows.place(row, &operation)?;
        // A change by another transaction before the deletion is a conflict.
        let before = block.newest(slot, &operation).older()?;
        let viewpoint = operation.viewpoint(self.command);
        let seen = before
            .image()
            .filter(|_| viewpoint.sees(|| before.stamp()))?;
        let columns = table.def.columns.iter();
        let values = columns.map(|column| seen.get(column.id).to_owned());
        let values = values.collect();
        self.registration.see_late(at);
        Some(values)
    }
}
