//! Which blocks were changed since when: what a checkpoint need not write again.
//!
//! ```text
//!   directory   [ block 0 ][ block 1 ][ (gone) ][ block 3 ]
//!   changed     [      41 ][       7 ][     44 ][       0 ]     the last commit that wrote to each
//! ```
//!
//! 1. A commit finds out which blocks it changes before the commit section, and notes its timestamp at
//!    each of them within, before the clock moves. What is noted is by the block's *number*: freezing,
//!    thawing and compaction replace the block and change no content, and leave it alone.
//! 2. A checkpoint takes its timestamp C within the section, too. It finds a block unchanged since an
//!    earlier checkpoint P where what is noted is at or below P: then no commit in (P, C] wrote to it, and
//!    its content at C is that at P, the image of which is there already.
//!
//! Why what is noted can be trusted:
//! - Commits are in the section one after the other, so what is noted at a block only rises, with plain
//!   stores. Whoever has been in the section at C finds, of commits up to C, all notes (the section's lock
//!   orders them); of later ones perhaps some, and then takes a block for changed that is not: it is
//!   written again, which is no harm.
//! - It does not matter when a commit *stamps* what it wrote, however late: the note is there as soon as the
//!   clock lets anybody see the commit, and a marker that is not stamped yet is resolved by whoever reads.
//! - What is not committed is in no image and needs no note: it gets one if it commits, at any later
//!   checkpoint's cost. What is rolled back was never seen.
//! - A block that is gone, because all its rows were deleted, was noted by those deletions.
//! - `ALTER TABLE` that rewrites rows makes another [`Table`], with notes of its own: whoever compares with
//!   an earlier checkpoint asks whether it is the same one first.
//! - Recovery notes what it replays, and what it loads from images with the timestamp of the image.

use super::Table;
use crate::ids::{BlockNo, RowId, Timestamp};
use crate::sync::atomic::Ordering::Relaxed;
use smallvec::SmallVec;

/// Blocks that are collected before repetitions are taken out.
const UNSORTED_MAX: usize = 1024;

/// The blocks that a commit changes, each once.
#[derive(Debug, Default)]
pub struct ChangedBlocks(SmallVec<[BlockNo; 2]>);

impl ChangedBlocks {
    /// Those of the rows, among which some may be several times.
    pub fn of(rows: impl Iterator<Item = RowId>) -> Self {
        let mut blocks = SmallVec::<[BlockNo; 2]>::new();
        let mut limit = UNSORTED_MAX;
        for block in rows.map(RowId::block) {
            if blocks.last() == Some(&block) {
                continue;
            }
            blocks.push(block);
            if blocks.len() == limit {
                // However many rows come, the list is not much longer than the table's directory.
                make_unique(&mut blocks);
                limit = UNSORTED_MAX.max(2 * blocks.len());
            }
        }
        make_unique(&mut blocks);
        Self(blocks)
    }
}

fn make_unique(blocks: &mut SmallVec<[BlockNo; 2]>) {
    if blocks.len() > 1 {
        blocks.sort_unstable();
        blocks.dedup();
    }
}

impl Table {
    /// Notes which blocks a commit changes; called inside the commit section.
    pub fn note_blocks(&self, timestamp: Timestamp, blocks: &ChangedBlocks) {
        for block in &blocks.0 {
            let changed = self.directory.changed(*block);
            let changed = changed.expect("rows were written to a block that there is");
            // Relaxed: the lock of the section orders it before whoever comes to compare.
            changed.store(timestamp.0, Relaxed);
        }
    }

    /// Notes a change in recovery, where blocks are restored by several threads in any order.
    pub(super) fn note_restored(&self, block: BlockNo, timestamp: Timestamp) {
        if let Some(changed) = self.directory.changed(block)
            && changed.load(Relaxed) < timestamp.0
        {
            changed.fetch_max(timestamp.0, Relaxed);
        }
    }

    /// The last commit that changed a block, of all commits before the caller was in the commit section;
    /// or a later one.
    pub fn changed(&self, block: BlockNo) -> Timestamp {
        let changed = self.directory.changed(block);
        Timestamp(changed.map_or(0, |changed| changed.load(Relaxed)))
    }

    /// The numbers of all blocks that there are or were.
    pub fn blocks(&self) -> impl Iterator<Item = BlockNo> + use<> {
        (0..self.tail.load().next).map(BlockNo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Slot;

    #[test]
    fn blocks_of_rows_are_named_once() {
        let rows = |numbers: &[u32]| {
            let rows = numbers.iter().enumerate();
            let rows = rows.map(|(at, block)| RowId::new(BlockNo(*block), Slot(at as u16 % 9)));
            ChangedBlocks::of(rows).0.to_vec()
        };
        assert_eq!(rows(&[]), []);
        assert_eq!(rows(&[7, 7, 7]), [BlockNo(7)]);
        assert_eq!(rows(&[7, 3, 7, 7, 3, 1]), [1, 3, 7].map(BlockNo));
        let many: Vec<u32> = (0..10_000).map(|at| at * 7 % 1500).collect();
        let all: Vec<BlockNo> = (0..1500).map(BlockNo).collect();
        assert_eq!(rows(&many), all);
    }
}
