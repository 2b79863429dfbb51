//! Between scalars and Arrow arrays.

use super::{DataType, Interval, Numeric, Value, ValueRef};
use arrow_array::builder::{
    BinaryViewBuilder, BooleanBuilder, FixedSizeBinaryBuilder, GenericByteViewBuilder,
    PrimitiveBuilder, StringViewBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ByteViewType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;
use std::sync::Arc;

/// The value at `row` of an array whose SQL type is `data_type`.
///
/// # Panics
/// When the array is not of `data_type.arrow()`, or has no such row.
pub fn value_at(array: &dyn Array, data_type: DataType, row: usize) -> ValueRef<'_> {
    if array.is_null(row) {
        return ValueRef::Null;
    }
    match data_type {
        DataType::Boolean => ValueRef::Boolean(array.as_boolean().value(row)),
        DataType::SmallInt => ValueRef::SmallInt(array.as_primitive::<Int16Type>().value(row)),
        DataType::Integer => ValueRef::Integer(array.as_primitive::<Int32Type>().value(row)),
        DataType::BigInt => ValueRef::BigInt(array.as_primitive::<Int64Type>().value(row)),
        DataType::Real => ValueRef::Real(array.as_primitive::<Float32Type>().value(row)),
        DataType::Double => ValueRef::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Numeric(Some(m)) => {
            let mantissa = array.as_primitive::<Decimal128Type>().value(row);
            ValueRef::Numeric(Numeric::from_fixed(mantissa, m.scale))
        }
        DataType::Numeric(None) => {
            let bytes = array.as_fixed_size_binary().value(row);
            ValueRef::Numeric(Numeric::from_bytes(bytes).expect("an array of numerics"))
        }
        DataType::Text | DataType::Varchar(_) | DataType::Char(_) | DataType::Json => {
            ValueRef::Text(array.as_string_view().value(row))
        }
        DataType::Bytea => ValueRef::Bytea(array.as_binary_view().value(row)),
        DataType::Packed(packed) => ValueRef::Packed(packed, array.as_binary_view().value(row)),
        DataType::Date => ValueRef::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time => ValueRef::Time(array.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Timestamp => {
            ValueRef::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::TimestampTz => {
            ValueRef::TimestampTz(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Interval => {
            let v = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            ValueRef::Interval(Interval {
                months: v.months,
                days: v.days,
                micros: v.nanoseconds,
            })
        }
        DataType::Uuid => {
            let bytes = array.as_fixed_size_binary().value(row);
            ValueRef::Uuid(bytes.try_into().expect("an array of 16-byte values"))
        }
    }
}

/// From here on a value that is appended as a block of its own saves more than the block costs.
const BLOCK_BYTES: usize = 64 << 10;

/// Appends a value that nobody else needs: a long one is not copied.
pub fn append_owned<T: ByteViewType>(
    builder: &mut GenericByteViewBuilder<T>,
    value: impl AsRef<T::Native> + Into<Vec<u8>>,
) {
    let bytes: &[u8] = value.as_ref().as_ref();
    if bytes.len() < BLOCK_BYTES {
        return builder.append_value(value);
    }
    let mut bytes: Vec<u8> = value.into();
    bytes.shrink_to_fit();
    let length = bytes.len() as u32;
    let block = builder.append_block(Buffer::from_vec(bytes));
    builder
        .try_append_view(block, 0, length)
        .expect("a block is as long as its value, and of its type");
}

/// Builds an Arrow array of one SQL type, value by value.
#[derive(Debug)]
pub struct ColumnBuilder {
    data_type: DataType,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Boolean(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal(PrimitiveBuilder<Decimal128Type>, u8),
    Fixed(FixedSizeBinaryBuilder),
    Text(StringViewBuilder),
    Bytea(BinaryViewBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Interval(PrimitiveBuilder<IntervalMonthDayNanoType>),
}

impl ColumnBuilder {
    /// A builder with room for `capacity` values.
    pub fn new(data_type: DataType, capacity: usize) -> Self {
        let arrow = data_type.arrow();
        let inner = match data_type {
            DataType::Boolean => Inner::Boolean(BooleanBuilder::with_capacity(capacity)),
            DataType::SmallInt => Inner::Int16(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Integer => Inner::Int32(PrimitiveBuilder::with_capacity(capacity)),
            DataType::BigInt => Inner::Int64(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Real => Inner::Float32(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Double => Inner::Float64(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Numeric(Some(m)) => Inner::Decimal(
                PrimitiveBuilder::with_capacity(capacity).with_data_type(arrow),
                m.scale,
            ),
            DataType::Numeric(None) => Inner::Fixed(FixedSizeBinaryBuilder::with_capacity(
                capacity,
                Numeric::BYTES as i32,
            )),
            DataType::Text | DataType::Varchar(_) | DataType::Char(_) | DataType::Json => {
                Inner::Text(StringViewBuilder::with_capacity(capacity))
            }
            DataType::Bytea | DataType::Packed(_) => {
                Inner::Bytea(BinaryViewBuilder::with_capacity(capacity))
            }
            DataType::Date => Inner::Date(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Time => Inner::Time(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Timestamp | DataType::TimestampTz => {
                Inner::Timestamp(PrimitiveBuilder::with_capacity(capacity).with_data_type(arrow))
            }
            DataType::Interval => Inner::Interval(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Uuid => Inner::Fixed(FixedSizeBinaryBuilder::with_capacity(capacity, 16)),
        };
        Self { data_type, inner }
    }

    /// The type of the array being built.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Appends a value of the builder's type, or NULL.
    ///
    /// # Panics
    /// When the value is of another type: the caller casts first.
    pub fn push(&mut self, value: ValueRef<'_>) {
        use ValueRef as V;
        match (&mut self.inner, value) {
            (_, V::Null) => self.push_null(),
            (Inner::Boolean(b), V::Boolean(v)) => b.append_value(v),
            (Inner::Int16(b), V::SmallInt(v)) => b.append_value(v),
            (Inner::Int32(b), V::Integer(v)) => b.append_value(v),
            (Inner::Int64(b), V::BigInt(v)) => b.append_value(v),
            (Inner::Float32(b), V::Real(v)) => b.append_value(v),
            (Inner::Float64(b), V::Double(v)) => b.append_value(v),
            (Inner::Decimal(b, scale), V::Numeric(v)) => {
                b.append_value(v.to_fixed(*scale));
            }
            (Inner::Fixed(b), V::Numeric(v)) => append_fixed(b, &v.to_bytes()),
            (Inner::Fixed(b), V::Uuid(v)) => append_fixed(b, &v),
            (Inner::Text(b), V::Text(v)) => b.append_value(v),
            (Inner::Bytea(b), V::Bytea(v) | V::Packed(_, v)) => b.append_value(v),
            (Inner::Date(b), V::Date(v)) => b.append_value(v),
            (Inner::Time(b), V::Time(v)) => b.append_value(v),
            (Inner::Timestamp(b), V::Timestamp(v) | V::TimestampTz(v)) => b.append_value(v),
            (Inner::Interval(b), V::Interval(v)) => b.append_value(IntervalMonthDayNano {
                months: v.months,
                days: v.days,
                nanoseconds: v.micros,
            }),
            (_, other) => panic!("a {} column was given {other:?}", self.data_type),
        }
    }

    /// Appends a value that nobody else needs, as [`Self::push`] does: a long one is not copied.
    ///
    /// # Panics
    /// As [`Self::push`].
    pub fn push_owned(&mut self, value: Value) {
        match (&mut self.inner, value) {
            (Inner::Text(b), Value::Text(v)) => append_owned(b, v),
            (Inner::Bytea(b), Value::Bytea(v) | Value::Packed(_, v)) => append_owned(b, v),
            (_, other) => self.push(other.as_ref()),
        }
    }

    fn push_null(&mut self) {
        match &mut self.inner {
            Inner::Boolean(b) => b.append_null(),
            Inner::Int16(b) => b.append_null(),
            Inner::Int32(b) => b.append_null(),
            Inner::Int64(b) => b.append_null(),
            Inner::Float32(b) => b.append_null(),
            Inner::Float64(b) => b.append_null(),
            Inner::Decimal(b, _) => b.append_null(),
            Inner::Fixed(b) => b.append_null(),
            Inner::Text(b) => b.append_null(),
            Inner::Bytea(b) => b.append_null(),
            Inner::Date(b) => b.append_null(),
            Inner::Time(b) => b.append_null(),
            Inner::Timestamp(b) => b.append_null(),
            Inner::Interval(b) => b.append_null(),
        }
    }

    /// Bytes that it takes, where its values may be of any length; else 0.
    pub fn variable_bytes(&self) -> usize {
        match &self.inner {
            Inner::Text(builder) => builder.allocated_size(),
            Inner::Bytea(builder) => builder.allocated_size(),
            _ => 0,
        }
    }

    /// The array of what was pushed; the builder is empty again.
    pub fn finish(&mut self) -> ArrayRef {
        match &mut self.inner {
            Inner::Boolean(b) => Arc::new(b.finish()),
            Inner::Int16(b) => Arc::new(b.finish()),
            Inner::Int32(b) => Arc::new(b.finish()),
            Inner::Int64(b) => Arc::new(b.finish()),
            Inner::Float32(b) => Arc::new(b.finish()),
            Inner::Float64(b) => Arc::new(b.finish()),
            Inner::Decimal(b, _) => Arc::new(b.finish()),
            Inner::Fixed(b) => Arc::new(b.finish()),
            Inner::Text(b) => Arc::new(b.finish()),
            Inner::Bytea(b) => Arc::new(b.finish()),
            Inner::Date(b) => Arc::new(b.finish()),
            Inner::Time(b) => Arc::new(b.finish()),
            Inner::Timestamp(b) => Arc::new(b.finish()),
            Inner::Interval(b) => Arc::new(b.finish()),
        }
    }

    /// An array of `rows` times the same value.
    pub fn repeat(data_type: DataType, value: &Value, rows: usize) -> ArrayRef {
        let mut builder = Self::new(data_type, rows);
        for _ in 0..rows {
            builder.push(value.as_ref());
        }
        builder.finish()
    }
}

fn append_fixed(builder: &mut FixedSizeBinaryBuilder, bytes: &[u8]) {
    builder
        .append_value(bytes)
        .expect("the builder was made for this width");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long values and short ones, in any order, are there as they came.
    #[test]
    fn values_that_are_given_away_are_those_that_are_found() {
        let long = |letter: &str| Value::Text(letter.repeat(BLOCK_BYTES));
        let short = || Value::Text("a text of more than twelve bytes".to_owned());
        let values = [
            short(),
            long("ä"),
            Value::Null,
            short(),
            long("x"),
            long("y"),
        ];
        let mut column = ColumnBuilder::new(DataType::Text, values.len());
        for value in &values {
            column.push_owned(value.clone());
        }
        assert!(column.variable_bytes() >= 4 * BLOCK_BYTES);
        let array = column.finish();
        for (row, value) in values.iter().enumerate() {
            assert_eq!(value_at(&array, DataType::Text, row), value.as_ref());
        }
    }
}
