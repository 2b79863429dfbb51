//! A row, borrowed.

use super::field::{INLINE_BYTES, View, string_of};
use super::frozen::Frozen;
use super::heap::{Heap, Place};
use super::image::OWN_STRINGS;
use super::layout::{Field, Layout, VIEW_BYTES, width};
use crate::ids::ColumnId;
use crate::value::{DataType, REUSED_BYTES_MAX, Value, ValueRef, read_fixed, take};
use std::cell::OnceCell;
use std::fmt;

/// A row as some snapshot sees it, borrowed for the length of one call.
///
/// A hot row or a version is read where it lies. Of a frozen row only the values asked for are
/// decoded; a string that has to be put together for that lives as long as this `RowRef`.
pub struct RowRef<'a> {
    pub(super) layout: &'a Layout,
    source: Source<'a>,
}

enum Source<'a> {
    Image(Image<'a>),
    Frozen {
        frozen: &'a Frozen,
        position: u32,
        strings: Strings,
    },
}

/// A row as bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image<'a> {
    /// The columns; in a version, its own long strings after them.
    pub(super) bytes: &'a [u8],
    pub(super) heap: Option<&'a Heap>,
}

/// A decoded string; `None` for NULL.
type StringCell = OnceCell<Option<Box<[u8]>>>;

/// Decoded strings, a cell for each field of the layout.
#[derive(Default)]
struct Strings(OnceCell<Box<[StringCell]>>);

impl Strings {
    fn read(&self, frozen: &Frozen, position: u32, layout: &Layout, field: &Field) -> ValueRef<'_> {
        let mut scratch = Vec::new();
        let decode = |scratch| frozen.value(field.column, position, scratch);
        if !field.is_viewed() {
            return fixed(decode(&mut scratch));
        }
        let fields = layout.fields().len();
        let cells = self
            .0
            .get_or_init(|| (0..fields).map(|_| OnceCell::new()).collect());
        let string =
            cells[field.null].get_or_init(|| string_of(&decode(&mut scratch)).map(Box::from));
        match string {
            None => ValueRef::Null,
            Some(bytes) => match field.data_type {
                DataType::Bytea => ValueRef::Bytea(bytes),
                DataType::Packed(packed) => ValueRef::Packed(packed, bytes),
                _ => {
                    ValueRef::Text(std::str::from_utf8(bytes).expect("a text was decoded as such"))
                }
            },
        }
    }
}

