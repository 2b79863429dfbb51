//! Logarithms, exponentials and powers of NUMERIC.
//!
//! Computed in 256-bit fixed point with 36 digits behind the point, and shown with PostgreSQL's
//! choice of digits: at least 16 significant ones. Arguments are first brought near 1 by powers of
//! ten, so that the series are short:
//!
//! - `ln(y * 10^k) = 2 atanh((y - 1) / (y + 1)) + k ln 10`
//! - `exp(x) = 10^k exp(x - k ln 10)`

use super::{divide_at, divide_rounded, fit, multiply, signum, to_f64, wide_pow10};
use crate::error::{Error, Result, state};
use arrow_buffer::i256;
use remora_storage::Numeric;
use remora_storage::value::NumericKind as Kind;

/// Digits behind the point of the fixed-point numbers here.
const DIGITS: u32 = 36;
/// `ln 10`
const LN_10: i128 = 2_302_585_092_994_045_684_017_991_454_684_364_208;

fn one() -> i256 {
    wide_pow10(DIGITS)
}

/// Product of fixed-point numbers; correct while it is below 50,000.
fn times(a: i256, b: i256) -> i256 {
    divide_rounded(a.wrapping_mul(b), one())
}

fn over(a: i256, b: i256) -> i256 {
    let (n, d) = if b.is_negative() {
        (a.wrapping_neg(), b.wrapping_neg())
    } else {
        (a, b)
    };
    divide_rounded(n.wrapping_mul(one()), d)
}

fn small(n: i32) -> i256 {
    i256::from_i128(n.into())
}

/// A finite number below 10^40 in fixed point.
fn fixed(a: Numeric) -> i256 {
    let mantissa = i256::from_i128(a.mantissa());
    let shift = DIGITS as i32 - i32::from(a.scale());
    match u32::try_from(shift) {
        Ok(up) => mantissa.wrapping_mul(wide_pow10(up)),
        Err(_) => divide_rounded(mantissa, wide_pow10(shift.unsigned_abs())),
    }
}

/// `value * 10^exponent` with `scale` digits behind the point.
fn unfixed(value: i256, exponent: i32, scale: u8) -> Result<Numeric> {
    let shift = exponent + i32::from(scale) - DIGITS as i32;
    let mantissa = match u32::try_from(shift) {
        Ok(up) if up > 38 => None,
        Ok(up) => value.checked_mul(wide_pow10(up)),
        Err(_) if shift < -76 => Some(i256::ZERO),
        Err(_) => Some(divide_rounded(value, wide_pow10(shift.unsigned_abs()))),
    };
    fit(mantissa.ok_or_else(super::overflow)?, scale.into())
}

/// The natural logarithm of a positive finite number, in fixed point.
fn ln_fixed(a: Numeric) -> i256 {
    // a = y * 10^k with y between 0.3 and 3.2
    let digits = a.mantissa().ilog10() as i32;
    let lead = a.mantissa() / 10_i128.pow(digits as u32);
    let k = digits - i32::from(a.scale()) + i32::from(lead >= 3);
    let shift = DIGITS as i32 - i32::from(a.scale()) - k;
    let mantissa = i256::from_i128(a.mantissa());
    let y = match u32::try_from(shift) {
        Ok(up) => mantissa.wrapping_mul(wide_pow10(up)),
        Err(_) => divide_rounded(mantissa, wide_pow10(shift.unsigned_abs())),
    };
    let z = over(y.wrapping_sub(one()), y.wrapping_add(one()));
    let square = times(z, z);
    let (mut sum, mut power, mut n) = (i256::ZERO, z, 1);
    while power != i256::ZERO {
        sum = sum.wrapping_add(power.wrapping_div(small(n)));
        power = times(power, square);
        n += 2;
    }
    let tens = i256::from_i128(LN_10).wrapping_mul(small(k));
    sum.wrapping_mul(small(2)).wrapping_add(tens)
}

