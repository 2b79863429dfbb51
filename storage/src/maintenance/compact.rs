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
//! - it is frozen and that share of its rows was changed since: it is thawed, because a frozen row
//!   is never folded, so each changed one keeps a version over it, and because a block that changes
//!   so much is not cold. When it is quiet again it freezes again.
//!
//! Each step deals with one block under the collector's lock, which is let go of between two. Readers
//! and writers go on (`block::switch`).
//!
//! Under pressure and by COMPACT every full block that can get smaller is frozen, quiet or not.

use super::collector::{Collector, GarbageQueue};
use crate::block::Rebuild;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::ids::{BlockNo, Timestamp};
use crate::table::{BlockState, Table};
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Writes that a step collects at most before it replaces a block.
const DRAIN_WRITES: usize = 1 << 16;
/// A block is rebuilt when more than this part of its rows, in percent, is dead or changed.
const FRAGMENTED: usize = 30;
/// How long a fragmented block must have been left alone.
const QUIET: Duration = Duration::from_secs(1);
/// How often the clock is looked at.
const SAMPLE: Duration = Duration::from_millis(250);

/// What compaction came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compacted {
    /// Rows in the blocks that were built.
    pub rows: u64,
    /// Bytes by which they are smaller than the ones they replaced.
    pub bytes: u64,
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
    /// All that can get smaller.
    All,
}

impl Wish {
    /// What a block should become.
    pub(super) fn of(self, block: &BlockState) -> Option<Rebuild> {
        let is_fragment = |rows: usize| rows * 100 > block.room * FRAGMENTED;
        let lost = block.room.saturating_sub(block.live);
        match self {
            Self::All => {
                let smaller =
                    !block.frozen || lost > 0 || block.unsettled > 0 || block.has_old_heap;
                smaller.then_some(Rebuild::Frozen)
            }
            Self::Due { quiet, .. } if block.frozen => {
                // Deletions are counted as changes until they are collected.
                if is_fragment(block.unsettled) && !block.has_old_heap {
                    return Some(Rebuild::Hot);
                }
                let again = is_fragment(lost) || (block.has_old_heap && block.last_change <= quiet);
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

/// What the clock said at some moments, to tell how long ago a commit was.
#[derive(Debug, Default)]
pub struct Ages(VecDeque<(Instant, Timestamp)>);

impl Ages {
    /// Notes what the clock says now, unless it was noted just before; keeps what is needed to look
    /// back as far as `longest`. Returns whether it was noted.
    pub fn sample(&mut self, now: Instant, clock: Timestamp, longest: Duration) -> bool {
        let is_late = |last: &(Instant, Timestamp)| now.duration_since(last.0) >= SAMPLE;
        if !self.0.back().is_none_or(is_late) {
            return false;
        }
        self.0.push_back((now, clock));
        while let Some((second, _)) = self.0.get(1)
            && now.duration_since(*second) >= longest
        {
            self.0.pop_front();
        }
        true
    }

    /// What the clock said so long ago, or before that; `None` where nobody looked.
    pub fn before(&self, now: Instant, ago: Duration) -> Option<Timestamp> {
        let mut samples = self.0.iter().rev();
        let sample = samples.find(|(at, _)| now.duration_since(*at) >= ago)?;
        Some(sample.1)
    }

    /// What is due now.
    pub fn wish(&self, now: Instant, freeze_after: Duration) -> Option<Wish> {
        let cold = self.before(now, freeze_after);
        let quiet = self.before(now, QUIET)?;
        Some(Wish::Due { quiet, cold })
    }
}

impl Collector {
    /// Replaces the first block of the table, from `from` on, that the wish is for. Returns where
    /// to go on, `None` at the end; what it came to is added to `sum`.
    ///
    /// # Errors
    /// `OutOfMemory`: the block, at which to go on, is as it was.
    pub fn compact_next(
        &mut self,
        table: &Table,
        from: BlockNo,
        wish: Wish,
        queue: &GarbageQueue,
        catalog: &ArcSwap<Catalog>,
        sum: &mut Compacted,
    ) -> (Option<BlockNo>, Result<()>) {
        let proof = match self.timeline.register() {
            Ok(proof) => proof,
            Err(error) => return (None, Err(error)),
        };
        let mut blocks = table.full_blocks(from, &proof);
        let found = blocks.find_map(|block| Some((block.number, wish.of(&block)?)));
        let Some((number, into)) = found else {
            return (None, Ok(()));
        };
        let next = Some(BlockNo(number.0 + 1));
        let horizon = self.timeline.horizon();
        if !self.drain(horizon, queue, catalog, &proof, DRAIN_WRITES) {
            return (next, Ok(()));
        }
        let mut garbage = Vec::new();
        let rebuilt = table.rebuild(number, into, horizon, &proof, |unlinked| {
            garbage.push(unlinked);
        });
        for unlinked in garbage {
            self.retire(unlinked);
        }
        match rebuilt {
            Ok(None) => (next, Ok(())),
            Err(error) => (next, Err(error)),
            Ok(Some(rebuilt)) => {
                sum.rows += rebuilt.rows;
                sum.bytes += rebuilt.bytes;
                self.retire(rebuilt.old);
                (next, Ok(()))
            }
        }
    }
}
