//! Writing rows: the base row of an insertion, and the image of an update.
//!
//! A base row's long strings go to the block's heap. An image has the columns as in a base row and
//! after them the long strings that came with it; strings that did not change and are in the
//! block's heap stay there, and the image names them as the base row does. An image without
//! strings of its own can therefore be folded into the base by copying its columns.

use super::field::{INLINE_BYTES, View, string_of};
use super::heap::{Heap, Place};
use super::layout::{Field, Layout, VIEW_BYTES};
use super::row::{Image, RowRef};
use crate::error::{Error, Result};
use crate::ids::ColumnId;
use crate::limits::VALUE_BYTES_MAX;
use crate::mvcc::{NewVersion, Stamp};
use crate::pool::Pool;
use crate::value::{DataType, ValueRef, write_fixed};
use std::borrow::Borrow;

/// The buffer number that says: in the image itself, at this offset.
pub(super) const OWN_STRINGS: u32 = u32::MAX;

/// Writes a base row; columns not among `values` become NULL. `false` when the heap is full, unless
/// it `must` take the row's strings.
///
/// Values are looked at where they are: to copy one, which was just written part by part, as a whole
/// has the processor wait until all parts have left its store buffer.
#[inline]
pub(super) fn write_base<'v, V: Borrow<ValueRef<'v>>>(
    layout: &Layout,
    heap: &Heap,
    body: &mut [u8],
    values: impl Iterator<Item = (ColumnId, V)>,
    must: bool,
) -> Result<bool> {
    layout.set_all_null(body);
    for (column, value) in values {
        let (value, field) = (value.borrow(), field_of(layout, column));
        match value {
            ValueRef::Null => {}
            ValueRef::Text(_) | ValueRef::Bytea(_) | ValueRef::Packed(..) => {
                let Some(view) = base_view(heap, field, value, must)? else {
                    return Ok(false);
                };
                put_view(layout, body, field, view);
            }
            fixed => {
                set_null(layout, body, field, false);
                write_fixed(&mut body[field.offset..], field.data_type, fixed);
            }
        }
    }
    Ok(true)
}

