//! The base of a frozen block: encoded columns, and heads for the rows that changed since.

use super::frozen::Frozen;
use super::heads::Heads;
use super::layout::Layout;
use super::row::RowRef;
use crate::error::Result;
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
    /// The head of a slot; `None` where it holds no row, or none of its chunk was ever changed.
    #[inline]
    pub(super) fn head(&self, slot: Slot) -> Option<&HeadWord> {
        self.heads.get(self.frozen.position(slot)?)
    }

    /// The head of a slot that holds a row, to be changed.
    pub(super) fn head_to_change(&self, slot: Slot, shrinks: bool) -> Result<&HeadWord> {
        let position = self.frozen.position(slot);
        let position = position.expect("nothing is chained where no row is");
        self.heads.get_or_add(position, shrinks)
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
