//! Changing rows.

use super::reads::Columns;
use super::{Mark, Transaction};
use crate::block::{RowRef, Written};
use crate::catalog::{Bound, IndexEntry, TableEntry};
use crate::error::{Conflict, Error, Result, Rule};
use crate::ids::{ColumnId, RowId, TransactionId};
use crate::index::Key;
use crate::mvcc::{Operation, Stamp};
use crate::pool::Claim;
use crate::sync::{Fault, is_left_out};
use crate::table::RowCount;
use crate::value::ValueRef;
use crate::wal::{TARGET_BYTES_MAX, row_bytes_max};
use crate::write_set::{Write, WriteKind};
use std::sync::Arc;

impl Transaction {
    pub(super) fn marker(&self) -> Stamp {
        self.registration.marker(self.command)
    }

    /// The number of a table in the write set; from its first write on the transaction is inside
    /// the table's gate. `logged` is how many bytes the write takes in a log at most. A write that
    /// `shrinks` the table finds room also where memory is full.
    pub(super) fn enter(
        &mut self,
        table: &Arc<TableEntry>,
        shrinks: bool,
        logged: impl FnOnce() -> usize,
    ) -> Result<u32> {
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        let ledger = self.core.ledger();
        if self.set.is_empty() && self.core.has_to_wait() {
            self.set
                .reserve_to_wait(ledger, Claim::of_change(shrinks))?;
        }
        self.set.reserve(ledger, shrinks)?;
        if self.core.log().is_some() {
            self.set.reserve_frame(ledger, logged(), shrinks)?;
        }
        let number = match self.set.find(table) {
            Some(number) => number,
            None => self.set.touch(table),
        };
        if self.set.touch_rows(number) && !table.rows.gate().pass(self.id()) {
            self.set.untouch_rows(number);
            return Err(Error::SchemaConflict {
                table: table.def.name.clone(),
            });
        }
        if self.options.sweeps == Some(table.def.id) {
            table.rows.begin_departures(self.id());
        }
        Ok(number)
    }

    /// Undoes the last write after it failed half-way.
    fn undo_last<T>(&mut self, failure: Error) -> Result<T> {
        let last = self.set.len() as u64 - 1;
        self.rollback_to(Mark(last));
        Err(failure)
    }

