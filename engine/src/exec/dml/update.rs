//! UPDATE.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::compile::compile;
use super::super::eval::{Evaluator, Row, eval_scalar};
use super::super::foreign::Writer;
use super::super::memory::Held;
use super::super::point::find_to_change;
use super::once::Once;
use super::returned::{Changes, Returned};
use super::{Constraints, is_checkpoint, row_ids};
use crate::error::Result;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Lookup, Target, Update};
use arrow_array::ArrayRef;
use remora_storage::value::value_at;
use remora_storage::{ColumnId, RowId, Transaction, Value, ValueRef};

/// Runs an UPDATE.
///
/// # Errors
/// 23502, 23514, 23505, 40001, 53200, and those of the statement's functions. The caller rolls
/// back to its mark.
pub fn update(plan: &Update, tx: &mut Transaction, context: &ExecContext) -> Result<Changes> {
    context.check()?;
    match &plan.target {
        Target::Point(lookup) => update_point(plan, lookup, tx, context),
        Target::Scan(scan) => update_scan(plan, scan, None, tx, context),
        Target::Joined(scan) => {
            let once = Once::new(Held::default());
            update_scan(plan, scan, Some(once), tx, context)
        }
    }
}

/// A row as it will be: new values over an old row.
#[derive(Debug)]
pub(crate) struct Changed<'a, R> {
    pub(crate) plan: &'a Update,
    pub(crate) old: &'a R,
    pub(crate) new: &'a [Value],
}

impl<R: Row> Row for Changed<'_, R> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        let id = self.plan.table.def.columns[position].id;
        let assignments = &mut self.plan.assignments.iter();
        match assignments.position(|(column, _)| *column == id) {
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
) -> Result<Changes> {
    let constraints = Constraints::of_update(plan);
    let mut returned = Returned::of(plan.returning.as_ref());
    let target = find_to_change(lookup, tx, context, |id, old| {
        let new = plan.assignments.iter();
        let new = new.map(|(_, expr)| Ok(eval_scalar(expr, old, context)?.into_value()));
        let new = new.collect::<Result<Vec<_>>>()?;
        let row = Changed {
            plan,
            old,
            new: &new,
        };
        constraints.test_row(&row, context)?;
        if let Some(returned) = &mut returned {
            returned.row(&row, context)?;
        }
        Ok((id, new))
    })?;
    let Some((id, new)) = target else {
        return Changes::new(0, returned, context);
    };
    let changes = plan.assignments.iter().zip(&new);
    let changes = changes.map(|((column, _), value)| (*column, value.as_ref()));
    let mut writer = writer(plan, tx)?;
    let changed = if new.len() <= INLINE {
        let mut inline = [(ColumnId::default(), ValueRef::Null); INLINE];
        for (slot, change) in inline.iter_mut().zip(changes) {
            *slot = change;
        }
        writer.update(tx, id, &inline[..new.len()], context)?
    } else {
        writer.update(tx, id, &changes.collect::<Vec<_>>(), context)?
    };
    writer.finish(tx, context)?;
    Changes::new(u64::from(changed), returned, context)
}

fn writer<'p>(plan: &'p Update, tx: &Transaction) -> Result<Writer<'p>> {
    let columns = plan.assignments.iter().map(|(column, _)| *column);
    Writer::of_update(&plan.table, columns, tx)
}

/// Changes of one row that are held on the stack.
const INLINE: usize = 4;

/// Rows and their new values, one column an assignment.
struct Targets {
    ids: Vec<RowId>,
    new: Vec<ArrayRef>,
}

fn update_scan(
    plan: &Update,
    scan: &PhysicalPlan,
    once: Option<Once>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let mut held = Held::default();
    let mut returned = Returned::of(plan.returning.as_ref());
    let all = collect(plan, (scan, once), tx, (&mut held, &mut returned), context)?;
    let mut count = 0;
    let mut writer = writer(plan, tx)?;
    let mut changes = Vec::with_capacity(plan.assignments.len());
    for targets in &all {
        for (row, id) in targets.ids.iter().enumerate() {
            if is_checkpoint(row) {
                context.check()?;
            }
            let columns = plan.assignments.iter().zip(&targets.new);
            changes.clear();
            changes
                .extend(columns.map(|((column, expr), array)| {
                    (*column, value_at(array, expr.data_type, row))
                }));
            count += u64::from(writer.update(tx, *id, &changes, context)?);
        }
    }
    writer.finish(tx, context)?;
    Changes::new(count, returned, context)
}

fn collect(
    plan: &Update,
    (scan, mut once): (&PhysicalPlan, Option<Once>),
    tx: &Transaction,
    (held, returned): (&mut Held, &mut Option<Returned<'_>>),
    context: &ExecContext,
) -> Result<Vec<Targets>> {
    let constraints = Constraints::of_update(plan).for_batches();
    let exprs = plan.assignments.iter();
    let exprs: Vec<_> = exprs
        .map(|(_, expr)| Evaluator::new(expr.clone()))
        .collect();
    let mut pipeline = compile(scan, &tx.view(), context)?;
    let mut all = Vec::new();
    while let Some(mut batch) = pipeline.next(context)? {
        let mut ids = row_ids(&batch, &plan.table);
        if let Some(once) = &mut once {
            batch = once.first(batch, &ids, context)?;
            ids = row_ids(&batch, &plan.table);
        }
        if batch.rows == 0 {
            continue;
        }
        let new = exprs.iter().map(|expr| expr.array(&batch, context));
        let new = Batch::new(new.collect::<Result<_>>()?, batch.rows).compact();
        held.grow(new.bytes() + size_of::<RowId>() * batch.rows, context)?;
        let mut changed = batch;
        for ((column, _), array) in plan.assignments.iter().zip(&new.columns) {
            if let Some(position) = plan.table.def.position(*column) {
                changed.columns[position] = array.clone();
            }
        }
        constraints.test_batch(&changed, context)?;
        if let Some(returned) = returned {
            returned.batch(&changed, context)?;
        }
        all.push(Targets {
            ids,
            new: new.columns,
        });
    }
    Ok(all)
}
