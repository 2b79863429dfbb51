//! ALTER TABLE: the table is changed first, and its rows are brought after it.
//!
//! 1. The definition is set, which keeps everybody else from writing until the transaction ends.
//! 2. The rows that the statement sees, as they were before it, are computed as they are to be, tested, and
//!    stored where the table has its rows now, batch by batch, as an INSERT does.
//! 3. Indexes are built once all rows are there.
//!
//! An error anywhere leaves all of it behind, for the caller to roll back to his mark.

use super::ExecContext;
use super::batch::Batch;
use super::compile::compile;
use super::dml::{Constraints, is_checkpoint};
use super::pipeline::Pipeline;
use crate::error::Result;
use crate::plan::physical::PhysicalPlan;
use crate::plan::structure::{AlterTable, AlteredRows, Step};
use remora_storage::catalog::TableEntry;
use remora_storage::value::value_at;
use remora_storage::{Stop, Transaction, ValueRef};
use std::sync::Arc;

/// Runs an ALTER TABLE.
///
/// # Errors
/// 23502, 23514, 23505, 40001, 53200, and those of the statement's functions.
pub fn alter_table(plan: &AlterTable, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
    structure(&plan.before, tx)?;
    let start = |rows: &PhysicalPlan, tx: &Transaction| compile(rows, &tx.view(), context);
    match &plan.rows {
        AlteredRows::Left => tx.alter_table(plan.def.clone())?,
        AlteredRows::Tested(rows) => {
            let rows = start(rows, tx)?;
            tx.alter_table(plan.def.clone())?;
            pass(plan, rows, None, tx, context)?;
        }
        AlteredRows::Rewritten(rows, indexes) => {
            let rows = start(rows, tx)?;
            let table = tx.rewrite_table(plan.def.clone())?;
            pass(plan, rows, Some(&table), tx, context)?;
            for index in indexes {
                let is_asked = || context.check().is_err();
                tx.create_index_as(index.clone(), Stop::when(&is_asked))
                    .map_err(|error| context.stopped(error))?;
            }
        }
    }
    structure(&plan.after, tx)
}

/// Tests all rows, and stores them in a table where one is given.
fn pass(
    plan: &AlterTable,
    mut rows: Pipeline,
    table: Option<&Arc<TableEntry>>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let constraints = Constraints::of_alter(&plan.def, &plan.tests).for_batches();
    while let Some(batch) = rows.next(context)? {
        constraints.test_batch(&batch, context)?;
        if let Some(table) = table {
            insert(table, &batch, tx, context)?;
        }
    }
    Ok(())
}

/// Stores rows as they are: foreign keys hold for them already.
fn insert(
    table: &Arc<TableEntry>,
    batch: &Batch,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let columns = &table.def.columns;
    let mut values = vec![ValueRef::Null; columns.len()];
    for row in 0..batch.rows {
        if is_checkpoint(row) {
            context.check()?;
        }
        for ((value, array), column) in values.iter_mut().zip(&batch.columns).zip(columns) {
            *value = value_at(array, column.data_type, row);
        }
        tx.insert(table, &values)?;
    }
    Ok(())
}

/// Changes the structure step by step.
///
/// # Errors
/// 23505 of a unique index, 40001, 53200.
pub fn structure(steps: &[Step], tx: &mut Transaction) -> Result<()> {
    for step in steps {
        match step {
            Step::DropIndex(id) => tx.drop_index(*id)?,
            Step::CreateIndex(def) => drop(tx.create_index(def.clone())?),
            Step::RenameIndex(id, name) => tx.rename_index(*id, name)?,
            Step::DropSequence(id) => tx.drop_sequence(*id)?,
            Step::DropForeignKey(table, name) => tx.drop_foreign_key(*table, name)?,
            Step::CreateView(def) => drop(tx.create_view(def.clone())?),
            Step::AlterView(def) => tx.alter_view(def.clone())?,
            Step::DropView(id) => tx.drop_view(*id)?,
        }
    }
    Ok(())
}
