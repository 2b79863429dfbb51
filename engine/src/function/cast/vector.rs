//! Whole arrays from one type to another: loops for the casts that queries are full of, and
//! [`cast_value`] row by row for the rest.

use super::cast_value;
use crate::error::Result;
use crate::function::text::Zone;
use crate::function::{EvalContext, decimal};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, PrimitiveArray};
use arrow_buffer::MutableBuffer;
use remora_storage::value::{ColumnBuilder, PackedType, value_at};
use remora_storage::{DataType, Numeric};
use std::sync::Arc;

/// Casts an array, value by value with the same meaning as [`cast_value`].
///
/// # Errors
/// Those of [`cast_value`].
pub(crate) fn cast_array(
    array: &ArrayRef,
    from: DataType,
    to: DataType,
    explicit: bool,
    context: &EvalContext,
) -> Result<ArrayRef> {
    use DataType as T;
    Ok(match (from, to) {
        _ if unchanged(from, to) => Arc::clone(array),
        (T::SmallInt, T::Integer) => widen::<Int16Type, Int32Type>(array, i32::from),
        (T::SmallInt, T::BigInt) => widen::<Int16Type, Int64Type>(array, i64::from),
        (T::SmallInt, T::Real) => widen::<Int16Type, Float32Type>(array, f32::from),
        (T::SmallInt, T::Double) => widen::<Int16Type, Float64Type>(array, f64::from),
        (T::Integer, T::BigInt) => widen::<Int32Type, Int64Type>(array, i64::from),
        (T::Integer, T::Real) => widen::<Int32Type, Float32Type>(array, |v| v as f32),
        (T::Integer, T::Double) => widen::<Int32Type, Float64Type>(array, f64::from),
        (T::BigInt, T::Real) => widen::<Int64Type, Float32Type>(array, |v| v as f32),
        (T::BigInt, T::Double) => widen::<Int64Type, Float64Type>(array, |v| v as f64),
        (T::Real, T::Double) => widen::<Float32Type, Float64Type>(array, f64::from),
        (T::SmallInt, T::Numeric(None)) => {
            bare::<Int16Type>(array, |v| Numeric::from(i64::from(v)))
        }
        (T::Integer, T::Numeric(None)) => bare::<Int32Type>(array, |v| Numeric::from(i64::from(v))),
        (T::BigInt, T::Numeric(None)) => bare::<Int64Type>(array, Numeric::from),
        (T::Numeric(Some(m)), T::Numeric(None)) => {
            bare::<Decimal128Type>(array, |v| Numeric::from_fixed(v, m.scale))
        }
        (T::Numeric(Some(m)), T::Double) => widen::<Decimal128Type, Float64Type>(array, |v| {
            decimal::to_f64(Numeric::from_fixed(v, m.scale))
        }),
        // By a clock that is not UTC's each moment is looked at.
        (T::Timestamp | T::Date, T::TimestampTz) | (T::TimestampTz, _)
            if context.style().zone != Zone::Fixed(0) =>
        {
            return one_by_one(array, from, to, explicit, context);
        }
        (T::Timestamp, T::TimestampTz) | (T::TimestampTz, T::Timestamp) => {
            let moments = array.as_primitive::<TimestampMicrosecondType>();
            Arc::new(moments.clone().with_data_type(to.arrow()))
        }
        (T::Timestamp | T::TimestampTz, T::Date) => {
            widen::<TimestampMicrosecondType, Date32Type>(array, super::convert::timestamp_to_date)
        }
        _ => return one_by_one(array, from, to, explicit, context),
    })
}

/// Whether the values of `from` are values of `to`, in the same array form.
fn unchanged(from: DataType, to: DataType) -> bool {
    use DataType as T;
    use PackedType as Packed;
    from == to
        || match (from, to) {
            (_, T::Text | T::Varchar(None)) => from.is_string(),
            (T::Varchar(Some(m)), T::Varchar(Some(n))) => m <= n,
            (T::Char(m), T::Char(n)) => m <= n,
            (T::Packed(from), T::Packed(Packed::Bit(0) | Packed::VarBit(0))) => {
                matches!(from, Packed::Bit(_) | Packed::VarBit(_))
            }
            _ => false,
        }
}

fn widen<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    array: &ArrayRef,
    f: impl Fn(A::Native) -> B::Native,
) -> ArrayRef {
    let result: PrimitiveArray<B> = array.as_primitive::<A>().unary(f);
    Arc::new(result)
}

fn bare<A: ArrowPrimitiveType>(array: &ArrayRef, f: impl Fn(A::Native) -> Numeric) -> ArrayRef {
    let values = array.as_primitive::<A>().values();
    let mut bytes = MutableBuffer::with_capacity(values.len() * Numeric::BYTES);
    for value in values {
        bytes.extend_from_slice(&f(*value).to_bytes());
    }
    let nulls = array.nulls().cloned();
    Arc::new(FixedSizeBinaryArray::new(
        Numeric::BYTES as i32,
        bytes.into(),
        nulls,
    ))
}

fn one_by_one(
    array: &ArrayRef,
    from: DataType,
    to: DataType,
    explicit: bool,
    context: &EvalContext,
) -> Result<ArrayRef> {
    let mut out = ColumnBuilder::new(to, array.len());
    for row in 0..array.len() {
        let value = value_at(array.as_ref(), from, row);
        out.push_owned(cast_value(value, to, explicit, context)?);
    }
    Ok(out.finish())
}
