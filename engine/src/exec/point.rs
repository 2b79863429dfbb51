//! The point path: one row by a full unique key, from scalars to scalars.
//!
//! The key's values are evaluated on the stack, the index gives the row, and expressions read
//! the row where it lies: no batch, no thread hop, no allocation but for strings that the caller
//! gets to own, and those reuse the strings of the caller's last row.

use super::ExecContext;
use super::eval::{Datum, Row, eval_scalar, is_true, with_refs, with_values};
use crate::error::Result;
use crate::plan::statement::{Lookup, PointSelect};
use remora_storage::catalog::TableDef;
use remora_storage::transaction::RowRef;
use remora_storage::{RowId, Transaction, Value, ValueRef};

/// A row of a table, read by position of column.
#[derive(Debug)]
pub(super) struct TableRow<'a> {
    def: &'a TableDef,
    row: &'a RowRef<'a>,
}

impl Row for TableRow<'_> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        self.row.get(self.def.columns[position].id)
    }
}

/// Calls `read` with the row that the look-up finds; `None` if there is none, or its filter is not
/// true.
pub(super) fn find<T>(
    lookup: &Lookup,
    tx: &Transaction,
    context: &ExecContext,
    read: impl FnOnce(RowId, &TableRow<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let table = &lookup.table;
    let read = |id: RowId, row: &RowRef<'_>| {
        let row = TableRow {
            def: &table.def,
            row,
        };
        if let Some(filter) = &lookup.filter
            && !is_true(&eval_scalar(filter, &row, context)?)
        {
            return Ok(None);
        }
        read(id, &row).map(Some)
    };
    with_values(&lookup.key, context, |key| {
        let found = with_refs(key, |key| tx.find(table, &lookup.index, key, read));
        found.unwrap_or(Ok(None))
    })
}

/// Runs the point path's SELECT; leaves the row's values in `row`, or returns `false`.
///
/// # Errors
/// Those of the statement's functions.
pub fn point_select(
    plan: &PointSelect,
    tx: &Transaction,
    context: &ExecContext,
    row: &mut Vec<Value>,
) -> Result<bool> {
    context.check()?;
    row.resize(plan.exprs.len(), Value::Null);
    let found = find(&plan.lookup, tx, context, |_, stored| {
        for (slot, expr) in row.iter_mut().zip(&plan.exprs) {
            assign(slot, eval_scalar(expr, stored, context)?);
        }
        Ok(())
    })?;
    Ok(found.is_some())
}

/// Puts a value in a slot, reusing the slot's string.
fn assign(slot: &mut Value, value: Datum<'_>) {
    match (slot, value) {
        (Value::Text(old), Datum::Borrowed(ValueRef::Text(new))) => {
            old.clear();
            old.push_str(new);
        }
        (Value::Bytea(old), Datum::Borrowed(ValueRef::Bytea(new))) => {
            old.clear();
            old.extend_from_slice(new);
        }
        (slot, value) => *slot = value.into_value(),
    }
}
