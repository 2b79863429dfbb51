//! Holding rows: to change them later, or so that nobody else changes them.
//!
//! - A *lock* is a version with the same values: to others a write, which they lose against, or which loses
//!   against theirs. It is not logged, and is no change to those who have read the row. A transaction that has
//!   done nothing but lock is rolled back at its commit.
//! - A *share* keeps others from nothing. It is a read that is validated at every level of isolation: who
//!   commits something that relies on the row fails if the row was changed meanwhile. So those who share a
//!   row do not meet.

use super::Transaction;
use super::reads::{Columns, Read, What};
use crate::block::Written;
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::RowId;
use crate::index::Key;
use crate::maintenance::{Write, WriteKind};
use crate::mvcc::Resolved;
use crate::value::ValueRef;
use std::sync::Arc;

impl Transaction {
    /// Keeps others from changing a row until this transaction ends; `false` where this transaction does not
    /// see it (any more). A row that it holds already is not locked again.
    ///
    /// # Errors
    /// `Conflict` where another transaction has changed or locked it since the snapshot; `OutOfMemory`.
    pub fn lock(&mut self, table: &Arc<TableEntry>, row: RowId) -> Result<bool> {
        if let Some(is_there) = self.holds(table, row) {
            return Ok(is_there);
        }
        let number = self.enter(table, false, || 0)?;
        let written = {
            let operation = self.registration.enter();
            let viewpoint = operation.viewpoint(self.command);
            table.rows.update(row, &viewpoint, self.marker(), &[])?
        };
        match written {
            Written::Done => {
                let kind = WriteKind::Lock;
                let table = number;
                self.set.push(Write { row, table, kind });
                Ok(true)
            }
            Written::Skipped => Ok(false),
            Written::Conflict(rival, has_committed) => {
                self.note_row(table, row, Columns::ALL);
                Err(self.conflict(table, row, (rival, has_committed)))
            }
        }
    }

    /// Whether the row is there, if its newest state is this transaction's.
    fn holds(&self, table: &TableEntry, row: RowId) -> Option<bool> {
        let operation = self.registration.enter();
        let viewpoint = operation.viewpoint(self.command);
        let (block, slot) = table.rows.place(row, &operation)?;
        let newest = block.newest(slot, &operation);
        let resolved = viewpoint.resolve(|| newest.stamp());
        matches!(resolved, Resolved::Own(_)).then(|| newest.image().is_some())
    }

    /// Relies on these columns of a row that it sees: if it writes anything, its commit fails where another
    /// transaction has deleted the row, or changed one of them, since its snapshot. At every level.
    pub fn share(&self, table: &TableEntry, row: RowId, columns: Columns) {
        self.record(Read::row(table.def.id, row, columns));
    }

    /// Relies on which rows have a key: if it writes anything, its commit fails where one has come to have
    /// the key, or has it no more, since its snapshot. At every level.
    pub fn share_key(&self, table: &TableEntry, index: &IndexEntry, key: &[ValueRef<'_>]) {
        if key.iter().any(|value| value.is_null()) {
            return;
        }
        let mut bytes = Key::new();
        index.encode(&mut bytes, key);
        self.record(Read {
            table: table.def.id,
            columns: Columns::NONE,
            what: What::Key(index.def.id, Box::from(&*bytes)),
        });
    }
}
