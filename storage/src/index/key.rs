//! Keys as bytes: comparing the bytes of two keys is comparing their values.
//!
//! A key is the concatenation of its columns, each a mark and, unless NULL, a payload:
//!
//! ```text
//!  mark     0x00 NULL that comes first | 0x01 a value follows | 0x02 NULL that comes last
//!  payload  (all bits inverted for a descending column)
//!    boolean              1 byte
//!    integers, dates ..   big-endian with the sign bit inverted
//!    floats               IEEE bits, inverted if negative, else with the sign bit set;
//!                         one zero and one NaN
//!    numeric              class; for finite non-zero values exponent and 39 digits, see below
//!    text, bytea          bytes with 00 written 00 FF, then 00 00
//!    interval             compared length, 10 bytes big-endian with the sign bit inverted
//!    uuid                 16 bytes
//!    array                the keys of its elements, NULLs last, and 00; then how many dimensions, and the length and
//!                         the first subscript of each, big-endian
//!    jsonb                as bytea
//!    range                00 the empty one | 01, then each bound: no lower one 00, no upper one 02, else the key of
//!                         its value and whether it lies before it, at it or behind it, 1 byte
//!    multirange           as an array of its ranges
//! ```
//!
//! A NUMERIC `m / 10^s` with d digits in m is `0.ddd.. * 10^(d-s)`: after the class byte (infinite,
//! negative, zero, positive, NaN) stand the exponent `d-s`, the first 38 digits as `m * 10^(38-d)`, and the 39th, all inverted
//! for negative numbers. The scale is not in it: 1.0 and 1.00 are one key.
//!
//! Invariants, for keys of the same [`KeyColumn`]s and types
//! - Bytes compare as the values do column by column with [`ValueRef::compare`], turned around for
//!   descending columns, and NULL where the column puts it. Equal bytes mean equal values.
//! - No column's bytes are a proper prefix of another value's in that column. So the key of the
//!   first columns alone is a prefix of exactly the keys that begin with these values:
//!   [`prefix_end`] gives the other end of that range.
//!
//! The same bytes serve as keys for sorting, grouping, joining and DISTINCT; there, values of two
//! types must be cast to one type before.

#[cfg(test)]
mod tests;

use crate::value::{
    DataType, Interval, Numeric, NumericKind, PackedType, SqlArray, SqlRange, SqlRecord, ValueRef,
};
use smallvec::SmallVec;
use std::borrow::Borrow;
use std::ops::DerefMut;

/// Where the bytes of keys are put: a vector, or a [`Key`] on the stack.
pub trait KeyBuffer: DerefMut<Target = [u8]> {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Appends a byte and a word, each by one store: whoever reads the word again at once, or a
    /// part of it, has it from the processor's store buffer. A load that spans two stores would
    /// wait until both have left that buffer, and so until every load before them has come back:
    /// no two look-ups would ever wait for memory at the same time.
    fn put_word<const N: usize>(&mut self, mark: u8, word: [u8; N]);
}

/// Writes a byte and a word behind it.
///
/// # Safety
/// So many bytes may be written there.
#[inline]
unsafe fn put_word<const N: usize>(at: *mut u8, mark: u8, word: [u8; N]) {
    // SAFETY: by contract; an array of bytes may stand anywhere.
    unsafe {
        at.write(mark);
        at.add(1).cast::<[u8; N]>().write(word);
    }
}

/// A key on the stack, which goes to the heap only when it is long.
pub type Key = SmallVec<[u8; KEY_INLINE_BYTES]>;

/// Longest key that needs no heap: an e-mail address fits, and so do most composite keys.
const KEY_INLINE_BYTES: usize = 64;

