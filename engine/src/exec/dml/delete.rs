//! DELETE: a row by key, or those of a plan.

use super::before_triggers::row_of;
use super::distinct_rows::DistinctRows;
use super::returning::{Changes, Returned};
use super::row_writer::RowWriter;
use super::targets::Targets;
use super::{ids_of, instead_of, is_checkpoint};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::compile::compile;
use crate::exec::eval::Row;
use crate::exec::memory::Held;
use crate::exec::point::find_to_change;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Delete, Lookup, Target};
use remora_storage::catalog::TriggerEvent;
use remora_storage::{RowId, Value};

/// Runs a DELETE.
///
/// # Errors
/// 40001, 53200, and those of the statement's functions. The caller rolls back to its mark.
pub(crate) fn delete(
    plan: &Delete,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    context.check()?;
    if !plan.table.def.triggers.is_empty() && instead_of::is_stand_in(&plan.table) {
        return instead_of::delete(plan, tx, context);
    }
    match &plan.target {
        Target::Point(lookup) => delete_point(plan, lookup, tx, context),
        Target::Scan(scan) => delete_scan(plan, scan, None, tx, context),
        Target::Joined(scan) => {
            let distinct = DistinctRows::new(Held::for_emergency());
            delete_scan(plan, scan, Some(distinct), tx, context)
        }
    }
}

fn delete_point(
    plan: &Delete,
    lookup: &Lookup,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let mut returned = Returned::of(plan.returning.as_ref());
    let mut writer = RowWriter::begin(&plan.table, TriggerEvent::Delete, [], tx, context)?;
    let by_row = writer.fires_before_rows();
    let target = find_to_change(lookup, tx, context, |id, old| {
        let mut shown = Vec::new();
        match &mut returned {
            Some(_) if by_row => {
                let columns = 0..plan.table.def.columns.len();
                shown.extend(columns.map(|at| old.value(at).to_owned()));
            }
            Some(returned) => returned.row(old, context)?,
            None => {}
        }
        Ok((id, shown))
    })?;
    let mut count = 0;
    if let Some((id, shown)) = target {
        let target = (id, shown.as_slice());
        let deleted = remove(&mut writer, target, returned.as_deref_mut(), (tx, context))?;
        count = u64::from(deleted);
    }
    writer.finish(tx, context)?;
    Changes::new(count, returned, context)
}

/// Deletes a row; where triggers fire before it, RETURNING is evaluated afterwards, over `shown`.
fn remove(
    writer: &mut RowWriter<'_>,
    (id, shown): (RowId, &[Value]),
    returned: Option<&mut Returned<'_>>,
    (tx, context): (&mut Transaction, &ExecContext),
) -> Result<bool> {
    let deleted = writer.delete(tx, id, context)?;
    if deleted
        && writer.fires_before_rows()
        && let Some(returned) = returned
    {
        returned.row(shown, context)?;
    }
    Ok(deleted)
}

fn delete_scan(
    plan: &Delete,
    scan: &PhysicalPlan,
    mut distinct: Option<DistinctRows>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let mut held = Held::for_emergency();
    let mut returned = Returned::of(plan.returning.as_ref());
    let reading = context.reading();
    let view = tx.view();
    let mut writer = RowWriter::begin(&plan.table, TriggerEvent::Delete, [], tx, context)?;
    let by_row = writer.fires_before_rows();
    let mut targets = Targets::new(by_row || returned.is_some());
    let mut shown = Vec::new();
    let mut pipeline = compile(scan, &view, &reading)?;
    while let Some(mut batch) = pipeline.next(&reading)? {
        if let Some(distinct) = &mut distinct {
            let ids = ids_of(&batch, plan.row_id);
            batch = distinct.first(batch, &ids, context)?;
        }
        targets.extend(ids_of(&batch, plan.row_id), &mut held, context)?;
        match &mut returned {
            Some(_) if by_row => {
                held.grow(batch.bytes(), context)?;
                shown.extend((0..batch.rows).map(|row| row_of(&batch, &scan.schema, row)));
            }
            Some(returned) => returned.batch(&batch, context)?,
            None => {}
        }
    }
    drop((pipeline, distinct));
    let mut count = 0;
    let mut left_alone = Vec::new();
    let level = context.eval.memory.level();
    for (number, id) in targets.iter().enumerate() {
        context.eval.memory.back_to(level);
        if is_checkpoint(number) {
            context.check()?;
        }
        let target = (id, shown.get(number).map_or(&[][..], Vec::as_slice));
        match remove(&mut writer, target, returned.as_deref_mut(), (tx, context))? {
            true => count += 1,
            false if by_row => {}
            false => left_alone.push(number),
        }
    }
    writer.finish(tx, context)?;
    if let Some(returned) = &mut returned {
        returned.leave_out(&left_alone)?;
    }
    Changes::new(count, returned, context)
}
