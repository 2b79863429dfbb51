//! Between SQL values and the three plain forms that encodings know: a 64-bit integer, bytes of a
//! fixed number, bytes of any number.
//!
//! ```text
//!  integer   Boolean SmallInt Integer BigInt Date Time Timestamp[Tz], Numeric(p,s) that fits
//!  fixed     Real Double (bits), Uuid, Interval, Numeric (Numeric::to_bytes), Numeric(p,s) (i128)
//!  bytes     Text Varchar Char Json Bytea Packed
//! ```

use crate::codec::{DecodeError, Decoder, put_varint};
use crate::value::{DataType, Interval, Numeric, ValueRef};
use std::ops::RangeInclusive;

/// Bytes of an interval: months, days, microseconds.
const INTERVAL_BYTES: usize = 16;

/// One value that is not NULL, in its plain form.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plain<'a> {
    Int(i64),
    Fixed([u8; Numeric::BYTES]),
    Bytes(&'a [u8]),
}

/// Bytes of a value of the type where it is held as fixed.
pub(super) fn fixed_width(data_type: DataType) -> Option<usize> {
    match data_type {
        DataType::Real => Some(4),
        DataType::Double => Some(8),
        DataType::Numeric(None) => Some(Numeric::BYTES),
        DataType::Numeric(Some(_)) | DataType::Uuid => Some(16),
        DataType::Interval => Some(INTERVAL_BYTES),
        _ => None,
    }
}

/// The integers that are values of the type, where it can be held as integers.
pub(super) fn int_range(data_type: DataType) -> Option<RangeInclusive<i64>> {
    match data_type {
        DataType::Boolean => Some(0..=1),
        DataType::SmallInt => Some(i16::MIN.into()..=i16::MAX.into()),
        DataType::Integer | DataType::Date => Some(i32::MIN.into()..=i32::MAX.into()),
        DataType::BigInt
        | DataType::Time
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Numeric(Some(_)) => Some(i64::MIN..=i64::MAX),
        _ => None,
    }
}

/// Whether values of the type are bytes of any number.
pub(super) fn is_bytes(data_type: DataType) -> bool {
    data_type.is_variable()
}

/// The plain form of a value; `None` for NULL. A `NUMERIC(p,s)` beyond 64 bits is fixed.
pub(super) fn plain<'a>(data_type: DataType, value: ValueRef<'a>) -> Option<Plain<'a>> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Boolean(v) => Plain::Int(v.into()),
        ValueRef::SmallInt(v) => Plain::Int(v.into()),
        ValueRef::Integer(v) | ValueRef::Date(v) => Plain::Int(v.into()),
        ValueRef::BigInt(v)
        | ValueRef::Time(v)
        | ValueRef::Timestamp(v)
        | ValueRef::TimestampTz(v) => Plain::Int(v),
        ValueRef::Real(v) => fixed(&v.to_bits().to_le_bytes()),
        ValueRef::Double(v) => fixed(&v.to_bits().to_le_bytes()),
        ValueRef::Uuid(v) => fixed(&v),
        ValueRef::Interval(v) => {
            let mut bytes = [0; INTERVAL_BYTES];
            bytes[..4].copy_from_slice(&v.months.to_le_bytes());
            bytes[4..8].copy_from_slice(&v.days.to_le_bytes());
            bytes[8..].copy_from_slice(&v.micros.to_le_bytes());
            fixed(&bytes)
        }
        ValueRef::Numeric(v) => match data_type {
            DataType::Numeric(Some(m)) => {
                let mantissa = v.to_fixed(m.scale);
                match i64::try_from(mantissa) {
                    Ok(small) => Plain::Int(small),
                    Err(_) => fixed(&mantissa.to_le_bytes()),
                }
            }
            _ => fixed(&v.to_bytes()),
        },
        ValueRef::Text(v) => Plain::Bytes(v.as_bytes()),
        ValueRef::Bytea(v) | ValueRef::Packed(_, v) => Plain::Bytes(v),
    })
}

fn fixed<'a>(bytes: &[u8]) -> Plain<'a> {
    let mut all = [0; Numeric::BYTES];
    all[..bytes.len()].copy_from_slice(bytes);
    Plain::Fixed(all)
}

/// The value that an integer of [`int_range`] is.
pub(in crate::block) fn int_value(data_type: DataType, n: i64) -> ValueRef<'static> {
    match data_type {
        DataType::Boolean => ValueRef::Boolean(n != 0),
        DataType::SmallInt => ValueRef::SmallInt(n as i16),
        DataType::Integer => ValueRef::Integer(n as i32),
        DataType::BigInt => ValueRef::BigInt(n),
        DataType::Date => ValueRef::Date(n as i32),
        DataType::Time => ValueRef::Time(n),
        DataType::Timestamp => ValueRef::Timestamp(n),
        DataType::TimestampTz => ValueRef::TimestampTz(n),
        DataType::Numeric(Some(m)) => ValueRef::Numeric(Numeric::from_fixed(n.into(), m.scale)),
        other => unreachable!("{other} is not held as integers"),
    }
}

/// The value that fixed bytes are; `None` where they are of no value.
pub(super) fn fixed_value(data_type: DataType, bytes: &[u8]) -> Option<ValueRef<'static>> {
    let bytes = bytes.get(..fixed_width(data_type)?)?;
    Some(match data_type {
        DataType::Real => ValueRef::Real(f32::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Double => ValueRef::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Uuid => ValueRef::Uuid(bytes.try_into().ok()?),
        DataType::Numeric(None) => ValueRef::Numeric(Numeric::from_bytes(bytes)?),
        DataType::Numeric(Some(m)) => {
            let mantissa = i128::from_le_bytes(bytes.try_into().ok()?);
            ValueRef::Numeric(Numeric::from_fixed(mantissa, m.scale))
        }
        DataType::Interval => ValueRef::Interval(Interval {
            months: i32::from_le_bytes(bytes[..4].try_into().ok()?),
            days: i32::from_le_bytes(bytes[4..8].try_into().ok()?),
            micros: i64::from_le_bytes(bytes[8..].try_into().ok()?),
        }),
        _ => return None,
    })
}

/// The value that bytes are; `None` where they are of no value.
pub(super) fn bytes_value(data_type: DataType, bytes: &[u8]) -> Option<ValueRef<'_>> {
    match data_type {
        DataType::Bytea => Some(ValueRef::Bytea(bytes)),
        // What is under a NULL need not be a value, and whoever reads one expects any bytes.
        DataType::Packed(packed) => Some(ValueRef::Packed(packed, bytes)),
        _ => std::str::from_utf8(bytes).ok().map(ValueRef::Text),
    }
}

/// Appends a type.
pub(super) fn put_type(out: &mut Vec<u8>, data_type: DataType) {
    let (tag, modifier) = data_type.code();
    out.push(tag);
    put_varint(out, modifier.into());
}

/// Reads what [`put_type`] wrote.
pub(super) fn read_type(decoder: &mut Decoder<'_>) -> Result<DataType, DecodeError> {
    let offset = decoder.offset();
    let (tag, n) = (decoder.u8()?, decoder.varint()?);
    let data_type = u32::try_from(n)
        .ok()
        .and_then(|modifier| DataType::from_code(tag, modifier));
    data_type.ok_or_else(|| DecodeError {
        offset,
        expected: "a type",
        found: format!("{tag} with {n}"),
    })
}