/// A vector and one that may be on the stack have the same methods, and no trait for them.
macro_rules! key_buffers {
    ($($buffer:ty),*) => {$(
        impl KeyBuffer for $buffer {
            fn put(&mut self, bytes: &[u8]) {
                self.extend_from_slice(bytes);
            }

            #[inline]
            fn put_word<const N: usize>(&mut self, mark: u8, word: [u8; N]) {
                self.reserve(1 + N);
                let len = self.len();
                // SAFETY: there is room for so many bytes more, and all of them are written here.
                unsafe {
                    put_word(self.as_mut_ptr().add(len), mark, word);
                    self.set_len(len + 1 + N);
                }
            }
        }
    )*};
}

key_buffers!(Vec<u8>, Key);

/// How one column of a key is ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyColumn {
    /// Whether greater values come first.
    pub descending: bool,
    /// Whether NULLs come before all values, whatever the direction.
    pub nulls_first: bool,
}

const NULL_FIRST: u8 = 0;
pub(super) const NOT_NULL: u8 = 1;
const NULL_LAST: u8 = 2;
/// A range without values, before those with some.
const RANGE_EMPTY: u8 = 0;
const RANGE_BOUNDS: u8 = 1;
/// Bytes that end a text.
pub(crate) const END_OF_TEXT_BYTES: usize = 2;
/// Below the mark of any element: the shorter array comes first.
const LIST_END: u8 = 0;

/// Appends the key of `values`, one for each of the first `columns`, to `out`.
///
/// Fewer values than columns give the common prefix of all keys that begin with them. Values that
/// were made just now had better be given by reference: to copy one is to read what was written in
/// parts ([`KeyBuffer::put_word`]).
///
/// ```
/// use remora_storage::index::{KeyColumn, encode_key};
/// use remora_storage::ValueRef;
/// let columns = [KeyColumn::default(), KeyColumn { descending: true, nulls_first: true }];
/// let key = |a, b| {
///     let mut out = Vec::new();
///     encode_key(&mut out, &columns, [ValueRef::Integer(a), ValueRef::Text(b)]);
///     out
/// };
/// assert!(key(-1, "x") < key(1, "b"));
/// assert!(key(1, "b") < key(1, "a"));
/// ```
#[inline]
pub fn encode_key<'a>(
    out: &mut impl KeyBuffer,
    columns: &[KeyColumn],
    values: impl IntoIterator<Item = impl Borrow<ValueRef<'a>>>,
) {
    for (column, value) in columns.iter().zip(values) {
        encode_column(out, *column, value.borrow());
    }
}

/// The least byte string above all that begin with `prefix`; `None` where there is none, because
/// the prefix is empty or all `0xFF`.
///
/// ```
/// use remora_storage::index::prefix_end;
/// assert_eq!(prefix_end(b"ab").as_deref(), Some(&b"ac"[..]));
/// assert_eq!(prefix_end(b"a\xFF").as_deref(), Some(&b"b"[..]));
/// assert_eq!(prefix_end(b"\xFF"), None);
/// ```
pub fn prefix_end(prefix: &[u8]) -> Option<Key> {
    let last = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut end = Key::from_slice(&prefix[..=last]);
    end[last] += 1;
    Some(end)
}

/// Appends one column of a key to `out`.
#[inline]
pub fn encode_column(out: &mut impl KeyBuffer, column: KeyColumn, value: &ValueRef<'_>) {
    match word_of(column, value) {
        Some(Word::Four(word)) => out.put_word(NOT_NULL, word),
        Some(Word::Eight(word)) => out.put_word(NOT_NULL, word),
        None => encode_other(out, column, value),
    }
}

/// The payload of a plain integer.
enum Word {
    Four([u8; 4]),
    Eight([u8; 8]),
}

/// The payload of a value, if it is a plain integer.
#[inline]
fn word_of(column: KeyColumn, value: &ValueRef<'_>) -> Option<Word> {
    let turn = if column.descending { -1_i64 } else { 0 };
    match *value {
        ValueRef::Integer(v) | ValueRef::Date(v) => {
            Some(Word::Four((v ^ turn as i32 ^ i32::MIN).to_be_bytes()))
        }
        ValueRef::BigInt(v)
        | ValueRef::Time(v)
        | ValueRef::Timestamp(v)
        | ValueRef::TimestampTz(v) => Some(Word::Eight((v ^ turn ^ i64::MIN).to_be_bytes())),
        _ => None,
    }
}

