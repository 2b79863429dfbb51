//! INSERT: rows from VALUES, from a query, or one by one ([`Inserter`], which COPY FROM uses as well).
//!
//! A row passes the steps of [`row_writer`](super::row_writer). Rows of a query are computed and tested as batches, unless
//! triggers fire before each row.

use super::generated::{Generated, fill_row};
use super::on_conflict::Upsert;
use super::returning::{Changes, Returned};
use super::row_writer::{RowWriter, finish_all};
use super::{Constraints, instead_of, is_checkpoint};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::compile::compile;
use crate::exec::eval::{Datum, with_refs, with_values};
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Insert, InsertSource};
use remora_storage::ValueRef;
use remora_storage::catalog::TriggerEvent;
use remora_storage::value::value_at;

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
        InsertSource::Values(rows) => {
            let mut inserter = Inserter::new(plan, tx, context)?;
            let level = context.eval.memory.level();
            for (number, row) in rows.iter().enumerate() {
                if number > 0 {
                    // The row before is written.
                    context.eval.memory.back_to(level);
                }
                if is_checkpoint(number) {
                    context.check()?;
                }
                with_values(row, context, |row| inserter.row(tx, row, context))?;
            }
            inserter.finish(tx, context)
        }
        InsertSource::Query(query) => insert_query(plan, query, tx, context),
    }
}

fn insert_query(
    plan: &Insert,
    query: &PhysicalPlan,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let constraints = Constraints::of_insert(plan).for_batches();
    let generated = Generated::of(plan.generated.iter().cloned());
    let view = tx.view();
    let mut inserter = Inserter::new(plan, tx, context)?;
    let mut pipeline = compile(query, &view, context)?;
    while let Some(mut batch) = pipeline.next(context)? {
        if !inserter.writer.fires_before_rows() {
            generated.fill(&mut batch, context)?;
            constraints.test_batch(&batch, context)?;
        }
        inserter.batch(tx, &batch, context)?;
    }
    drop(pipeline);
    inserter.finish(tx, context)
}

/// Computes the generated columns of a row that is to be inserted, and tests it.
#[inline]
pub(super) fn complete(plan: &Insert, row: &mut [Datum<'_>], context: &ExecContext) -> Result<()> {
    fill_row(plan, row, context)?;
    Constraints::of_insert(plan).test_row(&*row, context)
}

/// Inserts the rows of a statement.
#[derive(Debug)]
pub(in crate::exec) struct Inserter<'p> {
    plan: &'p Insert,
    writer: RowWriter<'p>,
    /// Apart, so that an INSERT without one does not move the room for it.
    conflict: Option<Box<Upsert<'p>>>,
    /// Check options of views, which are tested when the row is stored.
    views: Option<Constraints<'p>>,
    returned: Option<Box<Returned<'p>>>,
    /// Rows that were inserted or changed.
    count: u64,
}

impl<'p> Inserter<'p> {
    /// Begins an INSERT; fires the triggers BEFORE it.
    pub(in crate::exec) fn new(
        plan: &'p Insert,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<Self> {
        let writer = RowWriter::begin(&plan.table, TriggerEvent::Insert, [], tx, context)?;
        let conflict = match &plan.on_conflict {
            Some(conflict) => {
                let upsert = Upsert::new(&plan.table, conflict, tx, context)?;
                Some(Box::new(upsert))
            }
            None => None,
        };
        Ok(Self {
            plan,
            writer,
            conflict,
            views: Constraints::of_views(&plan.table, &plan.checks, tx),
            returned: Returned::of(plan.returning.as_ref()),
            count: 0,
        })
    }

    /// Inserts a row of which all columns but generated ones have their values.
    #[inline]
    pub(in crate::exec) fn row(
        &mut self,
        tx: &mut Transaction,
        row: &mut [Datum<'_>],
        context: &ExecContext,
    ) -> Result<()> {
        if !self.writer.before_insert(row, tx, context)? {
            return Ok(());
        }
        complete(self.plan, row, context)?;
        with_refs(row, |row| self.write(tx, row, context))
    }

    /// Inserts the rows of a batch, which are complete and tested unless triggers fire before each of them.
    fn batch(&mut self, tx: &mut Transaction, batch: &Batch, context: &ExecContext) -> Result<()> {
        let by_row = self.writer.fires_before_rows();
        let inserts_all = !by_row && self.conflict.is_none();
        let columns = &self.plan.table.def.columns;
        let mut values = vec![ValueRef::Null; columns.len()];
        let level = context.eval.memory.level();
        for row in 0..batch.rows {
            context.eval.memory.back_to(level);
            if is_checkpoint(row) {
                context.check()?;
            }
            for ((value, array), column) in values.iter_mut().zip(&batch.columns).zip(columns) {
                *value = value_at(array, column.data_type, row);
            }
            if by_row {
                let mut row: Vec<_> = values.iter().copied().map(Datum::Borrowed).collect();
                self.row(tx, &mut row, context)?;
            } else if inserts_all {
                self.insert(tx, &values, context)?;
            } else {
                self.write(tx, &values, context)?;
            }
        }
        match &mut self.returned {
            Some(returned) if inserts_all => returned.batch(batch, context),
            _ => Ok(()),
        }
    }

    /// Inserts a row that is complete and tested, or does as ON CONFLICT says; evaluates RETURNING.
    #[inline]
    fn write(
        &mut self,
        tx: &mut Transaction,
        row: &[ValueRef<'_>],
        context: &ExecContext,
    ) -> Result<()> {
        if let Some(upsert) = &mut self.conflict {
            let returned = self.returned.as_deref_mut();
            if let Some(changed) = upsert.resolve(tx, row, returned, context)? {
                self.count += u64::from(changed);
                return Ok(());
            }
        }
        self.insert(tx, row, context)?;
        if let Some(upsert) = &mut self.conflict {
            upsert.inserted(tx, row)?;
        }
        match &mut self.returned {
            Some(returned) => returned.row(row, context),
            None => Ok(()),
        }
    }

    #[inline]
    fn insert(
        &mut self,
        tx: &mut Transaction,
        row: &[ValueRef<'_>],
        context: &ExecContext,
    ) -> Result<()> {
        self.count += 1;
        self.writer.insert(tx, row, context)?;
        match &self.views {
            None => Ok(()),
            Some(views) => views.test_row(row, context),
        }
    }

    /// Ends the statement.
    pub(in crate::exec) fn finish(
        self,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<Changes> {
        match self.conflict.and_then(|upsert| upsert.into_writer()) {
            Some(updates) => finish_all([self.writer, updates], tx, context)?,
            None => self.writer.finish(tx, context)?,
        }
        Changes::new(self.count, self.returned, context)
    }
}
