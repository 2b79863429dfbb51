//! Passes through the rows of a table that have versions, a few ranges of slots at a time.

use super::Table;
use crate::block::Block;
use crate::block::RANGE_SLOTS;
use crate::error::Result;
use crate::ids::{BlockNo, RowId, Slot};
use crate::mvcc::{Garbage, Operation, Registration};

impl Table {
    /// Calls `visit` with every row that something may be chained over, each block in an operation
    /// of its own.
    pub fn visit_changed(
        &self,
        registration: &Registration,
        mut visit: impl FnMut(&Block, Slot, &Operation<'_>),
    ) {
        let blocks = self.tail.load().next;
        for number in (0..blocks).map(BlockNo) {
            let operation = registration.enter();
            let entry = self.directory.get(number);
            let Some(block) = entry.and_then(|entry| entry.get(&operation)) else {
                continue;
            };
            let claimed = block.claimed();
            for start in (0..claimed).step_by(RANGE_SLOTS) {
                if block.is_settled(start) {
                    continue;
                }
                for slot in start..claimed.min(start + RANGE_SLOTS) {
                    if !block.is_dead_slot(slot) {
                        visit(block, Slot(slot as u16), &operation);
                    }
                }
            }
        }
    }

    /// Moves version records out of extents that are evacuated: of about `slots` slots from `from`
    /// on, of those that are not settled. Returns where the pass goes on, if it does.
    pub fn leave_evacuated(
        &self,
        from: RowId,
        slots: usize,
        proof: &Operation<'_>,
        retire: &mut impl FnMut(Garbage),
    ) -> Result<Option<RowId>> {
        let blocks = self.tail.load().next;
        let mut slot = usize::from(from.slot().0);
        let mut left = slots;
        for number in from.block().0..blocks {
            let number = BlockNo(number);
            let entry = self.directory.get(number);
            if let Some(block) = entry.and_then(|entry| entry.get(proof)) {
                let claimed = block.claimed();
                while slot < claimed {
                    if left == 0 {
                        return Ok(Some(RowId::new(number, Slot(slot as u16))));
                    }
                    let end = claimed.min((slot / RANGE_SLOTS + 1) * RANGE_SLOTS);
                    if !block.is_settled(slot) {
                        block.leave_evacuated(slot..end, proof, retire)?;
                        left = left.saturating_sub(end - slot);
                    }
                    slot = end;
                }
            }
            slot = 0;
        }
        Ok(None)
    }
}
