//! Columns that are shown of many rows, each into a value that is used again: where they are is found once.

use super::bare::Bare;
use super::layout::{Field, Layout};
use super::row::{Image, RowRef};
use crate::ids::ColumnId;
use crate::value::{DataType, REUSED_BYTES_MAX, Value, ValueRef, take};

/// A column of the rows of one layout.
#[derive(Clone, Copy, Debug)]
pub struct ShownColumn(Option<Field>);

impl Layout {
    /// Where a column is, if rows have it.
    pub fn shown(&self, column: ColumnId) -> ShownColumn {
        ShownColumn(self.field(column).copied())
    }
}

impl RowRef<'_> {
    /// Puts the value of a column of the row's layout in a place; NULL for one that rows do not have.
    #[inline]
    pub fn show(&self, column: &ShownColumn, place: &mut Value) {
        match (&column.0, self.as_image()) {
            (Some(field), Some(image)) => image.show(self.layout, field, place),
            (Some(field), None) => place.assign(self.read(field)),
            (None, _) => *place = Value::Null,
        }
    }
}

impl Bare<'_> {
    /// As [`RowRef::show`].
    #[inline]
    pub fn show(self, column: &ShownColumn, place: &mut Value) {
        match &column.0 {
            Some(field) => self.image().show(self.layout(), field, place),
            None => *place = Value::Null,
        }
    }
}

impl Image<'_> {
    #[inline]
    fn show(&self, layout: &Layout, field: &Field, place: &mut Value) {
        if self.is_null(layout, field) {
            return place.assign(ValueRef::Null);
        }
        let bytes = &self.bytes[field.offset..];
        // Most places have a value of the type from the row before.
        match (field.data_type, &mut *place) {
            (DataType::BigInt, Value::BigInt(old)) => *old = i64::from_le_bytes(take(bytes)),
            (DataType::Integer, Value::Integer(old)) => *old = i32::from_le_bytes(take(bytes)),
            (DataType::Double, Value::Double(old)) => *old = f64::from_le_bytes(take(bytes)),
            (DataType::Text, Value::Text(old)) if old.capacity() <= REUSED_BYTES_MAX => {
                old.clear();
                // SAFETY: a text column is only ever written from a `&str` (`image::put`).
                old.push_str(unsafe { std::str::from_utf8_unchecked(self.string(field)) });
            }
            _ => place.assign(self.read(layout, field)),
        }
    }
}
