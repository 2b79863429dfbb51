//! Bytes of values and numbers, as log frames and block images carry them.
//!
//! ```text
//!  varint        7 bits a byte, least significant first, high bit set if more follow (LEB128)
//!  signed        the varint of 2n for n >= 0, of -2n - 1 for n < 0 (zigzag)
//!  bytes, text   varint length, then the bytes
//!  value         a tag byte (see `Tag`), then the payload of its kind:
//!                integers, dates, times: signed | floats, timestamps: little-endian
//!                numeric: scale, then the mantissa as a signed of up to 128 bits
//!                interval: months, days, microseconds, each a signed | uuid: 16 bytes
//!                packed: the number of its type, the modifier as varint, then bytes
//! ```
//!
//! Writing cannot fail. Reading takes any bytes: [`Decoder`] answers with a value or with a
//! [`DecodeError`] that names the offset, never reads beyond its slice and never allocates by a
//! length it has only been told. What was read is valid: text is UTF-8, a numeric has at most 38
//! digits, an interval fits its Arrow form.
//!
//! Invariants
//! - What is written is read back as it was, to the bit: scales, NaN payloads and -0 included.
//! - A tag that was ever written keeps its meaning; a new one gets a new number.

mod decode;
mod encode;

#[cfg(test)]
mod tests;

pub use decode::{DecodeError, Decoder};
pub use encode::{encode_value, put_bytes, put_signed, put_varint, value_bytes_max};

/// Defines the tags with their numbers, in one place for both directions.
macro_rules! tags {
    ($($name:ident = $number:literal),* $(,)?) => {
        /// The first byte of an encoded value.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        enum Tag {
            $($name = $number),*
        }

        impl Tag {
            fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

tags! {
    Null = 0,
    False = 1,
    True = 2,
    SmallInt = 3,
    Integer = 4,
    BigInt = 5,
    Real = 6,
    Double = 7,
    Numeric = 8,
    NumericNaN = 9,
    NumericInfinity = 10,
    NumericNegativeInfinity = 11,
    Text = 12,
    Bytea = 13,
    Date = 14,
    Time = 15,
    Timestamp = 16,
    TimestampTz = 17,
    Interval = 18,
    Uuid = 19,
    Packed = 20,
}
