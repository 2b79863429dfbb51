//! Amounts: how many arguments are NULL, and sizes in bytes as people read them.

use super::kernel::function;
use super::native::{BigInt as BigIntType, SqlType};
use super::{EvalContext, GenericCall, Overload, Pattern, Work, decimal, text};
use crate::error::{Error, Result, state};
use remora_storage::{DataType, Numeric, Value, ValueRef};

const COUNT: Pattern = Pattern::Is(DataType::Integer);

fn nulls(call: &GenericCall<'_>) -> Result<Value> {
    let count = call.values.iter().filter(|value| value.is_null()).count();
    Ok(Value::Integer(count as i32))
}

fn others(call: &GenericCall<'_>) -> Result<Value> {
    let count = call.values.iter().filter(|value| !value.is_null()).count();
    Ok(Value::Integer(count as i32))
}

static NULLS: &[Overload] = &[
    function!(generic "num_nulls"(Pattern::Any) -> COUNT, "How many arguments are NULL.", nulls)
        .variadic(),
    function!(generic "num_nonnulls"(Pattern::Any) -> COUNT, "How many arguments are not NULL.",
        others)
    .variadic(),
];

/// Each is 1,024 of the one before, and is used from ten thousand of that on.
const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
/// So much is still said in a unit.
const MOST: i128 = 10 * 1024;

/// The size in the first unit of which it has fewer than 10,240, rounded half away from zero.
fn pretty(size: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let mut amount = i128::from(BigIntType::of(size[0]));
    let mut unit = 0;
    if amount.abs() < MOST {
        return Ok(Value::Text(format!("{amount} {}", UNITS[0])));
    }
    // One bit is kept for the rounding.
    amount /= 512;
    unit += 1;
    while unit < UNITS.len() - 1 && amount.abs() >= 2 * MOST - 1 {
        amount /= 1024;
        unit += 1;
    }
    let rounded = (amount + amount.signum()) / 2;
    Ok(Value::Text(format!("{rounded} {}", UNITS[unit])))
}

/// `1.5 MB` as a number of bytes.
///
/// # Errors
/// 22023, 22003
pub(crate) fn bytes(text: &str) -> Result<i64> {
    let invalid = || {
        let message = format!("invalid size: \"{text}\"");
        Error::new(state::INVALID_PARAMETER_VALUE, message)
    };
    let trimmed = text.trim();
    let ends = |c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E'));
    let end = trimmed.find(ends).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let number = text::parse_numeric(number).map_err(|_| invalid())?;
    let unit = unit.trim();
    let power = match unit {
        "" => Some(0),
        _ => UNITS
            .iter()
            .position(|known| known.eq_ignore_ascii_case(unit)),
    };
    let power = power.ok_or_else(|| {
        invalid()
            .with_detail(format!("Invalid size unit: \"{unit}\"."))
            .with_hint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
    })?;
    let factor = Numeric::from(1_i64 << (10 * power));
    let size = decimal::to_i128(decimal::truncate(decimal::multiply(number, factor)?, 0)?);
    size.and_then(|size| i64::try_from(size).ok())
        .ok_or_else(|| super::native::out_of_range("bigint"))
}

fn read_bytes(context: &EvalContext, text: &str) -> Result<i64> {
    bytes(text::read_at_once(text, "size", &Work::new(context))?)
}

static SIZES: &[Overload] = &[
    function!(strict row "pg_size_pretty"(BigInt) -> Text, "A size in bytes as people read it.", pretty),
    function!(patient "pg_size_bytes"(Text) -> BigInt, "The bytes of a size as people write it.", read_bytes),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[NULLS, SIZES];
