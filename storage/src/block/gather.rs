//! Rows into Arrow columns.

use super::layout::Field;
use super::row::RowRef;
use crate::ids::ColumnId;
use crate::value::{ColumnBuilder, DataType, Value};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use std::sync::Arc;

/// One column of `rows`, which are all of one table, as an array of `data_type`.
///
/// Numbers and times, which is what scans mostly read, are gathered in a loop without a branch.
pub fn gather(rows: &[RowRef<'_>], column: ColumnId, data_type: DataType) -> ArrayRef {
    let field = rows.first().and_then(|row| row.layout.field(column));
    let Some(field) = field else {
        return ColumnBuilder::repeat(data_type, &Value::Null, rows.len());
    };
    match field.data_type {
        DataType::SmallInt => primitive::<Int16Type, 2>(rows, field, data_type, i16::from_le_bytes),
        DataType::Integer => primitive::<Int32Type, 4>(rows, field, data_type, i32::from_le_bytes),
        DataType::BigInt => primitive::<Int64Type, 8>(rows, field, data_type, i64::from_le_bytes),
        DataType::Real => primitive::<Float32Type, 4>(rows, field, data_type, f32::from_le_bytes),
        DataType::Double => primitive::<Float64Type, 8>(rows, field, data_type, f64::from_le_bytes),
        DataType::Date => primitive::<Date32Type, 4>(rows, field, data_type, i32::from_le_bytes),
        DataType::Time => {
            primitive::<Time64MicrosecondType, 8>(rows, field, data_type, i64::from_le_bytes)
        }
        DataType::Timestamp | DataType::TimestampTz => {
            primitive::<TimestampMicrosecondType, 8>(rows, field, data_type, i64::from_le_bytes)
        }
        _ => by_value(rows, field, data_type),
    }
}

fn primitive<T: ArrowPrimitiveType, const N: usize>(
    rows: &[RowRef<'_>],
    field: &Field,
    data_type: DataType,
    decode: impl Fn([u8; N]) -> T::Native,
) -> ArrayRef {
    let (byte, mask) = match rows.first() {
        Some(row) => row.layout.null_bit(field),
        None => (0, 0),
    };
    let mut nulls = 0;
    let values: ScalarBuffer<T::Native> = rows
        .iter()
        .map(|row| {
            nulls |= row.image[byte] & mask;
            let mut bytes = [0; N];
            bytes.copy_from_slice(&row.image[field.offset..field.offset + N]);
            decode(bytes)
        })
        .collect();
    let nulls = (nulls != 0).then(|| {
        let present = |at: usize| rows[at].image[byte] & mask == 0;
        NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), present))
    });
    let array = PrimitiveArray::<T>::new(values, nulls);
    Arc::new(array.with_data_type(data_type.arrow()))
}

fn by_value(rows: &[RowRef<'_>], field: &Field, data_type: DataType) -> ArrayRef {
    let mut builder = ColumnBuilder::new(data_type, rows.len());
    for row in rows {
        builder.push(row.read(field));
    }
    builder.finish()
}
