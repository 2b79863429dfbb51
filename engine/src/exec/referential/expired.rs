//! Rows whose time has come, for what looks at rows past a scan: the checks of keys.

use crate::exec::{ExecContext, Transaction};
use remora_storage::catalog::{Expiry, TableEntry};
use remora_storage::transaction::RowRef;
use remora_storage::{RowId, ValueRef};

/// Whether a row that the transaction sees has expired.
#[inline]
pub(in crate::exec) fn has_expired(
    table: &TableEntry,
    row: RowId,
    tx: &Transaction,
    context: &ExecContext,
) -> bool {
    table.def.expiry.as_ref().is_some_and(|expiry| {
        let expired = tx.row_to_change(table, row, |row| is_past(expiry, row, context));
        expired == Some(true)
    })
}

/// Whether a row's time has come; that of a row without one never does.
pub(in crate::exec) fn is_past(expiry: &Expiry, row: &RowRef<'_>, context: &ExecContext) -> bool {
    match row.get(expiry.column) {
        ValueRef::TimestampTz(moment) => moment <= context.eval.clock.transaction_start(),
        _ => false,
    }
}
