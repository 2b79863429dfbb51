//! Unique constraints that can be deferred: their indexes take any key, and rows are looked at afterwards, at the
//! end of the statement or of the transaction.
//!
//! So `UPDATE t SET k = k + 1` passes through states in which two rows have one key. What was noted is the row, not
//! its key: the key that it has when it is looked at is the one that counts.
//!
//! **Beside other transactions** the look is that of any unique key (`storage/src/transaction/unique.rs`), and a
//! row's own entry is in the index before it. Of two who add one key, at least the one that looks last finds
//! the other's: 40001, or 23505 where that was committed before.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::dml::sweep;
use crate::exec::memory::Held;
use remora_storage::catalog::{Deferral, IndexEntry, TableEntry};
use remora_storage::{ColumnId, Error as StorageError, IndexId, RowId, TableId};
use std::sync::Arc;

/// Rows that are remembered before memory is asked for them.
const FREE_ROWS: usize = 128;
/// Rows between two looks at the interrupt.
const CHECK_ROWS: usize = 128;

/// Rows whose keys in an index have come.
#[derive(Debug)]
pub(super) struct UniqueKeys {
    pub(super) table: TableId,
    pub(super) index: IndexId,
    /// The constraint's.
    pub(super) name: String,
    pub(super) deferral: Deferral,
    /// Those of the key.
    columns: Vec<ColumnId>,
    rows: Vec<RowId>,
    held: Held,
}

/// Whether a table has such constraints.
pub(super) fn has_some(table: &TableEntry) -> bool {
    let mut indexes = table.indexes.iter();
    indexes.any(|index| index.def.deferral != Deferral::Never)
}

/// Those of a table some of whose columns are set, where `is_set` says so.
pub(super) fn of_table(
    table: &TableEntry,
    is_set: impl Fn(&[ColumnId]) -> bool,
) -> Vec<UniqueKeys> {
    let indexes = table.indexes.iter();
    let deferrable = indexes.filter(|index| index.def.deferral != Deferral::Never);
    let keys = deferrable.map(|index: &Arc<IndexEntry>| UniqueKeys {
        table: table.def.id,
        index: index.def.id,
        name: index.def.name.clone(),
        deferral: index.def.deferral,
        columns: index.def.columns.iter().map(|key| key.column).collect(),
        rows: Vec::new(),
        held: Held::default(),
    });
    keys.filter(|keys| is_set(&keys.columns)).collect()
}

impl UniqueKeys {
    /// Notes a row of which these columns were set, or all.
    pub(super) fn note(
        &mut self,
        row: RowId,
        set: Option<&[ColumnId]>,
        context: &ExecContext,
    ) -> Result<()> {
        let is_set = |column: &ColumnId| set.is_none_or(|set| set.contains(column));
        if !self.columns.iter().any(is_set) {
            return Ok(());
        }
        self.push(row, context)
    }

    fn push(&mut self, row: RowId, context: &ExecContext) -> Result<()> {
        if self.rows.len() == self.rows.capacity() && self.rows.len() >= FREE_ROWS {
            let room = 2 * self.rows.capacity();
            self.held
                .reach(size_of::<RowId>() * (room + self.rows.len()), context)?;
            self.rows.reserve_exact(room - self.rows.len());
        }
        self.rows.push(row);
        Ok(())
    }

    /// Whether nothing was noted.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds what was noted of the same constraint.
    pub(super) fn append(&mut self, other: Self, context: &ExecContext) -> Result<()> {
        other
            .rows
            .iter()
            .try_for_each(|row| self.push(*row, context))
    }
}

/// Fails where another row has the key of one that was noted, and has not expired: then it is deleted.
///
/// # Errors
/// 23505, 40001, 57014 and its like, and those of what foreign keys say of deletions.
pub(super) fn check_keys(
    keys: &UniqueKeys,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    // It may have been dropped since.
    let Some((table, index)) = tx.catalog().index_by_id(keys.index) else {
        return Ok(());
    };
    let (table, index) = (Arc::clone(table), Arc::clone(index));
    for (number, row) in keys.rows.iter().enumerate() {
        if number.is_multiple_of(CHECK_ROWS) {
            context.check()?;
        }
        while let Err(refused) = tx.check_key(&table, &index, *row) {
            let is_key = matches!(refused, StorageError::UniqueViolation { .. });
            let rival = match is_key && table.def.expiry.is_some() {
                true => tx.key_rival(&table, &index, *row)?,
                false => None,
            };
            let gone = match rival {
                Some(rival) => sweep(&table, &[rival], tx, context)?,
                None => 0,
            };
            if gone == 0 {
                return Err(refused.into());
            }
        }
    }
    Ok(())
}
