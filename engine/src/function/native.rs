//! The SQL types as Rust types, so that a kernel is written once over native values.
//!
//! [`SqlType`] says for one SQL type how a scalar is taken out of a [`ValueRef`], how a row is read
//! from an Arrow array, and how results are gathered in one. The kernels in `kernel.rs` are generic
//! over it; everything is resolved at compile time, so a loop over `Integer` is a loop over `&[i32]`.
//!
//! Invariant: the binder casts every argument to the overload's type, so a value or array of
//! another type here is a bug of this program and panics.

use crate::error::{Error, Result};
use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray,
    StringViewArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use remora_storage::value::{ElementType, PackedType, append_owned};
use remora_storage::{DataType, Value, ValueRef};
use std::sync::Arc;

/// One SQL type: how to read it and how to gather it.
pub(crate) trait SqlType: 'static {
    /// Its name in signatures, without modifier.
    const TYPE: DataType;
    /// Whether a function over a value may take a microsecond and more.
    const IS_LONG: bool = false;
    /// A value, borrowed.
    type Ref<'a>: Copy;
    /// A column, ready for reading by row.
    type Column<'a>: Copy;
    /// A result.
    type Owned;

    /// The native value of a scalar that is not NULL.
    fn of(value: ValueRef<'_>) -> Self::Ref<'_>;
    /// The column in an array.
    fn column(array: &dyn Array) -> Self::Column<'_>;
    /// The value at a row that is not NULL.
    fn at<'a>(column: Self::Column<'a>, row: usize) -> Self::Ref<'a>;
    /// A result as a scalar.
    fn value(owned: Self::Owned) -> Value;
    /// Bytes of a result beside itself.
    fn heap_bytes(_: &Self::Owned) -> usize {
        0
    }
    /// An array of `rows` results; `f` is called for the rows that are not NULL, in order.
    fn collect(
        rows: usize,
        nulls: Option<NullBuffer>,
        f: impl FnMut(usize) -> Result<Self::Owned>,
    ) -> Result<ArrayRef>;
}

/// 22003 for a number that is none of a type.
pub(super) fn out_of_range(type_name: &str) -> Error {
    sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "{type_name} out of range")
}

#[cold]
fn mistyped(value: ValueRef<'_>, expected: DataType) -> ! {
    panic!("the binder casts arguments: {value:?} is not of type {expected}")
}

/// Runs `f` for each row that is not NULL and leaves the default in the others.
fn fill<T: Copy + Default>(
    rows: usize,
    nulls: Option<&NullBuffer>,
    mut f: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<T>> {
    let mut out = vec![T::default(); rows];
    match nulls {
        None => {
            for (row, value) in out.iter_mut().enumerate() {
                *value = f(row)?;
            }
        }
        Some(nulls) => {
            for row in nulls.valid_indices() {
                out[row] = f(row)?;
            }
        }
    }
    Ok(out)
}

fn primitive_array<T: ArrowPrimitiveType>(
    data_type: DataType,
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let array = PrimitiveArray::<T>::new(values.into(), nulls);
    match data_type {
        DataType::TimestampTz => Arc::new(array.with_data_type(data_type.arrow())),
        _ => Arc::new(array),
    }
}

macro_rules! primitive {
    ($name:ident, $arrow:ty, $native:ty) => {
        #[doc = concat!("[`DataType::", stringify!($name), "`]")]
        pub(crate) struct $name;

        impl SqlType for $name {
            const TYPE: DataType = DataType::$name;
            type Ref<'a> = $native;
            type Column<'a> = &'a [$native];
            type Owned = $native;

            fn of(value: ValueRef<'_>) -> $native {
                match value {
                    ValueRef::$name(v) => v,
                    other => mistyped(other, Self::TYPE),
                }
            }
            fn column(array: &dyn Array) -> &[$native] {
                array.as_primitive::<$arrow>().values()
            }
            #[inline(always)]
            fn at<'a>(column: Self::Column<'a>, row: usize) -> Self::Ref<'a> {
                column[row]
            }
            fn value(owned: $native) -> Value {
                Value::$name(owned)
            }
            fn collect(
                rows: usize,
                nulls: Option<NullBuffer>,
                f: impl FnMut(usize) -> Result<$native>,
            ) -> Result<ArrayRef> {
                let values = fill(rows, nulls.as_ref(), f)?;
                Ok(primitive_array::<$arrow>(Self::TYPE, values, nulls))
            }
        }
    };
}

primitive!(SmallInt, Int16Type, i16);
primitive!(Integer, Int32Type, i32);
primitive!(BigInt, Int64Type, i64);
primitive!(Real, Float32Type, f32);
primitive!(Double, Float64Type, f64);
primitive!(Date, Date32Type, i32);
primitive!(Time, Time64MicrosecondType, i64);
primitive!(Timestamp, TimestampMicrosecondType, i64);
primitive!(TimestampTz, TimestampMicrosecondType, i64);

