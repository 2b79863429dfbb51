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

use super::reads::Columns;
use super::{RowRef, Transaction};
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::{Conflict, Error, Result, Rule};
use crate::ids::{RowId, TransactionId};
use crate::index::Key;
use crate::mvcc::Resolved;
use crate::value::ValueRef;

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

    /// Fails if another row has the key that a row has by now, or may come to have it: the check of a constraint
    /// whose index took the key as it came. A row that is gone, or has a NULL in the key, is fine.
    ///
    /// # Errors
    /// `UniqueViolation`, `Conflict`.
    pub fn check_key(&self, table: &TableEntry, index: &IndexEntry, row: RowId) -> Result<()> {
        let Some(key) = self.key_now(table, index, row) else {
            return Ok(());
        };
        let _latch = index.latch(&key);
        self.check_unique(table, index, &key, row)
    }

    /// The key that a row has by now; `None` where it is gone, or has a NULL in it.
    fn key_now(&self, table: &TableEntry, index: &IndexEntry, row: RowId) -> Option<Key> {
        let mut key = Key::new();
        let has_key = self.row_to_change(table, row, |image| !index.encode_row(&mut key, image));
        (has_key == Some(true) && !index.leaves_out(&key)).then_some(key)
    }

    /// Another row that has the key of a row, as for [`Self::check_key`].
    ///
    /// # Errors
    /// `Conflict`.
    pub fn key_rival(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        row: RowId,
    ) -> Result<Option<RowId>> {
        let Some(key) = self.key_now(table, index, row) else {
            return Ok(None);
        };
        let found = index.index.find_map(&key, |other| match other == row {
            true => None,
            false => {
                let held = self.held(table, index, &key, other, |_, _| other);
                held.transpose()
            }
        });
        found.transpose()
    }

    fn check_other(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        key: &[u8],
        row: RowId,
    ) -> Result<()> {
        let held = self.held(table, index, key, row, |image, _| {
            duplicate(table, index, image)
        })?;
        held.map_or(Ok(()), Err)
    }

    /// What `read` makes of the row, if it has the key for sure; it is told who gave it that.
    ///
    /// # Errors
    /// `Conflict` where the row may have the key.
    fn held<T>(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        key: &[u8],
        row: RowId,
        read: impl FnOnce(&RowRef<'_>, Resolved) -> T,
    ) -> Result<Option<T>> {
        let operation = self.registration.enter();
        let Some((block, slot)) = table.rows.place(row, &operation) else {
            return Ok(None);
        };
        // To the unique check, this command's own rows count as well.
        let viewpoint = operation.viewpoint(u64::MAX);
        // A row that the system has deleted is there for who still sees it, and only for him.
        let departed = match table.def.loses_rows() {
            true => self.departure(table, row, &operation),
            false => None,
        };
        let mut rival = None;
        let mut has_committed = false;
        for link in block.chain(slot, &operation) {
            let resolved = viewpoint.resolve(|| link.stamp());
            let is_seen = viewpoint.sees_resolved(resolved);
            if !is_seen && (resolved == Resolved::Nothing || departed.is_some()) {
                // Rolled back, or being so.
                continue;
            }
            if !is_seen && rival.is_none() {
                let has_committed = matches!(resolved, Resolved::Committed(_));
                rival = Some((viewpoint.rival(resolved), has_committed));
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
                return match rival {
                    None => Ok(Some(read(&image, resolved))),
                    Some((rival, false)) if table.rows.wait_departures(rival) => {
                        self.held(table, index, key, row, read)
                    }
                    Some((rival, has_committed)) => Err(Conflict {
                        table: table.def.name.clone(),
                        key: table.describe_row(row, Some(&image)),
                        rule: Rule::UniqueKey,
                        rival,
                        has_committed,
                    }
                    .error()),
                };
            }
            if is_seen {
                // Older states are the past of what this transaction sees.
                break;
            }
        }
        Ok(None)
    }
}

/// The row that has a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyHolder {
    /// Which.
    pub row: RowId,
    /// Whether the command that asks has written it: it does not see it, or not like this.
    pub is_of_command: bool,
}

