//! One column being gathered from rows.
//!
//! Numbers, times and strings, which is what scans mostly read, are gathered in loops without a
//! branch, or with one for long strings; other types go value by value through a builder.
//!
//! A string view of a row is one of Arrow's but for the place of a long string, which is in a heap
//! that may go before the array does: so long strings are copied.
//!
//! Frozen rows come as arrays. Where an array is all there is, it is handed on as it is.

use super::field::INLINE_BYTES;
use super::frozen::{Frozen, Mask};
use super::images::{Choice, Images, Spot};
use crate::ids::ColumnId;
use crate::value::{ColumnBuilder, DataType, ValueRef, value_at};
use arrow_array::builder::make_view;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BinaryViewArray, PrimitiveArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer};
use std::mem::take;
use std::sync::Arc;

/// Bytes of long strings after which an array gets another buffer: a view has 32 bits for the
/// offset.
const BUFFER_BYTES: usize = 1 << 30;

/// A column being gathered.
#[derive(Debug)]
pub(super) struct Column {
    id: ColumnId,
    data_type: DataType,
    /// An array that nothing was appended to yet; then there is nothing in `values`.
    whole: Option<ArrayRef>,
    values: Values,
    nulls: Nulls,
}

#[derive(Debug)]
enum Values {
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    /// With the scale that they have.
    Int128(Vec<i128>, u8),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Strings(Strings),
    Other(ColumnBuilder),
}

impl Column {
    pub(super) fn new(id: ColumnId, data_type: DataType) -> Self {
        use DataType as T;
        let values = match data_type {
            T::SmallInt => Values::Int16(Vec::new()),
            T::Integer | T::Date => Values::Int32(Vec::new()),
            T::BigInt | T::Time | T::Timestamp | T::TimestampTz => Values::Int64(Vec::new()),
            T::Numeric(Some(m)) => Values::Int128(Vec::new(), m.scale),
            T::Real => Values::Float32(Vec::new()),
            T::Double => Values::Float64(Vec::new()),
            other if other.is_variable() => Values::Strings(Strings::default()),
            _ => Values::Other(ColumnBuilder::new(data_type, 0)),
        };
        Self {
            id,
            data_type,
            whole: None,
            values,
            nulls: Nulls::default(),
        }
    }

    pub(super) fn id(&self) -> ColumnId {
        self.id
    }

    pub(super) fn is_of_strings(&self) -> bool {
        matches!(self.values, Values::Strings(_))
    }

    pub(super) fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Appends the rows' values.
    pub(super) fn append<I: Images + ?Sized>(&mut self, rows: Choice<'_, I>) {
        self.open();
        let layout = rows.images.layout();
        let field = layout.and_then(|layout| Some((layout, layout.field(self.id)?)));
        let Some((layout, field)) = field else {
            return self.append_nulls(rows.len());
        };
        let spot = Spot::new(layout, field);
        let nulls = &mut self.nulls;
        match &mut self.values {
            Values::Int16(values) => numbers(values, nulls, rows, spot, i16::from_le_bytes),
            Values::Int32(values) => numbers(values, nulls, rows, spot, i32::from_le_bytes),
            Values::Int64(values) => numbers(values, nulls, rows, spot, i64::from_le_bytes),
            Values::Int128(values, _) => numbers(values, nulls, rows, spot, i128::from_le_bytes),
            Values::Float32(values) => numbers(values, nulls, rows, spot, f32::from_le_bytes),
            Values::Float64(values) => numbers(values, nulls, rows, spot, f64::from_le_bytes),
            Values::Strings(strings) => {
                let from = strings.views.len();
                numbers(&mut strings.views, nulls, rows, spot, u128::from_le_bytes);
                strings.take_over(from, nulls, |n| rows.image(n).string(field));
            }
            Values::Other(builder) => {
                let images = rows.images();
                images.for_each(|image| builder.push(image.read(layout, field)));
                nulls.rows += rows.len();
            }
        }
    }

    /// Appends the values of an array of the column's type.
    pub(super) fn append_array(&mut self, array: ArrayRef) {
        if self.nulls.rows == 0 && self.whole.is_none() {
            self.whole = Some(array);
        } else {
            self.open();
            self.pour(&array);
        }
    }