/// [`DataType::Interval`]
pub(crate) struct Interval;

impl SqlType for Interval {
    const TYPE: DataType = DataType::Interval;
    type Ref<'a> = remora_storage::Interval;
    type Column<'a> = &'a [IntervalMonthDayNano];
    type Owned = remora_storage::Interval;

    fn of(value: ValueRef<'_>) -> Self::Ref<'_> {
        match value {
            ValueRef::Interval(v) => v,
            other => mistyped(other, Self::TYPE),
        }
    }
    fn column(array: &dyn Array) -> Self::Column<'_> {
        array.as_primitive::<IntervalMonthDayNanoType>().values()
    }
    fn at<'a>(column: Self::Column<'a>, row: usize) -> Self::Ref<'a> {
        let v = column[row];
        remora_storage::Interval {
            months: v.months,
            days: v.days,
            micros: v.nanoseconds,
        }
    }
    fn value(owned: Self::Owned) -> Value {
        Value::Interval(owned)
    }
    fn collect(
        rows: usize,
        nulls: Option<NullBuffer>,
        mut f: impl FnMut(usize) -> Result<Self::Owned>,
    ) -> Result<ArrayRef> {
        let values = fill(rows, nulls.as_ref(), |row| {
            let v = f(row)?;
            Ok(IntervalMonthDayNano {
                months: v.months,
                days: v.days,
                nanoseconds: v.micros,
            })
        })?;
        Ok(primitive_array::<IntervalMonthDayNanoType>(
            Self::TYPE,
            values,
            nulls,
        ))
    }
}

fn boolean_array(words: Vec<u64>, rows: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    let values = BooleanBuffer::new(Buffer::from(words), 0, rows);
    Arc::new(BooleanArray::new(values, nulls))
}

/// [`DataType::Boolean`]
pub(crate) struct Boolean;

impl SqlType for Boolean {
    const TYPE: DataType = DataType::Boolean;
    type Ref<'a> = bool;
    type Column<'a> = &'a BooleanBuffer;
    type Owned = bool;

    fn of(value: ValueRef<'_>) -> bool {
        match value {
            ValueRef::Boolean(v) => v,
            other => mistyped(other, Self::TYPE),
        }
    }
    fn column(array: &dyn Array) -> &BooleanBuffer {
        array.as_boolean().values()
    }
    fn at<'a>(column: Self::Column<'a>, row: usize) -> Self::Ref<'a> {
        column.value(row)
    }
    fn value(owned: bool) -> Value {
        Value::Boolean(owned)
    }
    fn collect(
        rows: usize,
        nulls: Option<NullBuffer>,
        mut f: impl FnMut(usize) -> Result<bool>,
    ) -> Result<ArrayRef> {
        // Sixty-four results make one word: no bit is ever read back to be changed.
        let mut words = vec![0_u64; rows.div_ceil(64)];
        for (number, word) in words.iter_mut().enumerate() {
            let start = number * 64;
            for row in start..rows.min(start + 64) {
                if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                    *word |= u64::from(f(row)?) << (row - start);
                }
            }
        }
        Ok(boolean_array(words, rows, nulls))
    }
}

macro_rules! viewed {
    ($name:ident, $of:ident, $type:expr, $native:ty, $array:ty, $as:ident, $builder:ty, $owned:ty) => {
        #[doc = concat!("[`DataType::", stringify!($name), "`]")]
        pub(crate) struct $name;

        impl SqlType for $name {
            const TYPE: DataType = $type;
            const IS_LONG: bool = true;
            type Ref<'a> = &'a $native;
            type Column<'a> = &'a $array;
            type Owned = $owned;

            fn of(value: ValueRef<'_>) -> &$native {
                match value {
                    ValueRef::$of(v) => v,
                    other => mistyped(other, Self::TYPE),
                }
            }
            fn column(array: &dyn Array) -> &$array {
                array.$as()
            }
            fn at<'a>(column: Self::Column<'a>, row: usize) -> Self::Ref<'a> {
                column.value(row)
            }
            fn value(owned: $owned) -> Value {
                Value::$of(owned)
            }
            fn heap_bytes(owned: &$owned) -> usize {
                owned.len()
            }
            fn collect(
                rows: usize,
                nulls: Option<NullBuffer>,
                mut f: impl FnMut(usize) -> Result<$owned>,
            ) -> Result<ArrayRef> {
                // Each result has memory of its own: beside that, a call by a pointer costs nothing.
                fn views(
                    rows: usize,
                    nulls: Option<NullBuffer>,
                    f: &mut dyn FnMut(usize) -> Result<$owned>,
                ) -> Result<ArrayRef> {
                    let mut builder = <$builder>::with_capacity(rows);
                    for row in 0..rows {
                        match &nulls {
                            Some(nulls) if nulls.is_null(row) => builder.append_null(),
                            _ => append_owned(&mut builder, f(row)?),
                        }
                    }
                    Ok(Arc::new(builder.finish()))
                }
                views(rows, nulls, &mut f)
            }
        }
    };
}

