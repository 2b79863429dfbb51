//! Moving version records to other memory, so that the pool can empty the extents they are in.
//!
//! ```text
//!   before   head --> N (uncommitted) --> V --> W --> base      V lies in a sparse extent
//!   after    head --> N (uncommitted) --> V'--> W --> base      V is retired, and still leads to W
//! ```
//!
//! 1. A copy of a *committed* record is made: stamp, image and link are final then, but for what
//!    the collector itself does to the link; and it is the collector who moves.
//! 2. The link that led to the old record is swung by compare-and-exchange. Writers chain over the
//!    head by compare-and-exchange, too: one that expected the old record looks again.
//! 3. The old record is retired. Who has a reference to it reads on: its link still leads to the
//!    states below. Those cannot be freed before the reader's operation ends, because they are
//!    unlinked later than the old record was, and the operation began before that.
//!
//! Records that are not committed stay where they are: their owner stamps them in place.

use super::slots::Block;
use crate::error::Result;
use crate::ids::Slot;
use crate::mvcc::{Garbage, Head, Operation, StampKind};
use std::ops::Range;

impl Block {
    /// Moves the version records of these rows out of extents that are evacuated. The caller is the
    /// collector (one at a time). Returns how many moved; on error the others stay as they were.
    pub fn leave_evacuated(
        &self,
        slots: Range<usize>,
        proof: &Operation<'_>,
        retire: &mut impl FnMut(Garbage),
    ) -> Result<usize> {
        let mut moved = 0;
        for slot in slots {
            let Some(mut link) = self.any_head(Slot(slot as u16)) else {
                continue;
            };
            while let Head::Version(version) = link.load(proof) {
                let is_final = matches!(version.begin().load().kind(), StampKind::Committed(_));
                if !is_final || !version.is_evacuated(&self.pool) {
                    link = version.older();
                    continue;
                }
                // Where a newer version came meanwhile, the link leads there now.
                if let Some(garbage) = link.relocate(version, &self.pool)? {
                    retire(garbage);
                    moved += 1;
                }
            }
        }
        Ok(moved)
    }
}
