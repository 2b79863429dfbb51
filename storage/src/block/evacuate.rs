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
//! Records that are not committed, or whose deletion is not, stay where they are: their owner stamps them in place.

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
            loop {
                let from = link.load(proof);
                let (version, deleted) = match from {
                    Head::Version(version) => (version, None),
                    Head::DeletedOver(version) => (version, Some(version.deleted().load())),
                    Head::Empty | Head::Deleted(_) | Head::Moved => break,
                };
                let stamps = [Some(version.begin().load()), deleted];
                let mut stamps = stamps.into_iter().flatten();
                let is_final = stamps.all(|stamp| matches!(stamp.kind(), StampKind::Committed(_)));
                if !is_final || !version.is_evacuated(&self.pool) {
                    link = version.older();
                    continue;
                }
                // Where the word has changed meanwhile, it is looked at again.
                if let Some(garbage) = link.relocate(from, &self.pool)? {
                    retire(garbage);
                    moved += 1;
                }
            }
        }
        Ok(moved)
    }
}
