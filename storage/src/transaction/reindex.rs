//! The end of recovery: indexes are filled from the rows, on all cores.
//!
//! ```text
//!   blocks    0 .. 299  ->  batch, sorted  \\
//!             300 .. 599 ->  batch, sorted  -->  merged  ->  one tree
//!             a thread each                      all threads
//! ```
//!
//! One index after the other: so there is one index's keys beside the rows at a time, and every core has
//! something to do however many indexes there are.

use super::Core;
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::Result;
use crate::ids::{BlockNo, RowId, Slot, Timestamp};
use crate::index::Batch;
use crate::mvcc::Registration;
use crate::parallel;
use std::ops::Range;
use std::sync::Arc;

/// Blocks that are worth a thread.
const BLOCKS_MIN: u64 = 4;

/// Whom the end of recovery tells of so many more keys that were gathered. Threads call it.
pub type Gathered<'p> = &'p (dyn Fn(u64) + Sync);

impl Core {
    /// Settles what was restored, and says how many keys are to be gathered then.
    ///
    /// # Errors
    /// `TooManyTransactions`.
    pub fn finish_rows(&self) -> Result<u64> {
        let registration = self.restoring()?;
        let mut keys = 0;
        for table in self.catalog.load().tables() {
            let proof = registration.enter();
            table.rows.finish_restore(&proof);
            table
                .rows
                .count_anew(table.rows.filled_slots(&proof), &proof);
            keys += table.rows.filled_slots(&proof) * table.indexes.len() as u64;
        }
        Ok(keys)
    }

    /// Ends recovery, after [`Self::finish_rows`]: fills the indexes, sets the clock, and lets the background
    /// begin. Returns how many entries the indexes have.
    ///
    /// # Errors
    /// `OutOfMemory`, `Io` where the system has no thread for the background.
    pub fn finish_recovery(
        self: &Arc<Self>,
        clock: Timestamp,
        gathered: Gathered<'_>,
    ) -> Result<u64> {
        let (mut entries, catalog) = (0, self.catalog.load_full());
        let registration = self.restoring()?;
        for table in catalog.tables() {
            for index in &table.indexes {
                let batches = self.gather_all(table, index, &registration, gathered)?;
                index.index.fill_together(batches)?;
                entries += index.index.len() as u64;
            }
        }
        drop(registration);
        self.timeline.start_at(clock);
        self.start_maintenance()?;
        Ok(entries)
    }

    /// The keys of all rows, in batches of neighbouring blocks.
    fn gather_all(
        &self,
        table: &TableEntry,
        index: &IndexEntry,
        registration: &Registration,
        gathered: Gathered<'_>,
    ) -> Result<Vec<Batch>> {
        let end = table.rows.next_row();
        let blocks = u64::from(end.block().0) + u64::from(end.slot().0 > 0);
        let gather = |blocks: Range<u64>| {
            let at = |block: u64| RowId::new(BlockNo(block as u32), Slot(0));
            let rows = at(blocks.start)..at(blocks.end);
            table.gather_keys(index, rows, registration, self.ledger(), gathered)
        };
        let ranges = parallel::ranges(blocks, parallel::threads(), BLOCKS_MIN);
        parallel::map(ranges, gather).into_iter().collect()
    }
}