    /// Makes room for more after what may be a whole array.
    fn open(&mut self) {
        if let Some(array) = self.whole.take() {
            self.pour(&array);
        }
    }

    fn pour(&mut self, array: &ArrayRef) {
        let (data, rows) = (array.to_data(), array.len());
        match &mut self.values {
            Values::Int16(values) => values.extend_from_slice(&data.buffer(0)[..rows]),
            Values::Int32(values) => values.extend_from_slice(&data.buffer(0)[..rows]),
            Values::Int64(values) => values.extend_from_slice(&data.buffer(0)[..rows]),
            Values::Int128(values, _) => values.extend_from_slice(&data.buffer(0)[..rows]),
            Values::Float32(values) => values.extend_from_slice(&data.buffer(0)[..rows]),
            Values::Float64(values) => values.extend_from_slice(&data.buffer(0)[..rows]),
            Values::Strings(_) | Values::Other(_) => {
                let data_type = self.data_type;
                return (0..rows).for_each(|row| self.push(value_at(array, data_type, row)));
            }
        }
        let nulls = (0..rows).map(|row| array.is_null(row));
        self.nulls.append(rows, nulls, array.null_count() > 0);
    }

    /// Appends the chosen rows of a vector of a frozen block; `false`, and nothing appended, where
    /// the column is not read by vectors there.
    pub(super) fn append_vector(
        &mut self,
        frozen: &Frozen,
        vector: usize,
        chosen: &Chosen,
    ) -> bool {
        self.open();
        let (mut floats, mut ints) = ([0.0; Frozen::VECTOR_ROWS], [0; Frozen::VECTOR_ROWS]);
        let id = self.id;
        match &mut self.values {
            Values::Float32(values) if frozen.read_f64(id, vector, &mut floats) => {
                chosen.pick(&floats, values, |v| v as f32);
            }
            Values::Float64(values) if frozen.read_f64(id, vector, &mut floats) => {
                chosen.pick(&floats, values, |v| v);
            }
            Values::Int16(values) if frozen.read_i64(id, vector, &mut ints) => {
                chosen.pick(&ints, values, |v| v as i16);
            }
            Values::Int32(values) if frozen.read_i64(id, vector, &mut ints) => {
                chosen.pick(&ints, values, |v| v as i32);
            }
            Values::Int64(values) if frozen.read_i64(id, vector, &mut ints) => {
                chosen.pick(&ints, values, |v| v);
            }
            Values::Int128(values, _) if frozen.read_i64(id, vector, &mut ints) => {
                chosen.pick(&ints, values, i128::from);
            }
            _ => return false,
        }
        let present = frozen.present(id, vector);
        let both = chosen.mask.words().iter().zip(present.words());
        let any = both.into_iter().any(|(word, present)| word & !present != 0);
        let nulls = chosen.iter().map(|at| !present.contains(at));
        self.nulls.append(chosen.rows, nulls, any);
        true
    }

    /// Appends one value.
    ///
    /// # Panics
    /// When it is of another type.
    pub(super) fn push(&mut self, value: ValueRef<'_>) {
        use ValueRef as V;
        self.open();
        match (&mut self.values, value) {
            (Values::Other(builder), value) => builder.push(value),
            (_, V::Null) => return self.append_nulls(1),
            (Values::Int16(values), V::SmallInt(v)) => values.push(v),
            (Values::Int32(values), V::Integer(v) | V::Date(v)) => values.push(v),
            (
                Values::Int64(values),
                V::BigInt(v) | V::Time(v) | V::Timestamp(v) | V::TimestampTz(v),
            ) => values.push(v),
            (Values::Int128(values, scale), V::Numeric(v)) => values.push(v.to_fixed(*scale)),
            (Values::Float32(values), V::Real(v)) => values.push(v),
            (Values::Float64(values), V::Double(v)) => values.push(v),
            (Values::Strings(strings), V::Text(v)) => strings.push(v.as_bytes()),
            (Values::Strings(strings), V::Bytea(v) | V::Packed(_, v)) => strings.push(v),
            (_, other) => panic!("a {} column was given {other:?}", self.data_type),
        }
        self.nulls.append(1, std::iter::once(false), false);
    }