/// [`encode_column`] for what is no plain integer; apart, so that an integer costs a few
/// instructions.
#[inline(never)]
fn encode_other(out: &mut impl KeyBuffer, column: KeyColumn, value: &ValueRef<'_>) {
    if value.is_null() {
        let mark = if column.nulls_first {
            NULL_FIRST
        } else {
            NULL_LAST
        };
        return out.put(&[mark]);
    }
    let start = out.len();
    encode_payload(out, value);
    if column.descending {
        out[start + 1..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Whether a key is that of these columns and values, found without writing that key; `None` where a value is not a plain
/// integer in its key.
#[inline]
pub fn is_key_of_words<'v>(
    key: &[u8],
    columns: impl Iterator<Item = (KeyColumn, ValueRef<'v>)>,
) -> Option<bool> {
    let mut rest = key;
    for (column, value) in columns {
        let word = word_of(column, &value)?;
        let Some((&NOT_NULL, payload)) = rest.split_first() else {
            return Some(false);
        };
        let behind = match word {
            Word::Four(word) => payload.strip_prefix(&word),
            Word::Eight(word) => payload.strip_prefix(&word),
        };
        match behind {
            Some(behind) => rest = behind,
            None => return Some(false),
        }
    }
    Some(rest.is_empty())
}

/// The value that a key of one column is of, if the column holds plain integers and it is not NULL.
#[inline(always)]
pub fn int_of_key(key: &[u8], column: KeyColumn) -> Option<i64> {
    let turn = if column.descending { -1_i64 } else { 0 };
    let (mark, payload) = key.split_first()?;
    if *mark != NOT_NULL {
        return None;
    }
    let sign_inverted = match payload.len() {
        8 => i64::from_be_bytes(*payload.first_chunk()?) ^ i64::MIN,
        4 => (i32::from_be_bytes(*payload.first_chunk()?) ^ i32::MIN).into(),
        _ => return None,
    };
    Some(sign_inverted ^ turn)
}

/// The key of one integer, which [`int_of_key`] reads.
#[derive(Clone, Copy, Debug)]
pub struct IntKeyBytes {
    bytes: [u8; 1 + 8],
    len: usize,
}

impl IntKeyBytes {
    /// The key of a value of 64 bits, or of 32.
    #[inline(always)]
    pub(crate) fn new(value: i64, is_wide: bool, column: KeyColumn) -> Self {
        let turn = if column.descending { -1_i64 } else { 0 };
        // Of 32 bits: in the upper half, whose sign is turned around as that of the whole is.
        let (shift, len) = if is_wide { (0, 9) } else { (32, 5) };
        let payload = (((value ^ turn) << shift) ^ i64::MIN).to_be_bytes();
        let mut bytes = [NOT_NULL; 9];
        bytes[1..].copy_from_slice(&payload);
        Self { bytes, len }
    }
}

impl std::ops::Deref for IntKeyBytes {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// How many bytes the first column of a key takes, which is of this type; `None` where the type has parts.
pub(crate) fn column_len(key: &[u8], column: KeyColumn, data_type: DataType) -> Option<usize> {
    let (mark, payload) = key.split_first()?;
    if *mark != NOT_NULL {
        return Some(1);
    }
    let turn = if column.descending { 0xFF } else { 0 };
    let len = match data_type {
        DataType::Boolean => 1,
        DataType::SmallInt => 2,
        DataType::Integer | DataType::Date | DataType::Real => 4,
        DataType::BigInt
        | DataType::Double
        | DataType::Time
        | DataType::Timestamp
        | DataType::TimestampTz => 8,
        DataType::Interval => 10,
        DataType::Uuid => 16,
        DataType::Numeric(_) => match payload.first()? ^ turn {
            class::NEGATIVE | class::POSITIVE => 19,
            _ => 1,
        },
        DataType::Text
        | DataType::Varchar(_)
        | DataType::Char(_)
        | DataType::Json
        | DataType::Bytea => {
            let is_end = |two: &[u8]| two == [turn; END_OF_TEXT_BYTES];
            let end = payload.windows(END_OF_TEXT_BYTES).position(is_end)?;
            end + END_OF_TEXT_BYTES
        }
        DataType::Packed(_) => return None,
    };
    Some(1 + len)
}

/// The mark and the payload.
fn encode_payload(out: &mut impl KeyBuffer, value: &ValueRef<'_>) {
    match *value {
        ValueRef::Boolean(v) => out.put_word(NOT_NULL, [u8::from(v)]),
        ValueRef::SmallInt(v) => out.put_word(NOT_NULL, (v ^ i16::MIN).to_be_bytes()),
        ValueRef::Null
        | ValueRef::Integer(_)
        | ValueRef::Date(_)
        | ValueRef::BigInt(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_) => unreachable!("encoded before"),
        ValueRef::Real(v) => out.put_word(NOT_NULL, real_bytes(v)),
        ValueRef::Double(v) => out.put_word(NOT_NULL, double_bytes(v)),
        ValueRef::Numeric(v) => encode_numeric(out, v),
        ValueRef::Text(v) => encode_escaped(out, v.as_bytes()),
        ValueRef::Bytea(v) => encode_escaped(out, v),
        ValueRef::Interval(v) => out.put_word(NOT_NULL, interval_bytes(v)),
        ValueRef::Uuid(v) => out.put_word(NOT_NULL, v),
        ValueRef::Packed(PackedType::Array(_), _) => encode_array(out, value.as_array()),
        ValueRef::Packed(PackedType::Range(_), _) => encode_range(out, value.as_range()),
        ValueRef::Packed(PackedType::Multirange(_), _) => encode_array(out, value.as_ranges()),
        ValueRef::Packed(PackedType::Record(_) | PackedType::Composite(_), v) => {
            encode_record(out, SqlRecord::new(v));
        }
        ValueRef::Packed(_, v) => encode_escaped(out, v),
    }
}

fn encode_array(out: &mut impl KeyBuffer, array: Option<SqlArray<'_>>) {
    out.put(&[NOT_NULL]);
    let Some(array) = array else { return };
    for element in array.iter() {
        encode_column(out, KeyColumn::default(), &element);
    }
    let dimensions = array.dimensions();
    out.put(&[LIST_END, dimensions.len() as u8]);
    for dimension in dimensions {
        out.put(&dimension.length.to_be_bytes());
        out.put(&(dimension.first ^ i32::MIN).to_be_bytes());
    }
}

fn encode_range(out: &mut impl KeyBuffer, range: Option<SqlRange<'_>>) {
    out.put(&[NOT_NULL]);
    let Some((lower, upper)) = range.and_then(|range| range.bounds()) else {
        return out.put(&[RANGE_EMPTY]);
    };
    out.put(&[RANGE_BOUNDS]);
    for bound in [lower, upper] {
        let column = KeyColumn {
            descending: false,
            nulls_first: bound.lower,
        };
        encode_column(out, column, &bound.value.unwrap_or_default());
        if bound.value.is_some() {
            out.put(&[u8::from(bound.lower != bound.inclusive)]);
        }
    }
}

fn encode_record(out: &mut impl KeyBuffer, record: Option<SqlRecord<'_>>) {
    out.put(&[NOT_NULL]);
    for value in record.unwrap_or_default().values() {
        encode_column(out, KeyColumn::default(), &value);
    }
    out.put(&[LIST_END]);
}

fn real_bytes(v: f32) -> [u8; 4] {
    let bits = match v {
        _ if v.is_nan() => f32::NAN.to_bits() & !(1 << 31),
        // Both zeros.
        _ if v == 0.0 => 0,
        _ => v.to_bits(),
    };
    let negative = bits >> 31 == 1;
    (if negative { !bits } else { bits | 1 << 31 }).to_be_bytes()
}

fn double_bytes(v: f64) -> [u8; 8] {
    let bits = match v {
        _ if v.is_nan() => f64::NAN.to_bits() & !(1 << 63),
        _ if v == 0.0 => 0,
        _ => v.to_bits(),
    };
    let negative = bits >> 63 == 1;
    (if negative { !bits } else { bits | 1 << 63 }).to_be_bytes()
}

/// Classes of numerics, in their order.
mod class {
    pub(super) const NEGATIVE_INFINITY: u8 = 1;
    pub(super) const NEGATIVE: u8 = 2;
    pub(super) const ZERO: u8 = 3;
    pub(super) const POSITIVE: u8 = 4;
    pub(super) const INFINITY: u8 = 5;
    pub(super) const NAN: u8 = 6;
}

/// Apart, because its long divisions would otherwise be done beforehand for values of any type.
#[inline(never)]
fn encode_numeric(out: &mut impl KeyBuffer, v: Numeric) {
    let class = match v.kind() {
        NumericKind::NegativeInfinity => class::NEGATIVE_INFINITY,
        NumericKind::Infinity => class::INFINITY,
        NumericKind::NaN => class::NAN,
        NumericKind::Finite => match v.mantissa().signum() {
            -1 => class::NEGATIVE,
            0 => class::ZERO,
            _ => class::POSITIVE,
        },
    };
    out.put(&[NOT_NULL, class]);
    if !matches!(class, class::NEGATIVE | class::POSITIVE) {
        return;
    }
    let magnitude = v.mantissa().unsigned_abs();
    let digits = magnitude.ilog10() as u8 + 1;
    // Between 1 - 38 and 39 + 38, so the sum is positive; the first 38 digits are below 10^38.
    let exponent = digits + Numeric::SCALE_MAX - v.scale();
    let (aligned, last) = match Numeric::SCALE_MAX.checked_sub(digits) {
        Some(missing) => (magnitude * 10_u128.pow(u32::from(missing)), 0),
        None => (magnitude / 10, (magnitude % 10) as u8),
    };
    if class == class::NEGATIVE {
        out.put(&[!exponent]);
        out.put(&(!aligned).to_be_bytes());
        out.put(&[!last]);
    } else {
        out.put(&[exponent]);
        out.put(&aligned.to_be_bytes());
        out.put(&[last]);
    }
}

fn encode_escaped(out: &mut impl KeyBuffer, bytes: &[u8]) {
    out.put_word(NOT_NULL, []);
    let mut rest = bytes;
    while has_zero(rest)
        && let Some(zero) = rest.iter().position(|&byte| byte == 0)
    {
        out.put(&rest[..=zero]);
        out.put(&[0xFF]);
        rest = &rest[zero + 1..];
    }
    out.put(rest);
    out.put_word(0, [0]);
}

/// Whether a byte is zero; in steps that only the length decides on, because zeros are rare and
/// where the bytes lie is hard to foresee.
fn has_zero(bytes: &[u8]) -> bool {
    const LOW: u64 = u64::from_ne_bytes([1; 8]);
    // The highest bit of each zero byte, and perhaps of others above one.
    let zeros = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        word.wrapping_sub(LOW) & !word & (LOW << 7)
    };
    let (words, rest) = bytes.as_chunks();
    let found = words.iter().fold(0, |found, word| found | zeros(word));
    let found = match bytes.last_chunk() {
        Some(last) => found | zeros(last),
        None => found | u64::from(rest.contains(&0)),
    };
    found != 0
}

/// An interval's compared length needs 73 bits and a sign: months count 30 days of 86.4e9
/// microseconds.
fn interval_bytes(v: Interval) -> [u8; 10] {
    let shifted = v.comparable() + (1 << 79);
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&shifted.to_be_bytes()[6..]);
    bytes
}
