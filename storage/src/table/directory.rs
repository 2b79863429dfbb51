//! Block numbers to blocks, growing without moving.
//!
//! Segments of doubling length, each allocated when its first block comes; so an entry never moves,
//! and finding one takes two loads and no lock. What is noted of a block by its number stands beside the
//! pointers and not among them: commits write there, and everybody reads these.

use crate::block::Block;
use crate::ids::{BlockNo, SLOT_BITS};
use crate::index::ROWS_MAX;
use crate::mvcc::Protected;
use crate::sync::atomic::AtomicU64;
use std::sync::OnceLock;

const FIRST_SEGMENT: u32 = 8;
const SEGMENTS: usize = 24;
/// Blocks of one table.
pub(super) const BLOCKS_MAX: u32 = FIRST_SEGMENT * ((1 << SEGMENTS) - 1);

const _: () = assert!(
    (BLOCKS_MAX as u64) << SLOT_BITS <= ROWS_MAX,
    "an index holds any row"
);

#[derive(Debug)]
struct Segment {
    blocks: Box<[Protected<Block>]>,
    /// The last commit that changed a row of each.
    changed: Box<[AtomicU64]>,
}

/// The blocks of a table by number.
#[derive(Debug, Default)]
pub(super) struct Directory {
    segments: [OnceLock<Segment>; SEGMENTS],
}

/// Segment and place in it.
#[inline]
fn locate(number: BlockNo) -> (usize, usize) {
    let group = number.0 / FIRST_SEGMENT + 1;
    let segment = group.ilog2();
    let start = FIRST_SEGMENT * ((1 << segment) - 1);
    (segment as usize, (number.0 - start) as usize)
}

impl Directory {
    /// The entry of a block that may have come before.
    #[inline]
    pub(super) fn get(&self, number: BlockNo) -> Option<&Protected<Block>> {
        let (segment, at) = locate(number);
        self.segments.get(segment)?.get()?.blocks.get(at)
    }

    /// Where the last commit is noted that changed a block which has come before.
    pub(super) fn changed(&self, number: BlockNo) -> Option<&AtomicU64> {
        let (segment, at) = locate(number);
        self.segments.get(segment)?.get()?.changed.get(at)
    }

    /// The entry of a block that comes now; `None` above [`BLOCKS_MAX`].
    pub(super) fn entry(&self, number: BlockNo) -> Option<&Protected<Block>> {
        let (segment, at) = locate(number);
        let length = (FIRST_SEGMENT as usize) << segment;
        let entries = || Segment {
            blocks: (0..length).map(|_| Protected::default()).collect(),
            changed: (0..length).map(|_| AtomicU64::new(0)).collect(),
        };
        let segment = self.segments.get(segment)?.get_or_init(entries);
        segment.blocks.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fill_one_segment_after_the_other() {
        assert_eq!(locate(BlockNo(0)), (0, 0));
        assert_eq!(locate(BlockNo(7)), (0, 7));
        assert_eq!(locate(BlockNo(8)), (1, 0));
        assert_eq!(locate(BlockNo(23)), (1, 15));
        assert_eq!(locate(BlockNo(24)), (2, 0));
        let (segment, at) = locate(BlockNo(BLOCKS_MAX - 1));
        assert_eq!(segment, SEGMENTS - 1);
        assert_eq!(at + 1, (FIRST_SEGMENT as usize) << segment);
        assert!(Directory::default().entry(BlockNo(u32::MAX)).is_none());
    }
}