/// A value that borrows nothing.
pub(super) fn fixed(value: ValueRef<'_>) -> ValueRef<'static> {
    match value {
        ValueRef::Null => ValueRef::Null,
        ValueRef::Boolean(v) => ValueRef::Boolean(v),
        ValueRef::SmallInt(v) => ValueRef::SmallInt(v),
        ValueRef::Integer(v) => ValueRef::Integer(v),
        ValueRef::BigInt(v) => ValueRef::BigInt(v),
        ValueRef::Real(v) => ValueRef::Real(v),
        ValueRef::Double(v) => ValueRef::Double(v),
        ValueRef::Numeric(v) => ValueRef::Numeric(v),
        ValueRef::Date(v) => ValueRef::Date(v),
        ValueRef::Time(v) => ValueRef::Time(v),
        ValueRef::Timestamp(v) => ValueRef::Timestamp(v),
        ValueRef::TimestampTz(v) => ValueRef::TimestampTz(v),
        ValueRef::Interval(v) => ValueRef::Interval(v),
        ValueRef::Uuid(v) => ValueRef::Uuid(v),
        ValueRef::Text(_) | ValueRef::Bytea(_) | ValueRef::Packed(..) => {
            unreachable!("a column of another type")
        }
    }
}

impl<'a> RowRef<'a> {
    #[inline]
    pub(super) fn image(layout: &'a Layout, bytes: &'a [u8], heap: Option<&'a Heap>) -> Self {
        let source = Source::Image(Image { bytes, heap });
        Self { layout, source }
    }

    pub(super) fn frozen(layout: &'a Layout, frozen: &'a Frozen, position: u32) -> Self {
        let source = Source::Frozen {
            frozen,
            position,
            strings: Strings::default(),
        };
        Self { layout, source }
    }

    /// The row as bytes, unless it is frozen.
    #[inline]
    pub(super) fn as_image(&self) -> Option<Image<'a>> {
        match self.source {
            Source::Image(image) => Some(image),
            Source::Frozen { .. } => None,
        }
    }

    /// The row's block and its place there, if it is frozen.
    pub(super) fn as_frozen(&self) -> Option<(&'a Frozen, u32)> {
        match self.source {
            Source::Image(_) => None,
            Source::Frozen {
                frozen, position, ..
            } => Some((frozen, position)),
        }
    }

    /// The value of a column; NULL for one that the row was written without.
    #[inline]
    pub fn get(&self, column: ColumnId) -> ValueRef<'_> {
        match self.layout.field(column) {
            Some(field) => self.read(field),
            None => ValueRef::Null,
        }
    }

    /// Whether a column has this value, if that takes no more than comparing a few bytes.
    #[inline]
    pub(crate) fn has_word(&self, column: ColumnId, value: &ValueRef<'_>) -> Option<bool> {
        let (Source::Image(image), Some(field)) = (&self.source, self.layout.field(column)) else {
            return None;
        };
        let bytes = image.bytes.get(field.offset..)?;
        let same = match (value, field.data_type) {
            (ValueRef::BigInt(word), DataType::BigInt) => {
                *bytes.first_chunk()? == word.to_le_bytes()
            }
            (ValueRef::Integer(word), DataType::Integer) => {
                *bytes.first_chunk()? == word.to_le_bytes()
            }
            _ => return None,
        };
        Some(same && !image.is_null(self.layout, field))
    }

    /// Whether both rows certainly have one value in a column, found without decoding it.
    #[inline]
    pub(crate) fn has_same_bytes(&self, other: &RowRef<'_>, column: ColumnId) -> bool {
        match (&self.source, &other.source, self.layout.field(column)) {
            (Source::Image(one), Source::Image(two), Some(field)) => {
                std::ptr::eq(self.layout, other.layout)
                    && one.has_same_bytes(two, self.layout, field)
            }
            _ => false,
        }
    }

    /// Bytes of its long strings. What has to be decoded for that is not kept.
    pub(super) fn long_string_bytes(&self) -> usize {
        let viewed = self
            .layout
            .fields()
            .iter()
            .filter(|field| field.is_viewed());
        let mut scratch = Vec::new();
        let length = |field: &Field| match &self.source {
            Source::Image(image) => string_of(&image.read(self.layout, field)).map(<[u8]>::len),
            Source::Frozen {
                frozen, position, ..
            } => {
                scratch.clear();
                let value = frozen.value(field.column, *position, &mut scratch);
                string_of(&value).map(<[u8]>::len)
            }
        };
        let lengths = viewed.filter_map(length);
        lengths.filter(|length| *length > INLINE_BYTES).sum()
    }

    #[inline]
    pub(super) fn read(&self, field: &Field) -> ValueRef<'_> {
        match &self.source {
            Source::Image(image) => image.read(self.layout, field),
            Source::Frozen {
                frozen,
                position,
                strings,
            } => strings.read(frozen, *position, self.layout, field),
        }
    }
}

impl<'a> Image<'a> {
    /// Whether two rows of one layout certainly have one value.
    #[inline]
    fn has_same_bytes(&self, other: &Image<'_>, layout: &Layout, field: &Field) -> bool {
        if self.is_null(layout, field) || other.is_null(layout, field) {
            return false;
        }
        let (one, two) = (&self.bytes[field.offset..], &other.bytes[field.offset..]);
        match width(field.data_type) {
            4 => one.first_chunk::<4>() == two.first_chunk(),
            8 => one.first_chunk::<8>() == two.first_chunk(),
            VIEW_BYTES if one.first_chunk::<VIEW_BYTES>() == two.first_chunk() => {
                let view = self.view(field);
                !field.is_viewed()
                    || view.is_inline()
                    || view.buffer() != OWN_STRINGS && self.shares_heap(other)
            }
            _ => false,
        }
    }

