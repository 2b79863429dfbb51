//! The unique check: tests the *latest* state of every row that has an entry for the key.
//!
//! ```text
//!   newest state of the row                        its key is the wanted one     otherwise
//!   this transaction's, or in its snapshot         23505                         fine
//!   a rival's, uncommitted or after the snapshot   40001                         40001 if the row had
//!                                                                                the key, else fine
//! ```
//!
//! States between the newest committed one and the one in the snapshot do not count: some of them may
//! have been collected, and none of them can come back.
//!
//! A rival that deleted the key may roll back, or has freed it after the snapshot: both ways this
//! transaction must not decide on what it sees. It is done only where the index has an entry of the
//! key: adding the first one and finding that it is the first are one step. So of two concurrent
//! inserts of one key the second finds the first's entry. Who finds one holds the key's latch, so
//! that none of the entries goes before its own has come.

use super::{RowRef, Transaction};
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::{Error, Result};
use crate::ids::RowId;
use crate::mvcc::Resolved;

impl Transaction {
    /// Fails if another row than `own` has the key, or may come to have it.
    pub(super) fn check_unique(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        key: &[u8],
        own: RowId,
    ) -> Result<()> {
        let failure = index.index.find_map(key, |row| match row == own {
            true => None,
            false => self.check_other(table, index, key, row).err(),
        });
        failure.map_or(Ok(()), Err)
    }

    fn check_other(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        key: &[u8],
        row: RowId,
    ) -> Result<()> {
        let operation = self.registration.enter();
        let Some((block, slot)) = table.rows.place(row, &operation) else {
            return Ok(());
        };
        // To the unique check, this command's own rows count as well.
        let viewpoint = operation.viewpoint(u64::MAX);
        let mut rival = None;
        let mut has_committed = false;
        for link in block.chain(slot, &operation) {
            let resolved = viewpoint.resolve(|| link.stamp());
            let is_seen = viewpoint.sees_resolved(resolved);
            if !is_seen && resolved == Resolved::Nothing {
                // Rolled back, or being so.
                continue;
            }
            if !is_seen && rival.is_none() {
                rival = Some(viewpoint.rival(resolved));
            }
            let is_past = has_committed && !is_seen;
            has_committed |= matches!(resolved, Resolved::Committed(_));
            if is_past {
                // Neither what the row is nor what this transaction sees of it. That may go at any
                // time, and a base row may be overwritten.
                continue;
            }
            if let Some(image) = link.image()
                && index.has_key(&image, key)
            {
                return Err(match rival {
                    None => duplicate(table, index, &image),
                    Some(rival) => Error::Conflict {
                        table: table.def.name.clone(),
                        key: table.describe_row(row, Some(&image)),
                        rival,
                    },
                });
            }
            if is_seen {
                // Older states are the past of what this transaction sees.
                break;
            }
        }
        Ok(())
    }
}

/// The error for a key that another row has.
fn duplicate(table: &TableEntry, index: &IndexEntry, row: &RowRef<'_>) -> Error {
    Error::UniqueViolation {
        table: table.def.name.clone(),
        constraint: index.def.name.clone(),
        detail: format!("Key {} already exists.", table.describe_key(index, row)),
    }
}
