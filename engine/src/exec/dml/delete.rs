//! DELETE.

use super::super::ExecContext;
use super::super::compile::compile;
use super::super::foreign::Writer;
use super::super::memory::Held;
use super::super::point::find_to_change;
use super::{is_checkpoint, row_ids};
use crate::error::Result;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Delete, Target};
use remora_storage::{RowId, Transaction};

/// Runs a DELETE; returns the number of rows.
///
/// # Errors
/// 40001, 53200, and those of the statement's functions. The caller rolls back to its mark.
pub fn delete(plan: &Delete, tx: &mut Transaction, context: &ExecContext) -> Result<u64> {
    context.check()?;
    match &plan.target {
        Target::Point(lookup) => {
            let target = find_to_change(lookup, tx, context, |id, _| Ok(id))?;
            match target {
                Some(id) => {
                    let mut writer = Writer::of_delete(&plan.table, tx)?;
                    let deleted = writer.delete(tx, id, context)?;
                    writer.finish(tx, context)?;
                    Ok(u64::from(deleted))
                }
                None => Ok(0),
            }
        }
        Target::Scan(scan) => delete_scan(plan, scan, tx, context),
    }
}

fn delete_scan(
    plan: &Delete,
    scan: &PhysicalPlan,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<u64> {
    let mut held = Held::for_emergency();
    let mut ids: Vec<RowId> = Vec::new();
    let reading = context.reading();
    let mut pipeline = compile(scan, &tx.view(), &reading)?;
    while let Some(batch) = pipeline.next(&reading)? {
        let wanted = ids.len() + batch.rows;
        if wanted > ids.capacity() {
            let room = wanted.max(2 * ids.capacity());
            // The ids move: for a moment they are there twice.
            held.reach(size_of::<RowId>() * (room + ids.len()), context)?;
            ids.reserve_exact(room - ids.len());
        }
        ids.extend(row_ids(&batch));
    }
    drop(pipeline);
    let mut writer = Writer::of_delete(&plan.table, tx)?;
    let mut count = 0;
    for (number, id) in ids.into_iter().enumerate() {
        if is_checkpoint(number) {
            context.check()?;
        }
        count += u64::from(writer.delete(tx, id, context)?);
    }
    writer.finish(tx, context)?;
    Ok(count)
}
