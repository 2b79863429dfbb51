//! UPDATE.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::compile::compile;
use super::super::eval::{Evaluator, Row, eval_scalar};
use super::super::memory::Held;
use super::super::point::find;
use super::{Constraints, row_ids};
use crate::error::Result;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Lookup, Target, Update};
use arrow_array::ArrayRef;
use remora_storage::value::value_at;
use remora_storage::{RowId, Transaction, Value, ValueRef};

/// Runs an UPDATE; returns the number of rows.
///
/// # Errors
/// 23502, 23514, 23505, 40001, 53200, and those of the statement's functions. The caller rolls
/// back to its mark.
pub fn update(plan: &Update, tx: &mut Transaction, context: &ExecContext) -> Result<u64> {
    context.check()?;
    match &plan.target {
        Target::Point(lookup) => update_point(plan, lookup, tx, context),
        Target::Scan(scan) => update_scan(plan, scan, tx, context),
    }
}

/// Where each assignment's column stands in the table.
fn positions(plan: &Update) -> Vec<usize> {
    let position = |column| plan.table.def.position(column);
    let columns = plan.assignments.iter().map(|(column, _)| *column);
    columns.filter_map(position).collect()
}

/// A row as it will be: new values over an old row.
struct Changed<'a, R> {
    old: &'a R,
    positions: &'a [usize],
    new: &'a [Value],
}

impl<R: Row> Row for Changed<'_, R> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        match self.positions.iter().position(|at| *at == position) {
            Some(at) => self.new[at].as_ref(),
            None => self.old.value(position),
        }
    }
}

fn update_point(
    plan: &Update,
    lookup: &Lookup,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<u64> {
    let positions = positions(plan);
    let writes = |position| positions.contains(&position);
    let constraints = Constraints::new(&plan.table.def, &plan.checks, false, writes);
    let target = find(lookup, &tx.view(), context, |id, old| {
        let new = plan.assignments.iter();
        let new = new.map(|(_, expr)| Ok(eval_scalar(expr, old, context)?.into_value()));
        let new = new.collect::<Result<Vec<_>>>()?;
        let row = Changed {
            old,
            positions: &positions,
            new: &new,
        };
        constraints.test_row(&row, context)?;
        Ok((id, new))
    })?;
    let Some((id, new)) = target else {
        return Ok(0);
    };
    let changes = plan.assignments.iter().zip(&new);
    let changes = changes.map(|((column, _), value)| (*column, value.as_ref()));
    let changes: Vec<_> = changes.collect();
    Ok(u64::from(tx.update(&plan.table, id, &changes)?))
}

/// Rows and their new values, one column an assignment.
struct Targets {
    ids: Vec<RowId>,
    new: Vec<ArrayRef>,
}

fn update_scan(
    plan: &Update,
    scan: &PhysicalPlan,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<u64> {
    let mut held = Held::default();
    let all = collect(plan, scan, tx, &mut held, context)?;
    let mut count = 0;
    for targets in &all {
        context.check()?;
        for (row, id) in targets.ids.iter().enumerate() {
            let changes = plan.assignments.iter().zip(&targets.new);
            let changes = changes
                .map(|((column, expr), array)| (*column, value_at(array, expr.data_type, row)));
            let changes: Vec<_> = changes.collect();
            count += u64::from(tx.update(&plan.table, *id, &changes)?);
        }
    }
    Ok(count)
}

fn collect(
    plan: &Update,
    scan: &PhysicalPlan,
    tx: &Transaction,
    held: &mut Held,
    context: &ExecContext,
) -> Result<Vec<Targets>> {
    let positions = positions(plan);
    let writes = |position| positions.contains(&position);
    let constraints = Constraints::new(&plan.table.def, &plan.checks, true, writes);
    let exprs = plan.assignments.iter();
    let exprs: Vec<_> = exprs
        .map(|(_, expr)| Evaluator::new(expr.clone()))
        .collect();
    let mut pipeline = compile(scan, &tx.view(), context)?;
    let mut all = Vec::new();
    while let Some(batch) = pipeline.next(context)? {
        let new = exprs.iter().map(|expr| expr.array(&batch, context));
        let new = Batch::new(new.collect::<Result<_>>()?, batch.rows).compact();
        held.grow(new.bytes() + size_of::<RowId>() * batch.rows, context)?;
        let ids = row_ids(&batch);
        let mut changed = batch;
        for (position, array) in positions.iter().zip(&new.columns) {
            changed.columns[*position] = array.clone();
        }
        constraints.test_batch(&changed, context)?;
        all.push(Targets {
            ids,
            new: new.columns,
        });
    }
    Ok(all)
}