    /// Adds a row; `values` are of the columns' types, in the order of `table.def.columns`.
    pub fn insert(&mut self, table: &Arc<TableEntry>, values: &[ValueRef<'_>]) -> Result<RowId> {
        debug_assert_eq!(values.len(), table.def.columns.len(), "a value a column");
        let logged = || row_bytes_max(values.iter().copied());
        let number = self.enter(table, false, logged)?;
        let columns = table.def.columns.iter().zip(values);
        let columns = columns.map(|(column, value)| (column.id, value));
        // One for the row, its keys, and the look at late indexes.
        let mut operation = self.registration.enter();
        let mut inserted = table.rows.insert(columns.clone(), self.marker());
        if let Err(Error::OutOfMemory { wanted, .. }) = inserted {
            // Memory is not asked back within an operation.
            drop(operation);
            let is_relieved = self.core.relieve(wanted);
            operation = self.registration.enter();
            if is_relieved {
                inserted = table.rows.insert(columns, self.marker());
            }
        }
        let row = inserted?;
        self.set.push(Write {
            row,
            table: number,
            kind: WriteKind::Insert,
        });
        let rows = table.rows.count().map(RowCount::note_insert);
        let has_late = table.late.is_any();
        let added = self.add_new_keys(table, row, values);
        drop(operation);
        match added.and_then(|()| self.add_late_keys(table, row, has_late)) {
            Ok(()) => match rows {
                None => Ok(row),
                Some(rows) => self.insert_bounded(table, row, values, rows),
            },
            Err(failure) => self.undo_last(failure),
        }
    }

    /// Sees to the bounds of a table that has so many rows with a new one.
    #[inline(never)]
    fn insert_bounded(
        &mut self,
        table: &Arc<TableEntry>,
        row: RowId,
        values: &[ValueRef<'_>],
        rows: u64,
    ) -> Result<RowId> {
        match table.def.bound {
            Some(bound) if rows > bound.max_rows => {
                let full = self.full(table, bound);
                self.undo_last(full)
            }
            _ => self.cache_row(table, row, values).map(|()| row),
        }
    }

    /// The error of a table that has no room. To wait is in vain where all rows that it may have are this transaction's.
    fn full(&self, table: &TableEntry, bound: Bound) -> Error {
        let is_own = |write: &Write| {
            write.kind == WriteKind::Insert && self.set.entry(write).def.id == table.def.id
        };
        let own = self.set.iter().filter(is_own).count() as u64;
        Error::TableFull {
            table: table.def.name.clone(),
            id: table.def.id,
            max_rows: bound.max_rows,
            waits: bound.waits && own <= bound.max_rows,
        }
    }

    /// Changes columns of a row that the view shows. A row changed by another transaction since
    /// the snapshot is a conflict; one that this *command* has already changed or deleted gives
    /// `Ok(false)` and nothing happens.
    pub fn update(
        &mut self,
        table: &Arc<TableEntry>,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
    ) -> Result<bool> {
        let updated = self.try_update(table, row, changes);
        if !matches!(updated, Ok(true)) {
            // Its own change would have kept rivals from what it has seen of the row.
            self.note_row(table, row, Columns::ALL);
        }
        updated
    }

    fn try_update(
        &mut self,
        table: &Arc<TableEntry>,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
    ) -> Result<bool> {
        let logged = || row_bytes_max(changes.iter().map(|(_, value)| *value));
        let number = self.enter(table, false, logged)?;
        let (written, has_late) = {
            let operation = self.registration.enter();
            let viewpoint = operation.viewpoint(self.command);
            let rows = &table.rows;
            let written = rows.update(row, &viewpoint, self.marker(), changes)?;
            (written, table.late.is_any())
        };
        match written {
            Written::Skipped => return Ok(false),
            Written::Conflict(rival, has_committed) => {
                return self.update_departed(table, row, changes, (rival, has_committed));
            }
            Written::Done => {}
        }
        let columns = changes.iter().map(|(column, _)| *column);
        let columns = self.set.columns_number(columns);
        self.set.push(Write {
            row,
            table: number,
            kind: WriteKind::Update(columns),
        });
        let added = self
            .add_changed_keys(table, row, changes)
            .and_then(|()| self.add_late_keys(table, row, has_late));
        match added {
            Ok(()) if table.rows.cache().is_none() => Ok(true),
            Ok(()) => {
                let values = changes.iter().map(|(_, value)| *value);
                self.make_room(table, values).map(|()| true)
            }
            Err(failure) => self.undo_last(failure),
        }
    }

    /// Removes a row that the view shows; errors and `Ok(false)` as for [`Self::update`].
    pub fn delete(&mut self, table: &Arc<TableEntry>, row: RowId) -> Result<bool> {
        let deleted = self.try_delete(table, row);
        if !matches!(deleted, Ok(true)) {
            self.note_row(table, row, Columns::ALL);
        }
        deleted
    }

    fn try_delete(&mut self, table: &Arc<TableEntry>, row: RowId) -> Result<bool> {
        let number = self.enter(table, true, || 0)?;
        if self.core.log().is_some() {
            let bytes = self.set.delete_bytes(number, row, TARGET_BYTES_MAX);
            self.set.reserve_frame(self.core.ledger(), bytes, true)?;
        }
        let written = {
            let operation = self.registration.enter();
            let viewpoint = operation.viewpoint(self.command);
            table.rows.delete(row, &viewpoint, self.marker())?
        };
        match written {
            Written::Skipped => return Ok(false),
            Written::Conflict(rival, has_committed) => {
                return self.delete_departed(table, row, (rival, has_committed));
            }
            Written::Done => {}
        }
        self.set.push(Write {
            row,
            table: number,
            kind: WriteKind::Delete,
        });
        Ok(true)
    }

    pub(super) fn conflict(
        &self,
        table: &TableEntry,
        row: RowId,
        (rival, has_committed): (TransactionId, bool),
    ) -> Error {
        let operation = self.registration.enter();
        let viewpoint = operation.viewpoint(self.command);
        let seen = table.rows.visible(row, &viewpoint);
        Conflict {
            table: table.def.name.clone(),
            key: table.describe_row(row, seen.as_ref()),
            rule: Rule::Write,
            rival,
            has_committed,
        }
        .error()
    }

    /// Adds the entries of a new row. It needs no latch, except where its key is not the first of
    /// its kind ([`KeyLatches`](crate::index::KeyLatches)).
    fn add_new_keys(&self, table: &TableEntry, row: RowId, values: &[ValueRef<'_>]) -> Result<()> {
        for index in &table.indexes {
            let mut key = Key::new();
            let has_null = index.encode_new(&mut key, &table.def, values);
            if index.leaves_out(&key) {
                continue;
            }
            if !index.def.unique || has_null {
                index.index.insert(&key, row)?;
            } else if !index.index.insert_new(&key, row)? {
                let _latch = index.latch(&key);
                self.add_unique(table, index, &key, row)?;
            }
            index.note_added(&key, row);
        }
        Ok(())
    }

    /// Adds the entries that the newest state of a row needs in those indexes whose key `changes`
    /// changed.
    fn add_changed_keys(
        &self,
        table: &TableEntry,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
    ) -> Result<()> {
        let concerned = |index: &&Arc<IndexEntry>| {
            let mut columns = changes.iter().map(|(column, _)| *column);
            columns.any(|column| index.covers(column))
        };
        let mut indexes = table.indexes.iter().filter(concerned).peekable();
        if indexes.peek().is_none() {
            return Ok(());
        }
        let operation = self.registration.enter();
        let (new, old) = newest_two(&operation, table, row);
        for index in indexes {
            if old.as_ref().is_some_and(|old| index.is_same_key(old, &new)) {
                continue;
            }
            let mut key = Key::new();
            let has_null = index.encode_row(&mut key, &new);
            if index.leaves_out(&key) {
                continue;
            }
            let _latch = index.latch(&key);
            if index.def.unique && !has_null {
                self.add_unique(table, index, &key, row)?;
            } else {
                index.index.insert(&key, row)?;
            }
            index.note_added(&key, row);
        }
        Ok(())
    }

    /// Adds the entries that the newest state of a row needs in indexes that this transaction does not
    /// have in its catalog, if there were any when the state was chained.
    #[inline]
    fn add_late_keys(&self, table: &TableEntry, row: RowId, has_late: bool) -> Result<()> {
        match has_late {
            true => self.add_keys_to(&table.late.beside(&table.indexes), table, row),
            false => Ok(()),
        }
    }

    #[cold]
    fn add_keys_to(&self, late: &[Arc<IndexEntry>], table: &TableEntry, row: RowId) -> Result<()> {
        let operation = self.registration.enter();
        let (new, old) = newest_two(&operation, table, row);
        for index in late {
            if self.has_dropped(index.def.id) {
                continue;
            }
            // The key of the state before was gathered, or added by who made that.
            if old.as_ref().is_some_and(|old| index.is_same_key(old, &new)) {
                continue;
            }
            let mut key = Key::new();
            let has_null = index.encode_row(&mut key, &new);
            if index.leaves_out(&key) || index.note(&key, row, has_null) {
                continue;
            }
            let _latch = index.latch(&key);
            if has_null || !index.def.is_unique() {
                index.index.insert(&key, row)?;
                index.note_added(&key, row);
                continue;
            }
            let added = self.add_unique(table, index, &key, row);
            added.map_err(|error| match error {
                // What it violates may be taken back yet, and is not in its catalog.
                Error::UniqueViolation { table, .. } => Error::SchemaConflict { table },
                other => other,
            })?;
            index.note_added(&key, row);
        }
        Ok(())
    }

    /// Adds an entry to a unique index, unless another row has the key, or may come to have it. The
    /// caller holds the key's latch.
    fn add_unique(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        key: &[u8],
        row: RowId,
    ) -> Result<()> {
        if !is_left_out(Fault::KeyNotAddedAtOnce) && index.index.insert_new(key, row)? {
            return Ok(());
        }
        self.check_unique(table, index, key, row)?;
        index.index.insert(key, row)
    }
}

/// The state that the owner of the operation just made, and the one before it.
fn newest_two<'a>(
    operation: &'a Operation<'a>,
    table: &'a TableEntry,
    id: RowId,
) -> (RowRef<'a>, Option<RowRef<'a>>) {
    let place = table.rows.place(id, operation);
    let (block, slot) = place.expect("the row was just written");
    let mut chain = block.chain(slot, operation);
    let newest = chain.next().and_then(|link| link.image());
    let newest = newest.expect("the row was just written");
    (newest, chain.next().and_then(|link| link.image()))
}
