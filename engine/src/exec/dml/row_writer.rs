//! Row writer: performs all changes that a statement makes to the rows of one table, of one kind.
//!
//! ```text
//!   BEFORE statement > for each row: BEFORE row > generated columns > checks > write > tracked > RETURNING > .. > finish
//!   [begin]              [before_triggers]         [insert, update]             [tracked_changes]             [actions]
//! ```
//!
//! 1. A writer is made when the statement starts. It fires the triggers BEFORE the statement, and finds out whether
//!    anything is to be done beside the writes: foreign keys, deferrable unique keys and triggers of this change. Of most
//!    tables there is nothing, and then a write is one call of storage.
//! 2. Else the writer has [`TrackedChanges`], which remember the keys and rows that matter at the end of the statement.
//! 3. Triggers BEFORE a row may set any of its columns or skip it. What follows from its values comes after them, so
//!    rows of such a table are written one by one ([`RowWriter::fires_before_rows`]); all other statements compute and test
//!    their rows when they find them, whole batches where there are batches.
//! 4. [`RowWriter::finish`] does what follows from the changes: actions of foreign keys, checks, triggers AFTER.
//!
//! An error anywhere leaves changes behind: the caller rolls back to the mark before the statement.

use super::before_triggers::{before_delete, before_insert};
use crate::activity::relieved;
use crate::error::{Error, Result, state};
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::eval::{Datum, with_refs};
use crate::exec::referential::{TrackedChanges, follow, has_expired, is_past};
use crate::exec::trigger::{Firing, begin};
use remora_storage::catalog::{IndexEntry, TableEntry, TriggerEvent};
use remora_storage::{ColumnId, RowId, ValueRef};
use std::convert::Infallible;
use std::sync::Arc;

/// Writes rows of a table by inserting, updating or deleting them.
#[derive(Debug)]
pub(in crate::exec) struct RowWriter<'t> {
    table: &'t Arc<TableEntry>,
    /// Changes that keys and triggers depend on; `None` where nothing does.
    tracked: Option<Box<TrackedChanges>>,
}

impl<'t> RowWriter<'t> {
    /// Returns a writer of a change that nothing depends on.
    pub(super) fn plain(table: &'t Arc<TableEntry>) -> Self {
        Self {
            table,
            tracked: None,
        }
    }

