//! UPDATE.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::compile::compile;
use super::super::eval::{Evaluator, Row, eval_scalar};
use super::super::memory::Held;
use super::super::point::find_to_change;
use super::super::trigger::begin;
use super::before_triggers::{Whole, guarded, row_of};
use super::distinct_rows::Once;
use super::generated::{Generated, new_values};
use super::returning::{Changes, Returned};
use super::{Constraints, instead_of, is_checkpoint, row_ids};
use crate::error::Result;
use crate::exec::referential::Writer;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Lookup, Target, Update};
use arrow_array::ArrayRef;
use remora_storage::catalog::TriggerEvent;
use remora_storage::value::value_at;
use remora_storage::{ColumnId, ReadView, RowId, Transaction, Value, ValueRef};

/// Runs an UPDATE.
///
/// # Errors
/// 23502, 23514, 23505, 40001, 53200, and those of the statement's functions. The caller rolls
/// back to its mark.
pub(crate) fn update(
    plan: &Update,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    context.check()?;
    if !plan.table.def.triggers.is_empty() && instead_of::is_stand_in(&plan.table) {
        return instead_of::update(plan, tx, context);
    }
    match &plan.target {
        Target::Point(lookup) => update_point(plan, lookup, tx, context),
        Target::Scan(scan) => update_scan(plan, scan, None, tx, context),
        Target::Joined(scan) => {
            let once = Once::new(Held::default());
            update_scan(plan, scan, Some(once), tx, context)
        }
    }
}

/// A row as it will be: new values over an old row. They are those of the first of the columns that the plan
/// writes: what is generated comes last.
#[derive(Debug)]
pub(crate) struct Changed<'a, R> {
    pub(crate) plan: &'a Update,
    pub(crate) old: &'a R,
    pub(crate) new: &'a [Value],
}

impl<R: Row> Row for Changed<'_, R> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        let id = self.plan.table.def.columns[position].id;
        let mut written = self.plan.written().zip(self.new);
        match written.find(|((column, _), _)| *column == id) {
            Some((_, new)) => new.as_ref(),
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
    if !plan.table.def.triggers.is_empty() {
        return point_with_triggers(plan, lookup, tx, context);
    }
    let constraints = Constraints::of_update(plan).asking(tx);
    let mut returned = Returned::of(plan.returning.as_ref());
    let target = find_to_change(lookup, tx, context, |id, old| {
        let new = changed_row(plan, &constraints, &mut returned, old, context)?;
        Ok((id, new))
    })?;
    let Some((id, new)) = target else {
        return Changes::new(0, returned, context);
    };
    let changes = plan.written().zip(&new);
    let changes = changes.map(|((column, _), value)| (*column, value.as_ref()));
    let mut writer = Writer::of_update(&plan.table, columns_of(plan), tx)?;
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

/// What is written to a row, after it was tested and shown.
fn changed_row<R: Row>(
    plan: &Update,
    constraints: &Constraints<'_>,
    returned: &mut Option<Returned<'_>>,
    old: &R,
    context: &ExecContext,
) -> Result<Vec<Value>> {
    let new = new_values(plan, old, old, context)?;
    let row = Changed {
        plan,
        old,
        new: &new,
    };
    constraints.test_row(&row, context)?;
    if let Some(returned) = returned {
        returned.row(&row, context)?;
    }
    Ok(new)
}

fn columns_of(plan: &Update) -> impl Iterator<Item = ColumnId> {
    plan.written().map(|(column, _)| *column)
}

/// What an UPDATE writes with, after the triggers BEFORE it.
pub(super) fn writer<'p>(
    plan: &'p Update,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Writer<'p>> {
    let event = TriggerEvent::Update;
    let firing = begin(&plan.table, event, columns_of(plan), tx, context)?;
    Ok(Writer::of_update(&plan.table, columns_of(plan), tx)?.firing(firing))
}

/// The same of a row by key, where the table has triggers.
#[cold]
fn point_with_triggers(
    plan: &Update,
    lookup: &Lookup,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let mut returned = Returned::of(plan.returning.as_ref());
    let (mut writer, whole) = guarded(writer(plan, tx, context)?, plan, tx, context)?;
    let constraints = Constraints::of_update(plan);
    let target = find_to_change(lookup, tx, context, |id, old| {
        if whole.is_some() {
            let new = plan.assignments.iter();
            let new = new.map(|(_, expr)| Ok(eval_scalar(expr, old, context)?.into_value()));
            return Ok((id, new.collect::<Result<Vec<_>>>()?));
        }
        let new = changed_row(plan, &constraints, &mut returned, old, context)?;
        Ok((id, new))
    })?;
    let mut count = 0;
    if let Some((id, new)) = target {
        let changed = match &whole {
            Some(whole) => {
                let mut given = vec![Value::Null; plan.table.def.columns.len()];
                let shown = returned.as_mut();
                let shown = shown.map(|returned| (returned, given.as_mut_slice()));
                whole.update(&mut writer, id, new, shown, (tx, context))?
            }
            None => {
                let changes = columns_of(plan).zip(&new);
                let changes: Vec<_> = changes.map(|(id, value)| (id, value.as_ref())).collect();
                writer.update(tx, id, &changes, context)?
            }
        };
        count = u64::from(changed);
    }
    writer.finish(tx, context)?;
    Changes::new(count, returned, context)
}

/// Changes of one row that are held on the stack.
const INLINE: usize = 4;

/// Rows and their new values, one array a column that is written.
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
    let view = tx.view();
    let (mut writer, whole) = guarded(writer(plan, tx, context)?, plan, tx, context)?;
    if let Some(whole) = whole {
        let writing = (&whole, writer);
        return scan_guarded(plan, (scan, once), &view, writing, (tx, context));
    }
    let all = collect(
        plan,
        (scan, once),
        (tx, &view),
        (&mut held, &mut returned),
        context,
    )?;
    let mut count = 0;
    let mut left_alone = Vec::new();
    let mut before = 0;
    let mut changes = Vec::with_capacity(plan.written().count());
    for targets in &all {
        for (row, id) in targets.ids.iter().enumerate() {
            if is_checkpoint(row) {
                context.check()?;
            }
            let columns = plan.written().zip(&targets.new);
            changes.clear();
            changes
                .extend(columns.map(|((column, expr), array)| {
                    (*column, value_at(array, expr.data_type, row))
                }));
            match writer.update(tx, *id, &changes, context)? {
                true => count += 1,
                false => left_alone.push(before + row),
            }
        }
        before += targets.ids.len();
    }
    writer.finish(tx, context)?;
    if let Some(returned) = &mut returned {
        returned.leave_out(&left_alone)?;
    }
    Changes::new(count, returned, context)
}

