//! Block numbers to blocks, growing without moving.
//!
//! Segments of doubling length, each allocated when its first block comes; so an entry never moves,
//! and finding one takes two loads and no lock. What is noted of a block by its number stands beside the
//! pointers and not among them: commits write there, and everybody reads these.

use crate::block::Block;
use crate::error::{Error, Result};
use crate::ids::{BlockNo, SLOT_BITS};
use crate::index::ROWS_MAX;
use crate::mvcc::Protected;
use crate::pool::{Ledger, Owner, Reservation};
use crate::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

const FIRST_SEGMENT: u32 = 8;
const SEGMENTS: usize = 24;
/// Blocks of one table.
pub(super) const BLOCKS_MAX: u32 = FIRST_SEGMENT * ((1 << SEGMENTS) - 1);

const _: () = assert!(
    (BLOCKS_MAX as u64) << SLOT_BITS <= ROWS_MAX,
    "an index holds any row"
);

/// A segment that takes fewer bytes is not worth an entry in the account.
const COUNTED_BYTES_MIN: u64 = 64 << 10;

#[derive(Debug)]
struct Segment {
    blocks: Box<[Protected<Block>]>,
    /// The last commit that changed a row of each.
    changed: Box<[AtomicU64]>,
    _memory: Option<Reservation>,
}

impl Segment {
    fn of(length: usize, ledger: &Arc<Ledger>) -> Result<Self> {
        let bytes = (length * (size_of::<Protected<Block>>() + size_of::<AtomicU64>())) as u64;
        let is_counted = bytes >= COUNTED_BYTES_MIN;
        let memory = is_counted.then(|| ledger.reserve(Owner::Table, bytes));
        Ok(Self {
            _memory: memory.transpose()?,
            blocks: (0..length).map(|_| Protected::default()).collect(),
            changed: (0..length).map(|_| AtomicU64::new(0)).collect(),
        })
    }
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

    /// The entry of a block that comes now. One caller at a time.
    ///
    /// # Errors
    /// `LimitExceeded` above [`BLOCKS_MAX`], `OutOfMemory`.
    pub(super) fn entry(&self, number: BlockNo, ledger: &Arc<Ledger>) -> Result<&Protected<Block>> {
        let (segment, _) = locate(number);
        let Some(there) = self.segments.get(segment) else {
            return Err(Error::LimitExceeded {
                what: "number of a table's blocks",
                found: u64::from(number.0),
                limit: u64::from(BLOCKS_MAX),
            });
        };
        if there.get().is_none() {
            let made = Segment::of((FIRST_SEGMENT as usize) << segment, ledger)?;
            there.get_or_init(|| made);
        }
        let entry = self.get(number);
        Ok(entry.expect("its segment is there, and has room for it"))
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
        let (directory, ledger) = (Directory::default(), Ledger::new(1 << 20));
        let beyond = directory.entry(BlockNo(u32::MAX), &ledger).map(drop);
        assert!(matches!(beyond, Err(Error::LimitExceeded { .. })));
    }

    /// A number that was never given, as a forged file may have it.
    #[test]
    fn a_far_away_block_takes_no_memory_that_is_not_reserved() {
        let (directory, ledger) = (Directory::default(), Ledger::new(1 << 20));
        let far = directory.entry(BlockNo(BLOCKS_MAX - 1), &ledger).map(drop);
        assert!(matches!(far, Err(Error::OutOfMemory { .. })), "{far:?}");
        assert!(directory.entry(BlockNo(5000), &ledger).is_ok());
        assert!(ledger.used() >= COUNTED_BYTES_MIN);
        drop(directory);
        assert_eq!(ledger.used(), 0);
    }
}
