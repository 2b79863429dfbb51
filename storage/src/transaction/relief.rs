//! Relief: memory for a request that would be refused, freed by the thread that asks.
//!
//! ```text
//!   1  garbage     write sets below the horizon, some at a time
//!   2  blocks      those that lost most of their rows, built anew without them
//!   3  slabs       version records and index nodes move together
//!   4  caches      an eighth of the rows of one is given up (`evict`)
//!   again from 1 as long as there is garbage; until there is enough
//! ```
//!
//! Enough is what was asked for and a 64th of the budget, so that the next requests need no relief. None of it
//! waits for the background: readers under way are waited for, and these end soon.
//!
//! **How much work it is, at most.** Each write set is collected once, whoever does it; a block is built anew where
//! it lost a tenth of its rows or more; and one pass looks at each row that is not settled and each node of an
//! index. There are at most eight passes ([`ROUNDS_MAX`]), and another one only where less or more is used than
//! before the last. Where a relief came to nothing and nobody has committed since or rolled back, nor a snapshot
//! gone, the next one gives up at once.
//!
//! Not to be called within an operation on rows, whose end it would wait for, nor where a lock is held.

use super::Core;
use crate::ids::Timestamp;
use crate::maintenance::{Compacted, Wish};
use crate::mvcc::Operation;
use crate::pool::{self, Relief};
use std::sync::Arc;

/// Writes that are collected before blocks are looked at: those of some blocks.
const PART_WRITES: usize = 1 << 16;
/// The part of the budget that is freed beside what was asked for.
const BESIDE: u64 = 64;
/// Blocks that lost so much of their rows are built anew, in percent.
const LOST_PERCENT: usize = 10;
/// Bytes that emptying slabs must bring to be worth a pass through all indexes.
const SLAB_BYTES_MIN: u64 = 64 << 10;
/// Passes of one relief, at most.
const ROUNDS_MAX: usize = 8;

/// State of all that there was to free when a relief came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct InVain {
    latest: Timestamp,
    horizon: Timestamp,
    garbage: usize,
    /// Unlinked and not freed: also by a rollback, which moves no clock.
    retired: usize,
    evacuable: u64,
}

impl Relief for Core {
    fn relieve(self: Arc<Self>, wanted: u64) -> bool {
        Self::relieve(&self, wanted)
    }
}

impl Core {
    /// Frees memory until `wanted` bytes and some more can be reserved, or there is none left to free. Returns
    /// whether as many as are wanted can be.
    pub fn relieve(self: &Arc<Self>, wanted: u64) -> bool {
        if Operation::is_under_way() {
            return false;
        }
        let mut in_vain = self.relief.lock();
        if self.has_room_for(wanted) {
            // Another thread has seen to it meanwhile.
            return true;
        }
        let before = self.to_free();
        if *in_vain == Some(before) {
            return false;
        }
        let goal = wanted.saturating_add(self.ledger().budget() / BESIDE);
        let is_enough = self.free_in_rounds(wanted, goal);
        // Once, and last: lists of what was freed were the heap's.
        pool::trim_heap();
        *in_vain = (!is_enough).then(|| self.to_free());
        is_enough
    }

    /// Frees memory as long as that comes to something, or others are at it: the collector may have a block in its
    /// hands, both the old one and the new one, when this thread finds nothing to do. Returns whether as many bytes
    /// as are wanted can be reserved.
    fn free_in_rounds(self: &Arc<Self>, wanted: u64, goal: u64) -> bool {
        let (mut round, mut is_shrinking) = (0, true);
        while round < ROUNDS_MAX {
            let used = self.ledger().used();
            self.free_until(goal);
            {
                // Between two blocks.
                let _collector = self.collector();
                if self.has_room_for(wanted) {
                    return true;
                }
            }
            let frees = self.ledger().used() < used;
            // Rows that a cache has given up are freed in the next round, unless a snapshot keeps them, perhaps the caller's.
            is_shrinking &= (round == 0 || frees) && self.shrink_cache();
            round += usize::from(!is_shrinking || round == 0);
            if !frees && !is_shrinking {
                break;
            }
        }
        false
    }

    fn free_until(&self, goal: u64) {
        // What is not durable stays, and all that it has replaced. Where it cannot become durable it waits.
        let _ = self.wait_logged();
        self.pool.shed_caches();
        self.retire_orphans();
        self.collector().look_again();
        let mut is_more = true;
        while is_more && !self.has_room_for(goal) {
            is_more = self.collect_some(PART_WRITES);
            self.compact_lost(goal);
        }
        if !self.has_room_for(goal) && self.pool.evacuable_bytes(100) >= SLAB_BYTES_MIN {
            self.evacuate();
        }
    }

    /// Whether so much can be reserved by ordinary requests.
    fn has_room_for(&self, wanted: u64) -> bool {
        self.room() >= wanted
    }

    /// How much can be reserved by ordinary requests.
    pub fn room(&self) -> u64 {
        let ledger = self.ledger();
        // Work on blocks may have taken some of the reserve: that has to come back first.
        let idle = self.pool.stats().extents.idle_bytes;
        let most = ledger.budget().saturating_sub(ledger.emergency());
        most.saturating_sub(ledger.used().saturating_sub(idle))
    }

    fn to_free(&self) -> InVain {
        InVain {
            latest: self.timeline.latest(),
            horizon: self.timeline.horizon(),
            garbage: self.garbage.len(),
            retired: self.collector().retired(),
            evacuable: self.pool.evacuable_bytes(100),
        }
    }

    /// Collects about so many writes, and frees what was unlinked. Returns whether there may be more.
    fn collect_some(&self, writes: usize) -> bool {
        let before = self.garbage.len();
        let mut is_more = true;
        while is_more && before.saturating_sub(self.garbage.len()) < writes {
            is_more = self.collect_round();
        }
        self.wait_for_retired();
        is_more
    }

    /// Builds blocks anew that lost many of their rows, those first that have most to win; until there is enough.
    fn compact_lost(&self, goal: u64) {
        let catalog = self.catalog();
        let mut lost = Vec::new();
        for entry in catalog.tables() {
            let blocks = self.collector().lost_blocks(&entry.rows, LOST_PERCENT);
            lost.extend(
                blocks
                    .into_iter()
                    .map(|(bytes, number)| (bytes, number, entry)),
            );
        }
        lost.sort_unstable_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
        let mut sum = Compacted::default();
        for (_, number, entry) in lost {
            if self.has_room_for(goal) {
                break;
            }
            let (percent, horizon) = (LOST_PERCENT, self.timeline.horizon());
            let wish = Wish::Lost { percent, horizon };
            let queues = (&self.garbage, &self.catalog);
            // One that there is no memory for, or no place to register, stays as it is.
            let _ = self
                .collector()
                .compact_one(&entry.rows, number, wish, queues, &mut sum);
            self.wait_for_retired();
        }
    }
}
