//! Filling a block in recovery: any slot at any time, by one thread, before anybody reads.

use super::image;
use super::slots::Block;
use crate::error::Result;
use crate::ids::{ColumnId, Slot};
use crate::mvcc::{Head, Operation, Stamp};
use crate::value::ValueRef;
use std::borrow::Borrow;

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
        usize::from(slot.0) < self.claimed() && self.begin(slot) != Stamp::NEVER
    }

    /// Writes a row into its slot, in which there is none.
    pub fn restore<'v, V: Borrow<ValueRef<'v>>>(
        &self,
        slot: Slot,
        values: impl Iterator<Item = (ColumnId, V)>,
        begin: Stamp,
    ) -> Result<()> {
        self.restore_claim(slot);
        let rows = self.rows();
        let body = rows.body_mut(slot);
        image::write_base(&self.layout, self.hot_heap(), body, values, true)?;
        rows.header(slot).begin.store(begin);
        self.settle_inserts(slot, 1);
        Ok(())
    }

    /// Buries the slots, of those claimed, that hold no row: holes are dead from now on.
    pub fn count_dead(&self, proof: &Operation<'_>) {
        for slot in (0..self.claimed()).map(|slot| Slot(slot as u16)) {
            let is_hole = self.begin(slot) == Stamp::NEVER;
            if is_hole {
                self.undo_insert(slot);
            }
            if is_hole || matches!(self.head(slot, proof), Head::Deleted(_)) {
                self.bury(slot);
            }
        }
    }
}
