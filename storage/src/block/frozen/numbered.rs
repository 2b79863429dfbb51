//! Strings that are decimal numbers, as integers: what is left of `INV-2024-000123` or
//! `user0000017@example.com` when the part that all have in common is gone.
//!
//! All are of the same number of digits, or else none begins with a zero that could be left out; so
//! the integer says which string it was. Of the same number of digits, they are also in the order
//! of their integers, and bounds of strings become bounds of integers.

use super::ints::Ints;
use crate::codec::{DecodeError, Decoder};

/// Digits that an integer of 64 bits always has room for.
pub(super) const DIGITS_MAX: usize = 18;

/// Numbered strings, encoded; the bytes are in the image that is passed to each call.
#[derive(Clone, Debug)]
pub(super) struct Numbered {
    /// How many digits each has; 0 where they differ.
    pub(super) digits: usize,
    pub(super) ints: Ints,
}

impl Numbered {
    /// Appends strings, of which NULL ones are `None`. `false` where they are no such numbers.
    pub(super) fn encode<'s>(
        strings: impl Iterator<Item = Option<&'s [u8]>> + Clone,
        out: &mut Vec<u8>,
    ) -> bool {
        let present = || strings.clone().flatten();
        let Some(first) = present().next() else {
            return false;
        };
        let digits = match present().all(|string| string.len() == first.len()) {
            true => first.len(),
            false => 0,
        };
        let Some(mut last) = number(first, digits) else {
            return false;
        };
        let filled = strings.map(|string| {
            if let Some(string) = string {
                last = number(string, digits)?;
            }
            Some(last)
        });
        let Some(ints) = filled.collect::<Option<Vec<i64>>>() else {
            return false;
        };
        out.push(digits as u8);
        Ints::encode(&ints, out);
        true
    }

    /// Reads what `encode` wrote of `len` strings.
    pub(super) fn parse(decoder: &mut Decoder<'_>, len: usize) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        let digits = usize::from(decoder.u8()?);
        if digits > DIGITS_MAX {
            return Err(DecodeError {
                offset,
                expected: "at most 18 digits",
                found: digits.to_string(),
            });
        }
        let ints = Ints::parse(decoder, len)?;
        Ok(Self { digits, ints })
    }

    /// Whether all integers have so many digits.
    pub(super) fn is_valid(&self, image: &[u8]) -> bool {
        self.ints.is_within(image, &self.numbers())
    }

    /// The integers that are strings of this column.
    pub(super) fn numbers(&self) -> std::ops::RangeInclusive<i64> {
        let digits = if self.digits == 0 {
            DIGITS_MAX
        } else {
            self.digits
        };
        0..=10_i64.pow(digits as u32) - 1
    }

    /// Appends string `index`.
    pub(super) fn append(&self, image: &[u8], index: usize, out: &mut Vec<u8>) {
        self.append_number(self.ints.get(image, index), out);
    }

    /// Appends the string that an integer is.
    pub(super) fn append_number(&self, number: i64, out: &mut Vec<u8>) {
        let digits = match self.digits {
            0 => number.checked_ilog10().unwrap_or(0) as usize + 1,
            digits => digits,
        };
        let start = out.len();
        out.resize(start + digits, b'0');
        write_digits(number, &mut out[start..]);
    }
}

/// Writes the last digits of a number, as many as there is room for.
pub(super) fn write_digits(number: i64, out: &mut [u8]) {
    let mut rest = number.unsigned_abs();
    // Two at a time: half as many divisions.
    for pair in out.rchunks_mut(2) {
        let two = (rest % 100) as u8;
        rest /= 100;
        if let [first, last] = pair {
            (*first, *last) = (b'0' + two / 10, b'0' + two % 10);
        } else {
            pair[0] = b'0' + two % 10;
        }
    }
}

/// The number that a string of so many digits is; or, where `digits` is 0, of as many as it takes.
fn number(string: &[u8], digits: usize) -> Option<i64> {
    let bare = digits == 0 && string.len() > 1 && string[0] == b'0';
    if bare || string.is_empty() || string.len() > DIGITS_MAX {
        return None;
    }
    string.iter().try_fold(0, |number: i64, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        Some(number * 10 + digit)
    })
}
