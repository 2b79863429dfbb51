//! INSERT.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::compile::compile_locking;
use super::super::eval::{Datum, with_refs, with_values};
use super::before_triggers::owned;
use super::generated::{Generated, fill_row};
use super::on_conflict::Inserter;
use super::returning::Changes;
use super::{Constraints, instead_of, is_checkpoint};
use crate::error::Result;
use crate::exec::scan::lock_rows::Locker;
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
pub(crate) fn insert(
    plan: &Insert,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    if !plan.table.def.triggers.is_empty() && instead_of::is_stand_in(&plan.table) {
        return instead_of::insert(plan, tx, context);
    }
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
    let mut inserter = Inserter::new(plan, tx, context)?;
    let is_guarded = inserter.is_guarded();
    for (number, row) in rows.iter().enumerate() {
        if is_checkpoint(number) {
            context.check()?;
        }
        with_values(row, context, |values: &[Datum<'_>]| {
            if is_guarded {
                return inserter.guarded(tx, owned(values), context);
            }
            if !plan.generated.is_empty() {
                return insert_computed(plan, values, &constraints, &mut inserter, tx, context);
            }
            constraints.test_row(values, context)?;
            with_refs(values, |values| inserter.row(tx, values, context))
        })?;
    }
    inserter.finish(tx, context)
}

/// The same for a row with generated columns.
fn insert_computed(
    plan: &Insert,
    values: &[Datum<'_>],
    constraints: &Constraints<'_>,
    inserter: &mut Inserter<'_>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let mut row: Vec<Datum<'_>> = values
        .iter()
        .map(|value| Datum::Borrowed(value.as_ref()))
        .collect();
    fill_row(plan, &mut row, context)?;
    constraints.test_row(row.as_slice(), context)?;
    with_refs(&row, |values| inserter.row(tx, values, context))
}

fn insert_query(
    plan: &Insert,
    query: &PhysicalPlan,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let constraints = Constraints::of_insert(plan).for_batches();
    let view = tx.view();
    let mut inserter = Inserter::new(plan, tx, context)?;
    // The query may lock rows: both use the transaction, in turn.
    let locker = Locker::new(tx);
    let mut pipeline = compile_locking(query, &view, context, &locker)?;
    let generated = Generated::of(plan.generated.iter().cloned());
    while let Some(mut batch) = pipeline.next(context)? {
        if !inserter.is_guarded() {
            generated.fill(&mut batch, context)?;
            constraints.test_batch(&batch, context)?;
        }
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
            false if inserter.is_guarded() => {
                let row = values.iter().map(|value| (*value).to_owned());
                inserter.guarded(tx, row.collect(), context)?;
            }
            true => inserter.insert(tx, &values, context)?,
            false => inserter.row(tx, &values, context)?,
        }
    }
    match &mut inserter.returned {
        Some(returned) if as_given => returned.batch(batch, context),
        _ => Ok(()),
    }
}
