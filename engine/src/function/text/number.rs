//! Numbers from and to text.

use super::scanner::is_space;
use super::{invalid, out_of_range};
use crate::error::{Result, state};
use remora_storage::Numeric;
use remora_storage::value::NumericKind;
use std::fmt::Write;
use std::num::IntErrorKind;
use std::str::FromStr;

pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Reads SMALLINT, INTEGER or BIGINT.
pub(super) fn parse_integer<T>(text: &str, type_name: &str) -> Result<T>
where
    T: FromStr<Err = std::num::ParseIntError>,
{
    trim(text)
        .parse()
        .map_err(|error: std::num::ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => out_of_range(text, type_name),
            _ => invalid(state::INVALID_TEXT_REPRESENTATION, type_name, text),
        })
}

/// Whether a text that reads as zero was meant as zero: else it is an underflow.
fn has_nonzero_digit(text: &str) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    mantissa.contains(|c: char| c.is_ascii_digit() && c != '0')
}

fn parse_float<T: FromStr + Into<f64> + Copy>(text: &str, type_name: &str) -> Result<T> {
    let number = trim(text);
    let Ok(value) = number.parse::<T>() else {
        return Err(invalid(state::INVALID_TEXT_REPRESENTATION, type_name, text));
    };
    let wide: f64 = value.into();
    let spelled_out = number.contains(|c: char| c.is_ascii_digit());
    if spelled_out && (wide.is_infinite() || (wide == 0.0 && has_nonzero_digit(number))) {
        return Err(sql_error!(
            NUMERIC_VALUE_OUT_OF_RANGE,
            "\"{number}\" is out of range for type {type_name}"
        ));
    }
    Ok(value)
}

/// Reads REAL.
pub(super) fn parse_real(text: &str) -> Result<f32> {
    parse_float(text, "real")
}

/// Reads DOUBLE PRECISION.
pub(super) fn parse_double(text: &str) -> Result<f64> {
    parse_float(text, "double precision")
}

/// Reads NUMERIC. Digits that do not fit 128 bits are rounded away behind the point and an error before.
pub(crate) fn parse_numeric(text: &str) -> Result<Numeric> {
    let syntax = || invalid(state::INVALID_TEXT_REPRESENTATION, "numeric", text);
    let number = trim(text);
    let (negative, digits) = match number.as_bytes().first() {
        Some(b'-') => (true, &number[1..]),
        Some(b'+') => (false, &number[1..]),
        _ => (false, number),
    };
    match digits.to_ascii_lowercase().as_str() {
        "nan" if digits.len() == number.len() => return Ok(Numeric::NAN),
        "inf" | "infinity" => {
            return Ok(if negative {
                Numeric::NEG_INFINITY
            } else {
                Numeric::INFINITY
            });
        }
        _ => {}
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let valid = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if valid.is_empty() || !valid.bytes().all(|b| b.is_ascii_digit()) {
                return Err(syntax());
            }
            // Beyond a million, one digit more or less is out of range all the same.
            let clamped = exponent
                .parse::<i64>()
                .unwrap_or(if exponent.starts_with('-') {
                    i64::MIN
                } else {
                    i64::MAX
                });
            (mantissa, clamped.clamp(-1_000_000, 1_000_000))
        }
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Err(syntax());
    }
    // Some numbers of 39 digits fit, all of 38 do.
    [39, 38]
        .into_iter()
        .find_map(|most| assemble(whole, fraction, exponent, negative, most))
        .ok_or_else(super::super::decimal::overflow)
}

