//! Rows that triggers are asked about before they are written: one by one, as whole rows.
//!
//! A trigger may set any column. So of an UPDATE all columns count as assigned: all that are computed are computed
//! anew, and all constraints are tested, after the triggers and not before.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::eval::{Datum, eval_scalar};
use super::super::trigger::Firing;
use super::Constraints;
use super::returning::Returned;
use crate::error::{Error, Result, state};
use crate::exec::planner::TableRules;
use crate::exec::referential::{Writer, row_now};
use crate::plan::statement::{Insert, Target, Update};
use crate::plan::{Expr, Schema};
use remora_storage::catalog::TableEntry;
use remora_storage::value::value_at;
use remora_storage::{ColumnId, RowId, Transaction, Value, ValueRef};
use std::sync::Arc;

/// An UPDATE whose rows triggers are asked about.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The columns that the statement sets.
    assigned: Vec<ColumnId>,
    /// The UPDATE as if it set all columns.
    plan: Update,
    rules: Arc<TableRules>,
}

/// The writer of an UPDATE, for all columns if triggers are to be asked, and then what they need.
pub(crate) fn guarded<'p>(
    writer: Writer<'p>,
    plan: &'p Update,
    tx: &Transaction,
    context: &ExecContext,
) -> Result<(Writer<'p>, Option<Whole>)> {
    if !writer.is_guarded() {
        return Ok((writer, None));
    }
    let whole = Whole::new(plan, tx, context)?;
    let columns = plan.table.def.columns.iter().map(|column| column.id);
    let all = Writer::of_update(&plan.table, columns, tx)?;
    let firing = writer.into_firing();
    Ok((all.firing(firing), Some(whole)))
}

impl Whole {
    pub(crate) fn new(plan: &Update, tx: &Transaction, context: &ExecContext) -> Result<Self> {
        let table = &plan.table;
        let rules = context.planner.table_rules(table, None, tx.catalog())?;
        let columns = table.def.columns.iter();
        let all = columns.map(|column| (column.id, Expr::literal(Value::Null, column.data_type)));
        let mut checks = rules.checks.clone();
        checks.extend(plan.checks.iter().filter(|check| check.of_view).cloned());
        Ok(Self {
            assigned: plan.assignments.iter().map(|(column, _)| *column).collect(),
            plan: Update {
                table: Arc::clone(table),
                target: Target::nothing(),
                assignments: all.collect(),
                generated: Vec::new(),
                checks,
                returning: None,
            },
            rules,
        })
    }

    /// Asks the triggers and changes a row: `values` are those of the columns that the statement sets. `given` is
    /// what is shown of, the row as it was in front. `false` where the row is skipped.
    ///
    /// # Errors
    /// 27000, and those of the triggers and constraints.
    pub(crate) fn update(
        &self,
        writer: &mut Writer<'_>,
        row: RowId,
        values: Vec<Value>,
        shown: Option<(&mut Returned<'_>, &mut [Value])>,
        (tx, context): (&mut Transaction, &ExecContext),
    ) -> Result<bool> {
        let table = &self.plan.table;
        let Some(old) = row_now(table, tx, row) else {
            return Err(changed_by_trigger("updated"));
        };
        let mut new = old.clone();
        for (column, value) in self.assigned.iter().zip(values) {
            if let Some(slot) = table.def.position(*column).and_then(|at| new.get_mut(at)) {
                *slot = value;
            }
        }
        if let Some(guard) = writer.guard() {
            if !guard.before_row(Some(&old), Some(&mut new), tx, context)? {
                return Ok(false);
            }
            if !is_still(&old, table, tx, row) {
                return Err(changed_by_trigger("updated"));
            }
        }
        compute(&self.rules.generated, &mut new, context)?;
        Constraints::of_update(&self.plan).test_row(new.as_slice(), context)?;
        let columns = table.def.columns.iter().zip(&old).zip(&new);
        // What is equal may be another value all the same (1.0 and 1.00).
        let changes = columns.filter(|((column, old), new)| {
            !old.as_ref().is_identical(new.as_ref()) || self.assigned.contains(&column.id)
        });
        let changes: Vec<(ColumnId, ValueRef<'_>)> = changes
            .map(|((column, _), new)| (column.id, new.as_ref()))
            .collect();
        if !writer.update(tx, row, &changes, context)? {
            return Ok(false);
        }
        if let Some((returned, given)) = shown {
            for (slot, value) in given.iter_mut().zip(&new) {
                slot.clone_from(value);
            }
            returned.row(&*given, context)?;
        }
        Ok(true)
    }
}

fn compute(generated: &[(usize, Expr)], row: &mut [Value], context: &ExecContext) -> Result<()> {
    for (position, expr) in generated {
        let value = eval_scalar(expr, &*row, context)?.into_value();
        row[*position] = value;
    }
    Ok(())
}

/// Asks the triggers about a row that is to be inserted, and tests what it is then; `false` where it is skipped.
pub(crate) fn before_insert(
    plan: &Insert,
    guard: &Firing,
    row: &mut Vec<Value>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<bool> {
    if !guard.before_row(None, Some(row), tx, context)? {
        return Ok(false);
    }
    compute(&plan.generated, row, context)?;
    Constraints::of_insert(plan).test_row(row.as_slice(), context)?;
    Ok(true)
}

/// Asks the triggers about a row and removes it; `false` where it is skipped.
///
/// # Errors
/// 27000, and those of the triggers.
pub(crate) fn delete_guarded(
    table: &TableEntry,
    writer: &mut Writer<'_>,
    row: RowId,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<bool> {
    let Some(old) = row_now(table, tx, row) else {
        return Err(changed_by_trigger("deleted"));
    };
    if let Some(guard) = writer.guard() {
        if !guard.before_row(Some(&old), None, tx, context)? {
            return Ok(false);
        }
        if !is_still(&old, table, tx, row) {
            return Err(changed_by_trigger("deleted"));
        }
    }
    writer.delete(tx, row, context)
}

/// Whether a row is what it was before its triggers were asked.
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

/// The values of a row of a batch.
pub(crate) fn row_of(batch: &Batch, schema: &Schema, row: usize) -> Vec<Value> {
    let columns = batch.columns.iter().zip(schema);
    columns
        .map(|(array, field)| value_at(array, field.data_type, row).to_owned())
        .collect()
}

/// Evaluated values, to be kept.
pub(crate) fn owned(values: &[Datum<'_>]) -> Vec<Value> {
    values
        .iter()
        .map(|value| value.as_ref().to_owned())
        .collect()
}
