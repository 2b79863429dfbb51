//! Building an index while others go on writing to its table.
//!
//! ```text
//!   builder                                         writers, collector, rollbacks
//!   lists the index as late                         note keys that come and go
//!   gathers keys, block by block
//!   sorts them, builds the tree on all cores
//!   ends the filling                                add and remove entries, check unique keys
//!   settles what was noted
//!   looks for keys that two rows have
//!   commits: publishes the catalog
//!   (the horizon passes the commit)                 those who find it only in the list are gone
//! ```
//!
//! 1. The index is *listed* ([`crate::catalog::LateIndexes`]): from now on whoever gives a key to a
//!    row finds it, whatever catalog he has.
//! 2. The keys of all states that somebody may reach are gathered, also those of states that rivals
//!    have not committed. Readers look at the row anyway, so that an entry too many does no harm.
//!    A version is in its chain before its writer looks at the list: so each is either gathered or
//!    noted.
//! 3. What was noted meanwhile is *settled*: the row is looked at once more, and has the entry or
//!    does not. A state that was taken back or collected after its keys were gathered is among
//!    that: who unlinks states does so under the collector's lock, which gathering takes as well,
//!    and finds the index in the list afterwards.
//! 4. A unique index is checked by writers from the end of the filling on. Of two rows with one key
//!    either one was written after the other's entry was there, and was refused; or both were
//!    gathered or noted by then, or were added while notes were being settled: one of them is noted
//!    or both are gathered, and the builder looks at the key, under its latch.
//!
//! Older snapshots do not have the index in their catalog and do not use it. Newer ones see states
//! that were gathered or came later. The builder's own snapshot lies between: the state that it sees
//! was gathered, too, since it holds the horizon.
//!
//! A writer whom a listed index refuses a key gets a conflict and no violation: the index may be
//! taken back yet, and he could not know of it. Rolled back, or failed, the index goes off the list, and
//! is freed when the last writer who has found it there lets go.

use super::Transaction;
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::RowId;
use crate::index::Batch;
use crate::mvcc::Grace;
use crate::stop::Stop;
use crate::sync::{Fault, is_left_out};
use std::sync::Arc;

/// Noted keys that are settled in one go.
const STEP_KEYS: usize = if cfg!(test) { 4 } else { 512 };
/// Keys between two questions whether to stop.
const CHECK_KEYS: usize = 1 << 13;

impl Transaction {
    /// Fills an index with the keys of all rows, while all writers of the table keep it up. On error
    /// they do not any more.
    pub(super) fn build(
        &self,
        table: &TableEntry,
        index: &Arc<IndexEntry>,
        stop: Stop<'_>,
    ) -> Result<()> {
        index.begin_filling(self.core.ledger())?;
        // A table of this transaction's own has nobody who does not know its indexes.
        let is_shared = table.now_in(&self.base).is_some();
        if is_shared && !is_left_out(Fault::GatheredBeforeListed) {
            table.late.add(index);
        }
        let filled = Grace::begin()
            .wait(|| stop.check())
            .and_then(|()| self.fill(table, index, stop));
        if filled.is_err() {
            table.late.remove(index.def.id);
        }
        filled
    }

    fn fill(&self, table: &TableEntry, index: &Arc<IndexEntry>, stop: Stop<'_>) -> Result<()> {
        let mut gathered = self.gather(table, index, stop)?;
        if is_left_out(Fault::GatheredBeforeListed) {
            table.late.add(index);
        }
        if index.index.is_ordered() || index.def.is_unique() {
            gathered.sort(stop)?;
        }
        index.index.fill(&gathered, stop)?;
        let mut noted = index.end_filling()?;
        noted.sort(stop)?;
        self.settle(table, index, &noted, stop)?;
        if !index.def.is_unique() || is_left_out(Fault::RepeatedNotSought) {
            return Ok(());
        }
        for (number, (key, rows)) in gathered.singular_keys().enumerate() {
            if number % CHECK_KEYS == 0 {
                stop.check()?;
            }
            if rows > 1 {
                self.check_singular(table, index, key)?;
            }
        }
        let mut noted = noted.singular_keys();
        noted.try_for_each(|(key, _)| {
            stop.check()?;
            self.check_singular(table, index, key)
        })
    }

    fn gather(&self, table: &TableEntry, index: &IndexEntry, stop: Stop<'_>) -> Result<Batch> {
        let mut batch = Batch::new(self.core.ledger())?;
        let end = table.rows.next_row();
        let mut at = RowId::default();
        while at < end {
            stop.check()?;
            let collector = self.core.collector();
            let operation = self.registration.enter();
            at = collector.gather_keys(table, index, at..end, &operation, &mut batch)?;
        }
        Ok(batch)
    }

    fn settle(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        noted: &Batch,
        stop: Stop<'_>,
    ) -> Result<()> {
        let mut left = noted.iter();
        while left.len() > 0 {
            stop.check()?;
            let collector = self.core.collector();
            let operation = self.registration.enter();
            let step = left.by_ref().take(STEP_KEYS);
            collector.settle_noted(table, index, step, &operation)?;
        }
        Ok(())
    }
}
