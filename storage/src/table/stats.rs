//! What a table consists of, for the account that users see.

use super::Table;
use super::directory::BLOCKS_MAX;
use crate::ids::BlockNo;
use crate::mvcc::Operation;

/// Blocks that are looked at to say about how many rows there are.
const SAMPLE_BLOCKS: u32 = 64;

/// What a table consists of, apart from the versions over its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TableStats {
    /// Rows, with those that were added or deleted and not committed.
    pub rows: u64,
    /// Rows that are gone and whose room in the blocks is still taken. A block that was encoded since they went has none
    /// for them.
    pub dead: u64,
    /// Blocks of rows that can be changed in place.
    pub blocks_hot: u64,
    /// Blocks of encoded columns.
    pub blocks_frozen: u64,
    /// Bytes of the blocks, as the ledger counts them.
    pub bytes: u64,
}

impl Table {
    /// About how many rows there are, for who plans with them: the slots of the blocks, dead ones as well. It takes
    /// no longer the more there are: of many blocks some stand for all.
    pub fn about_rows(&self) -> u64 {
        let tail = self.tail.load();
        let (last, before) = match &tail.block {
            Some(block) => (block.claimed() as u64, tail.next - 1),
            None => (0, tail.next),
        };
        let step = before.div_ceil(SAMPLE_BLOCKS).max(1);
        let sample = (0..before).step_by(step as usize);
        let slots = sample.map(|number| match self.directory.get(BlockNo(number)) {
            Some(block) if block.is_set() => self.layout.capacity(number) as u64,
            _ => 0,
        });
        u64::from(step) * slots.sum::<u64>() + last
    }

    /// What it consists of now. Blocks are looked at one after the other: while others write, the
    /// numbers are of slightly different moments.
    pub fn stats(&self, proof: &Operation<'_>) -> TableStats {
        let mut stats = TableStats::default();
        let blocks = self.tail.load().next.min(BLOCKS_MAX);
        for number in 0..blocks {
            let entry = self.directory.get(BlockNo(number));
            let Some(block) = entry.and_then(|entry| entry.get(proof)) else {
                continue;
            };
            let claimed = block.claimed();
            let live = claimed.saturating_sub(block.dead_slots());
            let room = block.room().min(claimed);
            match block.is_frozen() {
                true => stats.blocks_frozen += 1,
                false => stats.blocks_hot += 1,
            }
            stats.dead += room.saturating_sub(live) as u64;
            stats.rows += live as u64;
            stats.bytes += block.bytes() as u64;
        }
        stats
    }
}
