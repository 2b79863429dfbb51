//! Writing numbers and values.

use super::Tag;
use crate::value::{DataType, Numeric, NumericKind, ValueRef};

/// Appends a number in 1 to 10 bytes, fewer for smaller ones.
pub fn put_varint(out: &mut Vec<u8>, n: u64) {
    put_varint_wide(out, n.into());
}

/// Appends a number in 1 to 10 bytes, fewer for those nearer to zero.
pub fn put_signed(out: &mut Vec<u8>, n: i64) {
    // Zigzag: the sign becomes the lowest bit.
    put_varint(out, ((n << 1) ^ (n >> 63)) as u64);
}

/// Appends the length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a value; [`super::Decoder::value`] reads it back.
pub fn encode_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    let mut signed = |tag: Tag, n: i64| {
        out.push(tag as u8);
        put_signed(out, n);
    };
    match value {
        ValueRef::Null => out.push(Tag::Null as u8),
        ValueRef::Boolean(false) => out.push(Tag::False as u8),
        ValueRef::Boolean(true) => out.push(Tag::True as u8),
        ValueRef::SmallInt(v) => signed(Tag::SmallInt, v.into()),
        ValueRef::Integer(v) => signed(Tag::Integer, v.into()),
        ValueRef::BigInt(v) => signed(Tag::BigInt, v),
        ValueRef::Date(v) => signed(Tag::Date, v.into()),
        ValueRef::Time(v) => signed(Tag::Time, v),
        ValueRef::Real(v) => put_tagged(out, Tag::Real, &v.to_bits().to_le_bytes()),
        ValueRef::Double(v) => put_tagged(out, Tag::Double, &v.to_bits().to_le_bytes()),
        ValueRef::Timestamp(v) => put_tagged(out, Tag::Timestamp, &v.to_le_bytes()),
        ValueRef::TimestampTz(v) => put_tagged(out, Tag::TimestampTz, &v.to_le_bytes()),
        ValueRef::Uuid(v) => put_tagged(out, Tag::Uuid, &v),
        ValueRef::Numeric(v) => encode_numeric(out, v),
        ValueRef::Text(v) => {
            out.push(Tag::Text as u8);
            put_bytes(out, v.as_bytes());
        }
        ValueRef::Bytea(v) => {
            out.push(Tag::Bytea as u8);
            put_bytes(out, v);
        }
        ValueRef::Packed(packed, v) => {
            let (code, modifier) = DataType::Packed(packed).code();
            out.extend_from_slice(&[Tag::Packed as u8, code]);
            put_varint(out, modifier.into());
            put_bytes(out, v);
        }
        ValueRef::Interval(v) => {
            signed(Tag::Interval, v.months.into());
            put_signed(out, v.days.into());
            put_signed(out, v.micros);
        }
    }
}

/// The most bytes that [`encode_value`] appends.
pub fn value_bytes_max(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(v) => VARIABLE_BYTES_MAX + v.len(),
        ValueRef::Bytea(v) => VARIABLE_BYTES_MAX + v.len(),
        ValueRef::Packed(_, v) => VARIABLE_BYTES_MAX + PACKED_TYPE_BYTES_MAX + v.len(),
        _ => FIXED_BYTES_MAX,
    }
}

/// A tag and the length of a string.
const VARIABLE_BYTES_MAX: usize = 1 + 10;
/// The number and the modifier of a packed type.
const PACKED_TYPE_BYTES_MAX: usize = 1 + 5;
/// A tag and three numbers of 5, 5 and 10 bytes: an interval; a numeric has 1 + 1 + 19.
const FIXED_BYTES_MAX: usize = 21;

fn put_tagged(out: &mut Vec<u8>, tag: Tag, payload: &[u8]) {
    out.push(tag as u8);
    out.extend_from_slice(payload);
}

fn encode_numeric(out: &mut Vec<u8>, v: Numeric) {
    match v.kind() {
        NumericKind::NaN => out.push(Tag::NumericNaN as u8),
        NumericKind::Infinity => out.push(Tag::NumericInfinity as u8),
        NumericKind::NegativeInfinity => out.push(Tag::NumericNegativeInfinity as u8),
        NumericKind::Finite => {
            put_tagged(out, Tag::Numeric, &[v.scale()]);
            let n = v.mantissa();
            put_varint_wide(out, ((n << 1) ^ (n >> 127)) as u128);
        }
    }
}

fn put_varint_wide(out: &mut Vec<u8>, mut n: u128) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
