//! Mathematical functions on DOUBLE PRECISION and NUMERIC.
//!
//! Integers come here as DOUBLE PRECISION, PostgreSQL's preferred number. A result that is infinite
//! although no argument is, is 22003; an argument outside a function's domain has the SQLSTATE that
//! the standard names for it.

use super::arithmetic::float;
use super::decimal::transcendental;
use super::kernel::function;
use super::native::out_of_range;
use super::{EvalContext, Overload, Volatility, decimal};
use crate::error::{Error, Result, state};
use remora_storage::{Numeric, Value, ValueRef};
use std::cmp::Ordering;

/// A result, unless it became infinite by itself.
fn finite(result: f64, argument: f64) -> Result<f64> {
    if result.is_infinite() && argument.is_finite() {
        Err(float::overflow())
    } else {
        Ok(result)
    }
}

/// 22003 for an argument that a function has no value for.
pub(super) fn domain() -> Error {
    sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

fn negative_root() -> Error {
    sql_error!(
        INVALID_ARGUMENT_FOR_POWER,
        "cannot take square root of a negative number"
    )
}

/// Refuses what has no logarithm.
fn logarithm_domain(order: Option<Ordering>) -> Result<()> {
    let what = match order {
        Some(Ordering::Equal) => "cannot take logarithm of zero",
        Some(Ordering::Less) => "cannot take logarithm of a negative number",
        _ => return Ok(()),
    };
    Err(Error::new(state::INVALID_ARGUMENT_FOR_LOGARITHM, what))
}

pub(super) fn sqrt(x: f64) -> Result<f64> {
    if x < 0.0 {
        Err(negative_root())
    } else {
        Ok(x.sqrt())
    }
}

fn exp(x: f64) -> Result<f64> {
    let result = x.exp();
    if result == 0.0 && x.is_finite() {
        Err(float::underflow())
    } else {
        finite(result, x)
    }
}

fn ln(x: f64) -> Result<f64> {
    logarithm_domain(x.partial_cmp(&0.0))?;
    Ok(x.ln())
}

fn log10(x: f64) -> Result<f64> {
    logarithm_domain(x.partial_cmp(&0.0))?;
    Ok(x.log10())
}

fn power(x: f64, y: f64) -> Result<f64> {
    if x == 0.0 && y < 0.0 {
        return Err(sql_error!(
            INVALID_ARGUMENT_FOR_POWER,
            "zero raised to a negative power is undefined"
        ));
    }
    if x < 0.0 && y.is_finite() && y.fract() != 0.0 {
        return Err(sql_error!(
            INVALID_ARGUMENT_FOR_POWER,
            "a negative number raised to a non-integer power yields a complex result"
        ));
    }
    let result = x.powf(y);
    if result == 0.0 && x != 0.0 && x.is_finite() && y.is_finite() {
        return Err(float::underflow());
    }
    finite(result, if y.is_finite() { x } else { y })
}

/// Functions that are defined between -1 and 1.
fn arc(x: f64, f: fn(f64) -> f64) -> Result<f64> {
    if x.abs() > 1.0 {
        Err(domain())
    } else {
        Ok(f(x))
    }
}

/// Functions that an infinite angle has no value for.
fn angle(x: f64, f: fn(f64) -> f64) -> Result<f64> {
    if x.is_infinite() {
        Err(domain())
    } else {
        finite(f(x), x)
    }
}

static ROUNDING: &[Overload] = &[
    function!("ceil"(Double) -> Double, "The whole number at or above.", |x: f64| Ok(x.ceil())),
    function!("ceiling"(Double) -> Double, "The whole number at or above.", |x: f64| Ok(x.ceil())),
    function!("floor"(Double) -> Double, "The whole number at or below.", |x: f64| Ok(x.floor())),
    function!("round"(Double) -> Double, "The nearest whole number, halves to even.",
        |x: f64| Ok(x.round_ties_even())),
    function!("trunc"(Double) -> Double, "Without the fraction.", |x: f64| Ok(x.trunc())),
    function!("sign"(Double) -> Double, "-1, 0 or 1.", |x: f64| {
        Ok(if x.is_nan() || x == 0.0 { x.abs() } else { x.signum() })
    }),
    function!("ceil"(Numeric) -> Numeric, "The whole number at or above.",
        |x| decimal::whole(x, Ordering::Greater)),
    function!("ceiling"(Numeric) -> Numeric, "The whole number at or above.",
        |x| decimal::whole(x, Ordering::Greater)),
    function!("floor"(Numeric) -> Numeric, "The whole number at or below.",
        |x| decimal::whole(x, Ordering::Less)),
    function!("round"(Numeric) -> Numeric, "The nearest whole number, halves away from zero.",
        |x| decimal::round(x, 0)),
    function!("round"(Numeric, Integer) -> Numeric, "Rounded to so many digits after the point.",
        decimal::round),
    function!("trunc"(Numeric) -> Numeric, "Without the fraction.", |x| decimal::truncate(x, 0)),
    function!("trunc"(Numeric, Integer) -> Numeric, "Cut after so many digits behind the point.",
        decimal::truncate),
    function!("sign"(Numeric) -> Numeric, "-1, 0 or 1.", |x| {
        let nan = x.kind() == remora_storage::value::NumericKind::NaN;
        Ok(if nan { x } else { Numeric::from(decimal::signum(x) as i64) })
    }),
    function!("scale"(Numeric) -> Integer, "Digits after the point.", |x| Ok(x.scale().into())),
    function!("div"(Numeric, Numeric) -> Numeric, "Whole quotient, cut towards zero.",
        decimal::quotient),
];

static NUMERICS: &[Overload] = &[
    function!("sqrt"(Numeric) -> Numeric, "Square root.", |x| {
        if decimal::signum(x) < 0 { Err(negative_root()) } else { decimal::sqrt(x) }
    }),
    function!("exp"(Numeric) -> Numeric, "e to a power.", transcendental::exp),
    function!("ln"(Numeric) -> Numeric, "Natural logarithm.", transcendental::ln),
    function!("log"(Numeric) -> Numeric, "Logarithm to base 10.",
        |x| transcendental::log(Numeric::from(10), x)),
    function!("log10"(Numeric) -> Numeric, "Logarithm to base 10.",
        |x| transcendental::log(Numeric::from(10), x)),
    function!("log"(Numeric, Numeric) -> Numeric, "Logarithm of the second to the first as base.",
        transcendental::log),
    function!("power"(Numeric, Numeric) -> Numeric, "Power.", transcendental::power),
    function!("pow"(Numeric, Numeric) -> Numeric, "Power.", transcendental::power),
    function!("^"(Numeric, Numeric) -> Numeric, "Power.", transcendental::power),
];

static DOUBLES: &[Overload] = &[
    function!("sqrt"(Double) -> Double, "Square root.", sqrt),
    function!("cbrt"(Double) -> Double, "Cube root.", |x: f64| Ok(x.cbrt())),
    function!("exp"(Double) -> Double, "e to a power.", exp),
    function!("ln"(Double) -> Double, "Natural logarithm.", ln),
    function!("log"(Double) -> Double, "Logarithm to base 10.", log10),
    function!("log10"(Double) -> Double, "Logarithm to base 10.", log10),
    function!("power"(Double, Double) -> Double, "Power.", power),
    function!("pow"(Double, Double) -> Double, "Power.", power),
    function!("^"(Double, Double) -> Double, "Power.", power),
    function!("degrees"(Double) -> Double, "Radians to degrees.",
        |x| finite(x / std::f64::consts::PI * 180.0, x)),
    function!("radians"(Double) -> Double, "Degrees to radians.",
        |x| Ok(x / 180.0 * std::f64::consts::PI)),
    function!(context "pi"() -> Double, "The constant.", |_| Ok(std::f64::consts::PI)),
    function!("sin"(Double) -> Double, "Sine.", |x| angle(x, f64::sin)),
    function!("cos"(Double) -> Double, "Cosine.", |x| angle(x, f64::cos)),
    function!("tan"(Double) -> Double, "Tangent.", |x| angle(x, f64::tan)),
    function!("cot"(Double) -> Double, "Cotangent.", |x| angle(x, |x| 1.0 / x.tan())),
    function!("asin"(Double) -> Double, "Arc sine.", |x| arc(x, f64::asin)),
    function!("acos"(Double) -> Double, "Arc cosine.", |x| arc(x, f64::acos)),
    function!("atan"(Double) -> Double, "Arc tangent.", |x: f64| Ok(x.atan())),
    function!("atan2"(Double, Double) -> Double, "Arc tangent of a quotient.",
        |y: f64, x| Ok(y.atan2(x))),
    function!("sinh"(Double) -> Double, "Hyperbolic sine.", |x: f64| Ok(x.sinh())),
    function!("cosh"(Double) -> Double, "Hyperbolic cosine.", |x: f64| Ok(x.cosh())),
    function!("tanh"(Double) -> Double, "Hyperbolic tangent.", |x: f64| Ok(x.tanh())),
    function!(context "random"() -> Double, "A number from 0 up to, not including, 1.",
        |context: &EvalContext| Ok(random(context)))
    .volatility(Volatility::Volatile),
    function!(row "setseed"(Double) -> Text, "Makes `random()` give the same numbers each time.", set_seed)
    .volatility(Volatility::Volatile),
];

/// A number between -1 and 1, from which the session's random numbers follow.
fn set_seed(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let [ValueRef::Double(seed)] = arguments else {
        return Ok(Value::Null);
    };
    if !(-1.0..=1.0).contains(seed) {
        let message = format!("setseed parameter {seed} is out of allowed range [-1,1]");
        return Err(Error::new(state::INVALID_PARAMETER_VALUE, message));
    }
    if let Some(session) = &context.session {
        session.set_seed(seed.to_bits());
    }
    Ok(Value::Text(String::new()))
}

/// 53 bits, which is what a float below 1 can tell apart: those that follow from the session's seed, if it
/// has one, or else a random UUID's.
fn random(context: &EvalContext) -> f64 {
    let seeded = context
        .session
        .as_ref()
        .and_then(|session| session.next_random());
    let bits = seeded.unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as u64);
    (bits & ((1 << 53) - 1)) as f64 / (1_u64 << 53) as f64
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}

