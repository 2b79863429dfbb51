//! Triggers BEFORE rows: fired for a row before it is written, as a whole row.
//!
//! A trigger may set any column. So all generated columns are computed, and all constraints are tested, after the triggers
//! and not before. A row that a trigger has itself changed or deleted is no longer what the statement has seen: that
//! is 27000.

use crate::error::{Error, Result, state};
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::eval::{Datum, eval_scalar};
use crate::exec::referential::row_now;
use crate::exec::trigger::Firing;
use crate::plan::{Expr, Schema};
use remora_storage::catalog::TableEntry;
use remora_storage::value::value_at;
use remora_storage::{ColumnId, RowId, Value};

/// Fires the triggers BEFORE the insertion of a row, which may change it; returns `false` where the row is skipped.
#[cold]
pub(super) fn before_insert(
    firing: &Firing,
    row: &mut [Datum<'_>],
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<bool> {
    let mut new: Vec<Value> = row.iter().map(|value| value.as_ref().to_owned()).collect();
    if !firing.before_row(None, Some(&mut new), tx, context)? {
        return Ok(false);
    }
    for (slot, value) in row.iter_mut().zip(new) {
        *slot = Datum::Owned(value);
    }
    Ok(true)
}

/// Fires the triggers BEFORE the update of a row; returns the row before it, and as it is to be but for generated columns.
/// `None` where the row is skipped.
///
/// # Errors
/// 27000, and those of the triggers.
pub(super) fn before_update(
    firing: Option<&Firing>,
    table: &TableEntry,
    (row, assigned): (RowId, &[(ColumnId, Value)]),
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Option<(Vec<Value>, Vec<Value>)>> {
    let Some(old) = row_now(table, tx, row) else {
        return Err(changed_by_trigger("updated"));
    };
    let mut new = old.clone();
    for (column, value) in assigned {
        if let Some(slot) = table.def.position(*column).and_then(|at| new.get_mut(at)) {
            slot.clone_from(value);
        }
    }
    if let Some(firing) = firing {
        if !firing.before_row(Some(&old), Some(&mut new), tx, context)? {
            return Ok(None);
        }
        if !is_still(&old, table, tx, row) {
            return Err(changed_by_trigger("updated"));
        }
    }
    Ok(Some((old, new)))
}

/// Fires the triggers BEFORE the deletion of a row; returns `false` where the row is skipped.
///
/// # Errors
/// 27000, and those of the triggers.
#[cold]
pub(super) fn before_delete(
    firing: &Firing,
    table: &TableEntry,
    row: RowId,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<bool> {
    let Some(old) = row_now(table, tx, row) else {
        return Err(changed_by_trigger("deleted"));
    };
    if !firing.before_row(Some(&old), None, tx, context)? {
        return Ok(false);
    }
    match is_still(&old, table, tx, row) {
        true => Ok(true),
        false => Err(changed_by_trigger("deleted")),
    }
}

/// Computes generated columns of a row.
pub(super) fn compute(
    generated: &[(usize, Expr)],
    row: &mut [Value],
    context: &ExecContext,
) -> Result<()> {
    for (position, expr) in generated {
        row[*position] = eval_scalar(expr, &*row, context)?.into_value();
    }
    Ok(())
}

/// Whether a row is still as it was before its triggers fired.
fn is_still(old: &[Value], table: &TableEntry, tx: &Transaction, row: RowId) -> bool {
    let is_same = |(now, old): (&Value, &Value)| now.as_ref().is_identical(old.as_ref());
    row_now(table, tx, row).is_some_and(|now| now.iter().zip(old).all(is_same))
}

fn changed_by_trigger(what: &str) -> Error {
    let message = format!(
        "tuple to be {what} was already modified by an operation triggered by the current command"
    );
    Error::new(state::TRIGGERED_DATA_CHANGE_VIOLATION, message).with_hint(
        "Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.",
    )
}

/// Returns the values of a row of a batch.
pub(super) fn row_of(batch: &Batch, schema: &Schema, row: usize) -> Vec<Value> {
    let columns = batch.columns.iter().zip(schema);
    columns
        .map(|(array, field)| value_at(array, field.data_type, row).to_owned())
        .collect()
}
