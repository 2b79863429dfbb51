//! ALTER TABLE: the table is changed first, and its rows are brought after it.
//!
//! 1. The definition is set, which keeps everybody else from writing until the transaction ends.
//! 2. The rows that the statement sees, as they were before it, are computed as they are to be, tested, and
//!    stored where the table has its rows now, batch by batch, as an INSERT does.
//! 3. Indexes are built once all rows are there.
//! 4. Foreign keys come, and rows are tested for them, when all indexes are there.
//!
//! An error anywhere leaves all of it behind, for the caller to roll back to his mark.

use super::numbered;
use super::sequence::alter_sequence;
use crate::activity::relieved;
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::compile::compile;
use crate::exec::dml::{Constraints, is_checkpoint, sweep_all};
use crate::exec::pipeline::Pipeline;
use crate::exec::referential::test_rows;
use crate::plan::physical::PhysicalPlan;
use crate::plan::structure::{AlterTable, AlteredRows, Step};
use remora_storage::catalog::{ColumnDefault, Deferral, IndexDef, TableEntry};
use remora_storage::value::value_at;
use remora_storage::{SequenceId, Stop, ValueRef};
use std::sync::Arc;

/// Runs an ALTER TABLE.
///
/// # Errors
/// 23502, 23514, 23505, 40001, 53200, and those of the statement's functions.
pub(crate) fn alter_table(
    plan: &AlterTable,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    structure(&plan.before, tx, context)?;
    let start = |rows: &PhysicalPlan, tx: &Transaction| compile(rows, &tx.view(), context);
    let made = numbered::make(&plan.numbered, tx)?;
    let def = numbered::with_sequences(plan, &made);
    match &plan.rows {
        AlteredRows::Left => {
            tx.alter_table(def)?;
            numbered::own(plan, &made, tx)?;
        }
        AlteredRows::Tested(rows) => {
            let rows = start(rows, tx)?;
            tx.alter_table(def)?;
            numbered::own(plan, &made, tx)?;
            pass(plan, rows, None, (tx, &made), context)?;
        }
        AlteredRows::Rewritten(rows, indexes) => {
            let rows = start(rows, tx)?;
            let table = tx.rewrite_table(def)?;
            numbered::own(plan, &made, tx)?;
            pass(plan, rows, Some(&table), (tx, &made), context)?;
            for index in indexes {
                let is_asked = || context.check().is_err();
                tx.create_index_as(index.clone(), Stop::when(&is_asked))
                    .map_err(|error| context.stopped(error))?;
            }
        }
    }
    structure(&plan.after, tx, context)?;
    for key in &plan.foreign_keys {
        let mut def = key.def.clone();
        if let Some(name) = &key.index {
            let index = tx.catalog().index((plan.def.schema, name.as_str()));
            let (_, index) = index.expect("it has come by this statement");
            def.index = index.def.id;
        }
        tx.add_foreign_key(plan.def.id, def)?;
    }
    let mut validated = plan.validated.iter();
    validated.try_for_each(|(table, key)| test_rows(*table, key, tx, context))
}

/// Tests all rows, and stores them in a table where one is given.
fn pass(
    plan: &AlterTable,
    mut rows: Pipeline,
    table: Option<&Arc<TableEntry>>,
    (tx, made): (&mut Transaction, &[SequenceId]),
    context: &ExecContext,
) -> Result<()> {
    let constraints = Constraints::of_alter(&plan.def, &plan.tests).for_batches();
    while let Some(mut batch) = rows.next(context)? {
        numbered::fill(plan, made, &mut batch, tx)?;
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
        relieved(&context.ledger, || tx.insert(table, &values))?;
    }
    Ok(())
}

/// Deletes rows that have expired before a unique index is made: they have no keys.
///
/// # Errors
/// 40001, and those of what foreign keys say of deletions.
pub(crate) fn before_index(
    def: &IndexDef,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let is_key = def.unique || def.deferral != Deferral::Never;
    let table = tx.catalog().table_by_id(def.table);
    match table.filter(|_| is_key).map(Arc::clone) {
        Some(table) => sweep_all(&table, tx, context),
        None => Ok(()),
    }
}

/// Changes the structure step by step.
///
/// # Errors
/// 23505 of a unique index, 40001, 53200.
pub(crate) fn structure(steps: &[Step], tx: &mut Transaction, context: &ExecContext) -> Result<()> {
    for step in steps {
        match step {
            Step::DropIndex(id) => tx.drop_index(*id)?,
            Step::CreateIndex(def) => {
                before_index(def, tx, context)?;
                tx.create_index(def.clone())?;
            }
            Step::RenameIndex(id, name) => tx.rename_index(*id, name)?,
            Step::DropSequence(id) => tx.drop_sequence(*id)?,
            Step::DropForeignKey(table, name) => tx.drop_foreign_key(*table, name)?,
            Step::AddForeignKey(table, key) => tx.add_foreign_key(*table, key.clone())?,
            Step::CreateView(def) => drop(tx.create_view(def.clone())?),
            Step::AlterView(def) => tx.alter_view(def.clone())?,
            Step::DropView(id) => tx.drop_view(*id)?,
            Step::DefineTable(def) => tx.alter_table(def.clone())?,
            Step::CreateFunction(def) => drop(tx.create_function(def.clone())?),
            Step::AlterFunction(def) => tx.alter_function(def.clone())?,
            Step::DropFunction(id) => tx.drop_function(*id)?,
            Step::CreateType(def) => drop(tx.create_type(def.clone())?),
            Step::CreateRange(range, multirange) => {
                tx.create_range(range.clone(), multirange.clone())?;
            }
            Step::AlterType(def) => tx.alter_type(def.clone())?,
            Step::DropType(id) => tx.drop_type(*id)?,
            Step::DropTable(id) => tx.drop_table(*id)?,
            Step::DropDefault(table, column) => {
                tx.set_default(*table, *column, ColumnDefault::default())?;
            }
            Step::AlterSequence(def) => tx.alter_sequence(def.clone(), None)?,
            Step::ChangeSequence(id, change) => alter_sequence(tx, *id, change)?,
            Step::CreateSchema(name) => drop(tx.create_schema(name.clone())?),
            Step::RenameSchema(id, name) => tx.rename_schema(*id, name.clone())?,
            Step::DropSchema(id) => tx.drop_schema(*id)?,
            Step::SetComment(on, text) => tx.set_comment(*on, text.clone())?,
        }
    }
    Ok(())
}
