//! INSERT, UPDATE, DELETE: what a statement changes is known before its first change.
//!
//! 1. Rows come from expressions, from a query, or by key (the point path).
//! 2. NOT NULL and CHECK are tested ([`constraint`]), over whole batches where there are batches.
//! 3. UPDATE and DELETE collect RowIds and new values of all their rows, and only then touch the
//!    first. INSERT needs not: the rows it adds belong to its own command, which its view does not
//!    show, so a query that reads the table it fills comes to an end.
//! 4. Storage is handed one row at a time, by a [`Writer`](super::foreign::Writer), which sees to foreign keys;
//!    unique keys and conflicts are storage's affair.
//!
//! An error anywhere leaves rows of this statement behind: the caller, who marked the transaction
//! before, rolls back to its mark.

mod constraint;
mod delete;
mod insert;
mod update;

pub(super) use constraint::Constraints;
pub use delete::delete;
pub use insert::insert;
pub(super) use update::Changed;
pub use update::update;

use super::batch::Batch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use remora_storage::RowId;

/// The RowIds of a batch of targets: its last column.
fn row_ids(batch: &Batch) -> Vec<RowId> {
    let Some(ids) = batch.columns.last() else {
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