/// The number whose digits are `whole.fraction`, times `10^exponent`, of at most so many digits.
fn assemble(
    whole: &str,
    fraction: &str,
    exponent: i64,
    negative: bool,
    digits_max: i64,
) -> Option<Numeric> {
    let digits = || {
        whole
            .bytes()
            .chain(fraction.bytes())
            .map(|b| u128::from(b - b'0'))
    };
    let point = whole.len() as i64 + exponent;
    let total = (whole.len() + fraction.len()) as i64;
    let leading = digits().take_while(|d| *d == 0).count() as i64;
    // How many digits after the point there are to be shown, and how many can be.
    let wanted = (total - point).max(0);
    let whole_digits = (point - leading).max(0);
    if leading == total {
        return Numeric::new(0, wanted.min(Numeric::SCALE_MAX.into()) as u8);
    }
    if whole_digits > digits_max {
        return None;
    }
    let scale = wanted
        .min(digits_max - whole_digits)
        .min(Numeric::SCALE_MAX.into());
    // Digits taken from the text; the rest is zeros to append or digits to round away.
    let take = point + scale;
    let mut mantissa = 0_u128;
    for digit in digits().take(take.clamp(0, total) as usize) {
        mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
    }
    for _ in total..take {
        mantissa = mantissa.checked_mul(10)?;
    }
    if (0..total).contains(&take) && digits().nth(take as usize).is_some_and(|d| d >= 5) {
        mantissa += 1;
    }
    let signed = match negative {
        true => 0_i128.checked_sub_unsigned(mantissa)?,
        false => i128::try_from(mantissa).ok()?,
    };
    Numeric::new(signed, scale as u8)
}

/// Writes an integer.
pub(super) fn write_integer(out: &mut String, value: i64) {
    let _ = write!(out, "{value}");
}

/// Writes a NUMERIC.
pub(crate) fn write_numeric(out: &mut String, value: Numeric) {
    match value.kind() {
        NumericKind::NaN => out.push_str("NaN"),
        NumericKind::Infinity => out.push_str("Infinity"),
        NumericKind::NegativeInfinity => out.push_str("-Infinity"),
        NumericKind::Finite => {
            let unit = 10_u128.pow(value.scale().into());
            let magnitude = value.mantissa().unsigned_abs();
            if value.mantissa() < 0 {
                out.push('-');
            }
            let _ = write!(out, "{}", magnitude / unit);
            if value.scale() > 0 {
                let width = usize::from(value.scale());
                let _ = write!(out, ".{:0width$}", magnitude % unit);
            }
        }
    }
}

/// Writes a REAL: the fewest digits that read back as the same value, or six and so many `more` (fewer).
pub(super) fn write_real(out: &mut String, value: f32, more: i32) {
    match more {
        1.. => write_shortest(out, value.into(), &format!("{value:e}"), 6),
        _ => write_rounded(out, value.into(), 6 + more),
    }
}

/// Writes a DOUBLE PRECISION: the fewest digits that read back as the same value, or 15 and so many `more`.
pub(super) fn write_double(out: &mut String, value: f64, more: i32) {
    match more {
        1.. => write_shortest(out, value, &format!("{value:e}"), 15),
        _ => write_rounded(out, value, 15 + more),
    }
}

/// So many digits, of which zeros at the end go: C's `%.*g`.
fn write_rounded(out: &mut String, value: f64, digits: i32) {
    let digits = digits.max(1);
    let rounded = format!("{value:.*e}", digits as usize - 1);
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    write_shortest(out, value, &format!("{mantissa}e{exponent}"), digits);
}

/// `shortest` is Rust's `d.ddde-n`; PostgreSQL shows an exponent only below -4 and from `limit` on.
fn write_shortest(out: &mut String, value: f64, shortest: &str, limit: i32) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..limit).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.abs());
        return;
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest.replace('.', "")),
        None => ("", mantissa.replace('.', "")),
    };
    out.push_str(sign);
    match usize::try_from(exponent + 1) {
        Ok(whole) if whole > 0 => {
            let (before, after) = digits.split_at(digits.len().min(whole));
            let _ = write!(out, "{before:0<whole$}");
            if !after.is_empty() {
                let _ = write!(out, ".{after}");
            }
        }
        _ => {
            let zeros = exponent.unsigned_abs() as usize - 1;
            let _ = write!(out, "0.{}{digits}", "0".repeat(zeros));
        }
    }
}