fn collect(
    plan: &Update,
    (scan, mut once): (&PhysicalPlan, Option<Once>),
    (tx, view): (&Transaction, &ReadView),
    (held, returned): (&mut Held, &mut Option<Returned<'_>>),
    context: &ExecContext,
) -> Result<Vec<Targets>> {
    let constraints = Constraints::of_update(plan).asking(tx).for_batches();
    let exprs = plan.assignments.iter();
    let exprs: Vec<_> = exprs
        .map(|(_, expr)| Evaluator::new(expr.clone()))
        .collect();
    let computed = plan.generated.iter();
    let generated = Generated::of(computed.filter_map(|(id, expr)| {
        let position = plan.table.def.position(*id)?;
        Some((position, expr.clone()))
    }));
    let mut pipeline = compile(scan, view, context)?;
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
        let new = new.collect::<Result<Vec<_>>>()?;
        let mut changed = batch;
        for ((column, _), array) in plan.assignments.iter().zip(new) {
            if let Some(position) = plan.table.def.position(*column) {
                changed.columns[position] = array;
            }
        }
        generated.fill(&mut changed, context)?;
        let positions = plan
            .written()
            .filter_map(|(id, _)| plan.table.def.position(*id));
        let positions: Vec<usize> = positions.collect();
        let new = positions
            .iter()
            .map(|position| changed.columns[*position].clone());
        let new = Batch::new(new.collect(), changed.rows).compact();
        held.grow(new.bytes() + size_of::<RowId>() * changed.rows, context)?;
        for (position, array) in positions.into_iter().zip(&new.columns) {
            changed.columns[position] = array.clone();
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

/// Rows that triggers are asked about: each is changed after all have been found.
fn scan_guarded(
    plan: &Update,
    (scan, mut once): (&PhysicalPlan, Option<Once>),
    view: &ReadView,
    (whole, mut writer): (&Whole, Writer<'_>),
    (tx, context): (&mut Transaction, &ExecContext),
) -> Result<Changes> {
    let mut held = Held::default();
    let mut returned = Returned::of(plan.returning.as_ref());
    let exprs = plan.assignments.iter();
    let exprs: Vec<_> = exprs
        .map(|(_, expr)| Evaluator::new(expr.clone()))
        .collect();
    let mut pipeline = compile(scan, view, context)?;
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
        let new = Batch::new(new.collect::<Result<Vec<_>>>()?, batch.rows).compact();
        let batch = batch.compact();
        held.grow(
            batch.bytes() + new.bytes() + size_of::<RowId>() * batch.rows,
            context,
        )?;
        all.push((ids, batch, new));
    }
    drop(pipeline);
    let mut count = 0;
    for (ids, batch, new) in &all {
        for (row, id) in ids.iter().enumerate() {
            context.check()?;
            let values = new.columns.iter().zip(&plan.assignments);
            let values = values.map(|(array, (_, expr))| value_at(array, expr.data_type, row));
            let values = values.map(|value| value.to_owned()).collect();
            let mut given = row_of(batch, &scan.schema, row);
            let shown = returned.as_mut();
            let shown = shown.map(|returned| (returned, given.as_mut_slice()));
            count += u64::from(whole.update(&mut writer, *id, values, shown, (tx, context))?);
        }
    }
    writer.finish(tx, context)?;
    Changes::new(count, returned, context)
}
