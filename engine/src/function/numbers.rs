//! Functions on numbers that are rarely asked for: factorials, buckets, and operators in front.

use super::kernel::function;
use super::native::out_of_range as overflow;
use super::native::{Double, Integer, Numeric as NumericType, SqlType};
use super::{EvalContext, Overload, decimal, math};
use crate::error::{Error, Result, state};
use remora_storage::value::NumericKind;
use remora_storage::{Numeric, Value, ValueRef};

fn factorial(n: i64) -> Result<Numeric> {
    if n < 0 {
        return Err(sql_error!(
            NUMERIC_VALUE_OUT_OF_RANGE,
            "factorial of a negative number is undefined"
        ));
    }
    let mut product = 1_i128;
    for factor in 2..=i128::from(n) {
        let larger = product.checked_mul(factor);
        product = larger.ok_or_else(decimal::overflow)?;
    }
    Numeric::new(product, 0).ok_or_else(decimal::overflow)
}

fn bucket_error(message: &str) -> Error {
    Error::new(state::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message)
}

/// The bucket of those between two bounds that a place between them is in: 0 before the first, one
/// more than there are behind the last.
fn bucket(place: Place, count: i32) -> Result<i32> {
    if count <= 0 {
        return Err(bucket_error("count must be greater than zero"));
    }
    match place {
        Place::Before => Ok(0),
        Place::Within(number) => Ok(number.min(count - 1) + 1),
        Place::Behind => count.checked_add(1).ok_or_else(|| overflow("integer")),
    }
}

enum Place {
    Before,
    /// In the bucket of this number, from 0.
    Within(i32),
    Behind,
}

fn width_bucket(x: f64, low: f64, high: f64, count: i32) -> Result<i32> {
    if x.is_nan() || low.is_nan() || high.is_nan() {
        return Err(bucket_error(
            "operand, lower bound, and upper bound cannot be NaN",
        ));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(bucket_error("lower and upper bounds must be finite"));
    }
    if low == high && count > 0 {
        return Err(bucket_error("lower bound cannot equal upper bound"));
    }
    let (from, to, x) = if low < high {
        (low, high, x)
    } else {
        (-low, -high, -x)
    };
    let place = if x < from {
        Place::Before
    } else if x >= to {
        Place::Behind
    } else if (to - from).is_finite() {
        Place::Within((f64::from(count) * ((x - from) / (to - from))) as i32)
    } else {
        // The width is beyond the largest number; half of it is not.
        Place::Within(
            (f64::from(count) * ((x / 2.0 - from / 2.0) / (to / 2.0 - from / 2.0))) as i32,
        )
    };
    bucket(place, count)
}

fn width_bucket_numeric(x: Numeric, low: Numeric, high: Numeric, count: i32) -> Result<i32> {
    if [x, low, high].iter().any(|n| n.kind() == NumericKind::NaN) {
        return Err(bucket_error(
            "operand, lower bound, and upper bound cannot be NaN",
        ));
    }
    if !low.is_finite() || !high.is_finite() {
        return Err(bucket_error("lower and upper bounds must be finite"));
    }
    let width = decimal::subtract(high, low)?;
    let sign = decimal::signum(width);
    if sign == 0 && count > 0 {
        return Err(bucket_error("lower bound cannot equal upper bound"));
    }
    let turned = |n: Result<Numeric>| match sign < 0 {
        true => decimal::negate(n?),
        false => n,
    };
    let place = if decimal::signum(turned(decimal::subtract(x, low))?) < 0 {
        Place::Before
    } else if decimal::signum(turned(decimal::subtract(x, high))?) >= 0 {
        Place::Behind
    } else {
        let part = decimal::multiply(decimal::subtract(x, low)?, Numeric::from(i64::from(count)))?;
        let number = decimal::to_i128(decimal::quotient(part, width)?);
        Place::Within(
            number
                .and_then(|n| i32::try_from(n).ok())
                .unwrap_or(i32::MAX),
        )
    };
    bucket(place, count)
}

fn double_bucket(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let part = |n: usize| Double::of(arguments[n]);
    width_bucket(part(0), part(1), part(2), Integer::of(arguments[3])).map(Value::Integer)
}

fn numeric_bucket(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let part = |n: usize| NumericType::of(arguments[n]);
    width_bucket_numeric(part(0), part(1), part(2), Integer::of(arguments[3])).map(Value::Integer)
}

/// Without zeros at the end of the fraction.
fn trimmed(n: Numeric) -> Numeric {
    let (mut digits, mut scale) = (n.mantissa(), n.scale());
    if !n.is_finite() {
        return n;
    }
    while scale > 0 && digits % 10 == 0 {
        (digits, scale) = (digits / 10, scale - 1);
    }
    Numeric::new(digits, scale).unwrap_or(n)
}