impl Transaction {
    /// The row whose key in a unique index is that of a row that might be inserted, `values`, in the order
    /// of the table's columns. As for the unique check the latest state counts. Nothing is recorded: who
    /// finds a row changes it, or [relies](Self::note_holder) on it; who finds none inserts his own, and
    /// meets whoever comes between.
    ///
    /// # Errors
    /// `Conflict` where another transaction that has not committed, or has since the snapshot, may have given the
    /// key to a row, or may have taken it away.
    pub fn key_holder(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        values: &[ValueRef<'_>],
    ) -> Result<Option<KeyHolder>> {
        let mut key = Key::new();
        if index.encode_new(&mut key, &table.def, values) || index.leaves_out(&key) {
            return Ok(None);
        }
        let found = index.index.find_map(&key, |row| {
            let held = self.held(table, index, &key, row, |_, resolved| KeyHolder {
                row,
                is_of_command: resolved == Resolved::Own(self.command),
            });
            held.transpose()
        });
        found.transpose()
    }

    /// Records that a row has the key of an index, and what else was read of it.
    pub fn note_holder(&self, table: &TableEntry, index: &IndexEntry, row: RowId, all: bool) {
        let columns = match all {
            true => Columns::ALL,
            false => Columns::of(index.def.columns.iter().map(|key| key.column)),
        };
        self.note_row(table, row, columns);
    }
}

/// What is known of a row and a key.
#[derive(Default)]
struct Holding {
    /// The row has the key, or may come to have it.
    is_latest: bool,
    /// The transaction sees it with this key.
    is_seen: bool,
    /// Who has changed the row, without committing that.
    rival: Option<TransactionId>,
    /// Who has changed it last, if the transaction does not see that.
    changed_by: Option<TransactionId>,
    /// The key, where the row has it, as errors name it.
    key: Option<String>,
}

impl Transaction {
    /// Fails if two rows have the key of a unique index that is being made, may come to have it, or
    /// have it in the snapshot.
    ///
    /// # Errors
    /// `DuplicateKeys` where two rows have it for sure, else `Conflict`.
    pub(super) fn check_singular(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        key: &[u8],
    ) -> Result<()> {
        let _latch = index.latch(key);
        let mut holding = Vec::new();
        let _: Option<()> = index.index.find_map(key, |row| {
            holding.push((row, self.holding(table, index, key, row)));
            None
        });
        let count = |is: fn(&Holding) -> bool| holding.iter().filter(|(_, row)| is(row)).count();
        if count(|row| row.is_latest && row.rival.is_none()) > 1 {
            let key = holding.iter().find_map(|(_, row)| row.key.as_deref());
            return Err(Error::DuplicateKeys {
                index: index.def.name.clone(),
                detail: format!("Key {} is duplicated.", key.expect("rows have it")),
            });
        }
        if count(|row| row.is_latest) < 2 && count(|row| row.is_seen) < 2 {
            return Ok(());
        }
        let mut rivals = holding.iter().filter_map(|(row, holding)| {
            let rival = holding.rival.or(holding.changed_by)?;
            Some((*row, (rival, holding.rival.is_none())))
        });
        let (row, rival) = rivals.next().expect("somebody has changed one of them");
        Err(self.conflict(table, row, rival))
    }

    fn holding(&self, table: &TableEntry, index: &IndexEntry, key: &[u8], row: RowId) -> Holding {
        let mut holding = Holding::default();
        let operation = self.registration.enter();
        let Some((block, slot)) = table.rows.place(row, &operation) else {
            return holding;
        };
        let viewpoint = operation.viewpoint(u64::MAX);
        let mut has_committed = false;
        for link in block.chain(slot, &operation) {
            let resolved = viewpoint.resolve(|| link.stamp());
            let is_seen = viewpoint.sees_resolved(resolved);
            // As in `check_other`: what is past is not looked at.
            if !is_seen && (resolved == Resolved::Nothing || has_committed) {
                continue;
            }
            let image = link.image().filter(|image| index.has_key(image, key));
            let has_key = image.is_some();
            holding.is_latest |= has_key && !has_committed;
            holding.key = holding
                .key
                .or(image.map(|image| table.describe_key(index, &image)));
            if is_seen {
                holding.is_seen = has_key;
                break;
            }
            let rival = viewpoint.rival(resolved);
            holding.changed_by.get_or_insert(rival);
            match resolved {
                Resolved::Committed(_) => has_committed = true,
                _ => holding.rival = Some(rival),
            }
        }
        holding
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