/// `exp(x)` as a fixed-point number and a power of ten that it is to be multiplied with.
fn exp_fixed(x: i256) -> (i256, i32) {
    let ln_10 = i256::from_i128(LN_10);
    let tens = x.wrapping_div(ln_10);
    let rest = x.wrapping_sub(tens.wrapping_mul(ln_10));
    let (mut sum, mut term, mut n) = (one(), one(), 1);
    while term != i256::ZERO {
        term = times(term, rest).wrapping_div(small(n));
        sum = sum.wrapping_add(term);
        n += 1;
    }
    (sum, tens.to_i128().map_or(0, |k| k as i32))
}

/// Where the first digit of `ln a` stands, as PostgreSQL estimates it.
fn ln_weight(a: Numeric) -> i32 {
    let value = to_f64(a);
    if (0.9..=1.1).contains(&value) {
        let distance = to_f64(super::subtract(a, Numeric::from(1)).unwrap_or(Numeric::ZERO)).abs();
        return if distance == 0.0 {
            0
        } else {
            distance.log10().floor() as i32
        };
    }
    value.ln().abs().log10() as i32
}

/// The scale that shows 16 significant digits of `exp(estimate)`.
fn scale_of_exp(estimate: f64, at_least: &[Numeric]) -> u8 {
    let weight = estimate.clamp(-1000.0, 1000.0) * std::f64::consts::LOG10_E;
    scale_of(16 - weight as i32, at_least)
}

fn scale_of(significant: i32, at_least: &[Numeric]) -> u8 {
    let shown = at_least
        .iter()
        .map(|n| i32::from(n.scale()))
        .max()
        .unwrap_or(0);
    significant.max(shown).clamp(0, Numeric::SCALE_MAX.into()) as u8
}

/// Refuses what has no logarithm.
fn positive(a: Numeric) -> Result<()> {
    let what = match signum(a) {
        0 if a.kind() != Kind::NaN => "cannot take logarithm of zero",
        -1 => "cannot take logarithm of a negative number",
        _ => return Ok(()),
    };
    Err(Error::new(state::INVALID_ARGUMENT_FOR_LOGARITHM, what))
}

/// The natural logarithm.
///
/// # Errors
/// 2201E for zero and below.
pub(crate) fn ln(a: Numeric) -> Result<Numeric> {
    positive(a)?;
    if !a.is_finite() {
        return Ok(a);
    }
    unfixed(ln_fixed(a), 0, scale_of(16 - ln_weight(a), &[a]))
}

/// The logarithm of `a` to a base.
///
/// # Errors
/// 2201E for zero and below; 22012 for the base 1.
pub(crate) fn log(base: Numeric, a: Numeric) -> Result<Numeric> {
    positive(base)?;
    positive(a)?;
    if !a.is_finite() || !base.is_finite() {
        let nan = a.kind() == Kind::NaN || base.kind() == Kind::NaN;
        return Ok(match (nan, base.is_finite()) {
            (true, _) => Numeric::NAN,
            (false, true) => a,
            (false, false) if a.is_finite() => Numeric::ZERO,
            (false, false) => Numeric::NAN,
        });
    }
    let divisor = ln_fixed(base);
    if divisor == i256::ZERO {
        return Err(super::division_by_zero());
    }
    let scale = scale_of(16 - (ln_weight(a) - ln_weight(base)), &[a, base]);
    unfixed(over(ln_fixed(a), divisor), 0, scale)
}

/// `e` to a power.
///
/// # Errors
/// 22003.
pub(crate) fn exp(a: Numeric) -> Result<Numeric> {
    match a.kind() {
        Kind::NaN | Kind::Infinity => return Ok(a),
        Kind::NegativeInfinity => return Ok(Numeric::ZERO),
        Kind::Finite => {}
    }
    let value = to_f64(a);
    if value > 100.0 {
        return Err(super::overflow());
    }
    let scale = scale_of_exp(value, &[a]);
    // Below this nothing is left in 38 digits.
    if value < -100.0 {
        return Ok(Numeric::new(0, scale).unwrap_or(Numeric::ZERO));
    }
    let (sum, tens) = exp_fixed(fixed(a));
    unfixed(sum, tens, scale)
}