/// Called with NULL for what has no digits at all.
fn min_scale(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let n = NumericType::of(arguments[0]);
    Ok(match n.is_finite() {
        true => Value::Integer(trimmed(n).scale().into()),
        false => Value::Null,
    })
}

static WHOLE: &[Overload] = &[
    function!("factorial"(BigInt) -> Numeric, "The product of all numbers up to it.", factorial),
    function!(strict row "width_bucket"(Double, Double, Double, Integer) -> Integer,
        "Which of so many equal parts between two bounds it is in.", double_bucket),
    function!(strict row "width_bucket"(Numeric, Numeric, Numeric, Integer) -> Integer,
        "Which of so many equal parts between two bounds it is in.", numeric_bucket),
    function!(strict row "min_scale"(Numeric) -> Integer, "Digits after the point that are needed.",
        min_scale),
    function!("trim_scale"(Numeric) -> Numeric, "Without zeros at the end.", |n| Ok(trimmed(n))),
];

static IN_FRONT: &[Overload] = &[
    function!("@"(SmallInt) -> SmallInt, "Absolute value.",
        |n: i16| n.checked_abs().ok_or_else(|| overflow("smallint"))),
    function!("@"(Integer) -> Integer, "Absolute value.",
        |n: i32| n.checked_abs().ok_or_else(|| overflow("integer"))),
    function!("@"(BigInt) -> BigInt, "Absolute value.",
        |n: i64| n.checked_abs().ok_or_else(|| overflow("bigint"))),
    function!("@"(Real) -> Real, "Absolute value.", |n: f32| Ok(n.abs())),
    function!("@"(Double) -> Double, "Absolute value.", |n: f64| Ok(n.abs())),
    function!("@"(Numeric) -> Numeric, "Absolute value.",
        decimal::absolute),
    function!("|/"(Double) -> Double, "Square root.", math::sqrt),
    function!("||/"(Double) -> Double, "Cube root.", |n: f64| Ok(n.cbrt())),
    function!("booleq"(Boolean, Boolean) -> Boolean, "Whether both are the same.", |a, b| Ok(a == b)),
    function!("boolne"(Boolean, Boolean) -> Boolean, "Whether both differ.", |a, b| Ok(a != b)),
    function!("booland_statefunc"(Boolean, Boolean) -> Boolean, "Whether both are true.",
        |a, b| Ok(a && b)),
    function!("boolor_statefunc"(Boolean, Boolean) -> Boolean, "Whether one is true.",
        |a, b| Ok(a || b)),
];

/// The bytes of numbers, the highest first.
/// A whole number as one of a narrower type; NULL where that has no room for it.
pub(crate) const NARROWED: [&str; 2] = ["int2_or_null", "int4_or_null"];

fn int2_or_null(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let narrow = whole(arguments).and_then(|whole| i16::try_from(whole).ok());
    Ok(narrow.map_or(Value::Null, Value::SmallInt))
}

fn int4_or_null(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let narrow = whole(arguments).and_then(|whole| i32::try_from(whole).ok());
    Ok(narrow.map_or(Value::Null, Value::Integer))
}

fn whole(arguments: &[ValueRef<'_>]) -> Option<i64> {
    match arguments[0] {
        ValueRef::Integer(whole) => Some(i64::from(whole)),
        ValueRef::BigInt(whole) => Some(whole),
        _ => None,
    }
}

static NARROW: &[Overload] = &[
    function!(strict row "int2_or_null"(Integer) -> SmallInt,
        "The same as a SMALLINT, or NULL.", int2_or_null),
    function!(strict row "int2_or_null"(BigInt) -> SmallInt,
        "The same as a SMALLINT, or NULL.", int2_or_null),
    function!(strict row "int4_or_null"(BigInt) -> Integer,
        "The same as an INTEGER, or NULL.", int4_or_null),
];

static SENT: &[Overload] = &[
    function!("int2send"(SmallInt) -> Bytea, "Its bytes.", |n: i16| Ok(n.to_be_bytes().to_vec())),
    function!("int4send"(Integer) -> Bytea, "Its bytes.", |n: i32| Ok(n.to_be_bytes().to_vec())),
    function!("int8send"(BigInt) -> Bytea, "Its bytes.", |n: i64| Ok(n.to_be_bytes().to_vec())),
    function!("float4send"(Real) -> Bytea, "Its bytes.", |n: f32| Ok(n.to_be_bytes().to_vec())),
    function!("float8send"(Double) -> Bytea, "Its bytes.", |n: f64| Ok(n.to_be_bytes().to_vec())),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[WHOLE, IN_FRONT, NARROW, SENT];