    fn append_nulls(&mut self, rows: usize) {
        let to = self.nulls.rows + rows;
        match &mut self.values {
            Values::Int16(values) => values.resize(to, 0),
            Values::Int32(values) => values.resize(to, 0),
            Values::Int64(values) => values.resize(to, 0),
            Values::Int128(values, _) => values.resize(to, 0),
            Values::Float32(values) => values.resize(to, 0.0),
            Values::Float64(values) => values.resize(to, 0.0),
            Values::Strings(strings) => strings.views.resize(to, 0),
            Values::Other(builder) => (0..rows).for_each(|_| builder.push(ValueRef::Null)),
        }
        self.nulls.append(rows, (0..rows).map(|_| true), true);
    }

    /// The array of what was appended; the column is empty again.
    pub(super) fn finish(&mut self) -> ArrayRef {
        if let Some(array) = self.whole.take() {
            return array;
        }
        let (nulls, data_type) = (take(&mut self.nulls).finish(), self.data_type);
        match &mut self.values {
            Values::Int16(values) => array::<Int16Type>(take(values), nulls, data_type),
            Values::Int32(values) => match data_type {
                DataType::Date => array::<Date32Type>(take(values), nulls, data_type),
                _ => array::<Int32Type>(take(values), nulls, data_type),
            },
            Values::Int64(values) => match data_type {
                DataType::BigInt => array::<Int64Type>(take(values), nulls, data_type),
                DataType::Time => array::<Time64MicrosecondType>(take(values), nulls, data_type),
                _ => array::<TimestampMicrosecondType>(take(values), nulls, data_type),
            },
            Values::Int128(values, _) => array::<Decimal128Type>(take(values), nulls, data_type),
            Values::Float32(values) => array::<Float32Type>(take(values), nulls, data_type),
            Values::Float64(values) => array::<Float64Type>(take(values), nulls, data_type),
            Values::Strings(strings) => take(strings).finish(nulls, data_type),
            Values::Other(builder) => builder.finish(),
        }
    }
}

/// Rows of a vector of a frozen block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    mask: Mask,
    rows: usize,
}

impl Chosen {
    pub(super) fn new(mask: Mask) -> Self {
        let rows = mask.count();
        Self { mask, rows }
    }

    /// How many.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Where they are in the vector, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.mask.iter()
    }

    /// Appends their values.
    fn pick<S: Copy, T: Copy + Default>(
        &self,
        values: &[S; Frozen::VECTOR_ROWS],
        out: &mut Vec<T>,
        cast: impl Fn(S) -> T,
    ) {
        let mut end = out.len();
        out.resize(end + self.rows, T::default());
        for (word, values) in self.mask.words().iter().zip(values.as_chunks::<64>().0) {
            for bit in Bits(*word) {
                out[end] = cast(values[bit]);
                end += 1;
            }
        }
    }
}

/// The bits that are set, ascending.
pub(super) struct Bits(pub(super) u64);

impl Iterator for Bits {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let bit = (self.0 != 0).then(|| self.0.trailing_zeros() as usize)?;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

fn array<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: DataType,
) -> ArrayRef {
    let array = PrimitiveArray::<T>::new(values.into(), nulls);
    match data_type {
        DataType::Numeric(_) | DataType::TimestampTz => {
            Arc::new(array.with_data_type(data_type.arrow()))
        }
        _ => Arc::new(array),
    }
}

/// Appends values of one width; what stands where a value is NULL does not matter.
fn numbers<T, const N: usize, I: Images + ?Sized>(
    values: &mut Vec<T>,
    nulls: &mut Nulls,
    rows: Choice<'_, I>,
    spot: Spot,
    decode: impl Fn([u8; N]) -> T,
) {
    let mut seen = 0;
    rows.extend(values, spot, |bytes, null| {
        seen |= null;
        decode(bytes)
    });
    let any = spot.is_null(seen);
    let mut null_bytes = Vec::new();
    if any {
        rows.extend(&mut null_bytes, spot.of_null(), |_: [u8; 0], null| null);
    }
    let nulls_of_rows = null_bytes.into_iter().map(|byte| spot.is_null(byte));
    nulls.append(rows.len(), nulls_of_rows, any);
}

