//! Filling a block in recovery: any slot at any time, by one thread, before anybody reads.

use super::hot::Block;
use super::image;
use crate::error::Result;
use crate::ids::{ColumnId, Slot};
use crate::mvcc::{Head, Registration, Stamp};
use crate::value::ValueRef;

impl Block {
    /// Claims all slots up to and including this one. They are holes until they are restored.
    pub fn restore_claim(&self, slot: Slot) {
        while self.claimed() <= usize::from(slot.0) {
            let claimed = self.claim().expect("a slot of this block");
            std::mem::forget(claimed);
        }
    }

    /// Whether a row was ever restored there.
    pub fn is_filled(&self, slot: Slot) -> bool {
        usize::from(slot.0) < self.claimed() && self.header(slot).begin.load() != Stamp::NEVER
    }

    /// Writes a row into its slot, in which there is none.
    pub fn restore<'v>(
        &self,
        slot: Slot,
        values: impl Iterator<Item = (ColumnId, ValueRef<'v>)>,
        begin: Stamp,
    ) -> Result<()> {
        self.restore_claim(slot);
        self.write_restored(slot, |layout, heap, body| {
            image::write_base(layout, heap, body, values, true).map(drop)
        })?;
        self.header(slot).begin.store(begin);
        self.settle_insert(slot);
        Ok(())
    }

    /// Counts the slots, of those claimed, that hold no row.
    pub fn count_dead(&self, proof: &Registration) {
        for slot in 0..self.claimed() {
            let header = self.header(Slot(slot as u16));
            let is_hole = header.begin.load() == Stamp::NEVER;
            if is_hole || matches!(header.head.load(proof), Head::Deleted(_)) {
                self.bury();
            }
        }
    }
}
