//! TRUNCATE: all rows of some tables go, and are looked at together by what refers to them.

use super::super::ExecContext;
use super::super::compile::compile;
use super::super::foreign::{Writer, finish_all};
use super::super::memory::Held;
use super::super::trigger::begin;
use super::{RowIds, ids_of, is_checkpoint};
use crate::error::Result;
use crate::plan::statement::Truncate;
use remora_storage::Transaction;
use remora_storage::catalog::TriggerEvent;

/// Empties the tables. Sequences are the session's affair.
///
/// # Errors
/// 40001, 53200. The caller rolls back to its mark.
pub fn truncate(plan: &Truncate, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
    let mut held = Held::for_emergency();
    let reading = context.reading();
    let view = tx.view();
    let mut all = Vec::with_capacity(plan.tables.len());
    for (_, scan) in &plan.tables {
        let mut ids = RowIds::default();
        let mut pipeline = compile(scan, &view, &reading)?;
        while let Some(batch) = pipeline.next(&reading)? {
            ids.extend(ids_of(&batch, 0), &mut held, context)?;
        }
        all.push(ids);
    }
    drop(view);
    let mut fired = Vec::with_capacity(plan.tables.len());
    for (table, _) in &plan.tables {
        let none = std::iter::empty();
        fired.push(begin(table, TriggerEvent::Truncate, none, tx, context)?);
    }
    let mut writers = Vec::with_capacity(plan.tables.len());
    for (((table, _), ids), firing) in plan.tables.iter().zip(all).zip(fired) {
        let mut writer = Writer::of_delete(table, tx)?.firing(firing);
        for (number, id) in ids.into_iter().enumerate() {
            if is_checkpoint(number) {
                context.check()?;
            }
            writer.delete(tx, id, context)?;
        }
        writers.push(writer);
    }
    // Only now: a table that refers to another one of these is empty as well.
    finish_all(writers, tx, context)
}