    fn shares_heap(&self, other: &Image<'_>) -> bool {
        match (self.heap, other.heap) {
            (Some(one), Some(two)) => std::ptr::eq(one, two),
            _ => false,
        }
    }

    #[inline]
    pub(super) fn read(&self, layout: &Layout, field: &Field) -> ValueRef<'a> {
        if self.is_null(layout, field) {
            return ValueRef::Null;
        }
        match field.data_type {
            DataType::Text | DataType::Varchar(_) | DataType::Char(_) | DataType::Json => {
                // SAFETY: a text column is only ever written from a `&str` (`image::put`).
                ValueRef::Text(unsafe { std::str::from_utf8_unchecked(self.string(field)) })
            }
            DataType::Bytea => ValueRef::Bytea(self.string(field)),
            DataType::Packed(packed) => ValueRef::Packed(packed, self.string(field)),
            other => read_fixed(&self.bytes[field.offset..], other),
        }
    }

    #[inline]
    pub(super) fn is_null(&self, layout: &Layout, field: &Field) -> bool {
        let (byte, mask) = layout.null_bit(field);
        self.bytes[byte] & mask != 0
    }

    pub(super) fn view(&self, field: &Field) -> View {
        let mut view = [0; VIEW_BYTES];
        view.copy_from_slice(&self.bytes[field.offset..field.offset + VIEW_BYTES]);
        View(view)
    }

    /// The bytes of a text or bytea column that is not NULL.
    #[inline]
    pub(super) fn string(&self, field: &Field) -> &'a [u8] {
        let view = self.view(field);
        let length = view.len();
        if view.is_inline() {
            let start = field.offset + 4;
            return &self.bytes[start..start + length];
        }
        if view.buffer() == OWN_STRINGS {
            let start = view.offset() as usize;
            return &self.bytes[start..start + length];
        }
        let place = Place {
            chunk: view.buffer(),
            offset: view.offset(),
        };
        let heap = self.heap.expect("who names a heap's string has the heap");
        heap.get(place, length)
    }
}

/// A column of the rows of one layout: where it is was found once, for many rows.
#[derive(Clone, Copy, Debug)]
pub struct ShownColumn(Option<(Form, Field)>);

/// How a value is read.
#[derive(Clone, Copy, Debug)]
enum Form {
    BigInt,
    Integer,
    Double,
    Text,
    /// Bytes that are no text.
    Bytes,
    Other,
}

impl Layout {
    /// Where a column is, if rows have it.
    pub fn shown(&self, column: ColumnId) -> ShownColumn {
        ShownColumn(self.field(column).map(|field| {
            let form = match field.data_type {
                DataType::BigInt => Form::BigInt,
                DataType::Integer => Form::Integer,
                DataType::Double => Form::Double,
                DataType::Text => Form::Text,
                _ if field.is_viewed() => Form::Bytes,
                _ => Form::Other,
            };
            (form, *field)
        }))
    }
}

/// Puts a number in a place, which mostly has one of the type from the row before.
macro_rules! put {
    ($variant:ident($type:ty), $bytes:expr, $place:expr) => {
        let value = <$type>::from_le_bytes(take($bytes));
        match $place {
            Value::$variant(old) => *old = value,
            place => *place = Value::$variant(value),
        }
    };
}

