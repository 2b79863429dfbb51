//! Bare rows: looked at, and compared with keys, where they lie.
//!
//! ```text
//!   key in an index    01 | 80 00 00 00 00 00 00 2A      a mark, the integer with its sign bit inverted
//!   row                [ begin | head | .. | 2A 00 00 00 00 00 00 00 | .. | null bits ]
//! ```
//!
//! A range of an index looks at the row of each of its entries, to see whether the row has the entry's
//! key still. Mostly the key is an integer, and the row is bare and was committed long ago: then the
//! look is a few instructions over header and column. What matters is that none of them waits for
//! another row. So nothing larger than two registers is passed on: a [`RowRef`] is written to memory
//! in parts and read across them when it is moved, which makes the processor wait for all loads before.
//!
//! Of a frozen block the one integer is decoded.

use super::frozen::Frozen;
use super::hot::{HotRow, Run};
use super::layout::{Field, Layout};
use super::row::{Image, RowRef, ShownColumn};
use super::slots::{Base, Block};
use crate::ids::{ColumnId, Slot};
use crate::mvcc::Viewpoint;
use crate::pool::prefetch;
use crate::value::{DataType, Value, take};

/// The base row of a hot block that a viewpoint sees, with nothing chained over it when it was looked
/// at.
#[derive(Clone, Copy, Debug)]
pub struct Bare<'a> {
    block: &'a Block,
    body: &'a [u8],
}

/// A column of plain integers in rows of one layout.
#[derive(Clone, Copy, Debug)]
pub struct IntColumn {
    offset: usize,
    null_byte: usize,
    null_mask: u8,
    is_wide: bool,
}

impl IntColumn {
    /// Whether its integers have 64 bits.
    #[inline]
    pub fn is_wide(&self) -> bool {
        self.is_wide
    }
}

impl Layout {
    /// Where a column is whose values are integers of 32 or 64 bits, or stored as such.
    pub fn int_column(&self, column: ColumnId) -> Option<IntColumn> {
        use DataType as T;
        let field: &Field = self.field(column)?;
        let is_wide = match field.data_type {
            T::Integer | T::Date => false,
            T::BigInt | T::Time | T::Timestamp | T::TimestampTz => true,
            _ => return None,
        };
        let (null_byte, null_mask) = self.null_bit(field);
        Some(IntColumn {
            offset: field.offset,
            null_byte,
            null_mask,
            is_wide,
        })
    }
}

impl Block {
    /// The row of a slot, if the block is hot, nothing is chained over the row, and the viewpoint sees
    /// it.
    #[inline(always)]
    pub fn bare_row<'a>(&'a self, slot: Slot, viewpoint: &Viewpoint<'a>) -> Option<Bare<'a>> {
        let Base::Hot(rows) = &self.base else {
            return None;
        };
        self.bare_of(rows.row(slot), viewpoint)
    }

    #[inline(always)]
    fn bare_of<'a>(&'a self, row: HotRow<'a>, viewpoint: &Viewpoint<'a>) -> Option<Bare<'a>> {
        let header = row.header();
        // Nothing was chained over the base when we looked; what is chained now is invisible to a
        // snapshot registered before.
        let is_seen = header.head.is_empty() && viewpoint.sees(|| header.begin.load());
        is_seen.then(|| Bare {
            block: self,
            body: row.body(),
        })
    }

    /// The rows that have been claimed, for many look-ups, if the block is hot.
    #[inline]
    pub fn bare_rows(&self) -> Option<BareRows<'_>> {
        let Base::Hot(rows) = &self.base else {
            return None;
        };
        Some(BareRows {
            block: self,
            rows: rows.run(self.claimed()),
        })
    }
}

/// The rows of a hot block.
#[derive(Clone, Copy)]
pub struct BareRows<'a> {
    block: &'a Block,
    rows: Run<'a>,
}

impl<'a> BareRows<'a> {
    /// As [`Block::bare_row`]; none as well where there is no such row.
    #[inline(always)]
    pub fn get(self, slot: Slot, viewpoint: &Viewpoint<'a>) -> Option<Bare<'a>> {
        self.block.bare_of(self.rows.row(slot)?, viewpoint)
    }

    /// As [`Block::fetch`].
    #[inline(always)]
    pub fn fetch(self, slot: Slot) {
        prefetch(self.rows.address(slot));
    }
}

impl Block {
    /// The row at a position of the frozen columns of this block.
    #[inline]
    pub fn frozen_row<'a>(&'a self, frozen: &'a Frozen, position: u32) -> RowRef<'a> {
        RowRef::frozen(&self.layout, frozen, position)
    }

    /// Has the processor fetch the beginning of a row that will be wanted soon.
    #[inline(always)]
    pub fn fetch(&self, slot: Slot) {
        if let Base::Hot(rows) = &self.base {
            prefetch(rows.address(slot));
        }
    }
}

impl<'a> Bare<'a> {
    /// The row.
    #[inline(always)]
    pub fn row(self) -> RowRef<'a> {
        self.block.row(self.body)
    }

    #[inline(always)]
    pub(super) fn image(self) -> Image<'a> {
        self.block.image(self.body)
    }

    #[inline(always)]
    pub(super) fn layout(self) -> &'a Layout {
        &self.block.layout
    }

    /// Whether a column, which is one of the row's layout, has this value.
    #[inline(always)]
    pub fn has_int(self, column: IntColumn, value: i64) -> bool {
        let bytes = &self.body[column.offset..];
        let found = match column.is_wide {
            true => i64::from_le_bytes(take(bytes)),
            false => i32::from_le_bytes(take(bytes)).into(),
        };
        found == value && !self.is_null(column)
    }

    /// Whether a column, which is one of the row's layout, is NULL.
    #[inline(always)]
    pub fn is_null(self, column: IntColumn) -> bool {
        self.body[column.null_byte] & column.null_mask != 0
    }

    /// Whether a column, which is one of texts, has this value.
    #[inline]
    pub fn is_text(self, column: &ShownColumn, text: &str) -> bool {
        column.text(self.layout(), &self.image()) == Some(text.as_bytes())
    }

    /// How many bytes the string has that a column is, if it is one.
    #[inline]
    pub fn string_bytes(self, column: &ShownColumn) -> usize {
        column.string_bytes(self.layout(), &self.image())
    }

    /// Puts the values of a column in several rows of its layout in a place each.
    #[inline]
    pub fn show_each<'v>(
        rows: &[Self],
        column: &ShownColumn,
        places: impl Iterator<Item = &'v mut Value>,
    ) {
        if let Some(first) = rows.first() {
            let rows = rows.iter().copied().zip(places);
            column.show_each(first.layout(), rows, |row| row.body, Bare::image);
        }
    }

    /// Puts the values of columns of its layout in a place each.
    #[inline]
    pub fn show(self, columns: &[ShownColumn], places: &mut [Value]) {
        let (image, layout) = (self.image(), self.layout());
        for (column, place) in columns.iter().zip(places) {
            image.show(layout, column, place);
        }
    }
}