/// The least common multiple of 64-bit numbers.
fn lcm(a: i128, b: i128) -> i128 {
    if a == 0 || b == 0 {
        0
    } else {
        (a / gcd(a, b) * b).abs()
    }
}

fn gcd_numeric(mut a: Numeric, mut b: Numeric) -> Result<Numeric> {
    let shown = a.scale().max(b.scale());
    if !a.is_finite() || !b.is_finite() {
        return Ok(Numeric::NAN);
    }
    while decimal::signum(b) != 0 {
        (a, b) = (b, decimal::remainder(a, b)?);
    }
    decimal::round(decimal::absolute(a)?, shown.into())
}

fn lcm_numeric(a: Numeric, b: Numeric) -> Result<Numeric> {
    let shown = a.scale().max(b.scale());
    if !a.is_finite() || !b.is_finite() {
        return Ok(Numeric::NAN);
    }
    if decimal::signum(a) == 0 || decimal::signum(b) == 0 {
        return decimal::round(Numeric::ZERO, shown.into());
    }
    let part = decimal::quotient(a, gcd_numeric(a, b)?)?;
    decimal::round(
        decimal::absolute(decimal::multiply(part, b)?)?,
        shown.into(),
    )
}

fn integer(n: i128) -> Result<i32> {
    i32::try_from(n).map_err(|_| out_of_range("integer"))
}

fn bigint(n: i128) -> Result<i64> {
    i64::try_from(n).map_err(|_| out_of_range("bigint"))
}

static DIVISORS: &[Overload] = &[
    function!("gcd"(Integer, Integer) -> Integer, "Greatest common divisor.",
        |a, b| integer(gcd(a.into(), b.into()))),
    function!("gcd"(BigInt, BigInt) -> BigInt, "Greatest common divisor.",
        |a, b| bigint(gcd(a.into(), b.into()))),
    function!("lcm"(Integer, Integer) -> Integer, "Least common multiple.",
        |a, b| integer(lcm(a.into(), b.into()))),
    function!("lcm"(BigInt, BigInt) -> BigInt, "Least common multiple.",
        |a, b| bigint(lcm(a.into(), b.into()))),
    function!("gcd"(Numeric, Numeric) -> Numeric, "Greatest common divisor.", gcd_numeric),
    function!("lcm"(Numeric, Numeric) -> Numeric, "Least common multiple.", lcm_numeric),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[ROUNDING, NUMERICS, DOUBLES, DIVISORS];
