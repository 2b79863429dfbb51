//! Holding rows: to change them later, or so that nobody else changes them.
//!
//! - A *lock* is a version with the same values: to others a write, which they lose against, or which loses
//!   against theirs. It is not logged, and is no change to those who have read the row. A transaction that has
//!   done nothing but lock is rolled back at its commit.
//! - A *share* keeps others from nothing. It is a read that is validated at every level of isolation: who
//!   commits something that relies on the row fails if the row was changed meanwhile. So those who share a
//!   row do not meet.
//!
//! Either comes in a form for those who would rather have another row: it records nothing of a row that
//! somebody else has, so that nothing depends on what becomes of it.

use super::reads::{Columns, Read, What};
use super::{RowRef, Transaction};
use crate::block::Written;
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::{RowId, TransactionId};
use crate::index::Key;
use crate::mvcc::Resolved;
use crate::value::ValueRef;
use crate::write_set::{Write, WriteKind};
use std::sync::Arc;

impl Transaction {
    /// Keeps others from changing a row until this transaction ends; `false` where this transaction does not
    /// see it (any more). A row that it holds already is not locked again.
    ///
    /// # Errors
    /// `Conflict` where another transaction has changed or locked it since the snapshot; `OutOfMemory`.
    pub fn lock(&mut self, table: &Arc<TableEntry>, row: RowId) -> Result<bool> {
        match self.try_lock(table, row)? {
            Written::Done => Ok(true),
            Written::Skipped => Ok(false),
            Written::Conflict(rival, has_committed) => {
                self.note_row(table, row, Columns::ALL);
                Err(self.conflict(table, row, (rival, has_committed)))
            }
        }
    }

    /// The same, but where another transaction was first it says `false`, too, and nothing of the row is
    /// recorded.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn lock_if_free(&mut self, table: &Arc<TableEntry>, row: RowId) -> Result<bool> {
        Ok(self.try_lock(table, row)? == Written::Done)
    }

    fn try_lock(&mut self, table: &Arc<TableEntry>, row: RowId) -> Result<Written> {
        if let Some(is_there) = self.holds(table, row) {
            return Ok(match is_there {
                true => Written::Done,
                false => Written::Skipped,
            });
        }
        let number = self.enter(table, false, || 0)?;
        let written = {
            let operation = self.registration.enter();
            let viewpoint = operation.viewpoint(self.command);
            // As if the command before had done it: this one may change what it has locked.
            let marker = self.registration.marker(self.command.saturating_sub(1));
            table.rows.update(row, &viewpoint, marker, &[])?
        };
        if matches!(written, Written::Conflict(_, true)) && self.revive(table, row, &[])? {
            return Ok(Written::Done);
        }
        if let Written::Conflict(rival, false) = written
            && table.rows.wait_departures(rival)
        {
            return self.try_lock(table, row);
        }
        if written == Written::Done {
            let (table, kind) = (number, WriteKind::Lock);
            self.set.push(Write { row, table, kind });
        }
        Ok(written)
    }

    /// Whether the row is there, if its newest state is this transaction's.
    fn holds(&self, table: &TableEntry, row: RowId) -> Option<bool> {
        let operation = self.registration.enter();
        let viewpoint = operation.viewpoint(self.command);
        let (block, slot) = table.rows.place(row, &operation)?;
        let newest = block.newest(slot, &operation);
        let resolved = viewpoint.resolve(|| newest.stamp());
        matches!(resolved, Resolved::Own(_)).then(|| newest.image().is_some())
    }

    /// Relies on these columns of a row that it sees: if it writes anything, its commit fails where another
    /// transaction has deleted the row, or changed one of them, since its snapshot. At every level.
    pub fn share(&self, table: &TableEntry, row: RowId, columns: Columns) {
        self.record(Read::row(table.def.id, row, columns));
    }

    /// As [`Self::share`], for who is told at once: it fails where another transaction has deleted the row
    /// or changed one of the columns since the snapshot, or may yet have. Who relies on all columns fails
    /// where it has only locked the row, too.
    ///
    /// # Errors
    /// `Conflict`.
    pub fn share_seen(&self, table: &TableEntry, row: RowId, columns: Columns) -> Result<()> {
        match self.rival_of(table, row, columns) {
            Some(rival) => {
                self.note_row(table, row, columns);
                Err(self.conflict(table, row, rival))
            }
            None => {
                self.share(table, row, columns);
                Ok(())
            }
        }
    }

    /// The same, but where another transaction was first it says `false`, and nothing of the row is
    /// recorded. Who is told what he has read is not asked beforehand: at the level where reads count, he
    /// relies on all columns.
    pub fn share_if_free(&self, table: &TableEntry, row: RowId, columns: Columns) -> bool {
        let is_free = self.rival_of(table, row, columns).is_none();
        if is_free {
            let relied_on = if self.records() {
                Columns::ALL
            } else {
                columns
            };
            self.share(table, row, relied_on);
        }
        is_free
    }

    /// Who has changed these columns of a row that this transaction sees, and whether he has committed: who
    /// has, if anybody.
    fn rival_of(
        &self,
        table: &TableEntry,
        row: RowId,
        columns: Columns,
    ) -> Option<(TransactionId, bool)> {
        let operation = self.registration.enter();
        let viewpoint = operation.viewpoint(self.command);
        let (block, slot) = table.rows.place(row, &operation)?;
        let states = || {
            let chain = block.chain(slot, &operation);
            chain.map(|link| (viewpoint.resolve(|| link.stamp()), link.image()))
        };
        let is_over = |resolved| {
            // Nobody else could come after an own change.
            matches!(resolved, Resolved::Own(_)) || viewpoint.sees_resolved(resolved)
        };
        let (resolved, seen) = states().find(|(resolved, _)| is_over(*resolved))?;
        let seen = seen.filter(|_| !matches!(resolved, Resolved::Own(_)))?;
        let is_change = |image: &Option<RowRef<'_>>| {
            let same = |now| columns.agree(&table.def, &seen, now);
            !image.as_ref().is_some_and(same)
        };
        let mut running = None;
        for (resolved, image) in states().take_while(|(resolved, _)| !is_over(*resolved)) {
            match resolved {
                // What the row is. Older states are past, and may be gone.
                Resolved::Committed(_) if is_change(&image) => {
                    return Some((viewpoint.rival(resolved), true));
                }
                Resolved::Committed(_) => break,
                // What may become of it. A lock is a change to who relies on everything.
                Resolved::Rival(_) if running.is_none() => {
                    let is_rival = columns == Columns::ALL || is_change(&image);
                    running = is_rival.then(|| (viewpoint.rival(resolved), false));
                }
                _ => {}
            }
        }
        running
    }

    /// Relies on which rows have a key: if it writes anything, its commit fails where one has come to have
    /// the key, or has it no more, since its snapshot. At every level.
    pub fn share_key(&self, table: &TableEntry, index: &IndexEntry, key: &[ValueRef<'_>]) {
        if key.iter().any(|value| value.is_null()) {
            return;
        }
        let mut bytes = Key::new();
        index.encode(&mut bytes, key);
        self.record(Read {
            table: table.def.id,
            columns: Columns::NONE,
            what: What::Key(index.def.id, Box::from(&*bytes)),
        });
    }
}
