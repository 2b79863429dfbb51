//! DELETE.

use super::super::ExecContext;
use super::super::compile::compile;
use super::super::eval::Row;
use super::super::memory::Held;
use super::super::point::find_to_change;
use super::super::trigger::begin;
use super::before_triggers::{delete_guarded, row_of};
use super::distinct_rows::Once;
use super::returning::{Changes, Returned};
use super::targets::Targets;
use super::{ids_of, instead_of, is_checkpoint};
use crate::error::Result;
use crate::exec::referential::Writer;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Delete, Lookup, Target};
use remora_storage::catalog::TriggerEvent;
use remora_storage::{RowId, Transaction, Value};

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
            let once = Once::new(Held::for_emergency());
            delete_scan(plan, scan, Some(once), tx, context)
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
    let mut writer = writer(plan, tx, context)?;
    let is_guarded = writer.is_guarded();
    let target = find_to_change(lookup, tx, context, |id, old| {
        let mut given = Vec::new();
        match &mut returned {
            Some(_) if is_guarded => {
                let columns = 0..plan.table.def.columns.len();
                given.extend(columns.map(|at| old.value(at).to_owned()));
            }
            Some(returned) => returned.row(old, context)?,
            None => {}
        }
        Ok((id, given))
    })?;
    let mut count = 0;
    if let Some((id, given)) = target {
        count = match is_guarded {
            true => remove(
                plan,
                &mut writer,
                (id, &given),
                &mut returned,
                (tx, context),
            )?,
            false => u64::from(writer.delete(tx, id, context)?),
        };
    }
    writer.finish(tx, context)?;
    Changes::new(count, returned, context)
}

/// What a DELETE removes with, after the triggers BEFORE it.
fn writer<'p>(plan: &'p Delete, tx: &mut Transaction, context: &ExecContext) -> Result<Writer<'p>> {
    let none = std::iter::empty();
    let firing = begin(&plan.table, TriggerEvent::Delete, none, tx, context)?;
    Ok(Writer::of_delete(&plan.table, tx)?.firing(firing))
}

/// Removes a row that triggers are asked about, and shows it.
fn remove(
    plan: &Delete,
    writer: &mut Writer<'_>,
    (id, given): (RowId, &[Value]),
    returned: &mut Option<Returned<'_>>,
    (tx, context): (&mut Transaction, &ExecContext),
) -> Result<u64> {
    if !delete_guarded(&plan.table, writer, id, tx, context)? {
        return Ok(0);
    }
    if let Some(returned) = returned {
        returned.row(given, context)?;
    }
    Ok(1)
}

fn delete_scan(
    plan: &Delete,
    scan: &PhysicalPlan,
    mut once: Option<Once>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let mut held = Held::for_emergency();
    let mut returned = Returned::of(plan.returning.as_ref());
    let reading = context.reading();
    let view = tx.view();
    let mut writer = writer(plan, tx, context)?;
    let is_guarded = writer.is_guarded();
    let mut targets = Targets::new(is_guarded || returned.is_some());
    let mut given = Vec::new();
    let mut pipeline = compile(scan, &view, &reading)?;
    while let Some(mut batch) = pipeline.next(&reading)? {
        if let Some(once) = &mut once {
            let ids = ids_of(&batch, plan.row_id);
            batch = once.first(batch, &ids, context)?;
        }
        targets.extend(ids_of(&batch, plan.row_id), &mut held, context)?;
        match &mut returned {
            Some(_) if is_guarded => {
                held.grow(batch.bytes(), context)?;
                given.extend((0..batch.rows).map(|row| row_of(&batch, &scan.schema, row)));
            }
            Some(returned) => returned.batch(&batch, context)?,
            None => {}
        }
    }
    drop((pipeline, once));
    let mut count = 0;
    let mut left_alone = Vec::new();
    for (number, id) in targets.iter().enumerate() {
        if is_checkpoint(number) {
            context.check()?;
        }
        if is_guarded {
            let given = given.get(number).map_or(&[][..], Vec::as_slice);
            count += remove(plan, &mut writer, (id, given), &mut returned, (tx, context))?;
            continue;
        }
        match writer.delete(tx, id, context)? {
            true => count += 1,
            false => left_alone.push(number),
        }
    }
    writer.finish(tx, context)?;
    if let Some(returned) = &mut returned
        && !is_guarded
    {
        returned.leave_out(&left_alone)?;
    }
    Changes::new(count, returned, context)
}
