//! One value as bytes in a row.

use super::layout::VIEW_BYTES;
use crate::value::{DataType, Interval, Numeric, ValueRef};

/// Strings up to this length are inside their view.
pub(super) const INLINE_BYTES: usize = 12;

/// A string view, Arrow's ByteView: `length 4 | data 12`, or `length 4 | prefix 4 | buffer 4 |
/// offset 4`.
#[derive(Clone, Copy)]
pub(super) struct View(pub(super) [u8; VIEW_BYTES]);

impl View {
    /// # Panics
    /// When the string has more than [`INLINE_BYTES`] bytes.
    #[inline]
    pub(super) fn inline(string: &[u8]) -> Self {
        let view = string.len() as u128 | short(string) << 32;
        Self(view.to_le_bytes())
    }

    #[inline]
    pub(super) fn outside(string: &[u8], buffer: u32, offset: u32) -> Self {
        let prefix = short(&string[..4]) << 32;
        let place = u128::from(buffer) << 64 | u128::from(offset) << 96;
        Self((string.len() as u128 | prefix | place).to_le_bytes())
    }

    fn word(self, at: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.0[at..at + 4]);
        u32::from_le_bytes(word)
    }

    pub(super) fn len(self) -> usize {
        self.word(0) as usize
    }

    pub(super) fn is_inline(self) -> bool {
        self.len() <= INLINE_BYTES
    }

    pub(super) fn buffer(self) -> u32 {
        self.word(8)
    }

    pub(super) fn offset(self) -> u32 {
        self.word(12)
    }
}

/// The bytes of a short string as an integer, the first one lowest; without a call to copy them.
/// First and last parts may overlap: there, both say the same.
#[inline]
fn short(string: &[u8]) -> u128 {
    let len = string.len();
    assert!(len <= INLINE_BYTES, "short enough to be in its view");
    if let (Some(first), Some(last)) = (string.first_chunk(), string.last_chunk()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        return u128::from(first) | u128::from(last) << (8 * (len - 8));
    }
    if let (Some(first), Some(last)) = (string.first_chunk(), string.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u128::from(first) | u128::from(last) << (8 * (len - 4));
    }
    let bytes = string.iter().rev();
    bytes.fold(0, |word, byte| word << 8 | u128::from(*byte))
}

/// The bytes of a value that is held as a string.
#[inline]
pub(super) fn string_of<'v>(value: &ValueRef<'v>) -> Option<&'v [u8]> {
    value.bytes()
}

/// Writes a value that is neither NULL nor a string.
///
/// # Panics
/// When the value is not of the column's type: the caller casts first.
#[inline]
pub(super) fn write_fixed(target: &mut [u8], data_type: DataType, value: &ValueRef<'_>) {
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
pub(super) fn take<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut taken = [0; N];
    taken.copy_from_slice(&bytes[..N]);
    taken
}

/// Reads what [`write_fixed`] wrote.
#[inline]
pub(super) fn read_fixed(bytes: &[u8], data_type: DataType) -> ValueRef<'static> {
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
