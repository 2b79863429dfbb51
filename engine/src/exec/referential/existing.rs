//! Rows that are there already when a foreign key comes, or is to be validated.

use super::children::values;
use super::error;
use super::expired::is_past;
use super::link::Link;
use super::tracked_changes::Referring;
use crate::error::{Error, Result, state};
use crate::exec::Transaction;
use crate::exec::{BATCH_ROWS, ExecContext};
use remora_storage::TableId;

/// Tests whether all rows of a table that the transaction sees keep to its foreign key of a name.
///
/// # Errors
/// 23503, 57014 and its like.
pub(in crate::exec) fn test_rows(
    table: TableId,
    key: &str,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    // What was changed is seen from here on.
    tx.begin_command();
    let entry = tx.catalog().table_by_id(table);
    let keys = entry.iter().flat_map(|entry| &entry.def.foreign_keys);
    let found = keys.into_iter().find(|found| found.name == key);
    let (Some(entry), Some(def)) = (entry, found) else {
        let message = format!("foreign key \"{key}\" is not there");
        return Err(Error::new(state::INTERNAL_ERROR, message));
    };
    let mut referring = Referring::new(Link::new(tx.catalog(), table, def)?, true);
    let view = tx.view().unrecorded();
    let mut seen = 0_usize;
    view.for_each_row(entry, |_, row| {
        if (entry.def.expiry.as_ref()).is_some_and(|expiry| is_past(expiry, row, context)) {
            return Ok(());
        }
        seen += 1;
        if seen.is_multiple_of(BATCH_ROWS) {
            context.check()?;
        }
        referring.refer(values(row, &def.columns), tx, context)?;
        match referring.missing.entries().first() {
            Some(missing) => Err(error::missing(&referring.link, &missing.key)),
            None => Ok(()),
        }
    })
}
