//! INSTEAD OF triggers of views: for each row the triggers are run, and nothing else is done.
//!
//! The plan is about a table that stands in for the view (`bind::instead`): its rows are the view's.

use super::before_triggers::row_of;
use super::returning::{Changes, Returned};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::compile::compile;
use crate::exec::constants;
use crate::exec::eval::Evaluator;
use crate::exec::trigger::{Firing, begin, fire_after};
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Delete, Insert, InsertSource, Target, Update};
use remora_storage::catalog::{TableEntry, TriggerEvent, TriggerTiming};
use remora_storage::value::value_at;
use remora_storage::{ReadView, Value};
use std::sync::Arc;

/// Whether a table stands in for a view.
#[inline]
pub(super) fn is_stand_in(table: &TableEntry) -> bool {
    let mut triggers = table.def.triggers.iter();
    triggers.any(|trigger| trigger.timing == TriggerTiming::InsteadOf)
}

/// What is done with the rows of a view.
struct Instead<'p> {
    firing: Option<Box<Firing>>,
    returned: Option<Box<Returned<'p>>>,
    count: u64,
}

impl<'p> Instead<'p> {
    fn new(
        table: &Arc<TableEntry>,
        event: TriggerEvent,
        returned: Option<Box<Returned<'p>>>,
        (tx, context): (&mut Transaction, &ExecContext),
    ) -> Result<Self> {
        let columns = table.def.columns.iter().map(|column| column.id);
        let columns: Vec<_> = columns.collect();
        Ok(Self {
            firing: begin(table, event, &columns, true, tx, context)?,
            returned,
            count: 0,
        })
    }

    /// Runs the triggers for a row; `given` is what is shown of, behind the columns of the row.
    fn row(
        &mut self,
        old: Option<&[Value]>,
        mut new: Option<Vec<Value>>,
        mut given: Vec<Value>,
        (tx, context): (&mut Transaction, &ExecContext),
    ) -> Result<()> {
        let Some(firing) = &self.firing else {
            return Ok(());
        };
        if !firing.instead_of(old, new.as_mut(), tx, context)? {
            return Ok(());
        }
        self.count += 1;
        let Some(returned) = &mut self.returned else {
            return Ok(());
        };
        for (slot, value) in given.iter_mut().zip(new.into_iter().flatten()) {
            *slot = value;
        }
        returned.row(given.as_slice(), context)
    }

    fn finish(self, tx: &mut Transaction, context: &ExecContext) -> Result<Changes> {
        let fired = self.firing.map(|firing| vec![*firing]);
        fire_after(fired.unwrap_or_default(), tx, context)?;
        Changes::new(self.count, self.returned, context)
    }
}

/// Runs an INSERT into a view.
#[cold]
pub(super) fn insert(
    plan: &Insert,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let view = tx.view();
    let returned = Returned::of(plan.returning.as_ref());
    let event = TriggerEvent::Insert;
    let mut instead = Instead::new(&plan.table, event, returned, (tx, context))?;
    match &plan.source {
        InsertSource::Values(rows) => {
            let level = context.eval.memory.level();
            for row in rows {
                context.eval.memory.back_to(level);
                let row = constants(row, context)?;
                instead.row(None, Some(row.clone()), row, (tx, context))?;
            }
        }
        InsertSource::Query(query) => {
            let mut pipeline = compile(query, &view, context)?;
            while let Some(batch) = pipeline.next(context)? {
                for row in 0..batch.rows {
                    context.check()?;
                    let row = row_of(&batch, &query.schema, row);
                    instead.row(None, Some(row.clone()), row, (tx, context))?;
                }
            }
        }
    }
    instead.finish(tx, context)
}

/// Runs an UPDATE of a view.
#[cold]
pub(super) fn update(
    plan: &Update,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let view = tx.view();
    let returned = Returned::of(plan.returning.as_ref());
    let event = TriggerEvent::Update;
    let mut instead = Instead::new(&plan.table, event, returned, (tx, context))?;
    let exprs = plan.assignments.iter();
    let exprs: Vec<_> = exprs
        .map(|(_, expr)| Evaluator::new(expr.clone()))
        .collect();
    let width = plan.table.def.columns.len();
    each(&plan.target, &view, context, |batch, scan| {
        let values = Evaluator::arrays(&exprs, batch, context)?;
        for row in 0..batch.rows {
            context.check()?;
            let given = row_of(batch, &scan.schema, row);
            let old: Vec<Value> = given.iter().take(width).cloned().collect();
            let mut new = old.clone();
            for ((column, expr), array) in plan.assignments.iter().zip(&values) {
                if let Some(at) = plan.table.def.position(*column) {
                    new[at] = value_at(array, expr.data_type, row).to_owned();
                }
            }
            instead.row(Some(&old), Some(new), given, (tx, context))?;
        }
        Ok(())
    })?;
    instead.finish(tx, context)
}

/// Runs a DELETE of rows of a view.
#[cold]
pub(super) fn delete(
    plan: &Delete,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let view = tx.view();
    let returned = Returned::of(plan.returning.as_ref());
    let event = TriggerEvent::Delete;
    let mut instead = Instead::new(&plan.table, event, returned, (tx, context))?;
    let width = plan.table.def.columns.len();
    each(&plan.target, &view, context, |batch, scan| {
        for row in 0..batch.rows {
            context.check()?;
            let given = row_of(batch, &scan.schema, row);
            let old: Vec<Value> = given.iter().take(width).cloned().collect();
            instead.row(Some(&old), None, given, (tx, context))?;
        }
        Ok(())
    })?;
    instead.finish(tx, context)
}

/// Calls `change` with the rows of a view, as they were before the statement.
fn each(
    target: &Target,
    view: &ReadView,
    context: &ExecContext,
    mut change: impl FnMut(&Batch, &PhysicalPlan) -> Result<()>,
) -> Result<()> {
    let (Target::Scan(scan) | Target::Joined(scan)) = target else {
        return Ok(());
    };
    let mut pipeline = compile(scan, view, context)?;
    while let Some(batch) = pipeline.next(context)? {
        change(&batch, scan)?;
    }
    Ok(())
}
