//! Compaction: blocks become smaller, and their memory comes back.
//!
//! ```text
//!              cold, or many rows dead                       dropped when all rows are dead
//!   hot  ------------------------------------>  frozen  --+
//!    ^                                                    |  many rows dead since: again
//!    +----------------------------------------------------+
//!              many rows changed since: it is not cold
//! ```
//!
//! A block is *due* when
//! - it is hot, has not been changed for a while, and is either cold (for as long as the store is
//!   told to wait) or has lost more than [`FRAGMENTED`] of its rows;
//! - it is frozen and has lost that share of its rows since: it is frozen again without them;
//! - it is frozen and that share of its rows was changed since. A frozen row is never folded, so each
//!   changed one keeps a version over it. The block is thawed, because one that changes so much is
//!   not cold, and is frozen again when it is; but a block with many dead slots would waste their
//!   memory when hot, so that one stays frozen, and is frozen again without the versions as soon as
//!   it is left alone for a while.
//!
//! A block that takes rows and has lost that share of those that came is closed, so that it is full and
//! can be frozen; what comes next goes to another one.
//!
//! Each step deals with one block under the collector's lock, which is let go of between two. Readers
//! and writers go on (`block::switch`).
//!
//! Under pressure and by COMPACT every full block that can get smaller is frozen, quiet or not.
//!
//! Whether a block was changed since the horizon is not known. So nothing is *due* while a snapshot is
//! older than the quiet period: the same blocks would be built again and again, as of one horizon.

use super::collector::Collector;
use super::queue::GarbageQueue;
use crate::block::Rebuild;
use crate::catalog::LatestCatalog;
use crate::error::{Error, Result};
use crate::ids::{BlockNo, Timestamp};
use crate::mvcc::Operation;
use crate::pool::Claim;
use crate::table::{BlockState, Table};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Writes that a step collects at most before it replaces a block.
const DRAIN_WRITES: usize = 1 << 16;
/// A block is rebuilt when more than this part of its rows, in percent, is dead or changed.
const FRAGMENTED: usize = 30;

/// What compaction came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compacted {
    /// Rows in the blocks that were built.
    pub rows: u64,
    /// Bytes by which they are smaller than the ones they replaced.
    pub bytes: u64,
    /// Blocks that stay as they are for lack of memory.
    pub blocks_left: u64,
    /// Bytes that the largest request for one of these was for.
    pub bytes_wanted: u64,
}

impl Compacted {
    /// Notes what one block came to; fails where it was not memory that was missing.
    fn note(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Err(Error::OutOfMemory { wanted, .. }) => {
                self.blocks_left += 1;
                self.bytes_wanted = self.bytes_wanted.max(wanted);
                Ok(())
            }
            other => other,
        }
    }
}

/// Why blocks are rebuilt.
#[derive(Clone, Copy, Debug)]
pub enum Wish {
    /// Those that are due: quiet since the one timestamp, cold since the other.
    Due {
        /// The clock when the quiet period began.
        quiet: Timestamp,
        /// The clock when it was long enough ago to be cold; `None` where nobody looked then.
        cold: Option<Timestamp>,
    },
    /// Those with many dead rows, because memory is scarce.
    Scarce,
    /// Blocks that lost much of their rows, because a request would be refused.
    Lost {
        /// How much, in percent.
        percent: usize,
        /// Changes up to it leave the row that they changed to nobody.
        horizon: Timestamp,
    },
    /// All that can get smaller.
    All,
    /// All that are frozen, to see that nobody notices.
    #[cfg(test)]
    Thaw,
}

impl Wish {
    /// Whether a snapshot at the horizon is too old for this.
    fn is_held_back(self, horizon: Timestamp) -> bool {
        match self {
            Self::Due { quiet, .. } => horizon < quiet,
            _ => false,
        }
    }

    /// What is wished for because memory is short may take the reserve; what is merely due has
    /// time until there is room.
    fn claim(self) -> Claim {
        match self {
            Self::Due { .. } => Claim::Ordinary,
            #[cfg(test)]
            Self::Thaw => Claim::Ordinary,
            Self::Scarce | Self::Lost { .. } | Self::All => Claim::Emergency,
        }
    }

    /// Whether a block that takes rows should take no more.
    fn closes(self, block: &BlockState) -> bool {
        let is_quiet = match self {
            Self::Due { quiet, .. } => block.last_change <= quiet,
            Self::Scarce | Self::Lost { .. } | Self::All => true,
            #[cfg(test)]
            Self::Thaw => false,
        };
        is_quiet && is_much(block.slots - block.live, block.slots)
    }

