//! Rows into Arrow columns.

use super::frozen::Frozen;
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
use std::ptr;
use std::sync::Arc;

/// One column of `rows`, which are all of one table, as an array of `data_type`.
///
/// Numbers and times, which is what scans mostly read, are gathered in a loop without a branch.
pub fn gather(rows: &[RowRef<'_>], column: ColumnId, data_type: DataType) -> ArrayRef {
    let field = rows.first().and_then(|row| row.layout.field(column));
    let Some(field) = field else {
        return ColumnBuilder::repeat(data_type, &Value::Null, rows.len());
    };
    if let Some((frozen, positions)) = all_frozen(rows) {
        return frozen.array_of(column, data_type, &positions);
    }
    if rows.iter().any(|row| row.as_image().is_none()) {
        return by_value(rows, field, data_type);
    }
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
            let image = bytes_of(row);
            nulls |= image[byte] & mask;
            let mut bytes = [0; N];
            bytes.copy_from_slice(&image[field.offset..field.offset + N]);
            decode(bytes)
        })
        .collect();
    let nulls = (nulls != 0).then(|| {
        let present = |at: usize| bytes_of(&rows[at])[byte] & mask == 0;
        NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), present))
    });
    let array = PrimitiveArray::<T>::new(values, nulls);
    Arc::new(array.with_data_type(data_type.arrow()))
}

/// Where the rows are, if all of them are in one frozen block.
fn all_frozen<'a>(rows: &[RowRef<'a>]) -> Option<(&'a Frozen, Vec<u32>)> {
    let (block, _) = rows.first()?.as_frozen()?;
    let position = |row: &RowRef<'a>| {
        let (frozen, position) = row.as_frozen()?;
        ptr::eq(frozen, block).then_some(position)
    };
    let positions: Option<Vec<u32>> = rows.iter().map(position).collect();
    Some((block, positions?))
}

fn bytes_of<'a>(row: &RowRef<'a>) -> &'a [u8] {
    row.as_image().expect("frozen rows go by value").bytes
}

fn by_value(rows: &[RowRef<'_>], field: &Field, data_type: DataType) -> ArrayRef {
    let mut builder = ColumnBuilder::new(data_type, rows.len());
    for row in rows {
        builder.push(row.read(field));
    }
    builder.finish()
}
