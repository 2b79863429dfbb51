//! TRUNCATE: tables get new rows and indexes, of which there are none.
//!
//! The old ones stay as long as a snapshot sees them, and go as a whole: no row is touched, nothing is undone row by
//! row, and a full database can be emptied. As for DROP TABLE, other transactions that have written to the table
//! conflict. No foreign key can be broken: tables that refer to one of these are among them.

use super::row_writer::{RowWriter, finish_all};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::plan::statement::Truncate;
use remora_storage::catalog::TriggerEvent;
use remora_storage::{RowId, TableId};

/// Empties the tables. Sequences are the session's affair.
///
/// # Errors
/// 40001, 53200, and those of triggers. The caller rolls back to its mark.
pub(crate) fn truncate(plan: &Truncate, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
    let mut writers = Vec::with_capacity(plan.tables.len());
    for table in &plan.tables {
        writers.push(RowWriter::begin(
            table,
            TriggerEvent::Truncate,
            [],
            tx,
            context,
        )?);
    }
    for table in &plan.tables {
        context.check()?;
        match plan.tables.len() {
            1 => empty(table.def.id, tx)?,
            // One without rows, too: a row that came would refer to one that goes.
            _ => tx.empty_table(table.def.id)?,
        }
    }
    finish_all(writers, tx, context)
}

/// Gives a table new rows and indexes, of which there are none. Nothing happens where it never had any: who is about to
/// add some commits before or after.
///
/// # Errors
/// 40001 where other transactions have written to it.
pub(crate) fn empty(table: TableId, tx: &mut Transaction) -> Result<()> {
    let entry = tx.catalog().table_by_id(table);
    let has_rows = entry.is_some_and(|entry| entry.rows.next_row() > RowId(0));
    match has_rows {
        true => Ok(tx.empty_table(table)?),
        false => Ok(()),
    }
}
