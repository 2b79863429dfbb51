//! Replacing blocks by smaller ones, or by ones that can be changed in place.

use super::{Table, Tail};
use crate::block::{Block, Rebuild};
use crate::error::Result;
use crate::ids::{BlockNo, Timestamp};
use crate::mvcc::{Garbage, Operation};
use crate::pool::Claim;
use std::sync::Arc;

/// What compaction needs to know of a block to choose it.
#[derive(Clone, Copy, Debug)]
pub struct BlockState {
    /// Its number.
    pub number: BlockNo,
    /// Whether it is frozen.
    pub frozen: bool,
    /// Slots there are.
    pub slots: usize,
    /// Rows that there is room for: all slots, or those that had a row when it was frozen.
    pub room: usize,
    /// Rows that live.
    pub live: usize,
    /// Rows that are new, or with versions or deletions over them.
    pub unsettled: usize,
    /// The last commit that changed it, as far as it was collected.
    pub last_change: Timestamp,
    /// Whether it keeps strings of the block before it.
    pub has_old_heap: bool,
}

impl BlockState {
    /// Returns how many rows it would have less if it were built anew as of a horizon: those that are dead, and, where
    /// all changes are as old as that, those that versions took the place of.
    pub fn lost(&self, horizon: Timestamp) -> usize {
        let changed = match self.last_change <= horizon {
            true => self.unsettled.min(self.live),
            false => 0,
        };
        self.room.saturating_sub(self.live) + changed
    }
}

/// A block that was replaced.
#[derive(Debug)]
pub struct Rebuilt {
    /// Rows that the new block has.
    pub rows: u64,
    /// Bytes that it takes less.
    pub bytes: u64,
    /// The old block.
    pub old: Garbage,
}

impl Table {
    /// The full blocks from `from` on: only such can be replaced.
    pub fn full_blocks<'a>(
        &'a self,
        from: BlockNo,
        proof: &'a Operation<'a>,
    ) -> impl Iterator<Item = BlockState> + use<'a> {
        self.states(from, proof)
            .filter_map(move |(block, state)| block.is_full().then_some(state))
    }

    /// The blocks that take rows and have taken more than a few, as if they were full.
    pub fn open_blocks<'a>(
        &'a self,
        proof: &'a Operation<'a>,
    ) -> impl Iterator<Item = BlockState> + use<'a> {
        let is_open = |block: &Block| !block.is_full() && !block.has_few_rows();
        self.states(BlockNo(0), proof)
            .filter_map(move |(block, state)| is_open(block).then_some(state))
    }

    fn states<'a>(
        &'a self,
        from: BlockNo,
        proof: &'a Operation<'a>,
    ) -> impl Iterator<Item = (&'a Block, BlockState)> {
        let end = self.tail.load().next;
        (from.0..end).map(BlockNo).filter_map(move |number| {
            let block = self.directory.get(number)?.get(proof)?;
            let claimed = block.claimed();
            let state = BlockState {
                number,
                frozen: block.is_frozen(),
                slots: claimed,
                room: block.room().min(claimed),
                live: claimed.saturating_sub(block.dead_slots()),
                unsettled: block.unsettled_rows(),
                last_change: block.last_change(),
                has_old_heap: block.has_old_heap(),
            };
            Some((block, state))
        })
    }

    /// Bytes that a block takes.
    pub fn block_bytes(&self, number: BlockNo, proof: &Operation<'_>) -> usize {
        let entry = self.directory.get(number);
        let block = entry.and_then(|entry| entry.get(proof));
        block.map_or(0, Block::bytes)
    }

    /// Has a block take no more rows, so that it can be replaced. What nothing lives in goes at once.
    pub fn close(&self, number: BlockNo, proof: &Operation<'_>) -> Option<Garbage> {
        let block = self.directory.get(number)?.get(proof)?;
        self.forsake(number, block)
    }

    /// Replaces a block by one built as of `horizon`; `None` where that cannot be done now. The
    /// caller is the collector, who has collected all there is at or below the horizon.
    ///
    /// # Errors
    /// `OutOfMemory`: nothing has changed.
    pub fn rebuild(
        &self,
        number: BlockNo,
        into: Rebuild,
        claim: Claim,
        horizon: Timestamp,
        proof: &Operation<'_>,
        retire: impl FnMut(Garbage),
    ) -> Result<Option<Rebuilt>> {
        let Some(entry) = self.directory.get(number) else {
            return Ok(None);
        };
        let Some(old) = entry.get(proof) else {
            return Ok(None);
        };
        let Some(new) = old.rebuild(into, claim, horizon, proof, retire)? else {
            return Ok(None);
        };
        let rows = new.slots() - new.dead_slots();
        let bytes = old.bytes().saturating_sub(new.bytes());
        self.forget_tail(number);
        let old = entry.replace(old, new);
        let old = old.expect("rows live in it, and none dies while the collector's lock is held");
        Ok(Some(Rebuilt {
            rows: rows as u64,
            bytes: bytes as u64,
            old: old.into(),
        }))
    }

    /// Full blocks take no rows: the tail lets go of one that is replaced.
    pub(super) fn forget_tail(&self, number: BlockNo) {
        let _growing = self.growing.lock();
        let tail = self.tail.load();
        if tail.next == number.0 + 1 {
            self.tail.store(Arc::new(Tail {
                next: tail.next,
                block: None,
            }));
        }
    }
}
