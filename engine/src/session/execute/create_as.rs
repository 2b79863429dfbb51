//! CREATE TABLE .. AS: a table, and then an INSERT into it.

use super::sequences;
use crate::error::Result;
use crate::exec::Transaction;
use crate::exec::{self, ExecContext};
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Insert, InsertSource};
use remora_storage::catalog::TableDef;
use std::sync::Arc;

/// Makes the table; returns how many rows it got.
pub(in crate::session) fn create_table_as(
    table: &TableDef,
    rows: Option<&PhysicalPlan>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<u64> {
    let id = sequences::create_table(tx, table, &[])?;
    let Some(rows) = rows else {
        return Ok(0);
    };
    let table = tx.catalog().table_by_id(id);
    let table = Arc::clone(table.expect("it was just made"));
    let insert = Insert {
        table,
        source: InsertSource::Query(Box::new(rows.clone())),
        checks: Vec::new(),
        generated: Vec::new(),
        on_conflict: None,
        returning: None,
    };
    Ok(exec::insert(&insert, tx, context)?.rows)
}
