//! The base of a frozen block: encoded columns, and heads for the rows that changed since.

use super::frozen::Frozen;
use super::heads::Heads;
use super::layout::Layout;
use super::row::RowRef;
use crate::ids::{Slot, Timestamp};
use crate::mvcc::{HeadWord, Stamp};

#[derive(Debug)]
pub(super) struct Columns {
    pub(super) frozen: Frozen,
    pub(super) heads: Heads,
    /// The horizon as of which the rows were taken: all are committed at or below it, and every
    /// snapshot that finds this block is at or above it.
    pub(super) at: Timestamp,
}

impl Columns {
    /// The word of a slot's head; `None` where it holds no row, or none of its chunk has words.
    #[inline]
    pub(super) fn word(&self, slot: Slot) -> Option<&HeadWord> {
        self.heads.word(self.frozen.position(slot)?)
    }

    /// Whether nothing happened to the row of a slot, if it holds one, since the block was built.
    #[inline]
    pub(super) fn is_bare(&self, slot: Slot) -> bool {
        let position = self.frozen.position(slot);
        position.is_none_or(|position| self.heads.is_empty(position))
    }

    /// The position of a slot that holds a row.
    pub(super) fn position(&self, slot: Slot) -> u32 {
        let position = self.frozen.position(slot);
        position.expect("nothing happens where no row is")
    }

    /// When the row of a slot began, as far as anybody can tell.
    pub(super) fn begin(&self, slot: Slot) -> Stamp {
        match self.frozen.position(slot) {
            Some(_) => Stamp::committed(self.at),
            None => Stamp::ABORTED,
        }
    }

    /// The row of a slot that has one.
    pub(super) fn row<'a>(&'a self, layout: &'a Layout, slot: Slot) -> RowRef<'a> {
        let position = self.frozen.position(slot);
        let position = position.expect("a slot with a row");
        RowRef::frozen(layout, &self.frozen, position)
    }
}