impl ShownColumn {
    /// Puts its values in several rows, which have bytes and an image, in a place each: how it is read is asked once.
    #[inline]
    pub(super) fn show_each<'v, 'i, R>(
        &self,
        layout: &Layout,
        rows: impl Iterator<Item = (R, &'v mut Value)>,
        bytes: impl Fn(R) -> &'i [u8],
        image: impl Fn(R) -> Image<'i>,
    ) {
        let plain = |(row, place)| (bytes(row), place);
        match &self.0 {
            Some((Form::BigInt, field)) => each(layout, field, rows.map(plain), |bytes, place| {
                put!(BigInt(i64), bytes, place);
            }),
            Some((Form::Integer, field)) => each(layout, field, rows.map(plain), |bytes, place| {
                put!(Integer(i32), bytes, place);
            }),
            Some((Form::Double, field)) => each(layout, field, rows.map(plain), |bytes, place| {
                put!(Double(f64), bytes, place);
            }),
            Some((Form::Text | Form::Bytes | Form::Other, _)) | None => {
                for (row, place) in rows {
                    image(row).show(layout, self, place);
                }
            }
        }
    }

    /// The bytes of its text, if it is one.
    #[inline]
    pub(super) fn text<'i>(&self, layout: &Layout, row: &Image<'i>) -> Option<&'i [u8]> {
        match &self.0 {
            Some((Form::Text, field)) if !row.is_null(layout, field) => Some(row.string(field)),
            _ => None,
        }
    }

    /// How many bytes its string has, if it is one.
    #[inline]
    pub(super) fn string_bytes(&self, layout: &Layout, row: &Image<'_>) -> usize {
        match &self.0 {
            Some((Form::Text | Form::Bytes, field)) if !row.is_null(layout, field) => {
                row.view(field).len()
            }
            _ => 0,
        }
    }
}

#[inline(always)]
fn each<'v, 'i>(
    layout: &Layout,
    field: &Field,
    rows: impl Iterator<Item = (&'i [u8], &'v mut Value)>,
    put: impl Fn(&[u8], &mut Value),
) {
    let (null_byte, null_mask) = layout.null_bit(field);
    for (row, place) in rows {
        match row[null_byte] & null_mask {
            0 => put(&row[field.offset..], place),
            _ => *place = Value::Null,
        }
    }
}

impl RowRef<'_> {
    /// Puts the value of a column of the row's layout in a place; NULL for one that rows do not have. In the scratch space a
    /// string is put together that has to be.
    #[inline]
    pub fn show(&self, column: &ShownColumn, place: &mut Value, scratch: &mut Vec<u8>) {
        match (&self.source, &column.0) {
            (Source::Image(image), _) => image.show(self.layout, column, place),
            (
                Source::Frozen {
                    frozen, position, ..
                },
                Some((_, field)),
            ) => {
                place.assign(frozen.value(field.column, *position, scratch));
            }
            (Source::Frozen { .. }, None) => *place = Value::Null,
        }
    }
}

impl Image<'_> {
    #[inline]
    pub(super) fn show(&self, layout: &Layout, column: &ShownColumn, place: &mut Value) {
        let Some((form, field)) = &column.0 else {
            *place = Value::Null;
            return;
        };
        if self.is_null(layout, field) {
            return place.assign(ValueRef::Null);
        }
        let bytes = &self.bytes[field.offset..];
        // Most places have a value of the type from the row before.
        match (form, &mut *place) {
            (Form::BigInt, Value::BigInt(old)) => *old = i64::from_le_bytes(take(bytes)),
            (Form::Integer, Value::Integer(old)) => *old = i32::from_le_bytes(take(bytes)),
            (Form::Double, Value::Double(old)) => *old = f64::from_le_bytes(take(bytes)),
            (Form::Text, Value::Text(old)) if old.capacity() <= REUSED_BYTES_MAX => {
                old.clear();
                // SAFETY: a text column is only ever written from a `&str` (`image::put`).
                old.push_str(unsafe { std::str::from_utf8_unchecked(self.string(field)) });
            }
            _ => place.assign(self.read(layout, field)),
        }
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
