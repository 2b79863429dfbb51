//! Deletes rows that have expired, where nobody waits for it.

use super::row_writer::RowWriter;
use crate::error::Result;
use crate::exec::referential::has_expired;
use crate::exec::{ExecContext, Transaction};
use remora_storage::catalog::{TableEntry, TriggerEvent};
use remora_storage::{ColumnId, RowId};
use std::sync::Arc;

/// Deletes those of the rows that have expired, and does with what refers to them as foreign keys say; triggers of the table
/// do not fire. Returns how many there were.
///
/// # Errors
/// 40001, and those of the actions of foreign keys; the caller rolls back.
pub(crate) fn sweep(
    table: &Arc<TableEntry>,
    rows: &[RowId],
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<u64> {
    let change = (TriggerEvent::Delete, &[] as &[ColumnId]);
    let mut writer = RowWriter::with_triggers(table, change, None, tx)?;
    let mut swept = 0;
    for row in rows {
        if has_expired(table, *row, tx, context) && writer.delete(tx, *row, context)? {
            swept += 1;
        }
    }
    writer.finish(tx, context)?;
    Ok(swept)
}
