//! Reading numbers and values from bytes that may be anything.

use super::Tag;
use crate::error::Error;
use crate::value::{DataType, Interval, Numeric, ValueRef};
use std::path::Path;

/// The bytes are not what was expected at an offset.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("at byte {offset}: expected {expected}, found {found}")]
pub struct DecodeError {
    /// Where in the decoder's bytes.
    pub offset: usize,
    /// What should be there.
    pub expected: &'static str,
    /// What is there.
    pub found: String,
}

impl DecodeError {
    /// The error as damage of a file, in which the decoder's bytes begin at `base`.
    pub fn in_file(self, path: &Path, base: u64) -> Error {
        Error::Corrupt {
            path: path.to_owned(),
            offset: base.saturating_add(self.offset as u64),
            expected: self.expected.to_owned(),
            found: self.found,
        }
    }
}

/// The result of reading.
type Result<T> = std::result::Result<T, DecodeError>;

/// Reads one thing after the other from a slice.
///
/// ```
/// use remora_storage::codec::{Decoder, encode_value};
/// use remora_storage::ValueRef;
/// let mut bytes = Vec::new();
/// encode_value(&mut bytes, ValueRef::Text("shark"));
/// let mut decoder = Decoder::new(&bytes);
/// assert_eq!(decoder.value()?, ValueRef::Text("shark"));
/// decoder.finish()?;
/// # Ok::<(), remora_storage::codec::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// How many bytes were read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// Succeeds if nothing is left.
    pub fn finish(self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error("the end", format!("{left} more bytes"))),
        }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.offset..];
        let Some(taken) = rest.get(..len) else {
            let found = format!("{} of {len} bytes", rest.len());
            return Err(self.error("more bytes", found));
        };
        self.offset += len;
        Ok(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// What [`super::put_varint`] wrote.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        let mut n = 0;
        // Nine bytes have 63 bits, which nearly all numbers fit.
        for (at, byte) in self.bytes[self.offset..].iter().take(9).enumerate() {
            n |= u64::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                self.offset += at + 1;
                return Ok(n);
            }
        }
        self.long_varint()
    }

    /// A number of more bytes, or one that is cut off.
    #[cold]
    fn long_varint(&mut self) -> Result<u64> {
        let start = self.offset;
        let n = self.varint_wide()?;
        u64::try_from(n).map_err(|_| error_at(start, "a number of 64 bits", n.to_string()))
    }

    /// What [`super::put_signed`] wrote.
    pub fn signed(&mut self) -> Result<i64> {
        self.varint().map(|n| (n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// What [`super::put_bytes`] wrote.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.count(1)?;
        self.take(len)
    }

    /// What [`super::put_bytes`] wrote of a text.
    pub fn text(&mut self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        let start = self.offset - bytes.len();
        std::str::from_utf8(bytes).map_err(|error| {
            let at = start + error.valid_up_to();
            error_at(at, "UTF-8", format!("byte {:#04x}", self.bytes[at]))
        })
    }

    /// A varint that says how many things follow, each of at least `bytes_each` bytes. It is
    /// refused where so many cannot follow, so that memory may be taken by it.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize> {
        let start = self.offset;
        let n = self.varint()?;
        let most = self.remaining() / bytes_each.max(1);
        match usize::try_from(n) {
            Ok(n) if n <= most => Ok(n),
            _ => {
                let found = format!("{n} with {} bytes left", self.remaining());
                Err(error_at(start, "a length that the bytes can hold", found))
            }
        }
    }

    /// What [`super::encode_value`] wrote.
    pub fn value(&mut self) -> Result<ValueRef<'a>> {
        let start = self.offset;
        let byte = self.u8()?;
        let Some(tag) = Tag::from_byte(byte) else {
            return Err(error_at(start, "a value's tag", byte.to_string()));
        };
        Ok(match tag {
            Tag::Null => ValueRef::Null,
            Tag::False => ValueRef::Boolean(false),
            Tag::True => ValueRef::Boolean(true),
            Tag::SmallInt => ValueRef::SmallInt(self.narrow("a SMALLINT")?),
            Tag::Integer => ValueRef::Integer(self.narrow("an INTEGER")?),
            Tag::BigInt => ValueRef::BigInt(self.signed()?),
            Tag::Date => ValueRef::Date(self.narrow("a DATE")?),
            Tag::Time => ValueRef::Time(self.signed()?),
            Tag::Real => ValueRef::Real(f32::from_bits(self.u32()?)),
            Tag::Double => ValueRef::Double(f64::from_bits(self.u64()?)),
            Tag::Timestamp => ValueRef::Timestamp(self.array().map(i64::from_le_bytes)?),
            Tag::TimestampTz => ValueRef::TimestampTz(self.array().map(i64::from_le_bytes)?),
            Tag::Uuid => ValueRef::Uuid(self.array()?),
            Tag::NumericNaN => ValueRef::Numeric(Numeric::NAN),
            Tag::NumericInfinity => ValueRef::Numeric(Numeric::INFINITY),
            Tag::NumericNegativeInfinity => ValueRef::Numeric(Numeric::NEG_INFINITY),
            Tag::Numeric => ValueRef::Numeric(self.numeric()?),
            Tag::Text => ValueRef::Text(self.text()?),
            Tag::Bytea => ValueRef::Bytea(self.bytes()?),
            Tag::Interval => ValueRef::Interval(self.interval()?),
            Tag::Packed => self.packed()?,
        })
    }

    fn numeric(&mut self) -> Result<Numeric> {
        let start = self.offset;
        let scale = self.u8()?;
        let n = self.varint_wide()?;
        let mantissa = (n >> 1) as i128 ^ -((n & 1) as i128);
        Numeric::new(mantissa, scale).ok_or_else(|| {
            let found = format!("{mantissa} with scale {scale}");
            error_at(start, "a numeric of at most 38 places", found)
        })
    }

    fn packed(&mut self) -> Result<ValueRef<'a>> {
        let start = self.offset;
        let (code, modifier) = (self.u8()?, self.varint()?);
        let data_type = u32::try_from(modifier)
            .ok()
            .and_then(|modifier| DataType::from_code(code, modifier));
        let bytes = self.bytes()?;
        match data_type {
            Some(DataType::Packed(packed)) if packed.is_valid(bytes) => {
                Ok(ValueRef::Packed(packed, bytes))
            }
            _ => {
                let found = format!("{} bytes of type {code} with {modifier}", bytes.len());
                Err(error_at(start, "a value of a packed type", found))
            }
        }
    }

    fn interval(&mut self) -> Result<Interval> {
        let months = self.narrow("an interval's months")?;
        let days = self.narrow("an interval's days")?;
        Ok(Interval {
            months,
            days,
            micros: self.signed()?,
        })
    }

    /// A signed that must fit a narrower type.
    fn narrow<T: TryFrom<i64>>(&mut self, expected: &'static str) -> Result<T> {
        let start = self.offset;
        let n = self.signed()?;
        T::try_from(n).map_err(|_| error_at(start, expected, n.to_string()))
    }

    fn varint_wide(&mut self) -> Result<u128> {
        let start = self.offset;
        let mut n = 0;
        for shift in (0..128).step_by(7) {
            let byte = self.u8()?;
            let bits = u128::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                break;
            }
            n |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        let found = "more than 128 bits".to_owned();
        Err(error_at(start, "a number", found))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn error(&self, expected: &'static str, found: String) -> DecodeError {
        error_at(self.offset, expected, found)
    }
}

fn error_at(offset: usize, expected: &'static str, found: String) -> DecodeError {
    DecodeError {
        offset,
        expected,
        found,
    }
}
