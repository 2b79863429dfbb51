//! NUMERIC arithmetic: exact on 128 bits, with 256-bit intermediates.
//!
//! A result has PostgreSQL's display scale: the larger one for `+`, `-` and `%`, the sum for `*`,
//! and for `/` enough for 16 significant digits. PostgreSQL knows thousands of digits and we know
//! 38, or 39 below 2^127. Sums and differences are exact: where the digits are too many, zeros behind the
//! point go, and else it is 22003. Products, quotients, rests and roots are rounded, half away from zero, to the digits
//! that there are; a whole part beyond these is 22003.
//!
//! The usual case, where everything fits 128 bits, does no wide arithmetic.

mod sum;
#[cfg(test)]
mod tests;
pub(crate) mod transcendental;

pub(crate) use sum::Sum;

use crate::error::{Error, Result};
use arrow_buffer::i256;
use remora_storage::Numeric;
use remora_storage::value::{NumericKind as Kind, NumericModifier};
use std::cmp::Ordering;

/// 22003 for a number beyond 128 bits.
pub(crate) fn overflow() -> Error {
    sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// 22012.
pub(crate) fn division_by_zero() -> Error {
    sql_error!(DIVISION_BY_ZERO, "division by zero")
}

/// `10^n` for n up to 38.
pub(crate) fn pow10(n: u8) -> i128 {
    10_i128.pow(n.into())
}

/// `10^n` for n up to 76.
fn wide_pow10(n: u32) -> i256 {
    let low = i256::from_i128(10_i128.pow(n.min(38)));
    low.wrapping_mul(i256::from_i128(10_i128.pow(n.saturating_sub(38))))
}

/// `n / d` for `d > 0`, rounded half away from zero.
fn divide_rounded(n: i256, d: i256) -> i256 {
    let (quotient, rest) = (n.wrapping_div(d), n.wrapping_rem(d).wrapping_abs());
    let up = rest >= d.wrapping_sub(rest);
    match (up, n.is_negative()) {
        (false, _) => quotient,
        (true, false) => quotient.wrapping_add(i256::ONE),
        (true, true) => quotient.wrapping_sub(i256::ONE),
    }
}

/// `n / d` for `d > 0`, rounded half away from zero.
pub(crate) fn divide_rounded_128(n: i128, d: i128) -> i128 {
    let (quotient, rest) = (n / d, (n % d).abs());
    if rest >= d - rest {
        quotient + n.signum()
    } else {
        quotient
    }
}

/// The value `mantissa / 10^scale` with at most `scale` digits after the point, and fewer where
/// the digits would be too many.
fn fit(mantissa: i256, scale: u32) -> Result<Numeric> {
    let mut cut = scale.saturating_sub(Numeric::SCALE_MAX.into());
    loop {
        let rounded = divide_rounded(mantissa, wide_pow10(cut));
        let kept = (scale - cut) as u8;
        if let Some(value) = rounded.to_i128().and_then(|m| Numeric::new(m, kept)) {
            return Ok(value);
        }
        if cut == scale {
            return Err(overflow());
        }
        // One step is a digit, but a number of 76 digits need not take 38 divisions.
        let excess = digits_wide(rounded).saturating_sub(38).max(1);
        cut = scale.min(cut + excess);
    }
}

/// The same where no digit but zeros goes.
///
/// # Errors
/// 22003.
fn fit_exactly(mantissa: i256, scale: u32) -> Result<Numeric> {
    let value = fit(mantissa, scale)?;
    let cut = scale - u32::from(value.scale());
    let whole = i256::from_i128(value.mantissa()).wrapping_mul(wide_pow10(cut));
    match whole == mantissa {
        true => Ok(value),
        false => Err(overflow()),
    }
}

fn digits_wide(n: i256) -> u32 {
    let n = n.wrapping_abs();
    (1..=76)
        .find(|&digits| n < wide_pow10(digits))
        .unwrap_or(77)
}

/// Both mantissas at the larger scale.
fn aligned(a: Numeric, b: Numeric) -> (i256, i256, u8) {
    let scale = a.scale().max(b.scale());
    let widen = |n: Numeric| {
        i256::from_i128(n.mantissa()).wrapping_mul(i256::from_i128(pow10(scale - n.scale())))
    };
    (widen(a), widen(b), scale)
}

/// `a + b`.
///
/// # Errors
/// 22003 where the sum has more digits than there are.
pub(crate) fn add(a: Numeric, b: Numeric) -> Result<Numeric> {
    use Kind::{Finite, Infinity, NaN, NegativeInfinity};
    match (a.kind(), b.kind()) {
        (Finite, Finite) => {
            if a.scale() == b.scale()
                && let Some(sum) = a.mantissa().checked_add(b.mantissa())
                && let Some(sum) = Numeric::new(sum, a.scale())
            {
                return Ok(sum);
            }
            let (x, y, scale) = aligned(a, b);
            fit_exactly(x.wrapping_add(y), scale.into())
        }
        (NaN, _) | (_, NaN) | (Infinity, NegativeInfinity) | (NegativeInfinity, Infinity) => {
            Ok(Numeric::NAN)
        }
        (Finite, _) => Ok(b),
        _ => Ok(a),
    }
}

/// `-a`.
///
/// # Errors
/// 22003 for the least number, whose opposite has a bit more.
pub(crate) fn negate(a: Numeric) -> Result<Numeric> {
    match a.kind() {
        Kind::Finite => fit_exactly(
            i256::from_i128(a.mantissa()).wrapping_neg(),
            a.scale().into(),
        ),
        Kind::NaN => Ok(a),
        Kind::Infinity => Ok(Numeric::NEG_INFINITY),
        Kind::NegativeInfinity => Ok(Numeric::INFINITY),
    }
}

/// `a - b`.
///
/// # Errors
/// As for [`add`].
pub(crate) fn subtract(a: Numeric, b: Numeric) -> Result<Numeric> {
    if !b.is_finite() {
        return add(a, negate(b)?);
    }
    if !a.is_finite() {
        // Whatever is taken away, the least number included, whose opposite is none.
        return Ok(a);
    }
    if a.scale() == b.scale()
        && let Some(rest) = a.mantissa().checked_sub(b.mantissa())
        && let Some(rest) = Numeric::new(rest, a.scale())
    {
        return Ok(rest);
    }
    let (x, y, scale) = aligned(a, b);
    fit_exactly(x.wrapping_sub(y), scale.into())
}

/// `|a|`.
pub(crate) fn absolute(a: Numeric) -> Result<Numeric> {
    if signum(a) < 0 { negate(a) } else { Ok(a) }
}

/// -1, 0 or 1; NaN has none.
pub(crate) fn signum(a: Numeric) -> i128 {
    match a.kind() {
        Kind::Finite => a.mantissa().signum(),
        Kind::NaN => 0,
        Kind::Infinity => 1,
        Kind::NegativeInfinity => -1,
    }
}

fn infinity(sign: i128) -> Numeric {
    match sign {
        0 => Numeric::NAN,
        1 => Numeric::INFINITY,
        _ => Numeric::NEG_INFINITY,
    }
}

/// `a * b`.
pub(crate) fn multiply(a: Numeric, b: Numeric) -> Result<Numeric> {
    if !a.is_finite() || !b.is_finite() {
        return Ok(if a.kind() == Kind::NaN || b.kind() == Kind::NaN {
            Numeric::NAN
        } else {
            infinity(signum(a) * signum(b))
        });
    }
    let scale = u32::from(a.scale()) + u32::from(b.scale());
    if let (Some(product), Ok(scale)) =
        (a.mantissa().checked_mul(b.mantissa()), u8::try_from(scale))
        && let Some(value) = Numeric::new(product, scale)
    {
        return Ok(value);
    }
    let product = i256::from_i128(a.mantissa()).wrapping_mul(i256::from_i128(b.mantissa()));
    fit(product, scale)
}

/// Position of the first digit in base 10,000 relative to the point, and that digit: what
/// PostgreSQL's choice of a quotient's scale looks at.
fn weight(n: Numeric) -> (i32, u128) {
    if n.mantissa() == 0 {
        return (0, 0);
    }
    let magnitude = n.mantissa().unsigned_abs();
    let digits = magnitude.ilog10() as i32 + 1;
    let exponent = digits - 1 - i32::from(n.scale());
    let lead = exponent.rem_euclid(4) + 1;
    let first = if digits >= lead {
        magnitude / 10_u128.pow((digits - lead) as u32)
    } else {
        magnitude * 10_u128.pow((lead - digits) as u32)
    };
    (exponent.div_euclid(4), first)
}

/// PostgreSQL's `select_div_scale`: at least 16 significant digits, and no fewer digits after the
/// point than either argument shows.
fn quotient_scale(a: Numeric, b: Numeric) -> u8 {
    let ((weight_a, first_a), (weight_b, first_b)) = (weight(a), weight(b));
    let mut weight = weight_a - weight_b;
    if first_a <= first_b {
        weight -= 1;
    }
    let scale = (16 - weight * 4).max(a.scale().max(b.scale()).into());
    scale.clamp(0, Numeric::SCALE_MAX.into()) as u8
}

/// `a / b`.
///
/// # Errors
/// 22012; 22003.
pub(crate) fn divide(a: Numeric, b: Numeric) -> Result<Numeric> {
    if a.kind() == Kind::NaN || b.kind() == Kind::NaN {
        return Ok(Numeric::NAN);
    }
    match (a.is_finite(), b.is_finite()) {
        (_, true) if b.mantissa() == 0 => return Err(division_by_zero()),
        (true, true) => {}
        (false, false) => return Ok(Numeric::NAN),
        (true, false) => return Ok(Numeric::ZERO),
        (false, true) => return Ok(infinity(signum(a) * signum(b))),
    }
    let scale = quotient_scale(a, b);
    divide_at(a, b, scale)
}

/// `a / b` of finite numbers with `scale` digits after the point, fewer where they do not fit.
pub(crate) fn divide_at(a: Numeric, b: Numeric, scale: u8) -> Result<Numeric> {
    let sign = b.mantissa().signum();
    let divisor = i256::from_i128(b.mantissa()).wrapping_abs();
    let mut scale = i32::from(scale);
    loop {
        // a/10^sa / (b/10^sb) * 10^scale
        let shift = scale + i32::from(b.scale()) - i32::from(a.scale());
        let scaled = match u32::try_from(shift) {
            Ok(up) if up <= 38 => i256::from_i128(a.mantissa())
                .checked_mul(wide_pow10(up))
                .map(|n| (n, i256::ONE)),
            Ok(up) => i256::from_i128(a.mantissa())
                .checked_mul(wide_pow10(38))
                .and_then(|n| n.checked_mul(wide_pow10(up - 38)))
                .map(|n| (n, i256::ONE)),
            Err(_) => Some((
                i256::from_i128(a.mantissa()),
                wide_pow10(shift.unsigned_abs()),
            )),
        };
        if let Some((n, extra)) = scaled
            && let Some(divisor) = divisor.checked_mul(extra)
        {
            let quotient = divide_rounded(n, divisor).wrapping_mul(i256::from_i128(sign));
            if let Some(value) = quotient
                .to_i128()
                .and_then(|m| Numeric::new(m, scale as u8))
            {
                return Ok(value);
            }
        }
        if scale == 0 {
            return Err(overflow());
        }
        scale -= 1;
    }
}

/// `a % b`: the rest of the truncated division, with the sign of `a`.
///
/// # Errors
/// 22012.
pub(crate) fn remainder(a: Numeric, b: Numeric) -> Result<Numeric> {
    if a.kind() == Kind::NaN || b.kind() == Kind::NaN {
        return Ok(Numeric::NAN);
    }
    match (a.is_finite(), b.is_finite()) {
        (_, true) if b.mantissa() == 0 => Err(division_by_zero()),
        (false, _) => Ok(Numeric::NAN),
        (true, false) => Ok(a),
        (true, true) => {
            let (x, y, scale) = aligned(a, b);
            fit(x.wrapping_rem(y), scale.into())
        }
    }
}

/// The square root of a finite `a >= 0` with `scale` digits after the point, fewer where they do not
/// fit: the whole root of `a * 10^(2 * scale)`, rounded.
pub(crate) fn sqrt_at(a: Numeric, scale: u8) -> Result<Numeric> {
    let mut scale = u32::from(scale);
    loop {
        let shift = 2 * scale as i32 - i32::from(a.scale());
        let mantissa = i256::from_i128(a.mantissa());
        let radicand = match u32::try_from(shift) {
            Ok(up) if up <= 38 => mantissa.checked_mul(wide_pow10(up)),
            Ok(_) => None,
            Err(_) => Some(mantissa.wrapping_div(wide_pow10(shift.unsigned_abs()))),
        };
        if let Some(radicand) = radicand {
            let root = whole_root(radicand);
            // Half a unit more is (r + 1/2)^2 = r^2 + r + 1/4.
            let rest = radicand.wrapping_sub(root.wrapping_mul(root));
            let rounded = if rest > root {
                root.wrapping_add(i256::ONE)
            } else {
                root
            };
            return fit(rounded, scale);
        }
        scale -= 1;
    }
}

/// The square root of `a >= 0`, with at least 16 significant digits.
pub(crate) fn sqrt(a: Numeric) -> Result<Numeric> {
    if !a.is_finite() {
        return Ok(a);
    }
    let weight = weight(a).0;
    let scale = (15 - weight * 2).max(a.scale().into());
    sqrt_at(a, scale.clamp(0, Numeric::SCALE_MAX.into()) as u8)
}

/// The whole part of `a / b`.
///
/// # Errors
/// 22012; 22003.
pub(crate) fn quotient(a: Numeric, b: Numeric) -> Result<Numeric> {
    if !a.is_finite() || !b.is_finite() {
        return divide(a, b);
    }
    if b.mantissa() == 0 {
        return Err(division_by_zero());
    }
    let (x, y, _) = aligned(a, b);
    fit(x.wrapping_div(y), 0)
}

/// The greatest `r` with `r * r <= n`, by Newton's method from above.
fn whole_root(n: i256) -> i256 {
    if n <= i256::ONE {
        return n;
    }
    let mut root = wide_pow10(digits_wide(n).div_ceil(2));
    loop {
        let next = root
            .wrapping_add(n.wrapping_div(root))
            .wrapping_div(i256::from_i128(2));
        if next >= root {
            return root;
        }
        root = next;
    }
}

/// `a` with `scale` digits after the point, rounded half away from zero; with fewer zeros there where it has no room
/// for all. A negative scale rounds to tens, hundreds .. and shows no digits after the point.
pub(crate) fn round(a: Numeric, scale: i32) -> Result<Numeric> {
    rescale(a, scale, divide_rounded_128)
}

/// `a` with `scale` digits after the point, cut towards zero; with fewer zeros where it has no room for all.
pub(crate) fn truncate(a: Numeric, scale: i32) -> Result<Numeric> {
    rescale(a, scale, |n, d| n / d)
}

fn rescale(a: Numeric, scale: i32, divide: fn(i128, i128) -> i128) -> Result<Numeric> {
    if !a.is_finite() {
        return Ok(a);
    }
    let scale = scale.clamp(-40, Numeric::SCALE_MAX.into());
    let (shown, drop) = (scale.max(0) as u8, i32::from(a.scale()) - scale);
    if drop > 38 {
        return Ok(Numeric::new(0, shown).unwrap_or(Numeric::ZERO));
    }
    let mantissa = match u8::try_from(drop) {
        Ok(drop) => {
            let kept = divide(a.mantissa(), pow10(drop));
            kept.checked_mul(pow10(scale.min(0).unsigned_abs().min(38) as u8))
        }
        Err(_) => return Ok(widened(a, drop.unsigned_abs() as u8)),
    };
    mantissa
        .and_then(|m| Numeric::new(m, shown))
        .ok_or_else(overflow)
}

/// `a` with so many zeros more behind the point, or as many as there is room for.
fn widened(a: Numeric, zeros: u8) -> Numeric {
    let with = |zeros: u8| {
        let mantissa = a.mantissa().checked_mul(pow10(zeros))?;
        Numeric::new(mantissa, a.scale() + zeros)
    };
    (0..=zeros).rev().find_map(with).unwrap_or(a)
}

/// The whole number at or below (`Ordering::Less`) or at or above (`Ordering::Greater`).
pub(crate) fn whole(a: Numeric, side: Ordering) -> Result<Numeric> {
    let cut = truncate(a, 0)?;
    match (a.is_finite(), side) {
        (true, Ordering::Less) if cut > a => subtract(cut, Numeric::from(1)),
        (true, Ordering::Greater) if cut < a => add(cut, Numeric::from(1)),
        _ => Ok(cut),
    }
}

/// The value as a `NUMERIC(p,s)` holds it.
///
/// # Errors
/// 22003 with PostgreSQL's detail.
pub(crate) fn apply_modifier(a: Numeric, modifier: NumericModifier) -> Result<Numeric> {
    let NumericModifier { precision, scale } = modifier;
    let limit = pow10(precision);
    let too_large = |what: &str| {
        sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").with_detail(format!(
            "A field with precision {precision}, scale {scale} {what}"
        ))
    };
    match a.kind() {
        Kind::NaN => Ok(a),
        Kind::Finite => match round(a, scale.into()) {
            Ok(value)
                if value.scale() == scale
                    && value.mantissa().unsigned_abs() < limit.unsigned_abs() =>
            {
                Ok(value)
            }
            _ => Err(too_large(&format!(
                "must round to an absolute value less than {}{}.",
                if precision == scale { "" } else { "10^" },
                match precision - scale {
                    0 => 1,
                    whole => whole,
                }
            ))),
        },
        _ => Err(too_large("cannot hold an infinite value.")),
    }
}

