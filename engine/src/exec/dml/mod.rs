//! INSERT, UPDATE, DELETE: what a statement changes is known before its first change.
//!
//! 1. Rows come from expressions, from a query, or by key (the point path).
//! 2. Generated columns are computed ([`generated`]).
//! 3. NOT NULL and CHECK are tested ([`constraint`]), over whole batches where there are batches.
//! 4. UPDATE and DELETE collect RowIds and new values of all their rows, and only then touch the
//!    first. INSERT needs not: the rows it adds belong to its own command, which its view does not
//!    show, so a query that reads the table it fills comes to an end.
//! 5. Storage is handed one row at a time, by a [`RowWriter`], which fires triggers and sees to foreign keys;
//!    unique keys and conflicts are storage's affair.
//! 6. ON CONFLICT looks for the row that has the key before a row is inserted ([`on_conflict`]).
//! 7. MERGE finds out what is to be done with each row before it does anything ([`merge`]).
//! 8. Where triggers fire before each row, steps 2 and 3 come after them, row by row ([`before_triggers`]).
//! 9. RETURNING is evaluated where the values are at hand, and kept until the statement is done ([`returning`]).
//!
//! An error anywhere leaves rows of this statement behind: the caller, who marked the transaction
//! before, rolls back to its mark.

mod before_triggers;
mod constraint;
mod correlated;
mod delete;
mod distinct_rows;
mod generated;
mod insert;
mod instead_of;
mod merge;
mod on_conflict;
mod returning;
mod row_writer;
mod targets;
mod truncate;
mod update;

pub(super) use constraint::Constraints;
pub(crate) use delete::delete;
pub(super) use insert::Inserter;
pub(crate) use insert::insert;
pub(crate) use merge::merge;
pub(crate) use returning::{Changes, Shown};
pub(super) use row_writer::RowWriter;
pub(crate) use row_writer::sweep;
pub(super) use row_writer::sweep_all;
pub(crate) use truncate::{empty, truncate};
pub(super) use update::RowUpdate;
pub(crate) use update::update;

use super::batch::Batch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use remora_storage::RowId;
use remora_storage::catalog::TableEntry;

/// The RowIds of a batch of targets: the column behind those of the table.
fn row_ids(batch: &Batch, table: &TableEntry) -> Vec<RowId> {
    ids_of(batch, table.def.columns.len())
}

/// The RowIds in a column of a batch.
fn ids_of(batch: &Batch, column: usize) -> Vec<RowId> {
    let Some(ids) = batch.columns.get(column) else {
        return Vec::new();
    };
    let ids = ids.as_primitive::<Int64Type>().values();
    ids.iter().map(|id| RowId(*id as u64)).collect()
}

/// Rows between two looks at the interrupt: each may take some microseconds.
const CHECK_ROWS: usize = 128;

/// Whether a loop over rows should ask for interrupts at this one.
pub(super) fn is_checkpoint(row: usize) -> bool {
    row.is_multiple_of(CHECK_ROWS)
}