/// `a` to a power.
///
/// # Errors
/// 2201F for a negative power of zero and a fractional power of a negative number; 22003.
pub(crate) fn power(a: Numeric, b: Numeric) -> Result<Numeric> {
    let refused = |what: &str| Err(Error::new(state::INVALID_ARGUMENT_FOR_POWER, what));
    if !a.is_finite() || !b.is_finite() {
        return power_of_special(a, b);
    }
    let whole = b.normalized();
    if a.mantissa() == 0 && b.mantissa() < 0 {
        return refused("zero raised to a negative power is undefined");
    }
    if a.mantissa() < 0 && whole.scale() > 0 {
        return refused("a negative number raised to a non-integer power yields a complex result");
    }
    if whole.scale() == 0
        && let Ok(exponent) = i32::try_from(whole.mantissa())
    {
        return whole_power(a, exponent, scale_of(16, &[a, b]));
    }
    if a.mantissa() == 0 {
        return Ok(Numeric::new(0, 16).unwrap_or(Numeric::ZERO));
    }
    // A whole exponent beyond 32 bits decides by itself: only 1 and -1 stay.
    let magnitude = super::absolute(a)?;
    let estimate = to_f64(magnitude).ln() * to_f64(b);
    if estimate > 100.0 {
        return Err(super::overflow());
    }
    let scale = scale_of_exp(estimate, &[a, b]);
    if estimate < -100.0 {
        return Ok(Numeric::new(0, scale).unwrap_or(Numeric::ZERO));
    }
    let exponent = multiply_fixed(ln_fixed(magnitude), b);
    let (sum, tens) = exp_fixed(exponent);
    unfixed(sum, tens, scale)
}

/// `ln * b`, where the product is known to be small though `b` may be large.
fn multiply_fixed(ln: i256, b: Numeric) -> i256 {
    let unit = wide_pow10(b.scale().into());
    let mantissa = i256::from_i128(b.mantissa());
    match ln.checked_mul(mantissa) {
        Some(product) => divide_rounded(product, unit),
        // Then either number has digits to spare behind the point.
        None => times(ln, fixed(b)),
    }
}

/// By squaring, with 38 digits all the way.
fn whole_power(a: Numeric, exponent: i32, scale: u8) -> Result<Numeric> {
    let one = Numeric::from(1);
    let mut left = exponent.unsigned_abs();
    let mut base = if exponent < 0 {
        divide_at(one, a, Numeric::SCALE_MAX)?
    } else {
        a
    };
    let mut result = one;
    while left > 0 {
        if left & 1 == 1 {
            result = multiply(result, base)?;
        }
        left >>= 1;
        // A power that has vanished stays so: no more squaring.
        if left > 0 && base.mantissa() != 0 {
            base = multiply(base, base)?;
        }
    }
    let shown = result.scale();
    if shown > scale {
        return super::round(result, scale.into());
    }
    fit(
        i256::from_i128(result.mantissa()).wrapping_mul(wide_pow10((scale - shown).into())),
        scale.into(),
    )
}

/// Powers of and to infinities and NaN are those of floats.
fn power_of_special(a: Numeric, b: Numeric) -> Result<Numeric> {
    let result = to_f64(a).powf(to_f64(b));
    Ok(if result.is_nan() {
        Numeric::NAN
    } else if result == f64::INFINITY {
        Numeric::INFINITY
    } else if result == f64::NEG_INFINITY {
        Numeric::NEG_INFINITY
    } else {
        Numeric::from(result as i64)
    })
}