/// The nearest `f64`.
pub(crate) fn to_f64(a: Numeric) -> f64 {
    match a.kind() {
        Kind::NaN => f64::NAN,
        Kind::Infinity => f64::INFINITY,
        Kind::NegativeInfinity => f64::NEG_INFINITY,
        // Below 2^53 both parts are exact and one division rounds once.
        Kind::Finite if a.mantissa().unsigned_abs() < 1 << 53 && a.scale() <= 22 => {
            a.mantissa() as f64 / 10_f64.powi(a.scale().into())
        }
        Kind::Finite => format!("{}e-{}", a.mantissa(), a.scale())
            .parse()
            .expect("digits and an exponent are a float"),
    }
}

/// The whole number nearest to a finite `a`, halves away from zero; `None` for NaN and infinities.
pub(crate) fn to_i128(a: Numeric) -> Option<i128> {
    a.is_finite()
        .then(|| divide_rounded_128(a.mantissa(), pow10(a.scale())))
}

/// A float's `digits` most significant digits, as PostgreSQL converts floats: 15 for DOUBLE
/// PRECISION, 6 for REAL.
pub(crate) fn from_float(value: f64, digits: usize) -> Result<Numeric> {
    if value.is_nan() {
        return Ok(Numeric::NAN);
    }
    if value.is_infinite() {
        return Ok(infinity(if value > 0.0 { 1 } else { -1 }));
    }
    let text = format!("{value:.*e}", digits - 1);
    let parsed = crate::function::text::parse_numeric(&text)?;
    // `%g` shows no trailing zeros.
    Ok(parsed.normalized())
}
