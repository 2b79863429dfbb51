//! Compaction of tables: by request, under pressure, and in the background.

use super::Core;
use crate::catalog::TableEntry;
use crate::error::Result;
use crate::ids::{BlockNo, TableId};
use crate::maintenance::{Age, Compacted, Wish};
use crate::stop::Stop;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a fragmented block must have been left alone.
const QUIET: Duration = Duration::from_secs(1);
/// Pause between two looks at all blocks.
const PAUSE: Duration = Duration::from_millis(250);

/// Where the background is, and what it waits for.
#[derive(Debug)]
pub(super) struct Compactor {
    quiet: Age,
    /// How long a block must not have been changed to be cold; `None` where the background rebuilds
    /// nothing.
    cold: Option<Age>,
    /// When all blocks were looked at.
    looked: Option<Instant>,
    /// The same, because memory was scarce.
    relieved: Option<Instant>,
    table: TableId,
    block: BlockNo,
}

impl Default for Compactor {
    fn default() -> Self {
        Self {
            quiet: Age::new(QUIET),
            cold: None,
            looked: None,
            relieved: None,
            table: TableId(0),
            block: BlockNo(0),
        }
    }
}

impl Core {
    /// Rebuilds blocks in the background, and takes for cold those that nobody changed for so long.
    pub fn set_freeze_after(&self, after: Duration) {
        self.compactor.lock().cold = Some(Age::new(after));
    }

    /// Makes every full block of a table, or of all tables, as small as it can be. Works on a full
    /// database: one block at a time, with the emergency reserve.
    ///
    /// # Errors
    /// `TooManyTransactions` where no block could be rebuilt for lack of a place to register.
    pub fn compact(&self, table: Option<&TableEntry>) -> Result<Compacted> {
        self.compact_unless(table, Stop::NEVER)
    }

    /// As [`Self::compact`], as long as nobody wants it to stop.
    ///
    /// # Errors
    /// `Interrupted` besides: the blocks that were rebuilt stay so.
    pub fn compact_unless(&self, table: Option<&TableEntry>, stop: Stop<'_>) -> Result<Compacted> {
        self.compact_all(table, Wish::All, stop)
    }

    /// Rebuilds blocks with many dead rows, however lately they were changed. Without memory for
    /// that they stay as they are.
    pub(super) fn compact_scarce(&self) {
        let _ = self.compact_all(None, Wish::Scarce, Stop::NEVER);
    }

    /// The same for the background, which looks at all blocks now and then only.
    pub(super) fn compact_scarce_round(&self) {
        let now = Instant::now();
        let mut compactor = self.compactor.lock();
        let is_early = |looked: Instant| now.duration_since(looked) < PAUSE;
        if compactor.relieved.is_some_and(is_early) {
            return;
        }
        compactor.relieved = Some(now);
        drop(compactor);
        self.compact_scarce();
    }

    pub(super) fn compact_all(
        &self,
        table: Option<&TableEntry>,
        wish: Wish,
        stop: Stop<'_>,
    ) -> Result<Compacted> {
        let mut sum = self.compact_pass(table, wish, stop)?;
        let mut won = sum.bytes;
        // What one block gave back may be enough for another one.
        while sum.blocks_left > 0 && won > 0 {
            let again = self.compact_pass(table, wish, stop)?;
            won = again.bytes;
            sum = Compacted {
                rows: sum.rows + again.rows,
                bytes: sum.bytes + again.bytes,
                ..again
            };
        }
        Ok(sum)
    }

    fn compact_pass(
        &self,
        table: Option<&TableEntry>,
        wish: Wish,
        stop: Stop<'_>,
    ) -> Result<Compacted> {
        // Rows whose deletion nobody has collected would be carried along.
        self.collect_garbage();
        let mut sum = Compacted::default();
        let mut failure = None;
        let catalog = self.catalog();
        let tables = catalog.tables();
        for entry in tables.filter(|entry| table.is_none_or(|t| t.def.id == entry.def.id)) {
            let mut at = Some(BlockNo(0));
            while let Some(from) = at {
                stop.check()?;
                let mut collector = self.collector();
                let (next, result) = collector.compact_next(
                    &entry.rows,
                    from,
                    wish,
                    &self.garbage,
                    &self.catalog,
                    &mut sum,
                );
                at = next;
                if let Err(error) = result {
                    failure = Some(error);
                }
            }
        }
        // What was replaced goes as soon as nobody can look at it.
        self.collect_garbage();
        match failure {
            Some(failure) if sum.rows == 0 => Err(failure),
            _ => Ok(sum),
        }
    }

    /// Rebuilds one block that is due, if there is one; whether there was.
    pub(super) fn compact_round(&self) -> bool {
        let now = Instant::now();
        let mut compactor = self.compactor.lock();
        let is_early = |looked: Instant| now.duration_since(looked) < PAUSE;
        if compactor.looked.is_some_and(is_early) {
            return false;
        }
        let clock = self.timeline.latest();
        let quiet = compactor.quiet.look(now, clock);
        let Some(cold) = compactor.cold.as_mut().map(|age| age.look(now, clock)) else {
            return false;
        };
        let found = quiet.is_some_and(|quiet| {
            let wish = Wish::Due { quiet, cold };
            self.compact_due(&mut compactor, wish)
        });
        if !found {
            compactor.looked = Some(now);
        }
        found
    }

    fn compact_due(&self, compactor: &mut Compactor, wish: Wish) -> bool {
        let catalog = self.catalog();
        let mut sum = Compacted::default();
        let mut tables: Vec<&Arc<TableEntry>> = catalog.tables().collect();
        tables.sort_by_key(|entry| entry.def.id);
        for entry in tables {
            if entry.def.id < compactor.table {
                continue;
            }
            if entry.def.id > compactor.table {
                compactor.table = entry.def.id;
                compactor.block = BlockNo(0);
            }
            let mut collector = self.collector();
            // Without memory, or a slot to register in, it is done another time.
            let (next, _) = collector.compact_next(
                &entry.rows,
                compactor.block,
                wish,
                &self.garbage,
                &self.catalog,
                &mut sum,
            );
            if let Some(next) = next {
                compactor.block = next;
                return true;
            }
            compactor.block = BlockNo(u32::MAX);
        }
        compactor.table = TableId(0);
        compactor.block = BlockNo(0);
        false
    }
}
