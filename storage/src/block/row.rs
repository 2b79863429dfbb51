//! A row, borrowed.

use super::field::{View, read_fixed};
use super::heap::{Heap, Place};
use super::image::OWN_STRINGS;
use super::layout::{Field, Layout, VIEW_BYTES};
use crate::ids::ColumnId;
use crate::value::{DataType, ValueRef};
use std::fmt;

/// A row as some snapshot sees it, borrowed for the length of one call.
#[derive(Clone, Copy)]
pub struct RowRef<'a> {
    pub(super) layout: &'a Layout,
    /// The columns; in a version, its own long strings after them.
    pub(super) image: &'a [u8],
    pub(super) heap: &'a Heap,
}

impl<'a> RowRef<'a> {
    /// The value of a column; NULL for one that the row was written without.
    pub fn get(&self, column: ColumnId) -> ValueRef<'a> {
        match self.layout.field(column) {
            Some(field) => self.read(field),
            None => ValueRef::Null,
        }
    }

    pub(super) fn is_null(&self, field: &Field) -> bool {
        let (byte, mask) = self.layout.null_bit(field);
        self.image[byte] & mask != 0
    }

    pub(super) fn read(&self, field: &Field) -> ValueRef<'a> {
        if self.is_null(field) {
            return ValueRef::Null;
        }
        match field.data_type {
            DataType::Text | DataType::Varchar(_) | DataType::Char(_) => {
                // SAFETY: a text column is only ever written from a `&str` (`image::put`).
                ValueRef::Text(unsafe { std::str::from_utf8_unchecked(self.string(field)) })
            }
            DataType::Bytea => ValueRef::Bytea(self.string(field)),
            other => read_fixed(&self.image[field.offset..], other),
        }
    }

    pub(super) fn view(&self, field: &Field) -> View {
        let mut view = [0; VIEW_BYTES];
        view.copy_from_slice(&self.image[field.offset..field.offset + VIEW_BYTES]);
        View(view)
    }

    /// The bytes of a text or bytea column that is not NULL.
    pub(super) fn string(&self, field: &Field) -> &'a [u8] {
        let view = self.view(field);
        let length = view.len();
        if view.is_inline() {
            let start = field.offset + 4;
            return &self.image[start..start + length];
        }
        if view.buffer() == OWN_STRINGS {
            let start = view.offset() as usize;
            return &self.image[start..start + length];
        }
        let place = Place {
            chunk: view.buffer(),
            offset: view.offset(),
        };
        self.heap.get(place, length)
    }
}

impl fmt::Debug for RowRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.layout.fields().iter();
        f.debug_map()
            .entries(fields.map(|field| (field.column.0, self.read(field))))
            .finish()
    }
}