    /// Begins a statement that changes rows of a table; fires the triggers BEFORE it. `columns` are those that an UPDATE
    /// sets.
    #[inline]
    pub(super) fn begin(
        table: &'t Arc<TableEntry>,
        event: TriggerEvent,
        columns: impl IntoIterator<Item = ColumnId>,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<Self> {
        if !TrackedChanges::may_exist(table) {
            return Ok(Self::plain(table));
        }
        let columns: Vec<ColumnId> = columns.into_iter().collect();
        let firing = begin(table, event, &columns, true, tx, context)?;
        Self::with_triggers(table, (event, &columns), firing, tx)
    }

    /// Returns a writer that fires these triggers; those BEFORE the statement have been fired.
    pub(in crate::exec) fn with_triggers(
        table: &'t Arc<TableEntry>,
        change: (TriggerEvent, &[ColumnId]),
        firing: Option<Box<Firing>>,
        tx: &Transaction,
    ) -> Result<Self> {
        let tracked = TrackedChanges::new(table, change, firing, tx.catalog())?;
        Ok(Self { table, tracked })
    }

    /// The triggers that fire before each row, if there are any.
    #[inline]
    pub(super) fn before_rows(&self) -> Option<&Firing> {
        self.tracked.as_ref()?.before_rows()
    }

    /// Whether triggers fire before each row.
    #[inline]
    pub(in crate::exec) fn fires_before_rows(&self) -> bool {
        self.before_rows().is_some()
    }

    /// Fires the triggers BEFORE the insertion of a row, which may change it; returns `false` where the row is skipped.
    #[inline]
    pub(super) fn before_insert(
        &self,
        row: &mut [Datum<'_>],
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<bool> {
        match self.before_rows() {
            None => Ok(true),
            Some(firing) => before_insert(firing, row, tx, context),
        }
    }

    /// Inserts a row.
    ///
    /// # Errors
    /// 23505, 40001, 53200, 23503
    #[inline]
    pub(super) fn insert(
        &mut self,
        tx: &mut Transaction,
        row: &[ValueRef<'_>],
        context: &ExecContext,
    ) -> Result<()> {
        let id = match &self.table.def.expiry {
            None => relieved(&context.ledger, || tx.insert(self.table, row))?,
            Some(_) => self.insert_expiring(tx, row, context)?,
        };
        match &mut self.tracked {
            None => Ok(()),
            Some(tracked) => tracked.inserted(self.table, tx, (id, row), context),
        }
    }

    /// Inserts a row into a table whose rows expire.
    #[inline(never)]
    fn insert_expiring(
        &self,
        tx: &mut Transaction,
        row: &[ValueRef<'_>],
        context: &ExecContext,
    ) -> Result<RowId> {
        relieved(&context.ledger, || tx.insert(self.table, row)).or_else(|error| {
            self.make_way(error, row, tx, context)?;
            relieved(&context.ledger, || tx.insert(self.table, row))
        })
    }

    /// Sets columns of a row of a table whose rows expire.
    #[inline(never)]
    fn update_expiring(
        &mut self,
        tx: &mut Transaction,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
        context: &ExecContext,
    ) -> Result<bool> {
        let updated = self.try_update(tx, row, changes, context);
        updated.or_else(|error| {
            let Some(new) = changed_row(self.table, row, changes, tx) else {
                return Err(error);
            };
            with_refs(&new, |new| self.make_way(error, new, tx, context))?;
            self.try_update(tx, row, changes, context)
        })
    }

    /// Deletes rows that have expired and have a key of a row that is to be written; `refused` is why it could not be.
    ///
    /// # Errors
    /// `refused`, if there are none; those of what foreign keys say of deletions.
    #[cold]
    fn make_way(
        &self,
        refused: Error,
        row: &[ValueRef<'_>],
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<()> {
        let is_key = refused.sqlstate() == state::UNIQUE_VIOLATION;
        match is_key && delete_expired(self.table, &self.table.indexes, row, tx, context)? {
            true => Ok(()),
            false => Err(refused),
        }
    }

    /// Sets columns of a row; returns `false` where the command had changed the row already.
    #[inline]
    pub(super) fn update(
        &mut self,
        tx: &mut Transaction,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
        context: &ExecContext,
    ) -> Result<bool> {
        match &self.table.def.expiry {
            None => self.try_update(tx, row, changes, context),
            Some(_) => self.update_expiring(tx, row, changes, context),
        }
    }

    #[inline]
    fn try_update(
        &mut self,
        tx: &mut Transaction,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
        context: &ExecContext,
    ) -> Result<bool> {
        match &mut self.tracked {
            None => relieved(&context.ledger, || tx.update(self.table, row, changes)),
            Some(tracked) => tracked.update(self.table, tx, row, changes, context),
        }
    }

    /// Fires the triggers BEFORE the deletion of a row and deletes it; returns `false` where the row is skipped, or the
    /// command had deleted it already.
    ///
    /// # Errors
    /// 40001, 27000, and those of the triggers.
    #[inline]
    pub(in crate::exec) fn delete(
        &mut self,
        tx: &mut Transaction,
        row: RowId,
        context: &ExecContext,
    ) -> Result<bool> {
        let Some(tracked) = &mut self.tracked else {
            return relieved(&context.ledger, || tx.delete(self.table, row));
        };
        if let Some(firing) = tracked.before_rows()
            && !before_delete(firing, self.table, row, tx, context)?
        {
            return Ok(false);
        }
        tracked.delete(self.table, tx, row, context)
    }

    /// The changes that keys and triggers depend on.
    pub(in crate::exec) fn into_tracked(self) -> Option<Box<TrackedChanges>> {
        self.tracked
    }

    /// Ends the statement: performs the actions of foreign keys, checks keys and fires the triggers AFTER it.
    ///
    /// # Errors
    /// 23503, and those of the actions and triggers.
    #[inline]
    pub(super) fn finish(self, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
        match self.tracked {
            None => Ok(()),
            Some(_) => finish_all([self], tx, context),
        }
    }
}

/// A row as it will be when these columns are set; `None` where the command has changed it already.
fn changed_row<'v>(
    table: &TableEntry,
    row: RowId,
    changes: &[(ColumnId, ValueRef<'v>)],
    tx: &Transaction,
) -> Option<Vec<Datum<'v>>> {
    let columns = table.def.columns.iter();
    let set = |column: ColumnId| changes.iter().find(|(id, _)| *id == column);
    tx.row_to_change(table, row, |old| {
        let new = columns.map(|column| match set(column.id) {
            Some((_, value)) => Datum::Borrowed(*value),
            None => Datum::Owned(old.get(column.id).to_owned()),
        });
        new.collect()
    })
}

/// Deletes rows that have expired and have a key of a row that is to be written, by some indexes of the table; returns
/// whether there were any. What follows is that of [`sweep`].
///
/// # Errors
/// 40001, and those of the actions of foreign keys.
pub(super) fn delete_expired(
    table: &Arc<TableEntry>,
    indexes: &[Arc<IndexEntry>],
    row: &[ValueRef<'_>],
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<bool> {
    let mut found = false;
    for index in indexes.iter().filter(|index| index.def.unique) {
        if let Some(holder) = tx.key_holder(table, index, row)? {
            found |= sweep(table, &[holder.row], tx, context)? > 0;
        }
    }
    Ok(found)
}

/// Deletes all rows of a table that have expired, for whom every row counts.
///
/// # Errors
/// As for [`sweep`].
pub(in crate::exec) fn sweep_all(
    table: &Arc<TableEntry>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let Some(expiry) = table.def.expiry.as_deref() else {
        return Ok(());
    };
    for block in table.rows.blocks() {
        context.check()?;
        let mut expired = Vec::new();
        let Ok(()) = tx
            .view()
            .unrecorded()
            .for_each_row_of(table, block, |row, values| {
                if is_past(expiry, values, context) {
                    expired.push(row);
                }
                Ok::<(), Infallible>(())
            });
        sweep(table, &expired, tx, context)?;
    }
    Ok(())
}

/// Deletes those of the rows that have expired, and does with what refers to them as foreign keys say; triggers of the table
/// fire only where it says so. Returns how many there were.
///
/// # Errors
/// 40001, and those of the actions of foreign keys; the caller rolls back.
pub(crate) fn sweep(
    table: &Arc<TableEntry>,
    rows: &[RowId],
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<u64> {
    let change = (TriggerEvent::Delete, &[] as &[ColumnId]);
    let expiry = table.def.expiry.as_ref();
    let firing = match expiry.is_some_and(|expiry| expiry.triggers) {
        true => begin(table, TriggerEvent::Delete, &[], true, tx, context)?,
        false => None,
    };
    let mut writer = RowWriter::with_triggers(table, change, firing, tx)?;
    let mut swept = 0;
    for row in rows {
        if has_expired(table, *row, tx, context) && writer.delete(tx, *row, context)? {
            swept += 1;
        }
    }
    writer.finish(tx, context)?;
    Ok(swept)
}

/// Ends a statement that has changed rows in several ways: at once, or where it has parts, at the end of all parts.
pub(super) fn finish_all<'t>(
    writers: impl IntoIterator<Item = RowWriter<'t>>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let tracked = writers.into_iter().filter_map(|writer| writer.tracked);
    let tracked: Vec<TrackedChanges> = tracked.map(|tracked| *tracked).collect();
    if tracked.is_empty() {
        return Ok(());
    }
    match &context.with {
        None => follow(tracked, tx, context),
        Some(parts) => {
            parts.note(tracked);
            Ok(())
        }
    }
}