/// Whether one of these values is a string that has no room in its view.
pub(super) fn needs_room(changes: &[(ColumnId, ValueRef<'_>)]) -> bool {
    let mut strings = changes.iter().filter_map(|(_, value)| string_of(value));
    strings.any(|string| string.len() > INLINE_BYTES)
}

/// Changes columns of a base row; no string needs room beside it.
pub(super) fn write_short(layout: &Layout, body: &mut [u8], changes: &[(ColumnId, ValueRef<'_>)]) {
    for (column, value) in changes {
        put(layout, body, field_of(layout, *column), value);
    }
}

/// The view of a string in a base row; `None` when the heap is full.
#[inline]
fn base_view(heap: &Heap, field: &Field, value: &ValueRef<'_>, must: bool) -> Result<Option<View>> {
    let string = string_of(value).unwrap_or_default();
    match check_string(field, value, string)? {
        Length::Short => Ok(Some(View::inline(string))),
        Length::Long => {
            let place = heap.place(string, must)?;
            Ok(place.map(|Place { chunk, offset }| View::outside(string, chunk, offset)))
        }
    }
}

/// The version that `changes` make of `old`.
#[inline]
pub(super) fn updated<'p>(
    pool: &'p Pool,
    begin: Stamp,
    old: &RowRef<'_>,
    changes: &[(ColumnId, ValueRef<'_>)],
) -> Result<NewVersion<'p>> {
    match old.as_image() {
        Some(image) => image_updated(pool, begin, old.layout, image, changes),
        None => frozen_updated(pool, begin, old, changes),
    }
}

/// The same where the old row is an image, too.
#[inline]
fn image_updated<'p>(
    pool: &'p Pool,
    begin: Stamp,
    layout: &Layout,
    old: Image<'_>,
    changes: &[(ColumnId, ValueRef<'_>)],
) -> Result<NewVersion<'p>> {
    let mut own = 0;
    for (column, value) in changes {
        own += long_string(field_of(layout, *column), value)?.map_or(0, <[u8]>::len);
    }
    let body = &old.bytes[..layout.body_bytes()];
    // Most rows have none.
    let with_strings = match old.bytes.len() > body.len() {
        true => layout.fields(),
        false => &[],
    };
    let kept = |field: &&Field| keeps_own_string(layout, old, field, changes);
    for field in with_strings.iter().filter(kept) {
        own += old.string(field).len();
    }
    let mut version = NewVersion::with_copy(pool, begin, body, own)?;
    let mut new = NewImage::of(layout, &mut version);
    for (column, value) in changes {
        new.set(field_of(layout, *column), value)?;
    }
    for field in with_strings.iter().filter(kept) {
        new.set_string(field, old.string(field));
    }
    Ok(version)
}

/// The same where the old row is frozen: all its strings come along.
fn frozen_updated<'p>(
    pool: &'p Pool,
    begin: Stamp,
    old: &RowRef<'_>,
    changes: &[(ColumnId, ValueRef<'_>)],
) -> Result<NewVersion<'p>> {
    let layout = old.layout;
    let value = |field: &Field| {
        let change = changes.iter().rfind(|(column, _)| *column == field.column);
        change.map_or_else(|| old.read(field), |(_, value)| *value)
    };
    let mut own = 0;
    for field in layout.fields() {
        own += long_string(field, &value(field))?.map_or(0, <[u8]>::len);
    }
    let mut version = NewVersion::with_image(pool, begin, layout.body_bytes() + own)?;
    let mut new = NewImage::of(layout, &mut version);
    for field in layout.fields() {
        new.set(field, &value(field))?;
    }
    Ok(version)
}

/// The image of a version, being written: columns, and after them its own long strings.
struct NewImage<'a> {
    layout: &'a Layout,
    body: &'a mut [u8],
    strings: &'a mut [u8],
    used: usize,
}

impl<'a> NewImage<'a> {
    fn of(layout: &'a Layout, version: &'a mut NewVersion<'_>) -> Self {
        let (body, strings) = version.image_mut().split_at_mut(layout.body_bytes());
        Self {
            layout,
            body,
            strings,
            used: 0,
        }
    }

    #[inline]
    fn set(&mut self, field: &Field, value: &ValueRef<'_>) -> Result<()> {
        match long_string(field, value)? {
            Some(string) => self.set_string(field, string),
            None => put(self.layout, self.body, field, value),
        }
        Ok(())
    }

    fn set_string(&mut self, field: &Field, string: &[u8]) {
        self.strings[self.used..self.used + string.len()].copy_from_slice(string);
        let offset = self.layout.body_bytes() + self.used;
        self.used += string.len();
        let view = View::outside(string, OWN_STRINGS, offset as u32);
        put_view(self.layout, self.body, field, view);
    }
}

/// Whether an unchanged string is one of those that only the old image has.
fn keeps_own_string(
    layout: &Layout,
    old: Image<'_>,
    field: &Field,
    changes: &[(ColumnId, ValueRef<'_>)],
) -> bool {
    let changed = || changes.iter().any(|(column, _)| *column == field.column);
    match outside_view(layout, old, field) {
        Some(view) => view.buffer() == OWN_STRINGS && !changed(),
        None => false,
    }
}

/// The view of a string that is not inside it.
fn outside_view(layout: &Layout, image: Image<'_>, field: &Field) -> Option<View> {
    if !field.is_viewed() || image.is_null(layout, field) {
        return None;
    }
    let view = image.view(field);
    (!view.is_inline()).then_some(view)
}

/// Whether a row names strings of its block's heap.
pub(super) fn names_heap(row: &RowRef<'_>) -> bool {
    let Some(image) = row.as_image() else {
        return false;
    };
    let mut views = row.layout.fields().iter();
    views.any(|field| {
        outside_view(row.layout, image, field).is_some_and(|view| view.buffer() != OWN_STRINGS)
    })
}

#[inline]
fn field_of(layout: &Layout, column: ColumnId) -> &Field {
    layout
        .field(column)
        .expect("a table's columns are in the layout of its blocks")
}

#[inline]
fn long_string<'v>(field: &Field, value: &ValueRef<'v>) -> Result<Option<&'v [u8]>> {
    let Some(string) = string_of(value) else {
        return Ok(None);
    };
    let length = check_string(field, value, string)?;
    Ok(matches!(length, Length::Long).then_some(string))
}

/// Whether a string has room in its view.
enum Length {
    Short,
    Long,
}

/// Refuses a string that is too long.
#[inline]
fn check_string(field: &Field, value: &ValueRef<'_>, string: &[u8]) -> Result<Length> {
    let fits = match value {
        ValueRef::Text(_) => field.data_type.is_text(),
        ValueRef::Packed(packed, _) => field.data_type == DataType::Packed(*packed),
        _ => field.data_type == DataType::Bytea,
    };
    assert!(fits, "a {} column was given {value:?}", field.data_type);
    if string.len() > VALUE_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "size of a value in bytes",
            found: string.len() as u64,
            limit: VALUE_BYTES_MAX as u64,
        });
    }
    Ok(match string.len() > INLINE_BYTES {
        true => Length::Long,
        false => Length::Short,
    })
}

/// Writes a value that needs no room beside the row.
#[inline]
fn put(layout: &Layout, body: &mut [u8], field: &Field, value: &ValueRef<'_>) {
    if value.is_null() {
        set_null(layout, body, field, true);
    } else if let Some(string) = string_of(value) {
        put_view(layout, body, field, View::inline(string));
    } else {
        set_null(layout, body, field, false);
        write_fixed(&mut body[field.offset..], field.data_type, value);
    }
}

#[inline]
fn put_view(layout: &Layout, body: &mut [u8], field: &Field, view: View) {
    set_null(layout, body, field, false);
    body[field.offset..field.offset + VIEW_BYTES].copy_from_slice(&view.0);
}

#[inline]
fn set_null(layout: &Layout, body: &mut [u8], field: &Field, null: bool) {
    let (byte, mask) = layout.null_bit(field);
    if null {
        body[byte] |= mask;
    } else {
        body[byte] &= !mask;
    }
}
