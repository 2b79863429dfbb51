//! Filling a block in recovery: any slot at any time, by one thread, before anybody reads.

use super::columns::Columns;
use super::frozen::Frozen;
use super::heads::Heads;
use super::hot::Rows;
use super::image;
use super::layout::Layout;
use super::slots::{Base, Block, RANGE_SLOTS};
use crate::error::Result;
use crate::ids::{ColumnId, Slot, Timestamp};
use crate::mvcc::{Head, Operation, Stamp, StampKind};
use crate::pool::{Claim, Pool};
use crate::value::ValueRef;
use std::borrow::Borrow;
use std::sync::Arc;

/// Slots that a block has memory for at first.
const FIRST_SLOTS: usize = 64;

impl Block {
    /// A block of encoded columns, all of whose rows began at or before `at`. It has as many slots as they
    /// have.
    pub fn restored(
        layout: &Arc<Layout>,
        pool: &Arc<Pool>,
        frozen: Frozen,
        at: Timestamp,
    ) -> Result<Self> {
        let at = at.max(Timestamp(1));
        let (slots, rows) = (frozen.slots(), frozen.rows());
        let heads = Heads::new(pool, rows);
        let base = Base::Frozen(Columns { frozen, heads, at });
        let block = Self::with_base(Claim::Ordinary, base, layout, pool, slots, at)?;
        if let Some(frozen) = block.frozen() {
            let live = frozen.live();
            let dead = (0..slots).filter(|slot| rows < slots && !live.get(*slot));
            dead.for_each(|slot| block.bury_unborn(slot));
        }
        Ok(block)
    }

    /// An empty block, the `nth` of its table, with memory for few rows.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn to_restore(layout: &Arc<Layout>, pool: &Arc<Pool>, nth: u32) -> Result<Self> {
        let slots = layout.capacity(nth);
        let rows = Rows::new(layout, pool, slots.min(FIRST_SLOTS))?;
        let claim = Claim::Ordinary;
        Self::with_base(claim, Base::Hot(rows), layout, pool, slots, Timestamp(0))
    }

    /// Makes room for the first so many rows, if it is hot.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn restore_room(&self, slots: usize) -> Result<()> {
        match &self.base {
            // SAFETY: recovery is alone with the block, one thread at a time, and holds no row of it between two calls.
            Base::Hot(rows) => unsafe { rows.restore_room(slots, self.slots()) },
            Base::Frozen(_) => Ok(()),
        }
    }

    /// Claims all slots up to and including this one. They are holes until they are restored.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn restore_claim(&self, slot: Slot) -> Result<()> {
        self.restore_room(usize::from(slot.0) + 1)?;
        while self.claimed() <= usize::from(slot.0) {
            let claimed = self.claim().expect("a slot of this block");
            std::mem::forget(claimed);
        }
        Ok(())
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
        self.restore_claim(slot)?;
        let rows = self.rows();
        let body = rows.body_mut(slot);
        image::write_base(&self.layout, self.hot_heap(), body, values, true)?;
        rows.header(slot).begin.store(begin);
        self.settle_inserts(slot, 1);
        Ok(())
    }

    /// Changes columns of a row where it stands; whether it did. It does not where somebody has chained
    /// something over the row, where its block is frozen, and where a string comes that would take room in
    /// the heap: what is there is never freed.
    pub fn restore_in_place(
        &self,
        slot: Slot,
        changes: &[(ColumnId, ValueRef<'_>)],
        begin: Stamp,
    ) -> bool {
        let Base::Hot(rows) = &self.base else {
            return false;
        };
        let header = rows.header(slot);
        let is_row = matches!(header.begin.load().kind(), StampKind::Committed(_));
        if !is_row || !header.head.is_empty() || image::needs_room(changes) {
            return false;
        }
        image::write_short(&self.layout, rows.body_mut(slot), changes);
        header.begin.store(begin);
        true
    }

    /// Buries the slots, of those claimed, that hold no row: holes are dead from now on. Ranges in which
    /// all is settled have none.
    pub fn count_dead(&self, proof: &Operation<'_>) {
        let claimed = self.claimed();
        let ranges = (0..claimed).step_by(RANGE_SLOTS);
        for start in ranges.filter(|start| !self.is_settled(*start)) {
            for slot in start..claimed.min(start + RANGE_SLOTS) {
                self.count_if_dead(Slot(slot as u16), proof);
            }
        }
    }

    fn count_if_dead(&self, slot: Slot, proof: &Operation<'_>) {
        let is_hole = self.begin(slot) == Stamp::NEVER;
        if is_hole {
            self.undo_insert(slot);
        }
        if is_hole || matches!(self.head(slot, proof), Head::Deleted(_)) {
            self.bury(slot);
        }
    }
}
