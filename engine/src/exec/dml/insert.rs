//! INSERT.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::compile::compile_locking;
use super::super::eval::{Datum, with_refs, with_values};
use super::super::lock_rows::Locker;
use super::returned::Changes;
use super::upsert::Inserter;
use super::{Constraints, is_checkpoint};
use crate::error::Result;
use crate::plan::Expr;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Insert, InsertSource};
use remora_storage::value::value_at;
use remora_storage::{Transaction, ValueRef};

/// Runs an INSERT.
///
/// # Errors
/// 23502, 23514, 23505, 40001, 53200, and those of the statement's functions. The caller rolls
/// back to its mark.
pub fn insert(plan: &Insert, tx: &mut Transaction, context: &ExecContext) -> Result<Changes> {
    match &plan.source {
        InsertSource::Values(rows) => insert_values(plan, rows, tx, context),
        InsertSource::Query(query) => insert_query(plan, query, tx, context),
    }
}

/// The point path: each row is evaluated, tested and handed on as it lies on the stack.
fn insert_values(
    plan: &Insert,
    rows: &[Vec<Expr>],
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let constraints = Constraints::of_insert(plan);
    let mut inserter = Inserter::new(plan, tx)?;
    for (number, row) in rows.iter().enumerate() {
        if is_checkpoint(number) {
            context.check()?;
        }
        with_values(row, context, |values: &[Datum<'_>]| {
            constraints.test_row(values, context)?;
            with_refs(values, |values| inserter.row(tx, values, context))
        })?;
    }
    inserter.finish(tx, context)
}

fn insert_query(
    plan: &Insert,
    query: &PhysicalPlan,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let constraints = Constraints::of_insert(plan).for_batches();
    let mut inserter = Inserter::new(plan, tx)?;
    let view = tx.view();
    // The query may lock rows: both use the transaction, in turn.
    let locker = Locker::new(tx);
    let mut pipeline = compile_locking(query, &view, context, &locker)?;
    while let Some(batch) = pipeline.next(context)? {
        constraints.test_batch(&batch, context)?;
        insert_batch(
            plan,
            &batch,
            &mut inserter,
            &mut locker.transaction(),
            context,
        )?;
    }
    drop(pipeline);
    inserter.finish(&mut locker.transaction(), context)
}

fn insert_batch(
    plan: &Insert,
    batch: &Batch,
    inserter: &mut Inserter<'_>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let columns = &plan.table.def.columns;
    let as_given = inserter.inserts_all();
    let mut values = vec![ValueRef::Null; columns.len()];
    for row in 0..batch.rows {
        if is_checkpoint(row) {
            context.check()?;
        }
        for ((value, array), column) in values.iter_mut().zip(&batch.columns).zip(columns) {
            *value = value_at(array, column.data_type, row);
        }
        match as_given {
            true => inserter.insert(tx, &values, context)?,
            false => inserter.row(tx, &values, context)?,
        }
    }
    match &mut inserter.returned {
        Some(returned) if as_given => returned.batch(batch, context),
        _ => Ok(()),
    }
}