viewed!(
    Text,
    Text,
    DataType::Text,
    str,
    StringViewArray,
    as_string_view,
    StringViewBuilder,
    String
);
// CHAR of any length: `u32::MAX` stands for "no modifier" in signatures.
viewed!(
    Char,
    Text,
    DataType::Char(u32::MAX),
    str,
    StringViewArray,
    as_string_view,
    StringViewBuilder,
    String
);
viewed!(
    Bytea,
    Bytea,
    DataType::Bytea,
    [u8],
    BinaryViewArray,
    as_binary_view,
    BinaryViewBuilder,
    Vec<u8>
);

viewed!(
    Json,
    Text,
    DataType::Json,
    str,
    StringViewArray,
    as_string_view,
    StringViewBuilder,
    String
);

macro_rules! packed {
    ($name:ident, $packed:expr) => {
        #[doc = concat!("[`PackedType::", stringify!($name), "`]")]
        pub(crate) struct $name;

        impl SqlType for $name {
            const TYPE: DataType = DataType::Packed($packed);
            const IS_LONG: bool = true;
            type Ref<'a> = &'a [u8];
            type Column<'a> = &'a BinaryViewArray;
            type Owned = Vec<u8>;

            fn of(value: ValueRef<'_>) -> &[u8] {
                match value {
                    ValueRef::Packed(_, v) => v,
                    other => mistyped(other, Self::TYPE),
                }
            }
            fn column(array: &dyn Array) -> &BinaryViewArray {
                array.as_binary_view()
            }
            fn at<'a>(column: Self::Column<'a>, row: usize) -> Self::Ref<'a> {
                column.value(row)
            }
            fn value(owned: Vec<u8>) -> Value {
                Value::Packed($packed, owned)
            }
            fn heap_bytes(owned: &Vec<u8>) -> usize {
                owned.len()
            }
            fn collect(
                rows: usize,
                nulls: Option<NullBuffer>,
                f: impl FnMut(usize) -> Result<Vec<u8>>,
            ) -> Result<ArrayRef> {
                Bytea::collect(rows, nulls, f)
            }
        }
    };
}

packed!(Jsonb, PackedType::Jsonb);
packed!(TimeTz, PackedType::TimeTz);
packed!(Bit, PackedType::Bit(0));
packed!(VarBit, PackedType::VarBit(0));
packed!(TextArray, PackedType::Array(TEXT_ELEMENT));

const TEXT_ELEMENT: ElementType = ElementType::new(DataType::Text).expect("a text is no array");

fn fixed_bytes_array(width: usize, bytes: Vec<u8>, nulls: Option<NullBuffer>) -> ArrayRef {
    let array = FixedSizeBinaryArray::new(width as i32, bytes.into(), nulls);
    Arc::new(array)
}

macro_rules! fixed_bytes {
    ($name:ident, $type:expr, $native:ty, $width:expr, $from:expr, $to:expr) => {
        #[doc = concat!("[`DataType::", stringify!($name), "`]")]
        pub(crate) struct $name;

        impl SqlType for $name {
            const TYPE: DataType = $type;
            const IS_LONG: bool = matches!($type, DataType::Numeric(_));
            type Ref<'a> = $native;
            type Column<'a> = &'a FixedSizeBinaryArray;
            type Owned = $native;

            fn of(value: ValueRef<'_>) -> $native {
                match value {
                    ValueRef::$name(v) => v,
                    other => mistyped(other, Self::TYPE),
                }
            }
            fn column(array: &dyn Array) -> &FixedSizeBinaryArray {
                array.as_fixed_size_binary()
            }
            fn at<'a>(column: Self::Column<'a>, row: usize) -> Self::Ref<'a> {
                $from(column.value(row))
            }
            fn value(owned: $native) -> Value {
                Value::$name(owned)
            }
            fn collect(
                rows: usize,
                nulls: Option<NullBuffer>,
                mut f: impl FnMut(usize) -> Result<$native>,
            ) -> Result<ArrayRef> {
                let mut bytes = vec![0; rows * $width];
                for (row, bytes) in bytes.chunks_exact_mut($width).enumerate() {
                    if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                        bytes.copy_from_slice(&$to(f(row)?));
                    }
                }
                Ok(fixed_bytes_array($width, bytes, nulls))
            }
        }
    };
}

fixed_bytes!(
    Numeric,
    DataType::Numeric(None),
    remora_storage::Numeric,
    remora_storage::Numeric::BYTES,
    |bytes| remora_storage::Numeric::from_bytes(bytes).expect("an array of numerics"),
    remora_storage::Numeric::to_bytes
);
fixed_bytes!(
    Uuid,
    DataType::Uuid,
    [u8; 16],
    16,
    |bytes: &[u8]| <[u8; 16]>::try_from(bytes).expect("an array of 16-byte values"),
    |bytes: [u8; 16]| bytes
);
