//! DELETE.

use super::super::ExecContext;
use super::super::compile::compile;
use super::super::foreign::Writer;
use super::super::memory::Held;
use super::super::point::find_to_change;
use super::once::Once;
use super::returned::{Changes, Returned};
use super::{RowIds, is_checkpoint, row_ids};
use crate::error::Result;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Delete, Lookup, Target};
use remora_storage::Transaction;

/// Runs a DELETE.
///
/// # Errors
/// 40001, 53200, and those of the statement's functions. The caller rolls back to its mark.
pub fn delete(plan: &Delete, tx: &mut Transaction, context: &ExecContext) -> Result<Changes> {
    context.check()?;
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
    let target = find_to_change(lookup, tx, context, |id, old| {
        if let Some(returned) = &mut returned {
            returned.row(old, context)?;
        }
        Ok(id)
    })?;
    let mut count = 0;
    if let Some(id) = target {
        let mut writer = Writer::of_delete(&plan.table, tx)?;
        count = u64::from(writer.delete(tx, id, context)?);
        writer.finish(tx, context)?;
    }
    Changes::new(count, returned, context)
}

fn delete_scan(
    plan: &Delete,
    scan: &PhysicalPlan,
    mut once: Option<Once>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let mut held = Held::for_emergency();
    let mut ids = RowIds::default();
    let mut returned = Returned::of(plan.returning.as_ref());
    let reading = context.reading();
    let mut pipeline = compile(scan, &tx.view(), &reading)?;
    while let Some(mut batch) = pipeline.next(&reading)? {
        if let Some(once) = &mut once {
            let ids = row_ids(&batch, &plan.table);
            batch = once.first(batch, &ids, context)?;
        }
        ids.extend(row_ids(&batch, &plan.table), &mut held, context)?;
        if let Some(returned) = &mut returned {
            returned.batch(&batch, context)?;
        }
    }
    drop((pipeline, once));
    let mut writer = Writer::of_delete(&plan.table, tx)?;
    let mut count = 0;
    for (number, id) in ids.into_iter().enumerate() {
        if is_checkpoint(number) {
            context.check()?;
        }
        count += u64::from(writer.delete(tx, id, context)?);
    }
    writer.finish(tx, context)?;
    Changes::new(count, returned, context)
}