/// Which rows are NULL so far.
#[derive(Debug, Default)]
struct Nulls {
    rows: usize,
    /// From the first NULL on: a bit for each row, set where there is a value.
    valid: Option<BooleanBufferBuilder>,
}

impl Nulls {
    /// Appends `rows` rows; `nulls` are asked only where `any` is NULL.
    fn append(&mut self, rows: usize, nulls: impl Iterator<Item = bool>, any: bool) {
        if any && self.valid.is_none() {
            let mut valid = BooleanBufferBuilder::new(self.rows + rows);
            valid.append_n(self.rows, true);
            self.valid = Some(valid);
        }
        self.rows += rows;
        match &mut self.valid {
            Some(valid) if any => nulls.for_each(|null| valid.append(!null)),
            Some(valid) => valid.append_n(rows, true),
            None => {}
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.valid.as_ref().is_some_and(|valid| !valid.get_bit(row))
    }

    fn finish(self) -> Option<NullBuffer> {
        let mut valid = self.valid?;
        Some(NullBuffer::new(valid.finish()))
    }
}

/// Strings as Arrow's views, and what is too long for them.
#[derive(Debug, Default)]
struct Strings {
    views: Vec<u128>,
    /// Long strings in the last buffer.
    bytes: Vec<u8>,
    /// Buffers before it.
    full: Vec<Buffer>,
}

impl Strings {
    fn push(&mut self, string: &[u8]) {
        self.make_room(string.len());
        let (buffer, offset) = (self.full.len() as u32, self.bytes.len() as u32);
        self.views.push(make_view(string, buffer, offset));
        if string.len() > INLINE_BYTES {
            self.bytes.extend_from_slice(string);
        }
    }

    fn make_room(&mut self, bytes: usize) {
        if !self.bytes.is_empty() && self.bytes.len() + bytes > BUFFER_BYTES {
            self.full.push(take(&mut self.bytes).into());
        }
    }

    /// Makes the views from position `from` on, which are as in rows, independent of those rows;
    /// `string` gives the bytes of the n-th of them.
    fn take_over<'r>(&mut self, from: usize, nulls: &Nulls, string: impl Fn(usize) -> &'r [u8]) {
        let views = (from..self.views.len()).filter(|at| !nulls.is_null(*at));
        let lengths = views.map(|at| self.views[at] as u32 as usize);
        let long = lengths.filter(|length| *length > INLINE_BYTES);
        self.bytes.reserve(long.sum::<usize>().min(BUFFER_BYTES));
        for n in 0..self.views.len() - from {
            if nulls.is_null(from + n) {
                self.views[from + n] = 0;
            } else if self.views[from + n] as u32 as usize > INLINE_BYTES {
                let string = string(n);
                self.make_room(string.len());
                // Length and prefix stay; buffer and offset are new.
                let place = (self.full.len() as u128) << 64 | (self.bytes.len() as u128) << 96;
                let view = &mut self.views[from + n];
                *view = *view & u128::from(u64::MAX) | place;
                self.bytes.extend_from_slice(string);
            }
        }
    }

    fn finish(mut self, nulls: Option<NullBuffer>, data_type: DataType) -> ArrayRef {
        if !self.bytes.is_empty() {
            self.full.push(self.bytes.into());
        }
        let (views, buffers) = (self.views.into(), self.full);
        // SAFETY: each view is inline with zeros after the string, or names a string of its length
        // and prefix in one of the buffers, or is zero where there is a NULL.
        let bytes = unsafe { BinaryViewArray::new_unchecked(views, buffers, nulls) };
        match data_type {
            // SAFETY: a text column is only ever written from a `&str` (`image::put`).
            _ if data_type.is_text() => Arc::new(unsafe { bytes.to_string_view_unchecked() }),
            _ => Arc::new(bytes),
        }
    }
}
