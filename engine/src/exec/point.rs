//! The point path: one row by a full unique key, or a few by another, from scalars to scalars.
//!
//! The key's values are evaluated on the stack, the index gives the row, and expressions read
//! the row where it lies: no batch, no thread hop, no allocation but for strings that the caller
//! gets to own, and those reuse the strings of the caller's last row.

use super::ExecContext;
use super::eval::{Datum, Row, eval_scalar, is_true, with_refs, with_values};
use super::scan::lock_rows::hold;
use crate::error::Result;
use crate::exec::Transaction;
use crate::plan::lock::RowLock;
use crate::plan::statement::{Lookup, PointSelect};
use remora_storage::catalog::TableDef;
use remora_storage::transaction::RowRef;
use remora_storage::{RowId, Value, ValueRef};

/// A row of a table, read by position of column.
#[derive(Debug)]
pub(super) struct TableRow<'a> {
    def: &'a TableDef,
    row: &'a RowRef<'a>,
}

impl<'a> TableRow<'a> {
    fn new(lookup: &'a Lookup, row: &'a RowRef<'a>) -> Self {
        Self::of(&lookup.table.def, row)
    }

    /// A row of a table.
    pub(super) fn of(def: &'a TableDef, row: &'a RowRef<'a>) -> Self {
        Self { def, row }
    }
}

impl Row for TableRow<'_> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        self.row.get(self.def.columns[position].id)
    }
}

/// Calls `read` with the row that the look-up finds; `None` if there is none, or its filter is not
/// true. The caller changes or locks the row at once.
pub(super) fn find_to_change<T>(
    lookup: &Lookup,
    tx: &Transaction,
    context: &ExecContext,
    read: impl FnOnce(RowId, &TableRow<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let table = &lookup.table;
    let read = |id: RowId, row: &RowRef<'_>| {
        let row = TableRow::new(lookup, row);
        match passes(lookup, &row, context)? {
            true => read(id, &row).map(Some),
            false => Ok(None),
        }
    };
    with_values(&lookup.key, context, |key| {
        with_refs(key, |key| {
            tx.find_to_change(table, &lookup.index, key, read)
        })
    })
}

/// Calls `read` with the row that the look-up finds, if its filter is true; returns whether that is so.
fn find(
    lookup: &Lookup,
    tx: &Transaction,
    context: &ExecContext,
    read: impl FnOnce(&TableRow<'_>) -> Result<()>,
) -> Result<bool> {
    let (table, index) = (&lookup.table, &lookup.index);
    let read = |_: RowId, row: &RowRef<'_>| {
        let row = TableRow::new(lookup, row);
        match passes(lookup, &row, context)? {
            true => read(&row).map(|()| true),
            false => Ok(false),
        }
    };
    with_values(&lookup.key, context, |key| {
        let found = with_refs(key, |key| tx.find(table, index, key, lookup.columns, read));
        found.unwrap_or(Ok(false))
    })
}

/// Calls `read` with the rows that the look-up finds; `false` where they are too many.
fn find_few(
    lookup: &Lookup,
    tx: &Transaction,
    context: &ExecContext,
    mut read: impl FnMut(&TableRow<'_>) -> Result<()>,
) -> Result<bool> {
    let (table, index) = (&lookup.table, &lookup.index);
    let read = |_: RowId, row: &RowRef<'_>| {
        let row = TableRow::new(lookup, row);
        match passes(lookup, &row, context)? {
            true => read(&row),
            false => Ok(()),
        }
    };
    with_values(&lookup.key, context, |key| {
        let columns = lookup.columns;
        with_refs(key, |key| {
            tx.find_few(table, index, key, columns, FEW_ROWS, read)
        })
    })
}

/// Whether the look-up's filter is true of the row.
fn passes(lookup: &Lookup, row: &TableRow<'_>, context: &ExecContext) -> Result<bool> {
    match &lookup.filter {
        Some(filter) => Ok(is_true(&eval_scalar(filter, row, context)?)),
        None => Ok(true),
    }
}

/// Rows of one key, where it is not unique, that the point path gives: each is a list of its own.
const FEW_ROWS: usize = 8;

/// What the point path's SELECT found.
#[derive(Debug)]
pub(crate) enum PointRows {
    /// No row, or one in the caller's place.
    One(bool),
    /// A few.
    Few(Vec<Vec<Value>>),
    /// More than the point path gives: the statement's other plan is to be run.
    Many,
}

/// Runs the point path's SELECT; a lone row's values are left in `row`.
///
/// # Errors
/// Those of the statement's functions.
pub(crate) fn point_select(
    plan: &PointSelect,
    tx: &Transaction,
    context: &ExecContext,
    row: &mut Vec<Value>,
) -> Result<PointRows> {
    context.check()?;
    row.resize(plan.exprs.len(), Value::Null);
    if plan.otherwise.is_some() {
        return select_few(plan, tx, context, row);
    }
    let found = find(&plan.lookup, tx, context, |stored| {
        show(plan, stored, context, row)
    })?;
    Ok(PointRows::One(found))
}

/// Runs the point path's SELECT that locks its row, whose values are left in `row`; whether there is one.
///
/// # Errors
/// 40001, 55P03, and those of the statement's functions.
pub(crate) fn lock_point(
    plan: &PointSelect,
    lock: &RowLock,
    tx: &mut Transaction,
    context: &ExecContext,
    row: &mut Vec<Value>,
) -> Result<bool> {
    context.check()?;
    row.resize(plan.exprs.len(), Value::Null);
    let found = find_to_change(&plan.lookup, tx, context, |id, stored| {
        show(plan, stored, context, row).map(|()| id)
    })?;
    match found {
        Some(id) => hold(tx, lock, id),
        None => Ok(false),
    }
}

fn select_few(
    plan: &PointSelect,
    tx: &Transaction,
    context: &ExecContext,
    first: &mut Vec<Value>,
) -> Result<PointRows> {
    let mut found = 0;
    let mut more = Vec::new();
    let all = find_few(&plan.lookup, tx, context, |stored| {
        found += 1;
        if found == 1 {
            return show(plan, stored, context, first);
        }
        let mut row = vec![Value::Null; plan.exprs.len()];
        show(plan, stored, context, &mut row)?;
        more.push(row);
        Ok(())
    })?;
    if !all {
        return Ok(PointRows::Many);
    }
    if more.is_empty() {
        return Ok(PointRows::One(found == 1));
    }
    more.insert(0, std::mem::take(first));
    Ok(PointRows::Few(more))
}

/// Evaluates what is shown of a row.
fn show(
    plan: &PointSelect,
    stored: &TableRow<'_>,
    context: &ExecContext,
    row: &mut [Value],
) -> Result<()> {
    for (slot, expr) in row.iter_mut().zip(&plan.exprs) {
        match eval_scalar(expr, stored, context)? {
            Datum::Borrowed(value) => slot.assign(value),
            computed => *slot = computed.into_value(),
        }
    }
    Ok(())
}
