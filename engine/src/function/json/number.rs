//! Numbers of JSONB: decimal, exact, ordered by their bytes.
//!
//! A number other than zero is `0.d1d2d3.. x 10^exponent` with `d1 != 0` and no zero at the end, so each has one
//! form. It is packed as
//!
//! ```text
//!  [sign's tag][exponent: 1 or 4 bytes][digits, two a byte, plus one]..[0]
//! ```
//!
//! with all but the tag complemented where it is negative. As in SQL 1.0 equals 1.00, and because what is equal
//! has the same bytes, zeros at the end of a fraction are not kept (PostgreSQL compares without them and shows
//! them).

use super::packed::{Reader, Tag};
use crate::error::{Error, Result};

/// Digits before the point, as many as PostgreSQL's NUMERIC has.
const WHOLE_DIGITS_MAX: i64 = 131_072;
/// Digits behind it.
const FRACTION_DIGITS_MAX: i64 = 16_383;
/// The exponents that take one byte are those from minus this to this.
const SHORT_EXPONENT_MAX: i32 = 100;
const SHORT_ZERO: i32 = 0x80;
const LONG_BELOW: u8 = 0x0F;
const LONG_ABOVE: u8 = 0xF0;
const LONG_BIAS: i32 = 1 << 23;

fn overflow() -> Error {
    sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// Appends the packed form of a number written as JSON, or SQL, has it.
///
/// # Errors
/// 22003 where it has more digits than NUMERIC ever has.
pub(super) fn pack(out: &mut Vec<u8>, text: &str) -> Result<()> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // What does not fit 64 bits is beyond every limit in either direction.
    let exponent = exponent.parse::<i64>().map_err(|_| overflow())?;
    let point = exponent.saturating_add(whole.len() as i64);
    if (fraction.len() as i64).saturating_sub(exponent) > FRACTION_DIGITS_MAX {
        return Err(overflow());
    }
    let digits = || whole.bytes().chain(fraction.bytes()).map(|b| b - b'0');
    let total = whole.len() + fraction.len();
    let leading = digits().take_while(|d| *d == 0).count();
    if leading == total {
        out.push(Tag::Zero as u8);
        return Ok(());
    }
    let trailing = match fraction.trim_end_matches('0') {
        "" => fraction.len() + whole.len() - whole.trim_end_matches('0').len(),
        significant => fraction.len() - significant.len(),
    };
    let exponent = point.saturating_sub(leading as i64);
    if exponent > WHOLE_DIGITS_MAX {
        return Err(overflow());
    }
    out.push(if negative {
        Tag::Negative
    } else {
        Tag::Positive
    } as u8);
    let start = out.len();
    // Not below -FRACTION_DIGITS_MAX: that many digits behind the point were refused.
    pack_exponent(out, exponent as i32);
    let mut high = None;
    for digit in digits().take(total - trailing).skip(leading) {
        match high.take() {
            None => high = Some(digit),
            Some(tens) => out.push(tens * 10 + digit + 1),
        }
    }
    out.extend(high.map(|tens| tens * 10 + 1));
    out.push(0);
    if negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    Ok(())
}

fn pack_exponent(out: &mut Vec<u8>, exponent: i32) {
    if exponent.abs() <= SHORT_EXPONENT_MAX {
        out.push((SHORT_ZERO + exponent) as u8);
        return;
    }
    out.push(if exponent < 0 { LONG_BELOW } else { LONG_ABOVE });
    out.extend_from_slice(&(exponent + LONG_BIAS).to_be_bytes()[1..]);
}

/// Passes over a number whose tag was read.
pub(super) fn skip(reader: &mut Reader<'_>, negative: bool) -> Result<()> {
    let flip = if negative { 0xFF } else { 0 };
    if matches!(reader.byte()? ^ flip, LONG_BELOW | LONG_ABOVE) {
        reader.take(3)?;
    }
    reader.until(flip).map(|_| ())
}

/// Appends a number whose tag was read, as PostgreSQL writes a NUMERIC.
pub(super) fn write(out: &mut String, reader: &mut Reader<'_>, negative: bool) -> Result<()> {
    let flip = if negative { 0xFF } else { 0 };
    let exponent = match reader.byte()? ^ flip {
        long @ (LONG_BELOW | LONG_ABOVE) => {
            let bytes = reader.take(3)?;
            let biased = bytes.iter().fold(0, |n, b| n << 8 | i32::from(b ^ flip));
            let exponent = biased - LONG_BIAS;
            if (long == LONG_ABOVE) != (exponent > 0) {
                return Err(reader.corrupted());
            }
            exponent
        }
        short => i32::from(short) - SHORT_ZERO,
    };
    if !(-FRACTION_DIGITS_MAX..=WHOLE_DIGITS_MAX).contains(&exponent.into()) {
        return Err(reader.corrupted());
    }
    let mut digits = Vec::new();
    for byte in reader.until(flip)? {
        match byte ^ flip {
            pair @ 1..=100 => digits.extend([(pair - 1) / 10, (pair - 1) % 10]),
            _ => return Err(reader.corrupted()),
        }
    }
    if digits.last() == Some(&0) {
        digits.pop();
    }
    if negative {
        out.push('-');
    }
    let digit = |place: i32| {
        let found = usize::try_from(place).ok().and_then(|at| digits.get(at));
        char::from(b'0' + found.copied().unwrap_or(0))
    };
    if exponent <= 0 {
        out.push('0');
    }
    out.extend((0..exponent).map(digit));
    let end = i32::try_from(digits.len()).map_err(|_| reader.corrupted())?;
    if end > exponent {
        out.push('.');
        out.extend((exponent..end).map(digit));
    }
    Ok(())
}
