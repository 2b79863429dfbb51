//! Values of a fixed width as bytes, in rows and in arrays: little-endian, one behind the other.

use super::{DataType, Interval, Numeric, ValueRef};

/// Writes a value that is neither NULL nor a string.
///
/// # Panics
/// When the value is not of the column's type: the caller casts first.
#[inline]
pub(crate) fn write_fixed(target: &mut [u8], data_type: DataType, value: &ValueRef<'_>) {
    use ValueRef as V;
    match (data_type, value) {
        (DataType::Integer, V::Integer(v)) | (DataType::Date, V::Date(v)) => {
            put(target, v.to_le_bytes());
        }
        (DataType::BigInt, V::BigInt(v))
        | (DataType::Time, V::Time(v))
        | (DataType::Timestamp, V::Timestamp(v))
        | (DataType::TimestampTz, V::TimestampTz(v)) => put(target, v.to_le_bytes()),
        (DataType::Double, V::Double(v)) => put(target, v.to_le_bytes()),
        _ => write_other(target, data_type, value),
    }
}

/// What is rarer; apart, so that the common costs a few instructions.
#[inline(never)]
fn write_other(target: &mut [u8], data_type: DataType, value: &ValueRef<'_>) {
    use ValueRef as V;
    match (data_type, value) {
        (DataType::Boolean, V::Boolean(v)) => put(target, [u8::from(*v)]),
        (DataType::SmallInt, V::SmallInt(v)) => put(target, v.to_le_bytes()),
        (DataType::Real, V::Real(v)) => put(target, v.to_le_bytes()),
        (DataType::Numeric(Some(m)), V::Numeric(v)) => {
            put(target, v.to_fixed(m.scale).to_le_bytes());
        }
        (DataType::Numeric(None), V::Numeric(v)) => put(target, v.to_bytes()),
        (DataType::Interval, V::Interval(v)) => {
            put(target, v.months.to_le_bytes());
            put(&mut target[4..], v.days.to_le_bytes());
            put(&mut target[8..], v.micros.to_le_bytes());
        }
        (DataType::Uuid, V::Uuid(v)) => put(target, *v),
        (data_type, other) => panic!("a {data_type} column was given {other:?}"),
    }
}

/// Writes bytes to the beginning of `target`.
#[inline]
fn put<const N: usize>(target: &mut [u8], bytes: [u8; N]) {
    target[..N].copy_from_slice(&bytes);
}

#[inline]
pub(crate) fn take<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut taken = [0; N];
    taken.copy_from_slice(&bytes[..N]);
    taken
}

/// Reads what [`write_fixed`] wrote.
///
/// # Panics
/// When there are fewer bytes, or they are no NUMERIC's.
#[inline]
pub(crate) fn read_fixed(bytes: &[u8], data_type: DataType) -> ValueRef<'static> {
    match data_type {
        DataType::Boolean => ValueRef::Boolean(bytes[0] != 0),
        DataType::SmallInt => ValueRef::SmallInt(i16::from_le_bytes(take(bytes))),
        DataType::Integer => ValueRef::Integer(i32::from_le_bytes(take(bytes))),
        DataType::Date => ValueRef::Date(i32::from_le_bytes(take(bytes))),
        DataType::BigInt => ValueRef::BigInt(i64::from_le_bytes(take(bytes))),
        DataType::Time => ValueRef::Time(i64::from_le_bytes(take(bytes))),
        DataType::Timestamp => ValueRef::Timestamp(i64::from_le_bytes(take(bytes))),
        DataType::TimestampTz => ValueRef::TimestampTz(i64::from_le_bytes(take(bytes))),
        DataType::Real => ValueRef::Real(f32::from_le_bytes(take(bytes))),
        DataType::Double => ValueRef::Double(f64::from_le_bytes(take(bytes))),
        DataType::Numeric(Some(m)) => ValueRef::Numeric(Numeric::from_fixed(
            i128::from_le_bytes(take(bytes)),
            m.scale,
        )),
        DataType::Numeric(None) => ValueRef::Numeric(
            Numeric::from_bytes(&bytes[..Numeric::BYTES]).expect("a row holds what was written"),
        ),
        DataType::Interval => ValueRef::Interval(Interval {
            months: i32::from_le_bytes(take(bytes)),
            days: i32::from_le_bytes(take(&bytes[4..])),
            micros: i64::from_le_bytes(take(&bytes[8..])),
        }),
        DataType::Uuid => ValueRef::Uuid(take(bytes)),
        DataType::Text
        | DataType::Varchar(_)
        | DataType::Char(_)
        | DataType::Bytea
        | DataType::Json
        | DataType::Packed(_) => {
            unreachable!("strings are read through their view")
        }
    }
}
