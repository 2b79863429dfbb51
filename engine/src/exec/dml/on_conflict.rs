//! ON CONFLICT: a row whose key is there already changes the row that has it, or is left out.
//!
//! 1. Before a row is inserted, the row that has its key is looked for, by each of the unique indexes that the
//!    clause is about, in the latest state, as the unique check does.
//! 2. Where there is none the row is inserted. A rival who has come between is met by the insertion, which
//!    fails with 40001; nobody's key comes twice.
//! 3. Where there is one that this transaction sees, `DO UPDATE` changes it, and `DO NOTHING` relies on it: a
//!    commit that has read it fails where it is there no more.
//! 4. Where a rival has it who has not committed, or has since the snapshot, that is a conflict like any
//!    other: 40001. A statement of its own is run again, and then sees what the rival has left.
//! 5. A row that this statement has written itself is left out by `DO NOTHING`; to `DO UPDATE` it is 21000,
//!    since which of the two came first would decide what becomes of it.

use super::correlated::evaluate;
use super::returning::Returned;
use super::row_writer::{RowWriter, delete_expired};
use super::update::{self, RowUpdate};
use crate::error::{Error, Result};
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::eval::{Row, eval_scalar, is_true};
use crate::exec::point::TableRow;
use crate::exec::referential::row_now;
use crate::plan::statement::{Asked, DoUpdate, OnConflict};
use hashbrown::HashSet;
use remora_storage::catalog::{IndexEntry, TableEntry};
use remora_storage::transaction::KeyHolder;
use remora_storage::{RowId, Value, ValueRef};
use std::sync::Arc;

/// The ON CONFLICT clause of an INSERT that runs.
#[derive(Debug)]
pub(super) struct Upsert<'p> {
    table: &'p Arc<TableEntry>,
    plan: &'p OnConflict,
    update: Option<(&'p DoUpdate, RowWriter<'p>, RowUpdate<'p>)>,
    /// Rows that the statement has written, where triggers begin commands in between.
    written: Option<HashSet<RowId>>,
}

/// The row that is there, and behind it the one that was to be inserted.
struct Both<'a, R: ?Sized> {
    old: &'a R,
    excluded: &'a [ValueRef<'a>],
}

impl<R: Row + ?Sized> Row for Both<'_, R> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        let columns = self.excluded.len();
        match position < columns {
            true => self.old.value(position),
            false => self.excluded[position - columns],
        }
    }
}

impl<'p> Upsert<'p> {
    /// Begins the clause; fires the triggers BEFORE an UPDATE.
    pub(super) fn new(
        table: &'p Arc<TableEntry>,
        plan: &'p OnConflict,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<Self> {
        let update = match &plan.update {
            None => None,
            Some(update) => {
                let (writer, rows) = update::begin(&update.update, tx, context)?;
                Some((update, writer, rows))
            }
        };
        let fires = !table.def.triggers.is_empty();
        Ok(Self {
            table,
            plan,
            update,
            written: fires.then(HashSet::new),
        })
    }

    /// The writer of DO UPDATE.
    pub(super) fn into_writer(self) -> Option<RowWriter<'p>> {
        self.update.map(|(_, writer, _)| writer)
    }

    /// Remembers a row that was inserted.
    pub(super) fn inserted(&mut self, tx: &Transaction, row: &[ValueRef<'_>]) -> Result<()> {
        if self.written.is_some()
            && let Some((_, holder)) = self.holder(tx, row)?
        {
            self.written.get_or_insert_default().insert(holder.row);
        }
        Ok(())
    }

    /// The row that has a key of the row to be inserted, and by which index.
    fn holder(
        &self,
        tx: &Transaction,
        values: &[ValueRef<'_>],
    ) -> Result<Option<(&'p IndexEntry, KeyHolder)>> {
        for index in &self.plan.arbiters {
            if let Some(holder) = tx.key_holder(self.table, index, values)? {
                return Ok(Some((index, holder)));
            }
        }
        Ok(None)
    }

    /// Does as the clause says where a row has a key of the row to be inserted; returns whether that row was updated.
    /// `None` where there is no such row.
    ///
    /// # Errors
    /// 21000, 40001, and those of an UPDATE.
    pub(super) fn resolve(
        &mut self,
        tx: &mut Transaction,
        excluded: &[ValueRef<'_>],
        returned: Option<&mut Returned<'_>>,
        context: &ExecContext,
    ) -> Result<Option<bool>> {
        if self.table.def.expiry.is_some() {
            delete_expired(self.table, &self.plan.arbiters, excluded, tx, context)?;
        }
        let Some((index, holder)) = self.holder(tx, excluded)? else {
            return Ok(None);
        };
        let row = holder.row;
        let mut written = self.written.iter();
        let is_own = holder.is_of_command || written.any(|written| written.contains(&row));
        let Some((plan, writer, rows)) = &mut self.update else {
            if !is_own {
                tx.note_holder(self.table, index, row, false);
            }
            return Ok(Some(false));
        };
        if is_own {
            return Err(twice());
        }
        let evaluated = match &plan.asked {
            Some(asked) => Some(answers(asked, plan, row, tx, excluded, context)?),
            None => None,
        };
        let context = evaluated.as_ref().unwrap_or(context);
        let mut returned = returned;
        let new = new_values(
            (plan, rows),
            row,
            tx,
            excluded,
            returned.as_deref_mut(),
            context,
        )?;
        let Some(new) = new else {
            tx.note_holder(self.table, index, row, true);
            return Ok(Some(false));
        };
        let by_row = rows.shows_written_rows();
        let mut shown = match &returned {
            Some(_) if by_row => vec![Value::Null; self.table.def.columns.len()],
            _ => Vec::new(),
        };
        if !rows.write(writer, (row, new), &mut shown, (tx, context))? {
            return match by_row {
                true => Ok(Some(false)),
                false => Err(twice()),
            };
        }
        if let (Some(returned), true) = (returned, by_row) {
            returned.row(shown.as_slice(), context)?;
        }
        if let Some(written) = &mut self.written {
            written.insert(row);
        }
        Ok(Some(true))
    }
}

/// The context with the values of the subqueries of DO UPDATE for a row.
fn answers(
    asked: &Asked,
    plan: &DoUpdate,
    row: RowId,
    tx: &Transaction,
    excluded: &[ValueRef<'_>],
    context: &ExecContext,
) -> Result<ExecContext> {
    let Some(old) = row_now(&plan.update.table, tx, row) else {
        return Err(twice());
    };
    let both = Both {
        old: old.as_slice(),
        excluded,
    };
    evaluate(asked, &both, &tx.view(), context)
}

/// The values that DO UPDATE sets in a row; `None` where its condition is not true.
fn new_values(
    (plan, rows): (&DoUpdate, &RowUpdate<'_>),
    row: RowId,
    tx: &Transaction,
    excluded: &[ValueRef<'_>],
    returned: Option<&mut Returned<'_>>,
    context: &ExecContext,
) -> Result<Option<Vec<Value>>> {
    let table = &plan.update.table;
    let read = tx.row_to_change(table, row, |old| {
        let old = &TableRow::of(&table.def, old);
        let both = Both { old, excluded };
        if let Some(filter) = &plan.filter
            && !is_true(&eval_scalar(filter, &both, context)?)
        {
            return Ok(None);
        }
        rows.values(&both, old, returned, context).map(Some)
    });
    // What this command has changed it does not see.
    read.unwrap_or_else(|| Err(twice()))
}

fn twice() -> Error {
    sql_error!(
        CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time"
    )
    .with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate \
         constrained values.",
    )
}
