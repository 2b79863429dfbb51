//! What a checkpoint takes of a block: its rows as a registered snapshot sees them, whoever writes
//! meanwhile.
//!
//! The caller holds on to the block, and goes through it in several operations. It may be replaced in
//! between: then its heads say *moved*, and the walk goes on in the successor, slot by slot. What is found
//! there is not what the block itself has for its base, and [`Captured::is_base`] says so.

use super::frozen::Frozen;
use super::row::RowRef;
use super::slots::{Base, Block, RANGE_SLOTS};
use crate::ids::{Slot, Timestamp};
use crate::mvcc::{Resolved, StampKind, Viewpoint};
use std::ops::Range;

/// A row as it is seen.
#[derive(Debug)]
pub struct Captured<'a> {
    /// Its place.
    pub slot: Slot,
    /// The row.
    pub row: RowRef<'a>,
    /// The commit that made it so, or a later one; `None` where that is not known.
    pub since: Option<Timestamp>,
    /// Whether it is the base of the very block that was asked.
    pub is_base: bool,
}

impl Block {
    /// The encoded columns, if its rows are.
    pub fn frozen(&self) -> Option<&Frozen> {
        match &self.base {
            Base::Frozen(columns) => Some(&columns.frozen),
            Base::Hot(_) => None,
        }
    }

    /// Whether every registered snapshot sees exactly the rows of the encoded columns.
    pub fn is_as_frozen(&self) -> bool {
        let Some(frozen) = self.frozen() else {
            return false;
        };
        let slots = self.capacity();
        // First that a range is settled, and then which of its slots are dead: whoever settles a
        // deletion has noted the dead slot before. How many are dead in all is counted later, and
        // must not be asked here.
        let is_same = |start: usize| {
            let words = (start..slots.min(start + RANGE_SLOTS)).step_by(64);
            let mut words = words.map(|slot| (slot, frozen.live().words()[slot / 64]));
            let of_slots = |slot: usize| match slots - slot {
                0..64 => (1 << (slots - slot)) - 1,
                _ => u64::MAX,
            };
            self.is_settled(start)
                && words.all(|(slot, live)| self.dead_bits(slot) == !live & of_slots(slot))
        };
        (0..slots).step_by(RANGE_SLOTS).all(is_same)
    }

    /// Shows each row that is visible in these slots, which are claimed and of one range.
    pub fn capture<'a, E>(
        &'a self,
        slots: Range<usize>,
        viewpoint: &Viewpoint<'a>,
        mut visit: impl FnMut(Captured<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let proof = viewpoint.operation();
        if self.is_settled(slots.start) {
            for (slot, row) in self.settled_rows(slots, proof) {
                visit(Captured {
                    slot,
                    row,
                    since: self.begun(slot),
                    is_base: true,
                })?;
            }
            return Ok(());
        }
        for slot in slots.map(|slot| Slot(slot as u16)) {
            let mut chain = self.chain(slot, proof);
            let seen = chain.find(|link| viewpoint.sees(|| link.stamp()));
            let Some((link, row)) = seen.and_then(|link| Some((link, link.image()?))) else {
                continue;
            };
            let since = match viewpoint.resolve(|| link.stamp()) {
                Resolved::Committed(at) => Some(at),
                Resolved::Nothing | Resolved::Own(_) | Resolved::Rival(_) => None,
            };
            let is_base = link.is_base_of(self);
            visit(Captured {
                slot,
                row,
                since,
                is_base,
            })?;
        }
        Ok(())
    }

    fn begun(&self, slot: Slot) -> Option<Timestamp> {
        match self.begin(slot).kind() {
            StampKind::Committed(at) => Some(at),
            _ => None,
        }
    }
}
