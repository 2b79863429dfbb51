//! Walking the rows of a table in order of their ids.

use super::Table;
use crate::block::{RANGE_SLOTS, RowRef};
use crate::ids::{BlockNo, RowId, Slot};
use crate::mvcc::Viewpoint;

/// Rows found by a scan.
#[derive(Debug, Default)]
pub struct Found<'a> {
    /// Their ids.
    pub ids: Vec<RowId>,
    /// The rows.
    pub rows: Vec<RowRef<'a>>,
}

impl Table {
    /// Collects visible rows from `from` on and before `end`, at most `limit`, of one block.
    /// Returns where to go on.
    pub fn collect<'a>(
        &'a self,
        viewpoint: &Viewpoint<'a>,
        from: RowId,
        end: RowId,
        limit: usize,
        found: &mut Found<'a>,
    ) -> RowId {
        let number = from.block();
        let next_block = RowId::new(BlockNo(number.0 + 1), Slot(0));
        let entry = self.directory.get(number);
        let Some(block) = entry.and_then(|entry| entry.get(viewpoint.registration())) else {
            return next_block.min(end);
        };
        let claimed = block.claimed();
        let mut slot = usize::from(from.slot().0);
        // Most rows are visible; growing step by step would copy them several times.
        let room = claimed.saturating_sub(slot).min(limit);
        found.ids.reserve(room);
        found.rows.reserve(room);
        while slot < claimed && found.ids.len() < limit {
            let range_end = ((slot / RANGE_SLOTS + 1) * RANGE_SLOTS).min(claimed);
            if block.is_settled(slot) {
                let room = (limit - found.ids.len()).min(RANGE_SLOTS);
                let stop = range_end.min(slot + room);
                for (slot, row) in block.settled_rows(slot..stop, viewpoint.registration()) {
                    found.ids.push(RowId::new(number, slot));
                    found.rows.push(row);
                }
                slot = stop;
                continue;
            }
            while slot < range_end && found.ids.len() < limit {
                let at = Slot(slot as u16);
                if let Some(row) = block.visible(at, viewpoint) {
                    found.ids.push(RowId::new(number, at));
                    found.rows.push(row);
                }
                slot += 1;
            }
        }
        if slot < claimed {
            RowId::new(number, Slot(slot as u16))
        } else {
            next_block.min(end)
        }
    }
}