    /// What a block should become.
    pub(super) fn of(self, block: &BlockState) -> Option<Rebuild> {
        let is_fragment = |rows: usize| is_much(rows, block.room);
        let lost = block.room.saturating_sub(block.live);
        match self {
            Self::All => {
                let smaller =
                    !block.frozen || lost > 0 || block.unsettled > 0 || block.has_old_heap;
                smaller.then_some(Rebuild::Frozen)
            }
            #[cfg(test)]
            Self::Thaw => block.frozen.then_some(Rebuild::Hot),
            Self::Scarce => is_fragment(lost).then_some(Rebuild::Frozen),
            Self::Lost { percent, horizon } => {
                let lost = block.lost(horizon);
                (lost * 100 >= block.room * percent && lost > 0).then_some(Rebuild::Frozen)
            }
            Self::Due { quiet, .. } if block.frozen => {
                // Deletions are counted as changes until they are collected.
                let is_changed = is_fragment(block.unsettled);
                let is_full = !is_much(block.slots - block.live, block.slots);
                if is_changed && is_full && !block.has_old_heap {
                    return Some(Rebuild::Hot);
                }
                let is_quiet = block.last_change <= quiet;
                let again = is_fragment(lost) || (is_quiet && (is_changed || block.has_old_heap));
                again.then_some(Rebuild::Frozen)
            }
            Self::Due { quiet, cold } => {
                let is_cold = cold.is_some_and(|cold| block.last_change <= cold);
                let is_due = is_cold || (is_fragment(lost) && block.last_change <= quiet);
                is_due.then_some(Rebuild::Frozen)
            }
        }
    }
}

/// Whether a part is worth a rebuild.
fn is_much(part: usize, of: usize) -> bool {
    part * 100 > of * FRAGMENTED
}

/// Tells what the clock said a certain time ago, roughly.
#[derive(Debug)]
pub struct Age {
    ago: Duration,
    samples: VecDeque<(Instant, Timestamp)>,
}

impl Age {
    /// Looks back by `ago`, to within an eighth of it.
    pub fn new(ago: Duration) -> Self {
        Self {
            ago,
            samples: VecDeque::new(),
        }
    }

    /// Notes what the clock says now; returns what it said so long ago, or earlier, and `None` where
    /// nobody looked then.
    pub fn look(&mut self, now: Instant, clock: Timestamp) -> Option<Timestamp> {
        let since = |at: Instant| now.duration_since(at);
        if self
            .samples
            .back()
            .is_none_or(|(at, _)| since(*at) >= self.ago / 8)
        {
            self.samples.push_back((now, clock));
        }
        while let Some((second, _)) = self.samples.get(1)
            && since(*second) >= self.ago
        {
            self.samples.pop_front();
        }
        let (first, clock) = self.samples.front()?;
        (since(*first) >= self.ago).then_some(*clock)
    }
}

impl Collector {
    /// Replaces the first block of the table, from `from` on, that the wish is for. Returns where
    /// to go on, `None` at the end; what it came to is added to `sum`.
    ///
    /// # Errors
    /// `TooManyTransactions`.
    pub fn compact_next(
        &mut self,
        table: &Table,
        from: BlockNo,
        wish: Wish,
        queue: &GarbageQueue,
        catalog: &LatestCatalog,
        sum: &mut Compacted,
    ) -> (Option<BlockNo>, Result<()>) {
        let registration = match self.timeline.register() {
            Ok(registration) => registration,
            Err(error) => return (None, Err(error)),
        };
        let horizon = self.timeline.horizon();
        if wish.is_held_back(horizon) {
            return (None, Ok(()));
        }
        let found = {
            let proof = registration.enter();
            if from == BlockNo(0) {
                self.close_sparse(table, wish, &proof);
            }
            let mut blocks = table.full_blocks(from, &proof);
            blocks.find_map(|block| wish.of(&block).map(|_| block.number))
        };
        let Some(number) = found else {
            return (None, Ok(()));
        };
        drop(registration);
        let next = Some(BlockNo(number.0 + 1));
        (
            next,
            self.compact_one(table, number, wish, (queue, catalog), sum),
        )
    }

    /// Replaces a full block, if the wish is for it; what it came to is added to `sum`.
    ///
    /// # Errors
    /// `TooManyTransactions`.
    pub fn compact_one(
        &mut self,
        table: &Table,
        number: BlockNo,
        wish: Wish,
        queues: (&GarbageQueue, &LatestCatalog),
        sum: &mut Compacted,
    ) -> Result<()> {
        let replaced = self.replace(table, number, wish, queues, sum);
        sum.note(replaced)
    }

