//! Use marks: a byte for each slot of a block, which says how much its row was used.
//!
//! Only blocks of caches have them, which give the bytes their meaning. They are hints: they are read
//! and written without order, and one that is lost makes a cache forget another row. The block that takes another one's
//! place has the same marks.

use crate::error::Result;
use crate::ids::Slot;
use crate::pool::{Ledger, Owner, Reservation};
use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

/// The mark of a slot without a row, and of one whose row the cache does not know.
pub const NO_USE: u8 = 0;

/// The use marks of a block.
#[derive(Debug)]
pub struct Uses {
    marks: Box<[AtomicU8]>,
    _memory: Reservation,
}

impl Uses {
    /// Marks for so many slots, none of which has a row that the cache knows.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(slots: usize, ledger: &Arc<Ledger>) -> Result<Self> {
        Ok(Self {
            _memory: ledger.reserve(Owner::Table, slots as u64)?,
            marks: (0..slots).map(|_| AtomicU8::new(NO_USE)).collect(),
        })
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        self.marks.len()
    }

    /// The mark of a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> u8 {
        self.marks
            .get(usize::from(slot.0))
            .map_or(NO_USE, |mark| mark.load(Relaxed))
    }

    /// Sets the mark of a slot; returns whether it was another one. What stays the same is not written.
    #[inline]
    pub fn set(&self, slot: Slot, mark: u8) -> bool {
        let Some(place) = self.marks.get(usize::from(slot.0)) else {
            return false;
        };
        let is_new = place.load(Relaxed) != mark;
        if is_new {
            place.store(mark, Relaxed);
        }
        is_new
    }

    /// The marks of all slots.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Slot, u8)> + ExactSizeIterator {
        let marks = self.marks.iter().enumerate();
        marks.map(|(slot, mark)| (Slot(slot as u16), mark.load(Relaxed)))
    }

    /// Replaces each mark by what `change` makes of it.
    pub fn change_all(&self, change: impl Fn(u8) -> u8) {
        for place in &self.marks {
            let mark = place.load(Relaxed);
            let changed = change(mark);
            if changed != mark {
                place.store(changed, Relaxed);
            }
        }
    }
}