    fn replace(
        &mut self,
        table: &Table,
        number: BlockNo,
        wish: Wish,
        (queue, catalog): (&GarbageQueue, &LatestCatalog),
        sum: &mut Compacted,
    ) -> Result<()> {
        let registration = self.timeline.register()?;
        let horizon = self.timeline.horizon();
        let proof = registration.enter();
        if !self.drain(horizon, queue, catalog, &proof, DRAIN_WRITES) {
            return Ok(());
        }
        // When it was changed last is known only now that its changes are collected.
        let now = table.full_blocks(number, &proof).next();
        let now = now.filter(|block| block.number == number);
        let Some(into) = now.and_then(|block| wish.of(&block)) else {
            return Ok(());
        };
        let retired = &mut self.retired;
        let rebuilt = table.rebuild(number, into, wish.claim(), horizon, &proof, |unlinked| {
            retired.retire(unlinked);
        })?;
        if let Some(rebuilt) = rebuilt {
            sum.rows += rebuilt.rows;
            sum.bytes += rebuilt.bytes;
            self.retire(rebuilt.old);
        }
        Ok(())
    }

    /// Returns the full blocks of a table that lost so much of their rows, in percent, each with the bytes that these
    /// take. Open blocks that did are closed first.
    pub fn lost_blocks(&mut self, table: &Table, percent: usize) -> Vec<(u64, BlockNo)> {
        // Without a free slot it is done another time.
        let Ok(registration) = self.timeline.register() else {
            return Vec::new();
        };
        let proof = registration.enter();
        let horizon = self.timeline.horizon();
        let wish = Wish::Lost { percent, horizon };
        self.close_sparse(table, wish, &proof);
        let blocks = table.full_blocks(BlockNo(0), &proof);
        let wanted = blocks.filter(|block| wish.of(block).is_some());
        let lost = |block: BlockState| {
            let bytes = table.block_bytes(block.number, &proof) * block.lost(horizon);
            ((bytes / block.room.max(1)) as u64, block.number)
        };
        wanted.map(lost).collect()
    }
}

impl Collector {
    /// Has blocks that have lost many of their rows take no more, so that they can be replaced.
    fn close_sparse(&mut self, table: &Table, wish: Wish, proof: &Operation<'_>) {
        let sparse = table.open_blocks(proof);
        for block in sparse.filter(|block| wish.closes(block)) {
            if let Some(garbage) = table.close(block.number, proof) {
                self.retire(garbage);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_knows_what_the_clock_said() {
        let start = Instant::now();
        let mut age = Age::new(Duration::from_secs(8));
        let mut look = |second| age.look(start + Duration::from_secs(second), Timestamp(second));
        assert_eq!(look(0), None);
        assert_eq!(look(7), None);
        assert_eq!(look(8), Some(Timestamp(0)));
        assert_eq!(look(15), Some(Timestamp(7)));
        assert_eq!(look(1000), Some(Timestamp(15)));
        for second in 1001..2000 {
            let found = look(second).unwrap();
            assert!(found.0 + 8 <= second);
        }
        assert!(age.samples.len() < 20, "it does not grow");
    }

    #[test]
    fn blocks_are_due_when_they_are_cold_or_have_lost_or_changed_much() {
        let hot = BlockState {
            number: BlockNo(0),
            frozen: false,
            slots: 100,
            room: 100,
            live: 100,
            unsettled: 0,
            last_change: Timestamp(50),
            has_old_heap: false,
        };
        let frozen = BlockState {
            frozen: true,
            ..hot
        };
        let due = |quiet, cold| Wish::Due {
            quiet: Timestamp(quiet),
            cold: Some(Timestamp(cold)),
        };
        let (into_frozen, into_hot) = (Some(Rebuild::Frozen), Some(Rebuild::Hot));
        assert_eq!(due(60, 49).of(&hot), None);
        assert_eq!(due(60, 50).of(&hot), into_frozen);
        let lost = |block: BlockState, live| BlockState { live, ..block };
        assert_eq!(due(60, 40).of(&lost(hot, 70)), None);
        assert_eq!(due(60, 40).of(&lost(hot, 69)), into_frozen);
        assert_eq!(due(49, 40).of(&lost(hot, 69)), None, "it is not quiet");
        assert_eq!(due(60, 60).of(&frozen), None);
        assert_eq!(due(60, 40).of(&lost(frozen, 69)), into_frozen);
        let changed = |unsettled| BlockState {
            unsettled,
            ..frozen
        };
        assert_eq!(due(60, 60).of(&changed(30)), None);
        assert_eq!(due(60, 60).of(&changed(31)), into_hot);
        let sparse = BlockState {
            slots: 200,
            ..changed(31)
        };
        assert_eq!(due(60, 60).of(&sparse), into_frozen);
        assert_eq!(due(49, 49).of(&sparse), None, "it is not quiet");
        assert_eq!(Wish::All.of(&frozen), None);
        assert_eq!(Wish::All.of(&changed(1)), into_frozen);
        assert_eq!(Wish::All.of(&lost(frozen, 99)), into_frozen);
        assert_eq!(Wish::All.of(&hot), into_frozen);
    }
}
